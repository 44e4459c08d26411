"""C14: coverage of the add-half interval for Cohen's kappa."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from statsmodels.stats.inter_rater import cohens_kappa

from bakeoff.stats import cohen_kappa

if TYPE_CHECKING:
    from collections.abc import Callable

CELLS = ((50, 0.8, 0.9), (100, 0.5, 0.8), (100, 0.9, 0.95), (200, 0.8, 0.9))


def ours(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    result = cohen_kappa(a, b)
    return result.low, result.high


def plain_delta(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    result = cohens_kappa(np.bincount(2 * a + b, minlength=4).reshape(2, 2))
    return result.kappa_low, result.kappa_upp


def check(
    method: Callable[[np.ndarray, np.ndarray], tuple[float, float]],
    n: int,
    prevalence: float,
    accuracy: float,
    runs: int,
) -> float:
    """Return coverage for two raters who each report the truth with the given accuracy."""
    rng = np.random.default_rng(1414)
    truth = rng.random((runs, n)) < prevalence
    first, second = ((rng.random((runs, n)) < accuracy) == truth for _ in range(2))
    share = prevalence * accuracy + (1 - prevalence) * (1 - accuracy)
    chance = share**2 + (1 - share) ** 2
    kappa = (accuracy**2 + (1 - accuracy) ** 2 - chance) / (1 - chance)
    limits = np.array([method(a, b) for a, b in zip(first.astype(int), second.astype(int), strict=True)])
    return float(((limits[:, 0] <= kappa) & (kappa <= limits[:, 1])).mean())


@cache
def measure() -> list[dict[str, object]]:
    rows = []
    for n, prevalence, accuracy in CELLS:
        cover = check(ours, n, prevalence, accuracy, 3000)
        bad = check(plain_delta, n, prevalence, accuracy, 800)
        rows.append(
            {"check": "C14", "property": "coverage of kappa", "measured": cover, "limit": ">= 93.8%",
             "cell": f"n={n}, prevalence {prevalence:.0%}, rater accuracy {accuracy:.0%}", "known_bad": bad,
             "passed": cover >= 0.938}
        )  # fmt: skip
    return rows


def test_within_limits() -> None:
    assert all(row["passed"] for row in measure()), measure()


def test_plain_delta_method_fails() -> None:
    assert min(float(str(row["known_bad"])) for row in measure()) < 0.93  # reference 91.5%
