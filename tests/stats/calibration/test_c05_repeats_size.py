"""C5: type I error with repeated samples of each item; variants differ by item but not on average."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from bakeoff.stats import compare, mean_t, proportion_difference

if TYPE_CHECKING:
    from collections.abc import Callable

    Rejects = Callable[[np.ndarray, np.ndarray], bool]

CELLS = ((20, 10), (50, 10), (100, 5))
RUNS = 4_000
LOW, HIGH = 0.036, 0.064


def product(a: np.ndarray, b: np.ndarray) -> bool:
    return compare(a, b).p_value <= 0.05


def pooled_paired(a: np.ndarray, b: np.ndarray) -> bool:
    """Known-bad: every repeat counts as an independent item."""
    e = mean_t((a - b).ravel())
    return bool(e.low > 0 or e.high < 0)


def pooled_unpaired(a: np.ndarray, b: np.ndarray) -> bool:
    """Known-bad: all repeats pooled, pairing thrown away too."""
    e = proportion_difference(int(a.sum()), a.size, baseline_successes=int(b.sum()), baseline_n=b.size)
    return bool(e.low > 0 or e.high < 0)


@cache
def check(rejects: Rejects, n: int, k: int, runs: int = RUNS) -> float:
    """Share of data sets without an average effect in which the method finds one."""
    rng = np.random.default_rng(50 + n)
    count = 0
    for _ in range(runs):
        base = rng.beta(1, 1, n)
        logit = np.log(base / (1 - base))
        a, b = (rng.random((n, k)) < 1 / (1 + np.exp(-logit - rng.normal(size=n)))[:, None] for _ in range(2))
        count += rejects(a * 1.0, b * 1.0)
    return count / runs


def measure() -> list[dict]:
    return [
        {
            "check": "C5",
            "property": "type I error with repeats",
            "cell": f"{n} items x {k} repeats",
            "measured": check(product, n, k),
            "limit": f"{100 * LOW:g}% to {100 * HIGH:g}%",
            "known_bad": check(pooled_paired, n, k, 1_000),
            "passed": LOW <= check(product, n, k) <= HIGH,
        }
        for n, k in CELLS
    ]


def test_type_one_error_holds():
    failed = [row for row in measure() if not row["passed"]]
    assert not failed


def test_known_bad_fails():
    for n, k in CELLS:
        assert check(pooled_paired, n, k, 1_000) > HIGH + 0.02
    assert check(pooled_unpaired, 50, 10, 1_000) > HIGH
