"""Judges of answers that were written from retrieved passages."""

from __future__ import annotations

import re
from collections import Counter
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
        "trace": _outputs(context.trace),
    }
    try:
        value = at_path(place, path, "the trial")
    except CannotScoreError as error:
        raise CannotScoreError(
            f"{error}; say with `passages` where they are, as in `passages: output.documents`"
        ) from None
    entries: Sequence[Any] = value if isinstance(value, (list, tuple)) else [value]
    texts = [as_text(_text_of(one)) for one in entries if one is not None]
    if not any(text.strip() for text in texts):
        raise CannotScoreError(f"there are no passages at {path!r}")
    return texts


_TEXT_KEYS = ("text", "page_content", "content", "passage")
"""Where retrievers keep the text of a passage: LlamaIndex, LangChain, Haystack and many an API, data sets."""


def _text_of(entry: Any) -> Any:
    if not isinstance(entry, Mapping):
        return entry
    return next((entry[key] for key in _TEXT_KEYS if isinstance(entry.get(key), str)), entry)


def _outputs(trace: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Give what each step of an agent gave, the last time it ran."""
    return {str(span["name"]): span["output"] for span in trace if span.get("kind") == "step" and "output" in span}


def _number(value: Any) -> int | None:
    """Read the number of a passage: `2`, `"2"`, `"[2]"`, `"passage 2"`."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    found = re.fullmatch(r"(?:passage)?\s*\[?(\d{1,9})(?:\.0)?\]?", str(value).strip(), re.IGNORECASE)
    return int(found[1]) if found else None


class _FromPassages(Judge):
    """A judge that is shown the retrieved passages."""

    score_kind: ClassVar[ScoreKind] = "bounded"
    family: ClassVar[Family] = "retrieval"

    passages: str = Field(default="inputs.context", min_length=1)
    """Dotted path to the passages: a text, or a list of texts or of objects with `text`, `page_content`, `content` or
    `passage`; in `inputs`, `metadata`, `output` or `expected`, or `trace.STEP` for what a step of an agent gave."""
    answer_path: str | None = None
    """Dotted path to the answer where the output is an object."""

    @property
    @override
    def reads(self) -> tuple[str, ...]:
        return (self.passages,) if self.passages.partition(".")[0] in ("inputs", "metadata", "expected") else ()

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

    version: ClassVar[str] = "2"  # 2: the judge is shown the question, without passages that stand beside it
    score_kind: ClassVar[ScoreKind] = "bounded"
    family: ClassVar[Family] = "retrieval"

    question: str | None = None
    """Dotted path to the question; when omitted, `inputs.question` where there is one, else all inputs."""

    def _asked(self, context: EvaluatorContext) -> list[Section]:
        path = self.question or ("inputs.question" if context.inputs.get("question") is not None else None)
        if path is None:
            return shown_inputs(context)
        place = {"inputs": context.inputs, "metadata": context.metadata}
        return [Section("input", as_text(at_path(place, path, "the trial")))]

    @override
    def fingerprint_text(self) -> str:
        return _RELEVANT

    @override
    def task(self, context: EvaluatorContext) -> JudgeTask:
        def read(answer: dict[str, Any]) -> Reading:
            mark = read_scale(answer, "mark", 1, 5)
            return Reading((mark - 1) / 4, read_text(answer, "reason"), {"mark": mark})

        schema = closed({"reason": _REASON, "mark": {"type": "integer", "minimum": 1, "maximum": 5}})
        sections = [*self._asked(context), shown_output(context)]
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
            verdicts = {_number(one.get("passage")): read_flag(one, "relevant") for one in entries}
            wanted = range(1, len(shown) + 1)
            missing = [index for index in wanted if index not in verdicts]
            if missing:
                raise UnreadableError(f"passage {missing[0]} was missing")
            useless = [str(index) for index in wanted if not verdicts[index]]
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
_MARK = re.compile(r"\[(\d{1,3}(?:\s*[,;–-]\s*\d{1,3})*)\]")
_LONGEST_RANGE = 20


def cited_passages(text: str) -> list[int]:
    """Give the numbers of the passages that a text cites, in order, as often as it cites them.

    Examples:
        >>> cited_passages("It is tall [1]. It is old [2, 4-6]. It is a tower [1][2].")
        [1, 2, 4, 5, 6, 1, 2]
    """
    found: list[int] = []
    for part in (part for mark in _MARK.findall(text) for part in re.split(r"[,;]", mark)):
        numbers = [int(number) for number in re.findall(r"\d+", part)]
        first, last = numbers[0], numbers[-1]
        is_range = len(numbers) == 2 and first < last <= first + _LONGEST_RANGE
        found += range(first, last + 1) if is_range else numbers
    return found


@evaluator("citations")
class Citations(_FromPassages):
    """Let a model check for every citation in the output whether the cited passage supports the statement.

    Citations are numbers in square brackets, as in [1], [2, 3] or [2-4]. A number without a passage is wrong without
    asking.

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

    version: ClassVar[str] = "2"  # 2: every single citation counts, and only those that stand in the output

    required: bool = False
    """Whether an output that cites nothing is wrong, rather than not judged."""

    @override
    def fingerprint_text(self) -> str:
        return _CITED

    @override
    async def evaluate(self, context: EvaluatorContext) -> EvaluateResult:
        cited = cited_passages(self.answer(context).text)
        if not cited and not self.required:
            raise CannotScoreError("the output cites nothing")
        n_passages = len(self.shown_passages(context)) if cited else 0
        if any(1 <= number <= n_passages for number in cited):
            return await super().evaluate(context)
        told = "; ".join(f"[{number}] has no passage" for number in cited)
        details = {"citations": len(cited), "invented": len(cited)}
        result = self.conclude(Finding(0.0, f"not supported: {told}" if cited else "the output cites nothing", details))
        return result if isinstance(result, Score) else dict(result)

    @override
    def task(self, context: EvaluatorContext) -> JudgeTask:
        shown, answer = self.shown_passages(context), self.answer(context)
        cited = Counter(cited_passages(answer.text))
        real = {number: times for number, times in cited.items() if 1 <= number <= len(shown)}
        invented = [number for number in cited.elements() if number not in real]

        def read(found: dict[str, Any]) -> Reading:
            entries = found.get("citations")
            if not isinstance(entries, list) or not all(isinstance(one, Mapping) for one in entries):
                raise UnreadableError("'citations' was no list of objects")
            checked = [(number, one) for one in entries if (number := _number(one.get("passage"))) in real]
            times = Counter(number for number, _ in checked)
            for number, wanted in real.items():
                if times[number] < wanted:
                    raise UnreadableError(
                        f"the response cites [{number}] {wanted} times, but {times[number]} were checked"
                    )
            verdicts = [read_flag(one, "supported") for _, one in checked]
            bad = [f"[{number}] has no passage" for number in invented]
            bad += [
                f"[{number}] {read_text(one, 'statement')}"
                for (number, one), good in zip(checked, verdicts, strict=True)
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
