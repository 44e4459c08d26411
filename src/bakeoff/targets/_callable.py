"""A Python callable as a target."""

from __future__ import annotations

import asyncio
import contextvars
import dataclasses
import functools
import inspect
import math
import time
from typing import TYPE_CHECKING, Any

from bakeoff._user_code import describe, find_function
from bakeoff.errors import SpecError, TargetError
from bakeoff.targets._types import TargetResult

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from concurrent.futures import ThreadPoolExecutor
    from pathlib import Path

    from bakeoff.datasets import Item

__all__ = ["CallableTarget", "import_callable"]

_SPECIAL = frozenset({"item", "inputs", "repeat"})


def import_callable(reference: str, *, base_dir: Path, what: str = "callable") -> Callable[..., Any]:
    """Import `module:function` or `path/to/file.py:function`.

    Args:
        reference: Where the callable is; a file is relative to `base_dir`.
        base_dir: Folder of the experiment file; modules in it can be imported too.
        what: Word for error messages.

    Raises:
        SpecError: There is no such file, module or name, or importing it failed.
    """
    return find_function(reference, base_dir=base_dir, error=SpecError, what=what, noun="callable")


def _answer(value: Any) -> Any:
    """Return what a function gave if it is an answer: text, a number, or plain data.

    Raises:
        TargetError: It is nothing, nan, or an object that only its `repr` could stand for.
    """
    if value is None:
        raise TargetError("the function gave None, which is no answer")
    if isinstance(value, float) and not math.isfinite(value):
        raise TargetError(f"the function gave {value}, which is no answer")
    plain = isinstance(value, (str, bool, int, float, list, tuple, dict))
    if plain or hasattr(value, "model_dump") or type(value).__module__ == "numpy":
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    raise TargetError(f"the function gave a {type(value).__name__}; an answer is text, a number, a list or a dict")


class CallableTarget:
    """Calls a function with the inputs of an item.

    A function whose only required parameter is not the name of an input (or is `inputs` or `item`) gets all inputs
    as one mapping, or the only input itself when it asks for a `str` or takes no name, like `str.upper`. Any other gets
    each input, each factor and `repeat` by name where it has such a parameter.
    A sync function runs in a thread, so it may block.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        params: Mapping[str, Any],
        timeout_s: float,
        threads: ThreadPoolExecutor,
        input_names: Collection[str] = (),
    ) -> None:
        self._function = function
        self._params = dict(params)
        self._input_names = frozenset(input_names)
        self._timeout_s = timeout_s
        self._threads = threads
        self._is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
            getattr(function, "__call__", None)  # noqa: B004 - an object with an async __call__
        )
        try:
            self._signature: inspect.Signature | None = inspect.signature(function)
        except (TypeError, ValueError):
            self._signature = None

    async def run(self, item: Item, *, repeat: int) -> TargetResult:
        """Call the function once."""
        call = self._bind(item, repeat)
        started = time.perf_counter()
        try:
            async with asyncio.timeout(self._timeout_s):
                if self._is_async:
                    value = await call()
                else:
                    context = contextvars.copy_context()
                    value = await asyncio.get_running_loop().run_in_executor(self._threads, context.run, call)
                    if inspect.isawaitable(value):
                        value = await value
        except TimeoutError as error:
            message = f"took longer than {self._timeout_s:g} s" if not str(error) else describe(error)
            raise TargetError(message, kind="timeout") from error
        except TargetError:
            raise
        except (Exception, SystemExit) as error:
            raise TargetError(describe(error)) from error
        elapsed_ms = (time.perf_counter() - started) * 1000
        if isinstance(value, TargetResult):
            return value
        return TargetResult(output=_answer(value), latency_ms=elapsed_ms, route="python")

    def _bind(self, item: Item, repeat: int) -> Callable[[], Any]:
        given: dict[str, Any] = {**item.inputs, **self._params}
        special = {"item": item, "inputs": dict(item.inputs), "repeat": repeat}
        if self._signature is None:
            return functools.partial(self._function, dict(item.inputs))
        parameters = self._signature.parameters.values()
        named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY, p.POSITIONAL_ONLY)]
        required = [p for p in named if p.default is p.empty]
        whole = [p for p in required if p.name not in given.keys() | self._input_names and p.name not in _SPECIAL]
        kwargs = {p.name: special[p.name] for p in named if p.name in _SPECIAL and p.name not in given}
        if len(whole) == 1 and whole[0].kind is not whole[0].KEYWORD_ONLY:
            kwargs |= {p.name: self._params[p.name] for p in named if p.name in self._params}
            takes_value = whole[0].kind is whole[0].POSITIONAL_ONLY or whole[0].annotation in (str, "str")
            alone = takes_value and len(item.inputs) == 1
            value = next(iter(item.inputs.values())) if alone else dict(item.inputs)
            return functools.partial(self._function, value, **kwargs)
        takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters)
        kwargs |= given if takes_any else {p.name: given[p.name] for p in named if p.name in given}
        missing = [p.name for p in required if p.name not in kwargs]
        if missing:
            raise TargetError(
                f"the function needs {', '.join(missing)}, which is not among the inputs {sorted(item.inputs)}",
                kind="bad_request",
            )
        return functools.partial(self._function, **kwargs)
