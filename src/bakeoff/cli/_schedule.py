"""`schedule`, `scheduler`, `monitor`: runs that come by themselves."""

from __future__ import annotations

import time
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from bakeoff.cli._common import (
    EnvFileOption,
    JsonOption,
    StoreOption,
    console,
    echo,
    load_env,
    print_json,
    store_at,
    table,
)

__all__ = ["monitor", "schedule_app", "scheduler"]

schedule_app = typer.Typer(
    name="schedule", help="Run experiments at times.", no_args_is_help=True, rich_markup_mode=None
)

_NameArgument = Annotated[str, typer.Argument(help="Name of the schedule.")]


@schedule_app.command("add")
def add(
    file: Annotated[Path, typer.Argument(help="Experiment file.")],
    cron: Annotated[str, typer.Option("--cron", help="Five fields, as in crontab: '0 6 * * *'; or @daily.")],
    timezone: Annotated[str, typer.Option("--timezone", help="IANA time zone, for instance Europe/Berlin.")] = "UTC",
    name: Annotated[str | None, typer.Option("--name", help="Name [default: the experiment's].")] = None,
    grace: Annotated[
        float, typer.Option("--grace", min=1, help="Minutes after which a late firing is missed, not made up for.")
    ] = 60,
    notify: Annotated[Path | None, typer.Option("--notify", help="File with notification channels.")] = None,
    cached: Annotated[
        bool, typer.Option("--cached", help="Answer from the response cache too: cheap, but blind to drift.")
    ] = False,
    store: StoreOption = None,
    env_file: EnvFileOption = None,
) -> None:
    """Run an experiment at the times of a cron expression."""
    from bakeoff.regression import add_schedule, load_channels

    load_env(env_file)
    options: dict[str, object] = {"cached": True} if cached else {}
    if notify is not None:
        load_channels(notify)
        options["notify"] = str(notify.resolve())
    if env_file is not None:
        options["env_file"] = str(env_file.resolve())
    kept = store_at(store)
    added = add_schedule(kept, file, cron, name=name, timezone=timezone, misfire_grace_s=60 * grace, options=options)
    console().print(f"{added.id}: next at {_at(added.next_at, added.timezone)}; keep `bakeoff scheduler` running")


@schedule_app.command("list")
def list_all(store: StoreOption = None, as_json: JsonOption = False) -> None:
    """List the schedules with their last outcome."""
    from bakeoff.regression import list_firings, list_schedules

    kept = store_at(store)
    found = list_schedules(kept)
    if as_json:
        print_json([{**asdict(schedule), "firings": [asdict(f) for f in list_firings(kept, schedule.id, limit=5)]}
                    for schedule in found])  # fmt: skip
        return
    if not found:
        console().print("no schedules; add one: bakeoff schedule add experiment.yaml --cron '0 6 * * *'")
        return
    rows = []
    for schedule in found:
        last = next(iter(list_firings(kept, schedule.id, limit=1)), None)
        state = "paused" if schedule.paused else _at(schedule.next_at, schedule.timezone)
        ended = "-" if last is None else f"{last.outcome or last.state} ({_at(last.due_at, schedule.timezone)})"
        rows.append((schedule.id, schedule.cron, schedule.timezone, state, ended, schedule.file))
    table("", ["name", "cron", "timezone", "next", "last", "file"], rows)


@schedule_app.command("history")
def history(
    name: Annotated[str | None, typer.Argument(help="Name of the schedule; all when omitted.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1)] = 20,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what was fired, missed, skipped, and how it ended."""
    from bakeoff.regression import list_firings

    found = list_firings(store_at(store), name, limit=limit)
    if as_json:
        print_json([asdict(firing) for firing in found])
        return
    rows = [(f.schedule, _at(f.due_at, "UTC"), f.state, f.outcome, f.attempts, f.run_id, f.message) for f in found]
    table("", ["schedule", "due", "state", "outcome", "attempts", "run", "message"], rows, right=(4,))


@schedule_app.command("pause")
def pause(name: _NameArgument, store: StoreOption = None) -> None:
    """Pause a schedule."""
    from bakeoff.regression import pause_schedule

    pause_schedule(store_at(store), name)
    console().print(f"{name} is paused; go on with: bakeoff schedule resume {name}")


@schedule_app.command("resume")
def resume(name: _NameArgument, store: StoreOption = None) -> None:
    """Let a paused schedule go on, from now."""
    from bakeoff.regression import pause_schedule

    schedule = pause_schedule(store_at(store), name, paused=False)
    console().print(f"{name}: next at {_at(schedule.next_at, schedule.timezone)}")


@schedule_app.command("remove")
def remove(name: _NameArgument, store: StoreOption = None) -> None:
    """Remove a schedule; its runs stay."""
    from bakeoff.regression import remove_schedule

    remove_schedule(store_at(store), name)
    console().print(f"{name} is removed")


@schedule_app.command("run-now")
def run_now(name: _NameArgument, store: StoreOption = None) -> None:
    """Ask the scheduler for a run outside the times."""
    from bakeoff.regression import request_run

    request_run(store_at(store), name)
    console().print(f"{name} runs at the scheduler's next look; without one: bakeoff scheduler --once")


@schedule_app.command("print")
def print_one(
    name: _NameArgument,
    form: Annotated[str, typer.Option("--as", help="crontab, systemd, kubernetes or github.")] = "crontab",
    image: Annotated[str, typer.Option("--image", help="Container image, for kubernetes.")] = "python:3.12-slim",
    store: StoreOption = None,
) -> None:
    """Print a schedule for a scheduler that you have already."""
    from bakeoff.regression import get_schedule, print_schedule

    kept = store_at(store)
    echo(print_schedule(get_schedule(kept, name), form, store=kept.paths.root, image=image), end="")


@schedule_app.command("fire", hidden=True)
def fire(
    name: _NameArgument,
    due: Annotated[float, typer.Option("--due")],
    owner: Annotated[str, typer.Option("--owner")],
    store: StoreOption = None,
    env_file: EnvFileOption = None,
) -> None:
    """Run one claimed firing; the scheduler starts this."""
    from bakeoff.regression import run_firing

    load_env(env_file)
    run_firing(store_at(store), name, due, owner)


def monitor(
    experiment: Annotated[str | None, typer.Argument(help="Experiment; the latest run's when omitted.")] = None,
    metric: Annotated[list[str] | None, typer.Option("--metric", "-m", help="Metric; may be repeated.")] = None,
    reference: Annotated[int, typer.Option("--reference", min=3, help="First runs, which say what is normal.")] = 20,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the control charts of an experiment's runs: has it drifted, since when, and because of what.

    Exit code: 0 in control, 1 drifted.
    """
    from bakeoff.regression import monitor as watch

    kept = store_at(store)
    name = experiment or kept.manifest(kept.resolve("latest")).name
    found = watch(kept, name, metrics=metric, reference_runs=reference)
    if as_json:
        print_json(found.to_dict())
    else:
        out = console()
        for chart in found.charts:
            style = "bold red" if chart.alarm else "green"
            out.print(f"{chart.metric} ({chart.variant}): {chart.sentence}", style=style, soft_wrap=True)
            out.print(f"    {chart.sparkline}", soft_wrap=True)
            for note in chart.notes:
                out.print(f"    ! {note}", style="yellow", soft_wrap=True)
        out.print(found.statement, style="dim", soft_wrap=True)
    raise typer.Exit(int(any(chart.alarm for chart in found.charts)))


def scheduler(
    poll: Annotated[float, typer.Option("--poll", min=0.2, help="Seconds between two looks.")] = 5.0,
    once: Annotated[bool, typer.Option("--once", help="Look once, wait for what was started, and end.")] = False,
    store: StoreOption = None,
) -> None:
    """Run what is scheduled, until stopped. Several schedulers may run on one store."""
    from bakeoff.regression import Scheduler, list_schedules

    kept = store_at(store)

    def say(line: str) -> None:
        echo(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {line}", stderr=True)

    process = Scheduler(kept, poll_s=poll, say=say)
    if once:
        process.look()
        process.wait()
        return
    say(f"watching {len(list_schedules(kept))} schedules in {kept.paths.root}")
    process.run()


def _at(moment: float | None, timezone: str) -> str:
    if moment is None:
        return "-"
    return datetime.fromtimestamp(moment, ZoneInfo(timezone)).strftime("%Y-%m-%d %H:%M %Z")
