"""The data sets that come along, and the real one beside the repository."""

from __future__ import annotations

import collections
import difflib
import json
import re
from pathlib import Path

import pytest

from bakeoff.datasets import bundled_datasets, bundled_file, open_dataset
from bakeoff.errors import DatasetError

SHARED = Path(__file__).parents[2] / "../shared/data"


def test_listed_with_a_description() -> None:
    assert [name for name, _ in bundled_datasets()] == ["handbook-qa", "support-triage"]
    assert all(30 < len(description) < 130 for _, description in bundled_datasets())


def test_support_triage_is_what_its_card_says() -> None:
    dataset = open_dataset("bundled:support-triage")
    assert dataset.card is not None
    items = list(dataset)
    assert len(items) == 168
    assert dataset.input_names == ("message",)
    labels = collections.Counter(item.expected for item in items)
    assert set(labels.values()) == {21}
    assert all(f"`{label}`" in dataset.card for label in labels)
    for field in ("priority", "channel", "language", "difficulty"):
        counts = collections.Counter(item.metadata[field] for item in items)
        assert all(f"{value} {count}" in dataset.card for value, count in counts.items()), field
    customers = collections.Counter(item.cluster for item in items)
    assert f"{len(customers)} customers" in dataset.card
    assert f"({sum(count for count in customers.values() if count > 1)} messages)" in dataset.card
    assert "Apache-2.0" in dataset.card


def test_support_triage_has_no_near_duplicates() -> None:
    messages = [item.inputs["message"] for item in open_dataset("bundled:support-triage")]
    matcher = difflib.SequenceMatcher(autojunk=False)
    for index, message in enumerate(messages):
        matcher.set_seq2(message)
        for other in messages[:index]:
            matcher.set_seq1(other)
            close = matcher.real_quick_ratio() > 0.7 and matcher.quick_ratio() > 0.7 and matcher.ratio() > 0.7
            assert not close, (message, other)


def test_handbook_qa_is_what_its_card_says() -> None:
    dataset = open_dataset("bundled:handbook-qa")
    assert dataset.card is not None
    items = list(dataset)
    assert len(items) == 146
    assert dataset.input_names == ("context", "question")
    kinds = collections.Counter(item.metadata["type"] for item in items)
    assert all(f"{kind} {count}" in dataset.card for kind, count in kinds.items())
    answerable = collections.Counter(item.metadata["answerable"] for item in items)
    assert f"true {answerable[True]}, false {answerable[False]}" in dataset.card
    assert len({item.inputs["question"] for item in items}) == len(items)


def test_handbook_answers_are_in_the_sections_named() -> None:
    corpus = {
        section["id"]: section
        for section in map(
            json.loads, bundled_file("handbook-qa", "corpus.jsonl").read_text(encoding="utf-8").splitlines()
        )
    }
    assert len(corpus) == 26
    handbook = bundled_file("handbook-qa", "handbook.md").read_text(encoding="utf-8")
    assert all(section["text"] in handbook for section in corpus.values())
    literal = 0
    for item in open_dataset("bundled:handbook-qa"):
        assert item.cluster in corpus
        gold = item.metadata["sections"]
        if not item.metadata["answerable"]:
            assert (item.expected, gold, item.metadata["hops"]) == ("not in the handbook", [], 0)
            continue
        assert item.metadata["hops"] == len(gold) > 0
        assert all(corpus[section]["text"] in item.inputs["context"] for section in gold)
        if item.metadata["type"] == "yes-no":
            assert item.expected in ("yes", "no")
        elif item.metadata["type"] == "numeric":
            assert re.fullmatch(r"\d+", item.expected)
        else:
            literal += any(item.expected.lower() in corpus[section]["text"].lower() for section in gold)
    assert literal >= 30  # the other answers in words are drawn from the text, not copied


def test_a_user_may_map_a_bundled_set_otherwise() -> None:
    dataset = open_dataset({"bundled": "handbook-qa", "inputs": "question", "filter": "type = 'numeric'", "sample": 20})
    assert len(dataset) == 20
    assert dataset.input_names == ("question",)
    with pytest.raises(DatasetError, match=r"no file '\.\./support-triage/data"):
        bundled_file("handbook-qa", "../support-triage/data.jsonl")


@pytest.mark.skipif(
    not (SHARED / "gsm8k_model_solutions.jsonl").exists(), reason="the shared data is not beside the repository"
)
def test_gsm8k_with_recorded_answers() -> None:
    models = ["6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification"]
    recorded = [f"{model}.solution" for model in models]
    path = SHARED / "gsm8k_model_solutions.jsonl"
    dataset = open_dataset(
        {"path": path.name, "inputs": "question", "expected": "ground_truth"}, base_dir=SHARED, recorded=recorded
    )
    source = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert len(dataset) == len(source) == 1319
    for number, (item, row) in enumerate(zip(dataset, source, strict=True), 1):
        assert item.id == str(number)
        assert item.inputs == {"question": row["question"]}
        assert item.expected == row["ground_truth"]
        assert item.recorded == {f"{model}.solution": row[model]["solution"] for model in models}
    default = open_dataset({"path": path.name, "expected": "ground_truth"}, base_dir=SHARED, recorded=recorded)
    assert default.version == dataset.version  # the models' fields are kept from the inputs
