"""What commands share: options, the store, keys from a file, tables."""

from __future__ import annotations

import contextlib
import os
import sys
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from bakeoff.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console

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
]

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
    return _console_class()(stderr=stderr, markup=False, highlight=False, emoji=False, width=width)


@cache
def _console_class() -> type[Console]:
    from rich import console
    from typing_extensions import override

    class PatientConsole(console.Console):
        """Goes on without a reader: `bakeoff run spec.yaml | head` still writes its report and obeys its gate."""

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


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], *, right: Sequence[int] = ()) -> None:
    """Print a table. Columns whose index is in `right` hold numbers."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    sheet = Table(title=Text(title) if title else None, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    for index, name in enumerate(columns):
        sheet.add_column(name, justify="right" if index in right else "left", overflow="fold")
    for row in rows:
        sheet.add_row(*(_cell(value) for value in row))
    console().print(sheet)


def _cell(value: Any) -> Any:
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
