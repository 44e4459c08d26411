"""The experiment file as pydantic models: the one description that YAML, Python and the dashboard share."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, field_validator, model_validator

from bakeoff.datasets import DatasetSpec
from bakeoff.evaluators import GuardSpec
from bakeoff.experiments.spec._gate_spec import GatePolicy, GateRule
from bakeoff.gateway import BudgetSpec, GatewaySpec, LimitsSpec
from bakeoff.prompts import PromptSpec
from bakeoff.targets import ModelSpec, TargetSpec

__all__ = ["AllocationSpec", "AnalysisSpec", "ExperimentSpec", "GuardrailSpec", "JournalSpec", "MlflowSpec"]

_Level = str | int | float | bool | None | list[Any] | dict[str, Any]
_Probability = Annotated[float, Field(gt=0, lt=1)]
_NAME = r"^[^\s/\\:*?\"<>|][^/\\:*?\"<>|\x00-\x1f]{0,119}$"


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class GuardrailSpec(_Section):
    """A metric that must not get worse, and by how much it may."""

    metric: str
    """Name of the metric."""
    margin: PositiveFloat | None = Field(default=None, allow_inf_nan=False)
    """Largest harm that does not matter, on the scale of the score; without one, harm can be shown but never ruled
    out."""
    harm: Literal["lower", "higher"] | None = None
    """Which way is worse; the metric's own direction when omitted (a length has none)."""


class AnalysisSpec(_Section):
    """The question, declared before the data is seen."""

    primary: str | None = None
    """Metric that decides; the first evaluator's when omitted."""
    guardrails: list[GuardrailSpec] = Field(default_factory=list)
    """Metrics that must not get worse: names, or `{metric: ..., margin: ...}`. With a margin each variant is tested for
    non-inferiority: `safe` when harm beyond the margin is ruled out at level `alpha`."""
    baseline: str | None = None
    """Variant that the others are compared with; the first when omitted."""
    compare: Literal["baseline", "all"] = "baseline"
    """Each variant with the baseline, or every pair."""
    alpha: _Probability = 0.05
    """Chance accepted of calling a difference that is not there."""
    alternative: Literal["two-sided", "greater", "less"] = "two-sided"
    """`greater`: only a higher score of the metric that decides counts; other metrics are tested both ways."""
    correction: Literal["holm", "hochberg", "bh", "by", "bonferroni", "none"] = "holm"
    """Over the comparisons of one family."""
    family: Literal["metric", "all"] = "all"
    """What is corrected together: the comparisons of all metrics, so that the chance of any false verdict in the whole
    run stays at `alpha`; or those of each `metric` by itself (others than the primary are then exploratory)."""
    primary_share: _Probability = 0.8
    """Part of `alpha` that the primary metric has when all metrics are one family; the others share the rest."""
    margin: PositiveFloat | None = None
    """Differences smaller than this do not matter; needed for the verdict `equivalent`."""
    interval: str | None = None
    """Interval method instead of the default for the kind of score."""
    test: str | None = None
    """Test instead of the default for the kind of score."""
    segments: list[str] = Field(default_factory=list)
    """Metadata fields by which results are broken down."""
    missing: Literal["pairwise"] = "pairwise"
    """A pair with a missing score is left out, counted, and its possible effect is bounded."""
    power: _Probability = 0.8
    """For the plan."""

    @field_validator("guardrails", mode="before")
    @classmethod
    def _named(cls, value: object) -> object:
        if not isinstance(value, list):
            return value
        return [{"metric": entry} if isinstance(entry, str) else entry for entry in value]


class AllocationSpec(_Section):
    """Which trial runs next."""

    method: Literal["fixed", "sequential", "racing", "bandit"] = "fixed"
    """All trials; until each question is answered; losers dropped; mostly the promising ones."""
    batch: PositiveInt = 50
    """Items between two decisions."""
    min_items: PositiveInt = 50
    """Items before the first decision."""
    looks: PositiveInt | None = None
    """Decisions planned over all items, evenly spread, instead of `batch` and `min_items`."""
    confirm: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the items held out to re-test the winner."""

    def sizes(self, n_items: int) -> tuple[int, int]:
        """Return the size of a batch and of the first one, over so many items to search on."""
        if self.looks is None:
            return self.batch, self.min_items
        size = max(1, -(-n_items // self.looks))
        return size, size


class JournalSpec(_Section):
    """How hard the journal is pushed to disk."""

    sync: Literal["every", "second", "off"] = "second"
    """`every` line, each `second`, or left to the system. A killed process loses nothing in any case."""


class MlflowSpec(_Section):
    """Logging to MLflow."""

    enabled: bool = True
    """Whether to log."""
    tracking_uri: str | None = None
    """`MLFLOW_TRACKING_URI` when omitted, else a SQLite file in the store."""
    experiment: str | None = None
    """Name of the MLflow experiment; this experiment's name when omitted."""
    traces: bool = False
    """Whether every trial is a trace as well, with its spans; logged in batches when the run is over."""


class ExperimentSpec(_Section):
    """One experiment: what is compared, on what, judged how, and how the answer is reached."""

    schema_ref: str | None = Field(default=None, alias="$schema", exclude=True)
    name: str = Field(pattern=_NAME)
    """Short name; part of each run's id."""
    description: str = ""
    """One sentence for whoever reads the report."""
    dataset: DatasetSpec
    """The items: a file, `bundled:NAME`, or a mapping with `path`, field mapping, filter, sample, split."""
    prompts: dict[str, PromptSpec] = Field(default_factory=dict)
    """Prompts by name: a template, `{file: ...}`, or chat `{messages: [...]}`."""
    models: dict[str, ModelSpec] = Field(default_factory=dict)
    """Models by name: a LiteLLM model string, or a mapping with parameters."""
    targets: dict[str, TargetSpec] = Field(default_factory=dict)
    """Other things under test by name: callables, endpoints, commands, recorded answers."""
    factors: dict[str, list[_Level]] = Field(default_factory=dict)
    """What is varied: `prompt`, `model`, `target`, a model parameter, or a parameter of a target."""
    variants: dict[str, dict[str, _Level]] = Field(default_factory=dict)
    """Explicit variants by name, instead of the full cross of the factors."""
    exclude: list[dict[str, _Level]] = Field(default_factory=list)
    """Combinations to leave out of the cross."""
    max_cells: Annotated[int, Field(ge=2)] | None = None
    """Run at most so many combinations of the factors, chosen so that the main effects can still be told apart;
    `bakeoff plan` says what cannot."""
    repeats: Annotated[int, Field(ge=1, le=1000)] = 1
    """Samples of each item by each variant; averaged within the item, never pooled."""
    evaluators: list[str | dict[str, Any]] = Field(min_length=1)
    """What judges a trial: a name, or one name with its options."""
    guards: list[GuardSpec] = Field(default_factory=list)
    """Checks on inputs and outputs of every target that block, redact, ask again or escalate before anything is
    stored."""
    analysis: AnalysisSpec = Field(default_factory=AnalysisSpec)
    """The question, declared before the data is seen."""
    allocation: AllocationSpec = Field(default_factory=AllocationSpec)
    """Which trial runs next; a word is short for `{method: ...}`."""
    gate: list[GateRule] = Field(default_factory=list)
    """Rules that a schedule or CI obeys."""
    gate_policy: GatePolicy = Field(default_factory=GatePolicy)
    limits: LimitsSpec = Field(default_factory=LimitsSpec)
    """How hard the run may push: concurrency, declared rates, timeouts, retries."""
    budget: BudgetSpec = Field(default_factory=BudgetSpec)
    """Hard limits; on reaching one the run stops cleanly and can be resumed."""
    gateway: GatewaySpec = Field(default_factory=GatewaySpec)
    """Route, response cache, prices, fallbacks."""
    journal: JournalSpec = Field(default_factory=JournalSpec)
    """How hard the journal is pushed to disk."""
    mlflow: MlflowSpec = Field(default_factory=MlflowSpec)
    """Logging to MLflow; `false` switches it off."""
    seed: int = 0
    """Of everything random."""
    tags: dict[str, str | int | float | bool] = Field(default_factory=dict)
    """Kept with the run."""

    @field_validator("mlflow", mode="before")
    @classmethod
    def _switch(cls, value: Any) -> Any:
        return {"enabled": value} if isinstance(value, bool) else value

    @field_validator("allocation", mode="before")
    @classmethod
    def _method(cls, value: Any) -> Any:
        return {"method": value} if isinstance(value, str) else value

    @field_validator("variants", mode="before")
    @classmethod
    def _by_name(cls, value: Any) -> Any:
        if not isinstance(value, list):
            return value
        named: dict[str, Any] = {}
        for index, entry in enumerate(value):
            if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
                raise ValueError(f"entry {index + 1} of the list needs a `name`")
            if entry["name"] in named:
                raise ValueError(f"the name {entry['name']!r} stands twice")
            named[entry["name"]] = {key: level for key, level in entry.items() if key != "name"}
        return named

    @model_validator(mode="after")
    def _one_way_to_vary(self) -> ExperimentSpec:
        if self.factors and self.variants:
            raise ValueError("has both `factors` and `variants`; keep one of them")
        return self
