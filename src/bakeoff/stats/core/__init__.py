"""Shared foundation: result types, input checks, distributions, item means."""

from bakeoff.stats.core._items import encode_clusters
from bakeoff.stats.core._result import Alternative, Difference, Estimate, Kind, TestResult, Verdict

__all__ = [
    "Alternative",
    "Difference",
    "Estimate",
    "Kind",
    "TestResult",
    "Verdict",
    "encode_clusters",
]
