"""Upper estimates of what a call will use, before it is made."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bakeoff.gateway._types import Usage

__all__ = ["Forecast", "declared_output_tokens"]

DEFAULT_OUTPUT_TOKENS = 4096
_INPUT_MARGIN = 1.25
_INPUT_EXTRA = 32
_LEARNED_MARGIN = 1.1


def declared_output_tokens(params: Mapping[str, object]) -> int | None:
    """Return the most output tokens that the parameters allow, all choices together.

    Examples:
        >>> declared_output_tokens({"max_tokens": 100, "n": 2}), declared_output_tokens({})
        (200, None)
    """
    for name in ("max_completion_tokens", "max_tokens", "max_output_tokens"):
        value = params.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value > 0:
            choices = params.get("n")
            return math.ceil(value) * (choices if isinstance(choices, int) and choices > 0 else 1)
    return None


class Forecast:
    """What calls of one model are expected to use at most, learning from what they used.

    Input: the tokenizer's estimate plus a quarter and 32 tokens, or the largest ratio seen plus a tenth.
    Output: `max_tokens`; without it, 4,096 tokens or the largest answer seen plus a tenth, whichever is
    more. Only `max_tokens` makes it a true upper bound.
    """

    __slots__ = ("_largest_output", "_ratio")

    def __init__(self) -> None:
        self._ratio = 0.0
        self._largest_output = 0

    def input_tokens(self, estimate: int) -> int:
        """Return an upper estimate of the input tokens."""
        ratio = max(_INPUT_MARGIN, self._ratio * _LEARNED_MARGIN)
        return math.ceil(estimate * ratio) + _INPUT_EXTRA

    def output_tokens(self, declared: int | None) -> int:
        """Return an upper estimate of the output tokens."""
        if declared is not None:
            return declared
        return max(DEFAULT_OUTPUT_TOKENS, math.ceil(self._largest_output * _LEARNED_MARGIN))

    def learn(self, estimate: int, usage: Usage) -> None:
        """Compare an estimate with what the provider counted."""
        if usage.output_tokens > self._largest_output:
            self._largest_output = usage.output_tokens
        if estimate > 0 and usage.input_tokens > _INPUT_EXTRA:
            self._ratio = max(self._ratio, (usage.input_tokens - _INPUT_EXTRA) / estimate)
