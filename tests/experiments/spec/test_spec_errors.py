"""What a newcomer gets wrong: each mistake gives one clear message that names place, value and fix."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from bakeoff.errors import SpecError
from bakeoff.experiments import Experiment, load_experiment

GOOD = """
name: demo
dataset:
  rows:
    - {id: a, question: "2+2", expected: "4"}
    - {id: b, question: "3+3", expected: "6"}
prompts:
  terse: "Q: {{ question }}"
  chatty: "Please answer. {{ question }}"
models:
  small: sim/small
evaluators:
  - contains
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "experiment.yaml"
    path.write_text(dedent(text))
    return path


def problems(folder: Path, text: str, **options: object) -> list[str]:
    with pytest.raises(SpecError) as caught:
        load_experiment(write(folder, text), **options)  # type: ignore[arg-type]
    return [str(problem).replace(f"{folder}/", "") for problem in caught.value.problems]


def good(folder: Path, text: str = GOOD, **options: object) -> Experiment:
    return load_experiment(write(folder, text), **options)  # type: ignore[arg-type]


def test_the_good_one_is_good(tmp_path: Path) -> None:
    experiment = good(tmp_path)
    assert list(experiment.variants) == ["terse", "chatty"]
    assert len(experiment.dataset) == 2
    assert experiment.primary == "contains"
    assert experiment.is_simulated


def test_wrong_key_suggests_the_right_one(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, GOOD + "evaluator: [x]\n")
    assert found == "experiment.yaml:14: evaluator: unknown key 'evaluator'\n    fix: did you mean 'evaluators'?"


def test_wrong_key_deep_inside_names_what_is_allowed(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, GOOD + "limits: {concurency: 3}\n")
    assert "experiment.yaml:14: limits.concurency: unknown key 'concurency'" in found
    assert "did you mean 'concurrency'?" in found


def test_negative_repeats(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, GOOD + "repeats: -1\n")
    assert found.startswith("experiment.yaml:14: repeats: should be greater than or equal to 1, got -1")


def test_missing_prompt_file(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, GOOD.replace('"Q: {{ question }}"', "{file: no/such.j2}"))
    assert found.startswith("experiment.yaml:8: prompts.terse")
    assert "no/such.j2" in found


def test_undefined_template_variable_names_what_the_data_has(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, GOOD.replace('"Q: {{ question }}"', '"Q: {{ qestion }}"'))
    assert found.startswith("experiment.yaml:8: prompts.terse: undefined variable 'qestion'; did you mean 'question'?")
    assert "the data set has question" in found


def test_unknown_evaluator(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, GOOD.replace("- contains", "- contians"))
    assert found.startswith(
        "experiment.yaml:13: evaluators.0: there is no evaluator 'contians'; did you mean 'contains'?"
    )


def test_duplicate_variant_by_name(tmp_path: Path) -> None:
    text = GOOD + "variants:\n  a: {prompt: terse}\n  a: {prompt: chatty}\n"
    (found,) = problems(tmp_path, text)
    assert found.startswith("experiment.yaml:16: variants.a: 'a' stands twice (first on line 15)")


def test_duplicate_variant_by_levels(tmp_path: Path) -> None:
    text = GOOD + "variants:\n  a: {prompt: terse}\n  b: {prompt: terse, model: small}\n"
    (found,) = problems(tmp_path, text)
    assert found.startswith("experiment.yaml:16: variants.b: is a duplicate of 'a'")


def test_missing_api_key_names_the_variable_and_the_way_out(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, GOOD.replace("sim/small", "openai/gpt-4o-mini"), env={})
    assert found.startswith("experiment.yaml:11: models.small: the model 'openai/gpt-4o-mini' needs the environment ")
    assert "OPENAI_API_KEY" in found
    assert "--env-file" in found


def test_a_key_in_the_environment_is_enough(tmp_path: Path) -> None:
    text = GOOD.replace("sim/small", "openai/gpt-4o-mini")
    assert not good(tmp_path, text, env={"OPENAI_API_KEY": "x"}).is_simulated


@pytest.mark.parametrize(
    ("evaluators", "key", "name"),
    [
        (
            '[contains, {judge: {model: openai/gpt-5-mini, question: "Is it polite?"}}]',
            "evaluators.1",
            "OPENAI_API_KEY",
        ),
        (
            '[{judge: {model: sim/judge, jury: [anthropic/claude-haiku-4-5], question: "Is it polite?"}}]',
            "evaluators.0",
            "ANTHROPIC",
        ),
        ("[{all: [contains, {toxicity: {model: mistral/mistral-small-latest}}]}]", "evaluators.0", "MISTRAL_API_KEY"),
        ("[{embedding_similarity: {model: openai/x, api_key_env: OTHER, threshold: 0.5}}]", "evaluators.0", "OTHER"),
        ("[moderation]", "evaluators.0", "OPENAI_API_KEY"),
    ],
)
def test_a_key_that_only_a_judge_needs_is_missed_before_the_run(
    tmp_path: Path, evaluators: str, key: str, name: str
) -> None:
    text = GOOD.replace("evaluators:\n  - contains\n", f"evaluators: {evaluators}\n")
    (found,) = problems(tmp_path, text, env={})
    assert key in found
    assert f"needs the environment variable {name}" in found
    assert good(tmp_path, text, check_keys=False)
    keys = dict.fromkeys(["OPENAI_API_KEY", "ANTHROPIC_API_KEY", "MISTRAL_API_KEY", "OTHER"], "x")
    assert good(tmp_path, text, env=keys)


def test_a_key_missing_twice_is_told_once(tmp_path: Path) -> None:
    text = GOOD.replace("sim/small", "openai/gpt-4o-mini").replace("- contains", "- moderation\n  - contains")
    (found,) = problems(tmp_path, text, env={})
    assert "models.small" in found


def test_a_program_that_is_missing_here_is_told_before_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = GOOD.replace("  - contains\n", "  - contains\n  - all: [contains, {code_style: {language: javascript}}]\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    (found,) = problems(tmp_path, text)
    assert "evaluators.1: all cannot work here: node is not installed\n    fix: apt-get install nodejs" in found
    assert "`bakeoff score`" in found
    assert good(tmp_path, text, check_keys=False)


@pytest.mark.parametrize(
    ("evaluator", "place"),
    [
        ("exact_match", "expected"),
        ("{all: [json_valid, numeric]}", "expected"),
        ("{exact_match: {expected_path: answer.value}}", "expected.answer.value"),
        ("{code_tests: {tests: metadata.tests}}", "metadata.tests"),
        ("{item_checks: {path: metadata.checks}}", "metadata.checks"),
        ("{correctness: {model: sim/judge}}", "expected"),
        ("{faithfulness: {model: sim/judge}}", "inputs.context"),
        ("{citations: {model: sim/judge, passages: metadata.passages}}", "metadata.passages"),
        ("{embedding_similarity: {model: sim/x, threshold: 0.5}}", "expected"),
    ],
)
def test_what_no_item_has_is_told_before_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, evaluator: str, place: str
) -> None:
    monkeypatch.setattr("bakeoff.experiments.spec._evaluator_check.tools_missing", lambda one: [])
    text = GOOD.replace("  - contains\n", f"  - contains: {{any: [x]}}\n  - {evaluator}\n").replace(
        ', expected: "4"', ""
    )
    assert good(tmp_path, text.replace(evaluator, "exact_match"))  # one item is enough
    (found,) = problems(tmp_path, text.replace(', expected: "6"', ""))
    assert f"reads {place!r}, which no item of the data has" in found
    assert "evaluators.1" in found
    assert good(tmp_path, text.replace(', expected: "6"', ""), check_keys=False)


@pytest.mark.parametrize(
    "evaluator",
    [
        "{exact_match: {expected: yes}}",
        "{starts_with: x}",
        "{any: [json_valid, exact_match]}",
        "{contains: {none: [x]}}",
    ],
)
def test_evaluators_that_bring_what_they_compare_with_need_no_expected(tmp_path: Path, evaluator: str) -> None:
    text = (
        GOOD.replace("  - contains\n", f"  - {evaluator}\n")
        .replace(', expected: "4"', "")
        .replace(', expected: "6"', "")
    )
    assert good(tmp_path, text)


def test_every_problem_at_once(tmp_path: Path) -> None:
    text = GOOD.replace("- contains", "- contians").replace("{{ question }}", "{{ qestion }}")
    text += "analysis: {baseline: nobody}\n"
    found = problems(tmp_path, text)
    assert len(found) == 4, "two prompts, one evaluator, one baseline"
    assert any("analysis.baseline: there is no variant 'nobody'" in line for line in found)


def test_unknown_level_of_a_factor(tmp_path: Path) -> None:
    found = problems(tmp_path, GOOD + "factors: {prompt: [terse, curt]}\n")
    assert any("there is no prompt 'curt'" in line for line in found)


def test_a_factor_that_nothing_uses(tmp_path: Path) -> None:
    found = problems(tmp_path, GOOD + "factors: {temprature: [0, 1]}\n")
    assert any("nothing uses 'temprature'" in line for line in found)


def test_factors_and_variants_exclude_each_other(tmp_path: Path) -> None:
    text = GOOD + "factors: {prompt: [terse]}\nvariants: {a: {prompt: terse}}\n"
    (found,) = problems(tmp_path, text)
    assert "has both `factors` and `variants`" in found


def test_missing_dataset_file(tmp_path: Path) -> None:
    text = GOOD.replace(GOOD[GOOD.index("dataset:") : GOOD.index("prompts:")], "dataset: answers.csv\n")
    (found,) = problems(tmp_path, text)
    assert found.startswith("experiment.yaml:3: dataset")
    assert "answers.csv" in found


def test_missing_required_key(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, GOOD.replace("name: demo\n", ""))
    assert "name: is missing" in found


def test_list_instead_of_mapping(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, "- a\n- b\n")
    assert "must be a mapping of keys, got list" in found


def test_a_target_with_two_kinds(tmp_path: Path) -> None:
    text = GOOD + "targets: {x: {recorded: a, python: 'b:c'}}\n"
    (found,) = problems(tmp_path, text)
    assert (
        "targets.x: needs exactly one of prompt, python, http, command, recorded, agent; got python and recorded"
        in found
    )


def test_a_wrong_section_does_not_hide_what_else_is_wrong(tmp_path: Path) -> None:
    text = GOOD.replace("{{ question }}", "{{ qestion }}") + "repeats: 0\nlimits: {concurency: 1}\n"
    found = problems(tmp_path, text)
    assert len(found) == 4
    assert any("repeats: should be greater" in line for line in found)
    assert any("undefined variable 'qestion'" in line for line in found)


def test_an_unknown_simulated_model_is_said_with_its_place(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, GOOD.replace("sim/small", "sim/smal"))
    assert found.startswith("experiment.yaml:11: models.small: 'sim/smal' is not a simulated model")


TARGETS = """
name: demo
dataset: {rows: [{id: a, question: x, expected: "1", old: "1"}], inputs: [question]}
targets: {t: %s}
evaluators: [exact_match]
"""


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("{python: 'nofile.py:f'}", "there is no file"),
        ("{python: 'app.py:nothing'}", "has no callable 'nothing'; it has answer"),
        ("{http: {url: 'http://x/${NO_SUCH_VARIABLE}'}}", "NO_SUCH_VARIABLE, which is not set"),
        ("{command: [no-such-program]}", "there is no program 'no-such-program'"),
    ],
)
def test_targets_that_cannot_be_opened(tmp_path: Path, target: str, message: str) -> None:
    (tmp_path / "app.py").write_text("def answer(question): return 1\n")
    (found,) = problems(tmp_path, TARGETS % target)
    assert found.startswith("experiment.yaml:4: targets.t: ")
    assert message in found


def test_recorded_answers_without_repeats(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, TARGETS % "{recorded: old}" + "repeats: 3\n")
    assert "holds one answer for each item, but `repeats` is 3" in found


@pytest.mark.parametrize(
    ("analysis", "message"),
    [
        ("{interval: huhu}", "analysis.interval: interval must be one of"),
        ("{test: boschloo}", "analysis.test: "),
        ("{guardrails: [nothing]}", "analysis.guardrails: there is no metric 'nothing'"),
        ("{guardrails: [{metric: contains, margin: -1}]}", "analysis.guardrails.0.margin: "),
        ("{margin: 3}", "analysis.margin: 3 is as large as the whole scale of contains, which goes from 0 to 1"),
    ],
)
def test_an_analysis_that_cannot_work_is_said_before_the_run(tmp_path: Path, analysis: str, message: str) -> None:
    (found,) = problems(tmp_path, GOOD + f"analysis: {analysis}\n")
    assert message in found


def test_a_guardrail_must_know_which_way_is_worse(tmp_path: Path) -> None:
    text = GOOD.replace("  - contains\n", "  - contains\n  - length\n")
    assert text != GOOD
    (found,) = problems(tmp_path, text + "analysis: {guardrails: [{metric: length, margin: 20}]}\n")
    assert "analysis.guardrails.0: 'length' has no better direction" in found
    assert "harm: higher" in found
    path = tmp_path / "right.yaml"
    path.write_text(text + "analysis: {guardrails: [{metric: length, margin: 20, harm: higher}]}\n", encoding="utf-8")
    assert load_experiment(path).spec.analysis.guardrails[0].harm == "higher"


@pytest.mark.parametrize(
    ("line", "message", "fix"),
    [
        ("budget: 5", "budget: must be a mapping with keys such as usd, ", "write `budget: {usd: ...}`"),
        ("limits: [3]", "limits: must be a mapping with keys such as ", "write `limits: {"),
        ("gate: {at_least: 1}", "gate: must be a list", "write `gate: [...]`, or one `- ...` a line"),
        ("repeats: 1.5", "repeats: must be a whole number, got 1.5", ""),
        ("repeats: many", "repeats: must be a whole number, got 'many'", ""),
        ("limits: {adaptive: maybe}", "limits.adaptive: must be true or false, got 'maybe'", ""),
        ("analysis: {alpha: 5%}", "analysis.alpha: must be a number, got '5%'", "write 5% as 0.05"),
        ("description: 5", "description: must be text, got 5", "put it into quotes"),
    ],
)
def test_a_value_of_the_wrong_type_is_told_in_words_of_the_file(
    tmp_path: Path, line: str, message: str, fix: str
) -> None:
    (found,) = problems(tmp_path, f"{GOOD}{line}\n")
    assert found.startswith(f"experiment.yaml:14: {message}")
    assert fix in found
    assert "instance of" not in found
    assert "parse" not in found


def test_a_guard_without_a_key_is_said_too(tmp_path: Path) -> None:
    guard = (
        "guards: [{check: {judge: {question: Is it polite, model: openai/gpt-5-mini}}, side: output, action: block}]\n"
    )
    (found,) = problems(tmp_path, GOOD + guard, env={})
    assert "guards.0: the model 'openai/gpt-5-mini' needs the environment variable OPENAI_API_KEY" in found


KEY = "sk-abcdefghijklmnop1234567890"


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("{model: openai/m, headers: {Authorization: Bearer %s}}", "headers.Authorization: a key stands here"),
        ("{model: openai/m, headers: {X-Team: %s}}", "headers.X-Team: a key stands here"),
        ("{model: openai/m, api_base: 'https://bob:%s@host/v1'}", "api_base: a name and password stand in the address"),
        ("{model: openai/m, api_key: %s}", "unknown key 'api_key'\n    fix: keys come from the environment"),
        ("{model: openai/m, api_key_env: %s}", "api_key_env: must be the name of an environment variable, not the key"),
    ],
)
def test_a_key_written_into_the_file_is_refused_and_not_repeated(tmp_path: Path, model: str, said: str) -> None:
    found = problems(tmp_path, GOOD.replace("small: sim/small", f"small: {model % KEY}"), check_keys=False)
    assert len(found) == 1
    assert "experiment.yaml:11: models.small" in found[0]
    assert said in found[0]
    assert "fix: " in found[0]
    assert KEY not in found[0]


def test_a_key_in_the_headers_of_an_endpoint_or_judge_is_refused(tmp_path: Path) -> None:
    target = f"targets:\n  e: {{http: {{url: 'http://h', headers: {{x-api-key: {KEY}}}}}}}\n"
    found = problems(tmp_path, GOOD + target + "variants: {e: {target: e}}\n")
    assert [text.partition(": a key")[0] for text in found] == ["experiment.yaml:15: targets.e.http.headers.x-api-key"]


def test_a_header_may_name_a_variable_which_must_be_set(tmp_path: Path) -> None:
    text = GOOD.replace("small: sim/small", "small: {model: ollama/m, headers: {Authorization: 'Basic ${SHOP_LOGIN}'}}")
    assert "needs the environment variable SHOP_LOGIN, which is not set" in problems(tmp_path, text, env={})[0]
    load_experiment(write(tmp_path, text), env={"SHOP_LOGIN": "abc"})


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("sim/small", "{model: openai/m, base_url: 'http://h'}", "fix: did you mean 'api_base'?"),
        ("sim/small", "{model: openai/m, api_base: 'localhost:8000/v1'}", "fix: write http://localhost:8000/v1"),
        ("evaluators:", "variants:\n  v: {prompt: terse, temprature: 1}\nevaluators:", "did you mean 'temperature'?"),
        ("  rows:", "  file: x.csv\n  rows:", "fix: did you mean 'path'?"),
    ],
)
def test_words_of_other_tools_and_slips_are_understood(tmp_path: Path, old: str, new: str, said: str) -> None:
    found = problems(tmp_path, GOOD.replace(old, new), check_keys=False)
    assert len(found) == 1
    assert said in found[0]
