"""Pure statistics: arrays or counts in, frozen results out.

No pandas, no I/O, no clock, no global random state. `import bakeoff.stats` needs numpy alone;
scipy and statsmodels arrive when a function first needs them.
"""

from bakeoff.stats._result import Alternative, Difference, Estimate, Kind, TestResult, Verdict

__all__ = [
    "Alternative",
    "Difference",
    "Estimate",
    "Kind",
    "TestResult",
    "Verdict",
]
