from __future__ import annotations

import csv
import io

import numpy as np
import plotly.graph_objects as go

from bakeoff.app._charts import figure_csv
from bakeoff.app._shapes import heat_rows


def rows_of(figure: go.Figure) -> list[list[str]]:
    return list(csv.reader(io.StringIO(figure_csv(figure).decode())))


def test_a_chart_gives_its_numbers_with_their_intervals() -> None:
    trace = go.Scatter(
        x=[1.0, 2.0], y=[10.0, 20.0], text=["a &lt;b&gt;", "=1+1"], name="n",
        error_y={"array": [1.0, 2.0], "arrayminus": [3.0, 4.0]},
    )  # fmt: skip
    head, first, second = rows_of(go.Figure(trace))
    assert head == ["series", "label", "x", "x_low", "x_high", "y", "y_low", "y_high"]
    assert first == ["n", "a <b>", "1.0", "", "", "10.0", "7.0", "11.0"]
    assert second[1] == "'=1+1", "no spreadsheet runs it"
    assert second[6:] == ["16.0", "22.0"]


def test_a_heat_map_gives_cells_and_leaves_gaps_empty() -> None:
    figure = go.Figure(go.Heatmap(z=np.array([[1.0, np.nan]]), x=["v1", "v2"], y=["item"]))
    assert rows_of(figure)[1:] == [["item", "v1", "1.0"], ["item", "v2", ""]]


def test_rows_of_the_heat_map() -> None:
    values = np.array([[1.0, 1.0], [np.nan, np.nan], [0.0, 1.0], [0.0, 0.0]])
    assert heat_rows(values, "data", higher_is_better=True, most=9).tolist() == [0, 1, 2, 3]
    assert heat_rows(values, "hardest", higher_is_better=True, most=9).tolist() == [3, 2, 0, 1]
    assert heat_rows(values, "hardest", higher_is_better=False, most=9).tolist() == [0, 2, 3, 1]
    assert heat_rows(values, "spread", higher_is_better=True, most=2).tolist() == [2, 0]
