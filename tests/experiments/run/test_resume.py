"""Going on with a run: what may differ, what is scored late, and what a power cut leaves."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from bakeoff.errors import SpecError
from bakeoff.experiments import LocalStore, Progress, execute, load_experiment, reopen_experiment
from tests.experiments.support import Scripted, arithmetic


def prepare(store: LocalStore, spec: dict[str, Any], **options: Any) -> Any:
    return load_experiment(spec, cache_dir=store.paths.datasets, **options)


MODELS = {"small": {"model": "sim/small", "temperature": 0.2}}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"models": {"small": {"model": "sim/small", "temperature": 0.9}}}, "`models` differs in small"),
        ({"models": {"small": {"model": "sim/large", "temperature": 0.2}}}, "`models` differs in small"),
        ({"repeats": 3}, "`repeats` is 3, the run began with 2"),
        ({"seed": 5}, "`seed` is 5, the run began with its default"),
        ({"evaluators": ["exact_match"]}, "`evaluators` is ['exact_match'], the run began with ['contains']"),
        ({"analysis": {"baseline": "steps"}}, "`analysis` is {'baseline': 'steps'}, the run began with its default"),
    ],
)
async def test_resuming_what_measures_something_else_is_refused(
    change: dict[str, Any], said: str, store: LocalStore
) -> None:
    spec = arithmetic(3, repeats=2, models=MODELS)
    manifest = await execute(prepare(store, spec), store=store.paths, client=Scripted({"1+1": "server"}))
    client = Scripted()
    with pytest.raises(SpecError, match="cannot go on") as caught:
        await execute(prepare(store, spec | change), store=store.paths, resume=manifest.run_id, client=client)
    assert said in str(caught.value)
    assert client.calls == []


async def test_limits_budget_and_addresses_may_change(store: LocalStore) -> None:
    spec = arithmetic(3, models=MODELS)
    manifest = await execute(prepare(store, spec), store=store.paths, client=Scripted({"1+1": "server"}))
    moved = {"small": {**MODELS["small"], "api_base": "http://127.0.0.1:9/v1", "api_key_env": "HOME"}}
    change = {"limits": {"concurrency": 2}, "budget": {"calls": 90}, "models": moved, "description": "again"}
    again = await execute(
        prepare(store, spec | change),
        store=store.paths,
        resume=manifest.run_id,
        retry_errors=True,
        client=Scripted(),
    )
    assert again.counts == {"trials": 6, "failed": 0, "scores": 6, "unscored": 0}


async def test_what_is_scored_late_decides_as_if_it_were_scored_at_once(store: LocalStore, tmp_path: Path) -> None:
    judge = tmp_path / "mine.py"
    allocation = {"method": "sequential", "batch": 10, "min_items": 20}
    spec = arithmetic(60, evaluators=[{"python": "mine.py:judge"}], allocation=allocation)
    score = "5.0 if variant == 'steps' else int(item_id[1:]) % 7 / 3"
    works = f"async def judge(output, variant, item_id):\n    return {score}\n"
    judge.write_text(works)
    at_once = await execute(prepare(store, spec, base_dir=tmp_path), store=store.paths, client=Scripted())
    assert [one["verdict"] for one in at_once.decisions] == ["better"]

    judge.write_text("async def judge(output, variant) -> bool:\n    raise ConnectionError('out')\n")
    without = await execute(prepare(store, spec, base_dir=tmp_path), store=store.paths, client=Scripted())
    assert without.decisions == []
    judge.write_text(works)
    late = await execute(
        reopen_experiment(store, without.run_id),
        store=store.paths,
        resume=without.run_id,
        retry_errors=True,
        client=Scripted(),
    )
    assert late.decisions == at_once.decisions


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
async def test_a_second_interrupt_stops_a_judge_that_hangs_while_scores_are_made_up_for(
    store: LocalStore, tmp_path: Path
) -> None:
    judge = tmp_path / "mine.py"
    spec = arithmetic(4, evaluators=[{"python": "mine.py:judge"}])
    judge.write_text("async def judge(output):\n    raise ConnectionError('out')\n")
    first = await execute(prepare(store, spec, base_dir=tmp_path), store=store.paths, client=Scripted())
    judge.write_text("import asyncio\nasync def judge(output):\n    await asyncio.sleep(3600)\n")
    looks: list[str] = []

    def interrupt(progress: Progress) -> None:
        looks.append(progress.state)
        if progress.state in ("running", "stopping") and len(looks) <= 2:
            os.kill(os.getpid(), signal.SIGINT)

    again = await asyncio.wait_for(
        execute(
            reopen_experiment(store, first.run_id),
            store=store.paths,
            resume=first.run_id,
            retry_errors=True,
            client=Scripted(),
            on_progress=interrupt,
            handle_signals=True,
        ),
        30,
    )
    assert again.status == "partial"
    assert again.counts["trials"] == 8


async def test_an_error_of_ours_on_one_item_is_one_failed_trial(store: LocalStore) -> None:
    class Stumbling(Scripted):
        async def complete(self, request: Any) -> Any:
            if "3+3" in str(request.messages):
                raise ValueError("not thought of")
            return await super().complete(request)

    manifest = await execute(prepare(store, arithmetic(6)), store=store.paths, client=Stumbling())
    assert (manifest.status, manifest.counts["failed"]) == ("complete", 2)
    errors = {row["error"] for row in store.trials(manifest.run_id).to_pylist() if not row["ok"]}
    assert errors == {"an error in Bakeoff itself: ValueError: not thought of"}


async def test_a_key_that_a_program_or_function_quotes_is_not_kept(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "tiger-and-lamb"
    monkeypatch.setenv("SHOP_API_KEY", key)
    (tmp_path / "mine.py").write_text("import os\ndef f(question):\n    raise OSError(os.environ['SHOP_API_KEY'])\n")
    targets = {
        "program": {"command": ["sh", "-c", "echo no access with $SHOP_API_KEY >&2; exit 1"]},
        "function": {"python": "mine.py:f"},
    }
    spec = arithmetic(2, targets=targets, variants={name: {"target": name} for name in targets})
    manifest = await execute(prepare(store, spec, base_dir=tmp_path), store=store.paths)
    errors = {row["error"] for row in store.trials(manifest.run_id).to_pylist()}
    assert errors == {"'sh' exited with 1: no access with ***", "OSError: ***"}
    files = [path for path in store.paths.root.rglob("*") if path.is_file()]
    assert not [path.name for path in files if key.encode() in path.read_bytes()]


async def test_a_check_that_ends_the_program_is_a_missing_score(store: LocalStore, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("import sys\ndef check(output):\n    sys.exit('enough')\n")
    spec = arithmetic(2, evaluators=[{"python": "mine.py:check"}])
    manifest = await execute(prepare(store, spec, base_dir=tmp_path), store=store.paths, client=Scripted())
    assert manifest.counts == {"trials": 4, "failed": 0, "scores": 0, "unscored": 4}


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="names of open files")
async def test_everything_is_on_the_disk_before_the_journal_goes(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    pushed: list[str] = []
    really, remove = os.fsync, Path.unlink

    def fsync(handle: int) -> None:
        pushed.append(Path(f"/proc/self/fd/{handle}").readlink().name.strip(".").partition(".json.")[0])
        really(handle)

    def unlink(path: Path, missing_ok: bool = False) -> None:
        if path.name == "journal.jsonl":
            pushed.append("the journal is removed")
        remove(path, missing_ok)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "unlink", unlink)
    manifest = await execute(prepare(store, arithmetic(2)), store=store.paths, client=Scripted())
    sealed = [name for name in pushed if name != "journal.jsonl"]
    begun, sealing = ["manifest", manifest.run_id], ["trials.parquet.tmp", "scores.parquet.tmp", "manifest"]
    assert sealed == [*begun, *sealing, manifest.run_id, "the journal is removed"]
