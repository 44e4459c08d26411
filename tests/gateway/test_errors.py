"""What a failure is called, whether it may pass, and that no secret gets into its message."""

from __future__ import annotations

import json
import time
from email.utils import formatdate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bakeoff.gateway._errors import Secrets, from_status, rate_limit_headers, retry_after_s

CASES = [
    (401, {"error": {"message": "no"}}, "auth", False),
    (402, {"error": {"message": "Insufficient credits"}}, "auth", False),
    (403, {}, "auth", False),
    (404, {"error": {"message": "model gone"}}, "not_found", False),
    (408, {}, "timeout", True),
    (413, {"error": {"message": "Request too large for model `x`"}}, "context_length", False),
    (422, {"detail": "bad"}, "bad_request", False),
    (429, {"error": {"message": "slow down"}}, "rate_limit", True),
    (429, {"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}, "rate_limit", False),
    (500, {}, "server", True),
    (503, {}, "server", True),
    (504, {}, "timeout", True),
    (529, {"error": {"type": "overloaded_error", "message": "Overloaded"}}, "server", True),
    (400, {"error": {"message": "API key not valid. Please pass a valid API key."}}, "auth", False),
    (400, {"error": {"message": "prompt is too long: 210000 tokens > 200000 maximum"}}, "context_length", False),
    (400, {"error": {"message": "m", "code": "context_length_exceeded"}}, "context_length", False),
    (400, {"error": {"message": "m", "innererror": {"code": "ResponsibleAIPolicyViolation"}}}, "content_filter", False),
    (400, [{"error": {"message": "Unknown name", "status": "INVALID_ARGUMENT"}}], "bad_request", False),
]


@pytest.mark.parametrize(("status", "body", "kind", "retryable"), CASES)
def test_a_status_has_a_class(status: int, body: object, kind: str, retryable: bool) -> None:
    error = from_status(status, json.dumps(body), model="openai/m", headers={}, secrets=Secrets({}))
    assert (error.kind, error.retryable, error.status) == (kind, retryable, status)
    assert "'openai/m'" in str(error)
    assert str(status) in str(error)


@settings(deadline=None)
@given(st.integers(300, 599), st.text(max_size=300))
def test_any_body_makes_an_error(status: int, body: str) -> None:
    error = from_status(status, body, model="m", headers={}, secrets=Secrets({}))
    assert len(str(error)) < 1_000
    assert error.retryable or error.kind not in {"server", "timeout"} or status == 501


@pytest.mark.parametrize("key", ["sk-proj-abcdef0123456789abcdef", "AIzaSyA-1234567890abcdefghijk", "weird key-99"])
def test_no_key_gets_into_a_message(key: str) -> None:
    secrets = Secrets({"OPENAI_API_KEY": key})
    body = json.dumps({"error": {"message": f"Incorrect API key provided: {key}. Sent 'Authorization: Bearer {key}'"}})
    message = str(from_status(401, body, model="m", headers={}, secrets=secrets))
    assert key not in message
    assert key[-8:] not in message
    assert "check the API key" in message


@settings(deadline=None)
@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=6, max_size=60), st.text(), st.text())
def test_the_value_of_a_key_variable_never_survives(value: str, before: str, after: str) -> None:
    assert value not in Secrets({"SOME_TOKEN": value}).redact(f"{before}{value}{after}").replace("***", "\0")


def test_a_wait_is_read_in_every_form() -> None:
    assert retry_after_s({"retry-after": "7"}) == 7.0
    assert retry_after_s({"retry-after-ms": "250", "retry-after": "9"}) == 0.25
    date = formatdate(time.time() + 30, usegmt=True)
    assert retry_after_s({"retry-after": date}) == pytest.approx(30, abs=2)
    for nonsense in ("soon", "", "nan", "inf"):
        assert retry_after_s({"retry-after": nonsense}) is None
    assert retry_after_s({"retry-after": "-5"}) == 0.0
    served = "Fri, 20 Nov 2026 09:00:00 GMT"  # whatever time it is here: RFC 9110, 10.2.3 and 6.6.1
    assert retry_after_s({"date": served, "retry-after": "Fri, 20 Nov 2026 09:00:07 GMT"}) == 7.0


def test_headers_about_limits_are_kept_under_one_name() -> None:
    headers = {"X-RateLimit-Limit-Tokens": "5", "llm_provider-x-ratelimit-reset-tokens": "1s", "Server": "x"}
    found = rate_limit_headers({**headers, "anthropic-ratelimit-requests-remaining": "3"})
    assert found == {
        "x-ratelimit-limit-tokens": "5",
        "x-ratelimit-reset-tokens": "1s",
        "anthropic-ratelimit-requests-remaining": "3",
    }
