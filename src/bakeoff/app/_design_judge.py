"""The model, evaluator and analysis sections of the design page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from bakeoff.app import _design_factors, _draft, _parts, _state
from bakeoff.app._text import clip, h, line, number
from bakeoff.errors import SpecError
from bakeoff.evaluators import evaluator_catalogue

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bakeoff.app._draft import Checked, Draft
    from bakeoff.evaluators import CatalogueEntry

__all__ = ["analysis_section", "evaluator_section", "model_section"]

_SIMPLE = ("temperature", "max_tokens", "api_base")
_COMMON = (
    "label_match", "exact_match", "contains", "numeric", "regex", "json_valid", "json_schema", "token_f1", "length",
    "judge", "correctness", "rubric",
)  # fmt: skip


def model_section(draft: Draft, *, scope: str) -> None:
    """List the models with their parameters, and what else is varied."""
    import pandas as pd

    models: dict[str, Any] = dict(draft.get("models") or {})
    base = f"d_models_base_{scope}"
    if base not in st.session_state:
        st.session_state[base] = pd.DataFrame(
            [_model_row(name, entry) for name, entry in models.items()] or [_model_row("small", "sim/small")]
        )
    numbers = st.column_config.NumberColumn
    text = st.column_config.TextColumn
    table = st.data_editor(
        st.session_state[base], num_rows="dynamic", hide_index=True, key=f"d_models_{scope}", row_height=36,
        column_config={
            "name": text("Name", required=True, width="small"),
            "model": text("Model", required=True, help="Any LiteLLM name: openai/…, anthropic/…, ollama/…, sim/small"),
            "temperature": numbers("Temperature", min_value=0.0, max_value=2.0, width="small"),
            "max_tokens": numbers("Max tokens", min_value=1, step=1, width="small"),
            "api_base": text("Address", help="Of a local or private server"),
        },
    )  # fmt: skip
    found: dict[str, Any] = {}
    for row in table.to_dict("records"):
        name, model = row.get("name"), row.get("model")
        if not (isinstance(name, str) and name.strip() and isinstance(model, str) and model.strip()):
            continue
        old = models.get(name)
        rest = {k: v for k, v in old.items() if k not in ("model", *_SIMPLE)} if isinstance(old, dict) else {}
        simple = {k: _plain(row.get(k)) for k in _SIMPLE if _plain(row.get(k)) is not None}
        found[name.strip()] = {"model": model.strip(), **simple, **rest} if simple or rest else model.strip()
    draft["models"] = found
    _design_factors.factor_section(draft, scope=scope)


def _model_row(name: str, entry: object) -> dict[str, Any]:
    if isinstance(entry, dict):
        return {"name": name, "model": str(entry.get("model", "")), **{key: entry.get(key) for key in _SIMPLE}}
    return {"name": name, "model": str(entry), "temperature": None, "max_tokens": None, "api_base": None}


def _plain(value: object) -> object:
    if value is None or value != value or value == "":
        return None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value.item() if hasattr(value, "item") else value


def evaluator_section(draft: Draft, checked: Checked, *, scope: str) -> None:
    """Choose evaluators from the catalogue, set their options, and try them before anything is paid for."""
    entries = {entry.kind: entry for entry in _catalogue()}
    current = [_draft.evaluator_parts(entry) for entry in draft.get("evaluators") or []]
    found: list[Any] = []
    for place, (kind, options) in enumerate(current):
        entry = entries.get(kind)
        with st.container(border=True, key=f"card_eval_{scope}_{place}"):
            kept = _one_evaluator(kind, options, entry, checked, scope=f"{scope}_{place}")
        if kept is not None:
            found.append({kind: kept} if kept else kind)
    order = [*[k for k in _COMMON if k in entries], *[k for k in entries if k not in _COMMON]]
    add, button = st.columns([5, 1], vertical_alignment="bottom")
    chosen = add.selectbox(
        "Add an evaluator", order, key=f"d_eval_add_{scope}", index=None, placeholder="Choose from the catalogue …",
        format_func=lambda k: f"{k} — {clip(entries[k].summary, 80)}",
    )  # fmt: skip
    if button.button("Add", key=f"d_eval_do_{scope}", icon=":material/add:", disabled=chosen is None, width="stretch"):
        taken = {_metric_name(entry) for entry in found}
        fresh: Any = {chosen: {"name": _free(str(chosen), taken)}} if chosen in taken else chosen
        draft["evaluators"] = [*found, fresh]
        _again()
    if found != (draft.get("evaluators") or []):
        removed = len(found) < len(current)
        draft["evaluators"] = found
        if removed:
            _again()
    _try(checked, scope=scope)


def _again() -> None:
    st.session_state["design_generation"] = st.session_state.get("design_generation", 0) + 1
    st.rerun()


@st.cache_resource(show_spinner=False)
def _catalogue() -> list[CatalogueEntry]:
    return evaluator_catalogue()


def _metric_name(entry: object) -> str:
    kind, options = _draft.evaluator_parts(entry)
    return str(options.get("name") or kind)


def _free(name: str, taken: set[str]) -> str:
    return next(f"{name}_{n}" for n in range(2, 1000) if f"{name}_{n}" not in taken)


def _one_evaluator(
    kind: str, options: dict[str, Any], entry: CatalogueEntry | None, checked: Checked, *, scope: str
) -> dict[str, Any] | None:
    """Show one evaluator; return its options, or `None` when it was removed."""
    summary = entry.summary if entry is not None else "written in the file"
    with st.container(horizontal=True, vertical_alignment="center"):
        paid = _parts.chip("calls a model", "other") if entry is not None and entry.needs_model else ""
        with st.container(width="stretch"):
            _state.html(_parts.wrap(f'<b>{h(kind, 60)}</b> {paid}<div class="bo-soft">{h(summary, 200)}</div>'))
        if st.button("", icon=":material/close:", key=f"d_ex_{scope}", help="Remove this evaluator", type="tertiary"):
            return None
    main = [
        *dict.fromkeys(
            [
                *(entry.options.get("required", []) if entry else []),
                *([entry.shorthand] if entry and entry.shorthand else []),
            ]
        )
    ]
    kept = dict(options)
    columns = st.columns(min(3, 1 + len(main)))
    name = columns[0].text_input("Name of the metric", value=str(options.get("name") or kind), key=f"d_en_{scope}")
    if name and name != kind:
        kept["name"] = name
    else:
        kept.pop("name", None)
    for place, option in enumerate(main):
        schema = entry.options.get("properties", {}).get(option, {}) if entry is not None else {}
        with columns[(place + 1) % len(columns)]:
            value = _option(option, options.get(option), schema, checked, key=f"d_eo_{scope}_{option}")
        if value in (None, "", []):
            kept.pop(option, None)
        else:
            kept[option] = value
    rest = {k: v for k, v in kept.items() if k != "name" and k not in main}
    with st.expander("More options"):
        names = [n for n in (entry.options.get("properties", {}) if entry else {}) if n not in ("name", "not", *main)]
        typed = st.text_area(
            "Options as YAML", value=_draft.to_yaml(rest) if rest else "", key=f"d_er_{scope}", height=90,
            placeholder=f"for instance {', '.join(names[:8])}",
        )  # fmt: skip
    try:
        more = _draft.from_yaml(typed) if typed and typed.strip() else {}
    except SpecError as problem:
        _state.html(_parts.error(problem))
        more = rest
    return {k: v for k, v in kept.items() if k not in rest} | more


def _option(name: str, value: object, schema: Mapping[str, Any], checked: Checked, *, key: str) -> object:
    """Show one option in the widget that suits its type."""
    label, hint = name.replace("_", " ").capitalize(), str(schema.get("description", "")) or None
    kinds = [s.get("type") for s in (schema, *schema.get("anyOf", [])) if isinstance(s, dict)]
    if "enum" in schema:
        choices = ["", *map(str, schema["enum"])]
        at = choices.index(str(value)) if str(value) in choices else 0
        return st.selectbox(label, choices, index=at, key=key, help=hint)
    if "array" in kinds:
        default = ", ".join(map(str, value)) if isinstance(value, list) else str(value or "")
        typed = st.text_input(f"{label}, with commas", value=default, key=key, help=hint)
        return [part.strip() for part in (typed or "").split(",") if part.strip()]
    if "boolean" in kinds:
        return st.toggle(label, value=bool(value), key=key, help=hint)
    if "number" in kinds or "integer" in kinds:
        default = float(value) if isinstance(value, int | float) else None
        return _plain(st.number_input(label, value=default, key=key, help=hint, placeholder="default"))
    return st.text_input(label, value="" if value is None else str(value), key=key, help=hint)


def _try(checked: Checked, *, scope: str) -> None:
    """Score answers whose quality is known: a right one must pass, a wrong one must not."""
    with st.expander("Try on 3 items", icon=":material/science:"):
        if checked.experiment is None:
            st.caption("Solve the problems first.")
            return
        typed = st.text_input("An answer of yours", key=f"d_try_{scope}", placeholder="optional")
        rows = _draft.try_evaluators(checked.experiment, typed=typed or "")
        if not rows:
            st.caption("There is nothing to try: no expected answers, or judges only.")
            return
        said = {"right": "the expected answer", "wrong": "the answer of another item", "yours": "your answer"}
        body = "".join(
            f"<tr><td>{h(r.item_id, 24)}</td>"
            f"<td>{h(said[r.case])}<br><span class=bo-soft>{h(line(r.answer, 80))}</span></td>"
            f"<td>{h(r.metric, 40)}</td><td>{_value(r.value)}</td><td class=bo-soft>{h(r.reason, 160)}</td></tr>"
            for r in rows
        )
        head = "<tr><th>Item</th><th>Answer</th><th>Metric</th><th>Value</th><th>Why</th></tr>"
        _state.html(_parts.wrap(f'<div class="bo-scroll"><table>{head}{body}</table></div>'))


def _value(value: object) -> str:
    if isinstance(value, bool):
        return _parts.chip("✓ pass" if value else "✗ fail", "good" if value else "bad")
    if isinstance(value, int | float):
        return f"<b>{number(float(value))}</b>"
    return h("–" if value is None else value, 40)


def analysis_section(draft: Draft, checked: Checked, *, scope: str) -> None:
    """Declare the question before the data is seen: what decides, against what, and what difference matters."""
    analysis: dict[str, Any] = dict(draft.get("analysis") or {})
    metrics = [_metric_name(entry) for entry in draft.get("evaluators") or []]
    variants = list(checked.experiment.variants) if checked.experiment is not None else []
    one, two, three = st.columns(3)
    if metrics:
        at = metrics.index(analysis["primary"]) if analysis.get("primary") in metrics else 0
        analysis["primary"] = one.selectbox("Metric that decides", metrics, index=at, key=f"d_primary_{scope}")
    if len(variants) > 1:
        at = variants.index(analysis["baseline"]) if analysis.get("baseline") in variants else 0
        analysis["baseline"] = two.selectbox(
            "Baseline: compared with", variants, index=at, key=f"d_base_{scope}_{hash(tuple(variants))}"
        )
    margin = three.number_input(
        "Difference that does not matter", value=analysis.get("margin"), min_value=0.0, step=0.01, format="%.3f",
        key=f"d_margin_{scope}", placeholder="none", help="On the scale of the metric: 0.03 is three points of a pass "
        "rate. Needed to be able to say “equivalent”.",
    )  # fmt: skip
    analysis.pop("margin", None)
    if margin:
        analysis["margin"] = float(margin)
    draft["analysis"] = analysis
    _limits(draft, scope=scope)


def _limits(draft: Draft, *, scope: str) -> None:
    a, b, c, d = st.columns(4)
    repeats = a.number_input(
        "Repeats", 1, 1000, value=int(draft.get("repeats") or 1), key=f"d_rep_{scope}",
        help="Answers to the same item; averaged within the item.",
    )  # fmt: skip
    draft["repeats"] = int(repeats or 1)
    if draft["repeats"] == 1:
        draft.pop("repeats")
    budget = dict(draft.get("budget") or {})
    usd = b.number_input(
        "Budget, USD", value=budget.get("usd"), min_value=0.0, step=1.0, key=f"d_usd_{scope}", placeholder="none",
        help="Hard: it is reserved before each call and cannot be overshot.",
    )  # fmt: skip
    budget.pop("usd", None)
    draft["budget"] = {**budget, **({"usd": float(usd)} if usd else {})}
    limits = dict(draft.get("limits") or {})
    together = c.number_input(
        "Trials at a time", 1, 1000, value=int(limits.get("concurrency") or 20), key=f"d_con_{scope}"
    )
    draft["limits"] = {**limits, "concurrency": int(together or 20)}
    levels = [0.1, 0.05, 0.01]
    analysis = draft["analysis"]
    alpha = float(analysis.get("alpha", 0.05))
    levels = levels if alpha in levels else [alpha, *levels]
    chosen = d.selectbox(
        "Confidence",
        levels,
        index=levels.index(alpha),
        key=f"d_alpha_{scope}",
        format_func=lambda v: f"{100 * (1 - v):g}%",
    )
    analysis.pop("alpha", None)
    if chosen != 0.05:
        analysis["alpha"] = float(chosen)
