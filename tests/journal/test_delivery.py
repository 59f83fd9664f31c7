"""When a message is handed out, and what becomes of it then."""

from __future__ import annotations

import itertools

import pytest

from openclaw_client.journal.delivery import (
    MOST_DELIVERIES,
    PAUSES,
    Deal,
    GiveUp,
    Handing,
    Lines,
    LookAgain,
    pause_after,
    step,
    verdict,
)
from tests.journal.values import START


def test_there_is_a_pause_between_all_deliveries() -> None:
    assert len(PAUSES) == MOST_DELIVERIES - 1
    assert list(PAUSES) == sorted(PAUSES) == [1, 5, 30, 120]


def test_a_handler_that_always_raises_sees_a_message_five_times_in_156_seconds() -> None:
    now, deliveries, times = START, 0, []
    while True:
        deliveries += 1
        times.append(now - START)
        found = verdict(deliveries, failed=True)
        if found == "dead":
            break
        assert found == "later"
        next_at = now + pause_after(deliveries)
        assert step(deliveries, next_at, now) == LookAgain(next_at)
        assert step(deliveries, next_at, next_at - 0.001) == LookAgain(next_at)
        now = next_at
        assert step(deliveries, next_at, now) == Deal()
    assert times == [0, 1, 6, 36, 156]


def test_returned_is_done_at_any_delivery() -> None:
    assert {verdict(deliveries, failed=False) for deliveries in range(1, 9)} == {"done"}


def test_a_new_message_is_dealt_at_once() -> None:
    assert step(0, 0.0, START) == Deal()


@pytest.mark.parametrize(
    ("deliveries", "expected"), [(1, Deal()), (4, Deal()), (5, GiveUp()), (6, GiveUp()), (10**6, GiveUp())]
)
def test_a_message_that_ended_its_processes_is_given_up(deliveries: int, expected: object) -> None:
    assert step(deliveries, 0.0, START) == expected


@pytest.mark.parametrize(("deliveries", "pause"), [(0, 1), (1, 1), (2, 5), (3, 30), (4, 120), (5, 120), (99, 120)])
def test_the_pauses(deliveries: int, pause: float) -> None:
    assert pause_after(deliveries) == pause


@pytest.mark.parametrize("deliveries", range(1, MOST_DELIVERIES))
def test_a_clock_that_was_set_back_holds_up_nobody(deliveries: int) -> None:
    next_at = START + pause_after(deliveries)
    assert step(deliveries, next_at, START - 0.5) == LookAgain(next_at), "that may be rounding"
    assert step(deliveries, next_at, START - 3600) == Deal()


def test_done_when_all_handlers_returned_and_again_when_one_raised() -> None:
    for outcomes in itertools.product([False, True], repeat=3):
        handing = Handing(1, 3)
        assert handing.answered(failed=outcomes[0]) is None
        assert handing.answered(failed=outcomes[1]) is None
        assert handing.answered(failed=outcomes[2]) == ("later" if any(outcomes) else "done")
    last = Handing(MOST_DELIVERIES, 2)
    last.answered(failed=True)
    assert last.answered(failed=False) == "dead"


def test_one_message_of_a_user_at_a_time() -> None:
    lines = Lines()
    lines.dealt("u", 1, 2)
    assert lines.is_busy("u")
    assert not lines.is_busy("v")
    with pytest.raises(ValueError, match="one of a user at a time"):
        lines.dealt("u", 1, 1)
    lines.dealt("v", 2, 1)
    assert lines.answered("u", failed=False) is None
    assert lines.answered("v", failed=True) == "later"
    assert lines.is_busy("u")
    assert lines.answered("u", failed=False) == "done"
    assert not lines.is_busy("u")
    lines.dealt("u", 1, 1)


def test_a_message_goes_to_one_handler_at_least() -> None:
    lines = Lines()
    with pytest.raises(ValueError, match="one handler at least"):
        lines.dealt("u", 1, 0)
    assert not lines.is_busy("u")


def test_who_is_looked_at_again_when() -> None:
    lines = Lines()
    assert lines.deadline() is None
    for user, at in (("late", 30.0), ("soon", 10.0), ("sooner", 5.0), ("gone", 1.0), ("dealt", 2.0)):
        lines.wait(user, at)
    lines.leave("gone")
    lines.dealt("dealt", 1, 1)
    assert lines.deadline() == 5.0
    assert lines.due(4.9) == []
    assert lines.due(10.0) == ["sooner", "soon"]
    assert lines.due(10.0) == []
    assert lines.deadline() == 30.0
    lines.wait("late", 40.0)
    assert lines.deadline() == 40.0


def test_who_leaves_is_with_nobody() -> None:
    lines = Lines()
    lines.dealt("u", 1, 1)
    lines.leave("u")
    assert not lines.is_busy("u")
    lines.leave("never there")
