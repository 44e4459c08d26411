"""promptfoo assertions as checks of an item."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import TYPE_CHECKING, Any

from bakeoff.errors import EvaluatorError
from bakeoff.evaluators import load_evaluator
from bakeoff.experiments.promptfoo._promptfoo_files import Files, NotCarriedError, Notes, fill

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["assertion_of_text", "checks_of", "listed"]

_PROGRAMS = {
    "javascript": "JavaScript is not run; write it as a Python function: `- checks.py:name`",
    "python": "its Python expects promptfoo's arguments; write it as `- checks.py:name`, a function of the output",
    "ruby": "Ruby is not run",
    "webhook": "its server would be sent the outputs",
}


def _words(value: Any) -> list[str]:
    """Read the value of `contains-all` and the like: a list, or one line of CSV."""
    if isinstance(value, list):
        return [str(entry) for entry in value]
    rows = csv.reader(io.StringIO(str(value)), skipinitialspace=True)
    return [entry.strip() for row in rows for entry in row]


def _text(value: Any) -> str:
    if value is None:
        raise NotCarriedError("it has no value")
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _schema(value: Any, *, extract: bool) -> dict[str, Any]:
    if isinstance(value, str) and value.strip():
        try:
            value = json.loads(value)
        except ValueError:
            raise NotCarriedError("its value is no JSON schema") from None
    if isinstance(value, dict) and value:
        return {"json_schema": {"schema": value, "extract": extract}}
    return {"json_valid": {"extract": extract}}


def _equals(value: Any, _: float | None) -> dict[str, Any]:
    if isinstance(value, (dict, list)):
        return {"json_match": {"expected": value, "threshold": 1.0}}
    return {"exact_match": {"expected": _text(value)}}


def _contains(how: str, *, ignore_case: bool = False) -> Callable[[Any, float | None], dict[str, Any]]:
    def build(value: Any, _: float | None) -> dict[str, Any]:
        wanted = [_text(value)] if how == "one" else _words(value)
        options: dict[str, Any] = {"any" if how == "any" else "all": wanted}
        return {"contains": {**options, "normalise": ["casefold"]} if ignore_case else options}

    return build


def _regex(value: Any, _: float | None) -> dict[str, Any]:
    pattern = re.sub(r"\(\?<(?=[A-Za-z_])", "(?P<", _text(value))
    literal = re.fullmatch(r"/(.*)/([a-z]*)", pattern, re.DOTALL)
    if literal is None:
        return {"regex": {"pattern": pattern}}
    flags = literal.group(2)
    options = {"ignore_case": "i" in flags, "multiline": "m" in flags, "dotall": "s" in flags}
    return {"regex": {"pattern": literal.group(1), **{key: True for key, on in options.items() if on}}}


def _words_count(value: Any, _: float | None) -> dict[str, Any]:
    if isinstance(value, dict):
        bounds = {key: int(value[key]) for key in ("min", "max") if key in value}
    else:
        bounds = {"min": int(_text(value)), "max": int(_text(value))}
    if not bounds:
        raise NotCarriedError("its value has neither `min` nor `max`")
    return {"length": {"unit_of": "words", **bounds}}


def _finish(value: Any, _: float | None) -> dict[str, Any]:
    return {"finish_reason": {"allowed": [_text(value)]}}


def _limit(kind: str) -> Callable[[Any, float | None], dict[str, Any]]:
    def build(value: Any, threshold: float | None) -> dict[str, Any]:
        bound = threshold if threshold is not None else value
        if not isinstance(bound, int | float):
            raise NotCarriedError("it has no threshold")
        return {kind: {"threshold": float(bound)}}

    return build


def _near(kind: str, default: float, **options: Any) -> Callable[[Any, float | None], dict[str, Any]]:
    def build(value: Any, threshold: float | None) -> dict[str, Any]:
        wanted = value if isinstance(value, list) else _text(value)
        least = default if threshold is None else threshold
        return {kind: {"expected": wanted, "threshold": least, **options}}

    return build


def _rubric(value: Any, _: float | None) -> dict[str, Any]:
    return {"judge": {"question": f"Does the output meet this criterion?\n{_text(value)}"}}


def _factuality(value: Any, _: float | None) -> dict[str, Any]:
    # promptfoo passes every category but `disagree`; the lowest of the others has 0.4 points.
    return {"factuality": {"expected": _text(value), "as_score": True, "threshold": 0.4}}


def _context(kind: str, default: float) -> Callable[[Any, float | None], dict[str, Any]]:
    def build(_: Any, threshold: float | None) -> dict[str, Any]:
        return {kind: {"passages": "inputs.context", "threshold": default if threshold is None else threshold}}

    return build


_KNOWN: dict[str, Callable[[Any, float | None], dict[str, Any]]] = {
    "equals": _equals,
    "contains": _contains("one"),
    "icontains": _contains("one", ignore_case=True),
    "contains-all": _contains("all"),
    "icontains-all": _contains("all", ignore_case=True),
    "contains-any": _contains("any"),
    "icontains-any": _contains("any", ignore_case=True),
    "starts-with": lambda value, _: {"starts_with": [_text(value)]},
    "regex": _regex,
    "is-json": lambda value, _: _schema(value, extract=False),
    "contains-json": lambda value, _: _schema(value, extract=True),
    "is-xml": lambda _v, _t: {"xml_valid": {}},
    "is-html": lambda _v, _t: {"html_valid": {}},
    "is-sql": lambda _v, _t: {"sql_valid": {}},
    "word-count": _words_count,
    "finish-reason": _finish,
    "is-refusal": lambda _v, _t: {"refusal": {"wanted": True}},
    "latency": _limit("latency"),
    "cost": _limit("cost"),
    "perplexity": _limit("perplexity"),
    "similar": _near("embedding_similarity", 0.75),
    "rouge-n": _near("rouge", 0.75, n="1"),
    "bleu": _near("bleu", 0.5),
    "llm-rubric": _rubric,
    "g-eval": lambda value, threshold: {
        "g_eval": {"criterion": _text(value), "threshold": 0.7 if threshold is None else threshold}
    },
    "factuality": _factuality,
    "model-graded-factuality": _factuality,
    "model-graded-closedqa": lambda value, _: {"closed_qa": {"criterion": _text(value)}},
    "answer-relevance": lambda _, threshold: {
        "answer_relevance": {"threshold": 0.7 if threshold is None else threshold}
    },
    "context-faithfulness": _context("faithfulness", 0.7),
    "context-relevance": _context("context_relevance", 0.7),
}
_LOOSE = {
    "similar": "the similarity of an embedding model of yours; thresholds are not comparable between models",
    "rouge-n": "ROUGE-1 F1",
    "bleu": "sentence BLEU of sacrebleu",
    "g-eval": "our own G-Eval prompt",
    "llm-rubric": "a yes/no judge with our own prompt",
    "model-graded-closedqa": "a judge with our own prompt",
    "factuality": "a judge with our own prompt; every category but `disagree` passes",
    "answer-relevance": "a judge's mark, not embeddings of questions",
    "context-faithfulness": "claims checked by a judge with our own prompt",
    "context-relevance": "passages checked by a judge with our own prompt",
}
_SCORED = {"similar", "rouge-n", "bleu", "g-eval", "answer-relevance", "context-faithfulness", "context-relevance"}
"""Assertions whose score is a number; in promptfoo it is the number that counts towards a threshold, not the pass."""
_ELSEWHERE = {
    "classifier", "contains-html", "contains-sql", "contains-xml", "context-recall", "conversation-relevance",
    "gleu", "guardrails", "human", "is-valid-function-call", "is-valid-openai-function-call",
    "is-valid-openai-tools-call", "levenshtein", "max-score", "meteor", "moderation", "perplexity-score", "pi",
    "rouge-l", "rouge-s", "search-rubric", "select-best", "tool-call-f1", "trace-error-spans", "trace-span-count",
    "trace-span-duration",
}  # fmt: skip
"""Assertions of promptfoo that are not carried; in a CSV cell they are no expected answer either."""
_BY_HAND = {
    "moderation": "moderation",
    "is-valid-openai-tools-call": "tool_calls",
    "is-valid-function-call": "tool_calls",
    "is-valid-openai-function-call": "tool_calls",
    "tool-call-f1": "tool_calls",
    "levenshtein": "levenshtein",
    "rouge-l": "rouge",
    "select-best": "pairwise",
}


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


def listed(value: Any) -> list[Any]:
    """Return a list as it is, nothing as an empty one, and anything else as the only entry."""
    return value if isinstance(value, list) else [] if value is None else [value]


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
        if not by_score:
            return _proven({"all": {"of": parts, **common}})
        return _proven({"weighted": {"of": parts, **({} if shares else {"threshold": least}), **common}})
    _refuse_programs(base, entry)
    for key in ("provider", "rubricPrompt", "config"):
        if entry.get(key):
            notes.change(f"assertion `{kind}`: its own `{key}` is left out")
    threshold = entry.get("threshold")
    value = fill(files.value(entry.get("value")), inputs)
    built = _KNOWN[base](value, float(threshold) if isinstance(threshold, int | float) else None)
    if base in _LOOSE:
        notes.change(f"assertion `{base}` is measured by {_LOOSE[base]}")
    ((name, options),) = built.items()
    options = dict(options) if isinstance(options, dict) else {_shorthand(name): options}
    if base in _SCORED:
        _count_score(kind, options, common, notes, shares=shares)
    return _proven({name: {**options, **common}})


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
    if weight <= 0:
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
    if base in _PROGRAMS:
        raise NotCarriedError(_PROGRAMS[base])
    if base not in _KNOWN:
        if base in _BY_HAND:
            raise NotCarriedError(f"not as a check of an item; see `bakeoff evaluators {_BY_HAND[base]}`")
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
    if match is None or not any(match.group(2) in known for known in (_KNOWN, _PROGRAMS, _ELSEWHERE)):
        return {"type": "equals", "value": text}
    found: dict[str, Any] = {"type": f"{match.group(1) or ''}{match.group(2)}"}
    if match.group(4):
        found["value"] = match.group(4)
    if match.group(3) is not None:
        found["threshold"] = float(match.group(3))
    elif match.group(2) in ("latency", "cost", "perplexity") and match.group(4):
        found["threshold"] = float(match.group(4))
    elif match.group(2) == "similar":
        found["threshold"] = 0.8  # promptfoo's default in a table; elsewhere it is 0.75
    return found
