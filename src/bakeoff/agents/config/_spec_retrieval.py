"""A corpus, how it is cut, embedded, stored and searched."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    NonNegativeInt,
    PositiveInt,
    model_validator,
)

from bakeoff.agents.config._spec_base import ModelRef, Section, Short

__all__ = ["ChunkSpec", "RetrievalSpec", "StoreSpec"]


class ChunkSpec(Short):
    """How documents are cut. A plain string is short for `{by: ...}`."""

    by: Literal["whole", "fixed", "sentence", "heading", "code", "syntax"] = "whole"
    """`code` needs nothing: Python by its own parser, other languages by lines that begin a definition; `syntax` cuts
    Python, JavaScript and TypeScript by tree-sitter, into classes, functions and methods."""
    size: Annotated[int, Field(ge=5, le=100_000)] = 60
    """Most words of a piece."""
    overlap: NonNegativeInt = 0
    """Words repeated from the piece before (`fixed`), or sentences (`sentence`)."""

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return {"by": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _moves_on(self) -> ChunkSpec:
        if self.overlap >= self.size:
            raise ValueError("`overlap` must be smaller than `size`")
        return self


class StoreSpec(Short):
    """Where vectors lie. A plain string is short for `{by: ...}`."""

    by: Literal["exact", "qdrant", "chroma", "pgvector"] = "exact"
    """An array in memory, searched exactly; or a vector store, which needs its library."""
    path: str | None = None
    """Folder of a local Qdrant or Chroma; in memory when omitted."""
    url: str | None = None
    """Address of a Qdrant server instead."""
    key_env: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = None
    """Environment variable with the key of a Qdrant server, or with the connection string of PostgreSQL
    (`DATABASE_URL` when omitted)."""

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return {"by": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _fits(self) -> StoreSpec:
        allowed = {"qdrant": {"path", "url", "key_env"}, "chroma": {"path"}, "pgvector": {"key_env"}}
        given = {name for name in ("path", "url", "key_env") if getattr(self, name) is not None}
        for name in sorted(given - allowed.get(self.by, set[str]())):
            raise ValueError(f"`{name}` has no meaning for {self.by}")
        if self.path is not None and self.url is not None:
            raise ValueError("has both `path` and `url`; keep one of them")
        return self


class RetrievalSpec(Section):
    """A corpus and how it is searched."""

    corpus: str
    """`bundled:handbook-qa`, a .jsonl file with `id` and `text`, or a file or folder of Markdown, HTML, saved pages
    (MHTML), web archives (WARC), code, text, PDF or DOCX."""
    chunk: ChunkSpec = ChunkSpec()
    method: Literal["bm25", "vector", "hybrid"] = "bm25"
    top_k: PositiveInt = 3
    threshold: float | None = None
    """Passages with a lower score are left out; the scale is the method's."""
    embedding: ModelRef | None = None
    """Model that embeds passages and queries, through the gateway; hashed character n-grams, without a model, when
    omitted."""
    dimensions: Annotated[int, Field(ge=64, le=65_536)] = 4096
    """Of the hashed character n-grams; of a model's vectors, when given and the model can shorten them."""
    store: StoreSpec = StoreSpec()
    rrf_k: PositiveInt = 60
    """Constant of reciprocal rank fusion."""
    rewrite: ModelRef | None = None
    """Model that rewrites the question into a query first."""
    rerank: ModelRef | None = None
    """Model that puts four times `top_k` passages in order before the best are kept."""
