"""Which worked examples a prompt shows."""

from __future__ import annotations

import random
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from bakeoff.agents.retrieval._hashed import embed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["choose_shots"]

_DIMENSIONS = 2048


@lru_cache(maxsize=64)
def _embedded(texts: tuple[str, ...]) -> NDArray[np.float64]:
    return embed(texts, dimensions=_DIMENSIONS)


def choose_shots(
    examples: Sequence[Mapping[str, str]], question: str, *, n: int, select: str, seed: str = ""
) -> list[Mapping[str, str]]:
    """Choose worked examples.

    An example whose input stands in the question is never shown: it would give the answer away.

    Args:
        examples: `{input, output}` each.
        question: The task.
        n: How many.
        select: `fixed`: the first; `random`: by seed; `nearest`: most similar to the question, the most similar
            last; `diverse`: each as unlike the ones before as can be, beginning with the nearest.
        seed: Of `random`.

    Examples:
        >>> pool = [{"input": word, "output": "x"} for word in ("red rose", "blue sea", "red wine", "grey sky")]
        >>> [one["input"] for one in choose_shots(pool, "a red apple", n=2, select="nearest")]
        ['red wine', 'red rose']
        >>> [one["input"] for one in choose_shots(pool, "the red wine here", n=3, select="fixed")]
        ['red rose', 'blue sea', 'grey sky']
    """
    pool = [one for one in examples if one["input"].strip() not in question]
    if n >= len(pool) or select == "fixed":
        return pool[:n]
    if select == "random":
        return random.Random(seed).sample(pool, n)  # noqa: S311 - a draw that must repeat, not a secret
    vectors = _embedded(tuple(one["input"] for one in pool))
    likeness = vectors @ embed([question], dimensions=_DIMENSIONS)[0]
    if select == "nearest":
        order = np.argsort(-likeness, kind="stable")[:n]
        return [pool[index] for index in order[::-1]]
    chosen = [int(np.argmax(likeness))]
    nearest = vectors @ vectors[chosen[0]]
    while len(chosen) < n:
        nearest[chosen] = np.inf
        chosen.append(int(np.argmin(nearest)))
        nearest = np.maximum(nearest, vectors @ vectors[chosen[-1]])
    return [pool[index] for index in chosen]
