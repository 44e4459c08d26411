"""Verdict and plain words of a sequential comparison."""

from __future__ import annotations

from math import isfinite, isnan
from typing import TYPE_CHECKING

from bakeoff.stats.core._result import Verdict
from bakeoff.stats.words._format import format_value, supported_decimals

if TYPE_CHECKING:
    from bakeoff.stats.sequential._config import SequentialConfig

__all__ = ["amount", "sequential_words", "verdict_of"]


def amount(value: float, config: SequentialConfig, *, low: float, high: float, signed: bool = True) -> str:
    """Return a difference in words, rounded to what the interval supports: points for scores in [0, 1]."""
    points = config.kind != "continuous" and config.score_range == (0.0, 1.0)
    ends = [end for end in (low, high) if isfinite(end)]
    decimals = supported_decimals(ends[0], ends[1]) if len(ends) == 2 else 3
    return format_value(value, decimals, signed=signed, points=points) + (" points" if points else "")


def _span(low: float, high: float, config: SequentialConfig) -> str:
    if not isfinite(low):
        return f"at most {amount(high, config, low=low, high=high)}"
    if not isfinite(high):
        return f"at least {amount(low, config, low=low, high=high)}"
    first = amount(low, config, low=low, high=high).removesuffix(" points")
    return f"{first} to {amount(high, config, low=low, high=high)}"


def verdict_of(*, low: float, high: float, rejected: bool, n: int, config: SequentialConfig) -> Verdict:
    """Return the verdict of the running interval and the running evidence; equivalence first, as in `decide`."""
    if isnan(low):
        return Verdict(word="inconclusive", because=f"There is not enough to judge yet ({n} items).")
    head = f"The {100 * (1 - config.alpha):g}% always-valid interval, {_span(low, high, config)},"
    margin = config.margin
    limit = "" if margin is None else f"±{amount(margin, config, low=0.0, high=margin / 4, signed=False)}"
    above, below = low > 0 and rejected, high < 0 and rejected
    if margin is not None and low > -margin and high < margin:
        seen = "; there is a difference, but it is too small to matter" if above or below else ""
        return Verdict(word="equivalent", because=f"{head} lies within the margin of {limit}{seen}.")
    if above or below:
        word = "better" if above == config.higher_is_better else "worse"
        return Verdict(word=word, because=f"{head} lies {'above' if above else 'below'} zero.")
    beyond = f" and reaches beyond the margin of {limit}" if margin is not None else ""
    return Verdict(word="inconclusive", because=f"{head} includes zero{beyond}; more items would decide it.")


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
            f"After {n} {unit}{plan} the candidate scores {amount(estimate, config, low=low, high=high)} against the "
            f"baseline ({100 * (1 - config.alpha):g}% always-valid interval {_span(low, high, config)})."
        )
    if verdict.word != "inconclusive":
        next_step = f"Verdict: {verdict.word}. Stopping here is valid: the error rate covers every look."
    elif stop and not exhausted:
        next_step = "The candidate is not worse by more than the margin, which was the question; stopping is valid."
    elif exhausted:
        next_step = "Verdict: inconclusive. The planned items are used up; this is not evidence of no difference."
    else:
        next_step = "Verdict so far: inconclusive. Keep going."
    left_out = f" {n_missing} items were left out because a score is missing." if n_missing else ""
    caveat = "".join(f" Caution: {warning}." for warning in warnings if "left out" not in warning)
    return f"{head} {next_step}{left_out}{caveat}"
