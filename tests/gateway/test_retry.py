"""Retries: how long, how often, and when not."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakeoff.errors import ProviderError
from bakeoff.gateway._retry import RetryPolicy


def _policy(**more: float) -> RetryPolicy:
    return RetryPolicy(
        attempts=int(more.get("attempts", 5)),
        share=more.get("share", 0.5),
        max_wait_s=more.get("max_wait_s", 300),
        rng=Random(int(more.get("seed", 1))),
    )


def _error(kind: str = "server", **more: float) -> ProviderError:
    return ProviderError("x", kind=kind, retryable=bool(more.get("retryable", True)), retry_after_s=more.get("after"))


def test_full_jitter_is_uniform_up_to_the_exponential_bound() -> None:
    policy = _policy()
    for attempt, bound in ((1, 0.5), (2, 1.0), (3, 2.0), (20, 30.0)):
        waits = [policy.wait_s(_error(), attempt) for _ in range(4000)]
        assert 0 <= min(waits) < 0.01 * bound
        assert 0.99 * bound < max(waits) <= bound
        # Uniform: mean bound / 2, five standard errors of bound / sqrt(12 n).
        assert abs(sum(waits) / 4000 - bound / 2) < 5 * bound / (12 * 4000) ** 0.5


@given(after=st.floats(0, 300), attempt=st.integers(1, 50), seed=st.integers(0, 9))
def test_never_earlier_than_the_provider_asks_and_never_together(after: float, attempt: int, seed: int) -> None:
    policy = _policy(seed=seed)
    waits = [policy.wait_s(_error("rate_limit", after=after), attempt) for _ in range(5)]
    assert min(waits) >= after
    assert max(waits) <= after + max(0.25, 0.1 * after)
    assert len(set(waits)) > 1


def test_a_refused_call_waits_longer_than_a_broken_one() -> None:
    policy = _policy()
    assert max(policy.wait_s(_error("rate_limit"), 5) for _ in range(200)) > 30
    assert _policy(max_wait_s=3).wait_s(_error("rate_limit"), 50) <= 3


def test_reasons_not_to_try_again() -> None:
    policy = _policy(attempts=3)
    assert policy.refusal(_error(), 1) is None
    assert policy.refusal(_error(retryable=False), 1) == ""
    assert policy.refusal(_error(), 3) == "gave up after 3 attempts"
    assert "limits.max_wait_s" in str(policy.refusal(_error(after=301.0), 1))


@pytest.mark.parametrize(("calls", "allowed"), [(0, 100), (1000, 500)])
def test_the_run_has_a_budget_of_retries(calls: int, allowed: int) -> None:
    policy = _policy()
    policy.calls = calls
    made = 0
    while policy.refusal(_error(), 1) is None:
        policy.wait_s(_error(), 1)
        made += 1
    assert made == allowed
    assert "limits.retry_budget" in str(policy.refusal(_error(), 1))


def test_the_same_seed_gives_the_same_waits() -> None:
    first, second = _policy(seed=3), _policy(seed=3)
    assert [first.wait_s(_error(), 2) for _ in range(5)] == [second.wait_s(_error(), 2) for _ in range(5)]
