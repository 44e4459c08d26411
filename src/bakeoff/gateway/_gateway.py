"""The gateway's door: what callers see of it, and how its parts are put together."""

from __future__ import annotations

import os
import time
from random import Random
from typing import TYPE_CHECKING, Self

from bakeoff.errors import ProviderError
from bakeoff.gateway._admission import Admission
from bakeoff.gateway._attempts import GRACE_S, Attempts
from bakeoff.gateway._budget import Budget, Spent
from bakeoff.gateway._cache import ResponseCache
from bakeoff.gateway._config import BudgetSpec, GatewaySpec, LimitsSpec
from bakeoff.gateway._counts import Counts
from bakeoff.gateway._limiter import Limiter
from bakeoff.gateway._models import Models
from bakeoff.gateway._once import Once
from bakeoff.gateway._retry import RetryPolicy
from bakeoff.gateway._snapshot import GatewaySnapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from bakeoff.gateway._batch import Batches
    from bakeoff.gateway._embed import Embeddings
    from bakeoff.gateway._moderate import Moderation
    from bakeoff.gateway._transport import Transport
    from bakeoff.gateway._types import ModelRequest, ModelResponse, Purpose
    from bakeoff.gateway._window import WindowStore

__all__ = ["Gateway"]


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
        keep: Says whether an answer may go into the response cache; all may when omitted. Must be quick.
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
        keep: Callable[[ModelRequest, ModelResponse], bool] | None = None,
        clock: Callable[[], float] = time.monotonic,
        seed: int | None = None,
    ) -> None:
        spec = self._spec = gateway if gateway is not None else GatewaySpec()
        limits = self._limits = limits if limits is not None else LimitsSpec()
        self._env = env if env is not None else os.environ
        self._clock = clock
        self._on_spent = on_spent
        self._warnings: list[str] = []
        self._counts = Counts()
        rng = Random(seed)  # noqa: S311 - jitter, not a secret
        self._budget = Budget(budget if budget is not None else BudgetSpec(), clock=clock, spent=spent)
        shared = limits.shared and _declares_limits(limits)
        self._limiter = Limiter(
            concurrency=limits.concurrency,
            clock=clock,
            # A clock of its own cannot be compared with those of other processes.
            windows=self._open_windows() if shared and clock is time.monotonic else None,
            longest_pause_s=limits.max_wait_s,
        )
        self._models = Models(
            spec,
            limits,
            env=self._env,
            budget=self._budget,
            limiter=self._limiter,
            shared=shared,
            on_larger=on_spent,
        )
        self._admission = Admission(
            self._budget,
            self._limiter,
            self._counts,
            breaker_failures=spec.breaker_failures,
            on_spent=on_spent,
            clock=clock,
            rng=rng,
        )
        self._retry = RetryPolicy(
            attempts=limits.attempts, share=limits.retry_budget, max_wait_s=limits.max_wait_s, rng=rng
        )
        self._attempts = Attempts(
            self._models,
            self._admission,
            self._retry,
            self._counts,
            fallbacks=spec.fallbacks,
            timeout_s=limits.timeout_s + GRACE_S,
        )
        self._attempts.transport = transport
        path = spec.cache_path if spec.cache_path is not None else cache_path
        self._cache = (
            ResponseCache(path, ttl_days=spec.cache_ttl_days, max_mb=spec.cache_max_mb)
            if path is not None and spec.cache
            else None
        )
        self._once = Once(self._attempts.answer, self._cache, refresh=spec.refresh, counts=self._counts, keep=keep)

    async def __aenter__(self) -> Self:
        self._open_transport()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close connections, write what the cache still holds, and stop admitting calls."""
        self._admission.close()
        if self._attempts.transport is not None:
            await self._attempts.transport.aclose()
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
            self._admit_calls()
            return await self._once.answer(request)
        except ProviderError as error:
            self._counts.failed[error.kind] += 1
            raise
        finally:
            self._counts.calls += 1

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

        self._admit_calls()
        template = EmbedRequest(
            model=model,
            messages=(),
            params={} if dimensions is None else {"dimensions": dimensions},
            api_base=api_base,
            api_key_env=api_key_env,
            purpose=purpose,
            variant=variant,
        )
        self._counts.calls += 1
        try:
            found = await embed_texts(
                texts, template, cache=self._cache, refresh=self._spec.refresh, answer=self._attempts.answer
            )
        except ProviderError as error:
            self._counts.failed[error.kind] += 1
            raise
        self._counts.cached += bool(texts) and found.n_cached == len(set(texts))
        return found

    async def moderate(
        self,
        text: str,
        *,
        model: str,
        api_base: str | None = None,
        api_key_env: str | None = None,
        purpose: Purpose = "judge",
        variant: str = "",
    ) -> Moderation:
        """Ask a provider's moderation endpoint about a text, with the same cache, limits, budget and retries as chat.

        Args:
            text: What to moderate.
            model: LiteLLM model string of `openai`, `mistral` or `hosted_vllm`, for instance
                `openai/omni-moderation-latest`; `sim/...` looks for a few words and costs nothing.
            api_base: Address of an OpenAI-compatible server.
            api_key_env: Name of the environment variable that holds the key.
            purpose: What the call is for.
            variant: For budgets per variant.

        Returns:
            The decision, by kind of harm.

        Raises:
            ProviderError: The text is blank or the call failed; `kind` and `retryable` say how.
            BudgetExceeded: The call was not made because it could overshoot a hard budget.

        Examples:
            >>> import asyncio
            >>> async def main():
            ...     async with Gateway() as gateway:
            ...         return (await gateway.moderate("I will stab you", model="sim/moderation")).flagged
            >>> asyncio.run(main())
            True
        """
        from bakeoff.gateway._moderate import ModerationRequest, moderate_text

        self._admit_calls()
        template = ModerationRequest(
            model=model, messages=(), api_base=api_base, api_key_env=api_key_env, purpose=purpose, variant=variant
        )
        return await moderate_text(text, template, answer=self.complete)

    def batches(self) -> Batches:
        """Return the door to the providers' batch APIs, on the same budget; close it before the gateway."""
        from bakeoff.gateway._batch import Batches

        def size(request: ModelRequest) -> tuple[float, int]:
            call = self._models.prepare(request)
            return call.usd, call.input_tokens + call.output_tokens

        def on_answer(response: ModelResponse) -> None:
            self._counts.add_usage(response.usage)
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
        counts, spent = self._counts, self._budget.spent()
        cache_warnings = self._cache.warnings if self._cache is not None else []
        return GatewaySnapshot(
            calls=counts.calls,
            cached=counts.cached,
            shared=counts.shared,
            errors=dict(counts.errors),
            failed=dict(counts.failed),
            retries=self._retry.retries,
            fallbacks=counts.fallbacks,
            in_flight=counts.sending,
            waiting=self._limiter.waiting + self._budget.waiting,
            spent=spent,
            spent_usd=spent.usd,
            usage=counts.usage,
            breakers={model.lane.name: model.breaker.state(now) for model in self._models.all()},
            concurrency={model.lane.name: model.lane.adaptive.limit for model in self._models.all()},
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
        return self._models.largest_usd, self._models.largest_tokens

    def set_concurrency(self, n: int) -> None:
        """Change how many calls may be in flight, from 1; those in flight finish."""
        n = max(int(n), 1)
        for model in self._models.all():
            model.lane.adaptive.set_cap(n)
        self._limiter.set_concurrency(n)

    def pause(self) -> None:
        """Start no call until `resume`; those in flight finish."""
        self._limiter.pause()

    def resume(self) -> None:
        """Start calls again."""
        self._limiter.resume()

    def _admit_calls(self) -> None:
        """Refuse what comes after the end, and open what a first call needs."""
        if self._admission.closed:
            raise ProviderError("the gateway is closed", kind="cancelled")
        if self._attempts.transport is None:
            self._open_transport()

    def _open_transport(self) -> Transport:
        transport = self._attempts.transport
        if transport is None:
            from bakeoff.gateway._transport import open_transport

            transport = self._attempts.transport = open_transport(self._spec, self._limits, env=self._env)
        return transport

    def _open_windows(self) -> WindowStore:
        from bakeoff.gateway._shared_limiter import SqliteWindows, state_file

        windows = SqliteWindows(state_file(self._env), lease_s=self._limits.timeout_s + 2 * GRACE_S)
        self._warnings += windows.warnings
        return windows


def _declares_limits(limits: LimitsSpec) -> bool:
    return limits.requests_per_minute is not None or limits.tokens_per_minute is not None or bool(limits.per_model)
