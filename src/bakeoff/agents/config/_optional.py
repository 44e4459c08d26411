"""Libraries that are too heavy for everybody: named with the command that installs the version that was tested."""

from __future__ import annotations

from importlib.util import find_spec

from bakeoff.errors import SpecError, SpecProblem

__all__ = ["INSTALL", "need"]

INSTALL = {
    "qdrant": ("qdrant_client", "pip install 'qdrant-client==1.20.0'"),
    "chroma": ("chromadb", "pip install 'chromadb==1.5.9'"),
    "pgvector": ("psycopg", "pip install 'psycopg[binary]==3.3.9'"),
    "mem0": ("mem0", "pip install 'mem0ai==2.2.1'"),
}
"""Module and command, by the word in the file."""


def need(word: str, feature: str) -> None:
    """Check that the library of a feature is there, without importing it.

    Args:
        word: A key of `INSTALL`.
        feature: What needs it, for the message.

    Raises:
        SpecError: It is not; the way out is the command.
    """
    module, command = INSTALL[word]
    if find_spec(module) is None:
        raise SpecError([SpecProblem(f"{feature} needs {module!r}, which is not installed", fix=command)])
