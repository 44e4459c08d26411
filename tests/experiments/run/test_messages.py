"""What was sent is kept with a run, once, and a sealed run can be judged again by it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from bakeoff.errors import ProviderError
from bakeoff.experiments import LocalStore, execute, load_experiment, rescore_run
from bakeoff.gateway import ModelRequest, ModelResponse
from tests.experiments.support import Scripted, arithmetic

GOAL = {"goal_completion": {"model": "sim/judge", "goal": "the sum is named"}}


class Reader:
    """A judge that answers yes, and remembers what it was shown."""

    def __init__(self) -> None:
        self.shown: list[str] = []

    async def complete(self, request: ModelRequest) -> ModelResponse:
        assert request.purpose == "judge", "a target was called"
        self.shown.append(str(request.messages[-1]["content"]))
        return ModelResponse(text='{"reason": "named", "pass": true}', model="reader", cost_usd=0.0)


async def finished(store: LocalStore, **keys: Any) -> str:
    experiment = load_experiment(arithmetic(5, **keys), cache_dir=store.paths.datasets)
    return (await execute(experiment, store=store.paths, client=Scripted())).run_id


async def rescored(store: LocalStore, run_id: str) -> tuple[list[dict[str, Any]], Reader]:
    reader = Reader()
    manifest = await rescore_run(store, run_id, [GOAL], base_dir=store.paths.root, client=reader)
    return store.scores(manifest.run_id).to_pylist(), reader


async def test_prompts_are_kept_once_for_each_variant_and_item(store: LocalStore) -> None:
    run_id = await finished(store, repeats=3)
    kept = [row for row in store.trials(run_id).to_pylist() if row["messages"] is not None]
    assert len(kept) == 2 * 5
    steps = next(row for row in kept if (row["variant"], row["item_id"]) == ("steps", "i3"))
    assert json.loads(steps["messages"]) == [{"role": "user", "content": "Think step by step. 3+3"}]


async def test_a_sealed_run_is_judged_by_its_transcripts(store: LocalStore) -> None:
    run_id = await finished(store, repeats=3)
    scores, reader = await rescored(store, run_id)
    assert [row["value"] for row in scores] == [1.0] * 30
    mine = [text for text in reader.shown if "Think step by step. 3+3" in text]
    assert len(mine) == 3, "every repeat of it"
    assert '{"role": "assistant", "content": "6"}' in mine[0], "and what came back"
    again, _ = await rescored(store, store.resolve("latest"))
    assert [row["value"] for row in again] == [1.0] * 30, "the new run keeps them too"


async def test_a_run_without_them_says_why(store: LocalStore) -> None:
    import pyarrow.parquet as pq

    run_id = await finished(store)
    file = store.run_paths(run_id).trials
    pq.write_table(pq.read_table(file).drop_columns(["messages", "guards"]), file)  # as an older version wrote it
    assert store.trials(run_id, ["variant", "messages"]).column("messages").null_count == 10
    scores, reader = await rescored(store, run_id)
    assert reader.shown == []
    assert {row["value"] for row in scores} == {None}
    assert "recorded before Bakeoff kept them" in scores[0]["error"]
    with store.connect([run_id, await finished(store)]) as connection:  # old and new beside each other
        assert connection.execute("SELECT count(*), count(messages) FROM trials").fetchone() == (20, 10)


async def test_a_prompt_that_is_too_long_is_not_kept(store: LocalStore) -> None:
    long = {"plain": "{{ question }}", "long": "x" * 300_000 + " {{ question }}"}
    run_id = await finished(store, prompts=long)
    assert store.run_paths(run_id).trials.stat().st_size < 100_000
    scores, _ = await rescored(store, run_id)
    by_variant = {row["variant"]: row for row in scores}
    assert by_variant["plain"]["value"] == 1.0
    assert by_variant["long"]["error"] == "the prompt of 300,004 characters was too long to be kept (more than 256,000)"


async def test_a_failed_first_repeat_does_not_lose_them(store: LocalStore) -> None:
    class FirstFails(Scripted):
        async def complete(self, request: ModelRequest) -> ModelResponse:
            if request.repeat == 0:
                raise ProviderError("no luck", kind="server")
            await asyncio.sleep(0)
            return await super().complete(request)

    experiment = load_experiment(arithmetic(5, repeats=3), cache_dir=store.paths.datasets)
    manifest = await execute(experiment, store=store.paths, client=FirstFails())
    rows = store.trials(manifest.run_id).to_pylist()
    assert sum(row["messages"] is not None for row in rows) == 10
    assert {row["ok"] for row in rows if row["messages"] is not None} == {True}


@pytest.mark.parametrize("repeats", [1, 2])
async def test_a_judge_that_was_out_is_asked_again_with_the_transcript(store: LocalStore, repeats: int) -> None:
    class JudgeIsOut(Scripted):
        async def complete(self, request: ModelRequest) -> ModelResponse:
            if request.purpose == "judge":
                raise ProviderError("down", kind="server")
            return await super().complete(request)

    experiment = load_experiment(arithmetic(3, repeats=repeats, evaluators=[GOAL]), cache_dir=store.paths.datasets)
    manifest = await execute(experiment, store=store.paths, client=JudgeIsOut())
    assert manifest.counts["unscored"] == 6 * repeats
    reader = Reader()
    await execute(experiment, store=store.paths, resume=manifest.run_id, retry_errors=True, client=reader)
    assert [row["value"] for row in store.scores(manifest.run_id).to_pylist()] == [1.0] * 6 * repeats
    assert sum("Think step by step. 2+2" in text for text in reader.shown) == repeats
