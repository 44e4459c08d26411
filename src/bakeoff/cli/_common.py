"""What commands share: options, the store, keys from a file, tables."""

from __future__ import annotations

import contextlib
import os
import sys
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from bakeoff.errors import BakeoffError, SpecError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console
    from rich.text import Text

    from bakeoff.experiments import LocalStore

__all__ = [
    "EnvFileOption",
    "JsonOption",
    "RunArgument",
    "StoreOption",
    "cache_dir",
    "console",
    "discard",
    "echo",
    "load_env",
    "print_json",
    "printable",
    "store_at",
    "table",
    "tell_error",
]

_BEARABLE = 1.3
"""A table may want this many times the width of the terminal: a few words are broken, and it is still read."""

StoreOption = Annotated[
    Path | None,
    typer.Option(
        "--store", help="Folder of the store [default: BAKEOFF_STORE, or .bakeoff here or above].", show_default=False
    ),
]
EnvFileOption = Annotated[
    Path | None, typer.Option("--env-file", help="File with API keys, one NAME=value a line.", show_default=False)
]
RunArgument = Annotated[str, typer.Argument(help="Run: its id, the start of it, or `latest`.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print plain JSON.")]


def store_at(path: Path | None) -> LocalStore:
    """Open the store."""
    from bakeoff.experiments import open_store

    return open_store(path)


def cache_dir(store: LocalStore) -> Path | None:
    """Return where a data set may be laid down; a temporary folder where the store cannot be written.

    Looking at an experiment needs no store: `validate` and `plan` work beside one that is read-only.
    """
    from bakeoff.errors import StoreError

    try:
        store.paths.create()
    except StoreError:
        return None
    return store.paths.datasets


def load_env(path: Path | None) -> None:
    """Put the keys of a file into the environment; what is set there already wins.

    Raises:
        SpecError: The file is not there.
    """
    if path is None:
        return
    if not path.is_file():
        raise SpecError(f"there is no env file {str(path)!r}")
    from dotenv import dotenv_values

    for name, value in dotenv_values(path).items():
        if value is not None:
            os.environ.setdefault(name, value)


def console(*, stderr: bool = False) -> Console:
    """Return a console that keeps untrusted text as it is."""
    width = None if os.isatty(2 if stderr else 1) or os.environ.get("COLUMNS") else 140
    colours = None if _wants_plain() else "auto"
    return _console_class()(
        stderr=stderr, markup=False, highlight=False, emoji=False, width=width, color_system=colours
    )


def _wants_plain() -> bool:
    """Whether escape codes are unwelcome. `NO_COLOR` (no-color.org) takes bold and dim away, too: plain is plain."""
    return bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM", "").lower() in ("dumb", "unknown")


@cache
def _console_class() -> type[Console]:
    from rich import console
    from typing_extensions import override

    class PatientConsole(console.Console):
        """Goes on without a reader: `bakeoff run spec.yaml | head` still writes its report and obeys its gate.

        Text that it is given plainly never moves the cursor: it may quote what a model or a file said.
        """

        @override
        def render_str(self, text: str, **options: Any) -> Text:
            return super().render_str(printable(text), **options)

        @override
        def on_broken_pipe(self) -> None:
            discard(self.file)

    return PatientConsole


def discard(stream: IO[str]) -> None:
    """Send what a stream is given from now on nowhere: whoever read it has gone."""
    with contextlib.suppress(OSError, ValueError):  # a stream of a test has no descriptor
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def echo(text: str, *, end: str = "\n", stderr: bool = False) -> None:
    """Print text as it is, for another program to read; without a reader, go on."""
    stream = sys.stderr if stderr else sys.stdout
    try:
        stream.write(text + end)
        stream.flush()
    except BrokenPipeError:
        discard(stream)


def tell_error(error: BaseException | str) -> None:
    """Say an error in one message; several problems are separated by their places. What it quotes moves no cursor."""
    if isinstance(error, OSError) and not isinstance(error, BakeoffError):
        where = f"{str(error.filename)!r}: " if error.filename else "writing or reading failed: "
        error = f"{where}{error.strerror or error}"
    stream = sys.stderr
    red, plain = ("\033[1;31m", "\033[0m") if stream.isatty() and not _wants_plain() else ("", "")
    with contextlib.suppress(OSError):  # nobody listens, or the disk is full; the exit code still says it
        stream.write(f"{red}error:{plain} {printable(str(error).encode('utf-8', 'replace').decode())}\n")
        stream.flush()


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], *, right: Sequence[int] = ()) -> None:
    """Print a table; on a terminal too narrow for it, one block of lines for each row.

    Columns whose index is in `right` hold numbers.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    sheet = Table(title=Text(title) if title else None, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    out, cells = console(), [[_cell(value) for value in row] for row in rows]
    needed = sum(_longest_word([name, *(str(row[index]) for row in cells)]) + 3 for index, name in enumerate(columns))
    if needed > _BEARABLE * out.width:
        _blocks(out, title, columns, cells)
        return
    for index, name in enumerate(columns):
        sheet.add_column(name, justify="right" if index in right else "left", overflow="fold")
    for row in cells:
        sheet.add_row(*row)
    out.print(sheet)


def _longest_word(texts: Iterable[str]) -> int:
    return max((len(word) for text in texts for word in text.split()), default=0)


def _blocks(out: Console, title: str, columns: Sequence[str], rows: Iterable[Sequence[Text]]) -> None:
    """Print a table on a narrow terminal, where columns would be a letter wide."""
    from rich.text import Text

    width = max(len(name) for name in columns)
    if title:
        out.print(Text(title, style="italic"))
    for row in rows:
        for name, value in zip(columns, row, strict=True):
            if str(value).strip():
                out.print(Text.assemble((f" {name:<{width}}  ", "bold"), value), soft_wrap=True)
        out.print()


def _cell(value: Any) -> Text:
    from rich.text import Text

    if isinstance(value, Text):
        return value
    return Text(printable("-" if value is None or (isinstance(value, float) and value != value) else str(value)))


def printable(text: str) -> str:
    """Take out what could move the cursor or rewrite the screen: an error may quote what a model said."""
    return "".join(char if char.isprintable() or char == "\n" else " " for char in text)


def print_json(data: object) -> None:
    """Print plain JSON."""
    import json

    is_utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    echo(json.dumps(data, indent=2, ensure_ascii=not is_utf8, default=str, allow_nan=False))
