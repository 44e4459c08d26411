"""`import`: results of other tools as runs, and promptfoo files as experiments."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer.core import TyperGroup
from typing_extensions import override

from bakeoff.cli._common import JsonOption, console, print_json
from bakeoff.cli._import import import_runs

if TYPE_CHECKING:
    import click

__all__ = ["import_app"]


class _ResultsUnlessNamed(TyperGroup):
    """`bakeoff import FILE` is short for `bakeoff import results FILE`."""

    @override
    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ("-h", "--help"):
            args = ["results", *args]
        return super().parse_args(ctx, args)


import_app = typer.Typer(
    name="import",
    cls=_ResultsUnlessNamed,
    help="Take over what other tools made: `results FILE` (or just FILE) as a run, `promptfoo CONFIG` as an experiment.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
import_app.command("results")(import_runs)


@import_app.command("promptfoo")
def import_promptfoo_file(
    config: Annotated[Path, typer.Argument(help="promptfooconfig.yaml")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write to.")] = Path("imported"),
    model: Annotated[
        list[str] | None,
        typer.Option("--model", help="Model instead of the file's providers; may be repeated.", show_default=False),
    ] = None,
    judge: Annotated[str | None, typer.Option(help="Model of the judges.", show_default=False)] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over files that are there.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Turn a promptfoo file into an experiment, and list what was not carried. Nothing is called."""
    from rich.text import Text

    from bakeoff.experiments import import_promptfoo

    done = import_promptfoo(config, out, models=model or (), judge=judge, force=force)
    if as_json:
        print_json({key: str(value) if isinstance(value, Path) else value for key, value in asdict(done).items()})
        return
    show = console()
    size = f"{done.prompts} prompts x {done.models} models on {done.items} tests with {done.checks} checks"
    show.print(Text(f"{done.experiment}: {size}"), soft_wrap=True)
    for title, entries in (("not carried", done.lost), ("carried with another meaning", done.changed)):
        if entries:
            show.print(Text(f"{title}:", style="yellow"))
        for entry in entries:
            show.print(Text(f"  - {entry}"), soft_wrap=True)
    show.print(Text(f"next: bakeoff plan {done.experiment}"), soft_wrap=True)
