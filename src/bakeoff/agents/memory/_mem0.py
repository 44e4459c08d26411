"""Mem0 as a memory policy: its models are the gateway's, its vectors lie in memory, its telemetry is off.

Mem0 is not asynchronous: it runs in a thread, and its calls of models come back to the loop of the trial. What it needs
of a provider is never set up, so a call that does not come back here cannot be made.
"""

from __future__ import annotations

import asyncio
import logging
import os
import tempfile
import warnings
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from bakeoff.agents.config._optional import need
from bakeoff.agents.retrieval._hashed import embed
from bakeoff.agents.retrieval._index import embed_with, unit
from bakeoff.agents.tools._threads import in_thread
from bakeoff.errors import BakeoffError, TargetError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from bakeoff.agents.memory._store import Scope
    from bakeoff.agents.run._trace import Clock
    from bakeoff.agents.run._trial import Trial
    from bakeoff.targets import ModelSpec

__all__ = ["Mem0Memory"]

_HASHED = 512


class Mem0Memory:
    """What Mem0 remembers within one trial, by user and tenant.

    Args:
        trial: The trial; its client makes every call.
        models: Model that extracts memories, then its fallbacks.
        embedding: Model that embeds them; hashed n-grams without one.
        top_k: Most memories recalled.
    """

    def __init__(self, trial: Trial, *, models: Sequence[ModelSpec], embedding: ModelSpec | None, top_k: int) -> None:
        self._trial = trial
        self._models = models
        self._embedding = embedding
        self._top_k = top_k
        self._loop: asyncio.AbstractEventLoop | None = None
        self._clock: Clock | None = None
        self._calls = 0
        self._failure: BakeoffError | None = None
        self._memory: Any = None

    async def recall(self, text: str, scope: Scope, clock: Clock) -> list[str]:
        """Return the memories of this user that fit, best first.

        Raises:
            TargetError: Mem0 failed, or a model did (`ProviderError`).
        """
        if self._memory is None or not text.strip():
            return []  # nothing has been written yet
        found = await self._run(
            lambda memory: memory.search(text, top_k=self._top_k, filters={"user_id": _user(scope)}), clock
        )
        return [str(one["memory"]) for one in found["results"]]

    async def write(self, text: str, reply: str, scope: Scope, clock: Clock) -> list[str]:
        """Let Mem0 take what it wants out of an exchange; return what it took.

        Raises:
            TargetError: Mem0 failed, or a model did (`ProviderError`).
        """
        said = [{"role": "user", "content": text}, {"role": "assistant", "content": reply}]
        done = await self._run(lambda memory: memory.add(said, user_id=_user(scope)), clock)
        return [str(one["memory"]) for one in done["results"]]

    async def _run(self, call: Callable[[Any], Any], clock: Clock) -> Any:
        self._loop, self._clock, self._failure = asyncio.get_running_loop(), clock, None

        def work() -> Any:
            if self._memory is None:
                size = len(self._vectors(["size"])[0])
                self._memory = _open(size)
                self._memory.llm = self
                self._memory.embedding_model = self
            return call(self._memory)

        try:
            done = await in_thread(work, name="mem0")
        except BakeoffError:
            raise
        except Exception as error:
            if self._failure is not None:
                raise self._failure from None
            raise TargetError(f"mem0: {type(error).__name__}: {error}"[:2000]) from error
        if self._failure is not None:  # which Mem0 may have taken for an empty answer
            raise self._failure
        return done

    # What Mem0 calls, in its thread

    def generate_response(self, messages: Sequence[dict[str, Any]], **options: Any) -> str:
        """Ask the model, through the gateway; Mem0's `LLMBase`."""
        assert self._clock is not None
        wanted = options.get("response_format")
        self._calls += 1
        asked = self._trial.call(
            self._models, list(messages), name="mem0", clock=self._clock, parent=0, sample=self._calls,
            params={"response_format": wanted} if wanted and not self._models[0].model.startswith("sim/") else None,
        )  # fmt: skip
        return str(self._back(asked).text)

    def embed(self, text: str, memory_action: str | None = None) -> list[float]:
        """Embed a text; Mem0's `EmbeddingBase`."""
        return self._vectors([text])[0]

    def embed_batch(self, texts: Sequence[str], memory_action: str = "add") -> list[list[float]]:
        """Embed texts; Mem0's `EmbeddingBase`."""
        return self._vectors(texts)

    def _vectors(self, texts: Sequence[str]) -> list[list[float]]:
        if self._embedding is None:
            hashed: list[list[float]] = embed(texts, dimensions=_HASHED).tolist()
            return hashed
        made = self._back(
            embed_with(self._trial.client, self._embedding, list(texts), dimensions=None, variant=self._trial.variant)
        )
        assert self._clock is not None
        self._trial.recorder.add_embedding(made, self._clock)
        vectors: list[list[float]] = unit(made.vectors).tolist()
        return vectors

    def _back(self, work: Coroutine[Any, Any, Any]) -> Any:
        assert self._loop is not None
        try:
            return asyncio.run_coroutine_threadsafe(work, self._loop).result()
        except BakeoffError as error:
            self._failure = self._failure or error
            raise


def _user(scope: Scope) -> str:
    return f"{scope.tenant}/{scope.user}".replace(" ", "_")


@lru_cache(maxsize=1)
def _library() -> Any:
    need("mem0", "the memory policy 'mem0'")
    os.environ["MEM0_TELEMETRY"] = "False"  # read when it is imported
    os.environ.setdefault("MEM0_DIR", tempfile.mkdtemp(prefix="bakeoff-mem0-"))
    logging.getLogger("mem0").setLevel(logging.CRITICAL)  # what fails is raised here, and the rest is advertising
    warnings.filterwarnings("ignore", message="Payload indexes have no effect", category=UserWarning)
    import mem0  # pyrefly: ignore  # an optional library
    from mem0.memory import main  # pyrefly: ignore  # an optional library

    if main.MEM0_TELEMETRY:
        raise TargetError("mem0 was imported with its telemetry on; set MEM0_TELEMETRY=False before that")
    return mem0


def _open(size: int) -> Any:
    """Return an empty memory; whoever opens it puts its models in."""
    mem0 = _library()
    from qdrant_client import QdrantClient  # pyrefly: ignore  # comes with mem0

    # Its own models are never asked; were they, these would lead nowhere.
    nowhere = {"api_key": "unused", "openai_base_url": "http://127.0.0.1:9"}
    store = {"client": QdrantClient(location=":memory:"), "path": "unused", "embedding_model_dims": size}
    return mem0.Memory.from_config({
        "llm": {"provider": "openai", "config": nowhere},
        "embedder": {"provider": "openai", "config": nowhere},
        "vector_store": {"provider": "qdrant", "config": store},
        "history_db_path": ":memory:",
    })  # fmt: skip
