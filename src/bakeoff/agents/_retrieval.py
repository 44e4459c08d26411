"""Search in a corpus: BM25, vectors of hashed n-grams, and both together by reciprocal rank fusion."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from bakeoff.agents._chunk import chunk
from bakeoff.agents._corpus import read_corpus
from bakeoff.agents._embed import embed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from bakeoff.agents._chunk import Passage
    from bakeoff.agents._spec import ChunkSpec, RetrievalSpec

__all__ = ["Bm25", "Found", "Retriever", "fuse", "open_retriever", "words_of"]

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A passage that was found."""

    passage: Passage
    score: float
    """Of the method: BM25, cosine, or the sum of reciprocal ranks."""


def words_of(text: str) -> list[str]:
    """Return the words of a text as they are indexed: case-folded, with a plural `s` taken off.

    Examples:
        >>> words_of("Two holidays; one bus, glass")
        ['two', 'holiday', 'one', 'bus', 'glass']
    """
    return [
        word[:-1] if len(word) > 4 and word.endswith("s") and not word.endswith(("ss", "us", "is")) else word
        for word in _WORD.findall(text.casefold())
    ]


class Bm25:
    """Okapi BM25 over texts, with the idf of Lucene, `log(1 + (N - n + 0.5) / (n + 0.5))`, which is never negative.

    Source: Robertson and Zaragoza 2009, "The Probabilistic Relevance Framework", eq. 3.15.

    Args:
        texts: What is searched.
        k1: How fast more of the same word stops to matter.
        b: How much long texts are discounted, from 0 to 1.

    Examples:
        >>> index = Bm25(["the cat sat", "the dog ran far away"])
        >>> index.scores("cat").round(3).tolist()
        [0.781, 0.0]
    """

    def __init__(self, texts: Sequence[str], *, k1: float = 1.5, b: float = 0.75) -> None:
        counts = [Counter(words_of(text)) for text in texts]
        lengths = np.array([sum(one.values()) for one in counts], dtype=np.float64)
        mean = lengths.mean() if len(lengths) and lengths.sum() > 0 else 1.0
        self._k1 = k1
        self._norm = k1 * (1 - b + b * lengths / mean)
        postings: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for row, one in enumerate(counts):
            for word, count in one.items():
                postings[word].append((row, count))
        self._postings = {
            word: (np.array([row for row, _ in rows]), np.array([count for _, count in rows], dtype=np.float64))
            for word, rows in postings.items()
        }
        self._size = len(texts)

    def scores(self, query: str) -> NDArray[np.float64]:
        """Return the score of every text."""
        total = np.zeros(self._size)
        for word, times in Counter(words_of(query)).items():
            if word not in self._postings:
                continue
            rows, counts = self._postings[word]
            idf = np.log(1 + (self._size - len(rows) + 0.5) / (len(rows) + 0.5))
            total[rows] += times * idf * counts * (self._k1 + 1) / (counts + self._norm[rows])
        return total


def fuse(rankings: Sequence[Sequence[int]], *, k: int = 60) -> dict[int, float]:
    """Return the sum of reciprocal ranks, `sum 1 / (k + rank)`, of each entry that some ranking holds.

    Source: Cormack, Clarke and Buettcher, SIGIR 2009.

    Examples:
        >>> found = fuse([[7, 3], [3, 9]], k=60)
        >>> max(found, key=found.get), round(found[3], 4)
        (3, 0.0325)
    """
    total: dict[int, float] = defaultdict(float)
    for ranking in rankings:
        for rank, entry in enumerate(ranking, start=1):
            total[entry] += 1.0 / (k + rank)
    return dict(total)


class Retriever:
    """A corpus, cut and indexed; search is exact.

    Args:
        passages: What is searched.
        spec: Method, size and threshold.
    """

    def __init__(self, passages: Sequence[Passage], spec: RetrievalSpec) -> None:
        self.spec = spec
        self.passages = passages
        texts = [f"{one.title}\n{one.text}" if one.title else one.text for one in passages]
        self._bm25 = Bm25(texts) if spec.method != "vector" else None
        self._vectors = embed(texts, dimensions=spec.dimensions) if spec.method != "bm25" else None

    def search(self, query: str, *, top_k: int | None = None) -> list[Found]:
        """Return the best passages, best first; equal scores keep the order of the corpus."""
        size = self.spec.top_k if top_k is None else top_k
        if self._bm25 is not None and self._vectors is not None:
            depth = max(4 * size, 20)
            rankings = [self._ranking(scores, depth) for scores in (self._lexical(query), self._dense(query))]
            fused = fuse([[index for index, _ in ranking] for ranking in rankings], k=self.spec.rrf_k)
            ranked = sorted(fused.items(), key=lambda entry: (-entry[1], entry[0]))
        else:
            ranked = self._ranking(self._lexical(query) if self._bm25 is not None else self._dense(query), size)
        limit = self.spec.threshold
        return [
            Found(passage=self.passages[index], score=score)
            for index, score in ranked[:size]
            if limit is None or score >= limit
        ]

    def _lexical(self, query: str) -> NDArray[np.float64]:
        assert self._bm25 is not None
        return self._bm25.scores(query)

    def _dense(self, query: str) -> NDArray[np.float64]:
        assert self._vectors is not None
        return self._vectors @ embed([query], dimensions=self.spec.dimensions)[0]

    @staticmethod
    def _ranking(scores: NDArray[np.float64], depth: int) -> list[tuple[int, float]]:
        order = np.argsort(-scores, kind="stable")[:depth]
        return [(int(index), float(scores[index])) for index in order if scores[index] > 0]


@lru_cache(maxsize=64)
def _passages(corpus: str, base_dir: Path, stamp: float, chunking: str) -> tuple[Passage, ...]:
    from bakeoff.agents._spec import ChunkSpec

    spec: ChunkSpec = ChunkSpec.model_validate_json(chunking)
    return tuple(chunk(read_corpus(corpus, base_dir=base_dir), spec))


@lru_cache(maxsize=64)
def _retriever(corpus: str, base_dir: Path, stamp: float, spec: str) -> Retriever:
    from bakeoff.agents._spec import RetrievalSpec

    wanted = RetrievalSpec.model_validate_json(spec)
    return Retriever(_passages(corpus, base_dir, stamp, wanted.chunk.model_dump_json()), wanted)


def open_retriever(spec: RetrievalSpec, *, base_dir: Path) -> Retriever:
    """Read, cut and index a corpus; the same one is indexed once for all variants.

    Raises:
        SpecError: The corpus cannot be read.

    Examples:
        >>> from pathlib import Path
        >>> from bakeoff.agents._spec import RetrievalSpec
        >>> found = open_retriever(RetrievalSpec(corpus="bundled:handbook-qa"), base_dir=Path())
        >>> found.search("goodwill in crowns without asking", top_k=1)[0].passage.document
        'S20'
    """
    from bakeoff.agents._corpus import corpus_stamp

    stamp = corpus_stamp(spec.corpus, base_dir=base_dir)
    plain = spec.model_copy(update={"rewrite": None, "rerank": None})
    return _retriever(spec.corpus, base_dir, stamp, plain.model_dump_json())
