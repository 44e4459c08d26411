"""JSON Schema of the experiment file, for editors."""

from __future__ import annotations

from typing import Any

from bakeoff.evaluators import evaluator_schema
from bakeoff.experiments._spec import ExperimentSpec

__all__ = ["experiment_schema"]


def experiment_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of an experiment file, with every built-in evaluator and its options."""
    schema = ExperimentSpec.model_json_schema(by_alias=True)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "Bakeoff experiment"
    evaluators = evaluator_schema()
    schema["$defs"] = {**schema.get("$defs", {}), **evaluators.pop("$defs", {})}
    schema["properties"]["evaluators"]["items"] = evaluators
    return schema
