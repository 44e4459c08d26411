"""`status`, `control`, `cache`: what other terminals may ask of a run and of the store."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Annotated, Any

import typer

from bakeoff.cli._common import JsonOption, RunArgument, StoreOption, console, print_json, store_at
from bakeoff.errors import SpecError, StoreError

__all__ = ["cache", "control", "status"]


def status(
    run_id: RunArgument = "latest",
    store: StoreOption = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Keep showing until the run ends.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show how a run is doing, from any terminal."""
    from bakeoff.reports import amount_usd, duration

    kept = store_at(store)
    found = kept.resolve(run_id)
    while True:
        manifest = kept.manifest(found)
        now: dict[str, Any] = kept.status(found) or {}
        if as_json:
            print_json({"run_id": found, "status": manifest.status, **now})
        else:
            done, planned = now.get("done", 0), manifest.planned_trials
            line = f"{found}  {manifest.status}  {done:,}/{planned:,} trials, {now.get('failed', 0)} failed"
            if manifest.status == "running":
                line += f", {now.get('rate_per_s', 0):.1f}/s, {duration(now.get('eta_s'))} left"
                line += f", {amount_usd(now.get('spent_usd'))}, {now.get('concurrency')} at once, {now.get('state')}"
            console().print(line, soft_wrap=True)
        if not watch or manifest.status != "running":
            return
        time.sleep(1.0)


def control(
    run_id: RunArgument,
    action: Annotated[str, typer.Argument(help="pause, resume, stop, or set.")],
    setting: Annotated[str | None, typer.Argument(help="For set: concurrency=N.")] = None,
    store: StoreOption = None,
) -> None:
    """Pause, resume or stop a run that goes on in another terminal, or change how many calls it makes at once."""
    from bakeoff.experiments import send_control

    kept = store_at(store)
    paths = kept.run_paths(kept.resolve(run_id))
    if action == "set":
        name, _, value = (setting or "").partition("=")
        if name != "concurrency" or not value.isdigit():
            raise SpecError(f"set takes concurrency=N, got {setting!r}")
        send_control(paths, "set", concurrency=int(value))
    elif action == "pause":
        send_control(paths, "pause")
    elif action == "resume":
        send_control(paths, "resume")
    elif action == "stop":
        send_control(paths, "stop")
    else:
        raise SpecError(f"there is no action {action!r}; use pause, resume, stop, or set concurrency=N")
    console().print(f"asked {paths.run_id} to {action}" + (f" {setting}" if setting else ""))


def cache(
    action: Annotated[str, typer.Argument(help="stats or clear.")] = "stats",
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show or clear the response cache."""
    from bakeoff.gateway import ResponseCache

    kept = store_at(store)
    if action not in ("stats", "clear"):
        raise SpecError(f"there is no action {action!r}; use stats or clear")
    if not kept.paths.cache.exists():
        if as_json:
            print_json({"entries": 0, "removed": 0} if action == "clear" else {"entries": 0, "size_mb": 0.0})
            return
        console().print(f"no cache at {kept.paths.cache}", soft_wrap=True)
        return
    with ResponseCache(kept.paths.cache) as opened:
        if not opened.is_open:
            raise StoreError("; ".join(opened.warnings))
        if action == "clear":
            removed = opened.clear()
            if as_json:
                print_json({"entries": 0, "removed": removed})
            else:
                console().print(f"removed {removed:,} answers")
            return
        stats = opened.stats()
    if as_json:
        print_json({name: getattr(stats, name) for name in stats.__slots__})
    else:
        dated = {"oldest_s": "oldest", "newest_s": "newest"}
        for name in stats.__slots__:
            value = getattr(stats, name)
            if name in dated and value is not None:
                value = datetime.fromtimestamp(value).astimezone().isoformat(sep=" ", timespec="seconds")
            console().print(f"{dated.get(name, name):<14} {value}", soft_wrap=True)
