from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy import stats

from bakeoff.errors import SpecError
from bakeoff.experiments import GatePolicy, GateRule, LocalStore
from bakeoff.regression import decide, decide_gate, set_baseline
from tests.regression.support import flipped, observed, passes, recorded, run

NI = GateRule(no_worse_than="baseline", margin=0.05)


def outcome(candidate: Any, baseline: Any, *rules: GateRule, **policy: Any) -> str:
    return decide(candidate, baseline, list(rules), GatePolicy(**policy), called="main").outcome


def test_the_three_answers_of_non_inferiority() -> None:
    base = observed(passes(400, 320))
    assert outcome(flipped(base, lost=8, gained=8), base, NI) == "pass"
    assert outcome(flipped(base, lost=60, gained=5), base, NI) == "fail"
    assert outcome(flipped(base, lost=30, gained=22), base, NI) == "inconclusive"


def test_a_change_within_the_margin_passes_even_where_it_is_detectable() -> None:
    """Shown worse, but by less than matters: 14 lost of 2,000 and none gained."""
    base = observed(passes(2000, 1600))
    now = flipped(base, lost=14, gained=0)
    (rule,) = decide(now, base, [NI], GatePolicy(), called="main").rules
    assert rule.p_value < 0.001
    assert rule.outcome == "pass"


def test_the_failing_test_is_mcnemars_mid_p() -> None:
    """Oracle: binomial probabilities by scipy."""
    base = observed(passes(200, 150))
    (rule,) = decide(flipped(base, lost=12, gained=4), base, [NI], GatePolicy(), called="main").rules
    mid_p = stats.binom.cdf(3, 16, 0.5) + 0.5 * stats.binom.pmf(4, 16, 0.5)
    assert rule.p_value == pytest.approx(mid_p, rel=1e-9)


def test_the_floor_is_a_clopper_pearson_bound() -> None:
    """Oracle: the beta quantile by scipy. 93 of 100 has a lower bound of 87.2%, not 93%."""
    now = observed(passes(100, 93))
    low = stats.beta.ppf(0.05, 93, 8)
    (rule,) = decide(now, None, [GateRule(at_least=0.9)], GatePolicy()).rules
    assert rule.low == pytest.approx(low)
    assert rule.outcome == "inconclusive"
    assert decide(now, None, [GateRule(at_least=round(low, 4) - 0.0001)], GatePolicy()).outcome == "pass"
    exact = stats.binom.cdf(93, 100, 0.98)
    (rule,) = decide(now, None, [GateRule(at_least=0.98)], GatePolicy()).rules
    assert rule.outcome == "fail"
    assert rule.p_value == pytest.approx(exact, rel=1e-3)


def test_a_percentile_is_a_share_of_trials() -> None:
    """180 of 200 latencies are under 1 s: p90 is not shown to be. Oracle: Clopper-Pearson by scipy."""
    latencies = np.array([500.0] * 180 + [2000.0] * 20)
    now = observed(latencies, kind="continuous", higher_is_better=False, metric="latency_ms")
    (rule,) = decide(now, None, [GateRule(at_most=1000, percentile=90)], GatePolicy()).rules
    assert rule.outcome == "inconclusive"
    assert rule.high == pytest.approx(stats.beta.ppf(0.95, 21, 180))
    assert decide(now, None, [GateRule(at_most=1000, percentile=80)], GatePolicy()).outcome == "pass"
    assert decide(now, None, [GateRule(at_most=1000, percentile=97)], GatePolicy()).outcome == "fail"
    assert decide(now, None, [GateRule(at_most=2000, percentile=97)], GatePolicy()).outcome == "pass"


def test_where_less_is_better_the_difference_is_turned_round() -> None:
    rng = np.random.default_rng(0)
    then = rng.normal(100, 10, 300)
    rule = GateRule(no_worse_than="baseline", margin=5)
    options = {"kind": "continuous", "higher_is_better": False}
    base = observed(then, **options)  # type: ignore[arg-type]
    assert outcome(observed(then + rng.normal(20, 5, 300), **options), base, rule) == "fail"  # type: ignore[arg-type]
    assert outcome(observed(then + rng.normal(-20, 5, 300), **options), base, rule) == "pass"  # type: ignore[arg-type]


def test_better_than_needs_proof_of_better() -> None:
    base = observed(passes(300, 200))
    better = GateRule(better_than="baseline")
    assert outcome(flipped(base, lost=5, gained=40), base, better) == "pass"
    assert outcome(base, base, better) == "inconclusive"
    assert outcome(flipped(base, lost=40, gained=5), base, better) == "fail"
    assert outcome(flipped(base, lost=5, gained=40), base, GateRule(better_than="baseline", margin=0.3)) == "fail"


def test_failing_only_beyond_the_margin() -> None:
    base = observed(passes(400, 320))
    now = flipped(base, lost=30, gained=8)  # about -5.5 points
    beyond = NI.model_copy(update={"fail_when": "beyond_margin"})
    assert outcome(now, base, NI) == "fail"
    assert outcome(now, base, beyond) == "inconclusive"
    assert outcome(flipped(base, lost=80, gained=8), base, beyond) == "fail"


def test_many_rules_are_corrected_together() -> None:
    base = observed(passes(200, 150))
    now = flipped(base, lost=9, gained=2)
    alone = decide(now, base, [NI], GatePolicy(), called="main").rules[0]
    assert alone.outcome == "fail"
    easy = [GateRule(at_least=0.1) for _ in range(3)]
    result = decide(now, base, [NI, *easy], GatePolicy(), called="main")
    together = result.rules[0]
    assert together.p_adjusted == pytest.approx(4 * alone.p_value)
    assert together.outcome == "inconclusive"
    assert "among 4 rules" in together.because
    assert "4 statistical rules" in result.statement


def measure_bound(same: Any) -> float:
    wide = GateRule(no_worse_than="baseline", margin=0.5)
    return decide(same, same, [wide], GatePolicy(), called="main").rules[0].low


def test_few_disagreements_are_decided_exactly() -> None:
    """0 of 130 lost: the score bound lies within 2.1 points, but a true loss of 2.1 points gives that in 6% of runs."""
    base = observed(passes(130, 100))
    assert measure_bound(base) > -0.021
    rule = GateRule(no_worse_than="baseline", margin=0.021)
    assert outcome(base, base, rule) == "inconclusive"
    assert 0.979**130 > 0.05
    larger = observed(passes(160, 100))
    assert 0.979**160 < 0.05
    assert outcome(larger, larger, rule) == "pass"


def test_identical_numbers_pass() -> None:
    scores = np.random.default_rng(1).random(80)
    now = observed(scores, kind="continuous")
    assert outcome(now, now, GateRule(no_worse_than="baseline", margin=0.01)) == "pass"


def test_missing_scores_cannot_pass() -> None:
    base = observed([1.0] * 300)
    scores = np.array([1.0] * 300)
    scores[:30] = np.nan
    (rule,) = decide(observed(scores), base, [NI], GatePolicy(), called="main").rules
    assert rule.outcome == "inconclusive"
    assert "too many scores are missing (30 of 300 pairs)" in rule.because
    assert outcome(observed(scores), base, NI, max_missing=0.2) == "pass"


def test_inconclusive_says_what_would_decide() -> None:
    base = observed(passes(100, 80))
    now = flipped(base, lost=8, gained=6)
    (rule,) = decide(now, base, [NI], GatePolicy(), called="main").rules
    assert rule.need is not None
    assert rule.need.items is not None
    # Oracle: n ((z_.95 + z_.8) sd / margin)^2, sd of the item differences.
    gaps = np.array([-1] * 8 + [1] * 6 + [0] * 86)
    wanted = ((stats.norm.ppf(0.95) + stats.norm.ppf(0.8)) * gaps.std() / 0.05) ** 2
    assert rule.need.items == pytest.approx(wanted, rel=0.12)  # rounded up, and Laplace's two pseudo-items
    assert "more) would decide this if nothing changed" in rule.because


def test_few_items_are_told_a_number_that_can_be_had() -> None:
    """2 of 3 right against 65%: ((z.95 + z.8) sd / distance)^2 is about 5,000 items, which is no reason to give up."""
    rule = GateRule(at_least=0.65)
    (found,) = decide(observed(passes(3, 2)), None, [rule], GatePolicy()).rules
    assert found.outcome == "inconclusive"
    assert found.need is not None
    assert found.need.items is not None
    wanted = ((stats.norm.ppf(0.95) + stats.norm.ppf(0.8)) * np.sqrt(2 / 9) / (2 / 3 - 0.65)) ** 2
    assert found.need.items == pytest.approx(wanted, rel=0.5), "three items hardly know their own spread"
    assert "a rough guess from 3 items" in found.because
    (hopeless,) = decide(observed(passes(300, 200)), None, [GateRule(at_least=0.6666)], GatePolicy()).rules
    assert "Even 300,000 items would not decide this" in hopeless.because


def test_repeats_count_where_the_model_is_noisy() -> None:
    rng = np.random.default_rng(3)
    base = observed((rng.random((60, 3)) < 0.5) * 1.0, run_id="then")
    now = observed((rng.random((60, 3)) < 0.5) * 1.0)
    rule = GateRule(at_least=0.4)
    (result,) = decide(now, None, [rule], GatePolicy()).rules
    if result.need is not None:  # every item is a coin: all the variance is the model's, so repeats do it all
        assert result.need.repeats is not None
    (relative,) = decide(now, base, [GateRule(no_worse_than="baseline", margin=0.1)], GatePolicy(), called="main").rules
    assert relative.outcome == "inconclusive"


def test_escalation_shares_the_error_out() -> None:
    base = observed(passes(200, 150))
    policy = GatePolicy.model_validate({"escalate": {"repeats": 4, "looks": 2}})
    result = decide(flipped(base, lost=10, gained=3), base, [NI], policy, called="main")
    assert result.alpha_look == pytest.approx(0.025)
    assert "2 looks (2.5% each)" in result.statement


@given(
    lost=st.integers(0, 60), gained=st.integers(0, 40), margin=st.floats(0.005, 0.5), alpha=st.floats(0.001, 0.3),
    kind=st.sampled_from(["no_worse_than", "better_than"]),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_outcomes_are_monotone(lost: int, gained: int, margin: float, alpha: float, kind: str) -> None:
    """One more item lost never turns a failure into a pass, whatever the numbers."""
    base = observed(passes(150, 100))
    rule = GateRule.model_validate({kind: "baseline", "margin": margin})
    order = {"fail": 0, "inconclusive": 1, "pass": 2}
    here = outcome(flipped(base, lost=lost, gained=gained), base, rule, alpha=alpha)
    worse = outcome(flipped(base, lost=lost + 5, gained=gained), base, rule, alpha=alpha)
    assert order[worse] <= order[here]


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({}, "exactly one of no_worse_than"),
        ({"at_least": 0.5, "at_most": 0.6}, "got at_least and at_most"),
        ({"no_worse_than": "baseline"}, "needs a `margin`"),
        ({"at_least": 0.5, "margin": 0.1}, "`margin` has no meaning"),
        ({"at_least": 0.5, "percentile": 95}, "goes with `at_most`"),
        ({"no_worse_than": "main", "margin": 0.1}, "`baseline` or `variant:NAME`, got 'main'"),
        ({"at_least": 0.5, "fail_when": "beyond_margin"}, "goes with `no_worse_than`"),
        ({"at_leest": 0.5}, "at_leest"),
    ],
)
def test_wrong_rules_say_what_is_wrong(rule: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        GateRule.model_validate(rule)


# --- on runs in a store


def test_sentinels_errors_and_thresholds_on_a_run(store: LocalStore) -> None:
    gate = [
        {"no_worse_than": "baseline", "margin": 0.2},
        {"no_new_failures": ["i0", "i1", "i59"]},
        {"max_error_rate": 0.01},
    ]
    good = run(store, recorded({"bot": passes(60, 50)}, gate=gate))
    set_baseline(store, good)
    assert decide_gate(store, good).outcome == "pass"
    answers: list[bool | None] = [*passes(60, 50)]
    answers[1], answers[55] = False, True
    result = decide_gate(store, run(store, recorded({"bot": answers}, gate=gate)))
    assert (result.outcome, result.exit_code) == ("fail", 1)
    sentinel = result.rules[1]
    assert sentinel.items == ("i1",)
    assert "1 of 2 sentinel items that passed before fail now: i1." in sentinel.because
    changes = {change.item: change.change for change in result.items}
    assert (changes["i1"], changes["i55"], changes["i3"]) == ("regressed", "improved", "same")
    answers[1] = True
    answers[2] = None  # the target has no answer: its trial fails
    result = decide_gate(store, run(store, recorded({"bot": answers}, gate=gate)))
    assert (result.outcome, result.exit_code) == ("infrastructure", 4)
    assert "1 of 60 trials failed" in result.headline
    json.dumps(result.to_dict(), allow_nan=False)


def test_a_silent_sentinel_decides_nothing(store: LocalStore) -> None:
    gate = [{"no_new_failures": ["i0"]}]
    set_baseline(store, run(store, recorded({"bot": passes(10, 10)}, gate=gate)))
    answers: list[bool | None] = [*passes(10, 10)]
    answers[0] = None
    assert decide_gate(store, run(store, recorded({"bot": answers}, gate=gate))).outcome == "inconclusive"


def test_a_sentinel_that_is_taken_out_or_rewritten_does_not_pass(store: LocalStore) -> None:
    gate = [{"no_new_failures": ["i0", "i1", "i9"]}]
    spec = recorded({"bot": passes(10, 9)}, gate=gate)  # i9 fails from the start
    set_baseline(store, run(store, spec))
    assert decide_gate(store, run(store, spec)).outcome == "pass"
    out = recorded({"bot": passes(10, 9)}, gate=gate)
    del out["dataset"]["rows"][1]
    result = decide_gate(store, run(store, out))
    assert result.outcome == "inconclusive"
    assert (
        "1 that passed before cannot be compared, since they were taken out or rewritten: i1" in result.rules[0].because
    )
    for index, outcome in ((0, "inconclusive"), (9, "pass"), (5, "pass")):  # i9 did not pass, i5 is no sentinel
        other = recorded({"bot": passes(10, 9)}, gate=gate)
        other["dataset"]["rows"][index]["q"] = "another question"
        assert decide_gate(store, run(store, other)).outcome == outcome, index


def test_a_sentinel_that_is_nowhere_is_a_mistake_and_a_new_one_is_not(store: LocalStore) -> None:
    gate = [{"no_new_failures": ["i0", "i9", "typo"]}]
    set_baseline(store, run(store, recorded({"bot": passes(9, 9)})))
    spec = recorded({"bot": passes(10, 10)}, gate=gate)
    with pytest.raises(SpecError, match=r"neither the run nor its baseline has: typo$"):
        decide_gate(store, run(store, spec))
    gate[0]["no_new_failures"].remove("typo")
    result = decide_gate(store, run(store, spec))
    assert result.outcome == "pass"
    assert result.rules[0].warnings == ("1 sentinel items are not in the baseline yet: i9",)


def test_sentinels_by_metadata(store: LocalStore) -> None:
    spec = recorded({"bot": passes(6, 6)}, gate=[{"no_new_failures": "must_pass"}])
    for index, row in enumerate(spec["dataset"]["rows"]):
        row["must_pass"] = index < 2
    spec["dataset"]["metadata"] = ["must_pass"]
    first = run(store, spec)
    set_baseline(store, first)
    assert "0 of 2 sentinel items" in decide_gate(store, first).rules[0].because
    spec["gate"] = [{"no_new_failures": "nothing"}]
    with pytest.raises(SpecError, match="it has no sentinels"):
        decide_gate(store, run(store, spec))


def test_variants_of_one_run(store: LocalStore) -> None:
    answers = {"old": passes(200, 120), "new": passes(200, 190)}
    gate = [{"better_than": "variant:old"}, {"at_least": 0.9, "variant": "new"}]
    result = decide_gate(store, run(store, recorded(answers, gate=gate)))
    assert [(rule.variant, rule.outcome) for rule in result.rules] == [("new", "pass"), ("new", "pass")]
    assert result.baseline == ""


def test_no_gate_no_baseline_no_metric(store: LocalStore) -> None:
    bare = run(store, recorded({"bot": passes(20, 10)}))
    with pytest.raises(SpecError, match="has no gate"):
        decide_gate(store, bare)
    with pytest.raises(SpecError, match=r"has no baseline 'main'\n    fix: .*baseline set"):
        decide_gate(store, bare, rules=[NI])
    with pytest.raises(SpecError, match="has no metric 'speed'; it has correct"):
        decide_gate(store, bare, rules=[GateRule(metric="speed", at_least=1)])
    with pytest.raises(SpecError, match="no variant 'cat'"):
        decide_gate(store, bare, rules=[GateRule(at_least=0.1, variant="cat")])


def test_another_name_is_compared_where_no_name_is_shared(store: LocalStore) -> None:
    set_baseline(store, run(store, recorded({"monday": passes(200, 180)})))
    result = decide_gate(store, run(store, recorded({"tuesday": passes(200, 180)})), rules=[NI])
    assert result.outcome == "pass"
    assert "tuesday is compared with monday" in result.notes[-1]


def test_a_run_that_chose_its_trials_is_not_gated(store: LocalStore) -> None:
    answers = {"old": passes(200, 100), "new": passes(200, 190)}
    rules = [{"better_than": "variant:old"}]
    adaptive = run(store, recorded(answers, gate=rules, allocation="sequential"))
    with pytest.raises(SpecError, match="a gate needs `allocation: fixed`, but this one is 'sequential'"):
        decide_gate(store, adaptive)
