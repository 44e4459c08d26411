"""A progress bar: rate, time left, spent USD, errors, and the running score of each variant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

    from rich.console import Console
    from rich.progress import TaskID

    from bakeoff.experiments import Progress

__all__ = ["ProgressBar", "amount_usd", "duration"]

_SHOWN_VARIANTS = 6


def amount_usd(value: float | None) -> str:
    """Write an amount of money with the digits that matter."""
    if value is None or value != value:
        return "-"
    if value == 0:
        return "$0"
    return f"${value:,.2f}" if value >= 1 else f"${value:.4f}" if value >= 0.001 else f"${value:.2g}"


def duration(seconds: float | None) -> str:
    """Write a duration: `45 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds is None or seconds != seconds:
        return "-"
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


class ProgressBar:
    """Shows a run on a terminal; a function of `Progress`, to be used as a context manager."""

    def __init__(self, console: Console | None = None) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

        self._console = console or Console(stderr=True)
        self._bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=28),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            console=self._console,
            transient=True,
            refresh_per_second=8,
        )
        self._total: TaskID | None = None
        self._rows: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def __call__(self, progress: Progress) -> None:
        """Show one moment of the run."""
        note = f"{progress.rate_per_s:.0f}/s  {duration(progress.eta_s)} left  {amount_usd(progress.spent_usd)}"
        if progress.failed:
            kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(progress.errors.items()))
            note += f"  failed: {kinds}"
        if progress.state != "running":
            note += f"  [{progress.state}]"
        if self._total is None:
            self._total = self._bars.add_task("trials", total=progress.planned, note=note)
        self._bars.update(self._total, completed=progress.done, note=note)
        if len(progress.variants) > _SHOWN_VARIANTS:
            return
        each = progress.planned / max(1, len(progress.variants))
        for name, entry in progress.variants.items():
            mean = entry["mean"]
            text = "" if mean != mean else f"score so far {mean:.3f}"
            if name not in self._rows:
                self._rows[name] = self._bars.add_task(f"  {name}", total=round(each), note=text)
            self._bars.update(self._rows[name], completed=entry["done"] + entry["failed"], note=text)
