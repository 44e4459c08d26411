"""promptfoo assertions as checks of an item."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from bakeoff.errors import EvaluatorError
from bakeoff.evaluators import load_evaluator
from bakeoff.experiments.promptfoo._promptfoo_files import Files, NotCarriedError, Notes, fill, listed
from bakeoff.experiments.promptfoo._promptfoo_kinds import (
    BY_HAND,
    ELSEWHERE,
    KNOWN,
    LOOSE,
    NEED_VALUE,
    PROGRAMS,
    SCORED,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["assertion_of_text", "checks_of"]


def checks_of(
    asserts: list[Any],
    inputs: Mapping[str, Any],
    *,
    templates: Mapping[str, Any],
    files: Files,
    notes: Notes,
    shares: bool = False,
    nested: bool = False,
) -> list[dict[str, Any]]:
    """Turn the assertions of one test into checks; what cannot be carried is noted and left out.

    Args:
        asserts: Assertions as promptfoo has them.
        inputs: Variables of the test, filled into values.
        templates: `assertionTemplates` of the file.
        files: Where `file://` values are read.
        notes: What is left out or changed.
        shares: The test (or the set) has a threshold: scores count, not passes.
        nested: They stand in an `assert-set`.
    """
    checks: list[dict[str, Any]] = []
    for raw in asserts:
        entry = raw
        if isinstance(entry, dict) and "$ref" in entry:
            entry = templates.get(str(entry["$ref"]).rpartition("/")[2])
        kind = str(entry.get("type", "")) if isinstance(entry, dict) else ""
        try:
            if not isinstance(entry, dict) or not kind:
                raise NotCarriedError(f"{str(raw)[:60]!r} is no assertion with a `type`")
            if nested and entry.get("metric"):
                notes.change(f"assertion `{kind}`: its `metric` is left out, since it stands in an assert-set")
                entry = {key: value for key, value in entry.items() if key != "metric"}
            checks.append(_check(kind, entry, inputs, templates=templates, files=files, notes=notes, shares=shares))
        except (NotCarriedError, ValueError, TypeError) as error:
            notes.lose(f"assertion `{kind or '?'}`: {error}")
    return checks


def _check(
    kind: str,
    entry: Mapping[str, Any],
    inputs: Mapping[str, Any],
    *,
    templates: Mapping[str, Any],
    files: Files,
    notes: Notes,
    shares: bool,
) -> dict[str, Any]:
    base = kind.removeprefix("not-")
    common = _common(kind, entry, inputs)
    if base == "assert-set":
        least = entry.get("threshold")
        by_score = shares or least is not None
        asserts = listed(entry.get("assert"))
        parts = checks_of(
            asserts, inputs, templates=templates, files=files, notes=notes, shares=by_score, nested=True
        )  # fmt: skip
        if not parts:
            raise NotCarriedError("none of its assertions could be carried")
        if "name" in common and not shares:
            notes.change("assertion `assert-set` counts 1 or 0 towards its metric, not its score")
        if not by_score:
            return _proven({"all": {"of": parts, **common}})
        return _proven({"weighted": {"of": parts, **({} if shares else {"threshold": least}), **common}})
    _refuse_programs(base, entry)
    for key in ("provider", "rubricPrompt", "config"):
        if entry.get(key):
            notes.change(f"assertion `{kind}`: its own `{key}` is left out")
    threshold = entry.get("threshold")
    value = _value(entry.get("value"), inputs, files)
    if value == "" and base in NEED_VALUE:
        notes.change(f"assertion `{kind}`: its value is empty, which promptfoo refuses as an error")
    _tell_of_value(kind, base, value, notes)
    built = KNOWN[base](value, float(threshold) if isinstance(threshold, int | float) else None)
    if base in LOOSE:
        notes.change(f"assertion `{base}` is measured by {LOOSE[base]}")
    ((name, options),) = built.items()
    options = dict(options) if isinstance(options, dict) else {_shorthand(name): options}
    if base in SCORED:
        _count_score(kind, options, common, notes, shares=shares)
    return _proven({name: {**options, **common}})


def _value(value: Any, inputs: Mapping[str, Any], files: Files) -> Any:
    """Read a value as promptfoo does: files are no templates, and neither is what stands inside a mapping."""
    if isinstance(value, str) and value.startswith("file://"):
        return files.data(files.find(value)[0], stripped=True)
    if isinstance(value, list):
        return [_value(entry, inputs, files) if isinstance(entry, str) else entry for entry in value]
    return fill(value, inputs) if isinstance(value, str) else value


def _tell_of_value(kind: str, base: str, value: Any, notes: Notes) -> None:
    """Say what promptfoo makes of a value that is read otherwise here."""
    if base == "regex" and isinstance(value, str):
        if re.fullmatch(r"/.*/[a-z]*", value, re.DOTALL):
            notes.change(
                f"assertion `{kind}`: {value[:60]!r} is a pattern with flags; promptfoo looks for the slashes too"
            )
        if re.search(r"\(\?[a-zA-Z]+\)|\(\?P<", value):
            notes.change(
                f"assertion `{kind}`: {value[:60]!r} has inline flags or names of Python, which never pass there"
            )
    if base in ("is-json", "contains-json") and value and '"format"' in json.dumps(value, default=str):
        notes.change(f"assertion `{kind}`: `format` in its schema is not checked")


def _count_score(kind: str, options: dict[str, Any], common: Mapping[str, Any], notes: Notes, *, shares: bool) -> None:
    """Let the number itself count where promptfoo adds up scores; say where it cannot."""
    if shares and not kind.startswith("not-"):
        del options["threshold"]
    elif shares:
        notes.change(f"assertion `{kind}` counts 1 or 0 towards the threshold, not its score")
    elif "name" in common:
        notes.change(f"assertion `{kind}` counts 1 or 0 towards its metric, not its score")


def _common(kind: str, entry: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return what every check may have: turned round, a weight, a name."""
    common: dict[str, Any] = {"negate": True} if kind.startswith("not-") else {}
    if entry.get("metricOnly"):
        raise NotCarriedError("it is `metricOnly`; write the check under `evaluators`")
    weight = entry.get("weight")
    weight = 1 if weight is None else weight
    if isinstance(weight, bool) or not isinstance(weight, int | float):
        raise NotCarriedError(f"its weight {weight!r} is no number")
    if weight < 0:
        raise NotCarriedError(f"its weight {weight!r} is below 0")
    if weight == 0:
        raise NotCarriedError("its weight is 0, so it never counts")
    if weight != 1:
        common["weight"] = float(weight)
    if entry.get("metric"):
        common["name"] = str(fill(str(entry["metric"]), inputs))[:200]
    return common


def _refuse_programs(base: str, entry: Mapping[str, Any]) -> None:
    for key in ("transform", "contextTransform"):
        if entry.get(key):
            raise NotCarriedError(f"it has a `{key}`, which is a program")
    if base in PROGRAMS:
        raise NotCarriedError(PROGRAMS[base])
    if base not in KNOWN:
        if base in BY_HAND:
            raise NotCarriedError(f"not as a check of an item; see `bakeoff evaluators {BY_HAND[base]}`")
        raise NotCarriedError("there is no such evaluator")


def _shorthand(kind: str) -> str:
    from bakeoff.evaluators import evaluator_class

    return evaluator_class(kind).shorthand or "value"


def _proven(check: dict[str, Any]) -> dict[str, Any]:
    """Build the evaluator once, so that what is written will load."""
    try:
        load_evaluator(_with_model(check))
    except EvaluatorError as error:
        raise NotCarriedError(str(error)) from None
    return check


def _with_model(check: dict[str, Any]) -> dict[str, Any]:
    from bakeoff.evaluators import evaluator_class

    ((name, options),) = check.items()
    if isinstance(options.get("of"), list):
        options = {**options, "of": [_with_model(part) for part in options["of"]]}
    return {name: {**options, "model": "sim/judge"} if "model" in evaluator_class(name).model_fields else options}


_IN_TABLES = {
    "answer-relevance", "context-faithfulness", "context-relevance", "cost", "latency", "perplexity", "rouge-n"
}  # fmt: skip
"""What promptfoo gives a threshold of 0.75 in a table, when the cell has none in brackets."""
_PREFIX = re.compile(r"^(not-)?([a-z][a-z-]*)(?:\((\d+(?:\.\d+)?)\))?(?::\s*([\s\S]*))?$")


def assertion_of_text(text: str) -> dict[str, Any]:
    """Read an `__expected` cell: `contains: x`, `similar(0.8): x`, `is-json`, `grade: x`, `fn: ...`, or the answer.

    Examples:
        >>> assertion_of_text("not-similar(0.8): hello")
        {'type': 'not-similar', 'value': 'hello', 'threshold': 0.8}
        >>> assertion_of_text("Paris")
        {'type': 'equals', 'value': 'Paris'}
    """
    text = text.strip()
    for prefixes, kind in (
        (("fn:", "eval:", "javascript:"), "javascript"),
        (("grade:", "llm-rubric:"), "llm-rubric"),
        (("python:",), "python"),
    ):
        for prefix in prefixes:
            if text.startswith(prefix):
                return {"type": kind, "value": text[len(prefix) :].strip()}
    if text.startswith("file://"):
        return {"type": "python" if text.endswith(".py") else "javascript", "value": text}
    match = _PREFIX.match(text)
    if match is None or not any(match.group(2) in known for known in (KNOWN, PROGRAMS, ELSEWHERE)):
        return {"type": "equals", "value": text}
    found: dict[str, Any] = {"type": f"{match.group(1) or ''}{match.group(2)}"}
    if match.group(4):
        found["value"] = match.group(4)
    if match.group(3) is not None:
        found["threshold"] = float(match.group(3))
    elif match.group(2) == "similar":
        found["threshold"] = 0.8  # promptfoo's default in a table; elsewhere it is 0.75
    elif match.group(2) in _IN_TABLES:
        found["threshold"] = 0.75
    return found
