"""Filter, split, sample, limit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bakeoff.datasets import open_dataset
from bakeoff.errors import DatasetError

ROWS: list[dict[str, Any]] = [
    {
        "id": i,
        "text": "x" * i,
        "lang": "en" if i % 2 else "de",
        "score": i * 0.5 if i % 3 else i,
        "meta": {"a": {"b": i}, "k": f"v{i}"},
        "tags": [f"t{i}", "x"],
        "good": i % 2 == 0,
        "mixed": i if i % 2 else str(i),
        "Big Name": "é",
        "gap": None if i < 5 else 3,
    }
    for i in range(1, 11)
]


def ids(rows: list[dict[str, Any]] = ROWS, **spec: Any) -> list[int]:
    return [int(item.id) for item in open_dataset({"rows": rows, **spec})]


class TestFilter:
    @pytest.mark.parametrize(
        ("condition", "expected"),
        [
            ("lang = 'en' and length(text) < 4", [1, 3]),
            ("meta.a.b > 8", [9, 10]),
            ("meta.a.b > 8 and meta.k <> 'v9'", [10]),
            ("meta ->> 'k' = 'v3'", [3]),
            ("list_contains(tags, 't3')", [3]),
            ("len(list_filter(tags, lambda t: t = 't4')) = 1", [4]),
            ("good", [2, 4, 6, 8, 10]),
            ("not good and id between 3 and 7", [3, 5, 7]),
            ("score >= 4.5", [6, 9, 10]),
            ("mixed in ('2', '3')", [2, 3]),
            ("\"Big Name\" = 'é' and LANG = 'en' and id < 4", [1, 3]),
            ("gap is null", [1, 2, 3, 4]),
            ("gap > 2 and id < 7", [5, 6]),
            ("lang ~ '^e' -- a comment", [1, 3, 5, 7, 9]),
            ("case when good then id > 8 else false end", [10]),
            ("lower(upper(lang)) like 'd%' or text = 'xxx'", [2, 3, 4, 6, 8, 10]),
        ],
    )
    def test_conditions(self, condition: str, expected: list[int]) -> None:
        assert ids(filter=condition) == expected

    @pytest.mark.parametrize(
        ("condition", "message"),
        [
            ("exists(select 1 from read_text('/etc/passwd'))", "subquery"),
            ("(select content from read_text('/etc/passwd')) like '%root%'", "subquery"),
            ("text in (select * from 'data.csv')", "subquery"),
            ("read_text('/etc/passwd') is not null", "does not fit"),
            ("1 = 1; drop table rows", "is not SQL"),
            ("1 = 1); copy rows to '/tmp/x'; select (1", "more than a condition|is not SQL|SELECT"),
            ("1 = 1) group by (lang", "more than a condition"),
            ("1 = 1) union select (1", "more than a condition|is not SQL"),
            ("1 = 1) limit (3", "more than a condition"),
            ("random() < 0.5", r"uses random\(\)"),
            ("uuid() is null", r"uses uuid\(\)"),
            ("now() is null", r"uses now\(\)"),
            ("getenv('HOME') is null", r"uses getenv\(\)"),
            ("current_setting('memory_limit') = 'x'", r"uses current_setting\(\)"),
            ("row_number() over () < 3", "window"),
            ("sum(id) > 3", "does not fit"),
            ("id = ?", "parameter"),
            ("columns(*) = 1", "star"),
            ("id =", "is not SQL"),
            ("language = 'en'", "did you mean 'lang'"),
            ("lang = en", "'single quotes'"),
            ("text > 3", "cast"),
            ("lang", "does not fit"),
            ("length(repeat('a', 100000000000)) > 3", "does not fit"),
            ("len(range(10000000000)) > 3", "does not fit"),
            ("meta.a.b > 3 and meta is not null", "as a whole and in parts"),
            ("false", "no item is left of 10 rows"),
        ],
    )
    def test_conditions_that_are_refused(self, condition: str, message: str) -> None:
        with pytest.raises(DatasetError, match=message) as caught:
            ids(filter=condition)
        assert "\n    fix: " in str(caught.value)

    def test_the_second_fence_holds_without_the_first(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Were a subquery to get past the parser, DuckDB itself opens no file and keeps its settings."""
        import bakeoff.datasets._filter as module

        monkeypatch.setattr(module, "_ALLOWED", module._ALLOWED | {"SUBQUERY", "STAR"})
        (tmp_path / "x.csv").write_text("a\n1\n")
        monkeypatch.chdir(tmp_path)
        assert ids(filter="(select 1) = id") == [1]  # subqueries do work now
        for source in ("'x.csv'", "read_text('x.csv')", "read_csv('x.csv')", "glob('*')", "duckdb_secrets()"):
            with pytest.raises(DatasetError, match="does not fit: Permission Error"):
                ids(filter=f"(select count(*) from {source}) > 0")

    def test_numbers_in_a_csv_file(self, tmp_path: Path) -> None:
        (tmp_path / "d.csv").write_text("id,score,zip\n1,3,007\n2,40,123\n3,,1\n")

        def kept(condition: str) -> list[str]:
            return [item.id for item in open_dataset({"path": "d.csv", "filter": condition}, base_dir=tmp_path)]

        assert kept("score > 20") == ["2"]
        assert kept("zip = '007'") == ["1"]
        assert kept("length(zip) = 3 and cast(score as double) > 20") == ["2"]
        assert kept("score = ''") == ["3"]

    def test_a_type_does_not_depend_on_the_batch(self) -> None:
        """Text that only appears after 9,000 numbers makes the whole column text, from the first row on."""
        rows: list[dict[str, Any]] = [{"id": i, "v": i % 10} for i in range(9000)]
        assert len(ids(rows, filter="v > 3")) == 5400
        assert ids([*rows, {"id": 9000, "v": "x"}], filter="v = 'x'") == [9000]
        assert len(ids([*rows, {"id": 9000, "v": "x"}], filter="v = '3'")) == 900

    def test_rows_that_are_filtered_out_need_no_fields(self) -> None:
        rows = [{"kind": "note", "text": "x"}, {"kind": "qa", "q": 1, "a": 2}, {"kind": "qa", "a": 3}]
        spec = {"rows": rows, "inputs": "q", "expected": "a"}
        with pytest.raises(DatasetError, match="row 3 has no field 'q'"):
            open_dataset({**spec, "filter": "kind = 'qa'"})
        assert [item.id for item in open_dataset({**spec, "filter": "kind = 'qa' and a = 2"})] == ["2"]

    def test_strange_text(self) -> None:
        rows = [{"id": 1, "t": "\ud800"}, {"id": 2, "t": "a\0b"}, {"id": 3, "t": "👩‍🌾"}, {"id": 4, "t": "'; drop"}]
        assert ids(rows, filter="t = '👩‍🌾'") == [3]
        assert ids(rows, filter="t = '''; drop'") == [4]
        assert [item.inputs["t"] for item in open_dataset({"rows": rows, "filter": "id < 3"})] == ["\ud800", "a\0b"]


MANY = [{"id": f"i{n}", "q": n, "user": n // 4} for n in range(2000)]


class TestSplit:
    def test_by_shares_is_a_partition(self) -> None:
        shares = {"train": 0.7, "dev": 0.1, "test": 0.2}
        parts = {use: open_dataset({"rows": MANY, "split": {**shares, "use": use}}) for use in shares}
        found = {use: {item.id for item in part} for use, part in parts.items()}
        assert set.union(*found.values()) == {row["id"] for row in MANY}
        assert sum(map(len, found.values())) == len(MANY)
        # Binomial: four standard deviations.
        assert abs(len(found["train"]) - 1400) < 4 * (2000 * 0.7 * 0.3) ** 0.5
        assert abs(len(found["test"]) - 400) < 4 * (2000 * 0.2 * 0.8) ** 0.5

    def test_an_item_stays_where_it_is(self) -> None:
        split = {"train": 0.5, "test": 0.5, "use": "test"}
        some = {item.id for item in open_dataset({"rows": MANY[:500], "split": split})}
        all_of_them = {item.id for item in open_dataset({"rows": MANY[::-1], "split": split})}
        assert some == {identity for identity in all_of_them if int(identity[1:]) < 500}
        other = {item.id for item in open_dataset({"rows": MANY[:500], "split": split, "seed": 1})}
        assert some != other

    def test_a_cluster_is_not_torn_apart(self) -> None:
        split = {"train": 0.5, "test": 0.5, "use": "test"}
        kept = open_dataset({"rows": MANY, "cluster": "user", "split": split})
        sizes: dict[str | None, int] = {}
        for item in kept:
            sizes[item.cluster] = sizes.get(item.cluster, 0) + 1
        assert set(sizes.values()) == {4}
        assert 0 < len(kept) < len(MANY)

    def test_by_a_field(self) -> None:
        rows = [
            {"id": 1, "q": 1, "split": "train"},
            {"id": 2, "q": 2, "split": "test"},
            {"id": 3, "q": 3, "split": "test"},
        ]
        dataset = open_dataset({"rows": rows, "split": "test"})
        assert [item.id for item in dataset] == ["2", "3"]
        assert dataset.input_names == ("q",)
        assert ids([{"id": i, "m": {"fold": i % 2}} for i in range(4)], split={"field": "m.fold", "use": "1"}) == [1, 3]
        with pytest.raises(DatasetError, match=r"no item is left(.|\n)*'train', 'test'"):
            open_dataset({"rows": rows, "split": "dev"})
        with pytest.raises(DatasetError, match="row 1 has no field 'split'"):
            open_dataset({"rows": ROWS, "split": "test"})


class TestSample:
    @given(st.integers(1, 60), st.integers(0, 5))
    @settings(max_examples=25, deadline=None)
    def test_a_number(self, size: int, seed: int) -> None:
        rows = MANY[:50]
        kept = [item.id for item in open_dataset({"rows": rows, "sample": size, "seed": seed})]
        assert len(kept) == min(size, 50)
        assert kept == sorted(set(kept), key=lambda identity: int(identity[1:]))  # in the order of the source
        again = [item.id for item in open_dataset({"rows": rows[::-1], "sample": size, "seed": seed})]
        assert set(again) == set(kept)
        larger = {item.id for item in open_dataset({"rows": rows, "sample": size + 1, "seed": seed})}
        assert larger >= set(kept)

    def test_a_share(self) -> None:
        assert len(open_dataset({"rows": MANY, "sample": 0.1})) == 200
        assert len(open_dataset({"rows": MANY, "sample": 1.0})) == 2000
        assert len(open_dataset({"rows": MANY, "sample": 1})) == 1
        assert len(open_dataset({"rows": MANY[:3], "sample": 0.01})) == 1

    def test_every_item_has_the_same_chance(self) -> None:
        counts = dict.fromkeys((row["id"] for row in MANY[:20]), 0)
        for seed in range(200):
            for item in open_dataset({"rows": MANY[:20], "sample": 5, "seed": seed}):
                counts[item.id] += 1
        # 200 draws at 1/4; chi-square with 19 degrees of freedom, 0.9999 quantile: 50.8.
        assert sum((count - 50) ** 2 / 50 for count in counts.values()) / 0.75 < 50.8

    def test_order_of_the_steps(self) -> None:
        spec = {"filter": "q >= 1000", "split": {"a": 0.5, "b": 0.5, "use": "a"}, "sample": 50, "limit": 7}
        kept = [int(item.id[1:]) for item in open_dataset({"rows": MANY, **spec})]
        assert len(kept) == 7
        assert min(kept) >= 1000
        before = [int(item.id[1:]) for item in open_dataset({"rows": MANY, **spec, "limit": None})]
        assert len(before) == 50
        assert kept == before[:7]

    def test_limit_reads_no_further(self, tmp_path: Path) -> None:
        (tmp_path / "d.jsonl").write_text('{"q": 1}\n{"q": 2}\nbroken\n')
        assert len(open_dataset({"path": "d.jsonl", "limit": 2}, base_dir=tmp_path)) == 2
        assert len(open_dataset({"rows": MANY[:3], "limit": 5})) == 3
