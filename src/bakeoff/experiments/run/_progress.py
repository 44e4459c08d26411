"""How a run is doing: counted as it goes, published to whoever watches."""

from __future__ import annotations

import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bakeoff.evaluators import Score

__all__ = ["Progress", "Tally"]

_WINDOW_S = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A run at one moment."""

    run_id: str
    state: str
    """`running`, `paused`, `stopping`, `sealing`, `done`."""
    planned: int
    done: int
    failed: int
    reused: int
    """Trials that an earlier session had answered."""
    in_flight: int
    concurrency: int
    elapsed_s: float
    rate_per_s: float
    eta_s: float | None
    spent_usd: float
    errors: dict[str, int] = field(default_factory=dict)
    """Failed trials by kind."""
    variants: dict[str, dict[str, float]] = field(default_factory=dict)
    """By variant: `done`, `failed`, and `mean` of the primary metric so far (not to be decided on: see the manual)."""
    samples: list[str] = field(default_factory=list)
    """The latest error messages."""

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, for the status file."""
        return {name: getattr(self, name) for name in self.__slots__}


class Tally:
    """Counts trials as they end."""

    def __init__(self, run_id: str, *, variants: Sequence[str], planned: int, primary: str) -> None:
        self.run_id = run_id
        self.planned = planned
        self.done = self.failed = self.reused = self.in_flight = 0
        self.spent_usd = 0.0
        self.errors: Counter[str] = Counter()
        self.samples: deque[str] = deque(maxlen=5)
        self._primary = primary
        self._variants = {name: [0, 0, 0.0, 0] for name in variants}
        self._started = time.monotonic()
        self._recent: deque[tuple[float, int]] = deque()

    def answered(self, variant: str, scores: Sequence[Score], cost_usd: float | None) -> None:
        """Count one answered and scored trial."""
        self.done += 1
        entry = self._variants[variant]
        entry[0] += 1
        self.spent_usd += (cost_usd or 0.0) + sum(score.cost_usd or 0.0 for score in scores)
        for score in scores:
            if score.name == self._primary and isinstance(score.value, bool | int | float):
                entry[2] += float(score.value)
                entry[3] += 1

    def fail(self, variant: str, kind: str, message: str) -> None:
        """Count one failed trial."""
        self.done += 1
        self.failed += 1
        self._variants[variant][1] += 1
        self.errors[kind] += 1
        self.samples.append(f"{variant}: {kind}: {message[:200]}")

    def reuse(self, variant: str, *, ok: bool, kind: str, value: object, cost_usd: float) -> None:
        """Count a trial that an earlier session finished."""
        self.done += 1
        self.reused += 1
        self.spent_usd += cost_usd
        entry = self._variants[variant]
        if ok:
            entry[0] += 1
        else:
            entry[1] += 1
            self.failed += 1
            self.errors[kind] += 1
        if isinstance(value, bool | int | float):
            entry[2] += float(value)
            entry[3] += 1

    def progress(self, state: str, concurrency: int) -> Progress:
        """Return the counts with rate and expected time to the end."""
        now = time.monotonic()
        self._recent.append((now, self.done))
        while len(self._recent) > 2 and now - self._recent[0][0] > _WINDOW_S:
            self._recent.popleft()
        since, before = self._recent[0]
        rate = (self.done - before) / (now - since) if now > since else 0.0
        left = max(0, self.planned - self.done)
        return Progress(
            run_id=self.run_id,
            state=state,
            planned=self.planned,
            done=self.done,
            failed=self.failed,
            reused=self.reused,
            in_flight=self.in_flight,
            concurrency=concurrency,
            elapsed_s=now - self._started,
            rate_per_s=rate,
            eta_s=left / rate if rate > 0 else None,
            spent_usd=self.spent_usd,
            errors=dict(self.errors),
            variants={
                name: {"done": entry[0], "failed": entry[1], "mean": entry[2] / entry[3] if entry[3] else float("nan")}
                for name, entry in self._variants.items()
            },
            samples=list(self.samples),
        )
