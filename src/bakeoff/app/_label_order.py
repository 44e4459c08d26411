"""Which answers people are asked about first: any, those that evaluators disagree on, those that they are unsure of."""

from __future__ import annotations

import random
from math import isfinite
from typing import TYPE_CHECKING, Literal, TypeVar, get_args

from bakeoff.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bakeoff.experiments import LocalStore

__all__ = ["DRAWS", "Draw", "draw_tasks"]

Draw = Literal["random", "disagreement", "confidence"]
"""`random` is the only one whose labels stand for all answers: the others look where it is worth looking."""
DRAWS: tuple[Draw, ...] = get_args(Draw)

_EntryT = TypeVar("_EntryT")
Key = tuple[int, str, int]
"""Item, its id, repeat."""
Drawn = tuple[int, str, int, str, str | None]


def draw_tasks(
    store: LocalStore, run_id: str, variants: Sequence[str], *, pairwise: bool, n: int, seed: int, draw: Draw
) -> list[Drawn]:
    """Choose what is judged: (item, item id, repeat, variant, other variant).

    Args:
        store: Where the run is.
        run_id: The run.
        variants: Only these; exactly two for pairs.
        pairwise: Two answers to one item side by side, on random sides.
        n: Tasks at most.
        seed: Of the draw, of the order among equals, and of the sides.
        draw: At random; widest spread of the scores of an answer (of a pair: of the primary metric between the two)
            first; or least sure score first
            (handed to a person, little confidence, near the middle of the scale).

    Raises:
        SpecError: Nothing says how sure it is, or there is nothing to disagree.
    """
    rows = store.trials(run_id, columns=["item", "item_id", "repeat", "variant", "ok"]).to_pylist()
    wanted = set(variants)
    answered = {
        ((r["item"], r["item_id"], r["repeat"]), r["variant"]) for r in rows if r["ok"] and r["variant"] in wanted
    }
    dice = random.Random(seed)  # noqa: S311 - a draw, not a secret
    if not pairwise:
        single = sorted((*key, variant) for key, variant in answered)
        dice.shuffle(single)
        if draw != "random":
            rank = _ranks(store, run_id, draw, pair=None)
            found = {entry: rank.get(((*entry[:3],), entry[3])) for entry in single}
            single = _ranked(single, found)
        return [(item, identity, repeat, variant, None) for item, identity, repeat, variant in single[:n]]
    first, second = variants
    both = sorted({key for key, _ in answered if (key, first) in answered and (key, second) in answered})
    dice.shuffle(both)
    if draw != "random":
        rank = _ranks(store, run_id, draw, pair=(first, second))
        values = {key: [v for v in (rank.get((key, first)), rank.get((key, second))) if v is not None] for key in both}
        both = _ranked(both, {key: max(found) if found else None for key, found in values.items()})
    sides = [(first, second), (second, first)]
    return [(*key, *sides[dice.random() < 0.5]) for key in both[:n]]


def _ranked(entries: list[_EntryT], value: dict[_EntryT, float | None]) -> list[_EntryT]:
    """Return the entries that have a value, the largest first; equals stay in their drawn order."""
    kept = [(entry, rank) for entry in entries if (rank := value[entry]) is not None]
    return [entry for entry, _ in sorted(kept, key=lambda pair: -pair[1])]


def _ranks(store: LocalStore, run_id: str, draw: Draw, *, pair: tuple[str, str] | None) -> dict[tuple[Key, str], float]:
    """Return how much each answer deserves a look, by (item, id, repeat) and variant; others are left out."""
    columns = ["item", "item_id", "repeat", "variant", "metric", "value", "confidence", "escalated"]
    rows = store.scores(run_id, columns=columns).to_pylist()
    manifest = store.manifest(run_id)
    if draw == "confidence":
        return _unsure(rows, {m.metric for m in manifest.metrics if m.score_kind == "bounded"})
    scaled = {m.metric for m in manifest.metrics if m.score_kind in ("binary", "bounded")}
    if pair is not None or len(scaled) < 2:
        return _between_variants(rows, manifest.primary, pair)
    seen: dict[tuple[Key, str], list[float]] = {}
    for row in rows:
        if row["metric"] in scaled and _is_number(row["value"]):
            seen.setdefault(_place(row), []).append(row["value"])
    found = {place: max(values) - min(values) for place, values in seen.items() if len(values) > 1}
    return _some({place: spread for place, spread in found.items() if spread > 0})


def _between_variants(
    rows: list[dict[str, object]], primary: str, pair: tuple[str, str] | None
) -> dict[tuple[Key, str], float]:
    """Rank items by how far the variants lie apart on the primary metric."""
    seen: dict[Key, dict[str, float]] = {}
    for row in rows:
        key, variant = _place(row)
        if row["metric"] == primary and _is_number(row["value"]) and (pair is None or variant in pair):
            seen.setdefault(key, {})[variant] = float(str(row["value"]))
    found = {
        (key, variant): max(values.values()) - min(values.values())
        for key, values in seen.items()
        for variant in values
    }
    return _some({place: spread for place, spread in found.items() if spread > 0})


def _unsure(rows: list[dict[str, object]], bounded: set[str]) -> dict[tuple[Key, str], float]:
    """Rank answers by their least sure score: handed to a person, then little confidence or mid scale."""
    found: dict[tuple[Key, str], float] = {}
    for row in rows:
        doubt: float | None = None
        if _is_number(row["confidence"]):
            doubt = 1.0 - float(str(row["confidence"]))
        elif row["metric"] in bounded and _is_number(row["value"]):
            doubt = 1.0 - 2.0 * abs(float(str(row["value"])) - 0.5)
        if row["escalated"]:
            doubt = 2.0 + (doubt or 0.0)
        if doubt is not None and doubt > 0:
            place = _place(row)
            found[place] = max(found.get(place, -1.0), doubt)
    if not found:
        raise SpecError(
            "no score of this run shows any doubt: they are pass or fail, and no evaluator says how sure it is\n"
            "    fix: draw at random, or where the evaluators disagree"
        )
    return found


def _some(found: dict[tuple[Key, str], float]) -> dict[tuple[Key, str], float]:
    if not found:
        raise SpecError("nothing disagrees in this run: every answer has the same scores\n    fix: draw at random")
    return found


def _place(row: dict[str, object]) -> tuple[Key, str]:
    return (int(str(row["item"])), str(row["item_id"]), int(str(row["repeat"]))), str(row["variant"])


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and isfinite(value)
