"""Which route answers a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bakeoff.gateway._sim import SimTransport

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bakeoff.gateway._config import GatewaySpec, LimitsSpec
    from bakeoff.gateway._route_litellm import LiteLLMTransport
    from bakeoff.gateway._types import ModelRequest, ModelResponse

__all__ = ["DispatchTransport"]


class DispatchTransport:
    """Sends `sim/...` to the simulated models, everything else by `gateway.route`."""

    def __init__(self, gateway: GatewaySpec, limits: LimitsSpec, *, env: Mapping[str, str]) -> None:
        self._gateway = gateway
        self._limits = limits
        self._env = env
        self._sim = SimTransport(gateway, limits)
        self._litellm: LiteLLMTransport | None = None

    async def send(self, request: ModelRequest) -> ModelResponse:
        """Make one attempt on the route that serves the model."""
        if self._gateway.route != "litellm" and request.model.startswith("sim/"):
            return await self._sim.send(request)
        return await self._full().send(request)

    def _full(self) -> LiteLLMTransport:
        if self._litellm is None:
            from bakeoff.gateway._route_litellm import LiteLLMTransport

            self._litellm = LiteLLMTransport(self._gateway, self._limits, env=self._env)
        return self._litellm

    def prewarm(self, models: Iterable[str]) -> None:
        """Import LiteLLM in the background when one of the models needs it."""
        from bakeoff.gateway._litellm import prewarm_litellm

        if any(not model.startswith("sim/") for model in models):
            prewarm_litellm()

    async def aclose(self) -> None:
        """Close what was opened."""
        if self._litellm is not None:
            await self._litellm.aclose()
