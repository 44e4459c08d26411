"""What the gateway has done so far, and what it is doing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bakeoff.gateway._budget import Spent
from bakeoff.gateway._types import Usage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bakeoff.gateway._breaker import BreakerState

__all__ = ["GatewaySnapshot"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySnapshot:
    """The state of a gateway at one moment; counts are of this session.

    Attributes:
        calls: Calls of `complete` that have ended, in any way.
        cached: Of these, answered from the response cache.
        shared: Of these, answered by an identical call that was in flight.
        errors: Failed attempts by kind of error.
        failed: Calls that ended in an error, by kind.
        retries: Attempts after the first.
        fallbacks: Calls answered by a fallback.
        in_flight: Attempts at the provider now.
        waiting: Calls in the queue of the limits or of the budget now.
        spent: What is charged against the budget, earlier sessions included.
        spent_usd: `spent.usd`.
        usage: Tokens of the answers of this session, not counting cached ones.
        breakers: State of the circuit breaker by model.
        concurrency: Calls that may be in flight now, by model.
        concurrency_limit: Of the whole run.
        paused: Whether nothing new is started.
        budget_reached: Why the budget refuses calls, when it does.
        warnings: Things to tell the user once, for instance a damaged cache.
    """

    calls: int = 0
    cached: int = 0
    shared: int = 0
    errors: Mapping[str, int] = field(default_factory=dict)
    failed: Mapping[str, int] = field(default_factory=dict)
    retries: int = 0
    fallbacks: int = 0
    in_flight: int = 0
    waiting: int = 0
    spent: Spent = field(default_factory=Spent)
    spent_usd: float = 0.0
    usage: Usage = field(default_factory=Usage)
    breakers: Mapping[str, BreakerState] = field(default_factory=dict)
    concurrency: Mapping[str, int] = field(default_factory=dict)
    concurrency_limit: int = 0
    paused: bool = False
    budget_reached: str | None = None
    warnings: Sequence[str] = ()
