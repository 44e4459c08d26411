"""Read YAML and remember where everything stood, so that an error can name file and line."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

from bakeoff.errors import SpecError, SpecProblem

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Document", "read_yaml"]

Key = tuple[str | int, ...]

_TAGS = frozenset(
    f"tag:yaml.org,2002:{kind}" for kind in ("bool", "float", "int", "map", "merge", "null", "seq", "str", "timestamp")
)
_MAX_ALIASES = 100
_MAX_NODES = 200_000


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed file: plain data, and the line on which each key stands."""

    data: Any
    file: str
    lines: dict[Key, int] = field(default_factory=dict)

    def line_of(self, key: Key) -> int | None:
        """Return the line of the key, or of its nearest parent that is in the file."""
        while key and key not in self.lines:
            key = key[:-1]
        return self.lines.get(key)


def read_yaml(path: Path, *, text: str | None = None) -> Document:
    """Parse a YAML (or JSON) file safely.

    Args:
        path: File to read; named in errors.
        text: Content to parse instead of reading the file.

    Raises:
        SpecError: The file is missing, not UTF-8, not YAML, or says a key twice.
    """
    if text is None:
        text = _read(path)
    tabbed = _first_tab(text)
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise SpecError([_yaml_problem(error, path, tabbed)]) from None
    except RecursionError:
        raise SpecError([SpecProblem("is nested too deeply to read", file=str(path))]) from None
    if node is None:
        raise SpecError([SpecProblem("is empty", file=str(path), fix="write one with `bakeoff init`")])
    builder = _Builder(str(path))
    data = builder.build(node, ())
    if builder.problems:
        raise SpecError(builder.problems)
    return Document(data, str(path), builder.lines)


def _read(path: Path) -> str:
    if path.is_dir():
        raise SpecError([SpecProblem("is a folder, not a file", file=str(path), fix="name the experiment file in it")])
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        near = sorted(p.name for p in path.parent.glob("*.y*ml"))[:5] if path.parent.is_dir() else []
        fix = f"files here: {', '.join(near)}" if near else "write one with `bakeoff init`"
        raise SpecError([SpecProblem("there is no such file", file=str(path), fix=fix)]) from None
    except UnicodeDecodeError as error:
        problem = SpecProblem(f"is not UTF-8 (byte {error.start})", file=str(path), fix="save the file as UTF-8")
        raise SpecError([problem]) from None
    except OSError as error:
        raise SpecError([SpecProblem(f"cannot be read: {error.strerror}", file=str(path))]) from None


def _first_tab(text: str) -> int | None:
    for number, line in enumerate(text.splitlines(), start=1):
        indent = line[: len(line) - len(line.lstrip())]
        if "\t" in indent:
            return number
    return None


def _yaml_problem(error: yaml.YAMLError, path: Path, tabbed: int | None) -> SpecProblem:
    mark = getattr(error, "problem_mark", None)
    line = mark.line + 1 if mark is not None else None
    if tabbed is not None and (line is None or abs(line - tabbed) <= 1):
        return SpecProblem(
            "a tab is used for indentation", file=str(path), line=tabbed, fix="indent with spaces; YAML forbids tabs"
        )
    what = getattr(error, "problem", None) or str(error).splitlines()[0]
    context = getattr(error, "context", None)
    message = f"is not valid YAML: {what}" + (f" ({context})" if context else "")
    return SpecProblem(
        message, file=str(path), line=line, fix="check indentation, quotes and colons on this line and the one above"
    )


class _Builder:
    """Turns composed nodes into plain data, noting lines, duplicate keys and alias bombs."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.lines: dict[Key, int] = {}
        self.problems: list[SpecProblem] = []
        self._constructor = yaml.SafeLoader("")
        self._nodes = 0

    def build(self, node: yaml.Node, key: Key) -> Any:
        self._nodes += 1
        if self._nodes > _MAX_NODES or len(key) > _MAX_ALIASES:
            raise SpecError(
                [SpecProblem("expands to too many values", file=self.file, fix="remove nested aliases (*)")]
            )
        self.lines.setdefault(key, node.start_mark.line + 1)
        if node.tag not in _TAGS:
            self._problem(f"has a value that cannot be read: the tag {node.tag!r}", key, node, fix="remove the tag")
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, key)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(child, (*key, index)) for index, child in enumerate(node.value)]
        if node.tag == "tag:yaml.org,2002:timestamp":
            return node.value  # a spec is JSON-like data: a date stays the text that was written
        try:
            return self._constructor.construct_object(node, deep=True)
        except yaml.YAMLError as error:
            self._problem(f"has a value that cannot be read: {getattr(error, 'problem', error)}", key, node)
            return None

    def _mapping(self, node: yaml.MappingNode, key: Key) -> dict[str, Any]:
        seen: dict[str, int] = {}
        for name_node, _ in node.value:
            if name_node.tag == "tag:yaml.org,2002:merge":
                continue
            name = self._name(name_node, key)
            line = name_node.start_mark.line + 1
            if name in seen:
                message = f"{name!r} stands twice (first on line {seen[name]})"
                self._problem(message, (*key, name), name_node, fix="rename or remove one of them")
            seen.setdefault(name, line)
        self._constructor.flatten_mapping(node)  # after it, a key of our own comes behind the merged one and wins
        data: dict[str, Any] = {}
        for name_node, value_node in node.value:
            name = self._name(name_node, key)
            self.lines[(*key, name)] = name_node.start_mark.line + 1
            data[name] = self.build(value_node, (*key, name))
        return data

    def _name(self, node: yaml.Node, key: Key) -> str:
        if not isinstance(node, yaml.ScalarNode):
            self._problem("a key must be a word", key, node)
            return ""
        # `on`, `no` and `1` as keys are words to the person who wrote them.
        return str(node.value)

    def _problem(self, message: str, key: Key, node: yaml.Node, *, fix: str = "") -> None:
        dotted = ".".join(str(part) for part in key)
        self.problems.append(SpecProblem(message, key=dotted, file=self.file, line=node.start_mark.line + 1, fix=fix))
