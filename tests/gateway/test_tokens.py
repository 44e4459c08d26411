"""Token estimates against tiktoken's `o200k_base`, the tokenizer of current OpenAI models."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bakeoff.gateway import ModelRequest
from bakeoff.gateway._tokens import count_tokens, estimate_text_tokens, estimate_tokens, output_limit

ROOT = Path(__file__).parents[2]
PROSE = (
    "The customer wrote on Monday that the parcel had not arrived, although the tracking page said it was "
    "delivered the day before. Please look into it, and tell them what happens next."
)
SAMPLES = {
    "prose": PROSE,
    "code": (ROOT / "src/bakeoff/errors.py").read_text(encoding="utf-8"),
    "json": json.dumps([{"id": index, "label": "billing", "text": PROSE[:40]} for index in range(20)]),
    "german": "Der Kunde schrieb am Montag, dass das Paket nicht angekommen sei, obwohl es zugestellt wurde.",
    "chinese": "客户在星期一写道，包裹还没有到，尽管追踪页面显示前一天已经送达。请查一下，并告诉他接下来会怎样。",
}


@pytest.mark.parametrize("name", SAMPLES)
def test_estimates_are_near_the_count(name: str) -> None:
    text = SAMPLES[name]
    assert estimate_text_tokens(text) == pytest.approx(count_tokens(text), rel=0.35)


@settings(deadline=None)
@given(st.text(max_size=400))
def test_any_text_has_an_estimate(text: str) -> None:
    estimate = estimate_text_tokens(text)
    assert 0 <= estimate <= 2 * len(text.encode("utf-8", "surrogatepass")) + 1
    assert (estimate == 0) == (text == "")


def test_everything_that_is_sent_counts() -> None:
    plain = ModelRequest(model="m", messages=[{"role": "user", "content": PROSE}])
    tool = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}
    with_tools = ModelRequest(model="m", messages=plain.messages, params={"tools": [tool]})
    parts = [{"type": "text", "text": PROSE}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,xx"}}]
    with_image = ModelRequest(model="m", messages=[{"role": "user", "content": parts}])
    assert estimate_tokens(plain) < estimate_tokens(with_tools) < estimate_tokens(with_image)
    assert estimate_tokens(with_image) - estimate_tokens(plain) == 1_100
    twice = ModelRequest(model="m", messages=[*plain.messages, *plain.messages])
    assert estimate_tokens(twice) > 1.8 * estimate_tokens(plain)


def test_limits_are_read_under_every_name() -> None:
    assert output_limit({"max_completion_tokens": 7}) == 7
    assert output_limit({"max_tokens": 7, "n": 3}) == 21
    assert output_limit({"max_tokens": None}) is None
