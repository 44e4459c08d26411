from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib import import_module
from inspect import isclass, isfunction
from pathlib import Path

import pytest

import bakeoff.stats

PROBE = """
import sys, time
start = time.process_time()
import bakeoff.stats
spent = time.process_time() - start
heavy = sorted(name for name in ("scipy", "statsmodels", "pandas", "pydantic") if name in sys.modules)
print(spent, *heavy)
"""


def test_import_is_light(tmp_path):
    env = {**os.environ, "PYTHONPYCACHEPREFIX": str(tmp_path), "PYTHONPATH": str(Path(bakeoff.__file__).parents[1])}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    runs = [
        subprocess.run(
            [sys.executable, "-c", PROBE], env=env, capture_output=True, text=True, check=True
        ).stdout.split()
        for _ in range(4)
    ]
    assert all(len(run) == 1 for run in runs), "a heavy library is imported too early"
    # 0.02 s here: even numpy waits for the first name. scipy.stats alone would add 1.7 s.
    assert min(float(run[0]) for run in runs) < 0.2


def test_every_public_name_is_there_and_documented():
    assert len(set(bakeoff.stats.__all__)) == len(bakeoff.stats.__all__)
    for name in bakeoff.stats.__all__:
        value = getattr(bakeoff.stats, name)
        if isfunction(value) or isclass(value):
            assert value.__doc__, name
    assert set(bakeoff.stats.__all__) < set(dir(bakeoff.stats))
    with pytest.raises(AttributeError, match="no attribute 'anova'"):
        _ = bakeoff.stats.anova


SHELVES = sorted(path.parent.name for path in Path(bakeoff.stats.__file__).parent.glob("*/__init__.py"))


@pytest.mark.parametrize("shelf", SHELVES)
def test_the_table_of_public_names_matches_the_shelves(shelf):
    module = import_module(f"bakeoff.stats.{shelf}")
    listed = [name for name, place in bakeoff.stats._PLACES.items() if place == shelf]
    assert sorted(listed) == sorted(module.__all__)
    assert module.__doc__


def test_type_checkers_see_every_shelf():
    source = Path(bakeoff.stats.__file__).read_text(encoding="utf-8")
    assert re.findall(r"from bakeoff\.stats\.(\w+) import \*", source) == SHELVES
