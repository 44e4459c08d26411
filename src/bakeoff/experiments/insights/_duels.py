"""Rank the variants of a run by preference: Bradley-Terry with ties, position and length."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import exp, isnan
from typing import TYPE_CHECKING, Any

import numpy as np

from bakeoff.errors import SpecError
from bakeoff.experiments.analysis._answer import null_nan, to_plain
from bakeoff.stats import bradley_terry, swap_consistency

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray

    from bakeoff.experiments.insights._judging import Preference
    from bakeoff.stats import Difference, Estimate, Ranking


__all__ = ["Duels", "rank_preferences"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Duels:
    """Variants ranked by preference."""

    run_id: str
    by: str
    """Judge, or people."""
    baseline: str
    ranking: Ranking
    """Bradley-Terry strengths with intervals, ranks that the data allow, and the bonus of being shown first."""
    contrasts: tuple[Difference, ...]
    """Each variant against the baseline, in log-odds; p adjusted by Holm over all of them."""
    consistency: Estimate
    """How often the same variant is preferred when the order is swapped."""
    length_bonus: Estimate | None
    """Log-odds of being preferred for 100 characters more; `None` where lengths are not known or never differ."""
    n_pairs: int
    """Looks with a verdict."""
    n_failed: int
    cost_usd: float
    sentences: tuple[str, ...]
    failure: str = ""
    """Why looks have no verdict: the first reason."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data; `nan` becomes null."""
        from dataclasses import asdict

        data = asdict(self)
        for name in ("strength", "covariance", "low", "high", "rank_low", "rank_high"):
            data["ranking"][name] = getattr(self.ranking, name).tolist()
        plain: dict[str, Any] = null_nan(to_plain(data))
        return plain


def rank_preferences(
    run_id: str, preferences: Sequence[Preference], *, baseline: str, by: str, cost_usd: float = 0.0,
    alpha: float = 0.05,
) -> Duels:  # fmt: skip
    """Rank variants from preferences: Bradley-Terry with ties and order effect, items as clusters.

    Args:
        run_id: The run that was judged.
        preferences: Looks at pairs of answers.
        baseline: Variant that the others are compared with.
        by: Who judged, for the words.
        cost_usd: What judging cost.
        alpha: Level of the verdicts; intervals are at `1 - alpha`.

    Raises:
        SpecError: No look has a verdict.

    Examples:
        >>> from bakeoff.experiments import Preference, rank_preferences
        >>> looks = [Preference(item_id=str(i), first=a, second=b, outcome=float((i % 4 > 0) == (a == "new")))
        ...          for i in range(40) for a, b in (("new", "old"), ("old", "new"))]
        >>> rank_preferences("r", looks, baseline="old", by="a judge").sentences[0]
        'new is preferred to old: it wins 75% of decided pairs (95% interval 59% to 86%).'
    """
    from bakeoff.stats import adjust

    decided = [look for look in preferences if not isnan(look.outcome)]
    if not decided:
        why = next((look.error for look in preferences if look.error), "there is no judgement at all")
        raise SpecError(f"no pair of answers of {run_id!r} has a verdict: every judgement failed ({why})")
    columns: dict[str, Any] = {
        "first": [look.first for look in decided],
        "second": [look.second for look in decided],
        "outcome": [look.outcome for look in decided],
        "items": [look.item_id for look in decided],
    }
    both = {(look.item_id, look.first, look.second) for look in decided}
    swapped = any((item, two, one) in both for item, one, two in both)
    ranking = bradley_terry(**columns, order_effect=swapped, confidence=1 - alpha)
    length = _length_bonus(decided, columns, swapped=swapped, alpha=alpha)
    others = [name for name in ranking.variants if name != baseline] if baseline in ranking.variants else []
    found = [ranking.contrast(name, baseline) for name in others]
    adjusted = adjust([entry.p_value for entry in found])
    contrasts = tuple(replace(entry, p_adjusted=float(p)) for entry, p in zip(found, adjusted, strict=True))
    level = _level(decided, baseline)
    consistency = swap_consistency(**columns, confidence=1 - alpha)
    return Duels(
        run_id=run_id,
        by=by,
        baseline=baseline,
        ranking=ranking,
        contrasts=contrasts,
        consistency=consistency,
        length_bonus=length,
        n_pairs=len(decided),
        n_failed=len(preferences) - len(decided),
        cost_usd=cost_usd,
        failure=next((look.error for look in preferences if isnan(look.outcome) and look.error), ""),
        sentences=tuple(_sentences(ranking, others, contrasts, baseline, consistency, length, level, alpha)),
    )


def _level(decided: Sequence[Preference], baseline: str) -> set[str]:
    """Return the variants that only ever tied with the baseline: there is no spread to estimate an interval from."""
    seen: dict[str, bool] = {}
    for look in decided:
        if baseline in (look.first, look.second):
            other = look.second if look.first == baseline else look.first
            seen[other] = seen.get(other, True) and look.outcome == 0.5
    return {name for name, tied in seen.items() if tied}


def _length_bonus(
    decided: Sequence[Preference], columns: Mapping[str, Any], *, swapped: bool, alpha: float
) -> Estimate | None:
    longer = np.array([look.longer for look in decided])
    if not np.ptp(longer) > 0 or _follows_variants(longer, columns):
        return None
    found = bradley_terry(**columns, order_effect=swapped, covariates=longer, confidence=1 - alpha)
    return found.coefficients[0] if found.coefficients else None


def _follows_variants(longer: NDArray[np.float64], columns: Mapping[str, Any]) -> bool:
    """Say whether lengths differ between variants only, so that nobody can tell length from variant."""
    names = sorted({*columns["first"], *columns["second"]})
    design = np.ones((len(longer), len(names) + 1))
    for place, name in enumerate(names):
        design[:, place] = [
            float(one == name) - float(two == name)
            for one, two in zip(columns["first"], columns["second"], strict=True)
        ]
    left = longer - design @ np.linalg.lstsq(design, longer, rcond=None)[0]
    return bool(np.std(left) < 1e-6 * np.std(longer))


def _sentences(
    ranking: Ranking,
    others: Sequence[str],
    contrasts: Sequence[Difference],
    baseline: str,
    consistency: Estimate,
    length: Estimate | None,
    level: Collection[str],
    alpha: float,
) -> list[str]:
    said: list[str] = []
    percent = f"{100 * (1 - alpha):g}%"
    for name, entry in zip(others, contrasts, strict=True):
        if name in level:
            said.append(f"{name} and {baseline} came out level in every look at them.")
            continue
        if isnan(entry.low):
            said.append(f"{name} against {baseline}: not estimable, {entry.reason or ranking.reason}.")
            continue
        share = f"wins {_share(entry.estimate)} of decided pairs ({percent} interval {_share(entry.low)} to "
        share += f"{_share(entry.high)})"
        if entry.p_adjusted <= alpha:
            words = "is preferred to" if entry.estimate > 0 else "loses against"
            said.append(f"{name} {words} {baseline}: it {share}.")
        else:
            said.append(f"{name} is not shown to be preferred to {baseline}, nor the other way round: it {share}.")
    order = ranking.order_effect
    if order is not None and not isnan(order.low) and (order.low > 0 or order.high < 0):
        where = "first" if order.estimate > 0 else "second"
        size = _share(abs(order.estimate))
        said.append(
            f"The judge leans to the answer shown {where}: it wins {size} between equals. This is corrected for."
        )
    if not isnan(consistency.estimate):
        said.append(
            f"With the order swapped the verdict stayed the same in {consistency.estimate:.0%} "
            f"({consistency.low:.0%} to {consistency.high:.0%})."
        )
    if length is not None and not isnan(length.low) and (length.low > 0 or length.high < 0):
        which = "Longer" if length.estimate > 0 else "Shorter"
        said.append(
            f"{which} answers are preferred: 100 characters change the odds {exp(abs(length.estimate)):.2g} times. "
            "That may be substance or bias; read some."
        )
    return [*said, *(f"{text[0].upper()}{text[1:]}." for text in ranking.warnings)]


def _share(log_odds: float) -> str:
    return f"{100 / (1 + exp(-max(-700.0, min(700.0, log_odds)))):.0f}%"
