"""Checks on tool calls and on the way an agent took."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt, model_validator
from typing_extensions import override

from bakeoff.evaluators._base import Check, Finding, ReferenceCheck
from bakeoff.evaluators._calls import by_schema, calls_in, calls_made, read_expected_call
from bakeoff.evaluators._protocol import CannotScoreError, EvaluatorContext, Family, ScoreKind
from bakeoff.evaluators._registry import evaluator
from bakeoff.evaluators._text import as_text, find_json, preview

__all__ = ["ToolCalls", "Trajectory"]


@evaluator("tool_calls")
class ToolCalls(ReferenceCheck):
    """Check that the right tools were called with the right arguments.

    What is expected is a list of calls, each a name or `{name, arguments}`, or the same as JSON text; a call without
    arguments accepts any. Arguments are compared as data: 1 equals 1.0, and the order of keys does not matter. Where
    `tools` gives a schema, defaults count as given at every depth, and `"3"` is 3 where a number is asked for.

    The calls made are those of the answer, else of the transcript (OpenAI's and Anthropic's form), the trace, or an
    output that is a call itself, as JSON.

    Value:
        Pass or fail, or with `value: f1` the share of matching calls (0 to 1).

    Missing when:
        The item has no expected calls (`[]` says that none is right), or one has keys that are none of a call.

    Source:
        Own.

    Examples:
        >>> from bakeoff.evaluators import EvaluatorContext, load_evaluator
        >>> call = {"type": "function", "function": {"name": "weather", "arguments": '{"city": "Bath", "days": 3.0}'}}
        >>> wanted = [{"name": "weather", "arguments": {"days": 3, "city": "Bath"}}]
        >>> context = EvaluatorContext(output="", tool_calls=[call], expected=wanted)
        >>> load_evaluator("tool_calls").evaluate(context).value
        True
    """

    family: ClassVar[Family] = "agent"
    version: ClassVar[str] = "2"  # 2: schemas at every depth, more forms of calls
    shorthand: ClassVar[str | None] = "order"

    order: Literal["any", "exact"] = "any"
    """Whether the calls must come in the expected order."""
    extra: Literal["fail", "allow"] = "fail"
    """What to make of calls that were not expected."""
    arguments: Literal["exact", "expected", "ignore"] = "exact"
    """Compare all arguments, only those that are expected, or just the names."""
    tolerance: NonNegativeFloat = 0.0
    """Largest difference between numbers that still agrees."""
    ignore_case: bool = False
    """Whether case does not matter in texts."""
    tools: list[dict[str, Any]] = Field(default_factory=list)
    """Tool definitions in OpenAI's or Anthropic's form; their schemas are applied to both sides."""
    value: Literal["pass", "f1"] = "pass"
    """Pass/fail, or the share of matching calls."""

    @property
    @override
    def raw_kind(self) -> ScoreKind:
        return "binary" if self.value == "pass" else "bounded"

    def _filled(self, name: str, arguments: Any) -> Any:
        if not isinstance(arguments, Mapping):
            return arguments
        for tool in self.tools:
            body = tool.get("function", tool)
            if body.get("name") == name:
                return by_schema(arguments, body.get("parameters") or body.get("input_schema"))
        return arguments

    def _same(self, given: Any, wanted: Any) -> bool:
        if isinstance(given, bool) or isinstance(wanted, bool):
            return given is wanted
        if isinstance(given, (int, float)) and isinstance(wanted, (int, float)):
            return given == wanted or abs(given - wanted) <= self.tolerance
        if isinstance(given, str) and isinstance(wanted, str):
            return given == wanted or (self.ignore_case and given.casefold() == wanted.casefold())
        if isinstance(given, Mapping) and isinstance(wanted, Mapping):
            keys = set(wanted) if self.arguments == "expected" else set(wanted) | set(given)
            return all(key in given and key in wanted and self._same(given[key], wanted[key]) for key in keys)
        if isinstance(given, list) and isinstance(wanted, list):
            return len(given) == len(wanted) and all(map(self._same, given, wanted))
        return type(given) is type(wanted) and given == wanted

    def _matches(self, given: tuple[str, Any], wanted: tuple[str, Any]) -> bool:
        if given[0] != wanted[0]:
            return False
        if self.arguments == "ignore" or wanted[1] is None:
            return True
        return self._same(self._filled(given[0], given[1] or {}), self._filled(wanted[0], wanted[1]))

    def _pairs(self, given: Sequence[tuple[str, Any]], wanted: Sequence[tuple[str, Any]]) -> list[tuple[int, int]]:
        """Match calls one to one: as many as possible in any order, or along the longest common order."""
        if self.order == "any":
            return _matching([[self._matches(one, other) for one in given] for other in wanted])
        table = [[0] * (len(given) + 1) for _ in range(len(wanted) + 1)]
        for row in range(len(wanted) - 1, -1, -1):
            for column in range(len(given) - 1, -1, -1):
                hit = self._matches(given[column], wanted[row])
                best = max(table[row + 1][column], table[row][column + 1])
                table[row][column] = max(best, 1 + table[row + 1][column + 1]) if hit else best
        pairs: list[tuple[int, int]] = []
        row = column = 0
        while row < len(wanted) and column < len(given):
            if self._matches(given[column], wanted[row]) and table[row][column] == 1 + table[row + 1][column + 1]:
                pairs.append((row, column))
                row, column = row + 1, column + 1
            elif table[row + 1][column] >= table[row][column + 1]:
                row += 1
            else:
                column += 1
        return pairs

    @override
    def measure(self, context: EvaluatorContext) -> Finding:
        expected = self.reference(context)
        if isinstance(expected, str) and expected.lstrip().startswith(("[", "{")):
            expected = _parsed(expected)
        wanted = [read_expected_call(call) for call in (expected if isinstance(expected, list) else [expected])]
        given = calls_made(context) if self.output_path is None else calls_in(self.output(context))
        if len(given) > 500 or len(wanted) > 500:
            raise CannotScoreError(f"{max(len(given), len(wanted))} tool calls; 500 are the most this compares")
        pairs = self._pairs(given, wanted)
        met, used = {row for row, _ in pairs}, {column for _, column in pairs}
        problems = [f"not called as expected: {_shown(call)}" for row, call in enumerate(wanted) if row not in met]
        if self.extra == "fail":
            problems += [f"not expected: {_shown(call)}" for column, call in enumerate(given) if column not in used]
        details = {"expected": len(wanted), "called": len(given), "matched": len(pairs)}
        counted = len(pairs) if self.extra == "allow" else len(given)
        share = 2 * len(pairs) / (counted + len(wanted)) if counted + len(wanted) else 1.0
        return Finding(not problems if self.value == "pass" else share, "; ".join(problems[:4]) or None, details)


def _parsed(text: str) -> Any:
    """Read expected calls that a table holds as text."""
    try:
        return find_json(text)
    except ValueError as error:
        raise CannotScoreError(f"the expected calls {preview(text)} are not JSON: {error}") from None


def _shown(call: tuple[str, Any]) -> str:
    return call[0] if call[1] is None else f"{call[0]}({preview(as_text(call[1]), 80)[1:-1]})"


def _matching(allowed: list[list[bool]]) -> list[tuple[int, int]]:
    """Match rows with columns, as many as possible (augmenting paths)."""
    owner: dict[int, int] = {}

    def place(row: int, seen: set[int]) -> bool:
        for column, fits in enumerate(allowed[row]):
            if fits and column not in seen:
                seen.add(column)
                if column not in owner or place(owner[column], seen):
                    owner[column] = row
                    return True
        return False

    for row in range(len(allowed)):
        place(row, set())
    return sorted((row, column) for column, row in owner.items())


def _settled(value: Any) -> Any:
    """Write whole numbers one way, so that a call with 1 and one with 1.0 are the same call."""
    if isinstance(value, Mapping):
        return {key: _settled(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_settled(entry) for entry in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


@evaluator("trajectory")
class Trajectory(Check):
    """Check the way an agent took: steps that must or must not occur, their order, their number, loops.

    Steps are the tool calls of the trial, in order: of the answer, else of the transcript, the trace, or an output that
    is a call itself. Steps that take turns (a, b, a, b) are no run of one call: `max_redundant` counts them.

    Value:
        Pass or fail; the reason names every rule that was broken. The number of steps, of repeated identical calls
        and the longest run of one call are in the details.

    Missing when:
        Never: a trial without steps is judged as one.

    Source:
        Own.

    Examples:
        >>> from bakeoff.evaluators import EvaluatorContext, load_evaluator
        >>> check = load_evaluator({"trajectory": {"order": ["search", "answer"], "forbidden": ["delete"]}})
        >>> check.evaluate(EvaluatorContext(output="", tool_calls=[{"name": "answer"}, {"name": "search"}])).reason
        "'answer' did not come after 'search'"
    """

    family: ClassVar[Family] = "agent"
    version: ClassVar[str] = "2"  # 2: more forms of calls; 1 and 1.0 are the same argument
    shorthand: ClassVar[str | None] = "order"

    required: list[str] = Field(default_factory=list)
    """Tools that must be called."""
    forbidden: list[str] = Field(default_factory=list)
    """Tools that must not be called."""
    order: list[str] = Field(default_factory=list)
    """Tools that must be called in this order; others may come between."""
    min_steps: NonNegativeInt = 0
    """Fewest steps."""
    max_steps: PositiveInt | None = None
    """Most steps."""
    max_repeats: PositiveInt | None = None
    """Most times that the same call (name and arguments) may be made in a row; more is a loop."""
    max_redundant: NonNegativeInt | None = None
    """Most calls that repeat an earlier one exactly."""
    max_cost_usd: NonNegativeFloat | None = None
    """Most that the trial may cost."""

    @model_validator(mode="after")
    def _has_a_rule(self) -> Self:
        if not self.model_dump(exclude_defaults=True, exclude={"name", "negate", "weight", "threshold"}):
            raise ValueError("it has no rule; give `required`, `forbidden`, `order`, `max_steps` or another")
        return self

    def _order_problem(self, names: list[str]) -> str | None:
        position = 0
        for index, wanted in enumerate(self.order):
            try:
                position = names.index(wanted, position) + 1
            except ValueError:
                return (
                    f"{wanted!r} did not come after {self.order[index - 1]!r}"
                    if index
                    else f"{wanted!r} was not called"
                )
        return None

    @override
    def measure(self, context: EvaluatorContext) -> Finding:
        calls = calls_made(context)
        names = [name for name, _ in calls]
        keys = [f"{name}:{as_text(_settled(arguments or {}))}" for name, arguments in calls]
        redundant = len(keys) - len(Counter(keys))
        longest = run = 1 if keys else 0
        for before, after in pairwise(keys):
            run = run + 1 if before == after else 1
            longest = max(longest, run)
        problems = [f"{name!r} was not called" for name in self.required if name not in names]
        problems += [f"{name!r} was called" for name in self.forbidden if name in names]
        broken = self._order_problem(names)
        problems += [broken] if broken else []
        rules: list[tuple[bool, str]] = [
            (len(names) < self.min_steps, f"{len(names)} steps; at least {self.min_steps}"),
            (
                self.max_steps is not None and len(names) > self.max_steps,
                f"{len(names)} steps; at most {self.max_steps}",
            ),
            (
                self.max_repeats is not None and longest > self.max_repeats,
                f"the same call {longest} times in a row; at most {self.max_repeats}",
            ),
            (
                self.max_redundant is not None and redundant > self.max_redundant,
                f"{redundant} redundant calls; at most {self.max_redundant}",
            ),
        ]
        if self.max_cost_usd is not None:
            if context.cost_usd is None:
                raise CannotScoreError("no cost is known for this trial, so `max_cost_usd` cannot be judged")
            rules.append((context.cost_usd > self.max_cost_usd, f"{context.cost_usd} USD; at most {self.max_cost_usd}"))
        problems += [told for bad, told in rules if bad]
        details = {"steps": len(names), "redundant": redundant, "longest_run": longest}
        return Finding(not problems, "; ".join(problems) or None, details)
