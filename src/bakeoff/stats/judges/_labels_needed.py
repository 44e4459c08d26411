"""How many human labels a judge correction still needs."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan
from typing import TYPE_CHECKING

import numpy as np

from bakeoff.errors import StatsError
from bakeoff.stats.core._checks import check_confidence
from bakeoff.stats.core._dist import t_ppf, z_value
from bakeoff.stats.core._wilson import wilson_limits
from bakeoff.stats.judges._rates import Labelled, as_labelled

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Float = NDArray[np.float64]

__all__ = ["LabelsNeeded", "labels_needed"]

_GRID = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelsNeeded:
    """How many labels give an interval of a wanted half-width."""

    n_labels: int | None
    """Labels in all; `None` when even a label on every item is not enough."""
    additional: int | None
    """Labels still to be collected."""
    n_labelled: int
    half_width: float
    """Wanted half-width, on the scale of the score."""
    half_width_now: float
    """Half-width expected with the labels at hand."""
    half_width_all: float
    """Half-width expected with a label on every item."""
    n_items: int
    method: str
    reason: str | None = None


def labels_needed(judge: ArrayLike, human: ArrayLike, *, half_width: float, confidence: float = 0.95) -> LabelsNeeded:
    """Say how many random labels the corrected mean needs for an interval of `+- half_width`.

    The rates (pass/fail) or the correlation (graded scores) of judge and labels are taken from the labels at hand, with
    a half added to each count; the expected half-width of `corrected_mean` is then computed for every possible number
    of labels, each costing one item its place among the unlabelled.

    Args:
        judge: Judge scores of all items, shape (items,).
        human: Labels so far, `nan` for items without one.
        half_width: Wanted half-width on the scale of the score, for instance 0.03.
        confidence: Confidence of the interval.

    Returns:
        The number of labels, or the reason why more items are needed first.

    Raises:
        StatsError: If `half_width` is not positive or lengths differ.

    Examples:
        >>> judge = [1] * 1600 + [0] * 400
        >>> human = [1] * 36 + [0] * 4 + [np.nan] * 1560 + [1] * 1 + [0] * 9 + [np.nan] * 390
        >>> plan = labels_needed(judge, human, half_width=0.05)
        >>> plan.n_labelled, 100 < plan.n_labels < 200
        (50, True)
    """
    confidence = check_confidence(confidence)
    if not 0 < half_width < np.inf:
        raise StatsError(f"half_width must be a positive number (for instance 0.03), got {half_width!r}")
    data, _ = as_labelled(judge, human, None, None, binary=False)
    n, size = int(data.labelled.sum()), len(data.judge)
    values = np.concatenate([data.judge, data.human[data.labelled]])
    binary = bool(np.isin(values, (0.0, 1.0)).all())
    method = "stratified_mover_wilson" if binary else "ppi++"
    if n < 2 or (not binary and n < 4):
        return LabelsNeeded(
            n_labels=None, additional=None, n_labelled=n, half_width=half_width, half_width_now=nan, half_width_all=nan,
            n_items=size, method=method, reason="too few labels to plan from: label about 20 random items first",
        )  # fmt: skip
    grid = np.unique(np.concatenate([np.geomspace(2, size, _GRID).astype(np.int64), [n, size]]))
    widths = _stratified_widths(data, grid, confidence) if binary else _ppi_widths(data, grid, confidence)
    needed: int | None = None
    reason = None
    if widths[-1] > half_width:
        reason = (
            f"even a label on each of the {size} items gives +-{widths[-1]:.3g}; "
            f"about {int(np.ceil(size * (widths[-1] / half_width) ** 2))} items are needed"
        )
    else:
        first = int(np.argmax(widths <= half_width))
        below = int(grid[first - 1]) if first else 2
        fine = np.arange(below, int(grid[first]) + 1)
        exact = _stratified_widths(data, fine, confidence) if binary else _ppi_widths(data, fine, confidence)
        needed = int(fine[int(np.argmax(exact <= half_width))])
    return LabelsNeeded(
        n_labels=needed,
        additional=None if needed is None else max(0, needed - n),
        n_labelled=n,
        half_width=half_width,
        half_width_now=float(widths[int(np.searchsorted(grid, n))]),
        half_width_all=float(widths[-1]),
        n_items=size,
        method=method,
        reason=reason,
    )


def _stratified_widths(data: Labelled, n: NDArray[np.int64], confidence: float) -> Float:
    """Return expected half-widths of the post-stratified interval for each number of labels."""
    on, z = data.labelled, z_value(confidence)
    f, y = data.judge[on], data.human[on]
    size = len(data.judge)
    share = float(data.judge.mean())
    t1, t0 = ((float(y[f == v].sum()) + 0.5) / (int((f == v).sum()) + 1.0) for v in (1.0, 0.0))
    counts = n.astype(np.float64)
    low1, high1 = wilson_limits(t1, counts * share, z)
    low0, high0 = wilson_limits(t0, counts * (1 - share), z)
    wl, wh = (float(x) for x in wilson_limits(share, size, z))
    slope = abs(t1 - t0)
    below = (share * (t1 - low1)) ** 2 + ((1 - share) * (t0 - low0)) ** 2 + ((share - wl) * slope) ** 2
    above = (share * (high1 - t1)) ** 2 + ((1 - share) * (high0 - t0)) ** 2 + ((wh - share) * slope) ** 2
    return np.asarray((np.sqrt(below) + np.sqrt(above)) / 2, dtype=np.float64)


def _ppi_widths(data: Labelled, n: NDArray[np.int64], confidence: float) -> Float:
    """Return expected half-widths of PPI++: `var(y)/n (1 - r^2 N/(n + N))` at the best lambda."""
    on = data.labelled
    f, y = data.judge[on], data.human[on]
    variance = float(y.var(ddof=1))
    spread = float(f.std()) * float(y.std())
    correlation = float(np.mean((f - f.mean()) * (y - y.mean()))) / spread if spread > 1e-24 else 0.0
    size = float(len(data.judge))
    counts = n.astype(np.float64)
    helps = (correlation > 1 / np.sqrt(np.maximum(counts - 2, 1.0))) & (counts > 3)
    factor = np.where(helps, 1 - correlation**2 * (size - counts) / size, 1.0)
    df = np.maximum(counts - 1 - helps, 1.0)
    return np.asarray(t_ppf(0.5 + confidence / 2, df) * np.sqrt(variance * factor / counts), dtype=np.float64)
