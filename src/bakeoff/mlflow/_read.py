"""Reading evaluation runs of MLflow: their traces with assessments, as plain data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bakeoff.errors import SpecError, StoreError
from bakeoff.mlflow._client import open_client, tracking_uri, without_secret

__all__ = ["read_evaluation"]

_PAGE = 100


def read_evaluation(run_id: str, *, uri: str | None = None, database: Path = Path("mlflow.db")) -> list[dict[str, Any]]:
    """Return the traces of an MLflow evaluation run, as `bakeoff import` takes them.

    Args:
        run_id: The MLflow run that `mlflow.genai.evaluate` made.
        uri: Tracking server; `MLFLOW_TRACKING_URI`, else the SQLite file.
        database: SQLite file to read when nothing else is named.

    Raises:
        MissingExtraError: MLflow is not installed.
        SpecError: The run has no traces.
        StoreError: The tracking server or database cannot be used, or has no such run.
    """
    where = tracking_uri(uri, database)
    client = open_client(where, database)
    found: list[dict[str, Any]] = []
    try:
        run = client.get_run(run_id)
        token: str | None = None
        while True:
            page = client.search_traces(
                locations=[run.info.experiment_id], run_id=run_id, max_results=_PAGE, page_token=token
            )
            found += [json.loads(trace.to_json()) for trace in page]
            token = page.token
            if not token:
                break
    except Exception as error:  # noqa: BLE001 - MLflow, SQLAlchemy and HTTP each have errors of their own
        said = without_secret(f"{type(error).__name__}: {error}", where)
        raise StoreError(f"the MLflow run {run_id!r} cannot be read: {said[:600]}") from None
    if not found:
        raise SpecError(f"the MLflow run {run_id!r} has no traces: evaluate with mlflow.genai.evaluate first")
    return found
