"""JSON that satisfies a schema, for simulated judges and structured output."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import orjson

from bakeoff.gateway._sim._luck import pick, uniform

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["instance_of", "resolve_schema", "verdict_name"]

_VERDICTS = (
    "verdict",
    "label",
    "answer",
    "passed",
    "pass",
    "winner",
    "preference",
    "better",
    "choice",
    "score",
    "rating",
    "value",
    "category",
    "result",
)
_REASONS = re.compile(r"reason|explan|rationale|justif|thought|comment|critique|analysis", re.IGNORECASE)
_DEEPEST = 6
_SENTENCE = "Simulated: no real model judged this."


def verdict_name(schema: Mapping[str, Any]) -> str:
    """Return the property of a schema that holds the answer itself rather than the reasons for it.

    Examples:
        >>> verdict_name({"properties": {"reason": {}, "is_good": {"type": "boolean"}}}), verdict_name({})
        ('is_good', 'verdict')
    """
    properties = resolve_schema(schema, schema).get("properties")
    if not isinstance(properties, dict) or not properties:
        return "verdict"
    for name in _VERDICTS:
        if name in properties:
            return name
    plain = [name for name in properties if not _REASONS.search(name)]
    return plain[0] if plain else next(iter(properties))


def instance_of(schema: Mapping[str, Any], *, about: object, fixed: Mapping[str, Any] | None = None) -> str:
    """Return JSON text that satisfies the usual parts of a JSON Schema, as a function of the arguments alone.

    Understands type, properties, required, enum, const, items, minItems, minimum, maximum, minLength,
    anyOf, oneOf and local `$ref`. Without a schema it is a judge's verdict: `verdict`, `score` and `reason`.

    Args:
        schema: JSON Schema; may be empty.
        about: What the free values depend on.
        fixed: Values of top-level properties, converted to the type that the schema asks for.

    Examples:
        >>> instance_of({"type": "object", "properties": {"ok": {"type": "boolean"}}}, about=1, fixed={"ok": "true"})
        '{"ok":true}'
    """
    fixed = fixed or {}
    if not schema:
        good = uniform(about, "verdict") < 0.7
        value: Any = {"verdict": "pass" if good else "fail", "score": 5 if good else 2, "reason": _SENTENCE, **fixed}
        return orjson.dumps(value).decode()
    value = _value(schema, schema, (about,), 0)
    if isinstance(value, dict):
        properties = resolve_schema(schema, schema).get("properties") or {}
        for name, wanted in fixed.items():
            if name in properties or not properties:
                value[name] = _fit(wanted, resolve_schema(properties.get(name) or {}, schema), value.get(name))
    return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS, default=str).decode()


def resolve_schema(schema: Any, root: Mapping[str, Any]) -> dict[str, Any]:
    for _ in range(_DEEPEST):
        if not isinstance(schema, dict):
            return {}
        reference = schema.get("$ref")
        if isinstance(reference, str) and reference.startswith("#/"):
            found: Any = root
            for part in reference[2:].split("/"):
                found = found.get(part, {}) if isinstance(found, dict) else {}
            schema = found
            continue
        options = schema.get("anyOf") or schema.get("oneOf")
        if isinstance(options, list) and options:
            schema = options[0]
            continue
        whole = schema.get("allOf")
        if isinstance(whole, list) and len(whole) == 1:
            schema = whole[0]
            continue
        return schema
    return {}


def _fit(value: Any, schema: Mapping[str, Any], otherwise: Any) -> Any:
    """Convert a value to what the schema asks for; where it cannot be, keep the generated one."""
    options = schema.get("enum")
    if isinstance(options, list):
        same = [option for option in options if str(option).lower() == str(value).lower()]
        return same[0] if same else otherwise
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = kind[0]
    try:
        if kind == "boolean":
            return value if isinstance(value, bool) else str(value).strip().lower() in {"true", "yes", "pass", "1"}
        if kind == "integer":
            return round(float(value))
        if kind == "number":
            return float(value)
    except (TypeError, ValueError):
        return otherwise
    if kind == "string":
        return value if isinstance(value, str) else orjson.dumps(value).decode()
    if kind == "array":
        return value if isinstance(value, list) else [value]
    if kind == "object":
        return value if isinstance(value, dict) else otherwise
    return value


def _value(schema: Any, root: Mapping[str, Any], path: tuple[object, ...], depth: int) -> Any:
    schema = resolve_schema(schema, root)
    if "const" in schema:
        return schema["const"]
    options = schema.get("enum")
    if isinstance(options, list) and options:
        return pick(options, "enum", path)
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if isinstance(kind, list):
        kind = kind[0] if kind else "string"
    if kind == "object":
        properties: dict[str, Any] = (schema.get("properties") or {}) if depth < _DEEPEST else {}
        return {name: _value(one, root, (*path, name), depth + 1) for name, one in properties.items()}
    if kind == "array":
        count = max(int(schema.get("minItems", 1)), 0) if depth < _DEEPEST else 0
        return [_value(schema.get("items") or {}, root, (*path, index), depth + 1) for index in range(count)]
    if kind == "boolean":
        return uniform("boolean", path) < 0.7
    if kind in {"integer", "number"}:
        return _number(schema, kind, path)
    return None if kind == "null" else _SENTENCE.ljust(int(schema.get("minLength", 0)), ".")


def _number(schema: Mapping[str, Any], kind: str, path: tuple[object, ...]) -> float:
    low = float(schema.get("minimum", schema.get("exclusiveMinimum", 1)))
    high = float(schema.get("maximum", schema.get("exclusiveMaximum", max(low, 0.0) + 4)))
    # Judges are kind: the upper half is likelier.
    share = max(uniform("number", path), uniform("number again", path))
    if kind == "number":
        return round(low + share * (high - low), 3)
    first = int(low) + ("exclusiveMinimum" in schema)
    last = int(high) - ("exclusiveMaximum" in schema)
    return first + int(share * (last - first + 1))
