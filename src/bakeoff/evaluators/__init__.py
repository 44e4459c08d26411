"""Evaluators: what judges a trial, and how its scores come about."""

from bakeoff.evaluators._protocol import Evaluator, EvaluatorContext, Score, ScoreKind, ScoreValue, EvaluateResult

__all__ = ["Evaluator", "EvaluatorContext", "Score", "ScoreKind", "ScoreValue", "EvaluateResult"]
