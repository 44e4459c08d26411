"""C21: coverage of a mean from 20 or 50 items: bounded scores, heavy skew, differences of 1-5 ratings."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from bakeoff.stats import bootstrap_mean, summarize

if TYPE_CHECKING:
    from collections.abc import Callable

    from bakeoff.stats import Estimate

    Method = Callable[[np.ndarray], Estimate]
    Draw = Callable[[np.random.Generator, int], np.ndarray]

RUNS, RUNS_BOOTSTRAP = 6_000, 1_500
RATINGS = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
RATING_SHARES = np.array([0.02, 0.08, 0.60, 0.20, 0.10])

GENERATORS: dict[str, tuple[Draw, float]] = {
    "beta(8,2)": (lambda rng, n: rng.beta(8, 2, n), 0.8),
    "lognormal": (lambda rng, n: rng.lognormal(0, 1, n), float(np.exp(0.5))),
    "rating differences": (lambda rng, n: rng.choice(RATINGS, n, p=RATING_SHARES), float(RATINGS @ RATING_SHARES)),
}
LIMITS = {"beta(8,2)": 0.935, "lognormal": 0.91, "rating differences": 0.935}


def default(x: np.ndarray) -> Estimate:
    return summarize(x)


def bca(x: np.ndarray) -> Estimate:
    """Known-bad as a default for few items."""
    return bootstrap_mean(x, method="bca", resamples=999)


def bootstrap_t(x: np.ndarray) -> Estimate:
    return bootstrap_mean(x, method="t", resamples=999)


@cache
def check(method: Method, name: str, n: int, runs: int = RUNS) -> tuple[float, float]:
    """Coverage, and coverage counting an explicit warning as an honest answer."""
    draw, truth = GENERATORS[name]
    rng = np.random.default_rng(2_100 + n)
    hits = honest = 0
    for _ in range(runs):
        e = method(draw(rng, n))
        hit = e.low <= truth <= e.high
        hits += hit
        honest += hit or any("skewed" in note for note in e.warnings)
    return hits / runs, honest / runs


def measure() -> list[dict]:
    rows = []

    def add(prop: str, cell: str, value: float, limit: str, bad: float | None, *, ok: bool) -> None:
        rows.append(
            {"check": "C21", "property": prop, "cell": cell, "measured": value, "limit": limit, "known_bad": bad,
             "passed": ok}
        )  # fmt: skip

    for name, limit in LIMITS.items():
        for n in (20, 50):
            covered, honest = check(default, name, n)
            bad = check(bca, name, 20, RUNS_BOOTSTRAP)[0] if n == 20 else None
            cell, least = f"{name}, n={n}", f">= {100 * limit:g}%"
            if name == "lognormal":
                add("covers or warns, default", cell, honest, least, bad, ok=honest >= limit)
                add("coverage of a mean, default alone, which warns", cell, covered, "no limit (in %)", bad, ok=True)
            else:
                add("coverage of a mean, default", cell, covered, least, bad, ok=covered >= limit)
    covered, bad = (
        check(bootstrap_t, "lognormal", 20, RUNS_BOOTSTRAP)[0],
        check(bca, "lognormal", 20, RUNS_BOOTSTRAP)[0],
    )
    prop = "coverage of a mean, bootstrap-t (what the warning recommends)"
    add(prop, "lognormal, n=20", covered, ">= 91%", bad, ok=covered >= 0.91)
    return rows


def test_default_covers_or_warns():
    failed = [row for row in measure() if not row["passed"]]
    assert not failed


def test_warning_is_not_always_on():
    rng = np.random.default_rng(0)
    noisy = sum(bool(summarize(rng.normal(size=20)).warnings) for _ in range(500))
    assert noisy / 500 < 0.2


def test_known_bad_fails():
    for name in ("lognormal", "rating differences"):
        assert check(bca, name, 20, RUNS_BOOTSTRAP)[0] < LIMITS[name]
