"""What was sent, kept once for each variant and item, so that a sealed run can be judged again by its prompts."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from bakeoff.experiments._json import dumps

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

__all__ = ["MAX_CHARS", "MessageKeeper", "messages_for", "shared_messages"]

MAX_CHARS = 256_000
"""Longest prompt that is kept; of a longer one only the length is."""
_NONE_KEPT = (
    "no messages were kept with this trial: its target sends none, or it was recorded before Bakeoff kept them; "
    "run the experiment again to judge by them"
)


class MessageKeeper:
    """Decides which trial of a variant and item carries the messages.

    The repeats of a prompt send the same, so the first that ends carries it; an agent says something else each time,
    and each such trial carries its own. Holds only items whose repeats are not all done.

    Args:
        repeats: Of the experiment.

    Examples:
        >>> keeper, asked = MessageKeeper(2), [{"role": "user", "content": "2 + 2?"}]
        >>> [keeper.keep("a", 0, asked) for _ in range(2)]
        [[{'role': 'user', 'content': '2 + 2?'}], None]
    """

    def __init__(self, repeats: int) -> None:
        self._repeats = repeats
        self._open: dict[tuple[str, int], tuple[int, Any]] = {}

    def keep(
        self, variant: str, index: int, messages: Sequence[Mapping[str, Any]]
    ) -> list[Mapping[str, Any]] | int | None:
        """Return what a trial carries: its messages, their length where that is too much, or nothing.

        Args:
            variant: Its variant.
            index: Of its item.
            messages: What was sent; empty for a failed trial.
        """
        if self._repeats > 1:
            ended, first = self._open.pop((variant, index), (0, None))
            if ended + 1 < self._repeats:
                self._open[variant, index] = (ended + 1, messages or first)
            if messages and messages == first:
                return None
        if not messages:
            return None
        length = sum(_length(message.get("content")) for message in messages)
        return list(messages) if length <= MAX_CHARS else length


def _length(content: Any) -> int:
    if isinstance(content, str):
        return len(content)
    return 0 if content is None else len(dumps(content))


def shared_messages(events: Iterable[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], Any]]:
    """Yield each event with the messages of its trial, or of another repeat that sent the same.

    Args:
        events: In the order of the store: by item, variant, repeat.
    """
    for _, group in groupby(events, key=lambda event: (event["k"], event["v"])):
        trials = list(group)
        shared = next((event["msgs"] for event in trials if "msgs" in event), None)
        for event in trials:
            yield event, event.get("msgs", shared)


def messages_for(kept: Any) -> dict[str, Any]:
    """Return the arguments of an `EvaluatorContext` for what was kept: messages, or why there are none.

    Examples:
        >>> messages_for(300_000)["no_messages"]
        'the prompt of 300,000 characters was too long to be kept (more than 256,000)'
    """
    if isinstance(kept, list):
        return {"messages": kept}
    if isinstance(kept, int):
        return {"no_messages": f"the prompt of {kept:,} characters was too long to be kept (more than {MAX_CHARS:,})"}
    return {"no_messages": _NONE_KEPT}
