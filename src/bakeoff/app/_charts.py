"""Plotly charts as the dashboard shows them: one font, one set of tools, no colours lost to a theme."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = ["chart"]

_TOOLS: dict[str, Any] = {
    "displaylogo": False,
    "displayModeBar": "hover",
    "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d", "zoomIn2d", "zoomOut2d"],
    "toImageButtonOptions": {"format": "svg", "filename": "bakeoff"},
    "responsive": True,
}


def chart(figure: go.Figure, *, key: str, alt: str) -> None:
    """Show a figure in a card; the camera in its corner saves it as SVG."""
    figure.update_layout(font={"family": '"Source Sans", "Source Sans Pro", sans-serif', "size": 14})
    figure.update_layout(margin={"l": 8, "r": 18, "t": 30, "b": 52})
    with st.container(border=True, key=f"chart_{key}"):
        st.plotly_chart(figure, theme=None, config=_TOOLS, key=key, alt=alt)
