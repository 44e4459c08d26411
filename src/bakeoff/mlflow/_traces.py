"""Traces of a sealed run as MLflow traces: many in one call, after the run, never one for each trial."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from bakeoff.agents import TrialSpan, trial_spans

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mlflow.entities import Span
    from mlflow.tracking import MlflowClient

    from bakeoff.experiments import LocalStore

__all__ = ["log_traces"]

_BATCH = 100
"""Traces in one call, and the most that MLflow links to a run at once."""
_MAX_TEXT = 20_000
_TYPES = {
    "agent": "AGENT",
    "step": "CHAIN",
    "model": "CHAT_MODEL",
    "tool": "TOOL",
    "retrieval": "RETRIEVER",
    "memory": "MEMORY",
    "guard": "GUARDRAIL",
}
_QUERY = """
    SELECT t.variant, t.item_id, t.repeat, t.trace, t.output, t.error, t.latency_ms, t.input_tokens, t.output_tokens,
           t.cost_usd, t.model, t.answered_at, i.inputs
    FROM trials t LEFT JOIN items i ON i.id = t.item_id ORDER BY t.item, t.variant, t.repeat
"""


def log_traces(
    client: MlflowClient, uri: str, experiment: str, store: LocalStore, run_id: str, runs: Mapping[str, str]
) -> int:
    """Log every trial as a trace; return how many.

    A trial without spans of its own is a trace of one span. Logging the same run twice leaves each trace once.

    Args:
        client: Of the tracking server.
        uri: Its address.
        experiment: Id of the MLflow experiment.
        store: Where the run is.
        run_id: The run.
        runs: Id of the MLflow run of each variant; its traces are linked to it.
    """
    from mlflow.tracing.client import TracingClient

    tracing = TracingClient(uri)
    logged = 0
    with store.connect([run_id]) as connection:
        cursor = connection.execute(_QUERY)
        names = [column[0] for column in cursor.description]
        while rows := [dict(zip(names, row, strict=True)) for row in cursor.fetchmany(_BATCH)]:
            spans: list[Span] = []
            linked: dict[str, list[str]] = {}
            for row in rows:
                made = list(_trace(row, f"{experiment} {run_id}", run_id))
                spans += made
                linked.setdefault(row["variant"], []).append(made[0].trace_id)
            client.delete_traces(experiment, trace_ids=[one for ids in linked.values() for one in ids])
            tracing.log_spans(experiment, spans)
            for variant, ids in linked.items():
                if variant in runs:
                    client.link_traces_to_run(ids, runs[variant])
            logged += len(rows)
    return logged


def _trace(row: Mapping[str, Any], salt: str, run_id: str) -> Iterator[Span]:
    """Give the MLflow spans of one trial, the outermost first."""
    from mlflow.entities import Span
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import SpanContext, Status, StatusCode, TraceFlags

    key = f"{salt}\x1f{row['variant']}\x1f{row['item_id']}\x1f{row['repeat']}"
    digest = hashlib.sha256(key.encode("utf-8", "replace")).digest()
    trace_id = int.from_bytes(digest[:16], "big") or 1
    first = int.from_bytes(digest[16:24], "big") & ((1 << 63) - 1) or 1
    spans = _with_root(row)
    longest = max(0.0 if one.end_ms != one.end_ms else one.end_ms for one in spans)
    zero = int((float(row["answered_at"] or 0.0) - longest / 1000) * 1e9)
    resource = Resource.create({"service.name": "bakeoff"})

    def context(number: int) -> SpanContext:
        return SpanContext(trace_id, (first + number) % (1 << 64) or 1, is_remote=False, trace_flags=TraceFlags(1))

    for index, one in enumerate(spans):
        start = 0.0 if one.start_ms != one.start_ms else one.start_ms
        end = start if one.end_ms != one.end_ms else one.end_ms
        about = {"mlflow.traceRequestId": f"tr-{trace_id:032x}", **_attributes(one)}
        if index == 0:
            about |= _of_trial(row, run_id)
        yield Span(
            ReadableSpan(
                name=one.name,
                context=context(one.id),
                parent=None if one.parent is None else context(one.parent),
                resource=resource,
                attributes={name: json.dumps(value, default=str) for name, value in about.items()},
                start_time=zero + int(start * 1e6),
                end_time=zero + int(end * 1e6),
                status=Status(StatusCode.OK) if one.error is None else Status(StatusCode.ERROR, one.error[:_MAX_TEXT]),
            )
        )


def _with_root(row: Mapping[str, Any]) -> Sequence[TrialSpan]:
    """Return the spans of a trial below one that stands for the trial, which MLflow wants exactly one of."""
    spans = trial_spans(row["trace"])
    if sum(one.parent is None for one in spans) == 1:
        return spans
    root = TrialSpan(
        id=max((one.id for one in spans), default=0) + 1,
        parent=None,
        depth=0,
        name=str(row["variant"]),
        kind="step" if spans else "model",
        start_ms=0.0,
        end_ms=float(row["latency_ms"] or 0.0),
        model=row["model"],
        input_tokens=None if spans else row["input_tokens"],
        output_tokens=None if spans else row["output_tokens"],
        cost_usd=None if spans else row["cost_usd"],
        error=row["error"],
    )
    below = [_below(one, root.id) for one in spans]
    return [root, *below]


def _below(span: TrialSpan, root: int) -> TrialSpan:
    from dataclasses import replace

    return replace(span, parent=root if span.parent is None else span.parent, depth=span.depth + 1)


def _attributes(span: TrialSpan) -> dict[str, Any]:
    about: dict[str, Any] = {"mlflow.spanType": _TYPES.get(span.kind, "UNKNOWN"), "bakeoff.kind": span.kind}
    about |= {f"bakeoff.{name}": value for name, value in span.attributes.items() if name not in ("input", "output")}
    for name, key in (("input", "mlflow.spanInputs"), ("output", "mlflow.spanOutputs")):
        if name in span.attributes:
            about[key] = span.attributes[name]
    # What a trial took stands on its model calls: on the span around them MLflow would count it twice.
    if span.kind != "agent":
        if span.model is not None:
            about["mlflow.llm.model"] = span.model
        if span.input_tokens is not None:
            total = span.input_tokens + (span.output_tokens or 0)
            about["mlflow.chat.tokenUsage"] = {
                "input_tokens": span.input_tokens, "output_tokens": span.output_tokens or 0, "total_tokens": total,
            }  # fmt: skip
        if span.cost_usd is not None:
            about["mlflow.llm.cost"] = {"total_cost": span.cost_usd}
    return about


def _of_trial(row: Mapping[str, Any], run_id: str) -> dict[str, Any]:
    """Return what the outermost span says of its trial; tags can be searched for."""
    about: dict[str, Any] = {
        "mlflow.traceTag.bakeoff.run_id": run_id,
        "mlflow.traceTag.bakeoff.variant": row["variant"],
        "mlflow.traceTag.bakeoff.item": row["item_id"],
        "mlflow.traceTag.bakeoff.repeat": str(row["repeat"]),
        "mlflow.traceTag.mlflow.traceName": str(row["variant"])[:250],
    }
    if row["inputs"] is not None:
        about["mlflow.spanInputs"] = _decoded(row["inputs"])
    if row["output"] is not None:
        about["mlflow.spanOutputs"] = str(row["output"])[:_MAX_TEXT]
    return about


def _decoded(text: str) -> Any:
    try:
        return json.loads(text) if len(text) <= _MAX_TEXT else text[:_MAX_TEXT]
    except ValueError:
        return text[:_MAX_TEXT]
