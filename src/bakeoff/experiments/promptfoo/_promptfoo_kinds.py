"""What promptfoo's assertions are here, type by type."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from bakeoff.experiments.promptfoo._promptfoo_files import NotCarriedError, listed, printed, yaml_of

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["BY_HAND", "ELSEWHERE", "KNOWN", "LOOSE", "NEED_VALUE", "PROGRAMS", "SCORED"]

PROGRAMS = {
    "javascript": "JavaScript is not run; write it as a Python function: `- checks.py:name`",
    "python": "its Python expects promptfoo's arguments; write it as `- checks.py:name`, a function of the output",
    "ruby": "Ruby is not run",
    "webhook": "its server would be sent the outputs",
}


_FIELD = re.compile(r'[\s,]*(?:"((?:\\["\\]|""|[^"])*)"\s*(?=,|\Z)|([^",][^,]*))')


def _words(value: Any) -> list[str]:
    """Read the value of `contains-all` and the like: a list, or texts between commas, in quotes where they hold one.

    Examples:
        >>> _words('slow,, "quick, brown" , say "it"')
        ['slow', 'quick, brown', 'say "it"']
    """
    if isinstance(value, list):
        return [_text(entry) for entry in value]
    text, place = _text(value).rstrip(), 0
    found: list[str] = []
    while place < len(text) and text[place:].strip(", \t\r\n"):
        match = _FIELD.match(text, place)
        if match is None:
            raise NotCarriedError(f"its value {text[:60]!r} has a quote that does not end at a comma")
        quoted, plain = match.groups()
        found.append(plain.strip() if quoted is None else re.sub(r'\\(["\\])|"(")', r"\1\2", quoted))
        place = match.end()
    return found


def _text(value: Any) -> str:
    if value is None:
        raise NotCarriedError("it has no value")
    return printed(value) if not isinstance(value, (dict, list)) else json.dumps(value, ensure_ascii=False)


_OLD_SCHEMA = re.compile(r'"items": \[|"(?:dependencies|additionalItems|definitions)": ')
"""What JSON Schema wrote in another way before 2019; promptfoo reads draft 7."""


def _schema(value: Any, *, extract: bool) -> dict[str, Any]:
    if isinstance(value, str) and value.strip():
        value = yaml_of(value, "its value")
        if not isinstance(value, dict):
            raise NotCarriedError("its value is no JSON schema")
    if isinstance(value, dict) and value:
        if "$schema" not in value and _OLD_SCHEMA.search(json.dumps(value)):
            value = {"$schema": "http://json-schema.org/draft-07/schema#", **value}
        return {"json_schema": {"schema": value, "extract": extract}}
    return {"json_valid": {"extract": extract}}


def _equals(value: Any, _: float | None) -> dict[str, Any]:
    if isinstance(value, (dict, list)):
        return {"json_match": {"expected": value, "threshold": 1.0}}
    return {"exact_match": {"expected": _text(value), "normalise": []}}


def _contains(how: str, *, ignore_case: bool = False) -> Callable[[Any, float | None], dict[str, Any]]:
    def build(value: Any, _: float | None) -> dict[str, Any]:
        wanted = [_text(value)] if how == "one" else _words(value)
        options: dict[str, Any] = {"any" if how == "any" else "all": wanted}
        return {"contains": {**options, "normalise": ["casefold"]} if ignore_case else options}

    return build


_TOKEN = re.compile(r"\\.|\[(?:\\.|[^\]\\])*\]|\(\?<(?=[A-Za-z_])|\$", re.DOTALL)


def _python_pattern(pattern: str) -> str:
    r"""Write a pattern of JavaScript as Python reads it: `$` is the very end, `\d`, `\w` and `\b` know ASCII only.

    Examples:
        >>> _python_pattern(r"^(?<year>\d{4})[$]$")
        '(?a)^(?P<year>\\d{4})[$]\\Z'
    """

    def one(match: re.Match[str]) -> str:
        return {"$": r"\Z", "(?<": "(?P<"}.get(match.group(), match.group())

    return ("(?a)" if re.search(r"\\[dDwWbB]", pattern) else "") + _TOKEN.sub(one, pattern)


def _regex(value: Any, _: float | None) -> dict[str, Any]:
    pattern = _text(value)
    literal = re.fullmatch(r"/(.*)/([a-z]*)", pattern, re.DOTALL)
    if literal is None:
        return {"regex": {"pattern": _python_pattern(pattern)}}
    flags = literal.group(2)
    options = {"ignore_case": "i" in flags, "multiline": "m" in flags, "dotall": "s" in flags}
    return {"regex": {"pattern": _python_pattern(literal.group(1)), **{key: True for key, on in options.items() if on}}}


def _words_count(value: Any, _: float | None) -> dict[str, Any]:
    if isinstance(value, dict):
        bounds = {key: int(value[key]) for key in ("min", "max") if key in value}
    else:
        bounds = {"min": int(_text(value)), "max": int(_text(value))}
    if not bounds:
        raise NotCarriedError("its value has neither `min` nor `max`")
    return {"length": {"unit_of": "spaced_words", **bounds}}


_DIALECTS = {
    "mysql": "mysql", "mariadb": "mysql", "postgresql": "postgres", "transactsql": "tsql", "sqlite": "sqlite",
    "bigquery": "bigquery", "snowflake": "snowflake", "redshift": "redshift", "athena": "athena", "hive": "hive",
    "trino": "trino", "db2": "", "flinksql": "",
}  # fmt: skip


def _sql(value: Any, _: float | None) -> dict[str, Any]:
    value = value if isinstance(value, dict) else {}
    for key in sorted(set(value) - {"databaseType"}):
        raise NotCarriedError(f"its `{key}` has no counterpart; write a `python` check")
    dialect = _DIALECTS.get(str(value.get("databaseType") or "mysql").lower(), "")
    return {"sql_valid": {"dialect": dialect} if dialect else {}}


def _xml(value: Any, _: float | None) -> dict[str, Any]:
    if value:
        raise NotCarriedError("its list of required elements (`requiredElements`) has no counterpart")
    return {"xml_valid": {}}


def _moderation(value: Any, _: float | None) -> dict[str, Any]:
    return {"moderation": {"categories": [_text(entry) for entry in listed(value)]} if value else {}}


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


KNOWN: dict[str, Callable[[Any, float | None], dict[str, Any]]] = {
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
    "is-xml": _xml,
    "is-html": lambda _v, _t: {"html_valid": {}},
    "is-sql": _sql,
    "moderation": _moderation,
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
LOOSE = {
    "contains-json": "the first JSON in the output, by the letter; promptfoo tries every object, read as loose YAML",
    "is-html": "a check that elements are closed in order, without a list of known elements",
    "is-xml": "Python's parser; a document type with declarations of its own is refused here and there",
    "is-sql": "the parser of sqlglot, which knows other statements than promptfoo's",
    "is-refusal": "our own list of phrases, which differs from promptfoo's",
    "moderation": "the same endpoint; an empty output has no score here, and passes there",
    "similar": "the similarity of `embedding_model` (promptfoo: text-embedding-3-large); thresholds differ by model",
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
SCORED = {"similar", "rouge-n", "bleu", "g-eval", "answer-relevance", "context-faithfulness", "context-relevance"}
"""Assertions whose score is a number; in promptfoo it is the number that counts towards a threshold, not the pass."""
ELSEWHERE = {
    "classifier", "contains-html", "contains-sql", "contains-xml", "context-recall", "conversation-relevance",
    "gleu", "guardrails", "human", "is-valid-function-call", "is-valid-openai-function-call",
    "is-valid-openai-tools-call", "levenshtein", "max-score", "meteor", "perplexity-score", "pi",
    "rouge-l", "rouge-s", "search-rubric", "select-best", "tool-call-f1", "trace-error-spans", "trace-span-count",
    "trace-span-duration",
}  # fmt: skip
"""Assertions of promptfoo that are not carried; in a CSV cell they are no expected answer either."""
BY_HAND = {
    "is-valid-openai-tools-call": "tool_calls",
    "is-valid-function-call": "tool_calls",
    "is-valid-openai-function-call": "tool_calls",
    "tool-call-f1": "tool_calls",
    "levenshtein": "levenshtein",
    "rouge-l": "rouge",
    "select-best": "pairwise",
}
NEED_VALUE = {"contains", "icontains", "starts-with", "regex", "contains-any", "contains-all"}
