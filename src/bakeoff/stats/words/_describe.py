"""Results in plain words: one paragraph for a decision, one for a Methods section."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bakeoff.stats.core._result import Difference, Estimate
from bakeoff.stats.words._format import format_interval, format_p, format_span, format_value, supported_decimals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bakeoff.stats.core._result import Kind

__all__ = ["describe", "methods_paragraph"]

_INTERVALS = {
    "wilson": "the Wilson score interval (Wilson 1927)",
    "clopper_pearson": "the exact Clopper-Pearson interval (Clopper & Pearson 1934)",
    "agresti_coull": "the Agresti-Coull interval (Agresti & Coull 1998)",
    "jeffreys": "the Jeffreys interval (Brown, Cai & DasGupta 2001)",
    "wilson_n_eff": "the Wilson interval with an effective number of trials and t quantiles",
    "wilson_n_eff_cr2": "the Wilson interval with an effective number of trials from the CR2 standard error",
    "wilson_n_eff_hc2": "the Wilson interval with an effective number of trials from the weighted standard error",
    "t": "the t interval on item means",
    "logit_t": "a t interval on the logit scale",
    "logit_t_cr2": "a t interval on the logit scale with CR2 standard errors",
    "logit_t_hc2": "a t interval on the logit scale with weighted (HC2) standard errors",
    "hc2": "t intervals of weighted means with HC2 standard errors",
    "cr0": "cluster-robust (CR0) intervals",
    "cr1": "cluster-robust (CR1) t intervals with G-1 degrees of freedom",
    "cr2": "cluster-robust (CR2) t intervals with Satterthwaite degrees of freedom (Bell & McCaffrey 2002)",
    "cluster_means": "t intervals on cluster means",
    "bonett_price": "the Bonett-Price interval for paired proportions (Bonett & Price 2012)",
    "tango": "Tango's score interval for paired proportions (Tango 1998)",
    "newcombe": "Newcombe's square-and-add Wilson interval (Newcombe 1998)",
    "agresti_caffo": "the Agresti-Caffo interval (Agresti & Caffo 2000)",
    "miettinen_nurminen": "the Miettinen-Nurminen score interval (Miettinen & Nurminen 1985)",
    "welch": "Welch's t interval (Welch 1947)",
    "bootstrap_percentile": "percentile bootstrap intervals (Efron 1979)",
    "bootstrap_bca": "BCa bootstrap intervals (Efron 1987)",
    "bootstrap_t": "bootstrap-t intervals (Efron & Tibshirani 1993)",
    "cluster_bootstrap_percentile": "percentile bootstrap intervals that resample whole clusters",
    "cluster_bootstrap_bca": "BCa bootstrap intervals that resample whole clusters",
    "cluster_bootstrap_t": "bootstrap-t intervals that resample whole clusters",
    "order_statistics": "order-statistic intervals for quantiles (Conover 1999)",
}

_TESTS = {
    "mcnemar_midp": "McNemar's mid-p test (Fagerland, Lydersen & Laake 2013)",
    "mcnemar_exact": "McNemar's exact test",
    "mcnemar_asymptotic": "McNemar's asymptotic test",
    "mcnemar_continuity": "McNemar's test with continuity correction",
    "paired_t": "the paired t test on item means",
    "hc2_t": "a t test of the weighted mean difference with HC2 standard errors",
    "cr0_t": "a cluster-robust (CR0) test",
    "cr1_t": "a cluster-robust (CR1) t test",
    "cr2_t": "a cluster-robust (CR2) t test with Satterthwaite degrees of freedom",
    "cluster_means_t": "a t test on cluster means",
    "sign_test": "the sign test where every item differs by the same amount",
    "sign_flip": "a sign-flip permutation test (Fisher 1935)",
    "sign_flip_exact": "an exact sign-flip permutation test (Fisher 1935)",
    "sign_flip_midp": "a sign-flip permutation test with mid-p for ties (Fisher 1935; Lancaster 1961)",
    "sign_flip_midp_exact": "an exact sign-flip permutation test with mid-p for ties (Fisher 1935; Lancaster 1961)",
    "wilcoxon": "the Wilcoxon signed-rank test",
    "wilcoxon_exact": "the exact Wilcoxon signed-rank test with ties",
    "score": "the N-1 chi-square test (Campbell 2007)",
    "fisher": "Fisher's exact test",
    "fisher_midp": "Fisher's mid-p test",
    "boschloo": "Boschloo's exact unconditional test",
    "welch": "Welch's t test (Welch 1947)",
    "permutation": "a studentised permutation test",
}

_CORRECTIONS = {
    "holm": "Holm's method (family-wise error rate)",
    "hochberg": "Hochberg's method (family-wise error rate)",
    "bonferroni": "Bonferroni's method (family-wise error rate)",
    "bh": "the Benjamini-Hochberg method (false discovery rate)",
    "by": "the Benjamini-Yekutieli method (false discovery rate)",
    "none": "no correction",
}


def describe(
    result: Estimate,
    *,
    name: str = "The candidate",
    baseline: str = "the baseline",
    metric: str = "the score",
    kind: Kind | None = None,
) -> str:
    """Render a result as one plain paragraph: estimate, interval, verdict, basis, caveats.

    Numbers are rounded to what the interval supports: no digits beyond two significant ones of its
    half-width.

    Args:
        result: What `summarize` or `compare` returned.
        name: Name of the (candidate) variant.
        baseline: Name of the baseline, for a Difference.
        metric: Name of the metric.
        kind: Kind of score of a single estimate: binary and bounded scores are shown in percent.

    Returns:
        The paragraph, plain text.

    Examples:
        >>> from bakeoff.stats import compare
        >>> print(describe(compare([1] * 75 + [0] * 25, [1] * 60 + [0] * 40), name="terse",
        ...                baseline="verbose", metric="accuracy"))
        terse is better than verbose on accuracy: 75% against 60%, a difference of +15 points
        (95% interval +7 to +22; p < 0.0001, McNemar mid-p). Based on 100 items answered by both.
    """
    if isinstance(result, Difference):
        return _describe_difference(result, name, baseline, metric)
    percent = kind in ("binary", "bounded")
    decimals = supported_decimals(result.low, result.high)
    units = _units(result, result.n)
    if result.estimate != result.estimate:
        return _join([f"{name}: {metric} cannot be estimated ({result.reason or 'no usable scores'})."])
    value = _show(result.estimate, decimals, percent)
    if result.low != result.low or result.high != result.high:
        text = f"{name}: {metric} is {value}, with {result.reason or 'no interval'}."
    else:
        interval = format_interval(result.low, result.high, decimals, points=percent)
        text = (
            f"{name}: {metric} is {value} ({100 * result.confidence:g}% interval {interval}{'%' if percent else ''})."
        )
    return _join([text, f"Based on {units}.", *_caveats(result.warnings)])


def _show(value: float, decimals: int, percent: bool) -> str:
    return format_value(value, decimals, points=percent) + ("%" if percent else "")


def _units(result: Estimate, items: int) -> str:
    clustered = "cluster" in " ".join(result.assumptions) or result.method.endswith(("cr0", "cr1", "cr2"))
    if not clustered:
        return f"{items:,} item{'' if items == 1 else 's'}"
    clusters = f"{result.n:,} cluster{'' if result.n == 1 else 's'}"
    return clusters if items == result.n else f"{items:,} items in {clusters}"


def _join(parts: list[str]) -> str:
    return " ".join(part for part in parts if part)


def _caveats(warnings: tuple[str, ...]) -> list[str]:
    return [f"Caution: {note[0].lower() + note[1:]}." for note in warnings]


def _describe_difference(d: Difference, name: str, baseline: str, metric: str) -> str:
    if d.estimate != d.estimate:
        head = f"{name} and {baseline} cannot be compared on {metric}: {d.reason or 'no usable scores'}."
        return _join([head, *_caveats(d.warnings)])
    parts = [_headline(d, name, baseline, metric), _basis(d), *_undecided(d), *_caveats(d.warnings)]
    return _join(parts)


def _headline(d: Difference, name: str, baseline: str, metric: str) -> str:
    points = d.kind != "continuous"
    word = d.verdict.word if d.verdict is not None else "inconclusive"
    claim = {
        "better": f"{name} is better than {baseline} on {metric}",
        "worse": f"{name} is worse than {baseline} on {metric}",
        "equivalent": f"{name} and {baseline} are equivalent on {metric} (within the declared margin)",
        "inconclusive": f"No winner yet between {name} and {baseline} on {metric}",
    }[word]
    decimals = supported_decimals(d.low, d.high, estimate=d.estimate)
    means = f"{_show(d.candidate_mean, decimals, points)} against {_show(d.baseline_mean, decimals, points)}"
    difference = format_value(d.estimate, decimals, signed=True, points=points) + (" points" if points else "")
    if d.low != d.low or d.high != d.high:
        uncertainty = d.reason or "no interval"
    else:
        uncertainty = f"{100 * d.confidence:g}% interval {format_span(d.low, d.high, decimals, points=points)}"
    corrected = d.p_adjusted == d.p_adjusted and d.p_adjusted != d.p_value
    p = format_p(d.p_adjusted if corrected else d.p_value) + (" after correction" if corrected else "")
    return f"{claim}: {means}, a difference of {difference} ({uncertainty}; {p}, {_test_name(d.test)})."


def _test_name(test: str) -> str:
    short = {
        "mcnemar_midp": "McNemar mid-p",
        "mcnemar_exact": "exact McNemar",
        "paired_t": "paired t",
        "cr2_t": "cluster-robust t",
        "hc2_t": "weighted t",
        "sign_flip": "sign-flip permutation",
        "sign_flip_exact": "exact sign-flip permutation",
        "sign_flip_midp": "sign-flip mid-p",
        "sign_flip_midp_exact": "exact sign-flip mid-p",
        "wilcoxon_exact": "exact Wilcoxon",
        "score": "chi-square",
        "welch": "Welch t",
    }
    return short.get(test, test.replace("_", " "))


def _basis(d: Difference) -> str:
    units = _units(d, d.n_items or d.n)
    return f"Based on {units} answered by both." if d.paired else f"Based on {units}, different for each side."


def _undecided(d: Difference) -> list[str]:
    """Carry over what would decide an open question, or the note on a borderline one."""
    if d.verdict is None:
        return []
    sentences = d.verdict.because.split(". ")
    return [text if text.endswith(".") else f"{text}." for text in sentences[1:]]


def methods_paragraph(
    results: Sequence[Estimate], *, correction: str = "none", family_size: int | None = None, alpha: float = 0.05
) -> str:
    """Render the methods behind results as a paragraph fit for a report.

    Args:
        results: Estimates and differences of one analysis.
        correction: How p-values were adjusted; see `adjust`.
        family_size: Comparisons in the declared family.
        alpha: Level of the verdicts.

    Returns:
        The paragraph, plain text, each method with its source.

    Examples:
        >>> from bakeoff.stats import compare
        >>> text = methods_paragraph([compare([1, 0, 1, 1], [0, 0, 1, 0])], correction="holm", family_size=3)
        >>> "Bonett-Price" in text and "Holm" in text
        True
    """
    differences = [result for result in results if isinstance(result, Difference)]
    single = [result for result in results if not isinstance(result, Difference)]
    parts: list[str] = []
    if single:
        parts.append(f"Scores of single variants are reported with {_listed(_INTERVALS, [e.method for e in single])}.")
    if differences:
        intervals = _listed(_INTERVALS, [d.method for d in differences])
        tests = _listed(_TESTS, [d.test for d in differences])
        paired = {d.paired for d in differences}
        design = "on the same items" if paired == {True} else "on different items" if paired == {False} else ""
        parts.append(
            f"Variants were compared {design} with {intervals}; p-values come from {tests}.".replace("  ", " ")
        )
    levels = sorted({f"{100 * result.confidence:g}%" for result in results})
    if levels:
        parts.append(f"Intervals are at the {' and '.join(levels)} level.")
    parts.append("Repeats were averaged within an item, so the item (or its cluster) is the unit of analysis.")
    if differences:
        parts.extend(_family_words(differences, correction, family_size, alpha))
    return " ".join(parts)


def _listed(names: dict[str, str], keys: list[str]) -> str:
    words = [names.get(key, key.replace("_", " ")) for key in dict.fromkeys(keys)]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _family_words(differences: list[Difference], correction: str, family_size: int | None, alpha: float) -> list[str]:
    size = family_size or len(differences)
    parts = []
    if correction == "none":
        if size > 1:
            chance = 100 * (1 - (1 - alpha) ** size)
            parts.append(
                f"The {size} p-values are not corrected for multiple comparisons: if nothing differed, the chance of "
                f"at least one false verdict could reach {chance:.0f}%."
            )
    else:
        how = _CORRECTIONS.get(correction, correction)
        parts.append(f"P-values were corrected over a family of {size} comparisons by {how}.")
    parts.append(
        f"A variant is called better or worse when the (corrected) p-value is at most {alpha:g}, equivalent when the "
        f"{100 * (1 - 2 * alpha):g}% interval lies within the declared margin (two one-sided tests, Schuirmann 1987), "
        "and inconclusive otherwise."
    )
    missing = sum(d.n_missing for d in differences)
    if missing:
        parts.append(
            "Items without a score on either side were left out of that comparison "
            f"({missing:,} left out over {len(differences)} comparisons)."
        )
    return parts
