"""Vectors of a corpus: where they come from, where they lie, and the nearest of them."""

from __future__ import annotations

import asyncio
import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from weakref import WeakKeyDictionary

import numpy as np

from bakeoff.agents.retrieval._hashed import embed
from bakeoff.errors import TargetError
from bakeoff.gateway import EmbeddingClient

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from scipy.sparse import csr_array

    from bakeoff.agents.config._spec import RetrievalSpec
    from bakeoff.gateway import Embeddings
    from bakeoff.targets import ModelSpec

    Float = NDArray[np.float64]

T = TypeVar("T")

__all__ = ["ExactIndex", "VectorIndex", "VectorSource", "embed_with", "unit"]


class VectorIndex(Protocol):
    """Vectors that can be searched; called in one thread at a time."""

    def count(self) -> int:
        """Return how many vectors are there."""
        ...

    def fill(self, vectors: Float) -> None:
        """Put all vectors in, the one of passage n under the number n; what is there is overwritten."""
        ...

    def nearest(self, vector: Float, top_k: int) -> list[tuple[int, float]]:
        """Return number and cosine of the nearest, nearest first."""
        ...


class ExactIndex:
    """All vectors in an array; the search is exact, and equal cosines keep the order of the corpus.

    Examples:
        >>> index = ExactIndex(unit(np.array([[1.0, 0.0], [0.0, 3.0], [1.0, 1.0]])))
        >>> [(number, round(cosine, 3)) for number, cosine in index.nearest(np.array([0.0, 1.0]), 2)]
        [(1, 1.0), (2, 0.707)]
    """

    def __init__(self, vectors: Float | csr_array) -> None:
        self._vectors = vectors

    def count(self) -> int:
        """Return how many vectors are there."""
        return int(self._vectors.shape[0])

    def fill(self, vectors: Float) -> None:
        """Put all vectors in."""
        self._vectors = vectors

    def nearest(self, vector: Float, top_k: int) -> list[tuple[int, float]]:
        """Return number and cosine of the nearest, nearest first."""
        cosines: Float = np.asarray(self._vectors @ vector)
        order = np.argsort(-cosines, kind="stable")[:top_k]
        return [(int(number), float(cosines[number])) for number in order]


def _hashed(texts: Sequence[str], *, dimensions: int) -> Float | csr_array:
    """Return the hashed n-grams of texts; of many texts without the zeros, a hundredth of the memory."""
    block = 1_000
    if len(texts) <= block:
        return embed(texts, dimensions=dimensions)
    from scipy.sparse import csr_array, vstack  # heavy

    blocks = [csr_array(embed(texts[at : at + block], dimensions=dimensions)) for at in range(0, len(texts), block)]
    return csr_array(vstack(blocks, format="csr"))


def unit(vectors: Float) -> Float:
    """Return vectors of length one; a zero vector stays one."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)


async def embed_with(
    client: object, model: ModelSpec, texts: Sequence[str], *, dimensions: int | None, variant: str = ""
) -> Embeddings:
    """Embed texts through the gateway.

    Raises:
        TargetError: The client is not one that embeds.
        ProviderError: A call failed.
        BudgetExceeded: A call was not made.
    """
    if not isinstance(client, EmbeddingClient):
        message = "`retrieval.embedding` needs a gateway that embeds texts, and this client does not"
        raise TargetError(message, kind="bad_request")
    return await client.embed(
        texts,
        model=model.model,
        dimensions=dimensions,
        api_base=model.api_base,
        api_key_env=model.api_key_env,
        purpose="agent",
        variant=variant,
    )


class VectorSource:
    """The vectors of one corpus: hashed n-grams or a model's, in an array or in a store.

    What a model embeds is embedded once for each client, that is once a run, and comes from the response cache after
    that. A store keeps vectors by the content of the corpus and the model: what it holds already is not embedded again.

    Args:
        texts: Texts of the passages.
        spec: Section `retrieval`.
        embedding: Model of `spec.embedding`, found.
        base_dir: Folder of the file, for a store in a folder.
    """

    def __init__(
        self, texts: Sequence[str], spec: RetrievalSpec, *, embedding: ModelSpec | None, base_dir: Path
    ) -> None:
        self.texts = texts
        self._spec = spec
        self.embedding = embedding
        self._base_dir = base_dir
        self._fixed: ExactIndex | None = None
        self._opened: WeakKeyDictionary[Any, asyncio.Task[VectorIndex] | VectorIndex] = WeakKeyDictionary()
        self._lane: ThreadPoolExecutor | None = None
        if embedding is None and spec.store.by == "exact":
            self._fixed = ExactIndex(_hashed(texts, dimensions=spec.dimensions))

    @property
    def dimensions(self) -> int | None:
        """Length of vectors that a model is asked for; its own when the file does not say."""
        return self._spec.dimensions if "dimensions" in self._spec.model_fields_set else None

    @property
    def at_once(self) -> ExactIndex | None:
        """The index, when it needs neither a model nor a store."""
        return self._fixed

    def hashed(self, query: str) -> Float:
        """Return the vector of a query without a model."""
        vector: Float = embed([query], dimensions=self._spec.dimensions)[0]
        return vector

    async def prepare(self, client: object) -> None:
        """Embed the corpus and fill the store, unless that is done.

        Raises:
            SpecError: The library of the store is not installed.
            TargetError: The client is not one that embeds, the store cannot be used, or a model failed.
            BudgetExceeded: A call was not made.
        """
        if self._fixed is None:
            await self._index(client)

    async def nearest(self, client: object, vector: Float, top_k: int) -> list[tuple[int, float]]:
        """Return number and cosine of the nearest passages, nearest first."""
        if self._fixed is not None:
            return self._fixed.nearest(vector, top_k)
        index = await self._index(client)
        if isinstance(index, ExactIndex):
            return index.nearest(vector, top_k)
        return await self._in_lane(lambda: index.nearest(vector, top_k))

    async def _index(self, client: object) -> VectorIndex:
        client = self if client is None else client
        opened = self._opened.get(client)
        if opened is not None and not isinstance(opened, asyncio.Task):
            return opened
        if opened is None or opened.get_loop() is not asyncio.get_running_loop():
            opened = asyncio.get_running_loop().create_task(self._build(client), name="embed-corpus")
            opened.add_done_callback(_looked_at)
            self._opened[client] = opened
        try:
            # Whoever began may be cancelled; the others still wait for the vectors.
            index = await asyncio.shield(opened)
        except BaseException:
            if opened.done() and self._opened.get(client) is opened:  # the next trial tries again
                del self._opened[client]
            raise
        self._opened[client] = index
        return index

    async def _build(self, client: object) -> VectorIndex:
        if self._spec.store.by == "exact":
            return ExactIndex(await self._vectors(client))
        from bakeoff.agents.retrieval._stores import open_store

        name = self._collection()
        index = await self._in_lane(lambda: open_store(self._spec.store, name, base_dir=self._base_dir))
        if await self._in_lane(index.count) != len(self.texts):
            vectors = await self._vectors(client)
            await self._in_lane(lambda: index.fill(vectors))
        return index

    async def _vectors(self, client: object) -> Float:
        if self.embedding is None:
            return embed(self.texts, dimensions=self._spec.dimensions)
        found = await embed_with(client, self.embedding, self.texts, dimensions=self.dimensions)
        return unit(found.vectors)

    def _collection(self) -> str:
        """Return a name that stands for these texts and this way to embed them."""
        how = "hashed" if self.embedding is None else f"{self.embedding.model} {self.embedding.api_base}"
        size = self._spec.dimensions if self.embedding is None else self.dimensions
        digest = hashlib.sha256(f"1 {how} {size}".encode())
        for text in self.texts:
            digest.update(b"\x00" + text.encode("utf-8", "surrogatepass"))
        return f"bakeoff_{digest.hexdigest()[:32]}"

    async def _in_lane(self, call: Callable[[], T]) -> T:
        """Call in the one thread of this store, so that no client library has to stand two at once."""
        if self._lane is None:
            self._lane = ThreadPoolExecutor(1, thread_name_prefix="vector-store")
        return await asyncio.get_running_loop().run_in_executor(self._lane, call)


def _looked_at(task: asyncio.Task[Any]) -> None:
    """Take note of a failure that nobody waits for any more."""
    if not task.cancelled():
        task.exception()
