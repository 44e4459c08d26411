"""One rule on one variant: what it measures, what passes it, and the p-value that may fail it."""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan, nan
from typing import TYPE_CHECKING

import numpy as np

from bakeoff.errors import SpecError
from bakeoff.regression import _say
from bakeoff.regression._bounds import Gain, Level, level_of, measure_gain, smallest_level
from bakeoff.regression._exact_margin import exact_margin_p
from bakeoff.regression._needs import need_for
from bakeoff.regression._result import RuleResult

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bakeoff.experiments import GateRule
    from bakeoff.regression._needs import Need
    from bakeoff.regression._observations import MetricFacts, Observations

    Float = NDArray[np.float64]

__all__ = ["Measured", "Setting", "measure_level", "measure_relative", "rule_words"]

_FEW_DISAGREEMENTS = 15
_FEW_DIFFERENT = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What holds for every rule of one decision."""

    alpha: float
    """Error of each one-sided bound."""
    power: float
    max_missing: float
    exact_p: bool = True
    """Whether p-values above alpha are wanted too (a simulation does without)."""
    with_need: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A rule before the correction over all rules."""

    draft: RuleResult
    passes: bool
    said: dict[str, str]
    """How the sentence ends, by outcome."""
    may_need: Need | None = None


def rule_words(rule: GateRule, metric: str, facts: MetricFacts | None) -> str:
    """Say a rule in words: `correct no worse than the baseline by 2.0 points`."""
    if rule.name is not None:
        return rule.name
    if rule.max_error_rate is not None:
        return f"at most {100 * rule.max_error_rate:g}% of the trials fail"
    if rule.no_new_failures is not None:
        return f"no new failures on sentinel items ({metric})"
    assert facts is not None
    reference = _reference_words(rule.no_worse_than or rule.better_than or "")
    if rule.no_worse_than is not None:
        return f"{metric} no worse than {reference} by {_say.gap(rule.margin or 0.0, facts, signed=False)}"
    if rule.better_than is not None:
        by = f" by {_say.gap(rule.margin, facts, signed=False)}" if rule.margin else ""
        return f"{metric} better than {reference}{by}"
    if rule.at_least is not None:
        return f"{metric} at least {_say.value(rule.at_least, facts)}"
    what = f"p{rule.percentile:g} of {metric}" if rule.percentile is not None else metric
    return f"{what} at most {_say.value(rule.at_most or 0.0, facts)}"


def _reference_words(reference: str) -> str:
    return "the baseline" if reference == "baseline" else reference.removeprefix("variant:")


def _usable(facts: MetricFacts, metric: str) -> None:
    if facts.is_label:
        raise SpecError(f"the metric {metric!r} gives words: a gate needs pass/fail or a number")


def measure_relative(
    rule: GateRule,
    metric: str,
    *,
    candidate: Observations,
    baseline: Observations,
    pair: tuple[str, str],
    called: str,
    setting: Setting,
) -> Measured:
    """Measure `no_worse_than` or `better_than` for one variant.

    Args:
        rule: The rule.
        metric: Its metric.
        candidate: The run that is judged.
        baseline: What it is compared with, on the same items in the same order; may be the same run.
        pair: The variant, and the one it is compared with.
        called: What the baseline is called.
        setting: What holds for every rule.
    """
    facts = candidate.facts(metric)
    _usable(facts, metric)
    now, then = candidate.of(metric, pair[0]), baseline.of(metric, pair[1])
    binary = facts.kind == "binary" and baseline.facts(metric).kind == "binary"
    kind = (
        "binary"
        if binary
        else "bounded"
        if "continuous" not in (facts.kind, baseline.facts(metric).kind)
        else "continuous"
    )
    up = facts.higher_is_better is not False

    def measure(alpha: float) -> Gain:
        return measure_gain(
            now, then, kind=kind, alpha=alpha, higher_is_better=up, clusters=candidate.clusters,
            weights=candidate.weights,
        )  # fmt: skip

    gain = measure(setting.alpha)
    margin = rule.margin or 0.0
    is_floor = rule.no_worse_than is not None
    threshold = -margin if is_floor else margin
    few: tuple[str, ...] = ()
    enough = gain.n_missing <= setting.max_missing * max(1, gain.n + gain.n_missing)
    passes = enough and gain.low > threshold
    if passes and is_floor:
        plain = kind == "binary" and up and candidate.clusters is None and candidate.weights is None
        passes, few = _guarded(now, then, gain, margin=margin, alpha=setting.alpha, plain=plain)
    untouched = is_floor and enough and _untouched(candidate, baseline, pair, now, then)
    passes = passes or untouched
    fails_below = 0.0 if is_floor and rule.fail_when == "worse" else threshold
    p = gain.p_worse
    if fails_below != 0.0 and not isnan(p):
        p = smallest_level(lambda level: measure(level).high < fails_below, setting.alpha, exact=setting.exact_p)
    need = None
    if setting.with_need and not passes and enough:
        own = 0.5 if baseline is not candidate else 1.0
        distance, given = (margin, "if nothing changed") if is_floor else (
            abs(gain.estimate - margin), "if the true difference is the one seen")  # fmt: skip
        need = need_for(
            distance=distance, se=gain.se, n_items=gain.n, scores=now, kind=kind, alpha=setting.alpha,
            power=setting.power, given=given, own_share=own,
        )  # fmt: skip
    said = _relative_said(rule, facts)
    if untouched:
        said |= {"pass": "nothing changed - same prompt, model and settings, and every single score is the same"}
    if not enough:
        said["inconclusive"] = f"too many scores are missing ({gain.n_missing} of {gain.n + gain.n_missing} pairs)"
    return Measured(
        draft=RuleResult(
            rule=rule_words(rule, metric, facts), kind=rule.kind, metric=metric, variant=pair[0], reference=called,
            outcome="inconclusive", because=_relative_text(gain, facts, setting.alpha),
            estimate=gain.estimate, low=gain.low, high=gain.high, threshold=threshold, value=gain.candidate,
            baseline_value=gain.baseline, p_value=p, n=gain.n,
            n_missing=gain.n_missing, method=f"{gain.method}, {gain.test}", warnings=(*gain.warnings, *few),
        ),
        passes=passes, said=said, may_need=need,
    )  # fmt: skip


def _untouched(candidate: Observations, baseline: Observations, pair: tuple[str, str], now: Float, then: Float) -> bool:
    """Say whether the very same calls gave the very same scores, as answers from the cache do.

    No sample is needed to show that such a run is no worse: it is the same one.
    """
    a, b = candidate.variants[pair[0]], baseline.variants[pair[1]]
    same_calls = a.model is not None and (a.model, a.prompt_version, dict(a.levels)) == (
        b.model, b.prompt_version, dict(b.levels)
    )  # fmt: skip
    return same_calls and baseline is not candidate and np.array_equal(now, then, equal_nan=True)


def _relative_text(gain: Gain, facts: MetricFacts, alpha: float) -> str:
    if isnan(gain.low):
        return f"not estimable: {gain.reason or 'no usable scores'}"
    what = "difference" if facts.higher_is_better is not False else "gain (less is better)"
    return (
        f"{_say.value(gain.candidate, facts)} against {_say.value(gain.baseline, facts)}, "
        f"{what} {_say.gap(gain.estimate, facts)} ({100 * (1 - 2 * alpha):.3g}% interval "
        f"{_say.span(gain.low, gain.high, facts, signed=True)}, {gain.n:,} items)"
    )


def _relative_said(rule: GateRule, facts: MetricFacts) -> dict[str, str]:
    allowed = _say.gap(rule.margin or 0.0, facts, signed=False)
    if rule.no_worse_than is not None:
        return {
            "pass": f"shown to be no worse by {allowed}",
            "fail": _fail_words(rule, allowed),
            "inconclusive": f"neither shown to be within {allowed}, nor shown to be worse",
        }
    return {
        "pass": f"shown to be better{f' by {allowed}' if rule.margin else ''}",
        "fail": _fail_words(rule, allowed),
        "inconclusive": "neither shown to be better, nor shown not to be",
    }


def _fail_words(rule: GateRule, allowed: str) -> str:
    if rule.better_than is not None:
        return f"shown not to be better{f' by {allowed}' if rule.margin else ''}"
    if rule.fail_when == "beyond_margin":
        return f"shown to be worse by more than {allowed}"
    return f"shown to be worse, and not shown to be within {allowed}"


def _guarded(
    now: Float, then: Float, gain: Gain, *, margin: float, alpha: float, plain: bool
) -> tuple[bool, tuple[str, ...]]:
    """Check a pass where so few items differ that the interval is too narrow to be trusted."""
    if plain and now.shape[1] == then.shape[1] == 1 and margin < 1:
        both = ~np.isnan(now[:, 0]) & ~np.isnan(then[:, 0])
        gained = int((now[both, 0] > then[both, 0]).sum())
        lost = int((now[both, 0] < then[both, 0]).sum())
        if gained + lost > _FEW_DISAGREEMENTS:
            return True, ()
        p = exact_margin_p(gained, lost, int(both.sum()), margin)
        if p <= alpha:
            return True, ()
        return False, (f"only {gained + lost} items differ: decided by the exact test (p = {p:.3g})",)
    with np.errstate(invalid="ignore"):
        differ = int((np.abs(_means(now) - _means(then)) > 0).sum())
    if 0 < differ < _FEW_DIFFERENT and gain.se > 0:
        return True, (f"only {differ} items differ: the bounds are rough",)
    return True, ()


def _means(scores: Float) -> Float:
    counted = (~np.isnan(scores)).sum(axis=1)
    return np.asarray(np.divide(np.nansum(scores, axis=1), counted, out=np.full(len(scores), nan), where=counted > 0))


def measure_level(rule: GateRule, metric: str, *, candidate: Observations, variant: str, setting: Setting) -> Measured:
    """Measure `at_least` or `at_most` for one variant.

    A percentile is held exactly when the share of trials over the limit is at most 1 - percentile/100, so the bound is
    one of a share: it needs no distribution, and handles repeats and clusters like any other share.
    """
    facts = candidate.facts(metric)
    _usable(facts, metric)
    scores = candidate.of(metric, variant)
    is_floor = rule.at_least is not None
    limit = float(rule.at_least if rule.at_least is not None else rule.at_most or 0.0)
    kind, judged, threshold = facts.kind, scores, limit
    value = float(np.nanmean(scores)) if not np.isnan(scores).all() else nan
    if rule.percentile is not None:
        judged = np.where(np.isnan(scores), nan, (scores > limit).astype(np.float64))
        kind, threshold = "binary", 1 - rule.percentile / 100
        value = float(np.nanquantile(scores, rule.percentile / 100)) if not np.isnan(scores).all() else nan

    def measure(alpha: float) -> Level:
        return level_of(judged, kind=kind, alpha=alpha, clusters=candidate.clusters, weights=candidate.weights)

    level = measure(setting.alpha)
    if rule.percentile is None:
        value = level.estimate
    # What a variant cost cannot be missing because its trial failed; that is for `max_error_rate`.
    enough = level.n_missing <= setting.max_missing * max(1, level.n_expected) or bool(facts.unit and not facts.version)
    if is_floor:
        passes = enough and level.low >= threshold
        p = smallest_level(lambda a: measure(a).high < threshold, setting.alpha, exact=setting.exact_p)
    else:
        passes = enough and level.high <= threshold
        p = smallest_level(lambda a: measure(a).low > threshold, setting.alpha, exact=setting.exact_p)
    need = None
    if setting.with_need and not passes and enough and not isnan(level.estimate):
        need = need_for(
            distance=abs(level.estimate - threshold), se=level.se, n_items=len(scores), scores=judged, kind=kind,
            alpha=setting.alpha, power=setting.power, given="if the true value is the one seen",
        )  # fmt: skip
    return Measured(
        draft=RuleResult(
            rule=rule_words(rule, metric, facts), kind=rule.kind, metric=metric, variant=variant,
            outcome="inconclusive", because=_level_text(rule, facts, level, value, limit, setting.alpha),
            estimate=level.estimate, low=level.low, high=level.high, threshold=threshold, value=value,
            p_value=p if not isnan(level.low) else nan, n=level.n, n_missing=level.n_missing, method=level.method,
        ),
        passes=passes, said=_level_said(rule, facts, limit, level, enough=enough), may_need=need,
    )  # fmt: skip


def _level_text(rule: GateRule, facts: MetricFacts, level: Level, value: float, limit: float, alpha: float) -> str:
    if isnan(level.low):
        return f"not estimable: {level.reason or 'no usable scores'}"
    interval = f"{100 * (1 - 2 * alpha):.3g}% interval"
    if rule.percentile is None:
        return (
            f"{_say.value(level.estimate, facts)} ({interval} {_say.span(level.low, level.high, facts)}, "
            f"{level.n:,} {'items' if 'cr2' not in level.method else 'clusters'})"
        )
    return (
        f"p{rule.percentile:g} is {_say.value(value, facts)}; {100 * level.estimate:.1f}% of the trials are over "
        f"{_say.value(limit, facts)} ({interval} {100 * level.low:.1f}% to {100 * level.high:.1f}%), "
        f"{100 - rule.percentile:g}% may be"
    )


def _level_said(rule: GateRule, facts: MetricFacts, limit: float, level: Level, *, enough: bool) -> dict[str, str]:
    shown = _say.value(limit, facts)
    if rule.at_least is not None:
        said = {
            "pass": f"the lower bound reaches {shown}",
            "fail": f"shown to be below {shown}",
            "inconclusive": f"neither shown to reach {shown}, nor shown to be below",
        }
    else:
        said = {
            "pass": f"the upper bound stays at or under {shown}" if rule.percentile is None else "within the limit",
            "fail": f"shown to be over {shown}",
            "inconclusive": f"neither shown to stay under {shown}, nor shown to be over",
        }
    if not enough:
        said["inconclusive"] = f"too many scores are missing ({level.n_missing} of {level.n_expected})"
    return said
