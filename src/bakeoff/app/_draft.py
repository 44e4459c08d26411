"""An experiment on its way: a plain mapping that becomes a file, checked and planned as the command line would."""

from __future__ import annotations

import copy
import difflib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bakeoff.app._text import h
from bakeoff.datasets import DatasetSpec
from bakeoff.errors import BakeoffError, SpecError, SpecProblem, StoreError
from bakeoff.experiments import load_experiment, parse_spec, plan_run, write_atomically

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bakeoff.datasets import Dataset
    from bakeoff.experiments import Experiment, LocalStore, Plan

__all__ = [
    "Checked", "check", "diff_lines", "example_draft", "experiment_folder", "from_yaml", "highlight",
    "known_files", "save", "save_upload", "slug", "to_yaml",
]  # fmt: skip

Draft = dict[str, Any]

UPLOAD_TYPES = ("csv", "tsv", "jsonl", "json", "xlsx", "parquet")
_ORDER = (
    "name", "description", "dataset", "prompts", "models", "targets", "factors", "variants", "exclude", "repeats",
    "evaluators", "analysis", "allocation", "budget", "limits",
)  # fmt: skip
_ODD = re.compile(
    "[^\n\t -~\xa0-\u1fff\u2010-\u2027\u2030-\ud7ff\uf900-\ufdff\ufe10-\ufefe\uff00-\uffef\U00010000-\U0010ffff]"
)
"""What YAML reads differently unless it is escaped: odd line breaks, controls."""
_VARIABLE = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What is known of a draft: the experiment and its plan, or every problem it has."""

    experiment: Experiment | None
    plan: Plan | None
    problems: tuple[SpecProblem, ...]


def experiment_folder(store: LocalStore) -> Path:
    """Return where the dashboard keeps experiment files: `experiments`, beside the store."""
    return store.paths.root.resolve().parent / "experiments"


def known_files(store: LocalStore) -> list[Path]:
    """Return the experiment files beside the store, newest first."""
    parent = store.paths.root.resolve().parent
    found = {path for folder in (parent, parent / "experiments") for path in folder.glob("*.y*ml") if path.is_file()}
    return sorted(found, key=lambda path: -path.stat().st_mtime)[:50]


def example_draft() -> Draft:
    """Return the draft that the page begins with: two prompts on a simulated model, on bundled data."""
    return {
        "name": "my-first-comparison",
        "description": "Which prompt sorts support messages better?",
        "dataset": "bundled:support-triage",
        "prompts": {
            "short": "Classify this support message: {{ message }}",
            "with examples": (
                "You sort incoming support messages. Answer with exactly one label:\n"
                "account_access, billing, cancel_subscription, delivery, feedback, how_to, refund, technical_fault\n\n"
                'Example: "I was charged twice" -> billing\n'
                'Example: "The app closes when I open it" -> technical_fault\n\n'
                "Message: {{ message }}"
            ),
        },
        "models": {"small": "sim/small"},
        "evaluators": [{"label_match": {"name": "correct", "labels": [
            "account_access", "billing", "cancel_subscription", "delivery", "feedback", "how_to", "refund",
            "technical_fault",
        ]}}],
        "analysis": {"primary": "correct", "margin": 0.03},
        "budget": {"usd": 1.0},
        "limits": {"concurrency": 20},
    }  # fmt: skip


def slug(name: str) -> str:
    """Return a name as a file name.

    Examples:
        >>> slug("Which prompt? (v2)")
        'which-prompt-v2'
    """
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60] or "experiment"


def to_yaml(draft: Mapping[str, Any]) -> str:
    r"""Write a draft the way a person would: keys in the order of the manual, texts as blocks.

    Examples:
        >>> print(to_yaml({"evaluators": ["exact_match"], "name": "x", "prompts": {"a": "one\ntwo"}}).strip())
        name: x
        prompts:
          a: |-
            one
            two
        evaluators:
        - exact_match
    """
    import yaml

    class Dumper(yaml.SafeDumper):
        pass

    def text(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
        clean = "\n".join(line.rstrip(" \t") for line in value.split("\n")) if "\n" in value else value
        style = '"' if _ODD.search(clean) else "|" if "\n" in clean else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", clean, style=style)

    Dumper.add_representer(str, text)
    ordered = {key: draft[key] for key in _ORDER if key in draft} | {k: v for k, v in draft.items() if k not in _ORDER}
    kept = {key: value for key, value in ordered.items() if value not in (None, {}, [], "")}
    return yaml.dump(kept, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=100)


def from_yaml(text: str, *, file: Path | None = None) -> Draft:
    """Read a draft from YAML.

    Raises:
        SpecError: It is not YAML, or not a mapping.
    """
    import yaml

    try:
        data = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise SpecError([SpecProblem(f"is not YAML: {error}", file=str(file or ""))]) from None
    if not isinstance(data, dict):
        raise SpecError([SpecProblem("must be a mapping of keys", file=str(file or ""), fix="begin with `name: ...`")])
    data.pop("$schema", None)
    return {str(key): value for key, value in data.items()}


def check(
    text: str,
    *,
    folder: Path,
    store: LocalStore,
    check_keys: bool = False,
    opened: Callable[[DatasetSpec], Dataset] | None = None,
) -> Checked:
    """Check a draft as `bakeoff validate` and `bakeoff plan` would; nothing is called.

    Args:
        text: The draft as YAML.
        folder: Where its relative paths start.
        store: Where data sets are laid down, and earlier runs tell what to expect.
        check_keys: Whether a missing API key is a problem.
        opened: Gives a data set that was read before, so that a large file is not read at every change.
    """
    path = folder / "draft.yaml"
    try:
        spec, _ = parse_spec(path, text=text)
        data = None
        if opened is not None and spec.dataset.path is not None and not spec.targets:
            try:
                data = opened(spec.dataset)
                spec = spec.model_copy(update={"dataset": DatasetSpec(path=spec.dataset.path)})
            except BakeoffError:
                data = None  # said below, with its place in the file
        experiment = load_experiment(
            spec, base_dir=folder, cache_dir=store.paths.datasets, data=data, check_keys=check_keys
        )
        return Checked(experiment=experiment, plan=plan_run(experiment, store=store), problems=())
    except SpecError as error:
        return Checked(experiment=None, plan=None, problems=error.problems)
    except BakeoffError as error:
        return Checked(experiment=None, plan=None, problems=(SpecProblem(str(error)),))


def diff_lines(before: str, after: str) -> list[tuple[str, str]]:
    r"""Return the lines of a new file against the old: (kind, line), kind one of `same`, `add`, `cut`.

    Examples:
        >>> diff_lines("a\nb\n", "a\nc\n")
        [('same', 'a'), ('cut', 'b'), ('add', 'c')]
    """
    kinds = {" ": "same", "+": "add", "-": "cut"}
    found = difflib.ndiff(before.splitlines(), after.splitlines())
    return [(kinds[line[0]], line[2:]) for line in found if line[0] in kinds]


def save(text: str, path: Path) -> None:
    """Write an experiment file, with the JSON Schema that editors complete it by beside it.

    Raises:
        StoreError: A file cannot be written.
    """
    import json

    from bakeoff.experiments import experiment_schema

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{str(path.parent)!r} cannot be made: {error.strerror}") from error
    schema = path.parent / "experiment.schema.json"
    if not schema.exists():
        write_atomically(schema, (json.dumps(experiment_schema(), indent=1) + "\n").encode())
    head = "# yaml-language-server: $schema=experiment.schema.json\n"
    write_atomically(path, (head + text).encode())


def save_upload(name: str, content: bytes, folder: Path) -> Path:
    """Keep an uploaded data file beside the experiments; a different file of the same name is not overwritten.

    Raises:
        SpecError: The kind of file is not one that data sets are read from.
        StoreError: The file cannot be written.
    """
    suffix = Path(name).suffix.lower().lstrip(".")
    if suffix not in UPLOAD_TYPES:
        raise SpecError(f"{name!r} is not a data file: the suffix must be one of {', '.join(UPLOAD_TYPES)}")
    data = folder / "data"
    try:
        data.mkdir(parents=True, exist_ok=True)
        stem = slug(Path(name).stem)
        for count in range(1, 1000):
            path = data / f"{stem}{'' if count == 1 else f'-{count}'}.{suffix}"
            if not path.exists():
                write_atomically(path, content)
                return path
            if path.read_bytes() == content:
                return path
    except OSError as error:
        raise StoreError(f"{name!r} cannot be kept in {str(data)!r}: {error.strerror}") from error
    raise StoreError(f"there are 1,000 files named {stem!r} in {str(data)!r}; remove some")


def highlight(template: str, unknown: Sequence[str]) -> str:
    """Return a template as escaped HTML with its variables marked; unknown ones in the colour of errors.

    Examples:
        >>> highlight("Hi {{ name }}", [])
        'Hi <mark>{{ name }}</mark>'
    """
    parts: list[str] = []
    at = 0
    for match in _VARIABLE.finditer(template):
        bad = any(re.search(rf"\b{re.escape(name)}\b", match.group()) for name in unknown)
        parts += [h(template[at : match.start()]), f"<mark{' class=bad' if bad else ''}>{h(match.group())}</mark>"]
        at = match.end()
    return "".join([*parts, h(template[at:])])


def evaluator_parts(entry: object) -> tuple[str, dict[str, Any]]:
    """Return the kind and the options of an evaluator as it stands in a spec.

    Examples:
        >>> evaluator_parts("exact_match"), evaluator_parts({"regex": {"pattern": "x"}})
        (('exact_match', {}), ('regex', {'pattern': 'x'}))
    """
    if isinstance(entry, dict) and len(entry) == 1:
        kind, options = next(iter(entry.items()))
        if isinstance(options, dict):
            return str(kind), copy.deepcopy(options)
        from bakeoff.evaluators import evaluator_catalogue

        short = next((e.shorthand for e in evaluator_catalogue() if e.kind == kind), None)
        return str(kind), {short: options} if short and options is not None else {}
    return str(entry), {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One evaluator on one answer, before anything is paid for."""

    item_id: str
    case: str
    """`right`: the expected answer itself; `wrong`: that of another item; `yours`: what was typed."""
    answer: str
    metric: str
    value: object
    reason: str


def try_evaluators(experiment: Experiment, *, n: int = 3, typed: str = "") -> list[Tried]:
    """Score answers whose quality is known: each item's expected answer, another item's, and a typed one.

    Judges and code evaluators are left out: they cost money or time.
    """
    import json

    from bakeoff.evaluators import EvaluatorContext, score_sync

    def text(value: object) -> str:
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

    plain = [e for e in experiment.evaluators if not hasattr(e, "model")]
    pool = [item for item in experiment.dataset.head(200) if item.expected is not None]
    items = pool[:n] or experiment.dataset.head(n)
    rows: list[Tried] = []
    for item in items:
        other = next((i.expected for i in pool if text(i.expected) != text(item.expected)), None)
        cases = [("right", item.expected), ("wrong", other), ("yours", typed or None)]
        for case, answer in cases:
            if answer is None:
                continue
            context = EvaluatorContext(
                output=text(answer), inputs=item.inputs, expected=item.expected, metadata=item.metadata,
                item_id=item.id, variant="trial", repeat=0,
            )  # fmt: skip
            rows += [
                Tried(
                    item_id=item.id,
                    case=case,
                    answer=text(answer),
                    metric=score.name,
                    value=score.value,
                    reason=score.error or score.reason or "",
                )
                for score in score_sync(plain, context)
            ]
    return rows
