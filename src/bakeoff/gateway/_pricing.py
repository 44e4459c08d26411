"""What a call costs, from the price map that LiteLLM brings along, read without importing LiteLLM.

The arithmetic follows LiteLLM's (`litellm_core_utils/llm_cost_calc/utils.py`) and is checked against
its `completion_cost` by the tests: cached, cache-writing, audio and reasoning tokens at their own
prices, prices by length of the input, service tiers. Discounts by time of day are not applied: the
standard price is an upper bound.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

import orjson

from bakeoff.gateway._litellm import bundled_file, litellm_version
from bakeoff.gateway._providers import is_local, split_model

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bakeoff.gateway._config import GatewaySpec, PriceSpec
    from bakeoff.gateway._types import Usage

__all__ = ["BATCH_PRICE", "Price", "Rates", "mode_of", "owner_of", "price_map_version", "price_of"]

BATCH_PRICE = 0.5
"""What a call in a batch costs, as a share of the live price: the same at every provider that is supported."""

_TIER_SUFFIX = {
    "flex": "_flex",
    "balanced": "_balanced",
    "priority": "_priority",
    "fast": "_priority",
    "ultrafast": "_ultrafast",
}
_THRESHOLD = re.compile(r"^(?:in|out)put_cost_per_token_above_(\d+)(k?)_tokens$")
_INCLUSIVE = frozenset({"xai"})
_MODES = frozenset({"chat", "completion", "responses", "embedding", "moderation"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """USD per token."""

    input: float
    output: float
    cached: float
    cache_write: float
    audio_input: float
    audio_output: float
    reasoning: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """Price of a model.

    Examples:
        >>> from bakeoff.gateway import GatewaySpec, Usage
        >>> price = price_of("openai/gpt-4o-mini", GatewaySpec())
        >>> round(price.cost(Usage(input_tokens=1_000_000, output_tokens=100_000)), 4)
        0.21
    """

    rates: Rates
    above: tuple[tuple[int, Rates], ...] = ()
    """Prices for inputs longer than so many tokens, longest first; they hold for the whole call."""
    inclusive: bool = False
    """Whether an input of exactly that length already pays the higher price."""
    source: str = "map"
    """`map` (LiteLLM's price map), `spec`, `sim`, or `local` (a model on your own machine is free)."""
    map_version: str = ""
    """Version and hash of the price map."""
    max_output_tokens: int | None = None
    """Longest answer the model can give; bounds a reservation when the request sets no limit."""
    max_input_tokens: int | None = None

    def rates_for(self, input_tokens: int) -> Rates:
        """Return the rates for an input of so many tokens."""
        for lower, rates in self.above:
            if input_tokens > lower or (self.inclusive and input_tokens == lower):
                return rates
        return self.rates

    def cost(
        self,
        usage: Usage,
        *,
        cache_write_tokens: int = 0,
        audio_output_tokens: int = 0,
    ) -> float:
        """Return what a call cost, in USD.

        Args:
            usage: `cached_tokens` and the audio tokens that are not output are parts of the input;
                `reasoning_tokens` is a part of the output.
            cache_write_tokens: Part of the input that the provider wrote to its prompt cache.
            audio_output_tokens: Part of `usage.audio_tokens` that the model spoke.
        """
        rates = self.rates_for(usage.input_tokens)
        audio_input = min(max(usage.audio_tokens - audio_output_tokens, 0), usage.input_tokens)
        cached = min(usage.cached_tokens, usage.input_tokens)
        text_input = max(usage.input_tokens - cached - cache_write_tokens - audio_input, 0)
        reasoning = min(usage.reasoning_tokens, usage.output_tokens)
        text_output = max(usage.output_tokens - reasoning - audio_output_tokens, 0)
        return (
            text_input * rates.input
            + cached * rates.cached
            + cache_write_tokens * rates.cache_write
            + audio_input * rates.audio_input
            + text_output * rates.output
            + reasoning * rates.reasoning
            + audio_output_tokens * rates.audio_output
        )

    def upper_bound(self, *, input_tokens: int, output_tokens: int) -> float:
        """Return the most that a call of this size can cost, in USD: no cache hit, the dearest rates that apply."""
        rates = self.rates_for(input_tokens)
        return input_tokens * max(rates.input, rates.cache_write) + output_tokens * max(rates.output, rates.reasoning)


@cache
def _map() -> tuple[dict[str, dict[str, Any]], str]:
    data = bundled_file("model_prices_and_context_window_backup.json").read_bytes()
    version = f"litellm-{litellm_version()}-{hashlib.sha256(data).hexdigest()[:12]}"
    return orjson.loads(data), version


def price_map_version() -> str:
    """Return the version of the bundled price map: LiteLLM's version and a hash of the file.

    Examples:
        >>> price_map_version().startswith("litellm-")
        True
    """
    return _map()[1]


def owner_of(model: str) -> str:
    """Return the provider of a model that the map lists by its bare name, or an empty string.

    Examples:
        >>> owner_of("gpt-4o-mini"), owner_of("nothing-of-that-name")
        ('openai', '')
    """
    entry = _map()[0].get(model)
    return "" if entry is None else str(entry.get("litellm_provider", ""))


def mode_of(model: str) -> str | None:
    """Return which API serves a model by the price map (`chat`, `responses`, `completion`), or None.

    Examples:
        >>> mode_of("openai/gpt-4o-mini"), mode_of("openai/my-own-model")
        ('chat', None)
    """
    found = _entry(model)
    return None if found is None else str(found[0].get("mode", "chat"))


def _number(entry: Mapping[str, Any], *names: str) -> float | None:
    for name in names:
        value = entry.get(name)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return float(value)
        if isinstance(value, str):
            try:
                return float(value)
            except ValueError:
                continue
    return None


def _rates(entry: Mapping[str, Any], above: str, tier: str, base: Rates | None = None) -> Rates:
    def rate(stem: str) -> float | None:
        return _number(entry, f"{stem}{above}{tier}", f"{stem}{above}") if tier else _number(entry, f"{stem}{above}")

    def first(value: float | None, fallback: float) -> float:
        return fallback if value is None else value

    input_rate = first(rate("input_cost_per_token"), 0.0 if base is None else base.input)
    output_rate = first(rate("output_cost_per_token"), 0.0 if base is None else base.output)
    own_cached = rate("cache_read_input_token_cost")
    own_write = rate("cache_creation_input_token_cost")
    if base is not None:  # a missing price above the threshold is the one below it
        own_cached = base.cached if own_cached is None else own_cached
        own_write = base.cache_write if own_write is None else own_write
    tiered = (f"input_cost_per_audio_token{tier}", "input_cost_per_audio_token")
    return Rates(
        input=input_rate,
        output=output_rate,
        cached=first(own_cached, input_rate),
        cache_write=first(own_write, input_rate),
        audio_input=first(_number(entry, *tiered), input_rate),
        audio_output=first(_number(entry, "output_cost_per_audio_token"), output_rate),
        reasoning=first(_number(entry, "output_cost_per_reasoning_token"), output_rate),
    )


def _tier_rates(tier: Mapping[str, Any], entry: Mapping[str, Any]) -> Rates:
    input_rate = _number(tier, "input_cost_per_token") or 0.0
    output_rate = _number(tier, "output_cost_per_token")
    if output_rate is None:
        output_rate = _number(entry, "output_cost_per_token") or 0.0
    cached = _number(tier, "cache_read_input_token_cost")
    write = _number(tier, "cache_creation_input_token_cost")
    reasoning = _number(tier, "output_cost_per_reasoning_token")
    return Rates(
        input=input_rate,
        output=output_rate,
        cached=input_rate if cached is None else cached,
        cache_write=input_rate if write is None else write,
        audio_input=input_rate,
        audio_output=output_rate,
        reasoning=output_rate if reasoning is None else reasoning,
    )


def _whole(value: object) -> int | None:
    return int(value) if isinstance(value, (int, float)) and value > 0 else None


def _price_of_entry(entry: Mapping[str, Any], provider: str, tier: str, version: str) -> Price | None:
    tiers = entry.get("tiered_pricing")
    above: list[tuple[int, Rates]] = []
    if isinstance(tiers, list) and tiers and all(isinstance(one.get("range"), list) for one in tiers):
        ordered = sorted(tiers, key=lambda one: float(one["range"][0]))
        base = _tier_rates(ordered[0], entry)
        above = [(int(one["range"][0]), _tier_rates(one, entry)) for one in ordered[1:]]
    elif _number(entry, "input_cost_per_token") is None or _number(entry, "output_cost_per_token") is None:
        return None
    else:
        base = _rates(entry, "", tier)
        marks = {match.groups() for name in entry if (match := _THRESHOLD.match(name))}
        steps = sorted((int(number) * (1000 if kilo else 1), number + kilo) for number, kilo in marks)
        for lower, label in steps:
            above.append((lower, _rates(entry, f"_above_{label}_tokens", tier, above[-1][1] if above else base)))
    return Price(
        rates=base,
        above=tuple(reversed(above)),
        inclusive=provider in _INCLUSIVE,
        map_version=version,
        max_output_tokens=_whole(entry.get("max_output_tokens") or entry.get("max_tokens")),
        max_input_tokens=_whole(entry.get("max_input_tokens")),
    )


def _entry(model: str) -> tuple[dict[str, Any], str] | None:
    prices, _ = _map()
    provider, name = split_model(model)
    for key in dict.fromkeys((model, f"{provider}/{name}", name)):
        entry = prices.get(key)
        if entry is None or entry.get("mode", "chat") not in _MODES:
            continue
        owner = str(entry.get("litellm_provider", ""))
        # A bare name only counts for the provider whose price it is: the same weights cost something else elsewhere.
        if key != name or "/" not in model or _same_provider(owner, provider):
            return entry, owner
    return None


def _same_provider(owner: str, provider: str) -> bool:
    if {owner, provider} == {"cohere", "cohere_chat"}:
        return True
    return owner == provider or owner.partition("-")[0] == provider


@lru_cache(maxsize=4096)
def _map_price(model: str, tier: str) -> Price | None:
    _, version = _map()
    found = _entry(model)
    return None if found is None else _price_of_entry(found[0], found[1], tier, version)


def _free(source: str) -> Price:
    return Price(
        rates=Rates(
            input=0.0, output=0.0, cached=0.0, cache_write=0.0, audio_input=0.0, audio_output=0.0, reasoning=0.0
        ),
        source=source,
    )


def _spec_price(spec: PriceSpec, *, source: str = "spec") -> Price:
    input_rate, output_rate = spec.input_usd / 1e6, spec.output_usd / 1e6
    cached = input_rate if spec.cached_input_usd is None else spec.cached_input_usd / 1e6
    return Price(
        rates=Rates(
            input=input_rate,
            output=output_rate,
            cached=cached,
            cache_write=input_rate,
            audio_input=input_rate,
            audio_output=output_rate,
            reasoning=output_rate,
        ),
        source=source,
    )


def price_of(
    model: str, gateway: GatewaySpec, *, api_base: str | None = None, params: Mapping[str, Any] | None = None
) -> Price | None:
    """Return the price of a model, or None when nobody has said it.

    A price in the spec (`gateway.prices`) comes first, then the price map, then zero for models on
    your own machine.

    Args:
        model: Model string.
        gateway: Holds prices of the spec.
        api_base: Where the model is served; a local address without a known price is free.
        params: `service_tier` selects another price where the map has one; `sim` may hold one for `sim/...`.
    """
    spec = gateway.prices.get(model)
    if spec is not None:
        return _spec_price(spec)
    params = params or {}
    if model.startswith("sim/"):
        from bakeoff.gateway._sim import sim_price

        return _spec_price(sim_price(model, params), source="sim")
    tier = params.get("service_tier")
    found = _map_price(model, _TIER_SUFFIX.get(tier.lower(), "") if isinstance(tier, str) else "")
    if found is None and is_local(model, api_base):
        return _free("local")
    return found
