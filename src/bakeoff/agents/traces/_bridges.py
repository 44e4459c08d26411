"""LangGraph graphs and PydanticAI agents as targets. Neither is imported here before one of its objects is given."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from bakeoff.agents.run._trace import add_usage
from bakeoff.agents.traces._otel import price_for, traced, watched_provider
from bakeoff.gateway import Usage
from bakeoff.targets import TargetResult

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

__all__ = ["from_langgraph", "from_pydantic_ai"]

_SETTINGS = frozenset({"temperature", "max_tokens", "top_p", "seed", "timeout", "parallel_tool_calls"})
_MAX_CHARS = 2000


def from_pydantic_ai(agent: Any, *, prompt: str = "question") -> Callable[..., Awaitable[TargetResult]]:
    """Make a PydanticAI agent a target.

    Tested with pydantic-ai 2.68. The factors `model`, `temperature`, `max_tokens`, `top_p` and `seed` reach the run;
    every other factor or input but the prompt is given to the agent as its `deps`, a dict.

    Args:
        agent: A `pydantic_ai.Agent`.
        prompt: Input that holds the user's message.

    Raises:
        MissingExtraError: The OpenTelemetry SDK is not installed.
    """
    from pydantic_ai.models.instrumented import InstrumentationSettings  # pyrefly: ignore  # an optional framework

    agent.instrument = InstrumentationSettings(tracer_provider=watched_provider())

    async def pydantic_ai_agent(**inputs: Any) -> Any:
        text = str(inputs.pop(prompt))
        model = inputs.pop("model", None)
        settings = {key: inputs.pop(key) for key in list(inputs) if key in _SETTINGS}
        result = await agent.run(text, model=model, model_settings=settings or None, deps=inputs or None)
        return _plain(result.output)

    return traced(pydantic_ai_agent)


def from_langgraph(
    graph: Any,
    *,
    state: Callable[[Mapping[str, Any]], Any] | None = None,
    output: Callable[[Any], Any] | None = None,
    factors: tuple[str, ...] = (),
) -> Callable[..., Awaitable[TargetResult]]:
    """Make a compiled LangGraph graph a target.

    Tested with langgraph 1.2. Nodes, model calls and tools become spans through LangChain's callbacks.

    Args:
        graph: What `StateGraph.compile()` returned, or any LangChain runnable.
        state: Makes the first state from the inputs; a chat with the input `question` when omitted.
        output: Takes the answer out of the last state; the text of the last message when omitted.
        factors: Inputs and factors that go into `config["configurable"]` instead of the state.
    """
    from langchain_core.callbacks import AsyncCallbackHandler  # pyrefly: ignore  # an optional framework

    make_state = state or (lambda given: {"messages": [{"role": "user", "content": str(given["question"])}]})
    read = output or _last_message

    class Watch(AsyncCallbackHandler):  # type: ignore[misc]  # the base is not known without the framework
        run_inline = True

        def __init__(self) -> None:
            self.calls = _Calls()

        async def on_chain_start(self, serialized: Any, inputs: Any, *, run_id: Any, **about: Any) -> None:
            name = about.get("name") or "graph"
            self.calls.start(run_id, about.get("parent_run_id"), str(name), "step", inputs)

        async def on_chain_end(self, outputs: Any, *, run_id: Any, **about: Any) -> None:
            self.calls.end(run_id, outputs)

        async def on_chain_error(self, error: BaseException, *, run_id: Any, **about: Any) -> None:
            self.calls.fail(run_id, error)

        async def on_chat_model_start(self, serialized: Any, messages: Any, *, run_id: Any, **about: Any) -> None:
            last = messages[0][-1].content if messages and messages[0] else ""
            self.calls.start(run_id, about.get("parent_run_id"), str(about.get("name") or "model"), "model", last)

        async def on_llm_end(self, response: Any, *, run_id: Any, **about: Any) -> None:
            self.calls.answered(run_id, response)

        async def on_llm_error(self, error: BaseException, *, run_id: Any, **about: Any) -> None:
            self.calls.fail(run_id, error)

        async def on_tool_start(self, serialized: Any, input_str: str, *, run_id: Any, **about: Any) -> None:
            name = (serialized or {}).get("name") or about.get("name") or "tool"
            given = about.get("inputs")
            shown = json.dumps(given, default=str) if isinstance(given, dict) else input_str
            self.calls.start(run_id, about.get("parent_run_id"), str(name), "tool", shown)

        async def on_tool_end(self, output: Any, *, run_id: Any, **about: Any) -> None:
            self.calls.end(run_id, getattr(output, "content", output))

        async def on_tool_error(self, error: BaseException, *, run_id: Any, **about: Any) -> None:
            self.calls.fail(run_id, error)

    async def langgraph_graph(**inputs: Any) -> TargetResult:
        watch = Watch()
        configurable = {name: inputs.pop(name) for name in factors if name in inputs}
        config = {"callbacks": [watch], "configurable": configurable}
        last = await graph.ainvoke(make_state(inputs), config=config)
        return watch.calls.result(read(last))

    return langgraph_graph


class _Calls:
    """Rows of a trace, put together from callbacks."""

    def __init__(self) -> None:
        self._zero = time.perf_counter()
        self._rows: dict[Any, dict[str, Any]] = {}
        self._usage = Usage()
        self._cost: float | None = 0.0
        self._model: str | None = None

    def _now(self) -> float:
        return round((time.perf_counter() - self._zero) * 1000, 3)

    def start(self, run: Any, parent: Any, name: str, kind: str, given: Any) -> None:
        row: dict[str, Any] = {"id": len(self._rows), "name": name, "kind": kind if self._rows else "agent"}
        row["start_ms"] = row["end_ms"] = self._now()
        if parent in self._rows:
            row["parent"] = self._rows[parent]["id"]
        row["input"] = _short(given)
        self._rows[run] = row

    def end(self, run: Any, value: Any) -> None:
        if run in self._rows:
            self._rows[run].update(end_ms=self._now(), output=_short(value))

    def fail(self, run: Any, error: BaseException) -> None:
        if run in self._rows:
            self._rows[run].update(end_ms=self._now(), error=f"{type(error).__name__}: {error}"[:_MAX_CHARS])

    def answered(self, run: Any, response: Any) -> None:
        message = getattr(response.generations[0][0], "message", None) if response.generations else None
        self.end(run, getattr(message, "content", ""))
        row = self._rows.get(run)
        if row is None or message is None:
            return
        used = getattr(message, "usage_metadata", None) or {}
        usage = Usage(
            input_tokens=int(used.get("input_tokens", 0)),
            output_tokens=int(used.get("output_tokens", 0)),
            cached_tokens=int((used.get("input_token_details") or {}).get("cache_read", 0)),
            reasoning_tokens=int((used.get("output_token_details") or {}).get("reasoning", 0)),
        )
        about = getattr(message, "response_metadata", None) or {}
        self._model = str(about.get("model_name") or self._model or "") or None
        price = price_for(str(about.get("model_provider") or "openai"), self._model or "")
        row["tokens"] = [usage.input_tokens, usage.output_tokens]
        row["cost"] = None if price is None else price.cost(usage)
        self._usage = add_usage(self._usage, usage)
        self._cost = None if row["cost"] is None or self._cost is None else self._cost + row["cost"]

    def result(self, output: Any) -> TargetResult:
        rows = list(self._rows.values())
        tools = [
            {"id": str(row["id"]), "type": "function",
             "function": {"name": row["name"], "arguments": row.get("input") or "{}"}}
            for row in rows if row["kind"] == "tool"
        ]  # fmt: skip
        called = any(row["kind"] == "model" for row in rows)
        return TargetResult(
            output=output, usage=self._usage, cost_usd=self._cost if called else None, latency_ms=self._now(),
            route="langgraph", model=self._model, tool_calls=tools, trace=rows,
        )  # fmt: skip


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(_plain(value), default=str)
    return text[:_MAX_CHARS]


def _plain(value: Any) -> Any:
    dump = getattr(value, "model_dump", None)
    return dump(mode="json") if callable(dump) else value


def _last_message(state: Any) -> Any:
    messages = state.get("messages") if isinstance(state, dict) else None
    if messages:
        return getattr(messages[-1], "content", messages[-1])
    return _plain(state)
