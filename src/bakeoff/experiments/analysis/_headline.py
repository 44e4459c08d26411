"""The answer in one sentence, and how it came about in one paragraph."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bakeoff.experiments.analysis._answer import show
from bakeoff.experiments.analysis._guard import guard_words
from bakeoff.stats import methods_paragraph

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bakeoff.experiments.analysis._answer import Comparison, MetricAnalysis
    from bakeoff.experiments.analysis._question import Question
    from bakeoff.experiments.store._manifest import Manifest

__all__ = ["headline", "methods"]


def headline(metrics: Sequence[MetricAnalysis], manifest: Manifest, plan: Question) -> str:
    """Say the answer to the declared question."""
    primary = next((metric for metric in metrics if metric.metric == manifest.primary), None)
    if primary is None or not any(row.n_items for row in primary.scores):
        return "No answer could be scored." if manifest.status in ("complete", "partial") else "No scores yet."
    if not primary.comparisons:
        if primary.kind == "label":
            return f"{primary.metric} is a label: see the counts by variant."
        only = primary.scores[0]
        return f"{only.variant}: {primary.metric} {show(only.estimate.estimate, primary)}, nothing to compare with."
    lost = {row.variant: row.n_missing for row in primary.scores}
    if plan.explicit:
        said_pairs = "; ".join(_pair_words(c, plan) for c in primary.comparisons)
        return f"On {primary.metric}: {said_pairs}.{_doubt(primary.comparisons, lost, plan)}"
    against = [c for c in primary.comparisons if c.baseline == plan.baseline] or list(primary.comparisons)
    groups: dict[str, list[str]] = {word: [] for word in _SAID}
    for comparison in against:
        unknown = comparison.difference.estimate != comparison.difference.estimate
        groups["unknown" if unknown else comparison.label].append(comparison.candidate)
    said = _said(plan)
    parts = [
        f"{_and(names)} {'is' if len(names) == 1 else 'are'} {said[word]} {plan.baseline}"
        for word, names in groups.items()
        if names
    ]
    doubt = _doubt(against, lost, plan)
    return f"On {primary.metric}: {'; '.join(parts)}.{doubt}{guard_words(metrics, plan.baseline, plan.unmeasured)}"


def methods(
    metrics: Sequence[MetricAnalysis], manifest: Manifest, plan: Question, *, watched: str | None = None
) -> str:
    """Say which methods the numbers rest on, fit for a report.

    Args:
        metrics: What was analysed.
        manifest: The run.
        plan: The question.
        watched: How trials were allocated, when the numbers may be read while they grow; `None` for a complete,
            fixed run.
    """
    numeric = [metric for metric in metrics if metric.kind != "label"]
    results = [row.estimate for metric in numeric for row in metric.scores]
    results += [comparison.difference for metric in numeric for comparison in metric.comparisons]
    repeats = f", with {manifest.repeats} repeats averaged within the item" if manifest.repeats > 1 else ""
    who = "Every variant answered the same" if watched is None else "Variants were dispatched over the same"
    design = (
        f"{who} {manifest.dataset_items:,} items{repeats}; the item is the unit of analysis. "
        "Failed and unscored trials are missing, never zero."
    )
    if not results:
        return design
    design += _sided(numeric, manifest.primary, plan)
    if watched is not None:
        return f"{design} {_watched_methods(numeric, plan, watched)}"
    sizes = [len(metric.comparisons) for metric in numeric]
    family = sum(sizes) if plan.family == "all" else max(sizes, default=0)
    if plan.family == "metric" and len(numeric) > 1:
        design += f" {plan.declared} is the declared metric; verdicts on the others are exploratory."
    elif plan.correction not in ("none", "hochberg"):
        design += _shared(numeric, plan)
    return f"{design} " + methods_paragraph(
        results, correction=plan.correction if family > 1 else "none", family_size=family or None, alpha=plan.alpha
    )


def _sided(numeric: Sequence[MetricAnalysis], primary: str, plan: Question) -> str:
    if plan.alternative == "two-sided":
        return ""
    side = "higher" if plan.alternative == "greater" else "lower"
    if len(numeric) == 1:
        return f" Tests are one-sided, as declared: only a {side} score was looked for."
    return (
        f" Tests of {primary} are one-sided, as declared: only a {side} score was looked for. "
        "Those of the other metrics look both ways."
    )


def _shared(numeric: Sequence[MetricAnalysis], plan: Question) -> str:
    if len(numeric) < 2 or plan.declared not in (metric.metric for metric in numeric):
        return ""
    return (
        f" {plan.declared} is the declared metric and has {plan.primary_share:.0%} of alpha; the other metrics "
        "share the rest."
    )


def _watched_methods(numeric: Sequence[MetricAnalysis], plan: Question, watched: str) -> str:
    how = "The run is not finished" if watched == "fixed" else f"Allocation was {watched}"
    rows = [comparison.difference for metric in numeric for comparison in metric.comparisons]
    named = dict.fromkeys(_ALWAYS_VALID.get(row.method, row.method.replace("_", " ")) for row in rows)
    compared = f" Comparisons rest on the items that both variants answered: {'; '.join(named)}." if rows else ""
    pairs = max((len(metric.comparisons) for metric in numeric), default=0)
    shared = _shared(numeric, plan) if plan.family == "all" and plan.correction not in ("none", "hochberg") else ""
    shared += f" Alpha is shared equally over the {pairs} comparisons of a metric (Bonferroni)." if pairs > 1 else ""
    return (
        f"{how}, so all intervals and tests are always valid: they hold at whatever moment they are read, and are "
        f"wider than those of a complete run.{compared}{shared} A variant is called better or worse when the "
        f"always-valid test rejects at {plan.alpha:g} in all, equivalent when the running interval lies within the "
        "declared margin, and inconclusive otherwise."
    )


_ALWAYS_VALID = {
    "sequential_e_process": "e-processes on the items that separate two variants (Robbins 1970; Ramdas et al. 2023)",
    "sequential_betting": "betting confidence sequences (Waudby-Smith and Ramdas 2024)",
    "sequential_asymptotic": "asymptotic confidence sequences (Waudby-Smith et al. 2024)",
}

_SAID = {
    "better": "better than",
    "worse": "worse than",
    "higher": "higher than",
    "lower": "lower than",
    "equivalent": "equivalent to",
    "inconclusive": "not shown to differ from",
    "unknown": "without scores to compare with",
}


def _said(plan: Question) -> dict[str, str]:
    """Return the words of each label; a one-sided question was not asked the other way."""
    asked = {"greater": "not shown to score higher than", "less": "not shown to score lower than"}.get(plan.alternative)
    return _SAID if asked is None else {**_SAID, "inconclusive": asked}


def _doubt(comparisons: Sequence[Comparison], lost: Mapping[str, int], plan: Question) -> str:
    fragile = [c.candidate for c in comparisons if _fragile(c, lost, plan.margin)]
    return f" Scores missing on one side could overturn this for {_and(fragile)}." if fragile else ""


def _fragile(comparison: Comparison, lost: Mapping[str, int], margin: float | None) -> bool:
    """Say whether scores that are missing on one side more than on the other could undo the verdict."""
    bound = comparison.difference.missing_bound
    here, there = lost[comparison.candidate], lost[comparison.baseline]
    if bound is None or comparison.label == "inconclusive" or abs(here - there) <= 2.6 * (here + there) ** 0.5:
        return False
    if comparison.label == "equivalent":
        return margin is not None and not (-margin < bound[0] and bound[1] < margin)
    return bound[0] <= 0 <= bound[1]


def _pair_words(comparison: Comparison, plan: Question) -> str:
    unknown = comparison.difference.estimate != comparison.difference.estimate
    return f"{comparison.candidate} is {_said(plan)['unknown' if unknown else comparison.label]} {comparison.baseline}"


def _and(names: Sequence[str]) -> str:
    if len(names) > 4:
        return f"{', '.join(names[:3])} and {len(names) - 3} more"
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]
