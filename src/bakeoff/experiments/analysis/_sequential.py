"""The always-valid comparison that a run's primary metric has: its settings, and its part of the level."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from bakeoff.experiments.analysis._family import metric_shares
from bakeoff.stats import SequentialConfig

if TYPE_CHECKING:
    from bakeoff.evaluators import MetricInfo
    from bakeoff.experiments.spec._load import Experiment
    from bakeoff.stats import Kind

__all__ = ["primary_info", "primary_level", "sequential_config"]


def primary_info(experiment: Experiment) -> MetricInfo:
    """Return what is known of the primary metric."""
    infos = [info for evaluator in experiment.evaluators for info in evaluator.metrics]
    return next((info for info in infos if info.name == experiment.primary), infos[0])


def primary_level(experiment: Experiment) -> float:
    """Return the part of `alpha` that the comparisons of the primary metric have."""
    infos = [info for evaluator in experiment.evaluators for info in evaluator.metrics]
    named = [info.name for info in infos if info.score_kind != "label"]
    primary = primary_info(experiment).name
    return metric_shares(named, primary, experiment.spec.analysis).get(primary, 1.0)


def sequential_config(
    *,
    kind: Kind,
    alpha: float,
    comparisons: int,
    planned_n: int,
    repeats: int,
    clustered: bool,
    alternative: Literal["two-sided", "greater", "less"] = "two-sided",
    margin: float | None = None,
    higher_is_better: bool = True,
) -> SequentialConfig:
    """Return the settings of one always-valid comparison out of several; the level is shared equally (Bonferroni)."""
    one_number = kind == "binary" and repeats == 1 and not clustered
    return SequentialConfig(
        kind="binary" if one_number else "bounded" if kind in ("binary", "bounded") else "continuous",
        alpha=alpha / max(1, comparisons),
        alternative=alternative,
        margin=margin,
        planned_n=max(2, planned_n),
        repeats=repeats,
        clustered=clustered,
        higher_is_better=higher_is_better,
    )
