"""Vector stores behind `VectorIndex`: Qdrant, Chroma, PostgreSQL with pgvector. Each holds numbers and vectors alone.

Cosines in, cosines out: vectors are of length one. Nothing but vectors is written, so no text of a corpus leaves for a
store. The telemetry of Chroma is switched off; the others have none.
"""

from __future__ import annotations

import atexit
import os
import re
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import numpy as np

from bakeoff.agents.config._optional import need
from bakeoff.errors import BakeoffError, TargetError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from bakeoff.agents.config._spec import StoreSpec
    from bakeoff.agents.retrieval._index import VectorIndex

    Float = NDArray[np.float64]

__all__ = ["open_store"]

_BATCH = 500
_TIMEOUT_S = 60
_PG_MOST = 16_000
"""Most dimensions of a `vector` in pgvector."""


def open_store(spec: StoreSpec, collection: str, *, base_dir: Path) -> VectorIndex:
    """Open one collection of a vector store.

    Args:
        spec: The section; not `exact`.
        collection: Name of the collection; made by `fill` when it is not there.
        base_dir: Where a relative `path` starts.

    Raises:
        SpecError: The library is not installed.
        TargetError: The store cannot be opened.
    """
    need(spec.by, f"the vector store {spec.by!r}")
    path = None if spec.path is None else str((base_dir / spec.path).absolute())
    key = "" if spec.key_env is None and spec.by != "pgvector" else _secret(spec.key_env or "DATABASE_URL", spec.by)
    with _failures(spec.by, key):
        if spec.by == "qdrant":
            return _Qdrant(_qdrant(path, spec.url, key or None), collection)
        if spec.by == "chroma":
            return _Chroma(_chroma(path), collection)
        return _Pgvector(key, collection)


def _secret(name: str, store: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        raise TargetError(f"the vector store {store!r} reads {name}, which is not set", kind="auth")
    return value


@contextmanager
def _failures(store: str, secret: str = "") -> Iterator[None]:
    try:
        yield
    except BakeoffError:
        raise
    except Exception as error:  # noqa: BLE001 - every client library has errors of its own
        said = _without(secret, f"{type(error).__name__}: {error}".partition("\n")[0])
        message = f"the vector store {store!r} cannot be used: {said[:500]}"
        raise TargetError(message, kind="server") from None


def _without(secret: str, text: str) -> str:
    """Take a key, or a connection string and the password in it, out of a message."""
    passwords = re.findall(r"://[^:/@]*:([^@]+)@|password\s*=\s*'?([^\s'&]+)", secret)
    for one in [secret, *(part for pair in passwords for part in pair)]:
        for shown in {one, unquote(one)} - {""}:
            text = text.replace(shown, "***")
    return text


# Qdrant


@lru_cache(maxsize=16)
def _qdrant(path: str | None, url: str | None, key: str | None) -> Any:
    """Open a client; a folder can be opened once in a process, so all collections in it share the client."""
    from qdrant_client import QdrantClient  # pyrefly: ignore  # an optional library

    if url is not None:
        client = QdrantClient(url=url, api_key=key, timeout=_TIMEOUT_S, check_compatibility=False)
    elif path is None:
        client = QdrantClient(location=":memory:")
    else:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        client = QdrantClient(path=path, force_disable_check_same_thread=True)
    atexit.register(client.close)  # its own way to close comes too late, and complains
    return client


class _Qdrant:
    def __init__(self, client: Any, collection: str) -> None:
        self._client = client
        self._name = collection

    def count(self) -> int:
        with _failures("qdrant"):
            if not self._client.collection_exists(self._name):
                return 0
            return int(self._client.count(self._name, exact=True).count)

    def fill(self, vectors: Float) -> None:
        from qdrant_client import models  # pyrefly: ignore  # an optional library

        with _failures("qdrant"):
            if not self._client.collection_exists(self._name):
                size = models.VectorParams(size=vectors.shape[1], distance=models.Distance.COSINE)
                self._client.create_collection(self._name, vectors_config=size)
            for start in range(0, len(vectors), _BATCH):
                part = vectors[start : start + _BATCH].tolist()
                points = [models.PointStruct(id=start + at, vector=one) for at, one in enumerate(part)]
                self._client.upsert(self._name, points=points, wait=True)

    def nearest(self, vector: Float, top_k: int) -> list[tuple[int, float]]:
        with _failures("qdrant"):
            found = self._client.query_points(self._name, query=vector.tolist(), limit=top_k, with_payload=False)
            return _ordered((int(one.id), float(one.score)) for one in found.points)


# Chroma


@lru_cache(maxsize=16)
def _chroma(path: str | None) -> Any:
    os.environ["ANONYMIZED_TELEMETRY"] = "False"  # read by some versions at import
    import chromadb  # pyrefly: ignore  # an optional library

    settings = chromadb.Settings(anonymized_telemetry=False)
    if path is None:
        return chromadb.EphemeralClient(settings)
    Path(path).mkdir(parents=True, exist_ok=True)
    return chromadb.PersistentClient(path, settings=settings)


class _Chroma:
    def __init__(self, client: Any, collection: str) -> None:
        self._client = client
        # Without an embedding function: Chroma's own would download a model.
        self._collection = client.get_or_create_collection(
            collection, embedding_function=None, configuration={"hnsw": {"space": "cosine"}}
        )

    def count(self) -> int:
        with _failures("chroma"):
            return int(self._collection.count())

    def fill(self, vectors: Float) -> None:
        with _failures("chroma"):
            size = min(_BATCH, int(self._client.get_max_batch_size()))
            for start in range(0, len(vectors), size):
                part = vectors[start : start + size]
                ids = [str(start + at) for at in range(len(part))]
                self._collection.upsert(ids=ids, embeddings=part.astype(np.float32))

    def nearest(self, vector: Float, top_k: int) -> list[tuple[int, float]]:
        with _failures("chroma"):
            size = min(top_k, self.count())
            found = self._collection.query(
                query_embeddings=[vector.astype(np.float32)], n_results=size, include=["distances"]
            )
            pairs = zip(found["ids"][0], found["distances"][0], strict=True)
            return _ordered((int(one), 1.0 - float(distance)) for one, distance in pairs)


# PostgreSQL with pgvector


class _Pgvector:
    """One table for a corpus, searched exactly: no index is made, so that no neighbour is missed."""

    def __init__(self, address: str, collection: str) -> None:
        import psycopg  # pyrefly: ignore  # an optional library

        self._address = address
        self._table = collection  # a fixed word and hexadecimal digits: safe in SQL
        self._db: Any = psycopg.connect(
            address, autocommit=True, connect_timeout=10, options=f"-c statement_timeout={_TIMEOUT_S * 1000}"
        )
        self._db.execute("SELECT pg_advisory_lock(4207)")  # two runs may begin at the same time
        try:
            self._db.execute("CREATE EXTENSION IF NOT EXISTS vector")
        finally:
            self._db.execute("SELECT pg_advisory_unlock(4207)")

    def count(self) -> int:
        with _failures("pgvector", self._address):
            (there,) = self._db.execute("SELECT to_regclass(%s)", (self._table,)).fetchone()
            if there is None:
                return 0
            return int(self._db.execute(f"SELECT count(*) FROM {self._table}").fetchone()[0])  # noqa: S608

    def fill(self, vectors: Float) -> None:
        size = vectors.shape[1]
        if size > _PG_MOST:
            message = (
                f"pgvector holds vectors of at most {_PG_MOST:,} dimensions, these have {size:,}; set `dimensions`"
            )
            raise TargetError(message, kind="bad_request")
        with _failures("pgvector", self._address), self._db.transaction(), self._db.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(4207)")
            made = f"CREATE TABLE IF NOT EXISTS {self._table} (id integer PRIMARY KEY, vector vector({size}) NOT NULL)"
            cursor.execute(made)
            rows = [(number, str(one)) for number, one in enumerate(vectors.astype(np.float32).tolist())]
            cursor.executemany(f"INSERT INTO {self._table} VALUES (%s, %s::vector) ON CONFLICT (id) DO NOTHING", rows)  # noqa: S608

    def nearest(self, vector: Float, top_k: int) -> list[tuple[int, float]]:
        asked = str(vector.astype(np.float32).tolist())
        query = f"SELECT id, 1 - (vector <=> %s::vector) FROM {self._table} ORDER BY vector <=> %s::vector, id LIMIT %s"  # noqa: S608
        with _failures("pgvector", self._address):
            return _ordered((int(one), float(score)) for one, score in self._db.execute(query, (asked, asked, top_k)))


def _ordered(pairs: Any) -> list[tuple[int, float]]:
    return sorted(pairs, key=lambda one: (-one[1], one[0]))
