"""What the gateway knows about each model, and what a call to it will use at most."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bakeoff.errors import ProviderError
from bakeoff.gateway._adaptive import AdaptiveLimit
from bakeoff.gateway._breaker import Breaker
from bakeoff.gateway._forecast import Forecast, declared_output_tokens
from bakeoff.gateway._lanes import key_variable, new_run_name, scopes_of
from bakeoff.gateway._limiter import Lane

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from bakeoff.gateway._budget import Budget
    from bakeoff.gateway._config import GatewaySpec, LimitsSpec
    from bakeoff.gateway._limiter import Limiter
    from bakeoff.gateway._pricing import Price
    from bakeoff.gateway._types import ModelRequest

__all__ = ["Call", "ModelState", "Models"]


class ModelState:
    """What the gateway knows about one model on one key."""

    __slots__ = ("breaker", "forecast", "lane", "price", "priced")

    def __init__(self, lane: Lane, breaker: Breaker) -> None:
        self.lane = lane
        self.breaker = breaker
        self.forecast = Forecast()
        self.price: Price | None = None
        self.priced: str | None = None


class Call:
    """One call on its way: the request, upper estimates and the attempts so far."""

    __slots__ = ("attempts", "estimate", "input_tokens", "model", "output_tokens", "probes", "request", "usd")

    def __init__(self, request: ModelRequest, model: ModelState) -> None:
        self.request = request
        self.model = model
        self.attempts = 0
        self.probes = 0
        self.estimate = 0
        self.input_tokens = 0
        self.output_tokens = 0
        self.usd = 0.0


class Models:
    """The models that were asked so far, each with its queue, breaker, price and forecast.

    Args:
        spec: Prices and the breaker's settings.
        limits: Declared limits.
        env: Where API keys are looked up by name.
        budget: Says which estimates are needed.
        limiter: Where each model gets its queue.
        shared: Whether declared limits are shared with other processes of this machine.
        on_larger: Called before the first call that may cost more than any before it is sent.
    """

    def __init__(
        self,
        spec: GatewaySpec,
        limits: LimitsSpec,
        *,
        env: Mapping[str, str],
        budget: Budget,
        limiter: Limiter,
        shared: bool,
        on_larger: Callable[[], None] | None,
    ) -> None:
        self._spec = spec
        self._limits = limits
        self._env = env
        self._budget = budget
        self._limiter = limiter
        self._shared = shared
        self._on_larger = on_larger
        self._run = new_run_name()
        self._known: dict[tuple[str, str | None, str | None], ModelState] = {}
        self.largest_usd = 0.0
        self.largest_tokens = 0

    def all(self) -> Iterable[ModelState]:
        """Return every model asked so far."""
        return self._known.values()

    def prepare(self, request: ModelRequest) -> Call:
        """Find the model of a request, and what the call will use at most.

        Raises:
            ProviderError: A budget in USD cannot be kept, since the model has no known price.
        """
        identity = (request.model, request.api_base, request.api_key_env)
        model = self._known.get(identity)
        if model is None:
            model = self._known[identity] = self._new(request)
        call = Call(request, model)
        needs_usd = self._budget.needs_usd
        if needs_usd:
            self._find_price(request, model)
        if needs_usd or self._budget.needs_tokens or model.lane.needs_tokens:
            self._forecast(call)
        return call

    def _forecast(self, call: Call) -> None:
        from bakeoff.gateway._tokens import estimate_tokens

        model = call.model
        call.estimate = estimate_tokens(call.request)
        call.input_tokens = model.forecast.input_tokens(call.estimate)
        declared = declared_output_tokens(call.request.params)
        call.output_tokens = model.forecast.output_tokens(declared)
        if model.price is not None:
            rates = model.price.rates_for(call.input_tokens)
            call.usd = call.input_tokens * max(rates.input, rates.cache_write) + call.output_tokens * max(
                rates.output, rates.reasoning
            )
        if declared is not None:
            self._note_size(call.usd, call.input_tokens + call.output_tokens)

    def _note_size(self, usd: float, tokens: int) -> None:
        """Say before a call is sent that it may cost more than any before it."""
        if usd > self.largest_usd or tokens > self.largest_tokens:
            self.largest_usd = max(usd, self.largest_usd)
            self.largest_tokens = max(tokens, self.largest_tokens)
            if self._on_larger is not None:
                self._on_larger()

    def _find_price(self, request: ModelRequest, model: ModelState) -> None:
        # Two variants may ask one model under different terms: a service tier, or the price of a simulation.
        terms = str((request.params.get("service_tier"), request.params.get("sim")))
        if model.priced != terms:
            from bakeoff.gateway._pricing import price_of

            model.price = price_of(request.model, self._spec, api_base=request.api_base, params=request.params)
            model.priced = terms
        if model.price is None and not self._spec.allow_unpriced:
            raise ProviderError(
                f"model {request.model!r} has no known price, so a budget in USD cannot be kept"
                f"\n    fix: give it under gateway.prices, for instance {request.model!r}:"
                " {input_usd: 0.25, output_usd: 2.0} (USD per million tokens), or set gateway.allow_unpriced: true",
                kind="budget",
            )

    def _new(self, request: ModelRequest) -> ModelState:
        limits = self._limits
        scopes = scopes_of(request, limits, env=self._env, run=self._run, shared=self._shared)
        cap = self._limiter.concurrency
        for scope in scopes:
            cap = min(cap, scope.concurrency or cap)
        taken = {model.lane.name for model in self._known.values()}
        name = request.model
        if name in taken:
            name = f"{request.model} ({request.api_base or key_variable(request)})"
        lane = Lane(name, scopes, AdaptiveLimit(cap=cap, enabled=limits.adaptive))
        breaker = Breaker(
            failures=self._spec.breaker_failures,
            reset_s=self._spec.breaker_reset_s,
            patience_s=limits.max_wait_s + 2 * self._spec.breaker_reset_s,
        )
        return ModelState(self._limiter.add_lane(lane), breaker)
