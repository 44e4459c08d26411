"""Tools: what a model may call, and the recorded outcome of every call, whatever the tool does."""

from __future__ import annotations

import asyncio
import functools
import inspect
import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from bakeoff.agents.tools._threads import in_thread
from bakeoff.errors import ProviderError, SpecError

if TYPE_CHECKING:
    import threading
    from collections.abc import Awaitable, Callable, Mapping

    from bakeoff.agents.retrieval._search import Found
    from bakeoff.agents.tools._record import Recording

__all__ = ["FunctionTool", "Tool", "ToolContext", "ToolOutcome", "ToolProblem", "call_tool", "canonical", "definition"]

_MAX_HUNG = 64
"""Hung threads of one tool that are borne before it is not called again."""

OutcomeKind = Literal["ok", "cut", "unknown_tool", "bad_arguments", "timeout", "raised", "replayed"]


class ToolProblem(Exception):  # noqa: N818 - an outcome that the model is told, not a defect
    """A tool could not do what it was asked; the model is told and may try something else."""

    def __init__(self, message: str, kind: OutcomeKind = "raised") -> None:
        super().__init__(message)
        self.kind: OutcomeKind = kind


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolContext:
    """What a tool may know about the trial. A function with a parameter `context` gets it; the model never sees it."""

    item_id: str
    inputs: Mapping[str, Any]
    repeat: int = 0
    find: Callable[[str], Awaitable[list[Found]]] | None = field(default=None, repr=False, compare=False)
    """Searches the corpus of the agent, on the trial's account."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolOutcome:
    """What came of one call of a tool."""

    text: str
    """What the model is told."""
    kind: OutcomeKind = "ok"
    value: Any = None

    @property
    def failed(self) -> bool:
        """Whether the tool did not do its work."""
        return self.kind not in ("ok", "cut", "replayed")


class Tool(Protocol):
    """Something a model may call."""

    name: str
    description: str
    schema: Mapping[str, Any]
    """JSON Schema of the arguments."""
    timeout_s: float
    max_chars: int
    recording: Recording | None

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> Any:
        """Do the work.

        Raises:
            ToolProblem: With what the model should be told.
        """
        ...


def definition(tool: Tool) -> dict[str, Any]:
    """Return the definition of a tool as a model gets it (OpenAI's form)."""
    return {
        "type": "function",
        "function": {"name": tool.name, "description": tool.description, "parameters": dict(tool.schema)},
    }


async def call_tool(
    tool: Tool | None, name: str, arguments: str, context: ToolContext, *, occurrence: int = 0
) -> ToolOutcome:
    """Call a tool as a model asked for it. Whatever the tool does is an outcome.

    Args:
        tool: The tool of that name, or `None` when there is none.
        name: What the model called.
        arguments: JSON text, as the model wrote it.
        context: The trial.
        occurrence: How often the same call was made before in this trial, for recorded results.

    Raises:
        ProviderError: A model that the tool itself needs, to embed a query, failed.
        BudgetExceeded: That call was not made.
    """
    if tool is None:
        return ToolOutcome(text=f"There is no tool {name!r}.", kind="unknown_tool")
    try:
        given = json.loads(arguments) if arguments.strip() else {}
    except (ValueError, RecursionError) as error:
        return ToolOutcome(text=f"Error: the arguments are not JSON: {error}"[:500], kind="bad_arguments")
    if not isinstance(given, dict):
        told = f"Error: the arguments must be a JSON object, got {type(given).__name__}"
        return ToolOutcome(text=told, kind="bad_arguments")
    try:
        if tool.recording is None:
            return await _make(tool, given, context)
        key = tool.recording.key(tool.name, given, context, occurrence)
        async with tool.recording.alone(key):
            if key in tool.recording:
                return ToolOutcome(text=_cut(tool.recording[key], tool.max_chars)[0], kind="replayed")
            outcome = await _make(tool, given, context)
            if outcome.failed:
                return outcome
            return replace(outcome, text=tool.recording.add(key, outcome.text))
    except ProviderError:  # a model that a tool needs: infrastructure, not an outcome of the agent
        raise
    except Exception as error:  # noqa: BLE001 - the results cannot be recorded, and the agent goes on
        return _raised(error)


async def _make(tool: Tool, given: Mapping[str, Any], context: ToolContext) -> ToolOutcome:
    clock = asyncio.timeout(tool.timeout_s)
    try:
        async with clock:
            value = await tool.run(given, context)
        text, was_cut = _cut(as_text(value), tool.max_chars)
        return ToolOutcome(text=text, kind="cut" if was_cut else "ok", value=value)
    except ToolProblem as problem:
        return ToolOutcome(text=f"Error: {problem}", kind=problem.kind)
    except ProviderError:
        raise
    except Exception as error:  # noqa: BLE001 - a tool may fail in any way, and the agent goes on
        if isinstance(error, TimeoutError) and clock.expired():
            told = f"Error: {tool.name} gave no answer within {tool.timeout_s:g} s"
            return ToolOutcome(text=told, kind="timeout")
        return _raised(error)


def _raised(error: Exception) -> ToolOutcome:
    return ToolOutcome(text=f"Error: {type(error).__name__}: {error}"[:2000], kind="raised")


def as_text(value: Any) -> str:
    """Write the result of a tool for a model: text as it is, anything else as JSON where that is possible."""
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    try:
        return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:
        return str(value)


def canonical(arguments: str) -> str:
    """Return arguments in a form in which equal ones are equal texts; what is not JSON stays as it is.

    Examples:
        >>> canonical('{"b": 1,  "a": 2}') == canonical('{"a":2,"b":1}')
        True
    """
    try:
        return orjson.dumps(orjson.loads(arguments), option=orjson.OPT_SORT_KEYS).decode()
    except (orjson.JSONDecodeError, TypeError):
        return arguments.strip()


def _cut(text: str, limit: int) -> tuple[str, bool]:
    if len(text) <= limit:
        return text, False
    return f"{text[:limit]}\n[cut: {len(text):,} characters, the first {limit:,} are shown]", True


@dataclass(slots=True)
class FunctionTool:
    """A Python function as a tool: the schema comes from its type hints, the help from its docstring.

    A parameter named `context` gets a `ToolContext` and is not shown to the model. A function that is not async runs
    in a thread of its own, so one that hangs holds up nothing but its own call.

    Raises:
        SpecError: A parameter has no type that can be described.

    Examples:
        >>> def weather(city: str, days: int = 1) -> str:
        ...     "Forecast for a city."
        ...     return f"{city}: sun for {days} days"
        >>> tool = FunctionTool(weather)
        >>> tool.name, tool.schema["required"], tool.schema["properties"]["days"]["default"]
        ('weather', ['city'], 1)
        >>> import asyncio
        >>> about = ToolContext(item_id="1", inputs={})
        >>> asyncio.run(call_tool(tool, "weather", '{"city": "Bath"}', about)).text
        'Bath: sun for 1 days'
        >>> asyncio.run(call_tool(tool, "weather", '{"days": "many"}', about)).kind
        'bad_arguments'
    """

    function: Callable[..., Any]
    name: str = ""
    description: str = ""
    timeout_s: float = 20.0
    max_chars: int = 20_000
    recording: Recording | None = None
    schema: Mapping[str, Any] = field(init=False)
    _model: type[BaseModel] = field(init=False)
    _wants_context: bool = field(init=False, default=False)
    _hung: list[threading.Thread] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.name = self.name or getattr(self.function, "__name__", type(self.function).__name__)
        doc = inspect.getdoc(self.function) or ""
        self.description = self.description or doc.partition("\n\n")[0].replace("\n", " ").strip()
        try:
            signature = inspect.signature(self.function, eval_str=True)
        except (TypeError, ValueError, NameError) as error:
            raise SpecError(f"tool {self.name!r}: its signature cannot be read: {error}") from None
        self._wants_context = "context" in signature.parameters
        fields: dict[str, Any] = {}
        for parameter in signature.parameters.values():
            if parameter.name == "context":
                continue
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
                raise SpecError(f"tool {self.name!r}: parameter {parameter.name!r} must have a name of its own")
            hint = Any if parameter.annotation is parameter.empty else parameter.annotation
            fields[parameter.name] = (hint, ... if parameter.default is parameter.empty else parameter.default)
        try:
            self._model = create_model(
                f"{self.name}_arguments",
                __config__=ConfigDict(extra="forbid", arbitrary_types_allowed=False, defer_build=False),
                **fields,
            )
            schema = self._model.model_json_schema()
        except Exception as error:  # noqa: BLE001 - pydantic refuses types in several ways
            reason = str(error).splitlines()[0][:200]
            raise SpecError(f"tool {self.name!r}: its type hints give no JSON Schema: {reason}") from None
        schema.pop("title", None)
        schema.setdefault("properties", {})
        self.schema = schema

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> Any:
        """Check the arguments and call the function."""
        try:
            checked = self._model.model_validate(arguments)
        except ValidationError as error:
            problems = "; ".join(
                f"{'.'.join(map(str, one['loc'])) or 'arguments'}: {one['msg']}" for one in error.errors()[:5]
            )
            raise ToolProblem(f"the arguments are wrong: {problems}", "bad_arguments") from None
        given = {name: getattr(checked, name) for name in type(checked).model_fields}
        if self._wants_context:
            given["context"] = context
        if inspect.iscoroutinefunction(self.function):
            return await self.function(**given)
        value = await self._in_thread(given)
        return await value if inspect.isawaitable(value) else value

    async def _in_thread(self, given: dict[str, Any]) -> Any:
        self._hung[:] = [thread for thread in self._hung if thread.is_alive()]
        if len(self._hung) >= _MAX_HUNG:
            raise ToolProblem(f"{self.name} is not called: {_MAX_HUNG} earlier calls still hang", "timeout")
        return await in_thread(functools.partial(self.function, **given), name=f"tool-{self.name}", left=self._hung)
