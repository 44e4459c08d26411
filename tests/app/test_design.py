"""The design page: agents, factors, fractions and undo, as a person clicks them; the file is what counts."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from bakeoff.app._combinations import cross_of, fractions
from bakeoff.app._draft import check, example_draft, to_yaml
from bakeoff.app._kept_drafts import KeptDrafts
from bakeoff.experiments import LocalStore
from tests.app.test_pages import open_page, text_of

AGENT: dict[str, Any] = {
    "name": "desk",
    "dataset": "bundled:handbook-qa",
    "models": {"small": "sim/small", "large": "sim/large"},
    "targets": {
        "helper": {
            "agent": {
                "model": "small", "prompt": "{{ question }} {{ passages }}",
                "pattern": {"name": "self_consistency", "k": 3},
                "retrieval": {"corpus": "bundled:handbook-qa", "top_k": 2, "rrf_k": 30},
                "tools": {"search": {"retrieve": True, "max_chars": 500}},
                "memory": {"policy": "window", "window": 4, "days": 3.0}, "conversation": {"turns": "question"},
                "guards": [{"side": "output", "check": "pii", "action": "redact"}],
                "limits": {"max_steps": 50},
            }
        }
    },
    "factors": {"agent.model": ["small", "large"], "agent.retrieval.chunk": ["whole", {"by": "sentence", "size": 30}]},
    "evaluators": [{"contains": {"name": "has_answer"}}],
}  # fmt: skip


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    return open_page("design", tmp_path / ".bakeoff", monkeypatch)


def load(app: AppTest, draft: dict[str, Any]) -> AppTest:
    app.session_state["design_draft"] = draft
    app.session_state["design_generation"] = 50
    app.run()
    assert not app.exception, app.exception
    return app


def draft_of(app: AppTest) -> dict[str, Any]:
    assert not app.exception, app.exception
    found: dict[str, Any] = app.session_state["design_draft"]
    return found


def by_label(app: AppTest, kind: str, label: str) -> Any:
    return next(entry for entry in getattr(app, kind) if entry.label.startswith(label))


def test_the_form_loses_nothing_of_an_agent(page: AppTest) -> None:
    import copy

    app = load(page, copy.deepcopy(AGENT))
    draft = draft_of(app)
    assert draft["targets"] == AGENT["targets"]
    assert draft["factors"] == AGENT["factors"]
    assert draft["models"] == AGENT["models"]
    assert "Smallest difference it can detect" in text_of(app), "it is ready to run"


def test_an_agent_is_made_from_nothing(page: AppTest, store: LocalStore, tmp_path: Path) -> None:
    by_label(page, "button_group", "What answers").set_value("agent")
    page.run()
    assert draft_of(page)["targets"]["agent"]["agent"]["model"] == "small"
    assert draft_of(page)["factors"] == {"agent.pattern": ["zero_shot", "chain_of_thought"]}
    by_label(page, "selectbox", "Reasoning pattern").set_value("self_consistency").run()
    by_label(page, "number_input", "K").set_value(7).run()
    by_label(page, "text_area", "System").set_value("You sort mail.").run()
    by_label(page, "selectbox", "Memory").set_value("window").run()
    assert "remembers nothing" in text_of(page)
    by_label(page, "text_input", "Turns of the conversation").set_value("message").run()
    by_label(page, "text_input", "Documents").set_value("bundled:handbook-qa").run()
    by_label(page, "number_input", "Passages").set_value(5).run()
    agent = draft_of(page)["targets"]["agent"]["agent"]
    assert agent["pattern"] == {"name": "self_consistency", "k": 7}
    assert agent["system"] == "You sort mail."
    assert "before its pattern adds to it" in text_of(page)
    assert agent["memory"] == {"policy": "window"}
    assert agent["retrieval"] == {"corpus": "bundled:handbook-qa", "top_k": 5}
    checked = check(to_yaml(draft_of(page)), folder=tmp_path, store=store)
    assert checked.problems == ()
    assert checked.experiment is not None
    assert len(checked.experiment.variants) == 2

    by_label(page, "button_group", "What answers").set_value("prompts")
    page.run()
    assert list(draft_of(page)["prompts"]) == list(example_draft()["prompts"]), "what was written before is back"
    assert "targets" not in draft_of(page)
    by_label(page, "button_group", "What answers").set_value("agent")
    page.run()
    assert draft_of(page)["targets"]["agent"]["agent"]["system"] == "You sort mail."


def test_a_cascade_starts_with_the_models_there_are(page: AppTest, store: LocalStore, tmp_path: Path) -> None:
    import copy

    app = load(page, copy.deepcopy(AGENT))
    app.session_state["design_draft"]["factors"] = {"agent.retrieval.top_k": [1, 4]}
    app.session_state["design_generation"] = 51
    app.run()
    by_label(app, "button_group", "Which model answers").set_value("cascade")
    app.run()
    agent = draft_of(app)["targets"]["helper"]["agent"]
    assert [tier["model"] for tier in agent["tiers"]] == ["small", "large"]
    assert agent["tiers"][0]["accept"] == {"by": "consistency", "threshold": 0.7, "samples": 3}
    assert "model" not in agent
    assert check(to_yaml(draft_of(app)), folder=tmp_path, store=store).problems == ()
    by_label(app, "button_group", "Which model answers").set_value("router")
    app.run()
    agent = draft_of(app)["targets"]["helper"]["agent"]
    assert [rule["model"] for rule in agent["route"]] == ["small", "large"]
    assert "tiers" not in agent


def test_levels_are_typed_and_planned(page: AppTest) -> None:
    assert "336" in text_of(page)
    by_label(page, "multiselect", "Factors").set_value(["temperature"]).run()
    by_label(page, "multiselect", "Levels of temperature").set_value(["0", "0.7"]).run()
    assert draft_of(page)["factors"] == {"temperature": [0, 0.7]}
    assert "672" in text_of(page), "the planner moves with it"


def test_a_fraction_leaves_cells_out_and_says_what_it_confounds(
    page: AppTest, store: LocalStore, tmp_path: Path
) -> None:
    draft = example_draft() | {
        "models": {"small": "sim/small", "large": "sim/large"}, "factors": {"temperature": [0, 0.7]},
    }  # fmt: skip
    app = load(page, draft)
    radio = by_label(app, "radio", "Which combinations")
    assert radio.options == ["all 8", "4 of 8"]
    radio.set_value(0).run()
    assert len(draft_of(app)["exclude"]) == 4
    assert "cannot be told apart from" in text_of(app)
    checked = check(to_yaml(draft_of(app)), folder=tmp_path, store=store)
    assert checked.problems == ()
    assert checked.experiment is not None
    assert len(checked.experiment.variants) == 4
    assert by_label(app, "radio", "Which combinations").value == 0, "the file is recognised as that fraction"
    by_label(app, "radio", "Which combinations").set_value(-1).run()
    assert "exclude" not in draft_of(app)


@pytest.mark.parametrize("sizes", [(2, 2, 2), (2, 2, 2, 2), (3, 2, 2), (2, 2, 2, 2, 2), (4, 3)])
def test_a_fraction_keeps_main_effects_estimable(sizes: tuple[int, ...]) -> None:
    import numpy as np

    factors = {f"f{k}": [f"l{j}" for j in range(n)] for k, n in enumerate(sizes)}
    every = [dict(zip(factors, cell, strict=True)) for cell in itertools.product(*factors.values())]
    for one in fractions(factors):
        kept = [cell for cell in every if cell not in list(one.exclude)]
        assert len(kept) == one.cells < one.of == len(every)
        columns = [[1.0] * len(kept)]
        columns += [[float(c[f] == level) for c in kept] for f, levels in factors.items() for level in levels[1:]]
        assert np.linalg.matrix_rank(np.array(columns)) == len(columns)  # dummy coding, full column rank


def test_the_cross_is_that_of_the_experiment(store: LocalStore, tmp_path: Path) -> None:
    draft = example_draft() | {"factors": {"temperature": [0, 1]}}
    experiment = check(to_yaml(draft), folder=tmp_path, store=store).experiment
    assert experiment is not None
    size = 1
    for levels in cross_of(draft).values():
        size *= len(levels)
    assert size == len(experiment.variants)


def test_a_change_is_taken_back(page: AppTest) -> None:
    before = to_yaml(draft_of(page))
    by_label(page, "text_input", "Name").set_value("another").run()
    by_label(page, "number_input", "Repeats").set_value(4).run()
    assert draft_of(page)["repeats"] == 4
    page.button(key="design_undo").click().run()
    assert "repeats" not in draft_of(page)
    assert draft_of(page)["name"] == "another"
    page.button(key="design_undo").click().run()
    assert to_yaml(draft_of(page)) == before
    assert page.button(key="design_undo").disabled


def test_a_renamed_baseline_stays_the_baseline(page: AppTest) -> None:
    by_label(page, "selectbox", "Baseline").set_value("with examples").run()
    name = next(entry for entry in page.text_input if entry.value == "with examples")
    name.set_value("worked").run()
    assert draft_of(page)["analysis"]["baseline"] == "worked"
    assert "Smallest difference it can detect" in text_of(page)


def test_what_is_gone_is_no_longer_left_out(page: AppTest) -> None:
    draft = example_draft() | {
        "models": {"small": "sim/small", "large": "sim/large"},
        "factors": {"prompt": ["short", "with examples"], "model": ["small", "large"]},
        "exclude": [{"prompt": "short", "model": "large"}],
    }  # fmt: skip
    app = load(page, draft)
    assert draft_of(app)["exclude"] == [{"prompt": "short", "model": "large"}]
    next(entry for entry in app.text_input if entry.value == "short").set_value("brief").run()
    assert "exclude" not in draft_of(app)
    assert "Smallest difference it can detect" in text_of(app)


def one(value: str | list[str]) -> str:
    return value if isinstance(value, str) else value[0]


def test_a_reload_brings_the_draft_back_as_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / ".bakeoff"
    first = open_page("design", root, monkeypatch)
    assert "draft" not in first.query_params, "an untouched example is not worth an address"
    name = next(entry for entry in first.text_input if entry.label == "Name")
    name.set_value("half-done").run()
    key = one(first.query_params["draft"])

    again = open_page("design", root, monkeypatch, draft=key)  # what a reload is: a new session at the same address
    assert again.session_state["design_draft"]["name"] == "half-done"
    other = one(again.query_params["draft"])
    assert other != key, "two tabs do not write over each other's draft"
    next(entry for entry in again.text_input if entry.label == "Name").set_value("mine").run()
    assert open_page("design", root, monkeypatch, draft=key).session_state["design_draft"]["name"] == "half-done"
    unknown = open_page("design", root, monkeypatch, draft="no-such-key")
    assert unknown.session_state["design_draft"]["prompts"] == example_draft()["prompts"]


def test_kept_drafts_are_bounded() -> None:
    drafts = KeptDrafts(most=2, longest=10)
    assert not drafts.put("long", "x" * 11)
    for key in ("a", "b", "c"):
        assert drafts.put(key, f"name: {key}")
    assert [drafts.get(key) for key in ("long", "a", "b", "c")] == [None, None, "name: b", "name: c"]


WRONG = [
    {"memory": {"policy": "widow", "window": "many"}},
    {"memory": ["a"], "context": {"policy": 3, "window": -1}},
    {"retrieval": "handbook", "tools": ["search"], "limits": "none", "conversation": 7},
    {"retrieval": {"corpus": "x", "method": 3, "top_k": "all", "chunk": {"by": "page", "size": 0}}},
    {"tiers": "cheap first", "model": ["small"]},
    {"tiers": [{"model": "small", "accept": "always"}, "large", None]},
    {"route": [{"when": 3, "model": None}, "large"]},
    {"pattern": {"name": "no such", "options": [1]}, "prompt": ["a"], "system": {"b": 1}},
    {"pattern": {"name": "self_consistency", "k": "many"}},
    {"pattern": {"name": "self_consistency", "k": 10_000}},
    {"steps": "one, two"},
    {"tools": {"search": {"python": 7}, "other": "x", 3: None}},
]


@pytest.mark.parametrize("agent", WRONG, ids=[", ".join(one) for one in WRONG])
def test_a_wrong_agent_is_named_beside_its_form(
    agent: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draft = {**example_draft(), "targets": {"agent": {"agent": {"model": "small", "prompt": "{{ message }}", **agent}}}}
    draft.pop("prompts")
    (tmp_path / "experiments").mkdir()
    app = open_page("design", tmp_path / ".bakeoff", monkeypatch)
    app.session_state["design_draft"] = draft
    app.session_state["design_generation"] = 7
    app.run()
    assert "agent" in app.session_state["design_draft"]["targets"]
    assert not app.exception, app.exception
