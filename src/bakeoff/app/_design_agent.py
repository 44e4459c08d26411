"""The settings of an agent as a form: model or cascade or router, pattern, tools, retrieval, memory, context."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import streamlit as st

from bakeoff.app import _draft, _parts, _state
from bakeoff.app._agent_form import misfits, put
from bakeoff.app._agent_models import who_answers
from bakeoff.app._agent_pattern import pattern_section
from bakeoff.app._agent_resources import memory_section, retrieval_section, tools_section
from bakeoff.app._text import h, line
from bakeoff.errors import BakeoffError, SpecError
from bakeoff.prompts import Prompt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bakeoff.app._draft import Draft
    from bakeoff.datasets import Item

__all__ = ["agent_of", "agent_section", "what_answers"]

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
    odd = misfits(agent)
    if odd:
        words = [
            f"The form cannot show {line(', '.join(odd), 200)} of the agent {line(name, 60)}: edit it as YAML (above)."
        ]
        _state.html(_parts.warnings(words, "As written in the file"))
        _state.html(_parts.wrap(_parts.pre(_draft.to_yaml(agent), 4000)))
        return
    if agent.get("steps"):
        count = len(agent["steps"])
        _state.html(
            _parts.wrap(
                f'<div class="bo-soft">A workflow of {count} steps: prompts and patterns of its steps are below, as '
                "YAML.</div>"
            )
        )
    who_answers(agent, models, scope=scope)
    if not agent.get("steps"):
        _texts(agent, list(draft.get("prompts") or {}), scope=scope)
        if item is not None and agent.get("prompt") not in (draft.get("prompts") or {}):
            _shown(str(agent.get("prompt") or ""), item)
        pattern_section(agent, scope=scope)
    tools_section(agent, scope=scope)
    retrieval_section(agent, scope=scope)
    memory_section(agent, scope=scope)
    _rest(agent, scope=scope)
    others = [other for other in draft["targets"] if other != name]
    if others:
        st.caption(f"{len(others)} more in the file: {', '.join(line(other, 40) for other in others[:6])}")
    draft["targets"] = {**draft["targets"], name: {**target, "agent": agent}}


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
