"""Search in a corpus: BM25, vectors, and both together by reciprocal rank fusion."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bakeoff.agents.retrieval._chunk import chunk
from bakeoff.agents.retrieval._corpus import read_corpus
from bakeoff.agents.retrieval._index import VectorSource, embed_with, unit
from bakeoff.errors import SpecError
from bakeoff.targets import ModelSpec

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from numpy.typing import NDArray

    from bakeoff.agents.config._spec import ChunkSpec, RetrievalSpec
    from bakeoff.agents.retrieval._chunk import Passage

    EmbedQuery = Callable[[str], Awaitable[NDArray[np.float64]]]

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
    """A corpus, cut and indexed; search is exact, unless a vector store searches otherwise.

    Args:
        passages: What is searched.
        spec: Method, size and threshold.
        embedding: The model of `spec.embedding`; hashed n-grams without one.
        base_dir: Folder of the file, for a store in a folder.
        bm25: Index of the words, when there is one of these passages already.
        vectors: Vectors, when there are some of these passages already.
    """

    def __init__(
        self,
        passages: Sequence[Passage],
        spec: RetrievalSpec,
        *,
        embedding: ModelSpec | None = None,
        base_dir: Path | None = None,
        bm25: Bm25 | None = None,
        vectors: VectorSource | None = None,
    ) -> None:
        self.spec = spec
        self.passages = passages
        self._bm25 = (bm25 or Bm25(_texts(passages))) if spec.method != "vector" else None
        self.vectors = (
            (vectors or VectorSource(_texts(passages), spec, embedding=embedding, base_dir=base_dir or Path()))
            if spec.method != "bm25"
            else None
        )

    def search(self, query: str, *, top_k: int | None = None) -> list[Found]:
        """Return the best passages, best first; equal scores keep the order of the corpus.

        Raises:
            SpecError: The vectors come from a model or lie in a store; `find` searches there.
        """
        size, depth = self._sizes(top_k)
        if self.vectors is None:
            return self._ranked(query, None, size)
        index = self.vectors.at_once
        if index is None:
            raise SpecError("vectors of a model, or in a store, are searched with `await retriever.find(...)`")
        return self._ranked(query, index.nearest(self.vectors.hashed(query), depth), size)

    async def find(
        self, query: str, *, client: object, embed_query: EmbedQuery | None = None, top_k: int | None = None
    ) -> list[Found]:
        """Return the best passages, best first, wherever their vectors come from and lie.

        Args:
            query: What to look for. A blank one finds nothing.
            client: The gateway.
            embed_query: Embeds a query, and counts what that took; straight through the client when omitted.
            top_k: Most passages; the spec's when omitted.

        Raises:
            SpecError: The library of the store is not installed.
            TargetError: The client is not one that embeds, the store cannot be used, or a model failed.

        Examples:
            >>> import asyncio
            >>> from pathlib import Path
            >>> from bakeoff.agents.config._spec import RetrievalSpec
            >>> from bakeoff.gateway import Gateway
            >>> from bakeoff.targets import ModelSpec
            >>> spec = RetrievalSpec(corpus="bundled:handbook-qa", method="vector", embedding="sim/embedding")
            >>> async def main():
            ...     retriever = open_retriever(spec, base_dir=Path(), embedding=ModelSpec(model="sim/embedding"))
            ...     async with Gateway() as gateway:
            ...         return await retriever.find("How many days of holiday?", client=gateway, top_k=1)
            >>> len(asyncio.run(main()))
            1
        """
        size, depth = self._sizes(top_k)
        if self.vectors is None or not query.strip():
            return self._ranked(query, None if self.vectors is None else [], size)
        if self.vectors.embedding is None:
            vector = self.vectors.hashed(query)
        elif embed_query is not None:
            vector = await embed_query(query)
        else:
            made = await embed_with(client, self.vectors.embedding, [query], dimensions=self.vectors.dimensions)
            vector = unit(made.vectors)[0]
        return self._ranked(query, await self.vectors.nearest(client, vector, depth), size)

    async def prepare(self, client: object) -> None:
        """Embed and store what `find` needs, before the clock of a trial runs.

        Raises:
            SpecError: The library of the store is not installed.
            TargetError: The client is not one that embeds, the store cannot be used, or a model failed.
        """
        if self.vectors is not None:
            await self.vectors.prepare(client)

    def _sizes(self, top_k: int | None) -> tuple[int, int]:
        size = self.spec.top_k if top_k is None else top_k
        return size, max(4 * size, 20) if self.spec.method == "hybrid" else size

    def _ranked(self, query: str, dense: list[tuple[int, float]] | None, size: int) -> list[Found]:
        if dense is not None and self.vectors is not None and self.vectors.embedding is None:
            dense = [(number, cosine) for number, cosine in dense if cosine > 0]  # no n-gram in common
        if self._bm25 is not None and dense is not None:
            rankings = [self._lexical(query, max(4 * size, 20)), dense]
            fused = fuse([[index for index, _ in ranking] for ranking in rankings], k=self.spec.rrf_k)
            ranked = sorted(fused.items(), key=lambda entry: (-entry[1], entry[0]))
        else:
            ranked = self._lexical(query, size) if dense is None else dense
        limit = self.spec.threshold
        return [
            Found(passage=self.passages[index], score=score)
            for index, score in ranked[:size]
            if limit is None or score >= limit
        ]

    def _lexical(self, query: str, depth: int) -> list[tuple[int, float]]:
        assert self._bm25 is not None
        scores = self._bm25.scores(query)
        order = np.argsort(-scores, kind="stable")[:depth]
        return [(int(index), float(scores[index])) for index in order if scores[index] > 0]


@lru_cache(maxsize=64)
def _passages(corpus: str, base_dir: Path, stamp: float, chunking: str) -> tuple[Passage, ...]:
    from bakeoff.agents.config._spec import ChunkSpec

    spec: ChunkSpec = ChunkSpec.model_validate_json(chunking)
    return tuple(chunk(read_corpus(corpus, base_dir=base_dir), spec))


def _texts(passages: Sequence[Passage]) -> list[str]:
    return [f"{one.title}\n{one.text}" if one.title else one.text for one in passages]


@lru_cache(maxsize=16)
def _words(corpus: str, base_dir: Path, stamp: float, chunking: str) -> Bm25:
    return Bm25(_texts(_passages(corpus, base_dir, stamp, chunking)))


@lru_cache(maxsize=16)
def _vectors(corpus: str, base_dir: Path, stamp: float, spec: str, embedding: str) -> VectorSource:
    from bakeoff.agents.config._spec import RetrievalSpec

    wanted = RetrievalSpec.model_validate_json(spec)
    model = ModelSpec.model_validate_json(embedding) if embedding else None
    passages = _passages(corpus, base_dir, stamp, wanted.chunk.model_dump_json())
    return VectorSource(_texts(passages), wanted, embedding=model, base_dir=base_dir)


@lru_cache(maxsize=64)
def _retriever(corpus: str, base_dir: Path, stamp: float, spec: str, embedding: str) -> Retriever:
    from bakeoff.agents.config._spec import RetrievalSpec

    wanted = RetrievalSpec.model_validate_json(spec)
    chunking = wanted.chunk.model_dump_json()
    # What is indexed is the same for every `top_k` and threshold, and for a method and the hybrid with it.
    indexed = wanted.model_dump_json(include=wanted.model_fields_set & {"corpus", "chunk", "dimensions", "store"})
    return Retriever(
        _passages(corpus, base_dir, stamp, chunking),
        wanted,
        bm25=_words(corpus, base_dir, stamp, chunking) if wanted.method != "vector" else None,
        vectors=_vectors(corpus, base_dir, stamp, indexed, embedding) if wanted.method != "bm25" else None,
    )


def open_retriever(spec: RetrievalSpec, *, base_dir: Path, embedding: ModelSpec | None = None) -> Retriever:
    """Read, cut and index a corpus; the same one is indexed once for all variants.

    Args:
        spec: The section.
        base_dir: Where relative paths start.
        embedding: The model of `spec.embedding`; nothing is asked of it before the first search.

    Raises:
        SpecError: The corpus cannot be read.

    Examples:
        >>> from pathlib import Path
        >>> from bakeoff.agents.config._spec import RetrievalSpec
        >>> found = open_retriever(RetrievalSpec(corpus="bundled:handbook-qa"), base_dir=Path())
        >>> found.search("goodwill in crowns without asking", top_k=1)[0].passage.document
        'S20'
    """
    from bakeoff.agents.retrieval._corpus import corpus_stamp

    stamp = corpus_stamp(spec.corpus, base_dir=base_dir)
    plain = spec.model_copy(update={"rewrite": None, "rerank": None, "embedding": None})
    asked = "" if embedding is None else embedding.model_dump_json()
    return _retriever(spec.corpus, base_dir, stamp, plain.model_dump_json(exclude_unset=True), asked)
