"""Judges of one answer: a model decides, by your question, a rubric, a reference or a list of rules."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pydantic import Field
from typing_extensions import override

from bakeoff.evaluators._judge_jury import Judge
from bakeoff.evaluators._judge_parse import read_choice, read_flag, read_text
from bakeoff.evaluators._judge_task import (
    JudgeTask,
    Reading,
    Section,
    closed,
    reference_text,
    shown_inputs,
    shown_output,
)
from bakeoff.evaluators._protocol import CannotScoreError, EvaluatorContext, ScoreKind
from bakeoff.evaluators._registry import evaluator

__all__ = [
    "ClosedQa",
    "Correctness",
    "Factuality",
    "GoalCompletion",
    "Guidelines",
    "PassJudge",
    "YesNoJudge",
]

_REASON = {"type": "string"}


class YesNoJudge(Judge):
    """A judge that answers one question with yes or no, reason first."""

    def question(self) -> str:
        """Give the question; yes is good."""
        raise NotImplementedError(f"{type(self).__name__}.question")

    def material(self, context: EvaluatorContext) -> Sequence[Section]:
        """Give what the judge is shown."""
        return [*shown_inputs(context), shown_output(context)]

    @override
    def fingerprint_text(self) -> str:
        return f"{type(self).__name__}\n{self.question()}"

    @override
    def task(self, context: EvaluatorContext) -> JudgeTask:
        instructions = (
            f"Answer this question about the material:\n{self.question()}\n\n"
            'Give "reason" first, in one to three sentences that quote what decides, then "pass": true for yes, '
            "false for no. When it cannot be told from the material, the answer is no."
        )
        schema = closed({"reason": _REASON, "pass": {"type": "boolean"}})
        return JudgeTask(instructions=instructions, sections=self.material(context), schema=schema, read=_read_pass)


def _read_pass(answer: dict[str, Any]) -> Reading:
    return Reading(read_flag(answer, "pass"), read_text(answer, "reason"))


@evaluator("judge")
class PassJudge(YesNoJudge):
    """Let a model answer a yes/no question of yours about the output, reason first.

    Ask for one thing that a careful person could decide from the material; use several judges for several things.
    Calibrate it against human labels before you believe it.

    Value:
        Pass (yes) or fail (no), with the judge's reason.

    Missing when:
        There is no output, the call fails, the judge refuses, or its answer cannot be read after `retries`.

    Source:
        Zheng et al. 2023 (LLM as a judge).

    Examples:
        >>> from bakeoff.evaluators import load_evaluator
        >>> polite = load_evaluator({"judge": {"model": "openai/gpt-5-mini", "question": "Is the reply polite?"}})
        >>> polite.needs_model, polite.metrics[0].score_kind
        (True, 'binary')
    """

    criterion: str = Field(min_length=3, validation_alias="question", serialization_alias="question")
    """The question; yes is good."""
    with_expected: bool = False
    """Whether the judge sees the item's expected value."""
    with_messages: bool = False
    """Whether the judge sees the whole conversation."""

    @override
    def question(self) -> str:
        return self.criterion

    @property
    @override
    def reads(self) -> tuple[str, ...]:
        return ("expected",) if self.with_expected else ()

    @override
    def material(self, context: EvaluatorContext) -> Sequence[Section]:
        sections = [*shown_inputs(context)]
        if self.with_messages:
            sections.append(transcript(context))
        if self.with_expected:
            sections.append(Section("expected", reference_text(context, None)))
        return [*sections, shown_output(context)]


def transcript(context: EvaluatorContext) -> Section:
    """Show a conversation with its tool calls, one line of JSON a message.

    Raises:
        CannotScoreError: The trial has no messages.
    """
    if not context.messages:
        raise CannotScoreError(context.no_messages or "the trial has no messages to judge: its target sends none")
    lines = [json.dumps(dict(message), ensure_ascii=False, default=str) for message in context.messages]
    return Section("conversation", "\n".join(lines))


def whole_conversation(context: EvaluatorContext) -> Section:
    """Show a conversation to its end: what was sent, and the answer that it got.

    Raises:
        CannotScoreError: The trial has no messages.
    """
    section = transcript(context)
    last = context.messages[-1]
    if last.get("role") == "assistant" and last.get("content") == context.output:
        return section
    answer = json.dumps({"role": "assistant", "content": context.output}, ensure_ascii=False, default=str)
    return Section(section.title, f"{section.text}\n{answer}")


@evaluator("closed_qa")
class ClosedQa(YesNoJudge):
    """Let a model decide whether the output answers the question of the item by the given criterion.

    Value:
        Pass or fail, with the judge's reason.

    Missing when:
        There is no output, the call fails, the judge refuses, or its answer cannot be read after `retries`.

    Source:
        The closed-QA template of OpenAI Evals, reworded.

    Examples:
        >>> from bakeoff.evaluators import load_evaluator
        >>> load_evaluator({"closed_qa": {"model": "sim/judge"}}).metric
        'closed_qa'
    """

    criterion: str = Field(default="It answers the question fully and directly, and adds nothing untrue.", min_length=3)
    """What a good answer does."""

    @override
    def question(self) -> str:
        return f"Does the response, as an answer to the input, meet this criterion: {self.criterion}"


@evaluator("goal_completion")
class GoalCompletion(YesNoJudge):
    """Let a model read the whole conversation and decide whether the user's goal was reached.

    Value:
        Pass or fail, with the judge's reason.

    Missing when:
        The trial has no messages, the call fails, the judge refuses, or its answer cannot be read after `retries`.

    Source:
        Own.

    Examples:
        >>> from bakeoff.evaluators import load_evaluator
        >>> load_evaluator({"goal_completion": {"model": "sim/judge", "goal": "A refund was booked."}}).family
        'judge'
    """

    version: ClassVar[str] = "2"  # 2: the judge sees the last answer as well

    goal: str | None = None
    """The goal; the item's expected value when omitted."""

    @override
    def question(self) -> str:
        return (
            "Was the goal really reached by the end of the conversation, as shown by the results of the tools and not "
            "only by what the assistant claims?"
        )

    @property
    @override
    def reads(self) -> tuple[str, ...]:
        return () if self.goal is not None else ("expected",)

    @override
    def material(self, context: EvaluatorContext) -> Sequence[Section]:
        return [Section("goal", reference_text(context, self.goal)), whole_conversation(context)]


@evaluator("correctness")
class Correctness(Judge):
    """Let a model compare the output with the expected answer: does it say the same?

    Value:
        Pass or fail; with `partial`, 1 for correct, 0.5 for partly correct and 0 for wrong. The word is in the details.

    Missing when:
        There is no output or expected value, the call fails, the judge refuses, or its answer cannot be read.

    Source:
        Own; reference-guided grading after Zheng et al. 2023.

    Examples:
        >>> from bakeoff.evaluators import load_evaluator
        >>> load_evaluator({"correctness": {"model": "sim/judge", "partial": True}}).metrics[0].score_kind
        'bounded'
    """

    score_kind: ClassVar[ScoreKind] = "bounded"

    expected: Any = None
    """What to compare with, instead of the item's expected value."""
    partial: bool = False
    """Whether half-right counts half instead of failing."""

    @property
    @override
    def raw_kind(self) -> ScoreKind:
        return "bounded" if self.partial else "binary"

    @override
    def fingerprint_text(self) -> str:
        return f"correctness {self.partial}\n{_CORRECT}"

    @property
    @override
    def reads(self) -> tuple[str, ...]:
        return () if self.expected is not None else ("expected",)

    @override
    def task(self, context: EvaluatorContext) -> JudgeTask:
        sections = [*shown_inputs(context), Section("expected answer", reference_text(context, self.expected))]
        words = {"correct": 1.0, "partly_correct": 0.5, "incorrect": 0.0}

        def read(answer: dict[str, Any]) -> Reading:
            word = read_choice(answer, "result", words)
            value = words[word] if self.partial else word == "correct"
            return Reading(value, read_text(answer, "reason"), {"result": word})

        schema = closed({"reason": _REASON, "result": {"type": "string", "enum": list(words)}})
        return JudgeTask(instructions=_CORRECT, sections=[*sections, shown_output(context)], schema=schema, read=read)


_CORRECT = """\
Decide whether the response gives the same answer as the expected answer, which is right by definition.
Wording, order, length and extra true explanation do not matter; what is claimed does.
"correct": everything that the expected answer asks for is there, and nothing contradicts it.
"partly_correct": some of it is there, and nothing contradicts it.
"incorrect": it is missing, or something contradicts the expected answer, or several different answers are offered.
Give "reason" first, in one to three sentences, then "result"."""

_FACTUAL = {
    "subset": 0.4,
    "superset": 0.6,
    "equal": 1.0,
    "disagree": 0.0,
    "immaterial": 1.0,
}


@evaluator("factuality")
class Factuality(Judge):
    """Let a model sort the output by how its facts relate to those of the expected answer.

    Value:
        A label: `subset` (says less, all of it agrees), `superset` (says more, all of it agrees), `equal`, `disagree`,
        `immaterial` (differs in what does not matter for the facts). With `as_score`: 0.4, 0.6, 1, 0 and 1.

    Missing when:
        There is no output or expected value, the call fails, the judge refuses, or its answer cannot be read.

    Source:
        The fact template of OpenAI Evals, reworded; the scores are those of autoevals.

    Examples:
        >>> from bakeoff.evaluators import load_evaluator
        >>> load_evaluator({"factuality": {"model": "sim/judge"}}).metrics[0].score_kind
        'label'
    """

    score_kind: ClassVar[ScoreKind] = "bounded"

    expected: Any = None
    """What to compare with, instead of the item's expected value."""
    as_score: bool = False
    """Give a number instead of the label."""

    @property
    @override
    def raw_kind(self) -> ScoreKind:
        return "bounded" if self.as_score else "label"

    @override
    def fingerprint_text(self) -> str:
        return f"factuality {self.as_score}\n{_FACTS}"

    @property
    @override
    def reads(self) -> tuple[str, ...]:
        return () if self.expected is not None else ("expected",)

    @override
    def task(self, context: EvaluatorContext) -> JudgeTask:
        def read(answer: dict[str, Any]) -> Reading:
            word = read_choice(answer, "category", _FACTUAL)
            return Reading(_FACTUAL[word] if self.as_score else word, read_text(answer, "reason"), {"category": word})

        sections = [*shown_inputs(context), Section("expert answer", reference_text(context, self.expected))]
        schema = closed({"reason": _REASON, "category": {"type": "string", "enum": list(_FACTUAL)}})
        return JudgeTask(instructions=_FACTS, sections=[*sections, shown_output(context)], schema=schema, read=read)


_FACTS = """\
Compare the facts that the response states with those of the expert answer, which are true by definition. Ignore \
style, grammar and punctuation. Choose one category:
"subset": the response states fewer facts than the expert answer and all of them agree with it.
"superset": the response states all facts of the expert answer and more, and nothing contradicts it.
"equal": both state the same facts.
"disagree": the response contradicts the expert answer in at least one fact.
"immaterial": the answers differ, but in nothing that matters for their being true.
Give "reason" first, in one to three sentences, then "category"."""


@evaluator("guidelines")
class Guidelines(Judge):
    """Let a model check the output against each rule of a list, such as a style guide.

    Value:
        0 to 1: share of the rules that are kept. With `all: true`, pass or fail: every rule. Broken rules are named in
        the reason.

    Missing when:
        There is no output, the call fails, the judge refuses, or its answer cannot be read after `retries`.

    Source:
        Own.

    Examples:
        >>> from bakeoff.evaluators import load_evaluator
        >>> rules = ["Says 'sign in', never 'log in'.", "Has no exclamation marks."]
        >>> load_evaluator({"guidelines": {"model": "sim/judge", "rules": rules}}).metrics[0].score_kind
        'bounded'
    """

    score_kind: ClassVar[ScoreKind] = "bounded"

    rules: list[str] = Field(min_length=1, max_length=50)
    """The rules, each one thing."""
    all: bool = False
    """Pass or fail: every rule must be kept."""

    @property
    @override
    def raw_kind(self) -> ScoreKind:
        return "binary" if self.all else "bounded"

    def _instructions(self) -> str:
        numbered = "\n".join(f"rule_{index}: {rule}" for index, rule in enumerate(self.rules, start=1))
        return (
            f"Check for each rule whether the response keeps it. A rule that does not apply is kept.\n{numbered}\n"
            'For each rule give "reason" first, in one sentence, then "kept": true or false.'
        )

    @override
    def fingerprint_text(self) -> str:
        return f"{self.all}\n{self._instructions()}"

    @override
    def task(self, context: EvaluatorContext) -> JudgeTask:
        keys = [f"rule_{index}" for index in range(1, len(self.rules) + 1)]
        schema = closed({key: closed({"reason": _REASON, "kept": {"type": "boolean"}}) for key in keys})

        def read(answer: dict[str, Any]) -> Reading:
            broken: list[str] = []
            for key, rule in zip(keys, self.rules, strict=True):
                entry = answer.get(key)
                if not isinstance(entry, Mapping):
                    entry = {"kept": entry} if entry is not None else {}
                if not read_flag(entry, "kept"):
                    broken.append(f"{rule} - {read_text(entry, 'reason')}")
            value: bool | float = not broken if self.all else 1 - len(broken) / len(keys)
            return Reading(value, "; ".join(broken) or "every rule is kept", {"broken": len(broken)})

        sections = [*shown_inputs(context), shown_output(context)]
        return JudgeTask(instructions=self._instructions(), sections=sections, schema=schema, read=read)
