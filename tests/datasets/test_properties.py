"""Any rows, through any format: the same items."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bakeoff.datasets import open_dataset
from bakeoff.datasets._values import MISSING, look_up
from bakeoff.errors import DatasetError

quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])

# Every text that JSON can hold, lone surrogates and NUL included.
any_text = st.text(alphabet=st.characters(exclude_categories=[]), max_size=20)
text = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=20)
scalar = (
    st.none()
    | st.booleans()
    | st.integers(-(2**80), 2**80)
    | st.floats(allow_nan=False, allow_infinity=False)
    | any_text
)
value = st.recursive(
    scalar, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_text, inner, max_size=3), max_leaves=6
)
names = any_text.filter(lambda name: name not in ("id", "expected", "metadata", "inputs"))
rows = st.lists(st.dictionaries(names, value, max_size=4), min_size=1, max_size=6)


def exact(left: object, right: object) -> bool:
    """Equal with equal types: 1 is not 1.0, nor True; -0.0 is not 0.0."""
    return repr(left) == repr(right)


def complaint(spec: Any, **options: Any) -> str | None:
    """Open a data set; return what is wrong, or nothing when it holds items."""
    try:
        dataset = open_dataset(spec, **options)
    except DatasetError as error:
        return str(error)
    assert len(list(dataset)) == len(dataset) > 0
    return None


def in_order(row: dict[str, Any]) -> dict[str, Any]:
    return dict(sorted(row.items()))


@quick
@given(rows, st.booleans())
def test_any_rows_survive_json_lines_and_json(rows: list[dict[str, Any]], ascii_only: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        lines = [json.dumps(row, ensure_ascii=True) for row in rows]
        if ascii_only is False and all("\\ud" not in line for line in lines):
            lines = [json.dumps(row, ensure_ascii=False) for row in rows]
        (here / "d.jsonl").write_bytes("\n".join(lines).encode())
        (here / "d.json").write_bytes(("[" + ", ".join(lines) + "]").encode())
        shuffled_keys = [dict(reversed(row.items())) for row in rows]
        sources = [
            open_dataset("d.jsonl", base_dir=here),
            open_dataset("d.json", base_dir=here),
            open_dataset({"rows": rows}),
            open_dataset({}, data=iter(shuffled_keys)),
        ]
        assert len({source.version for source in sources}) == 1
        for source in sources:
            assert exact([dict(item.inputs) for item in source], [in_order(row) for row in rows])


@quick
@given(st.lists(st.tuples(text, st.none() | text, st.integers(-(2**63), 2**63 - 1)), min_size=1, max_size=8))
def test_a_table_has_the_same_version_in_parquet(table: list[tuple[str, str | None, int]]) -> None:
    rows = [dict(zip(("a", "expected", "n"), row, strict=True)) for row in table]
    with tempfile.TemporaryDirectory() as folder:
        columns = pa.schema([("a", pa.string()), ("expected", pa.string()), ("n", pa.int64())])
        pq.write_table(pa.Table.from_pylist(rows, schema=columns), Path(folder) / "d.parquet")
        dataset = open_dataset("d.parquet", base_dir=Path(folder))
        assert dataset.version == open_dataset({"rows": rows}).version


@quick
@given(st.lists(st.tuples(text, text), min_size=1, max_size=8), st.sampled_from([",", ";", "\t"]), st.booleans())
def test_text_survives_csv(table: list[tuple[str, str]], delimiter: str, windows: bool) -> None:
    import csv

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "d.csv"
        with path.open("w", newline="", encoding="utf-8") as out:
            writer = csv.writer(
                out, delimiter=delimiter, lineterminator="\r\n" if windows else "\n", quoting=csv.QUOTE_ALL
            )
            writer.writerow(["a", "b"])
            writer.writerows(table)
        dataset = open_dataset({"path": "d.csv", "delimiter": delimiter}, base_dir=Path(folder))
        assert [tuple(item.inputs.values()) for item in dataset] == table


@quick
@given(st.lists(any_text.filter(bool), unique=True, min_size=1, max_size=12), st.integers(-5, 5))
def test_shuffled_is_a_permutation(ids: list[str], seed: int) -> None:
    given_rows = [{"id": identity, "n": n} for n, identity in enumerate(ids)]
    wrong = complaint({"rows": given_rows})
    if wrong is not None:
        assert "the id" in wrong  # `\ud800` in letters and as a lone surrogate are the same id
        return
    dataset = open_dataset({"rows": given_rows})
    assert sorted(item.inputs["n"] for item in dataset.shuffled(seed)) == list(range(len(ids)))
    assert [item.id for item in dataset.shuffled(seed)] == [item.id for item in dataset.shuffled(seed)]
    assert [item.inputs["n"] for item in dataset.get([item.id for item in dataset])] == list(range(len(ids)))


@quick
@given(st.binary(max_size=200), st.sampled_from(["d.jsonl", "d.json", "d.csv", "d.parquet", "d.xlsx", "d.jsonl.gz"]))
def test_any_bytes_give_items_or_one_clear_error(data: bytes, name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / name).write_bytes(data)
        wrong = complaint(name, base_dir=Path(folder))
        assert wrong is None or (name in wrong and "\n    fix: " in wrong)


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=40))
def test_any_filter_gives_items_or_one_clear_error(condition: str) -> None:
    wrong = complaint({"rows": [{"id": 1, "a": "x", "b": 2}], "filter": condition})
    assert wrong is None or "\n    fix: " in wrong


@given(value, st.lists(st.sampled_from(["a", "b", "0", "1", "a.b"]), min_size=1, max_size=4))
def test_look_up_agrees_with_walking(value: object, parts: list[str]) -> None:
    """Where names have no dots, a path is a plain walk."""
    if any("." in part for part in parts):
        return
    row = {"a": value, "b": {"a": [value, {"b": value}]}}
    here: Any = row
    for part in parts:
        if isinstance(here, dict) and part in here:
            here = here[part]
        elif isinstance(here, list) and part.isdecimal() and int(part) < len(here):
            here = here[int(part)]
        else:
            here = MISSING
            break
    assert exact(look_up(row, ".".join(parts)), here)


def test_properties_can_fail() -> None:
    """The comparison used above tells apart what must be told apart."""
    for left, right in ((1, 1.0), (1, True), (0.0, -0.0), ("\ud800", "?"), ([], {})):
        assert not exact(left, right)
    with pytest.raises(DatasetError):
        open_dataset({"rows": []})
