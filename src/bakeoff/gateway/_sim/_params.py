"""The names and knobs of simulated models."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, NonNegativeInt, ValidationError, field_validator

from bakeoff.errors import SpecError, SpecProblem
from bakeoff.gateway._config import PriceSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["SIM_MODELS", "SimParams", "is_simulated", "sim_params", "sim_price", "tier_of"]

_Rate = Annotated[float, Field(ge=0, le=1)]
Behaviour = Literal["echo", "canned", "rules", "skilled", "judge"]


class _Knobs(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SimErrors(_Knobs):
    """Share of attempts that fail in each way; drawn anew for each attempt."""

    rate_limit: _Rate = 0.0
    """HTTP 429 with Retry-After."""
    server: _Rate = 0.0
    """HTTP 500."""
    timeout: _Rate = 0.0
    """No answer for `hang_s` seconds, then a timeout."""
    connection: _Rate = 0.0
    cut_stream: _Rate = 0.0
    """The answer stops in the middle."""
    malformed: _Rate = 0.0
    """A body that is not JSON."""


class SimRule(_Knobs):
    """One rule of `sim/rules`: the first whose pattern is found in the last user message answers."""

    match: str
    """Regular expression."""
    answer: str
    r"""Answer; `\1` and `\g<name>` stand for groups of the match."""
    ignore_case: bool = True

    @field_validator("match")
    @classmethod
    def _compiles(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"{value!r} is not a regular expression: {error}") from None
        return value


class SimToolCall(_Knobs):
    """One scripted tool call."""

    name: str
    arguments: dict[str, Any] = Field(default_factory=dict)


class SimParams(_Knobs):
    """What the `sim` parameter of a simulated model may hold."""

    seed: int = 0
    skill: _Rate | None = None
    """Share of correct answers on every item alike, instead of the tier's ability."""
    item_correlation: Annotated[float, Field(ge=0, le=0.999)] = 0.6
    """How much of the luck lies in the item: what makes two variants fail on the same items."""
    answers: dict[str, str | list[str]] = Field(default_factory=dict)
    """`sim/canned`: by item id; `*` for any other. A list is answered by repeat."""
    rules: tuple[SimRule, ...] = ()
    default: str = "I am not sure."
    """What `sim/rules` and `sim/canned` say when nothing fits."""
    template: str | None = None
    """Wrap every answer, for instance `The answer is {answer}.`"""
    tool_calls: tuple[tuple[SimToolCall, ...], ...] = ()
    """Scripted tool calls by turn; after the last turn the model answers in words."""
    latency_ms: NonNegativeFloat | None = None
    """Median time to the first token; 0 answers at once. The tier's when omitted."""
    latency_sigma: NonNegativeFloat = 0.35
    """Spread of the log of the latency: 0.35 puts 95% within a factor of two."""
    ms_per_token: NonNegativeFloat | None = None
    time_scale: NonNegativeFloat = 1.0
    """Factor on real sleeping; 0 reports the latency without waiting for it."""
    output_tokens: NonNegativeInt | None = None
    """Report so many output tokens instead of counting the answer."""
    reasoning_tokens: NonNegativeInt = 0
    price: PriceSpec | None = None
    errors: SimErrors = SimErrors()
    retry_after_s: NonNegativeFloat = 0.5
    hang_s: NonNegativeFloat = 2.0


class _Tier(_Knobs):
    behaviour: Behaviour
    ability: float = 0.0
    """Logit of the chance to answer an item of middling difficulty, before what the prompt adds."""
    latency_ms: float = 0.0
    ms_per_token: float = 0.0
    price: PriceSpec = PriceSpec(input_usd=0, output_usd=0)


SIM_MODELS: dict[str, _Tier] = {
    "sim/echo": _Tier(behaviour="echo"),
    "sim/canned": _Tier(behaviour="canned"),
    "sim/rules": _Tier(behaviour="rules"),
    "sim/small": _Tier(
        behaviour="skilled",
        ability=0.1,
        latency_ms=60,
        ms_per_token=1,
        price=PriceSpec(input_usd=0.15, output_usd=0.60, cached_input_usd=0.075),
    ),
    "sim/medium": _Tier(
        behaviour="skilled",
        ability=0.9,
        latency_ms=120,
        ms_per_token=2,
        price=PriceSpec(input_usd=1.0, output_usd=4.0, cached_input_usd=0.5),
    ),
    "sim/large": _Tier(
        behaviour="skilled",
        ability=1.7,
        latency_ms=240,
        ms_per_token=4,
        price=PriceSpec(input_usd=5.0, output_usd=20.0, cached_input_usd=2.5),
    ),
    "sim/judge": _Tier(
        behaviour="judge",
        ability=1.7,
        latency_ms=120,
        ms_per_token=2,
        price=PriceSpec(input_usd=1.0, output_usd=4.0, cached_input_usd=0.5),
    ),
}
"""Every simulated model: what it does, how able it is, how fast, and what it pretends to cost."""


def is_simulated(model: str) -> bool:
    """Tell whether a model string names a simulated model, so that a report can say so.

    Examples:
        >>> is_simulated("sim/small"), is_simulated("openai/gpt-5-mini")
        (True, False)
    """
    return model.startswith("sim/")


def tier_of(model: str) -> _Tier:
    """Return what a simulated model is.

    Raises:
        SpecError: There is no simulated model of that name.
    """
    tier = SIM_MODELS.get(model)
    if tier is None:
        known = ", ".join(SIM_MODELS)
        raise SpecError([SpecProblem(f"{model!r} is not a simulated model", fix=f"use one of {known}")])
    return tier


def sim_params(model: str, params: Mapping[str, Any]) -> SimParams:
    """Check and read the `sim` parameter of a simulated model.

    Raises:
        SpecError: The model or a knob is unknown, or a value is out of range; all problems at once.

    Examples:
        >>> sim_params("sim/small", {"temperature": 0, "sim": {"skill": 0.9}}).skill
        0.9
    """
    tier_of(model)
    return _parse(model, orjson.dumps(params.get("sim") or {}, option=orjson.OPT_NON_STR_KEYS, default=str))


@lru_cache(maxsize=512)
def _parse(model: str, knobs: bytes) -> SimParams:
    try:
        return SimParams.model_validate_json(knobs)
    except ValidationError as error:
        raise SpecError(
            [
                SpecProblem(
                    f"{one['msg']}, got {one['input']!r}",
                    key=".".join(("params", "sim", *map(str, one["loc"]))),
                    fix=f"see the knobs of {model} in docs/simulated-models.md: {', '.join(SimParams.model_fields)}",
                )
                for one in error.errors(include_url=False)
            ]
        ) from None


def sim_price(model: str, params: Mapping[str, Any]) -> PriceSpec:
    """Return the price that a simulated model pretends to have.

    Examples:
        >>> sim_price("sim/large", {}).output_usd, sim_price("sim/echo", {}).input_usd
        (20.0, 0.0)
    """
    return sim_params(model, params).price or tier_of(model).price
