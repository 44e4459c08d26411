"""Judge code by all stages together."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field
from typing_extensions import override

from bakeoff.evaluators._protocol import EvaluateResult, EvaluatorContext, MetricInfo, Score
from bakeoff.evaluators._registry import evaluator
from bakeoff.evaluators._runner import begin_scoring, finish_scoring
from bakeoff.evaluators.code._check import CodeCheck
from bakeoff.evaluators.code._containers import SandboxSpec
from bakeoff.evaluators.code._run import CodeTests
from bakeoff.evaluators.code._stages import CodeSecurity, CodeStyle, CodeSyntax, CodeTypes

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CodeMesh"]

_STAGES = ("syntax", "style", "security", "types", "run")


def _tell_stages(scores: Mapping[str, Score]) -> str:
    """Say how many stages pass, and which do not."""
    known = [score.value for score in scores.values() if isinstance(score.value, bool)]
    failed = [name for name, score in scores.items() if score.value is False]
    told = f"{sum(known)} of {len(known)} stages pass"
    return f"{told}; failed: {', '.join(failed)}" if failed else told


@evaluator("code_mesh")
class CodeMesh(CodeCheck):
    """Judge code of the output by five independent stages, and by how far they agree.

    Syntax, style, security, types and tests in the sandbox, each a metric of its own, and `consensus`: the share of the
    stages with a value that pass. For Python they are ruff, bandit and pyrefly, for JavaScript ESLint with its security
    plugins and the TypeScript compiler; see `code_style`, `code_security`, `code_types`. Agreement across samples comes
    from `repeats`: pass@k, pass^k and how often samples disagree, of any stage (`bakeoff show RUN -m code_mesh.run`).

    Value:
        One pass/fail metric for each stage, that of the tests first, and `consensus` from 0 to 1. `escalate` in its
        details marks trials for a human, who finds them with `bakeoff label` or on the Label page.

    Missing when:
        A stage has no value (its tool or the sandbox is missing, or there are no tests); the others stand.

    Source:
        Own.

    Examples:
        >>> from bakeoff.evaluators import load_evaluator
        >>> [info.name for info in load_evaluator("code_mesh").metrics][:2]
        ['code_mesh.run', 'code_mesh.syntax']
    """

    version: ClassVar[str] = "2"
    shorthand: ClassVar[str | None] = "language"

    stages: list[Literal["syntax", "style", "security", "types", "run"]] = Field(
        default_factory=lambda: list(_STAGES), min_length=2
    )
    """Which stages."""
    tests: str = Field(default="expected", min_length=1)
    """Dotted path to the tests."""
    after: str = ""
    """Code that runs last, with parts of the item filled in: `check({metadata.entry_point})`."""
    sandbox: SandboxSpec = SandboxSpec()
    """Where the tests run: `bubblewrap`, `docker`, `podman`, or `{engine: podman, image: ..., runtime: runsc}`."""
    escalate_below: float = Field(default=0.6, ge=0, le=1)
    """Consensus below which a trial is marked for a human, when some stage passes."""

    @property
    @override
    def parts(self) -> tuple[str, ...]:
        ran = [stage for stage in self.stages if stage == "run"]  # first: whether it works is the question
        return (*ran, *(stage for stage in self.stages if stage != "run"), "consensus")

    @property
    @override
    def metrics(self) -> tuple[MetricInfo, ...]:
        return tuple(
            MetricInfo(name=f"{self.metric}.{part}", score_kind="bounded" if part == "consensus" else "binary")
            for part in self.parts
        )

    def _stage(self, name: str) -> CodeCheck:
        shared: dict[str, Any] = {"language": self.language, "extract": self.extract, "before": self.before}
        if name == "run":
            return CodeTests(tests=self.tests, after=self.after, sandbox=self.sandbox, **shared)
        if name == "syntax":
            return CodeSyntax(sandbox=self.sandbox, **shared)
        kinds: dict[str, type[CodeCheck]] = {
            "style": CodeStyle,
            "security": CodeSecurity,
            "types": CodeTypes,
        }
        return kinds[name](**shared)

    @property
    @override
    def reads(self) -> tuple[str, ...]:
        return (*super().reads, *((self.tests,) if "run" in self.stages else ()))

    @override
    def unavailable(self) -> str | None:
        problems = {name: self._stage(name).unavailable() for name in self.stages}
        stages_of: dict[str, list[str]] = {}
        for name, problem in problems.items():
            if problem is not None:
                stages_of.setdefault(problem, []).append(name)
        if not stages_of:
            return None
        told: list[str] = []
        fixes: list[str] = []
        for problem, names in stages_of.items():
            message, _, fix = problem.partition("\n    fix: ")
            told.append(f"{' and '.join(names)}: {message}")
            fixes.append(fix)
        kept = [name for name, problem in problems.items() if problem is None]
        if len(kept) > 1:
            fixes.append(f"or do without them: `stages: [{', '.join(kept)}]`")
        return f"{'; '.join(told)}\n    fix: {'; '.join(fixes)}"

    @override
    async def evaluate(self, context: EvaluatorContext) -> EvaluateResult:
        stages = [self._stage(name) for name in self.stages]
        scores = await finish_scoring(stages, [begin_scoring(stage, context) for stage in stages])
        named: dict[str, Score] = {
            name: replace(score, name=f"{self.metric}.{name}", version=f"{self.version}({score.version})")
            for name, score in zip(self.stages, scores, strict=True)
        }
        known = [score.value for score in scores if isinstance(score.value, bool)]
        share = sum(known) / len(known) if known else None
        named["consensus"] = Score(
            name=f"{self.metric}.consensus",
            value=share,
            error=None if known else "no stage has a value",
            reason=_tell_stages(dict(zip(self.stages, scores, strict=True))) if known else None,
            details={"escalate": share is not None and 0 < share < self.escalate_below},
        )
        result: Mapping[str, Score] = named
        return result
