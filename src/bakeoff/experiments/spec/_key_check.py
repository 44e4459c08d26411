"""API keys and prices that a run will need, looked for before anything is asked."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol

from bakeoff.errors import BakeoffError, SpecError
from bakeoff.evaluators import models_asked
from bakeoff.experiments.spec._kept_keys import variables_of
from bakeoff.gateway import missing_env, price_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bakeoff.evaluators import Evaluator, Guard
    from bakeoff.experiments.spec._spec import ExperimentSpec
    from bakeoff.targets import VariantTarget

__all__ = ["Add", "judge_keys", "missing_names", "model_keys"]

_NEEDS = re.compile(r"needs the environment variable (\S+), which is not set")


class Add(Protocol):
    def __call__(self, message: str, *key: str | int, fix: str = "") -> None: ...


class _Adopt(Protocol):
    def __call__(self, error: BakeoffError, *key: str | int) -> None: ...


def missing_names(message: str) -> list[str]:
    """Return the variables that a problem of this module names."""
    return _NEEDS.findall(message)


def model_keys(
    spec: ExperimentSpec, variants: Mapping[str, VariantTarget], env: Mapping[str, str], *, add: Add, adopt: _Adopt
) -> None:
    """Name the keys that models need and do not have, and prices that cannot be known; each once."""
    said: set[str] = set()
    called = [(variant, model) for variant in variants.values() for model in variant.models]
    for variant, model in called:
        place = next((key for key, value in spec.models.items() if value is model), None)
        key = ("models", place) if place is not None else ("models",)
        try:
            missing = missing_env(model.model, env, api_base=model.api_base, api_key_env=model.api_key_env)
            price_of(model.model, spec.gateway, params=variant.params if variant.agent is None else model.call_params())
        except SpecError as error:
            adopt(error, *key)
            continue
        missing += [name for name in variables_of(model.headers) if not env.get(name)]
        for name in missing:
            if name not in said:
                said.add(name)
                _tell(add, model.model, name, key)


def judge_keys(
    spec: ExperimentSpec,
    evaluators: Sequence[Evaluator],
    guards: Sequence[Guard],
    env: Mapping[str, str],
    *,
    said: set[str],
    add: Add,
) -> None:
    """Name keys that only judges need: a run that finds out at the end has paid for answers nobody judges."""
    asking: list[tuple[tuple[str | int, ...], Evaluator]] = []
    for section, found, declared in (
        ("evaluators", evaluators, len(spec.evaluators)),
        ("guards", [guard.evaluator for guard in guards], len(spec.guards)),
    ):
        placed = len(found) == declared
        asking += [((section, index) if placed else (section,), one) for index, one in enumerate(found)]
    for key, evaluator in asking:
        for asked in models_asked(evaluator):
            missing = missing_env(asked.model, env, api_base=asked.api_base, api_key_env=asked.api_key_env)
            for name in missing:
                if name not in said:
                    said.add(name)
                    _tell(add, asked.model, name, key)


def _tell(add: Add, model: str, name: str, key: Sequence[str | int]) -> None:
    fix = f"export {name}=..., or put it into a file and pass `--env-file FILE`"
    add(f"the model {model!r} needs the environment variable {name}, which is not set", *key, fix=fix)
