"""A judge against people: every number from an independent reckoning, and labels in the shapes people send them."""

from __future__ import annotations

import contextlib
import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import bakeoff
from bakeoff.cli import main
from bakeoff.errors import SpecError
from bakeoff.experiments import HumanLabel, LocalStore, calibrate_judge, open_store, read_labels


def judged(folder: Path, *, n: int = 400, repeats: int = 1) -> tuple[LocalStore, str, dict[tuple[str, str], bool]]:
    """Run recorded answers through a 'judge' (numeric) that passes half of the wrong answers of `b` and none of `a`."""
    dice = random.Random(4)
    truth: dict[tuple[str, str], bool] = {}
    rows: list[dict[str, Any]] = []
    for k in range(n):
        row: dict[str, Any] = {"id": f"i{k}", "question": "?", "truth": "1"}
        for variant in ("a", "b"):
            right = dice.random() < 0.6
            lenient = variant == "b" and dice.random() < 0.5
            truth[f"i{k}", variant] = right
            row[variant] = "1" if right or lenient else "0"
        rows.append(row)
    folder.mkdir(exist_ok=True)
    (folder / "answers.py").write_text("def a(a, **_):\n    return a\n\n\ndef b(b, **_):\n    return b\n")
    spec = {
        "name": "judged",
        "dataset": {"rows": rows, "id": "id", "inputs": ["a", "b"], "expected": "truth"},
        "targets": {name: {"python": f"{folder / 'answers.py'}:{name}"} for name in ("a", "b")},
        "evaluators": [{"numeric": {"name": "judge"}}],
        "analysis": {"baseline": "a"},
        "repeats": repeats,
        "mlflow": False,
    }
    run = bakeoff.run(spec, store=folder / "store")
    return open_store(folder / "store"), run.run_id, truth


def labels_of(truth: dict[tuple[str, str], bool], n: int) -> list[HumanLabel]:
    return [
        HumanLabel(item_id=item, variant=variant, value="right" if right else "wrong")
        for (item, variant), right in truth.items()
        if int(item[1:]) < n
    ]


def test_a_judge_that_is_lenient_to_one_variant_is_found_out_and_corrected(tmp_path: Path) -> None:
    store, run_id, truth = judged(tmp_path)
    result = calibrate_judge(store, run_id, labels_of(truth, 150))
    assert result.metric == "judge"
    assert result.n_labelled == 300
    # The table by hand: the judge of the generator never fails a right answer.
    wrong = [key for key, right in truth.items() if int(key[0][1:]) < 150 and not right]
    assert result.confusion["pass"]["fail"] == 0
    assert sum(result.confusion["fail"].values()) == len(wrong)
    assert result.accuracy is not None
    assert result.accuracy.sensitivity.estimate == 1.0
    let_through = result.confusion["fail"]["pass"] / len(wrong)
    assert result.accuracy.specificity.estimate == pytest.approx(1 - let_through)
    assert result.bias.estimate == pytest.approx(result.confusion["fail"]["pass"] / 300)
    assert result.bias.low > 0
    # What people would say of all 400 answers is known here, and lies in the intervals; the judge's mean does not.
    for entry in result.variants:
        people = sum(right for (_, variant), right in truth.items() if variant == entry.variant) / 400
        assert entry.mean.low < people < entry.mean.high
        assert entry.mean.width_ratio < 1
    b = result.variants[1]
    assert not b.mean.low < b.mean.judge_mean < b.mean.high
    (gap,) = result.differences
    assert gap.difference.judge_difference > 0.1
    assert gap.label == "inconclusive"
    assert gap.difference.bias_p_value < 0.001
    said = " ".join(result.words)
    assert "lenient" in said
    assert "people would not clearly see a difference" in said
    assert "more labels" in said
    json.dumps(result.to_dict(), allow_nan=False)


def test_kappa_agrees_with_the_definition(tmp_path: Path) -> None:
    store, run_id, truth = judged(tmp_path, n=60)
    result = calibrate_judge(store, run_id, labels_of(truth, 60))
    table = result.confusion
    n = sum(sum(row.values()) for row in table.values())
    agree = sum(table[word][word] for word in table) / n
    by_chance = sum(sum(table[word].values()) * sum(row[word] for row in table.values()) for word in table) / n**2
    assert result.kappa.estimate == pytest.approx((agree - by_chance) / (1 - by_chance))
    assert result.kappa.low < result.kappa.estimate < result.kappa.high


def test_several_people_unclear_words_ties_and_strangers(tmp_path: Path) -> None:
    store, run_id, truth = judged(tmp_path, n=60)
    first = labels_of(truth, 60)
    labels = [
        HumanLabel(item_id=e.item_id, variant=e.variant, value=e.value, annotator=who)
        for who in ("ann", "bob")
        for e in first
    ]
    contrary = "wrong" if truth["i0", "a"] else "right"
    labels += [
        HumanLabel(item_id="i0", variant="a", value=contrary, annotator="bob"),
        HumanLabel(item_id="i1", variant="a", value="unclear", annotator="ann"),
        HumanLabel(item_id="i1", variant="a", value="unclear", annotator="bob"),
        HumanLabel(item_id="nobody", variant="a", value="right", annotator="bob", line=7),
    ]
    result = calibrate_judge(store, run_id, labels)
    assert result.n_labelled == 118
    assert result.n_people == 2
    assert result.people_alpha is not None
    assert 0.9 < result.people_alpha.estimate < 1
    said = " ".join(result.warnings)
    assert "divided evenly" in said
    assert "2 labels say that it is not clear" in said
    assert "line 7: item 'nobody'" in said


def test_repeats_are_clusters_and_must_be_named(tmp_path: Path) -> None:
    store, run_id, truth = judged(tmp_path, n=60, repeats=2)
    with pytest.raises(SpecError, match="2 repeats: the labels need a column 'repeat'"):
        calibrate_judge(store, run_id, labels_of(truth, 60))
    labels = [
        HumanLabel(item_id=e.item_id, variant=e.variant, value=e.value, repeat=r)
        for e in labels_of(truth, 60)
        for r in (0, 1)
    ]
    doubled = calibrate_judge(store, run_id, labels)
    single_store, single_id, _ = judged(tmp_path / "one", n=60)
    single = calibrate_judge(single_store, single_id, labels_of(truth, 60))
    # Twice the same answers say nothing new: the interval must not shrink by the square root of two.
    narrow = [c.high - c.low for c in (doubled.variants[1].mean, single.variants[1].mean)]
    assert narrow[0] > 0.85 * narrow[1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("item,variant,value\n1,a,right\n", "lack the column 'item_id'"),
        ("item_id,variant,value,repeat\n1,a,right,one\n", "line 2: repeat must be a whole number"),
        ("", "found none"),
    ],
)
def test_a_file_that_is_not_labels_says_what_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(text)
    with pytest.raises(SpecError, match=message):
        read_labels(path)


def test_unknown_words_and_metrics_say_the_way_out(tmp_path: Path) -> None:
    store, run_id, truth = judged(tmp_path, n=10)
    odd = [HumanLabel(item_id="i0", variant="a", value="lovely")]
    with pytest.raises(SpecError, match="'lovely' is neither; name the words that mean pass"):
        calibrate_judge(store, run_id, odd)
    assert calibrate_judge(store, run_id, odd, passing=["lovely"]).n_labelled == 1
    with pytest.raises(SpecError, match="there is no metric 'nope'; this run has 'judge'"):
        calibrate_judge(store, run_id, labels_of(truth, 5), metric="nope")
    with pytest.raises(SpecError, match="no label belongs to an answer"):
        calibrate_judge(store, run_id, [HumanLabel(item_id="x", variant="a", value="right")])


def test_the_command_reads_csv_and_the_dashboards_labels_alike(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from bakeoff.app._labels import LabelStore

    store, run_id, truth = judged(tmp_path, n=40)
    kept = LabelStore(store.paths.control)
    queue = kept.create_queue(store, run_id, name="q", question="Right?", choices=["right", "wrong", "unclear"], n=60)
    lines = ["\ufeffitem_id;variant;value;annotator;note"]
    while task := kept.next_task(queue, "ann"):
        value = "right" if truth[task.item_id, task.variant] else "wrong"
        kept.add(queue, task, "ann", value)
        lines.append(f"{task.item_id};{task.variant};{value};ann;x")
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    printed: list[dict[str, Any]] = []
    sources: tuple[list[str], ...] = ([], ["--labels", str(tmp_path / "labels.csv")])
    for source in sources:
        with pytest.raises(SystemExit) as caught:
            main(["calibrate", run_id, "--store", str(store.paths.root), *source, "--within", "0.1", "--json"])
        assert caught.value.code == 0
        printed.append(json.loads(capsys.readouterr().out))
    assert printed[0] == printed[1]
    assert printed[0]["n_labelled"] == 60
    assert printed[0]["half_width"] == 0.1
    with pytest.raises(SystemExit):
        main(["calibrate", run_id, "--store", str(store.paths.root)])
    assert "people (rows) and judge (columns)" in capsys.readouterr().out


def test_marks_are_corrected_by_the_mean_residual_where_all_is_labelled(tmp_path: Path) -> None:
    rows = [{"id": f"i{k}", "question": "?", "a": "x" * (10 + k % 5)} for k in range(40)]
    spec = {
        "name": "marks",
        "dataset": {"rows": rows, "id": "id", "inputs": ["question"]},
        "targets": {"a": {"recorded": "a"}},
        "evaluators": [{"length": {"name": "mark", "unit_of": "characters"}}],
        "mlflow": False,
    }
    run_id = bakeoff.run(spec, store=tmp_path / "store").run_id
    people = {k: 9 + k % 5 + (k % 7 == 0) for k in range(40)}
    labels = [HumanLabel(item_id=f"i{k}", variant="a", value=str(mark)) for k, mark in people.items()]
    result = calibrate_judge(open_store(tmp_path / "store"), run_id, labels)
    assert result.scale == "marks"
    assert result.accuracy is None
    assert result.bias.estimate == pytest.approx(sum(10 + k % 5 - people[k] for k in range(40)) / 40)
    # With a label on every answer the corrected mean is the people's mean.
    assert result.variants[0].mean.estimate == pytest.approx(sum(people.values()) / 40)
    with pytest.raises(SpecError, match="the label 'good' is none"):
        calibrate_judge(open_store(tmp_path / "store"), run_id, [HumanLabel(item_id="i0", variant="a", value="good")])


def test_words_are_compared_but_have_no_mean(tmp_path: Path) -> None:
    rows = [{"id": f"i{k}", "question": "?", "a": "Guten Tag, wie geht es dir heute?"} for k in range(6)]
    spec = {
        "name": "words",
        "dataset": {"rows": rows, "id": "id", "inputs": ["question"]},
        "targets": {"a": {"recorded": "a"}},
        "evaluators": [{"language": {"name": "tongue"}}],
        "mlflow": False,
    }
    run_id = bakeoff.run(spec, store=tmp_path / "store").run_id
    labels = [HumanLabel(item_id=f"i{k}", variant="a", value="DE" if k else "en") for k in range(6)]
    result = calibrate_judge(open_store(tmp_path / "store"), run_id, labels)
    assert result.scale == "words"
    assert result.confusion == {"de": {"de": 5, "en": 0}, "en": {"de": 1, "en": 0}}
    assert result.variants == result.differences == ()


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(head=st.sampled_from(["", "item_id,variant,value\n", "item_id;variant;value;repeat\n"]), body=st.text())
def test_any_file_is_labels_or_refused_in_plain_words(tmp_path: Path, head: str, body: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_bytes((head + body).encode("utf-8", "surrogatepass"))
    with contextlib.suppress(SpecError):
        for label in read_labels(path):
            assert isinstance(label.value, str)
    path.write_text(head + "x" * 200_000)
    with contextlib.suppress(SpecError):
        read_labels(path)


def test_four_labels_do_not_make_a_bias_beyond_what_rates_can_differ_by(tmp_path: Path) -> None:
    store, run_id, truth = judged(tmp_path, n=40)
    wrong = {key: not right for key, right in list(truth.items())[:2]}
    bias = calibrate_judge(store, run_id, labels_of({**truth, **wrong}, 2)).bias
    assert -1 <= bias.low <= bias.estimate <= bias.high <= 1
    assert bias.high - bias.low > 1, "two items say next to nothing"


def bounded(folder: Path) -> tuple[LocalStore, str]:
    """Give a run with scores from 0 to 1: half of the answers are right, half have one wrong letter of two."""
    rows = [{"id": f"i{k}", "question": "?", "truth": "ab", "a": "ab" if k % 2 else "ax"} for k in range(20)]
    spec = {
        "name": "bounded",
        "dataset": {"rows": rows, "id": "id", "inputs": ["question"], "expected": "truth"},
        "targets": {"a": {"recorded": "a"}},
        "evaluators": [{"levenshtein": {"name": "close"}}],
        "mlflow": False,
    }
    return open_store(folder / "store"), bakeoff.run(spec, store=folder / "store").run_id


def test_marks_on_a_scale_of_peoples_own_are_stretched_or_refused(tmp_path: Path) -> None:
    """Marks from 1 to 5 beside scores from 0 to 1 would make every judge look strict by several points."""
    store, run_id = bounded(tmp_path)
    labels = [HumanLabel(item_id=f"i{k}", variant="a", value=str(5 if k % 2 else 3)) for k in range(20)]
    with pytest.raises(SpecError, match=r"from 0 to 1, and the label '[35]' is none of them\n.*--scale 1-5"):
        calibrate_judge(store, run_id, labels)
    result = calibrate_judge(store, run_id, labels, scale=(1, 5))
    assert result.alpha.estimate == 1.0  # 3 of 1-5 is 0.5, as is one letter of two
    assert result.variants[0].mean.estimate == pytest.approx(0.75)
    with pytest.raises(SpecError, match="not on the scale from 1 to 4"):
        calibrate_judge(store, run_id, labels, scale=(1, 4))


def test_what_cannot_be_seen_is_said_in_plain_words(tmp_path: Path) -> None:
    store, run_id, _ = judged(tmp_path, n=40)
    rows = store.scores(run_id, ["item_id", "variant", "value"]).to_pylist()

    def said(value: object, n: int, *people: str) -> list[HumanLabel]:
        return [
            HumanLabel(item_id=row["item_id"], variant=row["variant"], annotator=person,
                       value=str(value(row["value"], person) if callable(value) else value))
            for row in rows[:n] for person in people or ("ann",)
        ]  # fmt: skip

    agreeing = calibrate_judge(store, run_id, said(lambda mark, _: "yes" if mark else "no", 40)).words
    # Wilson's upper bound for 0 errors in 40, from statsmodels.stats.proportion.proportion_confint(0, 40): 8.76%.
    assert agreeing[0] == "Judge and people agree on all 40 labelled answers; it could still be wrong on up to 9%."
    assert (
        "right way round" in calibrate_judge(store, run_id, said(lambda mark, _: "no" if mark else "yes", 40)).words[0]
    )
    assert "people fail none of the labelled answers" in calibrate_judge(store, run_id, said("yes", 40)).words[1]
    with pytest.raises(SpecError, match="evenly divided on all 10 labelled answers"):
        calibrate_judge(store, run_id, said(lambda _, who: "yes" if who == "ann" else "no", 10, "ann", "bob"))
    with pytest.raises(SpecError, match="all 5 labels are empty or say that it is not clear"):
        calibrate_judge(store, run_id, said("unclear", 5))
    with pytest.raises(SpecError, match="there is no label"):
        calibrate_judge(store, run_id, [])
