"""What each factor of an experiment does, and whether it depends on the others."""

from __future__ import annotations

from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from bakeoff.errors import StatsError
from bakeoff.experiments._json import dumps
from bakeoff.stats import factorial_effects, factorial_model

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bakeoff.experiments._cube import ItemInfo, ScoreCube
    from bakeoff.experiments._manifest import Manifest
    from bakeoff.experiments._question import Question
    from bakeoff.stats import FactorialResult

__all__ = ["factor_effects", "varied_factors"]

_MOST_CELLS = 128
_MOST_ROWS = 60_000
"""Rows up to which an unbalanced design is fitted: a few seconds."""


def varied_factors(manifest: Manifest) -> dict[str, list[str]]:
    """Return the factors that have more than one level in the variants of a run, with their levels in order."""
    found: dict[str, list[str]] = {}
    names = list(dict.fromkeys(name for variant in manifest.variants for name in variant.levels))
    for name in names:
        levels = [_said(variant.levels[name]) for variant in manifest.variants if name in variant.levels]
        distinct = list(dict.fromkeys(levels))
        if len(distinct) > 1 and len(levels) == len(manifest.variants):
            found[name] = distinct
    return found


def factor_effects(
    cube: ScoreCube, manifest: Manifest, items: ItemInfo, question: Question
) -> tuple[FactorialResult | None, str]:
    """Test the main effects and two-factor interactions of a run whose variants differ in two factors or more.

    The full cross is analysed in closed form with the item as block; with cells missing (`exclude`, `variants`), a
    marginal linear model with item-robust errors (GEE) tells apart what the cells allow.

    Returns:
        The effects, or `None`; and why they could not be had, when that is worth saying.
    """
    factors = varied_factors(manifest)
    if len(factors) < 2 or cube.is_label:
        return None, ""
    at = {name: tuple(_said(_levels(manifest, name)[key]) for key in factors) for name in cube.variants}
    if len(set(at.values())) < len(at):
        return None, ""  # variants that no factor tells apart
    cells = prod(len(levels) for levels in factors.values())
    if cells > _MOST_CELLS:
        return None, f"The effects of single factors are not worked out: {cells} combinations are too many."
    confidence = 1 - question.alpha
    try:
        if set(at.values()) == set(product(*factors.values())):
            scores = {at[name]: cube.of(name) for name in cube.variants}
            return factorial_effects(scores, factors=factors, clusters=items.clusters, confidence=confidence), ""
        if cube.values.size > _MOST_ROWS:
            return None, "The effects of single factors are not worked out: combinations are missing, and it is large."
        return _unbalanced(cube, at, factors, items, confidence), ""
    except StatsError as error:
        return None, f"The effects of single factors could not be estimated: {error}."


def _unbalanced(
    cube: ScoreCube,
    at: Mapping[str, tuple[str, ...]],
    factors: Mapping[str, list[str]],
    items: ItemInfo,
    confidence: float,
) -> FactorialResult:
    _, n_items, repeats = cube.values.shape
    blocks = np.arange(n_items) if items.clusters is None else items.clusters
    columns = {
        name: np.repeat([at[variant][place] for variant in cube.variants], n_items * repeats)
        for place, name in enumerate(factors)
    }
    return factorial_model(
        cube.values.reshape(-1),
        items=np.tile(np.repeat(blocks, repeats), len(cube.variants)),
        factors=columns,
        levels=factors,
        confidence=confidence,
    )


def _levels(manifest: Manifest, variant: str) -> Mapping[str, Any]:
    return next(entry.levels for entry in manifest.variants if entry.name == variant)


def _said(level: object) -> str:
    """Write a level the way the spec does: words as they are, anything else as JSON."""
    return level if isinstance(level, str) else dumps(level).decode()
