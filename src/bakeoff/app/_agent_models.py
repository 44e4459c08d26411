"""Which model of an agent answers, as a form: one, a cascade of tiers, or rules that choose."""

from __future__ import annotations

from typing import Any

import streamlit as st

from bakeoff.app._agent_form import put
from bakeoff.app._text import line

__all__ = ["who_answers"]

_WAYS = {"one": "One model", "cascade": "Cascade: cheap first", "router": "Router: by rules"}


def who_answers(agent: dict[str, Any], models: list[str], *, scope: str) -> None:
    """Choose the model, the tiers or the rules of an agent."""
    if agent.get("router"):
        st.caption(f"A fitted router chooses the model: {line(agent['router'], 80)}")
        return
    now = "cascade" if agent.get("tiers") else "router" if agent.get("route") else "one"
    way = st.segmented_control(
        "Which model answers", list(_WAYS), default=now, format_func=lambda k: _WAYS[k], required=True,
        key=f"d_way_{scope}",
    )  # fmt: skip
    if way == "one" or way is None:
        agent.pop("tiers", None)
        agent.pop("route", None)
        _one_model(agent, models, scope=scope)
    elif way == "cascade":
        agent.pop("route", None)
        agent["tiers"] = _cascade(agent.get("tiers") or [], models, scope=scope)
        if not agent.get("steps"):
            agent.pop("model", None)
    else:
        agent.pop("tiers", None)
        agent["route"] = _rules(agent.get("route") or [], models, scope=scope)
        if not agent.get("steps"):
            agent.pop("model", None)


def _one_model(agent: dict[str, Any], models: list[str], *, scope: str) -> None:
    current = agent.get("model")
    if isinstance(current, dict):
        st.caption("The model has changes of its own, written in the file.")
        return
    options = list(dict.fromkeys([*([current] if current else []), *models]))
    chosen = st.selectbox(
        "Model", options, index=0 if options else None, key=f"d_agent_model_{scope}", accept_new_options=True,
        help="A name from the table of models below, or any LiteLLM name.",
    )  # fmt: skip
    put(agent, "model", chosen)


def _cascade(tiers: list[dict[str, Any]], models: list[str], *, scope: str) -> list[dict[str, Any]]:
    """Edit tiers as a table: a model, and when its answer is good enough to stop there."""
    import pandas as pd

    if not tiers:
        tiers = [
            {"model": name, "accept": {"by": "consistency", "samples": 3, "threshold": 0.7}} for name in models[:-1][:3]
        ]
        tiers += [{"model": name} for name in models[-1:]]
    rows = [
        {
            "model": t["model"] if isinstance(t.get("model"), str) else "(as written)",
            "accept": (t.get("accept") or {}).get("by"),
            "threshold": (t.get("accept") or {}).get("threshold", 0.7 if t.get("accept") else None),
            "samples": (t.get("accept") or {}).get("samples"),
        }
        for t in tiers
    ]
    key = f"d_tiers_{scope}"
    base = f"{key}_base"
    if base not in st.session_state:
        st.session_state[base] = pd.DataFrame(rows, columns=["model", "accept", "threshold", "samples"])
    config = st.column_config
    table = st.data_editor(
        st.session_state[base], num_rows="dynamic", hide_index=True, key=key, row_height=36,
        column_config={
            "model": config.SelectboxColumn("Model, cheapest first", options=models, required=True),
            "accept": config.SelectboxColumn(
                "Stop there when accepted by", options=["consistency", "logprob", "stated"],
                help="Agreement of several samples, probability of the tokens, or the confidence it states",
            ),
            "threshold": config.NumberColumn("at least", min_value=0.0, max_value=1.0, step=0.05),
            "samples": config.NumberColumn("Samples", min_value=2, max_value=20, step=1),
        },
    )  # fmt: skip
    st.caption("The last tier is always accepted. Needs two models or more: add them under Models.")
    by_model = {t["model"]: t for t in tiers if isinstance(t.get("model"), str)}
    found: list[dict[str, Any]] = []
    for row in table.to_dict("records"):
        model = row.get("model")
        if not isinstance(model, str) or not model:
            continue
        old = by_model.get(model, {})
        accept = {k: v for k, v in (old.get("accept") or {}).items() if k not in ("by", "threshold", "samples")}
        kind = row.get("accept")
        rest = {k: v for k, v in old.items() if k not in ("model", "accept")}
        if isinstance(kind, str) and kind:
            accept["by"] = kind
            put(accept, "threshold", _number(row.get("threshold")))
            put(accept, "samples", _whole(row.get("samples")))
            found.append({"model": model, **rest, "accept": accept})
        else:
            found.append({"model": model, **rest})
    return found


def _rules(route: list[dict[str, Any]], models: list[str], *, scope: str) -> list[dict[str, Any]]:
    """Edit routing rules as a table: the first whose condition holds chooses the model."""
    import pandas as pd

    if not route:
        route = [{"when": "", "model": name} for name in models[:2]]
    key = f"d_route_{scope}"
    base = f"{key}_base"
    if base not in st.session_state:
        rows = [{"when": r.get("when") or "", "model": r["model"]} for r in route if isinstance(r.get("model"), str)]
        st.session_state[base] = pd.DataFrame(rows, columns=["when", "model"])
    config = st.column_config
    table = st.data_editor(
        st.session_state[base], num_rows="dynamic", hide_index=True, key=key, row_height=36,
        column_config={
            "when": config.TextColumn("When", help="For instance: question | length > 200. Empty is always."),
            "model": config.SelectboxColumn("Model", options=models, required=True),
        },
    )  # fmt: skip
    found: list[dict[str, Any]] = []
    for row in table.to_dict("records"):
        if isinstance(row.get("model"), str) and row["model"]:
            when = row.get("when")
            entry: dict[str, Any] = {"when": when.strip()} if isinstance(when, str) and when.strip() else {}
            found.append({**entry, "model": row["model"]})
    return found


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and value == value else None


def _whole(value: object) -> int | None:
    number = _number(value)
    return None if number is None else int(number)
