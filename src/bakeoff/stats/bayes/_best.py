"""Which of several variants is best, in posterior probability."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np

from bakeoff.errors import StatsError
from bakeoff.stats.core._dist import beta_cdf, beta_ppf, log_beta, norm_cdf

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Float = NDArray[np.float64]

__all__ = ["STOPPING_WARNING", "BestOfK", "prob_best_beta", "prob_best_normal", "prob_beta_greater"]

STOPPING_WARNING = (
    "P(best) > 95% is not a stopping rule: checked every 10 items it declares a winner in more than half of all "
    "comparisons between identical variants. To stop early, use a sequential comparison."
)
"""Carried by every Bayesian result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BestOfK:
    """Probability that each variant is the best of k, and what choosing it would lose."""

    p_best: dict[str, float]
    """Sums to 1."""
    expected_loss: dict[str, float]
    """E(max of all - this one), on the scale of the score."""
    method: str
    warnings: tuple[str, ...] = (STOPPING_WARNING,)
    names: tuple[str, ...] = field(default=())


def prob_beta_greater(a_candidate: float, b_candidate: float, a_baseline: float, b_baseline: float) -> float:
    """Return P(X > Y) for independent X ~ Beta(a_candidate, b_candidate), Y ~ Beta(a_baseline, b_baseline).

    For a whole-number `a_candidate` the closed form
    `sum_{i < a_X} B(a_Y + i, b_X + b_Y) / ((b_X + i) B(1 + i, b_X) B(a_Y, b_Y))`, otherwise quadrature.

    Args:
        a_candidate: Prior plus successes of X; positive.
        b_candidate: Prior plus failures of X.
        a_baseline: Prior plus successes of Y.
        b_baseline: Prior plus failures of Y.

    Returns:
        Probability in [0, 1].

    Raises:
        StatsError: A parameter that is not positive and finite.

    References:
        Miller 2015, "Formulas for Bayesian A/B Testing".

    Examples:
        >>> round(prob_beta_greater(2, 1, 1, 1), 4)
        0.6667
    """
    shape = (a_candidate, b_candidate, a_baseline, b_baseline)
    if any(not 0 < value < np.inf for value in shape):
        raise StatsError(f"beta parameters must be positive and finite, got {shape!r}")
    if float(a_candidate).is_integer() and a_candidate <= 100_000:
        i = np.arange(int(a_candidate), dtype=np.float64)
        terms = (
            log_beta(a_baseline + i, b_candidate + b_baseline)
            - np.log(b_candidate + i)
            - log_beta(1 + i, b_candidate)
            - log_beta(a_baseline, b_baseline)
        )
        return float(min(1.0, np.exp(terms).sum()))
    return float(_beta_grid_best(np.array([a_candidate, a_baseline]), np.array([b_candidate, b_baseline]))[0][0])


def _beta_grid_best(a: Float, b: Float) -> tuple[Float, float]:
    """P(best) and E(max) of independent betas, by quadrature over each arm's own quantiles.

    Integrating over u = F_j(x) keeps densities that are infinite at 0 or 1 out of the sum; the pieces end at
    quantiles of every arm, so that an arm known much better than the others is still resolved.
    """
    nodes, weights = np.polynomial.legendre.leggauss(8)
    levels = norm_cdf(np.linspace(-7.5, 7.5, 46))
    edges = np.unique(np.concatenate([[0.0, 1.0], beta_ppf(levels[None, :], a[:, None], b[:, None]).ravel()]))

    def pieces(ends: Float) -> tuple[Float, Float]:
        half = np.diff(ends) / 2
        points = ends[:-1, None] + half[:, None] * (nodes + 1)[None, :]
        return points.ravel(), (half[:, None] * weights[None, :]).ravel()

    best = np.empty(a.size)
    for j in range(a.size):
        u, w = pieces(np.unique(np.concatenate([[0.0, 1.0], beta_cdf(edges, a[j], b[j])])))
        x = beta_ppf(u, a[j], b[j])
        others = np.arange(a.size) != j
        best[j] = beta_cdf(x[None, :], a[others, None], b[others, None]).prod(axis=0) @ w
    x, w = pieces(edges)
    e_max = float((1 - beta_cdf(x[None, :], a[:, None], b[:, None]).prod(axis=0)) @ w)
    return best / best.sum(), e_max


def prob_best_beta(
    successes: Sequence[int],
    n: Sequence[int],
    *,
    names: Sequence[str] | None = None,
    prior: tuple[float, float] = (1, 1),
) -> BestOfK:
    """Return P(best of k) and expected losses of independent pass rates.

    `P(j best) = integral f_j(x) prod_{l != j} F_l(x) dx` by one-dimensional quadrature. For traffic that was
    split over variants; variants scored on the same items are not independent - use `bayes_paired_binary`.

    Args:
        successes: Passes per variant.
        n: Trials per variant.
        names: Names of the variants; numbered from 0 by default.
        prior: Beta prior on each pass rate.

    Returns:
        Probabilities (sum 1) and expected losses by name.

    Raises:
        StatsError: Counts outside 0..n or fewer than two variants.

    Examples:
        >>> {k: round(v, 3) for k, v in prob_best_beta([50, 50], [100, 100]).p_best.items()}
        {'0': 0.5, '1': 0.5}
    """
    s, total = np.asarray(successes, dtype=np.float64), np.asarray(n, dtype=np.float64)
    if s.shape != total.shape or s.ndim != 1 or s.size < 2:
        raise StatsError("successes and n must hold one count per variant, for at least two variants")
    if bool((s < 0).any()) or bool((s > total).any()) or not np.isfinite(total).all():
        raise StatsError("successes must lie between 0 and n")
    if not (prior[0] > 0 and prior[1] > 0):
        raise StatsError(f"prior must hold two positive numbers, got {prior!r}")
    a, b = prior[0] + s, prior[1] + total - s
    best, e_max = _beta_grid_best(a, b)
    labels = _labels(names, s.size)
    means = a / (a + b)
    return BestOfK(
        p_best=dict(zip(labels, best.tolist(), strict=True)),
        expected_loss=dict(zip(labels, np.maximum(e_max - means, 0.0).tolist(), strict=True)),
        method="beta_quadrature",
        names=labels,
    )


def _labels(names: Sequence[str] | None, k: int) -> tuple[str, ...]:
    labels = tuple(str(i) for i in range(k)) if names is None else tuple(names)
    if len(labels) != k or len(set(labels)) != k:
        raise StatsError(f"names must be {k} different names, got {list(labels)!r}")
    return labels


def prob_best_normal(
    means: Sequence[float], standard_errors: Sequence[float], *, names: Sequence[str] | None = None
) -> BestOfK:
    """Return P(best of k) and expected losses for independent normal posteriors, by quadrature.

    Args:
        means: Posterior means.
        standard_errors: Posterior standard deviations, positive.
        names: Names of the variants; numbered from 0 by default.

    Returns:
        Probabilities (sum 1) and expected losses by name.

    Raises:
        StatsError: Fewer than two variants, or a standard error that is not positive and finite.

    Examples:
        >>> round(prob_best_normal([1.0, 0.0], [1.0, 1.0]).p_best["0"], 4)
        0.7602
    """
    m, s = np.asarray(means, dtype=np.float64), np.asarray(standard_errors, dtype=np.float64)
    if m.shape != s.shape or m.ndim != 1 or m.size < 2 or not np.isfinite(m).all():
        raise StatsError("means and standard_errors must hold one finite number per variant, at least two variants")
    if not (np.isfinite(s).all() and bool((s > 0).all())):
        raise StatsError("standard_errors must be positive and finite")
    nodes, weights = np.polynomial.legendre.leggauss(8)
    edges = np.unique((m[:, None] + s[:, None] * np.linspace(-9, 9, 61)[None, :]).ravel())
    half = np.diff(edges) / 2
    x = (edges[:-1, None] + half[:, None] * (nodes + 1)[None, :]).ravel()
    w = (half[:, None] * weights[None, :]).ravel()
    z = (x[None, :] - m[:, None]) / s[:, None]
    cdf, pdf = norm_cdf(z), np.exp(-0.5 * z**2) / (s[:, None] * sqrt(2 * np.pi))
    best = np.array([(pdf[j] * np.delete(cdf, j, axis=0).prod(axis=0)) @ w for j in range(m.size)])
    e_max = float(edges[-1] - cdf.prod(axis=0) @ w)
    labels = _labels(names, m.size)
    return BestOfK(
        p_best=dict(zip(labels, (best / best.sum()).tolist(), strict=True)),
        expected_loss=dict(zip(labels, np.maximum(e_max - m, 0.0).tolist(), strict=True)),
        method="normal_quadrature",
        names=labels,
    )
