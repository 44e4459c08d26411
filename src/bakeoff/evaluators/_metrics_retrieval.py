"""Retrieval metrics from labelled relevance."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field, PositiveInt
from typing_extensions import override

from bakeoff.evaluators._base import Finding, ReferenceCheck
from bakeoff.evaluators._protocol import CannotScoreError, EvaluatorContext, Family, ScoreKind
from bakeoff.evaluators._registry import evaluator
from bakeoff.evaluators._text import as_text, find_json, preview

__all__ = ["AveragePrecision", "HitRate", "Ndcg", "PrecisionAtK", "RecallAtK", "ReciprocalRank"]


class _Ranking(ReferenceCheck):
    """Compares the documents that were found, best first, with those that are relevant.

    The output is a list of ids, or of objects with an id (or holds one at `output_path`). What is expected is a
    list of ids, or a mapping from id to grade (0 is not relevant). A document found twice counts once.
    """

    family: ClassVar[Family] = "retrieval"
    score_kind: ClassVar[ScoreKind] = "bounded"
    shorthand: ClassVar[str | None] = "k"

    k: PositiveInt | None = None
    """How many of the first results count; all when omitted."""
    id_key: str = Field(default="id", min_length=1)
    """Key of the id where results are objects."""

    def _id(self, entry: Any) -> str:
        if isinstance(entry, Mapping):
            if self.id_key not in entry:
                raise CannotScoreError(
                    f"a result has no {self.id_key!r}; it has {', '.join(map(str, list(entry)[:8]))}"
                )
            entry = entry[self.id_key]
        return as_text(entry)

    def found(self, context: EvaluatorContext) -> list[str]:
        """Give the ids that were found, best first, each once."""
        value = self.output(context)
        if isinstance(value, str):
            try:
                value = find_json(value)
            except ValueError:
                raise CannotScoreError(f"the output {preview(value)} is no list of results") from None
        if not isinstance(value, (list, tuple)):
            raise CannotScoreError(
                f"the output is {type(value).__name__}, not a list of results; name it by `output_path`"
            )
        return list(dict.fromkeys(self._id(entry) for entry in value))[: self.k]

    def relevant(self, context: EvaluatorContext) -> dict[str, float]:
        """Give the grade of every relevant document."""
        value = self.reference(context)
        if isinstance(value, Mapping):
            try:
                grades = {str(key): float(grade) for key, grade in value.items()}
            except (TypeError, ValueError):
                raise CannotScoreError(f"the grades in {preview(value)} are not all numbers") from None
        else:
            grades = {self._id(entry): 1.0 for entry in (value if isinstance(value, list) else [value])}
        grades = {key: grade for key, grade in grades.items() if grade > 0 and math.isfinite(grade)}
        if not grades:
            raise CannotScoreError("no document is relevant for this item, so nothing can be found")
        return grades

    def rank(self, found: list[str], relevant: dict[str, float]) -> float:
        """Compute the metric."""
        raise NotImplementedError(f"{type(self).__name__}.rank")

    @override
    def measure(self, context: EvaluatorContext) -> Finding:
        found, relevant = self.found(context), self.relevant(context)
        hits = [position for position, one in enumerate(found, start=1) if one in relevant]
        details = {"found": len(found), "relevant": len(relevant), "hits": hits[:50]}
        value = self.rank(found, relevant)
        if self.score_kind == "binary":
            return Finding(value > 0, None, details)
        return Finding(value, None, details)


@evaluator("hit_rate")
class HitRate(_Ranking):
    """Check that at least one relevant document is among the first k results.

    Value:
        Pass or fail; the mean over items is the hit rate.

    Missing when:
        The output is no list of results, or no document is relevant.

    Source:
        Standard; also called success@k.

    Examples:
        >>> from bakeoff.evaluators import EvaluatorContext, load_evaluator
        >>> load_evaluator({"hit_rate": 2}).evaluate(EvaluatorContext(output=["a", "b", "c"], expected=["c"])).value
        False
    """

    score_kind: ClassVar[ScoreKind] = "binary"

    @override
    def rank(self, found: list[str], relevant: dict[str, float]) -> float:
        return float(any(one in relevant for one in found))


@evaluator("mrr")
class ReciprocalRank(_Ranking):
    """Measure how far up the first relevant document stands.

    Value:
        0 to 1: 1 / position of the first relevant result, 0 when there is none; the mean over items is the MRR.

    Missing when:
        The output is no list of results, or no document is relevant.

    Source:
        Voorhees 1999.

    Examples:
        >>> from bakeoff.evaluators import EvaluatorContext, load_evaluator
        >>> load_evaluator("mrr").evaluate(EvaluatorContext(output=["a", "b", "c"], expected=["b", "c"])).value
        0.5
    """

    @override
    def rank(self, found: list[str], relevant: dict[str, float]) -> float:
        return next((1 / position for position, one in enumerate(found, start=1) if one in relevant), 0.0)


@evaluator("ndcg")
class Ndcg(_Ranking):
    """Measure how near the ranking is to the best possible one, with graded relevance.

    Value:
        0 to 1: sum of grade / log2(position + 1) over the same sum for the ideal order.

    Missing when:
        The output is no list of results, or no document is relevant.

    Source:
        Järvelin and Kekäläinen 2002, linear gain, as in `sklearn.metrics.ndcg_score`.

    Examples:
        >>> from bakeoff.evaluators import EvaluatorContext, load_evaluator
        >>> context = EvaluatorContext(output=["b", "a"], expected={"a": 3, "b": 1})
        >>> round(load_evaluator("ndcg").evaluate(context).value, 4)
        0.7967
    """

    @override
    def rank(self, found: list[str], relevant: dict[str, float]) -> float:
        def discounted(grades: list[float]) -> float:
            return math.fsum(grade / math.log2(position + 1) for position, grade in enumerate(grades, start=1))

        best = sorted(relevant.values(), reverse=True)[: self.k]
        return min(discounted([relevant.get(one, 0.0) for one in found]) / discounted(best), 1.0)


@evaluator("precision_at_k")
class PrecisionAtK(_Ranking):
    """Measure which share of the first k results is relevant.

    Value:
        0 to 1: relevant results / k, also when fewer than k were found; without `k`, over the results found. Nothing
        found gives 0.

    Missing when:
        The output is no list of results, or no document is relevant.

    Source:
        Standard.

    Examples:
        >>> from bakeoff.evaluators import EvaluatorContext, load_evaluator
        >>> load_evaluator({"precision_at_k": 4}).evaluate(EvaluatorContext(output=["a", "b"], expected=["a"])).value
        0.25
    """

    @override
    def rank(self, found: list[str], relevant: dict[str, float]) -> float:
        size = self.k or len(found)
        return sum(one in relevant for one in found) / size if size else 0.0


@evaluator("recall_at_k")
class RecallAtK(_Ranking):
    """Measure which share of the relevant documents is among the first k results.

    Value:
        0 to 1: relevant results / relevant documents.

    Missing when:
        The output is no list of results, or no document is relevant.

    Source:
        Standard.

    Examples:
        >>> from bakeoff.evaluators import EvaluatorContext, load_evaluator
        >>> load_evaluator({"recall_at_k": 1}).evaluate(EvaluatorContext(output=["a", "b"], expected=["a", "b"])).value
        0.5
    """

    @override
    def rank(self, found: list[str], relevant: dict[str, float]) -> float:
        return sum(one in relevant for one in found) / len(relevant)


@evaluator("average_precision")
class AveragePrecision(_Ranking):
    """Measure precision at the position of each relevant document, averaged; the mean over items is MAP.

    Value:
        0 to 1. A relevant document that was not found, or not among the first k, counts 0; so with more than k relevant
        documents 1 cannot be reached.

    Missing when:
        The output is no list of results, or no document is relevant.

    Source:
        Standard: `map` and `map_cut_k` of trec_eval. Others divide by k where more than k documents are relevant.

    Examples:
        >>> from bakeoff.evaluators import EvaluatorContext, load_evaluator
        >>> context = EvaluatorContext(output=["a", "x", "b"], expected=["a", "b"])
        >>> round(load_evaluator("average_precision").evaluate(context).value, 4)
        0.8333
    """

    version: ClassVar[str] = "2"  # 2: over all relevant documents, also with `k`

    @override
    def rank(self, found: list[str], relevant: dict[str, float]) -> float:
        hits, total = 0, 0.0
        for position, one in enumerate(found, start=1):
            if one in relevant:
                hits += 1
                total += hits / position
        return total / len(relevant)
