"""Design an experiment: data, prompts, models, evaluators, question - with its price and its power always in view."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from bakeoff.app import _design_agent, _design_data, _design_judge, _design_save, _draft, _kept_drafts, _parts, _state
from bakeoff.app._text import h, number
from bakeoff.datasets import DatasetSpec, open_dataset
from bakeoff.errors import BakeoffError, SpecError
from bakeoff.reports import amount_usd, duration

if TYPE_CHECKING:
    from bakeoff.app._draft import Checked, Draft
    from bakeoff.datasets import Dataset
    from bakeoff.experiments import LocalStore, Manifest

__all__ = ["draw"]

_MOST_SAID = 4

_EXAMPLE = "Example: two prompts, simulated model"
_HISTORY = "design_history"
_STEPS_BACK = 60


def draw() -> None:
    """Draw the page."""
    _state.header(
        "New experiment",
        "What is compared, on which data, judged how. Everything here is an experiment file that also runs from the "
        "command line.",
    )
    store = _state.the_store()
    folder = _draft.experiment_folder(store)
    draft = _load(store)
    scope = f"{st.session_state.get('design_generation', 0)}"
    before = _draft.to_yaml(draft)
    checked = _check(before, folder)
    form, side = st.columns([7, 3], gap="large")
    with form:
        by_hand = st.toggle("Edit as YAML", key=f"d_byhand_{scope}")
        if by_hand:
            _yaml_editor(draft, folder, scope=scope)
        else:
            _form(draft, checked, folder, scope=scope)
    text = _draft.to_yaml(draft)
    if text != before and _may_settle():
        st.rerun()  # the sections above were drawn from what the draft was before
    st.session_state["design_settling"] = 0
    _remember(text)
    if len(st.session_state[_HISTORY]) > 1 or "draft" in st.query_params:
        _kept_drafts.keep(text, _design_save.known_files())
    checked = _check(text, folder)
    if not by_hand and any(problem.key == "analysis.baseline" for problem in checked.problems):
        _other_baseline(draft, folder)
        st.rerun()
    _note_variants(draft, checked)
    with side, st.container(key="design_side"):
        _planner(checked)
        _design_save.actions(draft, text, checked, store)
    with form:
        _design_save.file_section(text, _design_save.target(draft, folder))


def _remember(text: str) -> None:
    """Keep the state of the draft, to come back to."""
    history: list[str] = st.session_state.setdefault(_HISTORY, [])
    if not history or history[-1] != text:
        history.append(text)
        del history[:-_STEPS_BACK]


def _undo() -> None:
    """Go back to the draft as it was before the last change."""
    history: list[str] = st.session_state.get(_HISTORY, [])
    if len(history) > 1:
        history.pop()
        st.session_state["design_draft"] = _draft.from_yaml(history[-1])
        st.session_state["design_generation"] = st.session_state.get("design_generation", 0) + 1


def _note_variants(draft: Draft, checked: Checked) -> None:
    """Remember which of how many variants is the baseline, for when it is renamed."""
    names = list(checked.experiment.variants) if checked.experiment is not None else []
    baseline = draft.get("analysis", {}).get("baseline")
    if baseline in names:
        st.session_state["design_baseline"] = (names.index(baseline), len(names))


def _other_baseline(draft: Draft, folder: Path) -> None:
    """Replace a baseline that is no variant any more: by the one in its place, else by the first."""
    draft["analysis"] = {k: v for k, v in draft.get("analysis", {}).items() if k != "baseline"}
    experiment = _check(_draft.to_yaml(draft), folder).experiment
    place, count = st.session_state.get("design_baseline", (0, 0))
    if experiment is not None and len(experiment.variants) == count:
        draft["analysis"]["baseline"] = list(experiment.variants)[place]


def _may_settle() -> bool:
    """Say whether to draw again with what changed; never more than a few times in a row."""
    count = int(st.session_state.get("design_settling", 0))
    st.session_state["design_settling"] = count + 1
    return count < 3


def _load(store: LocalStore) -> Draft:
    """Return the draft of this session; let the reader start from something else."""
    files = {path.name: path for path in _draft.known_files(store)}
    runs = {f"Run {_state.run_label(m)}": m for m in store.runs()[:15]}
    options = [_EXAMPLE, *files, *runs]
    pick, go, back = st.columns([3.2, 1.2, 1.2], vertical_alignment="bottom")
    chosen = pick.selectbox("Start from", options, key="design_from")
    pressed = go.button("Load", icon=":material/file_open:", width="stretch", help="“Undo” brings back what was here.")
    back.button(
        "Undo", icon=":material/undo:", width="stretch", on_click=_undo, key="design_undo",
        disabled=len(st.session_state.get(_HISTORY, ())) < 2, help="Take back the last change of the form.",
    )  # fmt: skip
    if pressed or "design_draft" not in st.session_state:
        try:
            kept = None if pressed else _kept_drafts.recall()  # the page was loaded again
            if kept:
                source = _draft.from_yaml(kept.text)
                _design_save.recall_files(kept.files)
            else:
                source = _source(str(chosen) if pressed else _EXAMPLE, files, runs, store)
            st.session_state["design_draft"] = source
            st.session_state["design_generation"] = st.session_state.get("design_generation", 0) + 1
        except (BakeoffError, OSError) as problem:
            _state.html(_parts.error(problem))
            st.session_state.setdefault("design_draft", _draft.example_draft())
    draft: Draft = st.session_state["design_draft"]
    return draft


def _source(chosen: str, files: dict[str, Path], runs: dict[str, Manifest], store: LocalStore) -> Draft:
    if chosen in files:
        path = files[chosen]
        draft = _draft.from_yaml(path.read_text(encoding="utf-8"), file=path)
        _design_save.note_file(path)
        return _moved(draft, path.parent, _draft.experiment_folder(store))
    if chosen in runs:
        manifest = runs[chosen]
        return _moved(copy.deepcopy(manifest.spec), Path(manifest.base_dir), _draft.experiment_folder(store))
    return _draft.example_draft()


def _moved(draft: Draft, old: Path, new: Path) -> Draft:
    """Make paths that were relative to another folder absolute."""
    if old.resolve() == new.resolve():
        return draft

    def absolute(path: str) -> str:
        return path if path.startswith("bundled:") or Path(path).is_absolute() else str((old / path).resolve())

    dataset = draft.get("dataset")
    if isinstance(dataset, str):
        draft["dataset"] = absolute(dataset)
    elif isinstance(dataset, dict) and isinstance(dataset.get("path"), str):
        draft["dataset"] = {**dataset, "path": absolute(dataset["path"])}
    for name, prompt in (draft.get("prompts") or {}).items():
        if isinstance(prompt, dict) and isinstance(prompt.get("file"), str):
            draft["prompts"][name] = {**prompt, "file": absolute(prompt["file"])}
    return draft


@st.cache_resource(max_entries=24, show_spinner=False)
def _checked(text: str, folder: str) -> Checked:
    def opened(spec: DatasetSpec) -> Dataset:
        file = Path(folder) / str(spec.path)
        return _opened(spec.model_dump_json(), folder, file.stat().st_mtime_ns if file.exists() else 0)

    return _draft.check(text, folder=Path(folder), store=_state.the_store(), opened=opened)


@st.cache_resource(max_entries=8, show_spinner="Reading the data …")
def _opened(spec: str, folder: str, stamp: int) -> Dataset:
    del stamp  # part of the key: a changed file is read anew
    return open_dataset(
        DatasetSpec.model_validate_json(spec), base_dir=Path(folder), cache_dir=_state.the_store().paths.datasets
    )


def _check(text: str, folder: Path) -> Checked:
    return _checked(text, str(folder))


def _form(draft: Draft, checked: Checked, folder: Path, *, scope: str) -> None:
    st.subheader("1  Question")
    one, two = st.columns([2, 3])
    draft["name"] = (one.text_input("Name", value=str(draft.get("name", "")), key=f"d_name_{scope}") or "").strip()
    draft["description"] = two.text_input(
        "What do you want to know?", value=str(draft.get("description", "")), key=f"d_desc_{scope}"
    )
    st.subheader("2  Data")
    _design_data.data_section(draft, folder, scope=scope)
    if checked.experiment is not None:
        _design_data.preview(checked.experiment.dataset.head(3), len(checked.experiment.dataset))
    st.subheader("3  What answers")
    kind = _design_agent.what_answers(draft, known=_known_inputs(checked), scope=scope)
    if kind == "file":
        targets = {"targets": draft["targets"]}
        _state.html(_parts.wrap(_parts.pre(_draft.to_yaml(targets), 4000)))
    elif kind == "agent":
        first = checked.experiment.dataset.head(1) if checked.experiment is not None else []
        _design_agent.agent_section(draft, first[0] if first else None, scope=scope)
    else:
        _design_data.prompt_section(draft, checked, scope=scope)
        removed = st.session_state.pop("design_removed", None)
        if removed is not None:
            st.session_state["design_generation"] = st.session_state.get("design_generation", 0) + 1
            st.rerun()
    if kind != "file" or draft.get("models"):
        st.subheader("4  Models")
        _design_judge.model_section(draft, scope=scope)
    st.subheader("5  Evaluators")
    _design_judge.evaluator_section(draft, checked, scope=scope)
    st.subheader("6  Analysis")
    _design_judge.analysis_section(draft, checked, scope=scope)


def _known_inputs(checked: Checked) -> list[str]:
    return list(checked.experiment.dataset.input_names) if checked.experiment is not None else []


def _yaml_editor(draft: Draft, folder: Path, *, scope: str) -> None:
    text = st.text_area("Experiment as YAML", value=_draft.to_yaml(draft), height=560, key=f"d_yaml_{scope}")
    try:
        fresh = _draft.from_yaml(text or "", file=folder / "draft.yaml")
    except SpecError as problem:
        _state.html(_parts.error(problem))
        return
    draft.clear()
    draft.update(fresh)


def _planner(checked: Checked) -> None:
    """Show what the run will take and what it can show; or what is wrong."""
    if checked.problems:
        rows = "".join(
            f"<li><b>{h(p.key or 'file', 80)}</b> {h(p.message, 400)}"
            f"{f'<br><span class=bo-soft>{h(p.fix, 300)}</span>' if p.fix else ''}</li>"
            for p in checked.problems[:12]
        )
        count = len(checked.problems)
        _state.html(
            _parts.wrap(
                f'<div class="bo-card"><div class="bo-label">{count} problem{"s" if count > 1 else ""} to solve</div>'
                f'<ul style="padding-left:1.1rem;margin:.2rem 0">{rows}</ul></div>'
            )
        )
        return
    plan = checked.plan
    if plan is None:
        return
    binary = _is_pass_rate(checked)
    smallest = f"{100 * plan.detectable:.1f} points" if binary else number(plan.detectable)
    cells = [
        (f"{plan.trials:,}", "trials"),
        (f"{plan.n_variants} × {plan.n_items:,}", "variants × items"),
        (amount_usd(plan.cost_usd) if plan.cost_usd == plan.cost_usd else "unknown", "expected cost"),
        (duration(60 * plan.minutes), "expected time"),
        (f"{(plan.input_tokens + plan.output_tokens) / 1000:,.0f}k", "tokens"),
        (f"{plan.calls:,}", "calls"),
    ]
    body = "".join(f"<div><b>{h(v)}</b><span>{h(c)}</span></div>" for v, c in cells)
    said = "".join(f'<div class="bo-soft" style="margin-top:.4rem">{h(m, 300)}</div>' for m in plan.more[:_MOST_SAID])
    notes = said + "".join(f'<div class="bo-soft" style="margin-top:.4rem">⚠ {h(w, 300)}</div>' for w in plan.warnings)
    _state.html(
        _parts.wrap(
            f'<div class="bo-card"><div class="bo-label">This experiment</div><div class="bo-plan">{body}'
            f'<div class="wide"><span>Smallest difference it can detect</span><b style="font-size:1.5rem">'
            f"{h(smallest if plan.detectable == plan.detectable else '–')}</b>"
            f"<span>{h(plan.sentence, 420)}</span></div>"
            f"</div>{notes}</div>"
        )
    )


def _is_pass_rate(checked: Checked) -> bool:
    experiment = checked.experiment
    if experiment is None:
        return False
    infos = [info for evaluator in experiment.evaluators for info in evaluator.metrics]
    return any(info.name == experiment.primary and info.score_kind == "binary" for info in infos)
