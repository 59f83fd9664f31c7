"""Delays between reconnects: bounded, growing, drawn from a source that the caller gives."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_client.errors import UsageError
from openclaw_client.policy.backoff import FLOOR, ReconnectPolicy

attempts = st.integers(1, 10**9)
draws = st.floats(0, 1)


@pytest.mark.parametrize(
    ("attempt", "ceiling"), [(1, 1.0), (2, 2.0), (3, 4.0), (5, 16.0), (6, 30.0), (7, 30.0), (10**9, 30.0)]
)
def test_the_ceiling_doubles_up_to_the_maximum(attempt: int, ceiling: float) -> None:
    policy = ReconnectPolicy()
    assert policy.delay(attempt, lambda: 1.0) == ceiling
    assert policy.delay(attempt, lambda: 0.5) == ceiling / 2


def test_a_draw_of_zero_is_still_a_pause() -> None:
    assert ReconnectPolicy().delay(1, lambda: 0.0) == FLOOR


@given(attempt=attempts, draw=draws, initial=st.floats(0.01, 10), maximum=st.floats(0.05, 600), factor=st.floats(1, 10))
def test_a_delay_is_between_the_floor_and_the_maximum(
    attempt: int, draw: float, initial: float, maximum: float, factor: float
) -> None:
    policy = ReconnectPolicy(initial=min(initial, maximum), maximum=maximum, factor=factor)
    assert FLOOR <= policy.delay(attempt, lambda: draw) <= max(maximum, FLOOR)


@given(attempt=st.integers(1, 100), draw=draws)
def test_a_later_attempt_never_waits_less_for_the_same_draw(attempt: int, draw: float) -> None:
    policy = ReconnectPolicy()
    assert policy.delay(attempt, lambda: draw) <= policy.delay(attempt + 1, lambda: draw)


def test_one_number_is_drawn_per_delay() -> None:
    source = iter([0.25, 0.75])
    policy = ReconnectPolicy(initial=4)
    assert [policy.delay(1, lambda: next(source)) for _ in range(2)] == [1.0, 3.0]


@pytest.mark.parametrize(
    "wrong",
    [
        {"initial": 0},
        {"initial": 60.0},
        {"initial": "1"},
        {"maximum": -1.0},
        {"maximum": None},
        {"factor": 0.5},
        {"factor": 1e5},
        {"stable_after": -1.0},
        {"stable_after": None},
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="makes no sense"):
        ReconnectPolicy(**wrong)
