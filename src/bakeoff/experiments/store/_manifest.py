"""The manifest: what ran, on what, with which versions, and how it ended."""

from __future__ import annotations

import contextlib
import os
import platform
import socket
import subprocess
import tempfile
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bakeoff.errors import StoreError
from bakeoff.experiments._json import dumps, loads
from bakeoff.experiments.spec._data_notes import data_notes
from bakeoff.experiments.store._paths import ID_STAMP

if TYPE_CHECKING:
    from bakeoff.experiments.spec._load import Experiment

__all__ = [
    "Manifest",
    "MetricRecord",
    "RunStatus",
    "VariantInfo",
    "manifest_of",
    "order_after",
    "push_to_disk",
    "read_manifest",
    "write_atomically",
    "write_manifest",
]

RunStatus = Literal["running", "interrupted", "partial", "complete"]
"""`running`: a process drives it; `interrupted`: none does, and it was not sealed; `partial`: sealed before its end."""


class VariantInfo(BaseModel):
    """One variant as it ran."""

    name: str
    levels: dict[str, Any]
    kind: str
    model: str | None = None
    prompt: str | None = None
    prompt_version: str | None = None


class MetricRecord(BaseModel):
    """One evaluator as it ran."""

    metric: str
    evaluator: str
    version: str
    score_kind: str | None
    higher_is_better: bool | None
    unit: str = ""
    spec: dict[str, Any] = Field(default_factory=dict)


RUN_FORMAT = 1
"""Of the files of a run; a newer one is refused, since what it means is not known here."""


class Manifest(BaseModel):
    """Everything needed to understand, repeat and trust a run."""

    model_config = ConfigDict(extra="ignore")

    format: int = RUN_FORMAT
    run_id: str
    name: str
    description: str = ""
    status: RunStatus = "running"
    stopped_because: str | None = None
    created_at: str
    order_ms: int | None = None
    """Place among the runs (Unix milliseconds), where the clock had been set back and `created_at` misleads."""
    ended_at: str | None = None
    seconds: float = 0.0
    """Time spent running, over all sessions."""
    sessions: int = 0
    spec: dict[str, Any]
    source: str = ""
    base_dir: str = ""
    evaluators_dir: str = ""
    """Folder that paths of evaluators are relative to, where it is another than `base_dir`: of a run scored again."""
    """Folder that relative paths of the spec start from, on the machine that ran it."""
    dataset_name: str
    dataset_version: str
    dataset_items: int
    dataset_file: str
    prompts: dict[str, dict[str, Any]] = Field(default_factory=dict)
    variants: list[VariantInfo]
    metrics: list[MetricRecord]
    repeats: int
    baseline: str
    primary: str
    is_simulated: bool = False
    planned_trials: int
    dispatched_trials: int | None = None
    """Trials that an allocation found enough to answer the question, out of those planned."""
    counts: dict[str, int] = Field(default_factory=dict)
    """`trials`, `failed`, `scores`, `unscored`, once sealed."""
    cost_usd: float = 0.0
    """Spent in this run; answers from the cache were paid for before."""
    environment: dict[str, str] = Field(default_factory=dict)
    git: dict[str, str] = Field(default_factory=dict)
    tags: dict[str, Any] = Field(default_factory=dict)
    notes: list[str] = Field(default_factory=list)
    """What a reader should know of the calls: a cache that was off, fallbacks, charges that are not confirmed."""
    decisions: list[dict[str, Any]] = Field(default_factory=list)
    """What the allocation decided, so that the run replays."""

    @property
    def variant_names(self) -> list[str]:
        """Names in the order of the spec."""
        return [variant.name for variant in self.variants]

    @property
    def place(self) -> float:
        """What runs are sorted by: when they were made (Unix milliseconds), whatever the clock did since."""
        return datetime.fromisoformat(self.created_at).timestamp() * 1e3 if self.order_ms is None else self.order_ms


def order_after(runs: Path) -> int | None:
    """Return the `order_ms` of a run made now, `None` where the clock alone tells.

    A clock that was set back would put the newest run behind older ones, and `latest` would mean one of those. Only
    runs whose ids are of this moment or later are looked at, which are none as long as the clock goes forward.
    """
    now = datetime.now(UTC)
    start = now.strftime(ID_STAMP)
    places: list[float] = []
    for folder in runs.iterdir() if runs.is_dir() else ():
        if folder.name[: len(start)] >= start:
            with contextlib.suppress(StoreError, ValueError):
                places.append(read_manifest(folder / "manifest.json").place)
    newest = max(places, default=0.0)
    return None if newest < now.timestamp() * 1e3 else int(newest) + 1


def manifest_of(experiment: Experiment, run_id: str, *, order_ms: int | None = None) -> Manifest:
    """Describe an experiment that is about to run."""
    spec = experiment.spec
    return Manifest(
        run_id=run_id,
        notes=data_notes(experiment),
        name=spec.name,
        description=spec.description,
        created_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        order_ms=order_ms,
        spec=spec.model_dump(mode="json", exclude_defaults=True, by_alias=True),
        source=experiment.source,
        base_dir=str(experiment.base_dir),
        dataset_name=experiment.dataset.name,
        dataset_version=experiment.dataset.version,
        dataset_items=len(experiment.dataset),
        dataset_file=Path(experiment.dataset.path).name,
        prompts={
            name: {"version": prompt.version, "messages": [dict(message) for message in prompt.messages]}
            for name, prompt in experiment.prompts.items()
        },
        variants=[
            VariantInfo(
                name=variant.name,
                levels=dict(variant.levels),
                kind=variant.spec.kind,
                model=variant.model.model if variant.model else None,
                prompt=variant.prompt.name if variant.prompt else None,
                prompt_version=variant.prompt.version if variant.prompt else None,
            )
            for variant in experiment.variants.values()
        ],
        metrics=[
            MetricRecord(
                metric=info.name,
                evaluator=evaluator.kind or type(evaluator).__name__,
                version=evaluator.stamp,
                score_kind=info.score_kind,
                higher_is_better=info.higher_is_better,
                unit=info.unit,
                spec=evaluator.spec(),
            )
            for evaluator in experiment.evaluators
            for info in evaluator.metrics
        ],
        repeats=spec.repeats,
        baseline=experiment.baseline,
        primary=experiment.primary,
        is_simulated=experiment.is_simulated,
        planned_trials=len(experiment.variants) * len(experiment.dataset) * spec.repeats,
        environment=_environment(),
        git=_git(experiment.base_dir),
        tags=dict(spec.tags),
    )


def _environment() -> dict[str, str]:
    names = ("bakeoff", "litellm", "duckdb", "numpy", "scipy")
    found = {"python": platform.python_version(), "platform": platform.platform(), "host": socket.gethostname()}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _git(folder: Path) -> dict[str, str]:
    """Return commit and branch of the experiment's folder, when it is in a repository."""

    def ask(*arguments: str) -> str:
        result = subprocess.run(  # noqa: S603 - fixed arguments, no shell
            ["git", "-C", str(folder), *arguments],  # noqa: S607 - git is found as the user finds it
            capture_output=True, text=True, timeout=5, check=False,
        )  # fmt: skip
        return result.stdout.strip() if result.returncode == 0 else ""

    try:
        commit = ask("rev-parse", "HEAD")
        if not commit:
            return {}
        dirty = "yes" if ask("status", "--porcelain", "--untracked-files=no") else "no"
        return {"commit": commit, "branch": ask("rev-parse", "--abbrev-ref", "HEAD"), "uncommitted_changes": dirty}
    except (OSError, subprocess.SubprocessError):
        return {}


def read_manifest(path: Path) -> Manifest:
    """Read a manifest.

    Raises:
        StoreError: It is missing, damaged, or of a newer format.
    """
    try:
        found = loads(path.read_bytes())
        written = found.get("format", RUN_FORMAT) if isinstance(found, dict) else RUN_FORMAT
        if isinstance(written, int) and written > RUN_FORMAT:
            raise StoreError(
                f"the run at {str(path.parent)!r} was written by a newer Bakeoff: its format is {written}, this one "
                f"reads up to {RUN_FORMAT}\n    fix: upgrade Bakeoff, or look at it with the version that wrote it"
            )
        return Manifest.model_validate(found)
    except OSError as error:
        if not isinstance(error, FileNotFoundError):
            raise StoreError(f"the manifest {str(path)!r} cannot be read: {error.strerror or error}") from None
        raise StoreError(f"there is no run at {str(path.parent)!r}; `bakeoff runs` lists them") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "its content"
        raise StoreError(f"the manifest {str(path)!r} is damaged: {where}: {first['msg']}") from None
    except ValueError as error:
        raise StoreError(f"the manifest {str(path)!r} is damaged: {error}") from None


def write_atomically(path: Path, content: bytes, *, durable: bool = False) -> None:
    """Write a file so that a reader sees the old or the new content, never half of it.

    Args:
        path: The file.
        content: All of it.
        durable: Return only when it would survive a power cut.

    Raises:
        StoreError: It cannot be written.
    """
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        Path(temporary).replace(path)
        if durable:
            push_to_disk(path.parent)
    except OSError as error:
        Path(temporary).unlink(missing_ok=True)
        raise StoreError(f"{str(path)!r} cannot be written: {error.strerror}") from error


def push_to_disk(path: Path) -> None:
    """Wait until a file, or the names in a folder, would survive a power cut.

    Raises:
        OSError: The disk refuses.
    """
    if path.is_dir() and os.name == "nt":
        return  # a folder cannot be opened there
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write a manifest; without it a journal cannot be read, so it is as durable as one."""
    write_atomically(path, dumps(manifest.model_dump(mode="json")), durable=True)
