"""Reading back what `to_state` wrote, with one kind of error for everything that can be wrong with it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bakeoff.errors import StatsError

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

__all__ = ["STATE_VERSION", "reading_state"]

STATE_VERSION = 1


@contextmanager
def reading_state(state: Mapping[str, Any], what: str) -> Generator[None]:
    """Check the version of a state, and turn whatever goes wrong while reading it into a `StatsError`."""
    try:
        if state["version"] != STATE_VERSION:
            raise StatsError(f"state of {what}: version must be {STATE_VERSION}, got {state['version']!r}")
        yield
    except StatsError:
        raise
    except (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise StatsError(f"state of {what} is damaged: {error!r}") from error
