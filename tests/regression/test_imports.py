"""The samples were written by promptfoo 0.121.20, inspect_ai 0.3.285, mlflow 3.17.2 and evals 3.0.1 themselves."""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bakeoff.errors import BakeoffError, SpecError
from bakeoff.experiments import GateRule, LocalStore, analyse
from bakeoff.regression import decide_gate, import_file, observe, read_import

SAMPLES = Path(__file__).parent / "samples"


def means(store: LocalStore, run_id: str) -> dict[str, dict[str, float]]:
    observed = observe(store, run_id)
    return {
        metric: {v: round(float(np.nanmean(cube[i])), 4) for i, v in enumerate(observed.variants)}
        for metric, cube in observed.values.items()
        if np.isfinite(cube).any()
    }


def test_promptfoo(store: LocalStore) -> None:
    """promptfoo itself said: 4 of 12 passed; `says_answer` holds for the first prompt only."""
    run_id = import_file(store, [SAMPLES / "promptfoo.json"])
    manifest = store.manifest(run_id)
    assert (manifest.name, manifest.status) == ("arithmetic", "complete")
    assert (manifest.repeats, manifest.dataset_items) == (2, 3)
    found = means(store, run_id)
    assert found["pass"] == {"prompt 1": 0.6667, "prompt 2": 0.0}
    assert found["says_answer"] == {"prompt 1": 1.0, "prompt 2": 0.0}
    assert manifest.created_at.startswith("2026-11-20T23:59:02")


def test_inspect(store: LocalStore) -> None:
    """Inspect itself said: accuracy 0.833 for both scorers."""
    run_id = import_file(store, [SAMPLES / "inspect.eval"])
    manifest = store.manifest(run_id)
    assert (manifest.name, manifest.repeats, manifest.counts["trials"]) == ("task", 2, 12)
    found = means(store, run_id)
    assert found["includes"] == {"mockllm-model": 0.8333}
    assert found["match"] == {"mockllm-model": 0.8333}
    assert analyse(store, run_id).metric("match").kind == "binary"
    trials = store.trials(run_id, ["item_id", "output", "output_tokens"]).to_pylist()
    assert {"item_id": "s3", "output": "The answer is 99", "output_tokens": 16} in trials


def test_mlflow(store: LocalStore) -> None:
    """MLflow itself said: correct/mean 0.833, length/mean 1.333."""
    run_id = import_file(store, [SAMPLES / "mlflow_traces.json"], name="arith", variants=["first"])
    found = means(store, run_id)
    assert found["correct"] == {"first": 0.8333}
    assert found["length"] == {"first": 1.3333}
    manifest = store.manifest(run_id)
    assert {m.metric: m.score_kind for m in manifest.metrics} == {
        "correct": "binary", "length": "continuous", "grade": "label",
    }  # fmt: skip
    assert next(m.version for m in manifest.metrics if m.metric == "correct") == "60060fe05c5a"
    items = store.items(run_id, ["inputs", "expected"]).to_pylist()
    assert {"inputs": '{"question":"What is 4+4?"}', "expected": '"8"'} in items


def test_openai_evals(store: LocalStore) -> None:
    """The log's own final report says: accuracy 5/6."""
    run_id = import_file(store, [SAMPLES / "openai_evals.jsonl"])
    assert means(store, run_id)["correct"] == {"dummy": 0.8333}
    assert store.manifest(run_id).name == "arith"


CSV = """id,model,question,correct,quality,latency_ms
a,old,1+1,1,0.9,100
a,new,1+1,1,0.8,90
b,old,2+2,0,0.2,110
b,new,2+2,1,,95
c,old,3+3,1,0.7,120
c,new,3+3,1,0.9,
"""


def test_csv_wide_and_long(store: LocalStore, tmp_path: Path) -> None:
    wide = tmp_path / "wide.csv"
    wide.write_text(CSV)
    run_id = import_file(store, [wide])
    found = means(store, run_id)
    assert found["correct"] == {"old": 0.6667, "new": 1.0}
    assert found["quality"]["new"] == 0.85
    assert found["latency_ms"] == {"old": 110.0, "new": 92.5}
    assert analyse(store, run_id).metric("correct").kind == "binary"
    assert store.manifest(run_id).counts["unscored"] == 1
    long = tmp_path / "long.csv"
    long.write_text("item,variant,metric,value\n" + "".join(
        f"{i},{v},correct,{'pass' if (i + k) % 3 else 'fail'}\n{i},{v},words,{i + k}\n"
        for i in range(6) for k, v in enumerate(("old", "new"))
    ))  # fmt: skip
    found = means(store, import_file(store, [long]))
    assert found["words"] == {"old": 2.5, "new": 3.5}
    assert found["correct"] == {"old": 0.6667, "new": 0.6667}


def test_a_gate_works_on_imported_runs(store: LocalStore) -> None:
    """The second file is the first with other answers: base against head, never run by us."""
    base = import_file(store, [SAMPLES / "promptfoo.json"], name="peer")
    head = import_file(store, [SAMPLES / "promptfoo.json"], name="peer")
    rules = [
        GateRule(metric="pass", no_worse_than="baseline", margin=0.9),
        GateRule(metric="score", at_least=0.1, variant="prompt 1"),
    ]
    result = decide_gate(store, head, against=base, rules=rules)
    assert [rule.variant for rule in result.rules] == ["prompt 1", "prompt 2", "prompt 1"]
    assert result.rules[2].outcome == "pass"


def test_two_files_stand_side_by_side(store: LocalStore, tmp_path: Path) -> None:
    other = tmp_path / "other.eval"
    shutil.copy(SAMPLES / "inspect.eval", other)
    with pytest.raises(SpecError, match="has repeat 1 twice"):
        import_file(store, [SAMPLES / "inspect.eval", other])
    run_id = import_file(store, [SAMPLES / "inspect.eval", other], variants=["old", "new"])
    assert store.manifest(run_id).variant_names == ["old", "new"]
    with pytest.raises(SpecError, match="give one for each file"):
        import_file(store, [SAMPLES / "inspect.eval", other], variants=["old"])


def test_errors_and_missing_answers_are_failed_trials(store: LocalStore, tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("item,variant,correct,error\na,x,1,\nb,x,,the provider was out\na,y,0,\n")
    run_id = import_file(store, [table])
    manifest = store.manifest(run_id)
    assert (manifest.counts["trials"], manifest.counts["failed"]) == (4, 2)
    errors = {row["variant"]: row["error"] for row in store.trials(run_id).to_pylist() if not row["ok"]}
    assert errors["x"] == "the provider was out"
    assert "has no answer of 'y'" in errors["y"]


def test_keys_in_errors_and_reasons_of_others_are_not_kept(store: LocalStore, tmp_path: Path) -> None:
    test = {"vars": {"q": "a"}, "assert": []}
    rows = [
        {"testCase": test, "vars": {"q": "a"}, "provider": {"id": "m"}, "prompt": {"raw": "Hi", "label": "Hi"},
         "response": {"output": "x"}, "success": True, "score": 1,
         "gradingResult": {"pass": True, "score": 1, "reason": "saw sk-proj-ABCDEFGHIJKLMNOPQRST"}},
        {"testCase": {**test, "vars": {"q": "b"}}, "vars": {"q": "b"}, "provider": {"id": "m"},
         "prompt": {"raw": "Hi", "label": "Hi"}, "error": "500 Authorization: Bearer abcdefghijklmnop123456",
         "success": False, "score": 0},
    ]  # fmt: skip
    (tmp_path / "r.json").write_text(json.dumps({"results": {"version": 3, "results": rows, "prompts": []}}))
    run_id = import_file(store, [tmp_path / "r.json"], form="promptfoo")
    reasons = {row["reason"] for row in store.scores(run_id).to_pylist()}
    assert "saw [redacted]" in reasons
    kept = b"".join(path.read_bytes() for path in store.paths.root.rglob("*") if path.is_file())
    assert b"[redacted]" in kept
    assert b"abcdefghijklmnop123456" not in kept
    assert b"sk-proj-ABCDEFGHIJKLMNOPQRST" not in kept


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", "{}", "cannot tell what wrote"),
        ("a.json", "[]", "no MLflow traces"),
        ("a.json", "not json", "cannot tell what wrote"),
        ("a.jsonl", '{"spec": {}}', "is no log of OpenAI Evals"),
        ("a.csv", "x,y\n1,2\n", "needs a column `item`"),
        ("a.csv", "id,text\na,hello\n", "no column with scores"),
        ("a.csv", "", "needs a column `item`"),
        ("a.eval", "junk", "is no Inspect log"),
        ("a.json", '{"results": {"results": [{"testCase": 3}]}, "config": {}}', "is not what promptfoo writes"),
    ],
)
def test_wrong_files_say_so(tmp_path: Path, name: str, content: str, message: str) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(SpecError, match=message):
        read_import(path)


@given(data=st.recursive(st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=8),
                         lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
                             st.sampled_from(["results", "testCase", "vars", "eval", "samples", "info", "assessments",
                                              "spec", "data", "sample_id", "config", "id"]), inner, max_size=4),
                         max_leaves=12),
       form=st.sampled_from(["promptfoo", "inspect", "mlflow", "openai-evals"]))  # fmt: skip
@settings(max_examples=80, deadline=None)
def test_no_content_gives_a_foreign_error(tmp_path_factory: pytest.TempPathFactory, data: object, form: str) -> None:
    path = tmp_path_factory.mktemp("import") / "file.json"
    path.write_text(json.dumps(data))
    with contextlib.suppress(BakeoffError):
        read_import(path, form=form)
