"""Factorial experiments: main effects, interactions, contrasts, fractional designs."""

from bakeoff.stats.factorial._additive import additivity_test
from bakeoff.stats.factorial._effects import (
    Contrast,
    FactorEffect,
    FactorialResult,
    contrast,
    factorial_effects,
    level_contrasts,
)
from bakeoff.stats.factorial._fraction import CellPlan, fractional_factorial, optimal_cells, plan_cells
from bakeoff.stats.factorial._model import FactorialMethod, factorial_model

__all__ = [
    "CellPlan",
    "Contrast",
    "FactorEffect",
    "FactorialMethod",
    "FactorialResult",
    "additivity_test",
    "contrast",
    "factorial_effects",
    "factorial_model",
    "fractional_factorial",
    "level_contrasts",
    "optimal_cells",
    "plan_cells",
]
