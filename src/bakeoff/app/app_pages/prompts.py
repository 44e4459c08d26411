"""Prompts: their versions, what changed, which runs used them and how they did."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from bakeoff.app import _access, _lineage, _parts, _state
from bakeoff.app._diff import word_diff
from bakeoff.app._labels import LabelStore
from bakeoff.app._text import ago, h
from bakeoff.errors import BakeoffError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bakeoff.app._lineage import PromptVersion
    from bakeoff.experiments import Manifest

__all__ = ["draw"]

_MARKS = ("production", "candidate")


def draw() -> None:
    """Draw the page."""
    _state.header("Prompts", "Every version that was ever run: what changed, who used it, and how it did.")
    versions = _lineage.prompt_versions(_state.manifests())
    if not versions:
        _state.html(_parts.empty("¶", "No prompts yet", "Prompts appear here once an experiment with prompts has run."))
        return
    name = _state.choose(
        "Prompt",
        list(versions),
        name="prompt",
        words=lambda n: f"{n} ({len(versions[n])} version{'s' if len(versions[n]) != 1 else ''})",
    )
    found = versions[name]
    labels = LabelStore(_state.the_store().paths.control)
    marks = labels.prompt_labels()
    _table(name, found, marks)
    version = _state.choose(
        "Version", found, name="version", code=lambda v: v.version, words=_version_words,
        scope=name,
    )  # fmt: skip
    editor = _access.may("editor")
    with st.container(horizontal=True):
        for mark in _MARKS:
            standing = marks.get((name, mark)) == version.version
            if st.button(
                f"Mark as {mark}", key=f"mark_{mark}", disabled=standing or not editor, icon=":material/label:"
            ):
                _access.require("editor")
                labels.mark_prompt(name, version.version, mark)
                st.rerun()
    _text(found, version)
    st.subheader("Runs with this version")
    _runs(version)


def _version_words(version: PromptVersion) -> str:
    return f"{version.version} · {version.first_seen[:10]}"


def _table(name: str, found: Sequence[PromptVersion], marks: Mapping[tuple[str, str], str]) -> None:
    rows = []
    for entry in found[:30]:
        chips = "".join(
            _parts.chip(m, "good" if m == "production" else "key")
            for m in _MARKS
            if marks.get((name, m)) == entry.version
        )
        glance = _lineage.prompt_text(entry.messages)
        rows.append(
            f'<tr><td class="bo-mono">{h(entry.version, 12)}</td><td>{chips}</td><td class=r>{len(entry.runs):,}</td>'
            f"<td>{h(ago(entry.first_seen))}</td><td class=bo-soft>{h(' '.join(glance.split()), 110)}</td></tr>"
        )
    head = "<tr><th>Version</th><th>Label</th><th class=r>Runs</th><th>First run</th><th>Text</th></tr>"
    _state.html(_parts.wrap(f'<div class="bo-card bo-scroll"><table>{head}{"".join(rows)}</table></div>'))


def _text(found: Sequence[PromptVersion], version: PromptVersion) -> None:
    others = [entry for entry in found if entry.version != version.version]
    text = _lineage.prompt_text(version.messages)
    if not others:
        _state.html(_parts.wrap(f'<div class="bo-label">Text</div>{_parts.pre(text)}'))
        return
    other = _state.choose(
        "Compare with", others, name="with", code=lambda v: v.version, words=_version_words,
        scope=version.version,
    )  # fmt: skip
    old, new = word_diff(_lineage.prompt_text(other.messages), text)
    left, right = st.columns(2)
    with left:
        _state.html(_parts.wrap(f'<div class="bo-label">{h(other.version)}</div><pre>{old}</pre>'))
    with right:
        _state.html(_parts.wrap(f'<div class="bo-label">{h(version.version)}</div><pre>{new}</pre>'))


def _runs(version: PromptVersion) -> None:
    rows: list[str] = []
    for manifest in sorted(version.runs, key=lambda m: m.created_at, reverse=True)[:10]:
        rows += _run_rows(manifest, version)
    head = "<tr><th>Run</th><th>Variant</th><th>Metric</th><th class=r>Mean</th><th class=r>Interval</th></tr>"
    _state.html(_parts.wrap(f'<div class="bo-card bo-scroll"><table>{head}{"".join(rows)}</table></div>'))


def _run_rows(manifest: Manifest, version: PromptVersion) -> list[str]:
    mine = [v.name for v in manifest.variants if (v.prompt, v.prompt_version) == (version.prompt, version.version)]
    try:
        metrics = _state.analysis_of(manifest, primary_only=True).metrics
    except BakeoffError as problem:
        return [f"<tr><td>{h(manifest.run_id)}</td><td colspan=4 class=bo-soft>{h(problem, 200)}</td></tr>"]
    return [
        f"<tr><td class=name>{h(manifest.name, 60)}"
        f"<small>{h(ago(manifest.created_at))} · {h(manifest.run_id[-4:])}</small></td>"
        f"<td>{h(row.variant, 60)}</td><td>{h(metric.metric, 40)}</td>"
        f"<td class=r><b>{h(_parts.shown(row.estimate.estimate, metric))}</b></td>"
        f"<td class=r>{h(_parts.shown(row.estimate.low, metric))} – "
        f"{h(_parts.shown(row.estimate.high, metric))}</td></tr>"
        for metric in metrics
        for row in metric.scores
        if row.variant in mine
    ]
