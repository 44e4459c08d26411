"""From factors to variants: the full cross, an explicit list, exclusions."""

from __future__ import annotations

import itertools
from math import prod
from typing import TYPE_CHECKING, Any

from bakeoff.errors import SpecProblem, StatsError
from bakeoff.experiments._json import dumps
from bakeoff.stats import plan_cells

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bakeoff.experiments.spec._spec import ExperimentSpec
    from bakeoff.stats import CellPlan

__all__ = ["chosen_cells", "expand_variants"]

_MAX_VARIANTS = 10_000
Levels = dict[str, Any]


def expand_variants(spec: ExperimentSpec) -> tuple[dict[str, Levels], list[SpecProblem]]:
    """Return the variants by name, and what is wrong with them.

    Without `variants` and `factors`: every target, or every prompt on every model.
    """
    if spec.variants:
        return _explicit(spec)
    factors = dict(spec.factors) or _default_factors(spec)
    problems = _check_factors(factors)
    if problems:
        return {}, problems
    _complete(factors, spec)
    size = 1
    for levels in factors.values():
        size *= len(levels)
    if size > _MAX_VARIANTS:
        return {}, [
            SpecProblem(f"the cross has {size} variants", key="factors", fix="leave levels out or list `variants`")
        ]
    variants: dict[str, Levels] = {}
    combinations, more = _combinations(spec, factors)
    problems += more
    for combination in combinations:
        levels = dict(zip(factors, combination, strict=True))
        if not any(_matches(levels, pattern) for pattern in spec.exclude):
            variants[_name(levels, factors)] = levels
    problems += _check_exclusions(spec, factors)
    if not variants and not problems:
        problems.append(SpecProblem("leaves no variant", key="exclude", fix="remove a rule"))
    return variants, problems


def chosen_cells(spec: ExperimentSpec) -> CellPlan | None:
    """Return which combinations `max_cells` leaves and what they cannot tell apart; `None` when all are run."""
    if spec.max_cells is None or spec.variants:
        return None
    factors = dict(spec.factors) or _default_factors(spec)
    _complete(factors, spec)
    varied = {name: [_key(level) for level in levels] for name, levels in factors.items() if len(levels) > 1}
    if prod(len(levels) for levels in varied.values()) <= spec.max_cells:
        return None
    return plan_cells(varied, max_cells=spec.max_cells, rng=spec.seed)


def _combinations(
    spec: ExperimentSpec, factors: Mapping[str, list[Any]]
) -> tuple[list[tuple[Any, ...]], list[SpecProblem]]:
    everything = list(itertools.product(*factors.values()))
    if spec.max_cells is not None and spec.exclude:
        message = "`max_cells` chooses combinations by itself and cannot go with `exclude`"
        return everything, [SpecProblem(message, key="max_cells", fix="keep one of the two")]
    try:
        plan = chosen_cells(spec)
    except StatsError as error:
        return everything, [SpecProblem(str(error), key="max_cells", fix="allow more, or vary fewer factors")]
    if plan is None:
        return everything, []
    kept = set(plan.keys)
    varied = [place for place, levels in enumerate(factors.values()) if len(levels) > 1]
    return [row for row in everything if tuple(_key(row[place]) for place in varied) in kept], []


def _key(level: Any) -> str:
    return level if isinstance(level, str) else dumps(level).decode()


def _default_factors(spec: ExperimentSpec) -> dict[str, list[Any]]:
    if spec.targets:
        return {"target": list(spec.targets)}
    return {"prompt": list(spec.prompts), "model": list(spec.models)}


def _complete(factors: dict[str, list[Any]], spec: ExperimentSpec) -> None:
    """Fill in what the factors leave open and the file has only one of."""
    if "target" in factors:
        return
    if "prompt" not in factors and spec.targets and ("model" not in factors or not spec.prompts):
        factors["target"] = list(spec.targets)
        return
    for factor, named in (("prompt", spec.prompts), ("model", spec.models)):
        if factor not in factors and named:
            factors[factor] = list(named)


def _check_factors(factors: Mapping[str, list[Any]]) -> list[SpecProblem]:
    problems: list[SpecProblem] = []
    for factor, levels in factors.items():
        key = f"factors.{factor}"
        if not levels:
            what = f"{factor}s" if factor in ("prompt", "model", "target") else "levels"
            fix = f"define `{factor}s:`, or define `targets:`" if factor in ("prompt", "model") else "add a level"
            problems.append(SpecProblem(f"there are no {what} to compare", key=key, fix=fix))
        repeated = [level for index, level in enumerate(levels) if level in levels[:index]]
        problems += [SpecProblem(f"the level {level!r} stands twice", key=key, fix="remove one") for level in repeated]
    return problems


def _check_exclusions(spec: ExperimentSpec, factors: Mapping[str, list[Any]]) -> list[SpecProblem]:
    problems: list[SpecProblem] = []
    for index, pattern in enumerate(spec.exclude):
        for factor, level in pattern.items():
            if factor not in factors:
                message = f"there is no factor {factor!r}; the factors are {', '.join(factors)}"
                problems.append(SpecProblem(message, key=f"exclude.{index}", fix="name one of them"))
            elif level not in factors[factor]:
                known = ", ".join(map(repr, factors[factor]))
                message = f"{factor} has no level {level!r}; it has {known}"
                problems.append(SpecProblem(message, key=f"exclude.{index}", fix="name one of them"))
    return problems


def _explicit(spec: ExperimentSpec) -> tuple[dict[str, Levels], list[SpecProblem]]:
    problems: list[SpecProblem] = []
    variants: dict[str, Levels] = {}
    for name, levels in spec.variants.items():
        # `variants: {a: {}}` with a target of that name is the shortest way to say which targets to compare.
        complete = dict(levels) if levels or name not in spec.targets else {"target": name}
        if any(factor == "agent" or factor.startswith("agent.") for factor in complete):
            variants[name] = complete  # an agent has its prompts and models inside
            continue
        if complete.get("target") is None and "prompt" not in complete and len(spec.prompts) == 1:
            complete["prompt"] = next(iter(spec.prompts))
        if complete.get("target") is None and "model" not in complete and len(spec.models) == 1:
            complete["model"] = next(iter(spec.models))
        twin = next((other for other, taken in variants.items() if taken == complete), None)
        if twin is not None:
            message = f"is a duplicate of {twin!r}: the same levels"
            problems.append(SpecProblem(message, key=f"variants.{name}", fix="change a level or remove one of them"))
        variants[name] = complete
    if spec.max_cells is not None:
        problems.append(SpecProblem("`max_cells` goes with `factors`", key="max_cells", fix="remove it, or `variants`"))
    if spec.exclude:
        problems.append(SpecProblem("`exclude` goes with `factors`", key="exclude", fix="remove the variant itself"))
    return variants, problems


def _matches(levels: Mapping[str, Any], pattern: Mapping[str, Any]) -> bool:
    return all(levels.get(factor) == level for factor, level in pattern.items())


def _name(levels: Mapping[str, Any], factors: Mapping[str, list[Any]]) -> str:
    varied = [factor for factor in levels if len(factors[factor]) > 1] or list(levels)[:1]
    named = ("prompt", "model", "target")
    parts = [
        str(levels[f]).replace("/", "-") if f in named else f"{_short(f, factors)}={_level(levels[f])}" for f in varied
    ]
    return "+".join(parts)


def _short(factor: str, factors: Mapping[str, list[Any]]) -> str:
    """Return the shortest end of a dotted path that no other factor shares: `agent.memory.policy` is `policy`."""
    parts = factor.split(".")
    if parts[0] != "agent":
        return factor
    ends = (".".join(parts[-length:]) for length in range(1, len(parts) + 1))
    alone = (end for end in ends if sum(other == end or other.endswith(f".{end}") for other in factors) == 1)
    found = next(alone, factor)
    # `steps.draft.model` is `draft.model`, even where it is the only model that is varied: the step says which.
    return f"{parts[-2]}.{found}" if "steps" in parts[:-2] and "." not in found else found


def _level(level: Any) -> str:
    if isinstance(level, dict):
        return "(" + ",".join(f"{key}={_level(value)}" for key, value in level.items()) + ")"
    return str(level)
