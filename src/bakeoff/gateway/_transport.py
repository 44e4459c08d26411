"""One attempt of one model call: which route answers it, and nothing else.

No waiting, no retries, no cache: those are the gateway's, around this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bakeoff.gateway._config import GatewaySpec, LimitsSpec
    from bakeoff.gateway._types import ModelRequest, ModelResponse

__all__ = ["Transport", "open_transport"]


class Transport(Protocol):
    """Makes single attempts. Belongs to one event loop; close it there."""

    async def send(self, request: ModelRequest) -> ModelResponse:
        """Make exactly one attempt: no waiting, no retry.

        The response carries usage, cost, latency, time to first token (when streaming), route and the
        provider's rate-limit headers.

        Raises:
            ProviderError: The attempt failed; `kind`, `retryable`, `retry_after_s` and `status` say how.
        """
        ...

    def prewarm(self, models: Iterable[str]) -> None:
        """Start whatever is slow to load for these models in a background thread, and return at once."""
        ...

    async def aclose(self) -> None:
        """Close connections. Calls in flight fail."""
        ...


def open_transport(gateway: GatewaySpec, limits: LimitsSpec, *, env: Mapping[str, str]) -> Transport:
    """Open the transport that serves every model: `sim/...` in this process, others by `gateway.route`.

    Args:
        gateway: Route, prices and whether to stream.
        limits: Timeouts, and the concurrency that sizes the connection pool.
        env: Where API keys are looked up by name; never copied into a message.
    """
    from bakeoff.gateway._dispatch import DispatchTransport

    return DispatchTransport(gateway, limits, env=env)
