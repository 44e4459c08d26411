"""What all adapters share: options, loading, running apart from the event loop, and failure as a value."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from pydantic import Field, PositiveFloat, PrivateAttr, ValidationInfo, model_validator
from typing_extensions import override

from bakeoff.errors import BakeoffError, EvaluatorError, ProviderError
from bakeoff.evaluators._base import Finding, Graded
from bakeoff.evaluators._protocol import (
    CannotScoreError,
    EvaluateResult,
    EvaluatorContext,
    Family,
    MetricInfo,
    Score,
    ScoreKind,
    ScoreValue,
)
from bakeoff.evaluators._python import resolve_reference, source_digest
from bakeoff.evaluators._redact import describe_error
from bakeoff.evaluators._text import as_text, at_path
from bakeoff.evaluators.adapters._door import Door, Models
from bakeoff.evaluators.adapters._quiet import installed_version
from bakeoff.evaluators.adapters._workshop import run_apart

if TYPE_CHECKING:
    from typing import Self

__all__ = ["Adapter", "Found", "ModelAdapter", "input_text", "texts_of"]

_LONGEST_ERROR = 500
_OURS = frozenset(
    {"model", "client", "llm", "embeddings", "embedding_model", "api_key", "base_url", "engine", "eval_mode"}
    | {"system_one_model", "async_mode", "extra_headers"}
)
"""Arguments that would lead a library past the gateway, or put a secret into a spec."""
_PLACES = ("inputs", "output", "expected", "metadata", "tool_calls", "messages", "trace")


class Found(NamedTuple):
    """What a scorer of a library said about one trial."""

    value: ScoreValue | None
    """`None` is "could not score", with why in `reason`."""
    reason: str | None = None
    details: Mapping[str, Any] = {}


class Adapter(Graded):
    """A scorer of another library. Subclasses say how it is found, built and called."""

    family: ClassVar[Family] = "adapter"
    shorthand: ClassVar[str | None] = "scorer"
    score_kind: ClassVar[ScoreKind] = "bounded"

    package: ClassVar[str] = ""
    """Name of the library as it is installed."""
    module: ClassVar[str] = ""
    """Name of the library as it is imported."""
    install: ClassVar[str] = ""
    """What to install: the version that the tests ran with."""

    scorer: str = Field(min_length=1)
    """Name in the library, or `file.py:name` or `module:name` for one of your own."""
    args: dict[str, Any] = Field(default_factory=dict)
    """Arguments that the scorer is made with."""
    fields: dict[str, str] = Field(default_factory=dict)
    """What the scorer is given beside or instead of the usual: its name for it, and where it stands in the trial, for
    instance `context: metadata.passages`."""
    values: ScoreKind | None = None
    """Kind of value to insist on, where it is not the scorer's usual one."""
    lower_is_better: bool = False
    """Whether less is better."""
    timeout_s: PositiveFloat = 180.0
    """Longest wait for one score."""

    _found: Any = PrivateAttr(default=None)
    _stamp: str = PrivateAttr(default="")

    # What a subclass says

    def find(self, base_dir: Path) -> Any:
        """Find the scorer in the library, or by reference.

        Raises:
            EvaluatorError: There is none of that name, or the reference leads nowhere.
        """
        raise NotImplementedError(f"{type(self).__name__}.find")

    def build(self, found: Any, door: Door) -> Any:
        """Make the scorer with its arguments, asking models through the door.

        Raises:
            EvaluatorError: The scorer cannot be used here; the message says why.
        """
        raise NotImplementedError(f"{type(self).__name__}.build")

    async def judge(self, built: Any, context: EvaluatorContext, door: Door) -> Found | Mapping[str, Found]:
        """Call the scorer on one trial."""
        raise NotImplementedError(f"{type(self).__name__}.judge")

    def usual_kind(self) -> ScoreKind | None:
        """Kind of value that the scorer gives; `None` when only the values will tell."""
        return "bounded"

    # What all have in common

    @model_validator(mode="after")
    def _load(self, info: ValidationInfo) -> Self:
        version = installed_version(self.package, self.module)
        if version is None:
            raise ValueError(f"the library {self.package} is not installed\n    fix: pip install {self.install}")
        digest = ""
        try:
            self._found = self.find(Path((info.context or {}).get("base_dir", ".")))
            if ":" in self.scorer:
                digest = source_digest(self._found).partition("+")[2]
            self._check_arguments()
        except EvaluatorError as error:
            raise ValueError(str(error)) from error
        self._stamp = "+".join(part for part in (self.version, f"{self.package}-{version}", digest) if part)
        return self

    def _check_arguments(self) -> None:
        """Make the scorer once, so that wrong arguments are told before anything is paid for."""
        if held := sorted(_OURS & set(self.args)):
            raise EvaluatorError(
                f"`args` may not hold {', '.join(held)}: models are called through the gateway; name them with "
                "`model`, `embedding_model`, `api_base` and `api_key_env`"
            )
        try:
            self.build(self._found, self._door(None))
        except EvaluatorError as error:
            raise EvaluatorError(f"{self.scorer}: {error}") from error
        except Exception as error:  # whatever a library raises
            raise EvaluatorError(f"{self.scorer} cannot be made with these `args`: {describe_error(error)}") from error

    def by_reference(self, base_dir: Path) -> Any:
        """Import `file.py:name` or `module:name`."""
        return resolve_reference(self.scorer, base_dir=base_dir)

    @property
    @override
    def metric(self) -> str:
        return self.name or self.scorer.rpartition(":")[2]

    @property
    @override
    def stamp(self) -> str:
        """Version of the adapter and of the library: another library may judge otherwise."""
        return self._stamp

    @property
    @override
    def limit_s(self) -> float | None:
        return self.timeout_s

    @property
    @override
    def better(self) -> bool | None:
        return not self.lower_is_better

    @property
    @override
    def raw_kind(self) -> ScoreKind:
        known = self.values or self.usual_kind()
        return known or ("continuous" if self.threshold is not None else "binary")

    @property
    @override
    def metrics(self) -> tuple[MetricInfo, ...]:
        """The metric, with its kind as far as it is known beforehand."""
        (info,) = super().metrics
        open_kind = not (self.values or self.usual_kind()) and self.threshold is None and not self.negate
        return (replace(info, score_kind=None) if open_kind else info,)

    def models(self) -> Models:
        """Say which models stand behind the door."""
        return Models(version=self._stamp)

    def _door(self, context: EvaluatorContext | None) -> Door:
        who = f"{self.kind} {self.scorer}"
        if context is None:
            return Door(None, self.models(), who=who)
        return Door(context.client, self.models(), variant=context.variant, who=who)

    @override
    async def evaluate(self, context: EvaluatorContext) -> EvaluateResult:
        """Judge one trial, apart from the event loop of the run."""
        door = self._door(context)
        try:
            found = await run_apart(self._apart(context, door))
        except Exception as error:  # noqa: BLE001 - code of others: any failure is a missing score with its reason
            return self._failed(door.failure or error, door)
        finally:
            door.close()
        if door.failure is not None:  # the library made up a score all the same
            return self._failed(door.failure, door)
        if isinstance(found, Found):
            return self._scored(found, self.metric, door)
        parts = {key: self._scored(one, f"{self.metric}.{key}", door) for key, one in found.items()}
        return {key: score if index == 0 else replace(score, cost_usd=None)
                for index, (key, score) in enumerate(parts.items())}  # fmt: skip

    async def _apart(self, context: EvaluatorContext, door: Door) -> Found | Mapping[str, Found]:
        return await self.judge(self.build(self._found, door), context, door)

    def _scored(self, found: Found, name: str, door: Door) -> Score:
        details = {**found.details, **({"model": door.answered_by, "calls": door.calls} if door.calls else {})}
        value = _plain(found.value, self.raw_kind if self.kind_by_metric.get(self.metric) else None)
        if value is None:
            return replace(self._missing(found.reason or "the scorer gave no value", door), name=name, details=details)
        score = self.conclude(Finding(value, found.reason, details, door.cost_usd))
        assert isinstance(score, Score)
        return replace(score, name=name)

    def _failed(self, error: Exception, door: Door) -> Score:
        if isinstance(error, ProviderError):
            details = {"error_kind": error.kind, "retryable": error.retryable}
            return replace(self._missing(f"{error.kind}: {error}", door), details=details)
        ours = isinstance(error, BakeoffError)
        return self._missing(str(error) if ours else describe_error(error, _LONGEST_ERROR), door)

    def _missing(self, error: str, door: Door) -> Score:
        return Score(
            name=self.metric,
            value=None,
            error=error,
            evaluator=self.kind,
            version=self.stamp,
            cost_usd=door.cost_usd,
        )

    def chosen(self, context: EvaluatorContext) -> dict[str, Any]:
        """Give what `fields` names, under the library's names.

        Raises:
            CannotScoreError: A path leads nowhere.
        """
        place = {name: getattr(context, name) for name in _PLACES}
        return {name: at_path(place, path, "the trial") for name, path in self.fields.items()}


class ModelAdapter(Adapter):
    """An adapter whose scorers may ask a model, through the gateway of the run."""

    needs_model: ClassVar[bool] = True

    model: str | None = Field(default=None, min_length=1)
    """A LiteLLM model string, for scorers that ask a model; name a dated version."""
    embedding_model: str | None = Field(default=None, min_length=1)
    """A LiteLLM model string, for scorers that embed texts."""
    params: dict[str, Any] = Field(default_factory=dict)
    """Parameters of the model that go over those of the library; null takes one away."""
    api_base: str | None = None
    """Address of an OpenAI-compatible server."""
    api_key_env: str | None = None
    """Name of the environment variable that holds the key."""

    @override
    def models(self) -> Models:
        return Models(
            model=self.model,
            embedding_model=self.embedding_model,
            params=self.params,
            api_base=self.api_base,
            api_key_env=self.api_key_env,
            version=self._stamp,
        )


def _plain(value: Any, kind: ScoreKind | None) -> Any:
    """Give a number as pass/fail or the other way round where the kind asks for it and nothing is lost."""
    item = getattr(value, "item", None)
    if callable(item) and getattr(value, "ndim", None) == 0:
        value = item()
    if isinstance(value, float) and math.isnan(value):
        return None
    if kind == "binary" and isinstance(value, (int, float)) and value in (0, 1):
        return bool(value)
    if kind in ("bounded", "continuous") and isinstance(value, bool):
        return float(value)
    return value


def input_text(context: EvaluatorContext) -> str:
    """Give the inputs of an item as one text.

    Raises:
        CannotScoreError: There are none.
    """
    if not context.inputs:
        raise CannotScoreError("the item has no inputs, which this scorer needs")
    if len(context.inputs) == 1:
        return as_text(next(iter(context.inputs.values())))
    return "\n".join(f"{name}: {as_text(value)}" for name, value in context.inputs.items() if value is not None)


def texts_of(value: Any) -> list[str]:
    """Give one text or many as a list of texts; of an object, its `text`."""
    entries = value if isinstance(value, (list, tuple)) else [value]
    return [as_text(one.get("text", one) if isinstance(one, Mapping) else one) for one in entries if one is not None]
