"""Cohere's stream, which LiteLLM 1.106.2 cannot read: it takes the lines of the event stream for JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["cohere_chunk"]

_FINISH = {"COMPLETE": "stop", "STOP_SEQUENCE": "stop", "MAX_TOKENS": "length", "TOOL_CALL": "tool_calls"}


def cohere_chunk(event: Mapping[str, Any]) -> dict[str, Any]:
    """Translate one event of Cohere's v2 chat stream into an OpenAI-style chunk.

    Examples:
        >>> cohere_chunk({"type": "content-delta", "delta": {"message": {"content": {"text": "Hi"}}}})
        {'choices': [{'delta': {'content': 'Hi'}}]}
        >>> cohere_chunk({"type": "citation-start"})
        {}
    """
    kind, delta = event.get("type"), event.get("delta") or {}
    message = delta.get("message") or {}
    if kind == "content-delta":
        content = message.get("content") or {}
        thought = content.get("thinking")
        said = {"reasoning_content": thought} if thought else {"content": content.get("text") or ""}
        return {"choices": [{"delta": said}]}
    if kind in {"tool-call-start", "tool-call-delta"}:
        calls = message.get("tool_calls") or {}
        call = calls[0] if isinstance(calls, list) and calls else calls
        return {"choices": [{"delta": {"tool_calls": [{**call, "index": event.get("index", 0)}]}}]}
    if kind == "message-end":
        tokens = (delta.get("usage") or {}).get("tokens") or {}
        usage = {"prompt_tokens": tokens.get("input_tokens", 0), "completion_tokens": tokens.get("output_tokens", 0)}
        reason = str(delta.get("finish_reason") or "")
        return {"choices": [{"delta": {}, "finish_reason": _FINISH.get(reason, "content_filter")}], "usage": usage}
    return {}
