"""From a pilot run to the assumptions of a plan."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np

from bakeoff.errors import StatsError
from bakeoff.stats.core._checks import as_scores
from bakeoff.stats.core._items import encode_clusters
from bakeoff.stats.core._wilson import wilson_interval
from bakeoff.stats.planning._design import ComparisonDesign
from bakeoff.stats.planning._variance import variance_components

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from bakeoff.stats.core._result import Kind

    Float = NDArray[np.float64]

__all__ = ["PilotDesign", "design_from_pilot"]

_SMALL_PILOT = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class PilotDesign:
    """A design whose assumptions were measured."""

    design: ComparisonDesign
    n_items: int
    """Items of the pilot with a score under both variants."""
    spread: float
    """Discordance (pass/fail) or standard deviation of an item's difference at one run each."""
    spread_low: float
    spread_high: float
    """80% interval of `spread`: plan with the upper end to be cautious."""
    sentence: str
    warnings: tuple[str, ...] = ()


def design_from_pilot(
    candidate: ArrayLike,
    baseline: ArrayLike,
    *,
    design: ComparisonDesign | None = None,
    clusters: ArrayLike | None = None,
    cautious: bool = False,
    reruns: bool = False,
) -> PilotDesign:
    """Measure what a plan has to assume: discordance or spread, the share of generation, the ICC of clusters.

    The difference seen in the pilot is *not* used: planning for it would promise too much (winner's curse).

    Args:
        candidate: Scores of one variant, shape (items,) or (items, repeats); `nan` where missing.
        baseline: Scores of the other on the same items.
        design: Everything else that is planned (repeats, variants, alpha ...); its kind decides how the
            scores are read, and is inferred when not given.
        clusters: One label for each item.
        cautious: Plan with the upper end of the 80% interval of the spread instead of its estimate.
        reruns: Both are runs of one and the same variant (A/A): what they disagree on is noise, to which a true
            difference adds.

    Returns:
        The design to plan with.

    Raises:
        StatsError: Different numbers of items, or fewer than two complete pairs.

    Source: Browne (1995), Statistics in Medicine 14, 1933-1940, for planning with an upper limit.

    Examples:
        >>> from bakeoff.stats import design_from_pilot
        >>> pilot = design_from_pilot([1, 1, 0, 1, 0, 1, 1, 1, 0, 1], [1, 0, 0, 1, 1, 1, 1, 1, 0, 1])
        >>> pilot.design.kind, pilot.design.discordance
        ('binary', 0.25)
    """
    a, b = _two_dimensional(candidate, "candidate"), _two_dimensional(baseline, "baseline")
    if a.shape[0] != b.shape[0]:
        raise StatsError(f"candidate has {a.shape[0]} items and baseline {b.shape[0]}; a pilot is paired by item")
    complete = ~(np.isnan(a).all(axis=1) | np.isnan(b).all(axis=1))
    a, b = a[complete], b[complete]
    n = a.shape[0]
    if n < 2:
        raise StatsError(f"a pilot needs at least two items with a score under both variants, got {n}")
    kind = design.kind if design is not None else _kind(a, b)
    base = design or ComparisonDesign(kind=kind)
    mean_a, mean_b = np.nanmean(a, axis=1), np.nanmean(b, axis=1)
    noise = [float(variance_components(side).generation) for side in (a, b)]
    noise_per_run = sum(noise)  # nan without repeats
    changes: dict[str, object] = {}
    if clusters is not None:
        codes = encode_clusters(clusters, n=complete.size)[complete]
        changes |= _cluster_assumptions(mean_a - mean_b, codes)
    if kind == "binary":
        spread, low, high, total = _discordance(mean_a, mean_b, n)
        changes["baseline_rate"] = (float(mean_b.sum()) + 1) / (n + 2)
        changes["discordance"] = high if cautious else spread
        changes["discordance_of"] = "reruns" if reruns else "variants"
        label = "disagreement"
    else:
        spread, low, high = _spread(mean_a - mean_b, a, b, noise_per_run)
        total = spread**2
        changes["sd"] = max(high if cautious else spread, 1e-9)
        label = "standard deviation of a difference"
    if noise_per_run == noise_per_run and total > 0:
        changes["generation_share"] = min(1.0, max(0.0, noise_per_run / total))
    warnings = () if n >= _SMALL_PILOT else (f"a pilot of {n} items pins the spread down only roughly",)
    number = (
        f"{spread:.0%} ({low:.0%} to {high:.0%})" if kind == "binary" else f"{spread:.3g} ({low:.3g} to {high:.3g})"
    )
    return PilotDesign(
        design=replace(base, **changes),  # pyrefly: ignore[bad-argument-type]  # a dict of checked field values
        n_items=n,
        spread=spread,
        spread_low=low,
        spread_high=high,
        sentence=f"The pilot of {n} items shows a {label} of {number}.",
        warnings=warnings,
    )


def _two_dimensional(scores: ArrayLike, name: str) -> Float:
    array = as_scores(scores, name)
    return array[:, None] if array.ndim == 1 else array


def _kind(a: Float, b: Float) -> Kind:
    values = np.concatenate([a.ravel(), b.ravel()])
    values = values[~np.isnan(values)]
    if np.isin(values, (0.0, 1.0)).all():
        return "binary"
    return "bounded" if values.min() >= 0 and values.max() <= 1 else "continuous"


def _discordance(mean_a: Float, mean_b: Float, n: int) -> tuple[float, float, float, float]:
    """Return the chance that two single runs disagree, shrunk by one item each way, with an 80% interval."""
    disagree = mean_a * (1 - mean_b) + mean_b * (1 - mean_a)
    raw = float(disagree.mean())
    low, high = wilson_interval(raw, n, 1.2816)
    return (float(disagree.sum()) + 1) / (n + 2), low, high, raw - float((mean_a - mean_b).mean()) ** 2


def _spread(difference: Float, a: Float, b: Float, noise: float) -> tuple[float, float, float]:
    from scipy import special

    n = difference.size
    observed = float(difference.var(ddof=1))
    if noise == noise:  # from item means back to one run each
        runs = [float((1 / (~np.isnan(side)).sum(axis=1)).mean()) for side in (a, b)]
        parts = [float(variance_components(side).generation) for side in (a, b)]
        observed = max(observed - sum(part * run for part, run in zip(parts, runs, strict=True)), 0.0) + noise
    sd = sqrt(max(observed, 0.0))
    factor = np.sqrt((n - 1) / special.chdtri(n - 1, np.array([0.1, 0.9])))
    return sd, float(sd * factor[0]), float(sd * factor[1])


def _cluster_assumptions(difference: Float, codes: NDArray[np.intp]) -> dict[str, object]:
    """Return the average cluster size and the ICC of the differences (one-way ANOVA, clipped to [0, 1])."""
    _, codes, sizes = np.unique(codes, return_inverse=True, return_counts=True)
    n, groups = difference.size, sizes.size
    size = n / groups
    if groups < 2 or n == groups:
        return {"cluster_size": size, "icc": 0.0}
    means = np.bincount(codes, weights=difference) / sizes
    within = float(((difference - means[codes]) ** 2).sum()) / (n - groups)
    between = float((sizes * (means - difference.mean()) ** 2).sum()) / (groups - 1)
    typical = (n - float((sizes**2).sum()) / n) / (groups - 1)
    variance = (between - within) / typical
    total = variance + within
    return {"cluster_size": size, "icc": float(np.clip(variance / total, 0.0, 1.0)) if total > 0 else 0.0}
