"""Confidence sequences: intervals that hold at every look at once."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, log, nan, sqrt
from typing import TYPE_CHECKING

import numpy as np

from bakeoff.errors import StatsError
from bakeoff.stats.core._checks import check_confidence, check_count
from bakeoff.stats.core._dist import log_beta
from bakeoff.stats.core._result import Estimate, TestResult
from bakeoff.stats.sequential._betting import outer_root
from bakeoff.stats.sequential._evalues import exp_capped, log_normal_mixture, normal_mixture_e_value, unit_scores

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Float = NDArray[np.float64]

__all__ = [
    "ConfidenceSequence",
    "asymptotic_confidence_sequence",
    "beta_binomial_confidence_sequence",
    "beta_binomial_e_value",
    "empirical_bernstein_confidence_sequence",
    "mixture_limits",
    "mixture_rho2",
    "msprt",
    "robbins_boundary",
]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ConfidenceSequence:
    """Intervals over time; with probability `confidence` every one of them holds the truth.

    Arrays have one entry per look. Looks before an interval can be given hold nan limits.
    """

    n: Float
    estimate: Float
    low: Float
    high: Float
    confidence: float
    method: str
    reason: str | None = None

    def last(self) -> Estimate:
        """Return the newest interval as an `Estimate`; nan with a reason when there is none."""
        if self.n.size == 0:
            return Estimate(
                estimate=nan, low=nan, high=nan, confidence=self.confidence, n=0, method=self.method, reason="no data"
            )
        return Estimate(
            estimate=float(self.estimate[-1]),
            low=float(self.low[-1]),
            high=float(self.high[-1]),
            confidence=self.confidence,
            n=int(self.n[-1]),
            method=self.method,
            reason=self.reason,
        )

    def running(self) -> ConfidenceSequence:
        """Return the running intersection: limits that only tighten, equally valid.

        Where looks contradict each other (the truth moved, or items came in an order) the intersection
        is empty and the limits are nan.
        """
        low = np.fmax.accumulate(self.low) if self.n.size else self.low
        high = np.fmin.accumulate(self.high) if self.n.size else self.high
        empty = low > high
        return ConfidenceSequence(
            n=self.n,
            estimate=self.estimate,
            low=np.where(empty, nan, low),
            high=np.where(empty, nan, high),
            confidence=self.confidence,
            method=self.method,
            reason="looks contradict each other: items were not in random order" if bool(empty.any()) else self.reason,
        )


# ---------------------------------------------------------------- bounded scores


def empirical_bernstein_confidence_sequence(
    scores: ArrayLike, *, bounds: tuple[float, float] = (0.0, 1.0), confidence: float = 0.95
) -> ConfidenceSequence:
    """Return the predictable plug-in empirical-Bernstein confidence sequence of a bounded mean.

    Centre `sum l_i x_i / sum l_i`, half-width `(ln(2/alpha) + sum 4 (x_i - m_{i-1})^2 psi(l_i)) / sum l_i` with
    `psi(l) = (-ln(1 - l) - l) / 4` and `l_i = min(1/2, sqrt(2 ln(2/alpha) / (s2_{i-1} i ln(1 + i))))`. Closed form for
    every prefix at once; wider than `betting_interval`, which is the default.

    Args:
        scores: Shape (items,), in the order they arrived; nan is left out.
        bounds: Smallest and largest possible score.
        confidence: Simultaneous over all looks.

    Returns:
        One interval after each score, cut to `bounds`.

    Raises:
        StatsError: A score outside `bounds`.

    References:
        Waudby-Smith and Ramdas 2024, JRSS B 86, Theorem 2.

    Examples:
        >>> sequence = empirical_bernstein_confidence_sequence([0.4, 0.6] * 200)
        >>> bool(sequence.low[-1] < 0.5 < sequence.high[-1])
        True
    """
    check_confidence(confidence)
    x, scale = unit_scores(scores, bounds)
    alpha = 1 - confidence
    n = np.arange(1, x.size + 1, dtype=np.float64)
    means = (0.5 + np.cumsum(x)) / (n + 1)
    variances = (0.25 + np.cumsum((x - means) ** 2)) / (n + 1)
    before_mean = np.concatenate([[0.5], means[:-1]])[: x.size]
    before_variance = np.concatenate([[0.25], variances[:-1]])[: x.size]
    bets = np.minimum(0.5, np.sqrt(2 * log(2 / alpha) / (before_variance * n * np.log1p(n))))
    psi = (-np.log1p(-bets) - bets) / 4
    stake = np.cumsum(bets)
    centre = np.cumsum(bets * x) / stake
    half = (log(2 / alpha) + np.cumsum(4 * (x - before_mean) ** 2 * psi)) / stake
    return ConfidenceSequence(
        n=n,
        estimate=bounds[0] + scale * np.cumsum(x) / n,
        low=bounds[0] + scale * np.clip(centre - half, 0.0, 1.0),
        high=bounds[0] + scale * np.clip(centre + half, 0.0, 1.0),
        confidence=confidence,
        method="empirical_bernstein",
    )


# ---------------------------------------------------------------- one proportion


def _log_beta_binomial(s: Float, n: Float, p: Float, a: float, b: float) -> Float:
    with np.errstate(divide="ignore", invalid="ignore"):
        fit = np.where(s > 0, s * np.log(p), 0.0) + np.where(n > s, (n - s) * np.log1p(-p), 0.0)
    return np.asarray(log_beta(a + s, b + n - s) - log_beta(a, b) - fit, dtype=np.float64)


def beta_binomial_e_value(
    successes: ArrayLike, n: ArrayLike, null: ArrayLike, *, prior: tuple[float, float] = (1.0, 1.0)
) -> Float:
    """Return the beta-binomial mixture e-value of a proportion against `null`.

    `E = B(a + S, b + n - S) / (B(a, b) p^S (1 - p)^(n - S))`.

    Args:
        successes: Successes so far; broadcast with `n` and `null`.
        n: Trials so far.
        null: Proportion under the null, in [0, 1].
        prior: (a, b) of the beta mixture, fixed before the data.

    Returns:
        E-values of the broadcast shape.

    References:
        Robbins 1970; Howard et al. 2021.

    Examples:
        >>> round(float(beta_binomial_e_value(8, 8, 0.5)), 2)
        28.44
    """
    s, total, p = (np.asarray(v, dtype=np.float64) for v in (successes, n, null))
    _check_counts(s, total)
    if bool((p < 0).any()) or bool((p > 1).any()):
        raise StatsError("null must lie in [0, 1]")
    return exp_capped(_log_beta_binomial(s, total, p, *prior))


def _check_counts(s: Float, n: Float) -> None:
    if bool((s < 0).any()) or bool((s > n).any()) or not np.isfinite(n).all():
        raise StatsError("successes must lie between 0 and n, and n must be finite")


def beta_binomial_confidence_sequence(
    successes: ArrayLike, n: ArrayLike, *, confidence: float = 0.95, prior: tuple[float, float] = (1.0, 1.0)
) -> ConfidenceSequence:
    """Return always-valid intervals of a pass rate from counts at each look.

    All proportions whose `beta_binomial_e_value` stays below 1 / alpha.

    Args:
        successes: Successes at each look.
        n: Trials at each look.
        confidence: Simultaneous over all looks.
        prior: (a, b) of the beta mixture; (1, 1) is safe, a prior near the expected rate is tighter.

    Returns:
        One interval per look; [0, 1] at n = 0.

    Raises:
        StatsError: Counts outside 0..n.

    Examples:
        >>> last = beta_binomial_confidence_sequence([9, 90], [10, 100]).last()
        >>> 0.75 < last.low < 0.9 < last.high < 0.98
        True
    """
    check_confidence(confidence)
    s = np.atleast_1d(np.asarray(successes, dtype=np.float64))
    total = np.atleast_1d(np.asarray(n, dtype=np.float64))
    s, total = np.broadcast_arrays(s, total)
    _check_counts(s, total)
    level = -log(1 - confidence)
    with np.errstate(invalid="ignore", divide="ignore"):
        rate = np.where(total > 0, s / total, nan)
    start = np.where(total > 0, rate, 0.5)

    def side(edge: float) -> Float:
        inside, outside = start.copy(), np.full_like(start, edge)
        for _ in range(52):
            middle = 0.5 * (inside + outside)
            out = _log_beta_binomial(s, total, middle, *prior) >= level
            outside, inside = np.where(out, middle, outside), np.where(out, inside, middle)
        return outside

    return ConfidenceSequence(
        n=total, estimate=rate, low=side(0.0), high=side(1.0), confidence=confidence, method="beta_binomial_mixture"
    )


# ---------------------------------------------------------------- normal mixtures


def mixture_rho2(planned_n: float, *, alpha: float = 0.05) -> float:
    """Return the mixture variance (per unit of variance) that makes a normal mixture tightest near `planned_n`.

    `rho^2 = (2 ln(1/alpha) + ln(1 + 2 ln(1/alpha))) / n`.

    Args:
        planned_n: Items, or intrinsic variance, at which the interval should be tightest. Positive.
        alpha: Error rate of the interval.

    Returns:
        rho squared, for `normal_mixture_e_value` and `asymptotic_confidence_sequence`.

    References:
        Howard et al. 2021, Proposition 3; Waudby-Smith et al. 2024, Annals of Statistics 52, appendix B.

    Examples:
        >>> round(mixture_rho2(500), 5)
        0.01587
    """
    if not 0 < planned_n < inf:
        raise StatsError(f"planned_n must be positive and finite, got {planned_n!r}")
    if not 0 < alpha < 1:
        raise StatsError(f"alpha must be between 0 and 1, got {alpha!r}")
    tail = 2 * log(1 / alpha)
    return (tail + log(1 + tail)) / planned_n


def robbins_boundary(variance: ArrayLike, *, alpha: float = 0.05, v_opt: float) -> Float:
    """Return Robbins' two-sided normal-mixture boundary for a sum with intrinsic variance v.

    `u(v) = sqrt((v + rho) ln((v + rho) / (rho alpha^2)))`, tightest near `v = v_opt`:
    P(some |S_v| >= u(v)) <= alpha.

    Args:
        variance: Intrinsic variance(s) v >= 0: n for increments of variance 1.
        alpha: Two-sided error over all times.
        v_opt: Variance at which the boundary is tightest.

    Returns:
        Boundary, same shape as `variance`.

    References:
        Robbins 1970; Howard et al. 2021, equation 14.

    Examples:
        >>> round(float(robbins_boundary(100.0, v_opt=100.0)), 2)
        30.35
    """
    rho = 1 / mixture_rho2(v_opt, alpha=alpha)
    v = np.asarray(variance, dtype=np.float64)
    if v.size and not bool((v >= 0).all()):
        raise StatsError("variance must be at least 0")
    return np.asarray(np.sqrt((v + rho) * np.log((v + rho) / (rho * alpha**2))), dtype=np.float64)


def mixture_limits(
    mean: float, sd: float, n: int, *, rho2: float, alpha: float, alternative: str
) -> tuple[float, float]:
    """Return the means that the normal mixture does not reject at n observations of standard deviation `sd`."""
    level = -log(alpha)
    if alternative == "two-sided":
        spread = n * rho2 + 1
        half = sd * sqrt(2 * spread / (n**2 * rho2) * log(sqrt(spread) / alpha))
        return mean - half, mean + half

    def log_e(z: float) -> float:
        return float(log_normal_mixture(z, float(n), rho2, "greater"))

    top = sqrt(2 * (n * rho2 + 1) / rho2 * (level + 0.5 * log(n * rho2 + 1))) + 1.0
    half = sd * outer_root(log_e, 0.0, top, level) / n
    return (mean - half, inf) if alternative == "greater" else (-inf, mean + half)


def asymptotic_confidence_sequence(
    scores: ArrayLike, *, planned_n: int, confidence: float = 0.95, min_n: int = 30
) -> ConfidenceSequence:
    """Return the asymptotic confidence sequence of a mean, after each score.

    Half-width `sd sqrt(2 (n rho^2 + 1) / (n^2 rho^2) ln(sqrt(n rho^2 + 1) / alpha))`, rho tuned to be tightest at
    `planned_n`. For unbounded scores (tokens, seconds, log-cost); with bounds known prefer `betting_interval`.

    Args:
        scores: Shape (items,), in the order they arrived; nan is left out.
        planned_n: Items the experiment is planned for.
        confidence: Simultaneous over all looks from `min_n` on, for large n.
        min_n: Looks before this many items give nan: the standard deviation is not settled.

    Returns:
        One interval per score.

    References:
        Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas 2024, Annals of Statistics 52, 2613-2640.

    Examples:
        >>> sequence = asymptotic_confidence_sequence([1.0, 3.0] * 100, planned_n=200)
        >>> bool(sequence.low[-1] < 2 < sequence.high[-1]), bool(np.isnan(sequence.low[10]))
        (True, True)
    """
    check_confidence(confidence)
    check_count(min_n, "min_n", minimum=2)
    x = _finite(scores)
    rho2 = mixture_rho2(check_count(planned_n, "planned_n", minimum=2), alpha=1 - confidence)
    n = np.arange(1, x.size + 1, dtype=np.float64)
    mean = np.cumsum(x) / n
    scale = float(np.abs(x - x[0]).max()) if x.size else 0.0
    centred = (x - x[0]) / scale if scale > 0 else x * 0.0  # keeps the variance exact far from zero, and finite
    with np.errstate(invalid="ignore", divide="ignore"):
        sd = np.sqrt(np.maximum(np.cumsum(centred**2) - np.cumsum(centred) ** 2 / n, 0.0) / (n - 1))
    spread = n * rho2 + 1
    half = scale * sd * np.sqrt(2 * spread / (n**2 * rho2) * np.log(np.sqrt(spread) / (1 - confidence)))
    half = np.where((n >= min_n) & (sd > 0), half, nan)
    reason = None
    if x.size and np.isnan(half[-1]):
        reason = "all scores are equal" if x.size >= min_n else f"needs {min_n} items, has {x.size}"
    return ConfidenceSequence(
        n=n, estimate=mean, low=mean - half, high=mean + half, confidence=confidence, method="asymptotic", reason=reason
    )


def _finite(scores: ArrayLike) -> Float:
    x = np.asarray(scores, dtype=np.float64).ravel()
    if np.isinf(x).any():
        raise StatsError("scores holds an infinite value; a missing score is nan")
    return x[~np.isnan(x)]


def msprt(mean_difference: float, *, variance: float, n: int, tau2: float) -> TestResult:
    """Return the mixture SPRT of a mean difference after n observations.

    `L = sqrt(s2 / (s2 + n t2)) exp(n^2 t2 d^2 / (2 s2 (s2 + n t2)))`; the always-valid p of
    this look is `min(1, 1 / L)`. Keep the smallest over looks (`always_valid_p`).

    Args:
        mean_difference: d, candidate minus baseline.
        variance: s2 of one observation's difference (two independent groups: sum of both variances).
        n: Observations (per group).
        tau2: Variance of the effects expected over experiments.

    Returns:
        p-value in [0, 1] with L as statistic; nan with a reason when the variance is 0 or n is 0.

    Raises:
        StatsError: Negative variance or `tau2 <= 0`.

    References:
        Johari, Koomen, Pekelis and Walsh 2022, Operations Research 70.

    Examples:
        >>> round(msprt(0.3, variance=1.0, n=200, tau2=0.04).p_value, 4)
        0.001
    """
    if not variance >= 0 or not tau2 > 0:
        raise StatsError(f"variance must be at least 0 and tau2 positive, got {variance!r} and {tau2!r}")
    total = check_count(n, "n")
    if variance == 0 or total == 0 or mean_difference != mean_difference:
        why = "no observations" if total == 0 else "variance is 0 or the difference is missing"
        return TestResult(p_value=nan, n=total, method="msprt", reason=why)
    ratio = float(normal_mixture_e_value(total * mean_difference / sqrt(variance), float(total), rho2=tau2 / variance))
    return TestResult(p_value=min(1.0, 1.0 / ratio), statistic=ratio, n=total, method="msprt")
