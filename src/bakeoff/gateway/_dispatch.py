"""Which route answers a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bakeoff.errors import ProviderError
from bakeoff.gateway._embed import EmbedRequest, is_direct
from bakeoff.gateway._moderate import ModerationRequest
from bakeoff.gateway._sim import SimTransport

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bakeoff.gateway._config import GatewaySpec, LimitsSpec
    from bakeoff.gateway._route_direct import DirectTransport
    from bakeoff.gateway._route_litellm import LiteLLMTransport
    from bakeoff.gateway._types import ModelRequest, ModelResponse

__all__ = ["DispatchTransport"]


class DispatchTransport:
    """Sends `sim/...` to the simulated models, everything else by `gateway.route`.

    On route `auto` a call that the direct route does not serve goes through LiteLLM's full client, and so
    does every later call to that model; on route `direct` it is refused.
    """

    def __init__(self, gateway: GatewaySpec, limits: LimitsSpec, *, env: Mapping[str, str]) -> None:
        self._gateway = gateway
        self._limits = limits
        self._env = env
        self._sim = SimTransport(gateway, limits)
        self._direct: DirectTransport | None = None
        self._litellm: LiteLLMTransport | None = None
        self._not_direct: set[str] = set()

    async def send(self, request: ModelRequest) -> ModelResponse:
        """Make one attempt on the route that serves the model."""
        route, model = self._gateway.route, request.model
        if isinstance(request, EmbedRequest):
            return await self._embed(request)
        if isinstance(request, ModerationRequest):  # one plain POST on every route: LiteLLM knows only OpenAI's
            return await self._fast().moderate(request)
        if route == "litellm":
            return await self._full().send(request)
        if model.startswith("sim/"):
            return await self._sim.send(request)
        if model in self._not_direct:
            return await self._full().send(request)
        from bakeoff.gateway._wire_litellm import NotServedError

        try:
            return await self._fast().send(request)
        except NotServedError:
            if route == "direct":
                raise ProviderError(
                    f"{model!r} cannot be called on the direct route.\n    fix: set gateway.route to auto or litellm",
                    kind="bad_request",
                ) from None
        self._not_direct.add(model)
        return await self._full().send(request)

    async def _embed(self, request: EmbedRequest) -> ModelResponse:
        if self._gateway.route != "litellm" and is_direct(request.model):
            return await self._fast().embed(request)
        if self._gateway.route == "direct":
            raise ProviderError(
                f"embeddings of {request.model!r} cannot be had on the direct route."
                "\n    fix: set gateway.route to auto or litellm",
                kind="bad_request",
            )
        return await self._full().embed(request)

    def _fast(self) -> DirectTransport:
        if self._direct is None:
            from bakeoff.gateway._route_direct import DirectTransport

            self._direct = DirectTransport(self._gateway, self._limits, env=self._env)
        return self._direct

    def _full(self) -> LiteLLMTransport:
        if self._litellm is None:
            from bakeoff.gateway._route_litellm import LiteLLMTransport

            self._litellm = LiteLLMTransport(self._gateway, self._limits, env=self._env)
        return self._litellm

    def prewarm(self, models: Iterable[str]) -> None:
        """Import LiteLLM in the background when one of the models is likely to need it."""
        from bakeoff.gateway._litellm import prewarm_litellm
        from bakeoff.gateway._wire_openai import is_openai_compatible

        if self._gateway.route == "litellm" or any(
            not model.startswith("sim/") and not is_openai_compatible(model) for model in models
        ):
            prewarm_litellm()

    async def aclose(self) -> None:
        """Close what was opened."""
        for opened in (self._direct, self._litellm):
            if opened is not None:
                await opened.aclose()
