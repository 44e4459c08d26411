"""How long do the control charts of `bakeoff monitor` run until an alarm, when nothing changed and when something did?

    python benchmarks/monitor_run_length.py [--series 300] [--out docs/monitor-run-length.md]

Every item has its own chance of a pass; a run answers all of them once. Runs go through the very functions that
`monitor` uses: shifts on the same items, noise from the residuals, CUSUM and EWMA with limits for the pair.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from bakeoff.regression._monitor import _positive, _shifts
from bakeoff.stats import chart_threshold, control_chart

MEAN_RUNS = 370.0
LENGTH = 500


def one_series(
    rng: np.random.Generator, limits: dict[str, float], *, items: int, reference: int, between: float, drop: float
) -> tuple[int, bool]:
    """Return the runs watched after the reference until the first alarm, and whether there was one."""
    chance = rng.beta(3, 1, items)
    level = between * rng.standard_normal(LENGTH)
    level[reference:] -= drop
    answers = rng.random((LENGTH, items)) < np.clip(chance + level[:, None], 0, 1)
    shifts, se = _shifts(answers.astype(np.float64), reference)
    alarm = np.zeros(LENGTH, dtype=bool)
    for kind, limit in limits.items():
        alarm |= control_chart(shifts, kind=kind, se=_positive(se), baseline_runs=reference, limit=limit).alarm
    after = np.flatnonzero(alarm[reference:])
    return (int(after[0]) + 1, True) if len(after) else (LENGTH - reference, False)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--series", type=int, default=300)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    limits = {kind: chart_threshold(MEAN_RUNS, kind=kind, metrics=2) for kind in ("cusum", "ewma")}
    lines = [
        "# How long the monitor's charts run until an alarm",
        "",
        (
            f"Written by `python benchmarks/monitor_run_length.py --series {options.series}`: {options.series} "
            f"simulated experiments of up to {LENGTH} runs in each row; one metric, one variant, CUSUM and EWMA "
            f"together. Promised: no more than one false alarm in about {MEAN_RUNS:g} runs. Between false alarms: runs "
            "watched over alarms seen. The promise is kept with room to spare: the two charts alarm together, and "
            "limits that come from few runs are widened."
        ),
        "",
        "| items | reference runs | spread between runs | runs between false alarms | runs to see a 5-point drop |",
        "|---|---|---|---|---|",
    ]
    for items, reference, between in ((100, 10, 0.0), (100, 20, 0.0), (400, 20, 0.0), (400, 20, 0.01), (400, 50, 0.01)):
        rng = np.random.default_rng([items, reference, int(1000 * between)])
        settings = {"items": items, "reference": reference, "between": between}
        quiet = [one_series(rng, limits, drop=0.0, **settings) for _ in range(options.series)]
        loud = [one_series(rng, limits, drop=0.05, **settings) for _ in range(options.series)]
        watched, alarms = sum(length for length, _ in quiet), sum(alarm for _, alarm in quiet)
        seen = np.mean([length for length, _ in loud])
        lines.append(
            f"| {items} | {reference} | {100 * between:g} points | {watched / max(1, alarms):,.0f} | {seen:.1f} |"
        )
    text = "\n".join(lines) + "\n"
    if options.out is None:
        print(text)
    else:
        options.out.write_text(text)


if __name__ == "__main__":
    main()
