"""Runs made elsewhere become sealed runs: analysis, gates, monitor and dashboard work on them as on any other."""

from __future__ import annotations

import asyncio
import json
import zipfile
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

from typing_extensions import override

from bakeoff.errors import SpecError, TargetError
from bakeoff.evaluators import (
    CannotScoreError,
    Evaluator,
    EvaluatorContext,
    MetricInfo,
    Score,
    ScoreKind,
    redact_secrets,
)
from bakeoff.experiments import execute, load_experiment, write_atomically
from bakeoff.gateway import Usage
from bakeoff.regression._import_files import read_csv, read_mlflow, read_openai_evals, read_promptfoo
from bakeoff.regression._import_inspect import read_inspect
from bakeoff.regression._import_types import ImportedRun, ImportedTrial
from bakeoff.targets import TargetResult

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from bakeoff.datasets import Item
    from bakeoff.experiments import LocalStore

__all__ = ["IMPORT_FORMATS", "ImportedRun", "ImportedTrial", "import_file", "import_run", "read_import"]

ImportFormat = Literal["promptfoo", "inspect", "mlflow", "openai-evals", "csv"]
IMPORT_FORMATS: tuple[ImportFormat, ...] = get_args(ImportFormat)

_Key = tuple[str, str, int]


def read_import(path: Path, *, form: str | None = None, metrics: Sequence[str] = ()) -> ImportedRun:
    """Read a file of another tool.

    Args:
        path: The file.
        form: Which tool wrote it; told by its content when omitted.
        metrics: Score columns of a CSV.

    Raises:
        SpecError: The file is missing, of no known form, or damaged.
    """
    if not path.is_file():
        raise SpecError(f"there is no file {str(path)!r}")
    if form is not None and form not in IMPORT_FORMATS:
        raise SpecError(f"can import {', '.join(IMPORT_FORMATS)}, not {form!r}")
    chosen = form or _guess(path)
    try:
        if chosen == "csv":
            return read_csv(path, metrics=metrics)
        readers: dict[str, Callable[[Path], ImportedRun]] = {
            "promptfoo": read_promptfoo, "inspect": read_inspect, "mlflow": read_mlflow,
            "openai-evals": read_openai_evals,
        }  # fmt: skip
        return readers[chosen](path)
    except (KeyError, TypeError, AttributeError, ValueError, OSError) as error:
        if isinstance(error, SpecError):
            raise
        raise SpecError(f"{str(path)!r} is not what {chosen} writes ({type(error).__name__}: {error})") from error


def _guess(path: Path) -> ImportFormat:
    if path.suffix == ".eval" or zipfile.is_zipfile(path):
        return "inspect"
    if path.suffix.lower() in (".csv", ".tsv"):
        return "csv"
    with path.open(encoding="utf-8", errors="replace") as file:
        head = file.read(4096)
    if path.suffix == ".jsonl" or head.startswith('{"spec"'):
        return "mlflow" if '"assessments"' in head or '"trace_id"' in head else "openai-evals"
    if head.lstrip().startswith("["):
        return "mlflow"
    try:
        keys = set(json.loads(path.read_bytes()))
    except (ValueError, TypeError):
        keys = set()
    if "results" in keys and ("evalId" in keys or "config" in keys):
        return "promptfoo"
    if "eval" in keys:
        return "inspect"
    raise SpecError(f"cannot tell what wrote {str(path)!r}; say so with --format {'|'.join(IMPORT_FORMATS)}")


def import_file(
    store: LocalStore,
    paths: Sequence[Path],
    *,
    form: str | None = None,
    name: str | None = None,
    variants: Sequence[str] = (),
    metrics: Sequence[str] = (),
    lower_is_better: Sequence[str] = (),
) -> str:
    """Make one sealed run of one or several files; each file's variants stand side by side.

    Args:
        store: Where to keep it.
        paths: Files of one tool.
        form: Which tool; told by the content when omitted.
        name: Name of the experiment; the first file's when omitted.
        variants: A name for each file's only variant.
        metrics: Score columns of a CSV.
        lower_is_better: Metrics of which less is better.

    Returns:
        The run's id.

    Raises:
        SpecError: A file cannot be read, or two files say different things about one answer.
    """
    if not paths:
        raise SpecError("name at least one file to import")
    if variants and len(variants) != len(paths):
        raise SpecError(f"{len(variants)} variant names for {len(paths)} files: give one for each file")
    read: list[ImportedRun] = []
    for at, path in enumerate(paths):
        run = read_import(path, form=form, metrics=metrics)
        if variants:
            own = {trial.variant for trial in run.trials}
            if len(own) > 1:
                raise SpecError(
                    f"{str(path)!r} has {len(own)} variants ({', '.join(sorted(own))}): it cannot be renamed"
                )
            run = replace(run, trials=[replace(trial, variant=variants[at]) for trial in run.trials])
        read.append(run)
    merged = replace(
        read[0],
        name=name or read[0].name,
        trials=[trial for run in read for trial in run.trials],
        versions={key: value for run in read for key, value in run.versions.items()},
        notes=[note for run in read for note in run.notes],
    )
    return import_run(store, merged, source=paths[0], lower_is_better=lower_is_better)


def import_run(
    store: LocalStore, run: ImportedRun, *, source: Path | None = None, lower_is_better: Sequence[str] = ()
) -> str:
    """Seal an imported run: its answers are replayed through the runner, nothing is called.

    Raises:
        SpecError: It has no scores, or two trials stand at the same place.
    """
    table: dict[_Key, ImportedTrial] = {}
    for trial in run.trials:
        key = (trial.variant, trial.item, trial.repeat)
        if key in table:
            raise SpecError(f"item {trial.item!r} of {trial.variant!r} has repeat {trial.repeat + 1} twice")
        table[key] = trial
    values = _by_metric(run.trials)
    if not values:
        raise SpecError(f"{run.name!r} has no scores to import")
    for metric in lower_is_better:
        if metric not in values:
            raise SpecError(f"there is no metric {metric!r}; there are {', '.join(values)}")
    evaluators = [
        _Imported(
            name=metric,
            source=run.format,
            made_by=run.versions.get(metric, ""),
            values=kind,
            less_is_better=metric in lower_is_better,
        )
        for metric, kind in values.items()
    ]
    variants = list(dict.fromkeys(trial.variant for trial in run.trials))
    spec: dict[str, Any] = {
        "name": _name(run.name),
        "description": f"Imported from {run.format}" + (f" ({source.name})" if source else ""),
        "dataset": {"rows": []},
        "targets": {variant: {"python": f"task:{variant}"} for variant in variants},
        "repeats": 1 + max(trial.repeat for trial in run.trials),
        "evaluators": [evaluator.spec() for evaluator in evaluators],
        "mlflow": False,
        "journal": {"sync": "off"},
        "tags": {"imported_from": run.format, **({"file": source.name} if source else {})},
    }
    experiment = load_experiment(
        spec,
        cache_dir=store.paths.datasets,
        data=_rows(run.trials),
        callables={f"task:{variant}": _replay(variant, table) for variant in variants},
        evaluators=evaluators,
    )
    called = dict(zip(variants, experiment.variants, strict=True))  # without what a variant's name may not hold
    for evaluator in evaluators:
        evaluator.fill(_plain_scores(evaluator.metric, values[evaluator.metric], table, called))
    manifest = asyncio.run(execute(experiment, store=store.paths))
    made_at = _time(run.created_at)
    if made_at is not None:
        dated = manifest.model_copy(update={"created_at": made_at, "order_ms": None})
        write_atomically(store.run_paths(manifest.run_id).manifest, dated.model_dump_json().encode())
    return manifest.run_id


def _rows(trials: Sequence[ImportedTrial]) -> list[dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = {}
    for trial in trials:
        if trial.item not in rows:
            # A function gets the item itself under these names, so no input may have them.
            inputs = {f"{key}_" if key in ("item", "repeat", "inputs") else key: v for key, v in trial.inputs.items()}
            row: dict[str, Any] = {"id": trial.item, "inputs": inputs or {"id": trial.item}}
            optional = {"expected": trial.expected, "metadata": dict(trial.metadata) or None, "cluster": trial.cluster}
            rows[trial.item] = row | {key: value for key, value in optional.items() if value is not None}
    return list(rows.values())


def _replay(variant: str, table: dict[_Key, ImportedTrial]) -> Callable[..., TargetResult]:
    def answer(item: Item, repeat: int) -> TargetResult:
        trial = table.get((variant, item.id, repeat))
        if trial is None:
            raise TargetError(f"the imported file has no answer of {variant!r}, repeat {repeat + 1}", kind="not_found")
        if trial.error is not None:
            raise TargetError(redact_secrets(trial.error))
        return TargetResult(
            output=trial.output if trial.output is not None else "",
            usage=Usage(input_tokens=trial.input_tokens, output_tokens=trial.output_tokens),
            cost_usd=trial.cost_usd, latency_ms=trial.latency_ms, route="imported", model=trial.model,
        )  # fmt: skip

    return answer


def _by_metric(trials: Sequence[ImportedTrial]) -> dict[str, ScoreKind]:
    """Return the kind of each metric: pass/fail, in [0, 1], any number, or a word."""
    seen: dict[str, list[object]] = {}
    for trial in trials:
        for metric, value in trial.scores.items():
            if value is not None:
                seen.setdefault(metric, []).append(value)
    return {metric: _kind(values) for metric, values in seen.items()}


def _kind(values: Sequence[object]) -> ScoreKind:
    if any(isinstance(value, str) for value in values):
        return "label"
    if all(isinstance(value, bool) for value in values):
        return "binary"
    numbers = [float(value) for value in values if isinstance(value, bool | int | float)]
    return "bounded" if min(numbers) >= 0 and max(numbers) <= 1 else "continuous"


def _plain_scores(
    metric: str, kind: ScoreKind, table: dict[_Key, ImportedTrial], called: Mapping[str, str]
) -> dict[_Key, tuple[bool | float | str | None, str | None]]:
    found: dict[_Key, tuple[bool | float | str | None, str | None]] = {}
    for key, trial in table.items():
        value = trial.scores.get(metric)
        if value is not None and kind == "label":
            value = str(value)
        elif value is not None and kind in ("bounded", "continuous"):
            value = float(value)
        reason = trial.reasons.get(metric)
        found[called[key[0]], key[1], key[2]] = (value, redact_secrets(reason) if isinstance(reason, str) else reason)
    return found


class _Imported(Evaluator):
    """Gives back the score that another tool gave."""

    kind: ClassVar[str] = "imported"
    score_kind: ClassVar[ScoreKind] = "continuous"

    source: str
    """The tool."""
    made_by: str = ""
    """Version of its evaluator."""
    values: Literal["binary", "bounded", "continuous", "label"] = "continuous"
    less_is_better: bool = False

    _table: dict[_Key, tuple[bool | float | str | None, str | None]] = {}  # noqa: RUF012 - pydantic copies it

    def fill(self, table: Mapping[_Key, tuple[bool | float | str | None, str | None]]) -> None:
        """Give it the scores."""
        self._table.update(table)

    @property
    @override
    def metrics(self) -> tuple[MetricInfo, ...]:
        """The one metric."""
        better = None if self.values == "label" else not self.less_is_better
        return (MetricInfo(name=self.metric, score_kind=self.values, higher_is_better=better),)

    @property
    @override
    def stamp(self) -> str:
        """The version that the other tool gave, where it gave one."""
        return self.made_by or f"{self.source}-1"

    @override
    def evaluate(self, context: EvaluatorContext) -> Score:
        """Look the score up."""
        value, reason = self._table.get((context.variant, context.item_id, context.repeat), (None, None))
        if value is None:
            raise CannotScoreError(
                f"{self.source} recorded no score of {self.metric}" + (f": {reason}" if reason else "")
            )
        return Score(name=self.metric, value=value, reason=reason, evaluator=self.kind, version=self.stamp)


def _name(text: str) -> str:
    kept = "".join(char if char.isprintable() and char not in '/\\:*?"<>|' else "-" for char in text).strip()[:120]
    return kept or "imported"


def _time(text: str | None) -> str | None:
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found.astimezone(UTC).isoformat(timespec="milliseconds") if found.tzinfo is not None else None
