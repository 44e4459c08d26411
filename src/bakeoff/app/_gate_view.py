"""The gate of a run: its rules one by one, decided again without running anything, and its error rates."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from bakeoff.app import _draft, _parts, _state
from bakeoff.app._text import ago, h, line, number
from bakeoff.errors import BakeoffError, SpecError
from bakeoff.experiments import GatePolicy, GateRule
from bakeoff.regression import calibrate_gate, decide_gate, gate_of, list_baselines, needs_baseline

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bakeoff.experiments import Manifest
    from bakeoff.regression import Calibration, GateResult, RuleResult

__all__ = ["gate_section", "rules_of"]

TONES = {"pass": "good", "fail": "bad", "inconclusive": "open", "infrastructure": "other"}
_MARKS = {"pass": "✓", "fail": "✗", "inconclusive": "?", "infrastructure": "⚠"}
_EXAMPLE = "gate:\n- no_worse_than: baseline\n  margin: 0.03\n- max_error_rate: 0.02\n"


def outcome_chip(outcome: str) -> str:
    """Return the outcome of a gate or a rule with its mark, so that colour is never the only sign."""
    return _parts.chip(f"{_MARKS.get(outcome, '')} {outcome}", TONES.get(outcome, "open"))


def rules_of(text: str) -> tuple[list[GateRule], GatePolicy]:
    """Read `gate:` and `gate_policy:` from YAML.

    Raises:
        SpecError: It is no YAML, or a rule is wrong; says which and why.
    """
    from pydantic import ValidationError

    data = _draft.from_yaml(text)
    raw = data.get("gate")
    if not isinstance(raw, list) or not raw:
        raise SpecError("there are no rules; write a list under `gate:`")
    rules: list[GateRule] = []
    for place, entry in enumerate(raw):
        try:
            rules.append(GateRule.model_validate(entry))
        except ValidationError as error:
            raise SpecError(f"rule {place + 1}: {_first(error)}") from None
    try:
        return rules, GatePolicy.model_validate(data.get("gate_policy") or {})
    except ValidationError as error:
        raise SpecError(f"gate_policy: {_first(error)}") from None


def _first(error: Any) -> str:
    detail = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(map(str, detail["loc"]))
    return f"{where + ': ' if where else ''}{str(detail['msg']).removeprefix('Value error, ')}"


def gate_yaml(manifest: Manifest) -> str:
    """Return the gate of a run's spec as YAML; empty when it has none."""
    kept = {key: manifest.spec[key] for key in ("gate", "gate_policy") if manifest.spec.get(key)}
    return _draft.to_yaml(kept) if kept.get("gate") else ""


@st.cache_resource(max_entries=64, show_spinner="Deciding …")
def _decided(run_id: str, text: str, against: str | None, stamps: tuple[object, ...]) -> GateResult:
    del stamps  # part of the key: other results or another baseline are another decision
    rules, policy = rules_of(text)
    return decide_gate(_state.the_store(), run_id, rules=rules, policy=policy, against=against)


def decision(manifest: Manifest, text: str, against: str | None = None) -> GateResult:
    """Decide rules on a run, once for each state of its files and of the baselines.

    Raises:
        BakeoffError: The rules are wrong, or there is no baseline.
    """
    _, policy = rules_of(text)
    _, own = gate_of(manifest)
    stamp = 0
    if policy.baseline.endswith(".json"):
        if policy.baseline != own.baseline:  # or whoever may read here could try the names of files on the server
            raise SpecError("a baseline file can only be named in the experiment file; here, name a stored baseline")
        file = Path(manifest.base_dir or ".") / policy.baseline
        stamp = file.stat().st_mtime_ns if file.exists() else 0
    pinned = (
        stamp,
        *((b.name, b.run_id, b.set_at) for b in list_baselines(_state.the_store(), experiment=manifest.name)),
    )
    return _decided(manifest.run_id, text, against, (_state.stamp_of(manifest), pinned))


def gate_section(runs: Sequence[Manifest], newest: Sequence[Manifest]) -> None:
    """Show every gate with its last outcome, then one in full.

    Args:
        runs: Those of the chosen experiment, newest first.
        newest: The newest run of every experiment.
    """
    _all_gates(newest)
    st.subheader("One gate, rule by rule")
    one, two = st.columns(2)
    with one:
        manifest = _state.choose(
            "Run", runs[:40], name="gated", words=_state.run_label, code=lambda m: m.run_id, scope=runs[0].name
        )
    known = list_baselines(_state.the_store(), experiment=manifest.name)
    options = ["", *[b.name for b in known]]
    against = two.selectbox(
        "Compared with", options, format_func=lambda name: f"baseline {name}" if name else "what the gate names",
        key=f"g_against_{manifest.run_id}",
    )  # fmt: skip
    text = _rules_text(manifest)
    if not text.strip():
        _state.html(
            _parts.empty("⇥", "This experiment has no gate", "Write rules under “Rules”: they are tried on this run, "
                         "and nothing runs. Copy them into the experiment file when they say what you want.")
        )  # fmt: skip
        return
    try:
        rules, policy = rules_of(text)
        if needs_baseline(rules) and not known and not against and not policy.baseline.endswith(".json"):
            _state.html(_parts.empty("⚓", "No baseline yet", "A rule compares with a baseline. Choose a run that is "
                                     "good under “Baselines”."))  # fmt: skip
            return
        result = decision(manifest, text, against or None)
    except BakeoffError as problem:
        _state.html(_parts.error(problem))
        return
    _result(result)
    _calibration(manifest, text, against or None)


def _all_gates(newest: Sequence[Manifest]) -> None:
    """List the gates of all experiments with how the newest run did, and why."""
    gated = [manifest for manifest in newest if manifest.spec.get("gate")]
    if not gated:
        return
    rows = []
    for manifest in gated[:40]:
        try:
            result = decision(manifest, gate_yaml(manifest))
            chip, why = outcome_chip(result.outcome), result.headline
        except BakeoffError as problem:
            chip, why = _parts.chip("undecided", "open"), str(problem).partition("\n")[0]
        rows.append(
            f"<tr><td class=name>{h(manifest.name, 80)}<small>{h(ago(manifest.created_at))}</small></td>"
            f"<td>{chip}</td><td class=why>{h(line(why, 240), 240)}</td></tr>"
        )
    head = "<tr><th>Experiment</th><th>Newest run</th><th>Why</th></tr>"
    _state.html(_parts.wrap(f'<div class="bo-card bo-scroll"><table>{head}{"".join(rows)}</table></div>'))


def _rules_text(manifest: Manifest) -> str:
    """Let the reader change the rules and see at once what they would have decided."""
    own = gate_yaml(manifest)
    key = f"g_rules_{manifest.name}"
    with st.expander("Rules", expanded=not own, icon=":material/rule:"):
        typed = st.text_area(
            "Rules as YAML: changes are tried on this run, the experiment file stays as it is", value=own, height=190,
            key=key, placeholder=_EXAMPLE,
        )  # fmt: skip
        if (typed or "").strip() != own.strip():
            st.caption("These are not the rules of the experiment file.")

            def back() -> None:
                st.session_state[key] = own

            st.button("Back to the file's rules", icon=":material/undo:", on_click=back, key=f"{key}_back")
    return typed or ""


def _result(result: GateResult) -> None:
    tone = TONES[result.outcome]
    facts = [
        f"{result.n_items:,} items", f"alpha {100 * result.alpha:g}%",
        *([f"against {result.baseline} (run {result.baseline_run[-4:]})"] if result.baseline else []),
    ]  # fmt: skip
    eyebrow = "".join(f"<span>{h(fact, 120)}</span>" for fact in facts)
    simulated = _parts.chip("simulated", "other") if result.is_simulated else ""
    _state.html(
        _parts.wrap(
            f'<div class="bo-card bo-hero bo-{tone}"><div class="bo-eyebrow">{eyebrow}{simulated}</div>'
            f"<h2>{h(result.headline, 400)}</h2><p>{h(result.statement, 700)}</p></div>"
        )
    )
    if result.notes:
        _state.html(_parts.warnings(result.notes, "What else differs"))
    body = "".join(_rule_row(rule) for rule in result.rules[:60])
    head = (
        "<tr><th>Outcome</th><th>Rule</th><th>Why</th><th class=r>Estimate</th><th class=r>Bounds</th>"
        "<th class=r>Adjusted p</th></tr>"
    )
    _state.html(_parts.wrap(f'<div class="bo-card bo-scroll"><table>{head}{body}</table></div>'))


def _rule_row(rule: RuleResult) -> str:
    bounds = "–" if rule.low != rule.low and rule.high != rule.high else f"{number(rule.low)} to {number(rule.high)}"
    warned = "".join(f'<div class="bo-soft">⚠ {h(w, 300)}</div>' for w in rule.warnings)
    return (
        f"<tr><td>{outcome_chip(rule.outcome)}</td>"
        f"<td class=name>{h(rule.rule, 160)}<small>{h(rule.variant, 80)}</small></td>"
        f"<td class=why>{h(rule.because, 500)}{warned}</td><td class=r>{number(rule.estimate)}</td>"
        f"<td class=r>{bounds}</td><td class=r>{number(rule.p_adjusted, 2)}</td></tr>"
    )


@st.cache_resource(max_entries=16, show_spinner="Simulating 1,000 decisions …")
def _calibrated(run_id: str, text: str, against: str | None, stamp: tuple[int, ...]) -> Calibration:
    del stamp
    return calibrate_gate(
        _state.the_store(), run_id, spec=_spec_with(run_id, text), against=against, decisions=1000, rng=0
    )


def _spec_with(run_id: str, text: str) -> dict[str, Any]:
    manifest = _state.the_store().manifest(run_id)
    typed = _draft.from_yaml(text)
    return {**manifest.spec, "gate": typed["gate"], "gate_policy": typed.get("gate_policy") or {}}


def _calibration(manifest: Manifest, text: str, against: str | None) -> None:
    """Say on demand how often this gate would cry wolf, and how often it would catch a real drop."""
    key = f"g_calibrate_{manifest.run_id}_{hash((text, against))}"
    wanted = st.button(
        "How often would it be wrong?", icon=":material/casino:", key=f"{key}_go",
        help="Simulates 1,000 decisions on this run's scores: false alarms when nothing changed, and how often a real "
        "drop is caught. Nothing is called.",
    )  # fmt: skip
    if wanted:
        st.session_state[key] = True
    if not st.session_state.get(key):
        return
    try:
        found = _calibrated(manifest.run_id, text, against, _state.stamp_of(manifest))
    except BakeoffError as problem:
        _state.html(_parts.error(problem))
        return
    _state.html(
        _parts.tiles(
            [
                (f"{100 * found.unchanged.failed:.1f}%", "false alarms, nothing changed"),
                (f"{100 * found.alpha:g}%", "promised at most"),
                (f"{100 * found.unchanged.passed:.0f}%", "pass when nothing changed"),
                *([(f"{100 * found.worse.failed:.0f}%", f"caught after a drop of {number(found.drop)}")]
                  if found.worse else []),
            ]
        )
    )  # fmt: skip
    words = "".join(f"<li>{h(sentence, 400)}</li>" for sentence in found.sentences)
    _state.html(_parts.wrap(f"<ul>{words}</ul>"))
