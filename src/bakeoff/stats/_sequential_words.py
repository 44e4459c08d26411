"""Verdict and plain words of a sequential comparison."""

from __future__ import annotations

from math import isfinite, isnan
from typing import TYPE_CHECKING

from bakeoff.stats._result import Verdict

if TYPE_CHECKING:
    from bakeoff.stats._sequential import SequentialConfig

__all__ = ["amount", "sequential_words", "verdict_of"]


def amount(value: float, config: SequentialConfig, *, signed: bool = False) -> str:
    """Return a difference in words: points for scores in [0, 1], three digits otherwise."""
    if config.kind != "continuous" and config.score_range == (0.0, 1.0):
        return f"{100 * value:{'+' if signed else ''}.1f} points"
    return f"{value:{'+' if signed else ''}.3g}"


def verdict_of(
    *, low: float, high: float, rejected: bool, estimate: float, n: int, config: SequentialConfig
) -> Verdict:
    """Return the verdict of the running interval and the running evidence."""
    sure = f"{100 * (1 - config.alpha):g}%"
    if isnan(low):
        return Verdict(word="inconclusive", because=f"There is not enough to judge yet ({n} items).")
    span = _span(low, high, config)
    small = ""
    if config.margin is not None and low > -config.margin and high < config.margin:
        small = f", though the difference is within the margin of {amount(config.margin, config)}"
    if low > 0 and rejected:
        return Verdict(word="better", because=f"The {sure} always-valid interval, {span}, lies above zero{small}.")
    if high < 0 and rejected:
        return Verdict(word="worse", because=f"The {sure} always-valid interval, {span}, lies below zero{small}.")
    if small and config.margin is not None:
        return Verdict(
            word="equivalent",
            because=f"The {sure} always-valid interval, {span}, lies within the margin of "
            f"±{amount(config.margin, config)}.",
        )
    return Verdict(
        word="inconclusive",
        because=f"The {sure} always-valid interval, {span}, includes zero"
        + (f" and reaches beyond the margin of ±{amount(config.margin, config)}" if config.margin is not None else "")
        + "; more items would decide it.",
    )


def _span(low: float, high: float, config: SequentialConfig) -> str:
    if not isfinite(low):
        return f"at most {amount(high, config, signed=True)}"
    if not isfinite(high):
        return f"at least {amount(low, config, signed=True)}"
    return f"{amount(low, config, signed=True)} to {amount(high, config, signed=True)}"


def sequential_words(
    *,
    estimate: float,
    low: float,
    high: float,
    n: int,
    verdict: Verdict,
    config: SequentialConfig,
    stop: bool,
    exhausted: bool,
    n_missing: int,
    warnings: tuple[str, ...],
) -> str:
    """Return the paragraph for people: difference, interval, verdict, what to do, caveats."""
    unit = "clusters" if config.clustered else "items"
    plan = f" of {config.planned_n} planned" if config.planned_n is not None else ""
    if isnan(low):
        head = f"Nothing can be said yet after {n} {unit}{plan}."
    else:
        head = (
            f"After {n} {unit}{plan} the candidate scores {amount(estimate, config, signed=True)} against the baseline "
            f"({100 * (1 - config.alpha):g}% always-valid interval {_span(low, high, config)})."
        )
    if verdict.word != "inconclusive":
        next_step = f"Verdict: {verdict.word}. Stopping here is valid: the error rate covers every look."
    elif stop and not exhausted:
        next_step = (
            "The candidate is not worse by more than the margin, which was the question; stopping here is valid."
        )
    elif exhausted:
        next_step = "Verdict: inconclusive. The planned items are used up; this is not evidence of no difference."
    else:
        next_step = "Verdict so far: inconclusive. Keep going."
    left_out = f" {n_missing} items were left out because a score is missing." if n_missing else ""
    caveat = "".join(f" Caution: {warning}." for warning in warnings if "left out" not in warning)
    return f"{head} {next_step}{left_out}{caveat}"
