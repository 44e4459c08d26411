"""C20: A/A experiments end to end: callables, runner, journal, Parquet, analysis, report, words.

Three variants that are equal in expectation answer the same 100 items; every item is easier for one variant and harder
for another (as in C5), answers are text, and four evaluators parse them: pass/fail, [0, 1], 1 to 5, skewed. Whatever
goes wrong between an answer and a verdict (items out of step, copies counted as samples, repeats pooled, a test that is
not the one named) shows as too many "better".
"""

from __future__ import annotations

import json
import tempfile
import threading
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pytest

import bakeoff

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bakeoff.reports import RunResult

    Task = Callable[..., str]

ITEMS, ALPHA = 100, 0.05
METRICS = ("correct", "confidence", "stars", "words")
EXPERIMENTS = {1: 1_000, 5: 1_000}
"""Experiments behind the published page, by repeats; CI runs fewer."""
CI_EXPERIMENTS = {1: 100, 5: 40}
PARTS = [{"experiments": {repeats: count}} for repeats, count in EXPERIMENTS.items()]
"""Arguments of `measure` that may run side by side."""


def correct(output: str, expected: str) -> bool:
    return json.loads(output)["answer"] == expected


def confidence(output: str) -> float:
    return float(json.loads(output)["confidence"])


def stars(output: str) -> int:
    return int(json.loads(output)["stars"])


def words(output: str) -> float:
    return float(json.loads(output)["words"])


def logistic(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def null_tasks(seed: int, repeats: int) -> dict[str, Task]:
    """Three variants, exchangeable: item difficulty is shared, what suits a variant is drawn anew for each."""
    rng = np.random.default_rng(seed)
    ease = np.log(1 / rng.beta(1, 1, ITEMS) - 1)

    def task() -> Task:
        suits = ease + rng.normal(0, 1, ITEMS)
        noise = rng.normal(0, 1, (3, ITEMS, repeats))
        sure = logistic(suits[:, None] + noise[0])
        answers = [
            [
                json.dumps(
                    {
                        "answer": "yes" if rng.random() < logistic(suits[i]) else "no",
                        "confidence": round(float(sure[i, k]), 3),
                        "stars": int(np.clip(round(3 + 0.6 * suits[i] + noise[1, i, k]), 1, 5)),
                        "words": round(float(np.exp(4 + 0.2 * suits[i] + 0.4 * noise[2, i, k])), 1),
                    }
                )
                for k in range(repeats)
            ]
            for i in range(ITEMS)
        ]
        lock = threading.Lock()

        def answer(position: int) -> str:
            with lock:
                return answers[position].pop()

        return answer

    return {"old": task(), "new": task(), "other": task()}


def run(tasks: dict[str, Task], repeats: int, store: str | Path, name: str, items: int = ITEMS) -> RunResult:
    rows = [{"id": f"item-{i}", "position": i, "expected": "yes"} for i in range(items)]
    return bakeoff.evaluate(
        rows, tasks, [correct, confidence, stars, words], repetitions=repeats, store=store, name=name,
        baseline="old", primary="correct",
    )  # fmt: skip


@dataclass
class Found:
    """What a thousand honest experiments claimed."""

    p: dict[str, list[float]] = field(default_factory=lambda: {metric: [] for metric in METRICS})
    adjusted: dict[str, list[float]] = field(default_factory=lambda: {metric: [] for metric in METRICS})
    """Smallest adjusted p of each experiment."""
    uncorrected: list[float] = field(default_factory=list)
    """Smallest of the eight plain p-values of each experiment: the known-bad reading."""
    pooled: dict[str, list[float]] = field(default_factory=lambda: {metric: [] for metric in METRICS})
    """p with trials pooled as if they were items: the known-bad analysis."""
    words_beyond_test: int = 0
    headlines: int = 0


def pooled_p(result: RunResult) -> dict[str, float]:
    """Paired t over trials, as if each repeat were another item."""
    from scipy.stats import ttest_rel

    frame = result.to_frame().sort_values(["variant", "item_id", "repeat"])
    new, old = (frame.loc[frame.variant == name, list(METRICS)].astype(float).to_numpy() for name in ("new", "old"))
    return dict(zip(METRICS, ttest_rel(new, old).pvalue.tolist(), strict=True))


@cache
def found(experiments: int, repeats: int, first_seed: int = 20_000) -> Found:
    out = Found()
    for number in range(experiments):
        with tempfile.TemporaryDirectory() as store:
            result = run(null_tasks(first_seed + number, repeats), repeats, store, f"aa-{number}")
            plain = []
            for metric in result.analysis.metrics:
                p = {c.candidate: c.difference.p_value for c in metric.comparisons}
                adjusted = [c.difference.p_adjusted for c in metric.comparisons]
                out.p[metric.metric].append(p["new"])
                out.adjusted[metric.metric].append(min(adjusted))
                plain.extend(p.values())
                for c in metric.comparisons:
                    claims = any(f" is {word} than " in c.words for word in ("better", "worse"))
                    out.words_beyond_test += claims and not c.difference.p_adjusted <= ALPHA
            out.uncorrected.append(min(plain))
            out.headlines += any(f" {word} than " in result.headline for word in ("better", "worse"))
            if repeats > 1:
                for metric, value in pooled_p(result).items():
                    out.pooled[metric].append(value)
    return out


def rate(p: list[float] | np.ndarray) -> float:
    return float(np.mean(np.asarray(p) <= ALPHA))


def ks_p(p: list[float]) -> float:
    from scipy.stats import kstest

    return float(kstest(p, "uniform").pvalue)


def measure(experiments: dict[int, int] | None = None) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for repeats, count in (experiments or EXPERIMENTS).items():
        out = found(count, repeats)
        limit = ALPHA + 3 * np.sqrt(ALPHA * (1 - ALPHA) / count)
        cell = f"{count:,} experiments, {ITEMS} items x {repeats}, 3 variants"

        def add(prop: str, value: float, text: str, bad: float | None, *, ok: bool, cell: str = cell) -> None:
            rows.append(
                {"check": "C20", "property": prop, "cell": cell, "measured": value, "limit": text, "known_bad": bad,
                 "passed": ok}
            )  # fmt: skip

        for metric in METRICS:
            value = rate(out.p[metric])
            known = rate(out.pooled[metric]) if repeats > 1 else None
            add(f"false alarms on `{metric}`", value, f"<= {limit:.1%}", known, ok=value <= limit)
        for metric in METRICS:
            value = rate(out.adjusted[metric])
            add(f"any false verdict on `{metric}`, after correction", value, f"<= {limit:.1%}", None, ok=value <= limit)
        some = rate(np.min([out.adjusted[metric] for metric in METRICS], axis=0))
        add("any false verdict on any of the four metrics, after correction", some, f"<= {limit:.1%}",
            rate(out.uncorrected), ok=some <= limit)  # fmt: skip
        for metric in METRICS[1:]:
            value = ks_p(out.p[metric])
            add(f"p-values of `{metric}` are uniform (KS p)", value, "> 0.001", None, ok=value > 0.001)
            rows[-1]["quantiles"] = np.quantile(out.p[metric], np.arange(1, 100) / 100).round(4).tolist()
        said = rate(out.adjusted["correct"])
        add("headline says better or worse", out.headlines / count, f"{said:.1%}, the rate of the test", None,
            ok=out.headlines / count == said)  # fmt: skip
        add("comparisons worded better or worse without a significant test", out.words_beyond_test, "0", None,
            ok=out.words_beyond_test == 0)  # fmt: skip
    return rows


@pytest.mark.slow
def test_within_limits() -> None:
    for row in measure(CI_EXPERIMENTS):
        assert row["passed"], row


@pytest.mark.slow
def test_pooled_repeats_are_caught() -> None:
    count = CI_EXPERIMENTS[5]
    limit = ALPHA + 3 * np.sqrt(ALPHA * (1 - ALPHA) / count)
    assert rate(found(count, 5).pooled["confidence"]) > limit


@pytest.mark.slow
def test_picking_the_best_of_eight_p_values_is_caught() -> None:
    count = CI_EXPERIMENTS[1]
    assert rate(found(count, 1).uncorrected) > ALPHA + 3 * np.sqrt(ALPHA * (1 - ALPHA) / count)


def test_the_published_limits_come_from_the_number_of_experiments() -> None:
    # 3 SE at 1,000 experiments: 7.07%.
    assert pytest.approx(0.0707, abs=1e-4) == ALPHA + 3 * np.sqrt(ALPHA * (1 - ALPHA) / 1_000)


def test_copies_instead_of_samples_are_noticed(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    answers = {name: rng.random(40) < 0.5 for name in ("old", "new")}

    def cached(name: str) -> Task:
        def answer(position: int) -> str:
            passed = "yes" if answers[name][position] else "no"
            return json.dumps({"answer": passed, "confidence": 0.5, "stars": 3, "words": 50})

        return answer

    result = run({name: cached(name) for name in answers}, 3, tmp_path, "cached", items=40)
    primary = result.analysis.metrics[0]
    assert any("copies, not samples" in note for note in primary.comparisons[0].difference.warnings)


def test_the_report_says_no_more_than_the_test(tmp_path: Path) -> None:
    result = run(null_tasks(20_000, 1), 1, tmp_path / "store", "aa-report")
    page = result.report(tmp_path / "report.html").read_text(encoding="utf-8")
    assert result.headline in page
    for metric in result.analysis.metrics:
        for c in metric.comparisons:
            verdict = c.difference.verdict
            assert verdict is not None
            assert (verdict.word in ("better", "worse")) <= (c.difference.p_adjusted <= ALPHA)
