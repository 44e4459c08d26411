"""What R and the other libraries computed, and the data sets that they computed it from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypedDict

import numpy as np

HERE = Path(__file__).parent


class Recorded(TypedDict):
    source: str
    call: str
    value: list[float]


def recorded(name: str) -> dict[str, Recorded]:
    return json.loads((HERE / name).read_text(encoding="utf-8"))


R = recorded("r_values.json")
PYTHON = recorded("python_values.json")


def data(name: str) -> np.ndarray:
    return np.array(R[f"data_{name}"]["value"])


NA = np.nan
DARWIN = np.array([49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48], float)
SLEEP_1 = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
SLEEP_2 = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
DEPRESSION = np.array([1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30]) - np.array(
    [0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29]
)
C45 = np.array([763, 599, 954, 628, 882, 936, 661, 583, 775, 1000, 940, 619, 972, 957], float)
C45_M = np.array([768, 591, 971, 661, 888, 931, 668, 583, 838, 1000, 962, 666, 981, 978], float)
C45_CF = np.array([771, 590, 968, 654, 886, 916, 609, 563, 866, 1000, 965, 614, 975, 946], float)
C45_M_CF = np.array([798, 569, 967, 657, 898, 931, 685, 625, 875, 1000, 962, 669, 974.9, 970])
# Dunnett (1955), table 3: blood counts; R multcomp 1.4-22: summary(glht(aov(y ~ g), mcp(g = "Dunnett")))
BLOOD = {
    "control": [7.40, 8.50, 7.20, 8.24, 9.84, 8.32],
    "drug A": [9.76, 8.80, 7.68, 9.36],
    "drug B": [12.80, 9.68, 12.16, 9.20, 10.55],
}
PASSES = np.array([[1, 1, 0, 0], [1, 0, 0, 0], [1, 1, 1, 0], [1, 1, 0, 1], [0, 0, 0, 0], [1, 1, 0, 0], [1, 0, 1, 0],
                   [1, 1, 1, 1], [1, 1, 0, 0], [0, 1, 0, 0]], float)  # fmt: skip
FLIPS = [0, 1, 1, 0, 1, 0, 0, 0, 1, 1, 1, 0, 1, 1, 0, 0, 1, 0, 1, 1, 0, 0, 0, 1, 0, 1, 1, 1, 1, 0, 1, 0, 0, 1, 1, 0,
         1, 1, 0, 1]  # fmt: skip
TABLE = np.array([[44, 7, 3], [6, 30, 9], [1, 4, 21]])
RATINGS = [[1, 1, NA, 1], [2, 2, 3, 2], [3, 3, 3, 3], [3, 3, 3, 3], [2, 2, 2, 2], [1, 2, 3, 4],
           [4, 4, 4, 4], [1, 1, 2, 1], [2, 2, 2, 2], [NA, 5, 5, 5], [NA, NA, 1, 1], [NA, NA, 3, NA]]  # fmt: skip
SHROUT_FLEISS = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
_LSAT_COUNTS = [3, 6, 2, 11, 1, 1, 3, 4, 1, 8, 0, 16, 0, 3, 2, 15, 10, 29, 14, 81, 3, 28, 15, 80, 16, 56, 21, 173, 11,
                61, 28, 298]  # fmt: skip
LSAT = np.repeat([[float(v >> (4 - i) & 1) for i in range(5)] for v in range(32)], _LSAT_COUNTS, axis=0)
NILE = [1120, 1160, 963, 1210, 1160, 1160, 813, 1230, 1370, 1140, 995, 935, 1110, 994, 1020, 960, 1180, 799, 958, 1140,
        1100, 1210, 1150, 1250, 1260, 1220, 1030, 1100, 774, 840, 874, 694, 940, 833, 701, 916, 692, 1020, 1050, 969,
        831, 726, 456, 824, 702, 1120, 1100, 832, 764, 821, 768, 845, 864, 862, 698, 845, 744, 796, 1040, 759, 781, 865,
        845, 944, 984, 897, 822, 1010, 771, 676, 649, 846, 812, 742, 801, 1040, 860, 874, 848, 890, 744, 749, 838, 1050,
        918, 986, 797, 923, 975, 815, 1020, 906, 901, 1170, 912, 746, 919, 718, 714, 740]  # fmt: skip
# Games of three players: first, second, wins of the first, ties, losses.
CHESS = [(1, 2, 14, 6, 5), (2, 1, 7, 5, 10), (1, 3, 11, 4, 9), (3, 1, 6, 8, 12), (2, 3, 9, 3, 6), (3, 2, 8, 7, 11)]
# Agresti (2002), Categorical Data Analysis, table 10.10: American League East 1987; home, away, home wins, away wins.
# As `baseball` in R BradleyTerry2.
BASEBALL = """
Milwaukee Detroit 4 3, Milwaukee Toronto 4 2, Milwaukee NewYork 4 3, Milwaukee Boston 6 1, Milwaukee Cleveland 4 2,
Milwaukee Baltimore 6 0, Detroit Milwaukee 3 3, Detroit Toronto 4 2, Detroit NewYork 4 3, Detroit Boston 6 0,
Detroit Cleveland 6 1, Detroit Baltimore 4 3, Toronto Milwaukee 2 5, Toronto Detroit 4 3, Toronto NewYork 2 4,
Toronto Boston 4 3, Toronto Cleveland 4 2, Toronto Baltimore 6 0, NewYork Milwaukee 3 3, NewYork Detroit 5 1,
NewYork Toronto 2 5, NewYork Boston 4 3, NewYork Cleveland 4 2, NewYork Baltimore 6 1, Boston Milwaukee 5 1,
Boston Detroit 2 5, Boston Toronto 3 3, Boston NewYork 4 2, Boston Cleveland 5 2, Boston Baltimore 6 0,
Cleveland Milwaukee 2 5, Cleveland Detroit 3 3, Cleveland Toronto 3 4, Cleveland NewYork 4 3, Cleveland Boston 4 2,
Cleveland Baltimore 2 4, Baltimore Milwaukee 2 5, Baltimore Detroit 1 5, Baltimore Toronto 1 6, Baltimore NewYork 2 4,
Baltimore Boston 1 6, Baltimore Cleveland 3 4
"""
TEAMS = ("Boston", "Cleveland", "Detroit", "Milwaukee", "NewYork", "Toronto")


def games(rows: list[tuple[str, str, int, int, int]]) -> tuple[list[str], list[str], list[float]]:
    first: list[str] = []
    second: list[str] = []
    outcome: list[float] = []
    for a, b, won, tied, lost in rows:
        for result, count in ((1.0, won), (0.5, tied), (0.0, lost)):
            first += [a] * count
            second += [b] * count
            outcome += [result] * count
    return first, second, outcome


def baseball() -> tuple[list[str], list[str], list[float]]:
    rows = [game.split() for game in BASEBALL.split(",")]
    return games([(home, away, int(won), 0, int(lost)) for home, away, won, lost in rows])


def chess() -> tuple[list[str], list[str], list[float]]:
    return games([(str(a), str(b), won, tied, lost) for a, b, won, tied, lost in CHESS])


def expand(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    i, j = np.indices(table.shape)
    return np.repeat(i.ravel(), table.ravel()), np.repeat(j.ravel(), table.ravel())
