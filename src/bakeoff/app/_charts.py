"""Plotly charts as the dashboard shows them: one font, one set of tools, and a way to take each one away."""

from __future__ import annotations

import csv
import html
import io
from typing import TYPE_CHECKING, Any

import streamlit as st

from bakeoff.app import _state
from bakeoff.app._text import defused
from bakeoff.app._theme import ASSETS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import plotly.graph_objects as go

__all__ = ["chart", "figure_csv"]

_TOOLS: dict[str, Any] = {
    "displaylogo": False,
    "displayModeBar": "hover",
    "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d", "zoomIn2d", "zoomOut2d"],
    "responsive": True,
}
_PAPER = {"light": "#ffffff", "dark": "#181c26"}
"""The colour of a card, so that a saved picture is readable wherever it is put."""


def chart(figure: go.Figure, *, key: str, alt: str, name: str = "") -> None:
    """Show a figure in a card, with buttons that save it as PNG, SVG and CSV.

    Pictures are made by the reader's browser, the numbers by the server; nothing is asked of another machine.

    Args:
        figure: What to show.
        key: Of the widget, unique on the page.
        alt: What it shows, read aloud.
        name: Of the saved files, without suffix.
    """
    stem = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in name or key)[:80]
    paper = _PAPER[_state.mode()]
    figure.update_layout(
        font={"family": '"Source Sans", "Source Sans Pro", sans-serif', "size": 14},
        margin={"l": 8, "r": 18, "t": 30, "b": 52}, paper_bgcolor=paper, plot_bgcolor=paper,
    )  # fmt: skip
    tools = {**_TOOLS, "toImageButtonOptions": {"format": "png", "scale": 2, "filename": stem}}
    with st.container(border=True, key=f"chart_{key}", gap="small"):
        st.plotly_chart(figure, theme=None, config=tools, key=key, alt=alt)
        with st.container(horizontal=True, horizontal_alignment="right", vertical_alignment="center", gap="small"):
            _pictures()(key=f"pictures_{key}", data={"alt": alt}, height="content", width="content")
            st.download_button(
                "CSV", data=_later(figure), file_name=f"{stem}.csv", mime="text/csv", on_click="ignore",
                type="tertiary", key=f"csv_{key}", help="The numbers behind this chart",
            )  # fmt: skip


def _later(figure: go.Figure) -> Callable[[], bytes]:
    return lambda: figure_csv(figure)


@st.cache_resource(show_spinner=False)
def _pictures() -> Any:
    """Return the buttons that have Plotly, already on the page, save the chart beside them."""
    script = (ASSETS / "pictures.js").read_text(encoding="utf-8")
    return st.components.v2.component("bakeoff_pictures", html=_BUTTONS, css=_STYLE, js=script)


_BUTTONS = '<button data-format="png">PNG</button><button data-format="svg">SVG</button>'
_STYLE = """
:host, div { display: inline-flex; gap: .9rem; }
button { all: unset; cursor: pointer; font: 400 .93rem var(--st-font, sans-serif); color: var(--st-text-color);
  padding: .25rem .15rem; border-radius: 6px; }
button:hover { color: var(--st-primary-color); }
button:focus-visible { outline: 2px solid var(--st-primary-color); }
"""


def figure_csv(figure: go.Figure) -> bytes:
    """Return the numbers of a figure as CSV: one row a point with the ends of its interval, or one row a cell.

    Texts that a spreadsheet would run as a formula are defused.

    Examples:
        >>> import plotly.graph_objects as go
        >>> print(figure_csv(go.Figure(go.Bar(x=["a"], y=[2.0], name="n"))).decode().strip())
        series,label,x,x_low,x_high,y,y_low,y_high
        n,,a,,,2.0,,
    """
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    traces: list[Any] = list(figure.data)
    cells = [trace for trace in traces if trace.type == "heatmap"]
    if cells:
        writer.writerow(["row", "column", "value"])
        for trace in cells:
            for row, values in zip(trace.y, trace.z, strict=True):
                writer.writerows(
                    [_plain(row), _plain(column), _plain(value)] for column, value in zip(trace.x, values, strict=True)
                )
    else:
        writer.writerow(["series", "label", "x", "x_low", "x_high", "y", "y_low", "y_high"])
        for trace in traces:
            writer.writerows(_points(trace))
    return sink.getvalue().encode(errors="replace")


def _points(trace: Any) -> Iterator[list[str]]:
    x, y = _listed(trace.x), _listed(trace.y)
    texts = _listed(trace.text) if not isinstance(trace.text, str) else []
    ends_x, ends_y = _ends(trace, "error_x", x), _ends(trace, "error_y", y)
    for index, (a, b) in enumerate(zip(x, y, strict=False)):
        label = texts[index] if index < len(texts) else None
        yield [_plain(value) for value in (trace.name, label, a, *ends_x[index], b, *ends_y[index])]


def _listed(values: Any) -> list[Any]:
    return [] if values is None else list(values)


def _ends(trace: Any, name: str, values: Sequence[Any]) -> list[tuple[Any, Any]]:
    bars = getattr(trace, name, None)
    up, down = (_listed(getattr(bars, side, None)) for side in ("array", "arrayminus"))
    if not up or not down:
        return [(None, None)] * len(values)
    return [(value - low, value + high) for value, low, high in zip(values, down, up, strict=True)]


def _plain(value: Any) -> str:
    if isinstance(value, str):
        return defused(html.unescape(value))
    return "" if value is None or value != value else str(value)
