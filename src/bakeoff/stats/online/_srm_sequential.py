"""Sample-ratio mismatch that may be watched: does traffic arrive in the planned shares?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bakeoff.errors import StatsError
from bakeoff.stats.core._dist import log_gamma
from bakeoff.stats.sequential._evalues import exp_capped

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Float = NDArray[np.float64]

__all__ = ["srm_e_value"]


def srm_e_value(counts: ArrayLike, ratio: ArrayLike, *, concentration: float = 100.0) -> Float:
    """Return the e-value of assignment counts against the planned shares, valid at every look.

    Dirichlet-multinomial against multinomial:
    `E = Gamma(c) / Gamma(c + n) prod_i Gamma(c p_i + n_i) / (Gamma(c p_i) p_i^n_i)`. Alarm when `E >= 1 / alpha`;
    0.001 is the usual alpha. Count randomised units (users), not requests.

    Args:
        counts: Units assigned to each variant so far, shape (..., variants); leading axes are looks or tests.
        ratio: Planned shares, any positive numbers; scaled to sum 1.
        concentration: c > 0: how close to the plan a mismatch is expected to be. Larger finds small mismatches in
            large samples sooner.

    Returns:
        E-values, shape (...).

    Raises:
        StatsError: Negative counts, shares that are not positive, unequal lengths.

    References:
        Lindon and Malek 2022, NeurIPS, "Anytime-Valid Inference for Multinomial Count Data".

    Examples:
        >>> bool(srm_e_value([821588, 815482], [1, 1], concentration=10_000) > 1000)
        True
        >>> bool(srm_e_value([5010, 4990], [1, 1]) < 1)
        True
    """
    n = np.asarray(counts, dtype=np.float64)
    share = np.asarray(ratio, dtype=np.float64).ravel()
    if share.size < 2 or not np.isfinite(share).all() or bool((share <= 0).any()):
        raise StatsError(f"ratio must hold at least two positive numbers, got {share.tolist()!r}")
    if n.ndim < 1 or n.shape[-1] != share.size:
        raise StatsError(f"counts must hold one number for each of {share.size} variants, got shape {n.shape}")
    if not np.isfinite(n).all() or bool((n < 0).any()):
        raise StatsError("counts must be finite and at least 0")
    if not 0 < concentration < np.inf:
        raise StatsError(f"concentration must be positive, got {concentration!r}")
    share = share / share.sum()
    prior = concentration * share
    total = n.sum(axis=-1)
    log_e = (
        log_gamma(np.asarray(concentration))
        - log_gamma(concentration + total)
        + (log_gamma(prior + n) - log_gamma(prior) - n * np.log(share)).sum(axis=-1)
    )
    return exp_capped(log_e)
