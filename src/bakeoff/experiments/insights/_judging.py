"""Pairs of answers of a finished run judged blind by a model, kept, and what the judge itself leans to."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, replace
from itertools import combinations
from math import nan
from typing import TYPE_CHECKING, Any

from bakeoff.datasets import Item
from bakeoff.errors import SpecError, StoreError
from bakeoff.evaluators import (
    EvaluatorContext,
    PairOutcome,
    Pairwise,
    compare_pairs,
    copy_bias,
    dress_answer,
    load_evaluator,
    models_asked,
    pad_answer,
    position_bias,
    self_preference,
)
from bakeoff.experiments._json import dumps, loads
from bakeoff.experiments.analysis._order import dispatch_order
from bakeoff.experiments.spec._spec import ExperimentSpec
from bakeoff.gateway import BudgetSpec, Gateway, missing_env

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

    from bakeoff.evaluators import BiasReport
    from bakeoff.experiments.store._manifest import Manifest
    from bakeoff.experiments.store._store import LocalStore
    from bakeoff.gateway import ModelClient

__all__ = ["Preference", "judge_biases", "judge_pairs"]

_BATCH = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Preference:
    """One look at two answers to the same item, in one order."""

    item_id: str
    first: str
    """Variant shown first."""
    second: str
    outcome: float
    """1 when the first was preferred, 0 the second, 0.5 for a tie; `nan` without a verdict."""
    longer: float = 0.0
    """Characters of the first less those of the second, in hundreds."""
    by: str = ""
    """Judge or annotator."""
    error: str = ""
    """Why there is no verdict."""


async def judge_pairs(
    store: LocalStore,
    run_id: str,
    judge: Mapping[str, Any],
    *,
    items: int | None = None,
    pairs: str = "baseline",
    budget_usd: float | None = None,
    client: ModelClient | None = None,
) -> tuple[list[Preference], float]:
    """Let a model prefer one of two answers, blind and in both orders, for the pairs of a finished run.

    Every outcome is written to `duels.jsonl` in the run's folder before the next batch is asked for: asked again, the
    same judge is not paid twice. The first repeat of each trial is shown.

    Args:
        store: Where the run is.
        run_id: The run.
        judge: Options of the `pairwise` evaluator: `model`, `criterion`, `ties`, ...
        items: Judge so many items, drawn at random; all when omitted.
        pairs: Each variant with the `baseline`, or `all` pairs.
        budget_usd: Stop asking when this is spent.
        client: The door to the model; a gateway with the run's limits when omitted.

    Returns:
        The preferences, and what they cost this time in USD.

    Raises:
        SpecError: The run is not finished, or has fewer than two variants.
        EvaluatorError: The judge is configured wrongly.
    """
    manifest, built = _sealed(store, run_id), _built(judge)
    if len(manifest.variants) < 2:
        raise SpecError(f"the run {run_id!r} has one variant: there is nothing to rank")
    tasks = _pairs(store, manifest, items=items, pairs=pairs)
    outcomes, cost = await _judged(store, manifest, built, tasks, budget_usd=budget_usd, client=client)
    return [look for outcome in outcomes for look in _looks(outcome, built.model)], cost


async def judge_biases(
    store: LocalStore,
    run_id: str,
    judge: Mapping[str, Any],
    *,
    items: int = 30,
    own: Collection[str] = (),
    budget_usd: float | None = None,
    client: ModelClient | None = None,
) -> tuple[tuple[BiasReport, ...], float]:
    """Measure what a pairwise judge leans to: position, length, formatting, and the answers of its own family.

    Position comes from both orders of every pair of variants; length and formatting from comparing answers of the
    baseline with padded and dressed-up copies of themselves; self-preference from pairs with exactly one variant of
    `own`. Judgements are kept as those of `judge_pairs` are.

    Args:
        store: Where the run is.
        run_id: The run.
        judge: Options of the `pairwise` evaluator.
        items: Items to judge, drawn at random.
        own: Variants whose model is of the judge's family.
        budget_usd: Stop asking when this is spent.
        client: The door to the model; a gateway with the run's limits when omitted.

    Returns:
        One report for each bias, and what they cost this time in USD.

    Raises:
        SpecError: The run is not finished, or `own` names no variant of it.
    """
    manifest, built = _sealed(store, run_id), _built(judge)
    unknown = sorted(set(own) - set(manifest.variant_names))
    if unknown:
        raise SpecError(f"there is no variant {unknown[0]!r}; this run has {', '.join(manifest.variant_names)}")
    pairs = _pairs(store, manifest, items=items, pairs="all") if len(manifest.variants) > 1 else []
    answers, shown = _answers(store, run_id)
    chosen = dispatch_order(list(shown), None, int(manifest.spec.get("seed", 0)))[:items]
    ids = [list(shown)[place] for place in chosen]
    plain = [answers[manifest.baseline, item] for item in ids if (manifest.baseline, item) in answers]
    longer = [(one, _copy(one, pad_answer, "padded")) for one in plain]
    dressed = [(one, _copy(one, dress_answer, "dressed")) for one in plain]
    outcomes, cost = await _judged(
        store, manifest, built, [*pairs, *longer, *dressed], budget_usd=budget_usd, client=client
    )
    first, last = len(pairs), len(pairs) + len(longer)
    reports = [position_bias(outcomes), copy_bias(outcomes[first:last], kind="length"), copy_bias(outcomes[last:])]
    if own:
        reports.append(self_preference(outcomes[:first], own=own))
    return tuple(reports), cost


def _copy(answer: EvaluatorContext, change: Callable[[str], str], name: str) -> EvaluatorContext:
    text = answer.output if isinstance(answer.output, str) else dumps(answer.output).decode()
    return replace(answer, output=change(text), variant=f"{answer.variant} ({name})")


def _sealed(store: LocalStore, run_id: str) -> Manifest:
    manifest = store.manifest(run_id)
    if manifest.status not in ("complete", "partial"):
        raise SpecError(f"the run {run_id!r} is {manifest.status}: its answers can be judged when it is sealed")
    return manifest


def _built(judge: Mapping[str, Any]) -> Pairwise:
    built = load_evaluator({"pairwise": dict(judge)})
    if not isinstance(built, Pairwise):
        raise SpecError("only the `pairwise` evaluator compares answers")
    return built


def _pairs(
    store: LocalStore, manifest: Manifest, *, items: int | None, pairs: str
) -> list[tuple[EvaluatorContext, EvaluatorContext]]:
    """Return the answers to compare: the same items for every pair of variants, in random order."""
    answers, shown = _answers(store, manifest.run_id)
    ids = list(shown)
    chosen = dispatch_order(ids, None, int(manifest.spec.get("seed", 0)))[: items or len(ids)]
    names, base = manifest.variant_names, manifest.baseline
    wanted = list(combinations(names, 2)) if pairs == "all" else [(name, base) for name in names if name != base]
    return [
        (answers[a, ids[place]], answers[b, ids[place]])
        for place in chosen
        for a, b in wanted
        if (a, ids[place]) in answers and (b, ids[place]) in answers
    ]


async def _judged(
    store: LocalStore,
    manifest: Manifest,
    judge: Pairwise,
    tasks: Sequence[tuple[EvaluatorContext, EvaluatorContext]],
    *,
    budget_usd: float | None,
    client: ModelClient | None,
) -> tuple[list[PairOutcome], float]:
    """Judge what this judge has not judged before, writing each batch down before the next is asked for."""
    if client is None:
        _check_keys(judge)
    path = store.run_paths(manifest.run_id).folder / "duels.jsonl"
    known = _read(path, _asked(judge))
    spec = ExperimentSpec.model_validate(manifest.spec)
    budget = BudgetSpec(usd=budget_usd) if budget_usd is not None else BudgetSpec()
    gateway = Gateway(gateway=spec.gateway, limits=spec.limits, budget=budget, cache_path=store.paths.cache)
    cost = 0.0
    async with gateway:
        todo = [pair for pair in tasks if _key(*pair) not in known]
        for start in range(0, len(todo), _BATCH):
            part = todo[start : start + _BATCH]
            outcomes = await compare_pairs(
                judge, part, client=client or gateway, max_concurrency=min(_BATCH, spec.limits.concurrency)
            )
            cost += sum(outcome.cost_usd or 0.0 for outcome in outcomes)
            _write(path, judge, outcomes)
            known |= {(one.item_id, one.variant_a, one.variant_b): one for one in outcomes}
    return [known[_key(*pair)] for pair in tasks if _key(*pair) in known], cost


def _key(a: EvaluatorContext, b: EvaluatorContext) -> tuple[str, str, str]:
    return a.item_id, a.variant, b.variant


def _answers(store: LocalStore, run_id: str) -> tuple[dict[tuple[str, str], EvaluatorContext], dict[str, Item]]:
    """Return the first answer of each variant to each item, and the items in their order."""
    shown = {
        row["id"]: Item(
            id=row["id"],
            inputs=loads(row["inputs"]),
            expected=loads(row["expected"]) if row["expected"] is not None else None,
            metadata=loads(row["metadata"]) if row["metadata"] is not None else {},
        )
        for row in store.items(run_id).to_pylist()
    }
    found: dict[tuple[str, str], EvaluatorContext] = {}
    columns = ["variant", "item_id", "repeat", "ok", "output", "output_type"]
    for row in store.trials(run_id, columns=columns).to_pylist():
        if row["repeat"] == 0 and row["ok"]:
            item = shown[row["item_id"]]
            output = row["output"] if row["output_type"] == "text" else loads(row["output"])
            found[row["variant"], item.id] = EvaluatorContext(
                output=output, inputs=item.inputs, expected=item.expected, metadata=item.metadata, item_id=item.id,
                variant=row["variant"],
            )  # fmt: skip
    return found, shown


_POINTS = {"a": 1.0, "tie": 0.5, "b": 0.0}


def _looks(outcome: PairOutcome, by: str) -> list[Preference]:
    """Return both orders of a judged pair."""
    gap = (outcome.length_a - outcome.length_b) / 100
    a_first = _POINTS[outcome.a_first] if outcome.a_first is not None else nan
    b_first = 1 - _POINTS[outcome.b_first] if outcome.b_first is not None else nan
    a, b = outcome.variant_a, outcome.variant_b
    why = outcome.error or ""
    return [
        Preference(item_id=outcome.item_id, first=a, second=b, outcome=a_first, longer=gap, by=by, error=why),
        Preference(item_id=outcome.item_id, first=b, second=a, outcome=b_first, longer=-gap, by=by, error=why),
    ]


def _write(path: Path, judge: Pairwise, outcomes: Sequence[PairOutcome]) -> None:
    lines = []
    for outcome in outcomes:
        if outcome.winner is None:
            continue  # asked again next time
        line = {
            "judge": _asked(judge), "model": judge.model, "item": outcome.item_id, "a": outcome.variant_a,
            "b": outcome.variant_b, "a_first": outcome.a_first, "b_first": outcome.b_first,
            "length_a": outcome.length_a, "length_b": outcome.length_b, "reason": outcome.reason,
            "cost_usd": outcome.cost_usd,
        }  # fmt: skip
        lines.append(dumps(line) + b"\n")
    try:
        with path.open("ab") as file:
            file.write(b"".join(lines))
    except OSError as error:
        raise StoreError(f"the judgements cannot be written to {str(path)!r}: {error.strerror}") from error


def _check_keys(judge: Pairwise) -> None:
    """Say which key is missing before the first call."""
    for asked in models_asked(judge):
        missing = missing_env(asked.model, os.environ, api_base=asked.api_base, api_key_env=asked.api_key_env)
        if missing:
            raise SpecError(
                f"the judge {asked.model!r} needs the environment variable {missing[0]}, which is not set\n"
                f"    fix: export {missing[0]}=..., or put it into a file and pass `--env-file FILE`"
            )


def _asked(judge: Pairwise) -> str:
    """Return what tells judges apart: another model, temperature or question is another judge."""
    settings = {key: value for key, value in judge.spec().items() if key != "name"}
    return hashlib.sha256(dumps({"stamp": judge.stamp, "settings": settings})).hexdigest()[:16]


def _read(path: Path, judge: str) -> dict[tuple[str, str, str], PairOutcome]:
    """Return what this judge said before; a line that was cut off by a crash is asked for again."""
    found: dict[tuple[str, str, str], PairOutcome] = {}
    if not path.exists():
        return found
    for line in path.read_bytes().splitlines():
        try:
            row = loads(line)
        except ValueError:
            continue
        if row.get("judge") != judge:
            continue
        agreed = row["a_first"] == row["b_first"]
        found[row["item"], row["a"], row["b"]] = PairOutcome(
            winner=row["a_first"] if agreed else "tie", consistent=agreed, a_first=row["a_first"],
            b_first=row["b_first"], item_id=row["item"], variant_a=row["a"], variant_b=row["b"],
            length_a=row["length_a"], length_b=row["length_b"], reason=row["reason"],
        )  # fmt: skip
    return found
