"""The tables that labels are kept in, and how older stores are brought forward."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

__all__ = ["MIGRATIONS", "migrate", "now"]

MIGRATIONS = (
    """CREATE TABLE label_queue (
         id INTEGER PRIMARY KEY, name TEXT NOT NULL, run_id TEXT NOT NULL, mode TEXT NOT NULL, question TEXT NOT NULL,
         choices TEXT NOT NULL, guidelines TEXT NOT NULL, guidelines_version TEXT NOT NULL, seed INTEGER NOT NULL,
         created_at TEXT NOT NULL);
       CREATE TABLE label_task (
         id INTEGER PRIMARY KEY, queue INTEGER NOT NULL REFERENCES label_queue(id), position INTEGER NOT NULL,
         item INTEGER NOT NULL, item_id TEXT NOT NULL, repeat INTEGER NOT NULL, variant TEXT NOT NULL, other TEXT);
       CREATE INDEX label_task_queue ON label_task(queue, position);
       CREATE TABLE label_value (
         id INTEGER PRIMARY KEY, task INTEGER NOT NULL REFERENCES label_task(id), annotator TEXT NOT NULL,
         value TEXT, note TEXT NOT NULL, version INTEGER NOT NULL, guidelines_version TEXT NOT NULL,
         created_at TEXT NOT NULL);
       CREATE INDEX label_value_task ON label_value(task, annotator);""",
    """CREATE TABLE prompt_label (
         id INTEGER PRIMARY KEY, prompt TEXT NOT NULL, version TEXT NOT NULL, label TEXT NOT NULL,
         created_at TEXT NOT NULL);""",
    """ALTER TABLE label_queue ADD COLUMN metric TEXT;
       ALTER TABLE label_task ADD COLUMN reason TEXT NOT NULL DEFAULT '';""",
    "ALTER TABLE label_queue ADD COLUMN drawn TEXT NOT NULL DEFAULT 'random'",
)
"""Append only: a store of an older version is brought forward step by step."""


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the tables of labels up to date; other processes may do the same at the same time."""
    connection.execute("CREATE TABLE IF NOT EXISTS label_migration (number INTEGER PRIMARY KEY, at TEXT NOT NULL)")
    done = {number for (number,) in connection.execute("SELECT number FROM label_migration")}
    for number, script in enumerate(MIGRATIONS):
        if number in done:
            continue
        connection.execute("BEGIN IMMEDIATE")
        # Another process may have been faster between the look and the lock.
        if connection.execute("SELECT 1 FROM label_migration WHERE number = ?", (number,)).fetchone() is None:
            for statement in script.split(";"):
                if statement.strip():
                    connection.execute(statement)
            connection.execute("INSERT INTO label_migration VALUES (?, ?)", (number, now()))
        connection.execute("COMMIT")


def now() -> str:
    """Return the moment, in UTC, as it is kept with a label."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
