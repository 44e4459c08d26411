"""Embeddings without a model: hashed character n-grams, the same on every machine."""

from __future__ import annotations

import math
import re
import zlib
from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["embed", "ngrams"]

_WORD = re.compile(r"\w+")


@lru_cache(maxsize=65_536)
def _word_grams(word: str, sizes: tuple[int, ...]) -> tuple[str, ...]:
    framed = f"<{word}>"
    return tuple(framed[at : at + n] for n in sizes for at in range(len(framed) - n + 1)) or (framed,)


def ngrams(text: str, sizes: tuple[int, ...] = (3, 4, 5)) -> Counter[str]:
    """Count the character n-grams of the words of a text, with word boundaries.

    Examples:
        >>> sorted(ngrams("cat", (3,)))
        ['<ca', 'at>', 'cat']
    """
    counts: Counter[str] = Counter()
    for word in _WORD.findall(text.casefold()):
        counts.update(_word_grams(word, sizes))
    return counts


@lru_cache(maxsize=262_144)
def _slot(gram: str) -> tuple[int, float]:
    code = zlib.crc32(gram.encode("utf-8", "surrogatepass"))
    return code >> 1, 1.0 if code & 1 else -1.0


def embed(texts: Sequence[str], *, dimensions: int = 4096) -> NDArray[np.float64]:
    """Embed texts as unit vectors: log counts of n-grams, hashed with signs.

    Args:
        texts: What to embed.
        dimensions: Length of a vector; two n-grams share a slot with chance 1 / dimensions.

    Returns:
        Array of shape (texts, dimensions). A text without a letter or digit is the zero vector.

    Examples:
        >>> a, b, c = embed(["holiday allowance", "holidays allowed", "fire drill"])
        >>> bool(a @ b > a @ c)
        True
    """
    vectors = np.zeros((len(texts), dimensions))
    for row, text in enumerate(texts):
        for gram, count in ngrams(text).items():
            slot, sign = _slot(gram)
            vectors[row, slot % dimensions] += sign * (1.0 + math.log(count))
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    np.divide(vectors, lengths, out=vectors, where=lengths > 0)
    return vectors
