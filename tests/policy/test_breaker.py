"""The budget of failed authentication that all users of a process share."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_client.policy.breaker import BUDGET, WINDOW, AuthBreaker


def test_attempts_are_free_until_the_budget_is_spent() -> None:
    breaker = AuthBreaker()
    for second in range(BUDGET):
        assert breaker.delay(second) == 0
        breaker.failed(second)
    assert breaker.delay(BUDGET) == WINDOW - BUDGET
    assert breaker.delay(WINDOW) == 0
    assert not breaker.locked(BUDGET)


@pytest.mark.parametrize(("now", "delay"), [(0.0, 300.0), (299.5, 0.5), (300.0, 0.0), (400.0, 0.0)])
def test_a_lock_out_is_waited_for_to_its_end(now: float, delay: float) -> None:
    breaker = AuthBreaker()
    breaker.rate_limited(0, 300)
    breaker.rate_limited(0, 10)  # the longer one counts
    assert breaker.delay(now) == delay
    assert breaker.locked(now) is (delay > 0)


def test_what_is_forgotten_makes_it_quiet() -> None:
    breaker = AuthBreaker()
    assert breaker.quiet(0.0)
    breaker.failed(0.0)
    breaker.failed(1.0)
    assert not breaker.quiet(WINDOW)
    assert breaker.quiet(WINDOW + 1)
    breaker.rate_limited(100.0, 300.0)
    assert not breaker.quiet(399.0)
    assert breaker.quiet(400.0)


@given(st.lists(st.floats(0, 30), min_size=1, max_size=60))
def test_no_window_ever_sees_more_than_the_budget(pauses: list[float]) -> None:
    breaker, now, made = AuthBreaker(), 0.0, []
    for pause in pauses:
        now += pause
        now += breaker.delay(now)
        assert breaker.delay(now) == pytest.approx(0, abs=1e-6)
        breaker.failed(now)
        made.append(now)
    for start in made:
        assert sum(start <= at < start + WINDOW - 1e-6 for at in made) <= BUDGET
