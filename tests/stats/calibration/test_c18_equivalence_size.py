"""C18: equivalence tests at the margin: a difference as large as the margin passes at most 5% of the time."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import gammaln

from bakeoff.stats import PairedTable, compare, guardrail, mcnemar, one_sample_t, tost, tost_paired_proportions

if TYPE_CHECKING:
    from collections.abc import Callable

N, RUNS, MARGIN, HIGH = 100, 20_000, 0.1, 0.055


def product(x: np.ndarray) -> bool:
    return tost(x, MARGIN).passed


def by_compare(x: np.ndarray) -> bool:
    return compare(x, np.zeros(x.size), margin=MARGIN).verdict.word == "equivalent"


def absence_of_evidence(x: np.ndarray) -> bool:
    """Known-bad: p > 0.05 read as "same"."""
    return one_sample_t(x).p_value > 0.05


@cache
def check(says_equivalent: Callable[[np.ndarray], bool], runs: int = RUNS) -> float:
    """Share of false claims of equivalence when the true difference equals the margin."""
    rng = np.random.default_rng(18)
    return sum(says_equivalent(x) for x in rng.normal(MARGIN, 0.3, (runs, N))) / runs


def tango(table: PairedTable) -> bool:
    return tost_paired_proportions(table, MARGIN).passed


def safe_guardrail(table: PairedTable) -> bool:
    """What an experiment says of a pass/fail guardrail: the bound of the comparison itself (Bonett-Price)."""
    old = [1] * (table.both + table.baseline_only) + [0] * (table.candidate_only + table.neither)
    new = [1] * table.both + [0] * table.baseline_only + [1] * table.candidate_only + [0] * table.neither
    return guardrail(compare(new, old), margin=MARGIN, higher_is_better=False).status == "safe"


def not_significant(table: PairedTable) -> bool:
    """Known-bad: McNemar p > 0.05 read as "same"."""
    return mcnemar(table).p_value > 0.05


@cache
def check_binary(says_equivalent: Callable[[PairedTable], bool], s: float = 0.2) -> float:
    """Exact share of false claims for paired pass/fail, discordance s and difference at the margin."""
    p12, p21 = (s + MARGIN) / 2, (s - MARGIN) / 2
    total = 0.0
    for b in range(N + 1):
        for c in range(N + 1 - b):
            rest = N - b - c
            log_ways = gammaln(N + 1) - gammaln(b + 1) - gammaln(c + 1) - gammaln(rest + 1)
            p = math.exp(log_ways + b * math.log(p12) + c * math.log(p21) + rest * math.log(1 - s))
            if p > 1e-8:
                table = PairedTable(both=rest, candidate_only=b, baseline_only=c, neither=0)
                total += p * says_equivalent(table)
    return total


def measure() -> list[dict]:
    rows = [
        ("TOST, paired t", "n=100, sd 0.3", check(product), check(absence_of_evidence, 2_000)),
        (
            "verdict 'equivalent' of compare()",
            "n=100, sd 0.3",
            check(by_compare, 4_000),
            check(absence_of_evidence, 2_000),
        ),
        (
            "Tango, paired pass/fail",
            "n=100, discordance 0.2, exact",
            check_binary(tango),
            check_binary(not_significant),
        ),
        (
            "guardrail 'safe', paired pass/fail",
            "n=100, discordance 0.2, exact",
            check_binary(safe_guardrail),
            check_binary(not_significant),
        ),
    ]
    return [
        {
            "check": "C18",
            "property": f"false equivalence at the margin, {name}",
            "cell": cell,
            "measured": rate,
            "limit": f"<= {100 * HIGH:g}%",
            "known_bad": bad,
            "passed": rate <= HIGH,
        }
        for name, cell, rate, bad in rows
    ]


def test_false_equivalence_is_bounded():
    failed = [row for row in measure() if not row["passed"]]
    assert not failed


def test_not_absurdly_conservative():
    assert check(product) > 0.035


def test_known_bad_fails():
    assert check(absence_of_evidence, 2_000) > HIGH
    assert check_binary(not_significant) > 0.3
