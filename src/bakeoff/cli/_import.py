"""`import`: experiments and results of other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bakeoff.cli._common import console
from bakeoff.cli._import_results import import_results

__all__ = ["import_app"]

import_app = typer.Typer(
    name="import", help="Take over experiments and results of other tools.", no_args_is_help=True, rich_markup_mode=None
)
import_app.command("results")(import_results)


@import_app.command("promptfoo")
def promptfoo(
    config: Annotated[Path, typer.Argument(help="promptfooconfig.yaml (or .json).")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write to; made when absent.")] = Path(),
    model: Annotated[
        list[str] | None, typer.Option("--model", help="Model instead of the file's providers; may be repeated.")
    ] = None,
    judge: Annotated[str | None, typer.Option("--judge", help="Model of the judges.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over files that are there.")] = False,
) -> None:
    """Turn a promptfoo configuration into an experiment that runs; say what was not carried."""
    from bakeoff.experiments import import_promptfoo

    found = import_promptfoo(config, out, models=model or (), judge=judge, force=force)
    screen = console()
    screen.print(f"wrote  {found.experiment}", soft_wrap=True)
    screen.print(f"wrote  {found.tests}", soft_wrap=True)
    screen.print(
        f"{found.prompts} prompts x {found.models} models, {found.items} items, {found.checks} checks", soft_wrap=True
    )
    for text in found.changed:
        screen.print(f"! carried with another meaning: {text}", style="yellow", soft_wrap=True)
    for text in found.lost:
        screen.print(f"! not carried: {text}", style="yellow", soft_wrap=True)
    screen.print(f"\nnext   bakeoff validate {found.experiment}", soft_wrap=True)
