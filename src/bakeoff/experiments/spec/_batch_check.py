"""What batch mode cannot do, found before anything is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bakeoff.gateway import has_batches

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bakeoff.experiments.spec._spec import ExperimentSpec
    from bakeoff.targets import VariantTarget

__all__ = ["batch_problems"]

_LIVE = "set `gateway.mode: live`"


def batch_problems(
    spec: ExperimentSpec, variants: Mapping[str, VariantTarget]
) -> list[tuple[str, tuple[str, ...], str]]:
    """Return (problem, key, fix) for everything in an experiment that `gateway.mode: batch` cannot serve."""
    problems: list[tuple[str, tuple[str, ...], str]] = []
    if spec.allocation.method != "fixed":
        message = f"{spec.allocation.method!r} looks at answers on the way, and a batch has none until it is done"
        problems.append((message, ("allocation",), f"use `allocation: fixed`, or {_LIVE}"))
    if spec.gateway.stream:
        problems.append(("nothing is streamed in a batch", ("gateway", "stream"), f"leave it out, or {_LIVE}"))
    for name, variant in variants.items():
        if variant.prompt is None or variant.model is None:
            message = f"variant {name!r} is no prompt on a model, and only those can be put into a batch"
        elif not has_batches(variant.model.model):
            message = f"variant {name!r}: the provider of {variant.model.model!r} has no batch API that Bakeoff speaks"
        elif variant.model.stream:
            message = f"variant {name!r}: {variant.model.model!r} is to be streamed, and nothing is streamed in a batch"
        else:
            continue
        fix = f"use `openai/...`, `groq/...` or `anthropic/...` for every variant, or {_LIVE}"
        problems.append((message, ("gateway", "mode"), fix))
    return problems
