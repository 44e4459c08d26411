"""What happens when a conversation fills the window of a model; what was dropped is on the trial."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bakeoff.gateway import ModelRequest, estimate_tokens

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bakeoff.agents.config._spec import ContextSpec
    from bakeoff.agents.run._work import Work

__all__ = ["fit_context", "groups_of", "message_tokens"]

Message = dict[str, Any]
_CUT = "\n[... cut to fit the window ...]\n"
_PART_CHARS = 8_000


def message_tokens(messages: Sequence[Mapping[str, Any]]) -> int:
    """Estimate the tokens of messages.

    Examples:
        >>> message_tokens([{"role": "user", "content": "How are you?"}])
        10
    """
    return estimate_tokens(ModelRequest(model="", messages=messages))


def groups_of(messages: Sequence[Message]) -> list[list[Message]]:
    """Put each tool result with the message that asked for it: providers refuse one without the other.

    Examples:
        >>> calls = {"role": "assistant", "tool_calls": [{"id": "a"}]}
        >>> found = groups_of([{"role": "user"}, calls, {"role": "tool", "tool_call_id": "a"}])
        >>> [len(group) for group in found]
        [1, 2]
    """
    groups: list[list[Message]] = []
    for message in messages:
        if message.get("role") == "tool" and groups:
            groups[-1].append(message)
        else:
            groups.append([message])
    return groups


async def fit_context(work: Work, messages: list[Message]) -> list[Message]:
    """Return messages that fit, by the policy of the agent."""
    spec = work.trial.agent.spec.context
    if spec.policy == "none":
        return messages
    limit = int(spec.window * spec.at)
    before = message_tokens(messages)
    if before <= limit:
        return messages
    head = [message for message in messages if message.get("role") in ("system", "developer")]
    groups = groups_of([message for message in messages if message.get("role") not in ("system", "developer")])
    with work.trial.recorder.span(
        f"context: {spec.policy}", "context", work.clock, parent=work.span["id"], tokens_before=before
    ) as span:
        kept, dropped = _kept(spec, head, groups, limit)
        note = await _note(work, spec, dropped, span["id"]) if dropped else []
        if spec.policy == "handover" and dropped:
            kept = kept[-1:]
        fitted = _cut_to(limit, [*head, *note, *(message for group in kept for message in group)])
        span["dropped"] = [work.trial.recorder.short(_said(message))[:200] for group in dropped for message in group]
        span["tokens_after"] = message_tokens(fitted)
    return fitted


def _kept(
    spec: ContextSpec, head: list[Message], groups: list[list[Message]], limit: int
) -> tuple[list[list[Message]], list[list[Message]]]:
    """Choose whole groups, the newest first; the last is always kept, and by `drop_middle` the first too."""
    room = limit - message_tokens(head)
    if spec.policy not in ("truncate", "drop_middle"):
        room = room * 2 // 3  # leave some for the summary
    chosen = {len(groups) - 1}
    room -= message_tokens(groups[-1])
    order = list(range(len(groups) - 2, -1, -1))
    if spec.policy == "drop_middle" and order:
        order = [0, *order[:-1]]
    for index in order:
        room -= message_tokens(groups[index])
        if room < 0:
            break
        chosen.add(index)
    return (
        [group for index, group in enumerate(groups) if index in chosen],
        [group for index, group in enumerate(groups) if index not in chosen],
    )


async def _note(work: Work, spec: ContextSpec, dropped: list[list[Message]], parent: int) -> list[Message]:
    if spec.policy in ("truncate", "drop_middle"):
        return []
    text = "\n".join(_said(message) for group in dropped for message in group)
    if spec.policy == "handover":
        told = "Write a brief for a colleague who takes over: goal, what is known, what was decided, what is open."
        brief = await _summary(work, told, text, parent)
        return [{"role": "user", "content": f"Brief of the conversation so far:\n{brief}"}]
    told = "Summarise this part of a conversation. Keep names, numbers, decisions and open questions."
    if spec.policy == "hierarchical":
        parts = [text[at : at + _PART_CHARS] for at in range(0, len(text), _PART_CHARS)]
        if len(parts) > 1:
            text = "\n".join([await _summary(work, told, part, parent) for part in parts])
    return [
        {"role": "user", "content": f"Summary of the earlier conversation:\n{await _summary(work, told, text, parent)}"}
    ]


async def _summary(work: Work, told: str, text: str, parent: int) -> str:
    models = (work.trial.agent.helpers["context"],) if "context" in work.trial.agent.helpers else work.models
    asked = [{"role": "user", "content": f"{told}\n\n{text}"}]
    response = await work.trial.call(models, asked, name="summarise", clock=work.clock, parent=parent)
    return response.text


def _said(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, list):
        content = " ".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    calls = "".join(f" [calls {call['function']['name']}]" for call in message.get("tool_calls") or ())
    return f"{message.get('role')}: {content or ''}{calls}"


def _cut_to(limit: int, messages: list[Message]) -> list[Message]:
    """Cut the longest text in the middle, as long as it is still too much."""
    fitted = [dict(message) for message in messages]
    for _ in range(50):
        over = message_tokens(fitted) - limit
        texts = [message for message in fitted if isinstance(message.get("content"), str)]
        if over <= 0 or not texts:
            break
        longest = max(texts, key=lambda message: len(message["content"]))
        content = longest["content"]
        keep = max(len(content) - 4 * over - len(_CUT), len(content) // 2, 20)
        if keep >= len(content) or len(content) <= len(_CUT) + 40:
            break
        longest["content"] = f"{content[: keep // 2]}{_CUT}{content[len(content) - keep // 2 :]}"
    return fitted
