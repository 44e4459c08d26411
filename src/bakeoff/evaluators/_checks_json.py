"""Checks on JSON outputs."""

from __future__ import annotations

import json
import re
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, NonNegativeFloat, PrivateAttr, ValidationInfo, model_validator
from typing_extensions import override

from bakeoff.evaluators._base import Finding, OutputCheck, ReferenceCheck
from bakeoff.evaluators._json_align import align_lists, flatten_json
from bakeoff.evaluators._protocol import CannotScoreError, EvaluatorContext, Family, ScoreKind
from bakeoff.evaluators._registry import evaluator
from bakeoff.evaluators._text import Normalisation, find_json, normalise, parse_json, preview

if TYPE_CHECKING:
    from typing import Self

__all__ = ["JsonMatch", "JsonSchema", "JsonValid", "read_json"]


def read_json(value: Any, *, extract: bool) -> Any:
    """Give the JSON data of an output: parsed from text, or as it is when it is data already.

    Raises:
        ValueError: The text is not JSON.
    """
    if not isinstance(value, str):
        if value is None:
            raise CannotScoreError("there is no output to judge")
        return value
    return find_json(value) if extract else parse_json(value)


@evaluator("json_valid")
class JsonValid(OutputCheck):
    """Check that the output is JSON.

    By the letter of RFC 8259: `NaN`, trailing commas and comments fail, and so does text around the JSON unless
    `extract` is set.

    Value:
        Pass or fail; the reason says where it breaks.

    Missing when:
        There is no output.

    Source:
        Own; RFC 8259.

    Examples:
        >>> from bakeoff.evaluators import EvaluatorContext, load_evaluator
        >>> load_evaluator("json_valid").evaluate(EvaluatorContext(output='{"a": 1,}')).value
        False
    """

    family: ClassVar[Family] = "check"

    extract: bool = False
    """Accept JSON inside a Markdown block or a sentence."""
    type: Literal["object", "array", "string", "number", "boolean", "null"] | None = None
    """Type that the value must have."""

    @override
    def measure(self, context: EvaluatorContext) -> Finding:
        """Parse."""
        try:
            value = read_json(self.output(context), extract=self.extract)
        except ValueError as error:
            return Finding(False, f"not JSON: {error}")
        if self.type is not None and _type_name(value) != self.type:
            return Finding(False, f"it is JSON, but {_type_name(value)} instead of {self.type}")
        return Finding(True)


def _type_name(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    names = ((dict, "object"), (list, "array"), (str, "string"), (int, "number"), (float, "number"))
    return next((name for kind, name in names if isinstance(value, kind)), "null")


@evaluator("json_schema")
class JsonSchema(OutputCheck):
    """Check that the output is JSON and satisfies a JSON Schema.

    Value:
        Pass or fail; the reason lists the first problems with their places.

    Missing when:
        There is no output. A schema that is wrong itself is an error before the run.

    Source:
        The `jsonschema` package, draft 2020-12 unless `$schema` names another; remote references are not followed.

    Examples:
        >>> from bakeoff.evaluators import EvaluatorContext, load_evaluator
        >>> check = load_evaluator({"json_schema": {"schema": {"type": "object", "required": ["city"]}}})
        >>> check.evaluate(EvaluatorContext(output='{"town": "Bath"}')).reason
        "$: 'city' is a required property"
    """

    family: ClassVar[Family] = "check"

    schema_: dict[str, Any] | None = Field(default=None, alias="schema")
    """The schema itself."""
    file: str | None = None
    """File with the schema, relative to the spec file, instead of `schema`."""
    extract: bool = False
    """Accept JSON inside a Markdown block or a sentence."""

    _read: dict[str, Any] = PrivateAttr(default_factory=dict)

    @model_validator(mode="after")
    def _schema_is_good(self, info: ValidationInfo) -> Self:
        if (self.schema_ is None) == (self.file is None):
            raise ValueError("give either `schema` or `file`")
        schema: Any = self.schema_
        if self.file is not None:
            path = Path((info.context or {}).get("base_dir", ".")) / self.file
            try:
                schema = json.loads(path.read_text(encoding="utf-8"))
            except OSError as error:
                raise ValueError(f"cannot read {str(path)!r}: {error.strerror}") from None
            except ValueError as error:
                raise ValueError(f"{str(path)!r} is not JSON: {error}") from None
        from jsonschema.exceptions import SchemaError
        from jsonschema.validators import Draft202012Validator, validator_for

        try:
            validator_for(schema, Draft202012Validator).check_schema(schema)
        except SchemaError as error:
            raise ValueError(f"the schema is wrong at {error.json_path}: {error.message}") from None
        self._read = schema if isinstance(schema, dict) else {}
        return self

    @cached_property
    def validator(self) -> Any:
        """The compiled schema."""
        from jsonschema.validators import Draft202012Validator, validator_for
        from referencing import Registry

        return validator_for(self._read, Draft202012Validator)(self._read, registry=Registry())

    @override
    def measure(self, context: EvaluatorContext) -> Finding:
        """Parse and validate."""
        try:
            value = read_json(self.output(context), extract=self.extract)
        except ValueError as error:
            return Finding(False, f"not JSON: {error}")
        try:
            problems = sorted(self.validator.iter_errors(value), key=lambda one: list(map(str, one.absolute_path)))
        except RecursionError:
            return Finding(False, "nested too deeply")
        if not problems:
            return Finding(True)
        told = "; ".join(f"{one.json_path}: {one.message[:200]}" for one in problems[:3])
        more = f" (and {len(problems) - 3} more)" if len(problems) > 3 else ""
        return Finding(False, told + more, {"problems": len(problems)})


@evaluator("json_match")
class JsonMatch(ReferenceCheck):
    """Compare a JSON output with the expected JSON, field by field.

    Both sides are flattened to leaves (`$.items[0].price`); a leaf agrees when its value is equal, numbers within
    `tolerance`, texts after `normalise`. Extra fields of the output count as disagreements unless `extra` is set. With
    `ordered: false` every expected entry of a list is set against the entry that is most like it.

    Value:
        0 to 1: agreeing leaves over all leaves of either side (1 for two empty values). `all: true` gives pass or
        fail instead. An output that is no JSON gives 0.

    Missing when:
        There is no output, or the expected value is missing or is no JSON.

    Source:
        Own.

    Examples:
        >>> from bakeoff.evaluators import EvaluatorContext, load_evaluator
        >>> context = EvaluatorContext(output='{"city": "Bath", "zip": "BA1"}', expected={"city": "Bath", "zip": "BA2"})
        >>> score = load_evaluator("json_match").evaluate(context)
        >>> score.value, score.reason
        (0.5, "$.zip: 'BA1' is not 'BA2'")
    """

    family: ClassVar[Family] = "check"
    score_kind: ClassVar[ScoreKind] = "bounded"
    version: ClassVar[str] = "2"  # 2: `*` in paths, keys with dots, entries of unordered lists set against their like
    shorthand: ClassVar[str | None] = "fields"

    fields: list[str] = Field(default_factory=list)
    """Dotted paths to compare (`address.city`, `items.*.price`); everything when omitted."""
    ignore: list[str] = Field(default_factory=list)
    """Dotted paths to leave out, with all below them."""
    extra: Literal["fail", "allow"] = "fail"
    """What to make of leaves that were not expected."""
    ordered: bool = True
    """Whether the order of lists matters."""
    tolerance: NonNegativeFloat = 0.0
    """Largest difference between numbers that still agrees."""
    normalise: list[Normalisation] = Field(default_factory=list)
    """Steps applied to texts."""
    all: bool = False
    """Pass or fail: every leaf must agree."""

    @property
    @override
    def raw_kind(self) -> ScoreKind:
        """Pass/fail with `all`, else a share."""
        return "binary" if self.all else "bounded"

    def _leaves(self, value: Any) -> dict[str, Any]:
        leaves = flatten_json(value)
        keep, drop = self.places
        if not keep and not drop:
            return leaves
        dotted = {path: _dotted(path) for path in leaves}
        return {
            path: leaf
            for path, leaf in leaves.items()
            if (not keep or any(one.match(dotted[path]) for one in keep))
            and not any(one.match(dotted[path]) for one in drop)
        }

    @cached_property
    def places(self) -> tuple[list[re.Pattern[str]], list[re.Pattern[str]]]:
        """What `fields` and `ignore` stand for."""
        return [_place(path) for path in self.fields], [_place(path) for path in self.ignore]

    def _agree(self, given: Any, wanted: Any) -> bool:
        if isinstance(given, bool) or isinstance(wanted, bool):
            return given is wanted
        if isinstance(given, (int, float)) and isinstance(wanted, (int, float)):
            return given == wanted or abs(given - wanted) <= self.tolerance
        if isinstance(given, str) and isinstance(wanted, str):
            return normalise(given, self.normalise) == normalise(wanted, self.normalise)
        return type(given) is type(wanted) and given == wanted

    @override
    def measure(self, context: EvaluatorContext) -> Finding:
        """Flatten both sides and count."""
        expected = self.reference(context)
        try:
            wanted_value = read_json(expected, extract=False)
        except ValueError as error:
            raise CannotScoreError(f"the expected value {preview(expected)} is not JSON: {error}") from None
        try:
            given_value = read_json(self.output(context), extract=True)
        except ValueError as error:
            return Finding(False if self.all else 0.0, f"not JSON: {error}")
        if not self.ordered:
            given_value = align_lists(given_value, wanted_value, self._agree)
        given = self._leaves(given_value)
        wanted = self._leaves(wanted_value)
        if not wanted:
            raise CannotScoreError(f"the expected value has none of the fields {', '.join(self.fields) or '(any)'}")
        problems = [
            f"{path}: missing" if path not in given else f"{path}: {preview(given[path])} is not {preview(leaf)}"
            for path, leaf in wanted.items()
            if path not in given or not self._agree(given[path], leaf)
        ]
        bad = len(problems)
        unexpected = [f"{path}: not expected" for path in given if path not in wanted] if self.extra == "fail" else []
        total = len(wanted) + len(unexpected)
        problems += unexpected
        reason = "; ".join(problems[:5]) + (f" (and {len(problems) - 5} more)" if len(problems) > 5 else "")
        details = {"leaves": total, "wrong": bad, "unexpected": len(unexpected)}
        value: bool | float = not problems if self.all else (total - len(problems)) / total
        return Finding(value, reason or None, details)


def _place(path: str) -> re.Pattern[str]:
    steps = path.removeprefix("$.").split(".")
    return re.compile(r"\$\." + r"\.".join("[^.]*" if step == "*" else re.escape(step) for step in steps) + r"(?:\.|$)")


def _dotted(path: str) -> str:
    """Write `$.a[0]["b.c"]` as `$.a.0.b.c`, the way users write paths."""
    return re.sub(r"\[\"?((?:[^\"\]\\]|\\.)*)\"?\]", r".\1", path)
