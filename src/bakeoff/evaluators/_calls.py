"""Read tool calls, in the forms in which providers and libraries write them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bakeoff.evaluators._protocol import CannotScoreError
from bakeoff.evaluators._text import find_json, parse_json, preview

if TYPE_CHECKING:
    from bakeoff.evaluators._protocol import EvaluatorContext

__all__ = ["by_schema", "calls_in", "calls_made", "read_call", "read_expected_call"]

_ARGUMENTS = ("arguments", "args", "input", "parameters", "kwargs", "tool_input", "params")
_WRAPPERS = ("function", "function_call", "functionCall")
_BESIDE_NAME = frozenset({"name", "tool", "tool_name", "type", "id", "call_id", "index", *_WRAPPERS})


def read_call(call: Any) -> tuple[str, Any]:
    """Read one call: OpenAI's form, `{name, arguments}`, `{tool, args}`, or a bare name (arguments `None`).

    Raises:
        CannotScoreError: It is no call.
    """
    if isinstance(call, str):
        return call, None
    if not isinstance(call, Mapping):
        raise CannotScoreError(f"{preview(call)} is no tool call")
    body = next((call[key] for key in _WRAPPERS if isinstance(call.get(key), Mapping)), call)
    name = body.get("name") or body.get("tool") or body.get("tool_name")
    if not isinstance(name, str):
        raise CannotScoreError(f"the tool call {preview(call)} has no name")
    arguments = next((body[key] for key in _ARGUMENTS if key in body), None)
    if isinstance(arguments, str):
        try:
            arguments = parse_json(arguments) if arguments.strip() else {}
        except ValueError:
            return name, arguments  # broken JSON stays text: it equals no expected mapping
    return name, arguments


def read_expected_call(call: Any) -> tuple[str, Any]:
    """Read a call of a data set, where a misspelled `arguments` must not come to mean "any".

    Raises:
        CannotScoreError: It is no call, or has keys that are none of a call.
    """
    name, arguments = read_call(call)
    if isinstance(call, Mapping) and arguments is None:
        body = next((call[key] for key in _WRAPPERS if isinstance(call.get(key), Mapping)), call)
        unknown = sorted(str(key) for key in body if key not in _BESIDE_NAME and key not in _ARGUMENTS)
        if unknown:
            told = ", ".join(map(repr, unknown[:5]))
            raise CannotScoreError(f"the expected call of {name!r} has {told}; its arguments belong under `arguments`")
    return name, arguments


def calls_made(context: EvaluatorContext) -> list[tuple[str, Any]]:
    """Give the tool calls of a trial: those of the answer, else of the transcript, the trace, or the output as JSON."""
    if context.tool_calls:
        return [read_call(call) for call in context.tool_calls]
    spoken = [call for message in context.messages for call in _spoken(message)]
    if spoken:
        return [read_call(call) for call in spoken]
    steps = [step for step in context.trace if _is_tool_step(step)]
    if steps:
        return [read_call(step) for step in steps]
    return calls_in(context.output)


def calls_in(value: Any) -> list[tuple[str, Any]]:
    """Give the calls of an output that is a call, a list of calls, or an object with `tool_calls`; else none.

    Examples:
        >>> calls_in('{"name": "weather", "arguments": {"city": "Bath"}}')
        [('weather', {'city': 'Bath'})]
    """
    if isinstance(value, str):
        if not value.lstrip().startswith(("{", "[", "```")):
            return []
        try:
            value = find_json(value)
        except ValueError:
            return []
    if isinstance(value, Mapping) and isinstance(value.get("tool_calls"), list):
        return [read_call(call) for call in value["tool_calls"]]
    calls = value if isinstance(value, list) else [value]
    return [read_call(call) for call in calls] if all(map(_is_call, calls)) else []


def _is_call(value: Any) -> bool:
    if not isinstance(value, Mapping):
        return False
    body = next((value[key] for key in _WRAPPERS if isinstance(value.get(key), Mapping)), value)
    named = any(isinstance(body.get(key), str) for key in ("name", "tool", "tool_name"))
    return named and any(isinstance(body.get(key), (Mapping, str)) for key in _ARGUMENTS)


def _spoken(message: Mapping[str, Any]) -> list[Any]:
    """Give the calls of a message: OpenAI's `tool_calls`, or the `tool_use` parts of Anthropic."""
    if message.get("tool_calls"):
        return list(message["tool_calls"])
    content = message.get("content")
    parts = content if isinstance(content, list) else []
    return [part for part in parts if isinstance(part, Mapping) and part.get("type") == "tool_use"]


def _is_tool_step(step: Mapping[str, Any]) -> bool:
    kind = step.get("type", step.get("kind", "tool"))
    return kind in ("tool", "tool_call", "function", "function_call") and any(
        key in step for key in ("name", "tool", "tool_name", "function")
    )


def by_schema(value: Any, schema: Any) -> Any:
    """Fill in the defaults of a JSON Schema, at every depth, and read texts as the numbers and booleans it asks for.

    Examples:
        >>> by_schema({"days": "3"}, {"properties": {"days": {"type": "integer"}, "unit": {"default": "C"}}})
        {'unit': 'C', 'days': 3}
    """
    if not isinstance(schema, Mapping):
        return value
    if isinstance(value, Mapping):
        properties = schema.get("properties")
        known = properties if isinstance(properties, Mapping) else {}
        given = {key: node["default"] for key, node in known.items() if isinstance(node, Mapping) and "default" in node}
        return {key: by_schema(entry, known.get(key)) for key, entry in {**given, **value}.items()}
    if isinstance(value, list):
        return [by_schema(entry, schema.get("items")) for entry in value]
    return _as_type(value, schema.get("type"))


def _as_type(value: Any, kind: Any) -> Any:
    if kind == "string" and isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or kind not in ("integer", "number", "boolean"):
        return value
    try:
        found = parse_json(value.strip().lower() if kind == "boolean" else value.strip())
    except ValueError:
        return value
    fits = isinstance(found, bool) if kind == "boolean" else type(found) in (int, float)
    return found if fits else value
