"""The notebook, the README's Python and the reference pages are run, not believed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_notebook_runs(tmp_path: Path) -> None:
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(ROOT / "examples" / "notebook.ipynb", as_version=4)
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    text = str(notebook.cells)
    assert "by_keyword is better than first_guess" in text
    assert "application/vnd.plotly" in text


def test_the_python_of_the_readme_runs(tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    assert blocks
    for block in blocks:
        done = subprocess.run([sys.executable, "-c", block], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "upper is better than title" in done.stdout or "upper" in done.stdout


def test_the_yaml_of_the_reference_is_an_experiment() -> None:
    import yaml

    from bakeoff.experiments import ExperimentSpec

    page = (ROOT / "docs" / "experiment-file.md").read_text()
    first = next(block for block in re.findall(r"```yaml\n(.*?)```", page, flags=re.DOTALL) if "dataset:" in block)
    ExperimentSpec.model_validate(yaml.safe_load(first))
    readme = re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    ExperimentSpec.model_validate(yaml.safe_load(readme[0]))


def test_the_reference_pages_are_fresh() -> None:
    script = ROOT / "scripts" / "reference_docs.py"
    done = subprocess.run([sys.executable, str(script), "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_link_between_pages_leads_somewhere() -> None:
    broken = []
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
            missing = "://" not in target and not (page.parent / target).exists()
            broken += [f"{page.relative_to(ROOT)} -> {target}"] if missing else []
    assert not broken
