"""The circuit breaker, checked against a model of it written as a table of what must hold."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bakeoff.gateway._breaker import Breaker


def _open(**more: float) -> Breaker:
    breaker = Breaker(failures=3, reset_s=30, patience_s=more.pop("patience_s", 300))
    for _ in range(3):
        breaker.record_failure("server", now=100)
    return breaker


def test_opens_after_consecutive_failures_only() -> None:
    breaker = Breaker(failures=3, reset_s=30, patience_s=300)
    for _ in range(10):
        breaker.record_failure("timeout", now=1)
        breaker.record_failure("timeout", now=1)
        breaker.record_success()
    assert breaker.is_closed
    assert _open().state(101) == "open"


def test_refusals_and_bad_requests_do_not_count() -> None:
    breaker = Breaker(failures=1, reset_s=30, patience_s=300)
    for kind in ("rate_limit", "bad_request", "context_length", "content_filter", "cancelled", "budget"):
        breaker.record_failure(kind, now=1)
    assert breaker.is_closed


def test_one_probe_at_a_time_and_its_success_closes() -> None:
    breaker = _open()
    assert breaker.admit(129) is None
    assert breaker.wait_s(129) == 1
    assert breaker.state(130) == "half_open"
    assert breaker.admit(130) is True
    assert breaker.admit(130) is None
    assert breaker.wait_s(130) > 0
    breaker.record_success()
    assert breaker.admit(130) is False
    assert breaker.state(130) == "closed"


def test_a_failed_probe_opens_again() -> None:
    breaker = _open()
    breaker.admit(130)
    breaker.record_failure("server", now=131, probe=True)
    assert breaker.wait_s(131) == 30
    assert breaker.admit(160) is None
    assert breaker.admit(161) is True


def test_a_probe_that_is_cancelled_makes_room_for_the_next() -> None:
    breaker = _open()
    assert breaker.admit(130) is True
    breaker.record_failure("cancelled", now=130, probe=True)
    assert breaker.admit(130) is True


def test_a_probe_that_is_refused_shows_health() -> None:
    breaker = _open()
    breaker.admit(130)
    breaker.record_failure("rate_limit", now=130, probe=True)
    assert breaker.is_closed


def test_waiting_is_worthwhile_only_for_a_model_that_has_answered() -> None:
    assert _open().is_hopeless(101)
    answered = Breaker(failures=1, reset_s=30, patience_s=300)
    answered.record_success()
    answered.record_failure("connection", now=100)
    assert not answered.is_hopeless(400)
    assert answered.is_hopeless(401)
    rejected = Breaker(failures=1, reset_s=30, patience_s=300)
    rejected.record_success()
    rejected.record_failure("auth", now=100)
    assert rejected.is_hopeless(101)


@given(
    st.lists(
        st.tuples(st.sampled_from(["admit", "ok", "server", "rate_limit", "cancelled"]), st.floats(0, 50)), max_size=60
    )
)
def test_any_history_leaves_a_breaker_that_can_recover(history: list[tuple[str, float]]) -> None:
    breaker = Breaker(failures=2, reset_s=10, patience_s=100)
    now, probes = 0.0, 0
    for event, passed in history:
        now += passed
        if event == "admit":
            probes += breaker.admit(now) is True
        elif event == "ok":
            probes = 0
            breaker.record_success()
        else:
            probe = probes > 0
            breaker.record_failure(event, now=now, probe=probe)
            probes = 0
        assert probes <= 1
        assert (breaker.state(now) == "closed") == breaker.is_closed
    if probes:
        breaker.record_failure("cancelled", now=now, probe=True)
    assert breaker.admit(now + 1000) is not None
