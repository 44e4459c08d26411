"""The providers' batch APIs: many calls in one job, at half the price, answered within a day.

Requests are built and answers are read by the very code of the live route: its HTTP session is a tape, which first
takes down what would be posted, and later plays back what the batch holds for it.
"""

from __future__ import annotations

import os
from contextvars import ContextVar
from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING

import orjson
from typing_extensions import override

from bakeoff.errors import ProviderError
from bakeoff.gateway._batch_wire import AnthropicWire, BatchState, OpenAIWire, RawAnswer, Wire
from bakeoff.gateway._budget import Reservation
from bakeoff.gateway._errors import Secrets, from_status
from bakeoff.gateway._http import LARGEST_FILE, Call, HttpSession
from bakeoff.gateway._pricing import BATCH_PRICE
from bakeoff.gateway._providers import has_batches, split_model
from bakeoff.gateway._retry import RetryPolicy
from bakeoff.gateway._route_direct import DirectTransport
from bakeoff.gateway._wire_litellm import NotServedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from bakeoff.gateway._budget import Budget
    from bakeoff.gateway._config import GatewaySpec, LimitsSpec
    from bakeoff.gateway._types import ModelRequest, ModelResponse

__all__ = ["BatchLine", "Batches"]

_PROVIDERS: dict[str, type[OpenAIWire | AnthropicWire]] = {
    "anthropic": AnthropicWire,
    "groq": OpenAIWire,
    "openai": OpenAIWire,
}
_TRANSFER_S = 900.0
"""For one file, up or down."""
_playing: ContextVar[RawAnswer | None] = ContextVar("bakeoff_batch_answer", default=None)


class _CapturedError(ProviderError):
    """Carries the call that would have been made out of the live route."""

    def __init__(self, call: Call) -> None:
        super().__init__("captured")
        self.call = call


class _Tape(HttpSession):
    """Takes down the call, or plays back its answer."""

    @override
    async def post(self, call: Call) -> bytes:
        answer = _playing.get()
        if answer is None:
            raise _CapturedError(call)
        call.status, call.response_headers = answer.status, dict[str, str]()
        return answer.body


@dataclass(slots=True, kw_only=True)
class BatchLine:
    """One request of a batch."""

    custom_id: str
    request: ModelRequest
    url: str
    headers: Mapping[str, str]
    body: bytes
    """Empty once it is sent."""
    reservation: Reservation

    @property
    def group(self) -> tuple[str, str, tuple[tuple[str, str], ...]]:
        """What requests of one batch have in common: model, address and headers."""
        return self.request.model, self.url, tuple(sorted(self.headers.items()))


class Batches:
    """Creates batches, looks at them, and reads their answers. Get it from `Gateway.batches`.

    The response cache is left alone: it keeps what live calls cost and how long they took.

    Args:
        gateway: Holds prices.
        limits: Timeouts and attempts.
        env: Where keys are looked up; the process's when None.
        budget: Where calls are reserved and settled.
        size: Gives the upper estimate of a live call, in USD and tokens.
        on_answer: Told each answer that was charged.
    """

    def __init__(
        self,
        gateway: GatewaySpec,
        limits: LimitsSpec,
        *,
        env: Mapping[str, str] | None,
        budget: Budget,
        size: Callable[[ModelRequest], tuple[float, int]],
        on_answer: Callable[[ModelResponse], None],
    ) -> None:
        env = os.environ if env is None else env
        self._budget = budget
        self._size = size
        self._on_answer = on_answer
        self._secrets = Secrets(env)
        patient = limits.model_copy(update={"timeout_s": max(limits.timeout_s, _TRANSFER_S)})
        self._http = HttpSession(patient, secrets=self._secrets, most_bytes=LARGEST_FILE)
        self._route = DirectTransport(gateway, limits, env=env, http=_Tape(limits, secrets=self._secrets))
        self._retry = RetryPolicy(
            attempts=limits.attempts,
            share=limits.retry_budget,
            max_wait_s=limits.max_wait_s,
            rng=Random(),  # noqa: S311 - jitter, not a secret
        )

    async def aclose(self) -> None:
        """Close connections."""
        await self._http.aclose()

    async def line(self, custom_id: str, request: ModelRequest) -> BatchLine:
        """Build one request, without sending it.

        Raises:
            ProviderError: It cannot be built, its provider has no batches, or it has no price that a budget needs.
        """
        if not has_batches(request.model):
            raise ProviderError(f"{request.model!r} has no batch API that Bakeoff speaks", kind="bad_request")
        usd, tokens = self._size(request)
        try:
            await self._route.send(request)
        except _CapturedError as captured:
            call = captured.call
        except NotServedError:
            raise ProviderError(
                f"{request.model!r} was not called: this request cannot be put into a batch\n    fix: set `mode: live`",
                kind="bad_request",
            ) from None
        else:
            raise AssertionError("the tape answered a call that was never made")
        return BatchLine(
            custom_id=custom_id,
            request=request,
            url=call.url,
            headers=call.headers,
            body=self.wire(request.model, call.url, call.headers).line(custom_id, call.body),
            reservation=Reservation(request.variant, usd * BATCH_PRICE, tokens),
        )

    def wire(self, model: str, url: str, headers: Mapping[str, str]) -> Wire:
        """Return the protocol that a model's provider speaks."""
        kind = _PROVIDERS[split_model(model)[0]]
        return kind(self._http, model=model, url=url, headers=headers, secrets=self._secrets)

    def wire_of(self, line: BatchLine) -> Wire:
        """Return the protocol of a request's provider, with its address and key."""
        return self.wire(line.request.model, line.url, line.headers)

    def hold(self, lines: Sequence[BatchLine], *, force: bool = False) -> None:
        """Reserve the budget of all requests, or of none.

        Raises:
            BudgetExceeded: They do not fit, and `force` does not say that they are already on their way.
        """
        self._budget.hold_batch([line.reservation for line in lines], force=force)

    async def create(self, lines: Sequence[BatchLine], *, pause: Callable[[float], Awaitable[bool]]) -> tuple[str, str]:
        """Create a batch of requests of one group whose budget is held.

        Tried again only when the provider refused it (429): after anything else it may have been created.

        Args:
            lines: The requests.
            pause: Waits so many seconds; says False to give up.

        Returns:
            Ids of the batch and of its input file.

        Raises:
            ProviderError: It was not created; its budget is given back.
        """
        wire, attempt = self.wire_of(lines[0]), 0
        while True:
            attempt += 1
            try:
                return await wire.create([line.body for line in lines])
            except ProviderError as error:
                is_passing = error.kind == "rate_limit" and self._retry.refusal(error, attempt) is None
                if is_passing and await pause(self._retry.wait_s(error, attempt)):
                    continue
                for line in lines:
                    self._budget.cancel(line.reservation)
                raise

    async def answers(self, wire: Wire, state: BatchState) -> dict[str, RawAnswer]:
        """Fetch everything that an ended batch holds, by custom id.

        Raises:
            ProviderError: A file cannot be fetched or read.
        """
        found: dict[str, RawAnswer] = {}
        for address in state.files:
            found |= await wire.answers(address)
        return found

    def missing(self, batch_id: str, state: BatchState) -> RawAnswer:
        """Return what stands for a request of which an ended batch holds nothing."""
        text = f"the batch {batch_id} is {state.status} without an answer to this request"
        text += f": {state.reason}" if state.reason else ""
        return RawAnswer(status=0, body=self._secrets.redact(text).encode(), kind=state.kind)

    async def read(self, line: BatchLine, answer: RawAnswer) -> ModelResponse:
        """Read one answer and settle its budget.

        Raises:
            ProviderError: The request failed; it costs nothing.
        """
        model = line.request.model
        if not 200 <= answer.status < 300:
            self._budget.settle(line.reservation, usd=0.0, tokens=0.0)
            text = answer.body.decode("utf-8", "replace")
            if answer.status:
                raise from_status(answer.status, text, model=model, headers={}, secrets=self._secrets)
            raise ProviderError(f"{model!r}: {self._secrets.redact(text)[:600]}", kind=answer.kind, retryable=True)
        token = _playing.set(answer)
        try:
            response = await self._route.send(line.request)
        except ProviderError:  # answered, hence billed, but unreadable
            held = line.reservation
            self._budget.settle(held, usd=held.usd, tokens=held.tokens, confirmed=False)
            raise
        finally:
            _playing.reset(token)
        cost = response.cost_usd
        if cost is not None and not _says_cost(answer.body):
            cost *= BATCH_PRICE
        response = replace(response, route="batch", cost_usd=cost, latency_ms=0.0)
        used = response.usage.input_tokens + response.usage.output_tokens
        self._budget.settle(line.reservation, usd=cost or 0.0, tokens=used)
        self._on_answer(response)
        return response


def _says_cost(body: bytes) -> bool:
    """Whether the provider sends the bill along: then the discount is already in it."""
    if b'"cost"' not in body:
        return False
    data = orjson.loads(body)
    usage = data.get("usage") if isinstance(data, dict) else None
    said = usage.get("cost") if isinstance(usage, dict) else None
    return isinstance(said, int | float) and not isinstance(said, bool) and said > 0
