"""A reader's own file: how it is to be read, what its columns hold, and what they are probably for."""

from __future__ import annotations

import codecs
import csv
import io
import keyword
import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["FileFacts", "answered_only", "guess_roles", "inputs_value", "read_facts", "sniff", "variable"]

_HEAD = 262_144
_ROWS = 5_000
_MOST_INPUTS = 8
"""With more columns than this, only those that look like a text to work on are inputs."""
_ANSWERS = (
    "expected", "label", "answer", "truth", "target", "gold", "intent", "category", "solution", "class", "output",
    "antwort", "kategorie", "etikett", "reponse", "categorie", "respuesta", "categoria",
)  # fmt: skip
_TEXTS = (
    "question", "message", "text", "input", "prompt", "query", "body", "content", "document", "comment", "review",
    "frage", "nachricht", "eingabe", "texte", "pregunta", "mensaje",
)  # fmt: skip
_IDS = ("id", "nr", "no", "number", "key", "uuid", "nummer")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFacts:
    """What a data file holds, from its first 5,000 rows."""

    columns: tuple[str, ...]
    """In the order of the file."""
    rows: int
    """Rows that were looked at."""
    empty: Mapping[str, int]
    """Rows in which a column is empty."""
    mean_length: Mapping[str, float]
    """Characters, over rows in which it is not empty."""
    unique: frozenset[str]
    """Columns that are never empty and never the same twice."""


def sniff(path: Path) -> dict[str, str]:
    r"""Return how a CSV file has to be read where it differs from UTF-8 with commas: `delimiter`, `encoding`.

    Examples:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = pathlib.Path(folder, "a.csv")
        ...     _ = file.write_bytes("frage;antwort\n\"a, b\";2\n".encode())
        ...     sniff(file)
        {'delimiter': ';'}
    """
    if path.suffix.lower() not in (".csv", ".tsv"):
        return {}
    raw = path.read_bytes()
    encoding = _encoding(raw)
    text = raw[:_HEAD].decode("utf-8-sig" if encoding == "utf-8" else encoding, errors="ignore")
    usual = "\t" if path.suffix.lower() == ".tsv" else ","
    delimiter = max((usual, ",", ";", "\t", "|"), key=lambda mark: _columns_with(text, mark))
    found = {} if delimiter == usual else {"delimiter": delimiter}
    # Files with a byte order mark are understood without being told.
    return found | ({"encoding": encoding} if encoding == "cp1252" else {})


def _encoding(raw: bytes) -> str:
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return "cp1252"  # what spreadsheets in Europe and America write when they do not write UTF-8
    return "utf-8"


def _columns_with(text: str, delimiter: str) -> int:
    """Return how many columns the rows have when cut so; 1 where they do not agree."""
    widths: list[int] = []
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
            if row:
                widths.append(len(row))
            if len(widths) > 30:
                break
    except csv.Error:
        return 1
    if len(text) >= _HEAD // 2 and len(widths) > 1 and len(widths) <= 30:
        widths.pop()  # the last one may be cut off
    return widths[0] if widths and len(set(widths)) == 1 else 1


def read_facts(path: Path, options: Mapping[str, str]) -> FileFacts:
    """Read what a file holds.

    Args:
        path: The file.
        options: `delimiter`, `encoding`.

    Raises:
        DatasetError: It cannot be read.
    """
    from bakeoff.datasets import open_dataset

    source = {"path": str(path.resolve()), **options}
    columns = _header(path, options) or _fields(path, options)
    items = open_dataset({**source, "inputs": list(columns)}, base_dir=path.parent).head(_ROWS)
    known = {name: [_text(item.inputs.get(name)) for item in items] for name in columns}
    full = {name: [value for value in values if value] for name, values in known.items()}
    return FileFacts(
        columns=columns,
        rows=len(items),
        empty={name: len(items) - len(full[name]) for name in columns},
        mean_length={name: sum(map(len, full[name])) / len(full[name]) if full[name] else 0.0 for name in columns},
        unique=frozenset(n for n in columns if items and len(full[n]) == len(items) == len(set(full[n]))),
    )


def _header(path: Path, options: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names in the first row of a CSV file, in its order; nothing for other files."""
    suffix = path.suffix.lower()
    if suffix not in (".csv", ".tsv"):
        return ()
    raw = path.read_bytes()[:_HEAD]
    encoding = options.get("encoding") or _encoding(raw)
    text = raw.decode("utf-8-sig" if encoding == "utf-8" else encoding, errors="ignore")
    delimiter = options.get("delimiter") or ("\t" if suffix == ".tsv" else ",")
    try:
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        first = next((row for row in rows if row), list[str]())
    except csv.Error:
        return ()
    names = [cell.strip() or f"column_{place}" for place, cell in enumerate(first, 1)]
    return tuple(names) if len(set(names)) == len(names) else ()


def _fields(path: Path, options: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names that the loader finds; it takes `id` and `expected` for itself unless they are asked for."""
    from bakeoff.datasets import open_dataset

    dataset = open_dataset({"path": str(path.resolve()), **options}, base_dir=path.parent)
    items = dataset.head(50)
    found = list(dataset.input_names)
    taken = ["id"] if any(item.id != str(place) for place, item in enumerate(items, 1)) else []
    taken += ["expected"] if any(item.expected is not None for item in items) else []
    return (*taken[:1], *found, *taken[1:])


def _text(value: object) -> str:
    return "" if value is None else str(value).strip()


def guess_roles(facts: FileFacts) -> dict[str, Any]:
    """Guess which columns are inputs, the right answer and the id, from their names and from what they hold.

    Examples:
        >>> names = ("Ticket-Nr", "Kunden Nachricht", "Antwort")
        >>> size = {"Ticket-Nr": 5.0, "Kunden Nachricht": 80.0, "Antwort": 9.0}
        >>> empty = dict.fromkeys(names, 0)
        >>> guess_roles(FileFacts(columns=names, rows=9, empty=empty, mean_length=size, unique=frozenset(names[:1])))
        {'inputs': ['Kunden Nachricht'], 'expected': 'Antwort', 'id': 'Ticket-Nr'}
    """
    words = {name: _words(name) for name in facts.columns}
    usable = [name for name in facts.columns if facts.empty[name] < facts.rows]
    expected = next((name for word in _ANSWERS for name in usable if word in words[name]), None)
    identity = next(
        (name for name in usable if name != expected and name in facts.unique and words[name][-1:] in _IDS_LAST), None
    )
    rest = [name for name in usable if name not in (expected, identity)]
    if len(rest) > _MOST_INPUTS:
        longest = max(rest, key=lambda name: facts.mean_length[name])
        rest = [
            name for name in rest
            if name == longest or (facts.mean_length[name] >= 20 and any(word in _TEXTS for word in words[name]))
        ][:_MOST_INPUTS]  # fmt: skip
    found: dict[str, Any] = {"inputs": rest or list(facts.columns)}
    if expected is not None:
        found["expected"] = expected
    if identity is not None:
        found["id"] = identity
    return found


def _words(name: str) -> list[str]:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.findall(r"[a-z0-9]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", plain).lower())


_IDS_LAST = [[word] for word in _IDS]


def variable(column: str) -> str:
    """Return the name by which a prompt can use a column.

    Examples:
        >>> variable("Kunden Nachricht - Text"), variable("2nd try"), variable("question"), variable("?")
        ('kunden_nachricht_text', 'v_2nd_try', 'question', 'value')
    """
    if _usable(column):
        return column
    letters = "".join(letter if f"a{letter}".isidentifier() else "_" for letter in column.lower())
    plain = re.sub(r"_+", "_", letters).strip("_")
    return plain if _usable(plain) else f"v_{plain}" if plain else "value"


def _usable(name: str) -> bool:
    """Say whether a template can use a name: an identifier, and no word of the language."""
    return name.isidentifier() and not keyword.iskeyword(name) and name not in ("true", "false", "none")


def inputs_value(chosen: Sequence[str], old: object = None) -> list[str] | dict[str, str]:
    """Return the `inputs:` of a data set for chosen columns: a list, or names with columns where a name is awkward.

    Args:
        chosen: The columns.
        old: What was there before; names that were given to a column are kept.

    Examples:
        >>> inputs_value(["question", "lang"])
        ['question', 'lang']
        >>> inputs_value(["My text"], {"body": "My text"})
        {'body': 'My text'}
        >>> inputs_value(["a b", "a-b"])
        {'a_b': 'a b', 'a_b_2': 'a-b'}
    """
    given = {column: name for name, column in old.items()} if isinstance(old, dict) else {}
    found: dict[str, str] = {}
    for column in chosen:
        name = given.get(column) or variable(column)
        free = (
            name if name not in found else next(f"{name}_{n}" for n in range(2, 10_000) if f"{name}_{n}" not in found)
        )
        found[free] = column
    return list(chosen) if all(name == column for name, column in found.items()) else found


def answered_only(column: str) -> str:
    """Return the filter that leaves out rows in which a column is empty.

    Examples:
        >>> print(answered_only("right answer"))
        trim(coalesce(cast("right answer" as varchar), '')) <> ''
    """
    quoted = column.replace('"', '""')
    return f"""trim(coalesce(cast("{quoted}" as varchar), '')) <> ''"""
