"""Factorial experiments with missing cells or a fraction of the cross: GEE and mixed models (statsmodels)."""

from __future__ import annotations

import warnings
from itertools import combinations, product
from math import nan, sqrt
from typing import TYPE_CHECKING, Literal, Protocol, cast, get_args

import numpy as np

from bakeoff.errors import StatsError
from bakeoff.stats.core._checks import as_scores, check_confidence, check_count
from bakeoff.stats.core._dist import f_sf, t_ppf, t_sf
from bakeoff.stats.core._items import encode_clusters
from bakeoff.stats.factorial._effect_words import effect_sentences
from bakeoff.stats.factorial._effects import Contrast, FactorEffect, FactorialResult, with_holm

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    Float = NDArray[np.float64]
    Codes = NDArray[np.intp]

__all__ = ["FactorialMethod", "factorial_model"]

FactorialMethod = Literal["gee", "mixed"]
"""`gee`: marginal model, robust to how items vary; `mixed`: random item effects by REML."""

_FEW_ITEMS = 40


class _Fit(Protocol):
    params: Float

    def cov_params(self) -> Float: ...


def factorial_model(
    scores: ArrayLike,
    *,
    items: ArrayLike,
    factors: Mapping[str, ArrayLike],
    levels: Mapping[str, Sequence[str]] | None = None,
    max_order: int = 2,
    method: FactorialMethod = "gee",
    confidence: float = 0.95,
) -> FactorialResult:
    """Test main effects and interactions on unbalanced data, one row for each trial.

    `gee` fits a linear marginal model with independence working correlation and standard errors that are
    robust to any dependence within an item (Liang and Zeger 1986; bias-reduced, Mancl and DeRouen 2001, below
    40 items): for pass/fail scores the effects are differences of pass rates. `mixed` adds a random effect of
    the item, and of the item under each cell when there are repeats (REML): more power when the model holds.
    Each effect is a Wald F with `items - 1` (joint: `items - q`) denominator degrees of freedom.

    Args:
        scores: Scores, shape (trials,); `nan` rows are left out.
        items: Label of the item of each trial.
        factors: Level of each factor for each trial.
        levels: Levels in order, the reference first; sorted when not given.
        max_order: Largest interaction. Only effects that the cells present can tell apart are possible.
        method: The model.
        confidence: Level of the intervals.

    Returns:
        Effects with Holm-adjusted p-values; effects that the cells cannot estimate are `nan` with a reason.

    Raises:
        StatsError: Lengths that differ, unknown levels, or fewer than two levels in a factor.

    Examples:
        >>> from bakeoff.stats import factorial_model
        >>> scores = [0.2, 0.6, 0.5, 0.7, 0.3, 0.8, 0.4, 0.9, 0.1, 0.5]
        >>> items = [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
        >>> result = factorial_model(scores, items=items, factors={"model": ["small", "large"] * 5},
        ...                          levels={"model": ["small", "large"]})
        >>> round(result.get("model").contrasts[0].estimate, 2)
        0.4
    """
    confidence, max_order = check_confidence(confidence), check_count(max_order, "max_order", minimum=1)
    if method not in get_args(FactorialMethod):
        raise StatsError(f"method must be one of {list(get_args(FactorialMethod))}, got {method!r}")
    y = as_scores(scores)
    if y.ndim != 1:
        raise StatsError(f"scores must have shape (trials,), one for each trial, got {y.shape}")
    codes, order = _codes(factors, levels, y.size)
    groups = encode_clusters(items, n=y.size)
    present = ~np.isnan(y)
    y, codes = y[present], codes[present]
    groups = np.unique(groups[present], return_inverse=True)[1]
    names = [
        chosen for size in range(1, min(max_order, len(order)) + 1) for chosen in combinations(range(len(order)), size)
    ]
    x, slices, dropped = _design(codes, order, names)
    n = int(groups.max(initial=-1)) + 1
    reason = None
    if n < 3 or y.size <= x.shape[1]:
        reason = f"{n} items and {y.size} trials are too few for {x.shape[1]} effects"
    elif not (y != y[0]).any():
        reason = "every score is the same"
    params, covariance, notes = (None, None, ())
    if reason is None:
        params, covariance, notes = _fit(y, x, groups, codes, method, n)
    effects = []
    for chosen in names:
        why = reason or (
            "the cells that were run cannot tell it apart from other effects" if chosen in dropped else None
        )
        effects.append(_effect(chosen, order, slices, params, covariance, n, confidence, method, why))
    effects = with_holm(effects)
    return FactorialResult(
        effects=tuple(effects),
        means=_cell_means(y, codes, order),
        n=n,
        n_missing=int((~present).sum()),
        method=method,
        confidence=confidence,
        sentences=effect_sentences(effects, 1 - confidence),
        warnings=notes,
    )


def _codes(
    factors: Mapping[str, ArrayLike], levels: Mapping[str, Sequence[str]] | None, n: int
) -> tuple[Codes, dict[str, tuple[str, ...]]]:
    if not factors:
        raise StatsError("factors must name at least one factor with a level for each trial")
    order: dict[str, tuple[str, ...]] = {}
    columns = []
    for name, values in factors.items():
        labels = [str(value) for value in np.asarray(values).tolist()]
        if len(labels) != n:
            raise StatsError(f"factor {name!r} must hold one level for each trial: expected {n}, got {len(labels)}")
        known = tuple(levels[name]) if levels and name in levels else tuple(sorted(set(labels)))
        unknown = sorted(set(labels) - set(known))
        if unknown or len(known) < 2:
            raise StatsError(f"factor {name!r} needs at least two levels, got {list(known)} (unknown: {unknown[:3]})")
        index = {value: position for position, value in enumerate(known)}
        order[name] = known
        columns.append([index[label] for label in labels])
    return np.array(columns, dtype=np.intp).T.reshape(n, len(columns)), order


def _design(
    codes: Codes, order: Mapping[str, tuple[str, ...]], names: Sequence[tuple[int, ...]]
) -> tuple[Float, dict[tuple[int, ...], slice], set[tuple[int, ...]]]:
    """Return the sum-to-zero model matrix, where each effect sits, and the effects left out for lack of cells."""
    sizes = [len(values) for values in order.values()]
    coded = [np.vstack([np.eye(k - 1), -np.ones((1, k - 1))])[codes[:, i]] for i, k in enumerate(sizes)]
    x = np.ones((codes.shape[0], 1))
    slices: dict[tuple[int, ...], slice] = {}
    dropped: set[tuple[int, ...]] = set()
    for chosen in names:
        block = coded[chosen[0]]
        for other in chosen[1:]:
            block = (block[:, :, None] * coded[other][:, None, :]).reshape(codes.shape[0], -1)
        candidate = np.hstack([x, block])
        if np.linalg.matrix_rank(candidate) < candidate.shape[1]:
            dropped.add(chosen)
            continue
        slices[chosen] = slice(x.shape[1], candidate.shape[1])
        x = candidate
    return x, slices, dropped


def _fit(
    y: Float, x: Float, groups: Codes, codes: Codes, method: FactorialMethod, n: int
) -> tuple[Float | None, Float | None, tuple[str, ...]]:
    """Fit by statsmodels; a failure is a warning in words, never a foreign traceback."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = _gee(y, x, groups, n) if method == "gee" else _mixed(y, x, groups, codes)
            covariance = np.asarray(result.cov_params(), dtype=np.float64)[: x.shape[1], : x.shape[1]]
            params = np.asarray(result.params, dtype=np.float64)[: x.shape[1]]
        except (np.linalg.LinAlgError, ValueError) as error:
            return None, None, (f"the model could not be fitted: {error}",)
    notes = tuple(sorted({f"{one.category.__name__}: {one.message}" for one in caught}))
    if not (np.isfinite(covariance).all() and np.isfinite(params).all()):
        return None, None, (*notes, "the model has no finite standard errors")
    return params, covariance, notes


def _gee(y: Float, x: Float, groups: Codes, n: int) -> _Fit:
    from statsmodels.genmod.cov_struct import Independence
    from statsmodels.genmod.families import Gaussian
    from statsmodels.genmod.generalized_estimating_equations import GEE

    order = np.argsort(groups, kind="stable")
    model = GEE(y[order], x[order], groups=groups[order], family=Gaussian(), cov_struct=Independence())
    return cast("_Fit", model.fit(cov_type="bias_reduced" if n < _FEW_ITEMS else "robust"))


def _mixed(y: Float, x: Float, groups: Codes, codes: Codes) -> _Fit:
    from statsmodels.regression.mixed_linear_model import MixedLM, VCSpec

    cell = np.unique(codes, axis=0, return_inverse=True)[1].ravel()
    pair = groups * (int(cell.max()) + 1) + cell
    if np.unique(pair).size == pair.size:
        return cast("_Fit", MixedLM(y, x, groups=groups).fit(reml=True))
    # repeats: the runs of an item under one cell share something too, or they would count as items
    members = [np.flatnonzero(groups == one) for one in range(int(groups.max()) + 1)]
    blocks = [(pair[rows][:, None] == np.unique(pair[rows])[None, :]).astype(np.float64) for rows in members]
    names = [[str(value) for value in np.unique(pair[rows])] for rows in members]
    order = np.concatenate(members)
    spec = VCSpec(["item x cell"], [names], [blocks])
    # with exog_vc the random intercept of the item is no longer the default
    model = MixedLM(y[order], x[order], groups=groups[order], exog_re=np.ones((y.size, 1)), exog_vc=spec)
    return cast("_Fit", model.fit(reml=True))


def _effect(
    chosen: tuple[int, ...],
    order: Mapping[str, tuple[str, ...]],
    slices: Mapping[tuple[int, ...], slice],
    params: Float | None,
    covariance: Float | None,
    n: int,
    confidence: float,
    method: FactorialMethod,
    reason: str | None,
) -> FactorEffect:
    factor_names = tuple(order)
    names = tuple(factor_names[index] for index in chosen)
    levels = [order[name] for name in names]
    steps = [
        [f"{name}: {value} - {values[0]}" for value in values[1:]] for name, values in zip(names, levels, strict=True)
    ]
    labels = [" x ".join(f"({one})" for one in group) if len(names) > 1 else group[0] for group in product(*steps)]
    q = len(labels)
    if reason is None and (params is None or covariance is None):
        reason = "the model could not be fitted"
    f = p = nan
    values, spread = np.full(q, nan), np.full((q, q), nan)
    if reason is None and params is not None and covariance is not None:
        transform = np.ones((1, 1))
        for level in levels:  # from sum-to-zero parameters to "each level minus the first"
            k = len(level)
            coding = np.vstack([np.eye(k - 1), -np.ones((1, k - 1))])
            transform = np.asarray(np.kron(transform, coding[1:] - coding[0]), dtype=np.float64)
        where = slices[chosen]
        values, spread = transform @ params[where], transform @ covariance[where, where] @ transform.T
        if n <= q:
            reason = f"{n} items cannot test {q} contrasts jointly"
        elif np.linalg.matrix_rank(spread) < q:
            reason = "the spread of the contrasts cannot be estimated"
        else:
            wald = float(values @ np.linalg.solve(spread, values))
            df2 = n - q
            f = wald * df2 / (q * (n - 1))
            p = float(f_sf(f, q, df2))
    contrasts = tuple(
        _contrast(label, float(values[i]), float(spread[i, i]), n, confidence, method, reason)
        for i, label in enumerate(labels)
    )
    return FactorEffect(
        factors=names,
        p_value=p,
        statistic=f,
        df=float(q),
        df2=float(n - q),
        n=n,
        method=f"{method}_wald",
        reason=reason,
        assumptions=(
            ("items are independent",)
            if method == "gee"
            else ("items are independent", "normal effects, the same spread in every cell")
        ),
        contrasts=contrasts,
    )


def _contrast(
    label: str, value: float, variance: float, n: int, confidence: float, method: str, reason: str | None
) -> Contrast:
    se = sqrt(variance) if variance > 0 else nan
    df = n - 1.0
    half = float(t_ppf(0.5 + confidence / 2, df)) * se if df > 0 else nan
    return Contrast(
        estimate=value,
        low=value - half,
        high=value + half,
        confidence=confidence,
        n=n,
        method=f"{method}_t",
        se=se,
        df=df,
        reason=reason,
        label=label,
        p_value=float(min(1.0, 2 * t_sf(abs(value / se), df))) if se == se else nan,
    )


def _cell_means(y: Float, codes: Codes, order: Mapping[str, tuple[str, ...]]) -> dict[tuple[str, ...], float]:
    cells, index = np.unique(codes, axis=0, return_inverse=True)
    index = index.ravel()
    if y.size == 0:
        return {}
    means = np.bincount(index, weights=y) / np.bincount(index)
    values = list(order.values())
    return {
        tuple(values[i][code] for i, code in enumerate(cell)): float(mean)
        for cell, mean in zip(cells.tolist(), means, strict=True)
    }
