"""C19: runs until a false and a true alarm of the CUSUM chart."""

from __future__ import annotations

from functools import cache

import numpy as np

from bakeoff.stats import control_chart, run_length

RUNS = 3000


def check(kind: str, shift: float, longest: int) -> float:
    """Return the mean number of runs until an alarm: all runs charted over all alarms (the tail is exponential)."""
    rng = np.random.default_rng(1919)
    charted, alarms = 0, 0
    for series in rng.normal(shift, 1.0, (RUNS, longest)):
        first = control_chart(series, kind=kind, centre=0.0, sigma=1.0).first_alarm
        charted += longest if first is None else first + 1
        alarms += first is not None
    return charted / alarms


@cache
def measure() -> list[dict[str, object]]:
    quiet, quick = check("cusum", 0.0, 700), check("cusum", 1.0, 60)
    bad = check("shewhart", 1.0, 300)
    chain = run_length("cusum"), run_length("cusum", shift=1.0)
    return [
        {"check": "C19", "property": "runs until a false alarm", "cell": "CUSUM k=.5 h=5", "measured": quiet,
         "limit": "435-490", "known_bad": None, "passed": 435 <= quiet <= 490},
        {"check": "C19", "property": "runs until a 1 sd shift is seen", "cell": "CUSUM k=.5 h=5", "measured": quick,
         "limit": "10.0-10.8", "known_bad": bad, "passed": 10.0 <= quick <= 10.8},
        {"check": "C19", "property": "promised runs until a false alarm", "cell": "CUSUM k=.5 h=5",
         "measured": chain[0], "limit": "within 5% of the simulation", "known_bad": None,
         "passed": abs(chain[0] / quiet - 1) < 0.05},
        {"check": "C19", "property": "promised runs until a 1 sd shift is seen", "cell": "CUSUM k=.5 h=5",
         "measured": chain[1], "limit": "within 3% of the simulation", "known_bad": None,
         "passed": abs(chain[1] / quick - 1) < 0.03},
    ]  # fmt: skip


def test_within_limits() -> None:
    assert all(row["passed"] for row in measure()), measure()


def test_shewhart_alone_is_slow() -> None:
    assert float(str(measure()[1]["known_bad"])) > 35  # reference 43.9
