from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import bakeoff
from bakeoff.errors import SpecError

ROWS = [{"id": str(i), "text": "x" * i, "expected": i} for i in range(1, 41)]


def right(text: str) -> int:
    return len(text)


async def wrong_on_odd(text: str) -> int:
    return len(text) + len(text) % 2


def test_compares_functions_sync_and_async(tmp_path: Path) -> None:
    result = bakeoff.evaluate(
        ROWS, {"wrong": wrong_on_odd, "right": right}, ["numeric"], name="lengths", max_concurrency=8, store=tmp_path
    )
    board = result.leaderboard()
    assert board.loc["right", "numeric"] == 1.0
    assert board.loc["wrong", "numeric"] == 0.5
    (row,) = result.compare().to_dict("records")
    assert (row["candidate"], row["baseline"], row["verdict"]) == ("right", "wrong", "better")
    assert (row["improved"], row["regressed"], row["same"]) == (20, 0, 20)
    assert "right is better than wrong" in result.headline
    assert len(result.to_frame()) == 80


def test_a_dataframe_and_repetitions(tmp_path: Path) -> None:
    result = bakeoff.evaluate(pd.DataFrame(ROWS), right, ["numeric"], repetitions=3, store=tmp_path)
    assert len(result.to_frame()) == 120
    assert list(result.leaderboard().index) == ["right"]
    assert result.compare().empty


def test_one_argument_takes_all_inputs(tmp_path: Path) -> None:
    def whole(row: dict[str, Any]) -> int:
        return len(row["text"])

    assert bakeoff.evaluate(ROWS, whole, ["numeric"], store=tmp_path).leaderboard()["numeric"].item() == 1.0


def test_rows_as_other_tools_keep_them(tmp_path: Path) -> None:
    rows = [{"inputs": {"text": "abc"}, "expectations": 3}, {"inputs": {"text": "abcd"}, "expectations": 4}]
    assert bakeoff.evaluate(rows, right, ["numeric"], store=tmp_path).leaderboard()["numeric"].item() == 1.0


def test_a_function_as_evaluator(tmp_path: Path) -> None:
    def close(output: int, expected: int) -> float:
        return 1 / (1 + abs(output - expected))

    result = bakeoff.evaluate(ROWS, wrong_on_odd, [close], store=tmp_path)
    assert result.leaderboard()["close"].item() == pytest.approx(0.75)


async def test_inside_a_running_event_loop(tmp_path: Path) -> None:
    assert bakeoff.evaluate(ROWS, right, ["numeric"], store=tmp_path).manifest.status == "complete"
    assert (await bakeoff.evaluate_async(ROWS, right, ["numeric"], store=tmp_path)).manifest.status == "complete"


def test_what_the_function_raises_is_a_failed_trial(tmp_path: Path) -> None:
    def fussy(text: str) -> int:
        if len(text) > 30:
            raise ValueError("too long")
        return len(text)

    result = bakeoff.evaluate(ROWS, fussy, ["numeric"], store=tmp_path)
    frame = result.to_frame()
    assert (~frame["ok"]).sum() == 10
    assert set(frame.loc[~frame["ok"], "error"]) == {"ValueError: too long"}
    assert frame["numeric"].isna().sum() == 10
    assert result.leaderboard()["numeric"].item() == 1.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((ROWS, "not callable", ["numeric"]), "must be callable, got str 'not callable'"),
        ((ROWS, right, []), "evaluators must be a list with at least one entry"),
        ((ROWS, right, "numeric"), "evaluators must be a list with at least one entry"),
        ((ROWS, right, len), "evaluators must be a list with at least one entry"),
        ((ROWS, {"": right}, ["numeric"]), "a task needs a name"),
        ((42, right, ["numeric"]), "data must be a file, a DataFrame, a list of dicts or a callable, got int"),
        (([], right, ["numeric"]), "no items|empty|no rows"),
    ],
)
def test_wrong_arguments_are_said_plainly(arguments: tuple[Any, ...], message: str, tmp_path: Path) -> None:
    with pytest.raises(bakeoff.BakeoffError, match=message):
        bakeoff.evaluate(*arguments, store=tmp_path)


def test_a_spec_as_a_mapping(tmp_path: Path) -> None:
    spec = {
        "name": "m",
        "dataset": {"rows": ROWS},
        "targets": {"echo": {"command": ["cat"], "input": "text"}},
        "evaluators": ["length"],
        "mlflow": False,
    }
    result = bakeoff.run(spec, store=tmp_path)
    assert [row["output"] for row in result.store.trials(result.run_id).to_pylist()][:2] == ["x", "xx"]
    with pytest.raises(SpecError, match="evaluators"):
        bakeoff.run({key: value for key, value in spec.items() if key != "evaluators"}, store=tmp_path)


def test_notebook_display_escapes_what_models_said(tmp_path: Path) -> None:
    result = bakeoff.evaluate(ROWS, {"<img src=x>": right, "b": right}, ["numeric"], store=tmp_path)
    shown = result._repr_html_()
    assert "<img" not in shown
    assert "&lt;img" in shown


def test_importing_bakeoff_is_light() -> None:
    code = "import bakeoff, sys; print(sorted({m.partition('.')[0] for m in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    for heavy in ("litellm", "mlflow", "streamlit", "scipy", "statsmodels", "pandas", "numpy", "duckdb", "plotly"):
        assert f"'{heavy}'" not in loaded


def test_a_result_in_which_everything_failed_says_why(tmp_path: Path) -> None:
    def needs_more(x: int, y: int) -> int:
        return x + y

    result = bakeoff.evaluate(ROWS, needs_more, ["exact_match"], store=tmp_path)
    assert result.headline.startswith("No answer: every trial failed. the function needs x, y")
    assert result.leaderboard()["exact_match"].isna().all()
    assert "every trial failed" in result._repr_html_()


def test_an_evaluator_with_several_scores_may_come_first(tmp_path: Path) -> None:
    def multi(output: int, expected: int) -> dict[str, float]:
        return {"near": 1 / (1 + abs(output - expected)), "size": float(output)}

    result = bakeoff.evaluate(ROWS, {"a": right, "b": wrong_on_odd}, [multi], store=tmp_path)
    assert list(result.leaderboard()["multi.near"]) == [1.0, 0.75]
    assert "On multi.near" in result.headline


def test_what_is_no_answer_is_a_failed_trial(tmp_path: Path) -> None:
    answers: dict[str, Any] = {"g": (i for i in []), "o": object(), "n": None, "nan": float("nan")}
    rows = [{"id": key, "text": key, "expected": 1} for key in answers]
    frame = bakeoff.evaluate(rows, lambda text: answers[text], ["exact_match"], store=tmp_path).to_frame()
    assert not frame["ok"].any()
    assert frame["exact_match"].isna().all()
    assert frame.set_index("item_id").loc["g", "error"].startswith("the function gave a generator")


def test_a_row_that_lacks_an_input_is_missing_not_wrong(tmp_path: Path) -> None:
    rows = [{"id": "a", "text": "x", "expected": 1}, {"id": "b", "txt": "x", "expected": 1}]
    frame = bakeoff.evaluate(rows, right, ["numeric"], store=tmp_path).to_frame().set_index("item_id")
    assert frame.loc["b", "error"].startswith("the function needs text")
    assert frame["numeric"].isna().tolist() == [False, True]


def test_exit_in_a_task_and_lambdas_as_evaluators(tmp_path: Path) -> None:
    def leaves(text: str) -> int:
        raise SystemExit(3)

    result = bakeoff.evaluate(ROWS, leaves, [lambda output: True, lambda output: False], store=tmp_path)
    assert set(result.to_frame()["error"]) == {"SystemExit: 3"}
    assert [metric.metric for metric in result.analysis.metrics] == ["lambda", "lambda_2"]
