"""`import results`: runs made elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bakeoff.cli._common import StoreOption, console, store_at

__all__ = ["import_results"]

_MLFLOW = "mlflow:"


def import_results(
    files: Annotated[
        list[str],
        typer.Argument(
            help="promptfoo results, Inspect .eval, MLflow traces, OpenAI Evals log, CSV; or mlflow:RUN_ID."
        ),
    ],
    form: Annotated[
        str | None,
        typer.Option(
            "--format", help="promptfoo, inspect, mlflow, openai-evals or csv [default: told by the content]."
        ),
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="Name of the experiment [default: the file's].")] = None,
    variant: Annotated[
        list[str] | None, typer.Option("--variant", help="Name for the variant of each file; repeat it for several.")
    ] = None,
    metric: Annotated[
        list[str] | None, typer.Option("--metric", help="Score column of a CSV; repeat it for several.")
    ] = None,
    lower_is_better: Annotated[
        list[str] | None, typer.Option("--lower-is-better", help="Metric of which less is better; may be repeated.")
    ] = None,
    tracking_uri: Annotated[
        str | None, typer.Option("--tracking-uri", help="MLflow server, for mlflow:RUN_ID.")
    ] = None,
    store: StoreOption = None,
) -> None:
    """Make a sealed run of results that another tool recorded. Nothing is called."""
    from bakeoff.regression import import_file, import_run

    kept = store_at(store)
    if len(files) == 1 and files[0].startswith(_MLFLOW):
        from bakeoff.mlflow import read_evaluation
        from bakeoff.regression import mlflow_run

        mlflow_id = files[0].removeprefix(_MLFLOW)
        traces = read_evaluation(mlflow_id, uri=tracking_uri, database=kept.paths.mlflow)
        read = mlflow_run(traces, name=name or f"mlflow {mlflow_id[:8]}", variant=(variant or ["mlflow"])[0])
        run_id = import_run(kept, read, lower_is_better=lower_is_better or ())
    else:
        run_id = import_file(
            kept, [Path(file) for file in files], form=form, name=name, variants=variant or (), metrics=metric or (),
            lower_is_better=lower_is_better or (),
        )  # fmt: skip
    manifest = kept.manifest(run_id)
    names = ", ".join(record.metric for record in manifest.metrics)
    out = console()
    out.print(
        f"imported {run_id}: {len(manifest.variants)} variants x {manifest.dataset_items:,} items x {manifest.repeats} "
        f"repeats, {manifest.counts.get('failed', 0):,} failed, metrics {names}",
        soft_wrap=True,
    )
    out.print(f"look     bakeoff show {run_id}", soft_wrap=True)
    out.print(f"keep     bakeoff baseline set {run_id}", soft_wrap=True)
