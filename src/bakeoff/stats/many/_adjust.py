"""Adjusted p-values for a declared family of comparisons."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from bakeoff.errors import StatsError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["Correction", "adjust"]

Correction = Literal["holm", "hochberg", "bh", "by", "bonferroni", "none"]
"""Holm, Hochberg and Bonferroni bound the chance of any false winner; BH and BY the share of false winners."""


def adjust(
    p_values: ArrayLike, *, method: Correction = "holm", weights: ArrayLike | None = None
) -> NDArray[np.float64]:
    """Adjust p-values for the size of their family.

    A comparison is significant at `alpha` after the correction when its adjusted p is at most
    `alpha`. With p(1) <= ... <= p(m):

    - `holm`: max over j <= i of (m - j + 1) p(j), family-wise error rate, any dependence (Holm 1979)
    - `hochberg`: min over j >= i of (m - j + 1) p(j), family-wise, positive dependence (Hochberg 1988)
    - `bonferroni`: m p(i), family-wise, any dependence
    - `bh`: min over j >= i of m p(j) / j, false discovery rate, positive dependence
      (Benjamini & Hochberg 1995; a shared baseline gives positive dependence)
    - `by`: `bh` times 1 + 1/2 + ... + 1/m, any dependence (Benjamini & Yekutieli 2001)

    With weights, each p is divided by its weight (their mean made 1) before the methods rank and scale it, and Holm
    counts the weight that is left instead of the number of p-values: the error rate stays, and a comparison of weight 4
    has four times the level of one of weight 1 (Holm 1979 section 4; for `bh` and `by` Genovese, Roeder & Wasserman
    2006). Weights are declared before the data is seen.

    Args:
        p_values: Any shape, in [0, 1]. `nan` (not estimable) stays `nan` and does not count.
        method: The correction; `none` returns the p-values as they are.
        weights: One positive number for each p-value; equal when `None`. Not for `hochberg`.

    Returns:
        Adjusted p-values, same shape and order, at most 1.

    Raises:
        StatsError: A p-value outside [0, 1], an unknown method, or weights that are not positive or do not fit.

    Examples:
        >>> adjust([0.01, 0.02, 0.03]).tolist()
        [0.03, 0.04, 0.04]
        >>> adjust([0.01, float("nan"), 0.04], method="bh").tolist()
        [0.02, nan, 0.04]
        >>> adjust([0.03, 0.02], weights=[4, 1]).round(4).tolist()
        [0.0375, 0.0375]
    """
    if method not in get_args(Correction):
        raise StatsError(f"method must be one of {list(get_args(Correction))}, got {method!r}")
    p = np.array(p_values, dtype=np.float64)
    counted = ~np.isnan(p)
    finite = p[counted]
    outside = finite[(finite < 0) | (finite > 1)]
    if outside.size:
        raise StatsError(f"p_values must lie in [0, 1], got {float(outside[0])!r}")
    share = _shares(weights, p.shape, method)[counted]
    if finite.size and method != "none":
        p[counted] = _adjusted(finite, share, method)
    return p


def _shares(weights: ArrayLike | None, shape: tuple[int, ...], method: Correction) -> NDArray[np.float64]:
    if weights is None:
        return np.ones(shape)
    share = np.array(weights, dtype=np.float64)
    if share.shape != shape:
        raise StatsError(f"weights has shape {share.shape}, p_values {shape}; give one weight for each p-value")
    wrong = share[~((share > 0) & np.isfinite(share))]
    if wrong.size:
        raise StatsError(f"weights must be positive numbers, got {float(wrong[0])!r}")
    if method == "hochberg":
        raise StatsError("weights are not defined for 'hochberg'; use 'holm'")
    return share


def _adjusted(p: NDArray[np.float64], share: NDArray[np.float64], method: Correction) -> NDArray[np.float64]:
    m, total = p.size, float(share.sum())
    p = p / share
    if method == "bonferroni":
        return np.minimum(total * p, 1.0)
    order = np.argsort(p, kind="stable")
    left = np.cumsum(share[order][::-1])[::-1]  # weight of the p-values not yet decided
    factor = total / np.arange(1, m + 1) if method in ("bh", "by") else left
    if method == "by":
        factor = factor * np.sum(1.0 / np.arange(1, m + 1))
    scaled = p[order] * factor
    stepped = np.maximum.accumulate(scaled) if method == "holm" else np.minimum.accumulate(scaled[::-1])[::-1]
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted
