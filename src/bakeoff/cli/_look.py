"""`runs`, `show`, `compare`, `report`, `export`, `delete`: what comes after a run."""

from __future__ import annotations

from math import inf
from pathlib import Path
from typing import Annotated, Literal

import typer

from bakeoff.cli._common import (
    JsonOption,
    RunArgument,
    StoreOption,
    console,
    echo,
    print_json,
    printable,
    store_at,
    table,
)
from bakeoff.errors import SpecError

__all__ = ["compare", "delete", "export", "report", "runs", "show"]

_MetricOption = Annotated[str | None, typer.Option("--metric", "-m", help="Only this metric.")]


def runs(
    store: StoreOption = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many, newest first.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """List the runs in the store."""
    from bakeoff.reports import amount_usd, duration

    kept = store_at(store)
    found = kept.runs()[:limit]
    for reason in kept.unreadable():
        echo(f"! left out: {printable(reason)}", stderr=True)
    if as_json:
        print_json([manifest.model_dump(mode="json", exclude={"spec", "prompts"}) for manifest in found])
        return
    if not found:
        console().print(f"no runs in {kept.paths.root}; start one: bakeoff init && bakeoff run experiment.yaml")
        return
    rows = []
    for manifest in found:
        live = {} if manifest.counts else kept.status(manifest.run_id) or {}
        rows.append(
            (
                manifest.run_id,
                manifest.status,
                f"{manifest.counts.get('trials', live.get('done', 0)):,}/{manifest.planned_trials:,}",
                manifest.counts.get("failed", live.get("failed", "-")),
                len(manifest.variants),
                amount_usd(live.get("spent_usd", manifest.cost_usd)),
                duration(manifest.seconds or live.get("elapsed_s", 0.0)),
                "simulated" if manifest.is_simulated else "",
            )
        )
    table("", ["run", "status", "trials", "failed", "variants", "cost", "time", ""], rows, right=(2, 3, 4, 5, 6))


def show(
    run_id: RunArgument = "latest", store: StoreOption = None, metric: _MetricOption = None, as_json: JsonOption = False
) -> None:
    """Show what a run was and what came out."""
    from bakeoff.cli._render import print_analysis, print_insights
    from bakeoff.experiments import analyse, insights

    kept = store_at(store)
    found = kept.resolve(run_id)
    manifest = kept.manifest(found)
    analysis = analyse(kept, found, metrics=[metric] if metric else None)
    behind = insights(kept, found, metric=metric)
    if as_json:
        print_json(
            {
                "manifest": manifest.model_dump(mode="json"),
                "analysis": analysis.to_dict(),
                "insights": behind.to_dict(),
            }
        )
        return
    out = console()
    out.print(f"{manifest.name}  {found}  {manifest.status}", style="bold", soft_wrap=True)
    out.print(f"data     {analysis.dataset}, {analysis.n_items:,} items x {analysis.repeats} repeats", soft_wrap=True)
    out.print(f"started  {manifest.created_at} from {manifest.source or 'Python'}", soft_wrap=True)
    print_analysis(analysis, metric=metric)
    if analysis.metrics:
        print_insights(behind, points=analysis.metric(metric).kind == "binary")


def compare(
    run_id: Annotated[list[str] | None, typer.Argument(help="One run, or two to compare with each other.")] = None,
    store: StoreOption = None,
    metric: _MetricOption = None,
    baseline: Annotated[str | None, typer.Option(help="Variant to compare with.")] = None,
    pairs: Annotated[str | None, typer.Option(help="`baseline` or `all`.")] = None,
    alpha: Annotated[
        float | None, typer.Option(help="Chance accepted of calling a difference that is not there.")
    ] = None,
    margin: Annotated[float | None, typer.Option(help="Differences smaller than this do not matter.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare the variants of a run, or two runs item by item, and say which is better and how sure that is."""
    from bakeoff.cli._render import print_analysis
    from bakeoff.experiments import analyse, analyse_two

    kept = store_at(store)
    names = [kept.resolve(name) for name in run_id or ["latest"]]
    chosen: Literal["baseline", "all"] | None = None
    if pairs is not None:
        if pairs not in ("baseline", "all"):
            raise SpecError(f"--pairs must be 'baseline' or 'all', got {pairs!r}")
        chosen = "all" if pairs == "all" else "baseline"
    if alpha is not None and not 0 < alpha < 1:
        raise SpecError(f"--alpha must be between 0 and 1, got {alpha}")
    if margin is not None and not 0 < margin < inf:
        raise SpecError(f"--margin must be positive, got {margin}")
    if len(names) > 2:
        raise SpecError(f"compare takes one or two runs, got {len(names)}")
    if len(names) == 2:
        analysis = analyse_two(kept, names[0], names[1], metric=metric, alpha=alpha, margin=margin)
    else:
        analysis = analyse(kept, names[0], baseline=baseline, pairs=chosen, alpha=alpha, margin=margin, primary=metric)
    shown = analysis.metric(metric)
    if margin is not None and margin >= 1 and shown.kind in ("binary", "bounded"):
        raise SpecError(f"--margin {margin:g} is as large as the whole scale of {shown.metric}, which goes from 0 to 1")
    if as_json:
        print_json(analysis.to_dict())
    else:
        print_analysis(analysis, metric=metric, words=True)


def report(
    run_id: RunArgument = "latest",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="File to write; report.html in the run's folder.")
    ] = None,
    store: StoreOption = None,
) -> None:
    """Write a run as one HTML file that opens offline."""
    from bakeoff.reports import write_report

    kept = store_at(store)
    console().print(str(write_report(kept, kept.resolve(run_id), out)), soft_wrap=True)


def export(
    run_id: RunArgument,
    out: Annotated[Path, typer.Argument(help="File to write: .csv, .parquet, .json, .jsonl or .xlsx.")],
    store: StoreOption = None,
) -> None:
    """Export the trials of a run with their scores, one row each."""
    from bakeoff.reports import export_run

    kept = store_at(store)
    said = console(stderr=True)

    def tell(note: str) -> None:
        said.print(f"note: {note}", soft_wrap=True)

    console().print(str(export_run(kept, kept.resolve(run_id), out, on_note=tell)), soft_wrap=True)


def delete(
    run_id: RunArgument,
    store: StoreOption = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove a run for good."""
    kept = store_at(store)
    found = kept.resolve(run_id)
    if not yes:
        typer.confirm(f"Remove {found} for good?", abort=True)
    kept.delete(found)
    console().print(f"removed {found}")
