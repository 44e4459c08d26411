"""Reasoning patterns: what one is, and the library of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

from bakeoff.errors import SpecError, SpecProblem

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

__all__ = ["Option", "Pattern", "Work", "find_pattern", "pattern_options", "patterns"]


class Work(Protocol):
    """One step at work: what a pattern may do."""

    @property
    def examples(self) -> Sequence[Mapping[str, str]]:
        """Worked examples of the step, `{input, output}`."""
        ...

    @property
    def question(self) -> str:
        """The task as text, to choose examples by."""
        ...

    @property
    def item_id(self) -> str:
        """Id of the item."""
        ...

    async def ask(
        self,
        instruction: str = "",
        *,
        name: str = "answer",
        final: bool = False,
        sample: int = 0,
        shots: str = "",
        said: Sequence[tuple[str, str]] = (),
        temperature: float | None = None,
    ) -> str:
        """Ask the model about the task.

        Args:
            instruction: Put after the task.
            name: Of the span.
            final: Whether this is an answer to the task itself; such a call may use tools.
            sample: Index among calls that may be equal, so that each is a sample of its own.
            shots: Put before the task.
            said: What was said since, as (role, text).
            temperature: Instead of the step's.
        """
        ...

    async def together(self, asks: Sequence[Callable[[Work], Awaitable[str]]]) -> list[str]:
        """Ask several things at the same time; each gets the work of its own branch."""
        ...

    def note(self, **facts: Any) -> None:
        """Put facts on the span of the step: votes, confidence, rounds."""
        ...


@dataclass(frozen=True, slots=True)
class Option:
    """An option of a pattern: default and range, or the allowed words."""

    default: Any
    low: float = 0
    high: float = 0
    words: tuple[str, ...] = ()
    help: str = ""

    def problem(self, value: Any) -> str | None:
        """Return what is wrong with a value, or `None`."""
        if self.words:
            return None if value in self.words else f"must be one of {', '.join(self.words)}, got {value!r}"
        if isinstance(self.default, (bool, list, str)):
            wanted = type(self.default)
            return None if isinstance(value, wanted) else f"must be {wanted.__name__}, got {value!r}"
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        whole = not isinstance(self.default, int) or isinstance(value, int)
        if number and whole and self.low <= value <= self.high:
            return None
        kind = "a whole number" if isinstance(self.default, int) else "a number"
        return f"must be {kind} from {self.low:g} to {self.high:g}, got {value!r}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """A named, versioned way to prompt for reasoning."""

    name: str
    version: str
    title: str
    source: str
    """Where it comes from."""
    helps: str
    """When it helps, in words."""
    hurts: str
    """When not."""
    run: Callable[[Work, Mapping[str, Any]], Awaitable[str]]
    calls: Callable[[Mapping[str, Any]], float]
    """Model calls for one answer."""
    options: Mapping[str, Option] = field(default_factory=dict)
    fits: Mapping[str, float] = field(default_factory=dict)
    """Prior gain in share of right answers per unit of a task's characteristic, for `recommend`; a judgement stated
    beforehand from the sources, not a measurement."""
    needs: tuple[str, ...] = ()
    """What the step must have: `examples`, `tools`."""

    def complete(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return all options, with defaults filled in."""
        return {name: options.get(name, option.default) for name, option in self.options.items()}

    @property
    def cost_multiplier(self) -> float:
        """Model calls beside those of zero-shot, at the default options."""
        return self.calls(self.complete({}))


@cache
def patterns() -> dict[str, Pattern]:
    """Return the library, by name.

    Examples:
        >>> found = patterns()
        >>> len(found), found["self_consistency"].cost_multiplier
        (19, 5)
    """
    from bakeoff.agents.reasoning import _one_call, _rounds, _wide

    return {one.name: one for one in (*_one_call.LIBRARY, *_rounds.LIBRARY, *_wide.LIBRARY)}


def find_pattern(name: str) -> Pattern:
    """Return a pattern by its name.

    Raises:
        SpecError: There is none of that name.
    """
    import difflib

    library = patterns()
    if name in library:
        return library[name]
    near = difflib.get_close_matches(str(name), library, n=1)
    fix = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(library)}"
    raise SpecError([SpecProblem(f"there is no pattern {name!r}", key="name", fix=fix)])


def pattern_options(pattern: Pattern, options: Mapping[str, Any]) -> dict[str, Any]:
    """Check options and fill in defaults.

    Raises:
        SpecError: An option is unknown or out of range; all problems at once.

    Examples:
        >>> pattern_options(find_pattern("self_consistency"), {"k": 7})["k"]
        7
    """
    problems: list[SpecProblem] = []
    for name, value in options.items():
        if name not in pattern.options:
            known = ", ".join(pattern.options) or "none"
            problems.append(SpecProblem(f"{pattern.name} has no option {name!r}", key=name, fix=f"it has {known}"))
        elif (wrong := pattern.options[name].problem(value)) is not None:
            problems.append(SpecProblem(wrong, key=name, fix=pattern.options[name].help))
    if problems:
        raise SpecError(problems)
    return pattern.complete(options)
