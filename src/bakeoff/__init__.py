"""Bakeoff: compare prompts, models and agents on the same work.

Which is better, how sure that is, what it costs, and what to do next. `bakeoff.run` takes an experiment file,
`bakeoff.evaluate` takes data, callables and evaluators; both return a `RunResult`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    __version__: str
    from bakeoff._facade import evaluate, evaluate_async, run, run_async
    from bakeoff.errors import BakeoffError
    from bakeoff.experiments import open_store
    from bakeoff.reports import RunResult

__all__ = ["BakeoffError", "RunResult", "__version__", "evaluate", "evaluate_async", "open_store", "run", "run_async"]

_PLACES = {
    "BakeoffError": "bakeoff.errors",
    "RunResult": "bakeoff.reports",
    "evaluate": "bakeoff._facade",
    "evaluate_async": "bakeoff._facade",
    "open_store": "bakeoff.experiments",
    "run": "bakeoff._facade",
    "run_async": "bakeoff._facade",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for: `import bakeoff` alone stays light."""
    if name == "__version__":
        from bakeoff._version import version

        return version()
    if name in _PLACES:
        return getattr(import_module(_PLACES[name]), name)
    raise AttributeError(f"module 'bakeoff' has no attribute {name!r}")
