"""Bayesian comparison of variants: probability of being better, expected loss, region of practical equivalence."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan, sqrt
from typing import TYPE_CHECKING

import numpy as np

from bakeoff.errors import StatsError
from bakeoff.stats.bayes._best import STOPPING_WARNING, prob_beta_greater
from bakeoff.stats.core._checks import as_rng, as_scores, check_confidence, check_count
from bakeoff.stats.core._dist import beta_cdf, beta_ppf, norm_cdf, norm_ppf
from bakeoff.stats.core._items import item_means

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Float = NDArray[np.float64]

__all__ = ["BayesComparison", "bayes_paired_binary", "bayes_proportions", "bayes_scores", "shrinkage_sd"]


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


def _expected_excess(a1: float, b1: float, a2: float, b2: float) -> float:
    """E max(X - Y, 0) for independent betas (Stucchio 2014): two shifted win probabilities."""
    first = a1 / (a1 + b1) * prob_beta_greater(a1 + 1, b1, a2, b2)
    second = a2 / (a2 + b2) * prob_beta_greater(a1, b1, a2 + 1, b2)
    return max(first - second, 0.0)


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
    d = item_means(as_scores(differences, "differences"))[0]
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
