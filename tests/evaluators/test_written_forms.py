"""Numbers and dates as models write them; the source of each value is what a reader understands."""

from __future__ import annotations

from typing import Any

import pytest

from bakeoff.evaluators import EvaluatorContext, load_evaluator, score_sync

NUMBERS: list[tuple[str, float | str, dict[str, Any]]] = [
    ("12,34,567", 1234567, {}),
    ("Rs. 1,50,000.50", 150000.5, {}),
    ("1_000_000", 1000000, {}),
    ("CHF 1’234.50", 1234.5, {}),
    ("6.022 × 10^23", 6.022e23, {}),
    ("6.022×10²³", 6.022e23, {}),
    (r"$6.022 \times 10^{23}$", 6.022e23, {}),
    ("1.6 * 10**-19 C", 1.6e-19, {}),
    ("3 × 10⁻⁷", 3e-7, {}),
    ("about 10^6", 1e6, {}),
    ("2^10 = 1024", 1024, {}),
    ("The probability is 3/4.", 0.75, {}),
    ("2 1/2 cups", 2.5, {}),
    ("2½ cups", 2.5, {}),
    (r"-\frac{3}{4}", -0.75, {}),
    (r"x = \dfrac{-3}{4}", -0.75, {}),
    (r"3\frac12", 3.5, {}),
    ("2/6", "1/3", {}),
    ("on 03/04/2024 it was 7", 7, {}),
    ("1/0", 0, {}),
    ("8/10", 8, {"fractions": False, "pick": "first"}),
    ("−45", -45, {}),
    ("–45", -45, {}),
    ("3–4", 4, {}),
    ("-US$45", -45, {}),
    ("-R$ 1.234,56", -1234.56, {"decimal_mark": ","}),
    ("It is minus 5.", -5, {}),
    ("ten minus 5", 5, {}),
    ("negative 5", -5, {}),
    ("$3.5 million", 3500000, {}),
    ("3 Millions", 3e6, {}),
    ("3 millionaires", 3, {}),
    ("2 million km", 2e9, {"units": {"m": 1, "km": 1000}}),
    ("2 million", 2, {"units": {"million": 1}}),
    ("€10", 11, {"units": {"$": 1, "€": 1.1}}),
    ("EUR 10", 11, {"units": {"USD": 1, "EUR": 1.1}, "unit_required": True}),
    ("-€10", -11, {"units": {"$": 1, "€": 1.1}}),
    ("50 Percent", 0.5, {"percent": True}),
    ("50 pct", 0.5, {"percent": True}),
    ("Answer: 17 of 20", 17, {"pattern": "Answer: (.*)", "pick": "first"}),
]


@pytest.mark.parametrize(("output", "expected", "options"), NUMBERS)
def test_numeric_reads_what_a_reader_reads(output: str, expected: float | str, options: dict[str, Any]) -> None:
    score = score_sync([load_evaluator({"numeric": options})], EvaluatorContext(output=output, expected=expected))[0]
    assert score.value is True, score.reason


@pytest.mark.parametrize(
    ("output", "expected"), [("7/4", "3/4"), ("3.5 billion", "3.5 million"), ("6 × 10^23", "6 × 10^22"), ("8/10", "10")]
)
def test_numeric_tells_apart_what_shares_its_last_digits(output: str, expected: str) -> None:
    assert score_sync([load_evaluator("numeric")], EvaluatorContext(output=output, expected=expected))[0].value is False


DATES = [
    "20240303",
    "03-Mar-2024",
    "03/Mar/2024:10:00",
    "03MAR2024",
    "2024-Mar-03",
    "2024, March 3",
    "March the 3rd, 2024",
    "March 1-3, 2024",
    "2024年3月3日",
    "2024‑03‑03",
    "2024–03–03",
    "Sun, 03 Mar 2024 10:00:00 GMT",
]


@pytest.mark.parametrize("output", DATES)
def test_date_reads_what_a_reader_reads(output: str) -> None:
    score = score_sync([load_evaluator("date")], EvaluatorContext(output=output, expected="2024-03-03"))[0]
    assert score.value is True, score.reason


@pytest.mark.parametrize(
    ("output", "day_first", "expected"),
    [
        ("25/12/2024", False, "2024-12-25"),
        ("12/25/2024", True, "2024-12-25"),
        ("31.12.2024", False, "2024-12-31"),
        ("03/04/2024", False, "2024-03-04"),
        ("03/04/2024", True, "2024-04-03"),
    ],
)
def test_a_date_that_is_possible_in_one_order_only_is_read_so(output: str, day_first: bool, expected: str) -> None:
    check = load_evaluator({"date": {"day_first": day_first}})
    assert score_sync([check], EvaluatorContext(output=output, expected=expected))[0].value is True


@pytest.mark.parametrize("output", ["13/13/2024", "2024-02-30", "order 202403031", "1.20240303", "You may 5, 2024"])
def test_what_is_no_date_is_not_read(output: str) -> None:
    assert (
        score_sync([load_evaluator("date")], EvaluatorContext(output=output, expected="2024-03-03"))[0].value is False
    )
