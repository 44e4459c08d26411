"""Cohen, Fleiss, Gwet, Krippendorff, intraclass correlation."""

from __future__ import annotations

from math import isnan

import krippendorff
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats as scipy_stats
from statsmodels.stats.inter_rater import cohens_kappa
from statsmodels.stats.inter_rater import fleiss_kappa as sm_fleiss

from bakeoff.errors import StatsError
from bakeoff.stats import cohen_kappa, fleiss_kappa, gwet_ac, intraclass_correlation, krippendorff_alpha

NA = np.nan
# Krippendorff (2011), "Computing Krippendorff's Alpha-Reliability", section E.
KRIPPENDORFF = [
    [1, 1, NA, 1], [2, 2, 3, 2], [3, 3, 3, 3], [3, 3, 3, 3], [2, 2, 2, 2], [1, 2, 3, 4],
    [4, 4, 4, 4], [1, 1, 2, 1], [2, 2, 2, 2], [NA, 5, 5, 5], [NA, NA, 1, 1], [NA, NA, 3, NA],
]  # fmt: skip

# Fleiss (1971), table 1: 30 subjects, 6 psychiatrists, 5 diagnoses.
FLEISS_1971 = [
    [0, 0, 0, 6, 0], [0, 3, 0, 0, 3], [0, 1, 4, 0, 1], [0, 0, 0, 0, 6], [0, 3, 0, 3, 0], [2, 0, 4, 0, 0],
    [0, 0, 4, 0, 2], [2, 0, 3, 1, 0], [2, 0, 0, 4, 0], [0, 0, 0, 0, 6], [1, 0, 0, 5, 0], [1, 1, 0, 4, 0],
    [0, 3, 3, 0, 0], [1, 0, 0, 5, 0], [0, 2, 0, 3, 1], [0, 0, 5, 0, 1], [3, 0, 0, 1, 2], [5, 1, 0, 0, 0],
    [0, 2, 0, 4, 0], [1, 0, 2, 0, 3], [0, 0, 0, 0, 6], [0, 1, 0, 5, 0], [0, 2, 0, 1, 3], [2, 0, 0, 4, 0],
    [1, 0, 0, 4, 1], [0, 5, 0, 1, 0], [4, 0, 0, 0, 2], [0, 2, 0, 4, 0], [1, 0, 5, 0, 0], [0, 0, 0, 0, 6],
]  # fmt: skip

# Shrout & Fleiss (1979), table 2.
SHROUT_FLEISS = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]


def expand(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    i, j = np.indices(table.shape)
    return np.repeat(i.ravel(), table.ravel()), np.repeat(j.ravel(), table.ravel())


def from_counts(counts: list[list[int]]) -> np.ndarray:
    return np.array([np.repeat(np.arange(len(row)), row) for row in counts])


@pytest.mark.parametrize("weights", ["nominal", "linear", "quadratic"])
def test_cohen_matches_statsmodels(weights: str) -> None:
    # statsmodels 0.15 cohens_kappa (kappa and its asymptotic standard error, Fleiss, Cohen & Everitt 1969).
    table = np.array([[44, 7, 3], [6, 30, 9], [1, 4, 21]])
    wt = {"nominal": None, "linear": "linear", "quadratic": "quadratic"}[weights]
    oracle = cohens_kappa(table, wt=wt)
    mine = cohen_kappa(*expand(table), weights=weights)
    assert mine.estimate == pytest.approx(oracle.kappa)
    assert mine.se == pytest.approx(oracle.std_kappa)
    half = cohens_kappa(table + 0.5, wt=wt)
    reach = scipy_stats.t.ppf(0.975, 124) * half.std_kappa
    assert (mine.low, mine.high) == pytest.approx((half.kappa - reach, half.kappa + reach))


def test_cohen_fleiss_textbook() -> None:
    # Fleiss, Levin & Paik (2003), table 18.1: 100 subjects, two raters, kappa = 0.68;
    # R psych 2.2.9: cohen.kappa(matrix(c(75, 1, 4, 5, 4, 1, 0, 0, 10), 3, byrow = TRUE)), 0.676.
    table = np.array([[75, 1, 4], [5, 4, 1], [0, 0, 10]])
    assert cohen_kappa(*expand(table)).estimate == pytest.approx(0.68, abs=0.005)


def test_prevalence_paradox_is_flagged() -> None:
    # Feinstein & Cicchetti (1990): high agreement, low kappa.
    table = np.array([[118, 5], [2, 0]])
    result = cohen_kappa(*expand(table))
    assert result.observed == pytest.approx(0.944)
    assert result.estimate < 0
    assert "gwet_ac" in result.warnings[0]
    assert gwet_ac(np.column_stack(expand(table))).estimate > 0.9


def test_kappa_perfect_agreement_has_a_width() -> None:
    result = cohen_kappa(["a"] * 30 + ["b"] * 20, ["a"] * 30 + ["b"] * 20)
    assert result.estimate == 1
    assert result.high == 1
    assert 0.8 < result.low < 0.97


def test_kappa_missing_and_degenerate() -> None:
    result = cohen_kappa(["a", None, "b", "b"], ["a", "a", NA, "b"])
    assert result.n == 2
    assert "2 items" in result.warnings[0]
    assert isnan(cohen_kappa(["a"] * 5, ["a"] * 5).estimate)
    assert isnan(cohen_kappa([], []).estimate)
    assert isnan(cohen_kappa(["a"], ["b"]).low)
    assert cohen_kappa([True, False, 1], [1.0, 0.0, NA]).n == 2
    with pytest.raises(StatsError, match="not among labels"):
        cohen_kappa(["a", "z"], ["a", "a"], labels=["a", "b"])
    with pytest.raises(StatsError):
        cohen_kappa(["a"], ["a", "b"])
    with pytest.raises(StatsError):
        cohen_kappa(["a", "b"], ["a", "b"], weights="cubic")


labels = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=3, max_size=40)


@given(labels, st.permutations(range(4)))
def test_kappa_symmetry_order_and_relabelling(pairs: list[tuple[int, int]], names: list[int]) -> None:
    a, b = (np.array(column) for column in zip(*pairs, strict=True))
    result = cohen_kappa(a, b, labels=range(4))
    assume(not isnan(result.estimate))
    swapped = cohen_kappa(b[::-1], a[::-1], labels=range(4))
    renamed = cohen_kappa(np.array(names)[a], np.array(names)[b], labels=range(4))
    for other in (swapped, renamed):
        assert other.estimate == pytest.approx(result.estimate)
        assert (other.low, other.high) == pytest.approx((result.low, result.high))
    assert -1 <= result.low <= result.estimate <= result.high <= 1


def test_fleiss_1971() -> None:
    # Fleiss (1971): kappa = 0.430; statsmodels fleiss_kappa on the same table.
    result = fleiss_kappa(from_counts(FLEISS_1971))
    assert result.estimate == pytest.approx(0.430, abs=0.0005)
    assert result.estimate == pytest.approx(sm_fleiss(np.array(FLEISS_1971)))


def test_missing_labels_match_irrcac() -> None:
    # irrCAC 0.4.4 (Python): CAC(ratings).fleiss() 0.76117 (SE 0.15302, CI 0.424 to 1);
    # CAC(ratings).gwet() 0.77544 (SE 0.14295, CI 0.461 to 1).
    fleiss, ac1 = fleiss_kappa(KRIPPENDORFF), gwet_ac(KRIPPENDORFF)
    assert (fleiss.estimate, fleiss.se, fleiss.low) == pytest.approx((0.76117, 0.15302, 0.424), abs=5e-4)
    assert (ac1.estimate, ac1.se, ac1.low) == pytest.approx((0.77544, 0.14295, 0.461), abs=5e-4)
    assert fleiss.high == ac1.high == 1


def test_ac2_with_identity_weights_is_ac1_and_multi_rater_degenerate() -> None:
    data = np.random.default_rng(1).integers(0, 2, (40, 3))
    assert gwet_ac(data, weights="linear").estimate == pytest.approx(gwet_ac(data).estimate)  # two categories
    assert isnan(gwet_ac([["a", "a"]] * 5).estimate)
    assert gwet_ac([["a", "a"]] * 5, labels=["a", "b"]).estimate == 1
    assert isnan(gwet_ac([["a", "a"]] * 5, labels=["a", "b"]).low)
    assert isnan(fleiss_kappa([["a", None], ["b", None]]).estimate)
    with pytest.raises(StatsError):
        fleiss_kappa(["a", "b"])


@pytest.mark.parametrize(
    ("level", "alpha"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849), ("ratio", 0.797)]
)
def test_alpha_published(level: str, alpha: float) -> None:
    # Krippendorff (2011), sections C and E.
    assert krippendorff_alpha(KRIPPENDORFF, level=level).estimate == pytest.approx(alpha, abs=0.0005)


ratings = arrays(
    np.float64, st.tuples(st.integers(3, 12), st.integers(2, 5)), elements=st.sampled_from([1.0, 2.0, 3.0, 7.0, NA])
)


@given(ratings, st.sampled_from(["nominal", "ordinal", "interval", "ratio"]))
@settings(max_examples=60)
def test_alpha_matches_the_krippendorff_package(data: np.ndarray, level: str) -> None:
    # Oracle: krippendorff 0.9.0 (Castro 2017).
    mine = krippendorff_alpha(data, level=level, resamples=20)
    pairable = data[(~np.isnan(data)).sum(axis=1) >= 2]
    assume(len(np.unique(pairable[~np.isnan(pairable)])) > 1)
    oracle = krippendorff.alpha(reliability_data=data.T, level_of_measurement=level)
    assert mine.estimate == pytest.approx(oracle, abs=1e-9)
    if mine.reason is None:
        assert mine.low <= mine.estimate <= mine.high <= 1


@pytest.mark.parametrize("level", ["nominal", "ordinal", "interval", "ratio"])
def test_alpha_bootstrap_matches_one_resample_at_a_time(level: str) -> None:
    # Oracle: krippendorff 0.9.0 on each of 400 resampled data sets; ordinal ranks change with the resample.
    rng = np.random.default_rng(3)
    truth = rng.integers(1, 6, 40)
    data = np.clip(truth[:, None] + rng.integers(-1, 2, (40, 3)), 1, 5).astype(float)
    mine = krippendorff_alpha(data, level=level, resamples=2000)
    draws = [
        krippendorff.alpha(reliability_data=data[rng.integers(0, 40, 40)].T, level_of_measurement=level)
        for _ in range(400)
    ]
    assert mine.se == pytest.approx(np.std(draws), rel=0.15)
    assert (mine.low, mine.high) == pytest.approx(np.quantile(draws, [0.025, 0.975]), abs=0.04)


def test_alpha_order_names_and_degenerate() -> None:
    words = [["low", "low"], ["mid", "high"], ["high", "high"], ["mid", "mid"], ["low", "mid"]]
    ordered = krippendorff_alpha(words, level="ordinal", labels=["low", "mid", "high"])
    numbers = krippendorff_alpha([[1, 1], [2, 3], [3, 3], [2, 2], [1, 2]], level="ordinal")
    assert ordered.estimate == pytest.approx(numbers.estimate)
    assert isnan(krippendorff_alpha([[1, 1], [1, 1]]).estimate)
    assert isnan(krippendorff_alpha([[1, NA], [NA, 2]]).estimate)
    perfect = krippendorff_alpha([[1, 1], [2, 2], [3, 3]])
    assert perfect.estimate == 1
    assert isnan(perfect.low)
    assert "never disagree" in str(perfect.reason)
    with pytest.raises(StatsError):
        krippendorff_alpha(words, level="interval")
    with pytest.raises(StatsError):
        krippendorff_alpha([1, 2, 3])
    with pytest.raises(StatsError):
        krippendorff_alpha([[1, np.inf], [1, 2]], level="interval")


@pytest.mark.parametrize(
    ("kind", "value", "low", "high"),
    [
        # Shrout & Fleiss (1979), table 4; intervals: R psych 2.2.9, ICC(ratings, lmer = FALSE).
        ("1,1", 0.17, -0.133, 0.72),
        ("2,1", 0.29, 0.019, 0.76),
        ("3,1", 0.71, 0.342, 0.95),
        ("1,k", 0.44, -0.884, 0.91),
        ("2,k", 0.62, 0.071, 0.93),
        ("3,k", 0.91, 0.676, 0.99),
    ],
)
def test_icc_shrout_fleiss(kind: str, value: float, low: float, high: float) -> None:
    result = intraclass_correlation(SHROUT_FLEISS, kind=kind)
    assert result.estimate == pytest.approx(value, abs=0.006)
    assert (result.low, result.high) == pytest.approx((low, high), abs=0.006)


def test_icc_degenerate_and_invariance() -> None:
    x = np.array(SHROUT_FLEISS, float)
    base = intraclass_correlation(x)
    moved = intraclass_correlation(100 + 3 * x[::-1, ::-1])
    assert (moved.estimate, moved.low, moved.high) == pytest.approx((base.estimate, base.low, base.high))
    holes = np.vstack([x, [NA, 1, 2, 3]])
    assert intraclass_correlation(holes).estimate == pytest.approx(base.estimate)
    assert "1 items" in intraclass_correlation(holes).warnings[0]
    for data in (np.ones((5, 3)), np.ones((1, 3)), np.ones((5, 1)), np.empty((0, 2))):
        assert isnan(intraclass_correlation(data).estimate)
    same = intraclass_correlation(np.tile(np.arange(6.0)[:, None], (1, 3)))
    assert same.estimate == pytest.approx(1)
    assert isnan(same.low)
    with pytest.raises(StatsError):
        intraclass_correlation([[1, np.inf], [2, 3]])
    with pytest.raises(StatsError):
        intraclass_correlation([["a", "b"]])
