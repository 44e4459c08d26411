"""Rankings from pairwise preferences: Bradley-Terry with ties, order effect and covariates."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import exp, log, nan, sqrt
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from bakeoff.errors import StatsError
from bakeoff.stats.core._checks import as_rng, check_confidence, check_count
from bakeoff.stats.core._dist import critical_value, norm_sf, t_sf
from bakeoff.stats.core._resample import item_counts
from bakeoff.stats.core._result import Difference, Estimate
from bakeoff.stats.ranking._data import (
    Comparisons,
    comparison_cells,
    connected_groups,
    has_both_orders,
    outcome_counts,
    read_comparisons,
    sum_zero_basis,
    win_matrix,
)
from bakeoff.stats.ranking._fit import (
    Cells,
    TieModel,
    fit_cells,
    is_connected,
    is_separated,
    log_probabilities,
    outcome_scores,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Float = NDArray[np.float64]

__all__ = ["Ranking", "RankingInterval", "bradley_terry", "elo_scale"]

RankingInterval = Literal["auto", "model", "sandwich", "bootstrap"]
"""`model` trusts independence of comparisons; `sandwich` and `bootstrap` take the item as the unit."""

_CHUNK_CELLS = 500_000
_FEW_ITEMS = 20
_SIMULATIONS = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """Strengths of variants on the log-odds scale, summing to zero, with what their differences rest on."""

    variants: tuple[str, ...]
    strength: NDArray[np.float64]
    """Log-odds strengths, shape (variants,); a difference of 1 wins 73% of decided comparisons."""
    covariance: NDArray[np.float64]
    """Covariance of the strengths, shape (variants, variants); singular, as they sum to zero."""
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    rank_low: NDArray[np.int64]
    """Best rank that the simultaneous interval of all pairs allows (1 is the strongest)."""
    rank_high: NDArray[np.int64]
    order_effect: Estimate | None
    """Log-odds bonus of being shown first; `None` when not modelled."""
    tie: Estimate | None
    """Tie parameter: log nu (Davidson) or log kappa (Rao-Kupper); `None` when not modelled."""
    coefficients: tuple[Estimate, ...]
    """Log-odds per unit of each covariate."""
    log_likelihood: float
    n: int
    """Comparisons."""
    n_clusters: int
    df: float
    confidence: float
    method: str
    reason: str | None = None
    assumptions: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def contrast(self, candidate: str, baseline: str) -> Difference:
        """Return the log-odds of `candidate` over `baseline` with interval and Wald test."""
        i, j = self._index(candidate), self._index(baseline)
        value = float(self.strength[i] - self.strength[j])
        variance = float(self.covariance[i, i] + self.covariance[j, j] - 2 * self.covariance[i, j])
        se = sqrt(max(variance, 0.0)) if variance == variance else nan
        usable = se > 1e-12
        half = critical_value(self.confidence, self.df) * se if usable else nan
        tail = nan
        if usable:
            tail = float(norm_sf(abs(value) / se) if np.isinf(self.df) else t_sf(abs(value) / se, self.df))
        return Difference(
            estimate=value,
            low=value - half,
            high=value + half,
            confidence=self.confidence,
            n=self.n_clusters,
            method=self.method,
            se=se,
            df=self.df,
            p_value=2 * tail,
            test="wald",
            reason=self.reason if usable else self.reason or "no spread between items to estimate an interval from",
        )

    def win_probability(self, candidate: str, baseline: str) -> Estimate:
        """Return P(candidate beats baseline | one of them wins), orders balanced and covariates equal."""
        c = self.contrast(candidate, baseline)
        kappa = exp(self.tie.estimate) if self.tie is not None and "rao_kupper" in self.method else 1.0
        p, low, high = (_decided(x, kappa) for x in (c.estimate, c.low, c.high))
        return Estimate(
            estimate=p, low=low, high=high, confidence=c.confidence, n=c.n, method=c.method, df=c.df, reason=c.reason
        )

    def _index(self, name: str) -> int:
        if name not in self.variants:
            raise StatsError(f"{name!r} is not among the ranked variants {list(self.variants)!r}")
        return self.variants.index(name)


def bradley_terry(
    first: ArrayLike,
    second: ArrayLike,
    outcome: ArrayLike,
    *,
    items: ArrayLike | None = None,
    ties: TieModel = "davidson",
    order_effect: bool = True,
    covariates: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    interval: RankingInterval = "auto",
    confidence: float = 0.95,
    resamples: int = 500,
    rng: np.random.Generator | int = 0,
) -> Ranking:
    """Rank variants from pairwise preferences by maximum likelihood.

    `logit P(first beats second) = s_first - s_second + order + x'b` (Bradley & Terry 1952). Ties: Davidson (1970),
    `P(tie)` in proportion to `nu sqrt(pi_i pi_j)`; Rao & Kupper (1967), a threshold; or half a win each. The order
    effect is the position bias of the judge. Intervals: sandwich with items as clusters when items are given, else
    from the information matrix. When some variant never lost (the estimate would be infinite) every variant gets half
    a win and half a loss against an average one, and a warning says so; the sandwich, which such data would make
    vanish, gives way to the information matrix with the comparisons of one item counted as one.

    Args:
        first: Variant shown first, shape (comparisons,).
        second: Variant shown second.
        outcome: 1 when the first wins, 0 when the second wins, 0.5 for a tie, `nan` for no verdict.
        items: Item that each comparison was made on; several comparisons of one item are not independent.
        ties: Model of ties; without ties in the data all three are plain Bradley-Terry.
        order_effect: Whether to estimate the bonus of being first; needs comparisons in both orders.
        covariates: Differences first minus second, shape (comparisons,) or (comparisons, p), for instance of length.
        weights: Weight of each comparison.
        interval: Kind of interval.
        confidence: Confidence of the intervals.
        resamples: Resamples of items for `bootstrap`.
        rng: Generator or seed, for the bootstrap and the simultaneous ranks.

    Returns:
        The ranking; `nan` with a reason when the comparisons do not connect the variants.

    Raises:
        StatsError: If lengths differ, an outcome is unknown, or a variant meets itself.

    Examples:
        >>> first, second = ["a", "b", "b", "c", "a", "c"] * 6, ["b", "a", "c", "b", "c", "a"] * 6
        >>> outcome = [1, 0, 1, 0.5, 1, 0] * 4 + [0, 1, 1, 0, 1, 1] * 2
        >>> ranking = bradley_terry(first, second, outcome)
        >>> [name for _, name in sorted(zip(-ranking.strength, ranking.variants))]
        ['a', 'b', 'c']
        >>> round(ranking.win_probability("b", "c").estimate, 2)
        0.86
    """
    confidence = check_confidence(confidence)
    if ties not in get_args(TieModel):
        raise StatsError(f"ties must be one of {list(get_args(TieModel))}, got {ties!r}")
    if interval not in get_args(RankingInterval):
        raise StatsError(f"interval must be one of {list(get_args(RankingInterval))}, got {interval!r}")
    data = read_comparisons(first, second, outcome, items, covariates, weights)
    generator = as_rng(rng)
    k = len(data.names)
    wins = win_matrix(data)
    if k < 2 or not is_connected(wins):
        why = (
            "fewer than two variants"
            if k < 2
            else f"comparisons do not connect all variants: {connected_groups(data, wins)}"
        )
        return _empty(data, confidence, why)
    warnings: list[str] = []
    if order_effect and not has_both_orders(data):
        order_effect = False
        warnings.append("each pair was shown in one order only: position bias is mixed with strength; show both orders")
    model: TieModel = ties if (data.outcome == 1).any() else "half"
    if model != "half" and (data.outcome == 1).all():
        model = "half"
        warnings.append("every comparison is a tie")
    cells, counts, cell_of = comparison_cells(data, model, order_effect=order_effect)
    penalty = 1.0 if is_separated(wins) else 0.0
    beta, information, converged = fit_cells(cells, counts, penalty=penalty)
    if not converged and not penalty:
        penalty = 1.0
        beta, information, converged = fit_cells(cells, counts, penalty=penalty)
    if penalty:
        text = "some variant (or order, or covariate) always wins or always loses, so its estimate would be infinite: "
        warnings.append(text + "half a win and half a loss against an average opponent were added")
    if not converged:
        warnings.append("the fit did not converge fully")
    if data.clustered and data.clusters < max(_FEW_ITEMS, 2 * cells.size):
        warnings.append(f"{data.clusters} items for {cells.size} parameters: the intervals are too narrow")
    if model == "half" and ties != "half" and (data.outcome == 1).any():
        warnings.append("ties count as half a win for each")
    kind = ("sandwich" if data.clustered else "model") if interval == "auto" else interval
    covariance, df, draws = _covariance(
        data, cells, counts, cell_of, beta, information, kind, penalty, resamples, generator
    )
    ranking = _assemble(
        data, cells, counts, beta, covariance, df, draws, f"bradley_terry_{model}_{kind}", confidence, order_effect
    )
    low, high = _ranks(ranking, generator)
    return replace(ranking, rank_low=low, rank_high=high, warnings=tuple(warnings))


def _decided(log_odds: float, kappa: float) -> float:
    """Return P(first wins | decided); Rao-Kupper wins are `pi_1/(pi_1 + kappa pi_2)`."""
    if log_odds != log_odds:
        return nan
    win, lose = 1 / (1 + kappa * exp(-log_odds)), 1 / (1 + kappa * exp(log_odds))
    return win / (win + lose)


def elo_scale(strength: ArrayLike, *, centre: float = 1000.0) -> NDArray[np.float64]:
    """Return strengths on the Elo display scale, `centre + 400/ln(10) * strength`.

    A display scale only: online Elo depends on the order of games and has no standard error.

    Args:
        strength: Log-odds strengths.
        centre: Rating of a variant of strength 0.

    Returns:
        Ratings; 400 points are odds of 10 to 1.

    Examples:
        >>> elo_scale([0.0, np.log(10)]).round(6)
        array([1000., 1400.])
    """
    return centre + 400 / log(10) * np.asarray(strength, dtype=np.float64)


def _covariance(
    data: Comparisons,
    cells: Cells,
    counts: Float,
    cell_of: NDArray[np.intp],
    beta: Float,
    information: Float,
    kind: str,
    penalty: float,
    resamples: int,
    rng: np.random.Generator,
) -> tuple[Float, float, Float | None]:
    bread = np.linalg.inv(information[0] + 1e-10 * np.eye(cells.size))
    if kind == "model":
        return bread, np.inf, None
    if data.clusters < 2:
        return np.full_like(bread, nan), nan, None
    if kind == "sandwich" and penalty:
        # All items say the same, so their scores do not vary and a sandwich would call the estimate certain. The model
        # says how much chance such an outcome leaves; the comparisons of an item count as one.
        return bread * max(1.0, len(data.outcome) / data.clusters), float(data.clusters - 1), None
    if kind == "sandwich":
        scores, _ = outcome_scores(cells, beta)
        slope = scores[0, cell_of, data.outcome]
        if cells.model == "half":
            tie = data.outcome == 1
            slope[tie] = (scores[0, cell_of[tie], 0] + scores[0, cell_of[tie], 2]) / 2
        d = cells.design.shape[1]
        each = np.concatenate([slope[:, :1] * cells.design[cell_of], slope[:, 1:]], axis=1) * data.weight[:, None]
        sums = np.zeros((data.clusters, d + slope.shape[1] - 1))
        np.add.at(sums, data.codes, each)
        meat = sums.T @ sums * data.clusters / (data.clusters - 1)
        return bread @ meat @ bread, float(data.clusters - 1), None
    pieces: list[Float] = []
    chunk = max(1, _CHUNK_CELLS // max(counts.shape[1], len(data.outcome)))
    for block in item_counts(rng, data.clusters, check_count(resamples, "resamples", minimum=20)):
        for start in range(0, len(block), chunk):
            weight = block[start : start + chunk][:, data.codes] * data.weight
            resampled = outcome_counts(weight, data, cell_of, counts.shape[1], cells.model)
            pieces.append(fit_cells(cells, resampled, penalty=max(penalty, 1e-3), steps=25)[0])
    draws = np.concatenate(pieces)
    return np.atleast_2d(np.cov(draws, rowvar=False)), float(data.clusters - 1), draws


def _assemble(
    data: Comparisons,
    cells: Cells,
    counts: Float,
    beta: Float,
    covariance: Float,
    df: float,
    draws: Float | None,
    method: str,
    confidence: float,
    order_effect: bool,
) -> Ranking:
    k = len(data.names)
    basis = sum_zero_basis(k)
    strength = basis @ beta[0, : k - 1]
    spread = basis @ covariance[: k - 1, : k - 1] @ basis.T
    crit = critical_value(confidence, df) if df == df else nan
    half = crit * np.sqrt(np.maximum(np.diag(spread), 0.0))
    low, high = strength - half, strength + half
    tail = (1 - confidence) / 2
    if draws is not None:
        low, high = np.quantile(draws[:, : k - 1] @ basis.T, [tail, 1 - tail], axis=0)

    def single(position: int, name: str) -> Estimate:
        value, se = float(beta[0, position]), sqrt(max(float(covariance[position, position]), 0.0))
        bottom, top = value - crit * se, value + crit * se
        if draws is not None:
            bottom, top = (float(x) for x in np.quantile(draws[:, position], [tail, 1 - tail]))
        return Estimate(
            estimate=value, low=bottom, high=top, confidence=confidence, n=data.clusters, method=f"{method}:{name}",
            se=se, df=df,
        )  # fmt: skip

    start = k - 1 + int(order_effect)
    log_p = log_probabilities(cells, beta)[0]
    seen = counts[0] > 0
    return Ranking(
        variants=data.names,
        strength=strength,
        covariance=spread,
        low=low,
        high=high,
        rank_low=np.ones(k, dtype=np.int64),
        rank_high=np.full(k, k, dtype=np.int64),
        order_effect=single(k - 1, "order") if order_effect else None,
        tie=single(cells.size - 1, "tie") if cells.model != "half" else None,
        coefficients=tuple(single(start + j, f"covariate_{j}") for j in range(data.covariates.shape[1])),
        log_likelihood=float((counts[0][seen] * log_p[seen]).sum()),
        n=len(data.outcome),
        n_clusters=data.clusters,
        df=df,
        confidence=confidence,
        method=method,
        reason="one item: the spread over items is unknown" if df != df else None,
        assumptions=("one scale of strength explains all pairs (no rock-paper-scissors)", "items are a random sample"),
    )


def _ranks(ranking: Ranking, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return rank intervals that hold simultaneously, from the maximum over all pairs of |z|."""
    k = len(ranking.variants)
    variance = np.diag(ranking.covariance)
    se = np.sqrt(np.maximum(variance[:, None] + variance[None, :] - 2 * ranking.covariance, 0.0))
    if not np.isfinite(se).all():
        return ranking.rank_low, ranking.rank_high
    values, vectors = np.linalg.eigh(ranking.covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    draws = rng.standard_normal((_SIMULATIONS, k)) @ root.T
    if np.isfinite(ranking.df):
        draws /= np.sqrt(rng.chisquare(ranking.df, size=(_SIMULATIONS, 1)) / ranking.df)
    upper, lower = np.triu_indices(k, 1)
    usable = se[upper, lower] > 1e-12
    upper, lower = upper[usable], lower[usable]
    if len(upper) == 0:
        return ranking.rank_low, ranking.rank_high
    largest = np.zeros(_SIMULATIONS)
    for i, j in zip(upper.tolist(), lower.tolist(), strict=True):
        np.maximum(largest, np.abs(draws[:, i] - draws[:, j]) / se[i, j], out=largest)
    critical = float(np.quantile(largest, ranking.confidence))
    gap = ranking.strength[None, :] - ranking.strength[:, None]
    clearly_better = gap - critical * se > 0
    clearly_worse = gap + critical * se < 0
    np.fill_diagonal(clearly_better, val=False)
    np.fill_diagonal(clearly_worse, val=False)
    return (1 + clearly_better.sum(axis=1)).astype(np.int64), (k - clearly_worse.sum(axis=1)).astype(np.int64)


def _empty(data: Comparisons, confidence: float, why: str) -> Ranking:
    k = len(data.names)
    hollow = np.full(k, nan)
    return Ranking(
        variants=data.names, strength=hollow, covariance=np.full((k, k), nan), low=hollow, high=hollow,
        rank_low=np.ones(k, dtype=np.int64), rank_high=np.full(k, k, dtype=np.int64), order_effect=None, tie=None,
        coefficients=(), log_likelihood=nan, n=len(data.outcome), n_clusters=data.clusters, df=nan,
        confidence=confidence, method="bradley_terry", reason=why,
    )  # fmt: skip
