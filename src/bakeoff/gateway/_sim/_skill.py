"""How likely a skilled simulated model is to be right, and what it says when it is not.

The chance depends on three things that a prompt experiment varies: how able the model is, how hard
the item is, and what the prompt does for it. It is a logistic model with published weights
(`docs/simulated-models.md`), so a demo has a truth that can be checked. It is a toy world for trying
Bakeoff out, not a claim about any real model.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

from bakeoff.gateway._sim._luck import normal, pick, uniform
from bakeoff.gateway._sim._params import tier_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bakeoff.gateway._sim._params import SimParams

__all__ = ["PromptFeatures", "correct_probability", "is_correct", "prompt_features", "render", "wrong_answer"]

_STANDARD = NormalDist()
_STEPS = re.compile(
    r"step[ -]by[ -]step|think (?:it )?through|show your (?:work|reasoning)|reason first", re.IGNORECASE
)
_EXAMPLE = re.compile(r"^\s*(?:example\b|input:|q:|question:|message:|user:)", re.IGNORECASE | re.MULTILINE)
_CONSTRAINT = re.compile(
    r"\b(?:only|exactly|must|nothing else|one of|single word|no explanation|just the)\b", re.IGNORECASE
)
_ROLE = re.compile(r"\byou are (?:an?|the)\b", re.IGNORECASE)
_NUMBER = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?")

_W_STEPS = 0.6
_W_EXAMPLE = 0.25
_MOST_EXAMPLES = 4
_W_CHOICES = 0.6
_W_ROLE = 0.1
_W_LENGTH = -0.25
_LONG_PROMPT_WORDS = 400
_W_DIFFICULTY = -4.0
_W_TEMPERATURE = -0.4


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptFeatures:
    """What a skilled model notices about a prompt."""

    steps: bool
    """It asks to think step by step."""
    examples: int
    """How many worked examples it gives, at most 4 count."""
    constrained: bool
    """It says in which form to answer; without that, an answer is often wrapped in a sentence."""
    role: bool
    words: int

    def logit(self, *, choices_named: bool) -> float:
        """Return what the prompt adds to the logit of a correct answer."""
        longer = math.log2(max(self.words, 1) / _LONG_PROMPT_WORDS)
        return (
            _W_STEPS * self.steps
            + _W_EXAMPLE * self.examples
            + _W_ROLE * self.role
            + _W_CHOICES * choices_named
            + _W_LENGTH * max(longer, 0.0)
        )


@lru_cache(maxsize=4096)
def prompt_features(prompt: str) -> PromptFeatures:
    """Find the features of a prompt text.

    Examples:
        >>> found = prompt_features("You are a clerk. Answer with one of: yes, no. Think step by step.")
        >>> found.steps, found.constrained, found.role, found.examples
        (True, True, True, 0)
    """
    return PromptFeatures(
        steps=_STEPS.search(prompt) is not None,
        examples=min(max(len(_EXAMPLE.findall(prompt)) - 1, 0), _MOST_EXAMPLES),
        constrained=_CONSTRAINT.search(prompt) is not None,
        role=_ROLE.search(prompt) is not None,
        words=prompt.count(" ") + 1,
    )


def difficulty_of(context: Mapping[str, Any], seed: int) -> float:
    """Return how hard the item is, from 0 (easy) to 1; drawn from its id when nobody says."""
    value = context.get("difficulty")
    if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
        return min(max(float(value), 0.0), 1.0)
    return uniform(seed, "difficulty", context.get("item_id", context.get("expected")))


def correct_probability(
    model: str, prompt: str, context: Mapping[str, Any], knobs: SimParams, *, temperature: float = 0.0
) -> float:
    """Return the chance that a skilled model answers correctly: the truth behind a demo.

    logit p = ability + what the prompt adds - 4 (difficulty - 0.5) - 0.4 max(temperature - 0.7, 0)

    Args:
        model: `sim/small`, `sim/medium`, `sim/large` or `sim/judge`.
        prompt: Text of all messages.
        context: `item_id`, `difficulty` (0 to 1), `choices`.
        knobs: `skill` replaces the whole formula.
        temperature: Of the request.

    Examples:
        >>> from bakeoff.gateway._sim import SimParams
        >>> plain = correct_probability("sim/small", "Classify this.", {"difficulty": 0.5}, SimParams())
        >>> better = correct_probability("sim/small", "Classify this step by step.", {"difficulty": 0.5}, SimParams())
        >>> round(plain, 3), round(better, 3)
        (0.525, 0.668)
    """
    if knobs.skill is not None:
        return knobs.skill
    choices = context.get("choices") or ()
    low = prompt.lower()
    named = bool(choices) and all(str(choice).lower() in low for choice in choices)
    logit = (
        tier_of(model).ability
        + prompt_features(prompt).logit(choices_named=named)
        + _W_DIFFICULTY * (difficulty_of(context, knobs.seed) - 0.5)
        + _W_TEMPERATURE * max(temperature - 0.7, 0.0)
    )
    return 1 / (1 + math.exp(-logit))


def is_correct(probability: float, item: object, call: object, knobs: SimParams) -> bool:
    """Draw whether the answer is right, with exactly that probability.

    Part of the luck belongs to the item (the same for every variant), the rest to the call: variants
    are correlated item by item, as real ones are, and repeats differ.
    """
    shared = knobs.item_correlation
    luck = math.sqrt(shared) * normal(knobs.seed, "item", item) + math.sqrt(1 - shared) * normal(
        knobs.seed, "call", item, call
    )
    return _STANDARD.cdf(luck) < probability


def render(value: object) -> str:
    """Write an expected answer as a model would."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (dict, list)) else str(value)


def wrong_answer(expected: object, choices: Sequence[object], about: object, knobs: SimParams) -> str:
    """Return a plausible wrong answer: another label, another number, another word.

    Examples:
        >>> from bakeoff.gateway._sim import SimParams
        >>> wrong_answer("billing", ["billing", "login"], 1, SimParams())
        'login'
        >>> wrong_answer("18", [], 1, SimParams()) != "18"
        True
    """
    draw = (knobs.seed, "wrong", about)
    others = [choice for choice in choices if str(choice).strip().lower() != str(expected).strip().lower()]
    if others:
        return render(pick(others, *draw))
    if isinstance(expected, bool):
        return render(not expected)
    if isinstance(expected, dict) and expected:
        name = pick(sorted(map(str, expected)), *draw)
        changed = wrong_answer(expected.get(name), (), about, knobs)
        return render({**expected, name: _like(expected.get(name), changed)})
    text = render(expected)
    number = _NUMBER.search(text) if len(text) < 200 else None
    if number is not None:
        wrong = _wrong_number(number.group().replace(",", ""), draw)
        return text[: number.start()] + wrong + text[number.end() :]
    flipped = {"yes": "no", "no": "yes", "true": "false", "false": "true", "pass": "fail", "fail": "pass"}
    return flipped.get(text.strip().lower(), "I am not sure.")


def _like(old: object, new: str) -> object:
    if isinstance(old, bool):
        return not old
    if isinstance(old, (int, float)):
        return type(old)(float(new))
    return new


def _wrong_number(number: str, draw: tuple[object, ...]) -> str:
    value = float(number)
    slips = [value + 1, value - 1, value * 2, value * 10, value + 10, value - 10, -value]
    places = len(number.partition(".")[2])
    candidates = [slip for slip in slips if round(slip, places) != round(value, places)]
    return f"{pick(candidates, *draw):.{places}f}"
