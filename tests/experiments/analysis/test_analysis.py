"""The wiring from scores to statistics, against scipy and formulas computed here."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from scipy import stats as scipy_stats

from bakeoff.errors import SpecError
from bakeoff.experiments import Analysis, LocalStore, analyse, execute, load_experiment

RNG = random.Random(3)


async def analysed(store: LocalStore, columns: dict[str, list[Any]], evaluator: Any, **spec: Any) -> Analysis:
    n = len(next(iter(columns.values())))
    extra = spec.pop("row", lambda i: {})
    rows = [
        {"id": str(i), "q": "x", "expected": "1", **extra(i), **{k: v[i] for k, v in columns.items()}} for i in range(n)
    ]
    dataset = {"rows": rows, "inputs": ["q"], **spec.pop("dataset", {})}
    content = {
        "name": "a",
        "dataset": dataset,
        "targets": {name: {"recorded": name} for name in columns},
        "evaluators": [evaluator],
        **spec,
    }
    manifest = await execute(load_experiment(content, cache_dir=store.paths.datasets), store=store.paths)
    return analyse(store, manifest.run_id)


async def test_repeats_are_averaged_within_the_item(store: LocalStore) -> None:
    base = [[str(int(RNG.random() < p)) for _ in range(5)] for p in np.linspace(0.1, 0.9, 60)]
    better = [[str(int(RNG.random() < min(1, p + 0.1))) for _ in range(5)] for p in np.linspace(0.1, 0.9, 60)]
    analysis = await analysed(store, {"base": base, "better": better}, "exact_match", repeats=5)
    left = np.array(better, dtype=float).mean(axis=1)
    right = np.array(base, dtype=float).mean(axis=1)
    expected = scipy_stats.ttest_rel(left, right)
    low, high = expected.confidence_interval()
    difference = analysis.metric().comparisons[0].difference
    assert difference.estimate == pytest.approx((left - right).mean())
    assert (difference.low, difference.high) == (pytest.approx(low), pytest.approx(high))
    assert difference.p_value == pytest.approx(expected.pvalue)
    assert difference.n == 60, "the item is the unit, never the 300 samples"


async def test_numbers_are_compared_by_paired_t(store: LocalStore) -> None:
    a = ["x" * RNG.randrange(5, 60) for _ in range(80)]
    b = ["x" * RNG.randrange(5, 70) for _ in range(80)]
    analysis = await analysed(store, {"a": a, "b": b}, {"length": {"unit_of": "characters"}})
    expected = scipy_stats.ttest_rel([len(t) for t in b], [len(t) for t in a])
    difference = analysis.metric().comparisons[0].difference
    assert difference.p_value == pytest.approx(expected.pvalue)
    assert analysis.metric().comparisons[0].label in ("higher", "lower", "inconclusive")


async def test_clusters_widen_the_interval(store: LocalStore) -> None:
    """With every item five times in its cluster, the cluster is the unit: the interval is that of cluster means."""
    truth = [(RNG.random() < 0.4, RNG.random() < 0.6) for _ in range(40)]
    a = [str(int(truth[i // 5][0])) for i in range(200)]
    b = [str(int(truth[i // 5][1])) for i in range(200)]
    analysis = await analysed(
        store, {"a": a, "b": b}, "exact_match", row=lambda i: {"doc": f"d{i // 5}"}, dataset={"cluster": "doc"}
    )
    gaps = np.array([float(y) - float(x) for x, y in truth])
    expected = scipy_stats.ttest_1samp(gaps, 0)
    low, high = expected.confidence_interval()
    difference = analysis.metric().comparisons[0].difference
    assert difference.n == 40
    assert (difference.low, difference.high) == (pytest.approx(low, abs=1e-6), pytest.approx(high, abs=1e-6))


async def test_holm_over_the_variants_of_a_metric(store: LocalStore) -> None:
    columns = {name: [str(int(RNG.random() < p)) for _ in range(120)] for name, p in
               {"base": 0.5, "a": 0.6, "b": 0.66, "c": 0.5}.items()}  # fmt: skip
    analysis = await analysed(store, columns, "exact_match")
    rows = analysis.metric().comparisons
    from statsmodels.stats.multitest import multipletests

    expected = multipletests([row.difference.p_value for row in rows], method="holm")[1]
    assert [row.difference.p_adjusted for row in rows] == pytest.approx(list(expected))


async def test_a_margin_allows_the_verdict_equivalent(store: LocalStore) -> None:
    column = [str(int(RNG.random() < 0.8)) for _ in range(400)]
    other = [v if RNG.random() < 0.98 else str(1 - int(v)) for v in column]
    analysis = await analysed(store, {"a": column, "b": other}, "exact_match", analysis={"margin": 0.05})
    assert analysis.metric().comparisons[0].label == "equivalent"


async def test_missing_pairs_are_left_out_and_bounded(store: LocalStore) -> None:
    a = [str(i % 2) for i in range(100)]
    b: list[str | None] = [None if i < 10 else "1" for i in range(100)]
    analysis = await analysed(store, {"a": a, "b": b}, "exact_match")
    difference = analysis.metric().comparisons[0].difference
    assert (difference.n, difference.n_missing) == (90, 10)
    assert difference.missing_bound is not None
    assert difference.missing_bound[0] < difference.estimate <= difference.missing_bound[1]
    assert any("fail at different rates" in warning for warning in analysis.warnings)


async def test_labels_are_counted_not_averaged(store: LocalStore) -> None:
    texts = ["This is plainly an English sentence about bread."] * 20
    analysis = await analysed(store, {"a": texts, "b": texts}, "language")
    assert analysis.metric().kind == "label"
    assert analysis.metric().comparisons == ()
    assert analysis.metric().scores[0].labels == {"en": 20}


async def test_unknown_names_are_refused(store: LocalStore) -> None:
    analysis = await analysed(store, {"a": ["1"] * 5, "b": ["0"] * 5}, "exact_match")
    with pytest.raises(SpecError, match="there is no metric 'nope'"):
        analysis.metric("nope")
    with pytest.raises(SpecError, match="there is no variant 'nope'; this run has a, b"):
        analyse(store, analysis.run_id, baseline="nope")


async def test_the_answer_is_plain_json(store: LocalStore) -> None:
    import json

    analysis = await analysed(store, {"a": ["1"] * 5, "b": ["0"] * 5}, "exact_match")
    again = json.loads(json.dumps(analysis.to_dict(), allow_nan=False))
    assert again["primary"] == "exact_match"


async def test_segments_are_adjusted_over_their_field(store: LocalStore) -> None:
    """Better in one language only: the break-down finds it there and nowhere else, as scipy does."""
    n = 300
    language = ["en" if i % 3 else "de" for i in range(n)]
    a = [str(int(RNG.random() < 0.5)) for _ in range(n)]
    b = [str(int(RNG.random() < (0.9 if lang == "de" else 0.5))) for lang in language]
    analysis = await analysed(
        store,
        {"a": a, "b": b},
        "exact_match",
        row=lambda i: {"language": language[i]},
        dataset={"metadata": ["language"]},
        analysis={"segments": ["language"]},
    )
    by_value = {segment.value: segment for segment in analysis.segments}
    assert {value: segment.n_items for value, segment in by_value.items()} == {"en": 200, "de": 100}
    raw = []
    for value in ("de", "en"):
        rows = [i for i in range(n) if language[i] == value]
        wins = sum(b[i] > a[i] for i in rows)
        losses = sum(b[i] < a[i] for i in rows)
        m, low = wins + losses, min(wins, losses)
        raw.append(min(1.0, 2 * scipy_stats.binom.cdf(low, m, 0.5) - scipy_stats.binom.pmf(low, m, 0.5)))
        difference = by_value[value].metric.comparisons[0].difference
        assert difference.estimate == pytest.approx((wins - losses) / len(rows))
    from statsmodels.stats.multitest import multipletests

    expected = multipletests(raw, method="holm")[1]
    found = [by_value[value].metric.comparisons[0].difference.p_adjusted for value in ("de", "en")]
    assert found == pytest.approx(list(expected))
    assert by_value["de"].metric.comparisons[0].label == "better"


async def test_values_without_a_row_of_their_own_are_named(store: LocalStore) -> None:
    """Sizes 40, 4, 1 and three items without the field: only the first has a row."""
    language: list[str | None] = [*["en"] * 40, *["de"] * 4, "fr", None, None, None]
    analysis = await analysed(
        store,
        {"a": ["1"] * 48, "b": ["0"] * 48},
        "exact_match",
        row=lambda i: {"language": language[i]},
        dataset={"metadata": ["language"]},
        analysis={"segments": ["language"]},
    )
    assert [segment.value for segment in analysis.segments] == ["en"]
    (said,) = [warning for warning in analysis.warnings if "Segments of 'language'" in warning]
    assert "fewer than 5 items: de (4), fr (1)" in said
    assert "no value: 3 items" in said


async def test_an_interval_that_leaves_out_0_beside_inconclusive_is_explained(store: LocalStore) -> None:
    """Four candidates, one with a raw p of 0.034 (paired t, worked out by scipy): Holm leaves none."""
    gaps = [3] * 23 + [-2] * 17
    assert 0.03 < scipy_stats.ttest_1samp(gaps, 0).pvalue < 0.04
    assert scipy_stats.ttest_1samp(gaps, 0).confidence_interval().low > 0
    columns = {
        "base": ["x" * (20 + i % 7) for i in range(40)],
        "near": ["x" * (20 + i % 7 + gap) for i, gap in enumerate(gaps)],
        **{name: ["x" * (20 + i % 7 + (-1) ** i) for i in range(40)] for name in ("p", "q", "r")},
    }
    analysis = await analysed(store, columns, {"length": {"unit_of": "characters"}})
    near = next(c for c in analysis.metric().comparisons if c.candidate == "near")
    assert near.label == "inconclusive"
    (said,) = [warning for warning in analysis.warnings if "the interval leaves out 0" in warning]
    assert said.startswith("near vs base on length: ")
    alone = await analysed(
        store, {name: columns[name] for name in ("base", "near")}, {"length": {"unit_of": "characters"}}
    )
    assert not [warning for warning in alone.warnings if "the interval leaves out 0" in warning]


async def test_a_segment_that_no_item_has_is_said(store: LocalStore) -> None:
    with pytest.raises(SpecError, match="no item has the metadata field 'tongue'"):
        await analysed(store, {"a": ["1"] * 9, "b": ["0"] * 9}, "exact_match", analysis={"segments": ["tongue"]})


async def test_another_metric_has_its_own_headline_and_no_borrowed_margin(store: LocalStore) -> None:
    columns = {"a": ["1"] * 40, "b": ["000"] * 40}
    analysis = await analysed(
        store, columns, "exact_match", evaluators=["exact_match", "length"], analysis={"margin": 0.5}
    )
    other = analyse(store, analysis.run_id, primary="length")
    assert other.headline.startswith("On length:")
    assert analysis.margin == 0.5
    assert other.margin is None
    assert {c.label for c in analysis.metric("length").comparisons} <= {"higher", "lower", "inconclusive"}


async def test_one_family_over_all_metrics(store: LocalStore) -> None:
    """With equal shares, Holm counts the comparisons of every metric, as statsmodels does on the pooled p-values."""
    columns = {
        name: ["".join(RNG.choice("01") for _ in range(RNG.randrange(1, 6))) for _ in range(90)]
        for name in ("a", "b", "c")
    }
    options = {"evaluators": ["exact_match", {"length": {"unit_of": "characters"}}], "analysis": {"primary_share": 0.5}}
    analysis = await analysed(store, columns, "exact_match", **options)
    rows = [c for metric in analysis.metrics for c in metric.comparisons]
    assert len(rows) == 4
    from statsmodels.stats.multitest import multipletests

    expected = multipletests([row.difference.p_value for row in rows], method="holm")[1]
    assert [row.difference.p_adjusted for row in rows] == pytest.approx(list(expected))
    assert "family of 4" in analysis.methods


async def test_the_primary_metric_has_most_of_the_level(store: LocalStore) -> None:
    """By default the others have a fifth of alpha; by hand from Holm (1979): after one, the other has it all."""
    columns = {
        name: ["".join(RNG.choice("01") for _ in range(RNG.randrange(1, 6))) for _ in range(90)] for name in ("a", "b")
    }
    analysis = await analysed(
        store, columns, "exact_match", evaluators=["exact_match", {"length": {"unit_of": "characters"}}]
    )
    weighted = sorted(
        (row.difference.p_value / share, row.difference.p_value, row.difference.p_adjusted)
        for share, row in zip((0.8, 0.2), (metric.comparisons[0] for metric in analysis.metrics), strict=True)
    )
    (scaled, _, first), (_, plain, second) = weighted
    assert first == pytest.approx(min(1, scaled))
    assert second == pytest.approx(min(1, max(scaled, plain)))
    assert "80% of alpha" in analysis.methods


async def test_a_metric_shown_alone_keeps_its_family(store: LocalStore) -> None:
    columns = {name: ["".join(RNG.choice("01") for _ in range(3)) for _ in range(60)] for name in ("a", "b")}
    whole = await analysed(store, columns, "exact_match", evaluators=["exact_match", "length", "json_valid"])
    alone = analyse(store, whole.run_id, metrics=["length"])
    assert [metric.metric for metric in alone.metrics] == ["length"]
    assert alone.metrics[0].comparisons == whole.metric("length").comparisons


async def test_a_guardrail_with_a_margin_is_a_non_inferiority_test(store: LocalStore) -> None:
    """The bound is that of a t interval on the item differences (scipy), one-sided at alpha."""
    draw = random.Random(8)
    columns = {
        name: ["".join(draw.choice("01") for _ in range(draw.randrange(1, longest))) for _ in range(90)]
        for name, longest in (("a", 5), ("b", 7))
    }
    lengths = {name: [len(text) for text in texts] for name, texts in columns.items()}
    gaps = [two - one for one, two in zip(lengths["a"], lengths["b"], strict=True)]
    from scipy import stats

    center, error = sum(gaps) / len(gaps), stats.sem(gaps)
    upper = center + stats.t.ppf(0.95, len(gaps) - 1) * error
    loose, tight = float(upper) + 0.01, float(upper) - 0.01
    for margin, status in ((loose, "safe"), (tight, "inconclusive")):
        analysis = await analysed(
            store,
            columns,
            "exact_match",
            evaluators=["exact_match", {"length": {"unit_of": "characters", "name": "size"}}],
            analysis={"guardrails": [{"metric": "size", "margin": margin, "harm": "higher"}]},
        )
        guard = analysis.metric("size").comparisons[0].guard
        assert guard is not None
        assert guard.worst == pytest.approx(upper)
        assert guard.status == status
    assert "Guardrails: b harm not ruled out on size" in analysis.headline


async def test_a_guardrail_without_a_margin_never_counts_as_safe(store: LocalStore) -> None:
    columns = {name: [RNG.choice("01") for _ in range(40)] for name in ("a", "b")}
    analysis = await analysed(
        store, columns, "exact_match", evaluators=["exact_match", "json_valid"], analysis={"guardrails": ["json_valid"]}
    )
    assert analysis.metric("json_valid").comparisons[0].guard is None
    assert "declare a margin" in analysis.headline


async def test_words_say_what_the_corrected_test_says(store: LocalStore) -> None:
    """A difference that is significant alone and not among its family is not called better or worse in words."""
    columns = {"a": ["0"] * 5 + ["1"] * 35, "b": ["1"] * 40}  # 5 : 0, mid-p 1/32
    same = [{"exact_match": {"name": name}} for name in ("first", "second", "third")]
    analysis = await analysed(store, columns, "exact_match", evaluators=same)
    rows = [metric.comparisons[0] for metric in analysis.metrics]
    assert [row.difference.p_value for row in rows] == pytest.approx([1 / 32] * 3)
    assert [row.label for row in rows] == ["better", "inconclusive", "inconclusive"]
    assert analysis.corrects(analysis.metrics[0]), "its family are the other metrics"
    assert [" is better than " in row.words for row in rows] == [True, False, False]
