from __future__ import annotations

import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bakeoff.experiments import ExperimentSpec
from bakeoff.experiments.spec._variants import expand_variants


def spec(**keys: Any) -> ExperimentSpec:
    base: dict[str, Any] = {
        "name": "x",
        "dataset": {"rows": [{"id": "1", "q": "x"}]},
        "prompts": {"p1": "a", "p2": "b"},
        "models": {"m1": "sim/small", "m2": "sim/large"},
        "evaluators": ["contains"],
    }
    return ExperimentSpec.model_validate({**base, **keys})


def test_every_prompt_on_every_model_by_default() -> None:
    variants, problems = expand_variants(spec())
    assert not problems
    assert list(variants) == ["p1+m1", "p1+m2", "p2+m1", "p2+m2"]
    assert variants["p2+m1"] == {"prompt": "p2", "model": "m1"}


def test_only_what_varies_is_in_the_name() -> None:
    variants, _ = expand_variants(spec(factors={"prompt": ["p1"], "model": ["m1"], "temperature": [0, 0.7]}))
    assert list(variants) == ["temperature=0", "temperature=0.7"]


def test_factors_left_open_are_filled_in() -> None:
    variants, _ = expand_variants(spec(factors={"temperature": [0, 1]}))
    assert len(variants) == 8


def test_exclusions_match_partially() -> None:
    variants, problems = expand_variants(spec(exclude=[{"prompt": "p1", "model": "m2"}]))
    assert not problems
    assert list(variants) == ["p1+m1", "p2+m1", "p2+m2"]


def test_exclusions_are_checked() -> None:
    _, problems = expand_variants(spec(exclude=[{"prompt": "p9"}, {"colour": "red"}]))
    assert [problem.key for problem in problems] == ["exclude.0", "exclude.1"]


def test_targets_alone_are_the_variants() -> None:
    variants, _ = expand_variants(
        spec(prompts={}, models={}, targets={"old": {"recorded": "a"}, "new": {"recorded": "b"}})
    )
    assert variants == {"old": {"target": "old"}, "new": {"target": "new"}}


def test_no_models_is_said() -> None:
    _, problems = expand_variants(spec(models={}))
    assert problems[0].message == "there are no models to compare"


@given(st.dictionaries(st.sampled_from(["prompt", "model", "temperature", "top_p"]), st.integers(1, 3), min_size=1))
def test_the_cross_is_full_and_names_are_unique(sizes: dict[str, int]) -> None:
    levels: dict[str, list[Any]] = {
        "prompt": ["p1", "p2"],
        "model": ["m1", "m2"],
        "temperature": [0, 0.5, 1],
        "top_p": [0.1, 0.2, 0.3],
    }
    factors = {name: levels[name][:size] for name, size in sizes.items()}
    variants, problems = expand_variants(spec(factors=factors))
    assert not problems
    complete = {"prompt": levels["prompt"], "model": levels["model"], **factors}
    assert len(variants) == math.prod(len(values) for values in complete.values())
    assert len({tuple(sorted(v.items())) for v in variants.values()}) == len(variants)


def test_a_fraction_of_the_cross_keeps_main_effects_apart() -> None:
    """Half of 2^4 with D = A x B x C (Box, Hunter & Hunter 2005, table 6.22): every pair of levels equally often."""
    factors = {"prompt": ["p1", "p2"], "model": ["m1", "m2"], "temperature": [0, 1], "top_p": [0.5, 1.0]}
    variants, problems = expand_variants(spec(factors=factors, max_cells=8))
    assert not problems
    assert len(variants) == 8
    for one, two in [("prompt", "model"), ("prompt", "top_p"), ("model", "temperature"), ("temperature", "top_p")]:
        pairs = [(levels[one], levels[two]) for levels in variants.values()]
        assert sorted(pairs.count(pair) for pair in set(pairs)) == [2, 2, 2, 2]
    levels = next(iter(variants.values()))
    assert isinstance(levels["temperature"], int), "levels keep their types"


def test_a_cross_that_fits_is_run_whole() -> None:
    assert len(expand_variants(spec(max_cells=4))[0]) == 4


def test_too_few_cells_and_mixed_wishes_are_said() -> None:
    factors = {"prompt": ["p1", "p2"], "model": ["m1", "m2"], "temperature": [0, 1]}
    for keys in (
        {"factors": factors, "max_cells": 2},
        {"factors": factors, "max_cells": 4, "exclude": [{"prompt": "p1", "model": "m2"}]},
        {"variants": {"a": {"prompt": "p1", "model": "m1"}, "b": {"prompt": "p2", "model": "m1"}}, "max_cells": 2},
    ):
        _, problems = expand_variants(spec(**keys))
        assert [problem.key for problem in problems] == ["max_cells"], keys
