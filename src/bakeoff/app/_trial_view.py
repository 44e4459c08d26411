"""One trial, whole: what was asked, what came back, how it was judged and what it took."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import streamlit as st

from bakeoff.agents import trial_spans
from bakeoff.app import _parts, _state, _timeline
from bakeoff.app._text import call_cost, h, number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bakeoff.app._queries import Trial, TrialScore

__all__ = ["score_chip", "show_trial"]


def score_chip(score: TrialScore) -> str:
    """Return a score as a coloured word."""
    if score.error is not None or (score.value is None and score.label is None):
        return _parts.chip(f"{score.metric}: no score", "open")
    if score.label is not None:
        return _parts.chip(f"{score.metric}: {score.label}", "key")
    if score.kind == "bool":
        return _parts.chip(f"{'✓' if score.value else '✗'} {score.metric}", "good" if score.value else "bad")
    return _parts.chip(f"{score.metric}: {number(score.value)}", "key")


def show_trial(trial: Trial) -> None:
    """Show a trial: prompt and output side by side, scores with reasons, figures."""
    left, right = st.columns(2, gap="medium")
    with left:
        _state.html(_parts.wrap(f'<div class="bo-label">{_how_asked(trial)}</div>{_asked(trial)}'))
        _state.html(
            _parts.wrap(f'<div class="bo-label">Expected</div>{_parts.pre(trial.expected or "(nothing declared)")}')
        )
    with right:
        chips = "".join(score_chip(score) for score in trial.scores)
        _state.html(_parts.wrap(f'<div class="bo-label">Answered {chips}</div>{_answered(trial)}{_guarded(trial)}'))
        _state.html(_scores(trial.scores))
    _state.html(_figures(trial))
    _what_happened(trial)
    _extras(trial)


def _answered(trial: Trial) -> str:
    if not trial.ok:
        return f'<div class="bo-error">{h(trial.error_kind or "failed")}: {h(trial.error or "", 3000)}</div>'
    return _parts.pre(trial.output or "(empty)")


def _how_asked(trial: Trial) -> str:
    return "Asked, as sent" if trial.prompt_is_kept else "Asked"


def _guarded(trial: Trial) -> str:
    """Return what guards did to this trial."""
    rows = "".join(
        f"<tr><td class=name>{h(one.get('guard'), 60)}<small>{h(one.get('side'), 10)}</small></td>"
        f"<td><b>{h(one.get('action'), 20)}</b></td><td>{h(one.get('reason'), 400)}</td></tr>"
        for one in trial.guards
    )
    head = "<tr><th>Guard</th><th>Did</th><th>Why</th></tr>"
    return f'<div class="bo-scroll"><table>{head}{rows}</table></div>' if rows else ""


def _asked(trial: Trial) -> str:
    if trial.prompt_problem:
        return f'<div class="bo-error">{h(trial.prompt_problem, 1000)}</div>'
    if not trial.messages:
        return _parts.pre(_pretty(trial.inputs))
    parts = []
    for message in trial.messages:
        content = message.get("content", "")
        text = content if isinstance(content, str) else _pretty(content)
        role = f'<div class="bo-label">{h(message.get("role", ""), 30)}</div>' if len(trial.messages) > 1 else ""
        parts.append(f"{role}{_parts.pre(text)}")
    return "".join(parts)


def _scores(scores: Sequence[TrialScore]) -> str:
    rows = []
    for score in scores:
        said = score.error or score.reason or ""
        asks = f"<small>asks for a person: {h(score.escalated, 300)}</small>" if score.escalated else ""
        value = "–" if score.value is None else number(score.value)
        value = ("pass" if score.value else "fail") if score.kind == "bool" and score.value is not None else value
        rows.append(
            f"<tr><td class=name>{h(score.metric, 60)}"
            f"<small>{h(score.evaluator, 40)} {h(score.version, 20)}</small></td>"
            f"<td><b>{h(score.label if score.label is not None else value, 60)}</b></td>"
            f"<td>{h(said, 1500) or '<span class=bo-soft>no reason given</span>'}{asks}</td></tr>"
        )
    return _parts.wrap(
        f'<div class="bo-scroll"><table><tr><th>Score</th><th>Value</th><th>Why</th></tr>{"".join(rows)}</table></div>'
    )


def _figures(trial: Trial) -> str:
    facts = trial.facts
    tokens = f"{number(facts.get('input_tokens'))} → {number(facts.get('output_tokens'))}"
    counted = "tokens in → out" + (" (estimated)" if facts.get("tokens_estimated") else "")
    entries = [
        *([(f"{number(facts['latency_ms'])} ms", "latency")] if facts.get("latency_ms") is not None else []),
        *([(f"{number(facts['ttft_ms'])} ms", "to first token")] if facts.get("ttft_ms") is not None else []),
        *([(tokens, counted)] if facts.get("input_tokens") is not None else []),
        *([(call_cost(facts["cost_usd"]), "cost")] if facts.get("cost_usd") is not None else []),
        (str(facts.get("attempts", "–")), "attempts"),
        *([("yes", "from the cache")] if facts.get("cached") else []),
        *([(str(facts["finish_reason"]), "finished by")] if facts.get("finish_reason") else []),
        *([(str(facts["model"]), "model")] if facts.get("model") else []),
    ]
    return _parts.tiles(entries)


def _what_happened(trial: Trial) -> None:
    spans = trial_spans(trial.trace)
    if spans:
        st.subheader("What happened, and when")
        _state.html(_timeline.gantt(spans))
        with st.container(horizontal=True, horizontal_alignment="right"):
            st.download_button(
                "CSV", data=lambda: _timeline.spans_csv(spans), mime="text/csv", on_click="ignore", type="tertiary",
                file_name="spans.csv", key=f"spans_{trial.variant}_{trial.repeat}", help="The spans of this trial",
            )  # fmt: skip
    calls = _timeline.tool_table(trial.tool_calls)
    if calls:
        st.subheader("Tool calls")
        _state.html(calls)


def _extras(trial: Trial) -> None:
    parts = []
    if trial.messages and trial.inputs:
        parts.append(f'<div class="bo-label">Inputs</div>{_parts.pre(_pretty(trial.inputs))}')
    if trial.metadata:
        parts.append(f'<div class="bo-label">Metadata</div>{_parts.pre(_pretty(trial.metadata))}')
    if trial.trace:
        parts.append(f'<div class="bo-label">Trace as it was written</div>{_parts.pre(_pretty(list(trial.trace)))}')
    if parts:
        with st.expander("Inputs, metadata, raw trace"):
            _state.html(_parts.wrap("".join(parts)))
    if len(trial.output) > 20_000:
        st.download_button(
            "Download the whole output", trial.output.encode(errors="replace"), file_name="output.txt",
            mime="text/plain", on_click="ignore", key=f"whole_{trial.variant}_{trial.repeat}",
        )  # fmt: skip


def _pretty(value: Any) -> str:
    if isinstance(value, dict) and len(value) == 1 and isinstance(next(iter(value.values())), str):
        name, text = next(iter(value.items()))
        return f"{name}: {text}"
    return json.dumps(value, ensure_ascii=False, indent=2)
