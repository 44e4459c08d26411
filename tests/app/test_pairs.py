"""Two settings item by item. Oracle: how the data were made (see `support.recorded`), and SQL-free set arithmetic."""

from __future__ import annotations

from pathlib import Path

import pytest

import bakeoff
from bakeoff.app._pairs import PairFilter, Side, judges_of, pair_page, tag_values
from bakeoff.errors import SpecError
from bakeoff.experiments import analyse_two
from tests.app.support import hostile, recorded, spec

ODD, FIVES = {k for k in range(60) if k % 2}, {k for k in range(60) if k % 5 == 0}
OLD, NEW, EVERY = ODD, set(range(60)) - FIVES, set(range(60))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pairs")


@pytest.fixture(scope="module")
def result(folder: Path) -> bakeoff.RunResult:
    return recorded(folder)


@pytest.fixture(scope="module")
def shorter(folder: Path, result: bakeoff.RunResult) -> bakeoff.RunResult:
    """Another run in the same store, with the first 40 items only."""
    del result
    return recorded(folder, n=40, name="shorter", repeats=2)


def names(numbers: set[int]) -> set[str]:
    return {f"i{k:03d}" for k in numbers}


def found(store: bakeoff.RunResult, before: Side, after: Side, **options: object) -> set[str]:
    wanted = PairFilter(metric="correct", before=before, after=after, **options)  # type: ignore[bad-argument-type]
    page = pair_page(store.store, wanted, limit=200)
    assert page.total == len(page.rows)
    return {row.item_id for row in page.rows}


def test_within_a_run(result: bakeoff.RunResult) -> None:
    old, new = Side(run_id=result.run_id, variant="old"), Side(run_id=result.run_id, variant="new")
    assert found(result, old, new) == names(EVERY)
    assert found(result, old, new, show="improved") == names(NEW - OLD)
    assert found(result, old, new, show="regressed") == names(OLD - NEW)
    assert found(result, old, new, show="regressed", higher_is_better=False) == names(NEW - OLD)
    assert found(result, old, new, show="flipped") == names(OLD ^ NEW)
    assert found(result, old, new, show="changed") == names(OLD ^ NEW), "the wrong answer is -1 in both"
    assert found(result, old, new, show="failing") == names(EVERY - (OLD & NEW))
    assert found(result, old, new, show="errors") == set()
    assert found(result, old, new, tag=("lang", "en")) == names({k for k in EVERY if k % 3 == 0})
    assert found(result, old, new, tag=("lang", "en"), show="improved") == names({k for k in NEW - OLD if k % 3 == 0})
    assert found(result, old, new, search="NUMBER 17") == names({17})
    assert found(result, old, new, search="'; DROP TABLE items; --") == set()


def test_over_two_runs(result: bakeoff.RunResult, shorter: bakeoff.RunResult) -> None:
    old, new = Side(run_id=result.run_id, variant="old"), Side(run_id=shorter.run_id, variant="new")
    both = set(range(40))
    assert found(result, old, new) == names(EVERY), "an item of one side only is listed too"
    assert found(result, old, new, show="improved") == names((NEW - OLD) & both)
    assert found(result, old, new, show="regressed") == names((OLD - NEW) & both)
    page = pair_page(result.store, PairFilter(metric="correct", before=old, after=new), limit=60)
    row = next(row for row in page.rows if row.item_id == "i050")
    assert (row.before_item, row.after_item, row.after) == (50, None, None), "missing, not zero"


def test_pages_are_disjoint_and_complete(result: bakeoff.RunResult) -> None:
    wanted = PairFilter(
        metric="correct",
        before=Side(run_id=result.run_id, variant="old"),
        after=Side(run_id=result.run_id, variant="new"),
    )
    pages = [pair_page(result.store, wanted, limit=25, offset=k) for k in (0, 25, 50)]
    assert [row.item_id for page in pages for row in page.rows] == sorted(names(EVERY))
    assert pages[0].total == 60


def test_any_two_variants_of_two_runs(result: bakeoff.RunResult, shorter: bakeoff.RunResult) -> None:
    analysis = analyse_two(result.store, result.run_id, shorter.run_id, metric="correct", pairs=[("old", "new")])
    (comparison,) = analysis.metric("correct").comparisons
    both = set(range(40))
    assert (comparison.improved, comparison.regressed) == (len((NEW - OLD) & both), len((OLD - NEW) & both))
    assert comparison.difference.estimate == pytest.approx((len(NEW & both) - len(OLD & both)) / 40)
    with pytest.raises(SpecError, match="has no variant 'nobody'; it has 'old', 'new'"):
        analyse_two(result.store, result.run_id, shorter.run_id, metric="correct", pairs=[("nobody", "new")])


def test_judges_that_disagree(tmp_path: Path) -> None:
    """Two checks of the same kind: one wants a `1` in the answer, one a `2`."""
    rows = [
        {"id": f"i{k:02d}", "question": "q", "truth": "1", "old": str(k), "new": "12", "lang": "x"} for k in range(30)
    ]
    data = spec(rows, name="judges")
    data["evaluators"] = [{"contains": {"name": "one", "all": ["1"]}}, {"contains": {"name": "two", "all": ["2"]}}]
    data["analysis"] = {"primary": "one", "baseline": "old"}
    result = bakeoff.run(data, store=tmp_path)
    assert judges_of(result.manifest) == ("one", "two")
    old, new = Side(run_id=result.run_id, variant="old"), Side(run_id=result.run_id, variant="new")
    wanted = PairFilter(metric="one", before=old, after=new, show="judges", judges=("one", "two"))
    listed = {row.item_id for row in pair_page(result.store, wanted, limit=99).rows}
    assert listed == {f"i{k:02d}" for k in range(30) if ("1" in str(k)) != ("2" in str(k))}


def test_tags_and_hostile_fields(result: bakeoff.RunResult, tmp_path: Path) -> None:
    assert tag_values(result.store, result.run_id, "lang") == ["de", "en"], "the most frequent first"
    evil = hostile(tmp_path)
    assert tag_values(evil.store, evil.run_id, "x\"' || drop") == []
    one, two = (Side(run_id=evil.run_id, variant=name) for name in evil.manifest.variant_names)
    wanted = PairFilter(metric=evil.manifest.primary, before=one, after=two, tag=("x\"' || drop", "1"))
    assert pair_page(evil.store, wanted, limit=9).rows == ()
