"""What is planned: the design of a comparison and the power of the very test that it will run."""

from __future__ import annotations

from dataclasses import dataclass
from math import copysign, isfinite, log, nan, sqrt
from typing import TYPE_CHECKING, Literal, get_args

from bakeoff.errors import StatsError
from bakeoff.stats.core._checks import check_alpha, check_alternative, check_count, check_unit
from bakeoff.stats.core._dist import norm_sf
from bakeoff.stats.core._mvt import max_abs_normal_ppf
from bakeoff.stats.many._family import Family
from bakeoff.stats.planning._looks import equivalent_level
from bakeoff.stats.planning._power import (
    mcnemar_power,
    mcnemar_power_always_valid,
    paired_mean_power,
    two_mean_power,
    two_proportion_power,
)
from bakeoff.stats.planning._power_margin import noninferiority_power_paired
from bakeoff.stats.two._compare_paired import FEW_FOR_MID_P, PERMUTE_BELOW

if TYPE_CHECKING:
    from collections.abc import Callable

    from bakeoff.stats.core._result import Alternative, Kind

__all__ = ["ComparisonDesign", "Goal", "PlanCorrection", "TypicalValues", "planned_power", "typical_values"]

Goal = Literal["difference", "noninferiority", "equivalence"]
"""What the run is to show: a difference, "not worse by the margin", or "the same within the margin"."""

PlanCorrection = Literal["holm", "bonferroni", "hochberg", "bh", "by", "max-t", "dunnett", "none"]
"""Correction over the declared family; the planner uses the level that the method guarantees to each test."""


_MAX_WATCHED_ITEMS = 250
"""Up to here the power of the always-valid test is counted path by path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TypicalValues:
    """What to assume before there is a pilot run."""

    correlation: float
    """Between two variants' scores on the same item."""
    generation_share: float
    """Part of the variance of a difference that comes from generation (and would shrink with repeats)."""
    sd: float
    """Standard deviation of the difference of two variants on one item, each run once."""
    source: str


_TYPICAL: dict[Kind, TypicalValues] = {
    "binary": TypicalValues(
        correlation=0.4,
        generation_share=0.5,
        sd=nan,
        source="six pairs of models on the 1,319 GSM8K questions of Cobbe et al. (2021) correlate 0.30 to 0.46",
    ),
    "bounded": TypicalValues(
        correlation=0.5,
        generation_share=0.5,
        sd=0.25,
        source="a guess: scores in [0, 1] with a standard deviation of 0.25 that correlate 0.5 between variants",
    ),
    "continuous": TypicalValues(
        correlation=0.5,
        generation_share=0.5,
        sd=1.0,
        source="none: differences are counted in standard deviations of an item-level difference",
    ),
}


def typical_values(kind: Kind = "binary") -> TypicalValues:
    """Return the values that the planner assumes when neither a pilot nor a guess is given.

    Args:
        kind: Kind of the score.

    Returns:
        The values with their source. Replace them by a pilot (`design_from_pilot`) as soon as there is one.

    Examples:
        >>> from bakeoff.stats import typical_values
        >>> typical_values("binary").correlation
        0.4
    """
    if kind not in _TYPICAL:
        raise StatsError(f"kind must be one of {list(_TYPICAL)}, got {kind!r}")
    return _TYPICAL[kind]


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonDesign:
    """Everything that decides what a comparison can see, except the number of items.

    Raises:
        StatsError: A value is out of its range.

    Examples:
        >>> from bakeoff.stats import ComparisonDesign
        >>> ComparisonDesign(n_variants=4, n_metrics=2).n_tests
        6
    """

    kind: Kind = "binary"
    repeats: int = 1
    """Runs of each item under each variant."""
    baseline_rate: float = 0.7
    """Pass rate of the baseline (pass/fail scores only)."""
    discordance: float | None = None
    """Share of items on which two variants disagree when each runs once; from `baseline_rate` when `None`."""
    discordance_of: Literal["variants", "reruns"] = "variants"
    """Whether `discordance` is that of two `variants` with whatever sets them apart, or of `reruns` of one and the same
    (A/A): a difference then comes on top of it."""
    sd: float | None = None
    """Standard deviation of an item's difference at one run each (unpaired: of one score)."""
    generation_share: float | None = None
    """Part of that variance due to generation: what repeats can remove."""
    paired: bool = True
    """Whether both variants run on the same items."""
    n_variants: int = 2
    comparisons: Literal["baseline", "all"] = "baseline"
    """Each variant against the baseline, or every pair."""
    n_metrics: int = 1
    primary_share: float | None = None
    """Part of `alpha` that the planned metric has among several (`adjust` with weights); an equal part when `None`."""
    n_segments: int = 1
    correction: PlanCorrection = "holm"
    alpha: float = 0.05
    """Level of the whole family; one-sided when the goal is non-inferiority or equivalence."""
    power: float = 0.8
    alternative: Alternative = "two-sided"
    cluster_size: float = 1
    """Items that belong together (one document, one user), on average."""
    icc: float = 0.0
    """Correlation of differences inside such a cluster."""
    looks: int | Literal["always"] = 1
    """Planned looks at the results (O'Brien-Fleming), or `"always"` for an always-valid test."""
    goal: Goal = "difference"

    def __post_init__(self) -> None:
        typical_values(self.kind)
        for name in ("repeats", "n_variants", "n_metrics", "n_segments"):
            check_count(getattr(self, name), name, minimum=2 if name == "n_variants" else 1)
        for name in ("baseline_rate", "icc", "discordance", "generation_share", "primary_share"):
            if (value := getattr(self, name)) is not None:
                check_unit(value, name)
        if self.sd is not None and not (self.sd > 0 and isfinite(self.sd)):
            raise StatsError(f"sd must be a number above 0, got {self.sd!r}")
        if not (self.cluster_size >= 1 and isfinite(self.cluster_size)):
            raise StatsError(f"cluster_size must be at least 1, got {self.cluster_size!r}")
        check_alpha(self.alpha)
        if not self.alpha < self.power < 1:
            raise StatsError(f"power must lie between alpha ({self.alpha!r}) and 1, got {self.power!r}")
        check_alternative(self.alternative)
        if self.looks != "always":
            check_count(self.looks, "looks", minimum=1)
        for name, value, allowed in (
            ("comparisons", self.comparisons, ("baseline", "all")),
            ("correction", self.correction, get_args(PlanCorrection)),
            ("goal", self.goal, get_args(Goal)),
            ("discordance_of", self.discordance_of, ("variants", "reruns")),
        ):
            if value not in allowed:
                raise StatsError(f"{name} must be one of {list(allowed)}, got {value!r}")

    @property
    def family(self) -> Family:
        """The declared family of comparisons."""
        return Family(
            n_variants=self.n_variants,
            n_metrics=self.n_metrics,
            n_segments=self.n_segments,
            comparisons=self.comparisons,
        )

    @property
    def n_comparisons(self) -> int:
        """Comparisons of variants on one metric in one segment."""
        return self.family.n_comparisons

    @property
    def n_tests(self) -> int:
        """Size of the declared family: comparisons x metrics x segments."""
        return self.family.size

    @property
    def one_sided(self) -> bool:
        """Whether `alpha` is spent on one side."""
        return self.goal != "difference" or self.alternative != "two-sided"

    @property
    def alpha_per_test(self) -> float:
        """Level that the correction guarantees to each test, before the price of looking early.

        Holm, Hochberg and BH never do worse than `alpha / n_tests`; max-t and Dunnett use the shared
        baseline (correlation 0.5 between comparisons); BY divides further by the harmonic sum.
        """
        tests = self.n_tests
        if tests == 1 or self.correction == "none":
            return self.alpha
        if self.primary_share is not None and self.n_metrics > 1 and self.correction in ("holm", "bonferroni"):
            return self.alpha * self.primary_share * self.n_metrics / tests
        if self.correction in ("max-t", "dunnett"):
            if self.one_sided:
                return float(norm_sf(max_abs_normal_ppf(1 - min(2 * self.alpha, 0.999), tests)))
            return float(2 * norm_sf(max_abs_normal_ppf(1 - self.alpha, tests)))
        if self.correction == "by":
            return self.alpha / tests / sum(1 / k for k in range(1, tests + 1))
        return self.alpha / tests

    @property
    def expected_discordance(self) -> float:
        """Share of items on which two equally good variants disagree, each run once."""
        if self.discordance is not None:
            return self.discordance
        rate = self.baseline_rate
        return 2 * rate * (1 - rate) * (1 - typical_values("binary").correlation)

    @property
    def design_effect(self) -> float:
        """Variance inflation by clusters, `1 + (m - 1) icc`."""
        return 1 + (self.cluster_size - 1) * self.icc

    @property
    def clustered(self) -> bool:
        """Whether items belong together in clusters."""
        return self.cluster_size > 1

    @property
    def test(self) -> str:
        """Identifier of the test that is planned for: the one that the comparison will run by default."""
        if self.kind == "binary" and self.repeats == 1 and not self.clustered:
            if self.goal != "difference":
                return "tango" if self.paired else "welch"
            return "mcnemar_midp" if self.paired else "score"
        if self.clustered:
            return "cr2_t"
        return "paired_t" if self.paired else "welch"

    def test_for(self, n_items: int) -> str:
        """Return the test that `compare` runs on so many items: below 50, sign flips instead of the t-test.

        Args:
            n_items: Items.
        """
        return "sign_flip" if self.test == "paired_t" and n_items < PERMUTE_BELOW else self.test

    def discordance_at(self, difference: float) -> float:
        """Return the share of discordant items when the candidate passes `difference` more.

        As expected without a difference, but at least the difference itself, and no more than the pass
        rates leave room for. Between reruns with discordance `s`, a loss `d` that strikes any passed answer alike
        (a share `d / p` of them, `p` the pass rate) gives `s + d (1 - s / p)`; a gain likewise with `1 - p`.
        """
        room = 1 - self.baseline_rate if difference > 0 else self.baseline_rate
        size = abs(difference)
        if self.discordance_of == "reruns" and size:
            noise = min(self.expected_discordance, 2 * room)
            return max(size, noise + size * (1 - noise / room)) if room > 0 else size
        return max(size, min(self.expected_discordance, 2 * room - size))

    def room(self, sign: int = 1) -> float:
        """Return the largest gain (`sign=1`) or loss (`sign=-1`) that the score allows."""
        if self.kind == "binary":
            return 1 - self.baseline_rate if sign > 0 else self.baseline_rate
        return 1.0 if self.kind == "bounded" else float("inf")

    def variance(self, difference: float = 0.0) -> float:
        """Return the variance of one item's difference (unpaired: of one variant's score) after repeats."""
        if self.kind == "binary":
            if self.paired:
                single = self.discordance_at(difference) - difference**2
            else:
                single = self.baseline_rate * (1 - self.baseline_rate)
        else:
            single = (self.sd if self.sd is not None else typical_values(self.kind).sd) ** 2
        share = self.generation_share
        share = typical_values(self.kind).generation_share if share is None else share
        return max(single * (1 - share + share / self.repeats), 1e-12)


def planned_power(n_items: int, difference: float, *, design: ComparisonDesign | None = None) -> float:
    """Return the chance that a run of `n_items` shows a true difference of `difference`.

    The power is that of the test the comparison will run (`design.test`): exact enumeration for paired
    pass/fail items, noncentral t on item means otherwise.

    Args:
        n_items: Items (per variant, when not paired).
        difference: True difference on the scale of the score, either sign (0.05 = five points). For
            non-inferiority and equivalence: the margin, with no true difference.
        design: What is planned; the defaults of `ComparisonDesign` when not given.

    Returns:
        Probability 0 to 1; `nan` where the test cannot be run (fewer than two items) or where a pass rate
        would leave [0, 1].

    Examples:
        >>> from bakeoff.stats import ComparisonDesign, planned_power
        >>> round(planned_power(200, 0.1, design=ComparisonDesign(discordance=0.2)), 3)
        0.903
    """
    design = ComparisonDesign() if design is None else design
    n_items = check_count(n_items, "n_items")
    if not isfinite(difference):
        raise StatsError(f"difference must be a number, got {difference!r}")
    if design.kind == "binary" and abs(difference) > 1:
        raise StatsError(f"difference of two pass rates cannot exceed 1 (100 points), got {difference!r}")
    if n_items < 2 or (design.goal == "difference" and abs(difference) > design.room(1 if difference > 0 else -1)):
        return nan
    return _power(n_items, difference, design)


def _power(n: int, difference: float, design: ComparisonDesign) -> float:
    if design.looks == "always" and design.test == "mcnemar_midp" and not design.one_sided and n <= _MAX_WATCHED_ITEMS:
        p10, p01 = _discordant_rates(difference, design)
        return mcnemar_power_always_valid(n, p10=p10, p01=p01, alpha=design.alpha_per_test)
    alpha = _level(n, design)
    flips = design.looks == 1 and design.goal == "difference" and design.test_for(n) == "sign_flip"
    if flips and alpha < 0.5**n * (1 if design.one_sided else 2):
        return 0.0  # all items pointing one way would not be enough
    if design.test in ("mcnemar_midp", "tango", "score"):
        return _binary_power(n, difference, design, alpha)
    effective = n / design.design_effect
    if design.paired:
        df = (n / design.cluster_size if design.clustered else n) - 1
        sd = sqrt(design.variance(difference if design.goal == "difference" else 0.0))
        if design.goal == "difference" and design.kind == "binary" and design.test_for(n) == "sign_flip":
            # means of K verdicts are multiples of 1/K, so sums tie: counted in full that costs half a step (1/Kn) of
            # the difference; with mid-p (from 10 items) a third of it, by simulation
            step = 1 / (design.repeats * n) / (3 if n >= FEW_FOR_MID_P else 1)
            difference -= copysign(min(abs(difference), step), difference)
        return _by_goal(
            design,
            lambda delta, side: paired_mean_power(
                effective, difference=delta, sd=sd, alpha=alpha, alternative=side, df=df
            ),
            difference,
        )
    sd = sqrt(design.variance())
    units = max(2, int(n / design.cluster_size)) if design.clustered else n
    scale = sqrt(design.design_effect * units / n)
    return _by_goal(
        design,
        lambda delta, side: two_mean_power(
            units,
            units,
            difference=delta,
            sd_candidate=sd * scale,
            sd_baseline=sd * scale,
            alpha=alpha,
            alternative=side,
        ),
        difference,
    )


def _by_goal(design: ComparisonDesign, power: Callable[[float, Alternative], float], difference: float) -> float:
    if design.goal == "difference":
        return power(difference, design.alternative)
    one_side = power(abs(difference), "greater")
    return one_side if design.goal == "noninferiority" else max(0.0, 2 * one_side - 1)


def _binary_power(n: int, difference: float, design: ComparisonDesign, alpha: float) -> float:
    if design.test == "tango":
        half = design.expected_discordance / 2
        margin = min(max(abs(difference), 1e-9), 1 - 1e-9)
        return noninferiority_power_paired(
            n, p10=half, p01=half, margin=margin, alpha=alpha, equivalence=design.goal == "equivalence", method="tango"
        )
    if design.test == "score":
        return two_proportion_power(
            n,
            n,
            p_candidate=min(1.0, max(0.0, design.baseline_rate + difference)),
            p_baseline=design.baseline_rate,
            alpha=alpha,
            alternative=design.alternative,
        )
    p10, p01 = _discordant_rates(difference, design)
    return mcnemar_power(n, p10=p10, p01=p01, alpha=alpha, alternative=design.alternative)


def _discordant_rates(difference: float, design: ComparisonDesign) -> tuple[float, float]:
    discordance = design.discordance_at(difference)
    return max(0.0, (discordance + difference) / 2), max(0.0, (discordance - difference) / 2)


def _level(n: int, design: ComparisonDesign) -> float:
    """Return the level of the fixed test that stands for the planned one, looks included."""
    alpha = design.alpha_per_test
    if design.looks == 1:
        return alpha
    sides = 2 if design.one_sided else 1
    discordant = 0
    if design.looks == "always" and design.test == "mcnemar_midp":
        expected = max(6.0, n * design.expected_discordance)
        discordant = round(1.15 ** round(log(expected) / log(1.15)))  # a coarse grid, so that it is computed once
    return equivalent_level(min(alpha * sides, 0.999), design.power, design.looks, discordant) / sides
