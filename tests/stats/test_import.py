from __future__ import annotations

import os
import subprocess
import sys
from inspect import isclass, isfunction
from pathlib import Path

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
    # 0.19 s on a busy machine, numpy included; the slack is for slower ones. scipy.stats alone would add 1.7 s.
    assert min(float(run[0]) for run in runs) < 0.35


def test_every_public_name_is_there_and_documented():
    assert bakeoff.stats.__all__ == sorted(
        bakeoff.stats.__all__, key=lambda n: (0 if n.isupper() else 1 if n[0].isupper() else 2, n)
    )
    for name in bakeoff.stats.__all__:
        value = getattr(bakeoff.stats, name)
        if isfunction(value) or isclass(value):
            assert value.__doc__, name
