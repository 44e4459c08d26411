"""What would another routing policy have earned? From logged decisions, when the log can answer."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan, sqrt
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from bakeoff.errors import StatsError
from bakeoff.stats.core._checks import check_confidence
from bakeoff.stats.core._dist import t_ppf
from bakeoff.stats.core._result import Estimate

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Float = NDArray[np.float64]

__all__ = ["OffPolicyMethod", "OffPolicyValue", "effective_sample_size", "off_policy_value"]

OffPolicyMethod = Literal["ips", "snips", "dr"]
"""Inverse propensity, its self-normalised form, or doubly robust."""

MIN_ESS = 50.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OffPolicyValue(Estimate):
    """Value of the target policy with what its estimate rests on."""

    ess: float
    """Effective sample size of the weights; below 50 the estimate is refused."""
    max_weight: float
    unsupported: float
    """Share of the target policy's probability on actions that the log never tries."""


def effective_sample_size(weights: ArrayLike) -> float:
    """Return `(sum w)^2 / sum w^2`, the events that importance weights are worth.

    Examples:
        >>> effective_sample_size([1.0, 1.0, 1.0, 1.0])
        4.0
        >>> effective_sample_size([0.0, 0.0])
        0.0
    """
    w = np.asarray(weights, dtype=np.float64).ravel()
    if not np.isfinite(w).all() or bool((w < 0).any()):
        raise StatsError("weights must be finite and at least 0")
    square = float((w**2).sum())
    return float(w.sum() ** 2 / square) if square > 0 else 0.0


def off_policy_value(
    actions: ArrayLike,
    rewards: ArrayLike,
    *,
    logged: ArrayLike,
    target: ArrayLike,
    method: OffPolicyMethod = "snips",
    predicted: ArrayLike | None = None,
    clip: float | None = None,
    clusters: ArrayLike | None = None,
    confidence: float = 0.95,
) -> OffPolicyValue:
    """Estimate what a target policy would have earned on the logged events.

    With `w = target / logged` of the chosen action: IPS `mean(w r)`; SNIPS `sum(w r) / sum(w)`; DR
    `mean(sum_a target_a q_a + w (r - q))`. Standard errors from the influence values, summed within clusters.

    Args:
        actions: Index of the chosen action, shape (events,).
        rewards: Its reward; nan (never came) is left out.
        logged: Probability that the logging policy gave every action, shape (events, actions); or of the chosen
            action only, shape (events,), which cannot reveal actions that were never possible.
        target: Probability that the target policy gives every action, shape (events, actions).
        method: `snips` is the default; `dr` needs `predicted`.
        predicted: Expected reward of every action, shape (events, actions), fitted on other data (cross-fit).
        clip: Largest weight. Less variance, a bias towards the logging policy; the warning says so.
        clusters: One label per event (users, conversations).
        confidence: Of the interval.

    Returns:
        Value with interval, or nan with a reason when the effective sample size is below 50 or the target takes
        actions that the log never tries.

    Raises:
        StatsError: Probabilities out of range or not summing to 1, arrays that do not fit, `predicted` missing.

    References:
        Horvitz and Thompson 1952; Swaminathan and Joachims 2015, NeurIPS; Dudik, Langford and Li 2011, ICML.

    Examples:
        >>> rng = np.random.default_rng(0)
        >>> actions = rng.integers(2, size=1000)
        >>> rewards = rng.random(1000) < 0.3 + 0.4 * actions
        >>> logged, target = np.full((1000, 2), 0.5), np.tile([0.1, 0.9], (1000, 1))
        >>> value = off_policy_value(actions, rewards, logged=logged, target=target)
        >>> value.low < 0.66 < value.high
        True
    """
    check_confidence(confidence)
    if method not in get_args(OffPolicyMethod):
        raise StatsError(f"method must be one of {list(get_args(OffPolicyMethod))}, got {method!r}")
    log = _read(actions, rewards, logged, target, predicted if method == "dr" else None)
    if method == "dr" and log.predicted is None:
        raise StatsError("method 'dr' needs predicted: the expected reward of every action; without it use 'snips'")
    if clip is not None and not clip > 0:
        raise StatsError(f"clip must be positive, got {clip!r}")
    weight = log.weight if clip is None else np.minimum(log.weight, clip)
    ess = effective_sample_size(weight)
    n = weight.size
    reason = _refusal(n, ess, log.unsupported)
    clipped = clip is not None and bool((log.weight > clip).any())
    warnings = ("weights are clipped: the value leans towards the logging policy",) if clipped else ()
    value, influence = _influence(log, weight, method)
    se, df = _standard_error(influence, None if clusters is None else np.asarray(clusters).ravel()[log.seen])
    if reason is None and not se > 0:
        reason = "the spread cannot be estimated: one cluster, or all weighted rewards are equal"
    half = float(t_ppf(0.5 + confidence / 2, df)) * se if reason is None else nan
    return OffPolicyValue(
        estimate=value if reason is None else nan,
        low=value - half,
        high=value + half,
        confidence=confidence,
        n=n,
        method=method,
        se=se if reason is None else nan,
        df=df,
        reason=reason,
        warnings=warnings,
        assumptions=("logged propensities are those used", "one event does not affect another"),
        ess=ess,
        max_weight=float(weight.max()) if n else nan,
        unsupported=log.unsupported,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Log:
    rewards: Float
    weight: Float
    target: Float
    predicted: Float | None
    chosen: NDArray[np.intp]
    seen: NDArray[np.bool_]
    unsupported: float


def _probabilities(values: ArrayLike, name: str, n: int) -> Float:
    p = np.asarray(values, dtype=np.float64)
    if p.ndim not in (1, 2) or p.shape[0] != n:
        raise StatsError(f"{name} must hold one row per event ({n}), got shape {p.shape}")
    if not np.isfinite(p).all() or bool((p < 0).any()) or bool((p > 1 + 1e-9).any()):
        raise StatsError(f"{name} must hold probabilities in [0, 1]")
    if p.ndim == 2 and n and bool((np.abs(p.sum(axis=1) - 1) > 1e-6).any()):
        raise StatsError(f"every row of {name} must sum to 1")
    return p


def _read(
    actions: ArrayLike, rewards: ArrayLike, logged: ArrayLike, target: ArrayLike, predicted: ArrayLike | None
) -> _Log:
    y, a = np.asarray(rewards, dtype=np.float64).ravel(), np.asarray(actions).ravel()
    if a.size != y.size:
        raise StatsError(f"actions and rewards must have the same length, got {a.size} and {y.size}")
    if np.isinf(y).any():
        raise StatsError("rewards holds an infinite value; a missing reward is nan")
    pi, mu = _probabilities(target, "target", y.size), _probabilities(logged, "logged", y.size)
    if pi.ndim != 2:
        raise StatsError("target must have shape (events, actions)")
    if y.size and (not np.issubdtype(a.dtype, np.integer) or a.min() < 0 or a.max() >= pi.shape[1]):
        raise StatsError(f"actions must be whole numbers from 0 to {pi.shape[1] - 1}, the columns of target")
    if mu.ndim == 2 and mu.shape != pi.shape:
        raise StatsError(f"logged and target must have the same shape, got {mu.shape} and {pi.shape}")
    q = None if predicted is None else np.asarray(predicted, dtype=np.float64)
    if q is not None and (q.shape != pi.shape or not np.isfinite(q).all()):
        raise StatsError(f"predicted must hold finite numbers of shape {pi.shape}, got {q.shape}")
    seen = ~np.isnan(y)
    chosen = a[seen].astype(np.intp)
    rows = np.flatnonzero(seen)
    given = mu[rows, chosen] if mu.ndim == 2 else mu[rows]
    if bool((given <= 0).any()):
        raise StatsError("logged is 0 for an action that was taken: the log and its propensities do not fit together")
    unsupported = float(np.where(mu <= 0, pi, 0.0).sum(axis=1).mean()) if mu.ndim == 2 and y.size else 0.0
    return _Log(
        rewards=y[seen],
        weight=pi[rows, chosen] / given,
        target=pi[seen],
        predicted=None if q is None else q[seen],
        chosen=chosen,
        seen=seen,
        unsupported=unsupported,
    )


def _refusal(n: int, ess: float, unsupported: float) -> str | None:
    if n == 0:
        return "no event has a reward"
    if unsupported > 0:
        return (
            f"the target policy spends {100 * unsupported:.1f}% of its probability on actions that the log never "
            "tries; no weighting can tell what they would have earned"
        )
    if ess < MIN_ESS:
        return (
            f"the log is worth only {ess:.0f} events for this target policy (at least {MIN_ESS:.0f} needed): the two "
            "policies differ too much; collect more, or explore with a floor"
        )
    return None


def _influence(log: _Log, weight: Float, method: OffPolicyMethod) -> tuple[float, Float]:
    n = weight.size
    if n == 0:
        return nan, np.zeros(0)
    if method == "snips":
        total = float(weight.sum())
        if total <= 0:
            return nan, np.zeros(n)
        value = float(weight @ log.rewards) / total
        return value, weight * (log.rewards - value) * n / total
    if log.predicted is not None:
        fitted = log.predicted[np.arange(n), log.chosen]
        terms = (log.target * log.predicted).sum(axis=1) + weight * (log.rewards - fitted)
    else:
        terms = weight * log.rewards
    value = float(terms.mean())
    return value, terms - value


def _standard_error(influence: Float, clusters: NDArray[np.generic] | None) -> tuple[float, float]:
    n = influence.size
    if n < 2:
        return nan, nan
    if clusters is None:
        return float(np.sqrt((influence**2).sum() / (n * (n - 1)))), float(n - 1)
    _, index = np.unique(clusters.astype(str), return_inverse=True)
    groups = int(index.max()) + 1
    if groups < 2:
        return nan, nan
    sums = np.bincount(index, influence)
    return sqrt(groups / (groups - 1)) * float(np.sqrt((sums**2).sum())) / n, float(groups - 1)
