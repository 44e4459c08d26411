from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from bakeoff.errors import StoreError
from bakeoff.experiments import LocalStore, RunLock, execute, load_experiment, open_store
from bakeoff.gateway import ModelRequest, ModelResponse, Usage
from tests.experiments.support import Scripted, arithmetic


@pytest.fixture
async def filled(store: LocalStore) -> LocalStore:
    for _ in range(2):
        experiment = load_experiment(arithmetic(10), cache_dir=store.paths.datasets)
        await execute(experiment, store=store.paths, client=Scripted())
    return store


async def test_runs_are_listed_newest_first(filled: LocalStore) -> None:
    first, second = filled.runs()
    assert first.created_at >= second.created_at


async def test_a_name_may_be_short_but_not_ambiguous(filled: LocalStore) -> None:
    newest = filled.runs()[0].run_id
    assert filled.resolve("latest") == filled.resolve(newest) == filled.resolve(newest[-4:]) == newest
    with pytest.raises(StoreError, match="may mean 2 runs"):
        filled.resolve("sums")
    with pytest.raises(StoreError, match="there is no run 'nope'; did you mean"):
        filled.resolve("nope")


def test_an_empty_store_says_what_to_do(store: LocalStore) -> None:
    assert store.runs() == []
    with pytest.raises(StoreError, match="has no runs yet; start one with `bakeoff run`"):
        store.resolve("latest")


async def test_sql_over_runs(filled: LocalStore) -> None:
    ids = [run.run_id for run in filled.runs()]
    with filled.connect(ids) as connection:
        rows = connection.execute(
            "SELECT run_id, variant, avg(value), count(*) FROM scores GROUP BY ALL ORDER BY ALL"
        ).fetchall()
        (items,) = connection.execute("SELECT count(DISTINCT id) FROM items").fetchone() or (0,)
    assert [row[1:] for row in rows] == [("plain", 1.0, 10), ("steps", 1.0, 10)] * 2
    assert items == 10


async def test_the_catalogue_opens_in_any_duckdb(filled: LocalStore) -> None:
    path = filled.catalogue()
    with duckdb.connect(str(path), read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM trials").fetchone() == (40,)
        assert connection.execute("SELECT count(*) FROM runs WHERE status = 'complete'").fetchone() == (2,)


async def test_a_store_may_be_moved(filled: LocalStore, tmp_path: Path) -> None:
    moved = tmp_path / "else where's"
    shutil.copytree(filled.paths.root, moved)
    again = open_store(moved)
    assert again.trials(again.resolve("latest")).num_rows == 20
    with again.connect([again.resolve("latest")]) as connection:
        assert connection.execute("SELECT count(*) FROM trials").fetchone() == (20,)


async def test_a_damaged_manifest_hides_one_run_only(filled: LocalStore) -> None:
    newest = filled.runs()[0].run_id
    filled.run_paths(newest).manifest.write_bytes(b"{broken")
    assert len(open_store(filled.paths.root).runs()) == 1
    with pytest.raises(StoreError, match="is damaged"):
        open_store(filled.paths.root).manifest(newest)


async def test_a_run_in_progress_is_not_deleted(filled: LocalStore) -> None:
    newest = filled.runs()[0].run_id
    lock = RunLock(filled.run_paths(newest).lock)
    assert lock.acquire()
    with pytest.raises(StoreError, match="is in progress; stop it"):
        filled.delete(newest)
    lock.release()
    filled.delete(newest)
    assert len(filled.runs()) == 1


def test_the_store_is_found_in_a_parent_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BAKEOFF_STORE", raising=False)
    (tmp_path / ".bakeoff" / "runs").mkdir(parents=True)
    (tmp_path / "deep" / "er").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "deep" / "er")
    assert open_store().paths.root == tmp_path / ".bakeoff"
    monkeypatch.setenv("BAKEOFF_STORE", str(tmp_path / "named"))
    assert open_store().paths.root == tmp_path / "named"


def test_a_store_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"cannot be written.*choose another with --store"):
        open_store(tmp_path / "file" / "store").paths.create()


async def test_values_of_the_wrong_kind_do_not_keep_a_run_from_its_seal(store: LocalStore) -> None:
    class Odd(Scripted):
        async def complete(self, request: ModelRequest) -> ModelResponse:
            usage = Usage(input_tokens=2**64 - 1, output_tokens=2**63)
            return replace(await super().complete(request), fingerprint=123, usage=usage)  # type: ignore[arg-type]

    experiment = load_experiment(arithmetic(2), cache_dir=store.paths.datasets)
    manifest = await execute(experiment, store=store.paths, client=Odd())
    assert manifest.status == "complete"
    rows = store.trials(manifest.run_id, ["fingerprint", "input_tokens", "output_tokens", "output"]).to_pylist()
    assert rows[0] == {"fingerprint": "123", "input_tokens": None, "output_tokens": None, "output": "0"}
