"""The `gate:` section of an experiment file: rules that a schedule or CI obeys."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveFloat, model_validator

__all__ = ["RULE_KINDS", "EscalateSpec", "GateFile", "GatePolicy", "GateRule", "RuleKind"]

RuleKind = Literal["no_worse_than", "better_than", "at_least", "at_most", "no_new_failures", "max_error_rate"]
RULE_KINDS: tuple[RuleKind, ...] = (
    "no_worse_than", "better_than", "at_least", "at_most", "no_new_failures", "max_error_rate"
)  # fmt: skip

_Share = Annotated[float, Field(ge=0, le=1)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class GateRule(_Section):
    """One rule of a gate. Exactly one of the six kinds; the other keys refine it."""

    name: str | None = Field(default=None, min_length=1, max_length=120)
    """What reports call the rule; made from its content when omitted."""
    metric: str | None = None
    """A metric, or `cost_usd`, `latency_ms`, `ttft_ms`, `input_tokens`, `output_tokens`; the primary when omitted."""
    no_worse_than: str | None = None
    """`baseline` (the stored one), or `variant:NAME` of the same run. Needs `margin`."""
    better_than: str | None = None
    """`baseline` or `variant:NAME`; shown better, by more than `margin` when there is one."""
    at_least: float | None = Field(default=None, allow_inf_nan=False)
    """The lower bound of the mean must reach this."""
    at_most: float | None = Field(default=None, allow_inf_nan=False)
    """The upper bound of the mean, or of the `percentile`, must stay at or under this."""
    no_new_failures: str | list[str] | None = None
    """Ids of sentinel items, or the name of a metadata field that marks them: none may fail that passed before."""
    max_error_rate: _Share | None = None
    """Largest share of failed trials."""
    margin: PositiveFloat | None = Field(default=None, allow_inf_nan=False)
    """Largest loss that does not matter, on the scale of the score (0.02 = two points of a pass rate)."""
    percentile: Annotated[float, Field(gt=0, lt=100)] | None = None
    """Of the trials, for `at_most`."""
    variant: str | None = None
    """Only this variant of the run."""
    fail_when: Literal["worse", "beyond_margin"] = "worse"
    """`no_worse_than` fails when shown worse (and not shown within the margin), or only when beyond the margin."""

    @property
    def kind(self) -> RuleKind:
        """Which of the six kinds this is."""
        return next(kind for kind in RULE_KINDS if getattr(self, kind) is not None)

    @model_validator(mode="after")
    def _one_kind(self) -> GateRule:
        kinds = [kind for kind in RULE_KINDS if getattr(self, kind) is not None]
        if len(kinds) != 1:
            found = f"got {' and '.join(kinds)}" if kinds else "got none of them"
            raise ValueError(f"needs exactly one of {', '.join(RULE_KINDS)}; {found}")
        kind = kinds[0]
        if kind == "no_worse_than" and self.margin is None:
            raise ValueError("`no_worse_than` needs a `margin`: the largest loss that does not matter")
        if self.margin is not None and kind not in ("no_worse_than", "better_than"):
            raise ValueError(f"`margin` has no meaning for `{kind}`")
        if self.percentile is not None and kind != "at_most":
            raise ValueError(f"`percentile` goes with `at_most`, not with `{kind}`")
        for reference in (self.no_worse_than, self.better_than):
            if reference is not None and reference != "baseline" and not reference.startswith("variant:"):
                raise ValueError(f"compares with `baseline` or `variant:NAME`, got {reference!r}")
        if self.fail_when != "worse" and kind != "no_worse_than":
            raise ValueError("`fail_when` goes with `no_worse_than`")
        return self


class EscalateSpec(_Section):
    """What to do when a gate is inconclusive: add repeats and look again."""

    repeats: Annotated[int, Field(ge=2, le=100)]
    """Up to this many repeats of each item."""
    looks: Annotated[int, Field(ge=2, le=5)] = 2
    """Decisions in all, the first included; `alpha` is shared out over them, so looking again costs no honesty."""
    budget_usd: NonNegativeFloat | None = None
    """For all added repeats together."""


class GatePolicy(_Section):
    """How the rules of a gate are decided together."""

    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    """Chance that the whole gate fails although nothing changed, and that it passes a loss as large as a margin."""
    baseline: str = Field(default="main", min_length=1)
    """Name of the stored baseline, or a baseline file (`.json`) relative to the experiment file."""
    variants: list[str] = Field(default_factory=list)
    """Variants that are judged; when omitted, those that the baseline has too, or all."""
    on_version_change: Literal["warn", "refuse"] = "warn"
    """What to do when the data or an evaluator is not the version that the baseline was made with."""
    max_missing: _Share = 0.05
    """With a larger share of scores missing, no rule about scores can pass."""
    power: Annotated[float, Field(gt=0, lt=1)] = 0.8
    """For the number of items or repeats that would decide."""
    escalate: EscalateSpec | None = None


class GateFile(_Section):
    """A file that holds a gate and no experiment."""

    gate: list[GateRule] = Field(default_factory=list)
    """Rules that a schedule or CI obeys."""
    gate_policy: GatePolicy = Field(default_factory=GatePolicy)
    """How they are decided together."""
