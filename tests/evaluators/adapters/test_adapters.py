"""Adapters against the real libraries, in an environment of its own that `BAKEOFF_ADAPTERS_PYTHON` names.

    uv venv adapters && uv pip install --python adapters/bin/python --group adapters -e .
    BAKEOFF_ADAPTERS_PYTHON=adapters/bin/python pytest tests/evaluators/adapters

The environment holds the versions of the group `adapters` in pyproject.toml. No check reaches another machine:
sockets are watched, and every attempt fails the check.
"""

from __future__ import annotations

import os
import subprocess
import tomllib
from pathlib import Path

import pytest

from bakeoff.errors import EvaluatorError
from bakeoff.evaluators import evaluator_class, load_evaluator
from bakeoff.evaluators.adapters._quiet import installed_version

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
KINDS = ("autoevals", "deepeval", "inspect", "mlflow", "pydantic_evals", "ragas")


def run(script: str, *arguments: str, home: Path) -> str:
    python = os.environ.get("BAKEOFF_ADAPTERS_PYTHON")
    if not python:
        pytest.skip("BAKEOFF_ADAPTERS_PYTHON names no Python with the libraries; see the head of this file")
    # Nothing that would silence a library from outside, no key, and a home where none of them has been before.
    env = {"PATH": os.environ["PATH"], "HOME": str(home)}
    done = subprocess.run(
        [python, str(HERE / script), *arguments], capture_output=True, text=True, timeout=240, check=False, env=env
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_an_adapter_works_with_the_real_library_and_nothing_calls_home(kind: str, tmp_path: Path) -> None:
    assert run(f"check_{kind}.py", home=tmp_path).strip().endswith("ok")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "host"),
    [("deepeval", "posthog.com"), ("ragas", "t.explodinggradients.com"), ("mlflow", "mlflow-telemetry.io")],
)
def test_the_trap_catches_a_library_whose_telemetry_is_left_on(kind: str, host: str, tmp_path: Path) -> None:
    assert host in run("check_loud.py", kind, home=tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_a_library_that_is_not_installed_is_named_with_the_way_to_install_it(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cls = evaluator_class(kind)
    monkeypatch.setattr(cls, "module", "no_such_library_at_all")
    with pytest.raises(EvaluatorError) as caught:
        load_evaluator({kind: "Anything"})
    assert f"the library {cls.package} is not installed" in str(caught.value)
    assert f"fix: pip install {cls.install}" in str(caught.value)


def test_what_the_messages_say_to_install_is_what_the_tests_run_with() -> None:
    group = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]["adapters"]
    named = {one.strip("'") for kind in KINDS for one in evaluator_class(kind).install.split()}
    assert named == {one for one in group if not one.startswith("pytest")}
    assert installed_version("no-such-library", "no_such_library") is None


def test_naming_the_adapters_imports_none_of_the_libraries() -> None:
    code = (
        "import sys; from bakeoff.evaluators import evaluator_catalogue; evaluator_catalogue(); "
        "print(sorted({'autoevals', 'deepeval', 'inspect_ai', 'mlflow', 'pydantic_evals', 'ragas', 'openai', 'httpx'} "
        "& set(sys.modules)))"
    )
    import sys

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
