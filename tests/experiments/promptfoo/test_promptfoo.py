"""A realistic promptfoo file becomes an experiment that runs, and nothing is lost in silence."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import bakeoff
from bakeoff.cli import main
from bakeoff.errors import SpecError
from bakeoff.evaluators import EvaluatorContext, load_evaluator, score_sync
from bakeoff.experiments import import_promptfoo, load_experiment, open_store

CONFIG = r"""
# yaml-language-server: $schema=https://promptfoo.dev/config-schema.json
description: Support replies
prompts:
  - file://prompts/support.txt
  - label: chat
    raw: |
      [{"role": "system", "content": "Answer in {{ language }}."},
       {"role": "user", "content": "{{ question }}"}]
  - file://prompts/build.js
providers:
  - openai:gpt-4o-mini
  - id: anthropic:messages:claude-3-5-haiku-20241022
    label: haiku
    config: {temperature: 0.2, max_tokens: 300, apiKey: sk-secret-000}
    prompts: [chat]
  - exec:python answer.py
assertionTemplates:
  short: {type: word-count, value: {max: 40}, metric: brevity}
defaultTest:
  vars: {language: English}
  assert:
    - {type: latency, threshold: 5000}
    - $ref: '#/assertionTemplates/short'
  options: {provider: "openai:gpt-4o", transform: output.trim()}
tests:
  - description: refund
    vars: {question: 'How do I get a refund?', answer: refund form}
    threshold: 0.6
    assert:
      - {type: icontains, value: "{{ answer }}", weight: 2, metric: facts}
      - {type: not-contains, value: As an AI}
      - {type: javascript, value: "output.length < 500"}
      - {type: similar, value: Use the refund form, threshold: 0.8}
      - type: assert-set
        threshold: 0.5
        assert: [{type: regex, value: '/REFUND/i'}, {type: equals, value: x}]
  - vars: {question: [Hello, Goodbye], language: [German, French]}
    assert:
      - {type: llm-rubric, value: "Is polite, in {{ language }}", provider: "openai:gpt-4"}
      - {type: contains-any, value: 'hallo, "bonjour, tout le monde"'}
      - {type: is-json, value: file://schema.json}
      - {type: python, value: "len(output) > 3"}
      - {type: levenshtein, value: x}
  - file://tests/*.csv
  - https://example.org/tests.csv
scenarios:
  - description: languages
    config: [{vars: {language: Spanish}}, {vars: {language: Italian}}]
    tests: [{vars: {question: Yes}, assert: [{type: starts-with, value: "{{ language }}"}]}]
evaluateOptions: {repeat: 2, maxConcurrency: 3, delay: 100}
env: {OPENAI_API_KEY: sk-secret-111}
redteam: {plugins: [pii]}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    source = tmp_path / "source"
    (source / "prompts").mkdir(parents=True)
    (source / "tests").mkdir()
    (source / "promptfooconfig.yaml").write_text(CONFIG)
    (source / "prompts" / "support.txt").write_text("Reply to: {{ question }}\n---\nBe brief. {{ question | dump }}")
    (source / "prompts" / "build.js").write_text("module.exports = () => 1")
    (source / "schema.json").write_text('{"type": "object", "required": ["reply"]}')
    (source / "tests" / "more.csv").write_text(
        "question,__expected,__expected2,__metric,__threshold\n"
        "Is it open?,contains: open,similar(0.9):We are open,facts,0.5\n"
        'Cost?,"fn:output == ""x""",42,,\n'
    )
    return source


def items(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "tests.jsonl").read_text().splitlines()]


def test_everything_is_carried_or_told(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = import_promptfoo(folder / "promptfooconfig.yaml", out)
    spec = yaml.safe_load((out / "experiment.yaml").read_text())
    assert done.prompts == 3  # two in the .txt, one chat
    assert spec["models"] == {
        # what promptfoo sends unasked: seen in the requests of promptfoo 0.121.20, see tests/experiments/promptfoo
        "gpt-4o-mini": {"model": "openai/gpt-4o-mini", "temperature": 0, "max_tokens": 1024},
        "haiku": {"model": "anthropic/claude-3-5-haiku-20241022", "temperature": 0.2, "max_tokens": 300},
    }
    assert spec["prompts"]["chat"]["messages"][0] == {"role": "system", "content": "Answer in {{ language }}."}
    assert spec["prompts"]["support-2"] == "Be brief. {{ question | tojson }}"
    assert {"prompt": "support", "model": "haiku"} in spec["exclude"]
    assert (spec["repeats"], spec["limits"]) == (2, {"concurrency": 3})
    rows = items(out)
    # 1 test + 2 x 2 combinations + 2 rows of CSV + 2 scenarios
    assert len(rows) == done.items == 9
    assert {(row["inputs"]["question"], row["inputs"]["language"]) for row in rows[1:5]} == {
        (q, lang) for q in ("Hello", "Goodbye") for lang in ("German", "French")
    }
    refund = rows[0]["metadata"]["checks"]
    assert refund["threshold"] == 0.6
    assert refund["checks"] == [
        {"latency": {"threshold": 5000.0}},
        {"length": {"unit_of": "spaced_words", "max": 40, "name": "brevity"}},
        {"contains": {"all": ["refund form"], "normalise": ["casefold"], "weight": 2.0, "name": "facts"}},
        {"contains": {"all": ["As an AI"], "negate": True}},
        # towards a test's threshold promptfoo counts scores, not passes: src/assertions/assertionsResult.ts, addResult
        {"embedding_similarity": {"expected": "Use the refund form"}},
        {
            "weighted": {
                "of": [
                    {"regex": {"pattern": "REFUND", "ignore_case": True}},
                    {"exact_match": {"expected": "x", "normalise": []}},
                ],
            }
        },
    ]
    polite = rows[1]["metadata"]["checks"]
    assert "Is polite, in German" in polite[2]["judge"]["question"]
    assert polite[3]["contains"]["any"] == ["hallo", "bonjour, tout le monde"]
    assert polite[4]["json_schema"]["schema"]["required"] == ["reply"]
    opened = rows[5]["metadata"]["checks"]
    assert opened["threshold"] == 0.5
    assert opened["checks"][2] == {"contains": {"all": ["open"], "name": "facts"}}
    assert opened["checks"][3] == {"embedding_similarity": {"expected": "We are open", "name": "facts"}}
    assert rows[6]["metadata"]["checks"][-1] == {"exact_match": {"expected": "42", "normalise": []}}
    assert rows[8]["metadata"]["checks"][-1] == {"starts_with": {"texts": ["Italian"]}}
    assert rows[8]["metadata"]["description"] == "languages"
    assert rows[8]["inputs"]["question"] == "Yes"  # a word, as JavaScript reads YAML
    passes, *named = (entry["item_checks"] for entry in spec["evaluators"])
    assert passes == {
        "name": "passes", "model": "openai/gpt-4o", "embedding_model": "openai/text-embedding-3-small"
    }  # fmt: skip
    assert [(e["only"], e["value"]) for e in named] == [("brevity", "share"), ("facts", "share")]
    lost = "\n".join(done.lost)
    for part in (
        "`redteam`", "`env`", "'file://prompts/build.js' is a program", "'exec:python answer.py' is a program",
        "the key in the file", "assertion `javascript`: JavaScript is not run", "(2 times)", "assertion `python`",
        "assertion `levenshtein`", "https://example.org/tests.csv", "options: `transform`", "evaluateOptions: `delay`",
    ):  # fmt: skip
        assert part in lost, part
    assert "its own `provider` is left out" in "\n".join(done.changed)
    written = (out / "experiment.yaml").read_text() + (out / "tests.jsonl").read_text()
    assert "sk-secret" not in written
    assert "# Not carried:" in written


def test_the_import_runs_and_scores_as_promptfoo_would(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BAKEOFF_STORE", str(tmp_path / "store"))
    config = yaml.safe_load((folder / "promptfooconfig.yaml").read_text())
    config["tests"] = [
        {
            "vars": {"question": "Hi"},
            "assert": [{"type": "contains", "value": ""}, {"type": "icontains", "value": "zebra"}],
        },
        {"vars": {"question": "Hi"}, "threshold": 0.3, "assert": [{"type": "not-contains", "value": "zebra"}]},
        {"vars": {"question": "Hi"}, "assert": [{"type": "javascript", "value": "true"}]},
    ]
    config["scenarios"] = []
    config["defaultTest"] = {"vars": {"language": "English"}}
    del config["evaluateOptions"]
    (folder / "small.json").write_text(json.dumps(config))
    with pytest.raises(SystemExit) as caught:
        main(["import", "promptfoo", str(folder / "small.json"), "-o", str(tmp_path / "out"), "--model", "sim/small"])
    assert caught.value.code == 0
    spec = yaml.safe_load((tmp_path / "out" / "experiment.yaml").read_text())
    spec["models"] = {"small": {"model": "sim/small", "params": {"sim": {"time_scale": 0}}}}
    spec["mlflow"] = False
    (tmp_path / "out" / "experiment.yaml").write_text(yaml.safe_dump(spec))
    run = bakeoff.run(tmp_path / "out" / "experiment.yaml")
    rows = open_store().scores(run.run_id).to_pylist()
    by_item = {row["item_id"]: {r["value"] for r in rows if r["item_id"] == row["item_id"]} for row in rows}
    assert by_item == {"t0001": {0.0}, "t0002": {1.0}, "t0003": {None}}


def carried(folder: Path, tmp_path: Path, **config: Any) -> tuple[list[dict[str, Any]], str]:
    whole = {"prompts": ["{{ q }}"], "providers": ["openai:gpt-4o-mini"], **config}
    (folder / "c.yaml").write_text(yaml.safe_dump(whole))
    done = import_promptfoo(folder / "c.yaml", tmp_path / "out", force=True)
    return items(tmp_path / "out"), "\n".join((*done.lost, *done.changed))


@pytest.mark.parametrize(("threshold", "passed"), [(0.8, True), (0.84, False)])
def test_a_threshold_counts_scores_as_promptfoo_does(
    folder: Path, tmp_path: Path, threshold: float, passed: bool
) -> None:
    # By hand, after addResult and testResult in src/assertions/assertionsResult.ts of promptfoo: a set of weight 3 half
    # of which holds adds 3 x 0.5, though it passes by its own threshold: (4 + 1 + 1.5) / (4 + 1 + 3) = 0.8125.
    asserts = [
        {"type": "contains", "value": "kettle", "weight": 4},
        {"type": "not-regex", "value": "never"},
        {
            "type": "assert-set",
            "threshold": 0.5,
            "weight": 3,
            "assert": [{"type": "starts-with", "value": "Dear"}, {"type": "equals", "value": "nope"}],
        },
    ]
    rows, _ = carried(folder, tmp_path, tests=[{"vars": {"q": "x"}, "threshold": threshold, "assert": asserts}])
    context = EvaluatorContext(output="Dear Ann, the kettle", metadata=rows[0]["metadata"])
    (score,) = score_sync([load_evaluator("item_checks")], context)
    assert score.value is passed
    rows, _ = carried(folder, tmp_path, tests=[{"vars": {"q": "x"}, "assert": asserts}])
    (score,) = score_sync(
        [load_evaluator("item_checks")], context.__class__(output="Dear kettle", metadata=rows[0]["metadata"])
    )
    assert score.value is True  # without one, every assertion must pass, and the set passes


def test_what_a_table_cell_asks_for_is_never_taken_for_the_answer(folder: Path, tmp_path: Path) -> None:
    (folder / "t.csv").write_text(
        "q,__expected1,__expected2\na,levenshtein(5): air,similar: air\nb,meteor:x,not-guardrails\n"
    )
    rows, told = carried(folder, tmp_path, tests="file://t.csv")
    assert rows[0]["metadata"]["checks"] == [{"embedding_similarity": {"expected": "air", "threshold": 0.8}}]
    assert rows[1]["metadata"]["checks"] == []
    assert "`levenshtein`: not as a check of an item; see `bakeoff evaluators levenshtein`" in told
    assert "`meteor`: there is no such evaluator" in told
    assert "assertion `not-guardrails`: there is no such evaluator" in told


def test_factuality_passes_on_every_category_but_disagreement(folder: Path, tmp_path: Path) -> None:
    rows, told = carried(
        folder, tmp_path, tests=[{"vars": {"q": "x"}, "assert": [{"type": "factuality", "value": "Paris"}]}]
    )
    assert rows[0]["metadata"]["checks"] == [{"factuality": {"expected": "Paris", "as_score": True, "threshold": 0.4}}]
    assert "not carried" not in told
    assert "every category but `disagree` passes" in told


def test_metrics_that_cannot_be_kept_are_told(folder: Path, tmp_path: Path) -> None:
    asserts = [
        {"type": "similar", "value": "x", "metric": "near"},
        {"type": "contains", "value": "x", "metricOnly": True, "metric": "m"},
        {"type": "assert-set", "assert": [{"type": "contains", "value": "x", "metric": "inner"}]},
    ]
    _, told = carried(folder, tmp_path, tests=[{"vars": {"q": "x"}, "assert": asserts}])
    assert "`similar` counts 1 or 0 towards its metric" in told
    assert "it is `metricOnly`" in told
    assert "its `metric` is left out, since it stands in an assert-set" in told


def test_secrets_in_addresses_are_neither_printed_nor_written(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = {
        "prompts": ["hi", "exec:./p.sh --token=sk-abcdefghijklmnop1234"],
        "providers": [
            "openai:gpt-4o-mini",
            "https://ann:pa55w0rd@api.example.com/v1?key=plainsecret",
            {"id": "wss://bob@host.example/x?sig=othersecret", "config": {}},
        ],
        "tests": ["https://docs.example.com/sheet?token=thirdsecret"],
    }
    (folder / "c.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(SystemExit) as caught:
        main(["import", "promptfoo", str(folder / "c.yaml"), "-o", str(tmp_path / "out")])
    assert caught.value.code == 0
    seen = capsys.readouterr()
    everything = seen.out + seen.err + (tmp_path / "out" / "experiment.yaml").read_text()
    assert "https://api.example.com/v1?..." in everything
    for secret in ("pa55w0rd", "plainsecret", "othersecret", "thirdsecret", "sk-abcdefghijklmnop1234"):
        assert secret not in everything


def test_the_experiment_of_the_whole_file_is_valid(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "x")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "x")
    done = import_promptfoo(folder / "promptfooconfig.yaml", tmp_path / "out")
    experiment = load_experiment(done.experiment)
    assert list(experiment.variants) == [
        "support+gpt-4o-mini", "support-2+gpt-4o-mini", "chat+gpt-4o-mini", "chat+haiku"
    ]  # fmt: skip
    assert len(list(experiment.dataset)) == 9


def test_files_outside_the_folder_are_not_read(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("SECRET")
    config = {
        "prompts": ["{{ a }} {{ b }}"],
        "providers": ["sim/small"],
        "tests": [{"vars": {"a": "file://../secret.txt", "b": f"file://{tmp_path}/secret.txt"}}],
    }
    (folder / "c.yaml").write_text(yaml.safe_dump(config))
    done = import_promptfoo(folder / "c.yaml", tmp_path / "out", models=["sim/small"])
    assert "SECRET" not in (tmp_path / "out" / "tests.jsonl").read_text()
    assert sum("lies outside" in text for text in done.lost) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- 1", "no mapping"),
        ("prompts: [a", "cannot be read"),
        ("providers: [openai:gpt-4o]", "no prompt that can be carried"),
        ("prompts: [hi]\nproviders: ['exec:x']", "name a model with --model"),
        ("prompts: ['{% if %}']\nproviders: [openai:gpt-4o]", "no prompt that can be carried"),
    ],
)
def test_files_that_cannot_be_taken_over_say_why(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "promptfooconfig.yaml").write_text(text)
    with pytest.raises(SpecError, match=message):
        import_promptfoo(tmp_path / "promptfooconfig.yaml", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_nothing_is_overwritten_unasked(folder: Path, tmp_path: Path) -> None:
    import_promptfoo(folder / "promptfooconfig.yaml", tmp_path / "out")
    with pytest.raises(SpecError, match="use --force"):
        import_promptfoo(folder / "promptfooconfig.yaml", tmp_path / "out")
    import_promptfoo(folder / "promptfooconfig.yaml", tmp_path / "out", force=True)


_ODD = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "x", "{{ a }}", "{{", "file://x.yaml", "[1"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["vars", "assert", "type", "value", "threshold", "weight", "id", "config", "tests", "options"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.dictionaries(
        st.sampled_from(
            ["tests", "defaultTest", "scenarios", "evaluateOptions", "assertionTemplates", "tags", "description"]
        ),
        _ODD,
    ),
    asserts=st.lists(
        st.fixed_dictionaries(
            {"type": st.sampled_from(["equals", "regex", "is-json", "word-count", "latency", "assert-set", "rouge-n"])},
            optional={"value": _ODD, "threshold": _ODD, "weight": _ODD, "metric": _ODD, "assert": _ODD},
        ),
        max_size=3,
    ),
)
def test_odd_files_are_carried_or_refused_in_plain_words(tmp_path: Path, data: Any, asserts: Any) -> None:
    path = tmp_path / "c.json"
    path.write_text(json.dumps({"prompts": ["{{ a }}"], "providers": ["sim/small"], **data}))
    with contextlib.suppress(SpecError):
        import_promptfoo(path, tmp_path / "out", models=["sim/small"], force=True)
    path.write_text(json.dumps({"prompts": ["hi"], "tests": [{"assert": asserts}]}))
    import_promptfoo(path, tmp_path / "out", models=["sim/small"], force=True)
    for check in items(tmp_path / "out")[0]["metadata"]["checks"]:
        load_evaluator(check)  # what is written loads
