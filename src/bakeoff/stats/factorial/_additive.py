"""Do factors act independently, as far as the cells that were run can tell?"""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING

import numpy as np

from bakeoff.errors import StatsError
from bakeoff.stats.core._checks import as_scores
from bakeoff.stats.core._dist import f_sf
from bakeoff.stats.core._items import encode_clusters, item_means
from bakeoff.stats.core._result import TestResult

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    Float = NDArray[np.float64]

__all__ = ["additivity_test"]


def additivity_test(
    scores: Mapping[tuple[str, ...], ArrayLike],
    *,
    factors: Mapping[str, Sequence[str]],
    clusters: ArrayLike | None = None,
) -> TestResult:
    """Test whether main effects alone explain the cells that were run, with the item as block.

    Where cells are missing, effects of single factors rest on the factors acting independently. What is left of the
    cell means after main effects is zero then: each item gives one number for each such contrast of cells, tested
    jointly by Hotelling's `T^2` (`F = (n - q) / (q (n - 1)) T^2`); with clusters a cluster-robust Wald F (CR1).

    Args:
        scores: Scores of the cells that were run, keyed by the levels in the order of `factors`; shape (items,) or
            (items, repeats), the same items everywhere. Items missing in any of them are left out.
        factors: Levels of each factor.
        clusters: One label for each item.

    Returns:
        The test; `nan` with a reason where the cells leave nothing to test it by, or too few items.

    Raises:
        StatsError: A level that its factor does not have, or cells of different sizes.

    Source: Rencher and Christensen (2012), Methods of Multivariate Analysis, section 5.9.

    Examples:
        >>> cells = {("a", "x"): [1, 2, 3, 4], ("a", "y"): [2, 3, 5, 5], ("b", "x"): [2, 2, 4, 5],
        ...          ("b", "y"): [9, 8, 9, 12]}
        >>> additivity_test(cells, factors={"one": ["a", "b"], "two": ["x", "y"]}).p_value < 0.05
        True
    """
    design = _main_effects(list(scores), factors)
    columns = [item_means(as_scores(values, f"scores[{cell!r}]"))[0] for cell, values in scores.items()]
    if len({column.size for column in columns}) > 1:
        raise StatsError(f"every cell must hold the same items, got sizes {[column.size for column in columns]}")
    y = np.stack(columns, axis=1)
    complete = ~np.isnan(y).any(axis=1)
    left, singular, _ = np.linalg.svd(design)
    rank = int((singular > 1e-9 * singular.max(initial=0.0)).sum())
    values = y[complete] @ left[:, rank:]
    codes = (
        None
        if clusters is None
        else np.unique(encode_clusters(clusters, n=y.shape[0])[complete], return_inverse=True)[1]
    )
    f, p, reason = _wald(values, codes, scale=float(np.abs(y[complete]).max(initial=0.0)))
    return TestResult(
        p_value=p,
        statistic=f,
        df=float(values.shape[1]),
        n=values.shape[0] if codes is None else int(codes.max(initial=-1)) + 1,
        method="additivity_hotelling",
        reason=reason,
        assumptions=("items are independent", "normal item-level contrasts, or many items"),
    )


def _main_effects(cells: Sequence[tuple[str, ...]], factors: Mapping[str, Sequence[str]]) -> Float:
    """Return the cells x (1 + levels) matrix of an additive model."""
    columns: list[list[float]] = [[1.0] * len(cells)]
    for place, (name, levels) in enumerate(factors.items()):
        unknown = [cell[place] for cell in cells if cell[place] not in levels]
        if unknown:
            raise StatsError(f"factor {name!r} has no level {unknown[0]!r}; it has {list(levels)}")
        columns += [[float(cell[place] == level) for cell in cells] for level in levels]
    return np.array(columns, dtype=np.float64).T


def _wald(values: Float, codes: NDArray[np.intp] | None, *, scale: float) -> tuple[float, float, str | None]:
    n, q = values.shape
    units = n if codes is None else int(codes.max(initial=-1)) + 1
    if q == 0:
        return nan, nan, "the cells that were run leave nothing to test it by"
    if units <= q:
        return nan, nan, f"{units} items cannot test {q} contrasts jointly; more than {q} are needed"
    centre = values.mean(axis=0)
    residual = values - centre
    if codes is None:
        spread = residual.T @ residual / (n - 1) / n
    else:
        sums = np.zeros((units, q))
        np.add.at(sums, codes, residual)
        spread = sums.T @ sums / n**2 * units / (units - 1)
    if np.linalg.matrix_rank(spread, tol=1e-24 * max(scale, 1e-300) ** 2) < q:
        one_way = ((values > 1e-9 * scale).all(axis=0) | (values < -1e-9 * scale).all(axis=0)).any()
        p = min(1.0, 2 * q * 0.5**units) if one_way else 1.0
        return nan, p, "the spread of the contrasts cannot be estimated: sign test, corrected for the contrasts"
    df2 = float(units - q)
    f = df2 / (q * (units - 1)) * float(centre @ np.linalg.solve(spread, centre))
    return f, float(f_sf(f, q, df2)), None
