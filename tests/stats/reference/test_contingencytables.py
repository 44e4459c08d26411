"""Intervals and tests for two rates as the R package contingencytables prints them.

Source: the expected output in the test suite of ocbe-uio/contingencytables (the package of Fagerland, Lydersen &
Laake, Statistical Analysis of Contingency Tables, 2017), files tests/testthat/test-ch2.R, test-ch4.R and test-ch8.R,
read in its public repository; the counts are those of its calls (of ezra_2010 it prints 12.5, which is 25 against 2).
"""

from __future__ import annotations

import pytest

from bakeoff.stats import (
    Estimate,
    PairedTable,
    clopper_pearson,
    jeffreys,
    mcnemar,
    paired_odds_ratio,
    paired_proportion_difference,
    proportion_difference,
    two_proportion_test,
    wilson,
)

CAVO = PairedTable(both=59, candidate_only=6, baseline_only=16, neither=80)
EZRA = PairedTable(both=0, candidate_only=25, baseline_only=2, neither=0)


def ends(e: Estimate) -> tuple[float, float]:
    return e.low, e.high


@pytest.mark.parametrize(
    ("interval", "printed"),
    [
        (wilson(13, 16), (0.5699, 0.9341)),
        (clopper_pearson(13, 16), (0.5435, 0.9595)),
        (jeffreys(13, 16), (0.5792, 0.9442)),
        (paired_proportion_difference(CAVO, method="tango"), (-0.1240, -0.0054)),
        (paired_proportion_difference(CAVO, method="newcombe"), (-0.1186, -0.0046)),
        (paired_proportion_difference(CAVO, method="bonett_price"), (-0.1195, -0.0032)),
        (paired_odds_ratio(EZRA), (3.1169, 108.8892)),
        (proportion_difference(7, 34, baseline_successes=1, baseline_n=34), (0.0189, 0.3404)),
        (proportion_difference(7, 34, baseline_successes=1, baseline_n=34, method="agresti_caffo"), (0.0116, 0.3217)),
        (
            proportion_difference(0, 16, baseline_successes=15, baseline_n=72, method="miettinen_nurminen"),
            (-0.3164, -0.0056),
        ),
    ],
    ids=[
        "wilson", "clopper_pearson", "jeffreys", "tango", "newcombe_paired", "bonett_price", "paired_odds_ratio",
        "newcombe", "agresti_caffo", "miettinen_nurminen",
    ],
)  # fmt: skip
def test_interval(interval: Estimate, printed: tuple[float, float]) -> None:
    assert ends(interval) == pytest.approx(printed, abs=6e-5)


@pytest.mark.parametrize(
    ("method", "printed"),
    [("asymptotic", 0.033006), ("continuity", 0.055009), ("exact", 0.052479), ("midp", 0.034690)],
)
def test_mcnemar(method: str, printed: float) -> None:
    assert mcnemar(CAVO, method=method).p_value == pytest.approx(printed, abs=6e-7)  # type: ignore[arg-type]


def test_fisher() -> None:
    got = two_proportion_test(0, 16, baseline_successes=15, baseline_n=72, method="fisher").p_value
    assert got == pytest.approx(0.06287, abs=6e-6)
