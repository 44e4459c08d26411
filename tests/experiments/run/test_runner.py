from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from bakeoff.errors import SpecError, StoreError
from bakeoff.experiments import (
    LocalStore,
    Progress,
    RunLock,
    analyse,
    execute,
    load_experiment,
    reopen_experiment,
    send_control,
)
from bakeoff.experiments.store._journal import read_journal
from tests.experiments.support import Scripted, arithmetic, outcome


def prepare(store: LocalStore, spec: dict[str, Any], **options: Any) -> Any:
    return load_experiment(spec, cache_dir=store.paths.datasets, **options)


async def test_every_trial_is_run_scored_and_sealed(store: LocalStore) -> None:
    client = Scripted()
    manifest = await execute(prepare(store, arithmetic(10, repeats=3)), store=store.paths, client=client)
    assert manifest.status == "complete"
    assert manifest.counts == {"trials": 60, "failed": 0, "scores": 60, "unscored": 0}
    assert manifest.cost_usd == pytest.approx(0.06)
    assert len(client.calls) == 60
    assert not store.run_paths(manifest.run_id).journal.exists(), "a complete run needs no journal"
    rows = store.trials(manifest.run_id).to_pylist()
    assert [(r["item"], r["variant"], r["repeat"]) for r in rows] == [
        (i, v, k) for i in range(10) for v in ("plain", "steps") for k in range(3)
    ]


async def test_a_failed_trial_is_missing_not_zero(store: LocalStore) -> None:
    manifest = await execute(
        prepare(store, arithmetic(10)), store=store.paths, client=Scripted({"3+3": "server", "4+4": "timeout"})
    )
    assert manifest.status == "complete"
    assert manifest.counts["failed"] == 4
    analysis = analyse(store, manifest.run_id)
    for row in analysis.metric("contains").scores:
        assert row.estimate.estimate == 1.0, "the eight others were right"
        assert (row.n_items, row.n_missing) == (8, 2)
    assert analysis.resources[0].errors == {"server": 1, "timeout": 1}
    assert any("missing, not zero" in warning for warning in analysis.warnings)


async def test_retry_errors_runs_only_what_failed(store: LocalStore) -> None:
    spec = arithmetic(10)
    manifest = await execute(prepare(store, spec), store=store.paths, client=Scripted({"3+3": "server"}))
    assert manifest.counts["failed"] == 2
    healed = Scripted()
    again = await execute(
        reopen_experiment(store, manifest.run_id),
        store=store.paths,
        resume=manifest.run_id,
        retry_errors=True,
        client=healed,
    )
    assert len(healed.calls) == 2
    assert again.counts == {"trials": 20, "failed": 0, "scores": 20, "unscored": 0}
    assert again.sessions == 2


async def test_an_evaluator_that_raises_is_a_missing_score(store: LocalStore, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "def picky(output):\n    if '8' in output: raise RuntimeError('no eights')\n    return True\n"
    )
    spec = arithmetic(10, evaluators=["contains", {"python": "mine.py:picky"}])
    manifest = await execute(prepare(store, spec, base_dir=tmp_path), store=store.paths, client=Scripted())
    assert manifest.status == "complete"
    assert manifest.counts == {"trials": 20, "failed": 0, "scores": 36, "unscored": 4}
    errors = [row["error"] for row in store.scores(manifest.run_id).to_pylist() if row["error"]]
    assert errors == ["RuntimeError: no eights"] * 4


async def test_an_async_evaluator_finds_the_answer_safe_in_the_journal(store: LocalStore, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import pathlib\n"
        "async def seen(output, item_id, variant):\n"
        f"    text = next(pathlib.Path({str(store.paths.runs)!r}).glob('*/journal.jsonl')).read_text()\n"
        '    return f\'"v":"{variant}","i":"{item_id}"\' in text\n'
    )
    spec = arithmetic(10, evaluators=[{"python": "mine.py:seen"}])
    manifest = await execute(prepare(store, spec, base_dir=tmp_path), store=store.paths, client=Scripted())
    assert [row["value"] for row in store.scores(manifest.run_id).to_pylist()] == [1.0] * 20


async def test_a_judge_outage_is_repaired_without_asking_the_model_again(store: LocalStore, tmp_path: Path) -> None:
    judge = tmp_path / "mine.py"
    judge.write_text("async def judge(output):\n    raise ConnectionError('judge is out')\n")
    spec = arithmetic(6, evaluators=[{"python": "mine.py:judge"}])
    manifest = await execute(prepare(store, spec, base_dir=tmp_path), store=store.paths, client=Scripted())
    assert manifest.counts == {"trials": 12, "failed": 0, "scores": 0, "unscored": 12}
    judge.write_text("async def judge(output):\n    return True\n")
    client = Scripted()
    experiment = reopen_experiment(store, manifest.run_id)
    again = await execute(experiment, store=store.paths, resume=manifest.run_id, retry_errors=True, client=client)
    assert client.calls == []
    assert again.counts == {"trials": 12, "failed": 0, "scores": 12, "unscored": 0}


async def test_stopping_from_outside_seals_what_is_there_and_resuming_goes_on(store: LocalStore) -> None:
    experiment = prepare(store, arithmetic(60, limits={"concurrency": 2}))

    class Slow(Scripted):
        async def complete(self, request: Any) -> Any:
            await asyncio.sleep(0.02)
            return await super().complete(request)

    first = Slow()

    def stop(progress: Progress) -> None:
        if progress.done > 5 and progress.state == "running":
            send_control(store.run_paths(progress.run_id), "stop")

    manifest = await execute(experiment, store=store.paths, client=first, on_progress=stop)
    assert manifest.status == "partial"
    assert manifest.stopped_because == "stopped by `bakeoff control`"
    done = manifest.counts["trials"]
    assert done == len(first.calls), "what was in flight was finished and kept"
    assert 5 < done < 120
    second = Scripted()
    again = await execute(experiment, store=store.paths, resume=manifest.run_id, client=second)
    assert again.status == "complete"
    assert again.counts["trials"] == 120
    assert len(second.calls) == 120 - done


async def test_pause_and_concurrency_from_outside(store: LocalStore) -> None:
    running, most = 0, 0

    class Counting(Scripted):
        async def complete(self, request: Any) -> Any:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await asyncio.sleep(0.02)
            running -= 1
            return await super().complete(request)

    experiment = prepare(store, arithmetic(60, limits={"concurrency": 2}))
    seen: list[str] = []

    def steer(progress: Progress) -> None:
        paths = store.run_paths(progress.run_id)
        seen.append(progress.state)
        if len(seen) == 1:
            send_control(paths, "pause")
        elif len(seen) == 5:
            send_control(paths, "set", concurrency=8)
            send_control(paths, "resume")

    manifest = await execute(experiment, store=store.paths, client=Counting(), on_progress=steer)
    assert manifest.status == "complete"
    assert "paused" in seen
    assert 2 < most <= 8


async def test_a_run_that_one_process_drives_cannot_be_driven_by_another(store: LocalStore) -> None:
    experiment = prepare(store, arithmetic(3))
    manifest = await execute(experiment, store=store.paths, client=Scripted())
    lock = RunLock(store.run_paths(manifest.run_id).lock)
    assert lock.acquire()
    with pytest.raises(StoreError, match="driven by another process"):
        await execute(experiment, store=store.paths, resume=manifest.run_id, client=Scripted())
    lock.release()


async def test_resuming_with_other_data_or_prompts_is_refused(store: LocalStore) -> None:
    manifest = await execute(prepare(store, arithmetic(5)), store=store.paths, client=Scripted({"1+1": "server"}))
    for change in (arithmetic(6), arithmetic(5, prompts={"plain": "{{ question }}!", "steps": "x {{ question }}"})):
        with pytest.raises(SpecError, match="cannot go on"):
            await execute(prepare(store, change), store=store.paths, resume=manifest.run_id, client=Scripted())


async def test_a_hopeless_run_stops_early(store: LocalStore) -> None:
    class Denied(Scripted):
        async def complete(self, request: Any) -> Any:
            from bakeoff.errors import ProviderError

            self.calls.append(request)
            raise ProviderError("the key is not accepted", kind="auth")

    client = Denied()
    manifest = await execute(
        prepare(store, arithmetic(400, limits={"concurrency": 4})), store=store.paths, client=client
    )
    assert manifest.status == "partial"
    assert "all failed (auth): the key is not accepted" in str(manifest.stopped_because)
    assert len(client.calls) < 70


async def test_progress_is_published(store: LocalStore) -> None:
    seen: list[Progress] = []
    manifest = await execute(
        prepare(store, arithmetic(10)), store=store.paths, client=Scripted(), on_progress=seen.append
    )
    assert (seen[-1].state, seen[-1].done, seen[-1].planned) == ("done", 20, 20)
    assert seen[-1].variants["plain"]["mean"] == 1.0
    status = store.status(manifest.run_id)
    assert status is not None
    assert status["done"] == 20


async def test_the_journal_holds_every_answer_before_the_run_is_sealed(store: LocalStore) -> None:
    client = Scripted({"0+0": "server"})
    manifest = await execute(prepare(store, arithmetic(8)), store=store.paths, client=client)
    journal = list(read_journal(store.run_paths(manifest.run_id).journal))
    assert sum(event["e"] == "trial" for event in journal) == 16


async def test_the_same_spec_and_seed_give_the_same_numbers(store: LocalStore) -> None:
    spec = arithmetic(40, repeats=2, gateway={"cache": False})
    first = await execute(prepare(store, spec), store=store.paths)
    second = await execute(prepare(store, spec), store=store.paths)
    assert outcome(store, first.run_id) == outcome(store, second.run_id)


async def test_a_rerun_is_free(store: LocalStore) -> None:
    spec = arithmetic(20, repeats=3)
    await execute(prepare(store, spec), store=store.paths)
    second = await execute(prepare(store, spec), store=store.paths)
    assert all(store.trials(second.run_id).column("cached").to_pylist())
    assert second.cost_usd == 0.0
    resources = analyse(store, second.run_id).resources
    assert all(entry.cost_usd > 0 and entry.spent_usd == 0 for entry in resources), "what it costs, and what was spent"


async def test_a_resumed_run_remembers_what_was_spent(store: LocalStore) -> None:
    """A budget holds over sessions: what is answered is counted, calls open at a kill are charged like the dearest."""
    model = {"model": "sim/small", "params": {"sim": {"time_scale": 0, "price": {"input_usd": 0, "output_usd": 100}}}}
    budget = {"usd": 0.02}
    spec = arithmetic(300, models={"small": {**model, "max_tokens": 20}}, budget=budget, limits={"concurrency": 3})
    manifest = await execute(prepare(store, spec), store=store.paths)
    assert manifest.status == "partial"
    assert "budget" in str(manifest.stopped_because)
    assert manifest.cost_usd <= 0.02
    done = manifest.counts["trials"]
    again = await execute(prepare(store, spec), store=store.paths, resume=manifest.run_id)
    assert again.cost_usd <= 0.02
    assert again.counts["trials"] >= done
    larger = {**spec, "budget": {"usd": 5.0}}
    finished = await execute(prepare(store, larger), store=store.paths, resume=manifest.run_id)
    assert finished.status == "complete"
    assert finished.counts["trials"] == 600


async def test_an_endpoint_that_stumbles_is_asked_again(store: LocalStore) -> None:
    """429, 500 and a dropped connection pass; 404 does not, and is asked once."""
    from aiohttp import web

    seen: dict[str, int] = {}

    async def stumbling(request: web.Request) -> web.StreamResponse:
        count = seen[request.path] = seen.get(request.path, 0) + 1
        if request.path == "/gone":
            return web.Response(status=404)
        if count <= 2:
            if request.path == "/drop":
                assert request.transport is not None
                request.transport.abort()
            return web.Response(status=429 if request.path == "/busy" else 500)
        return web.json_response("4")

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", stumbling)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    spec = arithmetic(1, limits={"attempts": 3, "concurrency": 1})
    spec |= {"prompts": {}, "models": {}}
    spec["targets"] = {name: {"http": {"url": f"{base}/{name}"}} for name in ("busy", "broken", "drop", "gone")}
    manifest = await execute(prepare(store, spec), store=store.paths)
    await runner.cleanup()
    rows = {row["variant"]: row for row in store.trials(manifest.run_id).to_pylist()}
    assert {name: row["ok"] for name, row in rows.items()} == {
        "busy": True,
        "broken": True,
        "drop": True,
        "gone": False,
    }
    assert seen["/gone"] == 1
    assert rows["busy"]["attempts"] == 3
