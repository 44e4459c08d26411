"""Patterns that look at several answers: votes, trees, debates, hypotheses."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from bakeoff.agents.config._spec import OutputSpec
from bakeoff.agents.reasoning._library import Option, Pattern
from bakeoff.agents.reasoning._one_call import LAST_LINE, STEP_BY_STEP
from bakeoff.agents.reasoning._rounds import stated_confidence
from bakeoff.agents.run._text import extract_answer, normal_form, read_output

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from bakeoff.agents.reasoning._library import Work

__all__ = ["LIBRARY", "vote"]

_LIST = OutputSpec(type="list")
_SCORE = re.compile(r"(?<![\d.])(10|\d(?:\.\d+)?)(?![\d.])")


def vote(answers: Sequence[str], weights: Sequence[float] | None = None) -> tuple[str, float]:
    """Return the answer with most weight, as it was first written, and its share; the first wins a tie.

    Examples:
        >>> vote(["12", "The 7", "12.0"])
        ('12', 0.6666666666666666)
    """
    weight: dict[str, float] = defaultdict(float)
    first: dict[str, str] = {}
    for answer, value in zip(answers, weights or [1.0] * len(answers), strict=True):
        form = normal_form(answer)
        weight[form] += value
        first.setdefault(form, answer)
    best = max(weight, key=lambda form: weight[form])
    total = sum(weight.values())
    return first[best], weight[best] / total if total > 0 else 0.0


def _sampler(
    instruction: str, sample: int, name: str, *, final: bool, temperature: float | None = None
) -> Callable[[Work], Awaitable[str]]:
    async def one(work: Work) -> str:
        return await work.ask(instruction, name=name, final=final, sample=sample, temperature=temperature)

    return one


async def _self_consistency(work: Work, options: Mapping[str, Any]) -> str:
    texts = await work.together([
        _sampler(STEP_BY_STEP, number, f"sample {number + 1}", final=True, temperature=options["temperature"])
        for number in range(options["k"])
    ])  # fmt: skip
    answers = [extract_answer(text) for text in texts]
    best, share = vote(answers)
    work.note(votes=dict(Counter(normal_form(answer)[:80] for answer in answers)), confidence=share)
    return best


async def _tree(work: Work, options: Mapping[str, Any]) -> str:
    path = ""
    sample = 0
    for depth in range(options["depth"]):
        told = f"Do not answer yet.{path}\nPropose one possible next thought towards the solution, in two sentences."
        thoughts = await work.together([
            _sampler(told, sample + number, f"thought {depth + 1}.{number + 1}", final=False, temperature=0.8)
            for number in range(options["breadth"])
        ])  # fmt: skip
        judged = [f"{path}\nThought: {thought}" for thought in thoughts]
        scores = await work.together([
            _sampler(
                f"Do not answer yet.{one}\nHow likely does this lead to the right answer? Answer with a number from "
                "0 to 10.", sample + number, f"value {depth + 1}.{number + 1}", final=False,
            )
            for number, one in enumerate(judged)
        ])  # fmt: skip
        values = [_score(text) for text in scores]
        path = judged[max(range(len(judged)), key=lambda index: values[index])]
        sample += options["breadth"]
    return extract_answer(await work.ask(f"{path}\n\nNow answer. {LAST_LINE}", final=True))


def _score(text: str) -> float:
    found = _SCORE.search(text)
    return float(found.group(1)) if found else 0.0


async def _debate(work: Work, options: Mapping[str, Any]) -> str:
    sides = await work.together([
        _sampler(f"You are one of several advisers. {STEP_BY_STEP}", number, f"adviser {number + 1}", final=True,
                 temperature=0.8)
        for number in range(options["sides"])
    ])  # fmt: skip
    for number in range(options["rounds"] - 1):
        heard = "\n\n".join(f"Adviser {index + 1}: {text}" for index, text in enumerate(sides))
        sides = await work.together([
            _sampler(f"You are adviser {index + 1}. The advisers said:\n\n{heard}\n\nSay where the others are wrong, "
                     f"or change your mind. {LAST_LINE}", 10 * (number + 1) + index, f"reply {index + 1}", final=True)
            for index in range(len(sides))
        ])  # fmt: skip
    work.note(votes=dict(Counter(normal_form(extract_answer(text))[:80] for text in sides)))
    heard = "\n\n".join(f"Adviser {index + 1}: {text}" for index, text in enumerate(sides))
    told = f"Advisers said:\n\n{heard}\n\nKeep what is right in each, resolve the contradictions. {LAST_LINE}"
    return extract_answer(await work.ask(told, name="synthesis", final=True))


async def _explore(work: Work, options: Mapping[str, Any]) -> str:
    listed = await work.ask(
        f"Do not answer yet. Restate the task in {options['n']} ways that a careful reader could understand it, one "
        "on each line.",
        name="readings",
    )
    readings = read_output(listed, _LIST)[: options["n"]] or ["as it stands"]
    texts = await work.together([
        _sampler(f"Read the task so: {reading}\n{LAST_LINE}", number, f"reading {number + 1}", final=True)
        for number, reading in enumerate(readings)
    ])  # fmt: skip
    best, share = vote([extract_answer(text) for text in texts])
    work.note(readings=readings, confidence=share)
    return best


async def _superposition(work: Work, options: Mapping[str, Any]) -> str:
    texts = await work.together([
        _sampler(f"Follow your hypothesis number {number + 1} about how this is to be solved, a different one from "
                 f"the obvious where you can. {LAST_LINE} Add a line 'Confidence:' with a number from 0 to 1.",
                 number, f"hypothesis {number + 1}", final=True, temperature=0.8)
        for number in range(options["n"])
    ])  # fmt: skip
    answers: list[str] = []
    weights: list[float] = []
    for text in texts:
        answers.append(re.split(r"\n\s*confidence\b", extract_answer(text), maxsplit=1, flags=re.IGNORECASE)[0].strip())
        stated = stated_confidence(text)
        weights.append(0.5 if stated is None else max(stated, 0.01))
    best, share = vote(answers, weights)
    work.note(weights=[round(weight, 3) for weight in weights], confidence=share)
    return best


LIBRARY = (
    Pattern(
        name="self_consistency", version="1", title="Self-consistency", source="Wang et al. 2022, arXiv:2203.11171.",
        helps="Reasoning with one short answer; the share of votes is a usable confidence.",
        hurts="Free text: nothing to vote on.",
        run=_self_consistency, calls=lambda o: o["k"],
        options={
            "k": Option(5, 2, 50, help="how many samples"),
            "temperature": Option(0.7, 0, 2, help="of the samples; at 0 they are all the same"),
        },
        fits={"steps": 0.18, "numbers": 0.1, "open_ended": -0.08},
    ),
    Pattern(
        name="tree_of_thought", version="1", title="Tree of thought", source="Yao et al. 2023, arXiv:2305.10601.",
        helps="Search with dead ends: puzzles, planning.", hurts="Everything where one line of thought will do.",
        run=_tree, calls=lambda o: 2 * o["breadth"] * o["depth"] + 1,
        options={"breadth": Option(3, 2, 10, help="thoughts at each point"), "depth": Option(2, 1, 5)},
        fits={"steps": 0.14, "constraints": 0.1, "lookup": -0.04},
    ),
    Pattern(
        name="debate", version="1", title="Debate and synthesis", source="Du et al. 2023, arXiv:2305.14325.",
        helps="Questions with arguments on both sides.", hurts="Plain facts; advisers of one model share its errors.",
        run=_debate, calls=lambda o: o["sides"] * o["rounds"] + 1,
        options={"sides": Option(2, 2, 6, help="advisers"), "rounds": Option(1, 1, 4)},
        fits={"ambiguity": 0.08, "open_ended": 0.06, "steps": 0.06},
    ),
    Pattern(
        name="semantic_exploration", version="1", title="Semantic exploration",
        source="Own; compare Deng et al. 2023 (rephrase and respond), arXiv:2311.04205.",
        helps="Tasks that can be read in several ways.", hurts="Clear tasks.",
        run=_explore, calls=lambda o: 1 + o["n"], options={"n": Option(3, 2, 8, help="readings")},
        fits={"ambiguity": 0.14},
    ),
    Pattern(
        name="superposition", version="1", title="Weighted hypotheses",
        source="Own; a weighted vote as in Wang et al. 2022 with weights stated by the model.",
        helps="Several ways to a short answer, of unequal worth.", hurts="Free text; models that overstate.",
        run=_superposition, calls=lambda o: o["n"], options={"n": Option(3, 2, 10, help="hypotheses")},
        fits={"ambiguity": 0.08, "steps": 0.08},
    ),
)  # fmt: skip
