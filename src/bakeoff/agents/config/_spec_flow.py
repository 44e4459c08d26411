"""The order of the steps: parallel, branch, loop, hand-off."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import (
    BaseModel,
    Discriminator,
    Field,
    Tag,
    model_validator,
)

from bakeoff.agents.config._spec_base import Section

__all__ = ["BranchSpec", "FlowNode", "HandoffSpec", "LoopSpec", "ParallelSpec"]


class ParallelSpec(Section):
    """Steps at the same time, each from the same state."""

    parallel: list[FlowNode] = Field(min_length=1)


class BranchSpec(Section):
    """One of several ways, by the value of an expression."""

    branch: str
    """Expression in the language of templates, for instance `route` or `score > 3`."""
    cases: dict[str, list[FlowNode]]
    default: list[FlowNode] = Field(default_factory=list)

    @model_validator(mode="before")
    @classmethod
    def _words(cls, value: Any) -> Any:
        # YAML reads `yes:` and `true:` as booleans; as keys they mean the words.
        if isinstance(value, dict) and isinstance(value.get("cases"), dict):
            return {**value, "cases": {str(key): case for key, case in value["cases"].items()}}
        return value


class LoopSpec(Section):
    """Steps again and again, until a condition holds or the limit is reached."""

    loop: list[FlowNode] = Field(min_length=1)
    until: str
    max: Annotated[int, Field(ge=1, le=100)] = 3


class HandoffSpec(Section):
    """Leave the rest to another part of the flow: nothing after it runs."""

    handoff: list[FlowNode] = Field(min_length=1)
    when: str | None = None


def _node_kind(value: Any) -> str | None:
    if isinstance(value, str):
        return "<step>"
    keys = value if isinstance(value, dict) else type(value).model_fields if isinstance(value, BaseModel) else ()
    # In angle brackets, so that a tag is never taken for a key of the file.
    kinds = [kind for kind in ("parallel", "branch", "loop", "handoff") if kind in keys]
    return f"<{kinds[0]}>" if len(kinds) == 1 else None


FlowNode = Annotated[
    Annotated[str, Tag("<step>")]
    | Annotated[ParallelSpec, Tag("<parallel>")]
    | Annotated[BranchSpec, Tag("<branch>")]
    | Annotated[LoopSpec, Tag("<loop>")]
    | Annotated[HandoffSpec, Tag("<handoff>")],
    Discriminator(
        _node_kind,
        custom_error_type="flow_node",
        custom_error_message="must be the name of a step, or have `parallel`, `branch`, `loop` or `handoff`, one alone",
    ),
]
"""A step by name, or a node with steps in it."""
for _node in (ParallelSpec, BranchSpec, LoopSpec, HandoffSpec):
    _node.model_rebuild()
