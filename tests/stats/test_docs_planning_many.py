"""The code on the planning and many-variants pages runs and prints what the pages say."""

from __future__ import annotations

import contextlib
import doctest
import io
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("page", ["statistics-planning.md", "statistics-many.md"])
def test_page(page):
    names: dict[str, object] = {}
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)
    assert blocks
    for block in blocks:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(block, page, "exec"), names)
        expected = " ".join(line[2:] for line in block.splitlines() if line.startswith("# "))
        flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
        got = " ".join(printed.getvalue().split())
        assert doctest.OutputChecker().check_output(expected, got, flags), f"{page} says:\n{expected}\nbut got:\n{got}"
