"""Which field becomes what."""

from __future__ import annotations

import math
from typing import Any

import pytest

from bakeoff.datasets import DatasetSpec, Item, open_dataset
from bakeoff.errors import DatasetError

ROW: dict[str, Any] = {
    "key": 7,
    "question": "why?",
    "doc": {"text": "t", "choices": ["x", "y"], "source.url": "u"},
    "answer": {"value": 42, "hint": "secret"},
    "user": 3,
    "w": "0.5",
    "model_a": {"out": "A", "ok": True},
    "lang": "en",
}


def one(rows: dict[str, Any] | list[dict[str, Any]] = ROW, *, recorded: tuple[str, ...] = (), **spec: Any) -> Item:
    given = [rows] if isinstance(rows, dict) else rows
    return open_dataset({"rows": given, **spec}, recorded=recorded).head(1)[0]


def test_everything_mapped() -> None:
    item = one(
        id="key",
        inputs={"q": "question", "first": "doc.choices.0", "url": "doc.source.url"},
        expected="answer.value",
        metadata=["lang", "doc.text"],
        cluster="user",
        weight="w",
        recorded=("model_a.out",),
    )
    assert item == Item(
        id="7",
        inputs={"q": "why?", "first": "x", "url": "u"},
        expected=42,
        metadata={"lang": "en", "text": "t"},
        cluster="3",
        weight=0.5,
        recorded={"model_a.out": "A"},
    )


def test_inputs_are_all_that_is_not_used_elsewhere() -> None:
    item = one(
        id="key", expected="answer.value", metadata="lang", cluster="user", weight="w", recorded=("model_a.out",)
    )
    # The whole field `answer` is kept away: its hint would give the answer to the target.
    assert set(item.inputs) == {"question", "doc"}
    assert set(one().inputs) == set(ROW)


def test_one_input_or_a_list_of_them() -> None:
    assert one(inputs="question").inputs == {"question": "why?"}
    assert one(inputs=["question", "doc.text"]).inputs == {"question": "why?", "text": "t"}
    with pytest.raises(DatasetError, match="would both be named 'text'"):
        one({"a": {"text": 1}, "b": {"text": 2}}, inputs=["a.text", "b.text"])


def test_default_fields() -> None:
    item = one({"id": "x", "expected": [1], "q": 1, "metadata": {"b": 1, "a": 2}})
    assert item == Item(id="x", inputs={"q": 1}, expected=[1], metadata={"a": 2, "b": 1})
    item = one({"inputs": {"q": 1}, "expected": "e", "metadata": "text"})
    assert item == Item(id="1", inputs={"q": 1}, expected="e")
    assert one({"inputs": "plain text"}).inputs == {"inputs": "plain text"}


def test_a_field_whose_name_has_dots() -> None:
    assert one({"a.b": 1, "a": {"b": 2}}, inputs="a.b").inputs == {"a.b": 1}
    assert one({"a": {"b.c": {"d": 3}}}, inputs={"x": "a.b.c.d"}).inputs == {"x": 3}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (7, "7"),
        (7.0, "7"),
        ("7", "7"),
        (" a ", " a "),
        (2**70, str(2**70)),
        (0.5, "0.5"),
        ("\ud800", "\\ud800"),
        ("ü", "ü"),
    ],
)
def test_ids_are_text(value: object, text: str) -> None:
    assert one({"id": value, "q": 1}).id == text


@pytest.mark.parametrize("value", [None, "", True, [], {}, math.nan])
def test_values_that_are_no_id(value: object) -> None:
    with pytest.raises(DatasetError, match="row 1: the id 'id' is"):
        one({"id": value, "q": 1})


def test_row_numbers_stand_in_for_ids_and_count_before_the_filter() -> None:
    dataset = open_dataset({"rows": [{"q": "a"}, {"q": "b"}, {"q": "c"}], "filter": "q > 'a'"})
    assert [item.id for item in dataset] == ["2", "3"]


def test_duplicate_ids_name_both_rows() -> None:
    rows = [{"id": n, "q": 1} for n in (5, 6, 7, "6", 5)]
    with pytest.raises(DatasetError, match="the id '6' is in row 2 and in row 4"):
        open_dataset({"rows": rows})
    # Rows that the filter drops do not count.
    assert len(open_dataset({"rows": [*rows[:3], {"id": 5, "q": 2}], "filter": "q = 1"})) == 3


@pytest.mark.parametrize(
    ("rows", "spec", "message"),
    [
        ([{"id": 1, "q": 1}, {"q": 2}], {}, "row 2 has no field 'id'; it has 'q'"),
        ([{"q": 1}, {"id": 2, "q": 2}], {}, "row 2 has the field 'id', but the first row has none"),
        ([{"q": 1}, {"p": 2}], {"inputs": "q"}, "row 2 has no field 'q'; it has 'p'"),
        ([{"question": 1}], {"inputs": "questoin"}, "did you mean 'question'"),
        ([{"a": {"text": 1}}], {"inputs": "a.txt"}, "did you mean 'a.text'"),
        ([{"q": 1}], {"expected": "answer"}, "none of 1 rows has the field 'answer'; the first has 'q'"),
        ([{"q": 1, "answer": 1}], {"expected": "anser"}, "did you mean 'answer'"),
        ([{"q": 1}], {"cluster": "user"}, "none of 1 rows has the field 'user'"),
        ([{"q": 1}], {"metadata": ["lang"]}, "none of 1 rows has the field 'lang'"),
        ([{"q": 1}], {"weight": "w"}, "none of 1 rows has the field 'w'"),
        ([{"q": 1, "w": 0}, {"q": 2, "w": 0.0}], {"weight": "w"}, "the weight 'w' is 0 for all 2 items"),
        ([{"q": n, "w": n // 2} for n in range(4)], {"weight": "w", "limit": 2}, "the weight 'w' is 0 for all 2 items"),
        ([{"q": 1, "w": -1}], {"weight": "w"}, "row 1: the weight 'w' is -1"),
        ([{"q": 1, "w": "x"}], {"weight": "w"}, "the weight 'w' is 'x'"),
        ([{"q": 1, "w": "inf"}], {"weight": "w"}, "the weight 'w' is 'inf'"),
        ([{"q": 1, "w": True}], {"weight": "w"}, "the weight 'w' is True"),
        ([{"q": 1, "c": {}}], {"cluster": "c"}, "the cluster 'c' is {}"),
        ([{"q": 1}], {"recorded": ("a.solution",)}, "none of 1 rows has the field 'a.solution'"),
    ],
)
def test_fields_that_are_missing_or_wrong(rows: list[dict[str, Any]], spec: dict[str, Any], message: str) -> None:
    recorded = spec.pop("recorded", ()) if "recorded" in spec else ()
    with pytest.raises(DatasetError, match=message) as caught:
        open_dataset({"rows": rows, **spec}, recorded=recorded)
    assert "\n    fix: " in str(caught.value)
    spec["recorded"] = recorded


def test_the_first_row_may_be_one_that_is_dropped() -> None:
    rows = [{"kind": "note"}, {"kind": "qa", "id": "a", "q": 1}, {"kind": "qa", "id": "b", "q": 2}]
    assert [item.id for item in open_dataset({"rows": rows, "filter": "kind = 'qa'"})] == ["a", "b"]


def test_optional_fields_may_be_absent_in_some_rows() -> None:
    rows = [{"q": 1, "e": 1, "c": "x", "w": 2, "a": "A"}, {"q": 2}, {"q": 3, "e": None, "c": "", "w": ""}]
    dataset = open_dataset(
        {"rows": rows, "inputs": "q", "expected": "e", "cluster": "c", "weight": "w"}, recorded=["a"]
    )
    assert [(i.expected, i.cluster, i.weight, dict(i.recorded)) for i in dataset] == [
        (1, "x", 2.0, {"a": "A"}),
        (None, None, None, {}),
        (None, None, None, {}),
    ]


def test_input_names_are_those_that_every_item_has() -> None:
    assert open_dataset({"rows": [{"a": 1, "b": 1}, {"b": 2, "c": 2}, {"a": 3, "b": 3}]}).input_names == ("b",)


def test_a_spec_is_frozen_and_strict() -> None:
    spec = DatasetSpec.model_validate("bundled:handbook-qa")
    assert spec.bundled == "handbook-qa"
    with pytest.raises(ValueError, match="frozen"):
        spec.limit = 3  # type: ignore[misc]
    with pytest.raises(ValueError, match="Extra inputs"):
        DatasetSpec.model_validate({"path": "x", "inptus": "y"})


def test_the_json_schema_takes_what_the_model_takes() -> None:
    import jsonschema

    schema = DatasetSpec.model_json_schema()
    for good in (
        "x.csv",
        {"path": "x.csv", "inputs": ["a"], "split": {"train": 0.8, "test": 0.2, "use": "test"}},
        {"bundled": "handbook-qa", "sample": 0.1},
        {"path": "x.csv", "split": "test"},
        {"path": "x.csv", "split": {"field": "fold", "use": "1"}},
    ):
        jsonschema.validate(good, schema)
        DatasetSpec.model_validate(good)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"pth": "x.csv"}, schema)
