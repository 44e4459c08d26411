"""`init`, `validate`, `plan`, `schema`, `evaluators`: what comes before a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bakeoff.cli._common import (
    EnvFileOption,
    JsonOption,
    StoreOption,
    cache_dir,
    console,
    echo,
    load_env,
    print_json,
    store_at,
    table,
)
from bakeoff.errors import SpecError

__all__ = ["evaluators", "init", "plan", "schema", "validate"]

_FileArgument = Annotated[Path, typer.Argument(help="Experiment file.")]


def init(
    folder: Annotated[Path, typer.Argument(help="Folder to write into; made when absent.")] = Path(),
    example: Annotated[
        str, typer.Option(help="Which example: triage, qa, recorded, python; for agents team, docs, code, desk.")
    ] = "triage",
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that are there.")] = False,
) -> None:
    """Write an example experiment that runs as it is, without a key."""
    from bakeoff.cli._templates import EXAMPLES, write_example

    if example not in EXAMPLES:
        raise SpecError(f"there is no example {example!r}; choose one of {', '.join(EXAMPLES)}")
    written = write_example(example, folder, force=force)
    out = console()
    for path in written:
        out.print(f"wrote  {path}", soft_wrap=True)
    out.print(f"\nnext   bakeoff run {written[0]}", soft_wrap=True)


def validate(
    file: _FileArgument,
    store: StoreOption = None,
    env_file: EnvFileOption = None,
    keys: Annotated[bool, typer.Option("--keys/--no-keys", help="Whether a missing API key is an error.")] = True,
    as_json: JsonOption = False,
) -> None:
    """Check an experiment file, its data, prompts, evaluators and keys; report every problem at once."""
    from dataclasses import asdict

    from bakeoff.experiments import data_notes, load_experiment

    load_env(env_file)
    try:
        experiment = load_experiment(file, cache_dir=cache_dir(store_at(store)), check_keys=keys)
        if experiment.spec.gate:
            from bakeoff.regression import check_gate

            check_gate(experiment)
    except SpecError as error:
        if not as_json:
            raise
        problems = [asdict(problem) for problem in error.problems] or [{"message": str(error)}]
        print_json({"right": False, "problems": problems})
        raise typer.Exit(error.exit_code) from None
    if as_json:
        print_json(
            {
                "right": True,
                "variants": list(experiment.variants),
                "items": len(experiment.dataset),
                "repeats": experiment.spec.repeats,
                "metrics": [evaluator.metric for evaluator in experiment.evaluators],
                "notes": data_notes(experiment),
            }
        )
        return
    trials = len(experiment.variants) * len(experiment.dataset) * experiment.spec.repeats
    console().print(
        f"{file} is right: {len(experiment.variants)} variants x {len(experiment.dataset):,} items x "
        f"{experiment.spec.repeats} repeats = {trials:,} trials, {len(experiment.evaluators)} evaluators"
        + (f", {len(experiment.guards)} guards" if experiment.guards else ""),
        soft_wrap=True,
    )
    for note in data_notes(experiment):
        console().print(f"! {note}", style="yellow", soft_wrap=True)


def plan(
    file: _FileArgument,
    store: StoreOption = None,
    pilot: Annotated[
        str | None,
        typer.Option(help="Run to learn the spread of scores from; the newest of this experiment when omitted."),
    ] = None,
    env_file: EnvFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Forecast a run before anything is paid: trials, tokens, USD, minutes, and the smallest difference it can show."""
    from dataclasses import asdict

    from bakeoff.experiments import load_experiment, plan_run
    from bakeoff.reports import amount_usd, duration

    load_env(env_file)
    kept = store_at(store)
    experiment = load_experiment(file, cache_dir=cache_dir(kept), check_keys=False)
    forecast = plan_run(experiment, store=kept, pilot=pilot)
    if as_json:
        data = asdict(forecast)
        print_json({key: None if isinstance(value, float) and value != value else value for key, value in data.items()})
        return
    out = console()
    rows = [
        (
            entry.variant,
            entry.model or entry.kind,
            f"{entry.calls:,}",
            f"{entry.input_tokens:,}",
            f"{entry.output_tokens:,}",
            amount_usd(entry.cost_usd),
            entry.basis,
        )
        for entry in forecast.variants
    ]
    rows += [
        (
            f"judging: {judge.metric}",
            judge.model,
            f"{judge.calls:,}",
            f"{judge.input_tokens:,}",
            f"{judge.output_tokens:,}",
            amount_usd(judge.cost_usd),
            judge.basis,
        )
        for judge in forecast.judges
    ]
    columns = ["variant", "model", "calls", "tokens in", "tokens out", "cost", "basis"]
    table(f"{forecast.name}: what the run is expected to take", columns, rows, right=(2, 3, 4, 5))
    out.print(
        f"{forecast.trials:,} trials ({forecast.n_variants} variants x {forecast.n_items:,} items x "
        f"{forecast.repeats} repeats), {amount_usd(forecast.cost_usd)}, about {duration(forecast.minutes * 60)} "
        f"at {forecast.concurrency} at once",
        soft_wrap=True,
    )
    for sentence in (forecast.sentence, *forecast.more):
        out.print(sentence, soft_wrap=True)
    for warning in forecast.warnings:
        out.print(f"! {warning}", style="yellow", soft_wrap=True)


def schema(
    out: Annotated[Path | None, typer.Option("--out", "-o", help="File to write; printed when omitted.")] = None,
) -> None:
    """Print the JSON Schema of the experiment file, for editors and for other programs."""
    import json

    from bakeoff.experiments import experiment_schema

    text = json.dumps(experiment_schema(), indent=2) + "\n"
    if out is None:
        echo(text, end="")
    else:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text)
        console().print(f"wrote  {out}", soft_wrap=True)


def evaluators(
    name: Annotated[str | None, typer.Argument(help="Show the options of this one.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the built-in evaluators, or show the options of one."""
    from bakeoff.evaluators import evaluator_catalogue

    entries = {entry.kind: entry for entry in evaluator_catalogue()}
    if name is None:
        if as_json:
            print_json([{"kind": e.kind, "family": e.family, "summary": e.summary} for e in entries.values()])
            return
        rows = [(entry.kind, entry.family, entry.score_kind, entry.summary) for entry in entries.values()]
        table("", ["name", "family", "value", "what it does"], rows)
        return
    if name not in entries:
        import difflib

        near = difflib.get_close_matches(name, entries, n=1)
        raise SpecError(f"there is no evaluator {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
    print_json({"kind": name, "summary": entries[name].summary, "options": entries[name].options})
