"""The thing under test: a prompt on a model, a callable, an endpoint, a command, recorded outputs."""

from bakeoff.targets._types import Target, TargetResult

__all__ = ["Target", "TargetResult"]
