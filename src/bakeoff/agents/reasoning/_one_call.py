"""Patterns of one line of thought: a call, or a few calls in a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bakeoff.agents.config._spec import OutputSpec
from bakeoff.agents.reasoning._library import Option, Pattern
from bakeoff.agents.reasoning._shots import choose_shots
from bakeoff.agents.run._text import extract_answer, read_output

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bakeoff.agents.reasoning._library import Work

__all__ = ["LAST_LINE", "LIBRARY", "STEP_BY_STEP"]

LAST_LINE = "Give the final answer on the last line, after 'Answer:'."
STEP_BY_STEP = f"Think step by step. {LAST_LINE}"
_LIST = OutputSpec(type="list")


async def _zero_shot(work: Work, options: Mapping[str, Any]) -> str:
    return await work.ask(final=True)


async def _few_shot(work: Work, options: Mapping[str, Any]) -> str:
    chosen = choose_shots(
        work.examples, work.question, n=options["n"], select=options["select"], seed=f"{options['seed']}:{work.item_id}"
    )
    shown = "\n\n".join(f"Input: {one['input']}\nOutput: {one['output']}" for one in chosen)
    work.note(shots=[one["input"][:200] for one in chosen])
    return await work.ask(final=True, shots=f"Worked examples:\n\n{shown}\n\nNow the task.\n\n" if shown else "")


async def _chain_of_thought(work: Work, options: Mapping[str, Any]) -> str:
    return extract_answer(await work.ask(STEP_BY_STEP, final=True))


async def _least_to_most(work: Work, options: Mapping[str, Any]) -> str:
    listed = await work.ask(
        "Do not solve this yet. Name the simpler questions that must be answered first, the easiest first, one on "
        f"each line, at most {options['parts']}.",
        name="decompose",
    )
    parts = read_output(listed, _LIST)[: options["parts"]]
    said: list[tuple[str, str]] = []
    for number, part in enumerate(parts, start=1):
        solved = await work.ask(
            f"Answer only this part for now: {part}", name=f"part {number}", said=said, sample=number
        )
        said += [("assistant", f"{part}\n{solved}"), ("user", "Go on.")]
    told = f"With the parts solved, answer the whole question. {LAST_LINE}"
    said = [*said[:-1], ("user", told)] if said else []
    return extract_answer(await work.ask("" if said else told, said=said, final=True))


async def _step_back(work: Work, options: Mapping[str, Any]) -> str:
    principle = await work.ask(
        "Do not answer yet. Step back: which general principle, rule or fact decides questions of this kind?",
        name="step back",
    )
    return extract_answer(await work.ask(f"Principle: {principle}\n\nApply it. {LAST_LINE}", final=True))


async def _plan_and_solve(work: Work, options: Mapping[str, Any]) -> str:
    plan = await work.ask("Do not solve this yet. Make a short plan of how to solve it.", name="plan")
    return extract_answer(
        await work.ask(f"Plan:\n{plan}\n\nCarry it out step by step, checking each value. {LAST_LINE}", final=True)
    )


async def _react(work: Work, options: Mapping[str, Any]) -> str:
    told = (
        "Before each action say in one sentence what you know and what you need next; then use one tool. When you "
        f"know enough, stop. {LAST_LINE}"
    )
    return extract_answer(await work.ask(told, final=True))


async def _abstraction(work: Work, options: Mapping[str, Any]) -> str:
    said: list[tuple[str, str]] = []
    levels = ("the goal in one sentence", "the concepts and how they relate", "the concrete facts and quantities")
    for number, level in enumerate(levels[: options["levels"]]):
        told = f"Do not answer yet. Describe the task at this level: {level}."
        text = await work.ask(
            told if not said else "", name=f"level {number + 1}",
            said=[*said, ("user", told)] if said else (), sample=number,
        )  # fmt: skip
        said += [("assistant", text)] if not said else [("user", told), ("assistant", text)]
    told = f"Go from the goal down to the facts and answer. {LAST_LINE}"
    return extract_answer(await work.ask(said=[*said, ("user", told)], final=True))


async def _emergent(work: Work, options: Mapping[str, Any]) -> str:
    if work.examples:
        shown = "\n".join(f"- {one['input']} -> {one['output']}" for one in work.examples[: options["n"]])
        found = await work.ask(
            f"Do not answer yet. Here are earlier cases:\n{shown}\n\nWhich regularities do they share that nobody "
            "wrote down? One on each line.",
            name="discover",
        )
    else:
        found = await work.ask(
            "Do not answer yet. Which regularity in the details of this task is easy to overlook? One on each line.",
            name="discover",
        )
    return extract_answer(await work.ask(f"Regularities:\n{found}\n\nUse those that apply. {LAST_LINE}", final=True))


async def _meta(work: Work, options: Mapping[str, Any]) -> str:
    failures = "\n".join(f"- {one}" for one in options["failures"][:20]) or "- none are known yet"
    advice = await work.ask(
        f"Do not answer yet. Earlier attempts at tasks like this failed so:\n{failures}\n\nWrite the instructions "
        "that would have avoided this, at most five.",
        name="learn",
    )
    return extract_answer(await work.ask(f"Instructions:\n{advice}\n\nFollow them. {LAST_LINE}", final=True))


LIBRARY = (
    Pattern(
        name="zero_shot", version="1", title="Zero-shot", source="The prompt as it stands.",
        helps="Clear, short tasks; the baseline of every comparison.", hurts="Several steps, unusual formats.",
        run=_zero_shot, calls=lambda _: 1,
    ),
    Pattern(
        name="few_shot", version="1", title="Few-shot", source="Brown et al. 2020, arXiv:2005.14165; nearest: "
        "Liu et al. 2022, arXiv:2101.06804.",
        helps="Formats and labels that words describe badly.", hurts="Long inputs; examples unlike the items.",
        run=_few_shot, calls=lambda _: 1, needs=("examples",),
        options={
            "n": Option(3, 1, 50, help="how many examples to show"),
            "select": Option("fixed", words=("fixed", "random", "nearest", "diverse")),
            "seed": Option(0, 0, 2**31, help="of `random`"),
        },
        fits={"format": 0.12, "classification": 0.06, "ambiguity": 0.04},
    ),
    Pattern(
        name="chain_of_thought", version="1", title="Chain of thought",
        source="Wei et al. 2022, arXiv:2201.11903; Kojima et al. 2022, arXiv:2205.11916.",
        helps="Arithmetic, several steps, rules applied to a case.",
        hurts="Simple look-ups: longer answers, no gain. Models that reason anyway.",
        run=_chain_of_thought, calls=lambda _: 1, fits={"steps": 0.14, "numbers": 0.08, "lookup": -0.03},
    ),
    Pattern(
        name="least_to_most", version="1", title="Least to most", source="Zhou et al. 2022, arXiv:2205.10625.",
        helps="Questions made of questions.", hurts="Tasks that do not come apart.",
        run=_least_to_most, calls=lambda o: 2 + o["parts"],
        options={"parts": Option(3, 1, 12, help="most parts")}, fits={"steps": 0.14, "length": 0.04},
    ),
    Pattern(
        name="step_back", version="1", title="Step-back", source="Zheng et al. 2023, arXiv:2310.06117.",
        helps="Knowledge questions decided by a principle.", hurts="Plain facts.",
        run=_step_back, calls=lambda _: 2, fits={"knowledge": 0.07, "steps": 0.05},
    ),
    Pattern(
        name="plan_and_solve", version="1", title="Plan and solve", source="Wang et al. 2023, arXiv:2305.04091.",
        helps="Several steps of which some are forgotten.", hurts="One-step tasks.",
        run=_plan_and_solve, calls=lambda _: 2, fits={"steps": 0.12, "constraints": 0.03},
    ),
    Pattern(
        name="react", version="1", title="ReAct", source="Yao et al. 2022, arXiv:2210.03629.",
        helps="Facts that must be looked up, actions that depend on results.", hurts="No tools: it is CoT then.",
        run=_react, calls=lambda _: 3, needs=("tools",), fits={"tools": 0.25, "steps": 0.05},
    ),
    Pattern(
        name="abstraction_hierarchy", version="1", title="Abstraction hierarchy",
        source="Rasmussen 1985, IEEE SMC 15(2); as a prompt: own.",
        helps="Design and diagnosis: goal, concepts, facts.", hurts="Short factual tasks.",
        run=_abstraction, calls=lambda o: 1 + o["levels"],
        options={"levels": Option(2, 1, 3, help="how many levels before the answer")},
        fits={"open_ended": 0.06, "length": 0.03},
    ),
    Pattern(
        name="emergent_patterns", version="1", title="Discovery of patterns",
        source="Own; compare Honovich et al. 2022 (instruction induction), arXiv:2205.10782.",
        helps="Unwritten rules that examples show.", hurts="No examples, or rules that are written down.",
        run=_emergent, calls=lambda _: 2, options={"n": Option(8, 1, 50, help="how many examples to show")},
        fits={"ambiguity": 0.05, "format": 0.05},
    ),
    Pattern(
        name="meta_prompting", version="1", title="Learning from failures",
        source="Pryzant et al. 2023 (textual gradients), arXiv:2305.03495; own form.",
        helps="Known, repeated kinds of failure.", hurts="No failures known.",
        run=_meta, calls=lambda _: 2,
        options={"failures": Option([], help="a list of texts: what went wrong before")},
        fits={"constraints": 0.05, "format": 0.05},
    ),
)  # fmt: skip
