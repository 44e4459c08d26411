"""Guards around targets: what they stop or take out is nowhere to be found afterwards."""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from bakeoff.errors import SpecError
from bakeoff.evaluators import Guard, GuardSpec, conceal, load_evaluator, redact_value
from bakeoff.experiments import LocalStore, Manifest, MlflowSpec, analyse, execute, load_experiment
from bakeoff.mlflow import log_run
from bakeoff.reports import RunResult
from tests.openai_server import serving

# Not valid anywhere: the forms are those of the issuers, the digits of the card are Visa's published test number.
MAIL, CARD = "ada.byron@example.org", "4111 1111 1111 1111"
KEY = "AKIA" + "ABCDEFGH12345678"
SECRET = f"Write to {MAIL}, charge {CARD}, key {KEY}. Ticket GRUMBLE-77."


def server(answer: Callable[[str, int], str]) -> AbstractAsyncContextManager[tuple[str, list[Any]]]:
    """Serve what a function makes of the first message of a call and its number."""
    return serving(lambda body, number: (200, answer(body["messages"][0]["content"], number)), tokens=(10, 5))


def spec(address: str, guards: list[dict[str, Any]], **keys: Any) -> dict[str, Any]:
    return {
        "name": "guarded",
        "dataset": {"rows": [{"id": f"i{i}", "question": f"question {i}", "expected": "fine"} for i in range(4)]},
        "prompts": {"plain": "{{ question }}"},
        "models": {"m": {"model": "openai/gpt-4o-mini", "api_base": address, "api_key_env": "GUARD_TEST_KEY"}},
        "gateway": {"route": "direct"},
        "evaluators": [{"contains": "fine"}, {"length": {"min": 1}}],
        "guards": guards,
        "mlflow": False,
        **keys,
    }


async def run(store: LocalStore, data: dict[str, Any]) -> Manifest:
    return await execute(load_experiment(data, cache_dir=store.paths.datasets), store=store.paths)


pytestmark = [  # MLflow's own
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUARD_TEST_KEY", "test")


def everything_in(folder: Path) -> str:
    """Give every text of every file below a folder, whatever it is packed in."""
    import pyarrow.parquet as pq

    texts: list[str] = []
    for path in folder.rglob("*"):
        if not path.is_file():
            continue
        raw = path.read_bytes()
        texts.append(raw.decode("utf-8", "replace"))
        if path.suffix == ".parquet":
            texts.append(json.dumps(pq.read_table(path).to_pylist(), default=str))
        elif raw.startswith(b"SQLite format 3"):
            with sqlite3.connect(path) as connection:
                for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                    for row in connection.execute(f"SELECT * FROM {name}"):
                        texts += [_text(value) for value in row]
    return "\n".join(texts)


def _text(value: object) -> str:
    if not isinstance(value, bytes):
        return str(value)
    try:
        return zlib.decompress(value).decode("utf-8", "replace")
    except zlib.error:
        return value.decode("utf-8", "replace")


def nothing_is_left(folder: Path, *texts: str) -> None:
    found = everything_in(folder)
    for text in texts:
        assert text not in found, text


async def test_what_is_redacted_is_nowhere_afterwards(store: LocalStore, tmp_path: Path) -> None:
    guards = [{"check": "pii", "action": "redact"}, {"check": "secrets", "action": "redact"}]
    async with server(lambda *_: SECRET) as (address, _):
        manifest = await run(store, spec(address, guards))
    assert manifest.status == "complete"
    rows = store.trials(manifest.run_id).to_pylist()
    assert rows[0]["output"] == "Write to [email], charge [card], key [redacted]. Ticket GRUMBLE-77."
    told = json.loads(rows[0]["guards"])
    assert [(one["guard"], one["action"]) for one in told] == [("pii", "redact")]
    result = RunResult(store, manifest.run_id)
    result.report(tmp_path / "out" / "report.html")
    result.export(tmp_path / "out" / "trials.csv")
    uri = f"sqlite:///{tmp_path}/out/m.db"
    log_run(store, manifest.run_id, MlflowSpec(tracking_uri=uri))
    nothing_is_left(tmp_path, MAIL, CARD, KEY)
    assert "GRUMBLE-77" in everything_in(tmp_path / "store")  # the search finds what is there
    assert "GRUMBLE-77" in everything_in(tmp_path / "out")


async def test_without_a_guard_the_search_would_have_found_it(store: LocalStore, tmp_path: Path) -> None:
    async with server(lambda *_: SECRET) as (address, _):
        await run(store, spec(address, []))
    found = everything_in(tmp_path)
    assert MAIL in found
    assert found.count(KEY) > 4  # in the run and in the response cache


async def test_a_killed_run_has_it_in_no_journal_either(store: LocalStore, tmp_path: Path) -> None:
    def fail_late(_: str, number: int) -> str:
        return SECRET if number < 4 else ""

    guards = [{"check": "pii", "action": "redact"}, {"check": {"length": {"min": 1}}, "action": "block", "say": "-"}]
    async with server(fail_late) as (address, _):
        data = spec(address, guards, budget={"calls": 3}, limits={"concurrency": 1})
        manifest = await run(store, data)
    assert manifest.status == "partial"  # the journal stays
    assert store.run_paths(manifest.run_id).journal.exists()
    nothing_is_left(tmp_path, MAIL, CARD, KEY)


async def test_a_blocked_answer_is_replaced_and_counted(store: LocalStore, tmp_path: Path) -> None:
    guards = [{"check": {"banned_terms": ["grumble-77"]}, "say": "I would rather not."}]
    answers = {"question 0": SECRET}
    async with server(lambda asked, _: answers.get(asked, "fine")) as (address, calls):
        manifest = await run(store, spec(address, guards))
        rows = {row["item_id"]: row for row in store.trials(manifest.run_id).to_pylist()}
        assert rows["i0"]["output"] == "I would rather not."
        assert rows["i0"]["finish_reason"] == "blocked"
        assert rows["i0"]["ok"]
        assert rows["i0"]["cost_usd"] > 0, "a stopped answer was paid for all the same"
        assert rows["i1"]["guards"] is None
        nothing_is_left(tmp_path, SECRET)
        assert len(calls) == 4
        await run(store, spec(address, guards))  # what was stopped lies in no cache; the rest does
        assert len(calls) == 5
    analysis = analyse(store, manifest.run_id)
    assert analysis.resources[0].guarded == {"output banned_terms: block": 1}
    assert any(
        "Guards acted" in warning and "1 x output banned_terms: block" in warning for warning in analysis.warnings
    )
    scored = store.scores(manifest.run_id).to_pylist()
    scores = {row["item_id"]: row["value"] for row in scored if row["metric"] == "contains"}
    assert scores == {"i0": 0.0, "i1": 1.0, "i2": 1.0, "i3": 1.0}, "the guarded answer is what is scored"


async def test_an_answer_is_asked_for_again_and_all_tries_are_paid(store: LocalStore) -> None:
    guards = [{"check": {"contains": "fine"}, "action": "retry", "retries": 2, "say": "Sorry."}]
    async with server(lambda asked, number: "fine" if number == 2 else "bad") as (address, calls):
        data = spec(address, guards, limits={"concurrency": 1})
        data["dataset"]["rows"] = data["dataset"]["rows"][:2]
        manifest = await run(store, data)
    first, second = sorted(store.trials(manifest.run_id).to_pylist(), key=lambda row: row["answered_at"])
    assert (first["output"], first["attempts"]) == ("fine", 2)
    assert (second["output"], second["finish_reason"], second["attempts"]) == ("Sorry.", "blocked", 3)
    assert first["input_tokens"] == 20
    assert second["cost_usd"] == pytest.approx(1.5 * first["cost_usd"])
    assert [one["action"] for one in json.loads(first["guards"])] == ["retry"]
    assert [one["action"] for one in json.loads(second["guards"])] == ["retry", "retry", "block"]
    said = calls[1]["messages"][-1]["content"]
    assert said.startswith("Your last answer was not accepted: ")
    assert "bad" not in json.dumps(calls[1]["messages"]), "what was refused is not sent around"


async def test_an_input_is_redacted_before_it_leaves_and_blocked_before_it_costs(
    store: LocalStore, tmp_path: Path
) -> None:
    rows = [{"id": "mail", "question": f"I am {MAIL}"}, {"id": "key", "question": f"use {KEY}"}]
    guards = [
        {"check": "pii", "side": "input", "action": "redact"},
        {"check": "secrets", "side": "input", "action": "block", "say": "No keys, please."},
    ]
    async with server(lambda *_: "fine") as (address, calls):
        file = tmp_path / "data.jsonl"
        file.write_text("\n".join(json.dumps(row) for row in rows))
        data = spec(address, guards, evaluators=[{"contains": "fine"}])
        data["dataset"] = {"path": str(file), "inputs": ["question"]}
        manifest = await run(store, data)
    assert [call["messages"][0]["content"] for call in calls] == ["I am [email]"]
    trials = {row["item_id"]: row for row in store.trials(manifest.run_id).to_pylist()}
    assert (trials["key"]["output"], trials["key"]["cost_usd"]) == ("No keys, please.", 0.0)
    assert json.loads(trials["mail"]["messages"])[0]["content"] == "I am [email]"
    assert MAIL not in everything_in(store.run_paths(manifest.run_id).folder)


async def test_taking_out_that_does_not_help_blocks(store: LocalStore) -> None:
    guards = [{"check": {"banned_terms": ["grumble-77"]}, "action": "redact", "say": "No."}]
    async with server(lambda *_: SECRET) as (address, _):
        manifest = await run(store, spec(address, guards))
    row = store.trials(manifest.run_id).to_pylist()[0]
    assert (row["output"], row["finish_reason"]) == ("No.", "blocked")
    assert "did not help" in json.loads(row["guards"])[0]["reason"]


def leak(question: str) -> dict[str, Any]:
    return {"answer": f"{question}: {MAIL}", MAIL: [4111111111111111, 3.5, True, None]}


def fall_over(question: str) -> str:
    raise RuntimeError(f"no such customer: {MAIL}")


async def test_functions_are_guarded_too_in_keys_numbers_and_errors(store: LocalStore, tmp_path: Path) -> None:
    data = spec("http://127.0.0.1:9/v1", [{"check": "pii", "action": "redact"}], evaluators=["json_valid"])
    for name in ("prompts", "models", "gateway"):
        del data[name]
    data["targets"] = {"leak": {"python": "leak"}, "fail": {"python": "fail"}}
    experiment = load_experiment(data, cache_dir=store.paths.datasets, callables={"leak": leak, "fail": fall_over})
    manifest = await execute(experiment, store=store.paths)
    rows = store.trials(manifest.run_id).to_pylist()
    good = next(row for row in rows if row["variant"] == "leak")
    assert json.loads(good["output"]) == {"answer": "question 0: [email]", "[email]": ["[card]", 3.5, True, None]}
    bad = next(row for row in rows if row["variant"] == "fail")
    assert bad["error"].endswith("no such customer: [email]")
    nothing_is_left(tmp_path, MAIL, "4111111111111111")


async def test_an_agents_trace_does_not_bring_it_back(store: LocalStore, tmp_path: Path) -> None:
    banned = {"banned_terms": ["grumble-77"]}
    async with server(lambda asked, _: SECRET if "question 0" in asked else f"Ask {MAIL}") as (address, _):
        data = spec(address, [])
        data["targets"] = {
            "bot": {"agent": {"model": "m", "prompt": "plain",
                    "guards": [{"check": banned, "say": "No."}, {"check": "pii", "action": "redact"}]}}
        }  # fmt: skip
        manifest = await run(store, data)
    rows = {row["item_id"]: row for row in store.trials(manifest.run_id).to_pylist()}
    assert rows["i0"]["output"] == "No."
    assert rows["i1"]["output"] == "Ask [email]"
    assert json.loads(rows["i1"]["guards"])[0]["action"] == "redact"
    nothing_is_left(tmp_path, MAIL, CARD, KEY, "GRUMBLE-77")


@pytest.mark.parametrize(
    ("guard", "told"),
    [
        ({"check": "exact_match"}, "needs the right answer, which a guard does not have"),
        ({"check": "pi"}, "there is no evaluator 'pi'"),
        ({"check": "pii", "side": "input", "action": "retry"}, "an input does not change by asking again"),
        ({"check": "pii", "action": "delete"}, "delete"),
        ({"check": "factuality", "action": "block"}, "factuality"),
    ],
)
def test_a_guard_that_could_not_work_is_refused_before_the_run(guard: dict[str, Any], told: str) -> None:
    with pytest.raises(SpecError) as caught:
        load_experiment(spec("http://127.0.0.1:9/v1", [guard]))
    assert told in str(caught.value)
    assert "guards.0" in str(caught.value)


def test_what_is_concealed_is_also_found_where_it_was_cut() -> None:
    long = "the plan is " + "x" * 100
    assert conceal([f"said: {long[:50]}... [112 characters]"], withheld=[long], longest=50) == [
        "said: [withheld]... [112 characters]"
    ]
    assert redact_value((1.5, "a")) == [1.5, "a"]
    assert Guard(spec=GuardSpec(check="pii"), evaluator=load_evaluator("pii")).spec.action == "block"
