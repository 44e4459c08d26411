"""Bayesian comparison of variants: probability of being better, expected loss, region of practical equivalence."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import nan, sqrt
from typing import TYPE_CHECKING

import numpy as np

from bakeoff.errors import StatsError
from bakeoff.stats._checks import as_rng, as_scores, check_confidence, check_count
from bakeoff.stats._dist import beta_cdf, beta_ppf, log_beta, norm_cdf, norm_ppf
from bakeoff.stats._order import item_means

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    Float = NDArray[np.float64]

__all__ = [
    "STOPPING_WARNING",
    "BayesComparison",
    "BestOfK",
    "bayes_paired_binary",
    "bayes_proportions",
    "bayes_scores",
    "prob_best_beta",
    "prob_best_normal",
    "prob_beta_greater",
    "shrinkage_sd",
]

STOPPING_WARNING = (
    "P(best) > 95% is not a stopping rule: checked every 10 items it declares a winner in more than half of all "
    "comparisons between identical variants. To stop early, use a sequential comparison."
)
"""Carried by every Bayesian result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BayesComparison:
    """Posterior of candidate minus baseline."""

    p_better: float
    """P(candidate > baseline); nan with a reason when it cannot be computed."""
    loss_if_candidate: float
    """Expected loss of choosing the candidate: E max(baseline - candidate, 0)."""
    loss_if_baseline: float
    estimate: float
    """Posterior mean of the difference."""
    low: float
    high: float
    """Equal-tailed credible limits."""
    confidence: float
    rope: tuple[float, float] | None = None
    p_rope: float = nan
    """Posterior mass inside the region of practical equivalence; nan without one."""
    n: int
    method: str
    prior: str
    mc_error: float = 0.0
    """Largest Monte Carlo standard error of the probabilities; 0 for closed forms and quadrature."""
    reason: str | None = None
    warnings: tuple[str, ...] = (STOPPING_WARNING,)


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


def _expected_excess(a1: float, b1: float, a2: float, b2: float) -> float:
    """E max(X - Y, 0) for independent betas (Stucchio 2014): two shifted win probabilities."""
    first = a1 / (a1 + b1) * prob_beta_greater(a1 + 1, b1, a2, b2)
    second = a2 / (a2 + b2) * prob_beta_greater(a1, b1, a2 + 1, b2)
    return max(first - second, 0.0)


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


def _check_rope(rope: tuple[float, float] | None) -> None:
    if rope is not None and not rope[0] < rope[1]:
        raise StatsError(f"rope must be (low, high) with low < high, got {rope!r}")


def bayes_proportions(
    successes_candidate: int,
    n_candidate: int,
    successes_baseline: int,
    n_baseline: int,
    *,
    prior: tuple[float, float] = (1.0, 1.0),
    rope: tuple[float, float] | None = None,
    confidence: float = 0.95,
) -> BayesComparison:
    """Compare two independent pass rates (split traffic) with beta posteriors.

    P(better) and expected losses in closed form for whole-number priors; limits and the mass in the region
    of practical equivalence by quadrature. For the same items under both variants use `bayes_paired_binary`.

    Args:
        successes_candidate: Passes of the candidate.
        n_candidate: Its trials.
        successes_baseline: Passes of the baseline.
        n_baseline: Its trials.
        prior: Beta prior on both rates.
        rope: Differences that do not matter, for instance (-0.02, 0.02).
        confidence: Of the credible interval.

    Returns:
        Posterior summary, with the warning about stopping.

    Raises:
        StatsError: Counts outside 0..n, a prior that is not positive.

    Examples:
        >>> result = bayes_proportions(60, 100, 50, 100)
        >>> round(result.p_better, 3), result.loss_if_candidate < result.loss_if_baseline
        (0.921, True)
    """
    check_confidence(confidence)
    _check_rope(rope)
    if not (prior[0] > 0 and prior[1] > 0):
        raise StatsError(f"prior must hold two positive numbers, got {prior!r}")
    pairs = ((successes_candidate, n_candidate), (successes_baseline, n_baseline))
    for s, total in pairs:
        check_count(s, "successes")
        if s > check_count(total, "n"):
            raise StatsError(f"successes must lie between 0 and n, got {s!r} of {total!r}")
    (a1, b1), (a2, b2) = ((prior[0] + s, prior[1] + total - s) for s, total in pairs)
    grid = _DifferenceCdf(a1, b1, a2, b2)
    low, high = (_quantile(grid, q) for q in ((1 - confidence) / 2, (1 + confidence) / 2))
    return BayesComparison(
        p_better=prob_beta_greater(a1, b1, a2, b2),
        loss_if_candidate=_expected_excess(a2, b2, a1, b1),
        loss_if_baseline=_expected_excess(a1, b1, a2, b2),
        estimate=a1 / (a1 + b1) - a2 / (a2 + b2),
        low=low,
        high=high,
        confidence=confidence,
        rope=rope,
        p_rope=nan if rope is None else float(grid(rope[1]) - grid(rope[0])),
        n=n_candidate + n_baseline,
        method="beta_binomial",
        prior=f"Beta({prior[0]:g}, {prior[1]:g}) on both pass rates",
    )


class _DifferenceCdf:
    """P(X - Y <= d) of independent betas: Y by 64-node quadrature over its quantiles, X exactly."""

    def __init__(self, a1: float, b1: float, a2: float, b2: float) -> None:
        nodes, weights = np.polynomial.legendre.leggauss(64)
        self._y = beta_ppf((nodes + 1) / 2, a2, b2)
        self._w, self._a, self._b = weights / 2, a1, b1

    def __call__(self, difference: float) -> float:
        return float(self._w @ beta_cdf(np.clip(self._y + difference, 0.0, 1.0), self._a, self._b))


def _quantile(cdf: _DifferenceCdf, q: float) -> float:
    low, high = -1.0, 1.0
    for _ in range(50):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if cdf(middle) < q else (low, middle)
    return 0.5 * (low + high)


def bayes_paired_binary(
    both: int,
    wins: int,
    losses: int,
    neither: int,
    *,
    prior: float = 0.5,
    rope: tuple[float, float] | None = None,
    confidence: float = 0.95,
    rng: np.random.Generator | int = 0,
    draws: int = 40_000,
) -> BayesComparison:
    """Compare two variants on the same items with a Dirichlet posterior on the four cells.

    P(better) is exact: `P(p10 > p01) = P(theta > 1/2)` with theta ~ Beta(wins + prior, losses + prior). The
    difference `p10 - p01` is summarised from Dirichlet draws. Two independent betas would be wrong here: they
    ignore that both variants met the same items.

    Args:
        both: Items both passed.
        wins: Items only the candidate passed.
        losses: Items only the baseline passed.
        neither: Items both failed.
        prior: Dirichlet weight of each cell.
        rope: Differences that do not matter.
        confidence: Of the credible interval.
        rng: Seed or generator of the draws.
        draws: Number of draws.

    Returns:
        Posterior summary; `mc_error` is the Monte Carlo error of `p_rope`.

    Raises:
        StatsError: Negative counts or a prior that is not positive.

    Examples:
        >>> result = bayes_paired_binary(60, 15, 5, 20)
        >>> round(result.p_better, 3), round(result.estimate, 3)
        (0.989, 0.098)
    """
    check_confidence(confidence)
    _check_rope(rope)
    if not 0 < prior < np.inf:
        raise StatsError(f"prior must be positive, got {prior!r}")
    check_count(draws, "draws", minimum=1000)
    names = ("both", "wins", "losses", "neither")
    cells = [check_count(value, name) for value, name in zip((both, wins, losses, neither), names, strict=True)]
    weights = np.asarray(cells, dtype=np.float64) + prior
    gamma = as_rng(rng).standard_gamma(weights, size=(draws, 4))
    difference = (gamma[:, 1] - gamma[:, 2]) / gamma.sum(axis=1)
    inside = nan if rope is None else float(((difference > rope[0]) & (difference < rope[1])).mean())
    low, high = np.quantile(difference, [(1 - confidence) / 2, (1 + confidence) / 2])
    return BayesComparison(
        p_better=float(beta_cdf(0.5, weights[2], weights[1])),
        loss_if_candidate=float(np.maximum(-difference, 0).mean()),
        loss_if_baseline=float(np.maximum(difference, 0).mean()),
        estimate=float((weights[1] - weights[2]) / weights.sum()),
        low=float(low),
        high=float(high),
        confidence=confidence,
        rope=rope,
        p_rope=inside,
        n=sum(cells),
        method="dirichlet_paired",
        prior=f"Dirichlet({prior:g}) on the four cells",
        mc_error=0.0 if rope is None else sqrt(max(inside * (1 - inside), 1 / draws) / draws),
    )


def shrinkage_sd(effects: ArrayLike, standard_errors: ArrayLike) -> float:
    """Return the standard deviation of true effects over past experiments, for the prior N(0, tau).

    Maximum likelihood of `effect_i ~ N(0, tau^2 + se_i^2)`; 0 when past effects are no larger than their noise.

    Args:
        effects: Estimated differences of past experiments.
        standard_errors: Their standard errors, positive.

    Returns:
        tau >= 0; nan with fewer than three experiments.

    Raises:
        StatsError: Standard errors that are not positive, or unequal lengths.

    Examples:
        >>> shrinkage_sd([0.01, -0.02, 0.015], [0.05, 0.05, 0.05])
        0.0
    """
    d, s = np.asarray(effects, dtype=np.float64).ravel(), np.asarray(standard_errors, dtype=np.float64).ravel()
    if d.shape != s.shape or not (np.isfinite(d).all() and np.isfinite(s).all()) or bool((s <= 0).any()):
        raise StatsError("effects and standard_errors must be finite, of one length, standard_errors positive")
    if d.size < 3:
        return nan

    def slope(tau2: float) -> float:
        v = tau2 + s**2
        return float(((d**2 - v) / v**2).sum())

    if slope(0.0) <= 0:
        return 0.0
    low, high = 0.0, float((d**2).max())
    for _ in range(100):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if slope(middle) > 0 else (low, middle)
    return sqrt(0.5 * (low + high))


def bayes_scores(
    differences: ArrayLike,
    *,
    prior_sd: float,
    rope: tuple[float, float] | None = None,
    confidence: float = 0.95,
) -> BayesComparison:
    """Compare two variants on paired scores with the shrinkage prior N(0, prior_sd) on the difference.

    Normal-normal: the mean difference d with standard error s becomes `d t^2 / (t^2 + s^2)` with variance
    `s^2 t^2 / (t^2 + s^2)`. The prior takes back the winner's curse; learn it with `shrinkage_sd`.

    Args:
        differences: Candidate minus baseline, shape (items,) or (items, repeats); nan is left out.
        prior_sd: Standard deviation of true differences, on the scale of the score. Positive.
        rope: Differences that do not matter.
        confidence: Of the credible interval.

    Returns:
        Posterior summary; nan with a reason below two items or when all differences are equal.

    Raises:
        StatsError: `prior_sd` not positive, infinite differences.

    Examples:
        >>> result = bayes_scores([0.1, 0.3, -0.1, 0.2, 0.1, 0.2], prior_sd=0.05)
        >>> round(result.estimate, 3), round(result.p_better, 3)
        (0.059, 0.945)
    """
    check_confidence(confidence)
    _check_rope(rope)
    if not 0 < prior_sd < np.inf:
        raise StatsError(f"prior_sd must be positive and finite, got {prior_sd!r}")
    d = item_means(as_scores(differences, "differences"))
    d = d[~np.isnan(d)]
    se = float(d.std(ddof=1) / sqrt(d.size)) if d.size > 1 else 0.0
    described = f"N(0, {prior_sd:g}) on the difference"
    if se <= 0:
        why = "needs at least two items" if d.size < 2 else "all differences are equal: the spread cannot be estimated"
        return BayesComparison(
            p_better=nan, loss_if_candidate=nan, loss_if_baseline=nan, estimate=nan, low=nan, high=nan,
            confidence=confidence, rope=rope, n=d.size, method="normal_normal", prior=described, reason=why,
        )  # fmt: skip
    pull = prior_sd**2 / (prior_sd**2 + se**2)
    mean, sd = float(d.mean()) * pull, se * sqrt(pull)
    z = mean / sd
    density = float(np.exp(-0.5 * z**2) / sqrt(2 * np.pi))
    half = float(norm_ppf(0.5 + confidence / 2)) * sd
    inside = nan if rope is None else float(norm_cdf((rope[1] - mean) / sd) - norm_cdf((rope[0] - mean) / sd))
    return BayesComparison(
        p_better=float(norm_cdf(z)),
        loss_if_candidate=sd * density - mean * float(norm_cdf(-z)),
        loss_if_baseline=sd * density + mean * float(norm_cdf(z)),
        estimate=mean,
        low=mean - half,
        high=mean + half,
        confidence=confidence,
        rope=rope,
        p_rope=inside,
        n=d.size,
        method="normal_normal",
        prior=described,
    )
