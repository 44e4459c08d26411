"""The question that a run was to answer, as its spec declared it, with what was asked for since."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from bakeoff.errors import SpecError
from bakeoff.experiments.spec._spec import AnalysisSpec

if TYPE_CHECKING:
    from bakeoff.experiments.spec._spec import GuardrailSpec
    from bakeoff.experiments.store._manifest import Manifest

__all__ = ["Question"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Baseline, pairs, level, correction and margin of an analysis."""

    baseline: str
    pairs: Literal["baseline", "all"]
    alpha: float
    alternative: Literal["two-sided", "greater", "less"]
    correction: Literal["holm", "hochberg", "bh", "by", "bonferroni", "none"]
    family: Literal["metric", "all"]
    primary_share: float
    margin: float | None
    guardrails: dict[str, GuardrailSpec]
    """By metric."""
    segments: tuple[str, ...]
    interval: str | None
    test: str | None
    seed: int
    declared: str = ""
    """The metric that was declared to decide: it keeps its part of `alpha`, whichever metric is looked at."""
    unmeasured: tuple[str, ...] = ()
    """Declared guardrails for which the run has no metric."""
    explicit: tuple[tuple[str, str], ...] = ()
    """(candidate, baseline) pairs that replace `pairs`."""

    @classmethod
    def of(
        cls,
        manifest: Manifest,
        *,
        baseline: str | None,
        pairs: Literal["baseline", "all"] | None,
        alpha: float | None,
        margin: float | None,
    ) -> Question:
        declared = AnalysisSpec.model_validate(manifest.spec.get("analysis", {}))
        chosen = baseline or manifest.baseline
        if chosen not in manifest.variant_names:
            raise SpecError(f"there is no variant {chosen!r}; this run has {', '.join(manifest.variant_names)}")
        return cls(
            baseline=chosen,
            pairs=pairs or declared.compare,
            alpha=alpha if alpha is not None else declared.alpha,
            alternative=declared.alternative,
            correction=declared.correction,
            family=declared.family,
            primary_share=declared.primary_share,
            margin=margin if margin is not None else declared.margin,
            guardrails={entry.metric: entry for entry in declared.guardrails},
            segments=tuple(declared.segments),
            interval=declared.interval,
            test=declared.test,
            seed=int(manifest.spec.get("seed", 0)),
        )
