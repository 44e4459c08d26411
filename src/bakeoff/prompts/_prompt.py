"""A prompt: chat messages made of templates, with a version by content."""

from __future__ import annotations

import difflib
import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from bakeoff.errors import SpecError, SpecProblem, TargetError
from bakeoff.prompts._sandbox import active_budget
from bakeoff.prompts._template import CompiledTemplate, TemplateError, compile_template

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from bakeoff.prompts._sandbox import Budget

    _Render = Callable[[Mapping[str, object], Budget], Any]

__all__ = ["Prompt"]

_ALL_INPUTS = "inputs"
_SEQUENCES = (list, tuple)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """A prompt, compiled. Make one with `load_prompt`.

    Inside a template, every input of the item is a name; `inputs` is all of them, for names that are not
    identifiers: `{{ inputs['Customer message'] }}`. What the data holds is never read as a template.

    Raises:
        SpecError: A template is malformed.

    Examples:
        >>> prompt = Prompt(name="terse", messages=[{"role": "user", "content": "Translate: {{ text }}"}])
        >>> prompt.render({"text": "{{ 7 * 7 }}"})
        [{'role': 'user', 'content': 'Translate: {{ 7 * 7 }}'}]
        >>> prompt.check(["txt"])
        ["undefined variable 'text'; did you mean 'txt'?"]
    """

    name: str
    messages: Sequence[Mapping[str, Any]]
    """Messages whose texts are templates."""
    version: str = ""
    """First 12 hex digits of the SHA-256 of the messages."""
    variables: frozenset[str] = field(init=False)
    """Names that the templates ask for."""
    optional: frozenset[str] = field(init=False, repr=False)
    """Those of them that have a default or are tested with `is defined`."""
    _parts: tuple[_Render, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        compiled: list[CompiledTemplate] = []
        parts = tuple(_compile(message, (index,), self, compiled) for index, message in enumerate(self.messages))
        variables = frozenset[str]().union(*(template.variables for template in compiled))
        needed = frozenset[str]().union(*(template.variables - template.optional for template in compiled))
        object.__setattr__(self, "version", self.version or _version(self.messages))
        object.__setattr__(self, "variables", variables)
        object.__setattr__(self, "optional", variables - needed)
        object.__setattr__(self, "_parts", parts)

    def __reduce__(self) -> tuple[Callable[..., Prompt], tuple[object, ...]]:
        return _restore, (self.name, self.messages, self.version)

    def render(self, inputs: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the messages with the inputs filled in.

        Raises:
            TargetError: Of kind `bad_request`, when the template fails on these inputs: a name that is not
                defined, an operation that makes no sense, or more work than a prompt needs.
        """
        if _ALL_INPUTS in self.variables and _ALL_INPUTS not in inputs:
            inputs = {**inputs, _ALL_INPUTS: inputs}
        try:
            with active_budget() as budget:
                return [part(inputs, budget) for part in self._parts]
        except TemplateError as problem:
            where = f" (line {problem.line} of the template)" if problem.line is not None else ""
            message = f"prompt {self.name!r}{where}: {problem.message}"
            raise TargetError(message, kind="bad_request") from None

    def check(self, available: Collection[str]) -> list[str]:
        """Return one message for each variable that is not among the available inputs."""
        missing = sorted(self.variables - self.optional - {_ALL_INPUTS} - set(available))
        messages: list[str] = []
        for name in missing:
            near = difflib.get_close_matches(name, available, n=1, cutoff=0.6)
            messages.append(f"undefined variable {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
        return messages


def _restore(name: str, messages: Sequence[Mapping[str, Any]], version: str) -> Prompt:
    return Prompt(name=name, messages=messages, version=version)


def _version(messages: Sequence[Mapping[str, Any]]) -> str:
    text = json.dumps([dict(message) for message in messages], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _compile(value: Any, place: tuple[str | int, ...], prompt: Prompt, compiled: list[CompiledTemplate]) -> _Render:
    """Turn a value with templates in it into a function of the inputs."""
    if isinstance(value, str):
        return _compile_text(value, place, prompt, compiled)
    if isinstance(value, dict):
        entries = [(key, _compile(entry, (*place, key), prompt, compiled)) for key, entry in value.items()]
        return lambda inputs, budget: {key: part(inputs, budget) for key, part in entries}
    if isinstance(value, _SEQUENCES):
        parts = [_compile(entry, (*place, index), prompt, compiled) for index, entry in enumerate(value)]
        return lambda inputs, budget: [part(inputs, budget) for part in parts]
    return lambda _inputs, _budget: value


def _compile_text(text: str, place: tuple[str | int, ...], prompt: Prompt, compiled: list[CompiledTemplate]) -> _Render:
    if place[-1:] in (("role",), ("type",), ("tool_call_id",)):
        return lambda _inputs, _budget: text
    try:
        template = compile_template(text)
    except TemplateError as problem:
        # The name of the message matters only where there are several.
        key = f"messages.{'.'.join(map(str, place))}" if len(prompt.messages) > 1 or len(place) > 2 else ""
        line = f" in line {problem.line}" if problem.line is not None else ""
        head = f"the template of prompt {prompt.name!r}" + (f" ({key})" if key else "") + line
        fix = "correct the template; its language is Jinja2: https://jinja.palletsprojects.com/templates"
        raise SpecError([SpecProblem(f"{head}: {problem.message}", line=None, fix=fix)]) from problem
    compiled.append(template)
    return cast("_Render", template.render)
