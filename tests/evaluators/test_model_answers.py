"""Answers as models write them, against the verdict of a careful reader."""

from __future__ import annotations

from typing import Any

import pytest

from bakeoff.evaluators import EvaluatorContext, Score, load_evaluator, score_sync


def judge(spec: Any, output: Any, expected: Any = None, **parts: Any) -> Score:
    return score_sync([load_evaluator(spec)], EvaluatorContext(output=output, expected=expected, **parts))[0]


REFUSALS = [
    "I won't be able to help with that.",
    "I respectfully decline.",
    "I'd rather not answer that.",
    "I'm not comfortable with that request.",
    "It is against OpenAI's use case policy to provide this.",
    "I don't think I can help with that.",
    "I can't in good conscience help with this.",
    "I cannot and will not provide this.",
    "Sorry, that's not something I can help with.",
    "I'm going to have to decline this request.",
    "I'm not going to help with that.",
    "I can't tell you how to do that.",
    '{"answer": "I\'m sorry, but I can\'t help with that."}',
    "Es tut mir leid, aber ich kann dir dabei nicht helfen.",
    "Tut mir leid, das kann ich nicht tun.",
    "No puedo ayudarte con eso.",
    "Desculpe, mas não posso ajudar com isso.",
    "Mi dispiace, ma non posso aiutarti.",
    "申し訳ありませんが、そのご要望にはお応えできません。",
    "抱歉，我无法帮助您。",
    "죄송하지만 도와드릴 수 없습니다.",
    "Извините, я не могу помочь с этим.",
    "Het spijt me, maar ik kan je daar niet mee helpen.",
]
ANSWERS = [
    'She said: "I can\'t do that to him." Then she left.',
    "Here's a sample email: 'I'm sorry, but I can't attend the meeting.'",
    "I can't give you a precise number, but roughly 40.",
    "I can't complete your booking without your e-mail; please send it.",
    "I cannot recommend this book enough!",
    "Je ne peux pas imaginer mieux: voici la recette.",
    "I'm sorry for your loss. Let me help you write the letter.",
    "I can't help but smile; here's the poem.",
    "Your plan violates our data retention policy, so change step 2.",
    "I won't give you the whole list, but here are three:",
    "I'm not going to lie, this is tricky. First,",
    "Ich kann nicht glauben, wie schön das ist.",
    "我不能同意更多，这是个好主意。",
    "I refuse to believe that was an accident, said Tom.",
    "Lo siento mucho por tu pérdida. Aquí tienes una carta.",
]


@pytest.mark.parametrize("text", REFUSALS)
def test_refusals_are_seen(text: str) -> None:
    assert judge("refusal", text).value is False


@pytest.mark.parametrize("text", ANSWERS)
def test_answers_that_sound_sorry_are_no_refusals(text: str) -> None:
    assert judge("refusal", text).value is True


@pytest.mark.parametrize(
    "output",
    [
        "– red\n– blue", "+ red\n+ blue", "- **red**\n- **blue**", "- [x] red\n- [ ] blue", "a) red\nb) blue",
        "(a) red\n(b) blue", "- red,\n- blue.", "red, and blue", '"red", `blue`.', "red， blue", "red、blue",
        'Here:\n- [1] is a note\n```json\n["red", "blue"]\n```',
    ],
)  # fmt: skip
def test_lists_are_read_whatever_stands_around_their_entries(output: str) -> None:
    assert judge("list_overlap", output, ["red", "blue"]).value == 1.0


def test_numbers_in_lists_are_equal_as_numbers() -> None:
    assert judge("list_overlap", "[1, 2.0]", [1, 2]).value == 1.0


@pytest.mark.parametrize(
    ("output", "expected", "options", "value"),
    [
        ("[1, 2, 4]", [0, 1, 2, 4], {"ordered": False}, 0.75),
        ("[3, 1, 2, 9]", [1, 2, 3], {"ordered": False}, 0.75),
        ('[{"i": 1, "v": 7}, {"i": 2, "v": "y"}]', [{"i": 2, "v": "y"}, {"i": 1, "v": "z"}], {"ordered": False}, 0.75),
        ("[[2, 1], [3]]", [[3], [1, 2]], {"ordered": False}, 1.0),
        ("[1.05, 2]", [2, 1], {"ordered": False, "tolerance": 0.1}, 1.0),
        ("[1, 1]", [1], {"ordered": False}, 0.5),
        ('{"a.b": 1}', {"a": {"b": 1}}, {}, 0.0),
        ('{"0": 1}', {"0": 1}, {"fields": ["0"]}, 1.0),
        ('{"a.b": 1, "c": 2}', {"a.b": 1, "c": 3}, {"fields": ["a.b"]}, 1.0),
        ('{"x": [{"i": 1, "t": 5}, {"t": 6}]}', {"x": [{"i": 1, "t": 9}, {"t": 9}]}, {"ignore": ["x.*.t"]}, 1.0),
        ('{"ab": 1, "abc": 2}', {"ab": 1, "abc": 3}, {"fields": ["ab"]}, 1.0),
    ],
)  # fmt: skip
def test_json_match_counts_the_leaves_that_a_reader_would(
    output: str, expected: Any, options: dict[str, Any], value: float
) -> None:
    assert judge({"json_match": options}, output, expected).value == value


@pytest.mark.parametrize(
    ("spec", "output", "expected", "value"),
    [
        ({"json_valid": {"extract": True, "type": "object"}}, 'See [1] for details: {"a": 1}', None, True),
        ({"json_valid": {"extract": True, "type": "array"}}, "It is [7].", None, True),
        ("exact_match", '{"b":2,"a":1}', {"a": 1, "b": 2}, True),
        ("exact_match", '{"b":2,"a":true}', {"a": 1, "b": 2}, False),
        ({"contains": {"all": ["保证"], "whole_words": True}}, "我保证", None, True),
        ({"label_match": ["positive", "negative"]}, "hardly positive", "positive", False),
        ({"label_match": ["positive", "negative"]}, "It cannot be called positive", "positive", False),
        ({"label_match": ["positive", "negative"]}, "not at all positive", "positive", False),
        ({"label_match": ["positive", "negative"]}, "No doubt: positive", "positive", True),
        ("yaml_valid", "---\na: 1\n---\nb: 2", None, True),
        ("yaml_valid", "---\na: 1\n---\nhello", None, False),
        ({"csv_valid": {"columns": ["a", "b"]}}, "\ufeffa,b\n1,2", None, True),
        ("xml_valid", '<?xml version="1.0" encoding="UTF-16"?><a>é</a>', None, True),
        ("url_valid", "https://example.org./a", None, True),
        ("email_valid", "ada@münchen.de", None, True),
        ("email_valid", "用户@例子.公司", None, True),
        ("email_valid", "ada@1.2.3.4", None, False),
        ("email_valid", "ada@localhost", None, False),
        ({"length": "words"}, "नमस्ते दुनिया", None, 2),
        ({"length": "words"}, "1,000 people in 1,2,3", None, 6),
        ({"length": "sentences"}, "Dr. Ito met Mr. Sato, e.g. here. Then left.", None, 2),
        ({"length": "paragraphs"}, "a\n \nb", None, 2),
        ({"language": None}, "Vielen Dank für Ihre Hilfe.", None, "de"),
        ({"language": None}, "Merci beaucoup pour votre aide.", None, "fr"),
        ({"language": None}, "https://example.org/the/and/of", None, None),
        (
            {"sql_valid": {"allow": ["select"], "dialect": "postgres"}},
            "WITH d AS (DELETE FROM t RETURNING *) SELECT * FROM d",
            None,
            False,
        ),
        ({"sql_valid": {"allow": ["select"], "dialect": "tsql"}}, "SELECT * INTO x FROM t", None, False),
        ("sql_equivalent", "SELECT a FROM t ORDER BY a ASC", "SELECT a FROM t ORDER BY a", True),
        ("sql_equivalent", "SELECT a FROM t ORDER BY a DESC", "SELECT a FROM t ORDER BY a", False),
        ("sql_equivalent", "SELECT a FROM t JOIN u ON t.i = u.i", "SELECT a FROM t INNER JOIN u ON u.i = t.i", True),
        ("sql_equivalent", "SELECT a FROM t LEFT JOIN u ON t.i = u.i", "SELECT a FROM t JOIN u ON u.i = t.i", False),
        ("sql_equivalent", "SELECT a FROM t WHERE x IN (1, 2)", "SELECT a FROM t WHERE x IN (2, 1)", True),
    ],
)  # fmt: skip
def test_the_verdict_is_that_of_a_careful_reader(spec: Any, output: Any, expected: Any, value: Any) -> None:
    assert judge(spec, output, expected).value == value


@pytest.mark.parametrize(("output", "expected"), [("cat", "dog"), ("a", ""), ("", "b")])
def test_rouge_2_of_texts_without_pairs_is_no_agreement(output: str, expected: str) -> None:
    assert judge({"rouge": {"n": "2"}}, output, expected).value == 0.0  # rouge-score 0.1.2: 0.0


@pytest.mark.parametrize(
    ("found", "relevant", "k", "value"),
    # `map_cut_k` of trec_eval, as pytrec_eval-terrier 0.5.11 computes it
    [
        (["a", "x", "b"], ["a", "b"], 1, 0.5),
        (["a", "x", "b"], ["a", "b"], 3, 0.8333333),
        (["a"], ["a", "b", "c"], 10, 0.3333333),
    ],
)  # fmt: skip
def test_average_precision_at_k_is_that_of_trec_eval(
    found: list[str], relevant: list[str], k: int, value: float
) -> None:
    assert judge({"average_precision": k}, found, relevant).value == pytest.approx(value, abs=1e-6)
