"""From `flow` to nodes that are ready to run."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from bakeoff.agents.config._spec import AgentSpec, BranchSpec, HandoffSpec, LoopSpec, ParallelSpec, StepSpec
from bakeoff.agents.config._steps import Steps
from bakeoff.agents.run._flow import Branching, Handoff, Loop, Parallel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bakeoff.agents.config._agent import Step
    from bakeoff.agents.config._spec import FlowNode
    from bakeoff.agents.run._flow import Node

__all__ = ["Flows"]


class Flows(Steps):
    """Puts steps in order."""

    def flow_nodes(
        self,
        nodes: Sequence[FlowNode],
        steps: Mapping[str, Step],
        specs: Mapping[str, StepSpec],
        at: tuple[str | int, ...],
    ) -> list[Node]:
        made: list[Node] = []
        for index, node in enumerate(nodes):
            here = (*at, index)
            if isinstance(node, str):
                if node not in specs:
                    near = difflib.get_close_matches(node, specs, n=1)
                    fix = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(specs)}"
                    self.add(f"there is no step {node!r}", *here, fix=fix)
                elif node in steps:
                    made.append(steps[node])
            elif isinstance(node, ParallelSpec):
                made.append(
                    Parallel([
                        self.flow_nodes([one], steps, specs, (*here, "parallel")) for one in node.parallel
                    ])
                )  # fmt: skip
            elif isinstance(node, BranchSpec):
                on = self.template("{{ " + node.branch + " }}", *here, "branch")
                cases = {
                    key: self.flow_nodes(case, steps, specs, (*here, "cases", key)) for key, case in node.cases.items()
                }
                default = self.flow_nodes(node.default, steps, specs, (*here, "default"))
                if on is not None:
                    made.append(Branching(on, node.branch, cases, default))
            elif isinstance(node, LoopSpec):
                inner = self.flow_nodes(node.loop, steps, specs, (*here, "loop"))
                until = self.when(node.until, *here, "until")
                if until is not None:
                    made.append(Loop(inner, until, node.max))
            else:
                made.append(
                    Handoff(
                        self.flow_nodes(node.handoff, steps, specs, (*here, "handoff")),
                        self.when(node.when, *here, "when"),
                    )
                )
        return made

    def check_use(self, spec: AgentSpec, flow: Sequence[FlowNode], specs: Mapping[str, StepSpec]) -> None:
        if not spec.flow:
            return
        used = set(_named(flow))
        for name in specs:
            if name not in used:
                self.add("is not in the flow, so it never runs", "steps", name, fix="add it to `flow:` or remove it")

    def last_steps(self, spec: AgentSpec, flow: Sequence[FlowNode], specs: Mapping[str, StepSpec]) -> set[str]:
        if spec.answer in specs:
            return {str(spec.answer)}
        if spec.answer is not None:
            return set(specs) if "state" in spec.answer else {name for name in specs if name in spec.answer}
        return _last(flow)


def _inner(node: FlowNode) -> list[Sequence[FlowNode]]:
    if isinstance(node, ParallelSpec):
        return [[one] for one in node.parallel]
    if isinstance(node, BranchSpec):
        return [*node.cases.values(), node.default]
    if isinstance(node, LoopSpec):
        return [node.loop]
    return [node.handoff] if isinstance(node, HandoffSpec) else []


def _named(nodes: Sequence[FlowNode]) -> list[str]:
    found: list[str] = []
    for node in nodes:
        found += [node] if isinstance(node, str) else [name for part in _inner(node) for name in _named(part)]
    return found


def _last(nodes: Sequence[FlowNode]) -> set[str]:
    """Return the steps that may be the last to run."""
    found: set[str] = set()
    for index, node in enumerate(nodes):
        if isinstance(node, HandoffSpec):
            found |= _last(node.handoff)
        elif index == len(nodes) - 1:
            if isinstance(node, str):
                found.add(node)
                continue
            for part in _inner(node):
                found |= _last(part) if part else _last(nodes[:index])
    if nodes and isinstance(nodes[-1], HandoffSpec) and nodes[-1].when is not None:
        found |= _last(nodes[:-1])
    return found
