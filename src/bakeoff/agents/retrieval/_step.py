"""Retrieval within a trial: query, rewriting, search, re-ranking, and what was found as plain data."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bakeoff.agents.config._agent import Step
    from bakeoff.agents.retrieval._search import Found
    from bakeoff.agents.run._trial import Branch, Trial

__all__ = ["citations", "retrieve"]

_REWRITE = (
    "Rewrite this question as a short search query for a document collection. Reply with the query alone.\n\n{query}"
)
_RERANK = (
    "Order the passages by how well they answer the question, the best first. Reply with their numbers alone, "
    "separated by commas.\n\nQuestion: {query}\n\n{passages}"
)
_CITED = re.compile(r"\[([^\[\]\s]{1,80})\]")


async def retrieve(trial: Trial, step: Step, branch: Branch, parent: int) -> list[dict[str, Any]]:
    """Search the corpus; return the passages as plain data, best first."""
    retriever = trial.agent.retriever
    assert retriever is not None
    spec = step.spec.retrieve
    values = trial.values(branch)
    query = step.query.render(values) if step.query is not None else " ".join(map(str, trial.inputs.values()))
    top_k = spec.top_k if not isinstance(spec, bool) and spec.top_k is not None else retriever.spec.top_k
    helpers = trial.agent.helpers
    if "rewrite" in helpers:
        asked = [{"role": "user", "content": _REWRITE.format(query=query)}]
        response = await trial.call(
            (helpers["rewrite"],), asked, name="rewrite query", clock=branch.clock, parent=parent
        )
        query = response.text.strip() or query
    with trial.recorder.span("search", "retrieval", branch.clock, parent=parent, input=query) as span:
        found = await trial.find(query, branch.clock, span["id"], top_k=4 * top_k if "rerank" in helpers else top_k)
        span["output"] = [{"id": one.passage.document, "score": round(one.score, 6)} for one in found]
    if "rerank" in helpers and len(found) > 1:
        shown = "\n\n".join(f"({number}) {one.passage.text}" for number, one in enumerate(found, start=1))
        asked = [{"role": "user", "content": _RERANK.format(query=query, passages=shown)}]
        response = await trial.call((helpers["rerank"],), asked, name="rerank", clock=branch.clock, parent=parent)
        found = _reordered(found, response.text)[:top_k]
    return [
        {
            "id": one.passage.document,
            "number": one.passage.number,
            "title": one.passage.title,
            "text": one.passage.text,
            "score": one.score,
        }
        for one in found
    ]


def _reordered(found: Sequence[Found], text: str) -> list[Found]:
    """Put the passages in the order that a model named; what it left out follows as it was."""
    named = [int(number) - 1 for number in re.findall(r"\d+", text)]
    order = list(dict.fromkeys(index for index in named if 0 <= index < len(found)))
    return [found[index] for index in [*order, *(index for index in range(len(found)) if index not in order)]]


def citations(text: str, passages: Sequence[dict[str, Any]]) -> tuple[list[str], list[str]]:
    """Return the passages that an answer cites as `[id]`, and the ids it cites that were never shown.

    Examples:
        >>> citations("25 crowns [S20], see [S99].", [{"id": "S20"}, {"id": "S21"}])
        (['S20'], ['S99'])
    """
    known = {one["id"] for one in passages}
    cited = list(dict.fromkeys(_CITED.findall(text)))
    return [one for one in cited if one in known], [one for one in cited if one not in known]
