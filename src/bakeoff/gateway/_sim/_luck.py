"""Randomness without a generator: every draw is a pure function of what it is about."""

from __future__ import annotations

from hashlib import blake2b
from statistics import NormalDist
from typing import TypeVar

__all__ = ["normal", "pick", "uniform"]

T = TypeVar("T")
_STANDARD = NormalDist()


def uniform(*about: object) -> float:
    """Return a number in (0, 1) that depends on the arguments alone, on every machine.

    Examples:
        >>> uniform(1, "a") == uniform(1, "a"), uniform(1, "a") == uniform(2, "a")
        (True, False)
    """
    text = "\x1f".join(map(str, about))
    number = int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")
    return (number + 0.5) / 2**64 if number < 2**64 - 2**11 else 1 - 2**-53


def normal(*about: object) -> float:
    """Return a standard normal number that depends on the arguments alone."""
    return _STANDARD.inv_cdf(uniform(*about))


def pick(choices: list[T], *about: object) -> T:
    """Return one of the choices; which one depends on the arguments alone."""
    return choices[int(uniform(*about) * len(choices))]
