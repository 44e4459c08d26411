"""E-values: evidence that may be looked at after every item.

An e-process is a non-negative quantity that starts at 1 and, while the null hypothesis holds, is at
most 1 on average whenever one stops. Ville's inequality then gives P(it ever reaches 1/alpha) <= alpha,
however often it is looked at. Everything sequential in this package (comparisons, races, confidence
sequences) is built from the three processes of this module.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import log
from typing import TYPE_CHECKING, Literal

import numpy as np

from bakeoff.errors import StatsError
from bakeoff.stats.core._checks import check_alpha, check_alternative
from bakeoff.stats.core._dist import beta_cdf, log_beta, norm_cdf

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Float = NDArray[np.float64]
    Bool = NDArray[np.bool_]

__all__ = [
    "BetPrior",
    "EBHResult",
    "always_valid_p",
    "bet_prior",
    "betting_e_value",
    "discordant_e_value",
    "e_bh",
    "exp_capped",
    "log_betting",
    "log_discordant",
    "log_normal_mixture",
    "normal_mixture_e_value",
    "unit_scores",
]

BetPrior = Literal["uniform", "geometric"]
"""How capital is spread over bet sizes: uniformly (matches the paired-binary e-process) or by orders of magnitude."""

_LOG_MAX = 700.0


def exp_capped(log_value: ArrayLike) -> Float:
    """Exponential that stops at exp(700) instead of overflowing; an e-value that large needs no more digits."""
    return np.asarray(np.exp(np.minimum(np.asarray(log_value, dtype=np.float64), _LOG_MAX)), dtype=np.float64)


def log_discordant(wins: ArrayLike, losses: ArrayLike, alternative: str = "two-sided", prior: float = 1.0) -> Float:
    """Logarithm of `discordant_e_value`."""
    b = np.asarray(wins, dtype=np.float64)
    c = np.asarray(losses, dtype=np.float64)
    if bool((b < 0).any()) or bool((c < 0).any()) or not (np.isfinite(b).all() and np.isfinite(c).all()):
        raise StatsError("wins and losses must be counts of at least 0")
    if not prior > 0:
        raise StatsError(f"prior must be positive (1 = uniform), got {prior!r}")
    log_e = (b + c) * log(2.0) + log_beta(prior + b, prior + c) - log_beta(prior, prior)
    if alternative == "two-sided":
        return np.asarray(log_e, dtype=np.float64)
    # The prior cut to one side of 1/2: twice the posterior mass on that side.
    first, second = (c, b) if alternative == "greater" else (b, c)
    mass = 2.0 * beta_cdf(0.5, prior + first, prior + second)
    with np.errstate(divide="ignore"):
        return np.asarray(log_e + np.log(mass), dtype=np.float64)


def discordant_e_value(
    wins: ArrayLike, losses: ArrayLike, *, alternative: str = "two-sided", prior: float = 1.0
) -> Float:
    """Return the e-value of paired binary scores against "both variants pass equally often".

    `E = 2^m B(a + b, a + c) / B(a, a)` with b wins, c losses, m = b + c discordant pairs and prior
    Beta(a, a) on the chance that the candidate wins a discordant pair. It conditions on the discordant
    pairs, so no variance is estimated and any number of looks is allowed: reject when `E >= 1 / alpha`.
    One-sided versions cut the prior at 1/2 and hold for the whole null "not higher" or "not lower".

    Args:
        wins: Items only the candidate passed. Any shape; broadcast with `losses`.
        losses: Items only the baseline passed.
        alternative: `greater` when the candidate is claimed to be higher.
        prior: a > 0; 1 is uniform. Fix it before looking at data.

    Returns:
        E-values in [0, inf), same shape as the broadcast counts (0-d for two numbers).

    Raises:
        StatsError: Counts below 0, an unknown alternative, or `prior <= 0`.

    References:
        Beta mixture martingale: Ville 1939; Robbins 1970, Annals of Mathematical Statistics 41;
        Ramdas, Grunwald, Vovk and Shafer 2023, Statistical Science 38.

    Examples:
        >>> round(float(discordant_e_value(8, 0)), 2)
        28.44
        >>> float(discordant_e_value(0, 0))
        1.0
    """
    return exp_capped(log_discordant(wins, losses, check_alternative(alternative), prior))


@cache
def bet_prior(prior: BetPrior) -> tuple[Float, Float]:
    """Return bet sizes in (0, 1) and the share of the capital on each; shares sum to 1.

    A finite mixture is an exact e-process whatever its nodes, so their number costs power, never validity.
    """
    if prior == "uniform":
        nodes, weights = np.polynomial.legendre.leggauss(96)
        return (nodes + 1) / 2, weights / weights.sum()
    if prior == "geometric":
        nodes = np.geomspace(0.004, 0.98, 24)
        return nodes, np.full(nodes.size, 1 / nodes.size)
    raise StatsError(f"prior must be 'uniform' or 'geometric', got {prior!r}")


def _log_mean_exp(log_values: Float, weights: Float, axis: int = 0) -> Float:
    shape = [1] * log_values.ndim
    shape[axis] = -1
    top = log_values.max(axis=axis, keepdims=True)
    total = (weights.reshape(shape) * np.exp(log_values - top)).sum(axis=axis)
    return np.asarray(np.squeeze(top, axis=axis) + np.log(total), dtype=np.float64)


def _log_up(x: Float, counts: Float, mean: float, prior: BetPrior) -> float:
    """Log wealth of betting that the mean of x in [0, 1] is above `mean` in (0, 1)."""
    bets, weights = bet_prior(prior)
    growth = np.log1p(bets[:, None] * (x / mean - 1.0)) @ counts
    return float(_log_mean_exp(growth, weights))


def log_betting(x: Float, counts: Float, mean: float, alternative: str, prior: BetPrior) -> float:
    """Log e-value against "the mean of x is `mean`" for x in [0, 1] occurring `counts` times.

    Convex in `mean`, and at most 0 at the sample mean, so what is not rejected is an interval around it.
    """
    up = _log_up(x, counts, mean, prior) if alternative != "less" else -np.inf
    down = _log_up(1.0 - x, counts, 1.0 - mean, prior) if alternative != "greater" else -np.inf
    both = float(np.logaddexp(up, down))
    return both - log(2.0) if alternative == "two-sided" else both


def betting_e_value(
    scores: ArrayLike,
    null_mean: float,
    *,
    bounds: tuple[float, float] = (0.0, 1.0),
    alternative: str = "two-sided",
    prior: BetPrior = "geometric",
) -> float:
    """Return the e-value of bounded scores against "their mean is `null_mean`".

    The capital of a gambler who stakes fixed fractions f of it on every score being above (below) the
    null mean: `sum_f w_f prod_i (1 + f (x_i / m - 1))`, and its mirror image, averaged. Nothing is
    assumed but the bounds, and the order of the scores does not matter.

    Args:
        scores: Shape (items,), one number per independent item; nan is left out.
        null_mean: Mean under the null, strictly inside `bounds`.
        bounds: Smallest and largest possible score.
        alternative: `greater` tests "the mean is at most `null_mean`".
        prior: Spread of the capital over bet sizes, fixed before the data.

    Returns:
        E-value, 1 without data.

    Raises:
        StatsError: A score outside `bounds`, or a null mean on or outside them.

    References:
        Waudby-Smith and Ramdas 2024, JRSS B 86 (diversified Kelly betting).

    Examples:
        >>> betting_e_value([0.9, 0.8, 1.0, 0.9, 0.85] * 6, 0.5) > 1000
        True
    """
    x, scale = unit_scores(scores, bounds)
    mean = (null_mean - bounds[0]) / scale
    if not 0 < mean < 1:
        raise StatsError(f"null_mean must lie strictly inside bounds {bounds!r}, got {null_mean!r}")
    values, counts = np.unique(x, return_counts=True)
    if values.size == 0:
        return 1.0
    return float(exp_capped(log_betting(values, counts.astype(float), mean, check_alternative(alternative), prior)))


def unit_scores(scores: ArrayLike, bounds: tuple[float, float]) -> tuple[Float, float]:
    """Return the scores that are not nan mapped to [0, 1], and the width of `bounds`."""
    x = np.asarray(scores, dtype=np.float64).ravel()
    x = x[~np.isnan(x)]
    low, high = float(bounds[0]), float(bounds[1])
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise StatsError(f"bounds must be two finite numbers, low < high, got {bounds!r}")
    slack = 1e-9 * (high - low)
    if x.size and (x.min() < low - slack or x.max() > high + slack):
        raise StatsError(
            f"a score of {float(x.min() if x.min() < low else x.max())!r} lies outside bounds {bounds!r}; "
            "give the range that the score can take, or use a method for unbounded scores"
        )
    return np.clip((x - low) / (high - low), 0.0, 1.0), high - low


def log_normal_mixture(total: ArrayLike, variance: ArrayLike, rho2: float, alternative: str) -> Float:
    """Logarithm of `normal_mixture_e_value`."""
    s = np.asarray(total, dtype=np.float64)
    v = np.asarray(variance, dtype=np.float64)
    spread = 1.0 + v * rho2
    log_e = s**2 * rho2 / (2 * spread) - 0.5 * np.log(spread)
    if alternative == "two-sided":
        return np.asarray(log_e, dtype=np.float64)
    sign = 1.0 if alternative == "greater" else -1.0
    with np.errstate(divide="ignore"):
        side = np.log(2 * norm_cdf(sign * s * np.sqrt(rho2 / spread)))
    return np.asarray(log_e + side, dtype=np.float64)


def normal_mixture_e_value(
    total: ArrayLike, variance: ArrayLike, *, rho2: float, alternative: str = "two-sided"
) -> Float:
    """Return Robbins' normal-mixture e-value of a sum against "its mean is zero".

    `E = (1 + v rho2)^-1/2 exp(S^2 rho2 / (2 (1 + v rho2)))`, exact for normal increments with intrinsic
    variance v, asymptotic with v estimated. One-sided: multiplied by `2 Phi(S sqrt(rho2 / (1 + v rho2)))`.

    Args:
        total: Sum S of the centred observations.
        variance: Sum v of their variances.
        rho2: Variance of the mixture over the mean; `mixture_rho2` tunes it to a planned n.
        alternative: `greater` tests "the mean is at most zero".

    Returns:
        E-values, the broadcast shape of `total` and `variance`.

    Raises:
        StatsError: `rho2 <= 0` or an unknown alternative.

    References:
        Robbins 1970, Annals of Mathematical Statistics 41; Howard, Ramdas, McAuliffe and Sekhon 2021,
        Annals of Statistics 49.

    Examples:
        >>> round(float(normal_mixture_e_value(0.0, 100.0, rho2=0.01)), 4)
        0.7071
    """
    if not rho2 > 0:
        raise StatsError(f"rho2 must be positive, got {rho2!r}")
    return exp_capped(log_normal_mixture(total, variance, rho2, check_alternative(alternative)))


def always_valid_p(e_values: ArrayLike) -> Float:
    """Return the always-valid p-values of e-values in the order they were seen.

    `p_t = min(1, 1 / max_{s <= t} E_s)`: it never rises, and may be compared with alpha at any time.

    Args:
        e_values: Shape (..., looks); the last axis is time.

    Returns:
        Same shape, in [0, 1].

    Examples:
        >>> always_valid_p([1.0, 4.0, 2.0, 25.0]).tolist()
        [1.0, 0.25, 0.25, 0.04]
    """
    e = np.asarray(e_values, dtype=np.float64)
    if e.size and bool(np.nanmin(e) < 0):
        raise StatsError("e_values must be at least 0")
    best = np.maximum.accumulate(np.atleast_1d(np.nan_to_num(e, nan=0.0)), axis=-1)
    return np.asarray(1.0 / np.maximum(best, 1.0), dtype=np.float64).reshape(e.shape)


@dataclass(frozen=True, slots=True, kw_only=True)
class EBHResult:
    """Which of several e-values count as discoveries, with the false-discovery rate held at alpha."""

    rejected: tuple[bool, ...]
    """In the order given."""
    n_rejected: int
    threshold: float
    """The e-value a hypothesis had to reach; inf when nothing was rejected."""
    family: int
    """Hypotheses counted; a missing e-value (nan) counts and is never rejected."""
    alpha: float
    method: str = "e_bh"


def e_bh(e_values: ArrayLike, *, alpha: float = 0.05) -> EBHResult:
    """Select discoveries among e-values with the false-discovery rate at most alpha.

    Sorted downwards, the largest k with `e_(k) >= K / (alpha k)` is the number of discoveries. Valid under
    any dependence between metrics, variants or segments, and at any stopping time.

    Args:
        e_values: Shape (K,); nan = not estimable.
        alpha: False-discovery rate.

    Returns:
        The selection, in the order given.

    References:
        Wang and Ramdas 2022, JRSS B 84.

    Examples:
        >>> e_bh([100.0, 45.0, 0.5, 2.0], alpha=0.05).rejected
        (True, True, False, False)
    """
    check_alpha(alpha)
    e = np.nan_to_num(np.asarray(e_values, dtype=np.float64).ravel(), nan=0.0)
    if e.size and e.min() < 0:
        raise StatsError(f"e_values must be at least 0, got {float(e.min())!r}")
    family = e.size
    ranks = np.arange(1, family + 1)
    passed = np.flatnonzero(np.sort(e)[::-1] * ranks * alpha >= family * (1 - 1e-12))
    k = int(passed[-1]) + 1 if passed.size else 0
    threshold = family / (alpha * k) if k else float("inf")
    rejected: Bool = e >= threshold * (1 - 1e-12)
    return EBHResult(
        rejected=tuple(bool(r) for r in rejected), n_rejected=k, threshold=threshold, family=family, alpha=alpha
    )
