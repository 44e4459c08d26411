"""From the description of a prompt, and its file, to a prompt."""

from __future__ import annotations

import difflib
import json
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import TypeAdapter, ValidationError

from bakeoff.errors import SpecError, SpecProblem
from bakeoff.prompts._limits import MAX_SOURCE
from bakeoff.prompts._prompt import Prompt
from bakeoff.prompts._spec import MessageSpec, PromptSpec
from bakeoff.prompts._template import TemplateError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["load_prompt"]

_TEXT = (".j2", ".jinja", ".jinja2", ".txt", ".md", ".prompt")
_CHAT = (".yaml", ".yml", ".json")
_MESSAGES: TypeAdapter[list[MessageSpec]] = TypeAdapter(list[MessageSpec])


def load_prompt(name: str, spec: PromptSpec | str | Mapping[str, Any], *, base_dir: Path) -> Prompt:
    """Read and compile a prompt.

    Args:
        name: Its name in the experiment.
        spec: The description, or what stands for it in a file.
        base_dir: Where a relative `file` starts.

    Raises:
        SpecError: The file cannot be read, or a template is malformed.

    Examples:
        >>> from pathlib import Path
        >>> prompt = load_prompt("p", {"text": "{{ question }}", "system": "Be brief."}, base_dir=Path())
        >>> [message["role"] for message in prompt.messages], sorted(prompt.variables)
        (['system', 'user'], ['question'])
    """
    if not isinstance(spec, PromptSpec):
        try:
            spec = PromptSpec.model_validate(spec)
        except ValidationError as error:
            raise SpecError(_problems(error, name, "")) from None
    if spec.file is not None:
        return _from_file(name, spec, base_dir / spec.file)
    if spec.messages is not None:
        return Prompt(name=name, messages=_plain(spec.messages))
    return Prompt(name=name, messages=_with_system(spec.system, spec.text or ""))


def _with_system(system: str | None, text: str) -> list[dict[str, Any]]:
    head = [] if system is None else [{"role": "system", "content": system}]
    return [*head, {"role": "user", "content": text}]


def _plain(messages: Sequence[MessageSpec]) -> list[dict[str, Any]]:
    return [message.model_dump(exclude_none=True) for message in messages]


def _from_file(name: str, spec: PromptSpec, path: Path) -> Prompt:
    text = _read(path, str(spec.file))
    suffix = path.suffix.lower()
    if suffix in _TEXT:
        messages = _with_system(spec.system, text)
    elif suffix in _CHAT:
        if spec.system is not None:
            raise _problem(path, "holds a whole chat, so `system` cannot stand beside it", "put it into the file")
        messages = _chat(path, text, name)
    else:
        fix = f"use {', '.join(_TEXT)} for one message, or {', '.join(_CHAT)} for a chat"
        raise _problem(path, f"has the unknown extension {path.suffix!r}", fix)
    try:
        return Prompt(name=name, messages=messages)
    except SpecError as error:
        problem = error.__cause__
        line = problem.line if isinstance(problem, TemplateError) and suffix in _TEXT else None
        shown = [SpecProblem(one.message, file=str(path), line=line, fix=one.fix) for one in error.problems]
        raise SpecError(shown) from None


def _problem(path: Path, message: str, fix: str, line: int | None = None) -> SpecError:
    return SpecError([SpecProblem(message, file=str(path), line=line, fix=fix)])


def _read(path: Path, given: str) -> str:
    try:
        if path.stat().st_size > 4 * MAX_SOURCE:
            raise _problem(path, f"is larger than {4 * MAX_SOURCE:,} bytes", "name the template, not the data")
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        folder = path.parent
        names = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
        near = difflib.get_close_matches(path.name, names, n=1)
        fix = f"did you mean {near[0]!r}?" if near else "paths are relative to the experiment file"
        raise SpecError([SpecProblem(f"there is no prompt file {given!r} in {folder}", fix=fix)]) from None
    except IsADirectoryError:
        raise SpecError([SpecProblem(f"the prompt file {given!r} is a folder", fix="name a file in it")]) from None
    except UnicodeDecodeError as error:
        raise _problem(path, f"is not UTF-8 at byte {error.start}", "save it as UTF-8") from None
    except (OSError, ValueError) as error:
        raise SpecError([SpecProblem(f"the prompt file {given!r} cannot be read: {error}")]) from None


def _chat(path: Path, text: str, name: str) -> list[dict[str, Any]]:
    try:
        data = json.loads(text) if path.suffix.lower() == ".json" else yaml.safe_load(text)
    except json.JSONDecodeError as error:
        raise _problem(path, f"is not JSON: {error.msg}", "correct the file", error.lineno) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark is not None else None
        raise _problem(path, f"is not YAML: {getattr(error, 'problem', error)}", "correct the file", line) from None
    except RecursionError:
        raise _problem(path, "nests too deeply", "correct the file") from None
    try:
        if isinstance(data, list):
            return _plain(_MESSAGES.validate_python(data))
        inner = PromptSpec.model_validate(data)
    except ValidationError as error:
        raise SpecError(_problems(error, name, str(path))) from None
    if inner.file is not None:
        raise _problem(path, "names another file", "write the messages here")
    return _plain(inner.messages) if inner.messages is not None else _with_system(inner.system, inner.text or "")


def _problems(error: ValidationError, name: str, file: str) -> list[SpecProblem]:
    problems: list[SpecProblem] = []
    for detail in error.errors(include_url=False):
        place = ".".join(map(str, detail["loc"]))
        message = detail["msg"].removeprefix("Value error, ")
        key = place if file else ".".join(filter(None, ("prompts", name, place)))
        problems.append(
            SpecProblem(message, key=key, file=file, fix="a prompt is a string, or has `text`, `file` or `messages`")
        )
    return problems
