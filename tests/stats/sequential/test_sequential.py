"""The comparison and the race that a runner drives in batches."""

from __future__ import annotations

import json
from math import inf, isnan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bakeoff.errors import StatsError
from bakeoff.stats import (
    PairedRace,
    RaceConfig,
    SequentialComparison,
    SequentialConfig,
    asymptotic_confidence_sequence,
    betting_interval,
    closed_e_rejections,
    discordant_e_value,
)

scores01 = st.lists(st.sampled_from([0.0, 1.0, float("nan")]), min_size=1, max_size=60)


def run(config: SequentialConfig, candidate: np.ndarray, baseline: np.ndarray, batch: int = 20) -> SequentialComparison:
    comparison = SequentialComparison(config)
    for start in range(0, len(candidate), batch):
        comparison.update(candidate[start : start + batch], baseline[start : start + batch])
    return comparison


@given(scores01, st.data())
@settings(max_examples=60, deadline=None)
def test_binary_evidence_is_the_closed_form(a: list[float], data: st.DataObject) -> None:
    b = data.draw(st.lists(st.sampled_from([0.0, 1.0]), min_size=len(a), max_size=len(a)))
    result = SequentialComparison().update(a, b)
    wins = sum(x > y for x, y in zip(a, b, strict=True))
    losses = sum(x < y for x, y in zip(a, b, strict=True))
    missing = sum(x != x for x in a)
    assert result.n + result.n_missing == len(a)
    assert result.n_missing == missing
    if result.n:
        assert result.e_value == pytest.approx(float(discordant_e_value(wins, losses)))
        assert (result.p_value <= 0.05) == (result.low > 0 or result.high < 0)
        assert -1 <= result.low <= result.high <= 1
    else:
        assert isnan(result.p_value)
        assert result.reason == "no item has a score of both variants yet"


def test_swapping_the_variants_mirrors_everything() -> None:
    rng = np.random.default_rng(1)
    a, b = (rng.random((2, 150)) < [[0.8], [0.6]]).astype(float)
    one, two = run(SequentialConfig(), a, b).result(), run(SequentialConfig(), b, a).result()
    assert (one.low, one.high, one.estimate) == pytest.approx((-two.high, -two.low, -two.estimate))
    assert one.p_value == pytest.approx(two.p_value)
    assert one.verdict is not None
    assert two.verdict is not None
    assert {one.verdict.word, two.verdict.word} in ({"better", "worse"}, {"inconclusive"})


def test_watching_never_takes_evidence_back() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.random((2, 300))
    comparison = SequentialComparison(SequentialConfig(kind="bounded"))
    p, width = 1.0, inf
    for start in range(0, 300, 25):
        result = comparison.update(a[start : start + 25], b[start : start + 25])
        assert result.p_value <= p
        assert result.high - result.low <= width + 1e-12
        p, width = result.p_value, result.high - result.low


def test_bounded_is_the_betting_interval_and_repeats_are_averaged() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.random((2, 80, 4))
    result = SequentialComparison(SequentialConfig(kind="bounded", repeats=4)).update(a, b)
    expected = betting_interval(a.mean(axis=1) - b.mean(axis=1), bounds=(-1, 1))
    assert (result.low, result.high) == pytest.approx((expected.low, expected.high))
    assert result.n == 80


def test_continuous_is_the_asymptotic_sequence() -> None:
    rng = np.random.default_rng(4)
    a, b = rng.normal(10, 3, 100), rng.normal(9, 3, 100)
    result = SequentialComparison(SequentialConfig(kind="continuous", planned_n=100)).update(a, b)
    expected = asymptotic_confidence_sequence(a - b, planned_n=100).last()
    assert (result.low, result.high) == pytest.approx((expected.low, expected.high))
    early = SequentialComparison(SequentialConfig(kind="continuous", planned_n=100)).update(a[:20], b[:20])
    assert isnan(early.low)
    assert early.reason == "needs 30 items, has 20"
    flat = SequentialComparison(SequentialConfig(kind="continuous", planned_n=100)).update([1.0] * 40, [0.0] * 40)
    assert isnan(flat.low)
    assert "equal" in (flat.reason or "")


@pytest.mark.parametrize("kind", ["binary", "bounded", "continuous"])
def test_one_sided_needs_less_and_bounds_one_side(kind: str) -> None:
    rng = np.random.default_rng(5)
    a, b = (rng.random((2, 300)) < [[0.75], [0.6]]).astype(float)
    two = run(SequentialConfig(kind=kind, planned_n=300), a, b).result()  # type: ignore[arg-type] # parametrised
    one = run(SequentialConfig(kind=kind, planned_n=300, alternative="greater"), a, b).result()  # type: ignore[arg-type] # parametrised
    assert one.low > two.low
    assert one.high >= 1
    assert one.p_value < two.p_value
    assert (one.p_value <= 0.05) == (one.low > 0)


def test_clusters_are_the_unit() -> None:
    rng = np.random.default_rng(6)
    clusters = np.repeat(np.arange(40), 5)
    effect = np.repeat(rng.random(40) < 0.7, 5).astype(float)
    comparison = SequentialComparison(SequentialConfig(clustered=True))
    result = comparison.update(effect, np.zeros(200), clusters=clusters)
    assert result.n == 40
    assert result.method == "sequential_betting"
    with pytest.raises(StatsError, match="arrive whole"):
        comparison.update([1.0], [0.0], clusters=[3])
    with pytest.raises(StatsError, match="one label per item"):
        comparison.update([1.0], [0.0])
    assert comparison.result() == result  # a refused batch leaves no trace


def test_equivalent_within_the_margin() -> None:
    rng = np.random.default_rng(7)
    base = (rng.random(3000) < 0.7).astype(float)
    u, other = rng.random(3000), base.copy()
    other[base == 0] = np.where(u[base == 0] < 0.0234, 1.0, 0.0)
    other[base == 1] = np.where(u[base == 1] < 0.01, 0.0, 1.0)  # as many passes lost as gained
    result = run(SequentialConfig(margin=0.03, planned_n=3000), other, base, 200).result()
    assert result.verdict is not None
    assert result.verdict.word == "equivalent"
    assert result.stop
    assert result.not_worse


def test_lower_may_be_better() -> None:
    rng = np.random.default_rng(10)
    slow, fast = rng.gamma(9, 1, 200), rng.gamma(6, 1, 200)
    settings_ = {"kind": "continuous", "planned_n": 200, "higher_is_better": False}
    result = run(SequentialConfig(**settings_), fast, slow).result()  # type: ignore[arg-type] # shared settings
    assert result.estimate < 0
    assert result.verdict is not None
    assert result.verdict.word == "better"
    race = PairedRace(RaceConfig(variants=("slow", "fast"), **settings_))  # type: ignore[arg-type] # shared settings
    run_race(race, {"slow": slow, "fast": fast})
    standing = race.result()
    assert standing.best == "fast"
    assert standing.eliminated[0].difference > 0
    assert standing.means["fast"] == pytest.approx(fast[: standing.n].mean())


def test_a_detectable_but_small_difference_is_equivalent() -> None:
    rng = np.random.default_rng(11)
    base = rng.random(400)
    result = SequentialComparison(SequentialConfig(kind="bounded", margin=0.2)).update(np.clip(base + 0.05, 0, 1), base)
    assert result.low > 0
    assert result.verdict is not None
    assert result.verdict.word == "equivalent"
    assert "too small to matter" in result.verdict.because


def test_not_worse_may_be_the_question() -> None:
    rng = np.random.default_rng(8)
    base = (rng.random(2000) < 0.7).astype(float)
    better = np.where(rng.random(2000) < 0.02, 1.0, base)
    comparison = SequentialComparison(SequentialConfig(margin=0.05, planned_n=2000, stop_when_not_worse=True))
    stopped = 0
    for start in range(0, 2000, 50):
        result = comparison.update(better[start : start + 50], base[start : start + 50])
        stopped = result.n
        if result.stop:
            break
    assert result.not_worse
    assert stopped < 1000


def test_planned_items_end_the_comparison_and_missing_items_count() -> None:
    result = SequentialComparison(SequentialConfig(planned_n=10)).update([1, 0, 1, 0, np.nan] * 2, [1, 0, 1, 0, 1] * 2)
    assert result.stop
    assert not result.decided
    assert result.n_missing == 2
    assert "not evidence of no difference" in result.words
    assert "2 items were left out" in result.words


def test_missing_items_are_bounded() -> None:
    comparison = SequentialComparison()
    comparison.update([1, 1, np.nan, np.nan], [0, 1, 1, np.nan])
    result = comparison.update([0, np.nan], [1, 0])
    # by hand: complete differences 1, 0, -1; incomplete ones in [-1, 0], [-1, 1] and [0, 1]
    assert result.missing_bound == pytest.approx((-2 / 6, 2 / 6))
    assert SequentialComparison.from_state(comparison.to_state()).result() == result
    assert SequentialComparison().update([1], [0]).missing_bound is None


def test_sorted_items_are_called_out() -> None:
    a = np.concatenate([np.ones(60), np.zeros(60)])
    result = SequentialComparison().update(a, np.zeros(120))
    assert any("shuffle" in warning for warning in result.warnings)
    assert "Caution" in result.words


@pytest.mark.parametrize("kind", ["binary", "bounded", "continuous"])
def test_state_survives_json_and_continues(kind: str) -> None:
    rng = np.random.default_rng(9)
    a, b = (rng.random((2, 120)) < 0.5).astype(float)
    config = SequentialConfig(kind=kind, planned_n=120, margin=0.2, alternative="greater")  # type: ignore[arg-type] # parametrised
    whole, part = run(config, a, b), run(config, a[:60], b[:60])
    resumed = SequentialComparison.from_state(json.loads(json.dumps(part.to_state())))
    for start in range(60, 120, 20):
        resumed.update(a[start : start + 20], b[start : start + 20])
    assert resumed.to_state() == whole.to_state()
    assert resumed.result().words == whole.result().words


@pytest.mark.parametrize(
    "state",
    [{}, {"version": 2}, {"version": 1}, {"version": 1, "config": None}, {"version": 1, "config": {"alpha": "x"}}],
)
def test_damaged_state_is_refused(state: dict[str, object]) -> None:
    with pytest.raises(StatsError, match="state"):
        SequentialComparison.from_state(state)
    with pytest.raises(StatsError, match="state"):
        PairedRace.from_state(state)


@pytest.mark.parametrize(
    ("settings_", "word"),
    [
        ({"alpha": 0}, "alpha"),
        ({"kind": "letters"}, "kind"),
        ({"kind": "continuous"}, "planned_n"),
        ({"method": "e_process", "kind": "bounded"}, "e_process"),
        ({"method": "betting", "kind": "continuous"}, "betting"),
        ({"margin": -1.0}, "margin"),
        ({"stop_when_not_worse": True}, "margin"),
        ({"score_range": (1.0, 0.0)}, "score_range"),
        ({"repeats": 0}, "repeats"),
    ],
)
def test_bad_questions_are_refused(settings_: dict[str, object], word: str) -> None:
    with pytest.raises(StatsError, match=word):
        SequentialConfig(**settings_)  # type: ignore[arg-type] # wrong on purpose


@pytest.mark.parametrize(
    ("a", "b", "word"),
    [
        ([1, 0], [1], "same items"),
        ([0.5], [1], "binary"),
        ([inf], [1], "infinite"),
        ([[1, 0]], [[1, 1]], "repeats"),
        (["x"], [1], "numbers"),
    ],
)
def test_bad_batches_are_refused(a: list[object], b: list[object], word: str) -> None:
    with pytest.raises(StatsError, match=word):
        SequentialComparison().update(a, b)  # type: ignore[arg-type] # wrong on purpose


# ------------------------------------------------------------ race


def race_scores(rates: list[float], n: int, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {f"v{i}": (rng.random(n) < rate).astype(float) for i, rate in enumerate(rates)}


def run_race(race: PairedRace, scores: dict[str, np.ndarray], batch: int = 25) -> None:
    n = len(next(iter(scores.values())))
    for start in range(race.n, n, batch):
        if race.update({name: scores[name][start : start + batch] for name in race.survivors}).stop:
            break


@pytest.mark.parametrize("kind", ["binary", "bounded", "continuous"])
@pytest.mark.parametrize("guarantee", ["every_elimination", "best_kept"])
def test_the_best_variant_wins(kind: str, guarantee: str) -> None:
    config = RaceConfig(variants=("v0", "v1", "v2", "v3"), planned_n=1000, kind=kind, guarantee=guarantee)  # type: ignore[arg-type] # parametrised
    race = PairedRace(config)
    run_race(race, race_scores([0.9, 0.6, 0.55, 0.3], 1000, seed=1))
    result = race.result()
    assert result.survivors == ("v0",)
    assert result.best == ("v0" if guarantee == "every_elimination" else None)
    assert result.saved_share > 0.5
    assert all(out.low >= 0 and out.difference > 0 for out in result.eliminated)
    assert ("confirm" in result.words) == (guarantee == "best_kept")


def test_best_kept_drops_no_later() -> None:
    scores = race_scores([0.85, 0.7, 0.65, 0.6], 1500, seed=2)
    spent = {}
    for guarantee in ("every_elimination", "best_kept"):
        race = PairedRace(RaceConfig(variants=tuple(scores), planned_n=1500, guarantee=guarantee))  # type: ignore[arg-type] # parametrised
        run_race(race, scores)
        spent[guarantee] = race.result().spent_trials
    assert spent["best_kept"] <= spent["every_elimination"]


def test_two_variants_race_like_two_one_sided_comparisons() -> None:
    # k = 2: a variant's case is its only opponent's e-value; one true null at most rejects at 1/alpha to 2/alpha
    race = PairedRace(RaceConfig(variants=("a", "b"), planned_n=100, min_n=2))
    result = race.update({"a": [1.0] * 6, "b": [0.0] * 6})
    assert float(discordant_e_value(6, 0, alternative="greater")) < 40
    assert result.eliminated == ()
    result = race.update({"a": [1.0] * 2, "b": [0.0] * 2})
    assert float(discordant_e_value(8, 0, alternative="greater")) > 40
    assert result.best == "a"


@given(st.integers(0, 2**32 - 1), st.integers(2, 5))
@settings(max_examples=25, deadline=None)
def test_a_race_drops_whom_the_closed_test_rejects(seed: int, k: int) -> None:
    # oracle: closed-form e-values of all ordered pairs, then the closed test, on the first look
    rng = np.random.default_rng(seed)
    scores = race_scores(rng.uniform(0.2, 0.95, k).tolist(), 60, seed)
    race = PairedRace(RaceConfig(variants=tuple(scores), planned_n=60, min_n=2))
    result = race.update(scores)
    columns = list(scores.values())
    wins = np.array([[((a > b).sum(), (b > a).sum()) for b in columns] for a in columns])
    evidence = discordant_e_value(wins[..., 0], wins[..., 1], alternative="greater")
    np.fill_diagonal(evidence, 0)
    rejected = closed_e_rejections(evidence.max(axis=0) / (k - 1), alpha=0.05)
    assert {out.variant for out in result.eliminated} == {f"v{i}" for i in range(k) if rejected[i]}


@pytest.mark.parametrize(("wins", "dropped"), [(9, []), (10, ["c"])])
def test_the_family_of_a_race_is_counted(wins: int, dropped: list[str]) -> None:
    # by hand, k = 3, one loser: e / 2 opponents / 3 variants must reach 20, so e = 120 (9 wins: 102, 10 wins: 186)
    race = PairedRace(RaceConfig(variants=("a", "b", "c"), planned_n=100, min_n=2))
    result = race.update({"a": [1.0] * wins, "b": [1.0] * wins, "c": [0.0] * wins})
    assert (float(discordant_e_value(wins, 0, alternative="greater")) >= 120) == bool(dropped)
    assert [out.variant for out in result.eliminated] == dropped


def test_race_state_survives_json_and_late_scores_are_ignored() -> None:
    scores = race_scores([0.9, 0.6, 0.2], 400, seed=3)
    scores["v1"][5] = np.nan
    config = RaceConfig(variants=("v0", "v1", "v2"), planned_n=400)
    whole, part = PairedRace(config), PairedRace(config)
    run_race(whole, scores)
    part.update({name: column[:25] for name, column in scores.items()})
    resumed = PairedRace.from_state(json.loads(json.dumps(part.to_state())))
    run_race(resumed, scores)
    assert resumed.result() == whole.result()
    one = PairedRace(config)
    one.update({name: column[:200] for name, column in scores.items()})
    gone = [out.variant for out in one.result().eliminated]
    assert gone
    before = one.result().spent_trials
    one.update({name: column[200:210] for name, column in scores.items()})
    assert one.result().spent_trials - before == 10 * len(one.survivors)


def test_tied_survivors_stop_within_the_margin() -> None:
    rng = np.random.default_rng(4)
    base = (rng.random(3000) < 0.7).astype(float)
    scores = {"a": base, "b": np.where(rng.random(3000) < 0.01, 1 - base, base)}
    race = PairedRace(RaceConfig(variants=("a", "b"), planned_n=3000, margin=0.05))
    run_race(race, scores, batch=100)
    assert race.result().stop
    assert len(race.survivors) == 2
    assert race.n < 3000
    assert "margin" in race.result().reason


def test_race_refuses_wrong_batches() -> None:
    race = PairedRace(RaceConfig(variants=("a", "b"), planned_n=10))
    for bad, word in (
        ({"a": [1.0]}, "missing"),
        ({"a": [1.0], "b": [1.0], "c": [1.0]}, "unknown"),
        ({"a": [1.0, 0.0], "b": [1.0]}, "same items"),
        ({"a": [0.5], "b": [1.0]}, "binary"),
    ):
        with pytest.raises(StatsError, match=word):
            race.update(bad)
    assert race.n == 0
    with pytest.raises(StatsError, match="two different"):
        RaceConfig(variants=("a", "a"), planned_n=10)
    assert isnan(race.result().means["a"])


@given(st.permutations([0, 1, 2, 3]))
@settings(max_examples=8, deadline=None)
def test_the_order_of_the_variants_does_not_matter(order: list[int]) -> None:
    scores = race_scores([0.9, 0.7, 0.65, 0.3], 300, seed=5)
    plain = PairedRace(RaceConfig(variants=tuple(scores), planned_n=300))
    mixed = PairedRace(RaceConfig(variants=tuple(f"v{i}" for i in order), planned_n=300))
    for race in (plain, mixed):
        run_race(race, scores)
    assert set(plain.survivors) == set(mixed.survivors)
    assert {(o.variant, o.n) for o in plain.result().eliminated} == {
        (o.variant, o.n) for o in mixed.result().eliminated
    }


@pytest.mark.parametrize("scale", [1e-200, 1e-8, 1e8, 1e90])
def test_the_unit_of_the_score_does_not_matter(scale: float) -> None:
    rng = np.random.default_rng(12)
    a, b = rng.normal(10, 3, 100), rng.normal(9, 3, 100)
    config = SequentialConfig(kind="continuous", planned_n=100)
    one, two = SequentialComparison(config).update(a, b), SequentialComparison(config).update(a * scale, b * scale)
    assert two.p_value == pytest.approx(one.p_value)
    assert two.low == pytest.approx(one.low * scale)


def test_p_keeps_the_best_look_and_e_is_now() -> None:
    comparison = SequentialComparison()
    first = comparison.update([1] * 5, [0] * 5)
    second = comparison.update([0] * 5, [1] * 5)
    assert second.p_value == first.p_value == pytest.approx(6 / 32)
    assert second.e_value == pytest.approx(
        float(discordant_e_value(5, 5))
    )  # an e-value for e-BH, not a running maximum


def test_all_missing_never_decides() -> None:
    race = PairedRace(RaceConfig(variants=("a", "b"), planned_n=60))
    result = race.update({"a": [np.nan] * 60, "b": [1.0] * 60})
    assert result.eliminated == ()
    assert result.stop
    assert any("missing" in warning for warning in result.warnings)
