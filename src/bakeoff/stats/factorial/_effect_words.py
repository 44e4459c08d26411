"""What factors do, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bakeoff.stats.factorial._effects import FactorEffect

__all__ = ["effect_sentences", "weight_words"]


def effect_sentences(effects: Sequence[FactorEffect], alpha: float) -> tuple[str, ...]:
    """Say what was found for each effect; a main effect that others change is not left to speak alone."""
    said: list[str] = []
    for effect in effects:
        text = _sentence(effect, alpha)
        others = [
            other
            for interaction in effects
            if len(effect.factors) == 1 < len(interaction.factors) and effect.factors[0] in interaction.factors
            if interaction.p_adjusted <= alpha
            for other in interaction.factors
            if other != effect.factors[0]
        ]
        if others:
            named = " and ".join(dict.fromkeys(others))
            text += f" That is an average: what {effect.name} does depends on {named}, so look at the single variants."
        said.append(text)
    return tuple(said)


def _sentence(effect: FactorEffect, alpha: float) -> str:
    """Say what was found for one effect, in one sentence."""
    name = effect.name
    p = effect.p_adjusted
    if p != p:
        return f"{name}: not estimable ({effect.reason})."
    known = [one for one in effect.contrasts if one.estimate == one.estimate]
    largest = max(known, key=lambda one: abs(one.estimate), default=None)
    detail = ""
    if largest is not None:
        detail = f"; largest: {largest.label} = {largest.estimate:+.3g} ({largest.low:+.3g} to {largest.high:+.3g})"
    number = "p < 0.001" if p < 0.001 else f"p = {p:.2g}"
    if len(effect.factors) == 1:
        word = "makes a difference" if p <= alpha else "no difference shown"
        return f"{name}: {word} ({number}, corrected){detail}."
    word = "they depend on each other" if p <= alpha else "no sign that one depends on the other"
    return f"{name}: {word} ({number}, corrected){detail}."


def weight_words(weights: Mapping[str, float]) -> str:
    """Return a weighted sum of levels in words: `a - b`, `0.5 a + 0.5 b - c`."""
    text = ""
    for name, weight in weights.items():
        if weight == 0:
            continue
        sign = "-" if weight < 0 else "+"
        size = "" if abs(weight) == 1 else f"{abs(weight):.3g} "
        text += f" {sign} {size}{name}" if text else f"{'-' if weight < 0 else ''}{size}{name}"
    return text
