"""Importing a library of somebody else: only when it is there, and with its telemetry off."""

from __future__ import annotations

import contextlib
import difflib
import importlib
import importlib.metadata
import importlib.util
import io
import logging
import os
import sys
import warnings
from typing import TYPE_CHECKING, Any

from bakeoff.errors import EvaluatorError
from bakeoff.evaluators._redact import describe_error

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import ModuleType

__all__ = ["QUIET", "import_quietly", "installed_version", "pick"]

QUIET: Mapping[str, str] = {
    "DO_NOT_TRACK": "1",
    # DeepEval: PostHog, Confident AI, its update check, `.env` of the working directory, its own choice of judge
    "DEEPEVAL_TELEMETRY_OPT_OUT": "1",
    "DEEPEVAL_UPDATE_WARNING_OPT_IN": "0",
    "DEEPEVAL_DISABLE_DOTENV": "1",
    "DEEPEVAL_DISABLE_LEGACY_KEYFILE": "1",
    "DEEPEVAL_FILE_SYSTEM": "READ_ONLY",
    "CONFIDENT_TRACE_FLUSH": "0",
    "CONFIDENT_TRACE_VERBOSE": "0",
    # Ragas, and what it brings along
    "RAGAS_DO_NOT_TRACK": "true",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    # MLflow
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
"""Environment that keeps these libraries from calling home; set before any of them is imported."""
_UNLESS_SET: Mapping[str, str] = {
    # LiteLLM, which several of them import: no look-up of prices, no `.env`
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_MODE": "PRODUCTION",
}

_LOUD = ("instructor", "httpx", "openai")


def import_quietly(module: str) -> ModuleType:
    """Import a module of a library, with telemetry off.

    Raises:
        EvaluatorError: It cannot be imported; the message says why.
    """
    os.environ.update(QUIET)
    for name, value in _UNLESS_SET.items():
        os.environ.setdefault(name, value)
    if module in sys.modules:
        return importlib.import_module(module)  # waits where another thread is still importing it
    for name in (module.partition(".")[0], *_LOUD):  # what fails is told by the score, once
        logging.getLogger(name).setLevel(logging.CRITICAL)
    said = io.StringIO()
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            warnings.simplefilter("ignore")  # their deprecations are not the user's
            return importlib.import_module(module)
    except Exception as error:
        raise EvaluatorError(f"{module} is installed, but cannot be imported: {describe_error(error)}") from error


def installed_version(package: str, module: str) -> str | None:
    """Give the version of an installed library, or `None` when it is not there.

    Examples:
        >>> installed_version("no-such-library", "no_such_library") is None
        True
    """
    try:
        if importlib.util.find_spec(module) is None:
            return None
        return importlib.metadata.version(package)
    except (ImportError, ValueError):
        return None


def pick(module: ModuleType, name: str, known: Iterable[str], what: str) -> Any:
    """Give what a module has under a name.

    Raises:
        EvaluatorError: It is not among the known names; the message names the closest.
    """
    names = sorted(known)
    if name in names:
        return getattr(module, name)
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(map(repr, close))}?" if close else f"known are {', '.join(names)}"
    raise EvaluatorError(f"there is no {what} {name!r}; {hint}")
