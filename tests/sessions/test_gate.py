"""Who may send in a session, and when: the rows of the table one by one, and sessions of which anything is told."""

from __future__ import annotations

from math import inf
from typing import Literal

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from openclaw_client.sessions.gate import (
    LOOKS,
    MAX_OTHERS,
    STALE,
    Admit,
    AskActivity,
    GateAction,
    Habits,
    SessionGate,
    Ticket,
    habits_of,
)

V3 = Habits(settling=0.05)
V4_SETTLES = Habits(settling=0.25)
TELLS = Habits(tells=True)
LINGERS = Habits(tells=True, lingers=True)


@pytest.mark.parametrize(
    ("protocol", "release", "expected"),
    [
        (3, (2026, 2, 17), V3),
        (3, (2026, 4, 15), V3),
        (3, None, V3),
        (4, (2026, 5, 12), V4_SETTLES),
        (4, (2026, 5, 27), V4_SETTLES),
        (4, (2026, 5, 28), TELLS),
        (4, (2026, 6, 1), TELLS),
        (4, (2026, 6, 30), TELLS),
        (4, (2026, 7, 1), LINGERS),
        (4, (2026, 7, 35), LINGERS),
        (4, (2026, 8, 1), TELLS),
        (4, (2026, 9, 6), TELLS),
        (4, None, LINGERS),
    ],
)
def test_the_habits_of_releases(protocol: int, release: tuple[int, ...] | None, expected: Habits) -> None:
    assert habits_of(protocol, release) == expected


class Room:
    """A gate, and the clock that the test moves."""

    def __init__(self, habits: Habits = V3) -> None:
        self.now = 1_000.0
        self.gate = SessionGate()
        self.gate.connected(habits, self.now)

    def arrive(self) -> Ticket:
        ticket = Ticket(self.now)
        self.gate.arrive(ticket, self.now)
        return ticket

    def leave(self, ticket: Ticket) -> None:
        self.gate.leave(ticket, self.now)

    def told(self, busy: bool | None) -> None:
        """Answer the question that is to be asked now."""
        [ask] = self.actions()
        assert isinstance(ask, AskActivity)
        self.gate.activity(ask.number, busy, self.now)

    def pass_to(self, at: float) -> None:
        """Let the time come, with all that is due before it."""
        while self.gate.deadline() <= at:
            self.now = max(self.now, self.gate.deadline())
            self.gate.handle_deadline(self.now)
        self.now = at

    def actions(self) -> list[GateAction]:
        return self.gate.actions()

    def asks(self) -> bool:
        """Whether a question, and nothing else, comes out."""
        actions = self.actions()
        return len(actions) == 1 and isinstance(actions[0], AskActivity)


def known(habits: Habits) -> Room:
    """A session that was idle when it was asked about."""
    room = Room(habits)
    first = room.arrive()
    if habits.tells:
        room.told(False)
    assert room.actions() == [Admit(first)]
    room.leave(first)
    room.pass_to(room.now + 10)
    room.actions()
    return room


@pytest.mark.parametrize("habits", [Habits(), V3, V4_SETTLES])
def test_where_nothing_tells_a_first_message_goes_at_once(habits: Habits) -> None:
    room = Room(habits)
    ticket = room.arrive()
    assert room.actions() == [Admit(ticket)]
    assert (ticket.admitted, ticket.others, room.gate.deadline()) == (True, False, inf)


@pytest.mark.parametrize("habits", [TELLS, LINGERS])
def test_where_it_is_told_a_first_message_asks(habits: Habits) -> None:
    room = Room(habits)
    ticket = room.arrive()
    assert not ticket.admitted
    room.told(False)
    assert room.actions() == [Admit(ticket)]


def test_a_message_waits_for_the_one_before_it() -> None:
    room = known(V3)
    first, second, third = room.arrive(), room.arrive(), room.arrive()
    assert room.actions() == [Admit(first)]
    # However long that takes, and nothing is due meanwhile.
    room.pass_to(room.now + 10 * STALE)
    assert (room.actions(), room.gate.deadline(), second.others) == ([], inf, False)
    room.leave(first)
    room.pass_to(room.now + V3.settling)
    assert room.actions() == [Admit(second)]
    room.leave(second)
    room.pass_to(room.now + V3.settling)
    assert room.actions() == [Admit(third)]


@pytest.mark.parametrize("habits", [V3, V4_SETTLES])
def test_behind_an_end_the_session_is_given_its_time(habits: Habits) -> None:
    room = known(habits)
    first = room.arrive()
    second = room.arrive()
    room.actions()
    room.leave(first)
    ended = room.now
    assert room.gate.deadline() == ended + habits.settling
    room.pass_to(ended + habits.settling - 0.01)
    assert room.actions() == []
    room.pass_to(ended + habits.settling)
    assert room.actions() == [Admit(second)]


@pytest.mark.parametrize(("habits", "asked"), [(TELLS, False), (LINGERS, True)])
def test_behind_an_end_only_a_release_that_lingers_is_asked(habits: Habits, asked: bool) -> None:
    room = known(habits)
    first = room.arrive()
    if habits.lingers:
        room.told(False)
    room.actions()
    second = room.arrive()
    room.leave(first)
    if asked:
        room.told(False)
    assert room.actions() == [Admit(second)]


def test_a_busy_session_is_asked_about_again_and_then_more_seldom() -> None:
    room = Room(LINGERS)
    ticket = room.arrive()
    for pause in (*LOOKS, LOOKS[-1], LOOKS[-1]):
        room.told(True)
        assert ticket.others
        assert room.gate.deadline() == pytest.approx(room.now + pause)
        room.pass_to(room.gate.deadline() - 0.001)
        assert room.actions() == []
        room.pass_to(room.gate.deadline())
    room.told(False)
    assert room.actions() == [Admit(ticket)]
    assert not ticket.others


@pytest.mark.parametrize("habits", [TELLS, LINGERS])
def test_an_end_of_somebody_else_s_run_is_asked_about_at_once(habits: Habits) -> None:
    room = Room(habits)
    ticket = room.arrive()
    for _ in LOOKS:
        room.told(True)
        room.pass_to(room.gate.deadline())
    room.told(True)
    room.gate.other_ended("foreign", room.now)
    # And the pauses are short again.
    room.told(True)
    assert room.gate.deadline() == pytest.approx(room.now + LOOKS[0])
    assert not ticket.admitted


@pytest.mark.parametrize("habits", [V3, V4_SETTLES])
def test_somebody_else_s_run_is_waited_for_where_nothing_tells(habits: Habits) -> None:
    room = known(habits)
    room.gate.other_began("foreign", room.now)
    ticket = room.arrive()
    assert (room.actions(), ticket.others) == ([], True)
    room.pass_to(room.now + 30)
    room.gate.other_ended("foreign", room.now)
    room.pass_to(room.now + habits.settling)
    assert room.actions() == [Admit(ticket)]


def test_somebody_else_s_run_is_asked_about_where_the_gateway_tells() -> None:
    room = known(TELLS)
    room.gate.other_began("foreign", room.now)
    # More of it is nothing new.
    room.gate.other_began("foreign", room.now)
    ticket = room.arrive()
    room.told(True)
    room.pass_to(room.gate.deadline())
    # Its end was lost.
    room.told(False)
    assert room.actions() == [Admit(ticket)]


@pytest.mark.parametrize("habits", [V3, TELLS, LINGERS])
def test_of_two_runs_of_others_the_second_is_waited_for_too(habits: Habits) -> None:
    room = known(habits)
    for run_id in ("one", "two"):
        room.gate.other_began(run_id, room.now)
    ticket = room.arrive()
    if habits.tells:
        room.told(True)
    room.gate.other_ended("one", room.now)
    if habits.tells:
        room.told(True)
    room.pass_to(room.now + 1)
    assert not ticket.admitted


def test_a_run_of_somebody_else_s_that_began_meanwhile_is_asked_about_behind_one_s_own() -> None:
    room = known(TELLS)
    own = room.arrive()
    room.actions()
    room.gate.other_began("foreign", room.now)
    room.leave(own)
    ticket = room.arrive()
    assert room.asks()
    assert not ticket.admitted


def test_a_gateway_that_does_not_tell_after_all_is_not_asked_again() -> None:
    room = Room(TELLS)
    first = room.arrive()
    room.told(None)
    assert room.actions() == [Admit(first)]
    room.gate.other_began("foreign", room.now)
    room.leave(first)
    second = room.arrive()
    assert (room.actions(), second.others) == ([], True)
    room.gate.other_ended("foreign", room.now)
    assert room.actions() == [Admit(second)]


@pytest.mark.parametrize("habits", [V3, V4_SETTLES, LINGERS])
def test_who_waited_long_for_a_run_of_this_client_s_waits_for_the_rest_too(habits: Habits) -> None:
    room = known(habits)
    first = room.arrive()
    if habits.tells:
        room.told(False)
    assert room.actions() == [Admit(first)]
    second = room.arrive()
    room.pass_to(room.now + STALE + 1)
    room.leave(first)
    if habits.lingers:
        room.told(False)
    else:
        assert room.actions() == []
        room.pass_to(room.now + habits.settling)
    assert room.actions() == [Admit(second)]


@pytest.mark.parametrize("habits", [V3, TELLS, LINGERS])
def test_nobody_waits_longer_than_the_last_event_is_old(habits: Habits) -> None:
    room = known(habits)
    room.gate.other_began("foreign", room.now)
    ticket = room.arrive()
    arrived = room.now
    # Asked, where it tells, and not answered.
    room.actions()
    room.pass_to(arrived + 40)
    # An event: it is another minute from here.
    room.gate.other_began("foreign", room.now)
    heard = room.now
    room.pass_to(arrived + STALE + 1)
    assert (room.actions(), room.gate.heard_at) == ([], heard)
    room.pass_to(heard + STALE - 0.01)
    assert room.actions() == []
    room.pass_to(heard + STALE)
    assert room.actions() == [Admit(ticket)]


def test_a_gateway_that_always_says_busy_is_believed_for_a_minute() -> None:
    room = Room(TELLS)
    ticket = room.arrive()
    arrived = room.now
    asked = 0
    while not ticket.admitted:
        for action in room.actions():
            asked += isinstance(action, AskActivity)
            if isinstance(action, AskActivity):
                room.gate.activity(action.number, True, room.now)
        room.pass_to(min(room.gate.deadline(), arrived + 2 * STALE))
    assert room.now == arrived + STALE
    assert 25 < asked < 40


def test_who_leaves_the_line_is_not_served() -> None:
    room = known(V3)
    first, second, third = room.arrive(), room.arrive(), room.arrive()
    room.actions()
    room.leave(second)
    assert room.actions() == []
    room.leave(first)
    # Once is enough.
    room.leave(first)
    room.leave(second)
    room.pass_to(room.now + V3.settling)
    assert (room.actions(), room.gate.unused) == ([Admit(third)], False)
    room.leave(third)
    assert (room.actions(), room.gate.unused) == ([], True)


def test_who_leaves_while_the_first_in_line_waits_keeps_nobody_up() -> None:
    room = Room(TELLS)
    first, second = room.arrive(), room.arrive()
    [ask] = room.actions()
    room.leave(first)
    # The question is under way; it is for the second now.
    assert room.actions() == []
    assert isinstance(ask, AskActivity)
    room.gate.activity(ask.number, False, room.now)
    assert room.actions() == [Admit(second)]


def test_another_connection_is_another_question() -> None:
    room = Room(TELLS)
    ticket = room.arrive()
    [old] = room.actions()
    room.gate.connected(TELLS, room.now)
    [new] = room.actions()
    assert isinstance(old, AskActivity)
    assert isinstance(new, AskActivity)
    # What was asked over the old one tells nothing of this.
    room.gate.activity(old.number, False, room.now)
    assert room.actions() == []
    room.gate.activity(new.number, False, room.now)
    assert room.actions() == [Admit(ticket)]
    # Once.
    room.gate.activity(new.number, False, room.now)
    assert room.actions() == []


def test_an_older_release_behind_the_next_connection() -> None:
    room = Room(TELLS)
    room.gate.other_began("foreign", room.now)
    ticket = room.arrive()
    room.actions()
    # What was heard over the old connection counts no more: the end may have been missed.
    room.gate.connected(V3, room.now)
    assert room.actions() == [Admit(ticket)]


def test_a_timer_that_comes_early_does_nothing() -> None:
    room = known(V4_SETTLES)
    first, second = room.arrive(), room.arrive()
    room.actions()
    room.gate.handle_deadline(room.now + 100)
    room.leave(first)
    room.gate.handle_deadline(room.now)
    assert room.actions() == []
    assert not second.admitted


def test_of_very_many_runs_of_others_the_oldest_is_given_up() -> None:
    room = known(V3)
    for number in range(MAX_OTHERS + 1):
        room.gate.other_began(str(number), room.now)
    ticket = room.arrive()
    for number in range(1, MAX_OTHERS + 1):
        assert not ticket.admitted
        room.gate.other_ended(str(number), room.now)
    room.pass_to(room.now + V3.settling)
    assert ticket.admitted


# A session of which anything is told.

Truth = Literal["true", "wrong", "untold", "silent"]
# What only shows where the gateway is right has its share of the runs.
TRUTHS: list[Truth] = ["true", "true", "true", "wrong", "untold", "silent"]
HABITS = st.sampled_from([TELLS, LINGERS, V3, V4_SETTLES])


class Sessions(RuleBasedStateMachine):
    """One client's messages in a session in which others run, too. The truth of what is told is drawn."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_000.0
        self.gate = SessionGate()
        self.truth: Truth = "true"
        self.habits = V3
        self.line: list[Ticket] = []
        self.holder: Ticket | None = None
        self.ended_at = -inf
        self.gone: list[Ticket] = []
        self.others: set[str] = set()
        self.heard: set[str] = set()
        self.question: int | None = None
        self.names = 0

    @initialize(habits=HABITS, truth=st.sampled_from(TRUTHS))
    def begin(self, habits: Habits, truth: Truth) -> None:
        self.truth = truth
        self.connect(habits)

    # What happens.

    @rule(habits=HABITS, seldom=st.integers(0, 9))
    def reconnect(self, habits: Habits, seldom: int) -> None:
        if seldom == 9:
            self.connect(habits)

    def connect(self, habits: Habits) -> None:
        self.habits, self.question = habits, None
        self.heard.clear()
        self.gate.connected(habits, self.now)
        self.carry_out()

    @rule()
    def arrive(self) -> None:
        ticket = Ticket(self.now)
        self.line.append(ticket)
        self.gate.arrive(ticket, self.now)
        self.carry_out()

    @precondition(lambda self: self.line or self.gone)
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        """Leave the line, or leave a second time."""
        ticket = data.draw(st.sampled_from(self.line or self.gone))
        if ticket in self.line:
            self.line.remove(ticket)
        self.leave(ticket)

    @precondition(lambda self: self.holder)
    @rule()
    def end(self) -> None:
        assert self.holder is not None
        ticket, self.holder = self.holder, None
        self.ended_at = self.now
        self.leave(ticket)

    @rule(heard=st.booleans(), again=st.booleans())
    def another_speaks(self, heard: bool, again: bool) -> None:
        """Somebody else's run begins, or goes on."""
        if not (again and self.others):
            self.names += 1
            self.others.add(str(self.names))
        if heard:
            run_id = max(self.others)
            self.heard.add(run_id)
            self.gate.other_began(run_id, self.now)
            self.carry_out()

    @precondition(lambda self: self.others)
    @rule(data=st.data(), heard=st.booleans())
    def another_ends(self, data: st.DataObject, heard: bool) -> None:
        run_id = data.draw(st.sampled_from(sorted(self.others)))
        self.others.discard(run_id)
        if heard:
            self.heard.discard(run_id)
            self.gate.other_ended(run_id, self.now)
            self.carry_out()

    @precondition(lambda self: self.question is not None and self.truth != "silent")
    @rule()
    def answer(self) -> None:
        number, self.question = self.question, None
        assert number is not None
        # One of an older question tells nothing.
        self.gate.activity(number - 1, False, self.now)
        self.carry_out()
        busy = bool(self.others) or self.holder is not None
        told = {"true": busy, "wrong": not busy, "untold": None}[self.truth]
        if told is False:
            self.heard.clear()
        self.gate.activity(number, told, self.now)
        self.carry_out()

    @rule(seconds=st.one_of(st.floats(0.001, 3), st.floats(3, 2 * STALE)))
    def wait(self, seconds: float) -> None:
        until = self.now + seconds
        while self.gate.deadline() <= until:
            self.now = max(self.now, self.gate.deadline())
            self.gate.handle_deadline(self.now)
            self.carry_out()
            # A timer that is due again at once would never end.
            assert self.gate.deadline() > self.now
        self.now = until

    # What must hold.

    @invariant()
    def somebody_is_served(self) -> None:
        if self.holder is None and self.line:
            first = self.line[0]
            assert self.now < self.stale_at(first)
            assert self.now < self.gate.deadline() < inf
        else:
            assert self.gate.deadline() == inf
        assert self.gate.unused == (self.holder is None and not self.line)

    def teardown(self) -> None:
        """The others fall silent; nobody waits for ever."""
        while self.line or self.holder is not None:
            if self.holder is not None:
                self.end()
            before = len(self.line)
            self.wait(STALE)
            assert not before or self.holder is not None

    # Inside.

    def stale_at(self, ticket: Ticket) -> float:
        """When a message has waited for others for so long that it waits no more."""
        return max(ticket.arrived, self.gate.heard_at, self.ended_at) + STALE

    def leave(self, ticket: Ticket) -> None:
        self.gone.append(ticket)
        self.gate.leave(ticket, self.now)
        self.carry_out()

    def carry_out(self) -> None:
        for action in self.gate.actions():
            if isinstance(action, AskActivity):
                assert self.question is None, "asked twice at once"
                assert self.habits.tells
                self.question = action.number
            else:
                assert self.holder is None, "two under way"
                assert self.line.pop(0) is action.ticket, "out of turn"
                self.holder = action.ticket
                stale = self.now >= self.stale_at(action.ticket)
                assert stale or not (self.heard and self.truth == "true"), "into a run that was heard and goes on"


Sessions.TestCase.settings = settings(max_examples=400, stateful_step_count=40, deadline=None)
TestSessions = Sessions.TestCase
