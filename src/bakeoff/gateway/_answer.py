"""From a provider's OpenAI-style answer, whole or in pieces, to a `ModelResponse`; the same for every route."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bakeoff.gateway._tokens import estimate_text_tokens, estimate_tokens
from bakeoff.gateway._types import ModelResponse, Route, Usage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bakeoff.gateway._pricing import Price
    from bakeoff.gateway._types import ModelRequest

__all__ = ["Draft", "StreamDraft", "UnreadableError", "complete_draft", "read_completion"]


class UnreadableError(ValueError):
    """A body that is not the answer of a chat model; the message says what it is instead."""


@dataclass(slots=True)
class Draft:
    """What the provider said, before usage is completed and priced."""

    text: str = ""
    model: str = ""
    finish_reason: str | None = None
    tool_calls: list[dict[str, Any]] = field(default_factory=list)
    reasoning: str | None = None
    logprobs: list[dict[str, Any]] | None = None
    fingerprint: str | None = None
    usage: Mapping[str, Any] | None = None


# Names that servers use for the five that OpenAI defines; the same table as LiteLLM's `map_finish_reason`.
_FINISH = {
    **dict.fromkeys(
        ("stop", "stop_sequence", "end_turn", "eos_token", "eos", "STOP", "COMPLETE", "ERROR", "network_error"), "stop"
    ),
    **dict.fromkeys(("length", "max_tokens", "MAX_TOKENS", "compaction"), "length"),
    **dict.fromkeys(("tool_calls", "tool_use"), "tool_calls"),
    **dict.fromkeys(
        (
            "content_filter",
            "content_filtered",
            "refusal",
            "ERROR_TOXIC",
            "SAFETY",
            "RECITATION",
            "LANGUAGE",
            "OTHER",
            "BLOCKLIST",
            "PROHIBITED_CONTENT",
            "SPII",
            "sensitive",
            "guardrail_intervened",
        ),
        "content_filter",
    ),
    "function_call": "function_call",
}


def _finish(reason: object) -> str | None:
    return _FINISH.get(reason, "stop") if isinstance(reason, str) and reason else None


def _text(content: object) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list):  # a few servers answer in parts
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return ""


_THOUGHT = re.compile(r"<(?:think|thinking|budget:thinking)>(.*?)</(?:think|thinking|budget:thinking)>(.*)", re.DOTALL)


def _split_thought(text: str) -> tuple[str | None, str]:
    """Take the thinking that some open models write into the answer out of it, as LiteLLM does."""
    match = _THOUGHT.match(text) if text.startswith("<") else None
    return (match.group(1), match.group(2)) if match else (None, text)


def _arguments(value: object) -> str:
    """Return the arguments of a call as text: a few servers send the object itself."""
    if isinstance(value, str):
        return value
    return json.dumps(value) if isinstance(value, dict) else "{}"


def _calls(said: object) -> list[dict[str, Any]]:
    """Return the entries of a list of tool calls that are any."""
    return [call for call in said if isinstance(call, dict)] if isinstance(said, list) else []


def _fingerprint(said: object) -> str | None:
    return said if isinstance(said, str) and said else None


def _tool_call(call: Mapping[str, Any]) -> dict[str, Any]:
    function = call.get("function")
    function = function if isinstance(function, dict) else {}
    arguments = function.get("arguments")
    return {
        "id": str(call.get("id") or ""),
        "type": "function",
        "function": {
            "name": str(function.get("name") or ""),
            "arguments": _arguments(arguments),
        },
    }


def read_completion(data: object) -> Draft:
    """Read a whole `chat.completion` body.

    Raises:
        UnreadableError: It is something else; the message says what.
    """
    if not isinstance(data, dict):
        raise UnreadableError("JSON that is not an object")
    choices = data.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise UnreadableError("no choices")
    message = choices[0].get("message")
    if not isinstance(message, dict):
        raise UnreadableError("a choice without a message")
    text = _text(message.get("content")) or _text(message.get("refusal"))
    reasoning = message.get("reasoning_content") or message.get("reasoning")
    if reasoning is None:
        reasoning, text = _split_thought(text)
    tool_calls = [_tool_call(call) for call in _calls(message.get("tool_calls"))]
    finish = _finish(choices[0].get("finish_reason")) or "stop"
    logprobs = choices[0].get("logprobs")
    content = logprobs.get("content") if isinstance(logprobs, dict) else None
    return Draft(
        text=text,
        model=str(data.get("model") or ""),
        finish_reason="tool_calls" if tool_calls and finish == "stop" else finish,
        tool_calls=tool_calls,
        reasoning=reasoning if isinstance(reasoning, str) and reasoning else None,
        logprobs=content if isinstance(content, list) else None,
        fingerprint=_fingerprint(data.get("system_fingerprint")),
        usage=data.get("usage"),
    )


class StreamDraft:
    """Puts the chunks of a stream together.

    Examples:
        >>> stream = StreamDraft()
        >>> [stream.add({"choices": [{"delta": {"content": part}}]}) for part in ("Hel", "lo")]
        [True, True]
        >>> stream.add({"choices": [{"delta": {}, "finish_reason": "stop"}]})
        False
        >>> stream.draft().text, stream.complete
        ('Hello', True)
    """

    __slots__ = ("_calls", "_draft", "_logprobs", "_reasoning", "_text")

    def __init__(self) -> None:
        self._draft = Draft()
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._calls: dict[int, dict[str, Any]] = {}
        self._logprobs: list[dict[str, Any]] = []

    @property
    def complete(self) -> bool:
        """Whether the provider said why it stopped; without that the stream was cut."""
        return self._draft.finish_reason is not None

    def add(self, chunk: Mapping[str, Any]) -> bool:
        """Take one chunk; return whether it held anything that the model wrote."""
        draft = self._draft
        draft.model = draft.model or str(chunk.get("model") or "")
        draft.fingerprint = draft.fingerprint or _fingerprint(chunk.get("system_fingerprint"))
        usage = chunk.get("usage")
        if isinstance(usage, dict):
            draft.usage = usage
        choices = chunk.get("choices")
        if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
            return False
        choice: dict[str, Any] = choices[0]
        reason = _finish(choice.get("finish_reason"))
        if reason is not None and draft.finish_reason in {None, "stop"}:  # a trailing usage chunk may say "stop" again
            draft.finish_reason = reason
        logprobs = choice.get("logprobs")
        if isinstance(logprobs, dict) and isinstance(logprobs.get("content"), list):
            self._logprobs.extend(logprobs["content"])
        delta = choice.get("delta")
        return self._add_delta(delta) if isinstance(delta, dict) else False

    def _add_delta(self, delta: Mapping[str, Any]) -> bool:
        wrote = False
        text = _text(delta.get("content")) or _text(delta.get("refusal"))
        if text:
            self._text.append(text)
            wrote = True
        reasoning = delta.get("reasoning_content") or delta.get("reasoning")
        if isinstance(reasoning, str) and reasoning:
            self._reasoning.append(reasoning)
            wrote = True
        for call in _calls(delta.get("tool_calls")):
            self._add_call(call)
            wrote = True
        return wrote

    def _add_call(self, piece: Mapping[str, Any]) -> None:
        index = piece.get("index")
        call = self._calls.setdefault(index if isinstance(index, int) else 0, {"id": "", "name": "", "arguments": []})
        function = piece.get("function")
        function = function if isinstance(function, dict) else {}
        call["id"] = call["id"] or piece.get("id") or ""
        call["name"] = call["name"] or function.get("name") or ""
        if function.get("arguments"):
            call["arguments"].append(_arguments(function["arguments"]))

    def draft(self) -> Draft:
        """Return what was put together so far."""
        draft = self._draft
        draft.text = "".join(self._text)
        draft.reasoning = "".join(self._reasoning) or None
        if draft.reasoning is None:
            draft.reasoning, draft.text = _split_thought(draft.text)
        draft.logprobs = self._logprobs or None
        draft.tool_calls = [
            _tool_call({"id": call["id"], "function": {"name": call["name"], "arguments": "".join(call["arguments"])}})
            for _, call in sorted(self._calls.items())
        ]
        if draft.tool_calls and draft.finish_reason == "stop":
            draft.finish_reason = "tool_calls"
        return draft


_MOST_TOKENS = 10**12
"""A count beyond it is a mistake of the server, and would not fit into a table."""


def _count(holder: object, *names: str) -> int:
    if holder and isinstance(holder, dict):
        for name in names:
            value = holder.get(name)
            if isinstance(value, int) and 0 < value <= _MOST_TOKENS:
                return value
    return 0


def _priced(draft: Draft, request: ModelRequest, price: Price | None) -> tuple[Usage, float | None]:
    raw = draft.usage
    if raw is None or not (_count(raw, "prompt_tokens") or _count(raw, "completion_tokens")):
        written = draft.text + (draft.reasoning or "") + "".join(str(call["function"]) for call in draft.tool_calls)
        usage = Usage(
            input_tokens=estimate_tokens(request), output_tokens=estimate_text_tokens(written), estimated=True
        )
        return usage, None if price is None else price.cost(usage)
    read, wrote = raw.get("prompt_tokens_details"), raw.get("completion_tokens_details")
    spoken = _count(wrote, "audio_tokens")
    usage = Usage(
        input_tokens=_count(raw, "prompt_tokens"),
        output_tokens=_count(raw, "completion_tokens"),
        cached_tokens=_count(read, "cached_tokens")
        or _count(raw, "cache_read_input_tokens", "prompt_cache_hit_tokens", "cached_tokens"),
        reasoning_tokens=_count(wrote, "reasoning_tokens"),
        audio_tokens=_count(read, "audio_tokens") + spoken,
    )
    said = raw.get("cost")
    if isinstance(said, (int, float)) and not isinstance(said, bool) and said > 0:
        return usage, float(said)  # OpenRouter and others send the bill along
    if price is None:
        return usage, None
    written_to_cache = _count(read, "cache_write_tokens", "cache_creation_tokens") or _count(
        raw, "cache_creation_input_tokens"
    )
    return usage, price.cost(usage, cache_write_tokens=written_to_cache, audio_output_tokens=spoken)


def complete_draft(
    draft: Draft,
    request: ModelRequest,
    *,
    price: Price | None,
    route: Route,
    latency_ms: float,
    ttft_ms: float | None,
    rate_limit: Mapping[str, str],
) -> ModelResponse:
    """Count, price and freeze an answer."""
    usage, cost_usd = _priced(draft, request, price)
    return ModelResponse(
        text=draft.text,
        model=draft.model or request.model,
        finish_reason=draft.finish_reason,
        tool_calls=draft.tool_calls,
        usage=usage,
        cost_usd=cost_usd,
        latency_ms=latency_ms,
        ttft_ms=ttft_ms,
        route=route,
        logprobs=draft.logprobs,
        reasoning=draft.reasoning,
        fingerprint=draft.fingerprint,
        rate_limit=rate_limit,
    )
