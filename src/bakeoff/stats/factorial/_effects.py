"""Factorial experiments: what each factor does, and whether it depends on the others."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations, product
from math import inf, isfinite, nan
from typing import TYPE_CHECKING

import numpy as np

from bakeoff.errors import StatsError
from bakeoff.stats.core._checks import as_scores, check_alternative, check_confidence, check_count
from bakeoff.stats.core._dist import critical_value, f_sf, t_cdf, t_sf
from bakeoff.stats.core._items import encode_clusters, item_means
from bakeoff.stats.core._mean_fit import fit_mean
from bakeoff.stats.core._result import Alternative, Estimate, TestResult
from bakeoff.stats.factorial._effect_words import effect_sentences, weight_words
from bakeoff.stats.many._adjust import adjust
from bakeoff.stats.many._max_t import named_columns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    Float = NDArray[np.float64]
    Codes = NDArray[np.intp]

__all__ = ["Contrast", "FactorEffect", "FactorialResult", "contrast", "factorial_effects", "level_contrasts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast(Estimate):
    """A weighted sum of means with its interval and test."""

    label: str
    """In words, for instance `prompt: terse - verbose`."""
    p_value: float
    alternative: Alternative = "two-sided"


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorEffect(TestResult):
    """A main effect or an interaction."""

    factors: tuple[str, ...]
    """One factor for a main effect, several for an interaction."""
    p_adjusted: float = nan
    """After Holm's correction over the effects of the experiment."""
    df2: float = nan
    """Denominator degrees of freedom of `statistic` (an F); `df` is the numerator."""
    contrasts: tuple[Contrast, ...]
    """Each level against the first level of its factor, averaged over the factors not named."""

    @property
    def name(self) -> str:
        """Factors joined by ` x `."""
        return " x ".join(self.factors)


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorialResult:
    """All effects of a factorial experiment."""

    effects: tuple[FactorEffect, ...]
    means: dict[tuple[str, ...], float]
    """Mean of each cell."""
    n: int
    """Items (or clusters) behind the tests."""
    n_missing: int
    """Items left out because some cell has no score."""
    method: str
    confidence: float
    sentences: tuple[str, ...]
    """What was found, one sentence for each effect."""
    warnings: tuple[str, ...] = field(default=())

    def get(self, *factors: str) -> FactorEffect:
        """Return the effect of these factors, in any order.

        Args:
            factors: One name for a main effect, several for an interaction.

        Raises:
            StatsError: There is no such effect.
        """
        for effect in self.effects:
            if set(effect.factors) == set(factors):
                return effect
        raise StatsError(f"no effect of {list(factors)}; there are {[effect.name for effect in self.effects]}")


def contrast(
    scores: Mapping[str, ArrayLike],
    weights: Mapping[str, float],
    *,
    clusters: ArrayLike | None = None,
    confidence: float = 0.95,
    alternative: Alternative = "two-sided",
    label: str | None = None,
) -> Contrast:
    """Estimate a weighted sum of variants' means on the same items, by the t-test on item-level sums.

    Each item gives one number, `sum_j w_j y_ij`: exact for normal scores whatever the correlations between
    variants, because the item is the block.

    Args:
        scores: Scores of each variant, shape (items,) or (items, repeats), on the same items.
        weights: Weight of each variant that takes part, for instance `{"a": 1, "b": -0.5, "c": -0.5}`.
        clusters: One label for each item; CR2 standard errors then.
        confidence: Level of the interval.
        alternative: Direction of the test.
        label: Words for the contrast; made from the weights when not given.

    Returns:
        The contrast; interval and p are `nan` with a `reason` where the spread cannot be estimated.

    Raises:
        StatsError: A weight for an unknown variant, or no weight at all.

    Examples:
        >>> from bakeoff.stats import contrast
        >>> scores = {"a": [3, 4, 5, 4], "b": [2, 2, 4, 3], "c": [1, 3, 3, 3]}
        >>> found = contrast(scores, {"a": 1, "b": -0.5, "c": -0.5})
        >>> found.label, round(found.estimate, 3), round(found.p_value, 4)
        ('a - 0.5 b - 0.5 c', 1.375, 0.0016)
    """
    names, means = named_columns(scores, minimum=1)
    unknown = [name for name in weights if name not in names]
    if unknown or not any(weights.values()):
        raise StatsError(f"weights must name some of the variants {list(names)} and not all be 0, got {dict(weights)}")
    if not all(isfinite(value) for value in weights.values()):
        raise StatsError(f"weights must be finite, got {dict(weights)}")
    w = np.array([weights.get(name, 0.0) for name in names])
    values = means[:, w != 0] @ w[w != 0]
    codes = None if clusters is None else encode_clusters(clusters, n=values.size)
    kept = ~np.isnan(values)
    codes = None if codes is None else codes[kept]
    words = label if label is not None else weight_words(dict(zip(names, w.tolist(), strict=True)))
    return _contrast(values[kept], codes, words, check_confidence(confidence), check_alternative(alternative))


def factorial_effects(
    scores: Mapping[tuple[str, ...], ArrayLike],
    *,
    factors: Mapping[str, Sequence[str]],
    max_order: int = 2,
    clusters: ArrayLike | None = None,
    confidence: float = 0.95,
) -> FactorialResult:
    """Test main effects and interactions of crossed factors, with the item as block (balanced closed form).

    Every item is scored in every cell, so each effect is a set of item-level contrasts: one contrast is a
    t-test, several are tested jointly by Hotelling's `T^2` (`F = (n - q) / (q (n - 1)) T^2`). Exact for
    normal scores without assuming sphericity or equal variances. Factors that are not named in an effect are
    averaged over, so a main effect keeps its meaning when there are interactions (read those first). With
    missing cells or a fraction of the cross, use `factorial_model`.

    Args:
        scores: Scores of each cell, keyed by the levels in the order of `factors`; shape (items,) or (items,
            repeats), the same items everywhere. Items missing in any cell are left out.
        factors: Levels of each factor; the first level is what the others are compared with.
        max_order: Largest interaction: 1 main effects only, 2 pairs of factors.
        clusters: One label for each item; a cluster-robust Wald F then (CR1, `G - q` df).
        confidence: Level of the intervals.

    Returns:
        Effects in order, with Holm-adjusted p-values and contrasts with intervals.

    Raises:
        StatsError: A cell is missing or unknown, a factor has fewer than two levels, or sizes differ.

    Source: Rencher and Christensen (2012), Methods of Multivariate Analysis, section 5.9 and 6.9.

    Examples:
        >>> from bakeoff.stats import factorial_effects
        >>> scores = {
        ...     ("terse", "small"): [0.2, 0.5, 0.3, 0.6, 0.4],
        ...     ("terse", "large"): [0.6, 0.7, 0.8, 0.9, 0.6],
        ...     ("long", "small"): [0.3, 0.5, 0.4, 0.6, 0.5],
        ...     ("long", "large"): [0.6, 0.8, 0.7, 0.9, 0.7],
        ... }
        >>> result = factorial_effects(scores, factors={"prompt": ["terse", "long"], "model": ["small", "large"]})
        >>> result.get("model").contrasts[0].label, round(result.get("model").contrasts[0].estimate, 2)
        ('model: large - small', 0.3)
    """
    levels = {name: tuple(values) for name, values in factors.items()}
    confidence, max_order = check_confidence(confidence), check_count(max_order, "max_order", minimum=1)
    cells = _checked_cells(scores, levels)
    columns = [item_means(as_scores(scores[cell], f"scores[{cell!r}]"))[0] for cell in cells]
    if len({column.size for column in columns}) > 1:
        raise StatsError(f"every cell must hold the same items, got sizes {[column.size for column in columns]}")
    y = np.stack(columns, axis=1)
    complete = ~np.isnan(y).any(axis=1)
    codes = None if clusters is None else encode_clusters(clusters, n=y.shape[0])[complete]
    kept = y[complete]
    effects = [
        _effect(kept, codes, names, levels, confidence)
        for order in range(1, min(max_order, len(levels)) + 1)
        for names in combinations(levels, order)
    ]
    effects = with_holm(effects)
    missing = int((~complete).sum())
    n = kept.shape[0] if codes is None else np.unique(codes).size
    warnings = (f"{missing} of {y.shape[0]} items lack a score in some cell and are left out",) if missing else ()
    return FactorialResult(
        effects=tuple(effects),
        means={cell: float(kept[:, index].mean()) if kept.size else nan for index, cell in enumerate(cells)},
        n=n,
        n_missing=missing,
        method="item_contrasts",
        confidence=confidence,
        sentences=effect_sentences(effects, 1 - confidence),
        warnings=warnings,
    )


def with_holm(effects: list[FactorEffect]) -> list[FactorEffect]:
    """Return the effects with p-values adjusted over all of them."""
    from dataclasses import replace

    adjusted = adjust([effect.p_value for effect in effects], method="holm")
    return [replace(effect, p_adjusted=float(p)) for effect, p in zip(effects, adjusted, strict=True)]


def level_contrasts(names: Sequence[str], levels: Mapping[str, Sequence[str]]) -> tuple[Float, tuple[str, ...]]:
    """Return the contrasts of an effect over the cells of the full cross, and their labels.

    For a named factor: each level minus the first; for the others: their average; for interactions the
    products, that is differences of differences.

    Args:
        names: Factors of the effect.
        levels: Levels of every factor, in the order of the cells.

    Returns:
        Shape (contrasts, cells), and one label for each contrast.

    Examples:
        >>> matrix, labels = level_contrasts(["a"], {"a": ["x", "y"], "b": ["u", "v"]})
        >>> matrix.tolist(), labels
        ([[-0.5, -0.5, 0.5, 0.5]], ('a: y - x',))
    """
    matrix: Float = np.ones((1, 1))
    for name, values in levels.items():
        k = len(values)
        if name in names:
            block = np.hstack([-np.ones((k - 1, 1)), np.eye(k - 1)])
        else:
            block = np.full((1, k), 1 / k)
        matrix = np.asarray(np.kron(matrix, block), dtype=np.float64)
    steps = [[f"{name}: {value} - {levels[name][0]}" for value in levels[name][1:]] for name in levels if name in names]
    labels = tuple(" x ".join(f"({one})" for one in chosen) for chosen in product(*steps))
    if len(names) == 1:
        labels = tuple(label[1:-1] for label in labels)
    return matrix, labels


def _checked_cells(
    scores: Mapping[tuple[str, ...], ArrayLike], levels: Mapping[str, tuple[str, ...]]
) -> list[tuple[str, ...]]:
    if not levels:
        raise StatsError("factors must name at least one factor with its levels")
    for name, values in levels.items():
        if len(values) < 2 or len(set(values)) != len(values):
            raise StatsError(f"factor {name!r} needs at least two different levels, got {list(values)}")
    cells = list(product(*levels.values()))
    missing = [cell for cell in cells if cell not in scores]
    unknown = [cell for cell in scores if cell not in set(cells)]
    if missing or unknown:
        raise StatsError(
            f"scores must hold every combination of levels once: missing {missing[:3]}, unknown {unknown[:3]}; "
            "for a fraction of the cross use factorial_model"
        )
    return cells


def _effect(
    y: Float, codes: Codes | None, names: tuple[str, ...], levels: Mapping[str, tuple[str, ...]], confidence: float
) -> FactorEffect:
    matrix, labels = level_contrasts(names, levels)
    values = y @ matrix.T
    scale = np.abs(y).max(initial=0.0)
    values[np.abs(values) < 1e-12 * scale] = 0.0
    contrasts = tuple(
        _contrast(values[:, index], codes, label, confidence, "two-sided") for index, label in enumerate(labels)
    )
    f, df1, df2, p, reason = _joint_test(values, codes, contrasts)
    return FactorEffect(
        factors=names,
        p_value=p,
        statistic=f,
        df=df1,
        df2=df2,
        n=contrasts[0].n,
        method="item_contrasts_hotelling" if matrix.shape[0] > 1 else "item_contrasts_t",
        reason=reason,
        assumptions=("items are independent", "normal item-level contrasts, or many items"),
        contrasts=contrasts,
    )


def _joint_test(
    values: Float, codes: Codes | None, contrasts: tuple[Contrast, ...]
) -> tuple[float, float, float, float, str | None]:
    """Return F, its degrees of freedom, p and a reason; a single contrast keeps its own t-test."""
    n, q = values.shape
    if q == 1:
        one = contrasts[0]
        f = (one.estimate / one.se) ** 2 if one.se and one.se > 0 else nan
        return f, 1.0, one.df, one.p_value, one.reason
    if codes is None:
        units, center = n, values.mean(axis=0) if n else np.zeros(q)
        spread = np.cov(values, rowvar=False) / n if n > 1 else np.zeros((q, q))
    else:
        center = values.mean(axis=0)
        residual = values - center
        sums = np.zeros((int(codes.max(initial=-1)) + 1, q))
        np.add.at(sums, codes, residual)
        units = np.unique(codes).size
        spread = sums.T @ sums / n**2 * units / (units - 1) if units > 1 else np.zeros((q, q))
    if units <= q:
        return nan, float(q), nan, nan, f"{units} items cannot test {q} contrasts jointly; more than {q} are needed"
    if not values.any():
        return 0.0, float(q), float(units - q), 1.0, "no item differs between these cells"
    if np.linalg.matrix_rank(spread, tol=1e-12 * max(float(np.trace(spread)), 1e-300)) < q:
        return nan, float(q), nan, nan, "the contrasts do not vary independently: the spread cannot be estimated"
    t2 = float(center @ np.linalg.solve(spread, center))
    f = (units - q) / (q * (units - 1)) * t2
    return f, float(q), float(units - q), float(f_sf(f, q, units - q)), None


def _contrast(values: Float, codes: Codes | None, label: str, confidence: float, alternative: Alternative) -> Contrast:
    fit = fit_mean(values, codes)
    low = high = p = nan
    reason = None
    if fit.se > 0:
        half = critical_value(confidence, fit.df) * fit.se
        if alternative != "two-sided":
            half = critical_value(2 * confidence - 1, fit.df) * fit.se if confidence > 0.5 else nan
        low = -inf if alternative == "less" else fit.mean - half
        high = inf if alternative == "greater" else fit.mean + half
        p = t_p(fit.mean / fit.se, fit.df, alternative)
    elif fit.n_units < 2:
        reason = f"{fit.n_units} units: at least two are needed"
    elif fit.mean == 0:
        p, reason = 1.0, "no item differs: the spread cannot be estimated"
    else:
        reason = "every item differs by the same amount: the spread cannot be estimated"
    return Contrast(
        estimate=fit.mean,
        low=low,
        high=high,
        confidence=confidence,
        n=fit.n_units,
        method="item_contrast_t" if codes is None else "item_contrast_cr2",
        se=fit.se,
        df=fit.df,
        reason=reason,
        label=label,
        p_value=p,
        alternative=alternative,
    )


def t_p(t: float, df: float, alternative: Alternative) -> float:
    """Return the p-value of a t statistic."""
    if alternative == "two-sided":
        return float(min(1.0, 2 * t_sf(abs(t), df)))
    return float(t_sf(t, df) if alternative == "greater" else t_cdf(t, df))
