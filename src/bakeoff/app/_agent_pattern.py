"""How an agent reasons, as a form: its pattern and the pattern's options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from bakeoff.agents import patterns
from bakeoff.app._agent_form import put, section, whole

if TYPE_CHECKING:
    from bakeoff.agents import Pattern

__all__ = ["pattern_section"]


def pattern_section(agent: dict[str, Any], *, scope: str) -> None:
    """Choose the reasoning pattern of an agent."""
    current = section(agent, "pattern", "name")
    library = patterns()
    names = list(library)
    name = str(current.get("name") or "zero_shot")
    options = current.get("options") if isinstance(current.get("options"), dict) else None
    given = dict(options or {k: v for k, v in current.items() if k not in ("name", "options")})
    chosen = st.selectbox(
        "Reasoning pattern", names, index=names.index(name) if name in names else 0, key=f"d_pattern_{scope}",
        format_func=lambda k: f"{library[k].title}: about {library[k].cost_multiplier:g} calls",
    )  # fmt: skip
    pattern = library[str(chosen)]
    needs = f" Needs {' and '.join(pattern.needs)}." if pattern.needs else ""
    st.caption(f"{pattern.helps} {pattern.hurts}{needs}")
    values = _pattern_options(pattern, given if chosen == name else {}, scope=scope)
    put(agent, "pattern", {"name": pattern.name, **values} if values else pattern.name, default="zero_shot")


def _pattern_options(pattern: Pattern, given: dict[str, Any], *, scope: str) -> dict[str, Any]:
    """Show a pattern's options; return those that differ from their defaults."""
    found = {name: value for name, value in given.items() if name in pattern.options}
    plain = {n: o for n, o in pattern.options.items() if not isinstance(o.default, list)}
    if not plain:
        return found
    for column, (name, option) in zip(st.columns(max(len(plain), 2)), plain.items(), strict=False):
        label, key = name.replace("_", " ").capitalize(), f"d_po_{scope}_{pattern.name}_{name}"
        value = given.get(name, option.default)
        with column:
            if option.words:
                at = option.words.index(value) if value in option.words else 0
                new: Any = st.selectbox(label, option.words, index=at, key=key, help=option.help or None)
            elif isinstance(option.default, bool):
                new = st.toggle(label, value=bool(value), key=key, help=option.help or None)
            elif isinstance(option.default, str):
                new = st.text_input(label, value=str(value), key=key, help=option.help or None)
            elif isinstance(option.default, int):
                low, high = int(option.low), int(option.high)
                now = whole(value, option.default, low, high)
                new = st.number_input(label, low, high, value=now, key=key, help=option.help or None)
            else:
                low, high = float(option.low), float(option.high)
                now = min(max(float(value), low), high) if isinstance(value, (int, float)) else float(option.default)
                new = st.number_input(label, low, high, value=now, key=key, help=option.help or None)
        put(found, name, new, default=option.default)
    return found
