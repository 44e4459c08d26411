"""Pass rates on the same items against a margin: score bounds, and an exact test where few items disagree."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

__all__ = ["exact_margin_p", "score_bounds"]

_GRID = 24
_REACH = 6.0


def score_bounds(gained: float, lost: float, n: float, critical: float) -> tuple[float, float]:
    """Return Tango's bounds for the difference of two pass rates on the same items.

    The differences d at which the score statistic (b - c - n d) / sqrt(n (2 q + d (1 - d))) equals +-`critical`, with
    the rate q constrained to d (Tango 1998). At a loss as large as the margin, with few gains, this keeps its level
    where intervals around the estimate pass 6 to 8% at a nominal 5%. Counts may be effective ones: with clusters, all
    three are divided by the design effect.

    Args:
        gained: Items that only the candidate passes.
        lost: Items that only the baseline passes.
        n: Items.
        critical: Quantile of one side, for instance 1.645.

    Examples:
        >>> low, high = score_bounds(0, 1, 44, 1.959964)  # soft lens data of Tango (1998), 95%
        >>> round(low, 3), round(high, 3)
        (-0.118, 0.059)
    """
    edge = 1 - 1e-9

    def solve(wanted: float) -> float:
        low, high = -edge, edge
        for _ in range(50):
            middle = (low + high) / 2
            statistic = float(_tango(np.array(gained), np.array(lost), n, -middle))
            low, high = (middle, high) if statistic > wanted else (low, middle)
        return (low + high) / 2

    return solve(critical), solve(-critical)


@lru_cache(maxsize=4096)
def exact_margin_p(gained: int, lost: int, n: int, margin: float) -> float:
    """Return the exact unconditional p-value of "the pass rate fell by `margin` or more" on paired items.

    The largest probability, over every rate of gains, of an outcome at least as favourable by Tango's statistic when
    the loss is exactly `margin` (Suissa & Shuster 1991; Tango 1998 for the ordering). With so few disagreements the
    normal intervals pass a loss as large as the margin in up to 10% of cases at a nominal 5%.

    Args:
        gained: Items that only the candidate passes.
        lost: Items that only the baseline passes.
        n: Items.
        margin: Loss to be excluded, in (0, 1).

    Examples:
        >>> round(exact_margin_p(0, 0, 100, 0.02), 3)  # 0.98 ** 100
        0.133
        >>> exact_margin_p(0, 0, 200, 0.02) < 0.05
        True
    """
    observed = float(_tango(np.array([[gained]]), np.array([[lost]]), n, margin)[0, 0])
    worst = 0.0
    # Beyond a discordance several times the observed one, so good an outcome has no chance worth counting.
    ceiling = min(1 - margin, max(0.02, (gained + lost + 6 * np.sqrt(gained + lost + 1) + 6) / n))
    for p10 in np.concatenate(([0.0], np.geomspace(0.02 / n, max(ceiling / 2, 0.03 / n), _GRID))):
        p01 = p10 + margin
        if p10 + p01 > 1:
            break
        b, c = _window(n, float(p10))[:, None], _window(n, float(p01))[None, :]
        hit = _tango(b, c, n, margin) >= observed - 1e-9
        hit &= c <= n - b
        rest = min(1.0, p01 / max(1 - p10, 1e-300))
        probability = _pmf(b, n, float(p10)) * _pmf(c, np.maximum(n - b, 0), rest)
        worst = max(worst, float(probability[hit].sum()))
    return min(1.0, worst)


def _window(n: int, p: float) -> np.ndarray:
    reach = _REACH * np.sqrt(n * p * (1 - p)) + 8
    return np.arange(max(0, int(n * p - reach)), min(n, int(n * p + reach)) + 1)


def _tango(b: np.ndarray, c: np.ndarray, n: float, margin: float) -> np.ndarray:
    """Tango's score statistic for a difference of -margin."""
    second = -b - c - (2 * n - b + c) * margin
    third = c * margin * (1 + margin)
    p01 = (np.sqrt(np.maximum(second**2 - 8 * n * third, 0)) - second) / (4 * n)
    variance = n * (2 * p01 - margin * (1 + margin))
    return np.asarray((b - c + n * margin) / np.sqrt(np.where(variance > 1e-12, variance, np.inf)))


def _pmf(k: np.ndarray, n: np.ndarray | int, p: float) -> np.ndarray:
    from scipy.special import gammaln, xlog1py, xlogy

    inside = np.minimum(k, n)
    ways = gammaln(np.add(n, 1)) - gammaln(inside + 1) - gammaln(n - inside + 1)
    chance = np.exp(ways + xlogy(inside, p) + xlog1py(n - inside, -p))
    return np.asarray(np.where(k <= n, chance, 0.0))
