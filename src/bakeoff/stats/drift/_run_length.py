"""How long control charts run until an alarm: Markov chains, simulation, thresholds."""

from __future__ import annotations

from functools import lru_cache
from math import inf, sqrt
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from bakeoff.errors import StatsError
from bakeoff.stats.core._checks import as_rng, check_count
from bakeoff.stats.core._dist import norm_cdf, norm_sf

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Float = NDArray[np.float64]

__all__ = ["ChartKind", "chart_threshold", "check_chart", "run_length", "simulate_run_lengths"]

ChartKind = Literal["shewhart", "ewma", "cusum"]
"""`shewhart` sees one large shift at once; `ewma` and `cusum` add up small ones."""

_DEFAULT_LIMIT: dict[str, float] = {"shewhart": 3.0, "ewma": 2.86, "cusum": 5.0}
_STATES = 41


def check_chart(kind: str, limit: float | None, k: float, lam: float) -> tuple[ChartKind, float]:
    """Return a validated chart kind and its limit, the default when none is given."""
    if kind not in get_args(ChartKind):
        raise StatsError(f"kind must be one of {list(get_args(ChartKind))}, got {kind!r}")
    chosen = _DEFAULT_LIMIT[kind] if limit is None else limit
    if not 0 < chosen < inf:
        raise StatsError(f"limit must be positive, got {limit!r}")
    if not 0 <= k < inf or not 0 < lam <= 1:
        raise StatsError(f"k must be at least 0 and lam in (0, 1], got k={k!r}, lam={lam!r}")
    return kind, float(chosen)  # type: ignore[return-value]  # checked against the Literal above


def run_length(
    kind: ChartKind, *, shift: float = 0.0, limit: float | None = None, k: float = 0.5, lam: float = 0.2
) -> float:
    """Return the mean number of runs until an alarm after a shift of `shift` sigmas (0: until a false alarm).

    Markov chain of Brook & Evans (1972); the two sides of a CUSUM combine as `1/ARL = 1/ARL+ + 1/ARL-`. The EWMA is
    taken with its asymptotic limits (Lucas & Saccucci 1990). Limits count as known: with estimated ones false alarms
    are more frequent unless widened.

    Args:
        kind: Chart.
        shift: Size of the shift in standard deviations of a run result.
        limit: Threshold, as in `control_chart`.
        k: Reference value of CUSUM.
        lam: Weight of the newest run in EWMA.

    Returns:
        Average run length, in runs.

    Raises:
        StatsError: If an argument is out of range.

    Examples:
        >>> round(run_length("cusum")), round(run_length("cusum", shift=1.0), 1)
        (465, 10.4)
    """
    kind, limit = check_chart(kind, limit, k, lam)
    if kind == "shewhart":
        return 1 / float(norm_sf(limit - shift) + norm_sf(limit + shift))
    return _chain_length(kind, float(shift), limit, float(k), float(lam))


@lru_cache(maxsize=4096)
def _chain_length(kind: ChartKind, shift: float, limit: float, k: float, lam: float) -> float:
    """Return the run length of a chain of N states, extrapolated from N and 2N: its error falls with N squared."""
    coarse, fine = (_chain_of(kind, shift, limit, k, lam, states) for states in (_STATES, 2 * _STATES + 1))
    ratio = ((2 * _STATES + 1) / _STATES) ** 2
    return max(1.0, (ratio * fine - coarse) / (ratio - 1))


def _chain_of(kind: ChartKind, shift: float, limit: float, k: float, lam: float, states: int) -> float:
    if kind == "ewma":
        return _chain(_ewma_kernel(limit * sqrt(lam / (2 - lam)), shift, lam, states))
    up, down = (_chain(_cusum_kernel(limit, k, s, states)) for s in (shift, -shift))
    return 1 / (1 / up + 1 / down)


def _cusum_kernel(h: float, k: float, shift: float, size: int) -> tuple[Float, int]:
    # States: an atom at 0, then cells of width w whose midpoints are 1w, 2w, ...; alarm above h.
    w = 2 * h / (2 * size - 1)
    states = np.arange(size) * w
    edges = states - w / 2 + w
    reach = norm_cdf(edges[None, :] - states[:, None] + k - shift)
    return np.diff(reach, axis=1, prepend=0.0), 0


def _ewma_kernel(edge: float, shift: float, lam: float, size: int) -> tuple[Float, int]:
    cuts = np.linspace(-edge, edge, size + 1)
    states = (cuts[:-1] + cuts[1:]) / 2
    reach = norm_cdf((cuts[None, :] - (1 - lam) * states[:, None]) / lam - shift)
    return np.diff(reach, axis=1), size // 2


def _chain(kernel: tuple[Float, int]) -> float:
    transition, start = kernel
    lengths = np.linalg.solve(np.eye(len(transition)) - transition, np.ones(len(transition)))
    return float(lengths[start])


def chart_threshold(
    mean_runs: float, *, kind: ChartKind = "cusum", metrics: int = 1, k: float = 0.5, lam: float = 0.2
) -> float:
    """Return the threshold with a given mean number of runs between false alarms, over all metrics together.

    With `metrics` charts each one needs `metrics` times the run length (the charts taken as independent, which is the
    cautious side).

    Args:
        mean_runs: Wanted mean number of runs between false alarms, above 2.
        kind: Chart.
        metrics: Number of charts that are watched.
        k: Reference value of CUSUM.
        lam: Weight of the newest run in EWMA.

    Returns:
        The threshold, for `limit`.

    Raises:
        StatsError: If `mean_runs` is not above 2 or `metrics` is not a positive whole number.

    Examples:
        >>> round(chart_threshold(465.4), 2), round(chart_threshold(370.4, kind="shewhart"), 2)
        (5.0, 3.0)
    """
    kind, _ = check_chart(kind, None, k, lam)
    wanted = mean_runs * check_count(metrics, "metrics", minimum=1)
    if not 2 < mean_runs < 1e9:
        raise StatsError(f"mean_runs must be above 2 (and below a billion), got {mean_runs!r}")
    low, high = 1e-3, 1.0

    def measure(limit: float) -> float:
        return run_length(kind, limit=limit, k=k, lam=lam)

    while measure(high) < wanted and high < 200:
        low, high = high, high * 1.5
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if measure(middle) < wanted else (low, middle)
    return (low + high) / 2


def simulate_run_lengths(
    kind: ChartKind,
    *,
    shift: float = 0.0,
    runs: int = 1000,
    limit: float | None = None,
    k: float = 0.5,
    lam: float = 0.2,
    autocorrelation: float = 0.0,
    baseline_runs: int | None = None,
    longest: int = 5000,
    rng: np.random.Generator | int = 0,
) -> Float:
    """Simulate the number of runs until the first alarm, also where the Markov chain does not apply.

    Normal run results with unit variance, first-order autocorrelation, and limits that are known or estimated from
    `baseline_runs` simulated runs (without widening).

    Args:
        kind: Chart.
        shift: Size of the shift in sigmas, present from the first run.
        runs: Number of simulated charts.
        limit: Threshold.
        k: Reference value of CUSUM.
        lam: Weight of the newest run in EWMA.
        autocorrelation: Correlation of successive runs, in (-1, 1).
        baseline_runs: Runs to estimate centre and sigma from; known when not given.
        longest: Charts without an alarm by then count as `longest`.
        rng: Generator or seed.

    Returns:
        Run lengths, shape (runs,).

    Raises:
        StatsError: If an argument is out of range.

    Examples:
        >>> lengths = simulate_run_lengths("cusum", shift=1.0, runs=2000, rng=1)
        >>> bool(9.9 < lengths.mean() < 10.9)
        True
    """
    kind, limit = check_chart(kind, limit, k, lam)
    runs = check_count(runs, "runs", minimum=1)
    longest = check_count(longest, "longest", minimum=1)
    if not -1 < autocorrelation < 1:
        raise StatsError(f"autocorrelation must be between -1 and 1, got {autocorrelation!r}")
    generator = as_rng(rng)
    centre, sigma = np.zeros(runs), np.ones(runs)
    last = generator.standard_normal(runs)
    if baseline_runs is not None:
        m = check_count(baseline_runs, "baseline_runs", minimum=2)
        past = np.empty((runs, m))
        for t in range(m):
            last = _next(last, autocorrelation, generator)
            past[:, t] = last
        centre, sigma = past.mean(axis=1), past.std(axis=1, ddof=1)
    lengths = np.full(runs, float(longest))
    alive = np.arange(runs)
    high, low = np.zeros(runs), np.zeros(runs)
    edge = limit * (sqrt(lam / (2 - lam)) if kind == "ewma" else 1.0)
    for t in range(1, longest + 1):
        last = _next(last, autocorrelation, generator)
        z = (last + shift - centre) / sigma
        if kind == "cusum":
            high, low = np.maximum(0.0, high + z - k), np.minimum(0.0, low + z + k)
        else:
            weight = lam if kind == "ewma" else 1.0
            high = low = (1 - weight) * high + weight * z
        out = (high > edge) | (low < -edge)
        if out.any():
            lengths[alive[out]] = t
            keep = ~out
            alive, high, low, last = alive[keep], high[keep], low[keep], last[keep]
            centre, sigma = centre[keep], sigma[keep]
            if len(alive) == 0:
                break
    return lengths


def _next(last: Float, autocorrelation: float, rng: np.random.Generator) -> Float:
    return autocorrelation * last + sqrt(1 - autocorrelation**2) * rng.standard_normal(len(last))
