"""What each factor of an experiment does, and whether it depends on the others."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from bakeoff.errors import StatsError
from bakeoff.experiments._json import dumps
from bakeoff.stats import additivity_test, factorial_effects, factorial_model

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bakeoff.experiments.analysis._cube import ItemInfo, ScoreCube
    from bakeoff.experiments.analysis._question import Question
    from bakeoff.experiments.store._manifest import Manifest
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
        found = _unbalanced(cube, at, factors, items, confidence)
        caveat = _caveat(cube, at, factors, items, question, found)
        return replace(found, warnings=(*caveat, *found.warnings)), ""
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


def _caveat(
    cube: ScoreCube,
    at: Mapping[str, tuple[str, ...]],
    factors: Mapping[str, list[str]],
    items: ItemInfo,
    question: Question,
    found: FactorialResult,
) -> tuple[str, ...]:
    """Say what the effects of single factors rest on when cells are missing, and whether the data bear it out."""
    lost = [effect.name for effect in found.effects if len(effect.factors) > 1 and effect.p_value != effect.p_value]
    if not lost:
        return ()
    scores = {at[name]: cube.of(name) for name in cube.variants}
    tested = additivity_test(scores, factors=factors, clusters=items.clusters)
    if tested.p_value <= question.alpha:
        said = (
            "Do not read the effects of single factors above: the combinations that were run show that the factors "
            f"depend on each other (p = {tested.p_value:.2g}); compare single variants, or run what is missing."
        )
        return (said,)
    checked = "no sign against that" if tested.p_value == tested.p_value else "which they cannot show"
    said = (
        "Some combinations were not run, so the effects of single factors hold only if the factors act independently "
        f"({checked}; not told apart: {', '.join(lost)})."
    )
    return (said,)


def _levels(manifest: Manifest, variant: str) -> Mapping[str, Any]:
    return next(entry.levels for entry in manifest.variants if entry.name == variant)


def _said(level: object) -> str:
    """Write a level the way the spec does: words as they are, anything else as JSON."""
    return level if isinstance(level, str) else dumps(level).decode()
