"""C4: type I error with items in clusters, ICC 0.3, unequal sizes around 5."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from bakeoff.stats import clustered_mean, compare, mean_t

if TYPE_CHECKING:
    from collections.abc import Callable

    Rejects = Callable[[np.ndarray, np.ndarray], bool]

GROUPS = (10, 20, 50, 100)
RUNS = 4_000
ICC = 0.3


def excludes_zero(e) -> bool:
    return bool(e.low > 0 or e.high < 0)


def product(variance: str) -> Rejects:
    return lambda y, g: excludes_zero(clustered_mean(y, g, variance=variance))


def by_compare(y: np.ndarray, g: np.ndarray) -> bool:
    return compare(y, np.zeros(y.size), clusters=g).p_value <= 0.05


def iid(y: np.ndarray, g: np.ndarray) -> bool:
    """Known-bad: clusters ignored."""
    return excludes_zero(mean_t(y))


@cache
def check(rejects: Rejects, groups: int, runs: int = RUNS, size: int = 5) -> float:
    """Share of data sets without an effect in which the method finds one."""
    rng = np.random.default_rng(1_000 + groups)
    count = 0
    for _ in range(runs):
        sizes = 1 + rng.poisson(size - 1, groups)
        g = np.repeat(np.arange(groups), sizes)
        y = np.sqrt(ICC) * rng.normal(size=groups)[g] + np.sqrt(1 - ICC) * rng.normal(size=g.size)
        count += rejects(y, g)
    return count / runs


def limits(variance: str, groups: int) -> tuple[float, float]:
    if groups == 10:
        return 0.0, 0.072 if variance == "cr1" else 0.062
    return (0.035, 0.062) if groups >= 50 else (0.0, 0.064)


PRODUCT = {name: product(name) for name in ("cr1", "cr2", "cluster_means")}


def measure() -> list[dict]:
    rows = []
    for variance, rejects in PRODUCT.items():
        for groups in GROUPS:
            low, high = limits(variance, groups)
            size = check(rejects, groups)
            rows.append(
                {
                    "check": "C4",
                    "property": f"type I error with clusters, {variance}",
                    "cell": f"{groups} clusters of about 5, ICC {ICC}",
                    "measured": size,
                    "limit": f"{100 * low:g}% to {100 * high:g}%",
                    "known_bad": check(iid, groups, 1_000),
                    "passed": low <= size <= high,
                }
            )
    return rows


def test_type_one_error_holds():
    failed = [row for row in measure() if not row["passed"]]
    assert not failed


def test_compare_uses_the_same_standard_error():
    assert check(by_compare, 20, 1_000) == check(PRODUCT["cr2"], 20, 1_000)


def test_known_bad_fails():
    assert check(iid, 50, 1_000) > 0.15  # reference: 21%
    assert check(iid, 20, 500, 20) > 0.35  # reference: 46% at size 20
    assert check(product("cr0"), 10, 2_000) > 0.075  # reference: 10.3%
