"""A paired comparison that may be watched while it runs, and stopped when the answer is clear."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from math import exp, inf, isfinite, log, nan
from typing import TYPE_CHECKING, Any

import numpy as np

from bakeoff.errors import StatsError
from bakeoff.stats.core._checks import as_scores
from bakeoff.stats.core._items import item_means
from bakeoff.stats.core._result import Difference
from bakeoff.stats.core._state import STATE_VERSION, reading_state
from bakeoff.stats.sequential._config import SequentialConfig
from bakeoff.stats.sequential._evalues import exp_capped
from bakeoff.stats.sequential._order import order_check
from bakeoff.stats.sequential._words import sequential_words, verdict_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

    Float = NDArray[np.float64]

from bakeoff.stats.sequential._evidence import paired_units, sequential_evidence, sequential_limits

__all__ = ["SequentialComparison", "SequentialResult"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SequentialResult(Difference):
    """What is known after the items so far, valid whenever it is read."""

    e_value: float
    """Evidence against "no difference" now, for `e_bh` over metrics; `p_value` goes with the strongest so far."""
    look: int
    """How many batches have been looked at."""
    stop: bool
    """Whether the question is answered or the planned items are used up."""
    not_worse: bool | None = None
    """Whether "worse by more than the margin" is excluded; None without a margin."""
    planned_n: int | None = None
    words: str = ""
    """One paragraph for people."""

    @property
    def decided(self) -> bool:
        """Whether there is an answer (better, worse or equivalent)."""
        return self.verdict is not None and self.verdict.word != "inconclusive"

    @property
    def saved_items(self) -> int:
        """Planned items that an early stop did not need; 0 while running or without a plan."""
        return max(self.planned_n - self.n - self.n_missing, 0) if self.stop and self.planned_n is not None else 0


def _missing_extremes(candidate: Float, baseline: Float, config: SequentialConfig) -> tuple[float, float]:
    """Sum of differences of the incomplete items if every missing score had been the worst, or the best, possible."""
    low, high = config.score_range
    (left, _), (right, _) = item_means(candidate), item_means(baseline)
    gone = np.isnan(left) | np.isnan(right)
    left, right = left[gone], right[gone]
    worst = np.where(np.isnan(left), low, left) - np.where(np.isnan(right), high, right)
    best = np.where(np.isnan(left), high, left) - np.where(np.isnan(right), low, right)
    return float(worst.sum()), float(best.sum())


class SequentialComparison:
    """Compare two variants on common items, batch by batch, with one error rate for all looks.

    Give it each batch of scores as it arrives. After every batch the p-value, the interval and the
    verdict are valid, so a run may be watched, stopped when the verdict is clear, and reported as is:
    the chance of ever declaring a difference that is not there stays at most alpha.

    The unit is the item: repeats are averaged first. With clusters the unit is the cluster, which must
    arrive whole in one update. Items must come in random order (`order_check` warns).

    | scores | evidence | holds for |
    |---|---|---|
    | pass/fail, one per item | e-process on discordant pairs | every n, exactly |
    | bounded, repeats, clusters | betting | every n, any distribution in the range |
    | unbounded | asymptotic confidence sequence | n >= 30, finite variance |

    Args:
        config: The question, fixed before the first score.

    Examples:
        >>> comparison = SequentialComparison(SequentialConfig(planned_n=200))
        >>> result = comparison.update([1, 1, 1, 1, 1, 1, 1, 1, 1, 1], [0, 0, 0, 0, 0, 0, 0, 0, 0, 1])
        >>> result.verdict.word, result.stop, result.saved_items
        ('better', True, 190)
        >>> copy = SequentialComparison.from_state(comparison.to_state())
        >>> copy.result() == result
        True
    """

    def __init__(self, config: SequentialConfig | None = None) -> None:
        self._config = config or SequentialConfig()
        self._candidate: list[float] = []
        self._baseline: list[float] = []
        self._clusters: set[str] = set()
        self._n_missing = 0
        self._missing = (0.0, 0.0)  # what the incomplete items could add to the sum of differences
        self._look = 0
        self._log_e = 0.0  # now
        self._log_e_max = 0.0  # strongest so far
        self._low, self._high = -self._config.reach, self._config.reach
        self._contradicted = False

    @property
    def config(self) -> SequentialConfig:
        """The question, as it was fixed."""
        return self._config

    @property
    def n(self) -> int:
        """Units with a score of both variants so far."""
        return len(self._candidate)

    def update(
        self, candidate_scores: ArrayLike, baseline_scores: ArrayLike, *, clusters: ArrayLike | None = None
    ) -> SequentialResult:
        """Take in one batch and return what is known now.

        Args:
            candidate_scores: Shape (items,) or (items, repeats); nan = missing.
            baseline_scores: The same items in the same order.
            clusters: One label per item, for a clustered comparison; a label may not return in a later batch.

        Returns:
            The state of knowledge after this batch.

        Raises:
            StatsError: Different items, scores out of range, or a cluster split over two batches. The
                comparison is unchanged then.
        """
        candidate = as_scores(candidate_scores, "candidate_scores")
        baseline = as_scores(baseline_scores, "baseline_scores")
        left, right, n_missing = paired_units(candidate, baseline, config=self._config, clusters=clusters)
        if self._config.clustered:
            labels = {str(label) for label in np.asarray(clusters).ravel().tolist()}
            again = sorted(labels & self._clusters)
            if again:
                raise StatsError(f"cluster {again[0]!r} came in an earlier batch; a cluster must arrive whole")
            self._clusters |= labels
        self._candidate.extend(left.tolist())
        self._baseline.extend(right.tolist())
        self._n_missing += n_missing
        worst, best = _missing_extremes(candidate, baseline, self._config)
        self._missing = (self._missing[0] + worst, self._missing[1] + best)
        self._look += 1
        self._absorb()
        return self.result()

    def _absorb(self) -> None:
        """Fold the newest look into the running evidence and the running interval."""
        if self.n < self._config.first_look:
            return
        differences = self._differences()
        self._log_e = sequential_evidence(differences, self._config)
        self._log_e_max = max(self._log_e_max, self._log_e)
        low, high = sequential_limits(differences, self._config)
        low, high = max(low, self._low), min(high, self._high)
        if low > high:
            self._contradicted = True  # keep the last interval that made sense, and say so
        else:
            self._low, self._high = low, high

    def _differences(self) -> Float:
        return np.asarray(self._candidate, dtype=np.float64) - np.asarray(self._baseline, dtype=np.float64)

    def result(self) -> SequentialResult:
        """Return what is known after the batches so far."""
        config, n = self._config, self.n
        differences = self._differences()
        estimate = float(differences.mean()) if n else nan
        known = n >= config.first_look and n > 0
        low, high = (self._low, self._high) if known else (nan, nan)
        if known and not (isfinite(low) or isfinite(high)):
            low, high, known = nan, nan, False
        verdict = verdict_of(low=low, high=high, rejected=self._log_e_max >= -log(config.alpha), n=n, config=config)
        exhausted = config.planned_n is not None and n + self._n_missing >= config.planned_n
        safe_side = low if config.higher_is_better else -high
        not_worse = None if config.margin is None else safe_side > -config.margin
        stop = verdict.word != "inconclusive" or exhausted or (config.stop_when_not_worse and bool(not_worse))
        warnings = self._warnings()
        words = sequential_words(
            estimate=estimate, low=low, high=high, n=n, verdict=verdict, config=config,
            stop=stop, exhausted=exhausted, n_missing=self._n_missing, warnings=warnings,
        )  # fmt: skip
        return SequentialResult(
            estimate=estimate,
            low=low,
            high=high,
            confidence=1 - config.alpha,
            n=n,
            method=f"sequential_{config.resolved_method}",
            reason=None if known else self._why_unknown(differences),
            assumptions=self._assumptions(),
            warnings=warnings,
            p_value=min(1.0, exp(-self._log_e_max)) if known else nan,
            p_adjusted=nan,
            test=f"sequential_{config.resolved_method}",
            alternative=config.alternative,
            candidate_mean=float(np.mean(self._candidate)) if n else nan,
            baseline_mean=float(np.mean(self._baseline)) if n else nan,
            n_items=n if not config.clustered else 0,
            n_missing=self._n_missing,
            missing_bound=self._missing_bound(differences),
            kind=config.kind,
            verdict=verdict,
            e_value=float(exp_capped(self._log_e)),
            look=self._look,
            stop=stop,
            not_worse=not_worse,
            planned_n=config.planned_n,
            words=words,
        )

    def _missing_bound(self, differences: Float) -> tuple[float, float] | None:
        if not self._n_missing or self._config.kind == "continuous" or self._config.clustered:
            return None
        total, n = float(differences.sum()), differences.size + self._n_missing
        return (total + self._missing[0]) / n, (total + self._missing[1]) / n

    def _why_unknown(self, differences: Float) -> str:
        if differences.size == 0:
            return "no item has a score of both variants yet"
        if differences.size < self._config.first_look:
            return f"needs {self._config.first_look} items, has {differences.size}"
        return "all differences are equal: the spread cannot be estimated"

    def _assumptions(self) -> tuple[str, ...]:
        unit = (
            "clusters are independent; every cluster counts the same"
            if self._config.clustered
            else "items are independent"
        )
        spread = ("finite variance, large n",) if self._config.resolved_method == "asymptotic" else ()
        return (unit, "items arrive in random order", *spread)

    def _warnings(self) -> tuple[str, ...]:
        found: list[str] = []
        for scores in (self._baseline, (np.asarray(self._candidate) - np.asarray(self._baseline)).tolist()):
            found.extend(order_check(scores).warnings)
        if self._n_missing:
            found.append(f"{self._n_missing} items left out: a variant has no score there")
        if self._contradicted:
            found.append(
                "looks contradict each other: items were not in random order, or a variant changed during the run"
            )
        return tuple(dict.fromkeys(found))

    def to_state(self) -> dict[str, Any]:
        """Return everything as a plain dict that JSON can hold; `from_state` continues from it."""
        return {
            "version": STATE_VERSION,
            "config": {**asdict(self._config), "score_range": list(self._config.score_range)},
            "candidate": list(self._candidate),
            "baseline": list(self._baseline),
            "clusters": sorted(self._clusters),
            "n_missing": self._n_missing,
            "missing": list(self._missing),
            "look": self._look,
            "log_e": self._log_e if isfinite(self._log_e) else None,
            "log_e_max": self._log_e_max,
            "low": self._low if isfinite(self._low) else None,
            "high": self._high if isfinite(self._high) else None,
            "contradicted": self._contradicted,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> SequentialComparison:
        """Return the comparison that `to_state` described.

        Raises:
            StatsError: The state is of another version or damaged.
        """
        with reading_state(state, "a sequential comparison"):
            known = {field.name for field in fields(SequentialConfig)}
            settings = {name: value for name, value in state["config"].items() if name in known}
            settings["score_range"] = tuple(settings["score_range"])
            comparison = cls(SequentialConfig(**settings))
            comparison._candidate = [float(value) for value in state["candidate"]]
            comparison._baseline = [float(value) for value in state["baseline"]]
            comparison._clusters = {str(label) for label in state["clusters"]}
            comparison._n_missing = int(state["n_missing"])
            worst, best = state["missing"]
            comparison._missing = (float(worst), float(best))
            comparison._look = int(state["look"])
            comparison._log_e = -inf if state["log_e"] is None else float(state["log_e"])
            comparison._log_e_max = float(state["log_e_max"])
            comparison._low = -inf if state["low"] is None else float(state["low"])
            comparison._high = inf if state["high"] is None else float(state["high"])
            comparison._contradicted = bool(state["contradicted"])
        return comparison
