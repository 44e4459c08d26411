"""Honest numbers after a bandit: rarely pulled arms look worse than they are, and a plain z-test does not know."""

from __future__ import annotations

from dataclasses import dataclass
from math import log, nan, sqrt
from typing import TYPE_CHECKING, Literal

import numpy as np

from bakeoff.errors import StatsError
from bakeoff.stats.core._checks import check_confidence
from bakeoff.stats.core._dist import log_beta, norm_sf, z_value
from bakeoff.stats.core._result import Estimate, TestResult
from bakeoff.stats.sequential._betting import betting_interval

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

    Float = NDArray[np.float64]

__all__ = [
    "ArmContrasts",
    "adaptive_ipw",
    "adaptive_ipw_difference",
    "arm_inference",
    "bandit_differences",
    "bandit_test",
]

_WHY_NOT_Z = (
    "refused: a bandit pulls an arm less after bad luck, so its mean is biased down and a plain z-test rejects "
    "true nulls 13% of the time instead of 5%. Use method 'always_valid' (counts are enough) or 'adaptive_ipw' "
    "(needs logged propensities)."
)


def arm_inference(
    rewards: Mapping[str, ArrayLike], *, bounds: tuple[float, float] = (0.0, 1.0), confidence: float = 0.95
) -> dict[str, Estimate]:
    """Return an interval for each arm that holds however the pulls were chosen.

    One betting confidence sequence per arm over the rewards of its own pulls, Bonferroni over arms: all
    intervals hold together, whatever the bandit looked at and whenever it stopped. The mean itself is still biased
    for rarely pulled arms; report the interval.

    Args:
        rewards: For each arm its rewards; nan is left out.
        bounds: Smallest and largest possible reward.
        confidence: Of all intervals together.

    Returns:
        One estimate per arm; nan with a reason for an arm without rewards.

    Examples:
        >>> out = arm_inference({"a": [1, 1, 0, 1] * 30, "b": [0, 1] * 5})
        >>> out["b"].high - out["b"].low > out["a"].high - out["a"].low
        True
    """
    check_confidence(confidence)
    if not rewards:
        raise StatsError("rewards must hold at least one arm")
    each = 1 - (1 - confidence) / len(rewards)
    return {arm: betting_interval(values, bounds=bounds, confidence=each) for arm, values in rewards.items()}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ArmContrasts:
    """Differences of two arms' pass rates, one per entry of the inputs."""

    estimate: Float
    low: Float
    high: Float
    significant: NDArray[np.bool_]
    """Whether the interval excludes zero."""
    confidence: float
    method: str


def bandit_differences(
    successes_candidate: ArrayLike,
    pulls_candidate: ArrayLike,
    successes_baseline: ArrayLike,
    pulls_baseline: ArrayLike,
    *,
    confidence: float = 0.95,
) -> ArmContrasts:
    """Return always-valid differences of pass rates from the counts of a bandit. Vectorised.

    Every pair of rates (p_A, p_B) is tested by the product of the two arms' beta-binomial e-values, a martingale
    however the arms were chosen; a difference is kept when some pair with that difference is not rejected.
    Needs counts only, and allows any adaptive choice of arms and any stopping.

    Args:
        successes_candidate: Successes of the candidate's pulls.
        pulls_candidate: Its observed pulls (pending ones not counted).
        successes_baseline: Successes of the baseline's pulls.
        pulls_baseline: Its observed pulls.
        confidence: Of the interval of the difference.

    Returns:
        Estimates and limits; [-1, 1] when neither arm was pulled, nan estimate when one was not.

    Raises:
        StatsError: Counts outside 0..pulls.

    References:
        Mixture martingales under adaptive sampling: Kaufmann and Koolen 2021, JMLR 22.

    Examples:
        >>> bool(bandit_differences(400, 500, 20, 100).significant[0])
        True
    """
    check_confidence(confidence)
    s1, n1, s0, n0 = (
        part.astype(np.float64)
        for part in np.broadcast_arrays(
            *(
                np.atleast_1d(np.asarray(values, dtype=np.float64))
                for values in (successes_candidate, pulls_candidate, successes_baseline, pulls_baseline)
            )
        )
    )
    for s, n in ((s1, n1), (s0, n0)):
        if bool((s < 0).any()) or bool((s > n).any()) or not np.isfinite(n).all():
            raise StatsError("successes must lie between 0 and pulls, and pulls must be finite")
    level = -log(1 - confidence)
    mixture = log_beta(1 + s1, 1 + n1 - s1) + log_beta(1 + s0, 1 + n0 - s0)
    with np.errstate(invalid="ignore", divide="ignore"):
        rate1, rate0 = s1 / n1, s0 / n0
    start = np.nan_to_num(rate1, nan=0.5) - np.nan_to_num(rate0, nan=0.5)

    def side(edge: float) -> Float:
        inside, outside = start.copy(), np.full_like(start, edge)
        for _ in range(40):
            middle = 0.5 * (inside + outside)
            out = mixture - _profile(s1, n1, s0, n0, middle) >= level
            outside, inside = np.where(out, middle, outside), np.where(out, inside, middle)
        return outside

    low, high = side(-1.0), side(1.0)
    return ArmContrasts(
        estimate=rate1 - rate0,
        low=low,
        high=high,
        significant=(low > 0) | (high < 0),
        confidence=confidence,
        method="always_valid_arms",
    )


def _profile(s1: Float, n1: Float, s0: Float, n0: Float, difference: Float) -> Float:
    """Largest log likelihood of two pass rates with the given difference (candidate minus baseline)."""
    low, high = np.maximum(0.0, -difference), np.minimum(1.0, 1.0 - difference)
    tiny = 1e-300
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for _ in range(48):  # the likelihood is concave in the baseline rate: bisect its slope
            p = 0.5 * (low + high)
            q = p + difference
            slope = (
                s1 / np.maximum(q, tiny)
                - (n1 - s1) / np.maximum(1 - q, tiny)
                + s0 / np.maximum(p, tiny)
                - (n0 - s0) / np.maximum(1 - p, tiny)
            )
            low, high = np.where(slope > 0, p, low), np.where(slope > 0, high, p)
        p = 0.5 * (low + high)
        q = np.clip(p + difference, 0.0, 1.0)
        terms = (
            np.where(s1 > 0, s1 * np.log(q), 0.0),
            np.where(n1 > s1, (n1 - s1) * np.log1p(-q), 0.0),
            np.where(s0 > 0, s0 * np.log(p), 0.0),
            np.where(n0 > s0, (n0 - s0) * np.log1p(-p), 0.0),
        )
    return np.asarray(terms[0] + terms[1] + terms[2] + terms[3], dtype=np.float64)


def _adaptive_scores(arms: ArrayLike, rewards: ArrayLike, propensities: ArrayLike) -> tuple[Float, Float]:
    """Doubly robust scores and variance-stabilising weights, both (steps, arms)."""
    e = np.asarray(propensities, dtype=np.float64)
    chosen = np.asarray(arms).ravel()
    y = np.asarray(rewards, dtype=np.float64).ravel()
    if e.ndim != 2 or e.shape[0] != y.size or chosen.size != y.size:
        raise StatsError("arms and rewards must have shape (steps,), propensities (steps, arms)")
    if not (np.isfinite(e).all() and bool((e > 0).all()) and bool((e <= 1 + 1e-9).all())):
        raise StatsError(
            "propensities must lie in (0, 1]: an arm that could not be chosen cannot be weighted; run with a floor"
        )
    if chosen.size and (not np.issubdtype(chosen.dtype, np.integer) or chosen.min() < 0 or chosen.max() >= e.shape[1]):
        raise StatsError(f"arms must be whole numbers from 0 to {e.shape[1] - 1}, the columns of propensities")
    if np.isinf(y).any():
        raise StatsError("rewards holds an infinite value; a missing reward is nan")
    seen = ~np.isnan(y)
    e, chosen, y = e[seen], chosen[seen], y[seen]
    hit = chosen[:, None] == np.arange(e.shape[1])
    reward = np.where(hit, y[:, None], 0.0)
    # Prediction for each arm from earlier steps only, so that the score stays unbiased.
    count = np.cumsum(hit, axis=0) - hit
    guess = (np.cumsum(reward, axis=0) - reward + 0.5) / (count + 1)
    return guess + hit * (y[:, None] - guess) / e, np.sqrt(e)


def adaptive_ipw(
    arms: ArrayLike, rewards: ArrayLike, propensities: ArrayLike, *, confidence: float = 0.95
) -> tuple[Estimate, ...]:
    """Return adaptively weighted estimates of every arm's mean from the log of a bandit.

    Augmented inverse-propensity scores weighted by `sqrt(propensity)`, which keeps their variance steady while the
    bandit starves an arm, so that a normal interval is right again.

    Args:
        arms: Index of the chosen arm at each step, shape (steps,).
        rewards: Its reward; nan (never came) is left out.
        propensities: Probability of every arm at each step, shape (steps, arms), all positive.
        confidence: Of each interval.

    Returns:
        One estimate per arm; nan with a reason below 30 steps.

    Raises:
        StatsError: A propensity of 0, or arrays that do not fit.

    References:
        Hadad, Hirshberg, Zhan, Wager and Athey 2021, PNAS 118.

    Examples:
        >>> rng = np.random.default_rng(0)
        >>> arms = rng.integers(2, size=400)
        >>> out = adaptive_ipw(arms, rng.random(400) < 0.5, np.full((400, 2), 0.5))
        >>> out[0].low < 0.5 < out[0].high
        True
    """
    check_confidence(confidence)
    scores, weights = _adaptive_scores(arms, rewards, propensities)
    return tuple(_weighted(scores[:, j], weights[:, j], confidence) for j in range(scores.shape[1]))


def adaptive_ipw_difference(
    arms: ArrayLike,
    rewards: ArrayLike,
    propensities: ArrayLike,
    *,
    candidate: int,
    baseline: int,
    confidence: float = 0.95,
) -> Estimate:
    """Return the adaptively weighted difference of two arms' means from the log of a bandit.

    The difference of the two `adaptive_ipw` estimates; the variances add, because the weighted scores of two
    arms are asymptotically uncorrelated.

    Args:
        arms: Index of the chosen arm at each step.
        rewards: Its reward.
        propensities: Shape (steps, arms).
        candidate: Column of the candidate.
        baseline: Column of the baseline.
        confidence: Of the interval.

    Returns:
        Difference with interval; nan with a reason below 30 steps.

    Examples:
        >>> rng = np.random.default_rng(0)
        >>> arms = rng.integers(2, size=400)
        >>> rewards = rng.random(400) < 0.4 + 0.3 * arms
        >>> adaptive_ipw_difference(arms, rewards, np.full((400, 2), 0.5), candidate=1, baseline=0).low > 0
        True
    """
    out = adaptive_ipw(arms, rewards, propensities, confidence=confidence)
    for name, index in (("candidate", candidate), ("baseline", baseline)):
        if not 0 <= index < len(out):
            raise StatsError(f"{name} must be a column of propensities, 0 to {len(out) - 1}, got {index!r}")
    left, right = out[candidate], out[baseline]
    estimate, se = left.estimate - right.estimate, sqrt(left.se**2 + right.se**2) if left.se == left.se else nan
    half = z_value(confidence) * se
    return Estimate(
        estimate=estimate, low=estimate - half, high=estimate + half, confidence=confidence, n=left.n, se=se,
        method="adaptive_ipw", reason=left.reason or right.reason,
        assumptions=("logged propensities are those used", "rewards of one step are independent of others"),
    )  # fmt: skip


def _weighted(scores: Float, weights: Float, confidence: float) -> Estimate:
    n, method = scores.size, "adaptive_ipw"
    if n < 30:
        why = f"needs 30 rewarded steps, has {n}"
        return Estimate(estimate=nan, low=nan, high=nan, confidence=confidence, n=n, method=method, reason=why)
    total = weights.sum()
    mean = float((weights * scores).sum() / total)
    se = float(np.sqrt((weights**2 * (scores - mean) ** 2).sum()) / total)
    half = z_value(confidence) * se
    if se == 0:
        why = "all weighted scores are equal: the spread cannot be estimated"
        return Estimate(estimate=mean, low=nan, high=nan, confidence=confidence, n=n, method=method, reason=why)
    return Estimate(estimate=mean, low=mean - half, high=mean + half, confidence=confidence, n=n, se=se, method=method)


def bandit_test(
    arms: ArrayLike,
    rewards: ArrayLike,
    *,
    candidate: int,
    baseline: int,
    propensities: ArrayLike | None = None,
    method: Literal["always_valid", "adaptive_ipw", "z"] = "always_valid",
) -> TestResult:
    """Test whether two arms of a bandit differ, by a method that knows they were chosen adaptively.

    Args:
        arms: Index of the chosen arm at each step.
        rewards: Its reward, 0 or 1 for `always_valid`; nan is left out.
        candidate: Index of the candidate.
        baseline: Index of the baseline.
        propensities: Shape (steps, arms), for `adaptive_ipw`.
        method: `always_valid` needs counts only, and its p is the smallest level whose interval excludes zero;
            `adaptive_ipw` needs logged propensities; `z` is refused.

    Returns:
        p-value; nan with the reason for `z`.

    Raises:
        StatsError: An unknown method, or propensities missing for `adaptive_ipw`.

    Examples:
        >>> bandit_test([0, 1] * 50, [0, 1] * 50, candidate=1, baseline=0).p_value < 0.001
        True
        >>> bandit_test([0, 1], [0, 1], candidate=1, baseline=0, method="z").reason[:7]
        'refused'
    """
    y, chosen = np.asarray(rewards, dtype=np.float64).ravel(), np.asarray(arms).ravel()
    if y.size != chosen.size:
        raise StatsError(f"arms and rewards must have the same length, got {chosen.size} and {y.size}")
    if method == "z":
        return TestResult(p_value=nan, n=y.size, method="z", reason=_WHY_NOT_Z)
    if method == "adaptive_ipw":
        if propensities is None:
            raise StatsError("method 'adaptive_ipw' needs the logged propensities; without them use 'always_valid'")
        out = adaptive_ipw_difference(chosen, y, propensities, candidate=candidate, baseline=baseline)
        z = out.estimate / out.se if out.se > 0 else nan
        p = nan if z != z else 2 * float(norm_sf(abs(z)))
        return TestResult(p_value=p, statistic=z, n=out.n, method=method, reason=out.reason)
    if method != "always_valid":
        raise StatsError(f"method must be 'always_valid', 'adaptive_ipw' or 'z', got {method!r}")
    seen = ~np.isnan(y)
    if not bool(np.isin(y[seen], (0.0, 1.0)).all()):
        raise StatsError("method 'always_valid' needs rewards of 0 or 1; for others read `arm_inference`")
    counts = [(float(y[seen & (chosen == i)].sum()), int((seen & (chosen == i)).sum())) for i in (candidate, baseline)]
    low, high = 1e-12, 1.0
    for _ in range(60):  # the smallest level whose interval excludes zero
        level = sqrt(low * high)
        contrast = bandit_differences(*counts[0], *counts[1], confidence=1 - level)
        rejects = bool(contrast.significant[0])
        low, high = (low, level) if rejects else (level, high)
        if high / low < 1.001:
            break
    return TestResult(p_value=min(high, 1.0), n=counts[0][1] + counts[1][1], method="always_valid")
