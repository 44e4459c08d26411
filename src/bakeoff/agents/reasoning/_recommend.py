"""Which reasoning patterns are worth trying on a task, within a budget of model calls."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from bakeoff.agents.reasoning._library import patterns
from bakeoff.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from bakeoff.agents.reasoning._library import Pattern
    from bakeoff.datasets import Item

__all__ = ["PastResult", "PatternScore", "Recommendation", "TaskProfile", "profile_task", "recommend_patterns"]

_PRIOR_SD = 0.08
"""Spread of the prior of a pattern's gain: the stated gains are judgements, wrong by about so much."""
_REACH = 0.5
"""How unlike two tasks may be for a past result to count: its weight is exp(-(distance / reach)^2)."""
_DRAWS = 2000
_MOST_CANDIDATES = 11

_STEPS = re.compile(
    r"\b(?:then|after|total|altogether|each|per|twice|half|left|remain\w*|how (?:many|much|long|far)|calculate|compute"
    r"|plan|compare|if .{3,60} then)\b",
    re.IGNORECASE,
)
_CONSTRAINT = re.compile(
    r"\b(?:must|only|exactly|at (?:most|least)|no more than|no less than|without|never|always|between|limit|required"
    r"|not allowed|may not|within)\b",
    re.IGNORECASE,
)
_VAGUE = re.compile(r"\b(?:maybe|perhaps|somehow|something|it|this|that|they|stuff|thing|etc|or so)\b", re.IGNORECASE)
_ASKS = re.compile(r"\b(?:who|what|which|when|where|define|explain|why|name)\b", re.IGNORECASE)
_NUMBER = re.compile(r"\d")
_CODE = re.compile(r"```|\bdef \w+\(|\bfunction\b|\bclass \w+|;\s*$|\breturn\b|=>|\bSELECT\b", re.MULTILINE)
_DOMAINS = {
    "mathematics": r"\b(?:sum|total|equation|percent|how many|number|angle|probability)\b",
    "programming": r"\b(?:function|python|code|compile|class|algorithm|sql)\b|```",
    "customer service": r"\b(?:order\w*|refund\w*|account|invoice|subscription|deliver\w*|cancel\w*|password|parcel)\b",
    "law": r"\b(?:contract|clause|liable|court|statute|agreement|plaintiff)\b",
    "medicine": r"\b(?:patient|dose|symptom|diagnos\w+|treatment|clinical)\b",
    "company knowledge": r"\b(?:employee|handbook|policy|department|overtime|leave|manager)\b",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskProfile:
    """Characteristics of a task, each from 0 to 1, as far as they can be told from its items."""

    n_items: int
    domain: str
    steps: float = 0.0
    """Signs of several steps."""
    numbers: float = 0.0
    """Share of right answers that are numbers."""
    classification: float = 0.0
    """Few labels that repeat."""
    format: float = 0.0
    """Answers with a structure."""
    constraints: float = 0.0
    ambiguity: float = 0.0
    knowledge: float = 0.0
    lookup: float = 0.0
    """Share of items whose inputs hold the right answer word for word."""
    length: float = 0.0
    open_ended: float = 0.0
    """No right answer, or a long one."""
    code: float = 0.0
    tools: float = 0.0
    examples: float = 0.0
    """Whether worked examples can be shown."""

    @property
    def complexity(self) -> float:
        """Mean of steps, constraints and length."""
        return (self.steps + self.constraints + self.length) / 3

    def vector(self) -> dict[str, float]:
        """Return the characteristics by name."""
        names = [name for name in type(self).__dataclass_fields__ if name not in ("n_items", "domain")]
        return {name: getattr(self, name) for name in names}


def profile_task(items: Iterable[Item], *, prompt: str = "", tools: bool = False) -> TaskProfile:
    """Extract the characteristics of a task from its items.

    Args:
        items: Items; the first 500 are read.
        prompt: Text of the prompt, when there is one.
        tools: Whether tools are at hand.

    Raises:
        SpecError: There are no items.

    Examples:
        >>> from bakeoff.datasets import Item
        >>> question = "A box holds 6 eggs. How many eggs are left of 4 boxes after 5 broke?"
        >>> found = profile_task([Item(id="1", inputs={"q": question}, expected="19")])
        >>> found.steps, found.numbers, found.domain
        (1.0, 1.0, 'mathematics')
    """
    read = [item for item, _ in zip(items, range(500), strict=False)]
    if not read:
        raise SpecError("there are no items to tell the characteristics of the task from")
    texts = [f"{prompt}\n" + "\n".join(str(value) for value in item.inputs.values()) for item in read]
    own = ["\n".join(str(value) for value in item.inputs.values()) for item in read]
    answers = ["" if item.expected is None else str(item.expected) for item in read]
    labels = {answer.casefold() for answer in answers if answer}
    few = 1 < len(labels) <= 30 and len(labels) * 3 <= len(read)

    def share(flags: Iterable[bool]) -> float:
        return round(sum(flags) / len(read), 3)

    votes = {name: share(bool(re.search(rule, text, re.IGNORECASE)) for text in texts)
             for name, rule in _DOMAINS.items()}  # fmt: skip
    domain = max(votes, key=lambda name: votes[name])
    return TaskProfile(
        n_items=len(read),
        domain=domain if votes[domain] >= 0.25 else "general",
        steps=share(len(set(map(str.lower, _STEPS.findall(text)))) >= 2 for text in texts),
        numbers=share(bool(re.fullmatch(r"\W*[\d.,]+\W*%?", answer)) for answer in answers),
        classification=1.0 if few else 0.0,
        format=share(answer[:1] in ("{", "[") for answer in answers),
        constraints=share(len(_CONSTRAINT.findall(text)) >= 2 for text in texts),
        ambiguity=share(len(_VAGUE.findall(text)) / max(len(text.split()), 1) > 0.08 for text in own),
        knowledge=share(bool(_ASKS.search(text)) and not _NUMBER.search(text) for text in own),
        lookup=share(bool(answer) and len(text.split()) > 60 and answer.casefold() in text.casefold()
                     for answer, text in zip(answers, own, strict=True)),
        length=round(min(float(np.mean([len(text.split()) for text in texts])) / 1000, 1.0), 3),
        open_ended=share(not answer or len(answer.split()) > 40 for answer in answers),
        code=share(bool(_CODE.search(text)) for text in [f"{a}\n{t}" for a, t in zip(answers, own, strict=True)]),
        tools=1.0 if tools else 0.0,
        examples=1.0 if any(answers) and len(read) >= 20 else 0.0,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class PastResult:
    """What a pattern gained over zero-shot in a run of one's own."""

    pattern: str
    gain: float
    """Difference of the means of a score from 0 to 1."""
    standard_error: float
    profile: Mapping[str, float]
    """Characteristics of that task."""
    run_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PatternScore:
    """What a pattern is expected to gain over zero-shot on this task."""

    name: str
    cost: float
    """Model calls for an item, beside one of zero-shot."""
    gain: float
    """Expected difference in share of right answers."""
    sd: float
    """How unsure that is."""
    prior: float
    """The stated gain, before past runs."""
    evidence: int
    """Past runs that count."""
    why: str
    usable: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """Which patterns to try, in words and as an experiment."""

    profile: TaskProfile
    budget: float
    chosen: tuple[str, ...]
    expected_best: float
    """Expected gain of the best of those chosen and zero-shot."""
    scores: tuple[PatternScore, ...]
    """Every pattern, best first."""
    sentences: tuple[str, ...] = field(default=())

    def experiment(
        self,
        dataset: Any,
        *,
        model: str,
        evaluator: str | Mapping[str, Any] = "contains",
        examples: Sequence[Mapping[str, str]] = (),
    ) -> dict[str, Any]:
        """Return the experiment that checks this recommendation: the chosen patterns against zero-shot.

        Args:
            dataset: The `dataset` section.
            model: Model to try them on.
            evaluator: What judges an answer.
            examples: Worked examples, for patterns that show some; keep them out of the data set.
        """
        agent: dict[str, Any] = {"model": model}
        if examples:
            agent["examples"] = [dict(one) for one in examples]
        return {
            "name": "patterns",
            "description": "Do the recommended patterns gain what was expected of them?",
            "dataset": dataset,
            "targets": {"solver": {"agent": agent}},
            "factors": {"agent.pattern": ["zero_shot", *self.chosen]},
            "evaluators": [evaluator if isinstance(evaluator, str) else dict(evaluator), "cost"],
            "analysis": {"baseline": "pattern=zero_shot"},
        }


def recommend_patterns(
    profile: TaskProfile, *, budget: float = 3.0, past: Iterable[PastResult] = (), seed: int = 0
) -> Recommendation:
    """Choose the patterns that are most worth trying on a task.

    The gain of each pattern over zero-shot has a normal prior: its mean is the pattern's stated gain for the
    characteristics of the task, its sd 0.08. Past results update it, each with a weight that falls with the distance
    between the tasks. The subset is chosen for which the expected gain of the best pattern in it (zero-shot is always
    in reach) is largest, while its costs add up to the budget at most.

    Args:
        profile: The task.
        budget: Model calls for an item, beside those of zero-shot.
        past: What patterns gained in earlier runs.
        seed: Of the draws behind the expected gain.

    Raises:
        SpecError: The budget is not positive.

    Examples:
        >>> task = TaskProfile(n_items=50, domain="mathematics", steps=1.0, numbers=1.0)
        >>> found = recommend_patterns(task)
        >>> found.chosen[0], sum(score.cost for score in found.scores if score.name in found.chosen) <= 3.0
        ('chain_of_thought', True)
    """
    if not budget > 0 or not math.isfinite(budget):
        raise SpecError(f"the budget must be a positive number of calls, got {budget!r}")
    results = list(past)
    scores = sorted(
        (_score(pattern, profile, results) for pattern in patterns().values() if pattern.name != "zero_shot"),
        key=lambda score: (-score.gain, score.cost, score.name),
    )
    fitting = [score for score in scores if score.usable and score.cost <= budget]
    # Cheap patterns fill a budget better: candidates are the best by gain and by gain for the money.
    candidates = list(dict.fromkeys([
        *sorted(fitting, key=lambda s: -s.gain)[: _MOST_CANDIDATES - 4],
        *sorted(fitting, key=lambda s: -(s.gain + s.sd) / s.cost)[:4],
    ]))  # fmt: skip
    chosen, expected = _best_subset(candidates, budget, seed)
    order = [score.name for score in scores if score.name in chosen]
    told = _sentences(profile, scores, order, expected, budget, results)
    return Recommendation(
        profile=profile, budget=budget, chosen=tuple(order), expected_best=expected, scores=tuple(scores),
        sentences=told,
    )  # fmt: skip


def _score(pattern: Pattern, profile: TaskProfile, past: Sequence[PastResult]) -> PatternScore:
    values = profile.vector()
    parts = {name: weight * values.get(name, 0.0) for name, weight in pattern.fits.items()}
    prior = sum(parts.values())
    precision, mean, used = 1 / _PRIOR_SD**2, prior / _PRIOR_SD**2, 0
    for one in past:
        if one.pattern != pattern.name or not one.standard_error > 0 or not math.isfinite(one.gain):
            continue
        distance = math.dist([values[name] for name in values], [one.profile.get(name, 0.0) for name in values])
        weight = math.exp(-((distance / _REACH) ** 2)) / one.standard_error**2
        precision, mean = precision + weight, mean + weight * one.gain
        used += math.exp(-((distance / _REACH) ** 2)) > 0.1
    lacking = [need for need in pattern.needs if not values.get(need)]
    drivers = [name for name, part in sorted(parts.items(), key=lambda entry: -abs(entry[1])) if abs(part) >= 0.01]
    why = (
        f"needs {' and '.join(lacking)}"
        if lacking
        else ", ".join(drivers[:3]) or "nothing about the task speaks for it"
    )
    return PatternScore(
        name=pattern.name, cost=float(pattern.cost_multiplier), gain=mean / precision, sd=precision**-0.5,
        prior=prior, evidence=used, why=why, usable=not lacking,
    )  # fmt: skip


def _best_subset(candidates: Sequence[PatternScore], budget: float, seed: int) -> tuple[frozenset[str], float]:
    if not candidates:
        return frozenset(), 0.0
    noise: NDArray[np.float64] = np.random.default_rng(seed).standard_normal((len(candidates), _DRAWS))
    noise = np.concatenate([noise, -noise], axis=1)  # antithetic: the mean of each pattern is exact
    draws = np.array([score.gain for score in candidates])[:, None] + noise * np.array(
        [score.sd for score in candidates]
    )[:, None]  # fmt: skip
    best: tuple[float, float, frozenset[str]] = (0.0, 0.0, frozenset())
    for size in range(1, len(candidates) + 1):
        for rows in combinations(range(len(candidates)), size):
            cost = sum(candidates[row].cost for row in rows)
            if cost > budget + 1e-9:
                continue
            # What is gained by trying them: the best of their true gains, or zero by staying with zero-shot.
            value = float(np.maximum(draws[list(rows)].max(axis=0), 0.0).mean())
            if value > best[0] + 1e-9:
                best = (value, cost, frozenset(candidates[row].name for row in rows))
    return best[2], best[0]


def _sentences(
    profile: TaskProfile,
    scores: Sequence[PatternScore],
    chosen: Sequence[str],
    expected: float,
    budget: float,
    past: Sequence[PastResult],
) -> tuple[str, ...]:
    traits = [f"{name} {value:.0%}" for name, value in sorted(profile.vector().items(), key=lambda e: -e[1]) if value]
    marked = ", ".join(traits[:6]) or "no marked characteristics"
    about = (
        f"The task: {profile.n_items} items, domain {profile.domain}, complexity {profile.complexity:.0%}; {marked}."
    )
    told = [about]
    by_name = {score.name: score for score in scores}
    for name in chosen:
        score = by_name[name]
        seen = f"{score.evidence} of your own runs and the prior" if score.evidence else "a stated prior, not yet a run"
        told.append(
            f"{name}: expected {score.gain * 100:+.0f} points (give or take {score.sd * 100:.0f}) for {score.cost:g} "
            f"calls an item, from {seen}; because of {score.why}."
        )
    if not chosen:
        told.append(f"Nothing fits a budget of {budget:g} calls an item; stay with zero-shot or raise the budget.")
    else:
        told.append(
            f"The best of these and zero-shot is expected to gain {expected * 100:.0f} points; an experiment will tell."
        )
    dear = next((s for s in scores if s.usable and s.cost > budget and s.gain > 0.05), None)
    if dear is not None:
        told.append(f"{dear.name} is expected to gain {dear.gain * 100:+.0f} points but costs {dear.cost:g} calls.")
    if not past:
        told.append("No run of your own counted: the gains are judgements stated beforehand, not measurements.")
    return tuple(told)
