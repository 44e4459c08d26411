"""What a gate decided, as plain data."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from math import isfinite, nan
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from bakeoff.regression._needs import Need

__all__ = ["EXIT_CODES", "GateOutcome", "GateResult", "ItemChange", "RuleResult"]

GateOutcome = Literal["pass", "fail", "inconclusive", "infrastructure"]
"""`infrastructure`: the run did not get far enough to say anything about quality."""

EXIT_CODES: dict[GateOutcome, int] = {"pass": 0, "fail": 1, "inconclusive": 3, "infrastructure": 4}
"""2 is wrong use: an error, not an outcome."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleResult:
    """One rule on one variant."""

    rule: str
    """The rule in words."""
    kind: str
    metric: str
    variant: str
    reference: str = ""
    """What it was compared with: a baseline's name or `variant:NAME`; empty for thresholds."""
    outcome: GateOutcome
    because: str
    """One sentence with the numbers."""
    estimate: float = nan
    """The difference (turned so that more is better), the mean, or the share."""
    low: float = nan
    """One-sided lower bound at `alpha`."""
    high: float = nan
    """One-sided upper bound at `alpha`."""
    threshold: float = nan
    """What `low` (or `high`) must clear to pass."""
    value: float = nan
    """The candidate's mean, percentile or share."""
    baseline_value: float = nan
    p_value: float = nan
    """Of the test that fails the rule, one-sided; `nan` for rules about facts."""
    p_adjusted: float = nan
    """After Holm's correction over the rules of this gate."""
    n: int = 0
    n_missing: int = 0
    method: str = ""
    is_statistical: bool = True
    """False for rules about facts of this run: sentinel items, error rate."""
    need: Need | None = None
    items: tuple[str, ...] = ()
    """Ids of sentinel items that newly fail."""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemChange:
    """One item under one variant, beside the baseline."""

    item: str
    variant: str
    metric: str
    now: float
    """Mean over repeats; `nan` is missing."""
    then: float
    """`nan` without a baseline, or where it has no score."""
    change: Literal["improved", "regressed", "same", "missing", "new"]
    is_sentinel: bool = False
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    """The decision of a gate with everything that a reader needs to trust it."""

    run_id: str
    experiment: str
    outcome: GateOutcome
    headline: str
    rules: tuple[RuleResult, ...]
    baseline: str = ""
    """Name or file of the baseline; empty when no rule needs one."""
    baseline_run: str = ""
    alpha: float
    """For the whole gate, over all looks."""
    alpha_look: float
    """For this look."""
    looks: int = 1
    n_items: int
    statement: str
    """Which errors are controlled, at what rate, and how the number of rules is accounted for."""
    notes: tuple[str, ...] = ()
    """What else changed since the baseline, and what limits the decision."""
    changed: tuple[str, ...] = ()
    items: tuple[ItemChange, ...] = field(default=(), repr=False)
    is_simulated: bool = False

    @property
    def exit_code(self) -> int:
        """0 pass, 1 fail, 3 inconclusive, 4 infrastructure."""
        return EXIT_CODES[self.outcome]

    def to_dict(self, *, items: bool = True) -> dict[str, Any]:
        """Return plain JSON data; what is not estimable becomes null."""
        data = asdict(self)
        if not items:
            del data["items"]
        plain: dict[str, Any] = _plain({"exit_code": self.exit_code, **data})
        return plain


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    if isinstance(value, bool) or not isinstance(value, float):
        return value
    return float(value) if isfinite(value) else None
