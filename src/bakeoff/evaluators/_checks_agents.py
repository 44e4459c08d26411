"""Checks on conversations turn by turn, and on who handed over to whom."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import (
    Field,
    NonNegativeInt,
    PositiveInt,
    ValidationInfo,
    field_serializer,
    field_validator,
    model_validator,
)
from typing_extensions import override

from bakeoff.evaluators._base import Check, Finding, Graded
from bakeoff.evaluators._calls import calls_made
from bakeoff.evaluators._parts import first_scores, first_scores_later, load_part
from bakeoff.evaluators._protocol import (
    CannotScoreError,
    EvaluateResult,
    Evaluator,
    EvaluatorContext,
    Family,
    Score,
    ScoreKind,
)
from bakeoff.evaluators._registry import evaluator
from bakeoff.evaluators._runner import begin_scoring
from bakeoff.evaluators._text import as_text, at_path

if TYPE_CHECKING:
    from collections.abc import Awaitable

__all__ = ["Handoffs", "TurnChecks", "handoffs_of"]

_MOST_TURNS = 200
_TOOL = re.compile(r"^(?:(?:transfer|delegate|escalate)_?to_?|hand_?off_?(?:to_?)?)(.*)$", re.IGNORECASE)
"""`transfer_to_billing`, `transferToBilling`, `handoff_billing`; but `transfer_money` is work."""
_NOBODY = frozenset({"", "agent", "another_agent", "expert", "specialist"})
_RECEIVERS = ("to", "agent", "agent_name", "to_agent", "target", "target_agent", "recipient", "destination")
_NAMED = re.compile(r"^hand-?off(?:\s+(?:to|:|->))?\s*", re.IGNORECASE)


def _content(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, str):
        return content
    if isinstance(content, Sequence):
        return "\n".join(str(part.get("text", "")) for part in content if isinstance(part, Mapping))
    return ""


def conversation_of(context: EvaluatorContext) -> list[Mapping[str, Any]]:
    """Give the messages of a trial: those of the trial, or an output that is a conversation; the answer comes last.

    Raises:
        CannotScoreError: There is no conversation.
    """
    output = context.output
    messages: list[Mapping[str, Any]] = list(context.messages)
    if not messages:
        found = output.get("messages") if isinstance(output, Mapping) else output
        if isinstance(found, list) and found and all(isinstance(one, Mapping) and "role" in one for one in found):
            return list(found)
        raise CannotScoreError("the trial has no messages, and its output is no conversation")
    if output is not None:
        said = as_text(output)
        if messages[-1].get("role") != "assistant" or _content(messages[-1]).strip() != said.strip():
            messages.append({"role": "assistant", "content": said})
    return messages


@evaluator("turn_checks")
class TurnChecks(Graded):
    """Run a check on every turn of a conversation, not only on the last answer.

    Each turn is judged as an answer of its own; a judge is shown what was said before it. Turns that say nothing, such
    as bare tool calls, are left out.

    Value:
        Pass when every turn passes (`need: all`), or when one does (`need: any`); with `need: share` the share of the
        turns that pass, 0 to 1. The reason names the turns that failed.

    Missing when:
        There is no conversation, no turn that says anything, or a turn without a value leaves the answer open.

    Source:
        Own; three-valued logic of Kleene.

    Examples:
        >>> from bakeoff.evaluators import EvaluatorContext, load_evaluator
        >>> check = load_evaluator({"turn_checks": {"check": {"length": {"max": 3}}}})
        >>> talk = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello there, dear customer!"},
        ...         {"role": "user", "content": "Bye"}]
        >>> check.evaluate(EvaluatorContext(output="Bye!", messages=talk)).reason
        'turn 1 failed (4 words; at most 3)'
    """

    family: ClassVar[Family] = "agent"
    score_kind: ClassVar[ScoreKind] = "binary"
    shorthand: ClassVar[str | None] = "check"

    check: Any
    """The check, written like any evaluator; it must give pass or fail."""
    need: Literal["all", "any", "share"] = "all"
    """Whether all turns must pass, one of them, or their share is the value."""
    role: Literal["assistant", "user"] = "assistant"
    """Whose turns are judged."""

    @field_validator("check", mode="after")
    @classmethod
    def _load(cls, value: Any, info: ValidationInfo) -> Evaluator:
        built = load_part(value, info)
        if len(built.kind_by_metric) != 1 or not set(built.kind_by_metric.values()) <= {"binary", None}:
            raise ValueError(f"`{built.metric}` gives no pass or fail; give it a `threshold`")
        return built

    @field_serializer("check")
    def _as_spec(self, value: Evaluator) -> dict[str, Any]:
        return value.spec()

    @property
    @override
    def raw_kind(self) -> ScoreKind:
        return "bounded" if self.need == "share" else "binary"

    @property
    @override
    def stamp(self) -> str:
        """Own version and that of the check."""
        return f"{self.version}({self.check.stamp})"

    @property
    @override
    def limit_s(self) -> float | None:
        inner: float | None = self.check.limit_s
        return None if inner is None else 4 * inner

    @override
    def evaluate(self, context: EvaluatorContext) -> EvaluateResult | Awaitable[EvaluateResult]:
        """Judge every turn; asynchronous only when the check is."""
        turns = self._turns(context)
        outcomes = [begin_scoring(self.check, turn) for turn in turns]
        scores = first_scores(outcomes)
        return self._later(outcomes) if scores is None else self._together(scores)

    async def _later(self, outcomes: list[Any]) -> EvaluateResult:
        return self._together(await first_scores_later(outcomes))

    def _turns(self, context: EvaluatorContext) -> list[EvaluatorContext]:
        messages = conversation_of(context)
        places = [
            index
            for index, message in enumerate(messages)
            if message.get("role") == self.role and _content(message).strip()
        ]
        if not places:
            raise CannotScoreError(f"no turn of the {self.role} says anything")
        if len(places) > _MOST_TURNS:
            raise CannotScoreError(f"the conversation has {len(places)} turns; at most {_MOST_TURNS} are judged")
        turns: list[EvaluatorContext] = []
        for index in places:
            before = "\n".join(f"{one.get('role')}: {_content(one)}" for one in messages[:index] if _content(one))
            turns.append(
                replace(
                    context,
                    output=_content(messages[index]),
                    inputs={**context.inputs, "conversation so far": before or "(nothing)"},
                    messages=messages[: index + 1],
                )
            )
        return turns

    def _together(self, scores: list[Score]) -> EvaluateResult:
        told = [
            f"turn {index} failed" + (f" ({score.reason})" if score.reason else "")
            for index, score in enumerate(scores, start=1)
            if score.value is False
        ]
        missing = [f"turn {index}: {score.error}" for index, score in enumerate(scores, 1) if score.value is None]
        passed = sum(score.value is True for score in scores)
        value: bool | float
        if self.need == "all":
            decided, value = bool(told) or not missing, not told
        elif self.need == "any":
            decided, value = bool(passed) or not missing, passed > 0
        else:
            decided, value = not missing, passed / len(scores)
        if not decided:
            raise CannotScoreError("; ".join(missing[:4]))
        costs = [score.cost_usd for score in scores if score.cost_usd is not None]
        details = {"turns": len(scores), "passed": passed, "values": [score.value for score in scores]}
        reason = "; ".join(told[:8]) or None
        return self.conclude(Finding(value, reason, details, sum(costs) if costs else None))


def handoffs_of(context: EvaluatorContext) -> list[str]:
    """Give to whom a trial was handed over, in order: hand-offs on the trace, else tools such as `transfer_to_billing`.

    Examples:
        >>> from bakeoff.evaluators import EvaluatorContext
        >>> handoffs_of(EvaluatorContext(output="", tool_calls=[{"name": "transfer_to_billing"}]))
        ['billing']
    """
    spans = [span for span in context.trace if span.get("kind", span.get("type")) == "handoff"]
    if spans:
        return [_receiver(span, context.trace) for span in spans]
    found = [_receiver_of(name, arguments) for name, arguments in calls_made(context)]
    return [name for name in found if name is not None]


def _receiver_of(name: str, arguments: Any) -> str | None:
    """Give to whom a call hands over: the rest of its name, or an argument where the name says nothing."""
    match = _TOOL.match(name)
    if match is None and name.lower() not in ("transfer", "delegate", "escalate"):
        return None
    rest = match.group(1) if match is not None else ""
    if _plain_name(rest) not in _NOBODY:
        return rest
    given = arguments if isinstance(arguments, Mapping) else {}
    named = next((str(given[key]) for key in _RECEIVERS if isinstance(given.get(key), str)), None)
    if named is None and match is None:
        return None  # a tool that transfers something else
    return named or rest or "(unknown)"


def _plain_name(name: str) -> str:
    """Bring a name to the form in which `Billing Agent`, `billing-agent` and `billing_agent` are one."""
    return re.sub(r"[\s_-]+", "_", name).casefold()


def _receiver(span: Mapping[str, Any], trace: Sequence[Mapping[str, Any]]) -> str:
    for key in ("to", "target", "to_agent", "agent"):
        if isinstance(span.get(key), str):
            return str(span[key])
    within = [one for one in trace if one.get("parent") == span.get("id") and one is not span and "id" in span]
    for kinds in (("step", "agent"), None):
        for one in within:
            if kinds is None or one.get("kind") in kinds:
                return str(one.get("name", ""))
    return _NAMED.sub("", str(span.get("name", ""))) or "(unknown)"


@evaluator("handoffs")
class Handoffs(Check):
    """Check to whom an agent handed over: who must and must not receive the work, in which order, how often.

    Hand-offs are read from the trace (spans of kind `handoff`; the receiver is the first step within), else from
    tool calls such as `transfer_to_billing`, `handoff_billing` or `transfer_to_agent(agent_name="billing")`;
    `transfer_money` is none. `Billing Agent` and `billing_agent` are the same name. With `expected_path` the item says
    to whom, in order; an empty list means that nobody should.

    Value:
        Pass or fail; the reason names every rule that was broken, the details the hand-offs.

    Missing when:
        `expected_path` leads nowhere in the item.

    Source:
        Own.

    Examples:
        >>> from bakeoff.evaluators import EvaluatorContext, load_evaluator
        >>> check = load_evaluator({"handoffs": {"order": ["billing"], "max_handoffs": 1}})
        >>> calls = [{"name": "transfer_to_sales"}, {"name": "transfer_to_billing"}]
        >>> check.evaluate(EvaluatorContext(output="", tool_calls=calls)).reason
        '2 hand-offs; at most 1'
    """

    family: ClassVar[Family] = "agent"
    version: ClassVar[str] = "2"  # 2: tools that transfer something else are no hand-offs; more forms
    shorthand: ClassVar[str | None] = "order"

    order: list[str] = Field(default_factory=list)
    """Who must receive the work, in this order; others may come between."""
    forbidden: list[str] = Field(default_factory=list)
    """Who must not receive it."""
    max_handoffs: NonNegativeInt | None = None
    """Most hand-offs."""
    max_returns: NonNegativeInt | None = None
    """Most times that the work may come to one who had it before."""
    expected_path: str | None = Field(default=None, min_length=1)
    """Dotted path (`metadata.team`, `expected`) to a name or list: exactly these, in this order."""
    last: PositiveInt | None = Field(default=None)
    """Look at so many of the last hand-offs only."""

    @model_validator(mode="after")
    def _has_a_rule(self) -> Self:
        rules = (self.order, self.forbidden, self.expected_path)
        if not any(rules) and self.max_handoffs is None and self.max_returns is None:
            raise ValueError("it has no rule; give `order`, `forbidden`, `max_handoffs`, `expected_path` or another")
        return self

    @override
    def measure(self, context: EvaluatorContext) -> Finding:
        """Look at the hand-offs."""
        shown = handoffs_of(context)
        shown = shown[-self.last :] if self.last is not None else shown
        names = [_plain_name(name) for name in shown]
        problems = [f"handed over to {name!r}" for name in self.forbidden if _plain_name(name) in names]
        position = 0
        for wanted in self.order:
            plain = _plain_name(wanted)
            if plain not in names[position:]:
                problems.append(f"was not handed over to {wanted!r}" + (" in this order" if plain in names else ""))
                break
            position = names.index(plain, position) + 1
        if self.max_handoffs is not None and len(names) > self.max_handoffs:
            problems.append(f"{len(names)} hand-offs; at most {self.max_handoffs}")
        returns = len(names) - len(set(names))
        if self.max_returns is not None and returns > self.max_returns:
            problems.append(f"{returns} returns to one who had it before; at most {self.max_returns}")
        if self.expected_path is not None:
            root = {"metadata": context.metadata, "expected": context.expected, "inputs": context.inputs}
            found = at_path(root, self.expected_path, "the item")
            wanted_all = [as_text(one) for one in (found if isinstance(found, list) else [found])]
            if names != [_plain_name(one) for one in wanted_all]:
                problems.append(
                    f"handed over to {', '.join(shown) or 'nobody'}; expected {', '.join(wanted_all) or 'nobody'}"
                )
        return Finding(not problems, "; ".join(problems) or None, {"handoffs": shown[:50], "returns": returns})
