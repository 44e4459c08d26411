"""What every check of code shares: find the code in the output, and the item's parts that go with it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from typing_extensions import override

from bakeoff.evaluators._base import Finding, Graded
from bakeoff.evaluators._checks_format import code_block
from bakeoff.evaluators._protocol import CannotScoreError, EvaluateResult, EvaluatorContext, Family, ScoreKind
from bakeoff.evaluators._text import as_text, at_path

__all__ = ["CodeCheck", "Language", "fill_in", "from_trial"]

Language = Literal["python", "javascript"]
_FENCES: dict[str, tuple[str, ...]] = {
    "python": ("python", "py", "python3"),
    "javascript": ("javascript", "js", "node", "mjs", "cjs", "typescript", "ts"),
}
LONGEST_CODE = 200_000
"""Characters beyond which an output is not taken for code."""


def from_trial(context: EvaluatorContext, path: str) -> Any:
    """Look something up in a trial: `expected`, `metadata.tests`, `inputs.prompt`.

    Raises:
        CannotScoreError: There is nothing at that place.
    """
    place = {"inputs": context.inputs, "metadata": context.metadata, "expected": context.expected}
    value = at_path(place, path, "the item")
    if value is None:
        raise CannotScoreError(f"the item has no {path!r}")
    return value


def fill_in(template: str, context: EvaluatorContext) -> str:
    """Put parts of the item into a text: `check({metadata.entry_point})`."""
    return re.sub(
        r"\{((?:inputs|metadata|expected)[\w.]*)\}", lambda found: as_text(from_trial(context, found[1])), template
    )


class CodeCheck(Graded):
    """A check of code found in the output."""

    family: ClassVar[Family] = "code"
    score_kind: ClassVar[ScoreKind] = "binary"

    language: Language = "python"
    """Language of the code."""
    extract: bool = True
    """Take the code out of a Markdown block: the first in the language, else the first unlabelled one."""
    before: str | None = None
    """Dotted path to text that stands before the code, when the output continues it: `inputs.prompt`."""

    @property
    @override
    def limit_s(self) -> float | None:
        return 3600.0  # programs wait for each other; each run has a limit of its own

    @property
    @override
    def reads(self) -> tuple[str, ...]:
        return () if self.before is None else (self.before,)

    def code(self, context: EvaluatorContext) -> str:
        """Give the code.

        Raises:
            CannotScoreError: There is no output, or it is too long.
        """
        text = as_text(context.output)
        if len(text) > LONGEST_CODE:
            raise CannotScoreError(
                f"an output of {len(text)} characters; {LONGEST_CODE} are the most that is taken for code"
            )
        if self.extract:
            text = code_block(text, _FENCES[self.language])
        return text if self.before is None else as_text(from_trial(context, self.before)) + text

    async def inspect(self, code: str, context: EvaluatorContext) -> Finding:
        """Look at the code."""
        raise NotImplementedError(f"{type(self).__name__}.inspect")

    @override
    async def evaluate(self, context: EvaluatorContext) -> EvaluateResult:
        """Find the code and inspect it."""
        code = self.code(context)
        if not code.strip():
            return self.conclude(Finding(False, "there is no code")) if self.raw_kind == "binary" else None
        result = self.conclude(await self.inspect(code, context))
        return dict(result) if isinstance(result, Mapping) else result
