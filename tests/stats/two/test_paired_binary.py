from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq, minimize_scalar
from statsmodels.stats.contingency_tables import mcnemar as sm_mcnemar

from bakeoff.errors import StatsError
from bakeoff.stats import PairedTable, mcnemar, paired_odds_ratio, paired_proportion_difference, paired_table

# Fagerland, Lydersen & Laake (2013, 2014), Statistics in Medicine / BMC Med Res Methodol 13:91:
AIRWAY = PairedTable(both=1, candidate_only=1, baseline_only=7, neither=12)  # airway hyper-responsiveness, n = 21
RESPONSE = PairedTable(both=59, candidate_only=6, baseline_only=16, neither=80)  # complete response, n = 161
# Tango (1998), Statistics in Medicine 17:891-908: soft contact lens study, n = 44.
LENS = PairedTable(both=43, candidate_only=0, baseline_only=1, neither=0)

tables = st.builds(
    PairedTable,
    both=st.integers(0, 200),
    candidate_only=st.integers(0, 200),
    baseline_only=st.integers(0, 200),
    neither=st.integers(0, 200),
)


@pytest.mark.parametrize(
    ("table", "method", "p"),
    [
        # BMC Med Res Methodol 13:91, table 5 and text; R 4.2.2:
        # mcnemar.test(matrix(c(1, 7, 1, 12), 2)), binom.test(1, 8)
        # and, for the mid-p, binom.test(6, 22)$p.value - dbinom(6, 22, 0.5).
        (AIRWAY, "asymptotic", 0.034),
        (AIRWAY, "continuity", 0.077),
        (AIRWAY, "exact", 0.070),
        (AIRWAY, "midp", 0.039),
        (RESPONSE, "asymptotic", 0.033),
        (RESPONSE, "exact", 0.0525),
        (RESPONSE, "midp", 0.035),
    ],
)
def test_mcnemar_published(table, method, p):
    assert mcnemar(table, method=method).p_value == pytest.approx(p, abs=5.1e-4)


@pytest.mark.parametrize(("b", "c"), [(3, 11), (40, 22), (0, 6), (130, 100)])
def test_mcnemar_against_statsmodels(b, c):
    table = PairedTable(both=10, candidate_only=b, baseline_only=c, neither=20)
    square = [[10, b], [c, 20]]
    assert mcnemar(table, method="exact").p_value == pytest.approx(sm_mcnemar(square, exact=True).pvalue)
    for name, correction in (("asymptotic", False), ("continuity", True)):
        expected = sm_mcnemar(square, exact=False, correction=correction).pvalue
        assert mcnemar(table, method=name).p_value == pytest.approx(expected)


def test_agresti_approval_ratings():
    # Agresti, Categorical Data Analysis, approval of the Prime Minister: z^2 = 17.36, n = 1600;
    # R 4.2.2: mcnemar.test(matrix(c(794, 86, 150, 570), 2), correct = FALSE).
    table = PairedTable(both=794, candidate_only=86, baseline_only=150, neither=570)
    assert mcnemar(table, method="asymptotic").statistic ** 2 == pytest.approx(17.36, abs=0.005)


@given(table=tables)
def test_midp_by_its_definition(table):
    b, m = table.candidate_only, table.discordant
    if m == 0:
        return
    pmf = np.array([math.comb(m, k) for k in range(m + 1)], dtype=object)
    low = min(b, m - b)
    exact = min(1.0, 2 * sum(pmf[: low + 1]) / 2**m)
    midp = min(1.0, (2 * sum(pmf[: low + 1]) - pmf[low]) / 2**m)
    assert mcnemar(table, method="exact").p_value == pytest.approx(exact, rel=1e-9)
    assert mcnemar(table).p_value == pytest.approx(midp, rel=1e-9)


@given(table=tables)
def test_mcnemar_symmetry_and_one_sided_order(table):
    mirrored = PairedTable(
        both=table.both,
        candidate_only=table.baseline_only,
        baseline_only=table.candidate_only,
        neither=table.neither,
    )
    for method in ("midp", "exact", "asymptotic", "continuity"):
        one, other = mcnemar(table, method=method), mcnemar(mirrored, method=method)
        assert one.p_value == pytest.approx(other.p_value, nan_ok=True)
        if table.n:
            assert 0 <= one.p_value <= 1
            greater = mcnemar(table, method=method, alternative="greater").p_value
            assert greater == pytest.approx(mcnemar(mirrored, method=method, alternative="less").p_value)
    if table.n:
        assert mcnemar(table).p_value <= mcnemar(table, method="exact").p_value


@pytest.mark.parametrize(
    ("table", "method", "low", "high"),
    [
        # Fagerland, Lydersen & Laake (2014), Statistics in Medicine 33:2850-2875, airway example.
        (AIRWAY, "tango", -0.517, -0.026),
        (AIRWAY, "newcombe", -0.507, -0.026),
    ],
)
def test_intervals_published(table, method, low, high):
    e = paired_proportion_difference(table, method=method)
    assert (e.low, e.high) == pytest.approx((low, high), abs=5.1e-4)


def tango_by_optimisation(table, delta):
    """Score statistic with the restricted likelihood maximised numerically (Tango 1998 gives the closed form)."""
    b, c, n = table.candidate_only, table.baseline_only, table.n

    def minus_log_likelihood(p21):
        p12 = p21 + delta
        rest = 1 - p12 - p21
        terms = ((b, p12), (c, p21), (n - b - c, rest))
        return -sum(k * math.log(max(p, 1e-300)) for k, p in terms if k)

    low, high = max(0.0, -delta), (1 - delta) / 2
    p21 = minimize_scalar(minus_log_likelihood, bounds=(low, high), method="bounded", options={"xatol": 1e-12}).x
    return (b - c - n * delta) / math.sqrt(n * (2 * p21 + delta - delta**2))


@pytest.mark.parametrize(
    "table",
    [AIRWAY, RESPONSE, PairedTable(both=30, candidate_only=12, baseline_only=3, neither=15)],
)
def test_tango_against_numeric_optimisation(table):
    e = paired_proportion_difference(table, method="tango")
    for end, sign in ((e.low, 1), (e.high, -1)):
        root = brentq(lambda d, s=sign: tango_by_optimisation(table, d) - s * 1.959964, end - 0.02, end + 0.02)
        assert end == pytest.approx(root, abs=1e-5)


def test_bonett_price_by_hand():
    # b=1, c=7, n=21: p12 = 2/23, p21 = 8/23, variance (10/23 - (6/23)^2)/23; Fagerland et al. (2014) print
    # -0.508 to -0.013.
    e = paired_proportion_difference(AIRWAY)
    half = 1.959964 * math.sqrt((10 / 23 - (6 / 23) ** 2) / 23)
    assert (e.low, e.high) == pytest.approx((-6 / 23 - half, -6 / 23 + half), abs=1e-6)
    assert (e.low, e.high) == pytest.approx((-0.508, -0.013), abs=5.1e-4)


@given(table=tables, method=st.sampled_from(["bonett_price", "tango", "newcombe"]))
def test_interval_is_possible_symmetric_and_never_certain(table, method):
    if table.n == 0:
        return
    mirrored = PairedTable(
        both=table.neither,
        candidate_only=table.baseline_only,
        baseline_only=table.candidate_only,
        neither=table.both,
    )
    e, m = (paired_proportion_difference(t, method=method) for t in (table, mirrored))
    assert -1 <= e.low < e.high <= 1
    if method != "bonett_price":  # its centre is shrunken towards zero
        assert e.low - 1e-9 <= e.estimate <= e.high + 1e-9
    assert (m.low, m.high) == pytest.approx((-e.high, -e.low), abs=1e-9)


@given(table=tables)
def test_tango_interval_and_asymptotic_mcnemar_agree(table):
    # Both invert the same score test, and at zero the score test is McNemar's.
    if table.discordant == 0:
        return
    e = paired_proportion_difference(table, method="tango")
    p = mcnemar(table, method="asymptotic").p_value
    if abs(p - 0.05) > 1e-6:
        assert (e.low > 0 or e.high < 0) == (p < 0.05)


def test_no_discordant_item_is_no_certainty():
    table = PairedTable(both=30, candidate_only=0, baseline_only=0, neither=0)
    assert mcnemar(table).p_value == 1
    for method in ("bonett_price", "tango", "newcombe"):
        e = paired_proportion_difference(table, method=method)
        assert e.high > 0.05
        assert e.low < -0.05
    assert math.isnan(paired_odds_ratio(table).estimate)
    assert paired_odds_ratio(table).reason


def test_odds_ratio_by_its_definition():
    # Clopper-Pearson on 16 of 22 gives (0.4978, 0.8927); p/(1-p).
    e = paired_odds_ratio(PairedTable(both=59, candidate_only=16, baseline_only=6, neither=80))
    assert (e.estimate, e.low, e.high) == pytest.approx((16 / 6, 0.4978 / 0.5022, 0.8927 / 0.1073), rel=2e-3)
    assert paired_odds_ratio(PairedTable(both=0, candidate_only=4, baseline_only=0, neither=0)).high == math.inf


def test_table_counts_complete_pairs():
    t = paired_table([1, 1, 0, np.nan, 0], [1, 0, 1, 1, 0])
    assert (t.both, t.candidate_only, t.baseline_only, t.neither, t.n) == (1, 1, 1, 1, 4)


@pytest.mark.parametrize(
    "call",
    [
        lambda: PairedTable(both=-1, candidate_only=0, baseline_only=0, neither=0),
        lambda: PairedTable(both=1.5, candidate_only=0, baseline_only=0, neither=0),
        lambda: paired_table([1, 0], [1]),
        lambda: paired_table([0.5], [1]),
        lambda: mcnemar(LENS, method="x"),
        lambda: mcnemar(LENS, alternative="both"),
        lambda: paired_proportion_difference(LENS, method="wald"),
        lambda: paired_proportion_difference(LENS, confidence=0),
    ],
)
def test_bad_input_is_explained(call):
    with pytest.raises(StatsError):
        call()
