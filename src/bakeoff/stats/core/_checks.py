"""One validation helper per parameter name: the same name has the same rule everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import numpy as np

from bakeoff.errors import StatsError
from bakeoff.stats.core._result import Alternative

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Float = NDArray[np.float64]

__all__ = [
    "as_matrix",
    "as_numbers",
    "as_rng",
    "as_scores",
    "as_vector",
    "check_alpha",
    "check_alternative",
    "check_confidence",
    "check_count",
    "check_unit",
    "is_number",
]


_LARGEST, _SMALLEST = 1e60, 1e-60  # fourth powers must neither overflow nor underflow
LARGEST = 1e100
"""Scores beyond this would overflow when squared."""


def is_number(value: object) -> bool:
    """Tell whether a value is a plain number (a bool is not)."""
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def check_confidence(confidence: float) -> float:
    """Return `confidence` if it lies strictly between 0 and 1."""
    if not is_number(confidence) or not 0 < confidence < 1:
        raise StatsError(f"confidence must be between 0 and 1 (for instance 0.95), got {confidence!r}")
    return float(confidence)


def check_alpha(alpha: float) -> float:
    """Return `alpha` if it lies strictly between 0 and 1."""
    if not is_number(alpha) or not 0 < alpha < 1:
        raise StatsError(f"alpha must be between 0 and 1 (for instance 0.05), got {alpha!r}")
    return float(alpha)


def check_alternative(alternative: str) -> Alternative:
    """Return `alternative` if it is one of the three known words."""
    if alternative not in get_args(Alternative):
        raise StatsError(f"alternative must be one of {list(get_args(Alternative))}, got {alternative!r}")
    return alternative  # type: ignore[return-value]


def check_count(value: float, name: str, *, minimum: int = 0) -> int:
    """Return a whole number of at least `minimum`."""
    try:
        whole = int(value)
    except (TypeError, ValueError, OverflowError):
        whole = minimum - 1  # nan, infinite, or not a number
    if isinstance(value, bool) or whole != value or whole < minimum:
        raise StatsError(f"{name} must be a whole number of at least {minimum}, got {value!r}")
    return whole


def check_unit(value: float, name: str) -> float:
    """Return `value` if it lies in [0, 1]."""
    if not is_number(value) or not 0 <= value <= 1:
        raise StatsError(f"{name} must lie in [0, 1], got {value!r}")
    return float(value)


def as_scores(scores: ArrayLike, name: str = "scores") -> Float:
    """Return scores as float64 of shape (items,) or (items, repeats); `nan` marks a missing score."""
    try:
        array = np.asarray(scores, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise StatsError(f"{name} must be numbers of shape (items,) or (items, repeats): {error}") from error
    if array.ndim not in (1, 2):
        raise StatsError(f"{name} must have shape (items,) or (items, repeats), got {array.shape}")
    if np.isinf(array).any():
        raise StatsError(f"{name} holds an infinite value; a missing score is nan")
    if array.size and np.nanmax(np.abs(array), initial=0.0) > LARGEST:
        raise StatsError(f"{name} holds a value beyond {LARGEST:g}; rescale the scores")
    return array


def as_rng(rng: np.random.Generator | int) -> np.random.Generator:
    """Return a generator; an int is a seed. Never the global state."""
    if isinstance(rng, np.random.Generator):
        return rng
    try:
        return np.random.default_rng(rng)
    except (TypeError, ValueError) as error:
        raise StatsError(f"rng must be a numpy Generator or a seed (a whole number from 0), got {rng!r}") from error


def as_numbers(values: ArrayLike, name: str) -> Float:
    """Return `values` as float64, finite or nan, none so large that its fourth power would overflow.

    Magnitudes below 1e-60 become 0: they are rounding dust, and their squares would underflow.
    """
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise StatsError(f"{name} must hold numbers (nan for missing), all rows of one length: {error}") from error
    if np.isinf(array).any():
        raise StatsError(f"{name} holds an infinite value; a missing value is nan")
    size = np.abs(array)
    if size.max(initial=0.0, where=~np.isnan(array)) > _LARGEST:
        raise StatsError(f"{name} holds a value beyond {_LARGEST:g}; rescale it")
    return np.where(size < _SMALLEST, 0.0, array)


def as_vector(values: ArrayLike, name: str, *, length: int | None = None) -> Float:
    """Return `values` as a finite-or-nan float64 vector, of the given length when there is one."""
    array = as_numbers(values, name)
    if array.ndim != 1:
        raise StatsError(f"{name} must have shape (items,), got {array.shape}")
    if length is not None and len(array) != length:
        raise StatsError(f"{name} must have one value per item: {length} expected, got {len(array)}")
    return array


def as_matrix(values: ArrayLike, name: str, axes: str) -> Float:
    """Return `values` as a finite-or-nan float64 matrix; `axes` names its axes for the message."""
    array = as_numbers(values, name)
    if array.ndim != 2:
        raise StatsError(f"{name} must have shape ({axes}), got {array.shape}")
    return array
