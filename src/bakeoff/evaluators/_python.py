"""Your own Python function as an evaluator."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Awaitable, Callable
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, PrivateAttr, ValidationInfo, model_validator
from typing_extensions import override

from bakeoff._user_code import find_function
from bakeoff.errors import EvaluatorError
from bakeoff.evaluators._protocol import (
    EvaluateResult,
    Evaluator,
    EvaluatorContext,
    Family,
    MetricInfo,
    ScoreKind,
)
from bakeoff.evaluators._python_result import read_result
from bakeoff.evaluators._redact import describe_error
from bakeoff.evaluators._registry import evaluator

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

__all__ = ["PythonEvaluator", "evaluator_from_function", "resolve_reference", "source_digest", "without_code"]

_FIELDS = tuple(EvaluatorContext.__dataclass_fields__)
_POSITIONS = ("output", "expected", "inputs", "metadata")
_code_allowed: ContextVar[bool] = ContextVar("code_allowed", default=True)


@contextmanager
def without_code() -> Iterator[None]:
    """Refuse every reference to code while a spec is read that came with the data."""
    token = _code_allowed.set(False)
    try:
        yield
    finally:
        _code_allowed.reset(token)


def resolve_reference(reference: str, *, base_dir: Path) -> Any:
    """Import what `file.py:name` or `module:name` points to.

    Raises:
        EvaluatorError: The file, module or name is missing, or importing it failed.
    """
    if not _code_allowed.get():
        raise EvaluatorError(f"data may not run {reference!r}; write it under `evaluators` of the experiment")
    return find_function(reference, base_dir=base_dir, error=EvaluatorError, what="evaluator", said=describe_error)


def _plan_call(function: Callable[..., Any]) -> Callable[[EvaluatorContext], tuple[tuple[Any, ...], dict[str, Any]]]:
    """Decide once which parts of a trial the function is given.

    Parameters named like a field of the context get that field, `context` (or `ctx`) gets all of it; where no
    name is known, the positions mean output, expected, inputs, metadata.
    """
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # a builtin such as `len`
        return lambda context: ((context.output,), {})
    named = [one for one in parameters if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)]
    if any(one.kind is one.VAR_KEYWORD for one in parameters):
        return lambda context: ((), {key: getattr(context, key) for key in _FIELDS})
    known = {one.name for one in named if one.name in _FIELDS or one.name in ("context", "ctx")}
    required = [one for one in parameters if one.default is one.empty and one.kind is not one.VAR_POSITIONAL]
    if known and all(one.name in known for one in required):
        whole = known & {"context", "ctx"}
        parts = sorted(known - whole)
        return lambda context: (
            (),
            {key: getattr(context, key) for key in parts} | dict.fromkeys(whole, context),
        )
    keyword_only = [one.name for one in required if one.kind is one.KEYWORD_ONLY]
    if keyword_only or len(required) > len(_POSITIONS):
        raise EvaluatorError(
            f"function {getattr(function, '__name__', function)!r} asks for {', '.join(one.name for one in required)}; "
            f"parameters may be named {', '.join(_FIELDS)} or context"
        )
    count = max(len(required), 1)
    return lambda context: (tuple(getattr(context, key) for key in _POSITIONS[:count]), {})


@evaluator("python")
class PythonEvaluator(Evaluator):
    """Call a Python function of yours, synchronous or asynchronous.

    The function is given what its parameters are named after: `output`, `expected`, `inputs`, `metadata`, any other
    field of the context, or `context` for all of it. With other names, positions mean output, expected, inputs,
    metadata. It runs with all rights of this process: use it for your own code, never for model output.

    Value:
        Whatever the function gives: a bool, a number, a label (str or enum), a pair (value, reason), a mapping such as
        `{"score": 0.5, "reason": "..."}`, an object with `.score` and `.reason`, or a `Score`; or a mapping of those
        with names of your own, which becomes one metric `name.key` for each key. `value` and `pass` are other names
        for `score`, `explanation`, `rationale` and `comment` for `reason`; `details` or `metadata` are kept beside
        the score. Where `score` and `pass` are both given, `score` counts. Name `values` to have a kind enforced.

    Missing when:
        The function raises, or gives `None`, nan, infinity or anything else; the error says what is accepted.

    Source:
        Own.

    Examples:
        >>> from bakeoff.evaluators import EvaluatorContext, load_evaluator, score_sync
        >>> def is_short(output, expected):
        ...     return len(output) < 10, f"{len(output)} characters"
        >>> score_sync([load_evaluator(is_short)], EvaluatorContext(output="ok"))[0].reason
        '2 characters'
    """

    family: ClassVar[Family] = "custom"
    shorthand: ClassVar[str | None] = "function"
    score_kind: ClassVar[ScoreKind] = "binary"

    function: str = Field(min_length=1)
    """`file.py:function` (relative to the spec file) or `module:function`."""
    values: ScoreKind | None = None
    """Kind of value to insist on; taken from the values when omitted."""
    lower_is_better: bool = False
    """Whether less is better."""
    unit_name: str = ""
    """Unit of the value, for axis titles."""
    args: dict[str, Any] = Field(default_factory=dict)
    """Further keyword arguments for the function."""

    _call: Callable[..., Any] = PrivateAttr()
    _plan: Callable[[EvaluatorContext], tuple[tuple[Any, ...], dict[str, Any]]] = PrivateAttr()
    _stamp: str = PrivateAttr(default="1")

    @model_validator(mode="after")
    def _find_function(self, info: ValidationInfo) -> Self:
        given = info.context or {}
        function = given.get("function")
        if function is None:
            try:
                function = resolve_reference(self.function, base_dir=Path(given.get("base_dir", ".")))
            except EvaluatorError as error:
                raise ValueError(str(error)) from error
        call = function
        if self.args:
            import functools

            call = functools.partial(function, **self.args)
        self._call = call
        try:
            self._plan = _plan_call(call)
        except EvaluatorError as error:
            raise ValueError(str(error)) from error
        self._stamp = source_digest(function)
        return self

    @property
    @override
    def metric(self) -> str:
        """Name of the metric: that of the function when no `name` is given."""
        return self.name or self.function.rpartition(":")[2] or self.kind

    @property
    @override
    def metrics(self) -> tuple[MetricInfo, ...]:
        """The metric, with its kind when that was declared."""
        better = not self.lower_is_better
        return (MetricInfo(name=self.metric, score_kind=self.values, higher_is_better=better, unit=self.unit_name),)

    @property
    @override
    def stamp(self) -> str:
        """Digest of the function's source: another function, another version."""
        return self._stamp

    @override
    def evaluate(self, context: EvaluatorContext) -> EvaluateResult | Awaitable[EvaluateResult]:
        """Call the function."""
        if inspect.iscoroutinefunction(self._call):
            return self._called(context)
        args, kwargs = self._plan(context)
        result = self._call(*args, **kwargs)
        return self._awaited(result) if inspect.isawaitable(result) else self._as_result(result)

    async def _called(self, context: EvaluatorContext) -> EvaluateResult:
        """Call inside the coroutine, so that one never awaited leaves nothing behind."""
        args, kwargs = self._plan(context)
        return self._as_result(await self._call(*args, **kwargs))

    async def _awaited(self, result: Awaitable[Any]) -> EvaluateResult:
        return self._as_result(await result)

    def _as_result(self, result: Any) -> EvaluateResult:
        return read_result(result, self.metric)


def source_digest(function: Callable[..., Any]) -> str:
    """Give a version that changes with the source of a function or class, where the source can be had."""
    try:
        source = inspect.getsource(function)
    except (OSError, TypeError):
        return "1"
    return f"1+{hashlib.sha256(source.encode('utf-8', 'replace')).hexdigest()[:12]}"


def evaluator_from_function(function: Callable[..., Any], *, name: str | None = None) -> Evaluator:
    """Wrap a Python function, so that it can stand in a list of evaluators.

    Raises:
        EvaluatorError: The function asks for parameters that a trial does not have.
    """
    from pydantic import ValidationError

    label = getattr(function, "__name__", type(function).__name__).strip("<>") or "function"
    reference = f"{getattr(function, '__module__', None) or '__main__'}:{label}"
    try:
        return PythonEvaluator.model_validate({"function": reference, "name": name}, context={"function": function})
    except ValidationError as error:
        raise EvaluatorError(str(error.errors()[0]["msg"]).removeprefix("Value error, ")) from None
