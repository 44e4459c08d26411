"""Evaluators: what judges a trial, and how its scores come about."""

from bakeoff.evaluators._checks_safety import find_personal_data, redact_personal_data
from bakeoff.evaluators._pairwise import (
    BiasReport,
    PairOutcome,
    Pairwise,
    compare_pairs,
    length_bias,
    pad_answer,
    position_bias,
)
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
from bakeoff.evaluators._runner import PendingScores, begin_scoring, finish_scoring, score_sync, score_trial
from bakeoff.evaluators._sandbox import (
    SandboxLimits,
    SandboxResult,
    SandboxUnavailableError,
    run_sandboxed,
    sandbox_problem,
)

__all__ = [
    "BiasReport",
    "CannotScoreError",
    "CatalogueEntry",
    "EvaluateResult",
    "Evaluator",
    "EvaluatorContext",
    "Family",
    "MetricInfo",
    "PairOutcome",
    "Pairwise",
    "PendingScores",
    "SandboxLimits",
    "SandboxResult",
    "SandboxUnavailableError",
    "Score",
    "ScoreKind",
    "ScoreValue",
    "begin_scoring",
    "compare_pairs",
    "evaluator",
    "evaluator_catalogue",
    "evaluator_class",
    "evaluator_schema",
    "find_personal_data",
    "finish_scoring",
    "length_bias",
    "load_evaluator",
    "load_evaluators",
    "pad_answer",
    "position_bias",
    "redact_personal_data",
    "run_sandboxed",
    "sandbox_problem",
    "score_sync",
    "score_trial",
]
