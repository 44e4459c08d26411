"""Which tier or routed model answered, how well and at what cost; and what choosing was worth."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from math import nan
from typing import TYPE_CHECKING

from bakeoff.agents import choice_regret, tier_table, trial_spans

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bakeoff.agents import ChoiceRegret, TierRow
    from bakeoff.experiments import Analysis, LocalStore

__all__ = ["Choosing", "read_choosing"]

_TRACED = "(t.trace LIKE '%\"tier\":%' OR t.trace LIKE '%\"routed_to\":%')"
_ROWS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Choosing:
    """One variant whose steps choose among models: by tiers, by rules, or by a fitted router."""

    variant: str
    tiers: Sequence[TierRow]
    regret: ChoiceRegret | None
    """Against the best variant of agents that does not choose; `None` when the metric has no better direction."""
    cost_usd: float
    """Mean cost of its trials; `nan` when no cost is known."""
    fixed_cost_usd: float
    """Mean cost of the best fixed variant."""
    fitted: Sequence[str]
    """What its fitted routers were worth on held-out items, when they were fitted."""


def read_choosing(store: LocalStore, analysis: Analysis) -> list[Choosing]:
    """Read from the traces of a run what its cascades and routers did; nothing when there are none.

    Args:
        store: Where the run is.
        analysis: Of the run.
    """
    manifest = store.manifest(analysis.run_id)
    agents = [one.name for one in manifest.variants if one.kind == "agent"]
    if not agents or not analysis.metrics:
        return []
    metric = analysis.metric(analysis.primary)
    scored = "FROM trials t LEFT JOIN scores s ON s.variant = t.variant AND s.item = t.item AND s.repeat = t.repeat"
    with store.connect([analysis.run_id]) as connection:
        found: dict[str, list[tuple[object, float | None, float | None]]] = defaultdict(list)
        fitted: dict[str, dict[str, None]] = defaultdict(dict)
        cursor = connection.execute(
            f"SELECT t.variant, t.trace, s.value, t.cost_usd {scored} AND s.metric = ? WHERE t.ok AND {_TRACED}",
            [metric.metric],
        )
        while rows := cursor.fetchmany(_ROWS):  # traces are large: never all of them at once
            for variant, trace, value, cost in rows:
                steps = [
                    {"kind": "step", "name": span.name, **span.attributes}
                    for span in trial_spans(trace)
                    if span.kind == "step" and ("tier" in span.attributes or "routed_to" in span.attributes)
                ]
                found[variant].append((steps, value, cost))
                fitted[variant].update(dict.fromkeys(str(one["router"]) for one in steps if "router" in one))
        if not found:
            return []
        means: dict[str, dict[str, float]] = defaultdict(dict)
        costs: dict[str, float] = {}
        for variant, item, value in connection.execute(
            f"SELECT t.variant, t.item_id, avg(s.value) {scored} AND s.metric = ? GROUP BY ALL ORDER BY ALL",
            [metric.metric],
        ).fetchall():
            means[variant][item] = nan if value is None else float(value)
        for variant, cost in connection.execute("SELECT variant, avg(cost_usd) FROM trials GROUP BY ALL").fetchall():
            costs[variant] = nan if cost is None else float(cost)
    sign = -1.0 if metric.higher_is_better is False else 1.0
    fixed = {name: {item: sign * value for item, value in means[name].items()} for name in agents if name not in found}
    chosen: list[Choosing] = []
    for name in (one for one in agents if one in found):
        regret = None
        if metric.higher_is_better is not None:
            mine = {item: sign * value for item, value in means[name].items()}
            regret = choice_regret(mine, fixed, confidence=analysis.confidence)
        chosen.append(
            Choosing(
                variant=name,
                tiers=tier_table(found[name]),
                regret=regret,
                cost_usd=costs.get(name, nan),
                fixed_cost_usd=costs.get(regret.best_fixed, nan) if regret is not None else nan,
                fitted=tuple(fitted[name]),
            )
        )
    return chosen
