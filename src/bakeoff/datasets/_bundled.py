"""The data sets that come with Bakeoff."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bakeoff.datasets._values import failure, near, shown

__all__ = ["bundled_datasets", "bundled_file", "find_bundled"]

_FOLDER = Path(__file__).parent / "bundled"


def bundled_datasets() -> list[tuple[str, str]]:
    """Return the name and a one-line description of each bundled data set.

    Examples:
        >>> [name for name, _ in bundled_datasets()]
        ['handbook-qa', 'support-triage']
    """
    found = sorted(_FOLDER.glob("*/dataset.json"))
    return [(path.parent.name, json.loads(path.read_bytes())["description"]) for path in found]


def bundled_file(name: str, file: str) -> Path:
    """Return the path of a file of a bundled data set, for instance the corpus of `handbook-qa`.

    Raises:
        DatasetError: There is no such data set or file.

    Examples:
        >>> bundled_file("handbook-qa", "corpus.jsonl").is_file()
        True
    """
    folder = _folder(name)
    path = folder / file
    if path.parent != folder or not path.is_file():
        files = sorted(entry.name for entry in folder.iterdir())
        raise failure(
            f"the bundled data set {name!r} has no file {file!r}", near(file, files, f"it has {shown(files)}")
        )
    return path


def find_bundled(name: str) -> tuple[Path, dict[str, Any], str]:
    """Return the data file, the mapping of its fields, and the data card.

    Raises:
        DatasetError: There is no such data set.
    """
    folder = _folder(name)
    about = json.loads((folder / "dataset.json").read_bytes())
    return folder / "data.jsonl", about["mapping"], (folder / "card.md").read_text(encoding="utf-8")


def _folder(name: str) -> Path:
    names = [known for known, _ in bundled_datasets()]
    if name not in names:
        raise failure(f"there is no bundled data set {name!r}", near(name, names, f"there are {shown(names)}"))
    return _FOLDER / name
