from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import bakeoff
from bakeoff.errors import SpecError
from bakeoff.gateway import ModelRequest, ModelResponse, Usage
from bakeoff.regression import monitor
from bakeoff.stats import control_chart
from tests.regression.support import recorded, run

if TYPE_CHECKING:
    from bakeoff.experiments import LocalStore
    from bakeoff.regression import Monitor


class Provider:
    """Answers right with a chance that depends on the item, and says who it is."""

    def __init__(self, seed: int, *, worse: float = 0.0, fingerprint: str = "fp_a") -> None:
        self._luck = random.Random(seed)
        self._worse, self._fingerprint = worse, fingerprint

    async def complete(self, request: ModelRequest) -> ModelResponse:
        number = int(str(request.messages[-1]["content"]).rpartition(" ")[2])
        chance = (0.35, 0.75, 0.95, 1.0)[number % 4] - self._worse
        text = "yes" if self._luck.random() < chance else "no"
        return ModelResponse(
            text=text,
            model="m-1",
            usage=Usage(),
            fingerprint=self._fingerprint,
        )


def answer(store: LocalStore, seed: int, **options: Any) -> None:
    prompt = options.pop("prompt", "Say yes to {{ q }}")
    spec = {
        "name": "nightly",
        "dataset": {"rows": [{"id": f"i{i}", "q": f"number {i}", "expected": "yes"} for i in range(120)]},
        "prompts": {"ask": prompt}, "models": {"m": "openai/m"}, "evaluators": [{"exact_match": {"name": "right"}}],
        "mlflow": False,
    }  # fmt: skip
    bakeoff.run(spec, store=store.paths.root, client=Provider(seed, **options))


def history(store: LocalStore, *, runs: int, after: int = 0, **options: Any) -> Monitor:
    for seed in range(runs):
        answer(store, seed)
    for seed in range(after):
        answer(store, 100 + seed, **options)
    return monitor(store, "nightly", reference_runs=10)


def test_nothing_changed(store: LocalStore) -> None:
    found = history(store, runs=16)
    (chart,) = found.charts
    assert not chart.alarm
    assert chart.sentence.startswith("in control over 16 runs")
    assert len(chart.sparkline) == 16
    assert "no more than once in about 370 runs" in found.statement
    # The noise of a run is that of generation: for these chances sqrt(mean p (1 - p) / n), not sqrt(p (1 - p) / n).
    chances = np.array([0.35, 0.75, 0.95, 1.0])
    assert chart.se[0] == pytest.approx(np.sqrt((chances * (1 - chances)).mean() / 120), rel=0.15)
    assert chart.se[0] < 0.85 * np.sqrt(0.76 * 0.24 / 120)


def test_the_provider_drifted(store: LocalStore) -> None:
    (chart,) = history(store, runs=12, after=5, worse=0.12, fingerprint="fp_b").charts
    assert chart.alarm
    assert chart.attribution is not None
    assert chart.attribution.causes == ("provider",)
    assert "the fingerprint changed: fp_b appeared and fp_a went" in chart.attribution.evidence
    assert "Nothing of ours changed" in chart.sentence
    assert chart.changed_between is not None
    first, last = (chart.runs.index(run) for run in chart.changed_between)
    assert first <= 12 <= last
    assert chart.changed_at in chart.runs[11:14]


def test_our_prompt_changed(store: LocalStore) -> None:
    (chart,) = history(store, runs=12, after=5, worse=0.15, prompt="Never say yes to {{ q }}").charts
    assert chart.alarm
    assert chart.attribution is not None
    assert chart.attribution.causes == ("prompt",)
    assert "In that interval the prompt changed" in chart.sentence


def test_too_few_runs(store: LocalStore) -> None:
    answer(store, 1)
    with pytest.raises(SpecError, match="has 1 complete runs: control charts need at least 4"):
        monitor(store, "nightly")
    with pytest.raises(SpecError, match="has 0 complete runs"):
        monitor(store, "weekly")


def test_an_unknown_metric(store: LocalStore) -> None:
    for seed in range(4):
        answer(store, seed)
    with pytest.raises(SpecError, match="has no metric 'speed'; it has right"):
        monitor(store, "nightly", metrics=["speed"])


def test_limits_hold_with_few_reference_runs() -> None:
    """In control, charts whose limits come from ten runs alarm no more often than promised (short version)."""
    rng = np.random.default_rng(0)
    alarms = runs = 0
    for _ in range(150):
        values = rng.normal(0, 1, 60)
        chart = control_chart(values, baseline_runs=10)
        first = chart.first_alarm
        runs += (60 if first is None else first + 1) - 10
        alarms += first is not None
    assert runs / max(alarms, 1) > 250


def test_what_cannot_be_judged_is_not_in_control(store: LocalStore) -> None:
    """A metric that only the last runs have, and a newest run without a score, say nothing about control."""
    rng = np.random.default_rng(0)
    for number in range(6):
        answers: list[bool | None] = [bool(value) for value in rng.random(40) < 0.6]
        evaluators = [{"exact_match": {"name": "correct"}}, *(["length"] if number >= 4 else [])]
        run(store, recorded({"bot": answers}, name="late", evaluators=evaluators))
    said = {chart.metric: chart for chart in monitor(store, "late", metrics=["correct", "length"]).charts}
    assert said["correct"].sentence.startswith("in control over 6 runs")
    assert said["length"].sentence == (
        "not judged: 2 runs have this metric, and what is normal takes 3 runs before the newest."
    )
    assert not said["length"].alarm
