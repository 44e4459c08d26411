from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakeoff.errors import StoreError
from bakeoff.experiments.store._journal import Journal, JournalReader, read_journal, repair_journal


def events(count: int) -> list[dict[str, Any]]:
    return [{"e": "trial", "i": str(index), "out": "text\nwith lines" * index} for index in range(count)]


def test_what_is_written_is_read(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j", sync="every")
    for event in events(5):
        journal.append(event)
    journal.close()
    assert list(read_journal(tmp_path / "j")) == events(5)


@given(cut=st.integers(0, 400))
def test_a_torn_end_costs_at_most_the_torn_line(cut: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("j") / "j"
    journal = Journal(path)
    for event in events(6):
        journal.append(event)
    journal.close()
    whole = path.read_bytes()
    cut = min(cut, len(whole))
    path.write_bytes(whole[: len(whole) - cut])
    kept = whole[: len(whole) - cut].count(b"\n")
    repair_journal(path)
    assert list(read_journal(path)) == events(6)[:kept]
    again = Journal(path)
    again.append({"e": "after"})
    again.close()
    assert list(read_journal(path)) == [*events(6)[:kept], {"e": "after"}]


def test_a_reader_sees_only_whole_lines_and_each_once(tmp_path: Path) -> None:
    path = tmp_path / "j"
    reader = JournalReader(path)
    assert list(reader.poll()) == []
    path.write_bytes(b'{"e":1}\n{"e":')
    assert list(reader.poll()) == [{"e": 1}]
    with path.open("ab") as file:
        file.write(b"2}\n")
    assert list(reader.poll()) == [{"e": 2}]
    assert list(reader.poll()) == []


def test_a_line_torn_in_the_middle_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "j").write_bytes(b'{"e":1}\n{"e": bro\n{"e":3}\n')
    assert list(read_journal(tmp_path / "j")) == [{"e": 1}, {"e": 3}]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is a Linux device")
def test_a_full_disk_is_said_plainly() -> None:
    journal = Journal.__new__(Journal)
    journal.path = Path("/dev/full")
    journal._sync = "off"
    journal._file = os.open("/dev/full", os.O_WRONLY)
    with pytest.raises(StoreError, match="No space left on device; what was answered before is kept"):
        journal.append({"e": 1})
    os.close(journal._file)


_FULL_THEN_NOT = """
import resource, signal, sys
from bakeoff.errors import StoreError
from bakeoff.experiments.store._journal import Journal, read_journal
from pathlib import Path

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
path = Path(sys.argv[1])
journal = Journal(path)
journal.append({"e": 1})
resource.setrlimit(resource.RLIMIT_FSIZE, (60, resource.RLIM_INFINITY))
try:
    journal.append({"e": 2, "out": "x" * 200})
except StoreError:
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    journal.append({"e": 3})
    journal.append({"e": 4})
    journal.close()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no file size limits")
def test_a_line_torn_by_a_full_disk_does_not_swallow_the_next(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", _FULL_THEN_NOT, str(tmp_path / "j")], check=True, timeout=60)
    assert list(read_journal(tmp_path / "j")) == [{"e": 1}, {"e": 3}, {"e": 4}]
