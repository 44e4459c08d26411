"""Means of clustered or weighted items, with standard errors that know what belongs together."""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING, get_args

import numpy as np

from bakeoff.errors import StatsError
from bakeoff.stats.core._checks import as_scores, check_confidence
from bakeoff.stats.core._dist import critical_value
from bakeoff.stats.core._items import as_weights, encode_clusters, item_means
from bakeoff.stats.core._mean_fit import ClusterVariance, fit_mean
from bakeoff.stats.core._result import Estimate

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from bakeoff.stats.core._mean_fit import MeanFit

    Float = NDArray[np.float64]
    Codes = NDArray[np.intp]

__all__ = [
    "clustered_mean",
    "design_effect",
    "few_clusters_warning",
]


FEW_CLUSTERS = 10


def clustered_mean(
    scores: ArrayLike,
    clusters: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    variance: ClusterVariance = "cr2",
    confidence: float = 0.95,
) -> Estimate:
    """Estimate a mean whose items come in clusters (documents, conversations, users).

    With R_g the sum of the residuals of cluster g, n_g its size, G clusters and n items:

    - `cr2`: Var = sum (R_g / sqrt(1 - n_g/n))^2 / n^2 with Satterthwaite degrees of freedom
      (Bell & McCaffrey 2002; Pustejovsky & Tipton 2018), right from about 10 clusters
    - `cr1`: sum R_g^2 / n^2 * G/(G-1), t(G-1)
    - `cr0`: sum R_g^2 / n^2, normal; rejects too often below 50 clusters, for comparison only
    - `cluster_means`: t on the means of the clusters; each cluster counts the same, so it answers
      for a cluster rather than for an item

    Args:
        scores: Shape (items,) or (items, repeats); `nan` marks a missing score.
        clusters: One label for each item.
        weights: Optional weight of each item.
        variance: The standard error.
        confidence: Level of the interval.

    Returns:
        Estimate with `n` the number of clusters. One cluster: interval `nan` with a reason.

    Raises:
        StatsError: Lengths that differ, or an argument out of range.

    Examples:
        >>> e = clustered_mean([1, 1, 0, 0, 1, 0], ["a", "a", "b", "b", "c", "c"])
        >>> round(e.estimate, 3), round(e.se, 4), round(e.df, 3), e.n
        (0.5, 0.2887, 2.0, 3)
    """
    confidence = check_confidence(confidence)
    if variance not in get_args(ClusterVariance):
        raise StatsError(f"variance must be one of {list(get_args(ClusterVariance))}, got {variance!r}")
    means, _ = item_means(as_scores(scores))
    codes = encode_clusters(clusters, n=means.size)
    kept = ~np.isnan(means)
    w = None if weights is None else as_weights(weights, means.size)[kept]
    fit = fit_mean(means[kept], codes[kept], w, variance)
    reason, low, high = None, nan, nan
    if not fit.se > 0:
        reason = "no interval: it needs at least two clusters whose scores differ"
    else:
        half = critical_value(confidence, fit.df) * fit.se
        low, high = fit.mean - half, fit.mean + half
    return Estimate(
        estimate=fit.mean,
        low=low,
        high=high,
        confidence=confidence,
        n=fit.n_units,
        method=variance,
        se=fit.se,
        df=fit.df,
        reason=reason,
        assumptions=("clusters are independent of each other",),
        warnings=few_clusters_warning(fit.n_units),
    )


def few_clusters_warning(n_clusters: int) -> tuple[str, ...]:
    """Warn when there are too few clusters for the interval to be trusted fully."""
    if n_clusters >= FEW_CLUSTERS:
        return ()
    count = "1 cluster" if n_clusters == 1 else f"{n_clusters} clusters"
    return (f"only {count}: intervals are rough below {FEW_CLUSTERS}; add clusters, not items",)


def uneven_warning(fit: MeanFit, *, clustered: bool) -> tuple[str, ...]:
    """Warn when one or a few units carry nearly all the weight: df + 1 is how many equal ones they are worth."""
    if fit.n_units < FEW_CLUSTERS or not fit.df + 1 < min(FEW_CLUSTERS, fit.n_units / 2):
        return ()
    what, share = ("clusters", "sizes") if clustered else ("items", "weights")
    text = f"the {share} are so unequal that {fit.n_units:,} {what} are worth about {fit.df + 1:.1f} equal ones"
    return (f"{text}: one of them nearly decides the result",)


def design_effect(scores: ArrayLike, clusters: ArrayLike, *, weights: ArrayLike | None = None) -> float:
    """Measure how much clustering inflates the variance: SE(cr2)^2 / SE(independent)^2.

    A value of 3 means that three clustered items carry the information of one independent item
    (Kish 1965).

    Args:
        scores: Shape (items,) or (items, repeats).
        clusters: One label for each item.
        weights: Optional weight of each item.

    Returns:
        The ratio; `nan` when it cannot be estimated.

    Examples:
        >>> round(design_effect([1, 1, 0, 0, 1, 1, 0, 0], [0, 0, 1, 1, 2, 2, 3, 3]), 2)
        2.33
    """
    means, _ = item_means(as_scores(scores))
    codes = encode_clusters(clusters, n=means.size)
    kept = ~np.isnan(means)
    w = None if weights is None else as_weights(weights, means.size)[kept]
    clustered = fit_mean(means[kept], codes[kept], w)
    independent = fit_mean(means[kept], None, w)
    return (clustered.se / independent.se) ** 2 if independent.se > 0 else nan
