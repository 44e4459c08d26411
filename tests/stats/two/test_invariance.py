"""What must hold of `compare` and `summarize` whatever the scores: order, names, units and copies change nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isnan
from typing import Any, Literal

import numpy as np
import pytest

from bakeoff.stats import Difference, compare, describe, summarize

Kind = Literal["binary", "bounded", "continuous"]
_MIRROR = {"better": "worse", "worse": "better", "equivalent": "equivalent", "inconclusive": "inconclusive"}
_OTHER = {"greater": "less", "less": "greater", "two-sided": "two-sided"}


@dataclass(frozen=True)
class Case:
    """One comparison of an odd shape."""

    candidate: np.ndarray
    baseline: np.ndarray
    options: dict[str, Any]

    def compared(self, **changed: Any) -> Difference:
        return compare(self.candidate, self.baseline, **{**self.options, **changed})


def _side(rng: np.random.Generator, kind: Kind, shape: tuple[int, int]) -> np.ndarray:
    if kind == "binary":
        scores = (rng.random(shape) < rng.choice([0, 0.01, 0.5, 0.9, 1])).astype(float)
    elif kind == "bounded":
        kinds = (rng.random(shape), rng.random(shape).round(1), np.full(shape, 0.3), np.ones(shape), np.zeros(shape))
        scores = kinds[rng.integers(5)]
    else:
        kinds = (
            rng.normal(size=shape),
            rng.lognormal(0, 2, shape),
            rng.integers(0, 4, shape) * 1.0,
            np.full(shape, 3.3),
        )
        scores = kinds[rng.integers(4)]
    scores = np.where(rng.random(shape) < rng.choice([0, 0, 0.2, 0.95, 1]), np.nan, scores)
    return scores[:, 0] if shape[1] == 1 else scores


def _case(seed: int) -> Case:
    """Draw a comparison: few or no items, repeats, ties, constants, missing scores, clusters, weights, one side."""
    rng = np.random.default_rng(seed)
    n, repeats = int(rng.choice([0, 1, 2, 3, 4, 6, 9, 12, 20, 49, 50, 70])), int(rng.choice([1, 1, 2, 4]))
    kind: Kind = ("binary", "bounded", "continuous")[rng.integers(3)]
    candidate, baseline = _side(rng, kind, (n, repeats)), _side(rng, kind, (n, repeats))
    options: dict[str, Any] = {"kind": kind, "alternative": ("two-sided", "two-sided", "greater", "less")[seed % 4]}
    if rng.random() < 0.35:
        options["clusters"] = rng.integers(0, rng.choice([1, 2, 4, 30]), n)
    if n and rng.random() < 0.35:
        options["weights"] = (rng.lognormal(0, 2, n), np.ones(n), 1e-3 + rng.integers(0, 3, n))[rng.integers(3)]
    if rng.random() < 0.3:
        options["margin"] = float(rng.choice([0.01, 0.2, 5.0]))
    options["higher_is_better"] = bool(rng.random() < 0.7)
    return Case(baseline if rng.random() < 0.1 else candidate, baseline, options)


def _same(found: Difference, expected: Difference, *, scale: float = 1.0, p: float = 1e-6) -> None:
    for name in ("estimate", "low", "high", "inner_low", "inner_high"):
        one, two = getattr(found, name), getattr(expected, name)
        assert one == pytest.approx(scale * two, rel=1e-5, abs=1e-9 * scale, nan_ok=True), name
    assert found.p_value == pytest.approx(expected.p_value, rel=1e-5, abs=p, nan_ok=True)


def _in_many_shapes(test: Callable[[int], None]) -> Callable[[int], None]:
    """Run a test on 240 comparisons, in blocks of 40; the seed stands in the message of what fails."""

    @pytest.mark.parametrize("block", range(6))
    def blocks(block: int) -> None:
        for seed in range(40 * block, 40 * block + 40):
            try:
                test(seed)
            except AssertionError as error:
                raise AssertionError(f"seed {seed}: {error}") from error

    blocks.__doc__ = test.__doc__
    return blocks


@_in_many_shapes
def test_a_result_is_whole(seed: int) -> None:
    case = _case(seed)
    found = case.compared()
    assert describe(found)
    assert isnan(found.p_value) or 0 <= found.p_value <= 1
    if isnan(found.low) or isnan(found.high):
        assert isnan(found.low), "both ends or none"
        assert isnan(found.high)
        assert found.reason
    else:
        slack = 1e-12 * (1 + abs(found.estimate))
        assert found.low - slack <= found.estimate <= found.high + slack
        assert found.low < found.high, "never a zero width"
    for side in (case.candidate, case.baseline):
        kept = {name: case.options[name] for name in ("kind", "clusters", "weights") if name in case.options}
        one = summarize(side, **kept)
        assert describe(one)
        assert (one.low < one.high) if not isnan(one.low) else bool(one.reason)
        if case.options["kind"] != "continuous" and not isnan(one.low):
            assert 0 <= one.low <= one.high <= 1


@_in_many_shapes
def test_swapping_the_variants_turns_everything_round(seed: int) -> None:
    case = _case(seed)
    found = case.compared()
    other = Case(case.baseline, case.candidate, case.options).compared(alternative=_OTHER[case.options["alternative"]])
    assert found.estimate == pytest.approx(-other.estimate, nan_ok=True)
    assert (found.low, found.high) == (
        pytest.approx(-other.high, nan_ok=True, abs=1e-9),
        pytest.approx(-other.low, nan_ok=True, abs=1e-9),
    )
    assert found.p_value == pytest.approx(other.p_value, nan_ok=True)
    assert found.verdict is not None
    assert other.verdict is not None
    assert other.verdict.word == _MIRROR[found.verdict.word]


@_in_many_shapes
def test_the_order_of_items_does_not_matter(seed: int) -> None:
    case = _case(seed)
    order = np.random.default_rng(seed).permutation(len(case.candidate))
    options = {name: value[order] if isinstance(value, np.ndarray) else value for name, value in case.options.items()}
    found, moved = case.compared(), Case(case.candidate[order], case.baseline[order], options).compared()
    drawn = "sign_flip" in found.test and "exact" not in found.test  # random patterns meet other items: 9,999 of them
    _same(moved, found, p=0.03 if drawn else 1e-6)


@_in_many_shapes
def test_items_that_nobody_scored_change_only_the_count_of_missing_ones(seed: int) -> None:
    case = _case(seed)
    gap = np.full((2, *case.candidate.shape[1:]), np.nan)
    options = dict(case.options)
    for name in ("clusters", "weights"):
        if name in options:
            options[name] = np.concatenate([options[name], np.array([1, 1])])
    found = case.compared()
    longer = Case(np.concatenate([case.candidate, gap]), np.concatenate([case.baseline, gap]), options).compared()
    _same(longer, found)
    assert longer.n_missing == found.n_missing + 2
    assert longer.n_items == found.n_items


@_in_many_shapes
def test_the_unit_of_scores_and_weights_does_not_matter(seed: int) -> None:
    case = _case(seed)
    found = case.compared()
    if "weights" in case.options:
        _same(case.compared(weights=37.5 * case.options["weights"]), found)
    if case.options["kind"] == "continuous":
        options = {**case.options, "margin": 37.5 * case.options["margin"] if "margin" in case.options else None}
        scaled = Case(37.5 * case.candidate + 75, 37.5 * case.baseline + 75, options).compared()
        _same(scaled, found, scale=37.5)
        assert found.verdict is not None
        assert scaled.verdict is not None
        assert scaled.verdict.word == found.verdict.word


@_in_many_shapes
def test_copies_of_an_answer_are_no_samples(seed: int) -> None:
    """The same scores three times over say what they say once, apart from the rule's choice of method for pass/fail."""
    case = _case(seed)
    if case.candidate.ndim > 1 or case.options["kind"] == "binary":
        return
    threefold = Case(np.repeat(case.candidate[:, None], 3, 1), np.repeat(case.baseline[:, None], 3, 1), case.options)
    _same(threefold.compared(), case.compared())


@_in_many_shapes
def test_the_other_direction_changes_the_word_and_nothing_else(seed: int) -> None:
    case = _case(seed)
    found = case.compared()
    other = case.compared(higher_is_better=not case.options["higher_is_better"])
    _same(other, found, p=0.0)
    assert found.verdict is not None
    assert other.verdict is not None
    assert other.verdict.word == _MIRROR[found.verdict.word]
