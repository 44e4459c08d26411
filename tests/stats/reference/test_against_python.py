"""Every value of python_values.json, computed by other people's libraries from values.py, against the product."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from tests.stats.reference.known import LSAT, NILE, PYTHON, RATINGS, SHROUT_FLEISS, TABLE, expand
from tests.stats.reference.values import ARMS, CONTEXTS, HUMAN, JUDGE, REWARDS, VALUES

from bakeoff import stats

LEVELS = ("nominal", "ordinal", "interval", "ratio")


def agreement(function: Callable[..., stats.Estimate], weights: str = "nominal") -> list[float]:
    found = function(RATINGS, weights=weights)
    return [found.estimate, found.se, found.low]


def kappa(weights: str) -> list[float]:
    return [stats.cohen_kappa(*expand(TABLE), weights=weights).estimate]  # type: ignore[arg-type] # parametrised


def two_parameters() -> list[float]:
    model = stats.fit_item_model(LSAT)
    return [*model.discrimination.tolist(), *model.difficulty.tolist()]


def ppi(weight: float | None) -> list[float]:
    found = stats.ppi_mean(JUDGE, [*HUMAN, *[np.nan] * 24], judge_weight=weight)
    return [found.estimate]


def ucb1() -> list[float]:
    bandit = stats.UCB1()
    arms, rewards = [*ARMS, *["a"] * 4], [*REWARDS, 1.0, 1.0, 0.0, 1.0]
    n = np.array([arms.count("a"), arms.count("b")], float)
    total = np.array([sum(r for a, r in zip(arms, rewards, strict=True) if a == name) for name in "ab"])
    held = stats.ArmStats(n=n, total=total, squares=total, pending=np.zeros(2))
    return bandit.index(held, np.random.default_rng(0)).tolist()


def linucb() -> list[float]:
    bandit = stats.LinearBandit(["a", "b"], features=2, seed=0, width=0.7, ridge=1.0)
    for arm, context, reward in zip(ARMS, CONTEXTS, REWARDS, strict=True):
        bandit.update(arm, context, reward=reward)
    return list(bandit.predict([0.5, 0.6]).values())


def nile() -> list[float]:
    index = stats.find_changepoint(NILE).index
    assert index is not None
    return [index]


PRODUCT: dict[str, Callable[[], Sequence[float]]] = {
    "fleiss": lambda: agreement(stats.fleiss_kappa),
    "ac1": lambda: agreement(stats.gwet_ac),
    "ac2_linear": lambda: agreement(stats.gwet_ac, "linear"),
    "ac2_quadratic": lambda: agreement(stats.gwet_ac, "quadratic"),
    "fleiss_linear": lambda: agreement(stats.fleiss_kappa, "linear"),
    "alpha_irrcac": lambda: [stats.krippendorff_alpha(RATINGS).estimate],
    **{
        f"alpha_{level}": (lambda level=level: [stats.krippendorff_alpha(RATINGS, level=level).estimate])
        for level in LEVELS
    },
    "kappa_sklearn": lambda: kappa("nominal"),
    "kappa_linear_sklearn": lambda: kappa("linear"),
    "kappa_quadratic_sklearn": lambda: kappa("quadratic"),
    "icc_pingouin": lambda: [
        stats.intraclass_correlation(SHROUT_FLEISS, kind=kind).estimate
        for kind in ("1,1", "2,1", "3,1", "1,k", "2,k", "3,k")
    ],
    "two_parameters": two_parameters,
    "ppi_classic": lambda: ppi(1.0),
    "ppi_tuned": lambda: ppi(None),
    "nile_ruptures": nile,
    "linucb": linucb,
    "ucb1": ucb1,
    "ratio_e_value": lambda: [float(stats.srm_e_value([30, 28, 45], [1, 1, 2]))],
    "srm_tea_tasting": lambda: [stats.srm_test([8215, 7912]).p_value],
}


TOLERANCE = {
    "two_parameters": 3e-4,  # two quadratures and stopping rules
    "ppi_tuned": 0.005,  # ppi-python takes the variance of all verdicts, the product that of the labelled ones
}


@pytest.mark.parametrize("name", sorted(PRODUCT))
def test_value_of_another_library(name: str) -> None:
    room = 6e-6 if PYTHON[name]["source"].startswith("irrCAC") else 1e-8  # irrCAC rounds to five digits
    assert list(PRODUCT[name]()) == pytest.approx(PYTHON[name]["value"], rel=TOLERANCE.get(name, 1e-6), abs=room)


def test_every_value_is_used() -> None:
    assert set(PRODUCT) == set(PYTHON) == set(VALUES)
