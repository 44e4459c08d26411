"""What an agent remembers: levels, owners, limits, age, privacy, export and erasure."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from bakeoff.agents.retrieval._hashed import embed
from bakeoff.evaluators import redact_value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["LEVELS", "Memory", "MemoryKind", "MemoryLevel", "MemoryStore", "Scope", "anonymise", "redact"]

MemoryLevel = Literal["chat", "task", "project", "user", "organisation", "industry", "platform"]
"""From the narrowest to the widest."""
MemoryKind = Literal["episodic", "semantic"]
"""What happened, and what is so."""

LEVELS: tuple[MemoryLevel, ...] = ("chat", "task", "project", "user", "organisation", "industry", "platform")
_PRIVATE = frozenset(LEVELS[: LEVELS.index("user") + 1])
_ACROSS_TENANTS = frozenset({"industry", "platform"})
_NAMED = re.compile(
    r"\b(?:(my name is|i am called)|call me|i[\u2019']m|i am)((?:\s+[^\W\d_][\w\u2019'-]*)+)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Scope:
    """Who is asking: an id at each level. A level without an id is neither read nor written."""

    ids: Mapping[str, str]

    @property
    def tenant(self) -> str:
        """The organisation, which nothing private ever leaves."""
        return self.ids.get("organisation", "")

    @property
    def user(self) -> str:
        """The user."""
        return self.ids.get("user", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """One thing remembered."""

    text: str
    kind: MemoryKind
    level: MemoryLevel
    owner: str
    """Id at the level."""
    tenant: str
    user: str
    """Who said it; empty where it was anonymised."""
    importance: float = 0.5
    day: float = 0.0
    """When, in days."""


def redact(text: str) -> str:
    """Take personal data and secrets out of a text.

    Examples:
        >>> redact("Write to ada@example.org")
        'Write to [email]'
    """
    return str(redact_value(text))


def anonymise(text: str, *, names: Sequence[str] = ()) -> str:
    """Take personal data, secrets, and names out of a text.

    Names are found where somebody introduces himself, and where they are given; other names are not found.

    Examples:
        >>> anonymise("My name is Ada Byron, mail ada@example.org. Ada Byron likes tea.")
        'My name is [name], mail [email]. [name] likes tea.'
    """
    text = redact(text)
    found = [name for match in _NAMED.finditer(text) if (name := _name(match))]
    for name in sorted({*found, *(one for one in names if one)}, key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "[name]", text, flags=re.IGNORECASE)
    return text


def _name(match: re.Match[str]) -> str:
    """Return the name that somebody introduces himself by: the words that begin with no small letter, if any.

    After "my name is" the first word is one however it is written.
    """
    said = match.group(2).strip()
    name = re.match(r"\S+", said) if match.group(1) else None
    end = name.end() if name is not None else 0
    for word in re.finditer(r"\S+", said):
        if word.group()[0].islower() and word.start() >= end:
            break
        end = max(end, word.end())
    return said[:end].rstrip("'\u2019-")


class MemoryStore:
    """Memories of many users and tenants, of which each sees only its own.

    A memory at the levels chat to user is read by the same user of the same tenant only. At organisation it is read
    by the tenant, at industry and platform by all, and there it is anonymised before it is written.

    Args:
        episodic: Most events at a level for one owner; the least important, then the oldest, is dropped.
        semantic: Most facts, likewise.
        days: Older memories are dropped when something is written or read.
        min_importance: Less important things are not kept.

    Examples:
        >>> store = MemoryStore()
        >>> ada = Scope({"chat": "c1", "user": "ada", "organisation": "acme"})
        >>> store.write("I am allergic to nuts", level="user", scope=ada, kind="semantic")
        True
        >>> [one.text for one in store.recall("any allergies, nuts?", scope=ada, levels=["user"])]
        ['I am allergic to nuts']
        >>> store.recall("nuts", scope=Scope({"user": "ada", "organisation": "rival"}), levels=["user"])
        []
    """

    def __init__(
        self, *, episodic: int = 100, semantic: int = 200, days: float = 30.0, min_importance: float = 0.0
    ) -> None:
        self._limits: dict[MemoryKind, int] = {"episodic": episodic, "semantic": semantic}
        self._days = days
        self._min_importance = min_importance
        self._kept: list[Memory] = []

    def __len__(self) -> int:
        return len(self._kept)

    def write(
        self,
        text: str,
        *,
        level: MemoryLevel,
        scope: Scope,
        kind: MemoryKind = "episodic",
        importance: float = 0.5,
        day: float = 0.0,
        names: Sequence[str] = (),
    ) -> bool:
        """Remember something; return whether it was kept.

        Args:
            text: What.
            level: Where; above `user` it is anonymised first.
            scope: Who.
            kind: An event or a fact.
            importance: From 0 to 1.
            day: When, in days.
            names: Names to take out above `user`, beside the user's id.
        """
        owner = scope.ids.get(level, "")
        if level in _ACROSS_TENANTS:
            owner = owner or "*"
        private = level in _PRIVATE
        if not text.strip() or not owner or importance < self._min_importance or (private and not self._owned(scope)):
            return False
        kept = text if private else anonymise(text, names=[*names, scope.user])
        one = Memory(
            text=kept,
            kind=kind,
            level=level,
            owner=owner,
            tenant="" if level in _ACROSS_TENANTS else scope.tenant,
            user=scope.user if private else "",
            importance=importance,
            day=day,
        )
        if one in self._kept or any(
            old.text == one.text and replace(old, day=one.day, importance=one.importance) == one for old in self._kept
        ):
            return False
        self._kept.append(one)
        self._forget(day)
        same = [
            old
            for old in self._kept
            if (old.kind, old.level, old.owner, old.tenant, old.user)
            == (one.kind, one.level, one.owner, one.tenant, one.user)
        ]
        if len(same) > self._limits[kind]:
            self._kept.remove(min(same, key=lambda old: (old.importance, old.day)))
        return one in self._kept

    @staticmethod
    def _owned(scope: Scope) -> bool:
        return bool(scope.user or scope.ids.get("chat"))

    def _forget(self, day: float) -> None:
        self._kept = [one for one in self._kept if day - one.day <= self._days]

    def visible(self, scope: Scope, *, levels: Sequence[MemoryLevel] = LEVELS) -> list[Memory]:
        """Return what this scope may see, in the order in which it was written."""
        return [one for one in self._kept if one.level in levels and self._may_see(one, scope)]

    @staticmethod
    def _may_see(one: Memory, scope: Scope) -> bool:
        if one.level in _ACROSS_TENANTS:
            return one.owner in ("*", scope.ids.get(one.level, "*"))
        if one.tenant != scope.tenant or scope.ids.get(one.level) != one.owner:
            return False
        return one.level not in _PRIVATE or one.user == scope.user

    def recall(
        self, query: str, *, scope: Scope, levels: Sequence[MemoryLevel], top_k: int = 4, day: float = 0.0
    ) -> list[Memory]:
        """Return the memories most like the query among those that the scope may see.

        The score is cosine + 0.1 importance; narrower levels win ties.
        """
        self._forget(day)
        seen = self.visible(scope, levels=levels)
        if not seen:
            return []
        vectors = embed([query, *(one.text for one in seen)], dimensions=1024)
        likeness = vectors[1:] @ vectors[0]
        scores = likeness + 0.1 * np.array([one.importance for one in seen])
        order = sorted(range(len(seen)), key=lambda at: (-round(float(scores[at]), 9), LEVELS.index(seen[at].level)))
        return [seen[at] for at in order[:top_k] if likeness[at] > 0]

    def export(self, *, user: str, tenant: str) -> list[dict[str, object]]:
        """Return everything kept about a user, as plain data."""
        return [
            {"text": one.text, "kind": one.kind, "level": one.level, "importance": one.importance, "day": one.day}
            for one in self._kept
            if one.user == user and one.tenant == tenant
        ]

    def erase(self, *, user: str, tenant: str) -> int:
        """Forget everything kept about a user; return how much it was.

        What was anonymised and shared is no longer about the user, and stays.
        """
        before = len(self._kept)
        self._kept = [one for one in self._kept if not (one.user == user and one.tenant == tenant)]
        return before - len(self._kept)
