"""Control charts for scheduled runs: Shewhart, EWMA and CUSUM on standardised run results."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isnan, nan, sqrt
from typing import TYPE_CHECKING

import numpy as np

from bakeoff.errors import StatsError
from bakeoff.stats.core._checks import as_vector, check_count
from bakeoff.stats.core._dist import norm_cdf, t_ppf
from bakeoff.stats.drift._run_length import check_chart, run_length

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from bakeoff.stats.drift._run_length import ChartKind

    Float = NDArray[np.float64]

__all__ = ["ControlChart", "between_run_sd", "control_chart"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlChart:
    """A control chart over runs; alarms are an invitation to look, with a known false-alarm rate."""

    kind: ChartKind
    standardized: NDArray[np.float64]
    """(value - centre) / sigma per run, `nan` for a missing run."""
    statistic: NDArray[np.float64]
    """Charted statistic per run: z, EWMA of z, or the larger of the two CUSUMs (signed)."""
    upper: NDArray[np.float64]
    lower: NDArray[np.float64]
    alarm: NDArray[np.bool_]
    first_alarm: int | None
    """Position of the first alarm after the baseline; `None` when there is none."""
    centre: float
    within_sd: float
    """Root mean square of the runs' own standard errors; `nan` when none are given."""
    between_sd: float
    """Spread of true run results around the centre beyond sampling error."""
    sigma: NDArray[np.float64]
    """Standard deviation that each run is judged by."""
    baseline_runs: int
    run_length: float
    """Mean runs between false alarms if nothing changes (by Markov chain, limits taken as known)."""
    reason: str | None = None
    warnings: tuple[str, ...] = ()


def between_run_sd(values: ArrayLike, se: ArrayLike) -> float:
    """Estimate the spread of run results beyond the standard error of each run.

    The moment estimator of DerSimonian & Laird (1986), at least 0.

    Args:
        values: Result per run.
        se: Standard error per run, positive.

    Returns:
        The between-run standard deviation; `nan` with fewer than two runs.

    Raises:
        StatsError: If lengths differ or a standard error is not positive.

    Examples:
        >>> round(between_run_sd([0.80, 0.84, 0.76, 0.86], [0.01, 0.01, 0.01, 0.01]), 3)
        0.043
    """
    x = as_vector(values, "values")
    error = as_vector(se, "se", length=len(x))
    ok = ~np.isnan(x) & ~np.isnan(error)
    x, error = x[ok], error[ok]
    if (error <= 0).any():
        raise StatsError("se must be positive for every run")
    if len(x) < 2:
        return nan
    w = 1 / error**2
    q = float(w @ (x - (w @ x) / w.sum()) ** 2)
    return sqrt(max(0.0, (q - (len(x) - 1)) / (w.sum() - (w @ w) / w.sum())))


def _paths(z: Float, kind: ChartKind, k: float, lam: float) -> tuple[Float, Float]:
    """Return upper and lower statistics of every run; a missing run leaves them where they were."""
    if kind == "shewhart":
        return z, z
    high = low = 0.0
    ups: list[float] = []
    downs: list[float] = []
    # Plain floats: a recursion over runs is several times faster without arrays.
    for now in z.tolist():
        if now == now:
            if kind == "cusum":
                high, low = max(0.0, high + now - k), min(0.0, low + now + k)
            else:
                high = low = (1 - lam) * high + lam * now
        ups.append(high)
        downs.append(low)
    return np.array(ups), np.array(downs)


def _ewma_sd(length: int, lam: float) -> Float:
    t = np.arange(1, length + 1)
    return np.asarray(np.sqrt(lam / (2 - lam) * (1 - (1 - lam) ** (2 * t))), dtype=np.float64)


def control_chart(
    values: ArrayLike,
    *,
    kind: ChartKind = "cusum",
    se: ArrayLike | None = None,
    baseline_runs: int = 20,
    centre: float | None = None,
    sigma: float | None = None,
    limit: float | None = None,
    k: float = 0.5,
    lam: float = 0.2,
    widen: bool = True,
) -> ControlChart:
    """Chart a metric over scheduled runs and flag the runs where it has drifted.

    Each run is standardised by `sqrt(between^2 + se_t^2)`: sampling error within the run plus the spread between
    runs, estimated from the baseline runs, so that neither a large run nor a small one alarms too often. CUSUM:
    `C+ = max(0, C+ + z - k)` and its mirror image against `h` (Page 1954); EWMA: `lam z + (1 - lam) e` against
    `L sqrt(lam/(2 - lam) (1 - (1 - lam)^2t))` (Roberts 1959); Shewhart: `|z| > 3`. The best values to chart are
    paired differences to a frozen baseline.

    Args:
        values: Result per run, in order; `nan` for a failed run.
        kind: Chart.
        se: Standard error of each run.
        baseline_runs: Leading runs that define normal, when `centre` or `sigma` is not given.
        centre: Known normal value.
        sigma: Known standard deviation of a run result (with `se`: the between-run part).
        limit: Threshold: `h` for CUSUM (5), multiple of sigma for Shewhart (3) and EWMA (2.86).
        k: Reference value of CUSUM, half the shift in sigmas to be found.
        lam: Weight of the newest run in EWMA.
        widen: Widen an estimated sigma so that 3 sigma limits alarm as rarely as with a known one
            (`t` instead of normal quantile, and `sqrt(1 + 1/m)` for the estimated centre).

    Returns:
        The chart with alarms; no alarms and a reason when sigma cannot be estimated.

    Raises:
        StatsError: If an argument is out of range.

    Examples:
        >>> runs = [0.81, 0.79, 0.80, 0.82, 0.80, 0.78, 0.81, 0.79, 0.74, 0.73, 0.74, 0.72]
        >>> chart = control_chart(runs, centre=0.80, sigma=0.015)
        >>> chart.first_alarm
        9
    """
    kind, limit = check_chart(kind, limit, k, lam)
    x = as_vector(values, "values")
    n = len(x)
    error = np.zeros(n) if se is None else as_vector(se, "se", length=n)
    if (error < 0).any() or (sigma is not None and not 0 <= sigma < inf):
        raise StatsError("se and sigma must be at least 0")
    known = centre is not None and sigma is not None
    m = 0 if known else min(check_count(baseline_runs, "baseline_runs", minimum=2), n)
    base = x[:m][~np.isnan(x[:m])]
    base_error = error[:m][~np.isnan(x[:m])]
    between = _between(base, base_error, has_se=se is not None) if sigma is None else sigma
    total = np.sqrt(between**2 + error**2)
    middle = centre
    if middle is None:
        w = 1 / np.maximum(between**2 + base_error**2, 1e-300)
        middle = float(w @ base / w.sum()) if len(base) else nan
    warnings: list[str] = []
    if not known and len(base) < 20:
        text = f"normal is judged by {len(base)} runs only; "
        warnings.append(
            text + "until 20, " + ("limits are widened a lot" if widen else "false alarms are far more frequent")
        )
    if widen and not known and len(base) >= 3:
        free = len(base) - 1.0
        total = total * float(t_ppf(norm_cdf(3.0), free)) / 3.0 * sqrt(1 + 1 / len(base))
    usable = not isnan(middle) and bool((total[~np.isnan(total)] > 0).all()) and n > 0
    reason = None if usable else "the baseline runs do not vary (or are fewer than two): sigma cannot be estimated"
    z = (x - middle) / np.where(total > 0, total, nan) if usable else np.full(n, nan)
    high, low = _paths(z, kind, k, lam)
    edge = limit * (_ewma_sd(n, lam) if kind == "ewma" else np.ones(n))
    alarm = ((high > edge) | (low < -edge)) & ~np.isnan(z)
    after = np.flatnonzero(alarm[m:])
    return ControlChart(
        kind=kind,
        standardized=z,
        statistic=np.where(high >= -low, high, low),
        upper=edge,
        lower=-edge,
        alarm=alarm,
        first_alarm=int(after[0]) + m if len(after) else None,
        centre=middle,
        within_sd=float(np.sqrt(np.nanmean(error**2))) if se is not None and n and not np.isnan(error).all() else nan,
        between_sd=between,
        sigma=total,
        baseline_runs=m,
        run_length=run_length(kind, limit=limit, k=k, lam=lam),
        reason=reason,
        warnings=tuple(warnings),
    )


def _between(base: Float, error: Float, *, has_se: bool) -> float:
    if len(base) < 2:
        return nan
    if has_se and (error > 0).all():
        return between_run_sd(base, error)
    return float(base.std(ddof=1))
