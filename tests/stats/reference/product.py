"""What the product says to each question that values.R asks R."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np
from scipy.optimize import brentq
from scipy.stats import norm
from tests.stats.reference.known import (
    BLOOD,
    C45,
    C45_CF,
    C45_M,
    C45_M_CF,
    DARWIN,
    DEPRESSION,
    FLIPS,
    LSAT,
    NILE,
    PASSES,
    SHROUT_FLEISS,
    SLEEP_1,
    SLEEP_2,
    TABLE,
    TEAMS,
    baseball,
    chess,
    data,
    expand,
)

from bakeoff import stats
from bakeoff.stats import PairedTable
from bakeoff.stats.core._mvt import max_t_cdf, studentized_range_ppf
from bakeoff.stats.planning._looks import equivalent_level

CHICK, PEN, HEAVY = data("chick").reshape(3, -1)
MPG, WT, AM, HP = data("mtcars").reshape(4, 32)
OATS = data("oats").reshape(6, 3, 2)  # block, variety, nitrogen
BCG = data("bcg").reshape(2, 13)
APPROVAL = PairedTable(both=794, candidate_only=86, baseline_only=150, neither=570)
AIRWAY = PairedTable(both=1, candidate_only=1, baseline_only=7, neither=12)
RESPONSE = PairedTable(both=59, candidate_only=6, baseline_only=16, neither=80)
BORROWED = PairedTable(both=59, candidate_only=16, baseline_only=6, neither=80)
NEWCOMBE = [(56, 70, 48, 80), (9, 10, 3, 10), (6, 7, 2, 7), (5, 56, 0, 29), (0, 10, 0, 20), (0, 10, 0, 10),
            (10, 10, 0, 20), (10, 10, 0, 10)]  # fmt: skip
P_VALUES = [0.001, 0.011, 0.012, 0.03, 0.2]
CELLS = {(f"v{v}", f"n{n}"): OATS[:, v, n] for v in range(3) for n in range(2)}
FACTORS = {"variety": ["v0", "v1", "v2"], "nitrogen": ["n0", "n1"]}


def ends(e: stats.Estimate) -> list[float]:
    return [e.low, e.high]


def full(e: stats.Estimate) -> list[float]:
    return [e.estimate, e.low, e.high]


def outcome(t: stats.TestResult) -> list[float]:
    return [t.statistic, t.p_value]


def convictions(alternative: str) -> list[float]:
    kind = {"baseline_successes": 10, "baseline_n": 13, "method": "fisher"}
    return [stats.two_proportion_test(2, 17, alternative=alternative, **kind).p_value]  # type: ignore[arg-type]


def welch() -> list[float]:
    t = stats.welch_test(SLEEP_1, SLEEP_2)
    return [t.statistic, t.df, t.p_value, *ends(stats.welch(SLEEP_1, SLEEP_2))]


def differences(method: str) -> list[float]:
    found = [
        stats.proportion_difference(x1, n1, baseline_successes=x2, baseline_n=n2, method=method)  # type: ignore[arg-type]
        for x1, n1, x2, n2 in NEWCOMBE
    ]
    return [*(e.low for e in found), *(e.high for e in found)]


def two_sides() -> list[float]:
    high = PEN > 3
    d = stats.compare(CHICK[high], CHICK[~high], paired=False, clusters=(PEN[high], PEN[~high]))
    return [d.estimate, d.se]


def weighted_clusters() -> list[float]:
    e = stats.clustered_mean(CHICK, PEN, weights=HEAVY)
    return [e.estimate, e.se, e.df]


def dunnett() -> list[float]:
    rows = stats.dunnett(BLOOD, baseline="control").comparisons
    return [*(row.p_adjusted for row in rows), *(row.low for row in rows), *(row.high for row in rows)]


def tukey() -> list[float]:
    found = stats.tukey(BLOOD)
    rows = [found.get(b, a) for a, b in combinations(BLOOD, 2)]
    return [*(row.low for row in rows), *(row.high for row in rows), *(row.p_adjusted for row in rows)]


def friedman() -> list[float]:
    found = stats.friedman({"a": C45, "b": C45_M, "c": C45_CF, "d": C45_M_CF})
    return [found.chi2, found.chi2_p_value]


def nemenyi() -> list[float]:
    return [stats.friedman({"a": C45, "b": C45_M, "c": C45_CF, "d": C45_M_CF}).critical_difference]


def shrunken() -> list[float]:
    found = stats.shrink(BCG[0], np.sqrt(BCG[1]))
    return [found.spread**2, found.center]


def effect(name: str) -> list[float]:
    found = stats.factorial_effects(CELLS, factors=FACTORS).get(name)
    return [found.statistic, found.p_value]


def nitrogen(method: str) -> list[float]:
    block, variety, level = (index.ravel() for index in np.indices(OATS.shape))
    columns = {"variety": np.array(FACTORS["variety"])[variety], "nitrogen": np.array(FACTORS["nitrogen"])[level]}
    found = stats.factorial_model(OATS.ravel(), items=block, factors=columns, levels=FACTORS, method=method)  # type: ignore[arg-type]
    one = found.get("nitrogen").contrasts[0]
    return [one.estimate, one.se]


def components(name: str, shape: tuple[int, ...]) -> list[float]:
    split = stats.variance_components(data(name).reshape(shape))
    return [split.items, split.generation] if len(shape) == 2 else [split.items, split.generation, split.judge]


def looks(spending: str, times: int | tuple[float, ...] = 5) -> Sequence[float]:
    return stats.group_sequential_design(times, spending=spending).critical  # type: ignore[arg-type] # parametrised


def repeated(k: int) -> float:
    return sum(up + down for up, down in stats.group_sequential_crossing([1.959964] * k, k))


def inflation(k: int) -> float:
    drift = norm.isf(equivalent_level(0.05, 0.8, k) / 2) + norm.ppf(0.8)
    return float((drift / (norm.ppf(0.975) + norm.ppf(0.8))) ** 2)


def runs() -> list[float]:
    found = stats.order_check(FLIPS)
    assert abs(found.correlation) * 39**0.5 < found.statistic  # the runs test is the larger of the two
    return [found.statistic]


def teams(order: bool) -> list[float]:
    ranking = stats.bradley_terry(*baseball(), order_effect=order)
    rows = [ranking.contrast(team, "Baltimore") for team in TEAMS]
    extra = [ranking.order_effect] if ranking.order_effect else []
    return [*(row.estimate for row in [*rows, *extra]), *(row.se for row in [*rows, *extra])]


def tied_games(model: str) -> list[float]:
    ranking = stats.bradley_terry(*chess(), ties=model)  # type: ignore[arg-type] # parametrised
    rows = [ranking.contrast("1", "3"), ranking.contrast("2", "3")]
    assert ranking.tie is not None
    assert ranking.order_effect is not None
    if model == "davidson":
        rows = [ranking.tie, ranking.order_effect, *rows]
        return [*(row.estimate for row in rows), *(row.se for row in rows)]
    return [*(row.estimate for row in rows), ranking.tie.estimate, ranking.order_effect.estimate]


def rao_kupper_se() -> list[float]:
    ranking = stats.bradley_terry(*chess(), ties="rao_kupper")
    return [ranking.contrast(player, "3").se for player in "12"]


def kappa(weights: str) -> list[float]:
    found = stats.cohen_kappa(*expand(TABLE), weights=weights)  # type: ignore[arg-type] # parametrised
    return [found.estimate, found.se]


def icc() -> list[float]:
    kinds = ("1,1", "2,1", "3,1", "1,k", "2,k", "3,k")
    rows = [stats.intraclass_correlation(SHROUT_FLEISS, kind=kind) for kind in kinds]
    return [*(r.estimate for r in rows), *(r.low for r in rows), *(r.high for r in rows)]


def lin() -> list[float]:
    x, on = np.column_stack([WT, HP]), AM == 1
    d = stats.adjusted_difference(MPG[on], MPG[~on], candidate_covariates=x[on], baseline_covariates=x[~on])
    return [d.estimate, d.se]


def cuped() -> list[float]:
    on = AM == 1
    d = stats.adjusted_difference(
        MPG[on], MPG[~on], candidate_covariates=WT[on], baseline_covariates=WT[~on], method="cuped"
    )
    return [d.p_value, d.low, d.high]


def grown() -> list[float]:
    before, after = data("grown").reshape(2, -1)
    n = before.size
    columns = {"day": np.repeat(["0", "21"], n)}
    found = stats.factorial_model(
        np.r_[before, after], items=np.tile(np.arange(n), 2), factors=columns, levels={"day": ["0", "21"]}
    )
    one = found.get("day").contrasts[0]
    return [one.estimate, one.se]


def snips(clusters: np.ndarray | None) -> list[float]:
    # With the target at one half, the weight of a reward is 0.5 / logged: sepal width over four times its largest.
    petal, width = data("iris").reshape(2, 150)
    chance = width.min() / (2 * width)
    v = stats.off_policy_value(
        np.zeros(150, int), petal, logged=np.column_stack([chance, 1 - chance]),
        target=np.tile([0.5, 0.5], (150, 1)), method="snips", clusters=clusters,
    )  # fmt: skip
    return [v.estimate, v.se]


def nile() -> list[float]:
    found = stats.find_changepoint(NILE)
    assert found.index is not None
    return [found.index, found.before, found.after]


def cronbach() -> list[float]:
    found = stats.item_analysis(LSAT)
    without = [stats.item_analysis(np.delete(LSAT, i, axis=1)).reliability for i in range(5)]
    return [found.reliability, *without, *found.discrimination.tolist()]


def adjusted(method: str) -> list[float]:
    return stats.adjust(P_VALUES, method=method.lower()).tolist()  # type: ignore[arg-type] # parametrised


def dominated() -> list[float]:
    return (~stats.pareto_front(np.column_stack([MPG, WT, HP]), ["max", "min", "min"])).tolist()


def attempts(passed: Sequence[int]) -> np.ndarray:
    return np.array([[1.0] * c + [0.0] * (10 - c) for c in passed])


def dunnett_point(k: int) -> float:
    return brentq(lambda c: max_t_cdf(c, np.full(k, 0.5**0.5), df=10) - 0.95, 2, 4)


PRODUCT: dict[str, Callable[[], Sequence[float]]] = {
    "wilson": lambda: ends(stats.wilson(81, 263)),
    "clopper_pearson": lambda: ends(stats.clopper_pearson(682, 925)),
    "jeffreys": lambda: ends(stats.jeffreys(13, 16)),
    "mean_t": lambda: ends(stats.mean_t(DARWIN / 8)),
    "cr0": lambda: [stats.clustered_mean(CHICK, PEN, variance="cr0").se],
    "cr1": lambda: [stats.clustered_mean(CHICK, PEN, variance="cr1").se],
    "cr2": lambda: [(e := stats.clustered_mean(CHICK, PEN)).se, e.df],
    "cr2_interval": lambda: ends(stats.clustered_mean(CHICK, PEN)),
    "cr2_weighted": weighted_clusters,
    "cr2_two_sides": two_sides,
    "hc2_weighted": lambda: [stats.summarize(CHICK, weights=HEAVY).se],
    "median_ranks": lambda: [
        end
        for n in (6, 10, 15, 20, 25, 30, 50, 100)
        for end in ends(stats.quantile_interval(np.arange(1.0, n + 1), 0.5))
    ],
    "bootstrap_se": lambda: [stats.bootstrap_mean([94, 197, 16, 38, 99, 141, 23], resamples=100_000).se],
    "bca": lambda: ends(stats.bootstrap_mean(DARWIN, method="bca", resamples=99_999)),
    "bootstrap_t": lambda: ends(stats.bootstrap_mean(DARWIN, method="t", resamples=99_999)),
    "mcnemar_asymptotic": lambda: [(t := stats.mcnemar(APPROVAL, method="asymptotic")).statistic ** 2, t.p_value],
    "mcnemar_continuity": lambda: [stats.mcnemar(AIRWAY, method="continuity").p_value],
    "mcnemar_exact": lambda: [stats.mcnemar(RESPONSE, method="exact").p_value],
    "mcnemar_midp": lambda: [stats.mcnemar(RESPONSE, method="midp").p_value],
    "paired_odds_ratio": lambda: ends(stats.paired_odds_ratio(BORROWED)),
    "paired_t": lambda: outcome(stats.one_sample_t(DARWIN)),
    "sign_flip": lambda: [stats.sign_flip(DARWIN, alternative=a).p_value for a in ("two-sided", "greater")],
    "wilcoxon": lambda: [stats.wilcoxon(DEPRESSION, alternative=a).p_value for a in ("greater", "two-sided")],
    "hodges_lehmann": lambda: full(stats.hodges_lehmann(DEPRESSION)),
    "wilcoxon_ties": lambda: [stats.wilcoxon(C45_M - C45).p_value],
    "wilcoxon_pratt": lambda: [stats.wilcoxon(C45_M - C45, zeros="pratt").p_value],
    "wilcoxon_zeros_left_out": lambda: [stats.wilcoxon(C45_M - C45, zeros="wilcox").p_value],
    "tost_paired": lambda: [stats.tost(DARWIN, 45).p_value],
    "welch": welch,
    "tost_welch": lambda: [stats.tost_unpaired(SLEEP_1, SLEEP_2, margin=4).p_value],
    "fisher_two_sided": lambda: convictions("two-sided"),
    "fisher_less": lambda: convictions("less"),
    "n_minus_one_chi_square": lambda: [
        stats.two_proportion_test(56, 70, baseline_successes=48, baseline_n=80, method="score").statistic ** 2
    ],
    "newcombe": lambda: differences("newcombe"),
    "agresti_caffo": lambda: differences("agresti_caffo"),
    "farrington_manning": lambda: [
        stats.equivalence_of_proportions(
            83, 90, baseline_successes=69, baseline_n=76, margin=0.1, goal="not_worse"
        ).statistic
    ],
    "homogeneity": lambda: outcome(stats.chi_square_homogeneity(np.reshape([12, 30, 25, 8, 17, 28], (2, 3)).T)),
    "srm": lambda: [stats.srm_test([821588, 815482]).p_value],
    "cohen_d": lambda: full(stats.cohen_d(SLEEP_2, SLEEP_1)),
    "hedges_g": lambda: [stats.hedges_g(SLEEP_2, SLEEP_1).estimate],
    "cohen_dz": lambda: full(stats.cohen_dz(DARWIN)),
    "cliffs_delta": lambda: [
        stats.cliffs_delta([10, 10, 20, 20, 20, 30, 30, 30, 40, 50], [10, 20, 30, 40, 40, 50]).estimate
    ],
    "cohen_h": lambda: [stats.cohen_h(65, 100, baseline_successes=50, baseline_n=100).estimate],
    "odds_ratio": lambda: ends(stats.odds_ratio(12, 30, baseline_successes=5, baseline_n=28)),
    **{
        f"adjust_{name}": (lambda method=name: adjusted(method))
        for name in ("holm", "hochberg", "BH", "BY", "bonferroni")
    },
    "dunnett": dunnett,
    "tukey": tukey,
    "tukey_quantiles": lambda: [
        studentized_range_ppf(0.95, k, df) for k, df in ((3, 10), (4, 20), (5, np.inf), (10, np.inf), (3, 2), (2, 5))
    ],
    "dunnett_quantiles": lambda: [dunnett_point(k) for k in (2, 3, 4)],
    "nemenyi": nemenyi,
    "friedman": friedman,
    "cochran_q": lambda: outcome(stats.cochran_q({f"v{j}": PASSES[:, j] for j in range(4)})),
    "paule_mandel": shrunken,
    "dersimonian_laird": lambda: [stats.between_run_sd(BCG[0], np.sqrt(BCG[1])) ** 2],
    "within_anova": lambda: effect("nitrogen"),
    "hotelling": lambda: effect("variety"),
    "mancl_derouen": lambda: nitrogen("gee"),
    "gee": grown,
    "mixed": lambda: nitrogen("mixed"),
    "power_t": lambda: [
        stats.two_mean_power(n, n, difference=1.0, sd_candidate=1.0, sd_baseline=1.0) for n in (20, 22, 23)
    ],
    "power_paired": lambda: [stats.paired_mean_power(n, difference=0.5, sd=1.0) for n in (33, 34)],
    "power_unequal": lambda: [stats.two_mean_power(28, 35, difference=0.6, sd_candidate=1.0, sd_baseline=1.0)],
    "power_prop": lambda: [stats.two_proportion_power(500, 500, p_candidate=0.6, p_baseline=0.5)],
    "variance_dyestuff": lambda: components("dyestuff", (6, 5)),
    "variance_pastes": lambda: components("pastes", (10, 3, 2)),
    "obf_inflation": lambda: [inflation(k) for k in (2, 3, 4, 5)],
    "pocock": lambda: looks("pocock"),
    "obrien_fleming": lambda: looks("obrien_fleming"),
    "lan_demets_obrien_fleming": lambda: looks("lan_demets_obrien_fleming"),
    "lan_demets_pocock": lambda: looks("lan_demets_pocock"),
    "power_family": lambda: looks("power"),
    "uneven_looks": lambda: looks("lan_demets_obrien_fleming", (0.2, 0.5, 0.7, 1.0)),
    "spent": lambda: [stats.alpha_spent(i / 5, spending="lan_demets_obrien_fleming") for i in range(1, 6)],
    "repeated_tests": lambda: [repeated(k) for k in (2, 3, 4, 5, 10)],
    "runs": runs,
    "beta_mixture": lambda: [float(stats.discordant_e_value(21, 7))],
    "bradley_terry": lambda: teams(order=False),
    "bradley_terry_order": lambda: teams(order=True),
    "davidson": lambda: tied_games("davidson"),
    "rao_kupper": lambda: tied_games("rao_kupper"),
    "rao_kupper_se": rao_kupper_se,
    "kappa": lambda: kappa("nominal"),
    "kappa_linear": lambda: kappa("linear"),
    "kappa_quadratic": lambda: kappa("quadratic"),
    "kappa_fleiss_table": lambda: [stats.cohen_kappa(*expand(np.array([[75, 1, 4], [5, 4, 1], [0, 0, 10]]))).estimate],
    "icc": icc,
    "rogan_gladen": lambda: [
        stats.rogan_gladen(
            [1] * 310 + [0] * 690,
            calibration_judge=[1] * 90 + [0] * 10 + [1] * 20 + [0] * 180,
            calibration_human=[1] * 100 + [0] * 200,
        ).estimate
    ],
    "lin": lin,
    "cuped": cuped,
    "fieller": lambda: ends(stats.ratio_of_means(MPG, WT)),
    "ratio_delta": lambda: [(e := stats.ratio_of_means(MPG, WT, method="delta")).estimate, e.se],
    "snips": lambda: snips(None),
    "snips_clusters": lambda: snips(np.tile(np.arange(30), 5)),
    "cusum_run_lengths": lambda: [
        stats.run_length("cusum", limit=h, shift=m) for m in (0, 0.25, 0.5, 0.75, 1, 1.5, 2, 3) for h in (4, 5)
    ],
    "ewma_run_lengths": lambda: [
        stats.run_length("ewma", lam=lam, limit=limit, shift=shift)
        for shift, pairs in (
            (0, ((0.4, 3.054), (0.25, 2.998), (0.2, 2.962), (0.1, 2.814), (0.05, 2.615))),
            (1, ((0.4, 3.054), (0.25, 2.998), (0.2, 2.962), (0.1, 2.814), (0.05, 2.615))),
            (0.5, ((0.1, 2.814),)),
            (2, ((0.1, 2.814),)),
        )
        for lam, limit in pairs
    ],
    "shewhart_run_lengths": lambda: [stats.run_length("shewhart", shift=m) for m in (0, 1)],
    "nile": nile,
    "pass_at_k": lambda: stats.pass_k_values(attempts([0, 1, 3, 7]), 4).tolist(),
    "pass_hat_k": lambda: stats.pass_k_values(attempts([4, 7, 9, 10]), 4, rule="all").tolist(),
    "pareto": dominated,
    "cronbach": cronbach,
    "evan_miller": lambda: [stats.prob_beta_greater(61, 41, 51, 51)],
    "beta_greater": lambda: [stats.bayes_proportions(60, 100, 50, 100).p_better],
    "expected_loss": lambda: [stats.bayes_proportions(60, 100, 50, 100).loss_if_candidate],
}
