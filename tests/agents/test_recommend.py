"""Which patterns are worth trying: characteristics, priors, what past runs change, and the command."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

import bakeoff
from bakeoff.agents import PastResult, TaskProfile, patterns, profile_task, recommend_patterns
from bakeoff.cli import main
from bakeoff.cli._patterns import past_results
from bakeoff.datasets import Item, open_dataset
from bakeoff.errors import SpecError
from bakeoff.experiments import LocalStore
from tests.by_path import module_at

SUMS = TaskProfile(n_items=50, domain="mathematics", steps=1.0, numbers=1.0)


def test_characteristics_are_told_from_the_items() -> None:
    triage = profile_task(open_dataset("bundled:support-triage", base_dir=Path()).head(500))
    assert (triage.classification, triage.numbers, triage.domain) == (1.0, 0.0, "customer service")
    book = profile_task(open_dataset("bundled:handbook-qa", base_dir=Path()).head(500))
    assert book.classification == 0.0
    assert book.lookup > 0.5
    assert book.domain == "company knowledge"
    code = profile_task([Item(id="1", inputs={"t": "Write def f(x): return x"}, expected="def f(x): ...")])
    assert code.code == 1.0
    assert profile_task([Item(id="1", inputs={"t": "Tell a story"})]).open_ended == 1.0
    with pytest.raises(SpecError, match="there are no items"):
        profile_task([])


@pytest.mark.parametrize("budget", [1.0, 3.0, 6.0, 20.0])
def test_the_choice_keeps_to_the_budget_and_more_money_is_never_worse(budget: float) -> None:
    found = recommend_patterns(SUMS, budget=budget)
    cost = {score.name: score.cost for score in found.scores}
    assert sum(cost[name] for name in found.chosen) <= budget
    assert found.expected_best >= recommend_patterns(SUMS, budget=budget / 2).expected_best - 0.003
    assert "react" not in found.chosen  # there are no tools
    assert "few_shot" not in found.chosen  # there are no examples


def test_the_choice_is_the_best_of_all_subsets() -> None:
    """Against every subset of the four cheapest, valued by simulation with another generator."""
    import numpy as np

    found = recommend_patterns(SUMS, budget=3.0)
    usable = [score for score in found.scores if score.usable and score.cost <= 3.0]
    draws = np.random.default_rng(7).normal([[s.gain] for s in usable], [[s.sd] for s in usable], (len(usable), 40_000))
    best = max(
        float(np.maximum(draws[list(rows)].max(axis=0), 0).mean())
        for size in (1, 2, 3)
        for rows in itertools.combinations(range(len(usable)), size)
        if sum(usable[row].cost for row in rows) <= 3.0
    )
    assert found.expected_best == pytest.approx(best, abs=0.004)


def test_own_runs_move_the_prior_as_far_as_they_are_sure_and_alike() -> None:
    prior = next(s for s in recommend_patterns(SUMS).scores if s.name == "step_back")

    def after(gain: float, error: float, profile: dict[str, float]) -> Any:
        past = [PastResult(pattern="step_back", gain=gain, standard_error=error, profile=profile)]
        return next(s for s in recommend_patterns(SUMS, past=past).scores if s.name == "step_back")

    alike = after(0.3, 0.02, SUMS.vector())
    # The textbook update of a normal mean: precision-weighted.
    weight = (1 / 0.02**2) / (1 / 0.02**2 + 1 / 0.08**2)
    assert alike.gain == pytest.approx(weight * 0.3 + (1 - weight) * prior.prior)
    assert alike.sd == pytest.approx((1 / 0.02**2 + 1 / 0.08**2) ** -0.5)
    assert alike.evidence == 1
    unsure = after(0.3, 0.5, SUMS.vector())
    assert abs(unsure.gain - prior.gain) < 0.02
    other = after(0.3, 0.02, {**SUMS.vector(), "code": 1.0, "numbers": 0.0})
    assert other.gain < alike.gain - 0.1
    assert other.evidence == 0


def test_the_words_say_where_the_numbers_come_from() -> None:
    text = " ".join(recommend_patterns(SUMS).sentences)
    assert "a stated prior, not yet a run" in text
    assert "judgements stated beforehand, not measurements" in text
    assert "costs 5 calls" in text
    assert "Nothing fits a budget of 0.5" in " ".join(recommend_patterns(SUMS, budget=0.5).sentences)
    for bad in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(SpecError, match="must be a positive number"):
            recommend_patterns(SUMS, budget=bad)


def command(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    capsys.readouterr()
    with pytest.raises(SystemExit) as caught:
        main(list(arguments))
    said = capsys.readouterr()
    assert caught.value.code == code, said
    return said.out + said.err


def test_the_recommendation_can_be_run_and_is_learnt_from(
    tmp_path: Path, store: LocalStore, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Recommend, write the experiment, run it, and see the next recommendation count it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    at = ["--store", str(store.paths.root)]
    rows = [{"id": str(n), "question": f"If {n} is left after 3 of each, how many in total?", "expected": str(n + 9)}
            for n in range(120)]  # fmt: skip
    Path("data.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    first = command(capsys, "patterns", "recommend", "data.jsonl", "--write", "check.yaml", *at)
    assert "No run of your own counted" in first
    assert "would be overwritten" in command(
        capsys, "patterns", "recommend", "data.jsonl", "--write", "check.yaml", *at, code=2
    )
    spec = yaml.safe_load(Path("check.yaml").read_text())
    assert spec["factors"]["agent.pattern"][0] == "zero_shot"
    spec = {**spec, "mlflow": False, "models": {"sim": {"model": "sim/small", "params": {"sim": {"time_scale": 0}}}}}
    spec["targets"]["solver"]["agent"]["model"] = "sim"
    Path("check.yaml").write_text(yaml.safe_dump(spec, sort_keys=False))
    result = bakeoff.run("check.yaml", store=store.paths.root)
    assert result.analysis is not None
    past = {one.pattern: one for one in past_results(store)}
    means = result.to_frame().groupby("variant")["contains"].mean()
    for name in spec["factors"]["agent.pattern"][1:]:
        assert past[name].gain == pytest.approx(means[f"pattern={name}"] - means["pattern=zero_shot"])
        assert 0 < past[name].standard_error < 0.2
    second = json.loads(command(capsys, "patterns", "recommend", "data.jsonl", "--json", *at))
    counted = {score["name"]: score["evidence"] for score in second["scores"]}
    assert counted["chain_of_thought"] == 1


def test_what_is_written_finds_the_data_from_where_it_lies_and_says_what_it_lacks(
    tmp_path: Path, store: LocalStore, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    for folder in ("made", "elsewhere"):
        Path(folder).mkdir()
    Path("made/data.jsonl").write_text('{"id": "1", "question": "How many?"}\n')
    Path("made/from.yaml").write_text(
        "name: a\ndataset: {path: data.jsonl}\ntargets: {t: {recorded: question}}\nevaluators: [length]\n"
    )
    for number, source in enumerate(("made/data.jsonl", "made/from.yaml")):
        written = Path(f"elsewhere/{number}.yaml")
        said = command(
            capsys, "patterns", "recommend", source, "--write", str(written), "--store", str(store.paths.root)
        )
        assert "have no `expected` value" in said
        spec = yaml.safe_load(written.read_text())["dataset"]
        assert (spec["path"] if isinstance(spec, dict) else spec) == "../made/data.jsonl"
        lacks = "reads 'expected', which no item of the data has"
        assert lacks in command(capsys, "validate", str(written), code=2)


def test_the_library_can_be_listed_and_shown(capsys: pytest.CaptureFixture[str]) -> None:
    listed = json.loads(command(capsys, "patterns", "list", "--json"))
    assert {one["name"] for one in listed} == set(patterns())
    assert "arXiv:2203.11171" in command(capsys, "patterns", "show", "self_consistency")
    assert "did you mean 'react'" in command(capsys, "patterns", "show", "reakt", code=2)


async def test_the_runtime_costs_less_than_half_a_millisecond_a_step() -> None:
    bench = module_at("benchmarks/agents.py")
    assert await bench.cpu_per_step(60) < bench.STEP_MS
