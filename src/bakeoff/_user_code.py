"""Functions of the user's own, found by `file.py:function` or `module:function`: tasks, evaluators, data, tools."""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import importlib
import importlib.util
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import ModuleType

    from bakeoff.errors import BakeoffError

__all__ = ["describe", "find_function"]

_SHOWN = 8


def describe(error: BaseException) -> str:
    """Return the type and the message of an error, at most 2,000 characters."""
    return f"{type(error).__name__}: {error}"[:2000]


def find_function(
    reference: str,
    *,
    base_dir: Path,
    error: Callable[[str], BakeoffError],
    what: str,
    noun: str = "function",
    said: Callable[[BaseException], str] = describe,
    anew: bool = False,
) -> Callable[..., Any]:
    """Import what `file.py:name` or `module:name` points to; the name may be dotted.

    A file is read again once its content has changed, so a notebook or a dashboard sees an edit at once.

    Args:
        reference: Where the function is; a file is relative to `base_dir`.
        base_dir: Folder of the experiment file; modules in it can be imported too.
        error: Makes the error to raise from a message.
        what: What the function is for, first word of every message.
        noun: What is missing when the name is.
        said: Puts what the user's code raised into words.
        anew: Run a file again even if it is unchanged.

    Raises:
        BakeoffError: What `error` makes, when the file, module or name is missing, or importing it failed.
    """
    place, _, name = reference.rpartition(":")
    if not place or not name:
        raise error(f"{what} {reference!r} must be 'module:function' or 'file.py:function'")
    path = base_dir / place if place.endswith(".py") else None
    if path is not None and not path.is_file():
        raise error(
            f"{what} {reference!r}: there is no file {str(path)!r}"
            "\n    fix: correct it; paths start at the folder of the experiment file"
        )
    try:
        with _importable(base_dir if path is None else path.parent):
            module = importlib.import_module(place) if path is None else _from_file(path, anew=anew)
    except (Exception, SystemExit) as cause:
        failed = f"module {place!r} cannot be imported" if path is None else f"importing {place!r} failed"
        raise error(f"{what} {reference!r}: {failed}: {said(cause)}") from cause
    found: Any = module
    for part in name.split("."):
        found = getattr(found, part, None)
    if not callable(found):
        known = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
        raise error(
            f"{what} {reference!r}: {place} has no {noun} {name!r}; it has {', '.join(known[:_SHOWN]) or 'none'}"
            + (f"\n    fix: did you mean {near[0]!r}?" if near else "")
        )
    return found


def _from_file(path: Path, *, anew: bool) -> ModuleType:
    digest = hashlib.sha256(str(path.resolve()).encode() + b"\0" + path.read_bytes()).hexdigest()[:16]
    name = f"bakeoff_user_{digest}"
    if name in sys.modules and not anew:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look their module up
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


@contextlib.contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Let modules beside the experiment file be imported, and import each other."""
    entry = str(folder.resolve())
    sys.path.insert(0, entry)
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            sys.path.remove(entry)
