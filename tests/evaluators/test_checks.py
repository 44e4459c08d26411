"""What each check passes and fails, case by case."""

from __future__ import annotations

import sqlite3
import time

import pytest

from bakeoff.evaluators import EvaluatorContext, Score, load_evaluator, score_sync
from bakeoff.gateway import Usage


def judge(spec: object, output: object = "", expected: object = None, **trial: object) -> Score:
    scores = score_sync([load_evaluator(spec)], EvaluatorContext(output=output, expected=expected, **trial))
    assert len(scores) == 1
    return scores[0]


# spec, output, expected, value
TABLE = [
    # exact_match
    ("exact_match", " Paris\n", "Paris", True),
    ("exact_match", "paris", "Paris", False),
    ({"exact_match": {"normalise": []}}, "Paris\n", "Paris", False),
    ({"exact_match": {"normalise": ["casefold", "strip"]}}, "STRASSE", "straße", True),
    ({"exact_match": {"normalise": ["unicode"]}}, "①", "1", True),
    ({"exact_match": {"normalise": ["accents"]}}, "café", "cafe", True),
    ("exact_match", "b", ["a", "b"], True),
    ("exact_match", {"a": 1}, {"a": 1.0}, True),
    ("exact_match", [1], [True], False),
    ("exact_match", "18", 18, True),
    ({"exact_match": {"output_path": "a.1"}}, '{"a": [1, "x"]}', "x", True),
    ({"exact_match": {"expected_path": "answer"}}, "x", {"answer": "x"}, True),
    ({"exact_match": "yes"}, "yes", None, True),
    # contains
    ("contains", "the answer is Paris.", "Paris", True),
    ("contains", "the answer", "", None),
    ({"contains": {"all": ["a", "b"]}}, "b a", None, True),
    ({"contains": {"all": ["a", "b"]}}, "a", None, False),
    ({"contains": {"any": ["x", "a"]}}, "a", None, True),
    ({"contains": {"any": ["x", "y"]}}, "a", None, False),
    ({"contains": {"none": ["x"]}}, "a", None, True),
    ({"contains": {"any": "cat", "whole_words": True}}, "concatenate", None, False),
    ({"contains": {"any": "cat", "whole_words": True}}, "concatenate the cat", None, True),
    ({"contains": {"any": "CAT", "normalise": ["casefold"]}}, "a cat", None, True),
    ({"starts_with": "Yes"}, " Yes, sir", None, True),
    ({"ends_with": ["!", "?"]}, "No.", None, False),
    # regex
    ({"regex": r"^\d{3}$"}, "123", None, True),
    ({"regex": {"pattern": r"\d+", "mode": "full"}}, "12a", None, False),
    ({"regex": {"pattern": "^b", "multiline": True}}, "a\nb", None, True),
    ({"regex": {"pattern": "A", "ignore_case": True}}, "a", None, True),
    # numeric
    ("numeric", "so 1,018 apples", "1018", True),
    ("numeric", "so 1,018.0", 1018, True),
    ("numeric", "no idea", 3, False),
    ("numeric", "3", "no number here", None),
    ("numeric", "3", None, None),
    ("numeric", "16-3", 3, True),
    ("numeric", "it is -3", -3, True),
    ("numeric", "it is \u22123", -3, True),
    ("numeric", "x2 and GPT-4", 4, True),
    ("numeric", "The balance is -$1,250.50.", -1250.5, True),
    ("numeric", "pay $5", 5, True),
    ("numeric", "from 3-5", 5, True),
    ("numeric", r"\boxed{42}", 42, True),
    ("numeric", "1e3", 1000, True),
    ("numeric", ".5", 0.5, True),
    ("numeric", 18, "18", True),
    ("numeric", "9" * 1000, 1, False),
    ("numeric", "true", True, None),
    ({"numeric": {"tolerance": 0.1}}, "1.1", 1.0, True),  # 1.1 - 1.0 > 0.1 in binary floating point
    ({"numeric": {"tolerance": 0.1}}, "1.11", 1.0, False),
    ({"numeric": {"relative_tolerance": 0.01}}, "101", 100, True),
    ({"numeric": {"relative_tolerance": 0.01}}, "102", 100, False),
    ({"numeric": {"pick": "first"}}, "5 of 9", 5, True),
    ({"numeric": {"pick": "only"}}, "5 of 9", 9, False),
    ({"numeric": {"pick": "only"}}, "9.0 is 9", 9, True),
    ({"numeric": {"decimal_mark": ","}}, "1.234,5", 1234.5, True),
    ({"numeric": {"percent": True}}, "about 12%", 0.12, True),
    ({"numeric": {"units": {"m": 1, "km": 1000}}}, "1.5 km", 1500, True),
    ({"numeric": {"units": {"m": 1, "km": 1000}}}, "1500 m", "1.5 km", True),
    ({"numeric": {"units": {"m": 1}, "unit_required": True}}, "1500 meters", 1500, False),
    ({"numeric": {"pattern": r"A:\s*(-?[\d,.]+)"}}, "A: 3\nA: 4. So 5", 4, True),
    ({"numeric": {"pattern": r"A:\s*(-?[\d,.]+)"}}, "4", 4, False),
    ({"numeric": {"pattern": r"A: (\S+)", "expected_pattern": r"#### (\S+)"}}, "A: 4", "2+2 #### 4 ok 7", True),
    # date
    ("date", "3 March 2024", "2024-03-03", True),
    ("date", "03/04/2024", "2024-03-04", True),
    ({"date": {"day_first": True}}, "03/04/2024", "2024-04-03", True),
    ({"date": {"tolerance_days": 1}}, "March 2nd, 2024", "2024-03-03", True),
    ("date", "2024-02-30", "2024-03-01", False),
    ("date", "soon", "2024-03-01", False),
    ("date", "2024-03-01", "soon", None),
    # labels
    ({"one_of": ["yes", "no"]}, "Yes", None, True),
    ({"label_match": ["yes", "no"]}, "The answer is **Yes**.", "yes", True),
    ({"label_match": ["yes", "no"]}, "yes or no", "yes", False),
    ({"label_match": {"labels": ["yes", "no"], "pick": "last"}}, "yes ... no", "no", True),
    ({"label_match": {"labels": ["yes", "no"], "pick": "first"}}, "yes ... no", "yes", True),
    ({"label_match": ["positive", "not positive"]}, "it is not positive", "not positive", True),
    ({"label_match": ["spam", "ham"]}, "hamster", "ham", False),
    ({"label_match": ["spam", "ham"]}, "spam", "eggs", None),
    ({"label_match": ["spam", "ham"]}, "This is not spam.", "spam", False),
    ({"label_match": ["spam", "ham"]}, "This isn't spam, it is ham.", "ham", True),
    ({"label_match": ["spam", "ham"]}, "It is **spam**, no doubt", "spam", True),
    ("label_match", "Spam ", "spam", True),
    ("label_match", "no spam", "spam", False),
    # sets
    ({"list_overlap": "precision"}, '["a", "b", "c", "d"]', ["a", "b"], 0.5),
    ({"list_overlap": "recall"}, "a, b", ["a", "b", "c", "d"], 0.5),
    ({"list_overlap": "jaccard"}, "1. a\n2. b", ["b", "c"], pytest.approx(1 / 3)),
    ("list_overlap", [], [], 1.0),
    ("list_overlap", "", ["a"], 0.0),
    ("list_overlap", ["a", "a"], ["a"], 1.0),
    ({"list_overlap": {"duplicates": True}}, ["a", "a"], ["a"], pytest.approx(2 / 3)),
    # JSON
    ("json_valid", '{"a": NaN}', None, False),
    ("json_valid", '```json\n{"a": 1}\n```', None, False),
    ({"json_valid": {"extract": True}}, 'Here: ```json\n{"a": 1}\n```', None, True),
    ({"json_valid": {"type": "object"}}, "[1]", None, False),
    ("json_valid", {"a": 1}, None, True),
    ("json_valid", "[" * 100_000, None, False),
    ({"json_schema": {"schema": {"type": "object", "required": ["a"]}}}, '{"a": 1}', None, True),
    ({"json_schema": {"schema": {"$ref": "https://example.org/x"}}}, "{}", None, None),
    ("json_match", '{"a": 1, "b": [1, 2]}', {"a": 1, "b": [1, 2]}, 1.0),
    ("json_match", '{"a": 1}', {"a": 1, "b": 2}, 0.5),
    ("json_match", '{"a": 1, "c": 2}', {"a": 1}, 0.5),
    ({"json_match": {"extra": "allow"}}, '{"a": 1, "c": 2}', {"a": 1}, 1.0),
    ({"json_match": {"fields": ["a"]}}, '{"a": 1, "c": 2}', {"a": 1, "c": 3}, 1.0),
    ({"json_match": {"ignore": ["c"]}}, '{"a": 1, "c": {"d": 2}}', {"a": 1, "c": 3}, 1.0),
    ({"json_match": {"ordered": False}}, "[2, 1]", [1, 2], 1.0),
    ({"json_match": {"tolerance": 0.1}}, "1.05", 1, 1.0),
    ({"json_match": {"all": True}}, '{"a": 1}', {"a": 2}, False),
    ("json_match", "nothing", {"a": 2}, 0.0),
    ("json_match", "true", 1, 0.0),
    # formats
    ("xml_valid", "<a x='1'><b/></a>", None, True),
    ("xml_valid", "<a>&nbsp;</a>", None, False),
    ("xml_valid", '<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>', None, False),
    ({"xml_valid": {"root": "b"}}, "<a/>", None, False),
    ("yaml_valid", "a: 1\nb: [2]", None, True),
    ("yaml_valid", "a: b: c", None, False),
    ("yaml_valid", "!!python/object/apply:os.system ['true']", None, False),
    ({"yaml_valid": {"type": "list"}}, "a: 1", None, False),
    ("csv_valid", 'a,b\n"x, y",2', None, True),
    ("csv_valid", 'a,b\n"x', None, False),
    ("csv_valid", "just text", None, False),
    ({"csv_valid": {"columns": ["a", "b"]}}, "a,c\n1,2", None, False),
    ("html_valid", "<p>one<p>two<br><img src=x>", None, True),
    ("html_valid", "<div><span></div>", None, False),
    ("html_valid", "no markup", None, False),
    ("html_valid", "<p>a < b & c", None, True),
    ("html_valid", "<p>one</p><!-- never closed", None, False),
    ("html_valid", "<p>one</p", None, False),
    ("html_valid", "<!DOCTYPE html><html><body><p>x</body></html>", None, True),
    ("html_valid", "<script>if (a < b) { c('</p>'); }</script>", None, True),
    ("yaml_valid", "a: " + "[" * 300 + "]" * 300, None, False),
    ("url_valid", "https://example.org:8443/a?b=c#d", None, True),
    ("url_valid", "http://münchen.de/", None, True),
    ("url_valid", "http://192.168.0.1/x", None, True),
    ("url_valid", "javascript:alert(1)", None, False),
    ("url_valid", "https://exa mple.org", None, False),
    ("url_valid", "https://example", None, False),
    ("url_valid", "http://[::1", None, False),
    ("email_valid", "ada.lovelace+x@mail.example.co.uk", None, True),
    ("email_valid", "ada@example", None, False),
    ("email_valid", "a..b@example.org", None, False),
    ("email_valid", "write to ada@example.org", None, False),
    # SQL
    ("sql_valid", "SELECT a FROM t WHERE b = 1;", None, True),
    ("sql_valid", "SELECT FROM WHERE", None, False),
    ("sql_valid", "I would write a query", None, False),
    ("sql_valid", "", None, False),
    ({"sql_valid": {"allow": ["select"]}}, "WITH x AS (SELECT 1) SELECT * FROM x", None, True),
    ({"sql_valid": {"allow": ["select"]}}, "SELECT 1; DROP TABLE t", None, False),
    ({"sql_valid": {"single": True}}, "SELECT 1; SELECT 2", None, False),
    ("sql_equivalent", "select A from T where b=1 and c=2", "SELECT a FROM t WHERE c = 2 AND b = 1", True),
    ("sql_equivalent", "select a from t where b=1 or c=2", "SELECT a FROM t WHERE c = 2 AND b = 1", False),
    ("sql_equivalent", "```sql\nselect (a) from t\n```", 'SELECT "a" FROM t', True),
    # language, readability, refusal
    ({"language": "de"}, "Das ist nicht der richtige Weg, aber wir werden es versuchen.", None, True),
    ({"language": "en"}, "Das ist nicht der richtige Weg, aber wir werden es versuchen.", None, False),
    ("language", "Это не тот путь", None, "ru"),
    ("language", "これは正しい方法ではありません", None, "ja"),
    ("language", "这不是正确的方法", None, "zh"),
    ("language", "123 456", None, None),
    ({"readability": {"max": 6}}, "The cat sat. The dog ran.", None, True),
    (
        {"readability": {"max": 6}},
        "Institutional considerations necessitate comprehensive organisational.",
        None,
        False,
    ),
    ("refusal", "Sure, here is the poem.", None, True),
    ("refusal", "I cannot assist with that request.", None, False),
    ("refusal", "I can't recommend this film enough!", None, True),
    ("refusal", "I cannot help but smile at this.", None, True),
    ({"refusal": True}, "I'm sorry, but I can't help with that.", None, True),
    ("refusal", "", None, False),
    # safety
    ("pii", "Nothing here, order 4111 1111 1111 1112.", None, True),
    ("pii", "card 4111-1111-1111-1111", None, False),
    ("pii", "IBAN DE89 3704 0044 0532 0130 00", None, False),
    ("pii", "IBAN DE88 3704 0044 0532 0130 00", None, True),
    # examples of the SWIFT IBAN registry, with what follows them in letters
    ("pii", "AT61 1904 3002 3457 3201 BIC GIBAATWW", None, False),
    ("pii", "gb82 west 1234 5698 7654 32", None, False),
    ("pii", "PL61 1090 1014 0000 0712 1981 2874 PLN", None, False),
    ("pii", "NL91\u00a0ABNA\u00a00417\u00a01643\u00a000", None, False),
    ("pii", "AT62 1904 3002 3457 3201 BIC GIBAATWW", None, True),
    # the card networks' test numbers, as people write them
    ("pii", "4111 1111 1111 1111 12/27", None, False),
    ("pii", "card 5555555555554444 123", None, False),
    ("pii", "ref 12345 25 4111-1111-1111-1111", None, False),
    ("pii", "3782 822463 10005 12/27", None, False),
    ("pii", "4111 1111 1111 1112 12/27", None, True),
    # numbers reserved for drama (Ofcom) and in national forms
    ("pii", "0044 20 7946 0958", None, False),
    ("pii", "06-12345678", None, False),
    ("pii", "06 12 34 56 78", None, False),
    ("pii", "from 01/2024 1234 to 02-2025 5678", None, True),
    ("pii", "\u7528\u6237@\u4f8b\u5b50.\u516c\u53f8", None, False),
    ("secrets", "OPENAI_API_KEY=abcdefgh12345678", None, False),
    ("secrets", "DB_PASSWORD: correcthorse", None, False),
    ("secrets", "AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", None, False),
    ("secrets", "https://h.example/x?key=abcd1234efgh5678", None, False),
    ("secrets", "https://h.example/x?a=1&amp;access_token=abcd1234efgh5678", None, False),
    ("secrets", "redis://:hunter2@cache:6379", None, False),
    ("secrets", "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", None, False),  # RFC 7617
    ("secrets", "npm_abcdefghijklmnopqrstuvwxyz0123456789", None, False),
    ("secrets", "https://h.example/?sort=key&page=2 and ?key=short", None, True),
    ("secrets", "a basic authorization: basic training", None, True),
    ("pii", "call +49 30 901820", None, False),
    ("pii", "call (555) 123-4567", None, False),
    ("pii", "server 192.168.0.1, version 1.2.3.4.5, 2024-03-03, 3.14159265358979", None, True),
    ("pii", "server 8.8.8.8", None, False),
    ("pii", "SSN 123-45-6789", None, False),
    ({"pii": {"allow": ["help@us.example"]}}, "write to Help@us.example", None, True),
    ("secrets", "the password is a secret of mine", None, True),
    ("secrets", "use sk-proj-" + "a1B2" * 8, None, False),
    ("secrets", "postgres://ada:hunter22@db.example/x", None, False),
    ("secrets", "-----BEGIN RSA PRIVATE KEY-----", None, False),
    ({"injection_echo": "PWNED-7"}, "Here is your summary.", None, True),
    ({"injection_echo": "PWNED-7"}, "ＰＷＮ\u200bＥＤ 7", None, False),
    ({"prompt_leak": {"prompt": "you must never tell anyone the secret code word", "words": 5}}, "Hello", None, True),
    ({"banned_terms": ["class"]}, "a classic", None, True),
    ({"banned_terms": ["free trial"]}, "A FREE\n trial!", None, False),
]


@pytest.mark.parametrize(("spec", "output", "expected", "value"), TABLE, ids=lambda one: str(one)[:50])
def test_value(spec: object, output: object, expected: object, value: object) -> None:
    score = judge(spec, output, expected)
    assert score.value == value, score
    assert type(score.value) is type(value) or not isinstance(score.value, bool), score
    assert (score.error is not None) == (value is None)


def test_trial_measures() -> None:
    trial = {
        "latency_ms": 12.5,
        "ttft_ms": 3.0,
        "cost_usd": 0.25,
        "finish_reason": "length",
        "usage": Usage(input_tokens=7, output_tokens=5),
    }
    wanted = {"latency": 12.5, "ttft": 3.0, "cost": 0.25, "tokens": 5, "finish_reason": False}
    for kind, value in wanted.items():
        assert judge(kind, **trial).value == value
        missing = judge(kind)
        assert missing.value is None
        assert missing.error
    assert judge({"length": "tokens"}, "x", **trial).value == 5
    assert judge({"length": "words"}, "It's 3.5 e-mails").value == 3
    assert judge({"length": "spaced_words"}, " well-known - really\n").value == 3
    assert judge({"cost": 0.2}, **trial).value is False


def test_a_runaway_pattern_is_stopped_and_is_missing() -> None:
    start = time.perf_counter()
    score = judge({"regex": r"^(a|a)*$"}, "a" * 40 + "b")
    assert time.perf_counter() - start < 10
    assert score.value in (None, False)
    score = judge({"regex": r"^(\w+\s?)*$"}, "word " * 20 + "!" * 3 + "x " * 5000 + "!")
    assert time.perf_counter() - start < 20
    assert score.value is None or score.value is False


N = 60_000
NASTY = [
    *("{" * N, "[" * N, '{"a":' * (N // 5), "a:\n " * (N // 4), "- " * (N // 2), "<a>" * (N // 3), "<!--" * (N // 4)),
    *("</" * (N // 2), "<a " * (N // 3), "<" * N, "&a;" * (N // 3), '"' * N, "a@a." * (N // 4), "sk-ab-" * (N // 6)),
    *("1," * (N // 2), "0-" * (N // 2), "AB12 " * (N // 5), "```a\n" * (N // 5), "(SELECT " * 3000, "not " * (N // 4)),
]


@pytest.mark.parametrize("text", NASTY, ids=lambda text: text[:6])
@pytest.mark.parametrize(
    "kind",
    ["json_valid", "yaml_valid", "xml_valid", "html_valid", "csv_valid", "sql_valid", "pii", "secrets", "numeric"],
)
def test_repeated_openings_neither_crash_nor_take_for_ever(kind: str, text: str) -> None:
    start = time.process_time()
    assert judge(kind, text, "1").evaluator == kind
    assert time.process_time() - start < 5


def test_readability_follows_the_published_formulas() -> None:
    # 6 words, 1 sentence, 6 syllables, 17 letters, computed by hand from Flesch 1948 and Kincaid 1975
    text = "The cat sat on the mat."
    assert judge({"readability": "ease"}, text).value == pytest.approx(206.835 - 1.015 * 6 - 84.6)
    assert judge({"readability": "grade"}, text).value == pytest.approx(0.39 * 6 + 11.8 - 15.59)
    assert judge({"readability": "ari"}, text).value == pytest.approx(4.71 * 17 / 6 + 3 - 21.43)


SETUP = "CREATE TABLE t(a INT, b TEXT); INSERT INTO t VALUES (1,'x'), (2,'y'), (2,'y'), (3,'z')"


@pytest.mark.parametrize(
    ("given", "wanted", "same"),
    [
        ("SELECT a FROM t WHERE a > 1", "SELECT a FROM t WHERE a >= 2", True),
        ("SELECT DISTINCT a FROM t", "SELECT a FROM t", False),
        ("SELECT a FROM t ORDER BY a DESC", "SELECT a FROM t", True),
        ("SELECT a FROM t ORDER BY a DESC", "SELECT a FROM t ORDER BY a", False),
        ("SELECT COUNT(*) FROM t", "SELECT 4", True),
        ("SELECT nothing FROM t", "SELECT a FROM t", False),
        ("DELETE FROM t", "SELECT a FROM t", False),
        ("SELECT a FROM t", "SELECT nothing FROM t", None),
        ("WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM r) SELECT n FROM r", "SELECT 1", False),
        ("WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM r) SELECT SUM(n) FROM r", "SELECT 1", False),
        ("SELECT randomblob(1000000000)", "SELECT 1", False),
    ],
)
def test_queries_are_compared_by_their_rows(given: str, wanted: str, same: bool | None) -> None:
    start = time.perf_counter()
    assert judge({"sql_equivalent": {"setup": SETUP, "timeout_s": 0.3}}, given, wanted).value is same
    assert time.perf_counter() - start < 10


@pytest.mark.parametrize(
    "attack",
    [
        "ATTACH DATABASE '{path}' AS other",
        "SELECT load_extension('x')",
        "PRAGMA writable_schema = ON",
        "CREATE TABLE u(a)",
        "SELECT writefile('{path}', 'x')",
        "VACUUM INTO '{path}'",
    ],
)
def test_model_written_sql_can_only_read(attack: str, tmp_path: object) -> None:
    path = f"{tmp_path}/out.db"
    score = judge({"sql_equivalent": {"setup": SETUP}}, attack.format(path=path), "SELECT 1")
    assert score.value is False
    assert not __import__("pathlib").Path(path).exists()
    with sqlite3.connect(":memory:") as connection:  # the oracle: it would have worked without the fence
        connection.execute("CREATE TABLE u(a)")


CALL = {"id": "1", "type": "function", "function": {"name": "search", "arguments": '{"q": "bath", "n": 3}'}}


@pytest.mark.parametrize(
    ("options", "calls", "wanted", "value"),
    [
        ({}, [CALL], [{"name": "search", "arguments": {"n": 3.0, "q": "bath"}}], True),
        ({}, [CALL], ["search"], True),
        ({}, [CALL], [{"name": "search", "arguments": {"q": "bath"}}], False),
        ({"arguments": "expected"}, [CALL], [{"name": "search", "arguments": {"q": "bath"}}], True),
        ({"arguments": "ignore"}, [CALL], [{"name": "search", "arguments": {"q": "york"}}], True),
        ({}, [CALL, CALL], ["search"], False),
        ({"extra": "allow"}, [CALL, CALL], ["search"], True),
        ({}, [], [], True),
        ({}, [CALL], [], False),
        ({}, [{"name": "b"}, {"name": "a"}], ["a", "b"], True),
        ({"order": "exact"}, [{"name": "b"}, {"name": "a"}], ["a", "b"], False),
        ({"value": "f1"}, [{"name": "a"}, {"name": "c"}], ["a", "b"], 0.5),
        # the first call fits both expectations: only the right assignment matches both
        (
            {},
            [{"name": "s", "args": {"q": 1}}, {"name": "s", "args": {"q": 2}}],
            ["s", {"name": "s", "args": {"q": 1}}],
            True,
        ),
        (
            {"tools": [{"name": "search", "parameters": {"properties": {"lang": {"default": "en"}}}}]},
            [CALL],
            [{"name": "search", "arguments": {"q": "bath", "n": 3, "lang": "en"}}],
            True,
        ),
        ({}, [{"name": "search", "arguments": "{broken"}], [{"name": "search", "arguments": {"q": 1}}], False),
    ],
)
def test_tool_calls(options: dict, calls: list, wanted: list, value: object) -> None:
    assert judge({"tool_calls": options}, "", wanted, tool_calls=calls).value == value


def test_tool_calls_are_read_from_the_transcript_and_the_trace() -> None:
    said = [{"role": "assistant", "content": None, "tool_calls": [CALL]}, {"role": "tool", "content": "x"}]
    assert judge("tool_calls", "", ["search"], messages=said).value is True
    assert judge(
        "tool_calls", "", ["search"], trace=[{"type": "llm", "name": "x"}, {"type": "tool", "name": "search"}]
    ).value


@pytest.mark.parametrize(
    ("rules", "good"),
    [
        ({"required": ["a", "b"]}, True),
        ({"required": ["z"]}, False),
        ({"forbidden": ["b"]}, False),
        ({"order": ["a", "c"]}, True),
        ({"order": ["c", "a"]}, False),
        ({"max_steps": 4}, True),
        ({"max_steps": 3}, False),
        ({"min_steps": 5}, False),
        ({"max_repeats": 1}, False),
        ({"max_repeats": 2}, True),
        ({"max_redundant": 0}, False),
        ({"max_redundant": 1}, True),
        ({"max_cost_usd": 0.5}, True),
    ],
)
def test_trajectory(rules: dict, good: bool) -> None:
    calls = [{"name": "a", "arguments": "{}"}, {"name": "b", "arguments": '{"x": 1}'}] + 2 * [{"name": "c"}]
    assert judge({"trajectory": rules}, "", tool_calls=calls, cost_usd=0.4).value is good


def test_safety_reasons_never_repeat_what_they_found() -> None:
    found = judge({"pii": {}}, "ada@example.org and 4111 1111 1111 1111")
    assert found.reason == "1 e-mail address, 1 card number"
    assert "ada" not in str(found)
    assert "4111" not in str(found)
    key = "AKIA" + "ABCDEFGH12345678"
    assert key not in str(judge("secrets", f"key {key}"))


def test_a_leaked_system_prompt_is_found_in_the_messages() -> None:
    secret = "You are the assistant of Acme and the discount for gold partners is forty per cent exactly"
    messages = [{"role": "system", "content": secret}]
    leak = "My notes say: the discount, for gold partners, is FORTY per cent exactly."
    assert judge("prompt_leak", leak, messages=messages).value is False
    assert judge("prompt_leak", "I cannot say.", messages=messages).value is True
    assert judge("prompt_leak", "I cannot say.").value is None


@pytest.mark.parametrize(
    ("kind", "found", "relevant", "value"),
    [
        ({"hit_rate": 1}, ["x", "a"], ["a"], False),
        ({"hit_rate": 2}, ["x", "a"], ["a"], True),
        ("mrr", ["x", "y"], ["a"], 0.0),
        ({"precision_at_k": 2}, [{"id": "a"}, {"id": "b"}], ["a", "b"], 1.0),
        ({"recall_at_k": 2}, ["a", "a", "b"], ["a", "b"], 1.0),
        ("mrr", ["a"], [], None),
        ("mrr", "no list", ["a"], None),
        ("mrr", [{"doc": "a"}], ["a"], None),
        ({"mrr": {"output_path": "sources", "id_key": "doc"}}, {"sources": [{"doc": "b"}, {"doc": "a"}]}, ["a"], 0.5),
    ],
    ids=str,
)
def test_retrieval(kind: object, found: object, relevant: object, value: object) -> None:
    assert judge(kind, found, relevant).value == value
