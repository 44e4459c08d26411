"""The verdict: better, worse, equivalent or inconclusive, with the rule that made it."""

from __future__ import annotations

from math import ceil, inf, isfinite, nan
from typing import TYPE_CHECKING

from bakeoff.errors import StatsError
from bakeoff.stats.core._checks import check_alpha, is_number
from bakeoff.stats.core._dist import critical_value, norm_ppf
from bakeoff.stats.core._result import Verdict
from bakeoff.stats.words._format import format_interval, format_p, format_span, format_value, supported_decimals

if TYPE_CHECKING:
    from bakeoff.stats.core._result import Difference

__all__ = ["check_margin", "decide", "inner_interval", "smallest_detectable"]


def check_margin(margin: float | None) -> float | None:
    """Return the margin if it is a positive finite number, or `None`."""
    if margin is None:
        return None
    if not is_number(margin) or not isfinite(margin) or margin <= 0:
        raise StatsError(
            f"margin must be a positive number on the scale of the score (0.02 = 2 points), got {margin!r}"
        )
    return float(margin)


def decide(
    difference: Difference,
    *,
    alpha: float = 0.05,
    margin: float | None = None,
    higher_is_better: bool = True,
    level: float | None = None,
) -> Verdict:
    """Turn a comparison into one word.

    First match wins:

    1. `equivalent`: a margin was declared and the (1 - 2 alpha) interval lies within -margin to
       +margin (two one-sided tests at alpha, Schuirmann 1987). A difference may be detectable and
       still be too small to matter; the sentence then says so.
    2. `better` or `worse`: p (after correction, if any) is at most alpha; the sign of the estimate
       says which. If the test points the other way (ranks against mean), the verdict is inconclusive.
    3. `inconclusive`, with what would decide it.

    The test makes the verdict, because only its error rate is controlled over a family. Where the
    interval and the test disagree at the margin, the sentence says so. `equivalent` is decided for
    each comparison by itself: a correction over a family makes it neither easier nor harder.

    Args:
        difference: Result of `compare`.
        alpha: Chance accepted of calling a difference that is not there.
        margin: Largest difference that does not matter, on the scale of the score.
        higher_is_better: False for costs, latencies and error counts.
        level: What is left of `alpha` for this comparison within its family; what an inconclusive verdict says
            about differences that could be shown, and items needed, is at this level. `alpha` when omitted.

    Returns:
        Verdict.

    Raises:
        StatsError: alpha outside (0, 1) or a margin that is not positive.

    Examples:
        >>> from bakeoff.stats import compare
        >>> d = compare([1] * 60 + [0] * 40, [1] * 40 + [0] * 60)
        >>> decide(d).word
        'better'
        >>> decide(d, higher_is_better=False).word
        'worse'
    """
    alpha, margin = check_alpha(alpha), check_margin(margin)
    p = difference.p_value if difference.p_adjusted != difference.p_adjusted else difference.p_adjusted
    if not isfinite(difference.estimate) or p != p:
        return Verdict(word="inconclusive", because=f"Not estimable: {difference.reason or 'no usable scores'}.")
    if margin is not None:
        low, high = inner_interval(difference, alpha)
        if -margin < low and high < margin:
            return Verdict(word="equivalent", because=_equivalent(difference, alpha, margin, low, high, p))
    if p <= alpha and _contradicted(difference):
        return Verdict(word="inconclusive", because=_contradiction(difference, p))
    if p <= alpha:
        word = "better" if (difference.estimate > 0) == higher_is_better else "worse"
        return Verdict(word=word, because=_decided(difference, alpha, p))
    level = alpha if level is None else min(alpha, check_alpha(level))
    return Verdict(word="inconclusive", because=_undecided(difference, alpha, margin, p, level))


def smallest_detectable(difference: Difference, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """Compute the true difference that a design this noisy detects with the given power.

    (t_(1-alpha/2) + z_power) * SE, t_(1-alpha) for a one-sided test. It describes the design, not the observed
    difference.

    Examples:
        >>> from bakeoff.stats import compare
        >>> d = compare([1] * 55 + [0] * 45, [1] * 50 + [0] * 50)
        >>> round(smallest_detectable(d), 2)
        0.07
    """
    alpha = check_alpha(alpha)
    if not difference.se > 0:
        return nan
    df = difference.df if difference.df == difference.df else inf
    sides = 1 if difference.alternative == "two-sided" else 2
    return (critical_value(1 - sides * min(alpha, 0.49), df) + float(norm_ppf(power))) * difference.se


def inner_interval(d: Difference, alpha: float) -> tuple[float, float]:
    """Return the (1 - 2 alpha) interval: stored if it matches, else the arms of the interval rescaled."""
    if abs(alpha - (1 - d.confidence)) < 1e-9:
        return d.inner_low, d.inner_high
    if alpha >= 0.5 or not isfinite(d.low) or not isfinite(d.high):
        return nan, nan
    df = d.df if d.df == d.df else inf
    ratio = critical_value(1 - 2 * alpha, df) / critical_value(d.confidence, df)
    return d.estimate - ratio * (d.estimate - d.low), d.estimate + ratio * (d.high - d.estimate)


def _facts(d: Difference) -> str:
    points = d.kind != "continuous"
    decimals = supported_decimals(d.low, d.high, estimate=d.estimate)
    value = format_value(d.estimate, decimals, signed=True, points=points)
    unit = " points" if points else ""
    if d.low != d.low or d.high != d.high:
        return f"{value}{unit} ({d.reason or 'no interval'})"
    return f"{value}{unit} ({100 * d.confidence:g}% interval {format_span(d.low, d.high, decimals, points=points)})"


def _corrected(d: Difference) -> bool:
    return d.p_adjusted == d.p_adjusted and d.p_adjusted != d.p_value


def _p_words(d: Difference, p: float) -> str:
    return f"{format_p(p)} after correction ({d.test})" if _corrected(d) else f"{format_p(p)} ({d.test})"


def _excludes_zero(d: Difference) -> bool:
    return d.low > 0 or d.high < 0


def _decided(d: Difference, alpha: float, p: float) -> str:
    text = f"{_facts(d)}; {_p_words(d, p)} is at most {alpha:g}."
    if d.low <= 0 <= d.high:
        text += " Borderline: the interval just includes 0; the test made this verdict."
    return text


def _contradicted(d: Difference) -> bool:
    sign = (d.estimate > 0) - (d.estimate < 0)
    return sign == 0 or d.direction not in (None, sign)


def _contradiction(d: Difference, p: float) -> str:
    where = {1: "in favour of higher scores", -1: "in favour of lower scores"}.get(d.direction or 0, "somewhere")
    return (
        f"{_facts(d)}; {_p_words(d, p)} finds a difference {where}, which the mean does not show: most items moved one "
        "way and a few moved far the other way. Decide which of the two matters, and look at those items."
    )


def _equivalent(d: Difference, alpha: float, margin: float, low: float, high: float, p: float) -> str:
    points = d.kind != "continuous"
    decimals = supported_decimals(low, high)
    unit = " points" if points else ""
    value = format_value(d.estimate, decimals, signed=True, points=points)
    text = (
        f"{value}{unit}: the {100 * (1 - 2 * alpha):g}% interval "
        f"{format_interval(low, high, decimals, signed=True, points=points)} lies within the margin of "
        f"{_plain(margin, points)}{unit} on both sides."
    )
    if p <= alpha:
        text += f" A difference is detectable ({_p_words(d, p)}) but smaller than the margin you declared."
    return text


def _plain(value: float, points: bool) -> str:
    return f"{100 * value:.3g}" if points else f"{value:.3g}"


_TESTED = {"greater": "higher", "less": "lower"}


def _least_p(d: Difference) -> float:
    """Return the smallest p-value that the test can give with so many items: all of them pointing one way."""
    if not d.paired or not d.test.startswith(("sign_flip", "mcnemar_midp", "mcnemar_exact")):
        return 0.0
    halved = "midp" in d.test
    return 0.5**d.n_items * (1 if d.alternative != "two-sided" else 2) * (0.5 if halved else 1)


def _undecided(d: Difference, alpha: float, margin: float | None, p: float, level: float) -> str:
    text = f"{_facts(d)}; {_p_words(d, p)} is above {alpha:g}."
    if _excludes_zero(d) and not _corrected(d):
        text += " Borderline: the interval just excludes 0, the test does not reject; the test made this verdict."
    if _excludes_zero(d) and _corrected(d):
        text += " The interval is that of this comparison alone; corrected for all of them it is not enough."
    if d.alternative in _TESTED and d.estimate * (1 if d.alternative == "greater" else -1) < 0:
        text += f" Only a {_TESTED[d.alternative]} score was tested for, as declared: the other way nothing is claimed."
    items = f"{d.n_items:,} item{'' if d.n_items == 1 else 's'}"
    least = _least_p(d)
    if d.n_items and least > level:
        return (
            f"{text} {items[0].upper()}{items[1:]} cannot show any difference: the smallest p-value possible "
            f"{'before correction ' if level < alpha else ''}is {least:.2g}, and {level:.2g} is needed."
        )
    detectable = smallest_detectable(d, alpha=level)
    if not isfinite(detectable) or d.n_items == 0:
        return text
    points = d.kind != "continuous"
    unit = " points" if points else ""
    if points and detectable >= 1:
        return text + f" {items} {'is' if d.n_items == 1 else 'are'} too few to show any difference."
    target = margin if margin is not None and margin < detectable else detectable / 2
    needed = ceil(d.n_items * (detectable / target) ** 2)
    magnitude = 10 ** max(len(str(needed)) - 2, 0)
    total = -(-needed // magnitude) * magnitude
    more = f"{total:,} items"
    if 0 < d.n < d.n_items and d.method.startswith(("cr", "cluster")):
        more += f" in {ceil(total * d.n / d.n_items):,} clusters like these"
    return text + (
        f" These {items} can show a difference of about {_plain(detectable, points)}{unit} (80% power); "
        f"one of {_plain(target, points)}{unit} would take about {more}."
    )
