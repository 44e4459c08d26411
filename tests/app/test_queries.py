from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import bakeoff
from bakeoff.app._live import running_comparisons
from bakeoff.app._queries import ItemFilter, item_page, trials_of_item
from bakeoff.app._segments import segment_fields
from bakeoff.errors import SpecError
from bakeoff.experiments import analyse
from tests.app.support import hostile, recorded


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> bakeoff.RunResult:
    return recorded(tmp_path_factory.mktemp("queries"))


def test_pages_are_disjoint_and_complete(result: bakeoff.RunResult) -> None:
    wanted = ItemFilter(metric="correct")
    pages = [item_page(result.store, result.run_id, wanted, limit=25, offset=k) for k in (0, 25, 50, 75)]
    assert [len(page.rows) for page in pages] == [25, 25, 10, 0]
    assert [row.item_id for page in pages for row in page.rows] == [f"i{k:03d}" for k in range(60)]
    assert pages[0].total == 60


def test_filters_find_what_the_data_holds(result: bakeoff.RunResult) -> None:
    def ids(**options: object) -> set[str]:
        wanted = ItemFilter(metric="correct", **options)  # type: ignore[bad-argument-type]
        return {row.item_id for row in item_page(result.store, result.run_id, wanted, limit=100).rows}

    # Oracle: how the data were made. `old` is right on odd items, `new` on those not divisible by five.
    old, new = {k for k in range(60) if k % 2}, {k for k in range(60) if k % 5}
    names = lambda numbers: {f"i{k:03d}" for k in numbers}  # noqa: E731
    everything = set(range(60))
    assert ids(show="differ") == names(old ^ new)
    assert ids(show="failing") == names(everything - old - new)
    assert ids(show="improved", candidate="new", baseline="old") == names(new - old)
    assert ids(show="regressed", candidate="new", baseline="old") == names(old - new)
    assert ids(show="improved", candidate="new", baseline="old", higher_is_better=False) == names(old - new)
    assert ids(show="errors") == set()
    assert ids(search="number 17") == {"i017"}
    assert ids(search="NUMBER 17") == {"i017"}
    assert ids(search="'; DROP TABLE items; --") == set()


def test_hardest_first(result: bakeoff.RunResult) -> None:
    page = item_page(result.store, result.run_id, ItemFilter(metric="correct", order="hardest"), limit=60)
    means = [np.mean([value for value in row.values.values() if value is not None]) for row in page.rows]
    assert means == sorted(means)


def test_a_trial_is_whole(result: bakeoff.RunResult) -> None:
    trials = trials_of_item(result.store, result.manifest, 7)
    assert [trial.variant for trial in trials] == ["old", "new"]
    assert trials[0].inputs == {"question": "question number 7"}
    assert trials[0].expected == "7"
    assert trials[0].output == "7"
    assert {score.metric: score.value for score in trials[0].scores} == {"correct": 1.0, "size": 1.0}


def test_segments(result: bakeoff.RunResult) -> None:
    assert segment_fields(result.store, result.run_id) == ["lang"]
    parts = analyse(result.store, result.run_id, segments=["lang"]).segments
    found = {(p.value, row.variant): (p.n_items, row.estimate.estimate) for p in parts for row in p.metric.scores}
    english, german = [k for k in range(60) if k % 3 == 0], [k for k in range(60) if k % 3]
    assert found["en", "old"] == (20, pytest.approx(sum(k % 2 for k in english) / 20))
    assert found["de", "new"] == (40, pytest.approx(sum(bool(k % 5) for k in german) / 40))


def test_hostile_metadata_is_no_sql(tmp_path: Path) -> None:
    result = hostile(tmp_path)
    assert segment_fields(result.store, result.run_id) == []  # one value for all items
    with pytest.raises(SpecError, match="no item has the metadata field"):
        analyse(result.store, result.run_id, segments=["""x"' || drop"""])


def test_running_estimates_agree_with_the_counts(result: bakeoff.RunResult) -> None:
    (found,) = running_comparisons(result.store, result.manifest)
    assert found.n_items == 60
    assert found.result is not None
    new, old = sum(bool(k % 5) for k in range(60)) / 60, 0.5
    assert found.result.estimate == pytest.approx(new - old)
    assert found.result.low < new - old < found.result.high
    analysis = result.analysis.metric("correct").comparisons[0].difference
    assert found.result.high - found.result.low > analysis.high - analysis.low, "watching has its price"


def test_a_run_without_trials_has_empty_pages(tmp_path: Path) -> None:
    result = recorded(tmp_path, n=3)
    paths = result.store.run_paths(result.run_id)
    manifest = paths.manifest.read_text().replace('"complete"', '"interrupted"')
    paths.manifest.write_text(manifest)
    paths.trials.unlink()
    paths.scores.unlink()
    assert item_page(result.store, result.run_id, ItemFilter(metric="correct"), limit=5).rows == ()
    assert trials_of_item(result.store, result.store.manifest(result.run_id), 0) == []
    (found,) = running_comparisons(result.store, result.store.manifest(result.run_id))
    assert found.result is None or np.isnan(found.result.low)
    assert found.reason
