from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import bakeoff
from bakeoff.errors import SpecError, StoreError
from bakeoff.experiments import analyse, score_cubes
from bakeoff.reports import (
    amount_usd,
    cost_quality_figure,
    distribution_figure,
    duration,
    export_run,
    forest_figure,
    leaderboard_figure,
    matrix_figure,
)

HOSTILE = (
    "<script>alert(1)</script><img src=http://127.0.0.1:9/beacon>![x](http://127.0.0.1:9/y)"
    "[click](javascript:alert(1)) \x1b[31mred\x1b[0m \u202eright-to-left\u202c nul:\x00 lone:\ud800 =cmd|'/c calc'!A1"
)


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> bakeoff.RunResult:
    rows = [{"id": f"<b>{i}</b>", "text": HOSTILE, "expected": i % 2} for i in range(40)]

    def loud(text: str) -> str:
        return "=1+1 " + HOSTILE * 3 + "1"

    def quiet(text: str) -> str:
        return "0"

    return bakeoff.evaluate(
        rows, {"<script>loud</script>": loud, "quiet": quiet}, ["numeric", "length"], store=tmp_path_factory.mktemp("s")
    )


def test_hostile_text_stays_text_in_the_report(result: bakeoff.RunResult, tmp_path: Path) -> None:
    page = result.report(tmp_path / "r.html").read_text()
    body = page[page.index("<main>") :]
    assert "<script>alert" not in body
    assert "<script>loud" not in body
    assert "<img src=http" not in body
    assert "&lt;img src=http" in body, "it is shown, as text"


def test_a_report_that_cannot_be_written(result: bakeoff.RunResult, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        result.report(tmp_path / "file" / "r.html")


@pytest.mark.parametrize("suffix", ["csv", "xlsx"])
def test_spreadsheets_get_no_formulas(result: bakeoff.RunResult, tmp_path: Path, suffix: str) -> None:
    path = result.export(tmp_path / f"t.{suffix}")
    frame = pd.read_csv(path) if suffix == "csv" else pd.read_excel(path)
    outputs = frame.loc[frame["variant"] != "quiet", "output"]
    assert outputs.str.startswith("'=1+1").all()
    assert len(frame) == 80


def test_parquet_and_json_keep_the_text(result: bakeoff.RunResult, tmp_path: Path) -> None:
    for suffix, read in (("parquet", pd.read_parquet), ("jsonl", lambda p: pd.read_json(p, lines=True))):
        frame = read(result.export(tmp_path / f"t.{suffix}"))
        kept = frame.loc[frame["variant"] != "quiet", "output"].iloc[0]
        assert kept.startswith("=1+1 <script>alert(1)</script>")
        assert "\x1b[31m" in kept


def test_unknown_format(result: bakeoff.RunResult, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"the suffix must be one of \.csv"):
        export_run(result.store, result.run_id, tmp_path / "t.doc")


def test_figures_say_what_the_analysis_says(result: bakeoff.RunResult) -> None:
    analysis = analyse(result.store, result.run_id)
    forest = forest_figure(analysis, "numeric")
    (comparison,) = analysis.metric("numeric").comparisons
    trace = forest.data[0]
    assert trace.x[0] == pytest.approx(100 * comparison.difference.estimate)
    assert trace.x[0] - trace.error_x.arrayminus[0] == pytest.approx(100 * comparison.difference.low)
    board = leaderboard_figure(analysis, "numeric")
    assert sorted(board.data[0].x) == [50.0, 50.0]
    assert "<script>" not in forest.to_json() + board.to_json() + cost_quality_figure(analysis).to_json()


def test_the_margin_is_drawn_for_the_metric_it_was_declared_for(result: bakeoff.RunResult) -> None:
    analysis = analyse(result.store, result.run_id, margin=0.05)
    bands = {
        name: [s for s in forest_figure(analysis, name).layout.shapes if s.type == "rect"]
        for name in ("numeric", "length")
    }
    assert [(band.x0, band.x1) for band in bands["numeric"]] == [(-5.0, 5.0)]
    assert bands["length"] == []


def test_distribution_and_matrix(result: bakeoff.RunResult) -> None:
    cube = score_cubes(result.store, result.manifest, metrics=["numeric"])["numeric"]
    metric = analyse(result.store, result.run_id).metric("numeric")
    bars = distribution_figure([(name, cube.of(name)) for name in cube.variants], metric)
    assert list(bars.data[0].x) == ["fail", "pass"]
    heat = matrix_figure(cube.values[:, :, 0].T, [f"<i>{i}</i>" for i in range(40)], list(cube.variants), "numeric")
    assert heat.data[0].z.shape == (40, 2)
    assert "<i>" not in heat.to_json()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "$0"),
        (0.00012, "$0.00012"),
        (0.0123, "$0.0123"),
        (12.345, "$12.35"),
        (1234.5, "$1,234.50"),
        (float("nan"), "-"),
    ],
)
def test_money(value: float, text: str) -> None:
    assert amount_usd(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.05, "0.1 s"), (9.9, "9.9 s"), (45, "45 s"), (200, "3 min 20 s"), (7500, "2 h 5 min"), (None, "-")],
)
def test_durations(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text
