"""What a user installs: one top-level name, with the bundled data and examples in it."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    uv = shutil.which("uv") or str(ROOT / ".tools" / "bin" / "uv")
    if not Path(uv).exists():
        pytest.skip("uv is not installed; `make setup` brings it")
    out = tmp_path_factory.mktemp("dist")
    done = subprocess.run(
        [uv, "build", "--quiet", "--out-dir", str(out), str(ROOT)], capture_output=True, text=True, check=False
    )
    if "Failed to fetch" in done.stderr or "network" in done.stderr.lower():
        pytest.skip(f"the build backend cannot be fetched: {done.stderr[-300:]}")
    assert done.returncode == 0, done.stderr
    return out


def test_the_wheel_has_one_top_level_name(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0] for name in names if ".dist-info" not in name.partition("/")[0]} == {"bakeoff"}
    assert not [name for name in names if name.endswith(".pth")]
    for needed in (
        "bakeoff/py.typed",
        "bakeoff/datasets/bundled/support-triage/data.jsonl",
        "bakeoff/datasets/bundled/handbook-qa/card.md",
        "bakeoff/cli/examples/triage/experiment.yaml",
        "bakeoff/evaluators/code/lint.cjs",
        "bakeoff/evaluators/code/run_tests.cjs",
        "bakeoff/cli/examples/triage/prompts/guided.j2",
    ):
        assert needed in names


def test_extras_and_licence_are_declared(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("METADATA")]
        metadata = archive.read(name).decode()
    for extra in ("dashboard", "mlflow", "all"):
        assert f"Provides-Extra: {extra}" in metadata
    assert "License-Expression: Apache-2.0" in metadata


def test_the_sdist_holds_the_sources(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = archive.getnames()
    root = names[0].partition("/")[0]
    assert f"{root}/src/bakeoff/__init__.py" in names
    assert f"{root}/LICENSE" in names
    assert not [name for name in names if "/.venv/" in name or "/.bakeoff/" in name]
