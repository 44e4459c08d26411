"""Group-sequential boundaries against published tables."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bakeoff.errors import StatsError
from bakeoff.stats import (
    alpha_spent,
    group_sequential_crossing,
    group_sequential_design,
    group_sequential_interval,
    group_sequential_look,
)

DESIGN = group_sequential_design(4)

# Jennison and Turnbull 2000, table 2.1: Pocock constants C_P(K, alpha); R rpact 3.3.4 gives each to four digits:
# getDesignGroupSequential(kMax = K, alpha = alpha / 2, typeOfDesign = "P" or, below, "OF")$criticalValues
POCOCK = [(2, 0.05, 2.178), (3, 0.05, 2.289), (4, 0.05, 2.361), (5, 0.05, 2.413), (10, 0.05, 2.555), (5, 0.01, 2.986)]
# Jennison and Turnbull 2000, table 2.3: O'Brien-Fleming constants C_B(K, alpha), the last boundary
OBF = [
    (2, 0.05, 1.977),
    (3, 0.05, 2.004),
    (4, 0.05, 2.024),
    (5, 0.05, 2.040),
    (10, 0.05, 2.087),
    (4, 0.01, 2.609),
    (5, 0.01, 2.621),
]


@pytest.mark.parametrize(("k", "alpha", "constant"), POCOCK)
def test_pocock_table(k: int, alpha: float, constant: float) -> None:
    assert group_sequential_design(k, alpha=alpha, spending="pocock").critical[-1] == pytest.approx(constant, abs=6e-4)


@pytest.mark.parametrize(("k", "alpha", "constant"), OBF)
def test_obrien_fleming_table(k: int, alpha: float, constant: float) -> None:
    design = group_sequential_design(k, alpha=alpha, spending="obrien_fleming")
    assert design.critical[-1] == pytest.approx(constant, abs=6e-4)
    assert design.critical[0] == pytest.approx(constant * k**0.5, abs=6e-4 * k**0.5)


def test_lan_demets_boundaries() -> None:
    # R rpact 3.3.4: getDesignGroupSequential(kMax = 5, alpha = 0.025, typeOfDesign = "asOF" and "asP")$criticalValues
    obf = group_sequential_design(5).critical
    assert obf == pytest.approx((4.877, 3.357, 2.680, 2.290, 2.031), abs=6e-4)
    pocock = group_sequential_design(5, spending="lan_demets_pocock").critical
    assert pocock == pytest.approx((2.438, 2.427, 2.410, 2.397, 2.386), abs=1.5e-3)


# Armitage, McPherson and Rowe 1969, table 2: repeated tests at nominal 5%
@pytest.mark.parametrize(
    ("looks", "error"), [(1, 0.05), (2, 0.083), (3, 0.107), (4, 0.126), (5, 0.142), (10, 0.193), (20, 0.248)]
)
def test_repeated_significance_tests(looks: int, error: float) -> None:
    crossing = group_sequential_crossing([1.959964] * looks, looks)
    assert sum(up + down for up, down in crossing) == pytest.approx(error, abs=6e-4)


@pytest.mark.parametrize(
    "spending", ["pocock", "obrien_fleming", "lan_demets_obrien_fleming", "lan_demets_pocock", "power"]
)
def test_every_shape_spends_exactly_alpha(spending: str) -> None:
    design = group_sequential_design((0.2, 0.5, 0.7, 1.0), spending=spending)  # type: ignore[arg-type] # parametrised
    crossing = group_sequential_crossing(design.critical, design.information)
    assert np.cumsum([up + down for up, down in crossing]) == pytest.approx(design.spent, abs=1e-6)
    assert design.spent[-1] == pytest.approx(0.05, abs=1e-6)


@given(st.lists(st.floats(0.05, 0.95), min_size=1, max_size=6, unique=True))
@settings(max_examples=15, deadline=None)
def test_any_rising_looks(times: list[float]) -> None:
    times = sorted(times)
    if min(np.diff([0, *times, 1])) < 0.01:
        return
    design = group_sequential_design((*times, 1.0))
    assert list(design.spent) == sorted(design.spent)
    assert design.spent[-1] == pytest.approx(0.05)
    assert all(c > 1.9 for c in design.critical)


def test_power_matches_simulation() -> None:
    # oracle: simulated Brownian motion with drift 3 at five looks (R = 200,000, SE 0.1 point)
    design = group_sequential_design(5)
    rng = np.random.default_rng(0)
    z = (np.cumsum(rng.normal(3 / 5, 5**-0.5, (200_000, 5)), axis=1)) / np.sqrt(np.arange(1, 6) / 5)
    simulated = float((np.abs(z) >= np.array(design.critical)).any(axis=1).mean())
    crossing = group_sequential_crossing(design.critical, 5, drift=3.0)
    assert sum(up + down for up, down in crossing) == pytest.approx(simulated, abs=0.004)


def test_single_look_is_the_fixed_test() -> None:
    assert group_sequential_design(1).critical == pytest.approx((1.959964,), abs=1e-5)


def test_looks_decide() -> None:
    design = group_sequential_design(2)
    assert group_sequential_look(design, 2, float("nan")).reject is False
    assert group_sequential_look(design, 2, 0.3).stop
    assert not group_sequential_look(design, 1, 0.3).stop
    assert group_sequential_look(design, 1, -9.0).reject
    with pytest.raises(StatsError, match="look"):
        group_sequential_look(design, 3, 1.0)


@given(st.floats(-1, 1), st.floats(0.01, 0.5), st.integers(1, 4))
@settings(max_examples=40)
def test_repeated_interval_agrees_with_the_look(estimate: float, se: float, look: int) -> None:
    design = DESIGN
    interval = group_sequential_interval(design, look, estimate, standard_error=se)
    rejects = group_sequential_look(design, look, estimate / se).reject
    assert rejects == (interval.low >= 0 or interval.high <= 0)
    assert group_sequential_interval(design, look, estimate, standard_error=0.0).reason is not None


@pytest.mark.parametrize("bad", [(), (0.5,), (0.5, 0.4, 1.0), (0.0, 1.0), (0.5, 1.2)])
def test_bad_information_is_refused(bad: tuple[float, ...]) -> None:
    with pytest.raises(StatsError, match="information"):
        group_sequential_design(bad)


def test_spending_functions_end_at_alpha() -> None:
    for name in ("lan_demets_obrien_fleming", "lan_demets_pocock", "power"):
        assert alpha_spent(1.0, spending=name) == pytest.approx(0.05)  # type: ignore[arg-type] # parametrised
        assert alpha_spent(0.0, spending=name) == 0  # type: ignore[arg-type] # parametrised
    tiny = group_sequential_design((0.001, 1.0))
    assert tiny.critical[0] == inf
