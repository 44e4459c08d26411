"""`bakeoff score`: the answers of a run judged again, or those whose scores are missing."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bakeoff.cli._common import EnvFileOption, RunArgument, StoreOption, console, load_env, store_at
from bakeoff.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bakeoff.experiments import LocalStore, Manifest
    from bakeoff.reports import ProgressBar

__all__ = ["score", "score_run"]


def score(
    run_id: RunArgument,
    evaluators: Annotated[
        list[str] | None,
        typer.Option("--evaluators", "-e", help="Evaluator, as in a spec; may be repeated.", show_default=False),
    ] = None,
    retry_errors: Annotated[
        bool,
        typer.Option("--retry-errors", help="Score in place what this run could not score, instead of a new run."),
    ] = False,
    budget_usd: Annotated[
        float | None, typer.Option(min=0, help="Stop judging when this is spent, instead of at the spec's budget.")
    ] = None,
    store: StoreOption = None,
    env_file: EnvFileOption = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar, no tables; errors only.")] = False,
) -> None:
    """Score a sealed run again, with other evaluators, without calling its targets."""
    load_env(env_file)
    specs = _read_evaluators(evaluators or [])
    if retry_errors == bool(evaluators):
        raise SpecError(
            "say what to do: -e EVALUATOR scores all answers in a new run, --retry-errors scores in place those whose "
            "scores are missing"
        )
    kept = store_at(store)
    score_run(kept, kept.resolve(run_id), specs, budget_usd=budget_usd, quiet=quiet)


def _read_evaluators(texts: Sequence[str]) -> list[str | dict[str, Any]]:
    import yaml

    specs: list[str | dict[str, Any]] = []
    for text in texts:
        try:
            spec = yaml.safe_load(text)
        except yaml.YAMLError:
            spec = None
        if isinstance(spec, str):
            specs.append(spec)
        elif isinstance(spec, dict):
            specs.append({str(key): value for key, value in spec.items()})
        else:
            raise SpecError(
                f"the evaluator {text!r} cannot be read\n    fix: write a name, or one name with its options, as in "
                "-e numeric -e '{contains: {any: [yes, sure]}}'"
            )
    return specs


def score_run(
    store: LocalStore,
    run_id: str,
    evaluators: Sequence[str | Mapping[str, Any]],
    *,
    budget_usd: float | None,
    quiet: bool,
) -> None:
    """Score a run with other evaluators, or where scores are missing, and print what came out."""
    from bakeoff.cli._render import print_analysis
    from bakeoff.experiments import analyse, rescore_run, score_missing
    from bakeoff.reports import ProgressBar

    async def work(on_progress: ProgressBar | None) -> Manifest:
        options: dict[str, Any] = {"budget_usd": budget_usd, "on_progress": on_progress, "handle_signals": True}
        if evaluators:
            return await rescore_run(store, run_id, evaluators, base_dir=Path.cwd(), **options)
        return await score_missing(store, run_id, **options)

    if quiet or not sys.stderr.isatty():
        manifest = asyncio.run(work(None))
    else:
        with ProgressBar(console(stderr=True)) as bar:
            manifest = asyncio.run(work(bar))
    if not quiet:
        print_analysis(analyse(store, manifest.run_id))
        console().print(f"behind it  bakeoff show {manifest.run_id} --store {store.paths.root}", soft_wrap=True)
    if (store.run_paths(manifest.run_id).folder / "report.html").exists():  # else it would show what is no longer so
        from bakeoff.reports import write_report

        write_report(store, manifest.run_id)
    why = manifest.stopped_because or ""
    if manifest.status != "complete" and not why.endswith("is partial"):
        console(stderr=True).print(f"stopped: {why}")
        console(stderr=True).print(f"go on with: bakeoff score {manifest.run_id} --retry-errors")
        raise typer.Exit(130 if "interrupt" in why else 4)
