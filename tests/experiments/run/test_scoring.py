"""Scores that are missing: after an outage, a kill, a budget. Nothing is paid twice, and nothing paid is forgotten."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bakeoff.errors import ProviderError, SpecError
from bakeoff.experiments import LocalStore, analyse, execute, load_experiment, rescore_run, score_missing
from bakeoff.gateway import ModelRequest, ModelResponse
from tests.openai_server import serving as server

GOOD = '{"reason": "fine", "pass": true}'
EACH_USD = 0.003
"""100 tokens in at 10 USD and 20 out at 100 USD a million: what the server's usage costs at the prices below."""


def spec(address: str, n: int = 20, **keys: Any) -> dict[str, Any]:
    judge = {"model": "openai/judge", "question": "Is it good?", "api_base": address, "max_tokens": 20, "retries": 0}
    return {
        "name": "judged",
        "dataset": {"rows": [{"id": str(i), "q": f"question {i}", "one": f"answer {i}"} for i in range(n)],
                    "inputs": ["q"]},
        "targets": {"one": {"recorded": "one"}},
        "evaluators": [{"judge": {**judge, "name": "good"}}],
        "gateway": {"route": "direct", "prices": {"openai/judge": {"input_usd": 10, "output_usd": 100}}},
        "limits": {"concurrency": 4, "attempts": 1},
        "mlflow": False, **keys,
    }  # fmt: skip


def judge_of(address: str, **options: Any) -> dict[str, Any]:
    return {"judge": {**spec(address)["evaluators"][0]["judge"], **options}}


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-0123456789abcdef")


def answers(calls: list[dict[str, Any]]) -> Counter[str]:
    """Count how often each answer was shown to a judge."""
    return Counter(body["messages"][1]["content"].rpartition('name="response">\n')[2] for body in calls)


async def test_a_budget_that_ends_in_judging_stops_the_run_and_nothing_is_paid_twice(store: LocalStore) -> None:
    async with server(lambda *_: (200, GOOD)) as (address, calls):
        small = load_experiment(spec(address, budget={"usd": 0.03}), cache_dir=store.paths.datasets)
        stopped = await execute(small, store=store.paths)
        assert stopped.status == "partial"
        assert "budget of 0.03 USD" in str(stopped.stopped_because)
        assert stopped.cost_usd == pytest.approx(EACH_USD * len(calls))
        assert stopped.cost_usd <= 0.03
        larger = load_experiment(spec(address, budget={"usd": 1.0}), cache_dir=store.paths.datasets)
        whole = await execute(larger, store=store.paths, resume=stopped.run_id)
    assert whole.status == "complete"
    assert whole.counts["unscored"] == 0
    assert set(answers(calls).values()) == {1}
    assert len(calls) == 20
    assert whole.cost_usd == pytest.approx(20 * EACH_USD)
    found = analyse(store, whole.run_id)
    assert found.judging_usd == pytest.approx(20 * EACH_USD)
    assert found.resources[0].judging_usd == pytest.approx(20 * EACH_USD)  # no part of what the variant costs:
    assert not found.resources[0].cost_usd > 0


async def test_only_what_is_missing_is_judged_again_and_failures_stay_in_the_sum(store: LocalStore) -> None:
    """Without a cache: one of two judges cannot be read at first; it is asked again, the other is not."""
    broken = True

    def script(body: dict[str, Any], _: int) -> tuple[int, str]:
        is_first = "Is it good?" in body["messages"][0]["content"]
        return 200, "no JSON" if is_first and broken else GOOD

    async with server(script) as (address, calls):
        other = judge_of(address, name="kind", question="Is it kind?")
        keys = {"gateway": {**spec(address)["gateway"], "cache": False}}
        experiment = load_experiment(
            spec(address, 6, **keys, evaluators=[judge_of(address, name="good"), other]),
            cache_dir=store.paths.datasets,
        )
        run = await execute(experiment, store=store.paths)
        assert (run.counts["unscored"], run.counts["scores"], len(calls)) == (6, 6, 12)
        broken = False
        mended = await execute(experiment, store=store.paths, resume=run.run_id, retry_errors=True)
    assert (mended.status, mended.counts["unscored"], len(calls)) == ("complete", 0, 18)
    assert mended.cost_usd == pytest.approx(18 * EACH_USD)


async def test_a_second_run_shows_that_its_judgements_cost_nothing(store: LocalStore) -> None:
    async with server(lambda *_: (200, GOOD)) as (address, calls):
        experiment = load_experiment(spec(address, 5), cache_dir=store.paths.datasets)
        first = await execute(experiment, store=store.paths)
        again = await execute(experiment, store=store.paths)
    assert (first.cost_usd, again.cost_usd, len(calls)) == (pytest.approx(5 * EACH_USD), 0.0, 5)


async def scored(store: LocalStore, address: str, n: int = 20) -> str:
    """Give a finished run whose answers are to be judged."""
    experiment = load_experiment(spec(address, n, evaluators=["length"]), cache_dir=store.paths.datasets)
    return (await execute(experiment, store=store.paths)).run_id


async def test_scoring_has_a_budget_and_goes_on_where_it_stopped(store: LocalStore) -> None:
    async with server(lambda *_: (200, GOOD)) as (address, calls):
        run_id = await scored(store, address)
        stopped = await rescore_run(
            store, run_id, [judge_of(address)], base_dir=store.paths.root, budget_usd=EACH_USD * 10
        )
        assert (stopped.status, stopped.tags["scored_from"]) == ("partial", run_id)
        whole = await score_missing(store, stopped.run_id, budget_usd=1.0)
    assert (whole.run_id, whole.status, whole.counts["scores"]) == (stopped.run_id, "complete", 20)
    assert (len(calls), set(answers(calls).values())) == (20, {1})
    assert whole.cost_usd == pytest.approx(20 * EACH_USD)


class Interrupted:
    """A judge whose process ends in the middle of scoring."""

    def __init__(self, after: int) -> None:
        self.left, self.asked = after, 0

    async def complete(self, request: ModelRequest) -> ModelResponse:
        self.left -= 1
        if self.left < 0:
            await asyncio.sleep(3600)
        self.asked += 1
        return ModelResponse(text=GOOD, model=request.model, cost_usd=0.01)


async def test_a_scoring_that_was_killed_goes_on_without_asking_targets(store: LocalStore) -> None:
    run_id = await scored(store, "http://127.0.0.1:9/v1")
    first = Interrupted(8)
    work = asyncio.create_task(
        rescore_run(store, run_id, [judge_of("http://127.0.0.1:9/v1")], base_dir=store.paths.root, client=first)
    )
    for _ in range(1000):
        await asyncio.sleep(0.01)
        if first.left <= -4:  # four are in flight
            break
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    killed = next(run for run in store.runs() if run.tags.get("scored_from"))
    assert store.trials(killed.run_id).num_rows == 20
    experiment = load_experiment(spec("http://127.0.0.1:9/v1", evaluators=["length"]), cache_dir=store.paths.datasets)
    with pytest.raises(SpecError, match=r"bakeoff score .* --retry-errors"):
        await execute(experiment, store=store.paths, resume=killed.run_id)
    second = Interrupted(100)
    whole = await score_missing(store, killed.run_id, client=second)
    assert (whole.status, whole.counts["scores"]) == ("complete", 20)
    assert (first.asked, second.asked) == (8, 12)
    assert whole.cost_usd == pytest.approx(0.2)


async def test_an_outage_while_scoring_is_repaired_in_place(store: LocalStore) -> None:
    class Outage(Interrupted):
        async def complete(self, request: ModelRequest) -> ModelResponse:
            if self.left <= 0:
                raise ProviderError("out of order", kind="server", retryable=True)
            return await super().complete(request)

    run_id = await scored(store, "http://127.0.0.1:9/v1")
    judge = judge_of("http://127.0.0.1:9/v1")
    hurt = await rescore_run(store, run_id, [judge], base_dir=store.paths.root, client=Outage(8))
    assert (hurt.status, hurt.counts["unscored"]) == ("complete", 12)
    again = Interrupted(100)
    whole = await score_missing(store, hurt.run_id, client=again)
    assert (whole.counts["unscored"], again.asked) == (0, 12)
    with pytest.raises(SpecError, match="nothing to score"):
        await score_missing(store, hurt.run_id, client=again)


async def test_scores_of_an_ordinary_run_are_repaired_without_its_files(store: LocalStore, tmp_path: Path) -> None:
    """The data file is gone: what the store keeps is enough."""
    data = tmp_path / "q.jsonl"
    data.write_text("".join(json.dumps({"id": str(i), "q": str(i), "one": f"answer {i}"}) + "\n" for i in range(5)))
    keys = spec("http://127.0.0.1:9/v1", dataset={"path": str(data), "id": "id", "inputs": ["q"]})
    down = Down(lambda: ProviderError("out of order", kind="server"))
    run = await execute(load_experiment(keys, cache_dir=store.paths.datasets), store=store.paths, client=down)
    assert run.counts["unscored"] == 5
    data.unlink()
    whole = await score_missing(store, run.run_id, client=Interrupted(5))
    assert (whole.status, whole.counts["unscored"]) == ("complete", 0)


class Down:
    """A judge that is out of order."""

    def __init__(self, error: Callable[[], ProviderError]) -> None:
        self.error = error

    async def complete(self, request: ModelRequest) -> ModelResponse:
        raise self.error()


async def test_a_missing_key_is_said_before_anything_is_made(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = await scored(store, "http://127.0.0.1:9/v1")
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(SpecError, match="OPENAI_API_KEY"):
        await rescore_run(store, run_id, [judge_of("", api_base=None)], base_dir=store.paths.root)
    assert [run.run_id for run in store.runs()] == [run_id]


async def test_a_split_jury_waits_for_people_and_is_not_asked_again(store: LocalStore) -> None:
    class Split:
        asked = 0

        async def complete(self, request: ModelRequest) -> ModelResponse:
            self.asked += 1
            answer = {"reason": "so", "pass": request.model == "openai/judge"}
            return ModelResponse(text=json.dumps(answer), model=request.model, cost_usd=0.01)

    run_id, jury = await scored(store, "http://127.0.0.1:9/v1", 4), Split()
    judge = judge_of("http://127.0.0.1:9/v1", jury=["openai/other"], name="fine")
    split = await rescore_run(store, run_id, [judge], base_dir=store.paths.root, client=jury)
    (row, *_) = store.scores(split.run_id, ["error", "escalated"]).to_pylist()
    assert row["escalated"] == row["error"] == "the jury is split: 1 x pass, 1 x fail"
    assert jury.asked == 8
    with pytest.raises(SpecError, match="no score of the 4 answers"):
        await score_missing(store, split.run_id, client=jury)
