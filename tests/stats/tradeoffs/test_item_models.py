"""Item analysis, the 2PL model, anchors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bakeoff.errors import StatsError
from bakeoff.stats import anchor_mean, choose_anchors, fit_item_model, item_analysis, predict_from_anchors

# LSAT section 6 (Bock & Lieberman 1970; R ltm::LSAT): response pattern and frequency, 1,000 persons.
LSAT6 = (
    "00000:3 00001:6 00010:2 00011:11 00100:1 00101:1 00110:3 00111:4 01000:1 01001:8 01011:16 01101:3 01110:2 "
    "01111:15 10000:10 10001:29 10010:14 10011:81 10100:3 10101:28 10110:15 10111:80 11000:16 11001:56 11010:21 "
    "11011:173 11100:11 11101:61 11110:28 11111:298"
)


def lsat() -> np.ndarray:
    rows = [entry.split(":") for entry in LSAT6.split()]
    return np.repeat([[float(c) for c in pattern] for pattern, _ in rows], [int(n) for _, n in rows], axis=0)


def test_lsat6() -> None:
    # R ltm 1.2, ltm(LSAT ~ z1): difficulty, discrimination and log-likelihood as printed in Rizopoulos (2006),
    # J. Stat. Software 17(5); Bock & Aitkin (1981) agree to two decimals.
    model = fit_item_model(lsat())
    assert model.converged
    assert not model.prior
    assert model.difficulty == pytest.approx([-3.3597, -1.3696, -0.2799, -1.8659, -3.1236], abs=0.004)
    assert model.discrimination == pytest.approx([0.8254, 0.7229, 0.8905, 0.6886, 0.6575], abs=0.001)
    assert model.log_likelihood == pytest.approx(-2466.653, abs=0.002)
    # Standard errors: summary(ltm(LSAT ~ z1, IRT.param = TRUE)):
    # 0.2581 0.1867 0.2326 0.1852 0.2100 for discrimination (observed information).
    assert model.discrimination_se == pytest.approx([0.2581, 0.1867, 0.2326, 0.1852, 0.2100], rel=0.06)


def test_lsat6_classical() -> None:
    # R psych 2.2.9, alpha(LSAT): Cronbach's alpha 0.2950; without each item 0.2754 0.2376 0.2168 0.2459 0.2663;
    # proportions correct 0.924 0.709 0.553 0.763 0.870.
    x = lsat()
    result = item_analysis(x)
    assert result.reliability == pytest.approx(0.2950, abs=5e-5)
    without = [item_analysis(np.delete(x, i, axis=1)).reliability for i in range(5)]
    assert without == pytest.approx([0.2754, 0.2376, 0.2168, 0.2459, 0.2663], abs=5e-5)
    assert result.mean == pytest.approx([0.924, 0.709, 0.553, 0.763, 0.870])
    # Item-rest correlation: numpy.corrcoef.
    rest = x.sum(axis=1)
    oracle = [np.corrcoef(x[:, i], rest - x[:, i])[0, 1] for i in range(5)]
    assert result.discrimination == pytest.approx(oracle)
    assert (result.low < oracle).all()
    assert (result.high > oracle).all()


def test_dead_and_suspect_items() -> None:
    rng = np.random.default_rng(1)
    skill = rng.normal(size=(60, 1))
    x = (rng.random((60, 12)) < 1 / (1 + np.exp(-2 * (skill - np.linspace(-1, 1, 12))))) * 1.0
    x[:, 0], x[:, 1], x[:, 2] = 1, 0, (skill[:, 0] < 0) * 1.0
    result = item_analysis(x)
    assert result.dead.tolist() == [True, True] + [False] * 10
    assert result.suspect.tolist() == [False, False, True] + [False] * 9
    assert np.isnan(result.discrimination[:2]).all()


def test_item_analysis_degenerate() -> None:
    assert item_analysis(np.empty((0, 3))).reason is not None
    assert np.isnan(item_analysis(np.ones((3, 3))).reliability)
    holes = item_analysis([[1, np.nan], [0, np.nan], [1, np.nan]])
    assert np.isnan(holes.mean[1])
    assert not holes.dead[1]
    assert "rough" in holes.warnings[0]
    with pytest.raises(StatsError):
        item_analysis([1, 2])
    with pytest.raises(StatsError):
        item_analysis([[np.inf, 1]])


def test_model_recovers_parameters_and_handles_missing() -> None:
    # Simulation truth; 95% intervals from the standard errors cover about 95% of 40 items.
    rng = np.random.default_rng(2)
    a, b = rng.lognormal(0.2, 0.3, 40), rng.normal(0, 1, 40)
    theta = rng.normal(size=(1200, 1))
    x = (rng.random((1200, 40)) < 1 / (1 + np.exp(-a * (theta - b)))) * 1.0
    x[rng.random(x.shape) < 0.2] = np.nan
    model = fit_item_model(x)
    assert np.corrcoef(model.difficulty, b)[0, 1] > 0.99
    assert np.corrcoef(model.ability, theta[:, 0])[0, 1] > 0.9
    covered = np.abs(model.difficulty - b) < 1.96 * model.difficulty_se
    assert covered.mean() > 0.82  # 40 items: 95% - 4 SE
    assert model.probability(0.0) == pytest.approx(1 / (1 + np.exp(model.discrimination * model.difficulty)))
    p = model.probability([0.0, 1.0])
    assert model.information([0.0, 1.0]) == pytest.approx(model.discrimination**2 * p * (1 - p))


def test_prior_keeps_small_calibrations_finite() -> None:
    rng = np.random.default_rng(3)
    x = (rng.random((8, 30)) < 0.6) * 1.0
    x[:, 0] = 1
    model = fit_item_model(x)
    assert model.prior
    assert np.isfinite(model.difficulty).all()
    assert model.difficulty[0] == model.difficulty.min()
    assert "lean on the prior" in model.warnings[0]
    bare = fit_item_model(x, prior=False, max_iterations=20)
    assert np.isnan(bare.difficulty[0])


def test_model_degenerate() -> None:
    assert fit_item_model([[1, 0]]).reason is not None
    assert fit_item_model(np.full((5, 3), np.nan)).reason is not None
    assert np.isnan(fit_item_model(np.ones((600, 3))).difficulty).all()
    with pytest.raises(StatsError):
        fit_item_model([[0.5, 1], [1, 0]])


def bank(seed: int, variants: int = 16, items: int = 500) -> np.ndarray:
    rng = np.random.default_rng(seed)
    skill, hard = rng.normal(0.5, 0.7, (variants, 1)), rng.normal(size=items)
    chance = 1 / (1 + np.exp(-3 * (skill - hard)))
    return np.clip(chance + rng.normal(0, 0.05, chance.shape), 0, 1)


def test_anchor_interval_stays_honest_where_the_prediction_alone_fails() -> None:
    # New variants of another kind than the history (strong on the second half of the items, weak on the first).
    # Truth: the mean over all items. R = 300: 95% - 3 SE = 91.2%.
    rng = np.random.default_rng(4)
    held = 0
    misses = []
    for seed in range(300):
        history = bank(seed % 10, 12)
        hard = np.argsort(history.mean(axis=0))
        new = history[0].copy()
        new[hard[:250]] = np.clip(new[hard[:250]] + 0.4, 0, 1)
        anchors = choose_anchors(history, 20, rng=rng)
        others = rng.permutation(np.setdiff1d(np.arange(500), anchors))[:60]
        result = anchor_mean(history, anchors, new[anchors], others, new[others])
        held += result.low <= new.mean() <= result.high
        misses.append(result.predicted - new.mean())
    assert held / 300 >= 0.912
    assert abs(np.mean(misses)) > 0.01  # the uncorrected prediction is biased


def test_anchors_narrow_the_interval_for_a_variant_like_the_history() -> None:
    ratios = []
    for seed in range(20):
        scores = bank(seed + 50)
        anchors = choose_anchors(scores[1:], 25, rng=seed)
        others = np.random.default_rng(seed).permutation(np.setdiff1d(np.arange(500), anchors))[:80]
        ratios.append(anchor_mean(scores[1:], anchors, scores[0, anchors], others, scores[0, others]).width_ratio)
    assert np.mean(ratios) < 0.6


def test_anchor_arguments() -> None:
    scores = bank(1, 5, 40)
    anchors = choose_anchors(scores, 40)
    assert anchors.tolist() == list(range(40))
    with pytest.raises(StatsError, match="at most"):
        choose_anchors(scores, 41)
    with pytest.raises(StatsError, match="missing"):
        choose_anchors([[np.nan, 1.0]], 1)
    with pytest.raises(StatsError, match="must not contain anchors"):
        anchor_mean(scores, [0, 1], [1.0, 0.0], [1, 2], [1.0, 0.0])
    with pytest.raises(StatsError, match="distinct"):
        predict_from_anchors(scores, [0, 0], [1.0, 1.0])
    with pytest.raises(StatsError, match="whole"):
        predict_from_anchors(scores, [0.5], [1.0])
    few = anchor_mean(scores[:2], [0], [1.0], [1, 2, 3], [1.0, np.nan, np.nan])
    assert few.reason is not None
    same = choose_anchors(np.ones((4, 6)), 3)
    assert len(set(same.tolist())) == 3


@given(st.integers(0, 1000), st.integers(1, 12))
@settings(max_examples=25)
def test_anchor_choice_and_prediction_properties(seed: int, size: int) -> None:
    scores = bank(seed, 6, 30)
    anchors = choose_anchors(scores[1:], size, rng=seed)
    assert len(set(anchors.tolist())) == size
    predicted = predict_from_anchors(scores[1:], anchors, scores[0, anchors])
    assert predicted[anchors] == pytest.approx(scores[0, anchors])
    assert (predicted >= 0).all()
    assert (predicted <= 1).all()
