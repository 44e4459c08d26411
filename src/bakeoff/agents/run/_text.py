"""Templates, conditions and answers: the small text work that every step does."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any

from bakeoff.errors import BakeoffError
from bakeoff.prompts import Prompt

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bakeoff.agents.config._spec import OutputSpec

__all__ = ["FormError", "Template", "condition", "extract_answer", "fill", "normal_form", "read_output"]

_ANSWER = re.compile(r"(?:^|\n)[ \t>*_#]*(?:final )?answer[*_ ]*:[*_ \t]*", re.IGNORECASE)
_NUMBER = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?(?:[eE][-+]?\d+)?")
_YES = frozenset({"yes", "true", "y", "ok", "pass", "correct"})
_NO = frozenset({"no", "false", "n", "fail", "incorrect"})


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


_STRICT = json.JSONDecoder(parse_constant=_no_constant)


class FormError(BakeoffError):
    """An answer has not the form that its step declares."""


class Template:
    """A text over inputs and state, in the sandbox of prompts.

    Raises:
        SpecError: The template is malformed.

    Examples:
        >>> Template("Hello {{ name }}", name="greeting").render({"name": "Ada"})
        'Hello Ada'
    """

    __slots__ = ("_plain", "_prompt", "variables")

    def __init__(self, text: str, *, name: str) -> None:
        self._plain = None if "{" in text else text
        self._prompt = Prompt(name=name, messages=[{"role": "user", "content": text}])
        self.variables = self._prompt.variables - self._prompt.optional - {"inputs"}

    def render(self, values: Mapping[str, Any]) -> str:
        """Fill the values in.

        Raises:
            TargetError: A name is not defined, or the template fails on these values.
        """
        return self._plain if self._plain is not None else str(self._prompt.render(values)[0]["content"])


def condition(expression: str, *, name: str) -> Template:
    """Compile a condition: it renders to `1` where it holds, else to nothing.

    Examples:
        >>> condition("n > 2 and kind == 'a'", name="c").render({"n": 3, "kind": "a"})
        '1'
    """
    return Template("{% if " + expression + " %}1{% endif %}", name=name)


def fill(value: Any, values: Mapping[str, Any], *, name: str) -> Any:
    """Fill values into every text of JSON data.

    Examples:
        >>> fill({"id": "{{ n }}", "deep": ["{{ n }}!"]}, {"n": 4}, name="x")
        {'id': '4', 'deep': ['4!']}
    """
    if isinstance(value, str):
        return Template(value, name=name).render(values) if "{" in value else value
    if isinstance(value, dict):
        return {key: fill(entry, values, name=name) for key, entry in value.items()}
    if isinstance(value, list):
        return [fill(entry, values, name=name) for entry in value]
    return value


def extract_answer(text: str) -> str:
    r"""Return what follows the last `Answer:` at the start of a line, else the whole text.

    Examples:
        >>> extract_answer("I add them up.\nAnswer: **42**")
        '42'
        >>> extract_answer(" 42 ")
        '42'
    """
    found = list(_ANSWER.finditer(text))
    rest = text[found[-1].end() :].strip() if found else ""
    return rest.strip("*_ \n") if rest else text.strip()


def normal_form(text: str) -> str:
    """Return a form in which equal answers are equal texts: for votes.

    Examples:
        >>> normal_form("$1,200.00") == normal_form("1200"), normal_form("Yes.") == normal_form("yes")
        (True, True)
    """
    plain = " ".join(text.casefold().split()).strip(" .!\"'`*")
    bare = plain.lstrip("$€£").rstrip("%")
    match = _NUMBER.fullmatch(bare)
    if match is None:
        return plain
    number = float(bare.replace(",", ""))
    return repr(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)


def read_output(text: str, spec: OutputSpec) -> Any:
    """Read an answer into the type that a step declares.

    Raises:
        FormError: It has not that form; the message tells a model what to do better.

    Examples:
        >>> from bakeoff.agents.config._spec import OutputSpec
        >>> read_output("I would say: billing.", OutputSpec(type="label", labels=["billing", "login"]))
        'billing'
        >>> read_output("There are 1,204.", OutputSpec(type="number"))
        1204.0
    """
    if spec.type == "text":
        return text.strip()
    if spec.type == "label":
        return _label(text, spec.labels or [])
    if spec.type == "number":
        numbers = _NUMBER.findall(extract_answer(text))
        if not numbers:
            raise FormError("the answer holds no number; answer with one number")
        number = float(numbers[-1].replace(",", ""))
        if not math.isfinite(number):
            raise FormError(f"{numbers[-1]} is no number that can be used; answer with one number")
        return number
    if spec.type == "boolean":
        for word in re.findall(r"[a-z]+", extract_answer(text).casefold()):
            if word in _YES or word in _NO:
                return word in _YES
        raise FormError("the answer is neither yes nor no; answer with one of them")
    if spec.type == "list":
        return _lines(text)
    return _json(text, spec)


def _label(text: str, labels: list[str]) -> str:
    answer = extract_answer(text).casefold().strip(" .\"'`*")
    by_form = {label.casefold(): label for label in labels}
    if answer in by_form:
        return by_form[answer]
    named = [label for form, label in by_form.items() if re.search(rf"(?<!\w){re.escape(form)}(?!\w)", answer)]
    if len(named) == 1:
        return named[0]
    what = "none" if not named else "several"
    raise FormError(f"the answer names {what} of the labels; answer with exactly one of {', '.join(labels)}")


def _lines(text: str) -> list[str]:
    try:
        data = json.loads(text)
    except ValueError:
        data = None
    if isinstance(data, list):
        return [entry if isinstance(entry, str) else json.dumps(entry) for entry in data]
    lines = (re.sub(r"^\s*(?:[-*•]|\(?\d{1,3}[.):])\s*", "", line).strip() for line in text.splitlines())
    return [line for line in lines if line]


def _json(text: str, spec: OutputSpec) -> Any:
    fenced = re.search(r"```(?:json)?\s*(.*?)```", text, re.DOTALL)
    body = (fenced.group(1) if fenced else text).strip()
    start = min((place for place in (body.find("{"), body.find("[")) if place >= 0), default=-1)
    try:
        # Words may stand around an object or a list; a bare number or text must be the whole answer.
        data = _STRICT.raw_decode(body, start)[0] if start >= 0 else _STRICT.decode(body)
    except (ValueError, RecursionError):
        raise FormError("the answer is not JSON; answer with JSON alone") from None
    if spec.json_schema is not None:
        import jsonschema

        problem = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(spec.json_schema).iter_errors(data))
        if problem is not None:
            raise FormError(f"the JSON does not satisfy its schema: {problem.json_path}: {problem.message[:300]}")
    return data
