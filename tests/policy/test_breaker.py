"""The budget of failed authentication that all users of a process share."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_client.policy.breaker import BUDGET, CROWD, LONGEST_LOCK, MOST, RESERVE, UNANSWERED, WINDOW, AuthBreaker


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


def test_a_lock_out_lasts_an_hour_at_most_whatever_the_gateway_says() -> None:
    breaker = AuthBreaker()
    breaker.rate_limited(0.0, 1e12)
    assert breaker.delay(0.0) == LONGEST_LOCK == 3600.0


def test_whoever_corrects_credentials_is_not_held_up_by_the_old_ones() -> None:
    breaker = AuthBreaker()
    for second in range(BUDGET):
        breaker.failed(second, "old")
    assert breaker.refused("old", BUDGET)
    assert breaker.delay(BUDGET, "old") == WINDOW - BUDGET
    assert breaker.delay(BUDGET, "new") == 0, "one user errs, and these may be right"
    breaker.failed(BUDGET, "other")
    breaker.forgive("old")
    assert not breaker.refused("old", BUDGET)
    assert breaker.refused("other", BUDGET)
    assert breaker.delay(BUDGET, "old") == 0


def test_many_who_have_the_same_are_hardly_wrong() -> None:
    breaker = AuthBreaker()
    for number in range(BUDGET):
        breaker.failed(0.0, f"wrong-{number}")
    assert breaker.room(1.0, "own", 1) == 0
    assert breaker.room(1.0, "shared", CROWD) == RESERVE
    assert breaker.room(1.0, "wrong-1", CROWD) == 0


def test_forgiving_does_not_bring_the_gateway_to_its_limit() -> None:
    breaker = AuthBreaker()
    for _ in range(MOST):
        breaker.failed(0.0, "old")
        breaker.forgive("old")
    assert breaker.delay(1.0, "new") == WINDOW - 1


def test_a_lock_out_is_over_for_those_who_were_told_and_left() -> None:
    breaker = AuthBreaker()
    breaker.rate_limited(0.0, 300.0, "ann")
    breaker.forgive("bob")
    assert breaker.locked(1.0)
    breaker.rate_limited(0.0, 10.0, "bob")
    breaker.forgive("ann")
    assert not breaker.locked(1.0)


def test_an_answer_that_comes_when_it_no_longer_counts_changes_nothing() -> None:
    breaker = AuthBreaker()
    shown = breaker.show(0.0, "slow", 1, known=False)
    assert shown is not None
    left = breaker.left(UNANSWERED - 0.1, 1)
    assert breaker.left(UNANSWERED, 1) == left + 1
    breaker.answered(shown)
    assert breaker.left(UNANSWERED, 1) == left + 1
