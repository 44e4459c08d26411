from __future__ import annotations

import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bakeoff.experiments._json import dumps, loads

ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.just("\ud800 lone"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=4), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(ANY)
def test_whatever_comes_is_one_line_of_json(value: object) -> None:
    line = dumps(value)
    assert b"\n" not in line
    json.loads(line)


@given(PLAIN)
def test_plain_data_comes_back_unchanged(value: object) -> None:
    assert loads(dumps(value)) == value


def test_what_is_not_json_becomes_text() -> None:
    assert loads(dumps({"big": 2**80, "lone": "a\ud800b", "object": object})) == {
        "big": str(2**80),
        "lone": "a���b",
        "object": "<class 'object'>",
    }


def test_numbers_of_other_libraries_stand_beside_what_is_not_json() -> None:
    class Level(int):
        pass

    assert loads(dumps({"n": np.float64(2.5), "i": Level(3), "s": {1}})) == {"n": 2.5, "i": 3, "s": [1]}
