"""`bakeoff rank`: which variant is preferred, by a judge that sees two answers at a time, or by people."""

from __future__ import annotations

import asyncio
from math import isnan
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bakeoff.cli._common import (
    EnvFileOption,
    JsonOption,
    RunArgument,
    StoreOption,
    console,
    load_env,
    print_json,
    printable,
    store_at,
    table,
)
from bakeoff.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bakeoff.experiments import Duels, LocalStore, Manifest, Preference

__all__ = ["rank"]


def rank(
    run_id: RunArgument = "latest",
    judge: Annotated[
        str | None,
        typer.Option(
            "--judge",
            "-j",
            help="Model that prefers one of two answers: a model string, a model of the run's file by its name, or "
            "options of `pairwise`, as in '{model: ..., api_base: ...}'.",
            show_default=False,
        ),
    ] = None,
    queue: Annotated[
        str | None, typer.Option(help="Pairwise label queue of the dashboard: people prefer.", show_default=False)
    ] = None,
    criterion: Annotated[
        str | None, typer.Option(help="What makes an answer better, in words.", show_default=False)
    ] = None,
    items: Annotated[
        int | None, typer.Option(min=1, help="Judge so many items, at random.", show_default=False)
    ] = None,
    pairs: Annotated[str, typer.Option(help="`baseline`: each variant with it; or `all` pairs.")] = "baseline",
    bias: Annotated[
        bool, typer.Option("--bias", help="Measure what the judge leans to instead: position, length, formatting.")
    ] = False,
    own: Annotated[
        list[str] | None, typer.Option(help="With --bias: a variant whose model is of the judge's family.")
    ] = None,
    budget_usd: Annotated[float | None, typer.Option(min=0, help="Stop asking when this is spent.")] = None,
    store: StoreOption = None,
    env_file: EnvFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Rank the variants of a run by preference: blind, both orders, Bradley-Terry with intervals."""
    from bakeoff.experiments import judge_pairs, rank_preferences

    load_env(env_file)
    kept = store_at(store)
    found = kept.resolve(run_id)
    if (judge is None) == (queue is None):
        raise SpecError("say who prefers: --judge MODEL, or --queue NAME of a pairwise label queue")
    if pairs not in ("baseline", "all"):
        raise SpecError(f"--pairs must be 'baseline' or 'all', got {pairs!r}")
    manifest = kept.manifest(found)
    options = _judge_options(judge, manifest) | ({"criterion": criterion} if criterion is not None else {})
    if bias:
        if judge is None:
            raise SpecError("--bias measures a judge: say which with --judge MODEL")
        _print_bias(kept, found, options, items=items or 30, own=own or (), budget_usd=budget_usd, as_json=as_json)
        return
    cost = 0.0
    if judge is not None:
        looks, cost = asyncio.run(judge_pairs(kept, found, options, items=items, pairs=pairs, budget_usd=budget_usd))
    else:
        looks = _of_people(kept, found, str(queue))
    alpha = float(manifest.spec.get("analysis", {}).get("alpha", 0.05))
    by = str(options["model"]) if judge is not None else f"people (queue {queue})"
    result = rank_preferences(found, looks, baseline=manifest.baseline, by=by, cost_usd=cost, alpha=alpha)
    if as_json:
        print_json(result.to_dict())
        return
    _print(result)


def _judge_options(judge: str | None, manifest: Manifest) -> dict[str, Any]:
    """Read `--judge`: options, a model of the run's file, or a model string.

    Raises:
        SpecError: It is no model and no mapping with one.
    """
    if judge is None:
        return {}
    if not judge.lstrip().startswith("{"):
        from bakeoff.experiments import ExperimentSpec

        known = ExperimentSpec.model_validate(manifest.spec).models.get(judge)
        if known is None:
            return {"model": judge}
        place = {"model": known.model, "api_base": known.api_base, "api_key_env": known.api_key_env}
        return {key: value for key, value in place.items() if value is not None}
    import yaml

    try:
        options = yaml.safe_load(judge)
    except yaml.YAMLError:
        options = None
    if not isinstance(options, dict) or not isinstance(options.get("model"), str):
        raise SpecError(
            f"--judge {judge!r} names no model\n    fix: write a model, or options with one, as in "
            "--judge '{model: openai/our-model, api_base: \"http://localhost:8000/v1\"}'"
        )
    return {str(key): value for key, value in options.items()}


def _print_bias(
    store: LocalStore,
    run_id: str,
    options: dict[str, Any],
    *,
    items: int,
    own: Sequence[str],
    budget_usd: float | None,
    as_json: bool,
) -> None:
    from dataclasses import asdict

    from bakeoff.experiments import judge_biases
    from bakeoff.reports import amount_usd

    reports, cost = asyncio.run(judge_biases(store, run_id, options, items=items, own=own, budget_usd=budget_usd))
    if as_json:
        print_json({"judge": options["model"], "cost_usd": cost, "biases": [asdict(report) for report in reports]})
        return

    def percent(value: float) -> str:
        return "-" if isnan(value) else f"{100 * value:.0f}%"

    rows = [
        (
            report.kind.replace("_", " "),
            percent(report.share.estimate),
            f"{percent(report.share.low)} to {percent(report.share.high)}",
            "biased" if report.biased else "not shown",
            report.explanation,
        )
        for report in reports
    ]
    columns = ["bias", "share", "interval", "verdict", "what was counted"]
    table(f"what {options['model']} leans to: 50% is no bias", columns, rows, right=(1, 2))
    if cost:
        console().print(f"Judging cost {amount_usd(cost)}.")


def _of_people(store: LocalStore, run_id: str, name: str) -> list[Preference]:
    """Read the pairwise labels of a queue."""
    from bakeoff.app._label_files import preferences
    from bakeoff.app._labels import LabelStore

    known = LabelStore(store.paths.control).queues(run_id) if store.paths.control.exists() else []
    queues = [entry for entry in known if entry.mode == "pairwise" and entry.name == name]
    if not queues:
        fix = "make one on the Label page of `bakeoff ui`"
        raise SpecError(f"run {run_id!r} has no pairwise label queue {name!r}; {fix}")
    return preferences(LabelStore(store.paths.control).labels(queues[0]))


def _print(result: Duels) -> None:
    from rich.text import Text

    from bakeoff.reports import amount_usd

    ranking = result.ranking
    order = sorted(range(len(ranking.variants)), key=lambda index: -ranking.strength[index])

    def number(value: float) -> str:
        return "-" if isnan(value) else f"{value:+.2f}"

    rows = [
        (
            ranking.variants[index] + (" (baseline)" if ranking.variants[index] == result.baseline else ""),
            number(float(ranking.strength[index])),
            f"{number(float(ranking.low[index]))} to {number(float(ranking.high[index]))}",
            f"{ranking.rank_low[index]}"
            if ranking.rank_low[index] == ranking.rank_high[index]
            else f"{ranking.rank_low[index]} to {ranking.rank_high[index]}",
        )
        for index in order
    ]
    columns = ["variant", "strength (log-odds)", "interval", "rank"]
    table(f"preferred by {result.by}: {result.n_pairs:,} looks at pairs", columns, rows, right=(1, 2, 3))
    for sentence in result.sentences:
        console().print(Text(printable(sentence)))
    if result.n_failed:
        why = f": {printable(result.failure)}" if result.failure else ""
        told = f"! {result.n_failed:,} looks have no verdict and are left out{why}"
        console().print(Text(told, style="yellow"))
    if result.cost_usd:
        console().print(f"Judging cost {amount_usd(result.cost_usd)}.")
