"""A judge's calibration in plain sentences."""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bakeoff.experiments.labels._calibration import CalibratedDifference, CalibratedVariant, JudgeCalibration
    from bakeoff.stats import Estimate, JudgeAccuracy

__all__ = ["calibration_words"]

_Z2 = 1.959964**2
"""Of Wilson's upper bound for no error in n labels at 95%, z2 / (n + z2)."""


def calibration_words(result: JudgeCalibration) -> tuple[str, ...]:
    """Say what the labels show: agreement, errors, bias, corrected means, corrected differences, labels to come."""
    share = result.scale == "pass_fail"
    found = [_agreement(result)]
    if result.accuracy is not None:
        found.append(_errors(result.accuracy))
    if not isnan(result.bias.estimate):
        found.append(_bias(result.bias, share=share))
    found += [_mean(entry, share=share) for entry in result.variants if entry.bias.n]
    found += [_difference(entry, share=share) for entry in result.differences]
    found += [text for entry in result.variants if (text := _needed(entry, share=share))]
    return tuple(found)


def _agreement(result: JudgeCalibration) -> str:
    n, alpha = result.n_labelled, result.alpha
    if isnan(alpha.estimate):
        return (
            f"Judge and people gave all of the {n} labelled answers the same: whether the judge can tell good from bad "
            "cannot be seen from them. Label answers of both kinds."
        )
    people = result.people_alpha
    more = ""
    if people is not None and not isnan(people.estimate):
        more = f" People agree with each other at {_span(people)}: no judge can be expected to do better."
    if alpha.estimate == 1.0:
        most = 100 * _Z2 / (n + _Z2)
        return (
            f"Judge and people agree on all {n} labelled answers; it could still be wrong on up to {most:.0f}%.{more}"
        )
    low = alpha.low if not isnan(alpha.low) else alpha.estimate  # Krippendorff (2019), ch. 12: 0.8 and 0.667
    word = (
        "can be relied on" if low >= 0.8
        else "may be good enough for tentative conclusions" if alpha.estimate >= 0.667
        else "is too weak to take the judge's scores as they are"
    )  # fmt: skip
    span = f"{alpha.estimate:.3g}" if isnan(alpha.low) else _span(alpha)
    text = (
        f"Over {n} labelled answers the judge agrees with people at alpha {span} (1 is perfect, 0 is chance), which "
        f"{word}.{more}"
    )
    accuracy = result.accuracy
    if accuracy is not None and accuracy.sensitivity.estimate < 0.5 and accuracy.specificity.estimate < 0.5:
        text += " It says the opposite more often than not: are the labels read the right way round (--pass)?"
    return text


def _errors(accuracy: JudgeAccuracy) -> str:
    sure, strict = accuracy.sensitivity, accuracy.specificity
    if isnan(strict.estimate) or isnan(sure.estimate):
        known, what, done, other = (
            (sure, "pass", "passes", "fail") if isnan(strict.estimate) else (strict, "fail", "fails", "pass")
        )
        return (
            f"Of the answers that people {what}, the judge {done} {_span(known, share=True)}; people {other} none of "
            f"the labelled answers, so how often the judge {other}{'e' * (other == 'pass')}s such answers is not known."
        )
    return (
        f"Of the answers that people pass, the judge passes {_span(sure, share=True)}; of those that people fail, it "
        f"fails {_span(strict, share=True)}."
    )


def _bias(bias: Estimate, *, share: bool) -> str:
    if isnan(bias.low) and bias.estimate == 0:
        return "On these labels the judge is as strict as people are."
    if bias.low > 0:
        what = "The judge is lenient: it scores above people"
    elif bias.high < 0:
        what = "The judge is strict: it scores below people"
    else:
        what = "The judge is neither clearly lenient nor clearly strict: it differs from people"
    return f"{what} by {_span(bias, gap=True, share=share)} on average."


def _mean(entry: CalibratedVariant, *, share: bool) -> str:
    mean = entry.mean
    text = f"{entry.variant}: the judge says {_value(mean.judge_mean, share=share)}"
    if isnan(mean.estimate):
        return f"{text}; what people would say cannot be estimated: {mean.reason}."
    labels = f"{mean.n} label{'s' * (mean.n != 1)} on {mean.n_items} answers"
    text += f"; people would say {_span(mean, share=share)}, from {labels}"
    if mean.width_ratio < 1:
        text += f" (the judge makes the interval {100 * (1 - mean.width_ratio):.0f}% narrower than the labels alone)"
    elif mean.judge_weight == 0 and mean.reason:
        text += f" (the judge is left out: {mean.reason})"
    return text + "."


def _difference(entry: CalibratedDifference, *, share: bool) -> str:
    gap = entry.difference
    head = f"{entry.candidate} against {entry.baseline}: "
    if isnan(gap.estimate):
        return f"{head}what people would see cannot be estimated: {gap.reason}."
    verdict = (
        "people would not clearly see a difference" if entry.label == "inconclusive"
        else f"people would find it {entry.label}"
    )  # fmt: skip
    text = f"{head}{verdict}, {_span(gap, gap=True, share=share)}; the judge alone says "
    text += _value(gap.judge_difference, gap=True, share=share) + "."
    if gap.bias_p_value < 0.05:
        text += " The judge's bias differs between the two, so do not read its own difference."
    return text


def _needed(entry: CalibratedVariant, *, share: bool) -> str | None:
    plan = entry.labels
    if plan is None:
        return None
    width = f"+-{100 * plan.half_width:.3g} points" if share else f"+-{plan.half_width:.3g}"
    if plan.n_labels is None:
        if isnan(plan.half_width_all):
            return f"{entry.variant}: {width} is out of reach: {plan.reason}."
        all_of_them = f"+-{100 * plan.half_width_all:.3g} points" if share else f"+-{plan.half_width_all:.3g}"
        return (
            f"{entry.variant}: {width} is out of reach in this run: a label on each of its {plan.n_items} answers "
            f"gives {all_of_them}; {(plan.reason or '').rpartition('; ')[2] or 'more items are needed'}."
        )
    if not plan.additional:
        return f"{entry.variant}: the {plan.n_labelled} labels at hand are enough for {width}."
    return f"{entry.variant}: {plan.additional} more labels ({plan.n_labels} in all) would give about {width}."


def _value(value: float, *, share: bool = False, gap: bool = False) -> str:
    if isnan(value):
        return "nothing"
    if share:
        return f"{100 * value:+.1f} points" if gap else f"{100 * value:.1f}%"
    return f"{value:+.3g}" if gap else f"{value:.3g}"


def _span(entry: Estimate, *, share: bool = False, gap: bool = False) -> str:
    middle = _value(entry.estimate, share=share, gap=gap)
    if isnan(entry.low) or isnan(entry.high):
        why = (entry.reason or "").removeprefix("no interval: ")
        return f"{middle} (no interval: {why})" if why else middle
    return f"{middle} ({_value(entry.low, share=share, gap=gap)} to {_value(entry.high, share=share, gap=gap)})"
