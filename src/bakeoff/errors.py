"""One tree of errors: everything that Bakeoff raises on purpose is a `BakeoffError`.

A message names the thing, its value, where it is, and the way out. The command line turns an error
into one message and `exit_code`; a traceback is always a defect of ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "BakeoffError",
    "BudgetExceeded",
    "DatasetError",
    "EvaluatorError",
    "MissingExtraError",
    "ProviderError",
    "SpecError",
    "SpecProblem",
    "StatsError",
    "StoreError",
    "TargetError",
]

ErrorKind = Literal[
    "rate_limit",
    "timeout",
    "server",
    "connection",
    "bad_response",
    "auth",
    "bad_request",
    "context_length",
    "content_filter",
    "not_found",
    "budget",
    "cancelled",
    "target",
    "unknown",
]
"""Why a call failed; stored with the trial and counted in reports."""


class BakeoffError(Exception):
    """Base of every error that Bakeoff raises on purpose."""

    exit_code: ClassVar[int] = 2
    """Exit code of the command line: 2 wrong use, 4 infrastructure."""


@dataclass(frozen=True, slots=True)
class SpecProblem:
    """One thing wrong in a spec file."""

    message: str
    """What is wrong, with the offending value."""
    key: str = ""
    """Dotted path of the key, for instance `prompts.terse.file`."""
    file: str = ""
    line: int | None = None
    fix: str = ""
    """What to do about it."""

    def __str__(self) -> str:
        where = self.file + (f":{self.line}" if self.line is not None else "")
        head = ": ".join(part for part in (where, self.key) if part)
        text = f"{head}: {self.message}" if head else self.message
        return f"{text}\n    fix: {self.fix}" if self.fix else text


class SpecError(BakeoffError):
    """An experiment file, or an argument that stands for one, is wrong. Carries every problem at once."""

    def __init__(self, problems: list[SpecProblem] | str) -> None:
        self.problems: tuple[SpecProblem, ...] = (
            (SpecProblem(problems),) if isinstance(problems, str) else tuple(problems)
        )
        super().__init__("\n".join(str(problem) for problem in self.problems))


class DatasetError(BakeoffError):
    """A data set cannot be read, mapped or sampled."""


class EvaluatorError(BakeoffError):
    """An evaluator is unknown or configured wrongly (a failing score is a value, not this)."""


class StatsError(BakeoffError, ValueError):
    """An argument of a statistical function is out of its range."""


class StoreError(BakeoffError):
    """A run, journal or store cannot be read or written."""

    exit_code: ClassVar[int] = 4


class MissingExtraError(BakeoffError, ImportError):
    """A feature needs an optional extra that is not installed."""

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(
            f"{feature} needs the extra {extra!r}, which is not installed.\n    fix: pip install 'bakeoff[{extra}]'"
        )


class TargetError(BakeoffError):
    """The thing under test failed on one item. Recorded with the trial; never ends a run."""

    def __init__(self, message: str, *, kind: ErrorKind = "target", retryable: bool = False) -> None:
        super().__init__(message)
        self.kind: ErrorKind = kind
        self.retryable = retryable
        self.trace: Sequence[Mapping[str, Any]] = ()
        """Spans up to the failure, of a target that keeps some; fit to be stored."""


class ProviderError(TargetError):
    """A model call failed.

    Args:
        message: What happened, without secrets.
        kind: Class of the failure.
        retryable: Whether the same call may succeed later.
        retry_after_s: Seconds the provider asked to wait, when it said so.
        status: HTTP status, when there was one.
    """

    def __init__(
        self,
        message: str,
        *,
        kind: ErrorKind = "unknown",
        retryable: bool = False,
        retry_after_s: float | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(message, kind=kind, retryable=retryable)
        self.retry_after_s = retry_after_s
        self.status = status


class BudgetExceeded(ProviderError):  # noqa: N818 - the word users know
    """A reservation would overshoot a hard budget; the call was not made."""

    def __init__(self, message: str) -> None:
        super().__init__(message, kind="budget", retryable=False)
