"""Turn pydantic's complaints into problems that a person can act on."""

from __future__ import annotations

import difflib
import types
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin

from pydantic import BaseModel

from bakeoff.errors import SpecProblem

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

    from bakeoff.experiments.spec._yaml import Document, Key

__all__ = ["problems_of"]

_MAX_SHOWN = 120
_OTHER_WORDS = {
    "api_key": "api_key_env",
    "base_url": "api_base",
    "endpoint": "api_base",
    "file": "path",
    "metrics": "evaluators",
    "scorers": "evaluators",
    "tests": "dataset",
    "data": "dataset",
    "providers": "models",
    "retries": "attempts",
    "timeout": "timeout_s",
}
"""What other tools call a key, where no key here is spelt like it."""


def problems_of(error: ValidationError, document: Document, model: type[BaseModel]) -> list[SpecProblem]:
    """Return one problem for each thing that is wrong, with file, line, key, value and fix."""
    best: dict[Key, SpecProblem] = {}
    for detail in error.errors(include_url=False):
        key = _real_key(detail["loc"], document.data)
        if detail["type"] in ("extra_forbidden", "missing"):
            key = (*key, str(detail["loc"][-1])) if not key or key[-1] != detail["loc"][-1] else key
        if key not in best:  # a union complains once for each member
            best[key] = _problem(detail, key, document, model)
    return list(best.values())


def _real_key(location: tuple[int | str, ...], data: Any) -> Key:
    """Drop the parts of a location that are names of union members, not of keys in the file."""
    key: list[str | int] = []
    here = data
    for part in location:
        within_list = isinstance(here, list) and isinstance(part, int) and part < len(here)
        if within_list or (isinstance(here, dict) and part in here):
            here = here[part]
            key.append(part)
    return tuple(key)


def _problem(detail: ErrorDetails, key: Key, document: Document, model: type[BaseModel]) -> SpecProblem:
    kind, value = detail["type"], detail["input"]
    dotted = ".".join(str(part) for part in key)
    line = document.line_of(key)
    if kind == "extra_forbidden":
        allowed = _fields_at(model, key[:-1])
        near = difflib.get_close_matches(str(key[-1]), allowed, n=1, cutoff=0.6)
        meant = _OTHER_WORDS.get(str(key[-1]))
        if meant in allowed:
            near = [meant]
        fix = f"did you mean {near[0]!r}?" if near else f"allowed here: {', '.join(allowed)}"
        if meant == "api_key_env":
            fix = "keys come from the environment: export OPENAI_API_KEY=..., or name another variable in `api_key_env`"
        return SpecProblem(f"unknown key {key[-1]!r}", key=dotted, file=document.file, line=line, fix=fix)
    if kind == "missing":
        return SpecProblem("is missing", key=dotted, file=document.file, line=line, fix=f"add `{key[-1]}:`")
    message = detail["msg"].removeprefix("Value error, ").removeprefix("Input ")
    message = message[0].lower() + message[1:]
    is_container = isinstance(value, (dict, list))
    shown = "" if is_container and len(repr(value)) > _MAX_SHOWN else f", got {_short(value)}"
    message, fix = _plainly(kind, message, key, value, model)
    if key and key[-1] == "api_key_env":  # what stands there by mistake is the key itself
        message, shown = "must be the name of an environment variable, not the key itself", ""
        fix = "export NAME=... and write NAME here"
    if kind == "string_pattern_mismatch" and key == ("name",):
        message, fix = 'must be a short name without / \\ : * ? " < > |', "use words and hyphens"
    return SpecProblem(message + shown, key=dotted, file=document.file, line=line, fix=fix)


def _plainly(kind: str, message: str, key: Key, value: Any, model: type[BaseModel]) -> tuple[str, str]:
    """Say of a wrong type what is wanted, in words of the file; and how to write it."""
    name = str(key[-1]) if key else ""
    if kind in ("dict_type", "mapping_type", "model_type", "model_attributes_type"):
        allowed = _fields_at(model, key)
        told = f" with keys such as {', '.join(allowed[:6])}" if allowed else " of names"
        lead = f"{name}:" if key and isinstance(key[-1], str) else "-"
        return f"must be a mapping{told}", f"write `{lead} {{{allowed[0] if allowed else 'NAME'}: ...}}`"
    if kind == "list_type":
        return "must be a list", f"write `{name}: [...]`, or one `- ...` a line"
    if kind in ("int_parsing", "int_type", "int_from_float"):
        return "must be a whole number", ""
    if kind in ("float_parsing", "float_type"):
        fix = "write 5% as 0.05" if isinstance(value, str) and value.strip().endswith("%") else ""
        return "must be a number", fix
    if kind in ("bool_parsing", "bool_type"):
        return "must be true or false", ""
    if kind == "string_type":
        return "must be text", "put it into quotes" if isinstance(value, bool | int | float) else ""
    return message, ""


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 3] + "..."


def _fields_at(model: type[BaseModel], key: Key) -> list[str]:
    """Return the keys allowed at a place, following dicts, lists and unions of models."""
    here: list[Any] = [model]
    for part in key:
        here = [step for annotation in here for step in _step(annotation, part)]
    names = [
        field.alias or name
        for candidate in here
        if isinstance(candidate, type) and issubclass(candidate, BaseModel)
        for name, field in candidate.model_fields.items()
    ]
    return list(dict.fromkeys(names))


def _step(annotation: Any, part: str | int) -> list[Any]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        fields = {field.alias or name: field.annotation for name, field in annotation.model_fields.items()}
        return _members(fields[part]) if part in fields else []
    if get_origin(annotation) is dict:
        return _members(get_args(annotation)[1])
    if get_origin(annotation) is list:
        return _members(get_args(annotation)[0])
    return []


def _members(annotation: Any) -> list[Any]:
    if get_origin(annotation) in (Union, types.UnionType):
        return [member for argument in get_args(annotation) for member in _members(argument)]
    return [annotation]
