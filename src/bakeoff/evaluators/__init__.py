"""Evaluators: what judges a trial, and how its scores come about."""

from bakeoff.evaluators._protocol import (
    CannotScoreError,
    EvaluateResult,
    Evaluator,
    EvaluatorContext,
    Family,
    MetricInfo,
    Score,
    ScoreKind,
    ScoreValue,
)
from bakeoff.evaluators._registry import (
    CatalogueEntry,
    evaluator,
    evaluator_catalogue,
    evaluator_class,
    evaluator_schema,
    load_evaluator,
    load_evaluators,
)
from bakeoff.evaluators._runner import begin_scoring, finish_scoring, score_sync, score_trial

__all__ = [
    "CannotScoreError",
    "CatalogueEntry",
    "EvaluateResult",
    "Evaluator",
    "EvaluatorContext",
    "Family",
    "MetricInfo",
    "Score",
    "ScoreKind",
    "ScoreValue",
    "begin_scoring",
    "evaluator",
    "evaluator_catalogue",
    "evaluator_class",
    "evaluator_schema",
    "finish_scoring",
    "load_evaluator",
    "load_evaluators",
    "score_sync",
    "score_trial",
]
