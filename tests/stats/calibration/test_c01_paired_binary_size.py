"""C1: type I error of the McNemar tests by exact enumeration of the trinomial."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr
from scipy.stats import binom

from bakeoff.stats import PairedTable, mcnemar

if TYPE_CHECKING:
    from collections.abc import Callable

    P = Callable[[int, int, int], float]

SIZES = (50, 100, 200, 500, 1000)
DISCORDANCE = (0.1, 0.2, 0.4)


def table(b: int, c: int, n: int) -> PairedTable:
    return PairedTable(both=(n - b - c) // 2, candidate_only=b, baseline_only=c, neither=n - b - c - (n - b - c) // 2)


def product(method: str) -> P:
    return lambda b, c, n: mcnemar(table(b, c, n), method=method).p_value


def unpaired_z(b: int, c: int, n: int) -> float:
    """Known-bad: two independent proportions, the pairing thrown away."""
    both = (n - b - c) // 2
    pooled = (2 * both + b + c) / (2 * n)
    return 2 * float(ndtr(-abs(b - c) / n / math.sqrt(2 * pooled * (1 - pooled) / n)))


def pooled_repeats(b: int, c: int, n: int) -> float:
    """Known-bad: five identical repeats of each item counted as five items."""
    return mcnemar(table(5 * b, 5 * c, 5 * n)).p_value


def largest_rejected(p: P, m: int, n: int) -> int:
    """Largest b <= m/2 with p <= 5%, or -1; p rises with b."""
    low, high = -1, m // 2
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if p(middle, m - middle, n) <= 0.05 else (low, middle - 1)
    return low


def check(p: P) -> dict[tuple[int, float], float]:
    """Exact probability of p <= 5% under the null, for each n and discordance."""
    sizes = {}
    for n in SIZES:
        region: dict[int, int] = {}
        for s in DISCORDANCE:
            spread = 7 * math.sqrt(n * s * (1 - s))
            ms = np.arange(max(0, math.floor(n * s - spread)), min(n, math.ceil(n * s + spread)) + 1)
            for m in ms.tolist():
                if m not in region:
                    region[m] = largest_rejected(p, m, n)
            k = np.array([region[m] for m in ms.tolist()])
            # b = c = m/2 is one cell, not two; it is never rejected by an honest test.
            tails = np.where(k >= 0, np.minimum(2 * binom.cdf(k, ms, 0.5), 1.0), 0.0)
            sizes[n, s] = float(binom.pmf(ms, n, s) @ tails)
    return sizes


LIMITS = {"exact": (0.0, 0.0500), "midp": (0.040, 0.0505), "asymptotic": (0.040, 0.053)}


def passed(method: str, n: int, s: float, size: float) -> bool:
    low, high = LIMITS[method]
    return size <= high and (size >= low or n * s < 20)


def measure() -> list[dict]:
    bad = check(unpaired_z)
    rows = []
    for method, (low, high) in LIMITS.items():
        for (n, s), size in check(product(method)).items():
            limit = f"<= {100 * high:.2f}%" + (f", >= {100 * low:.0f}%" if low and n * s >= 20 else "")
            rows.append(
                {
                    "check": "C1",
                    "property": f"type I error, McNemar {method}",
                    "cell": f"n={n}, discordance {s}",
                    "measured": size,
                    "limit": limit,
                    "known_bad": bad[n, s],
                    "passed": passed(method, n, s, size),
                }
            )
    return rows


def test_every_method_holds_its_level():
    failed = [row for row in measure() if not row["passed"]]
    assert not failed


def test_known_bad_methods_fail():
    assert any(not passed("midp", n, s, size) for (n, s), size in check(unpaired_z).items())
    pooled = check(pooled_repeats)
    assert all(size > 0.2 for size in pooled.values())
    assert not any(passed("midp", n, s, size) for (n, s), size in pooled.items())
