"""Tell people: webhook, Slack, e-mail, command. Each notice goes to each channel once, with retries."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from bakeoff.errors import BakeoffError, SpecError
from bakeoff.prompts import load_prompt
from bakeoff.regression._control_db import control_db
from bakeoff.regression._send import send

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence

    from bakeoff.experiments import LocalStore

__all__ = [
    "Channel",
    "Event",
    "Notice",
    "change_condition",
    "deliver",
    "load_channels",
    "queue_notice",
    "sign_payload",
    "verify_signature",
]

Event = Literal["fail", "recovery", "drift", "missed", "error"]
"""A gate failed; it passes again; a control chart alarms; a schedule was missed; a scheduled run could not run."""

_EnvName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
_BACKOFF_S = (0.0, 5.0, 30.0, 120.0, 600.0, 1800.0, 7200.0)
"""Before each attempt; after the last one the notice is given up."""
_SENDING_S = 120.0
_TOLERANCE_S = 300.0


class Channel(BaseModel):
    """Where notices go. Addresses that are secrets, and all keys, are named by environment variables."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: str = Field(min_length=1)
    kind: Literal["webhook", "slack", "email", "command"]
    events: list[Event] = Field(default_factory=lambda: ["fail", "recovery", "drift", "missed", "error"])
    template: str | None = None
    """Jinja2 text instead of the usual one; has `event`, `title`, `text`, `data`."""
    url: str | None = Field(default=None, pattern=r"^https?://")
    url_env: _EnvName | None = None
    """Environment variable with the address: a Slack webhook is a secret."""
    secret_env: _EnvName | None = None
    """Environment variable with the key that signs a webhook."""
    host: str | None = None
    port: int = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    user_env: _EnvName | None = None
    password_env: _EnvName | None = None
    sender: str | None = None
    to: list[str] = Field(default_factory=list)
    command: list[str] = Field(default_factory=list)
    """Program with arguments, no shell; gets the notice as JSON on stdin."""
    timeout_s: Annotated[float, Field(gt=0, le=300)] = 20.0

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> Channel:
        if self.kind in ("webhook", "slack") and (self.url is None) == (self.url_env is None):
            raise ValueError(f"a {self.kind} needs `url` or `url_env`, one of them")
        if self.kind == "email" and not (self.host and self.sender and self.to):
            raise ValueError("an email channel needs `host`, `sender` and `to`")
        if self.kind == "command" and not self.command:
            raise ValueError("a command channel needs `command`")
        return self

    def secret(self, name: str | None) -> str | None:
        """Return the value of an environment variable that the channel names.

        Raises:
            SpecError: It is not set.
        """
        if name is None:
            return None
        found = os.environ.get(name)
        if not found:
            raise SpecError(f"the channel {self.name!r} needs the environment variable {name}, which is not set")
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something that people should know."""

    key: str
    """Two notices with the same key are the same one."""
    event: Event
    title: str
    text: str
    data: Mapping[str, Any] = field(default_factory=dict)


def load_channels(path: Path) -> list[Channel]:
    """Read a file with `channels:`.

    Raises:
        SpecError: The file is missing or wrong.
    """
    import yaml

    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
        channels = [Channel.model_validate(entry) for entry in raw["channels"]]
    except OSError as error:
        raise SpecError(f"the notification file {str(path)!r} cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, KeyError, TypeError) as error:
        raise SpecError(f"the notification file {str(path)!r} needs a list `channels:` ({error})") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise SpecError(f"the notification file {str(path)!r}: {place}: {first['msg']}") from None
    names = [channel.name for channel in channels]
    if len(set(names)) < len(names):
        raise SpecError(f"the notification file {str(path)!r} has two channels of one name: {', '.join(names)}")
    return channels


def sign_payload(body: bytes, secret: str, *, at: float) -> str:
    """Return the signature header of a webhook: `t=<unix seconds>,v1=<HMAC-SHA256 of "t.body">`.

    Examples:
        >>> header = sign_payload(b"{}", "key", at=1_700_000_000)
        >>> verify_signature(b"{}", "key", header, now=1_700_000_010)
        True
        >>> verify_signature(b"{ }", "key", header, now=1_700_000_010)
        False
    """
    stamp = str(int(at))
    digest = hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={stamp},v1={digest}"


def verify_signature(body: bytes, secret: str, header: str, *, now: float, tolerance_s: float = _TOLERANCE_S) -> bool:
    """Check the signature header of a webhook, and that it is no older than `tolerance_s`; for receivers."""
    parts: dict[str, str] = {}
    for part in header.split(","):
        name, _, value = part.partition("=")
        parts[name] = value
    try:
        at = int(parts.get("t", ""))
    except ValueError:
        return False
    wanted = sign_payload(body, secret, at=at).partition("v1=")[2]
    return abs(now - at) <= tolerance_s and hmac.compare_digest(wanted, parts.get("v1", ""))


def change_condition(store: LocalStore, subject: str, state: str, *, now: float | None = None) -> str | None:
    """Note the state of something that is watched; return the state before, `None` when it was not known."""
    moment = time.time() if now is None else now
    with control_db(store.paths) as control:
        control.execute("BEGIN IMMEDIATE")
        row = control.execute("SELECT state FROM conditions WHERE subject = ?", (subject,)).fetchone()
        before = None if row is None else str(row["state"])
        if before != state:
            control.execute("INSERT OR REPLACE INTO conditions VALUES (?, ?, ?)", (subject, state, moment))
        control.execute("COMMIT")
    return before


def queue_notice(store: LocalStore, notice: Notice, file: Path, *, now: float | None = None) -> int:
    """Put a notice in line for every channel of a file that wants it; one that was queued before is not queued again.

    Returns:
        The number of channels that will get it.
    """
    moment = time.time() if now is None else now
    payload = json.dumps(asdict(notice), default=str)
    added = 0
    channels = [channel for channel in load_channels(file) if notice.event in channel.events]
    with control_db(store.paths) as control:
        for channel in channels:
            done = control.execute(
                "INSERT OR IGNORE INTO notifications (key, channel, file, event, payload, state, at, next_at) "
                "VALUES (?, ?, ?, ?, ?, 'pending', ?, ?)",
                (notice.key, channel.name, str(file.resolve()), notice.event, payload, moment, moment),
            )
            added += done.rowcount
    return added


def deliver(store: LocalStore, *, now: float | None = None) -> list[str]:
    """Send what is due, and return an error line for each attempt that failed.

    A failed attempt is repeated after 5 s, 30 s, 2 min, 10 min, 30 min and 2 h. A process that dies while it sends
    leaves the notice to the next one, so a receiver may see one twice: `key` tells.
    """
    moment = time.time() if now is None else now
    errors: list[str] = []
    for row in _claimed(store, moment):
        error = _attempt(row)
        attempts = row["attempts"] + 1
        state, next_at = "sent", moment
        if error is not None:
            errors.append(f"notification {row['key']!r} to {row['channel']!r}: {error}")
            state = "failed" if attempts >= len(_BACKOFF_S) else "pending"
            next_at = moment + _BACKOFF_S[min(attempts, len(_BACKOFF_S) - 1)]
        with control_db(store.paths) as control:
            control.execute(
                "UPDATE notifications SET state = ?, next_at = ?, attempts = ?, error = ? "
                "WHERE key = ? AND channel = ?",
                (state, next_at, attempts, error or "", row["key"], row["channel"]),
            )
    return errors


def _claimed(store: LocalStore, moment: float) -> Sequence[sqlite3.Row]:
    with control_db(store.paths) as control:
        control.execute("BEGIN IMMEDIATE")
        rows = control.execute(
            "SELECT * FROM notifications WHERE state IN ('pending', 'sending') "
            "AND (next_at <= ? OR next_at > ?) ORDER BY at",
            (moment, moment + max(_BACKOFF_S) + _SENDING_S),  # beyond any wait: the clock was set back since
        ).fetchall()
        for row in rows:
            control.execute(
                "UPDATE notifications SET state = 'sending', next_at = ? WHERE key = ? AND channel = ?",
                (moment + _SENDING_S, row["key"], row["channel"]),
            )
        control.execute("COMMIT")
    return rows


def _attempt(row: sqlite3.Row) -> str | None:
    """Send once; return what went wrong, without secrets."""
    try:
        channels = {channel.name: channel for channel in load_channels(Path(row["file"]))}
        channel = channels.get(row["channel"])
        if channel is None:
            return f"{row['file']} has no channel {row['channel']!r} any more"
        notice = Notice(**json.loads(row["payload"]))
        return send(channel, notice, _text(channel, notice), sign=sign_payload)
    except BakeoffError as error:
        return str(error)


def _text(channel: Channel, notice: Notice) -> str:
    if channel.template is None:
        return f"{notice.title}\n{notice.text}"
    prompt = load_prompt(channel.name, channel.template, base_dir=Path())
    rendered = prompt.render(
        {"event": notice.event, "title": notice.title, "text": notice.text, "data": dict(notice.data)}
    )
    return str(rendered[-1]["content"])
