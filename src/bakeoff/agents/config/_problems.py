"""Problems of an `agent` section, collected with their keys instead of stopping at the first."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from bakeoff.agents.config import _spec
from bakeoff.errors import BakeoffError, SpecError, SpecProblem

if TYPE_CHECKING:
    from collections.abc import Callable


T = TypeVar("T")

__all__ = ["Problems"]


class Problems:
    """Collects problems. The names of its methods are for those that build on it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.problems: list[SpecProblem] = []

    def key(self, *parts: str | int) -> str:
        return ".".join(("targets", self.name, "agent", *map(str, parts)))

    def add(self, message: str, *parts: str | int, fix: str = "") -> None:
        self.problems.append(SpecProblem(message, key=self.key(*parts), fix=fix))

    def attempt(self, make: Callable[[], T], *parts: str | int) -> T | None:
        """Return what `make` makes, or take over its problems and give them a place."""
        try:
            return make()
        except SpecError as error:
            for one in error.problems:
                inner = (one.key,) if one.key and not one.file else ()
                self.problems.append(
                    SpecProblem(one.message, key=self.key(*parts, *inner), file=one.file, line=one.line, fix=one.fix)
                )
        except BakeoffError as error:
            message, _, fix = str(error).partition("\n    fix: ")
            self.add(message, *parts, fix=fix)
        return None

    def from_pydantic(self, error: ValidationError, data: Any) -> None:
        seen: set[tuple[str | int, ...]] = set()
        for detail in error.errors(include_url=False):
            key = _real_key(detail["loc"], data)
            if detail["type"] in ("extra_forbidden", "missing") and (not key or key[-1] != detail["loc"][-1]):
                key = (*key, detail["loc"][-1])
            if key in seen:  # a union complains once for each member
                continue
            seen.add(key)
            if detail["type"] == "extra_forbidden":
                near = difflib.get_close_matches(str(key[-1]), _all_fields(), n=1)
                fix = f"did you mean {near[0]!r}?" if near else "docs/agents/configuration.md has every key"
                if near == [key[-1]]:
                    fix = "the key is known elsewhere; docs/agents/configuration.md says where each belongs"
                self.add(f"unknown key {key[-1]!r}", *key, fix=fix)
            elif detail["type"] == "missing":
                self.add("is missing", *key, fix=f"add `{key[-1]}:`")
            else:
                message = detail["msg"].removeprefix("Value error, ").removeprefix("Input ")
                # A secret that stands where the name of a variable belongs is not repeated.
                shown = "something else" if key and str(key[-1]).endswith("_env") else repr(detail["input"])
                self.add(f"{message[0].lower()}{message[1:]}, got {shown if len(shown) < 100 else shown[:97] + '...'}",
                         *key)  # fmt: skip


def _all_fields() -> list[str]:
    classes = [one for one in vars(_spec).values() if isinstance(one, type) and issubclass(one, BaseModel)]
    return sorted({name for one in classes for name in one.model_fields})


def _real_key(location: tuple[int | str, ...], data: Any) -> tuple[int | str, ...]:
    """Drop the parts of a location that name union members, not keys of the section."""
    here = data
    key: list[int | str] = []
    for part in location:
        if (isinstance(here, list) and isinstance(part, int) and part < len(here)) or (
            isinstance(here, dict) and part in here
        ):
            here = here[part]
            key.append(part)
    return tuple(key)
