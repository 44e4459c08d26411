"""How fast the statistics are on one core: `python benchmarks/stats.py`.

Prints what the room promises and what this machine does: best of several runs, CPU time, after the first call has
imported scipy.
"""

from __future__ import annotations

import os

os.environ.update(dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1"))

import subprocess
import sys
import time
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from bakeoff.stats import bootstrap_mean, bootstrap_means, compare, encode_clusters, sign_flip, summarize

if TYPE_CHECKING:
    from collections.abc import Callable

VARIANTS, METRICS, ITEMS, CLUSTERS, RESAMPLES = 20, 5, 10_000, 2_000, 10_000


def experiment() -> Callable[[], None]:
    """Every interval, every comparison of every pair and 10,000 joint resamples, items in clusters."""
    rng = np.random.default_rng(1)
    scores = rng.random((METRICS, VARIANTS, ITEMS))
    scores[:2] = scores[:2] < 0.7  # two metrics are pass/fail
    documents = rng.integers(0, CLUSTERS, ITEMS)

    def run() -> None:
        codes = encode_clusters(documents)
        for metric in scores:
            for variant in metric:
                summarize(variant, clusters=codes)
            for a, b in combinations(metric, 2):
                compare(a, b, clusters=codes)
        bootstrap_means(scores.reshape(-1, ITEMS).T, clusters=codes, resamples=RESAMPLES)

    return run


def bootstrap_of_differences() -> Callable[[], object]:
    d = np.random.default_rng(2).normal(0.1, 1, 2_000)
    return lambda: bootstrap_mean(d, method="percentile", resamples=RESAMPLES)


def sign_flips() -> Callable[[], object]:
    d = np.random.default_rng(3).normal(0.05, 1, 2_000)
    return lambda: sign_flip(d, resamples=9_999)


def bootstrap_of_ratings() -> Callable[[], object]:
    d = np.random.default_rng(4).integers(-2, 3, 2_000).astype(float)
    return lambda: bootstrap_mean(d, method="percentile", resamples=RESAMPLES)


def best_seconds(run: Callable[[], object], times: int) -> float:
    run()
    spent = []
    for _ in range(times):
        start = time.process_time()
        run()
        spent.append(time.process_time() - start)
    return min(spent)


def import_seconds() -> float:
    probe = "import time; start = time.process_time(); import bakeoff.stats; print(time.process_time() - start)"
    return min(float(subprocess.check_output([sys.executable, "-c", probe], text=True)) for _ in range(5))


def main() -> None:
    rows = [
        ((f"{VARIANTS} variants x {METRICS} metrics x {ITEMS:,} items in {CLUSTERS:,} clusters: intervals, all "
         f"{METRICS * VARIANTS * (VARIANTS - 1) // 2} comparisons, {RESAMPLES:,} joint resamples"),
         2.0, best_seconds(experiment(), 2)),
        (f"paired bootstrap, 2,000 items x {RESAMPLES:,}", 0.1, best_seconds(bootstrap_of_differences(), 5)),
        ("sign-flip permutation, 2,000 items x 9,999", 0.05, best_seconds(sign_flips(), 5)),
        (f"bootstrap of discrete scores, 2,000 items x {RESAMPLES:,}", 0.005, best_seconds(bootstrap_of_ratings(), 9)),
        ("first `import bakeoff.stats`", 0.2, import_seconds()),
    ]  # fmt: skip
    for what, target, seconds in rows:
        verdict = "ok" if seconds < target else "TOO SLOW"
        print(f"{1000 * seconds:8.1f} ms  of {1000 * target:6.0f} ms  {verdict:8}  {what}")
    sys.exit(any(seconds >= target for _, target, seconds in rows))


if __name__ == "__main__":
    main()
