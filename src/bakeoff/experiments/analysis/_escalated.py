"""What evaluators and guards hand over to people: juries that are not sure, stages that disagree, guarded answers."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any

from bakeoff.experiments._json import loads

if TYPE_CHECKING:
    import pyarrow as pa

    from bakeoff.experiments.store._manifest import Manifest
    from bakeoff.experiments.store._store import LocalStore

__all__ = ["GUARDS", "Escalated", "escalated_question", "read_escalated"]

GUARDS = "guards"
"""Stands for the metric where a guard handed the answer over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Escalated:
    """One answer that a person should look at."""

    metric: str
    """Whose evaluator asks; `guards` for a guard."""
    variant: str
    item: int
    item_id: str
    repeat: int
    """From 0."""
    confidence: float | None
    """From 0 to 1; `None` where it is not known."""
    reason: str


def read_escalated(store: LocalStore, run_id: str, *, metric: str | None = None) -> list[Escalated]:
    """Return what a run, in progress or sealed, hands over to people; the least sure first.

    Args:
        store: Where the run is.
        run_id: The run.
        metric: Only that metric's, or `guards`.

    Raises:
        StoreError: There is no such run.
    """
    place = ["variant", "item", "item_id", "repeat"]
    scores = _present(store.scores(run_id, [*place, "metric", "confidence", "escalated"]), "escalated")
    found = [
        Escalated(reason=row.pop("escalated"), **row) for row in scores if metric is None or row["metric"] == metric
    ]
    if metric in (None, GUARDS):
        for row in _present(store.trials(run_id, [*place, "guards"]), "guards"):
            told = [one for one in loads(row.pop("guards")) if one["action"] == "escalate"]
            found += [
                Escalated(metric=GUARDS, confidence=None, reason=f"{one['guard']}: {one['reason']}", **row)
                for one in told[:1]
            ]
    return sorted(
        found,
        key=lambda one: (
            one.metric, inf if one.confidence is None else one.confidence, one.item, one.variant, one.repeat,
        ),
    )  # fmt: skip


def _present(table: pa.Table, name: str) -> list[dict[str, Any]]:
    """Return the rows that have a value in a column; nearly always few of many."""
    if table.column(name).null_count == table.num_rows:
        return []
    return table.filter(table.column(name).is_valid()).to_pylist()


def escalated_question(manifest: Manifest, metric: str, labels: list[str]) -> tuple[str, tuple[str, ...]]:
    """Return what people are asked about a metric, and the answers to choose from, in the terms of its evaluator.

    Args:
        manifest: The run.
        metric: The metric, or `guards`.
        labels: Words that its evaluator used in the run.
    """
    if metric == GUARDS:
        return "Was it right to hand this over to a person?", ("yes", "no", "unclear")
    record = next((one for one in manifest.metrics if one.metric == metric), None)
    options: dict[str, Any] = next(iter(record.spec.values()), None) or {} if record is not None else {}
    asked = options.get("question") or options.get("criterion") or options.get("goal")
    kind = record.score_kind if record is not None else None
    if kind == "label":
        return str(asked or f"Which {metric} is it?"), (*labels, "unclear")
    if kind == "bounded":
        return str(asked or f"How good is it ({metric}), from 0 to 1?"), ("0", "0.25", "0.5", "0.75", "1", "unclear")
    return str(asked or f"Does it pass ({metric})?"), ("yes", "no", "unclear")
