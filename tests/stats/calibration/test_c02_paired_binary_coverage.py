"""C2: coverage of paired differences of pass rates, by exact enumeration of the trinomial."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import gammaln

from bakeoff.stats import PairedTable, paired_proportion_difference

if TYPE_CHECKING:
    from collections.abc import Callable

    Limits = Callable[[int, int, int], tuple[float, float]]

SIZES = (20, 50, 100, 200, 500)
CELLS = ((0.1, 0.0), (0.1, 0.05), (0.2, 0.0), (0.2, 0.1), (0.3, 0.15))
METHODS = ("bonett_price", "tango", "newcombe")
MINIMUM = 0.945
RARE = 1e-8
"""Cells of less than this probability are skipped and counted as misses."""


def product(method: str) -> Limits:
    @cache
    def limits(b: int, c: int, n: int) -> tuple[float, float]:
        both = (n - b - c) // 2
        table = PairedTable(both=both, candidate_only=b, baseline_only=c, neither=n - b - c - both)
        e = paired_proportion_difference(table, method=method)
        return e.low, e.high

    return limits


def wald(b: int, c: int, n: int) -> tuple[float, float]:
    """Known-bad: the textbook normal interval."""
    d = (b - c) / n
    half = 1.959964 * math.sqrt(max((b + c) / n - d * d, 0.0) / n)
    return d - half, d + half


def check(limits: Limits) -> dict[tuple[int, float, float], float]:
    """Exact probability that the interval holds the true difference."""
    coverage = {}
    for n in SIZES:
        b, c = np.meshgrid(np.arange(n + 1), np.arange(n + 1), indexing="ij")
        b, c = b[b + c <= n], c[b + c <= n]
        log_ways = gammaln(n + 1) - gammaln(b + 1) - gammaln(c + 1) - gammaln(n - b - c + 1)
        for s, delta in CELLS:
            p12, p21 = (s + delta) / 2, (s - delta) / 2
            pmf = np.exp(log_ways + b * math.log(p12) + c * math.log(p21) + (n - b - c) * math.log(1 - s))
            total = 0.0
            for i, j, p in zip(b[pmf > RARE].tolist(), c[pmf > RARE].tolist(), pmf[pmf > RARE].tolist(), strict=True):
                low, high = limits(i, j, n)
                total += p * (low <= delta <= high)
            coverage[n, s, delta] = total
    return coverage


def measure() -> list[dict]:
    bad = check(wald)
    return [
        {
            "check": "C2",
            "property": f"coverage of p1 - p2, {method}",
            "cell": f"n={n}, discordance {s}, difference {delta}",
            "measured": covered,
            "limit": f">= {100 * MINIMUM}%",
            "known_bad": bad[n, s, delta],
            "passed": covered >= MINIMUM,
        }
        for method in METHODS
        for (n, s, delta), covered in check(product(method)).items()
    ]


def test_every_interval_covers_everywhere():
    failed = [row for row in measure() if not row["passed"]]
    assert not failed


def test_known_bad_fails():
    worst = min(check(wald).values())
    assert worst < 0.80  # reference: 78.0% at n=20, s=.1, difference .05
