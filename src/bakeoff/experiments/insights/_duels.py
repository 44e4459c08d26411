"""Rank the variants of a run by preference: pairs of answers judged blind by a model, or by people."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from itertools import combinations
from math import exp, isnan, nan
from typing import TYPE_CHECKING, Any

import numpy as np

from bakeoff.datasets import Item
from bakeoff.errors import SpecError, StoreError
from bakeoff.evaluators import EvaluatorContext, Pairwise, compare_pairs, load_evaluator, models_asked
from bakeoff.experiments._json import dumps, loads
from bakeoff.experiments.analysis._answer import null_nan, to_plain
from bakeoff.experiments.analysis._order import dispatch_order
from bakeoff.experiments.spec._spec import ExperimentSpec
from bakeoff.gateway import BudgetSpec, Gateway, missing_env
from bakeoff.stats import bradley_terry, swap_consistency

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from bakeoff.evaluators import PairOutcome
    from bakeoff.experiments.store._store import LocalStore
    from bakeoff.gateway import ModelClient
    from bakeoff.stats import Difference, Estimate, Ranking

__all__ = ["Duels", "Preference", "judge_pairs", "rank_preferences"]

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Duels:
    """Variants ranked by preference."""

    run_id: str
    by: str
    """Judge, or people."""
    baseline: str
    ranking: Ranking
    """Bradley-Terry strengths with intervals, ranks that the data allow, and the bonus of being shown first."""
    contrasts: tuple[Difference, ...]
    """Each variant against the baseline, in log-odds; p adjusted by Holm over all of them."""
    consistency: Estimate
    """How often the same variant is preferred when the order is swapped."""
    length_bonus: Estimate | None
    """Log-odds of being preferred for 100 characters more; `None` where lengths are not known or never differ."""
    n_pairs: int
    """Looks with a verdict."""
    n_failed: int
    cost_usd: float
    sentences: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data; `nan` becomes null."""
        from dataclasses import asdict

        data = asdict(self)
        for name in ("strength", "covariance", "low", "high", "rank_low", "rank_high"):
            data["ranking"][name] = getattr(self.ranking, name).tolist()
        plain: dict[str, Any] = null_nan(to_plain(data))
        return plain


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
    manifest = store.manifest(run_id)
    if manifest.status not in ("complete", "partial"):
        raise SpecError(f"the run {run_id!r} is {manifest.status}: its answers can be ranked when it is sealed")
    if len(manifest.variants) < 2:
        raise SpecError(f"the run {run_id!r} has one variant: there is nothing to rank")
    built = load_evaluator({"pairwise": dict(judge)})
    if not isinstance(built, Pairwise):
        raise SpecError("only the `pairwise` evaluator ranks")
    if client is None:
        _check_keys(built)
    answers, shown = _answers(store, run_id)
    chosen = dispatch_order(list(shown), None, int(manifest.spec.get("seed", 0)))[: items or len(shown)]
    names = manifest.variant_names
    wanted = (
        list(combinations(names, 2))
        if pairs == "all"
        else [(name, manifest.baseline) for name in names if name != manifest.baseline]
    )
    ids = list(shown)
    tasks = [
        (answers[a, ids[place]], answers[b, ids[place]])
        for place in chosen
        for a, b in wanted
        if (a, ids[place]) in answers and (b, ids[place]) in answers
    ]
    path = store.run_paths(run_id).folder / "duels.jsonl"
    known = _read(path, _asked(built))
    spec = ExperimentSpec.model_validate(manifest.spec)
    budget = BudgetSpec(usd=budget_usd) if budget_usd is not None else BudgetSpec()
    gateway = Gateway(gateway=spec.gateway, limits=spec.limits, budget=budget, cache_path=store.paths.cache)
    cost = 0.0
    async with gateway:
        todo = [pair for pair in tasks if (pair[0].item_id, pair[0].variant, pair[1].variant) not in known]
        for start in range(0, len(todo), _BATCH):
            part = todo[start : start + _BATCH]
            outcomes = await compare_pairs(
                built, part, client=client or gateway, max_concurrency=min(_BATCH, spec.limits.concurrency)
            )
            cost += sum(outcome.cost_usd or 0.0 for outcome in outcomes)
            _write(path, built, outcomes)
            for outcome in outcomes:
                known[outcome.item_id, outcome.variant_a, outcome.variant_b] = _looks(outcome, built.model)
    looks = [known.get((a.item_id, a.variant, b.variant), []) for a, b in tasks]
    return [look for both in looks for look in both], cost


def rank_preferences(
    run_id: str, preferences: Sequence[Preference], *, baseline: str, by: str, cost_usd: float = 0.0,
    alpha: float = 0.05,
) -> Duels:  # fmt: skip
    """Rank variants from preferences: Bradley-Terry with ties and order effect, items as clusters.

    Args:
        run_id: The run that was judged.
        preferences: Looks at pairs of answers.
        baseline: Variant that the others are compared with.
        by: Who judged, for the words.
        cost_usd: What judging cost.
        alpha: Level of the verdicts; intervals are at `1 - alpha`.

    Raises:
        SpecError: No look has a verdict.

    Examples:
        >>> from bakeoff.experiments import Preference, rank_preferences
        >>> looks = [Preference(item_id=str(i), first=a, second=b, outcome=float((i % 4 > 0) == (a == "new")))
        ...          for i in range(40) for a, b in (("new", "old"), ("old", "new"))]
        >>> rank_preferences("r", looks, baseline="old", by="a judge").sentences[0]
        'new is preferred to old: it wins 75% of decided pairs (95% interval 59% to 86%).'
    """
    from dataclasses import replace

    from bakeoff.stats import adjust

    decided = [look for look in preferences if not isnan(look.outcome)]
    if not decided:
        why = next((look.error for look in preferences if look.error), "there is no judgement at all")
        raise SpecError(f"no pair of answers of {run_id!r} has a verdict: every judgement failed ({why})")
    columns: dict[str, Any] = {
        "first": [look.first for look in decided],
        "second": [look.second for look in decided],
        "outcome": [look.outcome for look in decided],
        "items": [look.item_id for look in decided],
    }
    both = {(look.item_id, look.first, look.second) for look in decided}
    swapped = any((item, two, one) in both for item, one, two in both)
    ranking = bradley_terry(**columns, order_effect=swapped, confidence=1 - alpha)
    length = _length_bonus(decided, columns, swapped=swapped, alpha=alpha)
    others = [name for name in ranking.variants if name != baseline] if baseline in ranking.variants else []
    found = [ranking.contrast(name, baseline) for name in others]
    adjusted = adjust([entry.p_value for entry in found])
    contrasts = tuple(replace(entry, p_adjusted=float(p)) for entry, p in zip(found, adjusted, strict=True))
    level = _level(decided, baseline)
    consistency = swap_consistency(**columns, confidence=1 - alpha)
    return Duels(
        run_id=run_id,
        by=by,
        baseline=baseline,
        ranking=ranking,
        contrasts=contrasts,
        consistency=consistency,
        length_bonus=length,
        n_pairs=len(decided),
        n_failed=len(preferences) - len(decided),
        cost_usd=cost_usd,
        sentences=tuple(_sentences(ranking, others, contrasts, baseline, consistency, length, level, alpha)),
    )


def _level(decided: Sequence[Preference], baseline: str) -> set[str]:
    """Return the variants that only ever tied with the baseline: there is no spread to estimate an interval from."""
    seen: dict[str, bool] = {}
    for look in decided:
        if baseline in (look.first, look.second):
            other = look.second if look.first == baseline else look.first
            seen[other] = seen.get(other, True) and look.outcome == 0.5
    return {name for name, tied in seen.items() if tied}


def _length_bonus(
    decided: Sequence[Preference], columns: Mapping[str, Any], *, swapped: bool, alpha: float
) -> Estimate | None:
    longer = np.array([look.longer for look in decided])
    if not np.ptp(longer) > 0:
        return None
    found = bradley_terry(**columns, order_effect=swapped, covariates=longer, confidence=1 - alpha)
    return found.coefficients[0] if found.coefficients else None


def _sentences(
    ranking: Ranking,
    others: Sequence[str],
    contrasts: Sequence[Difference],
    baseline: str,
    consistency: Estimate,
    length: Estimate | None,
    level: Collection[str],
    alpha: float,
) -> list[str]:
    said: list[str] = []
    percent = f"{100 * (1 - alpha):g}%"
    for name, entry in zip(others, contrasts, strict=True):
        if name in level:
            said.append(f"{name} and {baseline} came out level in every look at them.")
            continue
        if isnan(entry.low):
            said.append(f"{name} against {baseline}: not estimable, {entry.reason or ranking.reason}.")
            continue
        share = f"wins {_share(entry.estimate)} of decided pairs ({percent} interval {_share(entry.low)} to "
        share += f"{_share(entry.high)})"
        if entry.p_adjusted <= alpha:
            words = "is preferred to" if entry.estimate > 0 else "loses against"
            said.append(f"{name} {words} {baseline}: it {share}.")
        else:
            said.append(f"{name} is not shown to be preferred to {baseline}, nor the other way round: it {share}.")
    order = ranking.order_effect
    if order is not None and not isnan(order.low) and (order.low > 0 or order.high < 0):
        where = "first" if order.estimate > 0 else "second"
        size = _share(abs(order.estimate))
        said.append(
            f"The judge leans to the answer shown {where}: it wins {size} between equals. This is corrected for."
        )
    if not isnan(consistency.estimate):
        said.append(
            f"With the order swapped the verdict stayed the same in {consistency.estimate:.0%} "
            f"({consistency.low:.0%} to {consistency.high:.0%})."
        )
    if length is not None and not isnan(length.low) and (length.low > 0 or length.high < 0):
        which = "Longer" if length.estimate > 0 else "Shorter"
        said.append(
            f"{which} answers are preferred: 100 characters change the odds {exp(abs(length.estimate)):.2g} times. "
            "That may be substance or bias; read some."
        )
    return [*said, *ranking.warnings]


def _share(log_odds: float) -> str:
    return f"{100 / (1 + exp(-max(-700.0, min(700.0, log_odds)))):.0f}%"


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


def _read(path: Path, judge: str) -> dict[tuple[str, str, str], list[Preference]]:
    """Return what this judge said before; a line that was cut off by a crash is asked for again."""
    from bakeoff.evaluators import PairOutcome

    found: dict[tuple[str, str, str], list[Preference]] = {}
    if not path.exists():
        return found
    for line in path.read_bytes().splitlines():
        try:
            row = loads(line)
        except ValueError:
            continue
        if row.get("judge") != judge:
            continue
        outcome = PairOutcome(
            winner=None, consistent=None, a_first=row["a_first"], b_first=row["b_first"], item_id=row["item"],
            variant_a=row["a"], variant_b=row["b"], length_a=row["length_a"], length_b=row["length_b"],
        )  # fmt: skip
        found[row["item"], row["a"], row["b"]] = _looks(outcome, row["model"])
    return found
