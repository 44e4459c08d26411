"""`run` and `resume`: what makes results."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bakeoff.cli._common import EnvFileOption, RunArgument, StoreOption, console, load_env, store_at, tell_error
from bakeoff.errors import BakeoffError, StoreError

if TYPE_CHECKING:
    from bakeoff.experiments import Experiment, LocalStore, Manifest

__all__ = ["resume", "run"]

_FileArgument = Annotated[Path, typer.Argument(help="Experiment file.")]
_QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar, no tables; errors only.")]
_ReportOption = Annotated[bool, typer.Option("--report/--no-report", help="Write report.html into the run's folder.")]
_MlflowOption = Annotated[bool, typer.Option("--mlflow/--no-mlflow", help="Log to MLflow when the spec says so.")]


def run(
    file: _FileArgument,
    store: StoreOption = None,
    env_file: EnvFileOption = None,
    concurrency: Annotated[int | None, typer.Option(min=1, help="Trials in flight, instead of the spec's.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N items: a quick look.")] = None,
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Ask the models even where the cache has the answer.")
    ] = False,
    refresh: Annotated[bool, typer.Option("--refresh", help="Ask again and overwrite the cache.")] = False,
    report: _ReportOption = True,
    mlflow: _MlflowOption = True,
    gate: Annotated[bool, typer.Option("--gate/--no-gate", help="Decide the spec's gate, and obey it.")] = True,
    quiet: _QuietOption = False,
) -> None:
    """Run an experiment, print the comparison, write the report; exit as its gate says, where it has one."""
    load_env(env_file)
    changes: dict[str, dict[str, Any]] = {"limits": {}, "gateway": {}, "dataset": {}}
    if concurrency is not None:
        changes["limits"]["concurrency"] = concurrency
    if no_cache:
        changes["gateway"]["cache"] = False
    if refresh:
        changes["gateway"]["refresh"] = True
    if limit is not None:
        changes["dataset"]["limit"] = limit
    kept = store_at(store)
    experiment = _load(file, kept, changes)
    _go(experiment, kept, resume=None, retry_errors=False, report=report, mlflow=mlflow, quiet=quiet, gate=gate)


def resume(
    run_id: RunArgument = "latest",
    file: Annotated[
        Path | None,
        typer.Option("--file", help="Experiment file to take limits and budget from; the run's own spec when omitted."),
    ] = None,
    store: StoreOption = None,
    env_file: EnvFileOption = None,
    retry_errors: Annotated[
        bool, typer.Option("--retry-errors", help="Run failed trials and missing scores again.")
    ] = False,
    report: _ReportOption = True,
    mlflow: _MlflowOption = True,
    quiet: _QuietOption = False,
) -> None:
    """Go on with a run that was stopped or killed. Nothing already answered is paid for again."""
    from bakeoff.experiments import reopen_experiment

    load_env(env_file)
    kept = store_at(store)
    found = kept.resolve(run_id)
    if "scored_from" in kept.manifest(found).tags:  # made by `bakeoff score`: its targets are not called
        from bakeoff.cli._score import score_run

        score_run(kept, found, [], budget_usd=None, quiet=quiet)
        return
    experiment = reopen_experiment(kept, found, source=file)
    _go(experiment, kept, resume=found, retry_errors=retry_errors, report=report, mlflow=mlflow, quiet=quiet)


def _load(file: Path, store: LocalStore, changes: dict[str, dict[str, Any]]) -> Experiment:
    from bakeoff.experiments import ExperimentSpec, load_experiment, parse_spec

    store.paths.create()
    if not any(changes.values()):
        return load_experiment(file, cache_dir=store.paths.datasets)
    spec, _ = parse_spec(file)
    sections = {name: getattr(spec, name).model_copy(update=values) for name, values in changes.items() if values}
    changed: ExperimentSpec = spec.model_copy(update=sections)
    return load_experiment(file, spec=changed, cache_dir=store.paths.datasets)


def _go(
    experiment: Experiment,
    store: LocalStore,
    *,
    resume: str | None,
    retry_errors: bool,
    report: bool,
    mlflow: bool,
    quiet: bool,
    gate: bool = True,
) -> None:
    from bakeoff.evaluators import models_asked

    if experiment.spec.gate:
        from bakeoff.regression import check_gate

        check_gate(experiment)
    manifest = _execute(experiment, store, resume=resume, retry_errors=retry_errors, quiet=quiet)
    written = _finish(experiment, store, manifest, report=report, mlflow=mlflow, quiet=quiet)
    if manifest.counts.get("trials") and manifest.counts["failed"] == manifest.counts["trials"]:
        console(stderr=True).print(
            f"every trial failed; mend the cause, then: bakeoff resume {manifest.run_id} --retry-errors", soft_wrap=True
        )
        raise typer.Exit(4)
    if manifest.counts.get("unscored") and any(map(models_asked, experiment.evaluators)):
        told = f"{manifest.counts['unscored']:,} scores are missing; if a judge was the cause, ask it again with: "
        console(stderr=True).print(f"{told}bakeoff score {manifest.run_id} --retry-errors", soft_wrap=True)
    if manifest.status != "complete":
        if manifest.stopped_because:
            console(stderr=True).print(f"stopped: {manifest.stopped_because}")
        console(stderr=True).print(f"go on with: bakeoff resume {manifest.run_id}")
        raise typer.Exit(130 if "interrupt" in (manifest.stopped_because or "") else 4)
    if experiment.spec.gate and gate:
        from bakeoff.cli._regression import obey_gate

        def again(wider: Experiment) -> Manifest:
            return _execute(wider, store, resume=None, retry_errors=False, quiet=quiet)

        code = obey_gate(experiment, store, manifest.run_id, run=again, quiet=quiet)
        raise typer.Exit(code if code or written else 4)
    if not written:
        raise typer.Exit(4)


def _execute(
    experiment: Experiment, store: LocalStore, *, resume: str | None, retry_errors: bool, quiet: bool
) -> Manifest:
    from bakeoff.experiments import execute
    from bakeoff.reports import ProgressBar

    _allow_connections(experiment.spec.limits.concurrency)
    gc.freeze()  # what is loaded stays: it need not be looked through again

    async def work() -> Manifest:
        options: dict[str, Any] = {"resume": resume, "retry_errors": retry_errors, "handle_signals": True}
        if quiet or not sys.stderr.isatty():
            return await execute(experiment, store=store.paths, **options)
        with ProgressBar(console(stderr=True)) as bar:
            return await execute(experiment, store=store.paths, on_progress=bar, **options)

    return asyncio.run(work())


def _allow_connections(concurrency: int) -> None:
    """Raise the soft limit of open files, where the system lets us: one for each call, and some for the rest."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * concurrency + 256
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _finish(
    experiment: Experiment, store: LocalStore, manifest: Manifest, *, report: bool, mlflow: bool, quiet: bool
) -> bool:
    """Print the comparison first, then write what takes longer; whether all of that could be written.

    What could not is said, and the rest goes on: a full disk is no reason not to decide the gate.
    """
    out, written = console(), True
    if not quiet:
        try:
            _print_answer(store, manifest)
        except OSError as error:
            tell_error(error)
            quiet, written = True, False
    if report:
        from bakeoff.reports import write_report

        try:
            path = write_report(store, manifest.run_id)
        except (OSError, StoreError) as error:
            tell_error(error)
            written = False
        else:
            if not quiet:
                out.print(f"report     {path}", soft_wrap=True)
    if mlflow and experiment.spec.mlflow.enabled:
        _log_to_mlflow(experiment, store, manifest, quiet=quiet)
    if not quiet:
        out.print(f"look       bakeoff ui --store {store.paths.root}", soft_wrap=True)
    return written


def _print_answer(store: LocalStore, manifest: Manifest) -> None:
    from bakeoff.cli._render import print_analysis, print_insights
    from bakeoff.experiments import analyse, insights

    out, analysis = console(), analyse(store, manifest.run_id)
    print_analysis(analysis)
    if analysis.metrics:
        points = analysis.metric().kind == "binary"
        print_insights(insights(store, manifest.run_id), points=points, brief=True)
    out.print(f"behind it  bakeoff show {manifest.run_id} --store {store.paths.root}", soft_wrap=True)
    out.print(f"results    {store.run_paths(manifest.run_id).folder}", soft_wrap=True)


def _log_to_mlflow(experiment: Experiment, store: LocalStore, manifest: Manifest, *, quiet: bool) -> None:
    from bakeoff.errors import MissingExtraError
    from bakeoff.mlflow import log_run

    try:
        where = log_run(store, manifest.run_id, experiment.spec.mlflow)
    except MissingExtraError:
        return  # logging is on by default, MLflow is an extra: its absence is no error
    except BakeoffError as error:
        console(stderr=True).print(f"warning: not logged to MLflow: {error}")
        return
    if not quiet:
        console().print(f"mlflow     {where}", soft_wrap=True)
