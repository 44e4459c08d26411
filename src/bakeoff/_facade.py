"""The Python door: `bakeoff.run` and `bakeoff.evaluate`."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from bakeoff.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from bakeoff.evaluators import Evaluator
    from bakeoff.experiments import Experiment, Progress
    from bakeoff.gateway import ModelClient
    from bakeoff.reports import RunResult

__all__ = ["evaluate", "evaluate_async", "run", "run_async"]

T = TypeVar("T")
Task = Callable[..., Any]


def run(
    source: str | Path | Mapping[str, Any],
    *,
    store: str | Path | None = None,
    data: object = None,
    progress: bool | Callable[[Progress], None] = False,
    client: ModelClient | None = None,
) -> RunResult:
    """Run an experiment file, or a spec as a mapping, and return its result.

    May be called inside a running event loop, as in a notebook.

    Args:
        source: Path of an experiment file, or its content as a mapping.
        store: Folder of the store; `BAKEOFF_STORE` or `.bakeoff` when omitted.
        data: Items from Python instead of the spec's data set: a DataFrame, a list of dicts, a callable.
        progress: `True` for a progress bar, or a function that is called with each `Progress`.
        client: Answers model calls instead of the gateway; for tests.

    Returns:
        The result of the sealed run.

    Raises:
        SpecError: The experiment is wrong; names every problem at once.
        StoreError: The store cannot be written.

    Examples:
        >>> import tempfile
        >>> spec = {
        ...     "name": "greeting",
        ...     "dataset": {"rows": [{"id": "1", "question": "2+2", "expected": "4"}]},
        ...     "prompts": {"plain": "{{ question }}"},
        ...     "models": {"small": "sim/small"},
        ...     "evaluators": ["contains"],
        ...     "mlflow": False,
        ... }
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     result = run(spec, store=folder)
        ...     result.manifest.status
        'complete'
    """
    return _finish(run_async(source, store=store, data=data, progress=progress, client=client))


async def run_async(
    source: str | Path | Mapping[str, Any],
    *,
    store: str | Path | None = None,
    data: object = None,
    progress: bool | Callable[[Progress], None] = False,
    client: ModelClient | None = None,
) -> RunResult:
    """Like `run`, to be awaited."""
    from bakeoff.experiments import load_experiment, open_store

    kept = open_store(store)
    experiment = await asyncio.to_thread(
        load_experiment,
        Path(source) if isinstance(source, str | Path) else source,
        cache_dir=kept.paths.datasets,
        data=data,
        check_keys=client is None,
    )
    return await _execute(experiment, store, progress, client)


def evaluate(
    data: Any,
    task: Task | Mapping[str, Task],
    evaluators: Sequence[str | Mapping[str, Any] | Evaluator | Callable[..., Any]],
    *,
    name: str = "evaluation",
    max_concurrency: int = 50,
    repetitions: int = 1,
    baseline: str | None = None,
    store: str | Path | None = None,
    progress: bool | Callable[[Progress], None] = False,
    mlflow: bool = False,
    seed: int = 0,
    **analysis: Any,
) -> RunResult:
    """Evaluate one or several callables on data, and compare them.

    May be called inside a running event loop, as in a notebook.

    Args:
        data: A file, a DataFrame, a list of dicts or a callable that gives dicts. A row is the inputs, with the
            right answer under `expected`; or it keeps its inputs together under `inputs` (or `input`).
        task: What is under test: a callable, sync or async, that gets the inputs by name (or as one dict when it
            takes one argument of another name); or several by name, which are compared.
        evaluators: Names (`"exact_match"`), specs (`{"numeric": {"tolerance": 0.01}}`), functions, or evaluators.
        name: Name of the experiment.
        max_concurrency: Trials in flight at once.
        repetitions: Runs of each item.
        baseline: Task that the others are compared with; the first when omitted.
        store: Folder of the store; `BAKEOFF_STORE` or `.bakeoff` when omitted.
        progress: `True` for a progress bar, or a function that is called with each `Progress`.
        mlflow: Whether to log to MLflow as well.
        seed: Of everything random.
        **analysis: Keys of the spec's `analysis` section: `primary`, `alpha`, `margin`, `correction`, ...

    Returns:
        The result: `.headline`, `.leaderboard()`, `.compare()`, `.to_frame()`.

    Raises:
        SpecError: An argument is wrong.
        DatasetError: The data cannot be read.

    Examples:
        >>> import tempfile
        >>> rows = [{"word": word, "expected": word.upper()} for word in ("bread", "butter", "salt")]
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     result = evaluate(
        ...         rows, {"title": str.title, "upper": str.upper}, ["exact_match"], store=folder,
        ...     )
        ...     result.leaderboard().loc["upper", "exact_match"]
        np.float64(1.0)
    """
    return _finish(
        evaluate_async(
            data, task, evaluators, name=name, max_concurrency=max_concurrency, repetitions=repetitions,
            baseline=baseline, store=store, progress=progress, mlflow=mlflow, seed=seed, **analysis,
        )
    )  # fmt: skip


async def evaluate_async(
    data: Any,
    task: Task | Mapping[str, Task],
    evaluators: Sequence[str | Mapping[str, Any] | Evaluator | Callable[..., Any]],
    *,
    name: str = "evaluation",
    max_concurrency: int = 50,
    repetitions: int = 1,
    baseline: str | None = None,
    store: str | Path | None = None,
    progress: bool | Callable[[Progress], None] = False,
    mlflow: bool = False,
    seed: int = 0,
    **analysis: Any,
) -> RunResult:
    """Like `evaluate`, to be awaited."""
    from bakeoff.evaluators import load_evaluators
    from bakeoff.experiments import load_experiment, open_store

    tasks = dict(task) if isinstance(task, Mapping) else {_task_name(task): task}
    for key, function in tasks.items():
        if not key.strip():
            raise SpecError("a task needs a name that is not empty")
        if not callable(function):
            raise SpecError(f"task {key!r} must be callable, got {type(function).__name__} {function!r}")
    if not isinstance(evaluators, (list, tuple)) or not evaluators:
        raise SpecError(f"evaluators must be a list with at least one entry, got {evaluators!r}")
    built = load_evaluators(_named(evaluators))
    spec: dict[str, Any] = {
        "name": name,
        "dataset": str(data) if isinstance(data, str | Path) else {"rows": []},
        "targets": {key: {"python": f"task:{key}"} for key in tasks},
        "repeats": repetitions,
        "evaluators": [evaluator.spec() for evaluator in built],
        "limits": {"concurrency": max_concurrency},
        "analysis": {**analysis, **({"baseline": baseline} if baseline is not None else {})},
        "mlflow": mlflow,
        "seed": seed,
    }
    kept = open_store(store)
    experiment = await asyncio.to_thread(
        load_experiment,
        spec,
        cache_dir=kept.paths.datasets,
        data=None if isinstance(data, str | Path) else _rows(data),
        callables={f"task:{key}": function for key, function in tasks.items()},
        evaluators=built,
    )
    return await _execute(experiment, store, progress, None)


async def _execute(
    experiment: Experiment,
    store: str | Path | None,
    progress: bool | Callable[[Progress], None],
    client: ModelClient | None,
) -> RunResult:
    from bakeoff.experiments import execute, open_store
    from bakeoff.reports import ProgressBar, RunResult

    kept = open_store(store)
    if progress is True:
        with ProgressBar() as bar:
            manifest = await execute(experiment, store=kept.paths, on_progress=bar, client=client)
    else:
        watcher = progress if callable(progress) else None
        manifest = await execute(experiment, store=kept.paths, on_progress=watcher, client=client)
    if experiment.spec.mlflow.enabled:
        from bakeoff.mlflow import log_run

        await asyncio.to_thread(log_run, kept, manifest.run_id, experiment.spec.mlflow)
    return RunResult(kept, manifest.run_id)


def _named(evaluators: Sequence[Any]) -> list[Any]:
    """Give each lambda a name of its own: `lambda`, `lambda_2`, ..."""
    from bakeoff.evaluators import load_evaluator

    named: list[Any] = []
    lambdas = 0
    for entry in evaluators:
        if getattr(entry, "__name__", "") == "<lambda>":
            lambdas += 1
            name = "lambda" if lambdas == 1 else f"lambda_{lambdas}"
            entry = load_evaluator(entry).model_copy(update={"name": name})
        named.append(entry)
    return named


def _rows(data: Any) -> Any:
    """Lift inputs that stand together under `inputs` or `input`, as other tools keep them."""
    if callable(data):
        return lambda: _lifted(data())
    if hasattr(data, "to_dict") and hasattr(data, "columns"):
        return data if not {"inputs", "input"} & set(data.columns) else _lifted(data.to_dict("records"))
    if isinstance(data, Mapping) or not isinstance(data, Iterable):
        raise SpecError(f"data must be a file, a DataFrame, a list of dicts or a callable, got {type(data).__name__}")
    return list(_lifted(data))


def _lifted(rows: Iterable[Any]) -> Iterable[Any]:
    names = {"expected_output": "expected", "reference": "expected", "expectations": "expected"}
    for row in rows:
        inputs = row.get("inputs") if isinstance(row, Mapping) else None
        if isinstance(inputs, Mapping):
            rest = {names.get(key, key): value for key, value in row.items() if key != "inputs"}
            yield {**inputs, **rest}
        else:
            yield row


def _task_name(task: Task) -> str:
    return getattr(task, "__name__", type(task).__name__).strip("<>") or "task"


def _finish(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end, also where an event loop runs already."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    outcome: list[T] = []
    failure: list[BaseException] = []

    def target() -> None:
        try:
            outcome.append(asyncio.run(work))
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            failure.append(error)

    thread = threading.Thread(target=target, name="bakeoff-run")
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return outcome[0]
