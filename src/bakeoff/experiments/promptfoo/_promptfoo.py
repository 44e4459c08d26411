"""A promptfoo configuration as an experiment that runs, with an honest list of what was not carried."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from bakeoff.errors import SpecError
from bakeoff.experiments.promptfoo._promptfoo_files import Files, NotCarriedError, Notes
from bakeoff.experiments.promptfoo._promptfoo_models import add_defaults, model_string, models_of, prompts_of, slug
from bakeoff.experiments.promptfoo._promptfoo_tests import items_of
from bakeoff.experiments.promptfoo._promptfoo_text import add_around, print_as_javascript, resolved
from bakeoff.experiments.store._manifest import write_atomically
from bakeoff.prompts import load_prompt

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["PromptfooImport", "import_promptfoo"]

_KNOWN = {
    "prompts", "providers", "targets", "tests", "defaultTest", "scenarios", "description", "assertionTemplates",
    "evaluateOptions", "commandLineOptions", "tags", "env",
}  # fmt: skip
_OF_NO_CONCERN = {"$schema", "outputPath", "sharing", "writeLatestResults", "metadata"}
_JUDGES = {
    "judge", "g_eval", "factuality", "closed_qa", "answer_relevance", "faithfulness", "context_relevance"
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptfooImport:
    """What came out of a promptfoo file."""

    experiment: Path
    """The experiment file."""
    tests: Path
    """The data set."""
    prompts: int
    models: int
    items: int
    checks: int
    lost: tuple[str, ...]
    """What was not carried, and why."""
    changed: tuple[str, ...]
    """What was carried with another meaning."""


def import_promptfoo(
    config: Path, out: Path, *, models: Sequence[str] = (), judge: str | None = None, force: bool = False
) -> PromptfooImport:
    """Turn a promptfoo file into an experiment: `experiment.yaml` and `tests.jsonl`.

    Prompts, providers, tests, `defaultTest`, scenarios, variables (lists become combinations), assertions with weight,
    threshold and metric, `file://` references inside the folder and CSV tests with `__expected` are carried. Every
    test keeps its own assertions: they become checks of the item, run by the evaluator `item_checks`, with the rule of
    promptfoo (all must pass, or the weighted share must reach the test's threshold). Programs (JavaScript, Python) are
    never run; they are listed.

    Args:
        config: `promptfooconfig.yaml` (or .json).
        out: Folder to write to; made when it is not there.
        models: Models (LiteLLM strings, `sim/small`) instead of the file's providers.
        judge: Model of the judges; the grader of the file, or `openai/gpt-5-mini`, when omitted.
        force: Write over files that are there.

    Raises:
        SpecError: The file cannot be read, has no prompt or provider that could be carried, or `out` is not empty.
    """
    notes, files = Notes(), Files(config.parent)
    data = _read(config)
    try:
        data = resolved(data, notes)
    except NotCarriedError as error:
        raise SpecError(f"the promptfoo file {str(config)!r}: {error}") from None
    for key in sorted(set(data) - _KNOWN - _OF_NO_CONCERN):
        notes.lose(f"`{key}`")
    prompts, labels = prompts_of(data, files=files, notes=notes)
    if not prompts:
        raise SpecError(_nothing(config, "prompt", notes))
    found, only, origins = models_of(data, files=files, notes=notes)
    if models:
        found.clear()
        only.clear()
        for model in models:
            found[slug(model.rpartition("/")[2], found)] = {"model": model}
    else:
        add_defaults(found, origins, notes)
    if not found:
        raise SpecError(f"{_nothing(config, 'provider', notes)}; name a model with --model (sim/small costs nothing)")
    rows = items_of(data, files=files, notes=notes)
    add_around(prompts, rows, notes)
    print_as_javascript(prompts, rows, notes)
    _complete(rows, prompts, notes)
    spec = _spec(data, config, prompts, found, rows, notes)
    exclude = _excluded(only, labels, notes)
    if exclude:
        spec["exclude"] = exclude
    spec["evaluators"] = _evaluators(data, rows, judge, notes)
    return _write(spec, rows, config, out, notes, force=force)


def _read(config: Path) -> dict[str, Any]:
    if config.suffix.lower() not in (".yaml", ".yml", ".json"):
        raise SpecError(f"{str(config)!r} is no .yaml or .json file; programs that make a configuration are not run")
    try:
        data = Files(config.parent).data(config)
    except NotCarriedError as error:
        raise SpecError(f"the promptfoo file {str(config)!r}: {error}") from None
    if not isinstance(data, dict):
        raise SpecError(f"the promptfoo file {str(config)!r} is no mapping with prompts, providers and tests")
    return data


def _nothing(config: Path, what: str, notes: Notes) -> str:
    why = "; ".join(list(notes.lost)[:3])
    return f"{str(config)!r} has no {what} that can be carried" + (f" ({why})" if why else "")


def _complete(rows: list[dict[str, Any]], prompts: Mapping[str, Any], notes: Notes) -> None:
    """Give every item each variable that a prompt needs: promptfoo leaves an unknown one empty."""
    needed: set[str] = set()
    for name, prompt in prompts.items():
        found = load_prompt(name, prompt, base_dir=Path())
        needed |= found.variables - found.optional
    for row in rows:
        for name in sorted(needed - set(row["inputs"])):
            row["inputs"][name] = ""
            notes.change(f"variable {name!r} is empty where a test does not set it")
        if not row["inputs"]:
            row["inputs"]["test"] = row["id"]


def _spec(
    data: Mapping[str, Any],
    config: Path,
    prompts: dict[str, Any],
    models: dict[str, Any],
    rows: list[dict[str, Any]],
    notes: Notes,
) -> dict[str, Any]:
    spec: dict[str, Any] = {"name": slug(str(data.get("description") or config.parent.resolve().name or "promptfoo"))}
    if data.get("description"):
        spec["description"] = str(data["description"])[:1000]
    spec["dataset"] = "tests.jsonl"
    spec["prompts"] = prompts
    spec["models"] = models
    spec["factors"] = {"prompt": list(prompts), "model": list(models)}
    given = (data.get("commandLineOptions"), data.get("evaluateOptions"))
    options = {key: value for part in given if isinstance(part, dict) for key, value in part.items()}
    for key, value in options.items():
        if key == "repeat" and isinstance(value, int) and value > 1:
            spec["repeats"] = value
        elif key in ("maxConcurrency", "max-concurrency") and isinstance(value, int) and value > 0:
            spec["limits"] = {"concurrency": value}
        elif key == "cache" and value is False:
            spec["gateway"] = {"cache": False}
        elif key not in ("showProgressBar", "progressBar", "cache", "repeat", "verbose"):
            notes.lose(f"evaluateOptions: `{key}`")
    if isinstance(data.get("tags"), dict):
        spec["tags"] = {str(key): str(value) for key, value in data["tags"].items()}
    return spec


def _excluded(only: Mapping[str, list[str]], labels: Mapping[str, str], notes: Notes) -> list[dict[str, str]]:
    exclude: list[dict[str, str]] = []
    for model, wanted in only.items():
        kept = {name for name, label in labels.items() if label in wanted or name in wanted}
        if not kept:
            notes.lose(f"model {model!r}: its `prompts` {wanted!r} match none")
            continue
        exclude += [{"prompt": name, "model": model} for name in labels if name not in kept]
    return exclude


def _evaluators(data: Mapping[str, Any], rows: list[dict[str, Any]], judge: str | None, notes: Notes) -> list[Any]:
    checks = [check for row in rows for check in _checks(row)]
    kinds = set(_kinds(checks))
    options: dict[str, Any] = {"name": "passes"}
    if kinds & _JUDGES:
        options["model"] = judge or _grader(data, "text", notes) or "openai/gpt-5-mini"
    if "embedding_similarity" in kinds:
        usual = "sim/embedding" if judge is not None and judge.startswith("sim/") else "openai/text-embedding-3-small"
        options["embedding_model"] = (None if judge else _grader(data, "embedding", notes)) or usual
    if "moderation" in kinds:
        usual = "sim/moderation" if judge is not None and judge.startswith("sim/") else "openai/omni-moderation-latest"
        options["moderation_model"] = (None if judge else _grader(data, "moderation", notes)) or usual
    evaluators: list[Any] = [{"item_checks": options}]
    names = {
        entry["name"] for check in checks for entry in check.values() if isinstance(entry, dict) and "name" in entry
    }
    evaluators += [
        {"item_checks": {**options, "name": name, "only": name, "value": "share"}}
        for name in sorted(names - {"passes"})
    ]
    return evaluators


def _checks(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = row["metadata"]["checks"]
    return list(found["checks"] if isinstance(found, dict) else found)


def _kinds(checks: list[dict[str, Any]]) -> list[str]:
    kinds: list[str] = []
    for check in checks:
        for kind, options in check.items():
            kinds.append(kind)
            if isinstance(options, dict) and isinstance(options.get("of"), list):
                kinds += _kinds(options["of"])
    return kinds


def _grader(data: Mapping[str, Any], purpose: str, notes: Notes) -> str | None:
    default = data.get("defaultTest")
    options = default.get("options") if isinstance(default, dict) else None
    found = options.get("provider") if isinstance(options, dict) else None
    if isinstance(found, dict) and purpose in found:
        found = found[purpose]
    elif purpose != "text":
        return None
    if isinstance(found, dict):
        found = found.get("id")
    if not isinstance(found, str):
        return None
    try:
        if purpose != "text":
            head, _, rest = found.partition(":")
            return f"{head}/{rest.rpartition(':')[2]}"
        return model_string(found)
    except NotCarriedError as error:
        notes.lose(f"grader: {error}")
        return None


def _write(
    spec: dict[str, Any], rows: list[dict[str, Any]], config: Path, out: Path, notes: Notes, *, force: bool
) -> PromptfooImport:
    experiment, tests = out / "experiment.yaml", out / "tests.jsonl"
    there = [path.name for path in (experiment, tests) if path.exists()]
    if there and not force:
        raise SpecError(f"{str(out)!r} holds {' and '.join(there)} already; choose another --out, or use --force")
    lost, changed = _told(notes.lost), _told(notes.changed)
    head = [f"Made from the promptfoo file {config.name}."]
    head += ["", "Not carried:", *(f"- {text}" for text in lost)] if lost else []
    head += ["", "Carried with another meaning:", *(f"- {text}" for text in changed)] if changed else []
    comment = "".join(f"# {line}".rstrip() + "\n" for text in head for line in (text.splitlines() or [""]))
    body = yaml.dump(spec, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
    lines = "".join(json.dumps(row, ensure_ascii=True, allow_nan=False, default=str) + "\n" for row in rows)
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_atomically(tests, lines.encode())
        write_atomically(experiment, (comment + "\n" + body).encode("utf-8", "replace"))
    except OSError as error:
        raise SpecError(f"{str(out)!r} cannot be written: {error.strerror or error}") from error
    return PromptfooImport(
        experiment=experiment, tests=tests, prompts=len(spec["prompts"]), models=len(spec["models"]), items=len(rows),
        checks=sum(len(_checks(row)) for row in rows), lost=lost, changed=changed,
    )  # fmt: skip


def _told(notes: Mapping[str, int]) -> tuple[str, ...]:
    return tuple(f"{text} ({count} times)" if count > 1 else text for text, count in notes.items())


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as blocks."""


def _block(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_multi_representer(str, _block)
