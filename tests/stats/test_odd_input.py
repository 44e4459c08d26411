"""Odd input to judges, rankings, online analysis, drift, trade-offs and items: a StatsError or an explained nan."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import pytest

from bakeoff import stats
from bakeoff.errors import StatsError
from bakeoff.stats import Objective

if TYPE_CHECKING:
    from collections.abc import Callable

NA = np.nan
COLUMNS: dict[str, list[object]] = {
    "empty": [], "one": [1.0], "two": [1.0, 0.0], "nan": [NA] * 4, "ones": [1.0] * 6, "zeros": [0.0] * 6,
    "mixed": [1, 0, 1, NA, 0, 1], "huge": [1e300, -1e300, 1e300, 1e299, 0, 1], "large": [1e15 + i for i in range(6)],
    "tiny": [1e-300, 2e-300, 0, 1e-300, 0, 1e-300], "bool": [True, False, True, True, False, True],
    "infinite": [1.0, np.inf, 0, 1, 0, 1], "text": ["a", "b", "a", "b", "a", "b"], "none": [1, None, 0, 1, 0, 1],
    "nested": [[1, 0], [0, 1]], "negative": [-1, -2, -3, -4, -5, -6],
}  # fmt: skip
A, B = ["x", "y", "z", "x", "y", "z"], ["y", "x", "x", "y", "z", "x"]


def rows(a: list[object], b: list[object]) -> list[list[object]]:
    return [list(pair) for pair in zip(a, b, strict=False)]


CALLS: dict[str, Callable[[list, list], object]] = {
    "pass_at_k": lambda a, b: stats.pass_at_k(a, 1),
    "ratio_of_means": stats.ratio_of_means,
    "ratio_delta": lambda a, b: stats.ratio_of_means(a, b, method="delta"),
    "cost_per_success": stats.cost_per_success,
    "ratio_difference": lambda a, b: stats.ratio_difference((a, b), (b, a)),
    "ratio_difference_paired": lambda a, b: stats.ratio_difference((a, b), (b, a), paired=True),
    "cohen_kappa": lambda a, b: stats.cohen_kappa(a, b, weights="quadratic"),
    "fleiss_kappa": lambda a, b: stats.fleiss_kappa(rows(a, b)),
    "gwet_ac": lambda a, b: stats.gwet_ac(rows(a, b), weights="linear"),
    "alpha_nominal": lambda a, b: stats.krippendorff_alpha(rows(a, b), resamples=30),
    "alpha_ordinal": lambda a, b: stats.krippendorff_alpha(rows(a, b), level="ordinal", resamples=30),
    "alpha_interval": lambda a, b: stats.krippendorff_alpha(rows(a, b), level="interval", resamples=30),
    "alpha_ratio": lambda a, b: stats.krippendorff_alpha(rows(a, b), level="ratio", resamples=30),
    "icc_1": lambda a, b: stats.intraclass_correlation(rows(a, b), kind="1,1"),
    "icc_2": lambda a, b: stats.intraclass_correlation(rows(a, b)),
    "icc_3k": lambda a, b: stats.intraclass_correlation(rows(a, b), kind="3,k"),
    "judge_accuracy": stats.judge_accuracy,
    "stratified_rate": stats.stratified_rate,
    "ppi_mean": stats.ppi_mean,
    "ppi_full": lambda a, b: stats.ppi_mean(a, b, judge_weight=1),
    "corrected_mean": stats.corrected_mean,
    "rogan_gladen": lambda a, b: stats.corrected_mean(a, b, method="rogan_gladen"),
    "corrected_difference": lambda a, b: stats.corrected_difference(a, b, b, a),
    "labels_needed": lambda a, b: stats.labels_needed(a, b, half_width=0.1),
    "bradley_terry": lambda a, b: stats.bradley_terry(A[: len(a)], B[: len(a)], a, items=b),
    "bradley_terry_covariate": lambda a, b: stats.bradley_terry(A, B, [1, 0, 0.5, 1, 0, 1], covariates=b),
    "swap_consistency": lambda a, b: stats.swap_consistency(A[: len(a)], B[: len(a)], a, items=b),
    "srm_test": lambda a, b: stats.srm_test(a),
    "lin": lambda a, b: stats.adjusted_difference(a, b, candidate_covariates=b, baseline_covariates=a),
    "cuped": lambda a, b: stats.adjusted_difference(
        a, b, candidate_covariates=b, baseline_covariates=a, method="cuped"
    ),
    "control_chart": lambda a, b: stats.control_chart(a, se=b),
    "ewma": lambda a, b: stats.control_chart(a, kind="ewma"),
    "find_changepoint": lambda a, b: stats.find_changepoint(a, se=b, permutations=30),
    "between_run_sd": stats.between_run_sd,
    "pareto_analysis": lambda a, b: stats.pareto_analysis(
        [Objective(name="q", values=[a, b], goal="max"), Objective(name="l", values=[b, a], goal="min", quantile=0.9)],
        resamples=50,
    ),
    "cheapest_within": lambda a, b: stats.cheapest_within([a, b], [b, a], margin=0.1, resamples=100),
    "item_analysis": lambda a, b: stats.item_analysis([a, b, a]),
    "fit_item_model": lambda a, b: stats.fit_item_model([a, b, b, a], max_iterations=50),
    "choose_anchors": lambda a, b: stats.choose_anchors([a, b, a], 1),
    "anchor_mean": lambda a, b: stats.anchor_mean([a, b, a], [0], [1.0], [1, 2], [1.0, 0.0]),
}


@pytest.mark.parametrize("name", CALLS)
def test_odd_input_is_explained(name: str) -> None:
    for (first, a), (second, b) in product(COLUMNS.items(), COLUMNS.items()):
        try:
            result = CALLS[name](a, b)
        except StatsError:
            continue
        estimate, low, high = (getattr(result, field, None) for field in ("estimate", "low", "high"))
        if not all(isinstance(value, float) for value in (estimate, low, high)):
            continue
        where = f"{name}({first}, {second}): {result}"
        if np.isnan(low) or np.isnan(estimate):
            assert result.reason, where
        else:
            slack = 1e-9 * abs(estimate) + 1e-12
            assert low < high, where
            assert low - slack <= estimate <= high + slack, where
