"""The votes of a jury are kept, and a run says how far its jurors agree."""

from __future__ import annotations

import json
import random
from typing import Any

import krippendorff
import numpy as np
import pytest

from bakeoff.experiments import LocalStore, execute, insights, load_experiment, rescore_run
from bakeoff.gateway import ModelRequest, ModelResponse, Usage

LEAN = {"sim/judge": 0.1, "sim/large": 0.15, "sim/small": 0.45}
"""How often each juror gets it wrong."""


class Jury:
    """Answers as a juror would: right or wrong by a draw that depends on the model and the text alone."""

    async def complete(self, request: ModelRequest) -> ModelResponse:
        text = "\n".join(str(message["content"]) for message in request.messages)
        truth = "a good answer" in text
        wrong = random.Random(f"{request.model} {text}").random() < LEAN[request.model]
        answer = {"reason": "because", "pass": truth != wrong}
        return ModelResponse(text=json.dumps(answer), model=request.model, usage=Usage(), cost_usd=0.0)


def spec(n: int = 60, **keys: Any) -> dict[str, Any]:
    rows = [
        {"id": str(i), "q": f"question {i}", "one": f"a {'good' if i % 2 else 'poor'} answer {i}"} for i in range(n)
    ]
    return {
        "name": "jury", "dataset": {"rows": rows, "inputs": ["q"]}, "targets": {"one": {"recorded": "one"}},
        "evaluators": [{"judge": {"name": "fine", "question": "Is it good?", "model": "sim/judge",
                                  "jury": ["sim/large", "sim/small"]}}],
        "mlflow": False, **keys,
    }  # fmt: skip


async def test_agreement_is_krippendorffs_alpha_of_the_stored_votes(store: LocalStore) -> None:
    """Alpha by the krippendorff library from the votes as they lie in the store; the careless juror is named."""
    manifest = await execute(load_experiment(spec(), cache_dir=store.paths.datasets), store=store.paths, client=Jury())
    rows = store.scores(manifest.run_id, ["value", "votes"]).to_pylist()
    votes = [json.loads(row["votes"]) for row in rows]
    assert [juror for juror, _ in votes[0]] == ["sim/judge", "sim/large", "sim/small"]
    ratings = np.array([[float(value) for _, value in row] for row in votes]).T
    (jury,) = insights(store, manifest.run_id).juries
    assert jury.n == 60
    assert jury.alpha.estimate == pytest.approx(krippendorff.alpha(ratings, level_of_measurement="nominal"))
    assert jury.alpha.low < jury.alpha.estimate < jury.alpha.high
    assert jury.outvoted[0][0] == "sim/small"
    lost = np.mean([row[2][1] != bool(score["value"]) for row, score in zip(votes, rows, strict=True)])
    assert jury.outvoted[0][1] == pytest.approx(lost)
    assert jury.sentence in insights(store, manifest.run_id).sentences


async def test_votes_survive_another_scoring_and_single_judges_have_none(store: LocalStore) -> None:
    manifest = await execute(
        load_experiment(spec(12, evaluators=["json_valid"]), cache_dir=store.paths.datasets),
        store=store.paths,
        client=Jury(),
    )
    assert store.scores(manifest.run_id, ["votes"]).column("votes").null_count == 12
    assert not insights(store, manifest.run_id).juries
    again = await rescore_run(store, manifest.run_id, spec()["evaluators"], base_dir=store.paths.root, client=Jury())
    assert insights(store, again.run_id).juries[0].n == 12
