"""How far a judge can be trusted: its biases and its agreement with itself, each a number with an interval."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from bakeoff.errors import EvaluatorError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from bakeoff.evaluators._pairwise import PairOutcome, Winner
    from bakeoff.evaluators._protocol import Score
    from bakeoff.stats import Agreement, Estimate

__all__ = [
    "BiasKind",
    "BiasReport",
    "copy_bias",
    "dress_answer",
    "jury_agreement",
    "length_bias",
    "pad_answer",
    "position_bias",
    "self_preference",
]

BiasKind = Literal["position", "length", "formatting", "self_preference"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BiasReport:
    """One bias of a judge as a number with an interval."""

    kind: BiasKind
    share: Estimate
    """Share of the telling judgements that went the biased way; 0.5 is unbiased."""
    biased: bool
    """Whether the interval leaves 0.5 out."""
    explanation: str


def _report(kind: BiasKind, hits: int, n: int, what: str) -> BiasReport:
    from bakeoff.stats import proportion

    share = proportion(hits, n)
    biased = n > 0 and not share.low <= 0.5 <= share.high
    told = f"{what} in {hits} of {n} telling judgements" if n else "no judgement tells anything about it"
    return BiasReport(kind=kind, share=share, biased=biased, explanation=told)


def position_bias(outcomes: Sequence[PairOutcome]) -> BiasReport:
    """Tell whether a judge prefers what it is shown first (or second).

    Only pairs whose two orders contradict each other tell anything: an unbiased judge that wavers contradicts itself
    as often towards the first place as towards the second.

    Args:
        outcomes: Outcomes of `Pairwise.compare`.

    Returns:
        Share of the contradictions in which the first place gained, with a Wilson interval over pairs.

    Examples:
        >>> from bakeoff.evaluators import PairOutcome
        >>> always_first = PairOutcome(winner="tie", consistent=False, a_first="a", b_first="b")
        >>> report = position_bias([always_first] * 20)
        >>> report.biased, report.share.estimate
        (True, 1.0)
    """
    gains = [
        _place_score(one.a_first, "a") + _place_score(one.b_first, "b")
        for one in outcomes
        if one.consistent is False and one.a_first is not None and one.b_first is not None
    ]
    telling = [gain for gain in gains if gain != 0]
    return _report("position", sum(gain > 0 for gain in telling), len(telling), "the first place gained")


def _place_score(winner: Winner | None, first: Winner) -> int:
    return 0 if winner == "tie" else 1 if winner == first else -1


def length_bias(outcomes: Sequence[PairOutcome]) -> BiasReport:
    """Tell whether a judge prefers the longer answer.

    On real pairs longer answers may well be better. For a clean test compare each answer with a copy of itself that
    says nothing more (`pad_answer`): whatever share above one half prefers the copy is bias.

    Args:
        outcomes: Outcomes of `Pairwise.compare`.

    Returns:
        Share of the decided pairs of different length that the longer answer won, with a Wilson interval.

    Examples:
        >>> from bakeoff.evaluators import PairOutcome
        >>> longer = PairOutcome(winner="b", consistent=True, a_first="b", b_first="b", length_a=10, length_b=90)
        >>> length_bias([longer] * 12).biased
        True
    """
    decided = [one for one in outcomes if one.winner in ("a", "b") and one.length_a != one.length_b]
    longer = sum((one.winner == "a") == (one.length_a > one.length_b) for one in decided)
    return _report("length", longer, len(decided), "the longer answer won")


def copy_bias(outcomes: Sequence[PairOutcome], *, kind: BiasKind = "formatting") -> BiasReport:
    """Tell whether a judge prefers a copy (`b`) that says the same as the answer (`a`) in another dress.

    Args:
        outcomes: Outcomes of comparing answers with their copies, made by `dress_answer` or `pad_answer`.
        kind: What the copies differ in.

    Returns:
        Share of the decided pairs that the copy won, with a Wilson interval; ties tell nothing.

    Examples:
        >>> from bakeoff.evaluators import PairOutcome
        >>> copy_bias([PairOutcome(winner="b", consistent=True, a_first="b", b_first="b")] * 12).biased
        True
    """
    decided = [one for one in outcomes if one.winner in ("a", "b")]
    return _report(kind, sum(one.winner == "b" for one in decided), len(decided), "the copy won")


def self_preference(outcomes: Sequence[PairOutcome], *, own: Collection[str]) -> BiasReport:
    """Tell how often a judge prefers answers of its own model family.

    A share above one half is bias only where the answers are equally good: compare with the share that people, or
    judges of other families, give to the same pairs.

    Args:
        outcomes: Outcomes of `Pairwise.compare`.
        own: Variants whose answers come from the judge's own family.

    Returns:
        Share of the decided pairs of one own and one other answer that the own one won, with a Wilson interval.

    Raises:
        EvaluatorError: `own` is empty.

    Examples:
        >>> from bakeoff.evaluators import PairOutcome
        >>> won = PairOutcome(winner="a", consistent=True, a_first="a", b_first="a", variant_a="me", variant_b="you")
        >>> self_preference([won] * 12, own={"me"}).share.estimate
        1.0
    """
    if not own:
        raise EvaluatorError("`own` is empty; name the variants whose model is of the judge's family")
    decided = [one for one in outcomes if one.winner in ("a", "b") and (one.variant_a in own) != (one.variant_b in own)]
    won = sum((one.winner == "a") == (one.variant_a in own) for one in decided)
    return _report("self_preference", won, len(decided), "the judge's own family won")


def pad_answer(text: str) -> str:
    """Say the same at greater length: a copy for testing whether a judge likes length for its own sake.

    Examples:
        >>> len(pad_answer("Paris.")) > 200
        True
    """
    return (
        "Thank you for your question. I have considered it carefully, and I am happy to share my answer with you in "
        f"what follows.\n\n{text}\n\nTo sum up, the above is my answer to your question. I hope that it is of use to "
        "you, and please feel free to ask if there is anything else that you would like to know."
    )


def dress_answer(text: str) -> str:
    """Say the same with headings, bold and bullets: a copy for testing whether a judge likes formatting for itself.

    Examples:
        >>> print(dress_answer("Paris."))
        ## Answer
        <BLANKLINE>
        - **Paris.**
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return "## Answer\n\n" + "\n".join(f"- **{line}**" for line in lines)


def jury_agreement(scores: Sequence[Score]) -> Agreement:
    """Estimate how far the votes of a jury agree over the trials of a run: Krippendorff's alpha.

    Args:
        scores: Scores of one judge with `jury` or `samples`; those without votes are left out.

    Returns:
        Alpha with an interval that resamples trials: nominal for pass/fail and words, interval for numbers. Every
        juror is a rater; a vote that could not be read is missing.

    Raises:
        EvaluatorError: No score has votes.

    Examples:
        >>> from bakeoff.evaluators import Score
        >>> votes = [{"model": "a", "value": True}, {"model": "b", "value": True}]
        >>> other = [{"model": "a", "value": False}, {"model": "b", "value": False}]
        >>> scores = [Score(name="j", value=True, details={"votes": one}) for one in (votes, other, votes, other)]
        >>> jury_agreement(scores).estimate
        1.0
    """
    from bakeoff.stats import krippendorff_alpha

    rows = [[vote["value"] for vote in score.details["votes"]] for score in scores if score.details.get("votes")]
    if not rows:
        raise EvaluatorError("no score holds votes; give the judge a `jury` or several `samples`")
    width = max(map(len, rows))
    ratings = [row + [None] * (width - len(row)) for row in rows]
    values = [value for row in rows for value in row if value is not None]
    if all(isinstance(value, (bool, str)) for value in values):
        codes = {value: float(code) for code, value in enumerate(dict.fromkeys(values))}
        return krippendorff_alpha([[math.nan if one is None else codes[one] for one in row] for row in ratings])
    numbers = [[math.nan if one is None else float(one) for one in row] for row in ratings]
    return krippendorff_alpha(numbers, level="interval")
