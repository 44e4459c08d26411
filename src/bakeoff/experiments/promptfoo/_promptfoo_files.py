"""What a promptfoo file refers to, and the list of what could not be taken over."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

from bakeoff.errors import BakeoffError, SpecError
from bakeoff.evaluators import redact_secrets
from bakeoff.prompts import Prompt

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["BARE", "Date", "Files", "NotCarriedError", "Notes", "fill", "jinja", "listed", "printed", "yaml_of"]

_MAX_BYTES = 50_000_000
_CODE = (".js", ".cjs", ".mjs", ".ts", ".mts", ".cts", ".py", ".rb", ".sh", ".go")


class _Yaml(yaml.SafeLoader):
    """YAML as JavaScript reads it: `Yes` is a word, `1e3` a number, `12:30` and dates are texts."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML keeps them in a class attribute
        first: [(tag, pattern) for tag, pattern in found if tag.rpartition(":")[2] in ("null", "merge")]
        for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


_WORDS = r"^(?:true|True|TRUE|false|False|FALSE)$"
_WHOLE = r"^(?:[-+]?[0-9]+|0x[0-9a-fA-F]+|0o[0-7]+)$"
_BROKEN = r"^[-+]?(?:[0-9]+\.[0-9]*(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+|\.[0-9]+(?:[eE][-+]?[0-9]+)?)$"
_Yaml.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(_WORDS), list("tTfF"))
_Yaml.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(_WHOLE), list("-+0123456789"))
_Yaml.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(_BROKEN), list("-+0123456789."))


class Date(str):
    """A date of YAML, which is a text here and an object in JavaScript."""

    __slots__ = ()


def _date(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> Date:
    return Date(loader.construct_scalar(node))


_Yaml.add_implicit_resolver(
    "tag:yaml.org,2002:timestamp", re.compile(r"^\d{4}-\d\d?-\d\d?(?:[Tt ].*\d.*)?$"), list("0123456789")
)
_Yaml.add_constructor("tag:yaml.org,2002:timestamp", _date)


def _whole(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    text = str(loader.construct_scalar(node))
    return int(text, {"0x": 16, "0o": 8}.get(text[:2], 10))  # 010 is ten


_Yaml.add_constructor("tag:yaml.org,2002:int", _whole)


def yaml_of(text: str, what: str) -> Any:
    """Read YAML.

    Raises:
        NotCarriedError: It is none.
    """
    try:
        return yaml.load(text, Loader=_Yaml)  # noqa: S506 - a SafeLoader that knows fewer types
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise NotCarriedError(f"{what} cannot be read: {str(error)[:200]}") from None


def listed(value: Any) -> list[Any]:
    """Return a list as it is, nothing as an empty one, and anything else as the only entry."""
    return value if isinstance(value, list) else [] if value is None else [value]


def printed(value: Any) -> str:
    """Write a value as JavaScript prints it.

    Examples:
        >>> [printed(value) for value in (True, 2.0, None, ["a", 1.5], {"a": 1})]
        ['true', '2', '', 'a,1.5', '[object Object]']
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e21 else repr(value)
    if isinstance(value, list):
        return ",".join(printed(entry) for entry in value)
    return "[object Object]" if isinstance(value, dict) else str(value)


_LOGIN = re.compile(r"(?i)(\b[a-z][a-z0-9+.-]{1,20}://)[^\s/@'\"]{1,300}@")
_QUERY = re.compile(r"(?i)(\b[a-z][a-z0-9+.-]{1,20}://[^\s?#'\"]{1,2000})[?#][^\s'\"]+")


def _without_secrets(text: str) -> str:
    """Take login, query and whatever looks like a key out of what is printed and written down."""
    return redact_secrets(_QUERY.sub(r"\1?...", _LOGIN.sub(r"\1", text)))


class NotCarriedError(BakeoffError):
    """A part of a promptfoo file has no counterpart here; the message says why."""


@dataclass(slots=True)
class Notes:
    """What was left out, and what was taken over with another meaning; each told once, with how often."""

    lost: dict[str, int] = field(default_factory=dict)
    changed: dict[str, int] = field(default_factory=dict)

    def lose(self, text: str) -> None:
        """Note what was left out."""
        text = _without_secrets(text)
        self.lost[text] = self.lost.get(text, 0) + 1

    def change(self, text: str) -> None:
        """Note what means something else now."""
        text = _without_secrets(text)
        self.changed[text] = self.changed.get(text, 0) + 1


@dataclass(frozen=True, slots=True)
class Files:
    """Files beside a promptfoo file. What lies outside its folder is not read."""

    root: Path

    def find(self, reference: str) -> list[Path]:
        """Return the files that `file://...` names; a pattern may name several.

        Raises:
            NotCarriedError: It is a program, lies outside the folder, or is not there.
        """
        name = reference.removeprefix("file://").strip()
        bare = re.sub(r":\w+$", "", name)
        if bare.lower().endswith(_CODE):
            raise NotCarriedError(f"{reference!r} is a program, which is not run")
        root = self.root.resolve()
        try:
            found = sorted(root.glob(name)) if any(c in name for c in "*?[") else [root / name]
        except (ValueError, NotImplementedError) as error:
            raise NotCarriedError(f"{reference!r} is no path inside the folder: {error}") from None
        inside = [path.resolve() for path in found if path.resolve().is_relative_to(root)]
        if len(inside) < len(found):
            raise NotCarriedError(f"{reference!r} lies outside {str(self.root)!r}; copy it there")
        if not inside or not all(path.is_file() for path in inside):
            raise NotCarriedError(f"{reference!r} is not there")
        return inside

    def text(self, path: Path) -> str:
        """Read a text file.

        Raises:
            NotCarriedError: It is too large or not UTF-8.
        """
        try:
            if path.stat().st_size > _MAX_BYTES:
                raise NotCarriedError(f"{path.name!r} is larger than {_MAX_BYTES // 1_000_000} MB")
            return path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise NotCarriedError(f"{path.name!r} cannot be read as text: {error}") from None

    def data(self, path: Path, *, stripped: bool = False) -> Any:
        """Read YAML, JSON, JSON Lines or CSV as data, anything else as text (without the space around it, if asked).

        Raises:
            NotCarriedError: The file is not what its name says.
        """
        text, suffix = self.text(path), path.suffix.lower()
        try:
            if suffix in (".yaml", ".yml"):
                return yaml_of(text, repr(path.name))
            if suffix == ".json":
                return json.loads(text)
            if suffix == ".jsonl":
                return [json.loads(line) for line in text.splitlines() if line.strip()]
            if suffix == ".csv":
                return [dict(row) for row in csv.DictReader(io.StringIO(text, newline=""))]
        except (ValueError, csv.Error, RecursionError) as error:
            raise NotCarriedError(f"{path.name!r} cannot be read: {str(error)[:200]}") from None
        return text.strip() if stripped else text

    def value(self, value: Any) -> Any:
        """Return what stands behind `file://...`; anything else as it is."""
        if isinstance(value, str) and value.startswith("file://"):
            return self.data(self.find(value)[0])
        return value


BARE = re.compile(r"\{\{-?\s*([A-Za-z_]\w*)\s*-?\}\}")
"""A variable that is printed as it is."""
_PAIRS = re.compile(r"(\{%-?\s*for\s+\w+\s*,\s*\w+\s+in\s+)([\w.]+)(\s*-?%\})")
_LENGTH = re.compile(r"\b([A-Za-z_][\w.]*?)\.length\b(?!\s*\()")
_DUMP = re.compile(r"\|\s*dump(\(\s*\d*\s*\))?")


def jinja(text: str) -> str:
    """Write a Nunjucks template as Jinja2, where the two differ.

    Examples:
        >>> jinja("{{ items | dump }}{% elseif x === 1 %}")
        '{{ items | tojson }}{% elif x == 1 %}'
    """

    def inside(match: re.Match[str]) -> str:
        code = _DUMP.sub("| tojson", match.group(0))
        code = re.sub(r"\|\s*safe\b", "", code)
        code = re.sub(r"\belseif\b", "elif", code)
        code = _LENGTH.sub(r"(\1 | length)", code)
        code = _PAIRS.sub(r"\1(\2.items() if \2 is mapping else \2)\3", code)
        return code.replace("===", "==").replace("!==", "!=").replace("&&", " and ").replace("||", " or ")

    return re.sub(r"\{\{.*?\}\}|\{%.*?%\}", inside, text, flags=re.DOTALL)


def fill(value: Any, inputs: Mapping[str, Any], *, strict: bool = False) -> Any:
    """Fill the variables of a test into every text of a value; a name that the test does not define is empty.

    Args:
        value: Texts, alone or in lists and mappings.
        inputs: The variables.
        strict: Refuse a name that the test does not define.

    Raises:
        NotCarriedError: A template fails.
        KeyError: A name is not defined, and `strict` is set.
    """
    if isinstance(value, str):
        if "{{" not in value and "{%" not in value:
            return value
        try:
            shown = {f"{name}__printed": printed(inputs[name]) for name in BARE.findall(value) if name in inputs}
            text = BARE.sub(lambda found: f"{{{{ {found[1]}__printed }}}}" if found[1] in inputs else found[0], value)
            prompt = Prompt(name="value", messages=[{"role": "user", "content": jinja(text)}])
            missing = prompt.variables - prompt.optional - set(inputs) - set(shown)
            if strict and missing:
                raise KeyError(min(missing))
            message = prompt.render({**dict.fromkeys(prompt.variables - prompt.optional, ""), **inputs, **shown})[0]
        except (SpecError, BakeoffError) as error:
            raise NotCarriedError(f"its template {value[:60]!r} fails: {error}") from None
        return message["content"]
    if isinstance(value, dict):
        return {key: fill(entry, inputs, strict=strict) for key, entry in value.items()}
    if isinstance(value, list):
        return [fill(entry, inputs, strict=strict) for entry in value]
    return value
