"""A run that was made elsewhere, before it becomes one of ours."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["ImportedRun", "ImportedTrial", "identity_of", "numbered"]

ScoreValue = bool | int | float | str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedTrial:
    """One answer with its scores, as another tool recorded it."""

    variant: str
    item: str
    repeat: int = 0
    inputs: Mapping[str, Any] = field(default_factory=dict)
    expected: Any = None
    output: Any = None
    scores: Mapping[str, ScoreValue | None] = field(default_factory=dict)
    """By metric; `None` is a missing score."""
    reasons: Mapping[str, str] = field(default_factory=dict)
    """Why, by metric."""
    error: str | None = None
    """The trial failed."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    cluster: str | None = None
    latency_ms: float | None = None
    cost_usd: float | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    model: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedRun:
    """Everything that a file of another tool says about a run."""

    name: str
    format: str
    trials: Sequence[ImportedTrial]
    versions: Mapping[str, str] = field(default_factory=dict)
    """Of the evaluators, by metric, where the tool keeps one."""
    created_at: str | None = None
    """ISO 8601, with a time zone."""
    notes: Sequence[str] = ()


def identity_of(*content: object) -> str:
    """Return an id for an item that has none: the same content gives the same id in every file.

    Examples:
        >>> identity_of({"q": "1+1"}) == identity_of({"q": "1+1"})
        True
    """
    text = json.dumps(content, sort_keys=True, default=str, ensure_ascii=False)
    return f"item-{hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()[:10]}"


def numbered(trials: Sequence[ImportedTrial]) -> list[ImportedTrial]:
    """Number the repeats of each item and variant in the order in which they stand."""
    from dataclasses import replace

    seen: dict[tuple[str, str], int] = {}
    found: list[ImportedTrial] = []
    for trial in trials:
        key = (trial.variant, trial.item)
        found.append(replace(trial, repeat=seen.get(key, 0)))
        seen[key] = seen.get(key, 0) + 1
    return found
