"""Intraclass correlation: reliability of numeric ratings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import nan
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from bakeoff.errors import StatsError
from bakeoff.stats.core._checks import as_matrix, check_confidence
from bakeoff.stats.core._dist import beta_ppf, f_sf
from bakeoff.stats.core._result import Estimate

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Float = NDArray[np.float64]

__all__ = ["ICCKind", "ICCResult", "intraclass_correlation"]

ICCKind = Literal["1,1", "2,1", "3,1", "1,k", "2,k", "3,k"]
"""Shrout & Fleiss forms: 1 raters differ by item, 2 raters are a sample, 3 raters are fixed; one rating or the mean."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ICCResult(Estimate):
    """An intraclass correlation with the mean squares behind it."""

    p_value: float = nan
    """Test that items do not differ at all."""
    ms_items: float = nan
    ms_raters: float = nan
    ms_error: float = nan
    n_raters: int = 0


@dataclass(frozen=True, slots=True)
class _Anova:
    n: int
    k: int
    items: float
    raters: float
    error: float
    within: float


def _f_ppf(q: float, df1: float, df2: float) -> float:
    x = float(beta_ppf(q, df1 / 2, df2 / 2))
    return df2 * x / (df1 * (1 - x)) if x < 1 else np.inf


def _anova(x: Float) -> _Anova:
    n, k = x.shape
    grand = x.mean()
    ss_items = k * float(((x.mean(axis=1) - grand) ** 2).sum())
    ss_raters = n * float(((x.mean(axis=0) - grand) ** 2).sum())
    ss_within = float(((x - x.mean(axis=1, keepdims=True)) ** 2).sum())
    error = max(ss_within - ss_raters, 0.0) / ((n - 1) * (k - 1))
    return _Anova(n, k, ss_items / (n - 1), ss_raters / (k - 1), error, ss_within / (n * (k - 1)))


def _single(a: _Anova, form: str) -> float:
    if form == "1":
        return (a.items - a.within) / (a.items + (a.k - 1) * a.within)
    if form == "2":
        return (a.items - a.error) / (a.items + (a.k - 1) * a.error + a.k * (a.raters - a.error) / a.n)
    return (a.items - a.error) / (a.items + (a.k - 1) * a.error)


def _limits(a: _Anova, form: str, confidence: float) -> tuple[float, float]:
    """Return limits for a single rating (Shrout & Fleiss 1979; McGraw & Wong 1996)."""
    q = 0.5 + confidence / 2
    n, k = a.n, a.k
    if form in ("1", "3"):
        noise, df2 = (a.within, n * (k - 1)) if form == "1" else (a.error, (n - 1) * (k - 1))
        f = a.items / noise
        low, high = f / _f_ppf(q, n - 1, df2), f * _f_ppf(q, df2, n - 1)
        return (low - 1) / (low + k - 1), (high - 1) / (high + k - 1)
    rho = _single(a, "2")
    share = k * rho / (n * (1 - rho))
    rest = 1 + k * rho * (n - 1) / (n * (1 - rho))
    df = (share * a.raters + rest * a.error) ** 2 / (
        (share * a.raters) ** 2 / (k - 1) + (rest * a.error) ** 2 / ((n - 1) * (k - 1))
    )
    upper, lower = _f_ppf(q, n - 1, df), _f_ppf(q, df, n - 1)
    spread = k * a.raters + (k * n - k - n) * a.error
    low = n * (a.items - upper * a.error) / (upper * spread + n * a.items)
    high = n * (lower * a.items - a.error) / (spread + n * lower * a.items)
    return low, high


def intraclass_correlation(ratings: ArrayLike, *, kind: ICCKind = "2,1", confidence: float = 0.95) -> ICCResult:
    """Estimate how much of the spread of numeric ratings is between items rather than between raters.

    The six forms of Shrout & Fleiss (1979) from the two-way analysis of variance, F-based intervals. `2,1` asks "if I
    use one of these raters, or another like them, how far can I trust a rating"; the `k` forms are for the mean of
    all raters (Spearman-Brown). Items with a missing rating are left out.

    Args:
        ratings: Numbers of shape (items, raters); `nan` is missing.
        kind: Form of the coefficient.
        confidence: Confidence of the interval.

    Returns:
        The coefficient; may be negative when raters disagree more than items differ.

    Raises:
        StatsError: If `ratings` is not numeric and two-dimensional, or the form is unknown.

    Examples:
        >>> ratings = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
        >>> round(intraclass_correlation(ratings).estimate, 2)
        0.29
    """
    confidence = check_confidence(confidence)
    if kind not in get_args(ICCKind):
        raise StatsError(f"kind must be one of {list(get_args(ICCKind))}, got {kind!r}")
    x = as_matrix(ratings, "ratings", "items, raters")
    complete = x[~np.isnan(x).any(axis=1)]
    dropped = len(x) - len(complete)
    result = ICCResult(
        estimate=nan,
        low=nan,
        high=nan,
        confidence=confidence,
        n=len(complete),
        method=f"icc({kind})",
        n_raters=x.shape[1],
        assumptions=("ratings are roughly normal", "items are a random sample"),
        warnings=(f"{dropped} items with a missing rating are left out",) * bool(dropped),
    )
    if len(complete) < 2 or x.shape[1] < 2:
        return replace(result, reason="needs at least two complete items and two raters")
    a = _anova(complete)
    result = replace(result, ms_items=a.items, ms_raters=a.raters, ms_error=a.error)
    scale = float(np.abs(complete).max()) ** 2 * 1e-24
    if a.items + a.within <= scale:
        return replace(result, reason="all ratings are equal: reliability is undefined")
    form, mean_of_k = kind[0], kind.endswith("k")
    noise = a.within if form == "1" else a.error
    if form == "3" and a.items + a.error <= scale:
        return replace(result, reason="items do not differ apart from the raters' levels: reliability is undefined")
    value = _single(a, form)
    result = replace(result, estimate=_stepped(value, a.k) if mean_of_k else value)
    if noise <= scale:
        return replace(result, reason="no error variance left: no interval can be given")
    df2 = a.n * (a.k - 1) if form == "1" else (a.n - 1) * (a.k - 1)
    low, high = _limits(a, form, confidence)
    if mean_of_k:
        low, high = _stepped(low, a.k), _stepped(high, a.k)
    if not low < high:
        return replace(
            result, reason="the spread over items vanishes beside that over raters: no interval can be given"
        )
    return replace(result, low=low, high=high, p_value=float(f_sf(a.items / noise, a.n - 1, df2)))


def _stepped(value: float, k: int) -> float:
    """Return the reliability of the mean of k ratings (Spearman-Brown)."""
    bottom = 1 + (k - 1) * value
    return k * value / bottom if bottom else nan
