"""Judges of answers that were written from retrieved passages."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pydantic import Field
from typing_extensions import override

from bakeoff.evaluators._base import Finding
from bakeoff.evaluators._judge_jury import Judge
from bakeoff.evaluators._judge_parse import UnreadableError, read_flag, read_scale, read_text
from bakeoff.evaluators._judge_task import JudgeTask, Reading, Section, closed, shown_inputs, shown_output
from bakeoff.evaluators._protocol import CannotScoreError, EvaluateResult, EvaluatorContext, Family, Score, ScoreKind
from bakeoff.evaluators._registry import evaluator
from bakeoff.evaluators._text import as_text, at_path

__all__ = ["AnswerRelevance", "Citations", "ContextRelevance", "Faithfulness"]

_REASON = {"type": "string"}


def passages_of(context: EvaluatorContext, path: str) -> list[str]:
    """Give the retrieved passages of a trial.

    Raises:
        CannotScoreError: There are none at that place.
    """
    place: dict[str, Any] = {
        "inputs": context.inputs,
        "metadata": context.metadata,
        "output": context.output,
        "expected": context.expected,
    }
    try:
        value = at_path(place, path, "the trial")
    except CannotScoreError as error:
        raise CannotScoreError(
            f"{error}; say with `passages` where they are, as in `passages: output.documents`"
        ) from None
    entries: Sequence[Any] = value if isinstance(value, (list, tuple)) else [value]
    texts = [as_text(one.get("text", one) if isinstance(one, Mapping) else one) for one in entries if one is not None]
    if not any(text.strip() for text in texts):
        raise CannotScoreError(f"there are no passages at {path!r}")
    return texts


class _FromPassages(Judge):
    """A judge that is shown the retrieved passages."""

    score_kind: ClassVar[ScoreKind] = "bounded"
    family: ClassVar[Family] = "retrieval"

    passages: str = Field(default="inputs.context", min_length=1)
    """Dotted path to the passages: a text or a list, in `inputs`, `metadata`, `output` or `expected`."""
    answer_path: str | None = None
    """Dotted path to the answer where the output is an object."""

    def answer(self, context: EvaluatorContext) -> Section:
        """Show the answer."""
        if self.answer_path is None:
            return shown_output(context)
        return Section("response", as_text(at_path(context.output, self.answer_path, "the output")))

    def shown_passages(self, context: EvaluatorContext) -> list[Section]:
        """Show each passage with its number."""
        texts = passages_of(context, self.passages)
        return [Section(f"passage {index}", text) for index, text in enumerate(texts, start=1)]


_CLAIMS = """\
First split the response into its claims: every statement of fact that stands by itself, each as one short sentence \
without pronouns. Leave out questions, greetings and statements about the assistant itself.
Then decide for each claim whether the passages support it: a careful reader who knows only the passages would agree. \
What is true but not in the passages is not supported.
For each claim give "claim", then "reason" (quote the passage that decides, or say that none does), then "supported". \
A response without claims has an empty list."""


@evaluator("faithfulness")
class Faithfulness(_FromPassages):
    """Let a model split the output into claims and check each against the retrieved passages.

    Value:
        0 to 1: share of the claims that the passages support. Unsupported claims are named in the reason.

    Missing when:
        There is no output or passage, the output makes no claim, the call fails, the judge refuses, or its answer
        cannot be read after `retries`.

    Source:
        Claim decomposition after Min et al. 2023 (FActScore) and Es et al. 2023 (Ragas), in one call.

    Examples:
        >>> from bakeoff.evaluators import load_evaluator
        >>> load_evaluator({"faithfulness": {"model": "sim/judge", "passages": "metadata.chunks"}}).family
        'retrieval'
    """

    @override
    def fingerprint_text(self) -> str:
        return _CLAIMS

    @override
    def task(self, context: EvaluatorContext) -> JudgeTask:
        claim = closed({"claim": {"type": "string"}, "reason": _REASON, "supported": {"type": "boolean"}})
        schema = closed({"claims": {"type": "array", "items": claim}})
        sections = [*self.shown_passages(context), self.answer(context)]
        return JudgeTask(instructions=_CLAIMS, sections=sections, schema=schema, read=_read_claims)


def _read_claims(answer: dict[str, Any]) -> Reading:
    claims = answer.get("claims")
    if not isinstance(claims, list) or not all(isinstance(one, Mapping) for one in claims):
        raise UnreadableError("'claims' was no list of objects")
    if not claims:
        raise CannotScoreError("the output makes no claim that could be checked")
    verdicts = [read_flag(one, "supported") for one in claims]
    bad = [read_text(one, "claim") for one, good in zip(claims, verdicts, strict=True) if not good]
    reason = f"not supported: {'; '.join(bad)}" if bad else f"all {len(claims)} claims are supported"
    return Reading(sum(verdicts) / len(verdicts), reason, {"claims": len(claims), "unsupported": len(bad)})


_RELEVANT = """\
Mark from 1 to 5 how well the response addresses what the input asks, whether or not it is true:
1 = does not address it; 2 = touches the topic only; 3 = addresses a part, or is mostly beside it; \
4 = addresses it with gaps or padding; 5 = addresses all of it and nothing else.
Give "reason" first, in one or two sentences, then "mark"."""


@evaluator("answer_relevance")
class AnswerRelevance(Judge):
    """Let a model mark how well the output addresses the question, whether or not it is true.

    Value:
        0 to 1: mark from 1 to 5, as (mark - 1) / 4.

    Missing when:
        There is no output, the call fails, the judge refuses, or its answer cannot be read after `retries`.

    Source:
        Own anchors; the notion is that of Es et al. 2023 (Ragas).

    Examples:
        >>> from bakeoff.evaluators import load_evaluator
        >>> load_evaluator({"answer_relevance": {"model": "sim/judge", "threshold": 0.75}}).metrics[0].score_kind
        'binary'
    """

    score_kind: ClassVar[ScoreKind] = "bounded"
    family: ClassVar[Family] = "retrieval"

    @override
    def fingerprint_text(self) -> str:
        return _RELEVANT

    @override
    def task(self, context: EvaluatorContext) -> JudgeTask:
        def read(answer: dict[str, Any]) -> Reading:
            mark = read_scale(answer, "mark", 1, 5)
            return Reading((mark - 1) / 4, read_text(answer, "reason"), {"mark": mark})

        schema = closed({"reason": _REASON, "mark": {"type": "integer", "minimum": 1, "maximum": 5}})
        sections = [*shown_inputs(context), shown_output(context)]
        return JudgeTask(instructions=_RELEVANT, sections=sections, schema=schema, read=read)


_USEFUL = """\
Decide for each numbered passage whether it helps to answer the input: it holds at least one fact that a good answer \
would use. Being about the same topic is not enough.
For each passage give "passage" (its number), then "reason" in one sentence, then "relevant"."""


@evaluator("context_relevance")
class ContextRelevance(_FromPassages):
    """Let a model decide for each retrieved passage whether it helps to answer the question.

    Value:
        0 to 1: share of the passages that help (precision of retrieval without labels).

    Missing when:
        There is no passage, the call fails, the judge refuses, or its answer cannot be read after `retries`.

    Source:
        Own; the notion is that of Es et al. 2023 (Ragas).

    Examples:
        >>> from bakeoff.evaluators import load_evaluator
        >>> load_evaluator({"context_relevance": {"model": "sim/judge"}}).needs_model
        True
    """

    question: str = Field(default="inputs.question", min_length=1)
    """Dotted path to the question."""

    @override
    def fingerprint_text(self) -> str:
        return _USEFUL

    @override
    def task(self, context: EvaluatorContext) -> JudgeTask:
        shown = self.shown_passages(context)
        question = as_text(
            at_path({"inputs": context.inputs, "metadata": context.metadata}, self.question, "the trial")
        )
        entry = closed({"passage": {"type": "integer"}, "reason": _REASON, "relevant": {"type": "boolean"}})
        schema = closed({"passages": {"type": "array", "items": entry}})

        def read(answer: dict[str, Any]) -> Reading:
            entries = answer.get("passages")
            if not isinstance(entries, list) or not all(isinstance(one, Mapping) for one in entries):
                raise UnreadableError("'passages' was no list of objects")
            verdicts = {str(one.get("passage")): read_flag(one, "relevant") for one in entries}
            wanted = [str(index) for index in range(1, len(shown) + 1)]
            missing = [index for index in wanted if index not in verdicts]
            if missing:
                raise UnreadableError(f"passage {missing[0]} was missing")
            useless = [index for index in wanted if not verdicts[index]]
            reason = f"does not help: passage {', '.join(useless)}" if useless else "every passage helps"
            return Reading(1 - len(useless) / len(wanted), reason, {"passages": len(wanted)})

        sections = [Section("input", question), *shown]
        return JudgeTask(instructions=_USEFUL, sections=sections, schema=schema, read=read)


_CITED = """\
The response cites the numbered passages as [1], [2] and so on. Check every single citation: does the cited passage, \
read alone, support the statement that the citation stands with?
For each citation, in order, give "statement" (the statement it stands with), "passage" (the number cited), then \
"reason" (quote the passage, or say that it does not say so), then "supported". A statement with two citations has two \
entries."""
_MARK = re.compile(r"\[(\d{1,3}(?:\s*[,;]\s*\d{1,3})*)\]")


@evaluator("citations")
class Citations(_FromPassages):
    """Let a model check for every citation in the output whether the cited passage supports the statement.

    Citations are numbers in square brackets, as in [1] or [2, 3]. A number without a passage is wrong without asking.

    Value:
        0 to 1: share of the citations that are supported (citation precision). An output that cites nothing gives 0
        with `required`.

    Missing when:
        There is no output or passage, the output cites nothing (without `required`), the call fails, the judge
        refuses, or its answer cannot be read after `retries`.

    Source:
        Citation precision after Gao et al. 2023 (ALCE).

    Examples:
        >>> from bakeoff.evaluators import load_evaluator
        >>> load_evaluator({"citations": {"model": "sim/judge", "passages": "metadata.chunks"}}).family
        'retrieval'
    """

    required: bool = False
    """Whether an output that cites nothing is wrong, rather than not judged."""

    @override
    def fingerprint_text(self) -> str:
        return _CITED

    @override
    async def evaluate(self, context: EvaluatorContext) -> EvaluateResult:
        if not _MARK.search(self.answer(context).text):
            if not self.required:
                raise CannotScoreError("the output cites nothing")
            result = self.conclude(Finding(0.0, "the output cites nothing"))
            return result if isinstance(result, Score) else dict(result)
        return await super().evaluate(context)

    @override
    def task(self, context: EvaluatorContext) -> JudgeTask:
        shown, answer = self.shown_passages(context), self.answer(context)
        cited = [int(number) for mark in _MARK.findall(answer.text) for number in re.findall(r"\d+", mark)]
        invented = [number for number in cited if not 1 <= number <= len(shown)]

        def read(found: dict[str, Any]) -> Reading:
            entries = found.get("citations")
            if not isinstance(entries, list) or not all(isinstance(one, Mapping) for one in entries):
                raise UnreadableError("'citations' was no list of objects")
            real = [one for one in entries if str(one.get("passage")) not in map(str, invented)]
            if len(real) < len(set(cited) - set(invented)):
                raise UnreadableError(f"{len(cited)} citations were to be checked, but {len(entries)} were")
            verdicts = [read_flag(one, "supported") for one in real]
            bad = [f"[{number}] has no passage" for number in invented]
            bad += [
                f"[{one.get('passage')}] {read_text(one, 'statement')}"
                for one, good in zip(real, verdicts, strict=True)
                if not good
            ]
            total = len(verdicts) + len(invented)
            reason = f"not supported: {'; '.join(bad)}" if bad else f"all {total} citations are supported"
            return Reading(sum(verdicts) / total, reason, {"citations": total, "invented": len(invented)})

        entry = closed(
            {
                "statement": {"type": "string"},
                "passage": {"type": "integer"},
                "reason": _REASON,
                "supported": {"type": "boolean"},
            }
        )
        schema = closed({"citations": {"type": "array", "items": entry}})
        return JudgeTask(instructions=_CITED, sections=[*shown, answer], schema=schema, read=read)
