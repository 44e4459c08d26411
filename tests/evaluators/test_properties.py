"""Arbitrary text into every deterministic evaluator: no crash, values in range, the same again."""

from __future__ import annotations

import os
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bakeoff.evaluators import EvaluatorContext, evaluator_catalogue, load_evaluator, score_sync

OPTIONS: dict[str, dict] = {
    "all": {"of": ["json_valid", "numeric"]},
    "any": {"of": ["json_valid", "numeric"]},
    "at_least": {"k": 1, "of": ["json_valid", "numeric"]},
    "banned_terms": {"terms": ["a", "b c"]},
    "ends_with": {"texts": ["a"]},
    "handoffs": {"order": ["a"], "max_handoffs": 1},
    "injection_echo": {"markers": ["pwned"]},
    "json_schema": {"schema": {"type": "array", "items": {"type": "integer"}}, "extract": True},
    "label_match": {"labels": ["a", "b", "0"]},
    "mlflow": {"scorer": "ResponseLength", "args": {"max_length": 9}},
    "one_of": {"options": ["a", "0"]},
    "prompt_leak": {"prompt": "a b c d", "words": 2},
    "python": {"function": "builtins:len"},
    "regex": {"pattern": r"(a+)+$"},
    "sql_equivalent": {"setup": "CREATE TABLE t(a INT); INSERT INTO t VALUES (1), (2)"},
    "starts_with": {"texts": ["a"]},
    "trajectory": {"max_steps": 2, "required": ["a"]},
    "turn_checks": {"check": {"contains": "a"}, "need": "share"},
    "weighted": {"of": ["json_valid", "levenshtein"]},
}
KINDS = [entry for entry in evaluator_catalogue() if not entry.needs_model and entry.family not in ("code", "pairwise")]
VARIANTS = [
    ("contains", {"any": ["a"], "none": ["b"], "normalise": ["casefold", "punctuation"], "whole_words": True}),
    (
        "exact_match",
        {"normalise": ["strip", "casefold", "whitespace", "punctuation", "unicode", "articles", "accents"]},
    ),
    ("numeric", {"pattern": r"A:\s*(\S+)", "percent": True, "units": {"km": 1000, "m": 1}, "pick": "only"}),
    ("numeric", {"decimal_mark": ",", "relative_tolerance": 0.1}),
    ("json_match", {"all": True, "ordered": False}),
    ("list_overlap", {"value": "all"}),
    ("length", {"unit_of": "sentences"}),
    ("length", {"unit_of": "paragraphs", "max": 3}),
    ("rouge", {"n": "2"}),
    ("readability", {"formula": "ari"}),
    ("language", {"language": "en"}),
    ("sql_equivalent", {}),
    ("exact_match", {"output_path": "a.0"}),
    ("yaml_valid", {"type": "any", "extract": True}),
]
CASES = [(entry.kind, OPTIONS.get(entry.kind, {})) for entry in KINDS] + VARIANTS

pieces = st.one_of(
    st.text(alphabet=st.characters(exclude_categories=()), max_size=40),
    st.text(alphabet="aA0 .,-+eE%$:{}[]\"'<>/\\()=*;\n\t#&@!", max_size=40),
    st.sampled_from(
        ["1,234.5", "A: 7", "SELECT a FROM t", "<b>x</b>", "- a\n- b", "```json\n{}\n```", "2024-02-30", "a@b.co"]
    ),
    st.sampled_from(["1e999", "\x00", "\ud800", "true", "null", "[1, 2]", '{"a": [1]}', "&lol;", "http://[::1", "٣"]),
    st.just("I can't help"),
)
texts = st.lists(pieces, max_size=4).map("".join)
data = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
FOREIGN = re.compile(r"[A-Za-z]*(?:Error|Exception|Exit|Interrupt|Iteration|Warning|Violation)\b:?")


@pytest.mark.parametrize(("kind", "options"), CASES, ids=str)
@given(output=texts | data, expected=texts | data, repeat=st.just(0))
@settings(max_examples=int(os.environ.get("BAKEOFF_EXAMPLES", "20")), deadline=None)
def test_any_input_gives_a_value_in_range_or_a_plain_reason(
    kind: str, options: dict, output: object, expected: object, repeat: int
) -> None:
    built = load_evaluator({kind: options})
    context = EvaluatorContext(output=output, expected=expected, latency_ms=1.0, cost_usd=0.1, finish_reason="stop")
    scores = score_sync([built], context)
    assert scores == score_sync([built], context)
    assert [score.name for score in scores] == [info.name for info in built.metrics]
    for score, info in zip(scores, built.metrics, strict=True):
        if score.value is None:
            assert score.error, score
            assert kind == "python" or not FOREIGN.match(score.error), score.error
        elif info.score_kind == "binary":
            assert isinstance(score.value, bool)
        elif info.score_kind == "bounded":
            assert 0 <= score.value <= 1
        for text in (score.reason, score.error):
            (text or "").encode("utf-8")


@pytest.mark.parametrize("kind", ["levenshtein", "jaro_winkler", "ngram_similarity", "token_f1", "rouge"])
@given(left=texts, right=texts)
@settings(max_examples=int(os.environ.get("BAKEOFF_EXAMPLES", "20")), deadline=None)
def test_similarities_are_symmetric_and_one_for_equal_texts(kind: str, left: str, right: str) -> None:
    built = load_evaluator(kind)

    def value(output: str, expected: str) -> float:
        found = score_sync([built], EvaluatorContext(output=output, expected=expected))[0].value
        assert isinstance(found, float)
        return found

    assert value(left, right) == pytest.approx(value(right, left), abs=1e-12)
    assert value(left, left) == 1
