"""`patterns`: the library of reasoning patterns, and which of them are worth trying."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bakeoff.cli._common import JsonOption, StoreOption, console, print_json, store_at, table
from bakeoff.errors import BakeoffError, SpecError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bakeoff.agents import PastResult
    from bakeoff.experiments import LocalStore

__all__ = ["patterns_app"]

patterns_app = typer.Typer(
    name="patterns", help="Reasoning patterns: what there is, and what is worth trying.", no_args_is_help=True,
    rich_markup_mode=None, context_settings={"help_option_names": ["-h", "--help"]},
)  # fmt: skip


@patterns_app.command("list")
def list_patterns(as_json: JsonOption = False) -> None:
    """List the library."""
    from bakeoff.agents import patterns

    library = patterns().values()
    if as_json:
        print_json([_plain(one) for one in library])
        return
    rows = [(one.name, one.version, f"{one.cost_multiplier:g}", one.helps) for one in library]
    table("", ["pattern", "version", "calls", "helps with"], rows, right=(2,))


@patterns_app.command("show")
def show_pattern(
    name: Annotated[str, typer.Argument(help="Name of the pattern.")], as_json: JsonOption = False
) -> None:
    """Show one pattern: source, cost, options, when it helps and when not."""
    from bakeoff.agents import find_pattern

    found = find_pattern(name)
    if as_json:
        print_json(_plain(found))
        return
    out = console()
    out.print(f"{found.title} ({found.name}, version {found.version})", style="bold")
    for word, text in (
        ("source", found.source),
        ("calls", f"{found.cost_multiplier:g} for one of zero-shot, at the default options"),
        ("helps", found.helps),
        ("hurts", found.hurts),
        ("needs", ", ".join(found.needs) or "nothing"),
    ):
        out.print(f"{word:<8}{text}", soft_wrap=True)
    rows = [
        (key, option.default, ", ".join(option.words) or f"{option.low:g} to {option.high:g}", option.help)
        for key, option in found.options.items()
    ]
    if rows:
        table("", ["option", "default", "allowed", ""], rows)
    out.print(f"use     pattern: {found.name}", soft_wrap=True)


@patterns_app.command("recommend")
def recommend(
    data: Annotated[str, typer.Argument(help="Data file, experiment file (.yaml), or `bundled:NAME`.")],
    budget: Annotated[float, typer.Option("--budget", "-b", help="Model calls for an item.")] = 3.0,
    model: Annotated[str, typer.Option(help="Model of the experiment that is written.")] = "sim/small",
    write: Annotated[Path | None, typer.Option("--write", "-w", help="Write the experiment that checks it.")] = None,
    store: StoreOption = None,
    tools: Annotated[bool, typer.Option("--tools", help="Tools are at hand.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Say which patterns are worth trying on a task, from its items and from your own past runs."""
    import dataclasses

    from bakeoff.agents import profile_task, recommend_patterns
    from bakeoff.datasets import DatasetSpec, open_dataset
    from bakeoff.experiments import parse_spec

    path = Path(data)
    section: Any = data
    base_dir = Path.cwd()
    if path.suffix in (".yaml", ".yml"):
        spec, _ = parse_spec(path)
        section = spec.dataset.model_dump(mode="json", exclude_defaults=True)
        base_dir = path.resolve().parent
    elif not data.startswith("bundled:"):
        section = str(path.resolve())
    dataset = open_dataset(DatasetSpec.model_validate(section), base_dir=base_dir)
    profile = profile_task(dataset.head(500), tools=tools)
    found = recommend_patterns(profile, budget=budget, past=past_results(store_at(store)))
    if as_json:
        print_json(dataclasses.asdict(found))
    else:
        out = console()
        for sentence in found.sentences:
            out.print(sentence, soft_wrap=True)
        rows = [
            ("yes" if s.name in found.chosen else "", s.name, f"{s.gain * 100:+.1f}", f"{s.sd * 100:.1f}",
             f"{s.cost:g}", s.evidence, s.why)
            for s in found.scores
        ]  # fmt: skip
        table("", ["try", "pattern", "gain, points", "+/-", "calls", "runs", "because of"], rows, right=(2, 3, 4, 5))
    if write is not None:
        if write.exists():
            raise SpecError(f"{str(write)!r} would be overwritten; name another file")
        import yaml

        shown = [item for item in dataset.head(8) if item.expected is not None]
        needs = "few_shot" in found.chosen
        examples = [
            {"input": "\n".join(map(str, item.inputs.values())), "output": str(item.expected)} for item in shown
        ]
        near = _from_there(section, base_dir=base_dir, there=write.resolve().parent)
        plan = found.experiment(near, model=model, examples=examples if needs else ())
        write.write_text(yaml.safe_dump(plan, sort_keys=False, allow_unicode=True), encoding="utf-8")
        console().print(f"wrote   {write}; next: bakeoff plan {write} && bakeoff run {write}", soft_wrap=True)
        if not shown:
            told = "! The first items have no `expected` value, which its evaluator needs"
            console().print(f"{told}: map one by `dataset:` in {write}.", soft_wrap=True)


def _from_there(section: Any, *, base_dir: Path, there: Path) -> Any:
    """Return a data section whose path is right in a file of another folder."""
    if isinstance(section, dict):
        path = section.get("path")
        return {**section, "path": _from_there(path, base_dir=base_dir, there=there)} if path else section
    if str(section).startswith("bundled:"):
        return section
    return Path(os.path.relpath(base_dir / section, there)).as_posix()


def _plain(pattern: Any) -> dict[str, Any]:
    return {
        "name": pattern.name, "version": pattern.version, "title": pattern.title, "source": pattern.source,
        "calls": pattern.cost_multiplier, "helps": pattern.helps, "hurts": pattern.hurts,
        "needs": list(pattern.needs), "options": {key: option.default for key, option in pattern.options.items()},
    }  # fmt: skip


def past_results(store: LocalStore) -> list[PastResult]:
    """Read from sealed runs what patterns gained over zero-shot, where two variants differ in nothing else."""
    from bakeoff.agents import PastResult, profile_task
    from bakeoff.experiments import load_experiment

    found: list[PastResult] = []
    for manifest in store.runs()[:50]:
        by_rest: dict[str, dict[str, str]] = {}
        for variant in manifest.variants:
            keys = [key for key in variant.levels if key.split(".")[-1] == "pattern"]
            if len(keys) == 1:
                rest = repr(sorted((key, repr(value)) for key, value in variant.levels.items() if key != keys[0]))
                by_rest.setdefault(f"{keys[0]}{rest}", {})[_named(variant.levels[keys[0]])] = variant.name
        pairs = [group for group in by_rest.values() if "zero_shot" in group and len(group) > 1]
        if not pairs or manifest.status != "complete":
            continue
        try:
            experiment = load_experiment(manifest.spec, base_dir=_folder(manifest.source), check_keys=False)
            profile = profile_task(experiment.dataset.head(500)).vector()
            means = _item_means(store, manifest.run_id, experiment.primary)
        except (BakeoffError, OSError, KeyError):
            continue  # its data or files are gone: it cannot be compared with this task
        for group in pairs:
            base = means.get(group["zero_shot"], {})
            for pattern, variant in group.items():
                gain, error = _difference(means.get(variant, {}), base)
                if pattern != "zero_shot" and math.isfinite(gain) and error > 0:
                    found.append(
                        PastResult(pattern=pattern, gain=gain, standard_error=error, profile=profile,
                                   run_id=manifest.run_id)
                    )  # fmt: skip
    return found


def _named(level: Any) -> str:
    return str(level.get("name")) if isinstance(level, dict) else str(level)


def _folder(source: str | None) -> Path:
    return Path(source).resolve().parent if source else Path.cwd()


def _item_means(store: LocalStore, run_id: str, metric: str) -> dict[str, dict[str, float]]:
    values: dict[str, dict[str, list[float]]] = {}
    for row in store.scores(run_id, columns=["variant", "item_id", "metric", "value"]).to_pylist():
        if row["metric"] == metric and row["value"] is not None and 0 <= float(row["value"]) <= 1:
            values.setdefault(row["variant"], {}).setdefault(row["item_id"], []).append(float(row["value"]))
    return {variant: {item: sum(many) / len(many) for item, many in items.items()} for variant, items in values.items()}


def _difference(one: Mapping[str, float], other: Mapping[str, float]) -> tuple[float, float]:
    """Return mean and standard error of the difference over the items that both have."""
    both = [one[item] - other[item] for item in one if item in other]
    if len(both) < 10:
        return math.nan, math.nan
    mean = sum(both) / len(both)
    spread = sum((value - mean) ** 2 for value in both) / (len(both) - 1)
    # Never surer than one item of a hundred that flips: ten equal differences are not a spread of zero.
    return mean, max((spread / len(both)) ** 0.5, 1 / (10 * len(both)))
