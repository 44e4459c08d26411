"""Read the documents of a corpus: JSON lines, Markdown, HTML, saved pages, web archives, text, code, DOCX, PDF."""

from __future__ import annotations

import json
import re
import zipfile
import zlib
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from bakeoff.agents.retrieval._chunk import Document
from bakeoff.agents.retrieval._web import (
    ARCHIVES,
    SAVED,
    decode_page,
    decode_text,
    page_text,
    read_archive,
    read_saved_page,
)
from bakeoff.datasets import bundled_file
from bakeoff.errors import DatasetError, MissingExtraError, SpecError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["corpus_stamp", "read_corpus"]

_CODE = (".py", ".js", ".ts", ".tsx", ".java", ".go", ".rs", ".c", ".h", ".cpp", ".cs", ".rb", ".php", ".sql", ".sh")
_TEXT = (".md", ".markdown", ".txt", ".rst", ".yaml", ".yml", ".toml", *_CODE)
_KINDS = (".jsonl", ".html", ".htm", *SAVED, *ARCHIVES, ".docx", ".pdf", *_TEXT)
_MOST_BYTES = 50_000_000
_WORD_XML = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_BREAKS = {f"{_WORD_XML}tab": "\t", f"{_WORD_XML}br": "\n", f"{_WORD_XML}cr": "\n", f"{_WORD_XML}noBreakHyphen": "-"}
_SAID = {*_BREAKS, f"{_WORD_XML}t"}


def _path(corpus: str, base_dir: Path) -> Path:
    if corpus.startswith("bundled:"):
        try:
            return bundled_file(corpus.removeprefix("bundled:"), "corpus.jsonl")
        except DatasetError as error:
            raise SpecError(str(error)) from None
    path = base_dir / corpus
    if not path.exists():
        raise SpecError(f"there is no corpus {corpus!r} in {str(base_dir)!r}")
    return path


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    return sorted(one for one in path.rglob("*") if one.is_file() and one.name.lower().endswith(_KINDS))


def corpus_stamp(corpus: str, *, base_dir: Path) -> float:
    """Return a number that changes when a file of the corpus does.

    Raises:
        SpecError: There is no such corpus.
    """
    files = _files(_path(corpus, base_dir))
    return sum(one.stat().st_mtime + one.stat().st_size for one in files) + len(files)


def read_corpus(corpus: str, *, base_dir: Path) -> list[Document]:
    """Read a corpus.

    Args:
        corpus: `bundled:NAME`, a file, or a folder.
        base_dir: Where a relative path starts.

    Raises:
        SpecError: There is no such file, it is too large, or it cannot be read.
        MissingExtraError: A PDF or a web archive, without the extra `documents`.

    Examples:
        >>> from pathlib import Path
        >>> documents = read_corpus("bundled:handbook-qa", base_dir=Path())
        >>> len(documents), documents[0].id, documents[0].title
        (26, 'S01', 'Who we are')
    """
    path = _path(corpus, base_dir)
    files = _files(path)
    if not files:
        raise SpecError(f"the corpus {corpus!r} holds no file that can be read; kinds are {', '.join(_KINDS)}")
    root = path if path.is_dir() else path.parent
    documents: list[Document] = []
    origin: dict[str, Path] = {}
    for file in files:
        for document in _read(file, root):
            if file.suffix.lower() == ".jsonl" and document.id in origin:
                raise SpecError(f"the id {document.id!r} stands in {str(origin[document.id])!r} and in {str(file)!r}")
            origin[document.id] = file
            documents.append(document)
    if not documents:
        raise SpecError(f"the corpus {corpus!r} holds no text")
    return documents


def _read(path: Path, root: Path) -> Iterator[Document]:
    if path.stat().st_size > _MOST_BYTES:
        raise SpecError(f"{str(path)!r} has more than {_MOST_BYTES:,} bytes; cut it into several files")
    kind = path.suffix.lower()
    name = path.relative_to(root).as_posix()
    if kind == ".jsonl":
        yield from _json_lines(path)
        return
    if path.name.lower().endswith(ARCHIVES):
        yield from (Document(id=address, text=text) for address, text in read_archive(path))
        return
    if kind == ".docx":
        text = _docx(path)
    elif kind == ".pdf":
        text = _pdf(path)
    elif kind in SAVED:
        text = read_saved_page(path)
    elif kind in (".html", ".htm"):
        text = page_text(decode_page(path.read_bytes()))
    else:
        text = decode_text(path.read_bytes())
    if text.strip():
        yield Document(id=name, text=text)


def _json_lines(path: Path) -> Iterator[Document]:
    seen: set[str] = set()
    for number, line in enumerate(decode_text(path.read_bytes()).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            document = Document(id=str(row["id"]), text=str(row["text"]), title=str(row.get("title", "")))
        except (ValueError, KeyError, TypeError, AttributeError):
            message = f"{str(path)!r}, line {number}: a document is a JSON object with `id` and `text`"
            raise SpecError(message) from None
        if document.id in seen:
            raise SpecError(f"{str(path)!r}, line {number}: the id {document.id!r} stands twice")
        seen.add(document.id)
        yield document


def _docx(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            info = archive.getinfo("word/document.xml")
            if info.file_size > _MOST_BYTES:
                raise SpecError(f"{str(path)!r} unpacks to more than {_MOST_BYTES:,} bytes")
            data = archive.read(info)
        if b"<!DOCTYPE" in data[:2000]:
            raise SpecError(f"{str(path)!r} declares a document type, which no Word document does")
        root = ET.fromstring(data)  # noqa: S314 - without a document type there are no entities to expand
    except (zipfile.BadZipFile, KeyError, ET.ParseError):
        raise SpecError(f"{str(path)!r} is not a Word document") from None
    except (RuntimeError, NotImplementedError, zlib.error) as error:  # encrypted, packed otherwise, damaged
        raise SpecError(f"{str(path)!r} cannot be unpacked: {error}") from None
    # A text box stands within a paragraph, and a second time for old programs.
    told = {run for old in root.iter(_FALLBACK) for run in old.iter(f"{_WORD_XML}r")}
    lines: list[str] = []
    for paragraph in reversed(list(root.iter(f"{_WORD_XML}p"))):  # the inner ones first
        runs = [run for run in paragraph.iter(f"{_WORD_XML}r") if run not in told]
        told.update(runs)
        text = "".join(
            _BREAKS.get(node.tag, "") or node.text or "" for run in runs for node in run if node.tag in _SAID
        )
        style = paragraph.find(f"./{_WORD_XML}pPr/{_WORD_XML}pStyle")
        level = re.fullmatch(r"[Hh]eading\s?([1-6])", style.get(f"{_WORD_XML}val", "")) if style is not None else None
        lines.append(f"{'#' * int(level.group(1))} {text}" if level and text else text)
    return "\n".join(reversed(lines))


def _pdf(path: Path) -> str:
    try:
        from pypdf import PdfReader  # an optional extra
    except ImportError:
        raise MissingExtraError(f"reading {path.name}", "documents") from None
    try:
        return "\n\n".join(page.extract_text() or "" for page in PdfReader(path).pages)
    except Exception as error:
        raise SpecError(f"{str(path)!r} cannot be read as PDF: {type(error).__name__}: {error}"[:500]) from error
