"""A judge held against people: how far it agrees, how it errs, and what its means are once that is allowed for."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from math import isfinite, isnan, nan
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from bakeoff.errors import SpecError, StatsError
from bakeoff.experiments.analysis._cube import item_info, score_cubes
from bakeoff.experiments.labels._calibration_words import calibration_words
from bakeoff.experiments.labels._human_labels import (
    human_cube,
    join_labels,
    majority,
    mark_reader,
    number,
    pass_or_fail,
    why_no_label,
)
from bakeoff.stats import (
    CorrectedDifference,
    CorrectedMean,
    Estimate,
    JudgeAccuracy,
    LabelsNeeded,
    clustered_mean,
    cohen_kappa,
    corrected_difference,
    corrected_mean,
    judge_accuracy,
    krippendorff_alpha,
    labels_needed,
    summarize,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from bakeoff.experiments.labels._human_labels import HumanLabel, Joined
    from bakeoff.experiments.store._manifest import Manifest
    from bakeoff.experiments.store._store import LocalStore

    Float = NDArray[np.float64]

__all__ = ["CalibratedDifference", "CalibratedVariant", "JudgeCalibration", "calibrate_judge"]

Scale = Literal["pass_fail", "marks", "words"]
_FEW = 30
_MOST_ROWS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibratedVariant:
    """One variant's mean, as the judge has it and as people would."""

    variant: str
    mean: CorrectedMean
    bias: Estimate
    """Judge minus people on the labelled answers; positive for a lenient judge."""
    labels: LabelsNeeded | None
    """How many labels the wanted interval needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibratedDifference:
    """Candidate minus baseline as people would see it."""

    candidate: str
    baseline: str
    difference: CorrectedDifference
    label: Literal["better", "worse", "higher", "lower", "inconclusive"]


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeCalibration:
    """What human labels say about a judge and about the means it gave."""

    run_id: str
    metric: str
    scale: Scale
    confidence: float
    n_labelled: int
    """Answers with both a label and a score."""
    n_people: int
    kappa: Estimate
    """Judge against people; quadratic weights on marks."""
    alpha: Estimate
    """Krippendorff's alpha of judge and people."""
    people_alpha: Estimate | None
    """Alpha of the people among themselves: no judge can be expected to do better."""
    confusion: dict[str, dict[str, int]]
    """Counts by what people said, then by what the judge said; empty for marks with many values."""
    accuracy: JudgeAccuracy | None
    """Sensitivity, specificity and the like, for pass/fail."""
    bias: Estimate
    half_width: float
    """Wanted half-width of the interval of a mean."""
    variants: tuple[CalibratedVariant, ...]
    differences: tuple[CalibratedDifference, ...]
    words: tuple[str, ...]
    """The answer in plain sentences."""
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data; `nan` becomes null."""
        data: dict[str, Any] = _json(asdict(self))
        return data


def calibrate_judge(
    store: LocalStore,
    run_id: str,
    labels: Iterable[HumanLabel],
    *,
    metric: str | None = None,
    passing: Sequence[str] = (),
    scale: tuple[float, float] | None = None,
    half_width: float | None = None,
    confidence: float = 0.95,
) -> JudgeCalibration:
    """Hold a judge's scores of a run against labels by people, and correct its means with them.

    The labelled answers must be a random sample of the run's answers. Answers are the unit; with repeats, or clusters
    in the data set, means and differences are computed over clusters.

    Args:
        store: Where the run is.
        run_id: The run.
        labels: What people said (`read_labels`).
        metric: The judge's metric; its only judge when omitted.
        passing: Label words that mean pass, for a pass/fail judge; common words are known.
        scale: Lowest and highest mark that people could give, where the judge gives numbers from 0 to 1.
        half_width: Wanted half-width of a mean's interval; 0.05 for pass/fail, half of the present one otherwise.
        confidence: Confidence of each interval; those of several differences hold together (Bonferroni).

    Returns:
        Agreement, errors, bias, corrected means and differences, and how many labels are still needed.

    Raises:
        SpecError: No such metric, or labels that cannot be read on the judge's scale, or none that belongs to the run.
    """
    if half_width is not None and not 0 < half_width < float("inf"):
        raise SpecError(f"the wanted half-width must be positive, for instance 0.03, got {half_width!r}")
    if scale is not None and not scale[0] < scale[1]:
        raise SpecError(f"the highest mark must be above the lowest, got {scale[0]:g} to {scale[1]:g}")
    if not 0 < confidence < 1:
        raise SpecError(f"confidence must lie between 0 and 1, got {confidence!r}")
    manifest = store.manifest(run_id)
    name = _metric_name(manifest, metric)
    cube = score_cubes(store, manifest, metrics=[name])[name]
    info = item_info(store, manifest)
    joined = join_labels(
        labels, variants=manifest.variant_names, item_ids=list(map(str, info.ids)), repeats=cube.values.shape[2]
    )
    if not joined.values:
        raise SpecError(why_no_label(joined, run_id))
    part = _Part(
        manifest=manifest, metric=name, joined=joined, judge=cube.values, clusters=info.clusters,
        confidence=confidence, half_width=half_width,
    )  # fmt: skip
    if cube.is_label:
        return _of_words(part, _said(store, manifest, name))
    bounded = any(record.metric == name and record.score_kind == "bounded" for record in manifest.metrics)
    marks = mark_reader(name, scale=scale, bounded=bounded)
    human, ties = human_cube(
        joined,
        cube.values.shape,
        (lambda value: pass_or_fail(value, passing=passing)) if cube.is_binary else marks,
        binary=cube.is_binary,
    )
    return _of_numbers(part, human, binary=cube.is_binary, ties=ties, passing=passing)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """What every step needs."""

    manifest: Manifest
    metric: str
    joined: Joined
    judge: Float
    clusters: NDArray[np.int64] | None
    confidence: float
    half_width: float | None

    def codes(self) -> NDArray[np.int64] | None:
        """Return the cluster of each (item, repeat); `None` where every answer of a variant stands alone."""
        items, repeats = self.judge.shape[1:]
        if self.clusters is None and repeats == 1:
            return None
        groups = np.arange(items) if self.clusters is None else self.clusters
        return np.repeat(groups, repeats).astype(np.int64)


def _metric_name(manifest: Manifest, wanted: str | None) -> str:
    known = [record.metric for record in manifest.metrics]
    if wanted is not None:
        if wanted not in known:
            raise SpecError(f"there is no metric {wanted!r}; this run has {', '.join(map(repr, known))}")
        return wanted
    judges = [record.metric for record in manifest.metrics if "model" in record.spec]
    found = judges or known
    if len(found) != 1:
        what = "several judges" if judges else "several metrics"
        raise SpecError(f"the run has {what}; say which one with --metric: {', '.join(map(repr, found))}")
    return found[0]


def _said(store: LocalStore, manifest: Manifest, metric: str) -> dict[tuple[int, int, int], str]:
    """Return the judge's words by (variant, item, repeat)."""
    codes = {name: index for index, name in enumerate(manifest.variant_names)}
    rows = store.scores(manifest.run_id, columns=["variant", "item", "repeat", "metric", "label"]).to_pylist()
    return {
        (codes[row["variant"]], row["item"], row["repeat"]): row["label"]
        for row in rows
        if row["metric"] == metric and row["label"] is not None and row["variant"] in codes
    }


def _of_words(part: _Part, said: dict[tuple[int, int, int], str]) -> JudgeCalibration:
    """Calibrate a judge that answers in words: agreement only, since words have no mean."""
    agreed = {key: majority([v.casefold() for v in values]) for key, values in part.joined.values.items()}
    keys = [key for key in sorted(agreed) if agreed[key] is not None and key in said]
    judge = [said[key].casefold() for key in keys]
    human = [str(agreed[key]) for key in keys]
    undecided = sum(word is None for word in agreed.values())
    return _finish(
        part, scale="words", n_labelled=len(keys), kappa=cohen_kappa(judge, human, confidence=part.confidence),
        alpha=_alpha(judge, human, part.confidence, marks=False), confusion=_confusion(human, judge),
        accuracy=None, bias=_nothing("words have no mean"), half_width=nan, variants=(), differences=(), ties=undecided,
    )  # fmt: skip


def _of_numbers(part: _Part, human: Float, *, binary: bool, ties: int, passing: Sequence[str]) -> JudgeCalibration:
    both = ~np.isnan(part.judge) & ~np.isnan(human)
    judge, people = part.judge[both], human[both]
    integers = bool((np.mod(judge, 1) == 0).all() and (np.mod(people, 1) == 0).all())
    few_values = len(np.unique(np.concatenate([judge, people]))) <= _MOST_ROWS
    wanted = part.half_width if part.half_width is not None else 0.05 if binary else nan
    variants = tuple(_variant(part, index, human, wanted) for index in range(len(part.manifest.variant_names)))
    words = {1.0: "pass", 0.0: "fail"} if binary else {}
    listed = [[words.get(value, f"{value:g}") for value in side] for side in (people.tolist(), judge.tolist())]
    if binary or (integers and few_values):
        kappa: Estimate = cohen_kappa(
            judge.tolist(), people.tolist(), weights="nominal" if binary else "quadratic", confidence=part.confidence
        )
    else:
        kappa = _nothing("kappa needs few, whole marks; see alpha")
    return _finish(
        part, scale="pass_fail" if binary else "marks", n_labelled=int(both.sum()), kappa=kappa,
        alpha=_alpha(judge.tolist(), people.tolist(), part.confidence, marks=not binary),
        confusion=_confusion(*listed) if few_values else {},
        accuracy=judge_accuracy(judge, people, confidence=part.confidence) if binary and both.any() else None,
        bias=_bias(part, human), half_width=wanted, variants=variants, differences=_differences(part, human), ties=ties,
        passing=passing,
    )  # fmt: skip


def _nothing(reason: str) -> Estimate:
    return Estimate(estimate=nan, low=nan, high=nan, n=0, method="none", reason=reason)


def _alpha(judge: Sequence[object], human: Sequence[object], confidence: float, *, marks: bool) -> Estimate:
    if not judge:
        return _nothing("no answer has both a label and a score")
    ratings = np.asarray(list(zip(judge, human, strict=True)), dtype=np.float64 if marks else object)
    return krippendorff_alpha(ratings, level="interval" if marks else "nominal", confidence=confidence)


def _people_alpha(part: _Part, *, scale: Scale, passing: Sequence[str]) -> Estimate | None:
    """Return the agreement of people with each other, where at least two labelled the same answer."""
    people = list(part.joined.by_person.values())
    keys = [key for key, values in part.joined.values.items() if len(values) > 1]
    if not keys:
        return None

    def read(value: str) -> object:
        if scale == "words":
            return value.casefold()
        return pass_or_fail(value, passing=passing) if scale == "pass_fail" else number(value)

    ratings = np.full((len(keys), len(people)), None, dtype=object)
    for column, person in enumerate(people):
        for row, key in enumerate(keys):
            if key in person:
                ratings[row, column] = read(person[key])
    if scale == "marks":
        return krippendorff_alpha(ratings.astype(np.float64), level="interval", confidence=part.confidence)
    return krippendorff_alpha(ratings, confidence=part.confidence)


def _confusion(human: Sequence[str], judge: Sequence[str]) -> dict[str, dict[str, int]]:
    words = sorted({*human, *judge})
    table = {row: dict.fromkeys(words, 0) for row in words}
    for row, column in zip(human, judge, strict=True):
        table[row][column] += 1
    return table


def _bias(part: _Part, human: Float) -> Estimate:
    """Return judge minus people over all labelled answers; an item's variants and repeats belong together."""
    gap = part.judge - human
    items = np.arange(gap.shape[1]) if part.clusters is None else part.clusters
    codes = np.broadcast_to(items[None, :, None], gap.shape)
    on = ~np.isnan(gap)
    if not on.any():
        return _nothing("no answer has both a label and a score")
    found = clustered_mean(gap[on], codes[on], confidence=part.confidence)
    both = np.concatenate([part.judge[on], human[on]])
    if both.min() < 0 or both.max() > 1:
        return found
    return replace(found, low=max(found.low, -1.0), high=min(found.high, 1.0))  # rates differ by 100 points at most


def _variant(part: _Part, index: int, human: Float, wanted: float) -> CalibratedVariant:
    judge, people = part.judge[index].ravel(), human[index].ravel()
    codes = part.codes()
    mean = corrected_mean(judge, people, clusters=codes, confidence=part.confidence)
    gap = judge - people
    on = ~np.isnan(gap)
    bias = (
        summarize(gap[on], clusters=None if codes is None else codes[on], confidence=part.confidence)
        if on.any()
        else _nothing("no labelled answer")
    )
    target = wanted if not isnan(wanted) else (mean.high - mean.low) / 4
    needed = None
    if on.any() and target > 0:
        try:
            needed = labels_needed(judge, people, half_width=target, confidence=part.confidence)
        except StatsError:  # nothing varies, so there is nothing to plan from
            needed = None
    return CalibratedVariant(variant=part.manifest.variant_names[index], mean=mean, bias=bias, labels=needed)


def _differences(part: _Part, human: Float) -> tuple[CalibratedDifference, ...]:
    names = part.manifest.variant_names
    if len(names) < 2:
        return ()
    base = names.index(part.manifest.baseline)
    confidence = 1 - (1 - part.confidence) / (len(names) - 1)
    record = next((entry for entry in part.manifest.metrics if entry.metric == part.metric), None)
    up = record.higher_is_better if record else True
    found: list[CalibratedDifference] = []
    for index, name in enumerate(names):
        if index == base:
            continue
        result = corrected_difference(
            part.judge[index].ravel(), part.judge[base].ravel(), human[index].ravel(), human[base].ravel(),
            clusters=part.codes(), confidence=confidence,
        )  # fmt: skip
        found.append(
            CalibratedDifference(candidate=name, baseline=names[base], difference=result, label=_label(result, up))
        )
    return tuple(found)


def _label(
    result: CorrectedDifference, higher_is_better: bool | None
) -> Literal["better", "worse", "higher", "lower", "inconclusive"]:
    if not (result.low > 0 or result.high < 0):
        return "inconclusive"
    rises = result.low > 0
    if higher_is_better is None:
        return "higher" if rises else "lower"
    return "better" if rises == higher_is_better else "worse"


def _finish(
    part: _Part,
    *,
    scale: Scale,
    n_labelled: int,
    kappa: Estimate,
    alpha: Estimate,
    confusion: dict[str, dict[str, int]],
    accuracy: JudgeAccuracy | None,
    bias: Estimate,
    half_width: float,
    variants: tuple[CalibratedVariant, ...],
    differences: tuple[CalibratedDifference, ...],
    ties: int,
    passing: Sequence[str] = (),
) -> JudgeCalibration:
    if ties and ties == len(part.joined.values):
        raise SpecError(
            f"people are evenly divided on all {ties} labelled answers, and a tie is no label: ask one more person"
        )
    if not n_labelled:
        raise SpecError(f"none of the labelled answers has a score of {part.metric!r}")
    people_alpha = _people_alpha(part, scale=scale, passing=passing)
    result = JudgeCalibration(
        run_id=part.manifest.run_id, metric=part.metric, scale=scale, confidence=part.confidence,
        n_labelled=n_labelled, n_people=len(part.joined.by_person), kappa=kappa, alpha=alpha,
        people_alpha=people_alpha, confusion=confusion, accuracy=accuracy, bias=bias, half_width=half_width,
        variants=variants, differences=differences, words=(), warnings=_warnings(part, n_labelled, ties, variants),
    )  # fmt: skip
    return replace(result, words=calibration_words(result))


def _warnings(part: _Part, n_labelled: int, ties: int, variants: tuple[CalibratedVariant, ...]) -> tuple[str, ...]:
    joined = part.joined
    found = ["corrected numbers hold if the labelled answers were drawn at random, not picked"]
    if n_labelled < _FEW:
        found.append(f"only {n_labelled} labelled answers: intervals are wide, and shapes of error can be missed")
    if joined.unmatched:
        found.append(f"{len(joined.unmatched)} labels belong to nothing in this run ({joined.unmatched[0]})")
    if joined.n_unclear:
        found.append(f"{joined.n_unclear} labels say that it is not clear; they are left out")
    if ties:
        found.append(f"on {ties} answers people were divided evenly; they are left out")
    lost = len(joined.values) - ties - n_labelled
    if lost > 0:
        found.append(f"{lost} labelled answers have no score of {part.metric!r}; they are left out")
    items = {key[1] for key in joined.values}
    if len(items) < len(joined.values):
        found.append("several labelled answers belong to one item: kappa and alpha treat them as independent")
    if part.codes() is not None and variants:
        found.append(
            "the numbers of labels needed treat answers as independent; with repeats or clusters, plan for more"
        )
    return tuple(found)


def _json(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _json(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json(entry) for entry in value]
    if isinstance(value, np.generic):
        return _json(value.item())
    return None if isinstance(value, float) and not isfinite(value) else value
