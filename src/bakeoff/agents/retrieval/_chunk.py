"""How documents are read and cut into passages."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from bakeoff.agents.config._spec import ChunkSpec

__all__ = ["Document", "Passage", "chunk"]

_SENTENCE = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?=[\"'(\[]*[A-Z0-9])")
_HEADING = re.compile(r"^(#{1,6})\s+(.+?)\s*#*$", re.MULTILINE)
_BLOCK = re.compile(r"\n(?=(?:export |public |private |static |async )*(?:function|class|def|fn|func|struct|impl)\b)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One document of a corpus."""

    id: str
    text: str
    title: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A piece of a document."""

    document: str
    """Id of the document: what citations and retrieval metrics name."""
    number: int
    """Position within the document, from 0."""
    text: str
    title: str = ""


def chunk(documents: Iterable[Document], spec: ChunkSpec) -> list[Passage]:
    """Cut documents into passages.

    Raises:
        MissingExtraError: `by: syntax`, without the extra `tree-sitter`.

    Examples:
        >>> from bakeoff.agents.config._spec import ChunkSpec
        >>> found = chunk([Document(id="a", text="One two. Three four. Five six.")], ChunkSpec(by="sentence", size=5))
        >>> [(one.number, one.text) for one in found]
        [(0, 'One two. Three four.'), (1, 'Five six.')]
    """
    found: list[Passage] = []
    for document in documents:
        pieces = [piece.strip() for piece in _pieces(document, spec)]
        kept = [piece for piece in pieces if piece]
        found += [
            Passage(document=document.id, number=number, text=piece, title=document.title)
            for number, piece in enumerate(kept)
        ]
    return found


def _pieces(document: Document, spec: ChunkSpec) -> Iterator[str]:
    if spec.by == "whole":
        yield document.text
    elif spec.by == "fixed":
        yield from _windows(document.text.split(), spec)
    elif spec.by == "sentence":
        yield from _packed(_sentences(document.text, spec.size), spec)
    elif spec.by == "heading":
        yield from _by_heading(document.text, spec)
    elif spec.by == "syntax":
        from bakeoff.agents.retrieval._syntax import syntax_units

        units = syntax_units(document.text, document.id, size=spec.size)
        yield from _by_code(document, spec) if units is None else _packed(_cut(units, spec.size), spec, joint="")
    else:
        yield from _by_code(document, spec)


def _windows(words: Sequence[str], spec: ChunkSpec) -> Iterator[str]:
    step = spec.size - spec.overlap
    for start in range(0, max(len(words), 1), step):
        yield " ".join(words[start : start + spec.size])
        if start + spec.size >= len(words):
            return


def _sentences(text: str, size: int) -> list[str]:
    """Cut at sentences; what is longer than a piece - tables, logs, lists - at its lines, and a long line at words."""
    found: list[str] = []
    for sentence in _SENTENCE.split(text):
        if len(sentence.split()) <= size:
            found.append(sentence)
            continue
        for line in sentence.splitlines():
            words = line.split()
            found += [" ".join(words[start : start + size]) for start in range(0, len(words), size)]
    return found


def _packed(units: Sequence[str], spec: ChunkSpec, *, joint: str = " ") -> Iterator[str]:
    """Put whole units together up to the size; the last `overlap` units are repeated in the next piece."""
    held: list[str] = []
    fresh = 0
    for unit in units:
        if fresh and sum(len(one.split()) for one in held) + len(unit.split()) > spec.size:
            yield joint.join(held)
            held = held[len(held) - spec.overlap :] if spec.overlap else []
            fresh = 0
        held.append(unit)
        fresh += 1
    if fresh:
        yield joint.join(held)


def _by_heading(text: str, spec: ChunkSpec) -> Iterator[str]:
    """Cut at Markdown headings; a section longer than the size is cut at sentences, each with its heading."""
    starts = [match.start() for match in _HEADING.finditer(text)]
    bounds = [0, *[start for start in starts if start > 0], len(text)]
    for start, end in pairwise(bounds):
        section = text[start:end].strip()
        match = _HEADING.match(section)
        if len(section.split()) <= spec.size:
            yield section
            continue
        heading = match.group(0) if match else ""
        body = section[match.end() :] if match else section
        for piece in _packed(_sentences(body.strip(), spec.size), spec):
            yield f"{heading}\n{piece}" if heading else piece


def _by_code(document: Document, spec: ChunkSpec) -> Iterator[str]:
    """Cut at definitions: Python by its syntax tree, other languages where a line begins one."""
    units = _python_units(document.text)
    if units is None:
        units = _BLOCK.split(document.text)
    pieces = _cut([unit for unit in units if unit.strip()], spec.size)
    yield from _packed([piece.rstrip("\n") for piece in pieces], spec, joint="\n")


def _cut(units: Iterable[str], size: int) -> list[str]:
    """Cut what is longer than a piece at its lines, and a line that is longer at its words; nothing is lost."""
    found: list[str] = []
    for unit in units:
        if len(unit.split()) <= size:
            found.append(unit)
            continue
        held, words = "", 0
        for line in unit.splitlines(keepends=True):
            count = len(line.split())
            if words and words + count > size:
                found.append(held)
                held, words = "", 0
            if count > size:
                parts = re.findall(r"\s*\S+\s*", line)
                found += ["".join(parts[at : at + size]) for at in range(0, len(parts), size)]
                continue
            held, words = held + line, words + count
        if held:
            found.append(held)
    return found


def _python_units(text: str) -> list[str] | None:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    lines = text.splitlines(keepends=True)
    starts = sorted(
        {
            min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", []))]) - 1
            for node in tree.body
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
        }
    )
    bounds = [0, *[start for start in starts if start > 0], len(lines)]
    return ["".join(lines[start:end]).rstrip("\n") for start, end in pairwise(bounds)]
