"""Factorial effects, fractions of the cross and their aliases."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bakeoff.errors import StatsError
from bakeoff.stats import (
    contrast,
    factorial_effects,
    factorial_model,
    fractional_factorial,
    level_contrasts,
    optimal_cells,
    plan_cells,
)

TWO = {"prompt": ["terse", "long"], "model": ["small", "large"]}
MIXED = {"prompt": ["a", "b", "c"], "model": ["small", "large"]}


def cells_of(factors, n, seed, shift=None):
    rng = np.random.default_rng(seed)
    item = rng.normal(size=n)
    shift = shift or (lambda cell: 0.0)
    return {cell: item + rng.normal(size=n) + shift(cell) for cell in product(*factors.values())}


def long_form(scores, factors):
    n = len(next(iter(scores.values())))
    y = np.concatenate(list(scores.values()))
    items = np.tile(np.arange(n), len(scores))
    columns = {name: np.repeat([cell[i] for cell in scores], n) for i, name in enumerate(factors)}
    return y, items, columns


# --- effects -------------------------------------------------------------------------------------


def test_two_by_two_of_repeated_measures_anova():
    # statsmodels AnovaRM (the classical within-subject ANOVA): F of each effect, exact for two levels
    import pandas as pd
    from statsmodels.stats.anova import AnovaRM

    scores = cells_of(TWO, 25, 0, lambda cell: 0.4 * (cell[1] == "large"))
    y, items, columns = long_form(scores, TWO)
    table = AnovaRM(pd.DataFrame({"y": y, "item": items} | columns), "y", "item", within=list(TWO)).fit().anova_table
    result = factorial_effects(scores, factors=TWO)
    for effect, row in zip(result.effects, ("prompt", "model", "prompt:model"), strict=True):
        assert effect.statistic == pytest.approx(float(table.loc[row, "F Value"]))
        assert effect.p_value == pytest.approx(float(table.loc[row, "Pr > F"]))


def test_several_levels_of_hotelling():
    # statsmodels.stats.multivariate.test_mvmean: Hotelling's T^2 on the item-level contrasts
    from statsmodels.stats.multivariate import test_mvmean

    scores = cells_of(MIXED, 20, 1, lambda cell: 0.5 * (cell[0] == "c"))
    y = np.stack(list(scores.values()), axis=1)
    result = factorial_effects(scores, factors=MIXED)
    for names in (("prompt",), ("prompt", "model")):
        matrix, _ = level_contrasts(names, {k: tuple(v) for k, v in MIXED.items()})
        expected = test_mvmean(y @ matrix.T, np.zeros(matrix.shape[0]))
        effect = result.get(*names)
        assert effect.statistic == pytest.approx(float(expected.statistic))
        assert effect.p_value == pytest.approx(float(expected.pvalue))
        assert (effect.df, effect.df2) == (2, 18)


def test_contrasts_are_paired_t_tests():
    scores = cells_of(TWO, 30, 2)
    large = (scores["terse", "large"] + scores["long", "large"]) / 2
    small = (scores["terse", "small"] + scores["long", "small"]) / 2
    expected = stats.ttest_rel(large, small)
    found = factorial_effects(scores, factors=TWO).get("model").contrasts[0]
    assert found.p_value == pytest.approx(float(expected.pvalue))
    interval = expected.confidence_interval(0.95)
    assert (found.low, found.high) == (pytest.approx(float(interval.low)), pytest.approx(float(interval.high)))
    # interaction: difference of differences
    cross = factorial_effects(scores, factors=TWO).get("model", "prompt").contrasts[0]
    expected_cross = np.mean(
        scores["long", "large"] - scores["long", "small"] - scores["terse", "large"] + scores["terse", "small"]
    )
    assert cross.estimate == pytest.approx(float(expected_cross))


def test_contrast_of_named_variants():
    rng = np.random.default_rng(3)
    a, b, c = rng.normal(size=(3, 12))
    found = contrast({"a": a, "b": b, "c": c}, {"a": 1, "b": -0.5, "c": -0.5})
    expected = stats.ttest_1samp(a - (b + c) / 2, 0)
    assert found.p_value == pytest.approx(float(expected.pvalue))
    one_sided = contrast({"a": a, "b": b}, {"a": 1, "b": -1}, alternative="greater")
    assert one_sided.p_value == pytest.approx(float(stats.ttest_rel(a, b, alternative="greater").pvalue))
    assert one_sided.high == math.inf
    limits = stats.ttest_rel(a, b, alternative="greater").confidence_interval(0.95)
    assert one_sided.low == pytest.approx(float(limits.low))
    with pytest.raises(StatsError, match="weights"):
        contrast({"a": a}, {"z": 1})


@settings(max_examples=20, deadline=None)
@given(st.integers(4, 20), st.integers(0, 500), st.floats(-5, 5), st.floats(0.1, 10))
def test_effects_ignore_item_difficulty_order_and_scale(n, seed, shift, scale):
    scores = cells_of(MIXED, n, seed)
    base = factorial_effects(scores, factors=MIXED)
    rng = np.random.default_rng(seed)
    order, difficulty = rng.permutation(n), rng.normal(0, 3, n)
    moved = {cell: (scale * (y + difficulty) + shift)[order] for cell, y in scores.items()}
    other = factorial_effects(moved, factors=MIXED)
    for a, b in zip(base.effects, other.effects, strict=True):
        assert b.p_value == pytest.approx(a.p_value, rel=1e-6, nan_ok=True)
        assert b.contrasts[0].estimate == pytest.approx(scale * a.contrasts[0].estimate, rel=1e-6, abs=1e-9)
    renamed = {"prompt": ["c", "a", "b"], "model": ["large", "small"]}
    relabelled = factorial_effects(scores, factors=renamed)
    for a, b in zip(base.effects, relabelled.effects, strict=True):
        assert b.p_value == pytest.approx(a.p_value, rel=1e-6, nan_ok=True)


def test_type_one_error_and_false_effects():
    rng = np.random.default_rng(5)
    hits = np.zeros(3)
    runs = 400
    for _ in range(runs):
        spread = {cell: rng.uniform(0.3, 2) for cell in product(*MIXED.values())}  # no sphericity
        item = rng.normal(size=30)
        scores = {cell: item + rng.normal(0, sd, 30) for cell, sd in spread.items()}
        hits += [effect.p_value <= 0.05 for effect in factorial_effects(scores, factors=MIXED).effects]
    assert np.all(hits / runs <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs))


def test_clusters_make_the_unit():
    rng = np.random.default_rng(6)
    codes = np.repeat(np.arange(10), 8)
    slope = rng.normal(0, 0.6, 10)[codes]  # the effect of the model varies by document
    scores = {cell: rng.normal(size=80) + (slope if cell[1] == "large" else 0) for cell in product(*TWO.values())}
    plain = factorial_effects(scores, factors=TWO).get("model").contrasts[0]
    clustered = factorial_effects(scores, factors=TWO, clusters=codes).get("model").contrasts[0]
    assert clustered.se > 1.3 * plain.se
    assert clustered.n == 10
    several = factorial_effects(cells_of(MIXED, 80, 7), factors=MIXED, clusters=codes).get("prompt")
    assert several.df2 == 8
    assert 0 <= several.p_value <= 1


def test_missing_scores_drop_the_item_and_say_so():
    scores = cells_of(TWO, 12, 8)
    scores["terse", "small"][0] = math.nan
    result = factorial_effects(scores, factors=TWO)
    assert (result.n, result.n_missing) == (11, 1)
    assert "left out" in result.warnings[0]


@pytest.mark.parametrize("n", [0, 1, 2])
def test_too_few_items(n):
    result = factorial_effects({cell: np.arange(float(n)) for cell in product(*MIXED.values())}, factors=MIXED)
    assert math.isnan(result.get("prompt").p_value)
    assert result.get("prompt").reason
    assert "not estimable" in result.sentences[0]


def test_equal_scores():
    result = factorial_effects({cell: np.ones(6) for cell in product(*MIXED.values())}, factors=MIXED)
    assert [effect.p_value for effect in result.effects] == [1.0, 1.0, 1.0]
    jump = factorial_effects(
        {cell: np.full(6, float(cell[1] == "large")) for cell in product(*TWO.values())}, factors=TWO
    )
    assert math.isnan(jump.get("model").p_value)
    assert "same amount" in jump.get("model").reason


def test_wrong_cells():
    scores = cells_of(TWO, 5, 9)
    with pytest.raises(StatsError, match="every combination"):
        factorial_effects({("terse", "small"): [1.0]}, factors=TWO)
    with pytest.raises(StatsError, match="two different levels"):
        factorial_effects(scores, factors={"prompt": ["terse"], "model": ["small", "large"]})
    with pytest.raises(StatsError, match="same items"):
        factorial_effects(scores | {("terse", "small"): [1.0]}, factors=TWO)
    with pytest.raises(StatsError, match="no effect"):
        factorial_effects(scores, factors=TWO).get("temperature")


# --- models --------------------------------------------------------------------------------------


def test_gee_is_the_closed_form_on_balanced_data():
    # independence GEE on balanced data: the same estimates; robust errors within (n - 1) / n of item-level ones
    scores = cells_of(MIXED, 60, 10, lambda cell: 0.4 * (cell[1] == "large"))
    y, items, columns = long_form(scores, MIXED)
    closed = factorial_effects(scores, factors=MIXED)
    model = factorial_model(y, items=items, factors=columns, levels=MIXED)
    for a, b in zip(closed.effects, model.effects, strict=True):
        for one, other in zip(a.contrasts, b.contrasts, strict=True):
            assert other.label == one.label
            assert other.estimate == pytest.approx(one.estimate)
            assert other.se == pytest.approx(one.se * math.sqrt(59 / 60), rel=1e-6)


def test_mixed_model_is_compound_symmetry_anova():
    # REML with a random intercept on balanced data: t^2 = F of the randomised-block ANOVA (statsmodels OLS)
    import statsmodels.api as sm

    scores = cells_of(TWO, 20, 11, lambda cell: 0.4 * (cell[1] == "large"))
    y, items, columns = long_form(scores, TWO)
    found = factorial_model(y, items=items, factors=columns, levels=TWO, method="mixed").get("model")
    dummies = np.eye(20)[items]
    large, long = (columns["model"] == "large") * 1.0, (columns["prompt"] == "long") * 1.0
    fit = sm.OLS(y, np.column_stack([dummies, large - 0.5, long - 0.5, (large - 0.5) * (long - 0.5)])).fit()
    assert found.contrasts[0].estimate == pytest.approx(float(fit.params[20]), rel=1e-6)
    assert found.contrasts[0].se == pytest.approx(float(fit.bse[20]), rel=1e-3)


def test_repeats_are_not_items():
    rng = np.random.default_rng(12)
    scores = cells_of(TWO, 30, 12)
    y, items, columns = long_form(scores, TWO)
    many = np.concatenate([y + rng.normal(0, 0.1, y.size) for _ in range(4)])
    repeated = {name: np.tile(values, 4) for name, values in columns.items()}
    for method in ("gee", "mixed"):
        once = factorial_model(y, items=items, factors=columns, levels=TWO, method=method).get("model").contrasts[0]
        more = factorial_model(many, items=np.tile(items, 4), factors=repeated, levels=TWO, method=method)
        assert more.get("model").contrasts[0].se == pytest.approx(once.se, rel=0.1)


def test_fraction_estimates_main_effects_and_refuses_aliased_pairs():
    factors = {name: ["-", "+"] for name in "ABCD"}
    plan = fractional_factorial(factors, runs=8)
    rng = np.random.default_rng(13)
    y, items, columns = [], [], {name: [] for name in factors}
    for item in range(50):
        level = rng.normal()
        for cell in plan.cells:
            y.append(level + 0.5 * (cell["B"] == "+") + rng.normal(0, 0.5))
            items.append(item)
            for name in factors:
                columns[name].append(cell[name])
    result = factorial_model(y, items=items, factors=columns, levels=factors)
    assert result.get("B").p_adjusted < 0.001
    up = np.array(columns["B"]) == "+"
    expected = np.mean(np.array(y)[up]) - np.mean(np.array(y)[~up])  # orthogonal: the plain difference of means
    assert result.get("B").contrasts[0].estimate == pytest.approx(float(expected))
    assert not math.isnan(result.get("A", "B").p_value)
    aliased = result.get("C", "D")  # C x D = A x B in this fraction
    assert math.isnan(aliased.p_value)
    assert "cannot tell it apart" in aliased.reason


def test_model_degenerate():
    few = factorial_model([1.0, 0.0], items=[0, 0], factors={"m": ["a", "b"]})
    assert math.isnan(few.get("m").p_value)
    same = factorial_model([1.0] * 8, items=[0, 0, 1, 1, 2, 2, 3, 3], factors={"m": ["a", "b"] * 4})
    assert same.get("m").reason == "every score is the same"
    nothing = factorial_model([math.nan] * 4, items=[0, 0, 1, 1], factors={"m": ["a", "b"] * 2})
    assert math.isnan(nothing.get("m").p_value)
    with pytest.raises(StatsError, match="one level for each trial"):
        factorial_model([1.0, 0.0], items=[0, 0], factors={"m": ["a"]})
    with pytest.raises(StatsError, match="at least two levels"):
        factorial_model([1.0, 0.0], items=[0, 0], factors={"m": ["a", "a"]})
    with pytest.raises(StatsError, match="method"):
        factorial_model([1.0], items=[0], factors={"m": ["a"]}, method="anova")


# --- which cells to run --------------------------------------------------------------------------


# Box, Hunter & Hunter (2005), table 6.22; Montgomery (2013), table 8.14: resolution of the least-aberration fraction
@pytest.mark.parametrize(
    ("k", "runs", "resolution"),
    [
        (3, 4, 3), (4, 8, 4), (5, 8, 3), (5, 16, 5), (6, 8, 3), (6, 16, 4), (6, 32, 6), (7, 8, 3), (7, 16, 4),
        (7, 32, 4), (7, 64, 7), (8, 16, 4), (8, 32, 4), (8, 64, 5), (9, 16, 3), (9, 32, 4), (9, 128, 6),
        (10, 16, 3), (10, 32, 4), (11, 16, 3), (11, 32, 4), (15, 16, 3),
    ],
)  # fmt: skip
def test_resolution_tables(k, runs, resolution):
    factors = {chr(ord("A") + i): ["-", "+"] for i in range(k)}
    plan = fractional_factorial(factors, runs=runs)
    assert plan.resolution == resolution
    assert len(set(plan.keys)) == runs
    signs = np.array([[1 if cell[name] == "+" else -1 for name in factors] for cell in plan.cells])
    assert np.array_equal(signs.T @ signs, runs * np.eye(k))  # balanced and orthogonal
    for word in plan.defining_words:
        product_of = np.prod([signs[:, list(factors).index(name)] for name in word], axis=0)
        assert abs(product_of.sum()) == runs  # constant over the cells


# Fries & Hunter (1980), Wu & Hamada (2009), table 5A: word length patterns (A3, A4, A5, ...) of least aberration
@pytest.mark.parametrize(
    ("k", "runs", "pattern"),
    [(7, 32, (0, 1, 2)), (8, 32, (0, 3, 4)), (9, 32, (0, 6, 8)), (6, 16, (0, 3, 0)), (5, 8, (2, 1, 0))],
)
def test_least_aberration(k, runs, pattern):
    plan = fractional_factorial({str(i): ["-", "+"] for i in range(k)}, runs=runs)
    lengths = [len(word) for word in plan.defining_words]
    assert tuple(lengths.count(length) for length in (3, 4, 5)) == pattern


def test_half_fraction_of_montgomery():
    # Montgomery (2013), example 8.1: 2^(4-1) with D = ABC: AB = CD, AC = BD, AD = BC
    plan = fractional_factorial({name: ["-", "+"] for name in "ABCD"}, runs=8)
    assert plan.generators == ("D = A x B x C",)
    assert plan.aliases == (
        "A x B cannot be told apart from C x D.",
        "A x C cannot be told apart from B x D.",
        "A x D cannot be told apart from B x C.",
    )
    assert {"".join(key) for key in plan.keys} == {"----", "+--+", "-+-+", "++--", "--++", "+-+-", "-++-", "++++"}


def test_plan_cells_chooses():
    assert plan_cells(TWO, max_cells=4).method == "full"
    assert plan_cells({name: ["-", "+"] for name in "ABCDE"}, max_cells=20).method == "regular_fraction"
    mixed = plan_cells({"p": list("abcd"), "m": list("xyz"), "t": ["0", "1"]}, max_cells=12)
    assert (mixed.method, len(mixed.cells), mixed.n_full) == ("d_optimal", 12, 24)
    assert mixed.efficiency > 0.95
    with pytest.raises(StatsError, match="at least 7 cells"):
        plan_cells({"p": list("abcd"), "m": list("xyz"), "t": ["0", "1"]}, max_cells=6)


def test_d_optimal_finds_taguchi_arrays():
    # L9 (Taguchi 1987): three of up to four 3-level factors are orthogonal in 9 runs; L18 carries 2 x 3^7
    three = {name: ["1", "2", "3"] for name in "ABCD"}
    assert optimal_cells(three, n_cells=9, starts=20).efficiency == pytest.approx(1.0)
    eighteen = {"A": ["1", "2"]} | {name: ["1", "2", "3"] for name in "BCDE"}
    assert optimal_cells(eighteen, n_cells=18).efficiency > 0.96


def test_d_optimal_says_what_is_mixed():
    plan = optimal_cells({name: ["1", "2", "3"] for name in "ABC"}, n_cells=9)
    assert any("mixed with" in line for line in plan.aliases)
    rich = optimal_cells(
        {"A": ["1", "2", "3"], "B": ["1", "2"], "C": ["1", "2"]}, n_cells=11, interactions=[("A", "B")]
    )
    assert "1 interaction" in rich.sentence
    assert not any("A x B (" in line for line in rich.aliases)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(2, 4), min_size=1, max_size=4), st.integers(0, 20), st.integers(0, 50))
def test_any_plan_can_estimate_its_main_effects(sizes, extra, seed):
    factors = {f"f{i}": [str(level) for level in range(size)] for i, size in enumerate(sizes)}
    needed = 1 + sum(size - 1 for size in sizes)
    plan = plan_cells(factors, max_cells=needed + extra, rng=seed)
    assert len(set(plan.keys)) == len(plan.cells) <= needed + extra
    columns = [np.ones(len(plan.cells))]
    for name, levels in factors.items():
        columns += [np.array([cell[name] == level for cell in plan.cells], dtype=float) for level in levels[1:]]
    assert np.linalg.matrix_rank(np.column_stack(columns)) == needed
    assert 0 < plan.efficiency <= 1 + 1e-9
    assert plan.keys == plan_cells(factors, max_cells=needed + extra, rng=seed).keys


@pytest.mark.parametrize(
    "call",
    [
        lambda: fractional_factorial(MIXED, runs=4),
        lambda: fractional_factorial({"A": ["-", "+"]}, runs=3),
        lambda: fractional_factorial({name: ["-", "+"] for name in "ABCD"}, runs=4),
        lambda: optimal_cells(MIXED, n_cells=2),
        lambda: optimal_cells(MIXED, n_cells=7),
        lambda: optimal_cells(MIXED, n_cells=5, interactions=[("prompt", "nope")]),
        lambda: plan_cells({}, max_cells=4),
        lambda: plan_cells({"a": ["x", "x"]}, max_cells=4),
    ],
)
def test_wrong_designs_are_named(call):
    with pytest.raises(StatsError):
        call()


def test_additivity_of_a_two_by_two_is_its_interaction():
    from scipy import stats as scipy_stats

    from bakeoff.stats import additivity_test

    rng = np.random.default_rng(2)
    cells = {(a, b): rng.normal(0, 1, 30) for a in "xy" for b in "uv"}
    cells["y", "v"] = cells["y", "v"] + 0.5
    contrast = cells["x", "u"] - cells["x", "v"] - cells["y", "u"] + cells["y", "v"]
    found = additivity_test(cells, factors={"one": ["x", "y"], "two": ["u", "v"]})
    assert found.p_value == pytest.approx(scipy_stats.ttest_1samp(contrast, 0).pvalue)


def test_additivity_keeps_its_level_with_missing_cells_and_finds_what_breaks_it():
    from bakeoff.stats import additivity_test

    rng = np.random.default_rng(3)
    levels = {"one": ["x", "y"], "two": ["u", "v", "w"], "three": ["p", "q"]}
    kept = [(a, b, c) for a in "xy" for b in "uvw" for c in "pq"][:-3]
    rejected = 0
    for _ in range(400):
        item = rng.normal(0, 1, 40)
        cells = {cell: item + rng.normal(0, 0.5, 40) + 0.7 * (cell[0] == "y") - 0.4 * (cell[1] == "w") for cell in kept}
        rejected += additivity_test(cells, factors=levels).p_value <= 0.05
    assert 0.02 <= rejected / 400 <= 0.085, "5% within three standard errors"
    cells["y", "v", "p"] = cells["y", "v", "p"] + 1.0
    assert additivity_test(cells, factors=levels).p_value < 1e-3


def test_additivity_cannot_be_tested_by_a_saturated_fraction():
    from bakeoff.stats import additivity_test

    rng = np.random.default_rng(4)
    half = {cell: rng.normal(size=20) for cell in [("x", "u", "p"), ("x", "v", "q"), ("y", "u", "q"), ("y", "v", "p")]}
    found = additivity_test(half, factors={"one": ["x", "y"], "two": ["u", "v"], "three": ["p", "q"]})
    assert math.isnan(found.p_value)
    assert "nothing to test it by" in (found.reason or "")


def test_a_main_effect_under_an_interaction_does_not_speak_alone():
    rng = np.random.default_rng(5)
    item = rng.normal(0, 1, 60)
    sign = {("x", "u"): 0, ("x", "v"): 1, ("y", "u"): 1, ("y", "v"): 0}
    cells = {cell: item + 1.5 * up + rng.normal(0, 0.4, 60) for cell, up in sign.items()}
    said = factorial_effects(cells, factors={"one": ["x", "y"], "two": ["u", "v"]}).sentences
    assert "That is an average: what one does depends on two" in said[0]
    assert "That is an average: what two does depends on one" in said[1]
    assert "average" not in said[2]
