"""What the gateway has counted so far."""

from __future__ import annotations

from collections import Counter

from bakeoff.gateway._types import Usage

__all__ = ["Counts"]


class Counts:
    """Running totals of one gateway; `GatewaySnapshot` says what each means."""

    __slots__ = ("_usage", "cached", "calls", "errors", "failed", "fallbacks", "sending", "shared")

    def __init__(self) -> None:
        self.calls = self.cached = self.shared = self.fallbacks = self.sending = 0
        self.errors: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self._usage = [0, 0, 0, 0, 0]

    def add_usage(self, usage: Usage) -> None:
        """Add the tokens of one answer."""
        total = self._usage
        total[0] += usage.input_tokens
        total[1] += usage.output_tokens
        total[2] += usage.cached_tokens
        total[3] += usage.reasoning_tokens
        total[4] += usage.audio_tokens

    @property
    def usage(self) -> Usage:
        """Tokens of all answers."""
        total = self._usage
        return Usage(
            input_tokens=total[0],
            output_tokens=total[1],
            cached_tokens=total[2],
            reasoning_tokens=total[3],
            audio_tokens=total[4],
        )
