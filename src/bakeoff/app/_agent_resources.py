"""What an agent has at hand, as a form: tools, documents, memory, and the limits of its window."""

from __future__ import annotations

from typing import Any

import streamlit as st

from bakeoff.app._agent_form import mapping, options_with, put, section, whole

__all__ = ["memory_section", "retrieval_section", "tools_section"]

_TOOL_KINDS = ("python", "retrieve", "openapi", "mcp")


def tools_section(agent: dict[str, Any], *, scope: str) -> None:
    """Edit the tools as a table: name, kind, and where it is."""
    import pandas as pd

    tools: dict[str, Any] = dict(agent.get("tools") or {}) if isinstance(agent.get("tools"), dict) else {}
    with st.expander(f"Tools{f' ({len(tools)})' if tools else ''}", expanded=bool(tools)):
        key = f"d_tools_{scope}"
        base = f"{key}_base"
        if base not in st.session_state:
            rows = [_tool_row(name, tool) for name, tool in tools.items() if isinstance(tool, dict)]
            st.session_state[base] = pd.DataFrame(rows, columns=["name", "kind", "where", "operation"])
        config = st.column_config
        table = st.data_editor(
            st.session_state[base], num_rows="dynamic", hide_index=True, key=key, row_height=36,
            column_config={
                "name": config.TextColumn("Name", required=True),
                "kind": config.SelectboxColumn("Kind", options=list(_TOOL_KINDS), required=True),
                "where": config.TextColumn(
                    "Where", help="python: tools.py:search · openapi: api.yaml · mcp: command or address · retrieve: "
                    "leave empty",
                ),
                "operation": config.TextColumn("Operation", help="For openapi: the operationId"),
            },
        )  # fmt: skip
        st.caption("`retrieve` lets the model search the documents below when it wants to.")
    found: dict[str, Any] = {}
    for row in table.to_dict("records"):
        name, kind, where, operation = (row.get(k) for k in ("name", "kind", "where", "operation"))
        if not (isinstance(name, str) and name.strip() and kind in _TOOL_KINDS):
            continue
        old = tools.get(name)
        rest = {k: v for k, v in (old or {}).items() if k not in (*_TOOL_KINDS, "operation")}
        place = where.strip() if isinstance(where, str) else ""
        same = isinstance(old, dict) and _tool_row(name, old)["where"] == place
        value: Any = True if kind == "retrieve" else old[kind] if same and old and kind in old else place
        entry = {str(kind): value, **rest}
        if kind == "openapi" and isinstance(operation, str) and operation.strip():
            entry["operation"] = operation.strip()
        found[name.strip()] = entry
    put(agent, "tools", found)


def _tool_row(name: str, tool: dict[str, Any]) -> dict[str, Any]:
    kind = next((k for k in _TOOL_KINDS if tool.get(k)), "python")
    value = tool.get(kind)
    where = "" if value is True or value is None else " ".join(value) if isinstance(value, list) else str(value)
    return {"name": name, "kind": kind, "where": where, "operation": tool.get("operation") or ""}


def retrieval_section(agent: dict[str, Any], *, scope: str) -> None:
    """Choose the documents that are searched, and how."""
    current = mapping(agent.get("retrieval"))
    with st.expander("Retrieval: search documents first", expanded=bool(current)):
        one, two, three = st.columns([3, 1.6, 1])
        corpus = one.text_input(
            "Documents", value=str(current.get("corpus") or ""), key=f"d_corpus_{scope}",
            placeholder="none: nothing is searched",
            help="`bundled:handbook-qa`, a .jsonl file with `id` and `text`, or a file or folder of Markdown, HTML, "
            "text, code, PDF or DOCX, relative to the experiment file.",
        )  # fmt: skip
        methods, at = options_with(["bm25", "vector", "hybrid"], current.get("method", "bm25"))
        method = two.selectbox("Search by", methods, index=at, key=f"d_method_{scope}")
        top = three.number_input(
            "Passages", 1, 100, value=whole(current.get("top_k"), 3, 1, 100), key=f"d_topk_{scope}"
        )
        chunk = section(current, "chunk", "by")
        four, five, _ = st.columns([1.6, 1, 3])
        ways, at = options_with(["whole", "fixed", "sentence", "heading", "code"], chunk.get("by", "whole"))
        by = four.selectbox("Cut documents", ways, index=at, key=f"d_chunk_{scope}")
        size = five.number_input(
            "Words",
            5,
            100_000,
            value=whole(chunk.get("size"), 60, 5, 100_000),
            key=f"d_size_{scope}",
            disabled=by == "whole",
        )
    if not (corpus or "").strip():
        agent.pop("retrieval", None)
        return
    current["corpus"] = str(corpus).strip()
    put(current, "method", method, default="bm25")
    put(current, "top_k", int(top or 3), default=3)
    put(chunk, "by", by)
    put(chunk, "size", int(size or 60) if by != "whole" else None, default=60)
    put(current, "chunk", chunk if set(chunk) - {"by"} else by, default="whole")
    agent["retrieval"] = current


def memory_section(agent: dict[str, Any], *, scope: str) -> None:
    """Choose what is remembered, what happens when the window fills, and how many rounds there are."""
    memory, context = section(agent, "memory", "policy"), section(agent, "context", "policy")
    talk = mapping(agent.get("conversation"))
    limits = mapping(agent.get("limits"))
    used = bool(memory or context or talk or limits)
    with st.expander("Memory, context and limits", expanded=used):
        one, two, three = st.columns([2, 1, 2])
        policies, at = options_with(
            ["none", "window", "summary", "retrieval", "hierarchical"], memory.get("policy", "none")
        )
        policy = one.selectbox(
            "Memory", policies, index=at, key=f"d_memory_{scope}",
            help="What it remembers from turn to turn of one item.",
        )  # fmt: skip
        window = two.number_input(
            "Messages kept", 1, 10_000, value=whole(memory.get("window"), 6, 1, 10_000), key=f"d_mwindow_{scope}",
            disabled=policy == "none",
        )  # fmt: skip
        turns = three.text_input(
            "Turns of the conversation", value=str(talk.get("turns") or ""), key=f"d_turns_{scope}",
            placeholder="one question an item", help="Input that holds the user's messages in order.",
        )  # fmt: skip
        four, five, six = st.columns([2, 1, 2])
        acts, at = options_with(
            ["none", "truncate", "drop_middle", "summarise", "hierarchical", "handover"], context.get("policy", "none")
        )
        act = four.selectbox("When the window fills", acts, index=at, key=f"d_ctx_{scope}")
        tokens = five.number_input(
            "Window, tokens", 1, 100_000_000, value=whole(context.get("window"), 128_000, 1, 100_000_000),
            key=f"d_cwindow_{scope}", disabled=act == "none",
        )  # fmt: skip
        rounds = six.number_input(
            "Rounds of tool calls, at most", 1, 200, value=whole(limits.get("max_iterations"), 8, 1, 200),
            key=f"d_rounds_{scope}",
        )  # fmt: skip
    put(memory, "policy", policy, default="none")
    put(memory, "window", int(window or 6) if policy != "none" else None, default=6)
    put(agent, "memory", memory if policy != "none" else None)
    put(context, "policy", act, default="none")
    put(context, "window", int(tokens or 128_000) if act != "none" else None, default=128_000)
    put(agent, "context", context if act != "none" else None)
    put(talk, "turns", (turns or "").strip())
    put(agent, "conversation", talk if talk.get("turns") or talk.get("user") else None)
    put(limits, "max_iterations", int(rounds or 8), default=8)
    put(agent, "limits", limits)
