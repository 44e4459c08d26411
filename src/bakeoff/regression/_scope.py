"""What a gate looks at: the run, its baseline on the same items, and which variant is held against which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bakeoff.errors import SpecError
from bakeoff.regression._facts import decide_errors, decide_sentinels
from bakeoff.regression._observations import Alignment, Observations, align
from bakeoff.regression._rules import Measured, Setting, measure_level, measure_relative

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bakeoff.experiments import GatePolicy, GateRule
    from bakeoff.regression._result import RuleResult

__all__ = ["Scope"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """The run, the baseline on the same items, and which variant is compared with which."""

    candidate: Observations
    alignment: Alignment | None
    pairs: tuple[tuple[str, str], ...]
    """(variant, baseline's variant)."""
    alone: tuple[str, ...]
    """Variants for rules without a baseline."""
    unmatched: tuple[str, ...]
    called: str
    marked: Mapping[str, Sequence[str]]
    baseline: Observations | None = None
    """All of the baseline, with the items that the run does not have."""

    @classmethod
    def of(
        cls,
        candidate: Observations,
        baseline: Observations | None,
        policy: GatePolicy,
        called: str,
        marked: Mapping[str, Sequence[str]],
    ) -> Scope:
        for variant in policy.variants:
            if variant not in candidate.variants:
                raise SpecError(f"the run {candidate.run_id!r} has no variant {variant!r}: see gate_policy.variants")
        alone = tuple(policy.variants) or tuple(candidate.variants)
        if baseline is None:
            return cls(
                candidate=candidate, alignment=None, pairs=(), alone=alone, unmatched=(), called="", marked=marked
            )
        pairs = tuple((name, name) for name in alone if name in baseline.variants)
        unmatched = tuple(name for name in alone if name not in baseline.variants)
        if not pairs:  # no name is shared: each run's baseline variant stands for it
            chosen = alone[0] if policy.variants or candidate.baseline not in candidate.variants else candidate.baseline
            pairs, unmatched = ((chosen, baseline.baseline),), tuple(name for name in alone if name != chosen)
        return cls(
            candidate=candidate, alignment=align(candidate, baseline), pairs=pairs, alone=alone, unmatched=unmatched,
            called=called, marked=marked, baseline=baseline,
        )  # fmt: skip

    def refuse_other_versions(self) -> None:
        broken = [pin for pin in (self.alignment.changed if self.alignment else ()) if pin.startswith(("data", "eval"))]
        if broken:
            raise SpecError(
                f"the baseline {self.called!r} was made with other versions ({', '.join(broken)}), which "
                "`on_version_change: refuse` forbids\n    fix: set a baseline from a run with today's versions"
            )

    def measure(self, rule: GateRule, setting: Setting) -> list[Measured | RuleResult]:
        metric = rule.metric or self.candidate.primary
        if rule.variant is not None and rule.variant not in self.candidate.variants:
            raise SpecError(f"the run {self.candidate.run_id!r} has no variant {rule.variant!r}, which a rule names")
        reference = rule.no_worse_than or rule.better_than
        if rule.no_new_failures is not None or reference == "baseline":
            return self._against_baseline(rule, metric, setting)
        if reference is not None:
            other = reference.removeprefix("variant:")
            found = [
                measure_relative(
                    rule, metric, candidate=self.candidate, baseline=self.candidate, pair=(variant, other),
                    called=reference, setting=setting,
                )
                for variant in self._chosen(rule, self.alone) if variant != other
            ]  # fmt: skip
            if not found:
                raise SpecError(f"a rule compares with {reference!r}, but no other variant is judged")
            return list(found)
        if rule.max_error_rate is not None:
            return [
                decide_errors(rule, candidate=self.candidate, variant=name) for name in self._chosen(rule, self.alone)
            ]
        return [
            measure_level(rule, metric, candidate=self.candidate, variant=variant, setting=setting)
            for variant in self._chosen(rule, self.alone)
        ]

    def _against_baseline(self, rule: GateRule, metric: str, setting: Setting) -> list[Measured | RuleResult]:
        if self.alignment is None or self.baseline is None:
            raise SpecError("a rule compares with the baseline, and there is none")
        both = {"candidate": self.alignment.candidate, "baseline": self.alignment.baseline}
        chosen = [pair for pair in self.pairs if rule.variant in (None, pair[0])]
        if not chosen:
            raise SpecError(f"the baseline {self.called!r} has no variant {rule.variant!r}, which a rule names")
        if rule.no_new_failures is None:
            return [
                measure_relative(rule, metric, pair=pair, called=self.called, setting=setting, **both)
                for pair in chosen
            ]
        named = rule.no_new_failures
        sentinels = self.marked[named] if isinstance(named, str) else named
        return [
            decide_sentinels(
                rule, metric, pair=pair, called=self.called, sentinels=sentinels, whole=(self.candidate, self.baseline),
                **both,
            )
            for pair in chosen
        ]  # fmt: skip

    @staticmethod
    def _chosen(rule: GateRule, variants: Sequence[str]) -> list[str]:
        return [rule.variant] if rule.variant is not None else list(variants)

    def notes(self) -> tuple[str, ...]:
        found = list(self.alignment.notes) if self.alignment else []
        if self.unmatched and self.pairs:
            found.append(f"Not in the baseline, so not compared with it: {', '.join(self.unmatched)}.")
        pair = self.pairs[0] if self.pairs else None
        if pair is not None and pair[0] != pair[1]:
            found.append(f"No variant's name is shared: {pair[0]} is compared with {pair[1]} of the baseline.")
        return tuple(found)
