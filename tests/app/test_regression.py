"""The regression page: charts, gates, baselines and schedules, and who may change them."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import bakeoff
from bakeoff.app._clock import missed, moment_words, next_times
from bakeoff.app._control_chart import alarm_shares, control_figure, normal_level
from bakeoff.app._gate_view import rules_of
from bakeoff.errors import SpecError
from bakeoff.experiments import LocalStore, open_store
from bakeoff.regression import (
    add_schedule,
    claim_due,
    decide_gate,
    get_schedule,
    list_baselines,
    list_firings,
    list_schedules,
    monitor,
    set_baseline,
)  # fmt: skip
from tests.app.support import HOSTILE, hostile
from tests.app.test_access import AUTH
from tests.app.test_pages import draw_one, open_page, text_of
from tests.regression.support import passes, recorded

GATE = [{"no_worse_than": "baseline", "margin": 0.2}, {"at_least": 0.5}]
FILE = """name: nightly
dataset: bundled:support-triage
prompts: {short: "{{ message }}"}
models: {small: sim/small}
evaluators: [exact_match]
"""


def sums(store: Path, right: int, *, name: str = "sums") -> str:
    return bakeoff.run(recorded({"only": passes(60, right)}, name=name, gate=GATE), store=store).run_id


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten runs near 50 of 60 right, then three at 30."""
    folder = tmp_path_factory.mktemp("history") / ".bakeoff"
    counts = [50, 51, 49, 50, 52, 50, 49, 51, 50, 50, 30, 31, 30]
    ids = [sums(folder, right) for right in counts]
    set_baseline(open_store(folder), ids[0], note="the first good one")
    return folder


def test_a_drift_is_said_with_its_interval_and_its_cause(history: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page("regression", history, monkeypatch, experiment="sums")
    app.number_input[0].set_value(8).run()
    assert not app.exception
    shown = text_of(app)
    watched = monitor(open_store(history), "sums", metrics=["correct"], reference_runs=8).charts[0]
    assert watched.alarm
    assert "drifted" in shown
    assert watched.attribution is not None
    assert all(cause in shown for cause in watched.attribution.causes)
    assert "95% interval" in shown


def test_the_picture_shows_levels_and_shares_of_the_limit(history: Path) -> None:
    watched = monitor(open_store(history), "sums", reference_runs=8).charts[0]
    figure = control_figure(watched, mode="dark", percent=True)
    levels = next(trace for trace in figure.data if trace.name == "run")
    assert list(levels.y)[:2] == pytest.approx([100 * 50 / 60, 100 * 51 / 60])
    assert normal_level(watched) == pytest.approx(sum([50, 51, 49, 50, 52, 50, 49, 51]) / 8 / 60)
    cusum, ewma = alarm_shares(watched)
    beyond = [abs(c) > 1 or abs(e) > 1 for c, e in zip(cusum, ewma, strict=True)]
    assert beyond[8:] == list(watched.alarms)[8:]
    low, high = (watched.runs.index(run) for run in watched.changed_between or ("", ""))
    assert next((s.x0, s.x1) for s in figure.layout.shapes if s.type == "rect") == (low - 0.5, high + 0.5)


def test_gates_are_listed_with_the_reason(history: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(history)
    newest = store.runs()[0]
    shown = text_of(open_page("regression", history, monkeypatch, experiment="sums", watch="gates"))
    result = decide_gate(store, newest.run_id)
    assert result.outcome == "fail"
    assert result.headline in shown
    assert result.rules[0].because.replace(">", "&gt;") in shown


def test_other_rules_are_tried_without_running(history: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = len(open_store(history).runs())
    app = open_page("regression", history, monkeypatch, experiment="sums", watch="gates")
    app.text_area[0].set_value("gate:\n- at_least: 0.2\n").run()
    assert not app.exception
    assert "PASS: the rule holds." in text_of(app)
    app.text_area[0].set_value("gate:\n- at_leest: 0.2\n").run()
    assert "at_leest" in text_of(app)
    assert not app.exception
    assert len(open_store(history).runs()) == before


def test_a_gate_says_how_often_it_would_be_wrong(history: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page("regression", history, monkeypatch, experiment="sums", watch="gates")
    next(b for b in app.button if b.label == "How often would it be wrong?").click().run(timeout=120)
    assert not app.exception
    assert "false alarms, nothing changed" in text_of(app)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("gate: []", "no rules"),
        ("gate: [{at_least: 1, at_most: 2}]", "rule 1: needs exactly one of"),
        ("gate: [{at_least: 1}]\ngate_policy: {alpha: 3}", "gate_policy: alpha"),
        ("[", "is not YAML"),
    ],
)
def test_wrong_rules_are_named(text: str, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        rules_of(text)


def press(app: AppTest, label: str) -> AppTest:
    next(button for button in app.button if button.label == label).click().run()
    assert not app.exception, app.exception
    return app


def test_a_baseline_is_set_and_unset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / ".bakeoff"
    run = sums(root, 50)
    app = open_page("regression", root, monkeypatch, watch="baselines")
    app.text_input(key="b_note").set_value("why not")
    press(app, "Set as baseline")
    (baseline,) = list_baselines(open_store(root))
    assert (baseline.run_id, baseline.name, baseline.note) == (run, "main", "why not")
    app = open_page("regression", root, monkeypatch, watch="baselines")
    assert str(baseline.pins["data"]) in text_of(app)
    press(app, "Unset main")
    assert list_baselines(open_store(root)) == []


@pytest.fixture
def scheduled(tmp_path: Path) -> LocalStore:
    store = open_store(tmp_path / ".bakeoff")
    file = tmp_path / "experiments" / "nightly.yaml"
    file.parent.mkdir()
    file.write_text(FILE)
    store.paths.create()
    return store


def test_a_schedule_lives_on_the_page(scheduled: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    root = scheduled.paths.root
    app = open_page("regression", root, monkeypatch)
    app.text_input(key="s_cron").set_value("61 * * * *").run()
    assert "'61' is not between 0 and 59" in text_of(app).replace("&#x27;", "'")
    app.text_input(key="s_cron").set_value("30 6 * * *").run()
    press(app, "Add the schedule")
    (schedule,) = list_schedules(scheduled)
    assert (schedule.id, schedule.cron) == ("nightly", "30 6 * * *")

    press(app, "Run now")
    (firing,) = list_firings(scheduled)
    assert (firing.state, firing.reason) == ("waiting", "run-now")
    press(app, "Pause")
    assert get_schedule(scheduled, "nightly").paused
    press(app, "Resume")
    assert not get_schedule(scheduled, "nightly").paused
    assert any("CRON_TZ=UTC" in code.value for code in app.code)
    press(app, "Remove nightly")
    assert list_schedules(scheduled) == []


def test_what_was_missed_is_said(scheduled: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    file = scheduled.paths.root.parent / "experiments" / "nightly.yaml"
    now = time.time()
    add_schedule(scheduled, file, "@hourly", now=now - 4 * 3600)
    app = open_page("regression", scheduled.paths.root, monkeypatch)
    assert "No scheduler is looking" in text_of(app)
    claim_due(scheduled, "somebody", now=now)
    app = open_page("regression", scheduled.paths.root, monkeypatch)
    shown = text_of(app)
    assert "No scheduler is looking" not in shown
    assert f"{sum(f.state == 'missed' for f in list_firings(scheduled))} missed" in shown


def test_a_viewer_sees_and_changes_nothing(scheduled: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    root = scheduled.paths.root
    sums(root, 50)
    set_baseline(scheduled, scheduled.runs()[0].run_id)
    add_schedule(scheduled, root.parent / "experiments" / "nightly.yaml", "@daily")
    monkeypatch.setenv("BAKEOFF_STORE", str(root))
    for watch in ("baselines", "schedules"):
        app = AppTest.from_function(draw_one, args=("regression",), default_timeout=30)
        app.secrets["auth"] = AUTH
        app.secrets["roles"] = {"*": "viewer"}
        app.user = {"is_logged_in": True, "email": "bob@x.org"}
        app.query_params["watch"] = watch
        app.run()
        assert not app.exception
        assert "sums" in text_of(app) or "nightly" in text_of(app)
        labels = {button.label: button.disabled for button in app.button}
        assert not {"Set as baseline", "Add the schedule"} & set(labels)
        assert labels.get("Run now", True)
        assert labels.get("Pause", True)
        for button in app.button:
            if button.label in ("Unset main", "Remove nightly"):  # behind a disabled popover; pressed all the same
                button.click().run()
                assert "this needs the role" in text_of(app)
    assert len(list_baselines(scheduled)) == 1
    assert len(list_schedules(scheduled)) == 1


def test_times_are_said_in_both_zones() -> None:
    # 29 March 2026, 02:00: Berlin's clocks go forward; 06:00 is UTC+1 before, UTC+2 after (tz database).
    start = 1_774_573_200.0  # 27 March 2026, 01:00 UTC
    coming = next_times("0 6 * * *", "Europe/Berlin", local="America/New_York", after=start, n=3)
    assert [m.declared for m in coming] == [
        "Fri 27 Mar 2026, 06:00 CET", "Sat 28 Mar 2026, 06:00 CET", "Sun 29 Mar 2026, 06:00 CEST",
    ]  # fmt: skip
    assert [m.local for m in coming] == [
        "Fri 27 Mar 2026, 01:00 EDT", "Sat 28 Mar 2026, 01:00 EDT", "Sun 29 Mar 2026, 00:00 EDT",
    ]  # fmt: skip
    assert moment_words(0, "No/Where") == "Thu 01 Jan 1970, 00:00 UTC"


def test_only_a_running_schedule_can_be_missed(scheduled: LocalStore) -> None:
    file = scheduled.paths.root.parent / "experiments" / "nightly.yaml"
    schedule = add_schedule(scheduled, file, "@daily", now=0)
    assert missed([schedule], 86_400 + 121) == ["nightly"]
    assert missed([schedule], 86_400) == []


@pytest.mark.parametrize("watch", ["trend", "gates", "baselines", "schedules"])
def test_hostile_text_stays_text(watch: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / ".bakeoff"
    run = hostile(root)
    hostile(root)
    set_baseline(run.store, run.run_id, name=HOSTILE[:90].replace("\x00", ""), note=HOSTILE.replace("\ud800", ""))
    app = open_page("regression", root, monkeypatch, watch=watch)
    if watch == "gates":
        app.text_area[0].set_value(
            "gate: [{at_least: 0.1, name: '<script>alert(1)</script> ![x](http://203.0.113.9)'}]"
        )
        app.run()
    assert not app.exception
    shown = text_of(app)
    assert "<script" not in shown
    assert "<img" not in shown
    assert "\u202e" not in shown
    for entry in (*app.markdown, *app.caption, *app.subheader):
        assert "![" not in entry.value.replace(r"\!\[", "")
        assert "](" not in entry.value.replace(r"\]\(", "")
    for button in app.button:
        assert "![" not in button.label.replace(r"\!\[", "")


def test_no_file_of_the_server_is_named_on_the_page(
    history: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = open_page("regression", history, monkeypatch, experiment="sums", watch="gates")
    said: set[str] = set()
    for name in (tmp_path / "there.json", tmp_path / "not-there.json"):
        if name.stem == "there":
            name.write_text("{}")
        app.text_area[0].set_value(
            f"gate: [{{no_worse_than: baseline, margin: 0.1}}]\ngate_policy: {{baseline: {name}}}"
        )
        app.run()
        assert not app.exception
        said.add(text_of(app)[text_of(app).index("bo-error") :][:200])
    assert len(said) == 1, "both answers are the same"
    assert "can only be named in the experiment file" in said.pop()
