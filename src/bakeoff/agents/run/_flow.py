"""The way through the steps: in order, at the same time, one of several, again and again, hand-off."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bakeoff.agents.config._agent import Step as AnyStep
    from bakeoff.agents.run._text import Template
    from bakeoff.agents.run._trial import Branch, Trial

__all__ = ["Branching", "Handoff", "Loop", "Node", "Parallel", "run_nodes"]


@dataclass(frozen=True, slots=True)
class Parallel:
    """Branches at the same time, each from the same state."""

    branches: Sequence[Sequence[Node]]


@dataclass(frozen=True, slots=True)
class Branching:
    """One of several ways."""

    on: Template
    source: str
    cases: Mapping[str, Sequence[Node]]
    default: Sequence[Node]


@dataclass(frozen=True, slots=True)
class Loop:
    """Steps until a condition holds."""

    nodes: Sequence[Node]
    until: Template
    limit: int


@dataclass(frozen=True, slots=True)
class Handoff:
    """Leave the rest to these steps."""

    nodes: Sequence[Node]
    when: Template | None


Node: TypeAlias = "AnyStep | Parallel | Branching | Loop | Handoff"


class _HandedOver(Exception):  # noqa: N818 - control flow: nothing after a hand-off runs
    pass


async def run_nodes(trial: Trial, nodes: Sequence[Node], branch: Branch) -> None:
    """Run a flow; what its steps give is in the state of the branch."""
    try:
        await _run(trial, nodes, branch)
    except _HandedOver:
        return


async def _run(trial: Trial, nodes: Sequence[Node], branch: Branch) -> None:
    for node in nodes:
        if isinstance(node, Parallel):
            await _parallel(trial, node, branch)
        elif isinstance(node, Branching):
            await _branching(trial, node, branch)
        elif isinstance(node, Loop):
            await _loop(trial, node, branch)
        elif isinstance(node, Handoff):
            await _handoff(trial, node, branch)
        else:
            await trial.run_step(node, branch)


async def _parallel(trial: Trial, node: Parallel, branch: Branch) -> None:
    forks = [branch.fork() for _ in node.branches]
    before = dict(branch.state)
    # A task group cancels the other branches when one fails: nothing goes on unseen.
    tasks: list[asyncio.Task[None]] = []
    try:
        async with asyncio.TaskGroup() as group:
            for nodes, fork in zip(node.branches, forks, strict=True):
                tasks.append(group.create_task(_run(trial, nodes, fork)))
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    branch.clock.join([fork.clock for fork in forks])
    for fork in forks:
        branch.state.update((key, value) for key, value in fork.state.items() if before.get(key) is not value)
        branch.last = fork.last or branch.last


async def _branching(trial: Trial, node: Branching, branch: Branch) -> None:
    value = node.on.render(trial.values(branch)).strip()
    way = next((case for case in node.cases if case.casefold() == value.casefold()), None)
    with trial.recorder.span(
        f"branch: {node.source}", "step", branch.clock, parent=branch.parent, output=value, taken=way or "default"
    ):
        pass
    await _run(trial, node.cases[way] if way is not None else node.default, branch)


async def _loop(trial: Trial, node: Loop, branch: Branch) -> None:
    for turn in range(1, node.limit + 1):
        branch.turn = turn
        await _run(trial, node.nodes, branch)
        if node.until.render(trial.values(branch)):
            return
    trial.note(f"a loop reached its limit of {node.limit}")


async def _handoff(trial: Trial, node: Handoff, branch: Branch) -> None:
    if node.when is not None and not node.when.render(trial.values(branch)):
        return
    with trial.recorder.span("handoff", "handoff", branch.clock, parent=branch.parent) as span:
        inner = branch.fork(parent=span["id"])
        inner.state = branch.state
        await _run(trial, node.nodes, inner)
        branch.clock.join([inner.clock])
        branch.last = inner.last or branch.last
    raise _HandedOver
