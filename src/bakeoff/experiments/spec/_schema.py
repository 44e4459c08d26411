"""JSON Schema of the experiment file, for editors."""

from __future__ import annotations

from typing import Any

from bakeoff.evaluators import evaluator_schema
from bakeoff.experiments.spec._spec import ExperimentSpec

__all__ = ["experiment_schema"]


def experiment_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of an experiment file, with every built-in evaluator and its options."""
    from bakeoff.agents import AgentSpec

    schema = ExperimentSpec.model_json_schema(by_alias=True)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "Bakeoff experiment"
    evaluators = evaluator_schema()
    schema["$defs"] = {**schema.get("$defs", {}), **evaluators.pop("$defs", {})}
    schema["properties"]["evaluators"]["items"] = evaluators
    agent = AgentSpec.model_json_schema()
    schema["$defs"] = {**agent.pop("$defs", {}), **schema["$defs"]}
    schema["$defs"]["TargetSpec"]["properties"]["agent"] = {"anyOf": [agent, {"type": "null"}], "default": None}
    _allow_short_forms(schema)
    return schema


def _allow_short_forms(schema: dict[str, Any]) -> None:
    """Say what the validators of the models accept besides the full form."""
    properties = schema["properties"]
    models = properties["models"]
    models["additionalProperties"] = {"anyOf": [{"type": "string"}, models["additionalProperties"]]}
    for name, short in (("mlflow", {"type": "boolean"}), ("allocation", {"type": "string"})):
        properties[name] = {
            "anyOf": [short, {key: value for key, value in properties[name].items() if key != "default"}]
        }
    named = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}
    properties["variants"] = {"anyOf": [properties["variants"], {"type": "array", "items": named}]}
