"""A verdict as a label and as a paragraph, also where a metric has no better direction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from bakeoff.stats import describe

if TYPE_CHECKING:
    from bakeoff.stats import Difference

__all__ = ["comparison_words", "verdict_label"]


def verdict_label(
    word: Literal["better", "worse", "equivalent", "inconclusive"], direction: bool | None
) -> Literal["better", "worse", "higher", "lower", "equivalent", "inconclusive"]:
    if direction is None and word in ("better", "worse"):
        return "higher" if word == "better" else "lower"
    return word


def comparison_words(difference: Difference, candidate: str, baseline: str, metric: str, direction: bool | None) -> str:
    text = describe(difference, name=candidate, baseline=baseline, metric=metric)
    if direction is None:
        for word, neutral in (("better", "higher"), ("worse", "lower")):
            text = text.replace(
                f"{candidate} is {word} than {baseline}", f"{candidate} is {neutral} than {baseline}", 1
            )
    return text
