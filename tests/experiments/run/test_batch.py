from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp.test_utils import TestServer

from bakeoff.errors import SpecError
from bakeoff.experiments import LocalStore, Progress, execute, load_experiment, plan_run, reopen_experiment
from bakeoff.experiments.store._journal import read_journal
from tests.experiments.batch_server import PRICED_INPUT, PRICED_OUTPUT, BatchServer
from tests.experiments.support import arithmetic

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

KEY = "sk-test-secret-key-1234567890"
PER_CALL = (PRICED_INPUT * 0.15 + PRICED_OUTPUT * 0.60) / 1e6 / 2
"""Half of the published 0.15 and 0.60 USD per million tokens of gpt-4o-mini."""


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    monkeypatch.setenv("BAKEOFF_STATE_DIR", str(tmp_path / "state"))


@pytest.fixture
async def server() -> AsyncIterator[BatchServer]:
    batches = BatchServer()
    async with TestServer(batches.app()) as running:
        batches.url = str(running.make_url("")).rstrip("/")
        yield batches


def spec_for(server: BatchServer, n: int = 6, **keys: Any) -> dict[str, Any]:
    model = {"model": "openai/gpt-4o-mini", "api_base": f"{server.url}/v1", "api_key_env": "OPENAI_API_KEY"}
    spec = arithmetic(n, models={"small": {**model, "max_tokens": 600}}, **keys)
    spec["gateway"] = {"mode": "batch", "batch_poll_s": 0.02, **keys.get("gateway", {})}
    return spec


def prepare(store: LocalStore, spec: dict[str, Any]) -> Any:
    return load_experiment(spec, cache_dir=store.paths.datasets)


async def test_every_trial_is_answered_at_half_the_price(store: LocalStore, server: BatchServer) -> None:
    manifest = await execute(prepare(store, spec_for(server, repeats=2)), store=store.paths)
    assert (manifest.status, manifest.stopped_because) == ("complete", None)
    assert manifest.counts == {"trials": 24, "failed": 0, "scores": 24, "unscored": 0}
    assert (server.created, server.uploads) == (1, 1), "both variants share one model, hence one batch"
    assert server.keys == {f"Bearer {KEY}"}
    assert server.requests[0]["max_tokens"] == 600
    rows = store.trials(manifest.run_id).to_pylist()
    assert {row["output"] for row in rows} == {str(2 * i) for i in range(6)}
    assert all(row["output"] == str(2 * row["item"]) for row in rows), "each answer went to its own item"
    assert {(row["route"], row["latency_ms"]) for row in rows} == {("batch", None)}
    assert [row["cost_usd"] for row in rows] == pytest.approx([PER_CALL] * 24)
    assert manifest.cost_usd == pytest.approx(24 * PER_CALL)
    assert {row["value"] for row in store.scores(manifest.run_id).to_pylist()} == {1.0}


async def test_anthropic_message_batches(store: LocalStore, server: BatchServer) -> None:
    server.failing = {"3+3"}
    spec = spec_for(server)
    spec["models"]["small"] |= {
        "model": "anthropic/claude-haiku-4-5",
        "api_base": server.url,
        "api_key_env": "ANTHROPIC_API_KEY",
    }
    manifest = await execute(prepare(store, spec), store=store.paths)
    assert manifest.counts == {"trials": 12, "failed": 1, "scores": 11, "unscored": 0}
    rows = store.trials(manifest.run_id).to_pylist()
    [bad] = [row for row in rows if not row["ok"]]
    assert (bad["item"], bad["variant"], bad["error_kind"]) == (3, "plain", "context_length")
    half = (PRICED_INPUT * 1.0 + PRICED_OUTPUT * 5.0) / 1e6 / 2  # published price of Claude Haiku 4.5
    assert [row["cost_usd"] for row in rows if row["ok"]] == pytest.approx([half] * 11)
    assert all(row["output"] == str(2 * row["item"]) for row in rows if row["ok"])


async def test_two_models_are_two_batches(store: LocalStore, server: BatchServer) -> None:
    spec = spec_for(server)
    spec["models"]["large"] = {**spec["models"]["small"], "model": "openai/gpt-4o"}
    manifest = await execute(prepare(store, spec), store=store.paths)
    assert (manifest.status, server.created) == ("complete", 2)


async def test_requests_are_split_into_batches(
    store: LocalStore, server: BatchServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bakeoff.experiments.run._batch.MAX_REQUESTS", 5)
    manifest = await execute(prepare(store, spec_for(server)), store=store.paths)
    assert (manifest.status, manifest.counts["trials"], server.created) == ("complete", 12, 3)
    monkeypatch.setattr("bakeoff.experiments.run._batch.MAX_BYTES", 400)
    sizes = [len(body) for name, body in server.files.items() if name.startswith("file-")]
    await execute(prepare(store, spec_for(server)), store=store.paths)
    later = [len(body) for name, body in server.files.items() if name.startswith("file-")][len(sizes) :]
    assert len(later) > 3
    assert max(later) <= 400


async def test_failed_requests_are_missing_and_can_be_tried_again(store: LocalStore, server: BatchServer) -> None:
    server.failing, server.dropping = {"3+3"}, {"4+4"}
    manifest = await execute(prepare(store, spec_for(server)), store=store.paths)
    kinds = {row["item"]: row["error_kind"] for row in store.trials(manifest.run_id).to_pylist() if not row["ok"]}
    assert kinds == {3: "context_length", 4: "bad_response"}
    assert manifest.cost_usd == pytest.approx(10 * PER_CALL), "what was not answered costs nothing"
    server.failing, server.dropping = set(), set()
    again = await execute(
        reopen_experiment(store, manifest.run_id), store=store.paths, resume=manifest.run_id, retry_errors=True
    )
    assert again.counts == {"trials": 12, "failed": 0, "scores": 12, "unscored": 0}
    assert (server.created, len(server.requests)) == (2, 14)


@pytest.mark.parametrize(("ending", "kind"), [("expired", "timeout"), ("failed", "bad_request")])
async def test_a_batch_that_ends_badly(store: LocalStore, server: BatchServer, ending: str, kind: str) -> None:
    server.ending = ending
    manifest = await execute(prepare(store, spec_for(server, 20)), store=store.paths)
    rows = store.trials(manifest.run_id).to_pylist()
    assert len(rows) == 40, "all are recorded, though all failed"
    assert {row["error_kind"] for row in rows} == {kind}
    assert manifest.cost_usd == 0
    if ending == "failed":
        assert "line 1 is not valid" in rows[0]["error"]


async def test_a_refused_creation_is_tried_again(store: LocalStore, server: BatchServer) -> None:
    server.refuse = 2
    manifest = await execute(prepare(store, spec_for(server)), store=store.paths)
    assert (manifest.status, server.created, server.uploads) == ("complete", 1, 1)


async def test_a_creation_that_stays_refused_stops_the_run_and_leaks_no_key(
    store: LocalStore, server: BatchServer
) -> None:
    server.refuse = 100
    manifest = await execute(prepare(store, spec_for(server, limits={"attempts": 2})), store=store.paths)
    assert (manifest.status, server.created) == ("partial", 0)
    assert "no batch of 12 requests could be created" in str(manifest.stopped_because)
    assert KEY not in str(manifest.stopped_because)
    server.refuse = 0
    again = await execute(reopen_experiment(store, manifest.run_id), store=store.paths, resume=manifest.run_id)
    assert again.status == "complete"


async def test_looks_that_fail_are_repeated(store: LocalStore, server: BatchServer) -> None:
    server.fail_looks = 3
    manifest = await execute(prepare(store, spec_for(server)), store=store.paths)
    assert (manifest.status, server.created) == ("complete", 1)


async def interrupted(store: LocalStore, server: BatchServer, *, kill: bool, spec: dict[str, Any] | None = None) -> str:
    """Start a run and end it once its batch is created; return the run's id."""
    server.frozen = True
    ids: asyncio.Queue[str] = asyncio.Queue()

    def watch(progress: Progress) -> None:
        ids.put_nowait(progress.run_id)

    spec = spec or spec_for(server)
    task = asyncio.create_task(execute(prepare(store, spec), store=store.paths, on_progress=watch))
    async with asyncio.timeout(10):
        await server.looked.wait()
        run_id = await ids.get()
    if kill:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    else:
        from bakeoff.experiments import send_control

        send_control(store.run_paths(run_id), "stop")
        manifest = await task
        assert (manifest.status, manifest.counts["trials"]) == ("partial", 0)
    return run_id


@pytest.mark.parametrize("kill", [False, True])
async def test_an_interrupted_run_goes_on_with_the_same_batch(
    store: LocalStore, server: BatchServer, *, kill: bool
) -> None:
    run_id = await interrupted(store, server, kill=kill)
    [event] = [event for event in read_journal(store.run_paths(run_id).journal) if event["e"] == "batch"]
    assert (event["id"], event["n"], event["model"]) == ("batch_1", 12, "openai/gpt-4o-mini")
    server.frozen = False
    manifest = await execute(reopen_experiment(store, run_id), store=store.paths, resume=run_id)
    assert manifest.status == "complete"
    assert manifest.counts == {"trials": 12, "failed": 0, "scores": 12, "unscored": 0}
    assert server.created == 1, "no batch was paid for twice"
    assert manifest.cost_usd == pytest.approx(12 * PER_CALL)


async def test_a_session_that_died_while_it_recorded_goes_on_where_it_was(
    store: LocalStore, server: BatchServer
) -> None:
    server.failing = {"3+3"}  # a run with a failure keeps its journal
    manifest = await execute(prepare(store, spec_for(server)), store=store.paths)
    journal = store.run_paths(manifest.run_id).journal
    lines = journal.read_bytes().splitlines(keepends=True)
    done = [place for place, line in enumerate(lines) if b'"batch_done"' in line]
    trials = [place for place, line in enumerate(lines) if b'"trial"' in line]
    lost = {*done, *trials[-5:]}
    journal.write_bytes(b"".join(line for place, line in enumerate(lines) if place not in lost))
    again = await execute(reopen_experiment(store, manifest.run_id), store=store.paths, resume=manifest.run_id)
    assert again.counts == {"trials": 12, "failed": 1, "scores": 11, "unscored": 0}
    assert server.created == 1
    trials_again = [event for event in read_journal(journal) if event["e"] == "trial"]
    assert len(trials_again) == 12, "what stood in the journal was not recorded twice"


async def test_a_batch_that_is_gone_is_recorded_as_failed(store: LocalStore, server: BatchServer) -> None:
    run_id = await interrupted(store, server, kill=True)
    server.batches.clear()
    manifest = await execute(reopen_experiment(store, run_id), store=store.paths, resume=run_id)
    assert {row["error_kind"] for row in store.trials(run_id).to_pylist()} == {"not_found"}
    assert (manifest.counts["failed"], server.created) == (12, 1)


async def test_the_budget_is_reserved_before_a_batch_is_created(store: LocalStore, server: BatchServer) -> None:
    # 12 calls of at most 600 output tokens at 0.30 USD per million are 0.00216 USD, and a little for the input.
    manifest = await execute(prepare(store, spec_for(server, budget={"usd": 0.0021})), store=store.paths)
    assert (manifest.status, server.created, server.uploads) == ("partial", 0, 0)
    assert "budget of 0.0021 USD reached" in str(manifest.stopped_because)
    assert "the next batch of 12 calls" in str(manifest.stopped_because)
    enough = await execute(prepare(store, spec_for(server, budget={"usd": 0.0026})), store=store.paths)
    assert (enough.status, server.created) == ("complete", 1)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"allocation": "racing"}, "'racing' looks at answers on the way"),
        (
            {"models": {"small": "gemini/gemini-2.5-flash"}},
            "variant 'plain': the provider of 'gemini/gemini-2.5-flash'",
        ),
        ({"models": {"small": "sim/small"}}, "variant 'plain': the provider of 'sim/small' has no batch API"),
        (
            {"targets": {"old": {"command": ["cat"]}}, "variants": {"piped": {"target": "old"}}},
            "variant 'piped' is no prompt on a model",
        ),
        ({"gateway": {"mode": "batch", "stream": True}}, "nothing is streamed in a batch"),
    ],
)
def test_what_a_batch_cannot_do_is_said_before_anything_is_sent(
    store: LocalStore, change: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", KEY)
    spec = {**arithmetic(6), "models": {"small": "openai/gpt-4o-mini"}, "gateway": {"mode": "batch"}, **change}
    with pytest.raises(SpecError, match=r"gateway|allocation") as caught:
        prepare(store, spec)
    assert said in str(caught.value)


def test_the_plan_knows_the_price(store: LocalStore) -> None:
    spec = {**arithmetic(6), "models": {"small": "openai/gpt-4o-mini"}}
    live = plan_run(prepare(store, spec), store=store)
    batch = plan_run(prepare(store, {**spec, "gateway": {"mode": "batch"}}), store=store)
    assert batch.cost_usd == pytest.approx(live.cost_usd / 2)
    assert live.cost_usd > 0


MAIL = "ada.byron@example.org"


def guarded(server: BatchServer, *guards: dict[str, Any]) -> dict[str, Any]:
    spec = spec_for(server, n=4, guards=list(guards))
    spec["dataset"]["rows"][1]["question"] = f"{MAIL} 1+1"
    return spec


async def test_guards_on_inputs_decide_before_anything_is_submitted(store: LocalStore, server: BatchServer) -> None:
    stops = {"side": "input", "check": {"banned_terms": ["3+3"]}, "action": "block", "say": "Not that sum."}
    takes_out = {"side": "input", "check": "pii", "action": "redact"}
    manifest = await execute(prepare(store, guarded(server, stops, takes_out)), store=store.paths)
    assert (manifest.status, manifest.stopped_because) == ("complete", None)
    assert server.created == 1
    sent = [body["messages"][-1]["content"] for body in server.requests]
    assert len(sent) == 6, "two variants of three items"
    assert not [text for text in sent if "3+3" in text or MAIL in text]
    assert sorted(text for text in sent if "[email]" in text) == ["Think step by step. [email] 1+1", "[email] 1+1"]
    rows = store.trials(manifest.run_id).to_pylist()
    assert [(row["output"], row["finish_reason"], row["cost_usd"]) for row in rows if row["item"] == 3] == [
        ("Not that sum.", "blocked", 0.0)
    ] * 2
    assert [row["output"] for row in rows if row["item"] == 1] == ["2", "2"]
    assert manifest.cost_usd == pytest.approx(6 * PER_CALL)


async def test_a_guarded_batch_is_looked_at_again_and_not_paid_twice(store: LocalStore, server: BatchServer) -> None:
    takes_out = {"side": "input", "check": "pii", "action": "redact"}
    stops = {"side": "input", "check": {"banned_terms": ["3+3"]}, "action": "block"}
    run_id = await interrupted(store, server, kill=True, spec=guarded(server, stops, takes_out))
    server.frozen = False
    manifest = await execute(reopen_experiment(store, run_id), store=store.paths, resume=run_id)
    assert (manifest.status, server.created) == ("complete", 1)
    rows = store.trials(run_id).to_pylist()
    assert sorted((row["item"], row["finish_reason"]) for row in rows if row["item"] == 3) == [(3, "blocked")] * 2
    assert len(rows) == 8
    assert all(row["ok"] for row in rows)


async def test_a_batch_still_cannot_ask_again(store: LocalStore, server: BatchServer) -> None:
    with pytest.raises(SpecError, match="a batch cannot ask again"):
        prepare(store, guarded(server, {"check": "pii", "action": "retry"}))
