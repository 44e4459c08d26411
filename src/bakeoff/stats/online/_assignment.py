"""Sticky assignment of live traffic: the same unit always meets the same variant."""

from __future__ import annotations

import hashlib
from math import inf
from typing import TYPE_CHECKING

from bakeoff.errors import StatsError
from bakeoff.stats.core._checks import check_unit

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    Float = NDArray[np.float64]


__all__ = ["assign_variant", "hash_unit"]


def hash_unit(unit: str, *, salt: str) -> float:
    """Return a number in [0, 1) that depends on the unit and the salt only, uniform over units.

    SHA-256 of the salt's length, the salt and the unit: the same in every process, version and machine.

    Args:
        unit: Identifier of what is randomised (user, conversation).
        salt: Name of the experiment; another salt gives an independent draw.

    Returns:
        The first 53 bits of the digest as a fraction.

    Examples:
        >>> hash_unit("user-1", salt="exp-7") == hash_unit("user-1", salt="exp-7")
        True
        >>> hash_unit("user-1", salt="exp-7") == hash_unit("user-1", salt="exp-8")
        False
    """
    digest = hashlib.sha256(f"{len(salt)}:{salt}:{unit}".encode()).digest()
    return (int.from_bytes(digest[:8], "big") >> 11) / 2.0**53


def assign_variant(unit: str, weights: Mapping[str, float], *, salt: str, exposure: float = 1.0) -> str | None:
    """Assign a unit to a variant, always the same one for the same salt.

    Whether the unit takes part and which variant it gets are separate draws, so raising `exposure` adds units and
    never moves one that already takes part. The order of the mapping matters; changing the weights moves units.

    Args:
        unit: Identifier of what is randomised.
        weights: Variant to share of traffic; any positive scale.
        salt: Name of the experiment.
        exposure: Share of units that take part, in [0, 1].

    Returns:
        Name of the variant, or `None` when the unit does not take part.

    Raises:
        StatsError: If there is no positive weight, a weight is negative, or the exposure is outside [0, 1].

    Examples:
        >>> assign_variant("user-1", {"control": 1, "new": 1}, salt="exp-7")
        'new'
        >>> assign_variant("user-1", {"control": 1, "new": 1}, salt="exp-7", exposure=0.0) is None
        True
    """
    check_unit(exposure, "exposure")
    values = [float(w) for w in weights.values()]
    if not all(0 <= w < inf for w in values) or not sum(values) > 0:
        raise StatsError(f"weights must be finite, at least 0, and one of them positive, got {dict(weights)!r}")
    if hash_unit(unit, salt=f"{salt}/exposure") >= exposure:
        return None
    point = hash_unit(unit, salt=f"{salt}/variant") * sum(values)
    reached, chosen = 0.0, ""
    for name, weight in zip(weights, values, strict=True):
        if weight > 0:
            chosen, reached = name, reached + weight
            if point < reached:
                break
    return chosen
