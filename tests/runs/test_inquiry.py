"""When a run is asked about, asked again, and no more."""

from __future__ import annotations

from math import inf

import pytest

from openclaw_client.runs.inquiry import LOOKS, PAUSE, TRIES, InquiryClock
from openclaw_client.runs.phases import Inquiry


def in_state(state: Inquiry) -> InquiryClock:
    clock = InquiryClock()
    if state is not Inquiry.NONE:
        assert clock.ask() == 1
    if state is Inquiry.PAUSING:
        clock.pause(10.0)
    if state is Inquiry.RESTING:
        clock.rest(10.0)
    assert clock.state is state
    return clock


DUE = 10.0 + PAUSE


@pytest.mark.parametrize(
    ("state", "number", "due", "again"),
    [
        # state, the number that is asked for at once; when it is due, and what is asked for then.
        (Inquiry.NONE, 1, inf, None),
        (Inquiry.READING, None, inf, None),
        (Inquiry.PAUSING, None, DUE, 2),
        (Inquiry.RESTING, None, DUE, 2),
    ],
)
def test_a_question(state: Inquiry, number: int | None, due: float, again: int | None) -> None:
    clock = in_state(state)
    assert clock.ask() == number
    assert clock.due == due
    assert clock.handle_deadline(10.1) is None
    assert clock.handle_deadline(DUE) == again


@pytest.mark.parametrize("state", Inquiry)
def test_lost_events_are_asked_about_once_more(state: Inquiry) -> None:
    clock = in_state(state)
    number = clock.doubt()
    if state is Inquiry.NONE:
        assert number == 1
        return
    assert number is None
    if state is Inquiry.READING:
        # What is on its way may be older than the loss.
        clock.rest(10.0)
    assert clock.handle_deadline(DUE) == 2
    # Once.
    clock.rest(DUE)
    assert clock.handle_deadline(DUE + PAUSE) is None


def test_a_rest_without_a_question_ends_in_nothing() -> None:
    clock = in_state(Inquiry.RESTING)
    assert clock.handle_deadline(DUE) is None
    assert clock.state is Inquiry.NONE
    assert clock.due == inf


@pytest.mark.parametrize("state", Inquiry)
def test_only_the_page_that_is_awaited_counts(state: Inquiry) -> None:
    clock = in_state(state)
    assert clock.accepts(1) is (state is Inquiry.READING)
    assert not clock.accepts(2)
    clock.stop()
    assert clock.state is Inquiry.NONE
    number = clock.ask()
    assert number is not None
    assert clock.accepts(number)
    assert not clock.accepts(number - 1)


def test_tries_end_and_begin_anew_with_the_next_question() -> None:
    clock = in_state(Inquiry.READING)
    for left in range(TRIES - 1, -1, -1):
        clock.pause(0.0)
        assert clock.tries_left == left
        clock.handle_deadline(PAUSE)
    clock.rest(0.0)
    clock.ask()
    clock.handle_deadline(PAUSE)
    assert clock.tries_left == TRIES


def test_looks_become_rarer_until_something_ends() -> None:
    clock, now, waits = in_state(Inquiry.READING), 0.0, []
    for _ in range(len(LOOKS) + 2):
        clock.look_later(now)
        waits.append(clock.due - now)
        now = clock.due
        assert clock.handle_deadline(now) is not None
    assert waits == pytest.approx([*LOOKS, LOOKS[-1], LOOKS[-1]])
    # While a page is read, it is remembered; else it is looked for at once.
    clock.look_soon(now)
    assert clock.due == inf
    clock.look_later(now)
    assert clock.due == pytest.approx(now + LOOKS[0])
    clock.look_later(now)
    clock.look_soon(now)
    assert clock.due == pytest.approx(now + LOOKS[0])


def test_a_question_that_came_of_a_silence() -> None:
    clock = InquiryClock()
    clock.ask(silent=True)
    assert clock.silent
    # The page told: the next question is another one.
    clock.rest(0.0)
    assert not clock.silent
    clock.ask()
    clock.handle_deadline(PAUSE)
    assert not clock.silent
    # Silence fell while the page was read.
    clock.ask(silent=True)
    assert clock.silent
    clock.rest(0.0)
    clock.ask(silent=True)
    clock.handle_deadline(10.0)
    assert clock.silent
