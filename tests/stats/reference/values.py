"""Computes every value of python_values.json with other people's libraries, in an environment of their own.

Not part of the test run. In a throw-away environment:

    pip install irrCAC krippendorff scikit-learn pingouin girth ppi-python ruptures
    python tests/stats/reference/values.py
    pip install mabwiser savvi tea-tasting   # these need numpy 2: a second environment
    python tests/stats/reference/values.py

Values of libraries that are not installed stay as they were.
"""

import json
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

FILE = Path(__file__).with_name("python_values.json")
NA = np.nan
RATINGS = [[1, 1, NA, 1], [2, 2, 3, 2], [3, 3, 3, 3], [3, 3, 3, 3], [2, 2, 2, 2], [1, 2, 3, 4],
           [4, 4, 4, 4], [1, 1, 2, 1], [2, 2, 2, 2], [NA, 5, 5, 5], [NA, NA, 1, 1], [NA, NA, 3, NA]]  # fmt: skip
TABLE = np.array([[44, 7, 3], [6, 30, 9], [1, 4, 21]])
ICC = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
PATTERNS = [3, 6, 2, 11, 1, 1, 3, 4, 1, 8, 0, 16, 0, 3, 2, 15, 10, 29, 14, 81, 3, 28, 15, 80, 16, 56, 21, 173, 11, 61,
            28, 298]  # fmt: skip
NILE = [1120, 1160, 963, 1210, 1160, 1160, 813, 1230, 1370, 1140, 995, 935, 1110, 994, 1020, 960, 1180, 799, 958, 1140,
        1100, 1210, 1150, 1250, 1260, 1220, 1030, 1100, 774, 840, 874, 694, 940, 833, 701, 916, 692, 1020, 1050, 969,
        831, 726, 456, 824, 702, 1120, 1100, 832, 764, 821, 768, 845, 864, 862, 698, 845, 744, 796, 1040, 759, 781, 865,
        845, 944, 984, 897, 822, 1010, 771, 676, 649, 846, 812, 742, 801, 1040, 860, 874, 848, 890, 744, 749, 838, 1050,
        918, 986, 797, 923, 975, 815, 1020, 906, 901, 1170, 912, 746, 919, 718, 714, 740]  # fmt: skip
CONTEXTS = [[1.0, 0.2], [0.4, 1.0], [0.8, 0.8], [0.1, 0.9], [1.0, 0.0], [0.3, 0.3]]
REWARDS = [1.0, 0.0, 1.0, 1.0, 0.0, 1.0]
ARMS = ["a", "a", "b", "b", "a", "b"]
# 40 judged items, the first 16 with a label by hand: verdicts and labels repeat a pattern without a random generator.
JUDGE = [float((7 * i % 10) in (0, 1, 2, 3, 4, 5)) for i in range(40)]
HUMAN = [float((7 * i % 10) in (0, 1, 2, 3) or i % 11 == 6) for i in range(16)]


def irrcac(weights: str, name: str) -> list[float]:
    import pandas as pd
    from irrCAC.raw import CAC

    found = getattr(CAC(pd.DataFrame(RATINGS), weights=weights), name)()["est"]
    return [found["coefficient_value"], found["se"], found["confidence_interval"][0]]


def alpha(level: str) -> list[float]:
    import krippendorff

    return [krippendorff.alpha(reliability_data=np.transpose(RATINGS), level_of_measurement=level)]


def kappa(weights: str | None) -> list[float]:
    from sklearn.metrics import cohen_kappa_score

    i, j = np.indices(TABLE.shape)
    columns = (np.repeat(index.ravel(), TABLE.ravel()) for index in (i, j))
    return [cohen_kappa_score(*columns, weights=weights)]


def icc() -> list[float]:
    import pandas as pd
    import pingouin

    rows = [{"item": i, "rater": j, "score": v} for i, row in enumerate(ICC) for j, v in enumerate(row)]
    return pingouin.intraclass_corr(pd.DataFrame(rows), "item", "rater", "score")["ICC"].tolist()


def two_parameters() -> list[float]:
    from girth import twopl_mml

    bits = [[v >> (4 - i) & 1 for i in range(5)] for v in range(32)]
    data = np.repeat(bits, PATTERNS, axis=0).T
    found = twopl_mml(data, {"quadrature_n": 61, "max_iteration": 500})
    return [*found["Discrimination"].tolist(), *found["Difficulty"].tolist()]


def ppi(weight: float | None) -> list[float]:
    from ppi_py import ppi_mean_pointestimate

    labelled, rest = np.array(JUDGE[:16]), np.array(JUDGE[16:])
    return np.ravel(ppi_mean_pointestimate(np.array(HUMAN), labelled, rest, lam=weight)).tolist()


def nile() -> list[float]:
    import ruptures

    return ruptures.Dynp(model="l2", min_size=2, jump=1).fit(np.array(NILE, float)).predict(n_bkps=1)[:1]


def mab(policy: str) -> list[float]:
    from mabwiser.mab import MAB, LearningPolicy

    if policy == "linucb":
        bandit = MAB(["a", "b"], LearningPolicy.LinUCB(alpha=0.0, l2_lambda=1.0))
        bandit.fit(ARMS, REWARDS, CONTEXTS)
        found = bandit.predict_expectations([[0.5, 0.6]])
    else:
        bandit = MAB(["a", "b"], LearningPolicy.UCB1(alpha=1.0))
        bandit.fit(ARMS + ["a"] * 4, [*REWARDS, 1.0, 1.0, 0.0, 1.0])
        found = bandit.predict_expectations()
    return [float(found["a"]), float(found["b"])]


def ratio_e_value() -> list[float]:
    from savvi.multinomial import Multinomial

    test = Multinomial(0.05, np.array([0.25, 0.25, 0.5]), k=100)
    test.update(np.array([30, 28, 45]))
    return [float(test.odds)]


def sample_ratio() -> list[float]:
    import pandas as pd
    import tea_tasting

    table = pd.DataFrame({"variant": np.repeat([0, 1], [8215, 7912])})
    metric = tea_tasting.SampleRatio(method="norm", correction=False)
    return [tea_tasting.Experiment(m=metric).analyze(table)["m"].pvalue]


VALUES: dict[str, tuple[str, str, Callable[[], list[float]]]] = {
    "fleiss": ("irrCAC", "CAC(ratings).fleiss()", lambda: irrcac("identity", "fleiss")),
    "ac1": ("irrCAC", "CAC(ratings).gwet()", lambda: irrcac("identity", "gwet")),
    "ac2_linear": ("irrCAC", "CAC(ratings, weights='linear').gwet()", lambda: irrcac("linear", "gwet")),
    "ac2_quadratic": ("irrCAC", "CAC(ratings, weights='quadratic').gwet()", lambda: irrcac("quadratic", "gwet")),
    "fleiss_linear": ("irrCAC", "CAC(ratings, weights='linear').fleiss()", lambda: irrcac("linear", "fleiss")),
    "alpha_irrcac": ("irrCAC", "CAC(ratings).krippendorff()", lambda: irrcac("identity", "krippendorff")[:1]),
    "alpha_nominal": ("krippendorff", "alpha(ratings.T, 'nominal')", lambda: alpha("nominal")),
    "alpha_ordinal": ("krippendorff", "alpha(ratings.T, 'ordinal')", lambda: alpha("ordinal")),
    "alpha_interval": ("krippendorff", "alpha(ratings.T, 'interval')", lambda: alpha("interval")),
    "alpha_ratio": ("krippendorff", "alpha(ratings.T, 'ratio')", lambda: alpha("ratio")),
    "kappa_sklearn": ("scikit-learn", "cohen_kappa_score(a, b)", lambda: kappa(None)),
    "kappa_linear_sklearn": ("scikit-learn", "cohen_kappa_score(a, b, weights='linear')", lambda: kappa("linear")),
    "kappa_quadratic_sklearn": (
        "scikit-learn",
        "cohen_kappa_score(a, b, weights='quadratic')",
        lambda: kappa("quadratic"),
    ),
    "icc_pingouin": ("pingouin", "intraclass_corr(table, 'item', 'rater', 'score')", icc),
    "two_parameters": ("girth", "twopl_mml(lsat6)", two_parameters),
    "ppi_classic": ("ppi-python", "ppi_mean_pointestimate(human, judge, rest, lam=1)", lambda: ppi(1.0)),
    "ppi_tuned": ("ppi-python", "ppi_mean_pointestimate(human, judge, rest, lam=None)", lambda: ppi(None)),
    "nile_ruptures": ("ruptures", "Dynp(model='l2', min_size=2, jump=1).fit(nile).predict(1)", nile),
    "linucb": ("mabwiser", "MAB(arms, LearningPolicy.LinUCB(0)).predict_expectations(context)", lambda: mab("linucb")),
    "ucb1": ("mabwiser", "MAB(arms, LearningPolicy.UCB1(1)).predict_expectations()", lambda: mab("ucb1")),
    "ratio_e_value": ("savvi", "Multinomial(0.05, [1/4, 1/4, 1/2], k=100).update([30, 28, 45]).odds", ratio_e_value),
    "srm_tea_tasting": ("tea-tasting", "SampleRatio(method='norm', correction=False)", sample_ratio),
}


def main() -> None:
    found = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}
    for name, (package, call, compute) in VALUES.items():
        try:
            source = f"{package} {version(package)}"
            value = [float(f"{v:.10g}") for v in compute()]
        except (PackageNotFoundError, ImportError) as missing:
            sys.stderr.write(f"{name}: left as it was ({missing})\n")
            continue
        found[name] = {"source": source, "call": call, "value": value}
    lines = ",\n".join(f'"{name}": {json.dumps(found[name])}' for name in VALUES if name in found)
    FILE.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")
    sys.stderr.write(f"{len(found)} values\n")


if __name__ == "__main__":
    main()
