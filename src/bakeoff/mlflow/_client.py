"""The only importer of MLflow: one accessor that switches its telemetry off first."""

from __future__ import annotations

import contextlib
import logging
import os
import warnings
from typing import TYPE_CHECKING

from bakeoff.errors import MissingExtraError, StoreError
from bakeoff.experiments import RunLock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mlflow.tracking import MlflowClient

__all__ = ["open_client", "tracking_uri", "without_secret"]


def tracking_uri(named: str | None, database: Path) -> str:
    """Return where to log: what the spec names, `MLFLOW_TRACKING_URI`, or a SQLite file in the store."""
    return named or os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{database.resolve()}"


def open_client(uri: str, database: Path) -> MlflowClient:
    """Connect to MLflow.

    Two processes that create the same SQLite database at once would collide, so the first use of the store's own
    database happens under a lock.

    Raises:
        MissingExtraError: MLflow is not installed.
        StoreError: The tracking server or database cannot be used.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("DO_NOT_TRACK", "true")
    try:
        with quiet_dependencies():
            from mlflow.tracking import MlflowClient
    except ImportError as error:
        raise MissingExtraError("logging to MLflow", "mlflow") from error
    for name in ("mlflow", "mlflow.store.db.utils", "alembic"):  # they say at INFO that a database was made
        logging.getLogger(name).setLevel(logging.WARNING)
    lock = RunLock(database.with_suffix(".lock"))
    if uri.startswith("sqlite:") and not database.exists():
        lock.wait()
    try:
        with quiet_dependencies():
            client = MlflowClient(tracking_uri=uri)
            client.search_experiments(max_results=1)
    except Exception as error:  # noqa: BLE001 - MLflow, SQLAlchemy and HTTP each have errors of their own
        said = without_secret(f"{type(error).__name__}: {error}", uri)
        raise StoreError(f"MLflow at {_public(uri)!r} cannot be used: {said[:600]}") from None
    finally:
        lock.release()
    return client


@contextlib.contextmanager
def quiet_dependencies() -> Iterator[None]:
    """Keep deprecations inside MLflow's own dependencies from users, and from stopping it where warnings are errors.

    SQLAlchemy remembers a mapping that failed once as failed for the life of the process.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        yield


def without_secret(text: str, uri: str) -> str:
    """Leave out the user and password of a URI from a text that may quote it."""
    user = uri.partition("://")[2].rpartition("@")[0]
    for secret in (user, user.partition(":")[2]):
        if secret:
            text = text.replace(secret, "***")
    return text


def _public(uri: str) -> str:
    """Leave out a password in a URI."""
    scheme, separator, rest = uri.partition("://")
    user, at, host = rest.rpartition("@")
    return f"{scheme}{separator}***@{host}" if at and user else uri
