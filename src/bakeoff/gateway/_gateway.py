"""The gateway: cache, budget, limits, breaker, retries and fallbacks around single attempts."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections import Counter
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Self

from bakeoff.errors import BudgetExceeded, ProviderError
from bakeoff.gateway._adaptive import AdaptiveLimit
from bakeoff.gateway._breaker import Breaker
from bakeoff.gateway._budget import Budget, Reservation, Spent
from bakeoff.gateway._cache import ResponseCache
from bakeoff.gateway._cache_key import cache_key
from bakeoff.gateway._config import BudgetSpec, GatewaySpec, LimitsSpec
from bakeoff.gateway._forecast import Forecast, declared_output_tokens
from bakeoff.gateway._lanes import key_variable, new_run_name, scopes_of
from bakeoff.gateway._limiter import Lane, Limiter, Permit
from bakeoff.gateway._retry import RetryPolicy
from bakeoff.gateway._snapshot import GatewaySnapshot
from bakeoff.gateway._types import Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from bakeoff.gateway._batch import Batches
    from bakeoff.gateway._embed import Embeddings
    from bakeoff.gateway._pricing import Price
    from bakeoff.gateway._transport import Transport
    from bakeoff.gateway._types import ModelRequest, ModelResponse, Purpose
    from bakeoff.gateway._window import WindowStore

__all__ = ["Gateway"]

_GRACE_S = 5.0
"""The transport has its own timeout; when that fails to fire, the gateway's ends the attempt."""
_NEVER_BILLED = frozenset(
    {"rate_limit", "server", "auth", "bad_request", "context_length", "content_filter", "not_found", "budget"}
)
_NO_FALLBACK = frozenset({"budget", "bad_request", "content_filter", "cancelled"})
_BREAKER_POLL_S = 1.0


class _Model:
    """What the gateway knows about one model on one key."""

    __slots__ = ("breaker", "forecast", "lane", "price", "priced")

    def __init__(self, lane: Lane, breaker: Breaker) -> None:
        self.lane = lane
        self.breaker = breaker
        self.forecast = Forecast()
        self.price: Price | None = None
        self.priced: str | None = None


class _Call:
    """One call on its way: the request, upper estimates and the attempts so far."""

    __slots__ = ("attempts", "estimate", "input_tokens", "model", "output_tokens", "probes", "request", "usd")

    def __init__(self, request: ModelRequest, model: _Model) -> None:
        self.request = request
        self.model = model
        self.attempts = 0
        self.probes = 0
        self.estimate = 0
        self.input_tokens = 0
        self.output_tokens = 0
        self.usd = 0.0


class Gateway:
    """The one door to every model. Implements `ModelClient`.

    A call passes, in this order: response cache; identical calls in flight (made once); price and
    budget; concurrency and declared limits; circuit breaker; one attempt under a timeout; retries; and
    fallbacks. A cancelled call gives everything back.

    Use it as an asynchronous context manager, within one event loop.

    Args:
        gateway: Route, cache, prices, fallbacks, breaker.
        limits: Concurrency, declared limits, timeouts, retries.
        budget: Hard limits of the run.
        cache_path: The cache file, unless `gateway.cache_path` names one; without either nothing is cached.
        transport: Who makes single attempts; opened from `gateway` and `limits` when omitted.
        env: Where API keys are looked up by name; the process's environment when omitted.
        spent: What earlier sessions of a resumed run spent.
        on_spent: Called after each call that was charged, and before the first call that may cost more than
            any before it, so that a budget can be kept over a kill. Must be quick.
        clock: Monotonic seconds, the same as the event loop's.
        seed: Of the jitter of retries; unpredictable when omitted.

    Examples:
        >>> import asyncio
        >>> from bakeoff.gateway import ModelRequest, ModelResponse
        >>> class Echo:
        ...     async def send(self, request):
        ...         return ModelResponse(text=request.messages[-1]["content"], model=request.model)
        ...     def prewarm(self, models): ...
        ...     async def aclose(self): ...
        >>> async def main():
        ...     async with Gateway(transport=Echo()) as gateway:
        ...         request = ModelRequest(model="sim/echo", messages=[{"role": "user", "content": "hi"}])
        ...         return (await gateway.complete(request)).text, gateway.snapshot().calls
        >>> asyncio.run(main())
        ('hi', 1)
    """

    def __init__(
        self,
        *,
        gateway: GatewaySpec | None = None,
        limits: LimitsSpec | None = None,
        budget: BudgetSpec | None = None,
        cache_path: Path | None = None,
        transport: Transport | None = None,
        env: Mapping[str, str] | None = None,
        spent: Spent | None = None,
        on_spent: Callable[[], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
        seed: int | None = None,
    ) -> None:
        self._spec = gateway if gateway is not None else GatewaySpec()
        self._limits = limits if limits is not None else LimitsSpec()
        self._env = env if env is not None else os.environ
        self._clock = clock
        self._transport = transport
        self._rng = Random(seed)  # noqa: S311 - jitter, not a secret
        self._budget = Budget(budget if budget is not None else BudgetSpec(), clock=clock, spent=spent)
        self._retry = RetryPolicy(
            attempts=self._limits.attempts,
            share=self._limits.retry_budget,
            max_wait_s=self._limits.max_wait_s,
            rng=self._rng,
        )
        self._on_spent = on_spent
        self._largest_usd, self._largest_tokens = 0.0, 0
        self._warnings: list[str] = []
        self._run = new_run_name()
        self._shared = self._limits.shared and _declares_limits(self._limits)
        self._limiter = Limiter(
            concurrency=self._limits.concurrency,
            clock=clock,
            windows=self._open_windows(),
            longest_pause_s=self._limits.max_wait_s,
        )
        path = self._spec.cache_path if self._spec.cache_path is not None else cache_path
        self._cache = (
            ResponseCache(path, ttl_days=self._spec.cache_ttl_days, max_mb=self._spec.cache_max_mb)
            if path is not None and self._spec.cache
            else None
        )
        self._models: dict[tuple[str, str | None, str | None], _Model] = {}
        self._flights: dict[bytes, list[asyncio.Future[ModelResponse | None]]] = {}
        self._timeout_s = self._limits.timeout_s + _GRACE_S
        self._closed = False
        self._calls = self._cached = self._joined = self._fallbacks = self._sending = 0
        self._errors: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()
        self._usage = [0, 0, 0, 0, 0]

    async def __aenter__(self) -> Self:
        self._open_transport()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close connections, write what the cache still holds, and stop admitting calls."""
        self._closed = True
        self._limiter.close()
        if self._transport is not None:
            await self._transport.aclose()
        if self._cache is not None:
            self._cache.close()

    async def complete(self, request: ModelRequest) -> ModelResponse:
        """Answer the request.

        Returns:
            The answer. When `cached`, nothing was spent now; cost, usage and latency are those of the
            call that was paid for.

        Raises:
            ProviderError: The call failed; `kind` and `retryable` say how.
            BudgetExceeded: The call was not made because it could overshoot a hard budget.
        """
        try:
            response = await self._complete(request)
        except ProviderError as error:
            self._failed[error.kind] += 1
            raise
        finally:
            self._calls += 1
        return response

    async def embed(
        self,
        texts: Sequence[str],
        *,
        model: str,
        dimensions: int | None = None,
        api_base: str | None = None,
        api_key_env: str | None = None,
        purpose: Purpose = "judge",
        variant: str = "",
    ) -> Embeddings:
        """Embed texts, with the same cache, limits, budget and retries as chat calls.

        Args:
            texts: What to embed; the same text is asked for once.
            model: LiteLLM model string, for instance `openai/text-embedding-3-small`; `sim/...` counts hashed character
                trigrams and costs nothing.
            dimensions: Length of the vectors, where the model can shorten them.
            api_base: Address of an OpenAI-compatible server.
            api_key_env: Name of the environment variable that holds the key.
            purpose: What the call is for.
            variant: For budgets per variant.

        Returns:
            The vectors in the order of the texts.

        Raises:
            ProviderError: A text is blank or a call failed; `kind` and `retryable` say how.
            BudgetExceeded: A call was not made because it could overshoot a hard budget.

        Examples:
            >>> import asyncio
            >>> async def main():
            ...     async with Gateway() as gateway:
            ...         return (await gateway.embed(["a cat", "two cats"], model="sim/embedding")).vectors.shape
            >>> asyncio.run(main())
            (2, 512)
        """
        from bakeoff.gateway._embed import EmbedRequest, embed_texts

        if self._closed:
            raise ProviderError("the gateway is closed", kind="cancelled")
        template = EmbedRequest(
            model=model,
            messages=(),
            params={} if dimensions is None else {"dimensions": dimensions},
            api_base=api_base,
            api_key_env=api_key_env,
            purpose=purpose,
            variant=variant,
        )
        self._calls += 1
        try:
            found = await embed_texts(
                texts, template, cache=self._cache, refresh=self._spec.refresh, answer=self._answer
            )
        except ProviderError as error:
            self._failed[error.kind] += 1
            raise
        self._cached += bool(texts) and found.n_cached == len(set(texts))
        return found

    def batches(self) -> Batches:
        """Return the door to the providers' batch APIs, on the same budget; close it before the gateway."""
        from bakeoff.gateway._batch import Batches

        def size(request: ModelRequest) -> tuple[float, int]:
            call = self._prepare(request)
            return call.usd, call.input_tokens + call.output_tokens

        def on_answer(response: ModelResponse) -> None:
            self._count(response.usage)
            if self._on_spent is not None:
                self._on_spent()

        return Batches(
            self._spec,
            self._limits,
            env=self._env,
            budget=self._budget,
            size=size,
            on_answer=on_answer,
        )

    def prewarm(self, models: Iterable[str]) -> None:
        """Start loading what these models need in a background thread, and return at once."""
        self._open_transport().prewarm(models)

    def snapshot(self) -> GatewaySnapshot:
        """Return what has happened so far and what is happening now."""
        now = self._clock()
        spent = self._budget.spent()
        cache_warnings = self._cache.warnings if self._cache is not None else []
        return GatewaySnapshot(
            calls=self._calls,
            cached=self._cached,
            shared=self._joined,
            errors=dict(self._errors),
            failed=dict(self._failed),
            retries=self._retry.retries,
            fallbacks=self._fallbacks,
            in_flight=self._sending,
            waiting=self._limiter.waiting + self._budget.waiting,
            spent=spent,
            spent_usd=spent.usd,
            usage=Usage(
                input_tokens=self._usage[0],
                output_tokens=self._usage[1],
                cached_tokens=self._usage[2],
                reasoning_tokens=self._usage[3],
                audio_tokens=self._usage[4],
            ),
            breakers={model.lane.name: model.breaker.state(now) for model in self._models.values()},
            concurrency={model.lane.name: model.lane.adaptive.limit for model in self._models.values()},
            concurrency_limit=self._limiter.concurrency,
            paused=self._limiter.paused,
            budget_reached=self._budget.reached,
            warnings=(*self._warnings, *cache_warnings),
        )

    @property
    def spent_usd(self) -> float:
        """USD charged so far, earlier sessions included."""
        return self._budget.spent_usd

    @property
    def largest_call(self) -> tuple[float, int]:
        """USD and tokens that one call could use at most, of those that declared `max_tokens`; (0.0, 0) for none.

        Known under a budget in USD or tokens, or under declared limits of tokens.
        """
        return self._largest_usd, self._largest_tokens

    def set_concurrency(self, n: int) -> None:
        """Change how many calls may be in flight, from 1; those in flight finish."""
        n = max(int(n), 1)
        for model in self._models.values():
            model.lane.adaptive.set_cap(n)
        self._limiter.set_concurrency(n)

    def pause(self) -> None:
        """Start no call until `resume`; those in flight finish."""
        self._limiter.pause()

    def resume(self) -> None:
        """Start calls again."""
        self._limiter.resume()

    # Cache and identical calls in flight

    async def _complete(self, request: ModelRequest) -> ModelResponse:
        if self._closed:
            raise ProviderError("the gateway is closed", kind="cancelled")
        key = cache_key(request)
        if key is None:
            return await self._answer(request)
        cache = self._cache
        if cache is not None and not self._spec.refresh:
            hit = cache.get(key)
            if hit is not None:
                self._cached += 1
                return hit
        while (followers := self._flights.get(key)) is not None:
            future: asyncio.Future[ModelResponse | None] = asyncio.get_running_loop().create_future()
            followers.append(future)
            joined = await future
            if joined is not None:
                self._joined += 1
                return replace(joined, cached=True, route="cache")
        return await self._lead(request, key)

    async def _lead(self, request: ModelRequest, key: bytes) -> ModelResponse:
        """Make the call on behalf of identical ones that arrive meanwhile."""
        followers: list[asyncio.Future[ModelResponse | None]] = []
        self._flights[key] = followers
        response: ModelResponse | None = None
        failure: ProviderError | None = None
        try:
            response = await self._answer(request)
        except ProviderError as error:
            failure = error
            raise
        finally:
            del self._flights[key]
            for future in followers:
                if future.done():
                    continue
                if failure is not None:
                    future.set_exception(failure)
                else:
                    future.set_result(response)  # None when cancelled: the next in line makes the call
        if self._cache is not None and response.fallback_from is None:
            self._cache.put(key, response, model=request.model)
        return response

    # Fallbacks and retries

    async def _answer(self, request: ModelRequest) -> ModelResponse:
        call = self._prepare(request)
        try:
            return await self._retried(call)
        except ProviderError as error:
            fallbacks = self._spec.fallbacks.get(request.model)
            if not fallbacks or error.kind in _NO_FALLBACK:
                raise
            failure = error
        attempts = call.attempts
        for name in fallbacks:
            call = self._prepare(replace(request, model=name, api_base=None, api_key_env=None))
            try:
                response = await self._retried(call)
            except ProviderError as error:
                attempts += call.attempts
                failure = error
                if error.kind in _NO_FALLBACK:
                    break
                continue
            self._fallbacks += 1
            return replace(response, fallback_from=request.model, attempts=attempts + call.attempts)
        raise failure

    async def _retried(self, call: _Call) -> ModelResponse:
        self._retry.calls += 1
        while True:
            try:
                response = await self._attempt(call)
            except BudgetExceeded:
                raise
            except ProviderError as error:
                refusal = self._retry.refusal(error, call.attempts - call.probes)
                if refusal:
                    raise _with_note(error, refusal) from error
                if refusal is not None:
                    raise
                await asyncio.sleep(self._retry.wait_s(error, call.attempts))
            else:
                return response if call.attempts == response.attempts else replace(response, attempts=call.attempts)

    # One attempt

    async def _attempt(self, call: _Call) -> ModelResponse:
        model = call.model
        while True:
            if not model.breaker.is_closed:
                await self._wait_for_breaker(call)
            reservation = await self._budget.reserve(
                variant=call.request.variant, usd=call.usd, tokens=call.input_tokens + call.output_tokens
            )
            try:
                permit = await self._limiter.acquire(
                    model.lane, input_tokens=call.input_tokens, output_tokens=call.output_tokens
                )
            except BaseException:
                self._budget.cancel(reservation)
                raise
            try:
                self._budget.check_time()
                probe = model.breaker.admit(self._clock())
            except BudgetExceeded:
                self._give_back(reservation, permit)
                raise
            if probe is None:  # it opened while this call was queued
                self._give_back(reservation, permit)
                continue
            return await self._send(call, reservation, permit, probe=probe)

    def _give_back(self, reservation: Reservation, permit: Permit) -> None:
        self._limiter.release(permit, sent=False)
        self._budget.cancel(reservation)

    async def _send(self, call: _Call, reservation: Reservation, permit: Permit, *, probe: bool) -> ModelResponse:
        assert self._transport is not None
        call.attempts += 1
        call.probes += probe
        self._sending += 1
        try:
            async with asyncio.timeout(self._timeout_s):
                response = await self._transport.send(call.request)
        except ProviderError as error:
            self._settle_failure(call, reservation, permit, error, probe=probe)
            raise
        except TimeoutError as cause:
            error = ProviderError(
                f"model {call.request.model!r} did not answer within {self._limits.timeout_s:g} s"
                "\n    fix: raise limits.timeout_s, or ask for fewer tokens",
                kind="timeout",
                retryable=True,
            )
            self._settle_failure(call, reservation, permit, error, probe=probe)
            raise error from cause
        except asyncio.CancelledError:
            cancelled = ProviderError("cancelled", kind="cancelled")
            self._settle_failure(call, reservation, permit, cancelled, probe=probe)
            raise
        except Exception as cause:
            error = ProviderError(f"model {call.request.model!r}: {type(cause).__name__}: {cause}", kind="unknown")
            self._settle_failure(call, reservation, permit, error, probe=probe)
            raise error from cause
        finally:
            self._sending -= 1
        self._settle_answer(call, reservation, permit, response)
        return response

    def _settle_answer(self, call: _Call, reservation: Reservation, permit: Permit, response: ModelResponse) -> None:
        usage = response.usage
        self._count(usage)
        self._budget.settle(reservation, usd=response.cost_usd or 0.0, tokens=usage.input_tokens + usage.output_tokens)
        self._limiter.release(
            permit,
            outcome="ok",
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            headers=response.rate_limit,
        )
        call.model.breaker.record_success()
        if self._on_spent is not None:
            self._on_spent()
        if call.estimate:
            call.model.forecast.learn(call.estimate, usage)

    def _count(self, usage: Usage) -> None:
        total = self._usage
        total[0] += usage.input_tokens
        total[1] += usage.output_tokens
        total[2] += usage.cached_tokens
        total[3] += usage.reasoning_tokens
        total[4] += usage.audio_tokens

    def _settle_failure(
        self, call: _Call, reservation: Reservation, permit: Permit, error: ProviderError, *, probe: bool
    ) -> None:
        self._errors[error.kind] += 1
        billed = error.kind not in _NEVER_BILLED and not _was_never_sent(error)
        tokens = (call.input_tokens, call.output_tokens) if billed else (0, 0)
        self._budget.settle(reservation, usd=call.usd if billed else 0.0, tokens=sum(tokens), confirmed=not billed)
        if billed and self._on_spent is not None:
            self._on_spent()
        throttled = error.kind == "rate_limit" or error.status in (503, 529)
        self._limiter.release(
            permit,
            outcome="throttled" if throttled else "failed",
            # The provider may count what it refused: the input always, the output when it may have been written.
            input_tokens=call.input_tokens,
            output_tokens=tokens[1],
            retry_after_s=error.retry_after_s,
        )
        call.model.breaker.record_failure(error.kind, now=self._clock(), probe=probe, message=str(error))

    async def _wait_for_breaker(self, call: _Call) -> None:
        """Wait until the model may be tried again.

        Raises:
            ProviderError: It is not worth waiting.
        """
        breaker = call.model.breaker
        while (wait := breaker.wait_s(self._clock())) > 0:
            self._budget.check_time()
            if self._closed or breaker.is_hopeless(self._clock()):
                raise ProviderError(
                    f"model {call.request.model!r} is left alone for {wait:.0f} s after "
                    f"{self._spec.breaker_failures} failures in a row; the last: {breaker.last_error}",
                    kind="server",
                    retry_after_s=wait,
                )
            await asyncio.sleep(min(wait, _BREAKER_POLL_S) * (1 + 0.2 * self._rng.random()))

    # What a model needs

    def _prepare(self, request: ModelRequest) -> _Call:
        self._open_transport()
        model = self._model(request)
        call = _Call(request, model)
        needs_usd = self._budget.needs_usd
        if needs_usd:
            self._find_price(request, model)
        if needs_usd or self._budget.needs_tokens or model.lane.needs_tokens:
            self._forecast(call)
        return call

    def _forecast(self, call: _Call) -> None:
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
        if usd > self._largest_usd or tokens > self._largest_tokens:
            self._largest_usd = max(usd, self._largest_usd)
            self._largest_tokens = max(tokens, self._largest_tokens)
            if self._on_spent is not None:
                self._on_spent()

    def _find_price(self, request: ModelRequest, model: _Model) -> None:
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

    def _model(self, request: ModelRequest) -> _Model:
        identity = (request.model, request.api_base, request.api_key_env)
        model = self._models.get(identity)
        if model is None:
            model = self._models[identity] = self._new_model(request)
        return model

    def _new_model(self, request: ModelRequest) -> _Model:
        limits = self._limits
        scopes = scopes_of(request, limits, env=self._env, run=self._run, shared=self._shared)
        cap = self._limiter.concurrency
        for scope in scopes:
            cap = min(cap, scope.concurrency or cap)
        taken = {model.lane.name for model in self._models.values()}
        name = request.model
        if name in taken:
            name = f"{request.model} ({request.api_base or key_variable(request)})"
        lane = Lane(name, scopes, AdaptiveLimit(cap=cap, enabled=limits.adaptive))
        breaker = Breaker(
            failures=self._spec.breaker_failures,
            reset_s=self._spec.breaker_reset_s,
            patience_s=limits.max_wait_s + 2 * self._spec.breaker_reset_s,
        )
        return _Model(self._limiter.add_lane(lane), breaker)

    # Opening

    def _open_transport(self) -> Transport:
        if self._transport is None:
            from bakeoff.gateway._transport import open_transport

            self._transport = open_transport(self._spec, self._limits, env=self._env)
        return self._transport

    def _open_windows(self) -> WindowStore | None:
        # A clock of its own cannot be compared with those of other processes.
        if not self._shared or self._clock is not time.monotonic:
            return None
        from bakeoff.gateway._shared_limiter import SqliteWindows, state_file

        windows = SqliteWindows(state_file(self._env), lease_s=self._limits.timeout_s + 2 * _GRACE_S)
        self._warnings += windows.warnings
        return windows


def _declares_limits(limits: LimitsSpec) -> bool:
    return limits.requests_per_minute is not None or limits.tokens_per_minute is not None or bool(limits.per_model)


def _with_note(error: ProviderError, note: str) -> ProviderError:
    """Return the same error with a note on why it was not tried again."""
    return ProviderError(
        f"{error} ({note})",
        kind=error.kind,
        retryable=error.retryable,
        retry_after_s=error.retry_after_s,
        status=error.status,
    )


def _was_never_sent(error: BaseException) -> bool:
    """Whether a failure happened before a byte of the request could leave: no connection was made."""
    seen = 0
    cause: BaseException | None = error.__cause__
    while cause is not None and seen < 5:
        if isinstance(cause, ConnectionRefusedError | socket.gaierror):
            return True
        if type(cause).__name__.startswith(("ClientConnector", "ConnectionTimeout", "ConnectTimeout", "ConnectError")):
            return True
        cause = cause.__cause__ or cause.__context__
        seen += 1
    return False
