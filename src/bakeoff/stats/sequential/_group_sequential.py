"""Group-sequential tests: a few planned looks, with boundaries that spend alpha over them."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, inf, nan, pi, sqrt
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from bakeoff.errors import StatsError
from bakeoff.stats.core._checks import check_alpha, check_count
from bakeoff.stats.core._dist import norm_cdf, norm_ppf, norm_sf
from bakeoff.stats.core._result import Estimate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Float = NDArray[np.float64]

__all__ = [
    "GroupSequentialDesign",
    "GroupSequentialLook",
    "Spending",
    "alpha_spent",
    "group_sequential_crossing",
    "group_sequential_design",
    "group_sequential_interval",
    "group_sequential_look",
]

Spending = Literal["pocock", "obrien_fleming", "lan_demets_obrien_fleming", "lan_demets_pocock", "power"]
"""Shape of the boundary. The first two are the classical constants; the others spend alpha at any look times."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSequentialDesign:
    """Two-sided boundaries for the looks of one experiment."""

    information: tuple[float, ...]
    """Share of the planned items at each look, rising to 1."""
    critical: tuple[float, ...]
    """Reject when |z| reaches this; inf where a look spends nothing."""
    nominal_p: tuple[float, ...]
    """The same as a two-sided p-value."""
    spent: tuple[float, ...]
    """Alpha used up to and including each look."""
    alpha: float
    spending: Spending


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSequentialLook:
    """The decision at one planned look."""

    look: int
    z: float
    critical: float
    reject: bool
    stop: bool
    estimate_note: str
    """How the estimate may be reported."""
    words: str


def alpha_spent(fraction: float, *, alpha: float = 0.05, spending: Spending, power: float = 3.0) -> float:
    """Return the two-sided alpha that may be used up to an information fraction.

    Lan-DeMets O'Brien-Fleming: `4 (1 - Phi(z_{1 - alpha/4} / sqrt(t)))`, half of it on each side. Pocock:
    `alpha ln(1 + (e - 1) t)`. Power family: `alpha t^power`.

    Args:
        fraction: Share of the planned items, in [0, 1].
        alpha: Two-sided error of the whole design.
        spending: A spending function (not one of the classical constants).
        power: Exponent of the power family; 3 is close to O'Brien-Fleming, 1 to Pocock.

    Returns:
        Alpha used, in [0, alpha].

    References:
        Lan and DeMets 1983, Biometrika 70.

    Examples:
        >>> round(alpha_spent(0.5, spending="lan_demets_pocock"), 4)
        0.031
    """
    check_alpha(alpha)
    if not 0 <= fraction <= 1:
        raise StatsError(f"fraction must lie in [0, 1], got {fraction!r}")
    if fraction == 0:
        return 0.0
    if spending == "lan_demets_obrien_fleming":
        z = float(norm_ppf(1 - alpha / 4))
        return 4 * float(norm_sf(z / sqrt(fraction)))
    if spending == "lan_demets_pocock":
        return alpha * float(np.log(1 + (exp(1) - 1) * fraction))
    if spending == "power":
        if not power > 0:
            raise StatsError(f"power must be positive, got {power!r}")
        return alpha * fraction**power
    raise StatsError(f"spending must be a spending function, got {spending!r}")


class _Recursion:
    """Density of the score process among the paths that have not crossed (Armitage, McPherson and Rowe 1969)."""

    def __init__(self, drift: float = 0.0) -> None:
        self._drift = drift
        self._time = 0.0
        self._points: Float = np.zeros(1)
        self._mass: Float = np.ones(1)

    def cross(self, time: float, edge: float) -> tuple[float, float]:
        """Probability of first reaching +edge and -edge (score scale) at `time`."""
        step = time - self._time
        centre = self._points + self._drift * step
        scale = sqrt(step)
        up = float(self._mass @ norm_sf((edge - centre) / scale))
        down = float(self._mass @ norm_cdf((-edge - centre) / scale))
        return up, down

    def advance(self, time: float, edge: float) -> None:
        """Keep the paths that stayed inside +-edge at `time`."""
        step = time - self._time
        scale = sqrt(step)
        reach = min(edge, 9.0 * sqrt(time) + abs(self._drift) * time)
        count = int(min(1200, max(64, np.ceil(5 * reach / scale))))
        nodes, weights = np.polynomial.legendre.leggauss(count)
        points = nodes * reach
        gap = (points[:, None] - (self._points + self._drift * step)[None, :]) / scale
        density = np.exp(-0.5 * gap**2) @ self._mass / (scale * sqrt(2 * pi))
        self._mass = density * weights * reach
        self._points, self._time = points, time


def _checked_information(information: Sequence[float] | int) -> tuple[float, ...]:
    if isinstance(information, int):
        k = check_count(information, "information", minimum=1)
        return tuple((i + 1) / k for i in range(k))
    times = tuple(float(t) for t in information)
    rising = all(b > a for a, b in zip((0.0, *times), times, strict=False))
    if not times or not rising or abs(times[-1] - 1) > 1e-9:
        raise StatsError(
            f"information must rise from above 0 to exactly 1 (share of the planned items), got {list(times)!r}"
        )
    if len(times) > 50:
        raise StatsError(f"information may hold at most 50 looks, got {len(times)}; use an always-valid comparison")
    return times


def _bisect(falling: Callable[[float], float], target: float, low: float, high: float) -> float:
    """Root of a decreasing function."""
    while high - low > 1e-9:
        middle = 0.5 * (low + high)
        if falling(middle) > target:
            low = middle
        else:
            high = middle
    return high


def group_sequential_crossing(
    critical: Sequence[float], information: Sequence[float] | int, *, drift: float = 0.0
) -> tuple[tuple[float, float], ...]:
    """Return the chance of stopping at each look, upwards and downwards.

    Args:
        critical: |z| boundary at each look.
        information: Share of the planned items at each look, or the number of equally spaced looks.
        drift: Mean of the final z: 0 under the null, `effect / standard error` at the full size otherwise.

    Returns:
        One (upper, lower) pair per look. Their sum over looks is the error rate at drift 0, the power elsewhere.

    Raises:
        StatsError: Numbers that do not fit, or a boundary that is not positive.

    Examples:
        >>> looks = group_sequential_crossing([1.96] * 5, 5)
        >>> round(sum(up + down for up, down in looks), 3)
        0.142
    """
    times = _checked_information(information)
    if len(critical) != len(times) or any(not c > 0 for c in critical):
        raise StatsError(f"critical must hold {len(times)} positive numbers, got {list(critical)!r}")
    if not np.isfinite(drift) or abs(drift) > 50:
        raise StatsError(f"drift must lie in [-50, 50], got {drift!r}")
    recursion = _Recursion(drift)
    found: list[tuple[float, float]] = []
    for time, z in zip(times, critical, strict=True):
        edge = z * sqrt(time)
        found.append(recursion.cross(time, edge))
        recursion.advance(time, edge)
    return tuple(found)


def _classical(times: tuple[float, ...], alpha: float, spending: Spending) -> tuple[float, ...]:
    def shape(constant: float) -> tuple[float, ...]:
        return tuple(constant if spending == "pocock" else constant / sqrt(t) for t in times)

    def error(constant: float) -> float:
        return sum(up + down for up, down in group_sequential_crossing(shape(constant), times))

    start = float(norm_ppf(1 - alpha / 2))
    return shape(_bisect(error, alpha, start * 0.99, start + 6))


def group_sequential_design(
    information: Sequence[float] | int,
    *,
    alpha: float = 0.05,
    spending: Spending = "lan_demets_obrien_fleming",
    power: float = 3.0,
) -> GroupSequentialDesign:
    """Return two-sided boundaries for planned looks.

    Choose this over an always-valid comparison when looks are few and planned: it has more power. Look times
    may differ from the plan with a spending function, as long as they do not depend on the results.

    Args:
        information: Share of the planned items at each look (ends with 1), or a number of equal steps.
        alpha: Two-sided error of the whole design.
        spending: Shape of the boundary.
        power: Exponent when `spending` is `power`.

    Returns:
        Critical values, nominal p-values and alpha spent.

    Raises:
        StatsError: Information that does not rise to 1, or more than 50 looks.

    References:
        Pocock 1977, Biometrika 64; O'Brien and Fleming 1979, Biometrics 35; Lan and DeMets 1983, Biometrika 70;
        Jennison and Turnbull 2000, chapters 2, 7 and 19.

    Examples:
        >>> [round(c, 3) for c in group_sequential_design(5).critical]
        [4.877, 3.357, 2.68, 2.29, 2.031]
    """
    check_alpha(alpha)
    times = _checked_information(information)
    if spending not in get_args(Spending):
        raise StatsError(f"spending must be one of {list(get_args(Spending))}, got {spending!r}")
    if spending in ("pocock", "obrien_fleming"):
        critical = _classical(times, alpha, spending)
        spent = np.cumsum([up + down for up, down in group_sequential_crossing(critical, times)]).tolist()
    else:
        spent = [alpha_spent(t, alpha=alpha, spending=spending, power=power) for t in times]
        critical = _spend(times, spent)
    return GroupSequentialDesign(
        information=times,
        critical=critical,
        nominal_p=tuple(2 * float(norm_sf(c)) for c in critical),
        spent=tuple(float(s) for s in spent),
        alpha=alpha,
        spending=spending,
    )


def _spend(times: tuple[float, ...], spent: Sequence[float]) -> tuple[float, ...]:
    recursion, before = _Recursion(), 0.0
    critical: list[float] = []
    for time, total in zip(times, spent, strict=True):

        def both(z: float, time: float = time) -> float:
            up, down = recursion.cross(time, z * sqrt(time))
            return up + down

        share = max(total - before, 0.0)
        z = _bisect(both, share, 0.0, 12.0) if share > 1e-15 else inf
        critical.append(z)
        recursion.advance(time, min(z, 12.0) * sqrt(time))
        before = total
    return tuple(critical)


def group_sequential_look(design: GroupSequentialDesign, look: int, z: float) -> GroupSequentialLook:
    """Return the decision at one planned look.

    Args:
        design: The design, fixed before the first item.
        look: Which look, from 1.
        z: The test statistic over all items so far (for instance `(wins - losses) / sqrt(wins + losses)`);
            nan = not estimable yet, which never rejects.

    Returns:
        Whether to reject and to stop, with the reason in words.

    Raises:
        StatsError: `look` outside the design.

    Examples:
        >>> design = group_sequential_design(5)
        >>> group_sequential_look(design, 3, 2.9).reject, group_sequential_look(design, 1, 2.9).reject
        (True, False)
    """
    check_count(look, "look", minimum=1)
    if look > len(design.critical):
        raise StatsError(f"look must be at most {len(design.critical)}, the looks of the design, got {look!r}")
    critical = design.critical[look - 1]
    reject = abs(z) >= critical if z == z else False
    last = look == len(design.critical)
    verdict = (
        "the difference is established" if reject
        else "no difference was established; this is not evidence of none" if last
        else "go on to the next look"
    )  # fmt: skip
    return GroupSequentialLook(
        look=look,
        z=z if z == z else nan,
        critical=critical,
        reject=reject,
        stop=reject or last,
        estimate_note="stopping early exaggerates the estimate; report it with `group_sequential_interval`",
        words=f"Look {look} of {len(design.critical)}: |z| = {abs(z):.2f} against {critical:.2f}: {verdict}.",
    )


def group_sequential_interval(
    design: GroupSequentialDesign, look: int, estimate: float, *, standard_error: float
) -> Estimate:
    """Return the repeated confidence interval of an effect at one planned look.

    `estimate +- critical_k * se`: all looks' intervals hold together with probability 1 - alpha, whether or not the
    experiment stopped there, and one excludes zero exactly when that look rejects.

    Args:
        design: The design, fixed before the first item.
        look: Which look, from 1.
        estimate: Effect over all items so far.
        standard_error: Its standard error, the one that z was computed with.

    Returns:
        Interval; nan with a reason when the standard error is missing or 0, or the look spends no alpha.

    Raises:
        StatsError: `look` outside the design, or a negative standard error.

    References:
        Jennison and Turnbull 1989, JRSS B 51.

    Examples:
        >>> out = group_sequential_interval(group_sequential_design(5), 5, 0.1, standard_error=0.04)
        >>> round(out.low, 4), round(out.high, 4)
        (0.0188, 0.1812)
    """
    check_count(look, "look", minimum=1)
    if look > len(design.critical):
        raise StatsError(f"look must be at most {len(design.critical)}, the looks of the design, got {look!r}")
    if standard_error < 0:
        raise StatsError(f"standard_error must be at least 0, got {standard_error!r}")
    critical = design.critical[look - 1]
    known = standard_error > 0 and critical < inf and estimate == estimate
    half = critical * standard_error if known else nan
    return Estimate(
        estimate=estimate,
        low=estimate - half,
        high=estimate + half,
        confidence=1 - design.alpha,
        n=look,
        method="group_sequential",
        se=standard_error,
        reason=None if known else "the effect has no standard error yet, or this look spends no alpha",
    )
