"""What the documentation shows works: YAML is loaded, Python is run, keys and patterns are all there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from bakeoff.agents import patterns, resolve_agent
from bakeoff.agents.config import _spec
from bakeoff.experiments import load_experiment
from bakeoff.targets import ModelSpec

DOCS = Path(__file__).parents[2] / "docs" / "agents"
MODELS = {name: ModelSpec(model=f"sim/{name}") for name in ("small", "medium", "large")}
SNIPPETS = [
    pytest.param(language, code, id=f"{page.stem}-{number}")
    for page in sorted(DOCS.glob("*.md"))
    for number, (language, code) in enumerate(re.findall(r"```(yaml|python)\n(.*?)```", page.read_text(), re.DOTALL))
]


@pytest.mark.parametrize(("language", "code"), SNIPPETS)
def test_every_snippet_works(language: str, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tools.py").write_text('def service_state(service: str) -> str:\n    "State."\n    return service\n')
    (tmp_path / "agent.py").write_text("def answer(question, model): ...\n")
    if language == "python":
        pytest.importorskip("opentelemetry.sdk")
        exec(compile(code, "docs", "exec"), {})
    elif code.startswith("# experiment"):
        experiment = load_experiment(yaml.safe_load(code), base_dir=tmp_path, check_keys=False)
        assert len(experiment.variants) > 1
    else:
        assert code.startswith("# agent")
        agent = resolve_agent(yaml.safe_load(code), name="a", models=MODELS, base_dir=tmp_path)
        assert agent.check(["question", "turns"]) == []


def test_every_key_and_every_pattern_is_documented() -> None:
    text = "\n".join(page.read_text() for page in DOCS.glob("*.md"))
    classes = [one for one in vars(_spec).values() if isinstance(one, type) and issubclass(one, BaseModel)]
    keys = {name for one in classes if one.__module__.startswith(_spec.__name__) for name in one.model_fields}
    # Words of the sections that the docs show in examples or describe by their meaning.
    missing = sorted(key for key in keys if not re.search(rf"\b{key}\b", text))
    assert missing == []
    table = (DOCS / "patterns.md").read_text()
    assert [name for name in patterns() if f"`{name}`" not in table] == []


def test_links_lead_somewhere() -> None:
    for page in DOCS.glob("*.md"):
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
