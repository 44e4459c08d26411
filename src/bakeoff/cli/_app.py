"""The command tree. Commands live in small modules and import what they need when they run."""

from __future__ import annotations

import typer

from bakeoff.cli import (
    _calibrate,
    _control,
    _define,
    _import,
    _label,
    _look,
    _patterns,
    _rank,
    _regression,
    _run,
    _schedule,
    _score,
    _serve,
)
from bakeoff.cli._common import echo

__all__ = ["app"]

app = typer.Typer(
    name="bakeoff",
    help="Compare prompts, models and agents: which is better, how sure that is, what it costs, and what to do next.",
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for name, command in (
    ("init", _define.init),
    ("validate", _define.validate),
    ("plan", _define.plan),
    ("run", _run.run),
    ("resume", _run.resume),
    ("score", _score.score),
    ("runs", _look.runs),
    ("show", _look.show),
    ("compare", _look.compare),
    ("label", _label.label),
    ("calibrate", _calibrate.calibrate),
    ("rank", _rank.rank),
    ("report", _look.report),
    ("export", _look.export),
    ("delete", _look.delete),
    ("gate", _regression.gate),
    ("scheduler", _schedule.scheduler),
    ("monitor", _schedule.monitor),
    ("status", _control.status),
    ("control", _control.control),
    ("cache", _control.cache),
    ("ui", _serve.ui),
    ("schema", _define.schema),
    ("evaluators", _define.evaluators),
    ("doctor", _serve.doctor),
):
    app.command(name)(command)

app.add_typer(_regression.baseline_app)
app.add_typer(_import.import_app)
app.add_typer(_patterns.patterns_app)
app.add_typer(_schedule.schedule_app)


@app.callback(invoke_without_command=True)
def _root(
    version: bool = typer.Option(False, "--version", "-V", help="Print the version and exit."),
) -> None:
    if version:
        from bakeoff._version import version as installed

        echo(f"bakeoff {installed()}")
        raise typer.Exit
