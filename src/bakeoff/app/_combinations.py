"""Which combinations of levels are run: all, or a fraction with what it can no longer tell apart."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Fraction", "cross_of", "fractions", "level_of", "level_words"]

_MOST = 256
"""Crosses with more cells are not searched for fractions."""
Cell = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fraction:
    """Some cells of a cross."""

    cells: int
    of: int
    exclude: tuple[dict[str, Any], ...]
    """What is left out, as it stands in an experiment file."""
    sentence: str
    aliases: tuple[str, ...]
    """What cannot be told apart, in words."""

    def same_as(self, exclude: Sequence[Mapping[str, Any]]) -> bool:
        """Say whether a list of exclusions leaves out exactly these."""
        return _as_set(exclude) == _as_set(self.exclude)


def _as_set(patterns: Sequence[Mapping[str, Any]]) -> set[frozenset[tuple[str, str]]]:
    return {frozenset((str(k), repr(v)) for k, v in pattern.items()) for pattern in patterns}


def cross_of(draft: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return the factors of a draft with their levels: prompts and models too, where they are varied by being there.

    Examples:
        >>> cross_of({"prompts": {"a": "", "b": ""}, "models": {"m": "x"}, "factors": {"temperature": [0, 1]}})
        {'temperature': [0, 1], 'prompt': ['a', 'b'], 'model': ['m']}
    """
    factors: dict[str, list[Any]] = {str(k): list(v) for k, v in (draft.get("factors") or {}).items() if v}
    if draft.get("targets"):
        if "target" not in factors and len(draft["targets"]) > 1:
            factors["target"] = list(draft["targets"])
        return factors
    for name, kind in (("prompt", "prompts"), ("model", "models")):
        if name not in factors and draft.get(kind):
            factors[name] = list(draft[kind])
    return factors


def fractions(factors: Mapping[str, Sequence[Any]]) -> list[Fraction]:
    """Return the fractions of a cross that can still estimate every main effect, the largest first.

    Only factors with several levels count. Two-level crosses get regular fractions of least aberration, others
    D-optimal cells; both come from `bakeoff.stats.plan_cells`.

    Examples:
        >>> found = fractions({"prompt": ["a", "b"], "model": ["m", "n"], "tools": [False, True]})
        >>> [(f.cells, f.of, len(f.exclude)) for f in found]
        [(4, 8, 4)]
        >>> found[0].aliases[0]
        'prompt cannot be told apart from model x tools.'
    """
    from bakeoff.errors import StatsError
    from bakeoff.stats import plan_cells

    varied = {name: list(levels) for name, levels in factors.items() if len(levels) > 1}
    size = 1
    for levels in varied.values():
        size *= len(levels)
    needed = 1 + sum(len(levels) - 1 for levels in varied.values())
    if len(varied) < 2 or not needed < size <= _MOST:
        return []
    named = {name: [str(place) for place in range(len(levels))] for name, levels in varied.items()}
    every = list(itertools.product(*named.values()))
    found: list[Fraction] = []
    cells = size // 2
    while cells >= needed:
        try:
            plan = plan_cells(named, max_cells=cells, rng=0)
        except StatsError:
            break
        kept = set(plan.keys)
        gone = tuple(
            {name: varied[name][int(place)] for name, place in zip(varied, cell, strict=True)}
            for cell in every
            if cell not in kept
        )
        if not found or len(kept) < found[-1].cells:
            found.append(Fraction(cells=len(kept), of=size, exclude=gone, sentence=plan.sentence, aliases=plan.aliases))
        cells //= 2
    return found


def level_of(text: str) -> str | int | float | bool:
    """Read a level that was typed: a number or true/false where it looks like one.

    Examples:
        >>> level_of("0.7"), level_of(" 4 "), level_of("true"), level_of("low")
        (0.7, 4, True, 'low')
    """
    plain = text.strip()
    if plain.lower() in ("true", "false"):
        return plain.lower() == "true"
    for kind in (int, float):
        try:
            value = kind(plain)
        except ValueError:
            continue
        if value == value and abs(value) != float("inf"):
            return value
    return plain


def level_words(level: object) -> str:
    """Write a level as it is typed; a whole section as YAML on one line.

    Examples:
        >>> level_words(0.7), level_words(True), level_words({"by": "sentence", "size": 30})
        ('0.7', 'true', '{by: sentence, size: 30}')
    """
    if isinstance(level, bool):
        return str(level).lower()
    if isinstance(level, (dict, list)):
        import yaml

        return str(yaml.safe_dump(level, default_flow_style=True, width=10_000)).strip()
    return str(level)
