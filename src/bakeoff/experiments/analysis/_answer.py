"""The answer of a run as plain, frozen data: what every face renders."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from math import isfinite, isnan
from typing import TYPE_CHECKING, Any, Literal

from bakeoff.errors import SpecError
from bakeoff.experiments._json import plain

if TYPE_CHECKING:
    from bakeoff.experiments.analysis._segments import Segment
    from bakeoff.stats import Difference, Estimate, GuardrailResult

__all__ = [
    "Analysis",
    "Comparison",
    "MetricAnalysis",
    "Resources",
    "VariantScore",
    "null_nan",
    "show",
    "show_labels",
    "tied_words",
    "to_plain",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What a variant took."""

    variant: str
    trials: int
    failed: int
    cost_usd: float
    """What its answers cost, those from the cache at their price; `nan` when no price is known for any."""
    spent_usd: float
    """Spent on it in this run; nothing for answers from the cache."""
    cost_usd_per_trial: float
    latency_p50_ms: float
    latency_p95_ms: float
    ttft_p50_ms: float
    input_tokens: float
    """Mean by trial."""
    output_tokens: float
    errors: dict[str, int] = field(default_factory=dict)
    """Failed trials by kind."""
    error_samples: dict[str, str] = field(default_factory=dict)
    """The first message of each kind."""
    guarded: dict[str, int] = field(default_factory=dict)
    """Trials on which each guard acted: by `output pii: redact`."""
    judging_usd: float = 0.0
    """Spent on judging its answers; not part of what it costs. Judgements from the cache are free."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantScore:
    """One variant on one metric."""

    variant: str
    estimate: Estimate
    n_items: int
    """Items with at least one score."""
    n_missing: int
    """Trials planned and not scored: failed, not run, or unscorable."""
    rank: int
    labels: dict[str, int] = field(default_factory=dict)
    """Counts by word, for label metrics."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One variant against another on one metric."""

    metric: str
    candidate: str
    baseline: str
    difference: Difference
    improved: int
    """Items on which the candidate did better."""
    regressed: int
    same: int
    label: Literal["better", "worse", "higher", "lower", "equivalent", "inconclusive"]
    """The verdict; `higher` or `lower` where the metric says that neither direction is better."""
    words: str
    """One plain paragraph."""
    guard: GuardrailResult | None = None
    """On a guardrail metric with a margin: is harm beyond it ruled out?"""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricAnalysis:
    """One metric over all variants."""

    metric: str
    kind: Literal["binary", "bounded", "continuous", "label"]
    higher_is_better: bool | None
    unit: str
    role: Literal["primary", "guardrail", "other"]
    scores: tuple[VariantScore, ...]
    comparisons: tuple[Comparison, ...]
    tied: tuple[str, ...] = ()
    """Variants that the data cannot tell from the best one, of three or more; empty where that was not asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """The whole answer of a run."""

    run_id: str
    name: str
    status: str
    is_simulated: bool
    baseline: str
    primary: str
    alpha: float
    confidence: float
    correction: str
    margin: float | None
    dataset: str
    n_items: int
    repeats: int
    trials: int
    planned_trials: int
    failed: int
    cost_usd: float
    """Spent on answers and on judging them."""
    seconds: float
    headline: str
    """The answer to the declared question in one sentence."""
    methods: str
    """How the numbers came about: a paragraph fit for a report."""
    allocation: str
    """What an allocation decided and saved; empty when every trial was run."""
    confirmation: Comparison | None
    """The selected winner re-tested on items that had no part in selecting it."""
    metrics: tuple[MetricAnalysis, ...]
    resources: tuple[Resources, ...]
    warnings: tuple[str, ...]
    segments: tuple[Segment, ...] = ()
    """The primary metric by value of each declared metadata field."""
    judging_usd: float = 0.0
    """Part of `cost_usd` that was spent on judging."""

    def corrects(self, metric: MetricAnalysis) -> bool:
        """Say whether p-values of a metric were adjusted for other comparisons, its own or those of other metrics."""
        found = [(c.difference.p_value, c.difference.p_adjusted) for c in metric.comparisons]
        return self.correction != "none" and (
            len(found) > 1 or any(one != other and not isnan(one) for one, other in found)
        )

    def metric(self, name: str | None = None) -> MetricAnalysis:
        """Return one metric; the primary one when no name is given.

        Raises:
            SpecError: There is no such metric.
        """
        wanted = name or self.primary
        for metric in self.metrics:
            if metric.metric == wanted:
                return metric
        raise SpecError(f"there is no metric {wanted!r}; this run has {', '.join(m.metric for m in self.metrics)}")

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data; `nan` becomes null."""
        data: dict[str, Any] = null_nan(to_plain(asdict(self)))
        return data


def show_labels(labels: dict[str, int], *, most: int = 4) -> str:
    """Write counts of words as shares, the most frequent first: `en 95%, de 5%`."""
    total = sum(labels.values())
    ranked = sorted(labels.items(), key=lambda pair: (-pair[1], pair[0]))
    parts = [f"{label} {100 * count / total:.0f}%" for label, count in ranked[:most]]
    return ", ".join([*parts, "..."] if len(ranked) > most else parts)


def show(value: float, metric: MetricAnalysis) -> str:
    """Write a value of a metric the way people read it: pass rates in percent."""
    if isnan(value):
        return "-"
    if metric.kind == "binary":
        return f"{100 * value:.1f}%"
    return f"{value:.3g}{' ' + metric.unit if metric.unit else ''}"


def tied_words(metric: MetricAnalysis) -> str:
    """Say which variants may be the best one; empty where that was not asked.

    The set is a confidence statement of its own, one-sided and not part of the correction over the comparisons: it can
    leave a variant out that is "not shown to differ" from the baseline, and keep one in that is worse than another of
    the set, which is then explained.
    """
    if not metric.tied:
        return ""
    sure = f"With {100 * metric.scores[0].estimate.confidence:g}% confidence"
    if len(metric.tied) == 1:
        return f"{sure}, by a test of its own, {metric.tied[0]} is the best."
    if len(metric.tied) == len(metric.scores):
        return f"Any of them may be the best one.{_set_apart(metric)}"
    return f"{sure}, by a test of its own, the best one is among {', '.join(metric.tied)}.{_set_apart(metric)}"


def _set_apart(metric: MetricAnalysis) -> str:
    """Reconcile "may be the best" with a comparison by which it is worse than another that may be."""
    pairs = [
        (one.candidate, one.baseline) if one.label == "worse" else (one.baseline, one.candidate)
        for one in metric.comparisons
        if one.label in ("better", "worse") and {one.candidate, one.baseline} <= set(metric.tied)
    ]
    if not pairs:
        return ""
    said = ", ".join(f"{worse} is worse than {better}" for worse, better in pairs)
    return (
        f" Compared one with one, {said}: singling out one of {len(metric.scores)} takes more evidence than one "
        "comparison does."
    )


def to_plain(value: Any) -> Any:
    """Turn numpy scalars and tuples into plain Python."""
    if isinstance(value, dict):
        return {key: to_plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(entry) for entry in value]
    return value if isinstance(value, float | int | str | bool) or value is None else plain(value)


def null_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: null_nan(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [null_nan(entry) for entry in value]
    return None if isinstance(value, float) and not isfinite(value) else value
