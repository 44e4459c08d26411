from __future__ import annotations

import threading
from pathlib import Path

import pytest

import bakeoff
from bakeoff.app._labels import LabelStore
from bakeoff.app.app_pages.label import labels_csv
from bakeoff.errors import SpecError, StoreError
from tests.app.support import recorded


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> bakeoff.RunResult:
    return recorded(tmp_path_factory.mktemp("labels"), n=20)


@pytest.fixture
def labels(tmp_path: Path) -> LabelStore:
    return LabelStore(tmp_path / "control.sqlite")


def queue_of(labels: LabelStore, result: bakeoff.RunResult, **options: object):
    given = {"name": "q", "question": "Right?", "choices": ["yes", "no"], "n": 10, **options}
    return labels.create_queue(result.store, result.run_id, **given)  # type: ignore[bad-argument-type]


def test_every_task_comes_once(labels: LabelStore, result: bakeoff.RunResult) -> None:
    queue = queue_of(labels, result)
    seen = []
    while (task := labels.next_task(queue, "ann")) is not None:
        seen.append((task.item, task.variant))
        labels.add(queue, task, "ann", "yes")
    assert len(seen) == len(set(seen)) == 10
    assert labels.next_task(queue, "bob") is not None, "bob has his own queue"
    assert len(labels.labels(queue)) == 10


def test_a_label_is_never_overwritten(labels: LabelStore, result: bakeoff.RunResult) -> None:
    queue = queue_of(labels, result)
    task = labels.next_task(queue, "ann")
    assert task is not None
    labels.add(queue, task, "ann", "yes", note="first thought")
    assert labels.undo(queue, "ann")
    again = labels.next_task(queue, "ann")
    assert again is not None
    assert again.id == task.id
    labels.add(queue, again, "ann", "no")
    (label,) = labels.labels(queue)
    assert (label.value, label.version, label.annotator) == ("no", 3, "ann")
    assert label.guidelines_version == queue.guidelines_version
    assert not labels.undo(queue, "bob")


def test_later_comes_later(labels: LabelStore, result: bakeoff.RunResult) -> None:
    queue = queue_of(labels, result, n=3)
    first = labels.next_task(queue, "ann")
    assert first is not None
    second = labels.next_task(queue, "ann", after=first.position)
    assert second is not None
    assert second.id != first.id
    last = labels.next_task(queue, "ann", after=2)
    assert last is not None
    assert last.id == first.id, "what was put off comes back at the end"


def test_pairs_are_shown_on_random_sides(labels: LabelStore, result: bakeoff.RunResult) -> None:
    queue = queue_of(labels, result, mode="pairwise", variants=["old", "new"], n=20)
    sides = []
    while (task := labels.next_task(queue, "ann")) is not None:
        assert {task.variant, task.other} == {"old", "new"}
        sides.append(task.variant)
        labels.add(queue, task, "ann", "tie")
    assert set(sides) == {"old", "new"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"choices": ["yes", " "]}, "two different choices"),
        ({"mode": "pairwise", "variants": ["old"]}, "exactly two"),
        ({"variants": ["gone"]}, "no answered trials"),
    ],
)
def test_wrong_queues(labels: LabelStore, result: bakeoff.RunResult, options: dict[str, object], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        queue_of(labels, result, **options)
    assert labels.queues() == []


def test_wrong_labels(labels: LabelStore, result: bakeoff.RunResult) -> None:
    queue = queue_of(labels, result)
    task = labels.next_task(queue, "ann")
    assert task is not None
    with pytest.raises(SpecError, match="'maybe' is not one of"):
        labels.add(queue, task, "ann", "maybe")
    with pytest.raises(SpecError, match="name"):
        labels.add(queue, task, "  ", "yes")


def test_many_people_at_once(labels: LabelStore, result: bakeoff.RunResult) -> None:
    queue = queue_of(labels, result)
    failures: list[BaseException] = []

    def work(name: str) -> None:
        try:
            while (task := labels.next_task(queue, name)) is not None:
                labels.add(queue, task, name, "yes")
        except BaseException as error:  # noqa: BLE001 - reported below
            failures.append(error)

    threads = [threading.Thread(target=work, args=(f"p{k}",)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(labels.labels(queue)) == 40


def test_a_damaged_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "control.sqlite"
    path.write_bytes(b"this is no database at all" * 100)
    with pytest.raises(StoreError, match=r"control\.sqlite"):
        LabelStore(path).queues()


def test_exported_labels_are_no_formulas(labels: LabelStore, result: bakeoff.RunResult) -> None:
    queue = queue_of(labels, result)
    task = labels.next_task(queue, "=cmd|'/c calc'!A1")
    assert task is not None
    labels.add(queue, task, "=cmd|'/c calc'!A1", "yes", note="@SUM(1)")
    text = labels_csv(labels.labels(queue)).decode()
    assert "'=cmd" in text
    assert ",'@SUM(1)," in text


def test_a_prompt_label_moves(labels: LabelStore) -> None:
    labels.mark_prompt("p", "v1", "production")
    labels.mark_prompt("p", "v2", "production")
    assert labels.prompt_labels() == {("p", "production"): "v2"}
