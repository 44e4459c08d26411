"""One way to find a function of the user's, whatever it is for."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from bakeoff.datasets import open_dataset
from bakeoff.errors import BakeoffError, DatasetError, EvaluatorError, SpecError
from bakeoff.evaluators import EvaluatorContext, load_evaluator
from bakeoff.targets import import_callable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DOORS: dict[str, tuple[Callable[[str, Path], Any], type[BakeoffError]]] = {
    "target": (lambda reference, folder: import_callable(reference, base_dir=folder), SpecError),
    "evaluator": (lambda reference, folder: load_evaluator(reference, base_dir=folder), EvaluatorError),
    "data": (lambda reference, folder: open_dataset({"python": reference}, base_dir=folder), DatasetError),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "helper_beside.py").write_text("WORD = 'first'\n")
    (tmp_path / "mine.py").write_text(
        "from helper_beside import WORD\ndef rows():\n    return [{'id': '1', 'word': WORD}]\n"
    )
    (tmp_path / "leaves.py").write_text("import sys\nsys.exit(3)\n")
    (tmp_path / "broken.py").write_text("def f(:\n")
    return tmp_path


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("gone.py:rows", r"'gone.py:rows': there is no file .*\n    fix: "),
        ("mine.py:rowz", r"mine.py has no (function|callable) 'rowz'; it has rows\n    fix: did you mean 'rows'"),
        ("broken.py:f", "importing 'broken.py' failed: SyntaxError"),
        ("leaves.py:f", "importing 'leaves.py' failed: SystemExit: 3"),
        ("no_such_module_zz:f", "module 'no_such_module_zz' cannot be imported: ModuleNotFoundError"),
    ],
)
def test_every_door_says_the_same_of_a_wrong_reference(folder: Path, door: str, reference: str, message: str) -> None:
    find, error = DOORS[door]
    path = list(sys.path)
    with pytest.raises(error, match=message):
        find(reference, folder)
    assert sys.path == path


@pytest.mark.parametrize("door", DOORS)
def test_modules_beside_the_file_are_found_and_the_path_is_left_as_it_was(folder: Path, door: str) -> None:
    path = list(sys.path)
    DOORS[door][0]("mine.py:rows", folder)
    assert sys.path == path


def test_an_edited_file_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "task.py"
    file.write_text("def answer(): return 'old'\n")
    assert import_callable("task.py:answer", base_dir=tmp_path)() == "old"
    file.write_text("def answer(): return 'new'\n")
    assert import_callable("task.py:answer", base_dir=tmp_path)() == "new"


def test_data_and_evaluators_follow_an_edit_too(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    for word in ("old", "new"):
        file.write_text(f"def rows(): return [{{'word': '{word}'}}]\ndef says(output): return '{word}' in output\n")
        assert open_dataset({"python": "mine.py:rows"}, base_dir=tmp_path).head(1)[0].inputs["word"] == word
        says: Any = load_evaluator("mine.py:says", base_dir=tmp_path)
        assert says.evaluate(EvaluatorContext(output=word)) is True
