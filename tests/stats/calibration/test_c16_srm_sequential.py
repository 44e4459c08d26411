"""C16, sequential part: false alarms and power of the watchable SRM check."""

from __future__ import annotations

from functools import cache

import numpy as np

from bakeoff.stats import srm_e_value
from bakeoff.stats.core._dist import chi2_sf

RATIO = (1.0, 1.0)


def counts(share: float, runs: int, looks: int, step: int, seed: int) -> np.ndarray:
    first = np.random.default_rng(seed).binomial(step, share, size=(runs, looks)).cumsum(axis=1)
    total = step * np.arange(1, looks + 1)
    return np.stack([first, total - first], axis=-1).astype(float)


def e_value(n: np.ndarray) -> np.ndarray:
    return srm_e_value(n, RATIO) >= 1000


def chi_square(n: np.ndarray) -> np.ndarray:
    expected = n.sum(axis=-1, keepdims=True) / 2
    return chi2_sf(((n - expected) ** 2 / expected).sum(axis=-1), 1) <= 0.001


def alarms(method: object, share: float, runs: int, step: int, seed: int = 29) -> float:
    assert callable(method)
    return float(method(counts(share, runs, 200, step, seed)).any(axis=1).mean())


@cache
def measure() -> list[dict[str, object]]:
    false, bad = alarms(e_value, 0.5, 5_000, 500), alarms(chi_square, 0.5, 5_000, 500)
    power = alarms(e_value, 0.52, 2000, 100)
    return [
        {"check": "C16", "property": "sequential SRM false alarms at .001, 200 looks", "cell": "50/50, N=100,000",
         "measured": false, "limit": "<= 0.3%", "known_bad": bad, "passed": false <= 0.003},
        {"check": "C16", "property": "sequential SRM power by 20,000 units", "cell": "52/48",
         "measured": power, "limit": ">= 90%", "known_bad": None, "passed": power >= 0.9},
    ]  # fmt: skip


def test_within_limits() -> None:
    assert all(row["passed"] for row in measure()), measure()


def test_rereading_chi_square_fails() -> None:
    assert alarms(chi_square, 0.5, 5_000, 500) > 0.01  # reference 1.75% at a nominal 0.1%
