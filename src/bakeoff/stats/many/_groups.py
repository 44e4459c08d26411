"""Classical tests for many variants: Dunnett and Tukey on separate items, Cochran and Friedman on the same items."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, nan, sqrt
from typing import TYPE_CHECKING

import numpy as np

from bakeoff.errors import StatsError
from bakeoff.stats.core._checks import as_scores, check_alpha, check_alternative, check_confidence
from bakeoff.stats.core._dist import chi2_sf, f_sf, t_cdf, t_sf
from bakeoff.stats.core._items import item_means
from bakeoff.stats.core._mvt import max_t_cdf, studentized_range_cdf, studentized_range_ppf
from bakeoff.stats.core._result import Alternative, TestResult
from bakeoff.stats.many._max_t import ManyComparisons, NamedDifference, named_columns

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import ArrayLike, NDArray

    Float = NDArray[np.float64]

__all__ = ["FriedmanResult", "cochran_q", "dunnett", "friedman", "tukey"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FriedmanResult(TestResult):
    """Friedman's test with the rank differences that Nemenyi's procedure calls significant."""

    average_ranks: dict[str, float]
    """Average rank of each variant over items, 1 = best."""
    critical_difference: float
    """Two variants differ when their average ranks differ by at least this much (Nemenyi)."""
    alpha: float
    chi2: float
    """Friedman's statistic, corrected for ties; `statistic` is Iman and Davenport's F."""
    chi2_p_value: float


def dunnett(
    scores: Mapping[str, ArrayLike],
    *,
    baseline: str,
    confidence: float = 0.95,
    alternative: Alternative = "two-sided",
) -> ManyComparisons:
    """Compare variants that ran on *different* items with one baseline (Dunnett 1955).

    `t_i = (mean_i - mean_0) / (s sqrt(1/n_i + 1/n_0))` with the pooled `s`; adjusted p-values and simultaneous
    intervals from the multivariate t with correlations `sqrt(n_i n_j / ((n_i + n_0)(n_j + n_0)))`, integrated
    numerically, so that the same data always give the same digits. For the same items use `max_t`.

    Args:
        scores: Scores of each variant, shape (items,) or (items, repeats); sizes may differ.
        baseline: Name of the baseline.
        confidence: Level of the simultaneous intervals.
        alternative: `greater` means that the candidate is higher.

    Returns:
        One comparison for each variant other than the baseline.

    Raises:
        StatsError: Fewer than two variants or an unknown baseline.

    Examples:
        >>> from bakeoff.stats import dunnett
        >>> blood = {
        ...     "control": [7.40, 8.50, 7.20, 8.24, 9.84, 8.32],
        ...     "A": [9.76, 8.80, 7.68, 9.36],
        ...     "B": [12.80, 9.68, 12.16, 9.20, 10.55],
        ... }
        >>> [round(one.p_adjusted, 3) for one in dunnett(blood, baseline="control").comparisons]
        [0.62, 0.006]
    """
    confidence, alternative = check_confidence(confidence), check_alternative(alternative)
    groups = _groups(scores)
    if baseline not in groups:
        raise StatsError(f"baseline {baseline!r} is not one of the variants {list(groups)}")
    sizes = {name: values.size for name, values in groups.items()}
    others = [name for name in groups if name != baseline]
    usable = [name for name in others if sizes[name] and sizes[baseline]]
    df, spread = _pooled(groups)
    n0 = max(sizes[baseline], 1)
    loadings = np.array([sqrt(sizes[name] / (sizes[name] + n0)) for name in usable])
    two_sided = alternative == "two-sided"

    def adjusted(t: float) -> float:
        bound = {"two-sided": abs(t), "greater": t, "less": -t}[alternative]
        return 1 - max_t_cdf(bound, loadings, df=df, two_sided=two_sided)

    critical = nan
    if usable and df > 0:
        critical = _quantile(lambda bound: max_t_cdf(bound, loadings, df=df, two_sided=two_sided), confidence)
    return _family_of(
        "dunnett",
        groups,
        [(name, baseline) for name in others],
        spread,
        df,
        critical,
        confidence,
        alternative,
        adjusted,
    )


def tukey(scores: Mapping[str, ArrayLike], *, confidence: float = 0.95) -> ManyComparisons:
    """Compare all pairs of variants that ran on *different* items (Tukey's HSD, Tukey-Kramer when sizes differ).

    `q = sqrt(2) |t|` against the studentized range of all means, integrated numerically. For the same items
    use `max_t` without a baseline.

    Args:
        scores: Scores of each variant, shape (items,) or (items, repeats); sizes may differ.
        confidence: Level of the simultaneous intervals.

    Returns:
        One comparison for each pair, the later variant as candidate.

    Raises:
        StatsError: Fewer than two variants.

    Examples:
        >>> from bakeoff.stats import tukey
        >>> result = tukey({"a": [24.5, 23.5, 26.4, 27.1, 29.9], "b": [28.4, 34.2, 29.5, 32.2, 30.1]})
        >>> round(result.comparisons[0].p_adjusted, 3)
        0.016
    """
    confidence = check_confidence(confidence)
    groups = _groups(scores)
    names = list(groups)
    used = sum(1 for values in groups.values() if values.size)
    df, spread = _pooled(groups)
    critical = studentized_range_ppf(confidence, used, df) / sqrt(2) if used > 1 and df > 0 else nan
    pairs = [(names[j], names[i]) for i in range(len(names)) for j in range(i + 1, len(names))]
    return _family_of(
        "tukey",
        groups,
        pairs,
        spread,
        df,
        critical,
        confidence,
        "two-sided",
        lambda t: 1 - studentized_range_cdf(abs(t) * sqrt(2), used, df),
    )


def cochran_q(scores: Mapping[str, ArrayLike]) -> TestResult:
    """Test whether any of several variants differs on the same pass/fail items (Cochran 1950).

    `Q = (k-1) (k sum C_j^2 - T^2) / (k T - sum L_i^2)`, chi-square with `k - 1` degrees of freedom, for column
    totals `C`, row totals `L` and grand total `T`. With two variants it is McNemar's `(b - c)^2 / (b + c)`.
    Follow up with `max_t`, or with pairwise McNemar tests and Holm.

    Args:
        scores: 0/1 scores of each variant, shape (items,), on the same items; an item with a missing score
            is left out.

    Returns:
        The test; p is 1 when no item tells the variants apart.

    Raises:
        StatsError: Fewer than two variants, different numbers of items, or scores other than 0 and 1.

    Examples:
        >>> from bakeoff.stats import cochran_q
        >>> result = cochran_q({"a": [1, 1, 0, 1, 1, 1], "b": [0, 1, 0, 0, 1, 0], "c": [0, 1, 0, 1, 0, 0]})
        >>> round(result.statistic, 3), round(result.p_value, 3)
        (4.5, 0.105)
    """
    names, x = named_columns(scores)
    x, dropped = _complete(x)
    if not np.isin(x, (0.0, 1.0)).all():
        odd = x[~np.isin(x, (0.0, 1.0))].ravel()[0]
        raise StatsError(f"Cochran's Q needs scores of 0 or 1, one for each item, got {float(odd)!r}")
    n, k = x.shape
    warnings = _dropped_warning(dropped)
    if n == 0:
        return TestResult(p_value=nan, n=0, method="cochran_q", reason="no item has a score under every variant")
    columns, rows = x.sum(axis=0), x.sum(axis=1)
    total = float(x.sum())
    spread = k * total - float(rows @ rows)
    informative = int(((rows > 0) & (rows < k)).sum())
    if spread == 0:
        reason = "no item tells the variants apart"
        return TestResult(p_value=1.0, n=n, method="cochran_q", df=k - 1, reason=reason, warnings=warnings)
    statistic = (k - 1) * (k * float(columns @ columns) - total**2) / spread
    if informative * k < 24:
        warnings += (f"only {informative} items tell the {len(names)} variants apart: chi-square is approximate",)
    return TestResult(
        p_value=float(chi2_sf(statistic, k - 1)),
        statistic=statistic,
        df=float(k - 1),
        n=n,
        method="cochran_q",
        assumptions=("items are independent",),
        warnings=warnings,
    )


def friedman(scores: Mapping[str, ArrayLike], *, alpha: float = 0.05, higher_is_better: bool = True) -> FriedmanResult:
    """Test whether variants rank differently on the same items or data sets (Friedman 1937; Iman and Davenport 1980).

    Friedman's chi-square is corrected for ties; `F = (N-1) chi2 / (N (k-1) - chi2)` with `k - 1` and
    `(k-1)(N-1)` degrees of freedom gives the p-value, because chi-square is conservative. Nemenyi's critical
    difference is `q_alpha sqrt(k (k+1) / (6 N))` with `q` the studentized range over `sqrt(2)` (Demsar 2006).
    The critical difference depends on which other variants are in the set: for a decision prefer `max_t`.

    Args:
        scores: Scores of each variant on the same items; an item with a missing score is left out.
        alpha: Level of the critical difference.
        higher_is_better: Direction of the metric; rank 1 is the best.

    Returns:
        The test with average ranks and critical difference.

    Raises:
        StatsError: Fewer than two variants or different numbers of items.

    Examples:
        >>> from bakeoff.stats import friedman
        >>> result = friedman({"a": [0.9, 0.8, 0.7, 0.9], "b": [0.7, 0.7, 0.5, 0.8], "c": [0.5, 0.6, 0.6, 0.7]})
        >>> result.average_ranks, round(result.chi2, 2)
        ({'a': 1.0, 'b': 2.25, 'c': 2.75}, 6.5)
    """
    names, x = named_columns(scores)
    alpha = check_alpha(alpha)
    x, dropped = _complete(x)
    n, k = x.shape
    ranks = _ranks(-x if higher_is_better else x)
    average = dict(zip(names, ranks.mean(axis=0).tolist() if n else [nan] * k, strict=True))
    critical = studentized_range_ppf(1 - alpha, k) / sqrt(2) * sqrt(k * (k + 1) / (6 * n)) if n else nan
    spread = float(((ranks - (k + 1) / 2) ** 2).sum())
    chi2, f, p, chi2_p, reason = nan, nan, nan, nan, None
    if n < 2:
        reason = "at least two items with a score under every variant are needed"
    elif spread == 0:
        p, chi2_p, reason = 1.0, 1.0, "every item ties all variants"
    else:
        totals = ranks.sum(axis=0)
        chi2 = (k - 1) * float(((totals - n * (k + 1) / 2) ** 2).sum()) / spread
        chi2_p = float(chi2_sf(chi2, k - 1))
        left = n * (k - 1) - chi2
        f = (n - 1) * chi2 / left if left > 1e-9 else inf
        p = float(f_sf(f, k - 1, (k - 1) * (n - 1))) if f < inf else 0.0
        if f == inf:
            reason = "every item ranks the variants alike; F is unbounded, see chi2_p_value"
            p = chi2_p
    return FriedmanResult(
        p_value=p,
        statistic=f,
        df=float(k - 1),
        n=n,
        method="friedman_iman_davenport",
        reason=reason,
        assumptions=("items are independent", "ranks within an item are comparable"),
        warnings=_dropped_warning(dropped),
        average_ranks=average,
        critical_difference=critical,
        alpha=alpha,
        chi2=chi2,
        chi2_p_value=chi2_p,
    )


def _groups(scores: Mapping[str, ArrayLike]) -> dict[str, Float]:
    if len(scores) < 2:
        raise StatsError(f"scores must hold at least 2 variants, got {list(scores)}")
    groups = {name: item_means(as_scores(values, f"scores[{name!r}]"))[0] for name, values in scores.items()}
    return {name: values[~np.isnan(values)] for name, values in groups.items()}


def _pooled(groups: Mapping[str, Float]) -> tuple[float, float]:
    """Return the degrees of freedom and the pooled standard deviation; rounding noise counts as no spread."""
    df = float(sum(values.size for values in groups.values()) - sum(1 for values in groups.values() if values.size))
    total = 0.0
    for values in groups.values():
        if values.size:
            residual = values - values.mean()
            residual[np.abs(residual) < 1e-12 * np.abs(values).max()] = 0.0
            total += float(residual @ residual)
    return df, sqrt(total / df) if df > 0 else nan


def _family_of(
    method: str,
    groups: Mapping[str, Float],
    pairs: list[tuple[str, str]],
    spread: float,
    df: float,
    critical: float,
    confidence: float,
    alternative: Alternative,
    adjusted: Callable[[float], float],
) -> ManyComparisons:
    reason = None
    if not df > 0:
        reason = "no variant has two items: the spread cannot be estimated"
    elif spread == 0:
        reason = "no variant's scores vary: the spread cannot be estimated"
    rows: list[NamedDifference] = []
    for candidate, baseline in pairs:
        a, b = groups[candidate], groups[baseline]
        estimate = float(a.mean() - b.mean()) if a.size and b.size else nan
        se = spread * sqrt(1 / a.size + 1 / b.size) if a.size and b.size and spread > 0 else nan
        t = estimate / se if se == se else nan
        low, high = estimate - critical * se, estimate + critical * se
        rows.append(
            NamedDifference(
                candidate=candidate,
                baseline=baseline,
                estimate=estimate,
                low=-inf if alternative == "less" and t == t else low,
                high=inf if alternative == "greater" and t == t else high,
                confidence=confidence,
                n=a.size + b.size,
                method=f"{method}_simultaneous",
                se=se,
                df=df,
                p_value=_t_p(t, df, alternative),
                p_adjusted=min(1.0, max(0.0, adjusted(t))) if t == t else nan,
                test=method,
                alternative=alternative,
                paired=False,
                candidate_mean=float(a.mean()) if a.size else nan,
                baseline_mean=float(b.mean()) if b.size else nan,
                n_items=a.size + b.size,
                reason=reason or (None if t == t else "a variant has no scores"),
                assumptions=("equal variances", "normal scores or many items", "different items for each variant"),
            )
        )
    n = sum(values.size for values in groups.values())
    return ManyComparisons(
        comparisons=tuple(rows), method=method, confidence=confidence, critical=critical, n=n, reason=reason
    )


def _t_p(t: float, df: float, alternative: Alternative) -> float:
    if t != t:
        return nan
    if alternative == "two-sided":
        return float(min(1.0, 2 * t_sf(abs(t), df)))
    return float(t_sf(t, df) if alternative == "greater" else t_cdf(t, df))


def _quantile(cdf: Callable[[float], float], confidence: float) -> float:
    low, high = -20.0, 20.0
    while cdf(high) < confidence and high < 1e6:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if cdf(middle) >= confidence else (middle, high)
    return high


def _complete(x: Float) -> tuple[Float, int]:
    kept = ~np.isnan(x).any(axis=1)
    return x[kept], int((~kept).sum())


def _dropped_warning(dropped: int) -> tuple[str, ...]:
    return (f"{dropped} items lack a score under some variant and are left out",) if dropped else ()


def _ranks(x: Float) -> Float:
    """Rank within rows, ties averaged: one plus those smaller plus half of the other equals."""
    smaller = (x[:, :, None] > x[:, None, :]).sum(axis=2)
    equal = (x[:, :, None] == x[:, None, :]).sum(axis=2)
    return smaller + (equal + 1) / 2
