"""From a request to its answer: single attempts under a timeout, retries, fallbacks."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from bakeoff.errors import BudgetExceeded, ProviderError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bakeoff.gateway._admission import Admission
    from bakeoff.gateway._counts import Counts
    from bakeoff.gateway._models import Call, Models
    from bakeoff.gateway._retry import RetryPolicy
    from bakeoff.gateway._transport import Transport
    from bakeoff.gateway._types import ModelRequest, ModelResponse

__all__ = ["GRACE_S", "Attempts"]

GRACE_S = 5.0
"""The transport has its own timeout; when that fails to fire, the gateway's ends the attempt."""
_NO_FALLBACK = frozenset({"budget", "bad_request", "content_filter", "cancelled"})


class Attempts:
    """Makes as many attempts as it takes, of the model that was asked and then of its fallbacks.

    Args:
        models: Prepares calls.
        admission: Lets each attempt in, and settles it.
        retry: Says whether and when to try again.
        counts: Where attempts in flight and fallbacks are counted.
        fallbacks: Models to ask instead, by model.
        timeout_s: Seconds one attempt may take.
    """

    def __init__(
        self,
        models: Models,
        admission: Admission,
        retry: RetryPolicy,
        counts: Counts,
        *,
        fallbacks: Mapping[str, Sequence[str]],
        timeout_s: float,
    ) -> None:
        self._models = models
        self._admission = admission
        self._retry = retry
        self._counts = counts
        self._fallbacks = fallbacks
        self._timeout_s = timeout_s
        self.transport: Transport | None = None
        """Who makes the attempts; set before the first."""

    async def answer(self, request: ModelRequest) -> ModelResponse:
        """Answer a request, if need be by a fallback.

        Raises:
            ProviderError: Every attempt failed; `kind` and `retryable` say how.
            BudgetExceeded: An attempt was not made because it could overshoot a hard budget.
        """
        call = self._models.prepare(request)
        try:
            return await self._retried(call)
        except ProviderError as error:
            fallbacks = self._fallbacks.get(request.model)
            if not fallbacks or error.kind in _NO_FALLBACK:
                raise
            failure = error
        attempts = call.attempts
        for name in fallbacks:
            call = self._models.prepare(replace(request, model=name, api_base=None, api_key_env=None))
            try:
                response = await self._retried(call)
            except ProviderError as error:
                attempts += call.attempts
                failure = error
                if error.kind in _NO_FALLBACK:
                    break
                continue
            self._counts.fallbacks += 1
            return replace(response, fallback_from=request.model, attempts=attempts + call.attempts)
        raise failure

    async def _retried(self, call: Call) -> ModelResponse:
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

    async def _attempt(self, call: Call) -> ModelResponse:
        held = await self._admission.admit(call)
        assert self.transport is not None
        call.attempts += 1
        call.probes += held.probe
        self._counts.sending += 1
        try:
            async with asyncio.timeout(self._timeout_s):
                response = await self.transport.send(call.request)
        except (Exception, asyncio.CancelledError) as cause:
            error = self._as_provider_error(call.request.model, cause)
            self._admission.settle_failure(call, held, error)
            if error is cause or isinstance(cause, asyncio.CancelledError):
                raise
            raise error from cause
        finally:
            self._counts.sending -= 1
        self._admission.settle_answer(call, held, response)
        return response

    def _as_provider_error(self, model: str, cause: BaseException) -> ProviderError:
        if isinstance(cause, ProviderError):
            return cause
        if isinstance(cause, TimeoutError):
            return ProviderError(
                f"model {model!r} did not answer within {self._timeout_s - GRACE_S:g} s"
                "\n    fix: raise limits.timeout_s, or ask for fewer tokens",
                kind="timeout",
                retryable=True,
            )
        if isinstance(cause, asyncio.CancelledError):
            return ProviderError("cancelled", kind="cancelled")
        return ProviderError(f"model {model!r}: {type(cause).__name__}: {cause}", kind="unknown")


def _with_note(error: ProviderError, note: str) -> ProviderError:
    """Return the same error with a note on why it was not tried again."""
    said, mark, fix = str(error).partition("\n    fix: ")
    return ProviderError(
        f"{said} ({note}){mark}{fix}",
        kind=error.kind,
        retryable=error.retryable,
        retry_after_s=error.retry_after_s,
        status=error.status,
    )
