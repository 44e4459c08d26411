"""Two-parameter logistic item response model by marginal maximum likelihood."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan, pi
from typing import TYPE_CHECKING

import numpy as np

from bakeoff.errors import StatsError
from bakeoff.stats.core._checks import check_count
from bakeoff.stats.tradeoffs._item_analysis import score_matrix

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Float = NDArray[np.float64]

__all__ = ["ItemModel", "fit_item_model"]

_POINTS = 41
_REACH = 5.0
_PRIOR_MEAN, _PRIOR_SD = 0.0, 0.5
_EASINESS_SD = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemModel:
    """A fitted 2PL model: `P(pass) = 1 / (1 + exp(-a (theta - b)))`; ability is standard normal over subjects."""

    discrimination: NDArray[np.float64]
    """a per item, shape (items,)."""
    difficulty: NDArray[np.float64]
    """b per item; `nan` for an item that all passed or all failed when no prior is used."""
    discrimination_se: NDArray[np.float64]
    difficulty_se: NDArray[np.float64]
    ability: NDArray[np.float64]
    """Posterior mean ability per subject (EAP)."""
    ability_sd: NDArray[np.float64]
    log_likelihood: float
    """Marginal log-likelihood of the fitted items, without the prior."""
    iterations: int
    converged: bool
    prior: bool
    n_subjects: int
    reason: str | None = None
    warnings: tuple[str, ...] = ()

    def probability(self, ability: ArrayLike) -> NDArray[np.float64]:
        """Return P(pass) for abilities of shape (...,), as (..., items)."""
        theta = np.asarray(ability, dtype=np.float64)[..., None]
        return _logistic(self.discrimination * (theta - self.difficulty))

    def information(self, ability: ArrayLike) -> NDArray[np.float64]:
        """Return Fisher information `a^2 P (1 - P)` about ability, of shape (..., items)."""
        p = self.probability(ability)
        return self.discrimination**2 * p * (1 - p)


def _logistic(x: Float) -> Float:
    return np.asarray(0.5 * (1 + np.tanh(x / 2)), dtype=np.float64)


def fit_item_model(
    scores: ArrayLike, *, prior: bool | None = None, max_iterations: int = 2000, tolerance: float = 1e-6
) -> ItemModel:
    """Fit difficulty and discrimination of pass/fail items (2PL).

    Marginal maximum likelihood by the EM algorithm of Bock & Aitkin (1981), 41 quadrature points, one Newton step per
    item and M step; standard errors from the cross-product of the subjects' scores. A prior `log a ~ N(0, 0.5)` and
    `intercept ~ N(0, 3)` keeps the estimates finite with few subjects. Abilities compare only subjects within this
    calibration; with the 5-20 variants of one team read difficulties as a rough order.

    Args:
        scores: Pass/fail of shape (subjects, items); `nan` is missing.
        prior: Whether to use the prior; by default with fewer than 500 subjects.
        max_iterations: EM iterations at most.
        tolerance: Largest change of a parameter that counts as converged.

    Returns:
        The fitted model.

    Raises:
        StatsError: If a score is not 0, 1 or nan.

    Examples:
        >>> rng = np.random.default_rng(0)
        >>> ability = rng.normal(size=(400, 1))
        >>> scores = rng.random((400, 3)) < 1 / (1 + np.exp(-1.5 * (ability - np.array([-1.0, 0.0, 1.0]))))
        >>> fit_item_model(scores).difficulty.round(0).tolist()
        [-1.0, 0.0, 1.0]
    """
    x = score_matrix(scores)
    seen = ~np.isnan(x)
    if not np.isin(x[seen], (0.0, 1.0)).all():
        raise StatsError("scores must be 0, 1 or nan for the item model; threshold graded scores first")
    max_iterations = check_count(max_iterations, "max_iterations", minimum=1)
    subjects, items = x.shape
    use_prior = subjects < 500 if prior is None else prior
    rate = np.where(seen, x, 0.0).sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
    usable = seen.any(axis=0) & (use_prior | ((rate > 0) & (rate < 1)))
    if subjects < 2 or not usable.any():
        why = "fewer than two subjects" if subjects < 2 else "no item that some subjects pass and some fail"
        return _empty(subjects, items, prior=use_prior, reason=why)
    y = x[:, usable]
    # The same answers give the same posterior: work on distinct response patterns.
    coded = np.where(np.isnan(y), -1.0, y)
    patterns, inverse, counts = np.unique(coded, axis=0, return_inverse=True, return_counts=True)
    fit = _em(patterns, counts.astype(np.float64), use_prior, max_iterations, tolerance)
    slope, intercept, posterior, log_lik, iterations, converged = fit
    covariance = _item_covariance(patterns, counts.astype(np.float64), slope, intercept, posterior, use_prior)
    theta, _ = _quadrature()
    mean = posterior @ theta
    sd = np.sqrt(np.maximum(posterior @ theta**2 - mean**2, 0.0))
    out = {name: np.full(items, nan) for name in ("a", "b", "a_se", "b_se")}
    out["a"][usable], out["b"][usable] = slope, -intercept / slope
    out["a_se"][usable] = np.sqrt(covariance[:, 0, 0])
    gradient = np.column_stack([intercept / slope**2, -1 / slope])
    out["b_se"][usable] = np.sqrt(np.einsum("ij,ijk,ik->i", gradient, covariance, gradient))
    warnings: list[str] = []
    if subjects < 100:
        warnings.append(f"{subjects} subjects: the parameters lean on the prior; read them as a rough order of items")
    if not usable.all():
        warnings.append(f"{int((~usable).sum())} items that all passed or all failed are left out")
    if not converged:
        warnings.append(f"not converged after {iterations} iterations")
    return ItemModel(
        discrimination=out["a"],
        difficulty=out["b"],
        discrimination_se=out["a_se"],
        difficulty_se=out["b_se"],
        ability=mean[inverse],
        ability_sd=sd[inverse],
        log_likelihood=log_lik,
        iterations=iterations,
        converged=converged,
        prior=use_prior,
        n_subjects=subjects,
        warnings=tuple(warnings),
    )


def _quadrature() -> tuple[Float, Float]:
    theta = np.linspace(-_REACH, _REACH, _POINTS)
    weight = np.exp(-(theta**2) / 2) / np.sqrt(2 * pi)
    return theta, weight / weight.sum()


def _posterior(patterns: Float, slope: Float, intercept: Float) -> tuple[Float, Float]:
    """Return the posterior over quadrature points (patterns, points) and the marginal log-likelihood (patterns,)."""
    theta, weight = _quadrature()
    logit = theta[:, None] * slope + intercept
    log_p, log_q = -np.logaddexp(0.0, -logit), -np.logaddexp(0.0, logit)
    log_joint = (patterns == 1) @ log_p.T + (patterns == 0) @ log_q.T + np.log(weight)
    top = log_joint.max(axis=1, keepdims=True)
    joint = np.exp(log_joint - top)
    total = joint.sum(axis=1, keepdims=True)
    return joint / total, (top + np.log(total))[:, 0]


def _em(
    patterns: Float, counts: Float, use_prior: bool, max_iterations: int, tolerance: float
) -> tuple[Float, Float, Float, float, int, bool]:
    theta, _ = _quadrature()
    answered = (patterns >= 0).astype(np.float64)
    right = (patterns == 1).astype(np.float64)
    share = ((counts @ right) + 0.5) / ((counts @ answered) + 1.0)
    slope, intercept = np.ones(patterns.shape[1]), np.log(share / (1 - share))
    design = np.column_stack([theta, np.ones_like(theta)])
    iterations, change = 0, np.inf
    while iterations < max_iterations and change > tolerance:
        iterations += 1
        posterior, _ = _posterior(patterns, slope, intercept)
        mass = posterior * counts[:, None]
        trials, hits = mass.T @ answered, mass.T @ right
        p = _logistic(theta[:, None] * slope + intercept)
        gradient = (hits - trials * p).T @ design
        information = np.einsum("ti,tj,tk->ijk", trials * p * (1 - p), design, design)
        if use_prior:
            log_a = np.log(slope)
            gradient[:, 0] -= (log_a - _PRIOR_MEAN) / _PRIOR_SD**2 / slope
            gradient[:, 1] -= intercept / _EASINESS_SD**2
            information[:, 0, 0] += np.maximum((1 - log_a + _PRIOR_MEAN) / _PRIOR_SD**2, 0.1) / slope**2
            information[:, 1, 1] += 1 / _EASINESS_SD**2
        information += 1e-9 * np.eye(2)
        step = np.clip(np.linalg.solve(information, gradient[..., None])[..., 0], -1.0, 1.0)
        new_slope = (
            np.clip(slope + step[:, 0], slope / 2, 20.0) if use_prior else np.clip(slope + step[:, 0], -20.0, 20.0)
        )
        new_intercept = np.clip(intercept + step[:, 1], -40.0, 40.0)
        change = float(max(np.abs(new_slope - slope).max(), np.abs(new_intercept - intercept).max()))
        slope, intercept = new_slope, new_intercept
    if not use_prior and slope.sum() < 0:
        slope = -slope
    slope = np.where(np.abs(slope) < 1e-6, 1e-6, slope)
    posterior, log_lik = _posterior(patterns, slope, intercept)
    return slope, intercept, posterior, float(counts @ log_lik), iterations, change <= tolerance


def _item_covariance(
    patterns: Float, counts: Float, slope: Float, intercept: Float, posterior: Float, use_prior: bool
) -> Float:
    """Return the 2x2 covariance of (slope, intercept) per item from the cross-product information."""
    theta, _ = _quadrature()
    p = _logistic(theta[:, None] * slope + intercept)
    answered = patterns >= 0
    miss = np.where(answered, patterns, 0.0)[:, None, :] - answered[:, None, :] * p[None, :, :]
    by_intercept = np.einsum("st,sti->si", posterior, miss)
    by_slope = np.einsum("st,t,sti->si", posterior, theta, miss)
    scores = np.stack([by_slope, by_intercept], axis=-1)
    flat = scores.reshape(len(scores), -1)
    information = (flat * counts[:, None]).T @ flat
    if use_prior:
        extra = np.column_stack([1 / _PRIOR_SD**2 / slope**2, np.full(len(slope), 1 / _EASINESS_SD**2)]).ravel()
        information += np.diag(extra)
    inverse = np.linalg.pinv(information)
    index = np.arange(len(slope)) * 2
    pairs = index[:, None] + np.arange(2)
    return np.asarray(inverse[pairs[:, :, None], pairs[:, None, :]], dtype=np.float64)


def _empty(subjects: int, items: int, *, prior: bool, reason: str) -> ItemModel:
    hollow = np.full(items, nan)
    return ItemModel(
        discrimination=hollow, difficulty=hollow, discrimination_se=hollow, difficulty_se=hollow,
        ability=np.full(subjects, nan), ability_sd=np.full(subjects, nan), log_likelihood=nan, iterations=0,
        converged=False, prior=prior, n_subjects=subjects, reason=reason,
    )  # fmt: skip
