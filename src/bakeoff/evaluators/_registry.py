"""The registry: from a name or a spec to an evaluator, and the catalogue that UI and schema are made from."""

from __future__ import annotations

import ast
import difflib
import functools
import inspect
import itertools
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from bakeoff.errors import EvaluatorError
from bakeoff.evaluators._protocol import Evaluator, Family, ScoreKind
from bakeoff.evaluators._redact import describe_error

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

__all__ = [
    "ENTRY_POINT_GROUP",
    "CatalogueEntry",
    "evaluator",
    "evaluator_catalogue",
    "evaluator_class",
    "evaluator_schema",
    "load_evaluator",
    "load_evaluators",
]

ENTRY_POINT_GROUP = "bakeoff.evaluators"
"""Entry points of this group add evaluators: `my_kind = "my_package.module:MyEvaluator"`."""

_EvaluatorT = TypeVar("_EvaluatorT", bound=type[Evaluator])
_registered: dict[str, type[Evaluator]] = {}


def evaluator(kind: str) -> Callable[[_EvaluatorT], _EvaluatorT]:
    """Register an evaluator class under a name that spec files can use.

    Args:
        kind: The name, in snake case.

    Raises:
        EvaluatorError: Another class has that name already.

    Examples:
        >>> from bakeoff.evaluators import Evaluator, EvaluatorContext, load_evaluator
        >>> @evaluator("shouts")
        ... class Shouts(Evaluator):
        ...     def evaluate(self, context: EvaluatorContext) -> bool:
        ...         return context.output.isupper()
        >>> load_evaluator("shouts").evaluate(EvaluatorContext(output="YES"))
        True
    """

    def register(cls: _EvaluatorT) -> _EvaluatorT:
        there = _registered.get(kind)
        if there is not None and (there.__module__, there.__qualname__) != (cls.__module__, cls.__qualname__):
            raise EvaluatorError(
                f"an evaluator named {kind!r} exists already ({there.__module__}.{there.__qualname__})"
            )
        cls.kind = kind
        _registered[kind] = cls
        return cls

    return register


def _known() -> dict[str, type[Evaluator]]:
    import_module("bakeoff.evaluators._builtins")  # registers the built-in ones
    return _registered


def evaluator_class(kind: str) -> type[Evaluator]:
    """Find the class behind a registered name or an entry point.

    Raises:
        EvaluatorError: There is none; the message names the closest ones.
    """
    known = _known()
    if kind in known:
        return known[kind]
    points = {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}
    if kind in points:
        try:
            found = points[kind].load()
        except Exception as error:
            raise EvaluatorError(
                f"evaluator {kind!r} (entry point {points[kind].value!r}) cannot be loaded: {describe_error(error)}"
            ) from error
        if not (inspect.isclass(found) and issubclass(found, Evaluator)):
            raise EvaluatorError(f"evaluator {kind!r}: entry point {points[kind].value!r} is no subclass of Evaluator")
        return evaluator(kind)(found)
    names = sorted({*known, *points})
    close = difflib.get_close_matches(kind, names, n=3, cutoff=0.75) or difflib.get_close_matches(
        kind, names, n=3, cutoff=0.5
    )
    hint = f"did you mean {' or '.join(map(repr, close))}?" if close else f"known are {', '.join(names)}"
    raise EvaluatorError(f"there is no evaluator {kind!r}; {hint}")


def load_evaluator(
    spec: str | Mapping[str, Any] | Evaluator | Callable[..., Any], *, base_dir: Path | str = "."
) -> Evaluator:
    """Build an evaluator from its spec.

    Args:
        spec: A name (`exact_match`); a mapping with one key (`{numeric: {tolerance: 0}}`, or
            `{regex: "^yes"}` where the kind has a main option); `file.py:function`, `module:function` or
            `module:Class`; a Python function; or an evaluator, which is given back.
        base_dir: Folder against which files are looked up: that of the spec file.

    Raises:
        EvaluatorError: The name is unknown, an option is wrong, or a file or function is missing. The message
            names the option, its value, and what is allowed.

    Examples:
        >>> load_evaluator({"contains": "blue"}).spec()
        {'contains': {'all': ['blue']}}
        >>> load_evaluator("exact_macth")
        Traceback (most recent call last):
            ...
        bakeoff.errors.EvaluatorError: there is no evaluator 'exact_macth'; did you mean 'exact_match'?
    """
    base = Path(base_dir)
    if isinstance(spec, Evaluator):
        return spec
    if isinstance(spec, str):
        return _build(spec, {}, base)
    if isinstance(spec, Mapping):
        kind, options = _split(spec)
        return _build(kind, options, base)
    if callable(spec):
        from bakeoff.evaluators._python import evaluator_from_function

        return evaluator_from_function(spec)
    raise EvaluatorError(f"an evaluator is a name or a mapping with one key, not {type(spec).__name__} {spec!r}")


def load_evaluators(
    specs: list[str | Mapping[str, Any] | Evaluator | Callable[..., Any]], *, base_dir: Path | str = "."
) -> list[Evaluator]:
    """Build every evaluator of a list, and see to it that their metrics have different names.

    Raises:
        EvaluatorError: One cannot be built, or two give a metric of the same name.

    Examples:
        >>> load_evaluators(["numeric", {"numeric": {"tolerance": 1}}])
        Traceback (most recent call last):
            ...
        bakeoff.errors.EvaluatorError: two evaluators give a metric 'numeric'; give one of them another `name`
    """
    built = [load_evaluator(spec, base_dir=base_dir) for spec in specs]
    seen: set[str] = set()
    for one in built:
        for info in one.metrics:
            if info.name in seen:
                raise EvaluatorError(f"two evaluators give a metric {info.name!r}; give one of them another `name`")
            seen.add(info.name)
    return built


def _split(spec: Mapping[str, Any]) -> tuple[str, Any]:
    keys = [str(key) for key in spec]
    if len(keys) == 1:
        return keys[0], spec[next(iter(spec))]
    if not keys:
        raise EvaluatorError("an evaluator is empty; write its name, for instance `exact_match`")
    head, rest = keys[0], ", ".join(f"{key}: ..." for key in keys[1:])
    raise EvaluatorError(
        f"an evaluator has the keys {', '.join(map(repr, keys))}; write one key with its options inside it: "
        f"`{head}: {{{rest}}}` (in YAML, indent the options below {head!r})"
    )


def _build(kind: str, options: Any, base_dir: Path) -> Evaluator:
    if ":" in kind:
        from bakeoff.evaluators._python import resolve_reference

        found = resolve_reference(kind, base_dir=base_dir)
        if inspect.isclass(found) and issubclass(found, Evaluator):
            return _validated(found, _own_kind(found, kind), options, base_dir)
        options = {**_as_mapping(evaluator_class("python"), kind, options), "function": kind}
        kind = "python"
    return _validated(evaluator_class(kind), kind, options, base_dir)


def _own_kind(cls: type[Evaluator], reference: str) -> str:
    if not cls.kind:
        cls.kind = reference
    return reference


def _as_mapping(cls: type[Evaluator], kind: str, options: Any) -> dict[str, Any]:
    if options is None:
        return {}
    if isinstance(options, Mapping):
        return {str(key): value for key, value in options.items()}
    if cls.shorthand is not None:
        return {cls.shorthand: options}
    raise EvaluatorError(
        f"evaluator {kind!r}: its options must be a mapping, not {options!r}; options are {_option_names(cls)}"
    )


def _validated(cls: type[Evaluator], kind: str, options: Any, base_dir: Path) -> Evaluator:
    values = _as_mapping(cls, kind, options)
    try:
        return cls.model_validate(values, context={"base_dir": base_dir})
    except ValidationError as error:
        raise EvaluatorError(_explain(cls, kind, error)) from None


def _option_names(cls: type[Evaluator]) -> str:
    return ", ".join(sorted(_names(cls))) or "none"


def _names(cls: type[Evaluator]) -> list[str]:
    """Give the names of the options as they are written in a spec."""
    return [
        info.validation_alias if isinstance(info.validation_alias, str) else field
        for field, info in cls.model_fields.items()
    ]


def _explain(cls: type[Evaluator], kind: str, error: ValidationError) -> str:
    lines = [_explain_one(cls, kind, detail) for detail in error.errors(include_url=False)]
    return "\n".join(dict.fromkeys(lines))


def _explain_one(cls: type[Evaluator], kind: str, detail: ErrorDetails) -> str:
    path = ".".join(str(part) for part in detail["loc"] if not str(part).startswith(("function-", "constrained-")))
    value = repr(detail["input"])
    value = value if len(value) <= 80 else value[:79] + "…"
    if detail["type"] == "extra_forbidden":
        close = difflib.get_close_matches(path, _names(cls), n=1, cutoff=0.6)
        hint = f"did you mean {close[0]!r}? " if close else ""
        return (
            f"evaluator {kind!r} has no option {path!r} (its value is {value}); {hint}options are {_option_names(cls)}"
        )
    message = detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "missing":
        return f"evaluator {kind!r} needs the option {path!r}; options are {_option_names(cls)}"
    if not path:
        return f"evaluator {kind!r}: {message}"
    message = message[:1].lower() + message[1:]
    return f"evaluator {kind!r}: option {path!r} is {value}; {message}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueEntry:
    """One evaluator as a form or a list shows it."""

    kind: str
    summary: str
    """First line of its documentation."""
    family: Family
    score_kind: ScoreKind
    unit: str
    higher_is_better: bool | None
    needs_model: bool
    version: str
    shorthand: str | None
    options: Mapping[str, Any]
    """JSON Schema of the options."""
    documentation: str
    """The whole docstring."""


def evaluator_catalogue() -> list[CatalogueEntry]:
    """List every registered evaluator, family by family.

    Examples:
        >>> entry = next(entry for entry in evaluator_catalogue() if entry.kind == "numeric")
        >>> entry.family, entry.score_kind, entry.needs_model
        ('check', 'binary', False)
    """
    entries = [
        CatalogueEntry(
            kind=kind,
            summary=(inspect.getdoc(cls) or kind).partition("\n")[0],
            family=cls.family,
            score_kind=cls.score_kind,
            unit=cls.unit,
            higher_is_better=cls.higher_is_better,
            needs_model=cls.needs_model,
            version=cls.version,
            shorthand=cls.shorthand,
            options=_options_schema(cls),
            documentation=inspect.getdoc(cls) or "",
        )
        for kind, cls in _known().items()
    ]
    return sorted(entries, key=lambda entry: (_FAMILY_ORDER.index(entry.family), entry.kind))


_FAMILY_ORDER: tuple[Family, ...] = (
    "check",
    "text",
    "combine",
    "judge",
    "pairwise",
    "retrieval",
    "agent",
    "code",
    "safety",
    "adapter",
    "custom",
)


def _options_schema(cls: type[Evaluator]) -> dict[str, Any]:
    schema = cls.model_json_schema(ref_template="#/$defs/{model}", mode="validation")
    schema.pop("description", None)
    schema["title"] = cls.kind
    properties = schema.setdefault("properties", {})
    docs = _field_docs(cls)
    for field, info in cls.model_fields.items():
        node = properties.get(info.validation_alias if isinstance(info.validation_alias, str) else field)
        if isinstance(node, dict) and field in docs:
            node.setdefault("description", docs[field])
    if "negate" in properties:
        properties["not"] = {**properties["negate"], "description": "Another name for `negate`."}
    return schema


def _field_docs(cls: type[Evaluator]) -> dict[str, str]:
    """Give the string below each field of the class and its bases."""
    docs: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if issubclass(base, Evaluator):
            docs |= _docs_in_module(base.__module__).get(base.__qualname__, {})
    return docs


@functools.cache
def _docs_in_module(name: str) -> dict[str, dict[str, str]]:
    """Read the field documentation of every top-level class of a module out of its source."""
    try:
        tree = ast.parse(inspect.getsource(sys.modules[name]))
    except (OSError, TypeError, SyntaxError, KeyError):
        return {}
    found: dict[str, dict[str, str]] = {}
    for cls in tree.body:
        if not isinstance(cls, ast.ClassDef):
            continue
        docs = found.setdefault(cls.name, {})
        for node, after in itertools.pairwise(cls.body):
            if not (isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)):
                continue
            if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
                docs[node.target.id] = inspect.cleandoc(str(after.value.value))
    return found


def evaluator_schema() -> dict[str, Any]:
    """Give the JSON Schema of one evaluator in a spec file: a name, or one key with its options.

    Examples:
        >>> schema = evaluator_schema()
        >>> sorted(schema)
        ['$defs', 'anyOf', 'description']
    """
    definitions: dict[str, Any] = {}
    names: list[str] = []
    choices: list[dict[str, Any]] = []
    for entry in evaluator_catalogue():
        options = dict(entry.options)
        definitions.update(options.pop("$defs", {}))
        required = options.get("required", [])
        if not required:
            names.append(entry.kind)
        properties = options.get("properties", {})
        values: list[dict[str, Any]] = [options]
        if not required:
            values.append({"type": "null"})
        if entry.shorthand is not None and entry.shorthand in properties:
            values.append(properties[entry.shorthand])
        choices.append(
            {
                "type": "object",
                "title": entry.kind,
                "description": entry.summary,
                "properties": {entry.kind: {"anyOf": values} if len(values) > 1 else options},
                "required": [entry.kind],
                "additionalProperties": False,
            }
        )
    reference = {"type": "string", "pattern": r"^[^\s:]+:[A-Za-z_][A-Za-z0-9_.]*$"}
    custom = {"type": "object", "patternProperties": {":": {"type": ["object", "null"]}}, "minProperties": 1}
    custom |= {"maxProperties": 1, "additionalProperties": False}
    return {
        "description": "An evaluator: its name, or its name with options.",
        "anyOf": [{"enum": names}, {**reference, "description": "file.py:function or module:Class"}, *choices, custom],
        "$defs": definitions,
    }
