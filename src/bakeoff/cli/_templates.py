"""The examples that `bakeoff init` writes."""

from __future__ import annotations

import json
from pathlib import Path

from bakeoff.errors import SpecError, StoreError

__all__ = ["EXAMPLES", "write_example"]

_FOLDER = Path(__file__).parent / "examples"
EXAMPLES = ("triage", "qa", "recorded", "python", "team", "docs", "code", "desk")


def write_example(name: str, folder: Path, *, force: bool = False) -> list[Path]:
    """Write an example with the JSON Schema that editors complete it by; return the files, the experiment first.

    Raises:
        SpecError: A file is there already.
        StoreError: A file cannot be written.
    """
    from bakeoff.experiments import experiment_schema

    source = _FOLDER / name
    files = {path.relative_to(source): path.read_bytes() for path in sorted(source.rglob("*")) if path.is_file()}
    files = {key: value for key, value in files.items() if "__pycache__" not in key.parts}
    files[Path("experiment.schema.json")] = (json.dumps(experiment_schema(), indent=1) + "\n").encode()
    there = [str(folder / path) for path in files if (folder / path).exists()]
    if there and not force:
        raise SpecError(f"{', '.join(there)} would be overwritten; pass --force, or name another folder")
    written: list[Path] = []
    for path in sorted(files, key=lambda path: (path.name != "experiment.yaml", str(path))):
        target = folder / path
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(files[path])
        except OSError as error:
            raise StoreError(f"{str(target)!r} cannot be written: {error.strerror}") from error
        written.append(target)
    return written
