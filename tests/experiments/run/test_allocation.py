"""Sequential, racing and bandit allocation on recorded and scripted answers: right verdicts, fewer trials."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakeoff.errors import SpecError
from bakeoff.experiments import LocalStore, analyse, execute, load_experiment, reopen_experiment
from bakeoff.experiments._json import dumps
from bakeoff.experiments.analysis._order import batches, dispatch_order, hold_out
from bakeoff.experiments.store._manifest import read_manifest, write_manifest


def recorded(accuracies: dict[str, float], n: int = 600, *, cluster: int = 0, **allocation: Any) -> dict[str, Any]:
    rng = random.Random(5)
    rows = [
        {"id": f"i{i}", "question": "x", "expected": "1", **({"doc": f"d{i // cluster}"} if cluster else {}),
         **{name: "1" if rng.random() < p else "0" for name, p in accuracies.items()}}
        for i in range(n)
    ]  # fmt: skip
    dataset: dict[str, Any] = {"rows": rows, "inputs": ["question"]}
    if cluster:
        dataset["cluster"] = "doc"
    return {
        "name": "recorded",
        "dataset": dataset,
        "targets": {name: {"recorded": name} for name in accuracies},
        "evaluators": ["exact_match"],
        "allocation": {"batch": 20, "min_items": 20, **allocation},
        "mlflow": False,
    }


async def run(store: LocalStore, spec: dict[str, Any]) -> Any:
    manifest = await execute(load_experiment(spec, cache_dir=store.paths.datasets), store=store.paths)
    return manifest, analyse(store, manifest.run_id)


async def test_sequential_stops_when_the_answer_is_clear(store: LocalStore) -> None:
    manifest, analysis = await run(store, recorded({"old": 0.5, "new": 0.75}, method="sequential"))
    assert manifest.status == "complete"
    assert manifest.dispatched_trials == manifest.counts["trials"] < 600
    (comparison,) = analysis.metric().comparisons
    assert comparison.label == "better"
    assert comparison.difference.test == "sequential_e_process"
    (decision,) = manifest.decisions
    assert (decision["variant"], decision["verdict"]) == ("new", "better")
    assert "% saved" in analysis.allocation
    assert comparison.difference.p_value == pytest.approx(decision["p"]), "the analysis replays what the runner saw"


async def test_sequential_runs_to_the_end_when_nothing_differs(store: LocalStore) -> None:
    manifest, analysis = await run(store, recorded({"old": 0.6, "new": 0.6}, 200, method="sequential"))
    assert manifest.counts["trials"] == 400
    assert manifest.decisions == []
    assert analysis.metric().comparisons[0].label == "inconclusive"


async def test_a_decided_variant_runs_no_further(store: LocalStore) -> None:
    spec = recorded({"old": 0.5, "worse": 0.1, "same": 0.5}, 300, method="sequential")
    manifest, _ = await run(store, spec)
    trials = store.trials(manifest.run_id).to_pylist()
    count = {name: sum(row["variant"] == name for row in trials) for name in ("old", "worse", "same")}
    assert count["old"] == count["same"] == 300
    assert count["worse"] < 100


async def test_a_dropped_variant_that_stands_as_inconclusive_is_explained(store: LocalStore) -> None:
    """Beaten by the best of all, and too soon to say anything against a baseline that is nearly as weak."""
    spec = recorded({"base": 0.55, "mid": 0.5, "top": 0.9}, method="racing")
    manifest, analysis = await run(store, spec)
    assert ("mid", "top") in {(one.get("variant"), one.get("beaten_by")) for one in manifest.decisions}
    mid = next(one for one in analysis.metric().comparisons if one.candidate == "mid")
    assert mid.label == "inconclusive"
    assert "mid is behind top by the race's test of all variants at once; the table asks another question, the " in (
        analysis.allocation
    )


async def test_racing_drops_losers_and_names_the_best(store: LocalStore) -> None:
    spec = recorded({"a": 0.4, "b": 0.85, "c": 0.5, "d": 0.3}, method="racing")
    manifest, analysis = await run(store, spec)
    dropped = [entry["variant"] for entry in manifest.decisions if entry["kind"] == "dropped"]
    assert sorted(dropped) == ["a", "c", "d"]
    assert manifest.decisions[-1]["best"] == "b"
    assert manifest.counts["trials"] < 0.5 * manifest.planned_trials
    assert "b won the race" in analysis.allocation


async def test_bandit_spends_on_the_good_ones(store: LocalStore) -> None:
    spec = recorded({"a": 0.3, "b": 0.8, "c": 0.4}, 300, method="bandit")
    manifest, analysis = await run(store, spec)
    pulls = manifest.decisions[-1]["pulls"]
    assert pulls["b"] == 300
    assert pulls["a"] + pulls["c"] < 300
    assert manifest.decisions[-1]["leader"] == "b"
    assert "Items by variant" in analysis.allocation


async def test_the_winner_is_confirmed_on_items_that_nobody_selected_on(store: LocalStore) -> None:
    spec = recorded({"a": 0.4, "b": 0.8, "c": 0.5}, method="racing", confirm=0.25)
    manifest, analysis = await run(store, spec)
    confirmation = analysis.confirmation
    assert confirmation is not None
    assert (confirmation.candidate, confirmation.baseline) == ("b", "a")
    assert confirmation.difference.n == 150, "a quarter of the items, none of them seen by the race"
    assert confirmation.difference.method == "bonett_price"
    assert confirmation.label == "better"
    assert manifest.decisions[-1] == {"kind": "confirmed", "variant": "b", "items": 150}


async def test_clusters_arrive_whole(store: LocalStore) -> None:
    _, analysis = await run(store, recorded({"old": 0.3, "new": 0.9}, 400, cluster=5, method="sequential"))
    (comparison,) = analysis.metric().comparisons
    assert comparison.label == "better"
    assert comparison.difference.n < 80, "the unit is the cluster"


async def test_a_resumed_search_decides_the_same(store: LocalStore) -> None:
    """Cut a finished race back to its first third, as a kill would leave it, and go on."""
    spec = recorded({"a": 0.4, "b": 0.85, "c": 0.5}, method="racing")
    whole, _ = await run(store, spec)
    manifest, _ = await run(store, spec)
    paths = store.run_paths(manifest.run_id)
    score = {(row["variant"], row["item"]): row["value"] for row in store.scores(manifest.run_id).to_pylist()}
    rows = store.trials(manifest.run_id).to_pylist()
    with paths.journal.open("wb") as file:
        for row in rows[: len(rows) // 3]:
            value = bool(score[row["variant"], row["item"]])
            event = {"e": "trial", "v": row["variant"], "i": row["item_id"], "k": row["item"], "r": 0, "t": 0.0}
            event |= {"out": row["output"], "n": 1, "s": [["exact_match", value, None, None, "exact_match", "1", None]]}
            file.write(dumps(event) + b"\n")
    cut = read_manifest(paths.manifest).model_copy(update={"status": "running", "decisions": []})
    write_manifest(paths.manifest, cut)
    experiment = reopen_experiment(store, manifest.run_id)
    finished = await execute(experiment, store=store.paths, resume=manifest.run_id)
    assert finished.decisions == whole.decisions
    assert finished.counts == whole.counts


async def test_a_race_needs_rivals_and_a_score(store: LocalStore) -> None:
    with pytest.raises(SpecError, match="needs at least two variants"):
        await run(store, recorded({"only": 0.5}, 50, method="racing"))


async def test_an_unfinished_fixed_run_is_read_with_always_valid_intervals(store: LocalStore) -> None:
    manifest, plain = await run(store, recorded({"old": 0.5, "new": 0.75}, 300, method="fixed"))
    paths = store.run_paths(manifest.run_id)
    partial = read_manifest(paths.manifest).model_copy(update={"status": "partial", "stopped_because": "test"})
    write_manifest(paths.manifest, partial)
    watched = analyse(store, manifest.run_id).metric().comparisons[0].difference
    assert watched.test == "sequential_e_process"
    fixed = plain.metric().comparisons[0].difference
    assert watched.high - watched.low > fixed.high - fixed.low, "peeking has its price"


@given(st.integers(1, 200), st.integers(0, 5), st.integers(1, 30), st.floats(0, 0.6), st.integers(0, 99))
def test_order_is_a_permutation_and_no_cluster_is_divided(
    n: int, cluster: int, size: int, share: float, seed: int
) -> None:
    import numpy as np

    ids = [f"i{i}" for i in range(n)]
    clusters = np.arange(n) // cluster if cluster else None
    order = dispatch_order(ids, clusters, seed)
    assert sorted(order.tolist()) == list(range(n))
    searched, held = hold_out(order, clusters, share)
    cut = batches(searched, clusters, size=size, first=size)
    parts = [*cut, held]
    assert sorted(index for part in parts for index in part.tolist()) == list(range(n))
    if clusters is not None:
        seen: set[int] = set()
        for part in parts:
            here = set(clusters[part].tolist())
            assert not here & seen
            seen |= here


async def test_planned_looks_are_kept(store: LocalStore) -> None:
    """Five looks at 300 items: a decision can only fall at 60, 120, 180, 240 or 300."""
    spec = recorded({"old": 0.5, "new": 0.75}, 300, method="sequential", looks=5)
    manifest, analysis = await run(store, spec)
    (decision,) = manifest.decisions
    assert decision["items"] in (60, 120, 180, 240, 300)
    assert manifest.counts["trials"] == 2 * decision["items"]
    assert analysis.metric().comparisons[0].difference.p_value == pytest.approx(decision["p"])
