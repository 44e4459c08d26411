"""What looking early costs: the level of the fixed test that needs the same number of items."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from bakeoff.stats.core._dist import norm_cdf, norm_ppf, norm_sf

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Float = NDArray[np.float64]

__all__ = ["equivalent_level", "obrien_fleming_bounds", "rejection_probability", "solve_increasing"]

_NODES = 64
_ALWAYS_LOOKS = 24


def solve_increasing(
    function: Callable[[float], float], target: float, low: float, high: float, *, tolerance: float = 1e-6
) -> float:
    """Return where an increasing probability reaches `target` between `low` and `high`, erring upwards.

    Regula falsi (Illinois) on the normal scale, where power is close to a straight line in the difference.
    """

    def height(x: float) -> float:
        return float(norm_ppf(np.clip(function(x), 1e-9, 1 - 1e-9))) - aim

    aim = float(norm_ppf(target))
    below, above = height(low), height(high)
    if below >= 0:
        return low
    side = 0
    for step in range(80):
        if high - low <= tolerance * max(abs(high), 1e-9):
            break
        middle = (low + high) / 2 if step % 4 == 3 else (low * above - high * below) / (above - below)
        middle = min(max(middle, low + 0.02 * (high - low)), high - 0.02 * (high - low))
        value = height(middle)
        if value >= 0:
            high, above, below, side = middle, value, below / 2 if side == 1 else below, 1
        else:
            low, below, above, side = middle, value, above / 2 if side == -1 else above, -1
    return high


@lru_cache(maxsize=1)
def _grid() -> tuple[Float, Float]:
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    return nodes, weights


def rejection_probability(times: Float, bounds: Float, drift: float) -> float:
    """Return the probability that `|Z(t)|` reaches its bound at one of the looks.

    `times` are information fractions in (0, 1] and `bounds` the critical z at each; `drift` is the mean of
    `Z(1)`. The recursive integration of Armitage, McPherson and Rowe (1969) by Gauss-Legendre quadrature.
    """
    nodes, weights = _grid()
    edges = bounds * np.sqrt(times)  # on the scale of a Brownian motion
    x = nodes * edges[0]
    sd = np.sqrt(times[0])
    density = np.exp(-0.5 * ((x - drift * times[0]) / sd) ** 2) / (sd * np.sqrt(2 * np.pi))
    mass = density * weights * edges[0]
    for step, edge, past in zip(np.diff(times), edges[1:], edges[:-1], strict=True):
        sd = np.sqrt(step)
        new = nodes * edge
        kernel = np.exp(-0.5 * ((new[:, None] - x[None, :] - drift * step) / sd) ** 2) / (sd * np.sqrt(2 * np.pi))
        if sd < past / 12:  # the kernel is too narrow for the grid: rescale each column to its exact mass
            upper, lower = (edge - x - drift * step) / sd, (-edge - x - drift * step) / sd
            exact = norm_cdf(upper) - norm_cdf(lower)
            total = (weights * edge) @ kernel
            kernel = kernel * np.where(total > 0, exact / np.where(total > 0, total, 1.0), 0.0)
        mass = (kernel @ mass) * weights * edge
        x = new
    return float(np.clip(1 - mass.sum(), 0.0, 1.0))


@lru_cache(maxsize=256)
def obrien_fleming_bounds(looks: int, alpha: float) -> tuple[float, ...]:
    """Return the critical z of each of `looks` equally spaced looks (O'Brien and Fleming 1979)."""
    times = np.arange(1, looks + 1) / looks
    start = float(norm_ppf(1 - alpha / 2))
    constant = solve_increasing(
        lambda c: 1 - rejection_probability(times, c / np.sqrt(times), 0.0), 1 - alpha, start * 0.999, start + 2
    )
    return tuple(float(value) for value in constant / np.sqrt(times))


@lru_cache(maxsize=4096)
def equivalent_level(alpha: float, power: float, looks: int | str, discordant: int = 0) -> float:
    """Return the two-sided level at which a fixed test has `power` at the drift where the watched test has.

    Args:
        alpha: Two-sided level of the whole procedure.
        power: Power wanted.
        looks: Number of planned looks (O'Brien-Fleming), or `"always"` for an always-valid test.
        discordant: Discordant items expected by the end, for the always-valid test on pass/fail pairs;
            0 for a normal-mixture confidence sequence tuned to the planned number of items.
    """
    if looks == 1:
        return alpha
    if isinstance(looks, int):
        times = np.arange(1, looks + 1) / looks
        bounds = np.array(obrien_fleming_bounds(looks, alpha))
    else:
        times, bounds = _always_valid_bounds(alpha, discordant)
    start = float(norm_ppf(1 - alpha / 2) + norm_ppf(power))
    drift = solve_increasing(lambda d: rejection_probability(times, bounds, d), power, max(0.0, start - 0.5), start + 3)
    return float(2 * norm_sf(drift - norm_ppf(power)))


def _always_valid_bounds(alpha: float, discordant: int) -> tuple[Float, Float]:
    if discordant:
        # 2^m B(1+a, 1+b) >= 1/alpha is (a-b)^2/m >= 2 log(1/alpha) + log(2m/pi) up to terms in 1/m
        counts = np.unique(np.round(np.geomspace(min(6, discordant), discordant, _ALWAYS_LOOKS)))
        times = counts / counts[-1]
        bounds = np.sqrt(2 * np.log(1 / alpha) + np.log(np.maximum(1.0, 2 * counts / np.pi)))
        return times, _as_if_watched(times, bounds, 1 / discordant)
    spent = np.log(1 / alpha)
    rho = 1 / (2 * spent + np.log(1 + 2 * spent))  # Howard et al. (2021), tuned to the end of the run
    times = np.geomspace(0.05, 1.0, _ALWAYS_LOOKS)
    bounds = np.sqrt((times + rho) * np.log((times + rho) / (rho * alpha**2)) / times)
    return times, _as_if_watched(times, bounds, 0.01)


def _as_if_watched(times: Float, bounds: Float, step: float) -> Float:
    """Lower the bounds of a few looks to stand for looks every `step` (Siegmund's 0.583 standard deviations)."""
    gap = np.sqrt(np.diff(times, prepend=0.0)[1:])
    shift = 0.583 * np.maximum(gap - np.sqrt(step), 0.0)
    return np.concatenate([bounds[:1], bounds[1:] - shift / np.sqrt(times[1:])])
