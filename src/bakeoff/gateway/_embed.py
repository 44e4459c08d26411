"""Embeddings through the same door as chat calls: cache by text, limits, budget, breaker, retries.

A batch of texts travels as a `ModelRequest` of a kind of its own, and its vectors as the text of the answer; so what
the gateway does around single attempts needs to know nothing of embeddings.
"""

from __future__ import annotations

import asyncio
import base64
import re
import time
import zlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import orjson

from bakeoff.errors import ProviderError
from bakeoff.gateway._cache_key import cache_key
from bakeoff.gateway._types import ModelRequest, ModelResponse, Usage

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from bakeoff.gateway._cache import ResponseCache
    from bakeoff.gateway._config import GatewaySpec
    from bakeoff.gateway._errors import Secrets
    from bakeoff.gateway._http import Call, HttpSession
    from bakeoff.gateway._types import Purpose

__all__ = [
    "EmbedRequest",
    "EmbeddingClient",
    "Embeddings",
    "direct_call",
    "embed_by_litellm",
    "embed_direct",
    "embed_texts",
    "embedding_calls",
    "is_direct",
]

_BATCH_TEXTS = 64
_BATCH_CHARS = 100_000
_DIRECT = frozenset({"openai", "hosted_vllm", "mistral"})
_SIM_DIMENSIONS = 512


@runtime_checkable
class EmbeddingClient(Protocol):
    """A client that can embed texts, as the gateway can."""

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
    ) -> Embeddings: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedRequest(ModelRequest):
    """Texts to embed: one message with the role `embed` for each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Embeddings:
    """Vectors of texts, with what they took."""

    vectors: NDArray[np.float64]
    """Shape (texts, dimensions), as the provider gave them."""
    model: str
    usage: Usage = field(default_factory=Usage)
    """Of the calls made now."""
    cost_usd: float | None = None
    """Of the calls made now; `None` when no price is known, 0.0 when all came from the cache."""
    n_cached: int = 0
    """How many of the different texts were embedded before."""
    paid_usage: Usage = field(default_factory=Usage)
    """Of the calls that embedded these texts, now or when they were paid for: the same in a rerun from the cache."""
    paid_usd: float | None = None
    """Cost of `paid_usage`; `None` when a price is not known."""
    latency_ms: float = 0.0
    """Of the slowest of those calls."""


async def embed_texts(
    texts: Sequence[str],
    template: EmbedRequest,
    *,
    cache: ResponseCache | None,
    refresh: bool,
    answer: Callable[[ModelRequest], Awaitable[ModelResponse]],
) -> Embeddings:
    """Embed texts: each different text once, those in the cache not at all, the others in batches.

    Args:
        texts: What to embed.
        template: Model, address and parameters, without messages.
        cache: Where vectors are kept by text.
        refresh: Ask again for what the cache holds.
        answer: Makes one call with limits, budget and retries.

    Raises:
        ProviderError: A text is blank, or a call failed.
    """
    import numpy as np

    for index, text in enumerate(texts):
        if not text.strip():
            raise ProviderError(f"text {index + 1} of {len(texts)} is blank; nothing to embed", kind="bad_request")
    wanted = list(dict.fromkeys(texts))
    if template.model.startswith("sim/"):
        found = {text: _hashed(text) for text in wanted}
        took = Embeddings(vectors=np.zeros((0, 0)), model=template.model, cost_usd=0.0, paid_usd=0.0)
    else:
        found, took = await _ask(wanted, template, cache=cache, refresh=refresh, answer=answer)
    sizes = {len(vector) for vector in found.values()}
    if len(sizes) > 1:
        raise ProviderError(
            f"{template.model!r} gave vectors of different lengths {sorted(sizes)}", kind="bad_response"
        )
    vectors = np.asarray([found[text] for text in texts], dtype=np.float64).reshape(
        len(texts), sizes.pop() if sizes else 0
    )
    return replace(took, vectors=vectors)


async def _ask(
    wanted: list[str],
    template: EmbedRequest,
    *,
    cache: ResponseCache | None,
    refresh: bool,
    answer: Callable[[ModelRequest], Awaitable[ModelResponse]],
) -> tuple[dict[str, list[float]], Embeddings]:
    """Return the vectors by text, and what they took."""
    import numpy as np

    keys = {text: cache_key(_request(template, [text])) for text in wanted} if cache is not None else {}
    found: dict[str, list[float]] = {}
    paid: list[ModelResponse] = []
    for text, key in keys.items():
        hit = cache.get(key) if cache is not None and key is not None and not refresh else None
        if hit is not None:
            (found[text],) = decode_vectors(hit.text)
            paid.append(hit)
    n_cached, model = len(found), template.model
    batches = _batches([text for text in wanted if text not in found])
    responses = await asyncio.gather(*(answer(_request(template, batch)) for batch in batches))
    for batch, response in zip(batches, responses, strict=True):
        model = response.model
        vectors = decode_vectors(response.text)
        for text, vector, share in zip(batch, vectors, _shares(batch), strict=True):
            found[text] = vector
            key = keys.get(text)
            if cache is not None and key is not None and response.fallback_from is None:
                one = replace(
                    response,
                    text=encode_vectors([vector]),
                    usage=Usage(input_tokens=round(response.usage.input_tokens * share), estimated=share < 1),
                    cost_usd=None if response.cost_usd is None else response.cost_usd * share,
                    rate_limit={},
                )
                cache.put(key, one, model=template.model)
    paid += responses
    return found, Embeddings(
        vectors=np.zeros((0, 0)),
        model=model,
        usage=Usage(input_tokens=_tokens(responses)),
        cost_usd=_sum_usd(responses),
        n_cached=n_cached,
        paid_usage=Usage(input_tokens=_tokens(paid), estimated=any(one.usage.estimated for one in paid)),
        paid_usd=_sum_usd(paid),
        latency_ms=max((one.latency_ms for one in paid), default=0.0),
    )


def _shares(batch: Sequence[str]) -> list[float]:
    """Return the share of a call that each of its texts stands for: by length, for tokens are not told by text."""
    total = sum(map(len, batch))
    return [len(text) / total for text in batch]


def _tokens(responses: Sequence[ModelResponse]) -> int:
    return sum(response.usage.input_tokens for response in responses)


def _sum_usd(responses: Sequence[ModelResponse]) -> float | None:
    costs = [response.cost_usd for response in responses]
    return None if any(cost is None for cost in costs) else float(sum(cost or 0.0 for cost in costs))


def _request(template: EmbedRequest, texts: Sequence[str]) -> EmbedRequest:
    # An embedding has no output; the limit keeps budgets from reserving for one.
    messages = [{"role": "embed", "content": text} for text in texts]
    return replace(template, messages=messages, params={**template.params, "max_tokens": 1})


def embedding_calls(texts: Sequence[str]) -> int:
    """Return how many calls it takes to embed texts, each different text once.

    Examples:
        >>> embedding_calls(["a", "b", "a"]), embedding_calls([str(n) for n in range(100)])
        (1, 2)
    """
    return len(_batches(list(dict.fromkeys(texts))))


def _batches(texts: Sequence[str]) -> list[list[str]]:
    batches: list[list[str]] = []
    size = 0
    for text in texts:
        if not batches or len(batches[-1]) >= _BATCH_TEXTS or size + len(text) > _BATCH_CHARS:
            batches.append([])
            size = 0
        batches[-1].append(text)
        size += len(text)
    return batches


def encode_vectors(vectors: Sequence[Sequence[float]]) -> str:
    """Write vectors as lines of base64 in single precision, which is what providers compute in."""
    import numpy as np

    return "\n".join(base64.b64encode(np.asarray(vector, dtype="<f4").tobytes()).decode() for vector in vectors)


def decode_vectors(text: str) -> list[list[float]]:
    """Read what `encode_vectors` wrote.

    Examples:
        >>> decode_vectors(encode_vectors([[0.5, -1.0], [0.0, 2.0]]))
        [[0.5, -1.0], [0.0, 2.0]]
    """
    import numpy as np

    return [np.frombuffer(base64.b64decode(line), dtype="<f4").tolist() for line in text.split("\n")]


def _hashed(text: str) -> list[float]:
    """Embed without a model, for `sim/...`: counts of hashed character trigrams."""
    vector = [0.0] * _SIM_DIMENSIONS
    for word in re.findall(r"\w+", text.casefold()) or [text]:
        framed = f"<{word}>"
        for at in range(max(len(framed) - 2, 1)):
            vector[zlib.crc32(framed[at : at + 3].encode("utf-8", "replace")) % _SIM_DIMENSIONS] += 1.0
    return vector


def is_direct(model: str) -> bool:
    """Tell whether a provider's embeddings are called without LiteLLM.

    Examples:
        >>> is_direct("openai/text-embedding-3-small"), is_direct("cohere/embed-v4.0")
        (True, False)
    """
    from bakeoff.gateway._providers import split_model

    return "/" in model and split_model(model)[0] in _DIRECT


async def embed_direct(
    request: ModelRequest, http: HttpSession, *, gateway: GatewaySpec, env: Mapping[str, str], secrets: Secrets
) -> ModelResponse:
    """Make one attempt at `/embeddings` of an OpenAI-compatible provider.

    Raises:
        ProviderError: The call failed, or its answer cannot be read.
    """
    from bakeoff.gateway._errors import bad_response, rate_limit_headers
    from bakeoff.gateway._providers import split_model

    body: dict[str, Any] = {
        **_params(request),
        "model": split_model(request.model)[1],
        "input": [message["content"] for message in request.messages],
        "encoding_format": "float",
    }
    if split_model(request.model)[0] == "mistral":
        del body["encoding_format"]
    call = direct_call(request, "embeddings", body, env=env)
    answer = await http.post(call)
    try:
        data = orjson.loads(answer)
        vectors = _vectors(data, len(request.messages))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        start = answer[:400].decode("utf-8", "replace")
        what = f"embeddings that cannot be read ({error})"
        raise bad_response(request.model, what, start, secrets, status=call.status) from None
    return _response(
        request, data, vectors, gateway=gateway, route="direct", started=call.started,
        rate_limit=rate_limit_headers(call.response_headers or {}),
    )  # fmt: skip


def direct_call(request: ModelRequest, endpoint: str, body: Mapping[str, Any], *, env: Mapping[str, str]) -> Call:
    """Write one POST to an endpoint of an OpenAI-compatible provider.

    Raises:
        ProviderError: The address or the key is missing.
    """
    from bakeoff.gateway._http import Call
    from bakeoff.gateway._providers import sent_headers
    from bakeoff.gateway._route_litellm import call_arguments
    from bakeoff.gateway._wire_openai import provider_address

    arguments = call_arguments(request, env=env, timeout_s=0.0)  # says what is missing, as for a chat call
    base = provider_address(request, env)
    headers = {
        "Content-Type": "application/json",
        "Accept": "application/json",
        "Authorization": f"Bearer {arguments.get('api_key') or 'none'}",
        **sent_headers(request.model, request.headers, env),
    }
    return Call(request.model, f"{base.rstrip('/')}/{endpoint}", headers, _dumps(body))


async def embed_by_litellm(
    request: ModelRequest, *, gateway: GatewaySpec, env: Mapping[str, str], secrets: Secrets, timeout_s: float
) -> ModelResponse:
    """Make one attempt through `litellm.aembedding`.

    Raises:
        ProviderError: The call failed, or its answer cannot be read.
    """
    from bakeoff.gateway._errors import bad_response, from_litellm, timeout_error
    from bakeoff.gateway._litellm import load_litellm
    from bakeoff.gateway._route_litellm import call_arguments

    arguments = call_arguments(request, env=env, timeout_s=timeout_s)
    for name in ("messages", "max_tokens", "_skip_mcp_handler"):
        arguments.pop(name, None)
    litellm = await asyncio.to_thread(load_litellm)
    started = time.perf_counter()
    try:
        async with asyncio.timeout(timeout_s):
            answer: Any = await litellm.aembedding(
                input=[message["content"] for message in request.messages], **arguments
            )
            data = answer.model_dump()
    except TimeoutError:
        raise timeout_error(request.model, "complete answer", timeout_s) from None
    except Exception as error:  # noqa: BLE001 - LiteLLM raises classes of many libraries
        raise from_litellm(error, model=request.model, secrets=secrets, timeout_s=timeout_s) from None
    try:
        vectors = _vectors(data, len(request.messages))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise bad_response(request.model, f"embeddings that cannot be read ({error})", "", secrets) from None
    return _response(request, data, vectors, gateway=gateway, route="litellm", started=started, rate_limit={})


def _params(request: ModelRequest) -> dict[str, Any]:
    return {name: value for name, value in request.params.items() if name not in ("max_tokens", "sim")}


def _dumps(body: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(body)
    except TypeError:  # lone surrogates
        given = body["input"]
        texts = [given] if isinstance(given, str) else given
        clean = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
        return orjson.dumps({**body, "input": clean[0] if isinstance(given, str) else clean})


def _vectors(data: Any, n: int) -> list[list[float]]:
    """Read vectors in the order of the texts.

    Raises:
        ValueError: One is missing, empty, or holds something that is no finite number.
    """
    import numpy as np

    rows = data["data"]
    if len(rows) != n:
        raise ValueError(f"{len(rows)} vectors for {n} texts")
    placed: dict[int, list[float]] = {}
    for position, row in enumerate(rows):
        index = row.get("index")
        vector = np.asarray(row["embedding"], dtype=np.float64)
        if vector.ndim != 1 or vector.size == 0 or not np.isfinite(vector).all():
            raise ValueError(f"vector {position + 1} is empty or not finite")
        placed[position if index is None else int(index)] = vector.tolist()
    if sorted(placed) != list(range(n)):
        raise ValueError("the indices are not those of the texts")
    return [placed[index] for index in range(n)]


def _response(
    request: ModelRequest,
    data: Mapping[str, Any],
    vectors: list[list[float]],
    *,
    gateway: GatewaySpec,
    route: Any,
    started: float,
    rate_limit: Mapping[str, str],
) -> ModelResponse:
    from bakeoff.gateway._pricing import price_of
    from bakeoff.gateway._tokens import estimate_tokens

    said = (data.get("usage") or {}).get("prompt_tokens")
    known = isinstance(said, int) and not isinstance(said, bool) and said >= 0
    usage = Usage(input_tokens=said if known else estimate_tokens(request), estimated=not known)
    price = price_of(request.model, gateway, api_base=request.api_base, params=request.params)
    return ModelResponse(
        text=encode_vectors(vectors),
        model=str(data.get("model") or request.model),
        usage=usage,
        cost_usd=None if price is None else price.cost(usage),
        latency_ms=(time.perf_counter() - started) * 1e3,
        route=route,
        rate_limit=rate_limit,
    )
