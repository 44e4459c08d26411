"""One look for all pages: type, spacing and colours, in light and dark."""

from __future__ import annotations

from pathlib import Path

__all__ = ["ASSETS", "theme_config"]

ASSETS = Path(__file__).with_name("assets")

_SHARED: dict[str, str | int | bool | list[str]] = {
    "font": "sans-serif",
    "headingFont": "sans-serif",
    "codeFont": "monospace",
    "baseFontSize": 15,
    "baseRadius": "10px",
    "buttonRadius": "8px",
    "linkUnderline": False,
    "showWidgetBorder": True,
    "codeFontSize": "0.84rem",
    "metricValueFontSize": "1.6rem",
}
_LIGHT: dict[str, str] = {
    "primaryColor": "#3657d6",
    "backgroundColor": "#fbfbfd",
    "secondaryBackgroundColor": "#f0f2f7",
    "textColor": "#1b2030",
    "linkColor": "#2f4ec4",
    "borderColor": "#dfe3ec",
    "dataframeBorderColor": "#e6e9f0",
    "dataframeHeaderBackgroundColor": "#f4f5f9",
    "codeBackgroundColor": "#f3f4f8",
}
_DARK: dict[str, str] = {
    "primaryColor": "#6380f4",
    "backgroundColor": "#12151d",
    "secondaryBackgroundColor": "#1b202b",
    "textColor": "#e6e9f1",
    "linkColor": "#a3b6ff",
    "borderColor": "#2c3342",
    "dataframeBorderColor": "#2a3140",
    "dataframeHeaderBackgroundColor": "#1b202b",
    "codeBackgroundColor": "#1a1f2a",
}


def theme_config() -> dict[str, str | int | bool | list[str]]:
    """Return the theme as Streamlit options.

    Examples:
        >>> theme_config()["theme.light.primaryColor"]
        '#3657d6'
    """
    return {
        **{f"theme.{name}": value for name, value in _SHARED.items()},
        **{f"theme.light.{name}": value for name, value in _LIGHT.items()},
        **{f"theme.dark.{name}": value for name, value in _DARK.items()},
        "theme.light.sidebar.backgroundColor": "#f3f4f9",
        "theme.dark.sidebar.backgroundColor": "#0e1118",
    }
