"""Quality and cost by tier, or by the model that a router chose, from the traces of trials."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from math import nan
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["TierRow", "tier_table"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TierRow:
    """What one tier of a cascade, or one model of a router, did."""

    step: str
    tier: int | None
    """0 is the first and cheapest; `None` for a model that a router chose."""
    model: str
    trials: int
    """Trials that it answered."""
    share: float
    """Of all trials of the step."""
    score: float
    """Mean score of those trials; `nan` when none was scored. Not a comparison: which items it gets is no chance."""
    cost_usd: float
    """Mean cost of those trials, lower tiers included; `nan` when no cost is known."""


def tier_table(trials: Iterable[tuple[Any, float | None, float | None]]) -> list[TierRow]:
    """Summarise which tiers, or routed models, answered, how well and at what cost.

    Args:
        trials: Trace (spans, or their JSON text), score and cost of each trial.

    Examples:
        >>> step = {"name": "answer", "kind": "step", "tier": 1, "tier_model": "large"}
        >>> row = tier_table([([step], 1.0, 0.02), ([{**step, "tier": 0, "tier_model": "small"}], 0.0, 0.01)])[1]
        >>> row.model, row.share, row.score
        ('large', 0.5, 1.0)
    """
    found: dict[tuple[str, int | None, str], list[tuple[float | None, float | None]]] = defaultdict(list)
    totals: dict[str, int] = defaultdict(int)
    for trace, score, cost in trials:
        spans: Sequence[Mapping[str, Any]] = json.loads(trace) if isinstance(trace, (str, bytes)) else trace or ()
        last = {
            span["name"]: span
            for span in spans
            if span.get("kind") == "step" and ("tier" in span or "routed_to" in span)
        }
        for name, span in last.items():
            tier = int(span["tier"]) if "tier" in span else None
            model = span.get("tier_model", "") if tier is not None else span["routed_to"]
            found[name, tier, str(model)].append((score, cost))
            totals[name] += 1
    return [
        TierRow(
            step=step, tier=tier, model=model, trials=len(many), share=len(many) / totals[step],
            score=_mean([score for score, _ in many]), cost_usd=_mean([cost for _, cost in many]),
        )
        for (step, tier, model), many in sorted(found.items(), key=lambda one: (one[0][0], one[0][1] or 0, one[0][2]))
    ]  # fmt: skip


def _mean(values: Sequence[float | None]) -> float:
    known = [float(value) for value in values if value is not None and value == value]
    return sum(known) / len(known) if known else nan
