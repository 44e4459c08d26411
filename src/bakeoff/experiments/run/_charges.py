"""What the gateway charged against the budget, in the journal, so that a budget is kept over a kill."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from bakeoff.errors import StoreError
from bakeoff.gateway import Spent

if TYPE_CHECKING:
    from bakeoff.experiments.store._journal import Journal
    from bakeoff.gateway import BudgetSpec, Gateway

__all__ = ["UNCONFIRMED", "Charges", "call_notes"]

UNCONFIRMED = "up to"
"""How the note of charges that no provider confirmed begins."""

_NEVER = Spent(usd=-1.0)


class Charges:
    """Journals what a run's gateway spent: at once where a kill would lose much of the budget, else now and then.

    Args:
        journal: Where charges are written.
        budget: Says what is much: a thousandth of the smallest cap in USD.
        concurrency: Calls that may be in flight; whoever resumes reckons with so many that were never journalled.
    """

    def __init__(self, journal: Journal, budget: BudgetSpec, *, concurrency: int) -> None:
        caps = [cap for cap in (budget.usd, budget.per_variant_usd) if cap is not None]
        self.gateway: Gateway | None = None
        """Whose charges; nothing is written without one."""
        self._journal = journal
        self._step_usd = min(caps) / 1000 if caps else None
        self._widest = concurrency
        self._written = _NEVER
        self._size = (0.0, 0)

    def on_spent(self) -> None:
        """Write at once where a kill would lose more than a thousandth of the budget."""
        gateway, step = self.gateway, self._step_usd
        if gateway is None:
            return
        # The size is known only where a budget or a limit of tokens needs it.
        is_larger = gateway.largest_call != self._size
        if is_larger or (step is not None and gateway.spent_usd - self._written.usd > step):
            self.write()

    def widen(self, concurrency: int) -> None:
        """Say that more calls than ever may be in flight, before the first of them starts."""
        if concurrency > self._widest:
            self._widest, self._written = concurrency, _NEVER
            self.write()

    def write(self, *, last: bool = False) -> None:
        """Write what was charged, when it changed; failed attempts may be billed too.

        Args:
            last: Write it in any case.
        """
        if self.gateway is None:
            return
        spent, size, before = self.gateway.snapshot().spent, self.gateway.largest_call, self._written
        is_same = (spent.usd, spent.tokens, spent.calls, size) == (before.usd, before.tokens, before.calls, self._size)
        if is_same and not last:
            return
        self._written, self._size = spent, size
        with contextlib.suppress(StoreError):
            self._journal.append(
                {
                    "e": "spent",
                    "usd": spent.usd,
                    "unconfirmed": spent.unconfirmed_usd,
                    "tokens": spent.tokens,
                    "calls": spent.calls,
                    "minutes": spent.minutes,
                    "per_variant": dict(spent.per_variant_usd),
                    "n": self._widest,
                    "largest": list(size),
                    "step": self._step_usd or 0.0,
                }
            )


def call_notes(gateway: Gateway) -> list[str]:
    """Return what a reader of a run should know of its calls."""
    snapshot = gateway.snapshot()
    notes = list(snapshot.warnings)
    if snapshot.fallbacks:
        notes.append(f"{snapshot.fallbacks} calls were answered by a fallback model: variants are mixed")
    if snapshot.spent.unconfirmed_usd > 0:
        amount = f"{snapshot.spent.unconfirmed_usd:.4f} USD"
        notes.append(f"{UNCONFIRMED} {amount} more may be billed for calls that failed after they were sent")
    return notes
