"""Pairwise comparisons: reading, connectivity, and the distinct situations of a paired-comparison model."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np

from bakeoff.errors import StatsError
from bakeoff.stats.core._checks import as_numbers, as_vector
from bakeoff.stats.core._items import as_codes, as_weights
from bakeoff.stats.ranking._fit import Cells

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from bakeoff.stats.ranking._fit import TieModel

    Float = NDArray[np.float64]

__all__ = [
    "Comparisons",
    "comparison_cells",
    "connected_groups",
    "has_both_orders",
    "outcome_counts",
    "read_comparisons",
    "sum_zero_basis",
    "win_matrix",
]


@dataclass(frozen=True, slots=True)
class Comparisons:
    """Validated comparisons in integer codes."""

    names: tuple[str, ...]
    first: NDArray[np.intp]
    second: NDArray[np.intp]
    outcome: NDArray[np.intp]
    """0 first wins, 1 tie, 2 second wins."""
    covariates: Float
    weight: Float
    codes: NDArray[np.intp]
    clusters: int
    clustered: bool


def read_comparisons(
    first: ArrayLike,
    second: ArrayLike,
    outcome: ArrayLike,
    items: ArrayLike | None,
    covariates: ArrayLike | None,
    weights: ArrayLike | None,
) -> Comparisons:
    """Return validated comparisons, without those that have no verdict or no weight."""
    result = as_vector(outcome, "outcome")
    n = len(result)
    sides = [np.asarray(side).astype(str) for side in (first, second)]
    if any(side.shape != (n,) for side in sides):
        raise StatsError(f"first, second and outcome must have one entry per comparison: {n} expected")
    if not np.isin(result[~np.isnan(result)], (0.0, 0.5, 1.0)).all():
        raise StatsError("outcome must be 1 (first wins), 0.5 (tie), 0 (second wins) or nan")
    if (sides[0] == sides[1]).any():
        raise StatsError(f"a variant is compared with itself: {sides[0][sides[0] == sides[1]][0]!r}")
    x = np.zeros((n, 0)) if covariates is None else as_numbers(covariates, "covariates")
    x = x[:, None] if x.ndim == 1 else x
    if x.ndim != 2 or len(x) != n:
        raise StatsError(f"covariates must be of shape ({n},) or ({n}, p), got {x.shape}")
    weight = as_weights(weights, n)
    ok = ~np.isnan(result) & (weight > 0) & ~np.isnan(x).any(axis=1)
    codes, _ = as_codes(items, n, "items")
    kept, inverse = np.unique(codes[ok], return_inverse=True)
    names, index = np.unique(np.concatenate([sides[0][ok], sides[1][ok]]), return_inverse=True)
    half = int(ok.sum())
    place = np.asarray(np.rint((1 - result[ok]) * 2), dtype=np.intp)
    return Comparisons(
        tuple(names.tolist()), index[:half], index[half:], place, x[ok], weight[ok],
        np.asarray(inverse, dtype=np.intp), len(kept), items is not None,
    )  # fmt: skip


def win_matrix(data: Comparisons) -> Float:
    """Return how often each variant (row) beat each other (column), a tie counting half for each."""
    wins = np.zeros((len(data.names), len(data.names)))
    for result, winner, loser in ((0, data.first, data.second), (2, data.second, data.first)):
        np.add.at(wins, (winner[data.outcome == result], loser[data.outcome == result]), 1.0)
    tie = data.outcome == 1
    np.add.at(wins, (data.first[tie], data.second[tie]), 0.5)
    np.add.at(wins, (data.second[tie], data.first[tie]), 0.5)
    return wins


def connected_groups(data: Comparisons, wins: Float) -> str:
    """Return the groups of variants that comparisons connect, in words."""
    linked = (wins + wins.T) > 0
    seen: list[list[str]] = []
    left = set(range(len(data.names)))
    while left:
        group, frontier = set(), {min(left)}
        while frontier:
            group |= frontier
            frontier = {int(j) for i in frontier for j in np.flatnonzero(linked[i])} - group
        left -= group
        seen.append([data.names[i] for i in sorted(group)])
    return " | ".join(", ".join(group) for group in seen)


def has_both_orders(data: Comparisons) -> bool:
    """Say whether some pair was shown in both orders."""
    pairs = set(zip(data.first.tolist(), data.second.tolist(), strict=True))
    return any((b, a) in pairs for a, b in pairs)


def sum_zero_basis(k: int) -> Float:
    """Return an orthonormal basis of the vectors of length k that sum to zero, shape (k, k-1)."""
    basis = np.zeros((k, k - 1))
    for j in range(1, k):
        basis[:j, j - 1] = 1.0
        basis[j, j - 1] = -float(j)
        basis[:, j - 1] /= sqrt(j * (j + 1))
    return basis


def comparison_cells(
    data: Comparisons, model: TieModel, *, order_effect: bool
) -> tuple[Cells, Float, NDArray[np.intp]]:
    """Return the distinct situations, their outcome counts (1, cells, 3), and the situation of each comparison."""
    k = len(data.names)
    keys = np.column_stack([data.first, data.second, data.covariates])
    distinct, cell_of = np.unique(keys, axis=0, return_inverse=True)
    basis = sum_zero_basis(k)
    a, b = distinct[:, 0].astype(np.intp), distinct[:, 1].astype(np.intp)
    parts: list[Float] = [basis[a] - basis[b]]
    if order_effect:
        parts.append(np.ones((len(distinct), 1)))
    parts.append(np.asarray(distinct[:, 2:], dtype=np.float64))
    design = np.concatenate(parts, axis=1)
    scale = np.sqrt(np.mean(distinct[:, 2:] ** 2, axis=0))
    rows = np.zeros((k + design.shape[1] - (k - 1), design.shape[1]))
    rows[:k, : k - 1] = basis
    extra = np.concatenate([np.ones(1 if order_effect else 0), np.where(scale > 0, scale, 1.0)])
    rows[k:, k - 1 :] = np.diag(extra)
    cells = Cells(design, model, rows)
    return cells, outcome_counts(data.weight[None, :], data, cell_of, len(distinct), model), cell_of


def outcome_counts(weight: Float, data: Comparisons, cell_of: NDArray[np.intp], size: int, model: TieModel) -> Float:
    """Return weighted outcome counts of shape (batch, cells, 3)."""
    batch = len(weight)
    index = cell_of * 3 + data.outcome
    flat = (np.arange(batch)[:, None] * (size * 3) + index).ravel()
    counts = np.bincount(flat, weights=weight.ravel(), minlength=batch * size * 3)
    counts = np.asarray(counts, dtype=np.float64).reshape(batch, size, 3)
    if model == "half":
        counts[..., 0] += counts[..., 1] / 2
        counts[..., 2] += counts[..., 1] / 2
        counts[..., 1] = 0.0
    return counts
