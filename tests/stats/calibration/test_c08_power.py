"""C8, C8b: the power that the planner promises is the power of the test that is then run."""

from __future__ import annotations

from functools import cache
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy import special, stats

from bakeoff.stats import (
    ComparisonDesign,
    PairedTable,
    compare,
    design_from_pilot,
    items_needed,
    mcnemar,
    planned_power,
)

if TYPE_CHECKING:
    from collections.abc import Callable

CELLS = ((0.15, 0.05), (0.12, 0.06), (0.2, 0.1), (0.1, 0.02), (0.3, 0.15))
"""p10, p01: the last but one has a rare loss, where the normal formula is off by two points."""


def exact_power(n: int, p10: float, p01: float, method: str = "midp") -> float:
    """Power of the public `mcnemar`, every table with a chance above 1e-7 enumerated."""
    b, c = np.meshgrid(np.arange(n + 1), np.arange(n + 1), indexing="ij")
    inside = b + c <= n
    b, c = b[inside], c[inside]
    weight = stats.binom.pmf(b, n, p10) * stats.binom.pmf(c, n - b, p01 / (1 - p10))
    kept = weight > 1e-7
    b, c, weight = b[kept], c[kept], weight[kept]
    significant = {}
    for m, k in {(int(x + y), int(min(x, y))) for x, y in zip(b, c, strict=True)}:
        table = PairedTable(both=0, candidate_only=m - k, baseline_only=k, neither=n - m)
        significant[m, k] = mcnemar(table, method=method).p_value <= 0.05
    hit = np.array([significant[int(x + y), int(min(x, y))] for x, y in zip(b, c, strict=True)])
    return float(weight @ hit)


def product_items(p10: float, p01: float, power: float) -> int:
    design = ComparisonDesign(baseline_rate=0.5, discordance=p10 + p01, power=power)
    return items_needed(p10 - p01, design=design).n_items or 0


def unpaired_items(p10: float, p01: float, power: float) -> int:
    design = ComparisonDesign(baseline_rate=0.5, paired=False, power=power)
    return items_needed(p10 - p01, design=design).n_items or 0


def worst_gap(planner: Callable[[float, float, float], int], test: str = "midp") -> float:
    """Largest |promised - actual| power, in points, over the cells."""
    gaps = [
        100 * abs(exact_power(planner(p10, p01, power), p10, p01, test) - power)
        for p10, p01 in CELLS
        for power in (0.8, 0.9)
    ]
    return max(gaps)


def trials(rng: np.random.Generator, runs: int, n: int, k: int, shift: float) -> tuple[np.ndarray, np.ndarray]:
    """Pass rates of items under two variants, Beta(2, 1) items with a shift of its own for each variant."""
    logit = special.logit(rng.beta(2, 1, (runs, n)))
    means = []
    for extra in (shift, 0.0):
        p = special.expit(logit + extra + rng.normal(0, 0.8, (runs, n)))
        means.append(rng.binomial(k, p) / k)
    return means[0], means[1]


def actual_power(n: int, k: int, shift: float, runs: int = 4_000) -> float:
    """Rejections of the paired t-test on item means; `compare` on the first runs must agree."""
    a, b = trials(np.random.default_rng(21), runs, n, k, shift)
    d = a - b
    t = d.mean(axis=1) / (d.std(axis=1, ddof=1) / sqrt(n))
    p = 2 * stats.t.sf(np.abs(t), n - 1)
    for run in range(20):
        assert compare(a[run], b[run], kind="bounded").p_value == pytest.approx(p[run])
    return float((p <= 0.05).mean())


def promised_power(n: int, k: int, shift: float, *, forget_generation: bool = False) -> float:
    """What the planner says after a large pilot with `k` repeats."""
    rng = np.random.default_rng(22)
    logit = special.logit(rng.beta(2, 1, 20_000))
    scores = []
    for extra in (shift, 0.0):
        p = special.expit(logit + extra + rng.normal(0, 0.8, 20_000))
        scores.append((rng.random((20_000, k)) < p[:, None]).astype(float))
    pilot = design_from_pilot(scores[0], scores[1], design=ComparisonDesign(kind="bounded", repeats=k))
    many, z = special.logit(rng.beta(2, 1, 400_000)), rng.normal(0, 0.8, 400_000)
    difference = float(np.mean(special.expit(many + shift + z) - special.expit(many + z)))  # the truth, not the pilot's
    design = pilot.design
    if forget_generation:  # plan with the variance between items alone, as if runs were free of noise
        share = design.generation_share or 0.0
        design = ComparisonDesign(kind="bounded", sd=(design.sd or 0.0) * sqrt(1 - share), generation_share=0.0)
    return planned_power(n, difference, design=design)


REPEATS = ((100, 3, 0.62), (200, 3, 0.42), (200, 5, 0.44))


@cache
def measure() -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    value, bad = worst_gap(product_items), worst_gap(unpaired_items)
    rows.append(
        {
            "check": "C8",
            "property": "promised against exact power of the mid-p test, worst of 10 (points)",
            "cell": "5 cells x 80/90%",
            "measured": value,
            "limit": "<= 2.0",
            "known_bad": bad,
            "passed": value <= 2.0,
        }
    )
    for n, k, shift in REPEATS:
        actual, promised = actual_power(n, k, shift), promised_power(n, k, shift)
        bad = 100 * abs(promised_power(n, k, shift, forget_generation=True) - actual)
        gap = 100 * abs(promised - actual)
        rows.append(
            {
                "check": "C8b",
                "property": "promised against simulated power with repeats (points)",
                "cell": f"n={n}, K={k}: {100 * promised:.1f}% / {100 * actual:.1f}%",
                "measured": gap,
                "limit": "<= 2.2",
                "known_bad": bad,
                "passed": gap <= 2.2,
            }
        )
    return rows


@pytest.mark.parametrize("check", ["C8", "C8b"])
def test_within_limits(check: str) -> None:
    rows = [row for row in measure() if row["check"] == check]
    assert rows
    assert all(row["passed"] for row in rows), rows


def test_known_bad_methods_fail() -> None:
    for row in measure():
        limit = 2.0 if row["check"] == "C8" else 2.2
        assert isinstance(row["known_bad"], float)
        assert row["known_bad"] > limit, row
    # a planner for one test and a run of another disagree: exact McNemar after planning for mid-p
    assert worst_gap(product_items, "exact") > 2.0
