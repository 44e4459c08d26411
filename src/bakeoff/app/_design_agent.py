"""The settings of an agent as a form: model or cascade or router, pattern, tools, retrieval, memory, context."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import streamlit as st

from bakeoff.agents import patterns
from bakeoff.app import _draft, _parts, _state
from bakeoff.app._text import h, line
from bakeoff.errors import BakeoffError, SpecError
from bakeoff.prompts import Prompt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bakeoff.agents import Pattern
    from bakeoff.app._draft import Draft
    from bakeoff.datasets import Item

__all__ = ["agent_of", "agent_section", "what_answers"]

_WAYS = {"one": "One model", "cascade": "Cascade: cheap first", "router": "Router: by rules"}
_TOOL_KINDS = ("python", "retrieve", "openapi", "mcp")
_FORM = (
    "model", "tiers", "route", "system", "prompt", "pattern", "tools", "retrieval", "memory", "context", "conversation",
    "limits",
)  # fmt: skip
"""Keys with a place in the form; all others are below it, as YAML."""


def agent_of(draft: Draft) -> tuple[str, dict[str, Any]] | None:
    """Return the name and the target of the first agent of a draft."""
    for name, target in (draft.get("targets") or {}).items():
        if isinstance(target, dict) and isinstance(target.get("agent"), dict):
            return str(name), target
    return None


def what_answers(draft: Draft, *, known: Sequence[str], scope: str) -> str:
    """Choose between prompts on models and an agent; return `prompts`, `agent`, or `file` for other targets.

    What was written for one is kept while the other is tried.
    """
    now = "agent" if agent_of(draft) else "file" if draft.get("targets") else "prompts"
    words = {"prompts": "Prompts on models", "agent": "An agent", "file": "Targets as written in the file"}
    options = ["prompts", "agent"] if now != "file" else ["file"]
    chosen = st.segmented_control(
        "What answers", options, default=now, format_func=lambda k: words[k], required=True, key=f"d_kind_{scope}",
        label_visibility="collapsed",
    )  # fmt: skip
    if chosen == now or chosen is None:
        return now
    kept_keys = ("prompts", "targets", "factors", "exclude", "variants")
    st.session_state[f"design_kept_{now}"] = {key: draft[key] for key in kept_keys if key in draft}
    before = st.session_state.get(f"design_kept_{chosen}")
    for key in kept_keys:
        draft.pop(key, None)
    draft.update(copy.deepcopy(before) if before else _fresh(str(chosen), draft, known))
    draft.get("analysis", {}).pop("baseline", None)
    st.session_state["design_generation"] = st.session_state.get("design_generation", 0) + 1
    st.rerun()
    return str(chosen)


def _fresh(kind: str, draft: Draft, known: Sequence[str]) -> Draft:
    place = "{{ " + (known or ["input"])[0] + " }}"
    if kind == "prompts":
        return {"prompts": {"short": place, "careful": f"Think before you answer.\n\n{place}"}}
    kept = st.session_state.get("design_kept_prompts") or {}
    texts = [text for text in (kept.get("prompts") or {}).values() if isinstance(text, str)]
    models = list(draft.get("models") or {"small": "sim/small"})
    return {
        "targets": {"agent": {"agent": {"model": models[0], "prompt": texts[-1] if texts else place}}},
        "factors": {"agent.pattern": ["zero_shot", "chain_of_thought"]},
    }


def agent_section(draft: Draft, item: Item | None, *, scope: str) -> None:
    """Show the settings of the draft's first agent; others stay as they are in the file.

    Args:
        draft: Its first agent is changed.
        item: On which the prompt is shown.
        scope: Tells widgets of different drafts apart.
    """
    found = agent_of(draft)
    if found is None:
        return
    name, target = found
    agent: dict[str, Any] = copy.deepcopy(target["agent"])
    models = list(draft.get("models") or {})
    if agent.get("steps"):
        count = len(agent["steps"])
        _state.html(
            _parts.wrap(
                f'<div class="bo-soft">A workflow of {count} steps: prompts and patterns of its steps are below, as '
                "YAML.</div>"
            )
        )
    _who_answers(agent, models, scope=scope)
    if not agent.get("steps"):
        _texts(agent, list(draft.get("prompts") or {}), scope=scope)
        if item is not None and agent.get("prompt") not in (draft.get("prompts") or {}):
            _shown(str(agent.get("prompt") or ""), item)
        _pattern(agent, scope=scope)
    _tools(agent, scope=scope)
    _retrieval(agent, scope=scope)
    _memory(agent, scope=scope)
    _rest(agent, scope=scope)
    others = [other for other in draft["targets"] if other != name]
    if others:
        st.caption(f"{len(others)} more in the file: {', '.join(line(other, 40) for other in others[:6])}")
    draft["targets"] = {**draft["targets"], name: {**target, "agent": agent}}


def put(section: dict[str, Any], key: str, value: object, *, default: object = None) -> None:
    """Set a key, or take it away where the value is empty or the default.

    Examples:
        >>> section = {"a": 1, "b": 2}
        >>> put(section, "a", None), put(section, "b", 3), put(section, "c", 7, default=7), section
        (None, None, None, {'b': 3})
    """
    if value in (None, "", [], {}) or value == default:
        section.pop(key, None)
    else:
        section[key] = value


def _sub(agent: dict[str, Any], key: str, short: str) -> dict[str, Any]:
    """Return a section that may be written as one word."""
    value = agent.get(key)
    return {short: value} if isinstance(value, str) else dict(value or {})


def _who_answers(agent: dict[str, Any], models: list[str], *, scope: str) -> None:
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


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and value == value else None


def _whole(value: object) -> int | None:
    number = _number(value)
    return None if number is None else int(number)


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


def _texts(agent: dict[str, Any], prompts: list[str], *, scope: str) -> None:
    one, two = st.columns(2)
    system = one.text_area(
        "System: its role", value=str(agent.get("system") or ""), height=120, key=f"d_system_{scope}",
        placeholder="optional",
    )  # fmt: skip
    text = two.text_area(
        "Prompt", value=str(agent.get("prompt") or ""), height=120, key=f"d_agent_prompt_{scope}",
        placeholder="the inputs", help=f"A template{', or the name of a prompt of the file' if prompts else ''}. "
        "{{ passages }} and {{ memory }} stand for what was found and remembered.",
    )  # fmt: skip
    put(agent, "system", system)
    put(agent, "prompt", text)


def _shown(text: str, item: Item) -> None:
    """Show what the model is asked, where the prompt needs nothing but the item."""
    try:
        prompt = Prompt(name="agent", messages=[{"role": "user", "content": text}])
        if not text.strip() or prompt.variables - set(item.inputs):
            return  # it needs what steps before it find or remember
        asked = str(prompt.render(item.inputs)[0]["content"])
    except BakeoffError as problem:
        _state.html(_parts.error(str(problem)))
        return
    label = f'<div class="bo-label">As item {h(item.id, 24)} is asked, before its pattern adds to it</div>'
    _state.html(_parts.wrap(f"{label}{_parts.pre(asked, 3000, css='short')}"))


def _pattern(agent: dict[str, Any], *, scope: str) -> None:
    current = _sub(agent, "pattern", "name")
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
                new = st.number_input(
                    label, int(option.low), int(option.high), value=int(value), key=key, help=option.help or None
                )
            else:
                new = st.number_input(
                    label, float(option.low), float(option.high), value=float(value), key=key, help=option.help or None
                )
        put(found, name, new, default=option.default)
    return found


def _tools(agent: dict[str, Any], *, scope: str) -> None:
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


def _retrieval(agent: dict[str, Any], *, scope: str) -> None:
    current = dict(agent.get("retrieval") or {})
    with st.expander("Retrieval: search documents first", expanded=bool(current)):
        one, two, three = st.columns([3, 1.6, 1])
        corpus = one.text_input(
            "Documents", value=str(current.get("corpus") or ""), key=f"d_corpus_{scope}",
            placeholder="none: nothing is searched",
            help="`bundled:handbook-qa`, a .jsonl file with `id` and `text`, or a file or folder of Markdown, HTML, "
            "text, code, PDF or DOCX, relative to the experiment file.",
        )  # fmt: skip
        methods = ["bm25", "vector", "hybrid"]
        now = current.get("method", "bm25")
        if now not in methods:
            methods = [str(now), *methods]
        method = two.selectbox("Search by", methods, index=methods.index(str(now)), key=f"d_method_{scope}")
        top = three.number_input("Passages", 1, 100, value=int(current.get("top_k") or 3), key=f"d_topk_{scope}")
        chunk = _sub(current, "chunk", "by")
        four, five, _ = st.columns([1.6, 1, 3])
        ways = ["whole", "fixed", "sentence", "heading", "code"]
        by = four.selectbox(
            "Cut documents", ways, index=ways.index(str(chunk.get("by", "whole"))), key=f"d_chunk_{scope}"
        )
        size = five.number_input(
            "Words", 5, 100_000, value=int(chunk.get("size") or 60), key=f"d_size_{scope}", disabled=by == "whole"
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


def _memory(agent: dict[str, Any], *, scope: str) -> None:
    memory, context = _sub(agent, "memory", "policy"), _sub(agent, "context", "policy")
    talk = dict(agent.get("conversation") or {})
    limits = dict(agent.get("limits") or {})
    used = bool(memory or context or talk or limits)
    with st.expander("Memory, context and limits", expanded=used):
        one, two, three = st.columns([2, 1, 2])
        policies = ["none", "window", "summary", "retrieval", "hierarchical"]
        policy = one.selectbox(
            "Memory", policies, index=policies.index(str(memory.get("policy", "none"))), key=f"d_memory_{scope}",
            help="What it remembers from turn to turn of one item.",
        )  # fmt: skip
        window = two.number_input(
            "Messages kept", 1, 10_000, value=int(memory.get("window") or 6), key=f"d_mwindow_{scope}",
            disabled=policy == "none",
        )  # fmt: skip
        turns = three.text_input(
            "Turns of the conversation", value=str(talk.get("turns") or ""), key=f"d_turns_{scope}",
            placeholder="one question an item", help="Input that holds the user's messages in order.",
        )  # fmt: skip
        four, five, six = st.columns([2, 1, 2])
        acts = ["none", "truncate", "drop_middle", "summarise", "hierarchical", "handover"]
        act = four.selectbox(
            "When the window fills", acts, index=acts.index(str(context.get("policy", "none"))), key=f"d_ctx_{scope}"
        )
        tokens = five.number_input(
            "Window, tokens", 1, 100_000_000, value=int(context.get("window") or 128_000), key=f"d_cwindow_{scope}",
            disabled=act == "none",
        )  # fmt: skip
        rounds = six.number_input(
            "Rounds of tool calls, at most", 1, 200, value=int(limits.get("max_iterations") or 8),
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


def _rest(agent: dict[str, Any], *, scope: str) -> None:
    """Show everything without a place in the form as YAML, to be changed there."""
    rest = {key: value for key, value in agent.items() if key not in _FORM}
    with st.expander("Steps, guards, examples and the rest, as YAML", expanded=bool(agent.get("steps"))):
        typed = st.text_area(
            "Other keys of the agent", value=_draft.to_yaml(rest) if rest else "", height=200 if rest else 90,
            key=f"d_agent_rest_{scope}", placeholder="examples:\n- {input: ..., output: ...}",
        )  # fmt: skip
    try:
        more = _draft.from_yaml(typed) if typed and typed.strip() else {}
    except SpecError as problem:
        _state.html(_parts.error(problem))
        return
    clash = sorted(set(more) & set(_FORM))
    if clash:
        _state.html(_parts.wrap(f'<div class="bo-soft">Set above, so left out here: {h(", ".join(clash))}</div>'))
    for key in rest:
        agent.pop(key)
    agent.update({key: value for key, value in more.items() if key not in _FORM})
