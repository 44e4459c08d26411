"""What docs/datasets.md shows works."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import yaml

from bakeoff.datasets import DatasetSpec

TEXT = (Path(__file__).parents[2] / "docs/datasets.md").read_text(encoding="utf-8")


def test_the_specs_are_accepted() -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        DatasetSpec.model_validate(yaml.safe_load(block)["dataset"])


def test_the_python_runs() -> None:
    (block,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(block, {})
    assert "# support-triage" in out.getvalue()
    assert "20 ('message',)" in out.getvalue()


def test_every_key_is_mentioned() -> None:
    for name in DatasetSpec.model_fields:
        assert f"`{name}`" in TEXT or f"`{name}:`" in TEXT, name
