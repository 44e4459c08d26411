"""Log a sealed run: the spec and tables on a parent run, parameters and metrics on a child for each variant."""

from __future__ import annotations

import re
import tempfile
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from bakeoff.errors import StoreError
from bakeoff.experiments import analyse
from bakeoff.mlflow._client import open_client, tracking_uri, without_secret
from bakeoff.mlflow._traces import log_traces
from bakeoff.reports import comparison_frame, leaderboard_frame

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

    from bakeoff.experiments import Analysis, LocalStore, Manifest, MlflowSpec

__all__ = ["log_run"]

_NAME = re.compile(r"[^\w\-. :/]+")
_MAX_PARAM = 6000
_MAX_TAG = 5000


def log_run(store: LocalStore, run_id: str, spec: MlflowSpec) -> str:
    """Log a sealed run and return where it went, in words.

    The parent run carries the spec, the leaderboard, the comparisons and the Parquet tables as artifacts; each
    variant is a child with its levels as parameters and its estimates as metrics. A comparison is logged under
    `compare/<baseline>/<metric>/...`, as MLflow's own does. Logging the same run twice gives one MLflow run. With
    `spec.traces`, every trial is a trace, linked to the run of its variant.

    Args:
        store: Where the run is.
        run_id: The run.
        spec: Tracking URI, experiment name, and whether to log traces.

    Raises:
        MissingExtraError: MLflow is not installed.
        StoreError: MLflow refused.
    """
    database = store.paths.mlflow
    uri = tracking_uri(spec.tracking_uri, database)
    client = open_client(uri, database)
    manifest, analysis = store.manifest(run_id), analyse(store, run_id)
    try:
        experiment = _experiment(client, spec.experiment or manifest.name, store, uri)
        _remove_earlier(client, experiment, run_id)
        parent = _parent(client, experiment, manifest, analysis)
        children = {
            variant: _child(client, experiment, parent, variant, manifest, analysis)
            for variant in manifest.variant_names
        }
        if spec.traces:
            log_traces(client, uri, experiment, store, run_id, children)
        _artifacts(client, parent, store, manifest, analysis)
        client.set_terminated(parent, status="FINISHED" if manifest.status == "complete" else "KILLED")
    except Exception as error:  # noqa: BLE001 - MLflow, SQLAlchemy and HTTP each have errors of their own
        said = without_secret(f"{type(error).__name__}: {error}", uri)
        raise StoreError(f"MLflow refused run {run_id!r}: {said[:600]}") from None
    if uri.startswith("sqlite:"):
        return f"mlflow ui --backend-store-uri {uri}"
    return f"{without_secret(uri, uri)} (run {parent})"


def _experiment(client: MlflowClient, name: str, store: LocalStore, uri: str) -> str:
    found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    place = None
    if uri.startswith("sqlite:"):
        folder = store.paths.root.resolve() / "mlflow-artifacts"
        folder.mkdir(parents=True, exist_ok=True)
        place = folder.as_uri()
    return str(client.create_experiment(name, artifact_location=place))


def _remove_earlier(client: MlflowClient, experiment: str, run_id: str) -> None:
    """Delete what an earlier logging of this run left: a resumed run is logged anew."""
    for old in client.search_runs([experiment], f"tags.\"bakeoff.run_id\" = '{run_id}'", max_results=1000):
        client.delete_run(old.info.run_id)


def _parent(client: MlflowClient, experiment: str, manifest: Manifest, analysis: Analysis) -> str:
    tags = {
        "bakeoff.run_id": manifest.run_id,
        "bakeoff.headline": analysis.headline,
        "bakeoff.simulated": str(manifest.is_simulated).lower(),
        "bakeoff.status": manifest.status,
        **{f"bakeoff.tag.{key}": str(value) for key, value in manifest.tags.items()},
    }
    if manifest.git.get("commit"):
        tags["mlflow.source.git.commit"] = manifest.git["commit"]
    run = client.create_run(experiment, tags=_tags(tags), run_name=manifest.run_id)
    parameters = {
        "dataset": analysis.dataset,
        "items": manifest.dataset_items,
        "repeats": manifest.repeats,
        "variants": len(manifest.variants),
        "baseline": manifest.baseline,
        "primary": manifest.primary,
        "seed": manifest.spec.get("seed", 0),
    }
    metrics = {
        "trials": float(analysis.trials),
        "failed": float(analysis.failed),
        "cost_usd": analysis.cost_usd,
        "seconds": manifest.seconds,
    }
    _batch(client, run.info.run_id, parameters, metrics)
    return str(run.info.run_id)


def _child(
    client: MlflowClient, experiment: str, parent: str, variant: str, manifest: Manifest, analysis: Analysis
) -> str:
    info = next(entry for entry in manifest.variants if entry.name == variant)
    tags = {
        "mlflow.parentRunId": parent,
        "bakeoff.run_id": manifest.run_id,
        "bakeoff.variant": variant,
        "bakeoff.is_baseline": str(variant == analysis.baseline).lower(),
    }
    for comparison in analysis.metric(analysis.primary).comparisons if analysis.metrics else ():
        if comparison.candidate == variant and comparison.difference.verdict is not None:
            tags["bakeoff.verdict"] = comparison.difference.verdict.word
    run = client.create_run(experiment, tags=_tags(tags), run_name=variant)
    parameters: dict[str, Any] = dict(info.levels)
    if info.model is not None:
        parameters["model_string"] = info.model
    if info.prompt_version is not None:
        parameters["prompt_version"] = info.prompt_version
    _batch(client, run.info.run_id, parameters, _metrics(variant, analysis))
    client.set_terminated(run.info.run_id)
    return str(run.info.run_id)


def _metrics(variant: str, analysis: Analysis) -> dict[str, float]:
    used = next(entry for entry in analysis.resources if entry.variant == variant)
    metrics = {
        "trials": float(used.trials),
        "failed": float(used.failed),
        "cost_usd": used.cost_usd,
        "latency_p50_ms": used.latency_p50_ms,
        "latency_p95_ms": used.latency_p95_ms,
        "input_tokens": used.input_tokens,
        "output_tokens": used.output_tokens,
    }
    for metric in analysis.metrics:
        for row in metric.scores:
            if row.variant == variant:
                metrics[f"{metric.metric}/mean"] = row.estimate.estimate
                metrics[f"{metric.metric}/ci_low"] = row.estimate.low
                metrics[f"{metric.metric}/ci_high"] = row.estimate.high
                metrics[f"{metric.metric}/missing"] = float(row.n_missing)
        for comparison in metric.comparisons:
            if comparison.candidate == variant:
                head = f"compare/{comparison.baseline}/{metric.metric}"
                metrics[f"{head}/delta"] = comparison.difference.estimate
                metrics[f"{head}/ci_low"] = comparison.difference.low
                metrics[f"{head}/ci_high"] = comparison.difference.high
                metrics[f"{head}/p_value"] = comparison.difference.p_value
                metrics[f"{head}/p_adjusted"] = comparison.difference.p_adjusted
    return metrics


def _batch(client: MlflowClient, run: str, parameters: dict[str, Any], metrics: dict[str, float]) -> None:
    import time

    from mlflow.entities import Metric, Param

    now = int(time.time() * 1000)
    client.log_batch(
        run,
        metrics=[Metric(_named(key), value, now, 0) for key, value in metrics.items() if isfinite(value)],
        params=[Param(_named(key), str(value)[:_MAX_PARAM]) for key, value in parameters.items()],
    )


def _named(name: str) -> str:
    """Return a name that MLflow takes."""
    return _NAME.sub("_", name)[:240]


def _tags(tags: dict[str, str]) -> dict[str, str]:
    return {_named(key): value[:_MAX_TAG] for key, value in tags.items()}


def _artifacts(client: MlflowClient, parent: str, store: LocalStore, manifest: Manifest, analysis: Analysis) -> None:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "experiment.yaml").write_text(yaml.safe_dump(manifest.spec, sort_keys=False, allow_unicode=True))
        (place / "analysis.json").write_bytes(_json(analysis.to_dict()))
        for metric in analysis.metrics:
            name = _NAME.sub("_", metric.metric).replace("/", "_")
            leaderboard_frame(analysis, metric.metric).to_csv(place / f"leaderboard-{name}.csv")
        comparison_frame(analysis).to_csv(place / "comparisons.csv", index=False)
        client.log_artifacts(parent, str(place))
    paths = store.run_paths(manifest.run_id)
    for path in (paths.trials, paths.scores, paths.folder / "report.html"):
        if path.exists():
            client.log_artifact(parent, str(path))


def _json(data: dict[str, Any]) -> bytes:
    import json

    return json.dumps(data, indent=1, ensure_ascii=False).encode("utf-8", "replace")
