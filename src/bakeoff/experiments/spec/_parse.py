"""An experiment file, or one that holds a gate alone, as a checked model."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ValidationError

from bakeoff.errors import SpecError, SpecProblem
from bakeoff.experiments.spec._gate_spec import GateFile
from bakeoff.experiments.spec._problems import problems_of
from bakeoff.experiments.spec._spec import ExperimentSpec
from bakeoff.experiments.spec._yaml import Document, read_yaml

if TYPE_CHECKING:
    from pathlib import Path

    from bakeoff.experiments.spec._gate_spec import GatePolicy, GateRule

__all__ = ["parse_gate", "parse_spec", "rest_of", "validate"]

_Model = TypeVar("_Model", bound=BaseModel)
_OF_AN_EXPERIMENT = frozenset({"dataset", "evaluators", "prompts", "models", "targets"})
_ESSENTIAL = frozenset({"dataset", "prompts", "models", "targets", "factors", "variants", "exclude", "evaluators"})
"""Sections without which the others cannot be checked."""


def parse_spec(path: Path, *, text: str | None = None) -> tuple[ExperimentSpec, Document]:
    """Read an experiment file.

    Raises:
        SpecError: With every problem of the file.
    """
    document = read_yaml(path, text=text)
    return validate(document, ExperimentSpec), document


def parse_gate(path: Path) -> tuple[list[GateRule], GatePolicy]:
    r"""Read the gate of a file: of an experiment, or of one that has only `gate:` and perhaps `gate_policy:`.

    Raises:
        SpecError: With every problem of the file; also when there is no gate in it.

    Examples:
        >>> import tempfile
        >>> from pathlib import Path
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "gate.yaml"
        ...     _ = path.write_text("gate:\n  - {at_least: 0.9}\n")
        ...     rules, policy = parse_gate(path)
        >>> rules[0].kind, policy.alpha
        ('at_least', 0.05)
    """
    document = read_yaml(path)
    if isinstance(document.data, dict) and _OF_AN_EXPERIMENT & document.data.keys():
        spec = validate(document, ExperimentSpec)
        rules, policy = spec.gate, spec.gate_policy
    else:
        checked = validate(document, GateFile)
        rules, policy = checked.gate, checked.gate_policy
    if not rules:
        fix = "add `gate:` to it, for instance `gate: [{no_worse_than: baseline, margin: 0.02}]`"
        raise SpecError([SpecProblem("has no rule", key="gate", file=document.file, line=1, fix=fix)])
    return rules, policy


def validate(document: Document, model: type[_Model]) -> _Model:
    """Check a document.

    Raises:
        SpecError: With every problem of it.
    """
    if not isinstance(document.data, dict):
        message = f"must be a mapping of keys, got {type(document.data).__name__}"
        raise SpecError([SpecProblem(message, file=document.file, line=1, fix="write one with `bakeoff init`")])
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        raise SpecError(problems_of(error, document, model)) from None


def rest_of(error: SpecError, document: Document) -> ExperimentSpec | None:
    """Return the spec without the keys that are wrong, so that what else is wrong can be said at the same time."""
    wrong = {problem.key.partition(".")[0] for problem in error.problems}
    if wrong & _ESSENTIAL or not isinstance(document.data, dict):
        return None
    kept = {key: value for key, value in document.data.items() if key not in wrong}
    try:
        return ExperimentSpec.model_validate({"name": "unnamed", **kept})
    except ValidationError:
        return None
