"""Text and retrieval metrics against their reference implementations."""

from __future__ import annotations

import re
import string
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bakeoff.evaluators import EvaluatorContext, load_evaluator, score_sync

words = st.lists(
    st.sampled_from(["the", "a", "cat", "Cat", "dog", "sat.", "on", "mat", "42", "it's", "x-y"]), max_size=12
)
sentences = words.map(" ".join)
raw = st.text(alphabet="abcde ", max_size=20)


def value(spec: object, output: object, expected: object) -> float:
    score = score_sync([load_evaluator(spec)], EvaluatorContext(output=output, expected=expected))[0]
    assert isinstance(score.value, (int, float)), score
    return score.value


def edit_distance(left: str, right: str) -> int:
    """Wagner and Fischer 1974, written from the recurrence."""
    row = list(range(len(right) + 1))
    for i, one in enumerate(left, 1):
        row, before = [i], row
        for j, other in enumerate(right, 1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (one != other)))
    return row[-1]


def common_subsequence(left: list[str], right: list[str]) -> int:
    row = [0] * (len(right) + 1)
    for one in left:
        before, row = row, [0]
        for j, other in enumerate(right, 1):
            row.append(before[j - 1] + 1 if one == other else max(row[-1], before[j]))
    return row[-1]


@given(left=raw, right=raw)
@settings(max_examples=60, deadline=None)
def test_levenshtein_is_one_minus_edits_over_the_longer_length(left: str, right: str) -> None:
    longer = max(len(left), len(right))
    expected = 1 - edit_distance(left, right) / longer if longer else 1.0
    assert value({"levenshtein": {"normalise": []}}, left, right) == pytest.approx(expected)


def squad_f1(prediction: str, truth: str) -> float:
    """The formula of the SQuAD 1.1 evaluation script, from its paper; two empty answers agree as in version 2.0."""

    def tokens(text: str) -> list[str]:
        text = "".join(char for char in text.lower() if char not in string.punctuation)
        return re.sub(r"\b(a|an|the)\b", " ", text).split()

    given, wanted = tokens(prediction), tokens(truth)
    if not given or not wanted:
        return float(given == wanted)
    common = sum((Counter(given) & Counter(wanted)).values())
    if not common:
        return 0.0
    precision, recall = common / len(given), common / len(wanted)
    return 2 * precision * recall / (precision + recall)


@given(left=sentences, right=sentences)
@settings(max_examples=60, deadline=None)
def test_token_f1_is_that_of_squad(left: str, right: str) -> None:
    assert value("token_f1", left, right) == pytest.approx(squad_f1(left, right))


def rouge(left: str, right: str, n: str) -> float:
    """Lin 2004: F1 of n-grams, or of the longest common subsequence; tokens as rouge-score makes them."""
    given, wanted = (re.findall(r"[a-z0-9]+", text.lower()) for text in (left, right))
    if n == "L":
        common, of_given, of_wanted = common_subsequence(given, wanted), len(given), len(wanted)
    else:
        size = int(n)
        grams = [Counter(tuple(one[i : i + size]) for i in range(len(one) - size + 1)) for one in (given, wanted)]
        common = sum(min(count, grams[1][gram]) for gram, count in grams[0].items())
        of_given, of_wanted = (sum(one.values()) for one in grams)
    if not of_given and not of_wanted:  # rouge-score gives 0.0, also for equal texts; here equal texts always give 1
        return float(given == wanted)
    return 2 * common / (of_given + of_wanted)


@pytest.mark.parametrize("n", ["1", "2", "L"])
@given(left=sentences, right=sentences)
@settings(max_examples=40, deadline=None)
def test_rouge_follows_lin_2004(n: str, left: str, right: str) -> None:
    assert value({"rouge": {"n": n}}, left, right) == pytest.approx(rouge(left, right, n))


@given(left=sentences, right=sentences.filter(bool), other=sentences.filter(bool))
@settings(max_examples=40, deadline=None)
def test_bleu_and_chrf_are_those_of_sacrebleu(left: str, right: str, other: str) -> None:
    import sacrebleu

    references = [right, other]
    assert value("bleu", left, references) == pytest.approx(sacrebleu.sentence_bleu(left, references).score / 100)
    assert value("chrf", left, references) == pytest.approx(sacrebleu.sentence_chrf(left, references).score / 100)
    assert value({"chrf": {"word_order": 2}}, left, right) == pytest.approx(
        sacrebleu.sentence_chrf(left, [right], word_order=2).score / 100
    )


@given(left=raw, right=raw)
@settings(max_examples=40, deadline=None)
def test_ngram_similarity_is_the_cosine_of_counts(left: str, right: str) -> None:
    import numpy as np

    spec = {"ngram_similarity": {"n": 2, "normalise": []}}
    grams = [Counter(text[i : i + 2] for i in range(len(text) - 1)) for text in (left, right)]
    if min(len(left), len(right)) >= 2:
        keys = sorted(set(grams[0]) | set(grams[1]))
        a, b = (np.array([one[key] for key in keys], float) for one in grams)
        assert value(spec, left, right) == pytest.approx(float(a @ b / np.linalg.norm(a) / np.linalg.norm(b)))


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    # Winkler 1990, table of examples, as reprinted by Christen 2012
    [("MARTHA", "MARHTA", 0.9611), ("DWAYNE", "DUANE", 0.84), ("DIXON", "DICKSONX", 0.8133)],
)
def test_jaro_winkler_gives_the_published_examples(left: str, right: str, expected: float) -> None:
    assert value("jaro_winkler", left, right) == pytest.approx(expected, abs=5e-5)


@given(grades=st.lists(st.integers(0, 4), min_size=2, max_size=8).filter(any), data=st.data())
@settings(max_examples=40, deadline=None)
def test_ndcg_is_that_of_sklearn(grades: list[int], data: st.DataObject) -> None:
    from sklearn.metrics import ndcg_score

    order = data.draw(st.permutations(range(len(grades))))
    k = data.draw(st.integers(1, len(grades)))
    scores = [0.0] * len(grades)
    for position, one in enumerate(order):
        scores[one] = -float(position)
    found = [str(one) for one in order]
    relevant = {str(index): grade for index, grade in enumerate(grades)}
    assert value({"ndcg": k}, found, relevant) == pytest.approx(ndcg_score([grades], [scores], k=k))


@given(relevant=st.sets(st.integers(0, 7), min_size=1), order=st.permutations(range(8)))
@settings(max_examples=40, deadline=None)
def test_average_precision_is_that_of_sklearn(relevant: set[int], order: list[int]) -> None:
    from sklearn.metrics import average_precision_score

    truth = [int(one in relevant) for one in order]
    expected = average_precision_score(truth, [-position for position in range(8)])
    assert value("average_precision", order, sorted(relevant)) == pytest.approx(expected)


def test_of_several_references_the_nearest_counts() -> None:
    assert value("levenshtein", "cat", ["dog", "cat"]) == 1
    assert value("token_f1", "cat", ["dog", "cat"]) == 1


def test_too_long_texts_are_missing_rather_than_endless() -> None:
    score = score_sync([load_evaluator("levenshtein")], EvaluatorContext(output="a" * 200_000, expected="b"))[0]
    assert score.value is None
    assert "200000 characters" in str(score.error)
