"""The trade-off of a run against SQL over its own files, and against dominance written out."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest

import bakeoff
from bakeoff.errors import SpecError
from bakeoff.experiments import analyse, trade_axes, trade_off
from bakeoff.reports import tradeoff_figure

MODELS = {
    "dear": {"model": "sim/large", "params": {"sim": {"time_scale": 0, "price": {"input_usd": 9, "output_usd": 9}}}},
    "cheap": {"model": "sim/small", "params": {"sim": {"time_scale": 0, "price": {"input_usd": 1, "output_usd": 1}}}},
}


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> bakeoff.RunResult:
    words = ["billing", "delivery", "refund"]
    rows = [
        {"id": f"i{k:03d}", "text": f"message {k} about {words[k % 3]}", "label": words[k % 3], "doc": f"d{k // 2}"}
        for k in range(80)
    ]
    spec = {
        "name": "trade",
        "dataset": {"rows": rows, "id": "id", "inputs": ["text"], "expected": "label", "cluster": "doc"},
        "prompts": {"short": "Label: {{ text }}", "long": "Label this, please, with care and patience: {{ text }}"},
        "models": MODELS,
        "factors": {"prompt": ["short", "long"], "model": ["dear", "cheap"]},
        "evaluators": [{"label_match": {"name": "right", "labels": words}}, {"length": {"name": "size"}}],
        "analysis": {"primary": "right"},
        "repeats": 2,
        "mlflow": False,
    }
    return bakeoff.run(spec, store=tmp_path_factory.mktemp("trade"))


def test_values_are_those_of_the_trials(result: bakeoff.RunResult) -> None:
    found = trade_off(result.store, result.manifest, "right", against=["cost", "latency_p95"])
    with result.store.connect([result.run_id]) as connection:
        costs = dict(connection.execute("SELECT variant, avg(cost_usd) FROM trials GROUP BY variant").fetchall())
        right = dict(
            connection.execute(
                "SELECT variant, avg(value) FROM scores WHERE metric = 'right' GROUP BY variant"
            ).fetchall()
        )
        slow = dict(
            connection.execute(
                "SELECT variant, quantile_disc(ms, 0.95) FROM (SELECT variant, item, avg(latency_ms) AS ms FROM trials "
                "GROUP BY variant, item) GROUP BY variant"
            ).fetchall()
        )
    names = found.front.variants
    assert found.front.values[:, 0] == pytest.approx([right[name] for name in names])
    assert found.front.values[:, 1] == pytest.approx([costs[name] for name in names])
    assert found.front.values[:, 2] == pytest.approx([slow[name] for name in names])
    for estimate, name in zip(found.spread[0], names, strict=True):
        assert estimate.low <= costs[name] <= estimate.high


def test_the_front_is_what_nothing_dominates(result: bakeoff.RunResult) -> None:
    found = trade_off(result.store, result.manifest, "right", against=["cost", "output_tokens"])
    points = found.front.values * np.array([1, -1, -1])  # more is better everywhere
    beaten = [
        any(
            (points[j] >= points[i]).all() and (points[j] > points[i]).any()
            for j in range(len(points))
        )
        for i in range(len(points))
    ]  # fmt: skip
    assert [not flag for flag in beaten] == found.front.on_front.tolist()
    assert 0 < sum(beaten) < len(beaten), "the case separates front and rest"
    assert found.front.n == 40, "whole clusters are resampled"
    assert ((found.front.probability >= 0) & (found.front.probability <= 1)).all()


def test_only_axes_that_are_known(result: bakeoff.RunResult, tmp_path: Path) -> None:
    assert set(trade_axes(result.store, result.manifest)) >= {"cost", "input_tokens"}
    rows = [{"id": str(k), "q": "q", "a": "x", "b": "y"} for k in range(4)]
    bare = bakeoff.run(
        {
            "name": "bare",
            "dataset": {"rows": rows, "id": "id", "inputs": ["q"]},
            "targets": {"a": {"recorded": "a"}, "b": {"recorded": "b"}},
            "evaluators": [{"length": {"name": "size"}}],
            "mlflow": False,
        },
        store=tmp_path,
    )
    assert "cost" not in trade_axes(bare.store, bare.manifest)


@pytest.mark.parametrize(
    ("metric", "against", "said"),
    [
        ("right", ["beauty"], "against must name"),
        ("right", [], "against must name"),
        ("nothing", ["cost"], "there is no metric 'nothing'"),
        ("size", ["cost"], "no better direction"),
    ],
)
def test_what_cannot_be_traded_is_said(result: bakeoff.RunResult, metric: str, against: list[str], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        trade_off(result.store, result.manifest, metric, against=against)  # type: ignore[bad-argument-type]


@pytest.mark.parametrize(("axis", "mode"), list(product(["cost", "output_tokens"], ["light", "dark"])))
def test_the_line_never_falls_and_passes_the_best(result: bakeoff.RunResult, axis: str, mode: str) -> None:
    found = trade_off(result.store, result.manifest, "right", against=["cost", "output_tokens"])
    metric = analyse(result.store, result.run_id).metric("right")
    figure = tradeoff_figure(found, metric, axis=axis, mode=mode)  # type: ignore[bad-argument-type]
    line = next(trace for trace in figure.data if trace.name == "front")
    assert line.line.shape == "hv"
    assert list(line.x) == sorted(line.x)
    assert list(line.y) == sorted(line.y)
    assert max(line.y) == pytest.approx(100 * max(row.estimate.estimate for row in metric.scores))
    drawn = {text for trace in figure.data if trace.name != "front" for text in trace.text}
    assert drawn == set(found.front.variants)
