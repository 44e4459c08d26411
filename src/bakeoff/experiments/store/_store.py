"""Reading what runs left: sealed Parquet and the journals of runs in progress, through DuckDB, without locks."""

from __future__ import annotations

import difflib
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from bakeoff._arrow import read_parquet
from bakeoff.errors import StoreError
from bakeoff.experiments.store._control import read_status
from bakeoff.experiments.store._manifest import Manifest, read_manifest
from bakeoff.experiments.store._paths import RunLock, RunPaths, StorePaths, default_store
from bakeoff.experiments.store._tables import SCORE_COLUMNS, TRIAL_COLUMNS, empty_tables, tables_of_journal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import duckdb
    import pyarrow as pa

__all__ = ["LocalStore", "Store", "open_store"]


class Store(Protocol):
    """Where runs are kept. Object storage, PostgreSQL or a DuckDB server may take the place of local files."""

    def runs(self) -> list[Manifest]:
        """Return all runs, newest first."""
        ...

    def manifest(self, run_id: str) -> Manifest:
        """Return what a run was, with its state as of now."""
        ...

    def trials(self, run_id: str) -> pa.Table:
        """Return the trials of a run, in progress or sealed."""
        ...

    def scores(self, run_id: str) -> pa.Table:
        """Return the scores of a run, in progress or sealed."""
        ...

    def items(self, run_id: str) -> pa.Table:
        """Return the items that a run worked on, one row each in the order of `item`."""
        ...


def open_store(path: Path | str | None = None) -> LocalStore:
    """Open the store in a folder: the given one, `BAKEOFF_STORE`, or `.bakeoff` here or above."""
    return LocalStore(StorePaths(Path(path) if path is not None else default_store()))


@dataclass(slots=True)
class _Live:
    """Tables of a journal, kept until it grows."""

    size: int
    tables: tuple[pa.Table, pa.Table]


class LocalStore:
    """Runs in a folder."""

    def __init__(self, paths: StorePaths) -> None:
        self.paths = paths
        self._live: dict[str, _Live] = {}
        self._manifests: dict[str, tuple[int, Manifest]] = {}

    def runs(self) -> list[Manifest]:
        """Return all runs, newest first. What cannot be read is left out, and told by `unreadable`."""
        return self._read()[0]

    def unreadable(self) -> list[str]:
        """Return why runs are left out of `runs`, one sentence a run: damaged, or written by a newer version."""
        return self._read()[1]

    def _read(self) -> tuple[list[Manifest], list[str]]:
        if not self.paths.runs.is_dir():
            return [], []
        found: list[Manifest] = []
        left_out: list[str] = []
        for folder in sorted(self.paths.runs.iterdir(), reverse=True):
            try:
                if (folder / "manifest.json").exists():
                    found.append(self.manifest(folder.name))
            except StoreError as error:
                left_out.append(str(error))
        return sorted(found, key=lambda manifest: manifest.place, reverse=True), left_out

    def resolve(self, name: str) -> str:
        """Return the id of the run that `name` means: an id, the unambiguous start of one, or `latest`.

        Raises:
            StoreError: No run, or several, are meant.
        """
        known = sorted(path.parent.name for path in self.paths.runs.glob("*/manifest.json"))
        if not known:
            raise StoreError(f"the store {str(self.paths.root)!r} has no runs yet; start one with `bakeoff run`")
        if name in known:
            return name
        if name in ("latest", "last"):
            runs, left_out = self._read()
            if not runs:
                raise StoreError(f"no run in the store {str(self.paths.root)!r} can be read: {left_out[0]}")
            return runs[0].run_id
        found = [run_id for run_id in known if run_id.startswith(name)] or [
            run_id for run_id in known if name in run_id
        ]
        if len(found) == 1:
            return found[0]
        if found:
            raise StoreError(f"{name!r} may mean {len(found)} runs: {', '.join(found[-5:])}; write more of the id")
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.4) or known[-1:]
        raise StoreError(f"there is no run {name!r}; did you mean {near[0]!r}? `bakeoff runs` lists all")

    def run_paths(self, run_id: str) -> RunPaths:
        """Return the files of a run."""
        return self.paths.run(run_id)

    def manifest(self, run_id: str) -> Manifest:
        """Return what a run was. A run that says `running` but that no process drives is `interrupted`."""
        paths = self.paths.run(run_id)
        try:
            stamp = paths.manifest.stat().st_mtime_ns
        except FileNotFoundError:
            raise StoreError(f"there is no run {run_id!r}; `bakeoff runs` lists them") from None
        kept = self._manifests.get(run_id)
        manifest = kept[1] if kept is not None and kept[0] == stamp else read_manifest(paths.manifest)
        self._manifests[run_id] = (stamp, manifest)
        if manifest.status == "running" and not RunLock(paths.lock).is_held():
            return manifest.model_copy(update={"status": "interrupted"})
        return manifest

    def status(self, run_id: str) -> dict[str, Any] | None:
        """Return the latest progress of a run, as its process published it."""
        return read_status(self.paths.run(run_id))

    def _is_sealed(self, run_id: str) -> bool:
        return self.manifest(run_id).status in ("partial", "complete") and self.paths.run(run_id).trials.exists()

    def _tables(self, run_id: str) -> tuple[pa.Table, pa.Table]:
        paths = self.paths.run(run_id)
        size = paths.journal.stat().st_size if paths.journal.exists() else 0
        if not size:
            return empty_tables()
        live = self._live.get(run_id)
        if live is None or live.size != size:
            live = _Live(size, tables_of_journal(paths.journal, self.manifest(run_id).variant_names))
            self._live[run_id] = live
        return live.tables

    def trials(self, run_id: str, columns: Sequence[str] | None = None) -> pa.Table:
        """Return the trials of a run, in progress or sealed."""
        if not self._is_sealed(run_id):
            table = self._tables(run_id)[0]
            return table.select(list(columns)) if columns else table
        return _read(self.paths.run(run_id).trials, TRIAL_COLUMNS, columns)

    def scores(self, run_id: str, columns: Sequence[str] | None = None) -> pa.Table:
        """Return the scores of a run, in progress or sealed."""
        if not self._is_sealed(run_id):
            table = self._tables(run_id)[1]
            return table.select(list(columns)) if columns else table
        return _read(self.paths.run(run_id).scores, SCORE_COLUMNS, columns)

    def items(self, run_id: str, columns: Sequence[str] | None = None) -> pa.Table:
        """Return the items that a run worked on.

        Raises:
            StoreError: The data set is no longer in the store.
        """
        path = self.paths.datasets / self.manifest(run_id).dataset_file
        if not path.exists():
            raise StoreError(f"the data set of run {run_id!r} is not in the store ({path.name} is missing)")
        return read_parquet(path, columns or None)

    def connect(self, run_ids: Sequence[str]) -> duckdb.DuckDBPyConnection:
        """Return an in-memory connection with views `trials`, `scores` (with `run_id`) and `items` over some runs.

        Files outside the store cannot be read through it.
        """
        import duckdb

        connection = duckdb.connect(":memory:")
        connection.execute("SET TimeZone = 'UTC'")
        parts: dict[str, list[str]] = {"trials": [], "scores": [], "items": []}
        for index, run_id in enumerate(run_ids):
            paths = self.paths.run(run_id)
            sealed = self._is_sealed(run_id)
            for name, file in (("trials", paths.trials), ("scores", paths.scores)):
                source = f"read_parquet({_quote(str(file))})"
                if not sealed:
                    source = f"live_{name}_{index}"
                    connection.register(source, self._tables(run_id)[0 if name == "trials" else 1])
                parts[name].append(f"SELECT {_quote(run_id)} AS run_id, * FROM {source}")  # noqa: S608 - quoted
            dataset = self.paths.datasets / self.manifest(run_id).dataset_file
            if dataset.exists():
                parts["items"].append(
                    f"SELECT {_quote(run_id)} AS run_id, * FROM read_parquet({_quote(str(dataset))})"  # noqa: S608
                )
        for name, selects in parts.items():
            if selects:
                connection.execute(f"CREATE VIEW {name} AS {' UNION ALL BY NAME '.join(selects)}")
        return connection

    def catalogue(self) -> Path:
        """Write `bakeoff.duckdb`: a file with views over all sealed runs, for `duckdb` and other tools."""
        import duckdb

        self.paths.create()
        root = self.paths.root.resolve()
        temporary = root / ".catalogue.tmp"
        temporary.unlink(missing_ok=True)
        with duckdb.connect(str(temporary)) as connection:
            for name in ("trials", "scores"):
                if next(iter(self.paths.runs.glob(f"*/{name}.parquet")), None) is None:
                    continue
                glob = _quote(str(root / "runs" / "*" / f"{name}.parquet"))
                connection.execute(
                    f"CREATE VIEW {name} AS SELECT parse_path(filename)[-2] AS run_id, * EXCLUDE (filename) "  # noqa: S608
                    f"FROM read_parquet({glob}, filename = true, union_by_name = true)"
                )
            glob = _quote(str(root / "runs" / "*" / "manifest.json"))
            if next(iter(self.paths.runs.glob("*/manifest.json")), None) is not None:
                connection.execute(
                    "CREATE VIEW runs AS SELECT run_id, name, status, created_at, dataset_name, dataset_version, "  # noqa: S608
                    f"planned_trials, cost_usd, is_simulated FROM read_json_auto({glob}, union_by_name = true, "
                    "maximum_object_size = 67108864)"
                )
        temporary.replace(self.paths.catalogue)
        return self.paths.catalogue

    def delete(self, run_id: str) -> None:
        """Remove a run for good.

        Raises:
            StoreError: There is no such run, or a process drives it.
        """
        paths = self.paths.run(run_id)
        self.manifest(run_id)
        if RunLock(paths.lock).is_held():
            raise StoreError(f"the run {run_id!r} is in progress; stop it with `bakeoff control {run_id} stop`")
        try:
            shutil.rmtree(paths.folder)
        except OSError as error:
            raise StoreError(f"the run {run_id!r} cannot be removed: {error.strerror or error}") from error
        self._live.pop(run_id, None)
        self._manifests.pop(run_id, None)


def _read(path: Path, known: Mapping[str, str], columns: Sequence[str] | None) -> pa.Table:
    """Read a sealed table; a column that its version of Bakeoff did not write yet is null."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from bakeoff._arrow import column

    wanted = list(columns or known)
    with pq.ParquetFile(path) as file:
        written = set(file.schema_arrow.names)
    table = read_parquet(path, [name for name in wanted if name in written])
    for name in wanted:
        if name not in written:
            kind = getattr(pa, {"bool": "bool_"}.get(known[name], known[name]))()
            table = table.append_column(name, column([None] * table.num_rows, kind))
    return table.select(wanted)


def _quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
