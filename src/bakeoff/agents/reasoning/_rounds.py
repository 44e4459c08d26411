"""Patterns that look at an answer again: critique, reflection, constraints, doubt."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from bakeoff.agents.reasoning._library import Option, Pattern
from bakeoff.agents.reasoning._one_call import LAST_LINE, STEP_BY_STEP
from bakeoff.agents.run._text import extract_answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bakeoff.agents.reasoning._library import Work

__all__ = ["LIBRARY", "stated_confidence"]

_CONFIDENCE = re.compile(r"confidence[^0-9\n]{0,20}(\d{1,3}(?:\.\d+)?)\s*(%?)", re.IGNORECASE)
_CRITIQUE = "Criticise this answer: what is wrong, missing or unclear? If nothing is, answer only: No changes."
_REFLECT = "Is this answer correct? Begin with Yes or No. If No, say in one sentence what to do differently next time."
_BROKEN = "Which of them does this answer break? If none, answer only: None."
_FINE = re.compile(r"^\W*(?:yes|ok|fine|no (?:change|problem|issue|error|violation)s?|none|correct)\b", re.IGNORECASE)


def stated_confidence(text: str) -> float | None:
    r"""Return the confidence that a text states, from 0 to 1.

    Examples:
        >>> stated_confidence("Answer: 4\nConfidence: 85%"), stated_confidence("Answer: 4")
        (0.85, None)
    """
    found = _CONFIDENCE.findall(text)
    if not found:
        return None
    number, percent = found[-1]
    value = float(number)
    value = value / 100 if percent or value > 1 else value
    return value if 0 <= value <= 1 else None


async def _self_refine(work: Work, options: Mapping[str, Any]) -> str:
    text = await work.ask(LAST_LINE, name="draft", final=True)
    for number in range(options["rounds"]):
        critique = await work.ask(name="critique", sample=number, said=[("assistant", text), ("user", _CRITIQUE)])
        if _FINE.match(critique):
            break
        text = await work.ask(
            name="revise", final=True, sample=number + 1,
            said=[("assistant", text), ("user", f"Critique:\n{critique}\n\nRevise the answer. {LAST_LINE}")],
        )  # fmt: skip
    return extract_answer(text)


async def _reflexion(work: Work, options: Mapping[str, Any]) -> str:
    lessons: list[str] = []
    text = ""
    for number in range(options["rounds"]):
        learnt = "".join(f"\nLesson from an earlier attempt: {lesson}" for lesson in lessons)
        text = await work.ask(f"{STEP_BY_STEP}{learnt}", name=f"attempt {number + 1}", final=True, sample=number)
        if number + 1 == options["rounds"]:
            break
        verdict = await work.ask(name="reflect", sample=number, said=[("assistant", text), ("user", _REFLECT)])
        if _FINE.match(verdict):
            break
        lessons.append(verdict)
    work.note(attempts=number + 1)
    return extract_answer(text)


async def _constraints(work: Work, options: Mapping[str, Any]) -> str:
    listed = await work.ask(
        "Do not answer yet. List every constraint that an acceptable answer must satisfy, stated or implied, one on "
        "each line.",
        name="constraints",
    )
    told = f"Constraints:\n{listed}\n\nAnswer so that all of them hold. {LAST_LINE}"
    text = await work.ask(told, name="draft", final=True)
    checked = await work.ask(name="check", said=[("assistant", text), ("user", f"Constraints:\n{listed}\n\n{_BROKEN}")])
    work.note(repaired=not _FINE.match(checked))
    if _FINE.match(checked):
        return extract_answer(text)
    told = f"These are broken:\n{checked}\n\nAnswer again so that all constraints hold. {LAST_LINE}"
    return extract_answer(
        await work.ask(name="repair", final=True, sample=1, said=[("assistant", text), ("user", told)])
    )


async def _uncertainty(work: Work, options: Mapping[str, Any]) -> str:
    text = await work.ask(
        "Name the likeliest answers with the chance that each is right. Then give the best one on a line after "
        "'Answer:' and on the line after it 'Confidence:' with a number from 0 to 1.",
        final=True,
    )
    confidence = stated_confidence(text)
    work.note(confidence=confidence)
    answer = re.split(r"\n\s*confidence\b", extract_answer(text), maxsplit=1, flags=re.IGNORECASE)[0].strip()
    if confidence is not None and confidence < options["abstain_below"]:
        return str(options["abstain"])
    return answer


LIBRARY = (
    Pattern(
        name="self_refine", version="1", title="Self-refine", source="Madaan et al. 2023, arXiv:2303.17651.",
        helps="Writing, code, answers whose faults are easier seen than avoided.",
        hurts="Right answers are talked away (Huang et al. 2023, arXiv:2310.01798).",
        run=_self_refine, calls=lambda o: 1 + 2 * o["rounds"],
        options={"rounds": Option(1, 1, 5, help="most rounds of critique")},
        fits={"open_ended": 0.09, "constraints": 0.05, "lookup": -0.03},
    ),
    Pattern(
        name="reflexion", version="1", title="Reflexion", source="Shinn et al. 2023, arXiv:2303.11366.",
        helps="Tasks with a test of success, tried more than once.", hurts="No way to tell success.",
        run=_reflexion, calls=lambda o: 2 * o["rounds"] - 1,
        options={"rounds": Option(2, 2, 5, help="most attempts")}, fits={"code": 0.1, "tools": 0.05, "steps": 0.05},
    ),
    Pattern(
        name="constraint_satisfaction", version="1", title="Constraint satisfaction",
        source="Own; compare Dhuliawala et al. 2023 (chain of verification), arXiv:2309.11495.",
        helps="Many rules that must all hold.", hurts="Free answers.",
        run=_constraints, calls=lambda _: 3.5, fits={"constraints": 0.14, "format": 0.06},
    ),
    Pattern(
        name="uncertainty", version="1", title="Elicited uncertainty",
        source="Tian et al. 2023, arXiv:2305.14975; Xiong et al. 2023, arXiv:2306.13063.",
        helps="Wrong answers cost more than none.", hurts="Every item must be answered; small models overstate.",
        run=_uncertainty, calls=lambda _: 1,
        options={
            "abstain_below": Option(0.0, 0, 1, help="say `abstain` when the confidence is lower"),
            "abstain": Option("I do not know.", help="the answer when abstaining"),
        },
        fits={"ambiguity": 0.06, "knowledge": 0.04},
    ),
)  # fmt: skip
