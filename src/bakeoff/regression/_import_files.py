"""Read what other tools write as JSON, JSON lines and CSV: promptfoo, MLflow, OpenAI Evals, a table of scores."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from bakeoff.errors import SpecError
from bakeoff.regression._import_types import ImportedRun, ImportedTrial, identity_of, numbered

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["mlflow_run", "read_csv", "read_mlflow", "read_openai_evals", "read_promptfoo"]

_LONG_LABEL = 60


def _load(path: Path, tool: str) -> Any:
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        raise SpecError(f"{str(path)!r} is no {tool} file: {error}") from None


# --- promptfoo


def read_promptfoo(path: Path) -> ImportedRun:
    """Read promptfoo results (`promptfoo eval -o results.json`): a test is an item, a prompt on a provider a variant.

    Metrics are `pass`, `score`, and every named metric; tests with the same variables and assertions are repeats.

    Raises:
        SpecError: The file holds no promptfoo results.
    """
    data = _load(path, "promptfoo")
    found = data.get("results") if isinstance(data, dict) else None
    entries = found.get("results") if isinstance(found, dict) else None
    if not isinstance(found, dict) or not isinstance(entries, list) or not entries or "testCase" not in entries[0]:
        raise SpecError(f"{str(path)!r} holds no promptfoo results; write them with `promptfoo eval -o results.json`")
    several = len({_provider(entry) for entry in entries}) > 1
    trials = [_promptfoo_trial(entry, several=several) for entry in entries]
    about = data.get("config") or {}
    created = (data.get("metadata") or {}).get("evaluationCreatedAt") or found.get("timestamp")
    return ImportedRun(
        name=str(about.get("description") or path.stem), format="promptfoo", trials=numbered(trials), created_at=created
    )


def _provider(entry: Mapping[str, Any]) -> str:
    provider = entry.get("provider") or {}
    return str(provider.get("label") or provider.get("id")) if isinstance(provider, dict) else str(provider)


def _promptfoo_trial(entry: Mapping[str, Any], *, several: bool) -> ImportedTrial:
    label = str((entry.get("prompt") or {}).get("label", ""))
    short = label if 0 < len(label) <= _LONG_LABEL and "{{" not in label and "\n" not in label else ""
    variant = short or f"prompt {int(entry.get('promptIdx', 0)) + 1}"
    if several:
        variant = f"{variant} on {_provider(entry)}"
    test = entry["testCase"]
    inputs = dict(entry.get("vars") or test.get("vars") or {})
    grading = entry.get("gradingResult") or {}
    failed = entry.get("failureReason") == 2 or (entry.get("error") and not grading)
    scores: dict[str, bool | int | float | str | None] = {}
    if not failed:
        scores = {"pass": bool(entry.get("success")), "score": _float(entry.get("score"))}
        scores |= {str(name): _float(value) for name, value in (entry.get("namedScores") or {}).items()}
    response = entry.get("response") or {}
    usage = response.get("tokenUsage") or {}
    return ImportedTrial(
        variant=variant,
        item=identity_of(inputs, test.get("assert"), test.get("description")),
        inputs=inputs,
        output=response.get("output"),
        scores=scores,
        reasons={"pass": str(grading.get("reason"))[:500]} if grading.get("reason") else {},
        error=str(entry.get("error") or "error")[:2000] if failed else None,
        metadata={"test": test["description"]} if test.get("description") else {},
        latency_ms=_float(entry.get("latencyMs")),
        cost_usd=_float(entry.get("cost")),
        input_tokens=int(usage.get("prompt") or 0),
        output_tokens=int(usage.get("completion") or 0),
    )


def _float(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


# --- MLflow


def read_mlflow(path: Path) -> ImportedRun:
    """Read traces of an MLflow evaluation run: a JSON list of `trace.to_dict()`, or one a line.

    Raises:
        SpecError: The file holds no traces with assessments.
    """
    text = path.read_text(encoding="utf-8")
    try:
        traces = json.loads(text) if text.lstrip().startswith("[") else [json.loads(s) for s in text.splitlines() if s]
    except ValueError as error:
        raise SpecError(f"{str(path)!r} is no list of MLflow traces: {error}") from None
    return mlflow_run(traces, name=path.stem)


def mlflow_run(traces: Sequence[Mapping[str, Any]], *, name: str, variant: str = "mlflow") -> ImportedRun:
    """Turn traces of an MLflow evaluation run into an imported run.

    Feedback becomes scores (`yes` and `no` of built-in judges become pass and fail), expectations what was expected.
    Traces with the same inputs are repeats of one item.

    Raises:
        SpecError: No trace has an assessment.
    """
    versions: dict[str, str] = {}
    trials: list[ImportedTrial] = []
    for trace in traces:
        info = trace.get("info") or {}
        if info.get("assessments"):
            trials.append(_mlflow_trial(info, variant, versions))
    if not trials:
        raise SpecError(f"{name!r} holds no MLflow traces with assessments; evaluate with mlflow.genai.evaluate first")
    times = sorted(str(t["info"]["request_time"]) for t in traces if (t.get("info") or {}).get("request_time"))
    return ImportedRun(
        name=name, format="mlflow", trials=numbered(trials), versions=versions, created_at=times[0] if times else None
    )


def _mlflow_trial(info: Mapping[str, Any], variant: str, versions: dict[str, str]) -> ImportedTrial:
    about = info.get("trace_metadata") or info.get("request_metadata") or {}
    inputs, output = _decoded(about.get("mlflow.traceInputs")), _decoded(about.get("mlflow.traceOutputs"))
    scores: dict[str, bool | int | float | str | None] = {}
    reasons: dict[str, str] = {}
    expected: dict[str, Any] = {}
    for entry in info["assessments"]:
        name = str(entry.get("assessment_name"))
        if entry.get("valid") is False:
            continue
        if "expectation" in entry:
            expected[name] = (entry["expectation"] or {}).get("value")
            continue
        value = (entry.get("feedback") or {}).get("value")
        if isinstance(value, str) and value.lower() in ("yes", "no"):
            value = value.lower() == "yes"
        scores[name] = value if isinstance(value, bool | int | float | str) else None
        reason = entry.get("rationale") or ((entry.get("feedback") or {}).get("error") or {}).get("error_message")
        if reason:
            reasons[name] = str(reason)[:500]
        digest = (entry.get("metadata") or {}).get("mlflow.assessment.scorerDigest")
        if digest:
            versions[name] = str(digest).removeprefix("sha256:")[:12]
    usage = _decoded(about.get("mlflow.trace.tokenUsage")) or {}
    given = inputs if isinstance(inputs, dict) else {"inputs": inputs}
    return ImportedTrial(
        variant=variant,
        item=identity_of(given),
        inputs=given,
        expected=next(iter(expected.values())) if len(expected) == 1 else expected or None,
        output=output,
        scores=scores,
        reasons=reasons,
        error=None if info.get("state", "OK") in ("OK", "STATE_UNSPECIFIED") else f"the trace ended {info['state']}",
        latency_ms=_float(info.get("execution_duration_ms") or info.get("execution_time_ms")),
        input_tokens=int(usage.get("input_tokens") or 0) if isinstance(usage, dict) else 0,
        output_tokens=int(usage.get("output_tokens") or 0) if isinstance(usage, dict) else 0,
    )


def _decoded(text: Any) -> Any:
    if not isinstance(text, str):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


# --- OpenAI Evals


def read_openai_evals(path: Path) -> ImportedRun:
    """Read a log of OpenAI Evals (JSON lines): `match` events become `correct`, `metrics` events metrics.

    Raises:
        SpecError: The file is no such log.
    """
    spec: dict[str, Any] = {}
    by_sample: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            event = json.loads(line)
        except ValueError:
            raise SpecError(f"{str(path)!r}, line {number}: is no JSON; is this a log of OpenAI Evals?") from None
        if not isinstance(event, dict):
            raise SpecError(f"{str(path)!r}, line {number}: is no event of an OpenAI Evals log")
        if "spec" in event:
            spec = event["spec"] or {}
        elif event.get("sample_id") is not None and isinstance(event.get("data"), dict):
            by_sample[str(event["sample_id"])].append(event)
    if not spec or not by_sample:
        raise SpecError(f"{str(path)!r} is no log of OpenAI Evals: it has no `spec` line, or no samples")
    models = spec.get("completion_fns") or [spec.get("model_name") or "model"]
    variant = " + ".join(str(model) for model in models)
    trials = [_evals_trial(sample, events, variant) for sample, events in sorted(by_sample.items())]
    created = str(spec.get("created_at") or "").replace(" ", "T")
    return ImportedRun(
        name=str(spec.get("base_eval") or spec.get("eval_name") or path.stem), format="openai-evals", trials=trials,
        versions=dict.fromkeys({name for trial in trials for name in trial.scores}, str(spec.get("eval_name", ""))),
        created_at=f"{created}+00:00" if created and created[-1] != "Z" and "+" not in created else created or None,
    )  # fmt: skip


def _evals_trial(sample: str, events: Sequence[Mapping[str, Any]], variant: str) -> ImportedTrial:
    scores: dict[str, bool | int | float | str | None] = {}
    inputs: dict[str, Any] = {}
    output: Any = None
    expected: Any = None
    error: str | None = None
    for event in events:
        data = event["data"]
        if event.get("type") == "match":
            scores["correct"] = bool(data.get("correct"))
            expected = data.get("expected", expected)
            output = data.get("sampled", data.get("picked", output))
        elif event.get("type") == "metrics":
            scores |= {str(k): v for k, v in data.items() if isinstance(v, bool | int | float | str)}
        elif event.get("type") == "sampling":
            sampled = data.get("sampled")
            output = sampled[0] if isinstance(sampled, list) and sampled else sampled
            inputs = {"prompt": data.get("prompt")}
        elif event.get("type") == "error":
            error = str(data.get("message") or data.get("type") or "error")
    return ImportedTrial(
        variant=variant, item=sample, inputs=inputs or {"sample": sample}, expected=expected, output=output,
        scores=scores, error=error if not scores else None,
    )  # fmt: skip


# --- a table of scores

_ROLES = {
    "item": ("item", "item_id", "id", "sample_id", "test"),
    "variant": ("variant", "model", "system", "prompt_name"),
    "repeat": ("repeat", "epoch", "run", "seed"),
    "output": ("output", "answer", "response", "completion"),
    "expected": ("expected", "target", "reference", "truth"),
    "cluster": ("cluster", "group", "document", "user"),
    "error": ("error",),
    "latency_ms": ("latency_ms",),
    "cost_usd": ("cost_usd", "cost"),
    "metric": ("metric", "score_name"),
    "value": ("value", "score"),
}
_TRUE, _FALSE = ("1", "true", "yes", "pass", "passed"), ("0", "false", "no", "fail", "failed")


def read_csv(path: Path, *, metrics: Sequence[str] = ()) -> ImportedRun:
    """Read a table of scores: one row for each answer with a column for each metric, or one row for each score.

    Columns are known by name: `item` (or `id`), `variant` (or `model`), `repeat`, `output`, `expected`, `cluster`,
    `error`, `latency_ms`, `cost_usd`; with `metric` and `value`, a row is one score. Every other column whose cells are
    all numbers, or all pass/fail words, is a metric; the rest are inputs. An empty cell is a missing score.

    Args:
        path: The file.
        metrics: Columns that are metrics, instead of guessing.

    Raises:
        SpecError: There is no column for the item, or none for a score.
    """
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        rows = list(reader)
        columns = [name for name in (reader.fieldnames or []) if name]
    roles = {role: next((n for n in columns if n.strip().lower() in names), None) for role, names in _ROLES.items()}
    if roles["item"] is None or not rows:
        raise SpecError(
            f"{str(path)!r} needs a column `item` (or `id`) and rows; it has {', '.join(columns) or 'none'}"
        )
    is_long = roles["metric"] is not None and roles["value"] is not None
    if not is_long:  # a column `score` without a column `metric` is a metric of that name
        roles["value"] = roles["metric"] = None
    used = {name for name in roles.values() if name is not None}
    for name in metrics:
        if name not in columns:
            raise SpecError(f"{str(path)!r} has no column {name!r}; it has {', '.join(columns)}")
    wide = list(metrics) or [name for name in columns if name not in used and _scores_of(rows, name) is not None]
    if not is_long and not wide:
        raise SpecError(f"{str(path)!r} has no column with scores; name one with --metric")
    trials = _long(rows, columns, roles) if is_long else _wide(rows, columns, roles, wide)
    if roles["repeat"] is None:
        trials = numbered(trials)
    return ImportedRun(name=path.stem, format="csv", trials=trials)


def _scores_of(rows: Sequence[Mapping[str, str]], name: str) -> list[bool | float | None] | None:
    """Return a column as scores; `None` when a cell is neither a number nor pass/fail, or none is filled."""
    cells = [(row.get(name) or "").strip() for row in rows]
    filled = [cell.lower() for cell in cells if cell]
    if not filled:
        return None
    if all(cell in _TRUE or cell in _FALSE for cell in filled):
        return [cell.lower() in _TRUE if cell else None for cell in cells]
    try:
        return [float(cell) if cell else None for cell in cells]
    except ValueError:
        return None


def _cell(row: Mapping[str, str], name: str | None) -> str | None:
    return (row.get(name) or "").strip() or None if name is not None else None


def _common(row: Mapping[str, str], roles: Mapping[str, str | None], inputs: Sequence[str]) -> dict[str, Any]:
    repeat = _cell(row, roles["repeat"])
    item = _cell(row, roles["item"])
    if item is None:
        raise SpecError("a row of the table has no item")
    try:
        numbers = {
            name: None if (cell := _cell(row, roles[name])) is None else float(cell)
            for name in ("latency_ms", "cost_usd")
        }
        return {
            "variant": _cell(row, roles["variant"]) or "imported",
            "item": item,
            "repeat": int(float(repeat)) if repeat is not None else 0,
            "inputs": {name: row.get(name) for name in inputs} or {"item": item},
            "output": _cell(row, roles["output"]),
            "expected": _cell(row, roles["expected"]),
            "cluster": _cell(row, roles["cluster"]),
            "error": _cell(row, roles["error"]),
            **numbers,
        }
    except ValueError as error:
        raise SpecError(f"the row of item {item!r} holds no number where one belongs: {error}") from None


def _wide(
    rows: Sequence[Mapping[str, str]], columns: Sequence[str], roles: Mapping[str, str | None], metrics: Sequence[str]
) -> list[ImportedTrial]:
    used = {name for name in roles.values() if name is not None} | set(metrics)
    inputs = [name for name in columns if name not in used]
    scores: dict[str, list[bool | float | None]] = {}
    for name in metrics:
        found = _scores_of(rows, name)
        if found is None:
            raise SpecError(f"the column {name!r} holds something that is neither a number nor pass/fail")
        scores[name] = found
    return [
        ImportedTrial(scores={name: column[at] for name, column in scores.items()}, **_common(row, roles, inputs))
        for at, row in enumerate(rows)
    ]


def _long(
    rows: Sequence[Mapping[str, str]], columns: Sequence[str], roles: Mapping[str, str | None]
) -> list[ImportedTrial]:
    used = {name for name in roles.values() if name is not None}
    inputs = [name for name in columns if name not in used]
    value, metric = str(roles["value"]), str(roles["metric"])
    by_metric: dict[str, list[int]] = defaultdict(list)
    for at, row in enumerate(rows):
        by_metric[(row.get(metric) or "").strip()].append(at)
    scores: dict[int, tuple[str, bool | float | None]] = {}
    for name, places in by_metric.items():
        column = _scores_of([rows[at] for at in places], value)
        if not name or column is None:
            raise SpecError(f"the values of the metric {name!r} are neither numbers nor pass/fail")
        for at, score in zip(places, column, strict=True):
            scores[at] = (name, score)
    gathered: dict[tuple[str, str, int], dict[str, Any]] = {}
    for at, row in enumerate(rows):
        common = _common(row, roles, inputs)
        kept = gathered.setdefault((common["variant"], common["item"], common["repeat"]), {**common, "scores": {}})
        name, score = scores[at]
        kept["scores"][name] = score
    return [ImportedTrial(**entry) for entry in gathered.values()]
