"""How far the jurors of a jury agree over a run, and who is outvoted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bakeoff.evaluators import Score, jury_agreement
from bakeoff.experiments._json import loads

if TYPE_CHECKING:
    from bakeoff.experiments.store._store import LocalStore
    from bakeoff.stats import Agreement

__all__ = ["JuryAgreement", "jury_agreements"]

_FEWEST = 5
_TENTATIVE, _GOOD = 0.667, 0.8
"""Krippendorff (2004), Content Analysis, section 11.4: below the first no conclusion, from the second on reliable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JuryAgreement:
    """One jury over all trials of a run."""

    metric: str
    n: int
    """Trials with at least two readable votes."""
    alpha: Agreement
    """Krippendorff's alpha with its interval, trials resampled."""
    outvoted: tuple[tuple[str, float], ...]
    """Share of trials in which a juror's vote is not the value that the jury gave, the most often outvoted first; for
    votes in words and pass/fail."""
    sentence: str


def jury_agreements(store: LocalStore, run_id: str) -> tuple[JuryAgreement, ...]:
    """Report the agreement of every jury of a run; runs from before votes were kept have none.

    Args:
        store: Where the run is.
        run_id: The run.
    """
    rows = store.scores(run_id, ["metric", "value", "label", "type", "votes"])
    kept = rows.filter(rows.column("votes").is_valid()).to_pylist()
    found: dict[str, list[Score]] = {}
    for row in kept:
        votes = [{"model": juror, "value": value} for juror, value in loads(row["votes"])]
        if sum(vote["value"] is not None for vote in votes) < 2:
            continue
        value = {"label": row["label"], "bool": bool(row["value"])}.get(row["type"], row["value"])
        found.setdefault(row["metric"], []).append(Score(name=row["metric"], value=value, details={"votes": votes}))
    return tuple(_agreement(metric, scores) for metric, scores in found.items() if len(scores) >= _FEWEST)


def _agreement(metric: str, scores: list[Score]) -> JuryAgreement:
    alpha = jury_agreement(scores)
    outvoted = _outvoted(scores)
    return JuryAgreement(
        metric=metric,
        n=len(scores),
        alpha=alpha,
        outvoted=outvoted,
        sentence=_words(metric, len(scores), alpha, outvoted),
    )


def _outvoted(scores: list[Score]) -> tuple[tuple[str, float], ...]:
    cast: dict[str, list[bool]] = {}
    for score in scores:
        votes = score.details["votes"]
        if not all(isinstance(vote["value"], bool | str | None) for vote in votes):
            return ()
        names = [vote["model"] for vote in votes]
        for place, vote in enumerate(votes):
            if vote["value"] is not None:
                name = vote["model"] if names.count(vote["model"]) == 1 else f"{vote['model']} (sample {place + 1})"
                cast.setdefault(name, []).append(vote["value"] != score.value)
    shares = [(name, sum(lost) / len(lost)) for name, lost in cast.items()]
    return tuple(sorted(shares, key=lambda pair: -pair[1]))


def _words(metric: str, n: int, alpha: Agreement, outvoted: tuple[tuple[str, float], ...]) -> str:
    if alpha.estimate != alpha.estimate:
        return f"Agreement of the jury of {metric}: not estimable, {alpha.reason or 'no spread'}."
    level = "good" if alpha.estimate >= _GOOD else "fair" if alpha.estimate >= _TENTATIVE else "too little to build on"
    span = "" if alpha.low != alpha.low else f" ({alpha.low:.2f} to {alpha.high:.2f})"
    said = f"The jury of {metric} agrees with alpha {alpha.estimate:.2f}{span} over {n:,} answers: {level}."
    if outvoted and outvoted[0][1] > 0:
        name, share = outvoted[0]
        said += f" Most often outvoted: {name}, in {share:.0%}."
    return said
