"""Look before you pay: trials, calls, tokens, USD, minutes, and the smallest difference the run can show."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan
from typing import TYPE_CHECKING, Any

from bakeoff.errors import BakeoffError
from bakeoff.experiments.plan._judging import SIMULATED_MS, JudgeForecast, forecast_judges, unforecast
from bakeoff.experiments.plan._power import forecast_power
from bakeoff.experiments.spec._data_notes import data_notes
from bakeoff.experiments.spec._variants import chosen_cells
from bakeoff.gateway import (
    BATCH_PRICE,
    ModelRequest,
    ModelResponse,
    Usage,
    embedding_calls,
    estimate_text_tokens,
    estimate_tokens,
    price_of,
)
from bakeoff.targets import PromptTarget

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bakeoff.datasets import Item
    from bakeoff.experiments.spec._load import Experiment
    from bakeoff.experiments.store._store import LocalStore
    from bakeoff.targets import ModelSpec, ResolvedAgent, VariantTarget

__all__ = ["Plan", "VariantForecast", "plan_run"]

_SAMPLE = 200
_MOST_ALIASES = 6
_OUTPUT_TOKENS = 250
_MS_PER_OUTPUT_TOKEN = 12.0
_MS_FIRST_TOKEN = 400.0
_SIMULATED_TOKENS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantForecast:
    """What one variant is expected to take."""

    variant: str
    kind: str
    model: str | None
    calls: int
    input_tokens: int
    output_tokens: int
    cost_usd: float
    """`nan` when the price of the model is not known; 0 when nothing is called."""
    latency_ms: float
    """Of one call, expected."""
    basis: str
    """Where the output length and latency come from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a run is expected to take and to show."""

    name: str
    n_items: int
    repeats: int
    n_variants: int
    trials: int
    calls: int
    input_tokens: int
    output_tokens: int
    cost_usd: float
    minutes: float
    concurrency: int
    variants: tuple[VariantForecast, ...]
    detectable: float
    """Smallest difference of the primary metric that the run shows with the wanted power."""
    sentence: str
    """What the run can and cannot show, in words."""
    warnings: tuple[str, ...]
    more: tuple[str, ...] = ()
    """What its margin and its gate rules will and will not show, one sentence each."""
    judges: tuple[JudgeForecast, ...] = ()
    """What judging is expected to take; part of the sums."""
    pilot: str = ""
    """Id of the earlier run from which the spread is known; empty when it is assumed."""


def plan_run(experiment: Experiment, *, store: LocalStore | None = None, pilot: str | None = None) -> Plan:
    """Forecast a run without calling anything.

    Input tokens are counted on up to 200 rendered items; output length and latency come from earlier runs of the same
    model in the store, else from `max_tokens` and typical values; the detectable difference is that of the very test,
    looks and correction that the comparison will use, with the spread of an earlier run where there is one.

    Args:
        experiment: What is planned.
        store: Where earlier runs are.
        pilot: Run to learn the spread of scores from; the newest complete run of this experiment when omitted.

    Raises:
        StoreError: There is no such run.
        SpecError: The pilot has no usable scores of the primary metric.
    """
    spec = experiment.spec
    sample = experiment.dataset.head(_SAMPLE)
    history = _History(store)
    forecasts = tuple(_forecast(experiment, variant, sample, history) for variant in experiment.variants.values())
    n_items = len(experiment.dataset)
    trials = n_items * spec.repeats * len(experiment.variants)
    corpora = _corpora(experiment)
    answered = [forecast.output_tokens / forecast.calls for forecast in forecasts if forecast.calls]
    judges = forecast_judges(
        experiment, sample, answer_tokens=sum(answered) / len(answered) if any(answered) else _OUTPUT_TOKENS
    )
    asked: tuple[VariantForecast | JudgeForecast, ...] = (*forecasts, *judges)
    busy_ms = sum(forecast.calls * forecast.latency_ms for forecast in asked)
    minutes = max(busy_ms / 60_000 / spec.limits.concurrency, _limited_minutes(experiment, asked))
    warnings = [_unpriced(asked), _over_budget(experiment, asked, minutes)]
    if unknown := unforecast(experiment, judges):
        warnings.append(f"What these evaluators ask of models is not in the forecast: {', '.join(unknown)}.")
    warnings += [f"{note[0].upper()}{note[1:]}." for note in data_notes(experiment)]
    power = forecast_power(experiment, sample, store=store, pilot=pilot)
    return Plan(
        name=spec.name,
        n_items=n_items,
        repeats=spec.repeats,
        n_variants=len(experiment.variants),
        trials=trials,
        calls=sum(forecast.calls for forecast in asked) + corpora.calls,
        input_tokens=sum(forecast.input_tokens for forecast in asked) + corpora.tokens,
        output_tokens=sum(forecast.output_tokens for forecast in asked),
        cost_usd=sum(forecast.cost_usd for forecast in asked) + corpora.cost_usd,
        minutes=minutes,
        concurrency=spec.limits.concurrency,
        variants=forecasts,
        judges=judges,
        detectable=power.detectable,
        sentence=power.sentence,
        more=(*_cell_words(experiment), *corpora.words, *power.more),
        pilot=power.pilot,
        warnings=tuple(warning for warning in warnings if warning),
    )


def _cell_words(experiment: Experiment) -> tuple[str, ...]:
    """Say what a fraction of the cross cannot tell apart."""
    cells = chosen_cells(experiment.spec)
    if cells is None:
        return ()
    hidden = len(cells.aliases) - _MOST_ALIASES
    more = (f"(and {hidden} more such pairs)",) if hidden > 0 else ()
    return (cells.sentence, *cells.aliases[:_MOST_ALIASES], *more)


@dataclass(frozen=True, slots=True)
class _Corpora:
    """What embedding the corpora takes: once for a run, and on no variant's account."""

    calls: int
    tokens: int
    cost_usd: float
    words: tuple[str, ...]


def _corpora(experiment: Experiment) -> _Corpora:
    found = [agent.corpus_embedding() for v in experiment.variants.values() if (agent := v.agent) is not None]
    shared = {id(one[0]): one for one in found if one is not None}
    calls = tokens = 0
    cost = 0.0
    words: list[str] = []
    for _, model, texts in shared.values():
        asked, read = embedding_calls(texts), sum(estimate_text_tokens(text) for text in texts)
        usd = _embedding_usd(experiment, model, read)
        calls, tokens, cost = calls + asked, tokens + read, cost + usd
        price = "at a price that is not known" if usd != usd else f"${usd:.2g}"
        words.append(
            f"Embedding {len(texts):,} passages with {model.model}: {asked:,} call{'s' if asked > 1 else ''}, "
            f"{read:,} tokens, {price}; once, unless the cache or the store has them."
        )
    return _Corpora(calls, tokens, cost, tuple(words))


def _embedding_usd(experiment: Experiment, model: ModelSpec, tokens: float) -> float:
    if model.model.startswith("sim/"):
        return 0.0
    price = price_of(model.model, experiment.spec.gateway, api_base=model.api_base)
    return nan if price is None else price.cost(Usage(input_tokens=round(tokens), estimated=True))


class _NoClient:
    async def complete(self, request: ModelRequest) -> ModelResponse:
        raise AssertionError(f"a plan calls nothing, not even {request.model}")


class _History:
    """Mean output length and median latency by model, from the newest run that used it."""

    def __init__(self, store: LocalStore | None) -> None:
        self._store = store
        self._known: dict[str, tuple[float, float] | None] = {}

    def of(self, model: str) -> tuple[float, float] | None:
        if model not in self._known:
            self._known[model] = self._look(model)
        return self._known[model]

    def _look(self, model: str) -> tuple[float, float] | None:
        import numpy as np

        for manifest in self._store.runs()[:50] if self._store is not None else []:
            variants = [variant.name for variant in manifest.variants if variant.model == model]
            if not variants or manifest.status not in ("complete", "partial") or self._store is None:
                continue
            columns = ["variant", "output_tokens", "latency_ms", "cached"]
            rows = self._store.trials(manifest.run_id, columns=columns).to_pylist()
            fresh = [row for row in rows if row["variant"] in variants and not row["cached"]]
            tokens = [row["output_tokens"] for row in fresh if row["output_tokens"]]
            latency = [row["latency_ms"] for row in fresh if row["latency_ms"] is not None]
            if len(tokens) >= 5 and len(latency) >= 5:
                return float(np.mean(tokens)), float(np.median(latency))
        return None


def _forecast(
    experiment: Experiment, variant: VariantTarget, sample: Sequence[Item], history: _History
) -> VariantForecast:
    calls = len(experiment.dataset) * experiment.spec.repeats
    if variant.agent is not None:
        return _forecast_agent(experiment, variant, variant.agent, sample, history)
    if variant.prompt is None or variant.model is None:
        called = 0 if variant.spec.kind == "recorded" else calls
        return VariantForecast(
            variant=variant.name,
            kind=variant.spec.kind,
            model=None,
            calls=called,
            input_tokens=0,
            output_tokens=0,
            cost_usd=0.0,
            latency_ms=0.0 if not called else 1000.0,
            basis="nothing is called" if not called else "cost unknown to Bakeoff; 1 s a call assumed",
        )
    target = PromptTarget(
        prompt=variant.prompt,
        model=variant.model,
        params=variant.params,
        template_values=variant.template_values,
        client=_NoClient(),
        variant=variant.name,
    )
    counted: list[int] = []
    for item in sample:
        try:
            counted.append(estimate_tokens(target.request(item, repeat=0)))
        except BakeoffError:
            continue  # the trial will fail and say why
    per_call = sum(counted) / len(counted) if counted else 0.0
    limit = variant.params.get("max_completion_tokens") or variant.params.get("max_tokens")
    known = history.of(variant.model.model)
    if known is not None:
        output, latency_ms, basis = known[0], known[1], "earlier runs of this model"
    else:
        output = float(min(int(limit), _OUTPUT_TOKENS)) if isinstance(limit, int | float) else float(_OUTPUT_TOKENS)
        latency_ms = _MS_FIRST_TOKEN + output * _MS_PER_OUTPUT_TOKEN
        basis = "assumed length and speed: no earlier run of this model"
        if variant.model.model.startswith("sim/"):
            knobs = variant.params.get("sim") or {}
            latency_ms = float(knobs.get("latency_ms", SIMULATED_MS)) * float(knobs.get("time_scale", 1.0))
            output, basis = float(knobs.get("output_tokens", _SIMULATED_TOKENS)), "simulated model"
    price = price_of(variant.model.model, experiment.spec.gateway)
    share = BATCH_PRICE if experiment.spec.gateway.mode == "batch" else 1.0
    usage = Usage(input_tokens=round(per_call), output_tokens=round(output), estimated=True)
    return VariantForecast(
        variant=variant.name,
        kind="prompt",
        model=variant.model.model,
        calls=calls,
        input_tokens=round(per_call * calls),
        output_tokens=round(output * calls),
        cost_usd=nan if price is None else price.cost(usage) * calls * share,
        latency_ms=latency_ms,
        basis=basis,
    )


def _forecast_agent(
    experiment: Experiment, variant: VariantTarget, agent: ResolvedAgent, sample: Sequence[Item], history: _History
) -> VariantForecast:
    """Add up the calls of an agent by model; the time is that of all its calls, one after the other."""
    trials = len(experiment.dataset) * experiment.spec.repeats
    read = sample[:20]
    calls = tokens = output = cost = busy_ms = 0.0
    for item in read:
        for model, count, input_tokens in agent.forecast(item):
            params = model.call_params()
            limit = params.get("max_completion_tokens") or params.get("max_tokens")
            words, latency_ms = history.of(model.model) or _assumed(model.model, params, limit)
            price = price_of(model.model, experiment.spec.gateway, api_base=model.api_base, params=params)
            usage = Usage(input_tokens=round(input_tokens), output_tokens=round(words * count), estimated=True)
            cost += nan if price is None else price.cost(usage)
            calls, tokens, output = calls + count, tokens + input_tokens, output + words * count
            busy_ms += count * latency_ms
        for model, count, input_tokens in agent.forecast_embeddings(item):
            cost += _embedding_usd(experiment, model, input_tokens)
            calls, tokens, busy_ms = calls + count, tokens + input_tokens, busy_ms + count * _embedding_ms(model)
    share = trials / max(len(read), 1)
    return VariantForecast(
        variant=variant.name,
        kind="agent",
        model=", ".join(dict.fromkeys(model.model for model in agent.models)) or None,
        calls=round(calls * share),
        input_tokens=round(tokens * share),
        output_tokens=round(output * share),
        cost_usd=cost * share,
        latency_ms=busy_ms / calls if calls else 0.0,
        basis="its steps; branches and loops at their longest",
    )


def _embedding_ms(model: ModelSpec) -> float:
    return 0.0 if model.model.startswith("sim/") else _MS_FIRST_TOKEN


def _assumed(model: str, params: Mapping[str, Any], limit: object) -> tuple[float, float]:
    if model.startswith("sim/"):
        knobs = params.get("sim") or {}
        return _SIMULATED_TOKENS, SIMULATED_MS * float(knobs.get("time_scale", 1.0))
    output = float(min(int(limit), _OUTPUT_TOKENS)) if isinstance(limit, int | float) else float(_OUTPUT_TOKENS)
    return output, _MS_FIRST_TOKEN + output * _MS_PER_OUTPUT_TOKEN


def _limited_minutes(experiment: Experiment, forecasts: Sequence[VariantForecast | JudgeForecast]) -> float:
    limits = experiment.spec.limits
    calls = sum(forecast.calls for forecast in forecasts)
    tokens = sum(forecast.input_tokens + forecast.output_tokens for forecast in forecasts)
    by_requests = calls / limits.requests_per_minute if limits.requests_per_minute else 0.0
    by_tokens = tokens / limits.tokens_per_minute if limits.tokens_per_minute else 0.0
    return max(by_requests, by_tokens)


def _unpriced(forecasts: Sequence[VariantForecast | JudgeForecast]) -> str:
    models = sorted({str(forecast.model) for forecast in forecasts if forecast.cost_usd != forecast.cost_usd})
    if not models:
        return ""
    return f"No price is known for {', '.join(models)}: give it in `gateway.prices`, or set `gateway.allow_unpriced`."


def _over_budget(experiment: Experiment, forecasts: Sequence[VariantForecast | JudgeForecast], minutes: float) -> str:
    budget = experiment.spec.budget
    cost = sum(forecast.cost_usd for forecast in forecasts)
    calls = sum(forecast.calls for forecast in forecasts)
    tokens = sum(forecast.input_tokens + forecast.output_tokens for forecast in forecasts)
    over = [
        f"{word} {expected:,.4g} of {limit:,.4g}"
        for word, expected, limit in (
            ("USD", cost, budget.usd),
            ("tokens", tokens, budget.tokens),
            ("calls", calls, budget.calls),
            ("minutes", minutes, budget.minutes),
        )
        if limit is not None and expected > limit
    ]
    return f"The budget will stop the run before its end: {', '.join(over)}." if over else ""
