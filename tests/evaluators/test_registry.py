"""The registry: spec forms, messages for wrong ones, catalogue and schema."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import jsonschema
import pytest

from bakeoff.errors import EvaluatorError
from bakeoff.evaluators import (
    Evaluator,
    EvaluatorContext,
    evaluator,
    evaluator_catalogue,
    evaluator_schema,
    load_evaluator,
    load_evaluators,
    score_sync,
)

if TYPE_CHECKING:
    from pathlib import Path

GOOD_SPECS = [
    "exact_match",
    "python_file.py:short",
    {"numeric": {"tolerance": 0, "name": "acc"}},
    {"numeric": None},
    {"regex": r"^\d+$"},
    {"contains": ["a", "b"]},
    {"latency": 2000},
    {"contains": {"any": ["a"], "not": True}},
    {"all": ["json_valid", {"any": [{"regex": "x"}, {"contains": "y"}]}]},
    {"at_least": {"k": 1, "of": ["json_valid"]}},
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "helper_of_evaluators.py").write_text("LIMIT = 5\n")
    (tmp_path / "python_file.py").write_text(
        "from helper_of_evaluators import LIMIT\n"
        "from bakeoff.evaluators import Evaluator\n"
        "def short(output):\n    return len(output) < LIMIT\n"
        "def odd(a, *, nonsense):\n    return True\n"
        "class Loud(Evaluator):\n"
        "    marks: int = 1\n"
        "    def evaluate(self, context):\n        return context.output.count('!') >= self.marks\n"
    )
    (tmp_path / "broken.py").write_text("1/0\n")
    return tmp_path


@pytest.mark.parametrize("spec", GOOD_SPECS, ids=str)
def test_every_spec_form_loads_and_satisfies_the_schema(spec: object, folder: Path) -> None:
    built = load_evaluator(spec, base_dir=folder)
    assert isinstance(built, Evaluator)
    jsonschema.validate(spec, evaluator_schema())


@pytest.mark.parametrize("spec", [spec for spec in GOOD_SPECS if "python" not in str(spec)], ids=str)
def test_a_stored_spec_builds_the_same_evaluator(spec: object) -> None:
    built = load_evaluator(spec)
    assert load_evaluator(built.spec()) == built


def test_file_references_find_functions_and_classes(folder: Path) -> None:
    context = EvaluatorContext(output="oh!!")
    assert load_evaluator("python_file.py:short", base_dir=folder).metric == "short"
    assert load_evaluator({"python_file.py:Loud": {"marks": 3}}, base_dir=folder).evaluate(context) is False
    named = load_evaluator({"python": {"function": "python_file.py:short", "name": "brief"}}, base_dir=folder)
    assert [(score.name, score.value) for score in score_sync([named], context)] == [("brief", True)]


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("exact_macth", ["'exact_macth'", "did you mean 'exact_match'"]),
        ("zzz", ["'zzz'", "known are", "numeric"]),
        ({"numeric": {"tolerence": 0}}, ["no option 'tolerence'", "did you mean 'tolerance'", "options are"]),
        ({"numeric": {"tolerance": "much"}}, ["'tolerance'", "'much'", "valid number"]),
        ({"numeric": {"tolerance": -1}}, ["'tolerance'", "-1", "greater than or equal to 0"]),
        ({"numeric": {"pick": "middle"}}, ["'pick'", "'middle'", "'last', 'first' or 'only'"]),
        ({"regex": "("}, ["'pattern'", "'('", "no regular expression"]),
        ("regex", ["needs the option 'pattern'"]),
        ({"exact_match": {"threshold": 0.5}}, ["`threshold`", "pass/fail already"]),
        ({"levenshtein": {"threshold": 2}}, ["between 0 and 1"]),
        ({"latency": {"negate": True}}, ["`negate`", "add `threshold`"]),
        ({"numeric": {}, "contains": {}}, ["'numeric', 'contains'", "one key"]),
        ({}, ["empty"]),
        (7, ["int 7"]),
        ({"json_valid": 3}, ["must be a mapping", "3"]),
        ({"all": [{"levenshtein": {}}]}, ["`levenshtein`", "`threshold`"]),
        ({"all": ["exact_macth"]}, ["did you mean 'exact_match'"]),
        ({"at_least": {"k": 3, "of": ["json_valid"]}}, ["`k` is 3", "1 parts"]),
        ({"json_schema": {"schema": {"type": "objekt"}}}, ["the schema is wrong", "objekt"]),
        ({"json_schema": {"file": "none.json"}}, ["cannot read", "none.json"]),
        ({"label_match": {"labels": ["a"], "synonyms": {"b": ["c"]}}}, ["'b'", "does not list"]),
        ({"label_match": {"labels": ["a", "A"]}}, ["stands for both"]),
        ({"contains": {"any": [""]}}, ["empty"]),
        ({"length": {"min": 5, "max": 2}}, ["nothing could pass"]),
        ({"sql_valid": {"dialect": "klingon"}}, ["klingon"]),
        ({"trajectory": {}}, ["no rule"]),
        ("missing.py:f", ["there is no file", "missing.py"]),
        ("python_file.py:nope", ["no function 'nope'", "short"]),
        ("python_file.py:odd", ["asks for a, nonsense", "may be named"]),
        ("broken.py:f", ["ZeroDivisionError"]),
        ("no_such_module_here:f", ["'no_such_module_here'", "cannot be imported"]),
    ],
    ids=str,
)
def test_wrong_specs_are_told_in_one_clear_message(spec: object, words: list[str], folder: Path) -> None:
    with pytest.raises(EvaluatorError) as told:
        load_evaluator(spec, base_dir=folder)
    for word in words:
        assert word in str(told.value)
    assert "pydantic" not in str(told.value).replace("pydantic_evals", "")  # the name of an evaluator
    assert told.value.exit_code == 2


def test_two_metrics_of_one_name_are_refused() -> None:
    with pytest.raises(EvaluatorError, match="two evaluators give a metric 'numeric'"):
        load_evaluators(["numeric", "numeric"])
    assert len(load_evaluators(["numeric", {"numeric": {"name": "close", "tolerance": 1}}])) == 2


def test_a_kind_cannot_be_taken_twice() -> None:
    with pytest.raises(EvaluatorError, match="exists already"):

        @evaluator("numeric")
        class Mine(Evaluator):
            pass


def test_the_catalogue_documents_every_evaluator() -> None:
    for entry in evaluator_catalogue():
        if entry.family == "custom" and entry.kind != "python":
            continue  # registered by other tests
        for section in ("Value:", "Missing when:", "Source:", "Examples:"):
            assert section in entry.documentation, (entry.kind, section)
        undocumented = [key for key, node in entry.options["properties"].items() if not node.get("description")]
        assert not undocumented, (entry.kind, undocumented)
        assert "$ref" not in str(entry.options) or "$defs" in entry.options


def test_the_schema_is_valid_and_refuses_typos() -> None:
    schema = evaluator_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    for bad in ({"numeric": {"tolerence": 1}}, "exact_macth", {"a": 1, "b": 2}, 3):
        assert not jsonschema.Draft202012Validator(schema).is_valid(bad), bad


def test_loading_evaluators_imports_no_heavy_library() -> None:
    code = (
        "import sys, bakeoff.evaluators as e\n"
        "e.load_evaluators(['exact_match', 'numeric', 'levenshtein', 'bleu', 'sql_valid', 'json_valid', 'latency'])\n"
        "heavy = ['rapidfuzz', 'jsonschema', 'sacrebleu', 'sqlglot', 'litellm', 'numpy', 'scipy', 'pandas', 'yaml']\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
