"""A reader's own file, as odd as they come: what it holds is found out, and the example is made to fit."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

from bakeoff.app._own_data import answered_only, guess_roles, inputs_value, read_facts, sniff, variable
from bakeoff.datasets import open_dataset
from tests.app.test_pages import open_page, text_of

KINDS = ("Rechnung", "Lieferung", "Erstattung")


def odd_rows(n: int = 60) -> list[dict[str, str]]:
    return [
        {
            "Ticket-Nr": f"T-{k:03d}",
            "Kunden Nachricht - Text": f'Guten Tag,\neine Frage zu {KINDS[k % 3]};\r\nbitte "schnell". {k}'
            if k % 17
            else "",
            "Priorität": ("hoch", "", "niedrig")[k % 3],
            **{f"feld {j}": str(k * j) if (k + j) % 4 else "" for j in range(1, 26)},
            "Richtige Antwort": KINDS[k % 3] if k % 11 else "",
            "Notiz": "",
        }
        for k in range(n)
    ]


def odd_csv(rows: list[dict[str, str]], *, delimiter: str = ";", encoding: str = "utf-8-sig") -> bytes:
    sink = io.StringIO(newline="")
    writer = csv.DictWriter(sink, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return sink.getvalue().encode(encoding)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_any_csv_is_read_as_it_was_written(encoding: str, delimiter: str, tmp_path: Path) -> None:
    path = tmp_path / "odd.csv"
    path.write_bytes(odd_csv(odd_rows(), delimiter=delimiter, encoding=encoding))
    options = sniff(path)
    assert options.get("delimiter", ",") == delimiter
    assert options.get("encoding") == ("cp1252" if encoding == "cp1252" else None)
    facts = read_facts(path, options)
    assert facts.columns == tuple(odd_rows()[0])
    assert facts.rows == 60
    assert facts.empty["Richtige Antwort"] == sum(not row["Richtige Antwort"] for row in odd_rows())
    assert guess_roles(facts) == {
        "inputs": ["Kunden Nachricht - Text"], "expected": "Richtige Antwort", "id": "Ticket-Nr",
    }  # fmt: skip


def test_one_column_is_one_column(tmp_path: Path) -> None:
    path = tmp_path / "one.csv"
    path.write_text("question\nwhat, then; and why?\n".replace("what, then; and why?", '"what, then; and why?"'))
    assert sniff(path) == {}
    assert guess_roles(read_facts(path, {}))["inputs"] == ["question"]


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_id_and_expected_are_columns_too(suffix: str, tmp_path: Path) -> None:
    rows = [{"id": f"a{k}", "question": f"what is {k}?", "expected": str(k)} for k in range(5)]
    path = tmp_path / f"x.{suffix}"
    if suffix == "csv":
        path.write_bytes(odd_csv(rows, delimiter=",", encoding="utf-8"))
    elif suffix == "jsonl":
        path.write_text("\n".join(map(json.dumps, rows)))
    else:
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.Table.from_pylist(rows), path)
    facts = read_facts(path, {})
    assert set(facts.columns) == {"id", "question", "expected"}
    assert guess_roles(facts) == {"inputs": ["question"], "expected": "expected", "id": "id"}


@given(st.text(max_size=30))
def test_a_variable_is_a_name(column: str) -> None:
    assert variable(column).isidentifier()


@given(st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=6, unique=True))
def test_every_column_has_a_name_of_its_own(columns: list[str]) -> None:
    value = inputs_value(columns)
    named = {name: name for name in value} if isinstance(value, list) else value
    assert list(named.values()) == columns
    assert all(name.isidentifier() for name in named)
    assert inputs_value(columns, value) == value, "names stay"


@pytest.mark.parametrize("column", ["answer", 'the "right" one', "a b", "select"])
def test_the_filter_drops_empty_cells_only(column: str, tmp_path: Path) -> None:
    values = ["x", "", " ", "'", "0"]
    rows = [{column: value, "q": str(k)} for k, value in enumerate(values)]
    path = tmp_path / "x.csv"
    path.write_bytes(odd_csv(rows, delimiter=",", encoding="utf-8"))
    kept = open_dataset({"path": str(path), "filter": answered_only(column)}, base_dir=tmp_path).head(9)
    assert [item.inputs["q"] for item in kept] == [str(k) for k, value in enumerate(values) if value.strip()]


def draft_with(store: Path, monkeypatch: pytest.MonkeyPatch, dataset: dict[str, Any]) -> AppTest:
    monkeypatch.setenv("BAKEOFF_STORE", str(store))
    app = open_page("design", store, monkeypatch)
    app.session_state["design_draft"]["dataset"] = dataset
    app.session_state["design_generation"] = 99  # fresh widgets, as after loading a file
    return app.run()


def test_incomplete_rows_are_left_out_on_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tmp_path / "experiments" / "data"
    data.mkdir(parents=True)
    (data / "odd.csv").write_bytes(odd_csv(odd_rows()))
    app = draft_with(tmp_path / ".bakeoff", monkeypatch, {"path": "data/odd.csv", "delimiter": ";"} | {
        "inputs": {"text": "Kunden Nachricht - Text"}, "expected": "Richtige Antwort"})  # fmt: skip
    assert not app.exception
    toggle = next(t for t in app.toggle if t.label.startswith("Leave incomplete rows out"))
    assert toggle.value is False, "a draft that did not leave them out is not changed behind its back"
    toggle.set_value(True).run()
    whole = sum(bool(r["Richtige Antwort"] and r["Kunden Nachricht - Text"]) for r in odd_rows())
    assert any(entry.value.startswith(f"{whole} items;") for entry in app.caption)
    assert app.session_state["design_draft"]["dataset"]["inputs"] == {"text": "Kunden Nachricht - Text"}
    assert 'class="bo-error"' not in text_of(app).split("Variables in the data")[0]
