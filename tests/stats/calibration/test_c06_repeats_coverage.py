"""C6: coverage of one score from repeated samples, 50 items x 10."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from bakeoff.stats import summarize, wilson

if TYPE_CHECKING:
    from collections.abc import Callable

    from bakeoff.stats import Estimate

    Method = Callable[[np.ndarray], Estimate]

RUNS = 4_000
LOW, HIGH = 0.935, 0.97


def pooled(x: np.ndarray) -> Estimate:
    """Known-bad: Wilson on n times K trials."""
    return wilson(int(x.sum()), x.size)


@cache
def check(method: Method, runs: int = RUNS) -> float:
    """Coverage of the population pass rate, 0.5."""
    rng = np.random.default_rng(6)
    hits = 0
    for _ in range(runs):
        x = (rng.random((50, 10)) < rng.beta(1, 1, (50, 1))) * 1.0
        e = method(x)
        hits += e.low <= 0.5 <= e.high
    return hits / runs


def measure() -> list[dict]:
    covered = check(summarize)
    return [
        {
            "check": "C6",
            "property": "coverage of one score with repeats",
            "cell": "50 items x 10 repeats",
            "measured": covered,
            "limit": f"{100 * LOW:g}% to {100 * HIGH:g}%",
            "known_bad": check(pooled, 1_000),
            "passed": LOW <= covered <= HIGH,
        }
    ]


def test_coverage_holds():
    assert all(row["passed"] for row in measure())


def test_known_bad_fails():
    assert check(pooled, 1_000) < 0.75  # reference: 65.9%
