"""Several turns for one item: what the user says, what the agent remembers, what it answers."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bakeoff.agents.memory._store import LEVELS, MemoryStore, Scope
from bakeoff.errors import TargetError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from bakeoff.agents.memory._mem0 import Mem0Memory
    from bakeoff.agents.run._trace import Clock
    from bakeoff.agents.run._trial import Trial
    from bakeoff.targets import ModelSpec

__all__ = ["Remembering", "UserTurn", "user_turns"]

_FACT = re.compile(r"\b(?:i|i'm|my|mine|we|our|us|me)\b", re.IGNORECASE)
_OWN = re.compile(r"\b(?:i|i'm|my|mine|me)\b", re.IGNORECASE)
_SHARED = re.compile(r"\b(?:we|our|us|team|company|department)\b", re.IGNORECASE)
_SENTENCE = re.compile(r"(?<=[.!?])\s+")
_DONE = re.compile(r"^\W*done\b", re.IGNORECASE)
_USER = (
    "Play a user who talks to an assistant. Persona: {persona}\nGoal: {goal}\n\nThe conversation so far:\n{said}\n\n"
    "Write the user's next message alone. When the goal is reached or cannot be, write only: DONE"
)
_FACTS = (
    "Which lasting facts does this message state about the user or the organisation? One on each line, each beginning "
    "with its level, one of {levels}, and a colon. If there are none, write: none.\n\n{text}"
)


@dataclass(frozen=True, slots=True)
class UserTurn:
    """What the user says, and where."""

    text: str
    ids: dict[str, str] = field(default_factory=dict)
    """Ids by level (`chat`, `user`, `organisation` ...), when the data gives them."""
    day: float = 0.0
    is_last: bool = False


def _read(entry: Any, index: int, item: str) -> UserTurn:
    if isinstance(entry, str):
        return UserTurn(entry)
    if isinstance(entry, dict) and isinstance(entry.get("text", entry.get("content")), str):
        ids: dict[str, str] = {level: str(entry[level]) for level in LEVELS if entry.get(level) is not None}
        day = entry.get("day", 0.0)
        if isinstance(day, bool) or not isinstance(day, (int, float)) or not math.isfinite(day):
            message = f"item {item!r}: `day` of turn {index + 1} must be a number of days, got {day!r}"
            raise TargetError(message, kind="bad_request")
        return UserTurn(str(entry.get("text", entry.get("content"))), ids, float(day))
    message = f"item {item!r}: turn {index + 1} must be a text, or have a `text`, got {type(entry).__name__}"
    raise TargetError(message, kind="bad_request")


async def user_turns(trial: Trial, clock: Clock) -> AsyncIterator[UserTurn]:
    """Give the turns of the user: those of the data, then those of the simulated user.

    Raises:
        TargetError: The item has no turns, or they have another form.
    """
    spec = trial.agent.spec.conversation
    assert spec is not None
    scripted = trial.item.inputs.get(spec.turns, [])
    if not isinstance(scripted, (list, tuple)):
        raise TargetError(f"item {trial.item.id!r}: {spec.turns!r} must be a list of turns", kind="bad_request")
    plays = "user" in trial.agent.helpers
    if not scripted and not plays:
        raise TargetError(f"item {trial.item.id!r} has no turns in {spec.turns!r}", kind="bad_request")
    turns = [_read(entry, index, trial.item.id) for index, entry in enumerate(scripted[: spec.max_turns])]
    for index, turn in enumerate(turns):
        is_last = not plays and index == len(turns) - 1
        yield UserTurn(turn.text, turn.ids, turn.day, is_last)
    for number in range(len(turns), spec.max_turns if plays else 0):
        said = "\n".join(f"{one['role']}: {one['content']}" for one in trial.transcript) or "(nothing yet)"
        about = {"persona": trial.item.inputs.get("persona", "a customer"), "goal": trial.item.inputs.get("goal", "")}
        asked = [{"role": "user", "content": _USER.format(**about, said=said)}]
        response = await trial.call((trial.agent.helpers["user"],), asked, name="user", clock=clock, parent=0,
                                    sample=number, sim=_sim_user(about, number - len(turns)))  # fmt: skip
        if _DONE.match(response.text):
            return
        last = turns[-1] if turns else UserTurn("")
        # Whatever such a user says is about the goal, and the item's right answer is the answer to that.
        yield UserTurn(response.text.strip(), last.ids, last.day, is_last=True)


def _sim_user(about: dict[str, Any], number: int) -> dict[str, Any]:
    """Tell a simulated model what its user says: the goal, a question after it, and that it is done."""
    lines = (str(about["goal"]) or "Hello.", f"As {about['persona']}, is there anything else to know?", "DONE")
    return {"expected": lines[min(number, 2)], "knobs": {"skill": 1.0, "template": "{answer}"}}


@dataclass(slots=True)
class _Chat:
    """What was said in one chat."""

    said: list[dict[str, Any]] = field(default_factory=list)
    summarised: int = 0
    """Messages, from the first, that are in the summary."""
    summary: str = ""


class Remembering:
    """The memory policy of an agent in one trial.

    It lives as long as the trial: trials are independent of each other, whatever order they run in. Chats, users and
    organisations that one item's turns name are kept apart within it.
    """

    def __init__(self, trial: Trial) -> None:
        spec = trial.agent.spec.memory
        self._trial = trial
        self._spec = spec
        self._store = MemoryStore(
            episodic=spec.episodic, semantic=spec.semantic, days=spec.days, min_importance=spec.min_importance
        )
        self._chats: dict[tuple[str, str, str], _Chat] = {}
        self._now = _Chat()
        self._mem0: Mem0Memory | None = None
        if spec.policy == "mem0":
            from bakeoff.agents.memory._mem0 import Mem0Memory

            embedding = trial.agent.helpers.get("embedding")
            self._mem0 = Mem0Memory(trial, models=self._models(), embedding=embedding, top_k=spec.top_k)

    @property
    def store(self) -> MemoryStore:
        """Everything remembered."""
        return self._store

    def _scope(self, turn: UserTurn) -> Scope:
        return Scope({"chat": "chat", "user": "user", **turn.ids})

    async def begin(self, turn: UserTurn, clock: Clock) -> None:
        """Set up what the agent sees in this turn."""
        trial, spec = self._trial, self._spec
        scope = self._scope(turn)
        # What was said in another chat is not in this window.
        self._now = self._chats.setdefault((scope.tenant, scope.user, scope.ids["chat"]), _Chat())
        trial.history = [] if spec.policy == "none" else list(self._now.said[-spec.window :])
        trial.memory = ""
        if spec.policy == "none":
            return
        if spec.policy == "summary":
            trial.memory = self._now.summary
        elif self._mem0 is not None:
            with trial.recorder.span("recall", "memory", clock, parent=0, input=turn.text) as span:
                found_texts = await self._mem0.recall(turn.text, scope, clock)
                span["output"] = list(found_texts)
            trial.memory = "\n".join(f"- {one}" for one in found_texts)
        elif spec.policy in ("retrieval", "hierarchical"):
            levels = list(spec.levels) if spec.policy == "hierarchical" else ["chat"]
            with trial.recorder.span("recall", "memory", clock, parent=0, input=turn.text) as span:
                window = {one["content"] for one in trial.history}
                found = self._store.recall(
                    turn.text, scope=scope, levels=levels, top_k=spec.top_k + len(window), day=turn.day
                )
                fresh = [one for one in found if one.text.partition(": ")[2] not in window][: spec.top_k]
                span["output"] = [f"{one.level}: {one.text}" for one in fresh]
            trial.memory = "\n".join(f"- {one.text}" for one in fresh)

    async def end(self, turn: UserTurn, reply: str, clock: Clock) -> None:
        """Keep what was said in this turn."""
        spec = self._spec
        self._now.said += [{"role": "user", "content": turn.text}, {"role": "assistant", "content": reply}]
        if spec.policy == "none":
            return
        if spec.policy == "summary":
            await self._summarise(clock)
        elif self._mem0 is not None:
            with self._trial.recorder.span("remember", "memory", clock, parent=0) as span:
                span["output"] = await self._mem0.write(turn.text, reply, self._scope(turn), clock)
        elif spec.policy in ("retrieval", "hierarchical"):
            await self._write(turn, reply, clock)

    async def _summarise(self, clock: Clock) -> None:
        chat = self._now
        old = chat.said[: -self._spec.window]
        fresh = old[chat.summarised :]
        if not fresh:
            return
        chat.summarised = len(old)
        said = "\n".join(f"{one['role']}: {one['content']}" for one in fresh)
        told = f"Summary so far:\n{chat.summary or '(none)'}\n\nWhat was said since:\n{said}\n\nWrite the new summary."
        chat.summary = await self._ask(told, clock, "summarise")

    async def _write(self, turn: UserTurn, reply: str, clock: Clock) -> None:
        scope = self._scope(turn)
        with self._trial.recorder.span("remember", "memory", clock, parent=0) as span:
            written: list[str] = []
            for who, text in (("user", turn.text), ("assistant", reply)):
                if self._store.write(f"{who}: {text}", level="chat", scope=scope, day=turn.day):
                    written.append(f"chat: {text}")
            if self._spec.policy == "hierarchical":
                for level, fact in await self._facts(turn, clock):
                    if level in self._spec.levels and self._store.write(
                        fact, level=level, scope=scope, kind="semantic", importance=0.8, day=turn.day
                    ):
                        written.append(f"{level}: {fact}")
            span["output"] = [self._trial.recorder.short(one) for one in written]

    async def _facts(self, turn: UserTurn, clock: Clock) -> list[tuple[Any, str]]:
        if "memory" not in self._trial.agent.helpers:
            return [
                # What one says of oneself stays with oneself, also when the team comes up in it.
                ("organisation" if _SHARED.search(one) and not _OWN.search(one) else "user", one.strip())
                for one in _SENTENCE.split(turn.text)
                if _FACT.search(one) and not one.strip().endswith("?")
            ]
        levels = [level for level in self._spec.levels if level != "chat"]
        told = _FACTS.format(levels=", ".join(levels), text=turn.text)
        lines = (await self._ask(told, clock, "extract facts")).splitlines()
        parts = [line.strip("-* ").partition(":") for line in lines]
        return [(level.strip().lower(), fact.strip()) for level, _, fact in parts if level.strip().lower() in levels]

    async def _ask(self, told: str, clock: Clock, name: str) -> str:
        asked = [{"role": "user", "content": told}]
        response = await self._trial.call(self._models(), asked, name=name, clock=clock, parent=0)
        return response.text.strip()

    def _models(self) -> Sequence[ModelSpec]:
        agent = self._trial.agent
        helper = agent.helpers.get("memory")
        if helper is not None:
            return (helper,)
        return next((step.models for step in agent.steps.values() if step.models), tuple(agent.models[:1]))
