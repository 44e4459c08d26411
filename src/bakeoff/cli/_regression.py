"""`baseline`, `gate`: what a schedule or CI obeys."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bakeoff.cli._common import (
    JsonOption,
    RunArgument,
    StoreOption,
    console,
    echo,
    print_json,
    store_at,
    table,
    tell_error,
)
from bakeoff.errors import SpecError, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from bakeoff.experiments import Experiment, LocalStore, Manifest
    from bakeoff.regression import Calibration, GateResult

__all__ = ["baseline_app", "gate", "obey_gate"]

baseline_app = typer.Typer(
    name="baseline",
    help="Keep the runs that later runs are compared with.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_NameOption = Annotated[str, typer.Option("--name", help="Name of the baseline.")]
_ExperimentOption = Annotated[str | None, typer.Option("--experiment", help="Experiment; the only one when omitted.")]


@baseline_app.command("set")
def baseline_set(
    run_id: RunArgument = "latest",
    name: _NameOption = "main",
    file: Annotated[
        Path | None, typer.Option("--file", help="Also write it as a small .json file, to commit for CI.")
    ] = None,
    note: Annotated[str, typer.Option("--note", help="Why.")] = "",
    store: StoreOption = None,
) -> None:
    """Make a complete run the baseline of its experiment."""
    from bakeoff.regression import set_baseline, write_baseline_file

    kept = store_at(store)
    found = kept.resolve(run_id)
    baseline = set_baseline(kept, found, name=name, note=note)
    out = console()
    out.print(f"baseline {name!r} of {baseline.experiment} is {found}", soft_wrap=True)
    if file is not None:
        written = write_baseline_file(kept, found, file)
        out.print(f"wrote    {written} ({written.stat().st_size:,} bytes)", soft_wrap=True)


@baseline_app.command("list")
def baseline_list(store: StoreOption = None, as_json: JsonOption = False) -> None:
    """List the baselines of the store."""
    from dataclasses import asdict

    from bakeoff.regression import list_baselines

    found = list_baselines(store_at(store))
    if as_json:
        print_json([asdict(baseline) for baseline in found])
    elif not found:
        console().print("no baselines; choose a run that is good: bakeoff baseline set RUN")
    else:
        rows = [(b.experiment, b.name, b.run_id, str(b.pins.get("data", ""))[:12], b.set_at, b.note) for b in found]
        table("", ["experiment", "name", "run", "data", "set", "note"], rows)


@baseline_app.command("show")
def baseline_show(
    name: Annotated[str, typer.Argument(help="Name of the baseline.")] = "main",
    experiment: _ExperimentOption = None,
    store: StoreOption = None,
) -> None:
    """Show a baseline with the versions it is pinned to."""
    from dataclasses import asdict

    from bakeoff.regression import get_baseline

    kept = store_at(store)
    print_json(asdict(get_baseline(kept, _experiment(kept, experiment), name=name)))


@baseline_app.command("unset")
def baseline_unset(
    name: Annotated[str, typer.Argument(help="Name of the baseline.")] = "main",
    experiment: _ExperimentOption = None,
    store: StoreOption = None,
) -> None:
    """Forget a baseline; its run stays."""
    from bakeoff.regression import unset_baseline

    kept = store_at(store)
    chosen = _experiment(kept, experiment)
    unset_baseline(kept, chosen, name=name)
    console().print(f"{chosen} has no baseline {name!r} any more")


def _experiment(store: LocalStore, named: str | None) -> str:
    from bakeoff.regression import list_baselines

    if named is not None:
        return named
    found = sorted({baseline.experiment for baseline in list_baselines(store)})
    if len(found) == 1:
        return found[0]
    if not found:
        raise SpecError("there are no baselines; choose a run that is good: bakeoff baseline set RUN")
    raise SpecError(f"there are baselines of {', '.join(found)}; say which with --experiment")


def gate(
    run_id: RunArgument = "latest",
    against: Annotated[
        str | None,
        typer.Option("--against", help="Baseline name, baseline file (.json) or run, instead of the spec's."),
    ] = None,
    rules: Annotated[
        Path | None,
        typer.Option("--rules", help="File whose gate is decided, instead of the run's own: `gate:` alone will do."),
    ] = None,
    junit: Annotated[Path | None, typer.Option("--junit", help="Write JUnit XML here.")] = None,
    markdown: Annotated[
        Path | None, typer.Option("--markdown", help="Write a Markdown summary here, for a pull request.")
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json-file", help="Write the whole decision here.")] = None,
    annotate: Annotated[
        bool | None,
        typer.Option("--annotate/--no-annotate", help="Print GitHub annotations [default: in GitHub Actions]."),
    ] = None,
    report_url: Annotated[str | None, typer.Option("--report-url", help="Link in the summary.")] = None,
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Simulate the gate on this run's scores: false alarms and power.")
    ] = False,
    decisions: Annotated[int, typer.Option("--decisions", min=100, help="Simulated decisions.")] = 2000,
    drop: Annotated[
        float | None, typer.Option("--drop", help="True drop for the simulated power [default: twice the margin].")
    ] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Decide the gate of a run without running anything.

    Exit code: 0 pass, 1 fail, 2 wrong use, 3 inconclusive, 4 infrastructure.
    """
    from bakeoff.experiments import parse_gate
    from bakeoff.regression import calibrate_gate, decide_gate

    kept = store_at(store)
    found = kept.resolve(run_id)
    chosen, policy = parse_gate(rules) if rules is not None else (None, None)
    base_dir = rules.resolve().parent if rules is not None else None
    if calibrate:
        simulated = calibrate_gate(
            kept, found, against=against, rules=chosen, policy=policy, base_dir=base_dir, decisions=decisions, drop=drop
        )
        _print_calibration(simulated, as_json=as_json)
        return
    result = decide_gate(kept, found, against=against, rules=chosen, policy=policy, base_dir=base_dir)
    told = _is_told(partial(print_json, result.to_dict()) if as_json else partial(print_gate, result))
    written = write_gate(
        result, junit=junit, markdown=markdown, json_file=json_file, annotate=annotate, report_url=report_url
    )
    raise typer.Exit(result.exit_code or (0 if told and written else 4))


def _is_told(say: Callable[[], None]) -> bool:
    """Print or write a decision; a full disk is said, and the decision stands."""
    try:
        say()
    except (OSError, StoreError) as error:
        tell_error(error)
        return False
    return True


def print_gate(result: GateResult) -> None:
    """Print a decision: the outcome, each rule with its numbers, then what a reader must know."""
    from rich.text import Text

    styles = {"pass": "bold green", "fail": "bold red", "inconclusive": "bold yellow", "infrastructure": "bold magenta"}
    out = console()
    out.print()
    out.print(Text(result.headline, style=styles[result.outcome]), soft_wrap=True)
    several = len({rule.variant for rule in result.rules}) > 1
    for rule in result.rules:
        variant = f" ({rule.variant})" if several else ""
        out.print(Text(f"  {rule.outcome:<14}{rule.rule}{variant}", style=styles[rule.outcome]), soft_wrap=True)
        out.print(Text(f"                {rule.because}"), soft_wrap=True)
        for warning in rule.warnings:
            out.print(Text(f"                ! {warning}", style="yellow"), soft_wrap=True)
    if result.is_simulated:
        out.print(Text("! simulated models answered: this says nothing about a real one", style="yellow"))
    for note in result.notes:
        out.print(Text(f"! {note}", style="yellow"), soft_wrap=True)
    against = f" against {result.baseline} (run {result.baseline_run})" if result.baseline_run else ""
    out.print(f"\nrun {result.run_id}{against}. {result.statement}", soft_wrap=True, style="dim")


def write_gate(
    result: GateResult,
    *,
    junit: Path | None = None,
    markdown: Path | None = None,
    json_file: Path | None = None,
    annotate: bool | None = None,
    report_url: str | None = None,
) -> bool:
    """Write what CI reads; inside GitHub Actions annotations come by themselves. Whether all could be written."""
    from bakeoff.regression import annotations, junit_xml, markdown_summary, write_outputs

    files: list[tuple[Path, str]] = []
    if junit is not None:
        files.append((junit, junit_xml(result)))
    if markdown is not None:
        files.append((markdown, markdown_summary(result, report_url=report_url)))
    if json_file is not None:
        files.append((json_file, ""))
    written = [_is_told(partial(write_outputs, result, [file])) for file in files]
    if annotate or (annotate is None and os.environ.get("GITHUB_ACTIONS") == "true"):
        written += [_is_told(partial(echo, line)) for line in annotations(result)]
    return all(written)


def _print_look(result: GateResult, look: int, repeats: int) -> None:
    print_gate(result)
    console().print(f"\nlook {look} of {result.looks}: {repeats} repeats of each item")


def obey_gate(
    experiment: Experiment, store: LocalStore, run_id: str, *, run: Callable[[Experiment], Manifest], quiet: bool
) -> int:
    """Decide the gate of a run that just ended, escalate where the spec says so, and return the exit code."""
    from bakeoff.regression import decide_gate, next_look

    result = decide_gate(store, run_id, base_dir=experiment.base_dir)
    for look in range(1, result.looks):
        wider = next_look(experiment, store, result, look=look) if result.outcome == "inconclusive" else None
        if wider is None:
            break
        if not quiet:
            _is_told(partial(_print_look, result, look + 1, wider.spec.repeats))
        manifest = run(wider)
        result = decide_gate(store, manifest.run_id, base_dir=experiment.base_dir)
    told = quiet or _is_told(partial(print_gate, result))
    if not told:
        console(stderr=True).print(result.headline, soft_wrap=True)
    written = write_gate(result)
    return result.exit_code or (0 if told and written else 4)


def _print_calibration(found: Calibration, *, as_json: bool) -> None:
    from dataclasses import asdict

    if as_json:
        print_json({key: None if isinstance(v, float) and v != v else v for key, v in asdict(found).items()})
        return
    out = console()
    for line in found.sentences:
        out.print(line, soft_wrap=True)
