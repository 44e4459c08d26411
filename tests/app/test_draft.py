from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bakeoff.app._adapt import adapt_example, file_columns, guess_mapping
from bakeoff.app._draft import (
    check,
    diff_lines,
    evaluator_parts,
    example_draft,
    experiment_folder,
    from_yaml,
    highlight,
    known_files,
    save,
    save_upload,
    to_yaml,
    try_evaluators,
)
from bakeoff.datasets import Dataset, DatasetSpec, open_dataset
from bakeoff.errors import SpecError
from bakeoff.experiments import LocalStore, load_experiment

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(min_size=1, max_size=8), inner, max_size=3),
    max_leaves=8,
)


def test_the_example_is_ready_and_priced(store: LocalStore, tmp_path: Path) -> None:
    checked = check(to_yaml(example_draft()), folder=tmp_path, store=store)
    assert checked.problems == ()
    assert checked.plan is not None
    assert checked.plan.trials == 2 * 168
    assert 0 < checked.plan.detectable < 0.5


@given(
    st.dictionaries(st.text(min_size=1, max_size=8), PLAIN.filter(lambda v: v not in (None, {}, [], "")), min_size=1)
)
def test_yaml_says_what_the_draft_says(draft: dict[str, object]) -> None:
    read = yaml.safe_load(to_yaml(draft))

    def trimmed(value: object) -> object:
        if isinstance(value, str) and "\n" in value:
            return "\n".join(line.rstrip(" \t") for line in value.split("\n"))
        if isinstance(value, dict):
            return {trimmed(k): trimmed(v) for k, v in value.items()}
        return [trimmed(v) for v in value] if isinstance(value, list) else value

    assert read == trimmed(draft)


@given(st.text(max_size=200))
def test_any_text_is_checked_without_a_traceback(text: str) -> None:
    with contextlib.suppress(SpecError):  # anything else is a failure
        assert isinstance(from_yaml(text), dict)


def test_every_problem_is_told_with_its_fix(store: LocalStore, tmp_path: Path) -> None:
    draft = example_draft() | {"repeats": -1, "dataset": "nowhere.csv"}
    problems = check(to_yaml(draft), folder=tmp_path, store=store).problems
    assert any(p.key == "repeats" for p in problems)
    draft = example_draft() | {"prompts": {"a": "Hello {{ mesage }}"}}
    (problem, *_) = check(to_yaml(draft), folder=tmp_path, store=store).problems
    assert "mesage" in problem.message
    assert "message" in str(problem), "the message names the variable that was meant"


def test_a_saved_draft_runs_from_the_command_line(store: LocalStore) -> None:
    path = experiment_folder(store) / "x.yaml"
    save(to_yaml(example_draft()), path)
    assert load_experiment(path).spec.name == "my-first-comparison"
    assert (path.parent / "experiment.schema.json").exists()
    assert known_files(store) == [path]


def test_uploads_keep_each_other(tmp_path: Path) -> None:
    one = save_upload("My data (1).CSV", b"question,answer\nq,a\n", tmp_path)
    assert one.parent == tmp_path / "data"
    assert save_upload("My data (1).CSV", b"question,answer\nq,a\n", tmp_path) == one
    other = save_upload("My data (1).CSV", b"question,answer\nr,b\n", tmp_path)
    assert other != one
    assert file_columns(one) == ["question", "answer"]


@pytest.mark.parametrize("name", ["../../etc/passwd.csv", "/abs.csv", "..\\..\\x.csv", "con\x00.csv", "ü😀.csv"])
def test_an_upload_stays_in_its_folder(name: str, tmp_path: Path) -> None:
    assert save_upload(name, b"a\n1\n", tmp_path).resolve().parent == (tmp_path / "data").resolve()


@pytest.mark.parametrize("name", ["x.exe", "x", "x.yaml", "x.csv.py"])
def test_only_data_is_uploaded(name: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="not a data file"):
        save_upload(name, b"", tmp_path)


@given(st.lists(st.text(min_size=1, max_size=10), min_size=1, max_size=6, unique=True))
def test_a_guess_uses_known_columns_only(columns: list[str]) -> None:
    guess = guess_mapping(columns)
    used = [*guess["inputs"], guess.get("expected"), guess.get("id")]
    assert set(filter(None, used)) <= set(columns)
    assert guess["inputs"]


@given(st.text(max_size=100))
def test_highlighting_adds_no_markup(text: str) -> None:
    bare = highlight(text, ["x"]).replace("<mark>", "").replace("<mark class=bad>", "").replace("</mark>", "")
    assert not set("<>") & set(bare)


def test_diff_keeps_every_line() -> None:
    lines = diff_lines("a\nb\nc\n", "a\nx\nc\nd\n")
    assert [text for kind, text in lines if kind != "add"] == ["a", "b", "c"]
    assert [text for kind, text in lines if kind != "cut"] == ["a", "x", "c", "d"]


def test_evaluators_in_any_of_their_forms() -> None:
    assert evaluator_parts({"contains": "blue"}) == ("contains", {"all": "blue"})
    assert evaluator_parts({"length": None}) == ("length", {})


def test_right_answers_pass_and_wrong_ones_fail(store: LocalStore, tmp_path: Path) -> None:
    experiment = check(to_yaml(example_draft()), folder=tmp_path, store=store).experiment
    assert experiment is not None
    tried = try_evaluators(experiment, typed="billing, I think")
    assert {row.case for row in tried} == {"right", "wrong", "yours"}
    assert all(row.value is True for row in tried if row.case == "right")
    assert all(row.value is False for row in tried if row.case == "wrong")


@pytest.mark.parametrize(
    ("answers", "kind"),
    [
        (["yes", "no"] * 20, "label_match"),
        ([str(k) for k in range(40)], "numeric"),
        ([f"words {k}" for k in range(40)], "token_f1"),
    ],
)
def test_the_example_becomes_one_on_my_data(answers: list[str], kind: str, store: LocalStore, tmp_path: Path) -> None:
    path = tmp_path / "data" / "mine.csv"
    path.parent.mkdir()
    path.write_text("nr,long text,answer\n" + "".join(f"{k},this is text {k},{a}\n" for k, a in enumerate(answers)))
    columns = file_columns(path)
    draft = example_draft() | {"dataset": {"path": "data/mine.csv", **guess_mapping(columns)}}
    items = open_dataset(draft["dataset"], base_dir=tmp_path).head(100)
    assert adapt_example(draft, draft["dataset"]["inputs"], items, name="mine")
    assert list(draft["evaluators"][0]) == [kind]
    checked = check(to_yaml(draft), folder=tmp_path, store=store)
    assert checked.problems == (), "it is ready to run"
    assert checked.experiment is not None
    assert "this is text 7" in str(
        checked.experiment.prompts["short"].render(checked.experiment.dataset.head(8)[7].inputs)
    )
    assert not adapt_example(draft, ["x"], items, name="mine"), "what a person may have changed is left alone"


def test_a_data_set_that_is_open_already_changes_nothing(store: LocalStore, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("q,a\none,1\ntwo,2\n,3\n")
    data = {"path": "x.csv", "inputs": ["q"], "expected": "a", "filter": "q <> ''"}
    text = to_yaml({"name": "x", "dataset": data, "prompts": {"p": "{{ q }}", "r": "{{ q }}!"},
                    "models": {"m": "sim/small"}, "evaluators": ["exact_match"]})  # fmt: skip
    seen: list[object] = []

    def opened(spec: DatasetSpec) -> Dataset:
        seen.append(spec)
        return open_dataset(spec, base_dir=tmp_path)

    plain = check(text, folder=tmp_path, store=store)
    quick = check(text, folder=tmp_path, store=store, opened=opened)
    assert len(seen) == 1
    assert quick.problems == plain.problems == ()
    assert quick.plan == plain.plan
    wrong = text.replace("x.csv", "nowhere.csv")
    assert check(wrong, folder=tmp_path, store=store, opened=opened).problems == (
        check(wrong, folder=tmp_path, store=store).problems
    )
