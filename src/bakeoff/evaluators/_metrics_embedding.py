"""Similarity of meaning, by an embedding model."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, PositiveInt
from typing_extensions import override

from bakeoff.errors import ProviderError
from bakeoff.evaluators._base import Finding, Graded
from bakeoff.evaluators._protocol import (
    CannotScoreError,
    EvaluateResult,
    EvaluatorContext,
    Family,
    ScoreKind,
)
from bakeoff.evaluators._registry import evaluator
from bakeoff.evaluators._text import as_text, at_path, find_json
from bakeoff.gateway import EmbeddingClient

if TYPE_CHECKING:
    from bakeoff.gateway import Embeddings

__all__ = ["EmbeddingSimilarity"]

_MOST_CHARS = 100_000


@evaluator("embedding_similarity")
class EmbeddingSimilarity(Graded):
    """Measure how near the output is in meaning to the expected answer: the cosine of their embeddings.

    A list of expected texts means that the nearest counts. Compare values of one embedding model only: what counts as
    near differs from model to model. `sim/embedding` counts character trigrams, works offline and knows no meaning.

    Value:
        0 to 1: the cosine; below 0, which embeddings of text hardly reach, is 0.

    Missing when:
        There is no expected value, a text is blank or longer than 100,000 characters, or the call fails.

    Source:
        Cosine of sentence embeddings (Reimers & Gurevych 2019).

    Examples:
        >>> import asyncio
        >>> from bakeoff.evaluators import EvaluatorContext, load_evaluator, score_trial
        >>> from bakeoff.gateway import Gateway
        >>> near = load_evaluator({"embedding_similarity": {"model": "sim/embedding"}})
        >>> async def main():
        ...     async with Gateway() as client:
        ...         context = EvaluatorContext(output="a red house", expected="the red house", client=client)
        ...         return (await score_trial([near], context))[0].value
        >>> 0.5 < asyncio.run(main()) < 1
        True
    """

    family: ClassVar[Family] = "text"
    score_kind: ClassVar[ScoreKind] = "bounded"
    needs_model: ClassVar[bool] = True
    version: ClassVar[str] = "1"

    model: str = Field(min_length=1)
    """A LiteLLM model string, for instance `openai/text-embedding-3-small`."""
    dimensions: PositiveInt | None = None
    """Length of the vectors, where the model can shorten them."""
    api_base: str | None = None
    """Address of an OpenAI-compatible server."""
    api_key_env: str | None = None
    """Name of the environment variable that holds the key."""
    output_path: str | None = Field(default=None, min_length=1)
    """Dotted path into the output when it is JSON: `answer.value`, `items.0`."""
    expected: Any = None
    """What to expect on every item, instead of the item's own `expected`."""
    expected_path: str | None = Field(default=None, min_length=1)
    """Dotted path into the item's `expected`."""

    @override
    async def evaluate(self, context: EvaluatorContext) -> EvaluateResult:
        """Embed both sides and compare."""
        client = context.client
        if not isinstance(client, EmbeddingClient):
            raise CannotScoreError("embedding_similarity needs a client that embeds texts, and none was given")
        texts = [self._output(context), *self._references(context)]
        for what, text in zip(["the output", *["an expected text"] * len(texts)], texts, strict=False):
            if not text.strip():
                raise CannotScoreError(f"{what} is blank; blank text has no embedding")
            if len(text) > _MOST_CHARS:
                raise CannotScoreError(f"{what} has {len(text):,} characters; at most {_MOST_CHARS:,} are embedded")
        try:
            found = await client.embed(
                texts,
                model=self.model,
                dimensions=self.dimensions,
                api_base=self.api_base,
                api_key_env=self.api_key_env,
                variant=context.variant,
            )
        except ProviderError as error:
            raise CannotScoreError(f"the embedding call failed: {error}") from error
        return await asyncio.to_thread(self._compare, found) if len(texts) > 1000 else self._compare(found)

    @property
    @override
    def reads(self) -> tuple[str, ...]:
        if self.expected is not None:
            return ()
        return ("expected" if self.expected_path is None else f"expected.{self.expected_path}",)

    def _output(self, context: EvaluatorContext) -> str:
        value = context.output
        if self.output_path is not None:
            if isinstance(value, str):
                try:
                    value = find_json(value)
                except ValueError:
                    raise CannotScoreError("the output is no JSON, so `output_path` leads nowhere") from None
            value = at_path(value, self.output_path, "the output")
        return as_text(value)

    def _references(self, context: EvaluatorContext) -> list[str]:
        value = self.expected if self.expected is not None else context.expected
        if value is None:
            raise CannotScoreError("the item has no `expected` value; map one in the data set, or set `expected` here")
        if self.expected_path is not None:
            value = at_path(value, self.expected_path, "`expected`")
        found = [as_text(entry) for entry in value] if isinstance(value, list) else [as_text(value)]
        if not found:
            raise CannotScoreError("`expected` is an empty list: no answer would be right")
        return found

    def _compare(self, found: Embeddings) -> EvaluateResult:
        vectors = found.vectors
        lengths = (vectors**2).sum(axis=1) ** 0.5
        if not (lengths > 0).all():
            raise CannotScoreError("an embedding is zero, so it points nowhere")
        cosines = (vectors[1:] @ vectors[0]) / (lengths[1:] * lengths[0])
        best = int(cosines.argmax())
        value = float(cosines[best])
        if not math.isfinite(value):
            raise CannotScoreError("the embeddings are not finite")
        details = {"model": found.model, "cosine": value, "nearest": best}
        return self.conclude(Finding(min(max(value, 0.0), 1.0), None, details, found.cost_usd))
