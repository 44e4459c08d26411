"""Bridges to OpenTelemetry: agents of any framework as targets with their spans, and our spans to any exporter.

The names of GenAI attributes are still in development at OpenTelemetry; the ones read here are those of semantic
conventions 1.36 and later, with the older names that frameworks still write.
"""

from __future__ import annotations

import functools
import inspect
import json
import threading
from typing import TYPE_CHECKING, Any, TypeVar, cast

from typing_extensions import override

from bakeoff.agents.run._trace import add_usage
from bakeoff.errors import MissingExtraError
from bakeoff.gateway import GatewaySpec, Usage, price_of
from bakeoff.targets import TargetResult

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExporter

    from bakeoff.gateway import Price

__all__ = ["export_trace", "price_for", "result_of_spans", "traced", "watched_provider"]

F = TypeVar("F", bound="Callable[..., Any]")

_KINDS = {
    "chat": "model",
    "text_completion": "model",
    "generate_content": "model",
    "execute_tool": "tool",
    "embeddings": "retrieval",
    "retrieval": "retrieval",
    "invoke_agent": "agent",
    "create_agent": "agent",
    "invoke_workflow": "agent",
}
_ARGUMENTS = ("gen_ai.tool.call.arguments", "tool_arguments", "tool.arguments")
_INPUT = ("gen_ai.input.messages", *_ARGUMENTS, "gen_ai.prompt", "input.value", "traceloop.entity.input")
_OUTPUT = (
    "gen_ai.output.messages", "gen_ai.tool.call.result", "tool_response", "gen_ai.completion", "output.value",
    "traceloop.entity.output",
)  # fmt: skip
_PREFIXES = {"aws.bedrock": "bedrock", "gcp.gemini": "gemini", "gcp.vertex_ai": "vertex_ai", "azure.ai.openai": "azure"}
_TOOL_NAMES = ("gen_ai.tool.name", "tool.name", "traceloop.entity.name")
_MAX_CHARS = 2000
_lock = threading.Lock()
_open: dict[int, list[Any]] = {}
"""Ended spans of the calls that are being watched, by trace id."""


def _api() -> Any:
    try:
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider
    except ImportError:
        raise MissingExtraError("a bridge to OpenTelemetry", "otel") from None
    return trace, TracerProvider


@functools.cache
def watched_provider() -> Any:
    """Listen at the tracer provider of the process; make one when there is none. Returns the provider."""
    trace, provider_class = _api()
    from opentelemetry.sdk.trace import SpanProcessor

    class Collector(SpanProcessor):
        @override
        def on_end(self, span: ReadableSpan) -> None:
            context = span.context
            kept = _open.get(context.trace_id) if context is not None else None
            if kept is not None:
                kept.append(span)

    provider = trace.get_tracer_provider()
    if not hasattr(provider, "add_span_processor"):
        provider = provider_class()
        trace.set_tracer_provider(provider)
    provider.add_span_processor(Collector())
    return provider


def traced(function: F) -> F:
    """Make a function that runs an agent of any framework a target with its trajectory.

    Whatever spans the framework emits during the call become the trace of the trial; tokens of its model calls are
    added up, costs are looked up by model, and its tool calls are there for evaluators. Inputs and factors still
    reach the function as keyword arguments.

    Args:
        function: Sync or async. Its value is the output, unless it is a `TargetResult` itself.

    Raises:
        MissingExtraError: The OpenTelemetry SDK is not installed.

    Examples:
        >>> from opentelemetry import trace
        >>> @traced
        ... def agent(question: str) -> str:
        ...     with trace.get_tracer("x").start_as_current_span("chat m") as span:
        ...         span.set_attributes({"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 7})
        ...     return question.upper()
        >>> result = agent("hi")
        >>> result.output, result.usage.input_tokens, [span["kind"] for span in result.trace]
        ('HI', 7, ['agent', 'model'])
    """
    provider = watched_provider()
    tracer = provider.get_tracer("bakeoff")
    name = getattr(function, "__name__", "agent")

    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def watched(*args: Any, **kwargs: Any) -> TargetResult:
            with tracer.start_as_current_span(name) as root:
                spans = _begin(root)
                try:
                    value = await function(*args, **kwargs)
                finally:
                    _end(root)
            return _finish(value, root, spans)

        return cast("F", watched)

    @functools.wraps(function)
    def watched_sync(*args: Any, **kwargs: Any) -> TargetResult:
        with tracer.start_as_current_span(name) as root:
            spans = _begin(root)
            try:
                value = function(*args, **kwargs)
            finally:
                _end(root)
        return _finish(value, root, spans)

    return cast("F", watched_sync)


def _begin(root: Any) -> list[Any]:
    with _lock:
        return _open.setdefault(root.get_span_context().trace_id, [])


def _end(root: Any) -> None:
    with _lock:
        _open.pop(root.get_span_context().trace_id, None)


def _finish(value: Any, root: Any, spans: Sequence[Any]) -> TargetResult:
    if isinstance(value, TargetResult):
        return value
    return result_of_spans(value, [root, *spans])


def result_of_spans(output: Any, spans: Sequence[ReadableSpan]) -> TargetResult:
    """Turn OpenTelemetry spans of one call into the result of a trial.

    Args:
        output: What the agent answered.
        spans: Ended spans, the one around the call first.
    """
    root = spans[0]
    zero = root.start_time or 0
    ordered = [root, *sorted(spans[1:], key=lambda span: span.start_time or 0)]
    numbers = {span.context.span_id: index for index, span in enumerate(ordered) if span.context is not None}
    usage, cost, model = Usage(), 0.0, None
    trace: list[dict[str, Any]] = []
    tools: list[dict[str, Any]] = []
    known = True
    for index, span in enumerate(ordered):
        about = dict(span.attributes or {})
        kind = "agent" if index == 0 else _KINDS.get(str(about.get("gen_ai.operation.name", "")), _guess(about))
        row = _row(span, index, kind, about, zero, numbers)
        if kind == "model":
            used = _usage(about)
            usage = add_usage(usage, used)
            model = str(about.get("gen_ai.response.model") or about.get("gen_ai.request.model") or "") or model
            price = _price(about)
            row["tokens"] = [used.input_tokens, used.output_tokens]
            row["cost"] = None if price is None else price.cost(used)
            known = known and price is not None
            cost += row["cost"] or 0.0
        elif kind == "tool":
            name = str(next((about[key] for key in _TOOL_NAMES if about.get(key)), span.name))
            arguments = next((about[key] for key in (*_ARGUMENTS, *_INPUT) if key in about), "{}")
            tools.append({"id": str(about.get("gen_ai.tool.call.id", index)), "type": "function",
                          "function": {"name": name, "arguments": _text(arguments)}})  # fmt: skip
            row["name"] = name
        trace.append(row)
    called = any(row["kind"] == "model" for row in trace)
    tools = tools or _asked_for(ordered)
    return TargetResult(
        output=output, usage=usage, cost_usd=cost if known and called else None, latency_ms=trace[0]["end_ms"],
        route="otel", model=model, tool_calls=tools, trace=trace,
    )  # fmt: skip


def _row(
    span: ReadableSpan, index: int, kind: str, about: Mapping[str, Any], zero: int, numbers: Mapping[int, int]
) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": index,
        "name": span.name,
        "kind": kind,
        "start_ms": round(((span.start_time or zero) - zero) / 1e6, 3),
        "end_ms": round(((span.end_time or zero) - zero) / 1e6, 3),
    }
    if span.parent is not None and span.parent.span_id in numbers:
        row["parent"] = numbers[span.parent.span_id]
    for key, names in (("input", _INPUT), ("output", _OUTPUT)):
        found = next((about[name] for name in names if name in about), None)
        if found is not None:
            row[key] = _text(found)[:_MAX_CHARS]
    if span.status is not None and not span.status.is_ok and span.status.status_code.name == "ERROR":
        row["error"] = (span.status.description or about.get("error.type") or "error")[:_MAX_CHARS]
    return row


def _asked_for(spans: Sequence[ReadableSpan]) -> list[dict[str, Any]]:
    """Return the tool calls that models asked for, where a framework gives no span of its own to a tool."""
    found: dict[str, dict[str, Any]] = {}
    for span in spans:
        try:
            messages = json.loads(str((span.attributes or {}).get("gen_ai.output.messages", "[]")))
            parts = [part for message in messages for part in message.get("parts", ())]
            for part in parts:
                if part.get("type") == "tool_call" and part.get("name"):
                    made = {"name": str(part["name"]), "arguments": _text(part.get("arguments") or "{}")}
                    key = str(part.get("id") or len(found))
                    found[key] = {"id": key, "type": "function", "function": made}
        except (ValueError, TypeError, AttributeError):  # not in the form of the conventions
            continue
    return list(found.values())


def _guess(about: Mapping[str, Any]) -> str:
    if any(about.get(name) for name in _TOOL_NAMES[:2]) or about.get("traceloop.span.kind") == "tool":
        return "tool"
    return "model" if "gen_ai.usage.input_tokens" in about and "gen_ai.request.model" in about else "step"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _usage(about: Mapping[str, Any]) -> Usage:
    def count(*names: str) -> int:
        return next((int(about[name]) for name in names if isinstance(about.get(name), (int, float))), 0)

    return Usage(
        input_tokens=count("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens"),
        output_tokens=count("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens"),
        cached_tokens=count("gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.details.cache_read_tokens"),
        reasoning_tokens=count("gen_ai.usage.reasoning.output_tokens", "gen_ai.usage.details.reasoning_tokens"),
    )


def _price(about: Mapping[str, Any]) -> Price | None:
    provider = str(about.get("gen_ai.provider.name") or about.get("gen_ai.system") or "openai")
    found = [about[name] for name in ("gen_ai.response.model", "gen_ai.request.model") if about.get(name)]
    return next((price for model in found if (price := price_for(provider, str(model))) is not None), None)


def price_for(provider: str, model: str) -> Price | None:
    """Return the price of a model as OpenTelemetry names it and its provider, or `None` when nobody has said it."""
    return price_of(f"{_PREFIXES.get(provider, provider)}/{model}", GatewaySpec()) if model else None


_OPERATIONS = {"model": "chat", "tool": "execute_tool", "agent": "invoke_agent", "retrieval": "retrieval"}


def export_trace(
    trace: Iterable[Mapping[str, Any]],
    exporter: SpanExporter,
    *,
    at: float,
    attributes: Mapping[str, str | int | float | bool] | None = None,
) -> int:
    """Send the spans of one trial to an OpenTelemetry exporter, in one batch; return how many.

    Call it after a run, never while one is going on.

    Args:
        trace: Spans of a trial, as they stand in the store.
        exporter: For instance `OTLPSpanExporter()`; anything that exports spans.
        at: When the trial ended, in seconds since 1970; the times in the trace are relative.
        attributes: Put on every span: run, variant, item, repeat.

    Raises:
        MissingExtraError: The OpenTelemetry SDK is not installed.
    """
    _api()
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
    from opentelemetry.trace import SpanContext, Status, StatusCode, TraceFlags

    rows = list(trace)
    ids = RandomIdGenerator()
    trace_id = ids.generate_trace_id()
    contexts = {
        row.get("id", index): SpanContext(trace_id, ids.generate_span_id(), is_remote=False, trace_flags=TraceFlags(1))
        for index, row in enumerate(rows)
    }
    longest = max((float(row["end_ms"]) for row in rows), default=0.0)
    zero = int((at - longest / 1000) * 1e9)
    resource = Resource.create({"service.name": "bakeoff"})
    spans = [
        ReadableSpan(
            name=str(row["name"]),
            context=contexts[row.get("id", index)],
            parent=contexts.get(row["parent"]) if "parent" in row else None,
            resource=resource,
            attributes={**(attributes or {}), **_attributes(row)},
            start_time=zero + int(float(row["start_ms"]) * 1e6),
            end_time=zero + int(float(row["end_ms"]) * 1e6),
            status=Status(StatusCode.ERROR, str(row["error"])) if "error" in row else Status(StatusCode.OK),
        )
        for index, row in enumerate(rows)
    ]
    exporter.export(spans)
    return len(spans)


def _attributes(row: Mapping[str, Any]) -> dict[str, str | int | float | bool]:
    found: dict[str, str | int | float | bool] = {"bakeoff.kind": str(row["kind"])}
    operation = _OPERATIONS.get(str(row["kind"]))
    if operation is not None:
        found["gen_ai.operation.name"] = operation
    if row.get("model"):
        found["gen_ai.response.model"] = str(row["model"])
    tokens = row.get("tokens")
    if isinstance(tokens, (list, tuple)) and len(tokens) == 2:
        found["gen_ai.usage.input_tokens"], found["gen_ai.usage.output_tokens"] = int(tokens[0]), int(tokens[1])
    if row["kind"] == "tool":
        found["gen_ai.tool.name"] = str(row["name"])
    for key in ("input", "output", "outcome", "cost", "tier", "tier_model", "confidence"):
        value = row.get(key)
        if value is not None:
            found[f"bakeoff.{key}"] = value if isinstance(value, (str, int, float, bool)) else _text(value)
    return found
