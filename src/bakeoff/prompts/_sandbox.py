"""The Jinja2 environment in which prompts are compiled and rendered: no files, no code, bounded work.

Three fences, each with its own test. Names: attributes are a short list of harmless methods, everything
with a leading underscore is refused when the template is compiled. Size: each operation that can make a
value much larger than its operands (`*`, `**`, `+`, `~`, `%`, `replace`, `join`, padding) says no before it
is done. Work: every loop turn, call and filter is charged to the budget of the render.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from jinja2 import StrictUndefined, Undefined, nodes, pass_context
from jinja2.runtime import LoopContext, Macro, TemplateReference
from jinja2.sandbox import ImmutableSandboxedEnvironment, SecurityError
from jinja2.utils import Namespace
from jinja2.visitor import NodeTransformer
from typing_extensions import override

from bakeoff.prompts._filters import FILTERS, check_replace, concat, join_length
from bakeoff.prompts._limits import MAX_CHARS, MAX_DEPTH, MAX_STEPS, MAX_WORK, LimitError, check_size, tree_size

if TYPE_CHECKING:
    from collections.abc import Callable

    from jinja2.runtime import Context

__all__ = ["ENVIRONMENT", "Budget", "TemplateEnvironment", "active_budget"]

_MAX_CPU_S = 2.0
_CLOCK_EVERY = 16
_MAX_INT_BITS = 8192
_SEQUENCES = (str, bytes, list, tuple)
_SAFE_METHODS: dict[type, str] = {
    str: (
        "capitalize casefold count endswith find index isalnum isalpha isascii isdecimal isdigit islower isnumeric "
        "isspace istitle isupper join lower lstrip partition removeprefix removesuffix replace rfind rindex "
        "rpartition rsplit rstrip split splitlines startswith strip swapcase title upper"
    ),
    dict: "get items keys values",
    list: "count index",
    tuple: "count index",
    LoopContext: "changed cycle depth depth0 first index index0 last length nextitem previtem revindex revindex0",
    Macro: "name arguments",
}
_SAFE_BY_TYPE = {kind: frozenset(names.split()) for kind, names in _SAFE_METHODS.items()}
_REFUSED = (
    nodes.Include,
    nodes.Import,
    nodes.FromImport,
    nodes.Extends,
    nodes.Block,
    nodes.ScopedEvalContextModifier,
)


class Budget:
    """What one render may still spend."""

    __slots__ = ("_deadline", "chars", "depth", "steps", "work")

    def __init__(self) -> None:
        self.steps = MAX_STEPS
        self.chars = MAX_CHARS
        self.work = MAX_WORK
        self.depth = 0
        self._deadline = 0.0

    def step(self, chars: int = 0) -> None:
        """Pay for one loop turn or call, and for the characters that its body writes."""
        self.steps -= 1
        if self.steps < 0:
            raise LimitError(f"does more than {MAX_STEPS:,} loop turns and calls")
        if self.steps % _CLOCK_EVERY == 0:
            # CPU time of this thread: a busy machine must not make a prompt fail.
            now = time.thread_time()
            if not self._deadline:
                self._deadline = now + _MAX_CPU_S
            elif now > self._deadline:
                raise LimitError(f"takes more than {_MAX_CPU_S:g} s")
        if chars:
            self.spend(chars)

    def write(self, chars: int) -> None:
        """Pay for output."""
        self.chars -= chars
        if self.chars < 0:
            raise LimitError(f"writes more than {MAX_CHARS:,} characters")

    def spend(self, size: int) -> None:
        """Pay for an intermediate value of this size."""
        self.work -= size
        if self.work < 0:
            raise LimitError(f"builds values of more than {MAX_WORK:,} characters and entries")


class _Local(threading.local):
    budget: Budget | None = None


_local = _Local()


class active_budget:  # noqa: N801 - a context manager reads as a verb; a class costs a third of a generator
    """Make a fresh budget the one that is charged in this thread."""

    __slots__ = ("_outer",)

    def __enter__(self) -> Budget:
        self._outer = _local.budget
        _local.budget = budget = Budget()
        return budget

    def __exit__(self, *_: object) -> None:
        _local.budget = self._outer


@pass_context  # so that Jinja does not work it out once and for all when it compiles
def _tick_in_context(_context: Context, chars: int) -> bool:
    _tick(chars)
    return True


def _tick(chars: int) -> None:
    budget = _local.budget
    if budget is not None:
        budget.step(chars)


def _charged(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a filter: one step, and the size of what it returns."""

    def charged(*args: Any, **kwargs: Any) -> Any:
        _tick(0)
        return _charge(function(*args, **kwargs))

    if hasattr(function, "jinja_pass_arg"):
        charged.jinja_pass_arg = function.jinja_pass_arg  # type: ignore[attr-defined]  # how Jinja marks filters
    return charged


def _charge(value: Any) -> Any:
    size = tree_size(value)
    budget = _local.budget
    if budget is not None:
        budget.spend(size)
    return value


def _finalize(value: Any) -> str:
    """Turn a printed value into text; a function or generator there is always a slip."""
    if type(value) is not str:
        if isinstance(value, Namespace | LoopContext | TemplateReference) or hasattr(value, "__next__"):
            raise TypeError(f"prints a {type(value).__name__}; use `| list` or `| join`")
        if callable(value) and not isinstance(value, Undefined):
            name = getattr(value, "__name__", "it")
            raise TypeError(f"prints the method {name!r} itself; write `{name}()`, or `['{name}']` for the field")
        value = str(value)
    budget = _local.budget
    if budget is not None:
        budget.spend(len(value))
    return value


class TemplateEnvironment(ImmutableSandboxedEnvironment):
    """Jinja2 for prompts: strict, sandboxed, bounded."""

    intercepted_binops = frozenset(("*", "**", "+", "%"))

    def __init__(self) -> None:
        super().__init__(
            undefined=StrictUndefined,
            autoescape=False,
            keep_trailing_newline=True,
            loader=None,
            finalize=_finalize,
            cache_size=0,
        )
        chosen: dict[str, Callable[..., Any]] = {
            name: _charged(self.filters[name] if function is None else function) for name, function in FILTERS.items()
        }
        chosen |= {"_concat": _charged(concat), "_built": _charge, "_tick": _tick_in_context}
        self.filters.clear()
        self.filters.update(chosen)
        for name in ("lipsum", "cycler", "joiner"):
            self.globals.pop(name, None)

    @override
    def getattr(self, obj: Any, attribute: str) -> Any:
        """Look up a field or method; a field wins over a method that is not available anyway."""
        if isinstance(obj, dict) and attribute in obj and attribute not in _SAFE_BY_TYPE[dict]:
            return obj[attribute]
        return super().getattr(obj, attribute)

    @override
    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Allow a short list of methods by type, and the fields of a namespace."""
        if attr.startswith("_"):
            return False
        if isinstance(obj, Namespace):
            return True
        return any(isinstance(obj, kind) and attr in names for kind, names in _SAFE_BY_TYPE.items())

    @override
    def is_safe_callable(self, obj: Any) -> bool:
        """Allow methods of plain values, macros, recursive loops and the three global functions."""
        if isinstance(obj, Macro | LoopContext):
            return True
        if obj in (self.globals["range"], dict, Namespace):
            return True
        owner = getattr(obj, "__self__", None)
        return owner is not None and self.is_safe_attribute(owner, getattr(obj, "__name__", "_"), obj)

    @override
    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805, PYI063 - a macro may take any keyword
        """Call a function from a template, charged and with bounded depth."""
        budget = _local.budget
        if budget is None:
            return super().call(__context, __obj, *args, **kwargs)
        budget.step()
        budget.depth += 1
        if budget.depth > MAX_DEPTH:
            raise LimitError(f"calls itself more than {MAX_DEPTH} levels deep")
        if not __self.is_safe_callable(__obj):
            raise SecurityError(f"{getattr(__obj, '__name__', 'a value')!r} cannot be called in prompts")
        owner = getattr(__obj, "__self__", None)
        if isinstance(owner, str):
            if __obj.__name__ == "replace" and len(args) >= 2:
                check_replace(owner, str(args[0]), str(args[1]))
            elif __obj.__name__ == "join" and args:
                args = (list(args[0]), *args[1:])
                check_size(join_length(args[0], owner))
        try:
            return _charge(super().call(__context, __obj, *args, **kwargs))
        finally:
            budget.depth -= 1

    @override
    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Compute `*`, `**`, `+` and `%` when the result is of a sane size."""
        if operator == "*":
            _check_product(left, right)
        elif operator == "**":
            _check_power(left, right)
        elif operator == "+" and isinstance(left, _SEQUENCES) and isinstance(right, _SEQUENCES):
            check_size(len(left) + len(right))
        elif operator == "%" and isinstance(left, str):
            raise SecurityError("formats with `%`; use the `format` filter or `~`")
        return _charge(super().call_binop(context, operator, left, right))

    @override
    def unsafe_undefined(self, obj: Any, attribute: str) -> Any:
        """Explain a refused attribute."""
        raise SecurityError(f"{attribute!r} of a {type(obj).__name__} is not available in prompts")

    def guarded(self, tree: nodes.Template) -> nodes.Template:
        """Refuse what reaches out of the template and insert the charges.

        Raises:
            LimitError: With `lineno`, for a construct that is not available.
        """
        for refused in tree.find_all(_REFUSED):
            word = type(refused).__name__.lower().replace("fromimport", "import")
            raise LimitError(f"`{word}` is not available: a prompt is one template that reads no files", refused.lineno)
        for place in tree.find_all((nodes.Getattr, nodes.Getitem, nodes.Filter)):
            name = _refused_name(place)
            if name:
                raise LimitError(f"{name!r} is not available in prompts", place.lineno)
        guarded = _Guard().visit(tree)
        assert isinstance(guarded, nodes.Template)
        guarded.set_environment(self)
        return guarded


def _refused_name(place: nodes.Node) -> str:
    """Return the name of an attribute or filter that is never available, else an empty string."""
    if isinstance(place, nodes.Filter):
        return place.name if place.name.startswith("_") else ""
    # `row._id` may be a field of the data; two underscores are Python's own.
    if isinstance(place, nodes.Getattr):
        return place.attr if place.attr.startswith("__") else ""
    key = place.arg if isinstance(place, nodes.Getitem) else None
    return key.value if isinstance(key, nodes.Const) and str(key.value).startswith("__") else ""


def _check_product(left: Any, right: Any) -> None:
    for one, other in ((left, right), (right, left)):
        if isinstance(one, _SEQUENCES) and isinstance(other, int):
            check_size(len(one) * max(other, 0))
    if isinstance(left, int) and isinstance(right, int) and left.bit_length() + right.bit_length() > _MAX_INT_BITS:
        raise LimitError(f"computes a number of more than {_MAX_INT_BITS} bits")


def _check_power(left: Any, right: Any) -> None:
    if isinstance(left, int) and isinstance(right, int) and left.bit_length() * max(right, 0) > _MAX_INT_BITS:
        raise LimitError(f"computes a number of more than {_MAX_INT_BITS} bits")


class _Guard(NodeTransformer):
    """Inserts the charges that Jinja has no hook for: loop turns, macro bodies, `~` and literals."""

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802 - named after the node
        self.generic_visit(node)
        node.body.insert(0, _tick_statement(node))
        if node.test is not None:
            node.test = nodes.And(_tick_call(node.lineno, 0), node.test, lineno=node.lineno)
        return node

    def visit_Macro(self, node: nodes.Macro) -> nodes.Node:  # noqa: N802 - named after the node
        self.generic_visit(node)
        node.body.insert(0, _tick_statement(node))
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802 - named after the node
        self.generic_visit(node)
        parts = nodes.List(node.nodes, lineno=node.lineno)
        return nodes.Filter(parts, "_concat", [], [], None, None, lineno=node.lineno)

    def visit_List(self, node: nodes.List) -> nodes.Node:  # noqa: N802 - named after the node
        self.generic_visit(node)
        # A list of a list twice, forty times over, is a tree of 2**40 leaves in forty small objects.
        if all(isinstance(item, nodes.Const) for item in node.items):
            return node
        return nodes.Filter(node, "_built", [], [], None, None, lineno=node.lineno)

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Node:  # noqa: N802 - named after the node
        self.generic_visit(node)
        if node.ctx != "load" or all(isinstance(item, nodes.Const) for item in node.items):
            return node
        return nodes.Filter(node, "_built", [], [], None, None, lineno=node.lineno)

    def visit_Dict(self, node: nodes.Dict) -> nodes.Node:  # noqa: N802 - named after the node
        self.generic_visit(node)
        if not node.items:
            return node
        return nodes.Filter(node, "_built", [], [], None, None, lineno=node.lineno)


def _tick_statement(node: nodes.For | nodes.Macro) -> nodes.Node:
    chars = sum(len(data.data) for data in node.find_all(nodes.TemplateData))
    # An `if` without a body evaluates its test and writes nothing.
    return nodes.If(_tick_call(node.lineno, chars), [], [], [], lineno=node.lineno)


def _tick_call(lineno: int, chars: int) -> nodes.Filter:
    return nodes.Filter(nodes.Const(chars, lineno=lineno), "_tick", [], [], None, None, lineno=lineno)


ENVIRONMENT = TemplateEnvironment()
