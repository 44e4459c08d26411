"""Evidence and limits of a sequential comparison, by the configured method."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

import numpy as np

from bakeoff.errors import StatsError
from bakeoff.stats.core._items import item_means
from bakeoff.stats.sequential._betting import betting_interval, paired_binary_interval
from bakeoff.stats.sequential._confidence_sequence import mixture_limits, mixture_rho2
from bakeoff.stats.sequential._evalues import log_betting, log_discordant, log_normal_mixture

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from bakeoff.stats.sequential._config import SequentialConfig

    Float = NDArray[np.float64]


__all__ = ["paired_units", "sequential_evidence", "sequential_limits", "validated_scores"]


def paired_units(
    candidate: Float, baseline: Float, *, config: SequentialConfig, clusters: ArrayLike | None = None
) -> tuple[Float, Float, int]:
    """Return one (candidate, baseline) pair per independent unit, and the items left out.

    Repeats are averaged within an item; items of one cluster are averaged within it. An item counts
    only when both variants have a score.
    """
    if candidate.shape[0] != baseline.shape[0]:
        raise StatsError(
            f"candidate_scores and baseline_scores must hold the same items in the same order, "
            f"got {candidate.shape[0]} and {baseline.shape[0]} items"
        )
    for name, scores in (("candidate_scores", candidate), ("baseline_scores", baseline)):
        validated_scores(scores, name, config)
    (left, _), (right, _) = item_means(candidate), item_means(baseline)
    complete = ~(np.isnan(left) | np.isnan(right))
    n_missing = int((~complete).sum())
    left, right = left[complete], right[complete]
    if not config.clustered:
        return left, right, n_missing
    labels = np.asarray(clusters)
    if clusters is None or labels.shape != complete.shape:
        raise StatsError("a clustered comparison needs clusters: one label per item in every update")
    _, index = np.unique(labels[complete].astype(str), return_inverse=True)
    sizes = np.bincount(index).astype(float)
    return np.bincount(index, left) / sizes, np.bincount(index, right) / sizes, n_missing


def validated_scores(scores: Float, name: str, config: SequentialConfig) -> Float:
    """Return `scores` if they fit the kind, the range and the repeats that were declared."""
    seen = scores[~np.isnan(scores)]
    if scores.ndim == 2 and scores.shape[1] > config.repeats:
        raise StatsError(
            f"{name} has {scores.shape[1]} repeats per item but the comparison was set up for {config.repeats}; "
            f"set repeats={scores.shape[1]}"
        )
    if config.kind == "continuous" or seen.size == 0:
        return scores
    low, high = config.score_range
    if config.kind == "binary" and not bool(np.isin(seen, (low, high)).all()):
        raise StatsError(f"{name} of kind 'binary' must be {low:g} or {high:g}; use kind 'bounded' for other scores")
    if seen.min() < low - 1e-9 or seen.max() > high + 1e-9:
        raise StatsError(
            f"{name} holds {float(seen.min())!r}..{float(seen.max())!r}, outside score_range {(low, high)!r}"
        )
    return scores


def sequential_evidence(differences: Float, config: SequentialConfig) -> float:
    """Return the log e-value of unit differences against "no difference"; 0 before it can be computed."""
    n, method = differences.size, config.resolved_method
    if n == 0:
        return 0.0
    if method == "e_process":
        wins, losses = int((differences > 0).sum()), int((differences < 0).sum())
        return float(log_discordant(wins, losses, config.alternative))
    if method == "betting":
        x = np.clip((differences / config.reach + 1) / 2, 0.0, 1.0)
        values, counts = np.unique(x, return_counts=True)
        return log_betting(values, counts.astype(float), 0.5, config.alternative, "geometric")
    sd = _sd(differences) if n >= max(2, config.first_look) else 0.0
    if sd <= 0:
        return 0.0
    rho2 = mixture_rho2(config.planned_n or n, alpha=config.alpha)
    return float(log_normal_mixture((differences / sd).sum(), float(n), rho2, config.alternative))


def _sd(differences: Float) -> float:
    """Standard deviation that neither overflows nor vanishes at extreme scales."""
    scale = float(np.abs(differences).max())
    return scale * float((differences / scale).std(ddof=1)) if scale > 0 else 0.0


def sequential_limits(differences: Float, config: SequentialConfig) -> tuple[float, float]:
    """Return the always-valid limits of the mean difference after these units."""
    n, reach, method = differences.size, config.reach, config.resolved_method
    confidence = 1 - config.alpha
    if n == 0:
        return -reach, reach
    if method == "e_process":
        wins, losses = int((differences > 0).sum()), int((differences < 0).sum())
        estimate = paired_binary_interval(wins, losses, n, confidence=confidence, alternative=config.alternative)
        return reach * estimate.low, reach * estimate.high
    if method == "betting":
        bounds = (-reach, reach)
        estimate = betting_interval(
            np.clip(differences, -reach, reach), bounds=bounds, confidence=confidence, alternative=config.alternative
        )
        return estimate.low, estimate.high
    sd = _sd(differences) if n >= max(2, config.first_look) else 0.0
    if sd <= 0:
        return -inf, inf
    rho2 = mixture_rho2(config.planned_n or n, alpha=config.alpha)
    mean = float(differences.mean())
    return mixture_limits(mean, sd, n, rho2=rho2, alpha=config.alpha, alternative=config.alternative)
