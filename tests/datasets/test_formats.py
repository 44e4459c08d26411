"""Every format gives the same items; every broken file one clear message."""

from __future__ import annotations

import csv
import datetime as dt
import decimal
import gzip
import io
import json
import math
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bakeoff.datasets import Dataset, Item, open_dataset
from bakeoff.errors import DatasetError

TEXT_ROWS = [
    {"id": "a", "question": 'He said "hi", twice', "expected": "x"},
    {"id": "b", "question": "über\nzwei Zeilen; mit\tTab", "expected": ""},
    {"id": "c", "question": " 007 ", "expected": "1.50"},
]


def write_csv(
    path: Path, rows: list[dict[str, Any]], *, delimiter: str = ",", encoding: str = "utf-8", newline: str = "\n"
) -> None:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), delimiter=delimiter, lineterminator=newline)
    writer.writeheader()
    writer.writerows(rows)
    path.write_bytes(out.getvalue().encode(encoding))


def write_xlsx(path: Path, rows: list[dict[str, Any]], sheet: str = "Sheet") -> None:
    import openpyxl

    book = openpyxl.Workbook()
    page = book.active
    page.title = sheet
    page.append(list(rows[0]))
    for row in rows:
        page.append(list(row.values()))
    book.save(path)


def jsonl(rows: list[Any]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def items(spec: object, base_dir: Path | None = None, **options: Any) -> list[Item]:
    return list(open_dataset(spec, base_dir=base_dir, **options))  # type: ignore[arg-type]


def test_all_formats_give_the_same_version(tmp_path: Path) -> None:
    (tmp_path / "d.jsonl").write_text(jsonl(TEXT_ROWS), encoding="utf-8")
    (tmp_path / "crlf.jsonl").write_bytes(jsonl(TEXT_ROWS).replace("\n", "\r\n").encode())
    (tmp_path / "bom.jsonl").write_bytes(b"\xef\xbb\xbf" + jsonl(TEXT_ROWS).encode() + b"\n\n")
    (tmp_path / "wide.jsonl").write_bytes(jsonl(TEXT_ROWS).encode("utf-16"))
    (tmp_path / "latin.jsonl").write_bytes(jsonl(TEXT_ROWS).encode("latin-1"))
    (tmp_path / "d.json").write_text(json.dumps(TEXT_ROWS, indent=2))
    (tmp_path / "inner.json").write_text(json.dumps({"data": {"rows": TEXT_ROWS}, "n": [1]}))
    write_csv(tmp_path / "d.csv", TEXT_ROWS)
    write_csv(tmp_path / "crlf.csv", TEXT_ROWS, newline="\r\n")
    write_csv(tmp_path / "bom.csv", TEXT_ROWS, encoding="utf-8-sig")
    write_csv(tmp_path / "wide.csv", TEXT_ROWS, encoding="utf-16")
    write_csv(tmp_path / "semi.csv", TEXT_ROWS, delimiter=";", encoding="cp1252")
    write_csv(tmp_path / "d.tsv", TEXT_ROWS, delimiter="\t")
    for name in ("d.jsonl", "d.json", "d.csv"):
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress((tmp_path / name).read_bytes()))
    pq.write_table(pa.Table.from_pylist(TEXT_ROWS), tmp_path / "d.parquet")
    write_xlsx(tmp_path / "d.xlsx", [*TEXT_ROWS[:1], {**TEXT_ROWS[1], "expected": None}, TEXT_ROWS[2]])
    (tmp_path / "rows.py").write_text(f"def rows():\n    yield from {TEXT_ROWS!r}\n")
    specs: list[Any] = [
        "d.jsonl",
        "crlf.jsonl",
        "bom.jsonl",
        {"path": "wide.jsonl", "encoding": "utf-16"},
        {"path": "latin.jsonl", "encoding": "latin-1"},
        "d.json",
        {"path": "inner.json", "records": "data.rows"},
        "d.csv",
        "crlf.csv",
        "bom.csv",
        "wide.csv",
        {"path": "semi.csv", "delimiter": ";", "encoding": "cp1252"},
        "d.tsv",
        "d.jsonl.gz",
        "d.json.gz",
        "d.csv.gz",
        "d.parquet",
        {"rows": TEXT_ROWS},
        {"python": "rows.py:rows"},
    ]
    versions = {str(spec): open_dataset(spec, base_dir=tmp_path).version for spec in specs}
    for name, data in {
        "list": TEXT_ROWS,
        "generator": iter(TEXT_ROWS),
        "function": lambda: TEXT_ROWS,
        "frame": pd.DataFrame(TEXT_ROWS),
        "arrow": pa.Table.from_pylist(TEXT_ROWS),
    }.items():
        versions[name] = open_dataset({}, data=data).version
    assert set(versions.values()) == {versions["d.jsonl"]}, versions
    assert len(versions["d.jsonl"]) == 64
    # Excel has no empty text, only empty cells.
    assert [item.expected for item in items("d.xlsx", tmp_path)] == ["x", None, "1.50"]
    assert [item.inputs for item in items("d.xlsx", tmp_path)] == [item.inputs for item in items("d.csv", tmp_path)]


def test_version_looks_at_content_and_order_not_at_keys_order_or_place(tmp_path: Path) -> None:
    rows = [{"id": 1, "a": 1, "b": [1, {"x": 2.5}]}, {"id": 2, "a": None, "b": True}]
    base = open_dataset({"rows": rows}).version
    assert open_dataset({"rows": [dict(reversed(row.items())) for row in rows]}).version == base
    assert open_dataset({"rows": rows[::-1]}).version != base
    assert open_dataset({"rows": [{**rows[0], "a": 1.0}, rows[1]]}).version != base  # an integer is not a float
    assert open_dataset({"rows": [{**rows[0], "a": True}, rows[1]]}).version != base
    assert open_dataset({"rows": rows, "inputs": "a"}).version != base
    assert open_dataset({"rows": rows[:1]}).version != base


def test_json_survives_exactly(tmp_path: Path) -> None:
    strange = {
        "big": 12345678901234567890123456789,
        "negative": -(2**70),
        "tiny": 5e-324,
        "third": 1 / 3,
        "float": 1.0,
        "exponent": 1e22,
        "zero": -0.0,
        "emoji": "👩‍🌾 \u2028 \x00 \x7f \\ud800",
        "lone": "\ud800x",
        "": "empty name",
        "a.b": {"c.d": [[], {}, [None]]},
        "k\udc00": False,
    }
    big = {"n": [2**64, -(2**63) - 1, 10**30, 2**63 - 1, 1234567890123456789]}
    assert items({"rows": [big]})[0].inputs == big
    (tmp_path / "big.jsonl").write_text(json.dumps(big))
    assert repr(items("big.jsonl", tmp_path)[0].inputs) == repr(big)
    path = tmp_path / "d.jsonl"
    path.write_text(json.dumps(strange) + "\n" + json.dumps({"only": "this"}) + "\n")
    (tmp_path / "d.json").write_text(json.dumps([strange, {"only": "this"}]))
    for name in ("d.jsonl", "d.json"):
        first, second = items(name, tmp_path)
        assert first.inputs == strange
        assert type(first.inputs["float"]) is float
        assert math.copysign(1, first.inputs["zero"]) == -1
        assert second.inputs == {"only": "this"}


def test_typed_tables_become_plain_json(tmp_path: Path) -> None:
    table = pa.table(
        {
            "id": [7],
            "when": [dt.datetime(2024, 2, 29, 12, 30, tzinfo=dt.UTC)],
            "day": [dt.date(2024, 2, 29)],
            "price": [decimal.Decimal("1.50")],
            "count": [decimal.Decimal(3)],
            "raw": [b"text"],
            "bytes": [b"\xff"],
            "nested": [{"a": [1, None], "t": dt.date(2024, 1, 1)}],
            "gap": pa.array([math.nan]),
            "span": [dt.timedelta(seconds=90)],
        }
    )
    pq.write_table(table, tmp_path / "d.parquet")
    (item,) = items("d.parquet", tmp_path)
    assert item.id == "7"
    assert item.inputs == {
        "when": "2024-02-29T12:30:00+00:00",
        "day": "2024-02-29",
        "price": 1.5,
        "count": 3,
        "raw": "text",
        "bytes": "/w==",
        "nested": {"a": [1, None], "t": "2024-01-01"},
        "gap": None,
        "span": 90.0,
    }


def test_a_data_frame_with_gaps() -> None:
    frame = pd.DataFrame({"id": [1, 2], "n": [1.5, None], "t": ["a", None], "d": pd.to_datetime(["2024-01-01", None])})
    first, second = items({}, data=frame)
    assert first.inputs == {"n": 1.5, "t": "a", "d": "2024-01-01T00:00:00"}
    assert second.inputs == {"n": None, "t": None, "d": None}


def test_a_frame_that_gives_named_rows() -> None:
    class Frame:
        """What is used of a Polars DataFrame (not installed here)."""

        columns = ("id", "when")

        def iter_rows(self, *, named: bool) -> object:
            assert named
            return iter([{"id": 1, "when": dt.date(2024, 1, 2)}])

    assert items({}, data=Frame()) == [Item(id="1", inputs={"when": "2024-01-02"})]


def test_csv_values_are_text(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("id,zip,flag,\n1,007,true,x\n\n2,1.0,,y\n")
    first, second = items("d.csv", tmp_path)
    assert first.inputs == {"zip": "007", "flag": "true", "column_4": "x"}
    assert second.inputs == {"zip": "1.0", "flag": "", "column_4": "y"}


def test_an_excel_sheet_by_name(tmp_path: Path) -> None:
    write_xlsx(
        tmp_path / "d.xlsx",
        [{"id": 1.0, "q": dt.datetime.fromisoformat("2024-01-02T00:00:00")}, {"id": 2, "q": True}],
        sheet="Fragen",
    )
    found = items({"path": "d.xlsx", "sheet": "Fragen"}, tmp_path)
    assert [(item.id, item.inputs["q"]) for item in found] == [("1", "2024-01-02T00:00:00"), ("2", True)]
    with pytest.raises(DatasetError, match=r"no sheet 'Frage'(.|\n)*did you mean 'Fragen'"):
        items({"path": "d.xlsx", "sheet": "Frage"}, tmp_path)


def test_a_json_list_is_streamed_across_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import bakeoff.datasets._text as text

    rows = [{"id": i, "q": 'ä"]},{[' * (i % 5), "n": [i, {"x": -i}]} for i in range(300)]
    (tmp_path / "d.json").write_text(
        "\n [ " + " ,\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + " ] \n"
    )
    whole = items("d.json", tmp_path)
    monkeypatch.setattr(text, "_CHUNK", 7)
    assert items("d.json", tmp_path) == whole
    assert [item.inputs["n"] for item in whole] == [row["n"] for row in rows]


BROKEN: list[tuple[str, bytes, str]] = [
    ("d.jsonl", b"", "'d.jsonl' is empty"),
    ("d.jsonl", b"\n \n", "has no rows"),
    ("d.csv", b"", "is empty"),
    ("d.csv", b"a,b\n", "has no rows"),
    ("d.json", b"[]", "has no rows"),
    ("d.json", b"", "is empty"),
    ("d.parquet", b"", "is empty"),
    ("d.parquet", b"PAR1nonsense", "not a readable Parquet file"),
    ("d.xlsx", b"nonsense", "not a readable Excel file"),
    ("d.jsonl", b'{"a": 1}\n{"a": \n', r"line 2 is not JSON: Expecting value at column 7"),
    ("d.jsonl", b'{"a": 1}\n[1]\n', "line 2 holds a list, not an object"),
    ("d.jsonl", b'{"a": 1}\n"x"\n', "line 2 holds a string"),
    (
        "d.jsonl",
        b'{"a": 1}\n\n{"a": "caf\xe9"}\n',
        r"line 3: byte 20 \(0xe9\) is not utf-8\n    fix: add `encoding: cp1252`",
    ),
    ("d.csv", b"a,b\n1,caf\xe9\n", r"line 2: byte 9 \(0xe9\) is not utf-8"),
    ("d.json", b'[\n{"a": "caf\xe9"}]', r"line 2: byte 12 \(0xe9\)"),
    ("d.jsonl", b'{"id": 1, "a": {"b": [1, NaN]}}\n', r"line 1: a.b.1 is nan, which is not a number in JSON"),
    ("d.jsonl", b'{"id": 1, "expected": -Infinity}\n', "expected is -inf"),
    ("d.jsonl", b'{"a": 1e999}\n', "a is inf"),
    ("d.jsonl", b'{"a": ' + b"9" * 5000 + b"}\n", "line 1 cannot be read"),
    ("d.jsonl", b'{"a": ' + b"[" * 100000 + b"}\n", "line 1 nests too deeply"),
    ("d.json", b'{"a": 1}\n{"a": 2}\n', "several JSON values(.|\n)*format: jsonl"),
    ("d.json", b'{"data": [{"a": 1}]}', "not a list of rows(.|\n)*records: data"),
    ("d.json", b'[{"a": 1}, 2]', "row 2 is int '2', not an object"),
    ("d.json", b'[{"a": 1} {"a": 2}]', "expected ',' or ']'"),
    ("d.json", b'[{"a": 1},', "is not JSON"),
    ("d.json", b'[{"a": 1}', "the end of the file"),
    ("d.json", b'[{"a": 1}] x', "text after the end"),
    ("d.json", b'[{"a": 1,}]', "is not JSON"),
    ("d.csv", b"a,b\n1,2\n1,2,3\n", "line 3 has 3 cells, but the header has 2"),
    ("d.csv", b"a,b\n1,2\n\n1\n", "line 4 has 1 cells"),
    ("d.csv", b'a,b\n"x\ny",2\n1,2,3\n', "line 4 has 3 cells"),
    ("d.csv", b"a,b,a\n1,2,3\n", r"has 'a' twice \(columns 1 and 3\)"),
    ("d.csv", b"a;b\n1;2\n", 'the header is one cell(.|\n)*delimiter: ";"'),
    ("d.csv", b'a,b\n1,"x"y\n', "line 2:(.|\n)*quote"),
    ("d.csv", b'a,b\n1,"x\n', "line 2: unexpected end of data"),
    ("d.jsonl.gz", b"not gzip", "not a whole gzip file"),
    ("d.jsonl.gz", gzip.compress(b'{"a": 1}\n' * 1000, mtime=0)[:30], "not a whole gzip file"),
    ("d.parquet.gz", b"x", "cannot be read through gzip"),
    ("d.txt", b"x", "unknown extension '.txt'"),
    ("d", b"x", "unknown extension"),
    ("d.jsnl", b"x", "did you mean '.jsonl'"),
]


@pytest.mark.parametrize(("name", "content", "message"), BROKEN)
def test_broken_files(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DatasetError, match=message) as caught:
        open_dataset(name, base_dir=tmp_path)
    assert "\n    fix: " in str(caught.value)
    assert name in str(caught.value)


def test_a_wrong_byte_is_counted_in_the_file_not_in_the_chunk(tmp_path: Path) -> None:
    good = b'{"a": "' + "ü".encode() * 400_000 + b'"}\n'
    (tmp_path / "d.jsonl").write_bytes(good * 3 + b'{"a": "\xff"}\n')
    (tmp_path / "d.csv").write_bytes(
        b"a,b\n" + good.replace(b",", b"").replace(b'"', b"").replace(b"\n", b",1\n") * 3 + b"\xff,1\n"
    )
    with pytest.raises(DatasetError, match=rf"line 4: byte {len(good) * 3 + 7:,} \(0xff\)"):
        open_dataset("d.jsonl", base_dir=tmp_path)
    with pytest.raises(DatasetError, match=rf"line 5: byte {(tmp_path / 'd.csv').read_bytes().index(0xFF):,} "):
        open_dataset("d.csv", base_dir=tmp_path)


def test_paths_that_are_not_there(tmp_path: Path) -> None:
    (tmp_path / "questions.jsonl").write_text('{"a": 1}\n')
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x.csv").write_text("a\n1\n")
    for spec, message in {
        "question.jsonl": "there is no file 'question.jsonl'(.|\n)*did you mean 'questions.jsonl'",
        "data": "'data' is a folder(.|\n)*data/x.csv",
        "nowhere/x.csv": "does not exist",
        "bundled:support-triag": "did you mean 'support-triage'",
        "a\0b.csv": "cannot be read|there is no file",
    }.items():
        with pytest.raises(DatasetError, match=message):
            open_dataset(spec, base_dir=tmp_path)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({}, "names no data"),
        ({"path": "a.csv", "rows": []}, "has `path` and `rows`"),
        ({"rows": []}, "has no rows"),
        ({"rows": [{"a": 1}], "sample": 1.5}, "whole number of items"),
        ({"rows": [{"a": 1}], "sample": 0}, "greater than 0"),
        ({"rows": [{"a": 1}], "limit": 0}, "greater than 0"),
        ({"rows": [{"a": 1}], "split": {"train": 0.8, "test": 0.3, "use": "test"}}, "add up to 1.1"),
        ({"rows": [{"a": 1}], "split": {"train": 0.8, "use": "test"}}, "not one of train"),
        ({"rows": [{"a": 1}], "split": {"use": "test"}}, "either `field` or shares"),
        ({"python": "nofunction"}, "pattern"),
        ({"python": "no_such_module_x:f"}, "cannot be imported: ModuleNotFoundError"),
        ({"python": "json:lod"}, "no function 'lod'(.|\n)*did you mean 'load'"),
        ({"python": "no.py:f"}, "there is no file"),
        ({"path": "x.jsonl", "encoding": "utf-9"}, "unknown encoding 'utf-9'"),
    ],
)
def test_descriptions_that_make_no_sense(tmp_path: Path, spec: dict[str, Any], message: str) -> None:
    (tmp_path / "x.jsonl").write_text('{"a": 1}\n')
    with pytest.raises(DatasetError, match=message):
        open_dataset(spec, base_dir=tmp_path)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (7, "DataFrame or an iterable of dicts, not int"),
        ({"a": 1}, "not dict"),
        (["a"], "row 1 is str 'a', not a dict"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "two columns 'a'"),
        (lambda: 1 / 0, "failed: ZeroDivisionError"),
        (({"a": 1 // n} for n in (1, 0)), "failed at row 2: ZeroDivisionError"),
        ([{"a": math.inf}], "row 1: a is inf"),
    ],
)
def test_python_data_that_is_no_data(data: object, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        open_dataset({}, data=data)


def test_python_modules_beside_the_experiment_file(tmp_path: Path) -> None:
    import sys

    (tmp_path / "helper_of_rows_x.py").write_text("WORD = 'hi'\n")
    (tmp_path / "rows_module_x.py").write_text(
        "from helper_of_rows_x import WORD\ndef rows():\n    for n in range(3):\n        yield {'q': WORD, 'n': n}\n"
    )
    before = list(sys.path)
    for reference in ("rows_module_x:rows", "rows_module_x.py:rows"):
        found = items({"python": reference}, tmp_path)
        assert [item.inputs for item in found] == [{"n": n, "q": "hi"} for n in range(3)]
    assert sys.path == before


def test_data_may_be_a_data_set() -> None:
    dataset = open_dataset({"rows": [{"a": 1}]})
    assert open_dataset({"rows": []}, data=dataset) is dataset
    with pytest.raises(DatasetError, match="`limit` cannot be applied"):
        open_dataset({"limit": 1}, data=dataset)


def test_data_may_be_a_path_or_a_name(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"a": 1}\n')
    assert len(open_dataset({}, data="x.jsonl", base_dir=tmp_path)) == 1
    assert open_dataset({}, data="bundled:support-triage").name == "support-triage"


def test_names(tmp_path: Path) -> None:
    (tmp_path / "my.questions.jsonl.gz").write_bytes(gzip.compress(b'{"a": 1}\n', mtime=0))

    def answers() -> list[dict[str, int]]:
        return [{"a": 1}]

    found: list[Dataset] = [
        open_dataset("my.questions.jsonl.gz", base_dir=tmp_path),
        open_dataset({}, data=answers),
        open_dataset({"rows": [{"a": 1}]}),
    ]
    assert [dataset.name for dataset in found] == ["my.questions", "answers", "rows"]


def test_a_formula_that_was_never_computed_is_no_empty_cell(tmp_path: Path) -> None:
    """A program that writes formulas, as openpyxl does, leaves their values to Excel."""
    write_xlsx(tmp_path / "f.xlsx", [{"id": "1", "question": "a"}, {"id": "2", "question": "=1+1"}])
    with pytest.raises(DatasetError, match=r"cell B3 holds a formula whose value was never computed: '=1\+1'"):
        open_dataset({"path": "f.xlsx"}, base_dir=tmp_path)


def test_a_formula_with_its_value_is_read_as_the_value(tmp_path: Path) -> None:
    import zipfile

    write_xlsx(tmp_path / "f.xlsx", [{"id": "1", "question": "=1+1"}])
    with zipfile.ZipFile(tmp_path / "f.xlsx") as given, zipfile.ZipFile(tmp_path / "g.xlsx", "w") as made:
        for name in given.namelist():
            part = given.read(name).decode()
            made.writestr(name, re.sub(r"<v ?/>|<v></v>", "<v>2</v>", part) if "sheet1" in name else part)
    (item,) = open_dataset({"path": "g.xlsx"}, base_dir=tmp_path).head(5)
    assert item.inputs == {"question": 2}
