"""The data set itself: one file by content, streamed in any order."""

from __future__ import annotations

import gc
import hashlib
import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from bakeoff.datasets import open_dataset, read_dataset
from bakeoff.errors import DatasetError

ROWS: list[dict[str, Any]] = [{"id": f"i{n}", "q": f"question {n}", "n": n} for n in range(1000)]


class TestFile:
    def test_columns(self, tmp_path: Path) -> None:
        rows = [{"id": 1, "q": "é", "expected": {"a": 1}, "lang": "en", "c": 7, "w": 2, "m": {"out": "x"}}]
        spec = {"rows": rows, "metadata": "lang", "cluster": "c", "weight": "w"}
        dataset = open_dataset(spec, cache_dir=tmp_path, recorded=["m.out"])
        assert dataset.path == tmp_path / f"{dataset.version}.parquet"
        (row,) = pq.read_table(dataset.path).to_pylist()
        assert {**row, "inputs": json.loads(row["inputs"]), "expected": json.loads(row["expected"])} == {
            "id": "1",
            "inputs": {"q": "é"},
            "expected": {"a": 1},
            "metadata": '{"lang":"en"}',
            "cluster": "7",
            "weight": 2.0,
            "recorded": '{"m.out":"x"}',
            "row": 1,
        }

    def test_the_version_is_the_hash_of_the_items(self) -> None:
        """By another way: the documented lines of JSON, hashed here."""
        dataset = open_dataset({"rows": [{"id": 1, "b": "ü", "a": 1.5, "expected": None}, {"id": 2, "b": [], "a": {}}]})
        lines = ['["1",{"a":1.5,"b":"\\u00fc"},null,{},null,null,{}]\n', '["2",{"a":{},"b":[]},null,{},null,null,{}]\n']
        assert dataset.version == hashlib.sha256("".join(lines).encode()).hexdigest()

    def test_used_again_when_it_is_there(self, tmp_path: Path) -> None:
        first = open_dataset({"rows": ROWS}, cache_dir=tmp_path)
        before = first.path.stat()
        second = open_dataset({}, data=list(ROWS), cache_dir=tmp_path)
        assert second.path == first.path
        assert second.path.stat().st_ino == before.st_ino
        assert [path.name for path in tmp_path.iterdir()] == [first.path.name]

    def test_a_damaged_file_is_written_again(self, tmp_path: Path) -> None:
        dataset = open_dataset({"rows": ROWS}, cache_dir=tmp_path)
        dataset.path.write_bytes(dataset.path.read_bytes()[:500])
        assert len(list(open_dataset({"rows": ROWS}, cache_dir=tmp_path))) == 1000

    def test_nothing_is_left_behind_by_a_failure(self, tmp_path: Path) -> None:
        with pytest.raises(DatasetError):
            open_dataset({"rows": [{"id": 1}, {"id": 1}], "sample": 0.9}, cache_dir=tmp_path)
        assert list(tmp_path.iterdir()) == []

    def test_a_temporary_file_goes_with_the_data_set(self) -> None:
        dataset = open_dataset({"rows": ROWS})
        folder = dataset.path.parent
        iterator = iter(dataset)
        del dataset
        gc.collect()
        assert len(list(iterator)) == len(ROWS)
        del iterator
        gc.collect()
        assert not folder.exists()

    def test_a_folder_that_cannot_be_written(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("x")
        with pytest.raises(DatasetError, match="cannot be written"):
            open_dataset({"rows": ROWS}, cache_dir=tmp_path / "file" / "x")

    def test_read_again(self, tmp_path: Path) -> None:
        dataset = open_dataset({"rows": ROWS, "sample": 10}, cache_dir=tmp_path)
        again = read_dataset(dataset.path, name="mine")
        assert list(again) == list(dataset)
        assert (again.version, len(again), again.input_names, again.name) == (dataset.version, 10, ("n", "q"), "mine")
        (tmp_path / "x.parquet").write_bytes(b"PAR1")
        for name in ("x.parquet", "none.parquet"):
            with pytest.raises(DatasetError, match="no items written by"):
                read_dataset(tmp_path / name)


class TestAccess:
    def test_head_and_get(self) -> None:
        dataset = open_dataset({"rows": ROWS})
        assert len(dataset) == 1000
        assert [item.id for item in dataset.head(3)] == ["i0", "i1", "i2"]
        assert dataset.head(0) == []
        assert len(dataset.head(10**9)) == 1000
        found = dataset.get(["i999", "i0", "i999"])
        assert [item.inputs["n"] for item in found] == [999, 0, 999]
        with pytest.raises(DatasetError, match="no item 'nope'"):
            dataset.get(["i1", "nope"])

    def test_two_iterations_at_once(self) -> None:
        dataset = open_dataset({"rows": ROWS})
        assert all(a == b for a, b in zip(dataset, dataset, strict=True))

    def test_shuffled_depends_on_ids_and_seed_only(self) -> None:
        dataset = open_dataset({"rows": ROWS})
        order = [item.id for item in dataset.shuffled(1)]
        assert sorted(order) == sorted(row["id"] for row in ROWS)
        assert order != [row["id"] for row in ROWS]
        assert order == [item.id for item in open_dataset({"rows": ROWS[::-1], "inputs": "n"}).shuffled(1)]
        assert order != [item.id for item in dataset.shuffled(2)]
        fewer = [item.id for item in open_dataset({"rows": ROWS[:300]}).shuffled(1)]
        assert fewer == [identity for identity in order if int(identity[1:]) < 300]

    def test_sorting_on_disk_gives_the_same_order(self, monkeypatch: pytest.MonkeyPatch) -> None:
        rows = [*ROWS, {"id": "ü\ud800 \x00'", "q": "\ud800", "n": 2**80}]
        dataset = open_dataset({"rows": rows, "cluster": "q", "weight": "n", "inputs": ["q", "n"]})
        in_memory = list(dataset.shuffled(-3))
        monkeypatch.setattr("bakeoff.datasets._shuffle._BUCKET_ROWS", 10)
        monkeypatch.setattr("bakeoff.datasets._shuffle._BUFFER_BYTES", 1000)
        assert list(dataset.shuffled(-3)) == in_memory
        iterator = dataset.shuffled(4)
        next(iterator)
        del iterator  # stopped half-way: nothing hangs


def test_a_large_file_is_never_in_memory(tmp_path: Path) -> None:
    """120,000 rows, 240 MB: reading, filtering, sampling, iterating and shuffling stay far below that."""
    script = """
        import json, sys
        from pathlib import Path
        from bakeoff.datasets import open_dataset

        def peak_mb():
            # not ru_maxrss: Linux lets it start at what the parent had when it forked, which may hide everything
            lines = Path("/proc/self/status").read_text().splitlines()
            return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024

        folder = Path(sys.argv[1])
        with (folder / "d.jsonl").open("w") as out:
            for n in range(120_000):
                out.write(json.dumps({"id": n, "q": f"{n} " + "word " * 390, "k": n % 10, "m": {"deep": [n]}}) + "\\n")
        small = open_dataset({"rows": [{"id": n, "q": "x", "k": 1} for n in range(50)], "filter": "k = 1", "sample": 5})
        list(small.shuffled(1))
        before = peak_mb()
        dataset = open_dataset({"path": "d.jsonl", "filter": "k < 9 and length(q) > 9", "sample": 0.9}, base_dir=folder)
        opened = peak_mb()
        assert len(dataset) == 97_200
        assert sum(1 for _ in dataset) == 97_200
        iterated = peak_mb()
        seen = 0
        for item in dataset.shuffled(1):
            seen += 1
        assert seen == 97_200
        print(json.dumps([before, opened, iterated, peak_mb(), (folder / "d.jsonl").stat().st_size / 1e6]))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    before, opened, iterated, shuffled, file_mb = json.loads(done.stdout)
    assert file_mb > 200
    assert opened - before < 140
    assert iterated - before < 140
    assert shuffled - before < 140
