"""A run's machine: loss and return, what comes too late, and time."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

import pytest

from openclaw_client.errors import (
    GatewayError,
    NotConnected,
)
from openclaw_client.runs.activity import RECONNECTING
from openclaw_client.runs.clock import RunLimits
from openclaw_client.runs.events import (
    Reconnecting,
    Resumed,
    RunDeferred,
    RunStarted,
    TextAppended,
)
from openclaw_client.runs.life import RunLife
from openclaw_client.runs.phases import (
    Ask,
    End,
    OutOfReach,
    Tell,
    Unknown,
)
from openclaw_client.wire.chat import ChatPayload
from openclaw_client.wire.history import InFlightRun
from tests.runs.lives import (
    ANSWER,
    ANSWERED_ELSEWHERE,
    CUT,
    FAILED,
    LATER,
    OLD,
    OTHER_PROCESS,
    PEER,
    STARTED,
    WALL,
    Run,
    delta,
    final,
    lifecycle,
    look_until_the_end,
)
from tests.runs.pages import page

# Loss and return.


def test_a_loss_and_a_return_are_told_once() -> None:
    run = Run().taken()
    run.life.lost(CUT, 1.0)
    assert (run.life.activity, run.life.away_error) == (RECONNECTING, CUT)
    run.life.back()
    run.life.lost(CUT, 2.0)
    run.life.back()
    number = run.actions()[-1]
    assert isinstance(number, Ask)
    run.page(number.number, page(flight=InFlightRun("r", "Hel")))
    run.life.delta(delta("Hello"), 3.0)
    assert run.events[1:] == [Reconnecting("r"), Resumed("r"), TextAppended("r", "Hel"), TextAppended("r", "lo")]
    assert run.life.away_error is None


def test_a_page_from_before_a_cut_does_nothing() -> None:
    run = Run().taken()
    run.life.gap(0.5, certain=True)
    old = run.asked()
    run.life.lost(CUT, 1.0)
    events = list(run.events)
    run.page(old, ANSWER)
    run.life.page_failed(old, FAILED, 1.0)
    run.life.back()
    new = run.asked()
    run.page(old, ANSWER)
    run.life.page_failed(old, FAILED, 1.0)
    assert run.actions() == []
    assert run.events == events
    run.page(new, ANSWER)
    assert run.outcome().text == "Hello"


INPUTS: list[Callable[[RunLife], object]] = [
    lambda life: life.answered(STARTED, 9.0),
    lambda life: life.answered({"ok": True, "runIds": []}, 9.0),
    lambda life: life.refused(FAILED),
    lambda life: life.abort_answered(("r",)),
    lambda life: life.delta(delta("more"), 9.0),
    lambda life: life.chat(final("more"), 9.0),
    lambda life: life.chat(ChatPayload(run_id="r", state="error"), 9.0),
    lambda life: life.agent(lifecycle(phase="start"), 9.0),
    lambda life: life.side_result({"text": "more"}, 9.0),
    lambda life: life.gap(9.0, certain=True),
    lambda life: life.gap(9.0, certain=False),
    lambda life: life.other_ended(9.0),
    lambda life: life.session_heard(9.0),
    lambda life: life.lost(CUT, 9.0),
    lambda life: life.back(),
    lambda life: life.gone(CUT),
    lambda life: [life.page(number, ANSWER, PEER, 9.0, WALL) for number in range(4)],
    lambda life: [life.page_failed(number, FAILED, 9.0) for number in range(4)],
    lambda life: life.handle_deadline(10_000.0),
    lambda life: life.close(),
]


def by_final(run: Run) -> None:
    run.life.chat(final("Hello"), 1.0)


def by_failure(run: Run) -> None:
    run.life.chat(ChatPayload(run_id="r", state="error", error_message="boom"), 1.0)


def by_refusal(run: Run) -> None:
    run.life.refused(FAILED)


def by_page(run: Run) -> None:
    run.life.gap(1.0, certain=True)
    run.page(run.asked(), ANSWER)


def by_loss(run: Run) -> None:
    run.life.gone(CUT)


def by_closing(run: Run) -> None:
    run.life.close()


@pytest.mark.parametrize("entry", range(len(INPUTS)))
@pytest.mark.parametrize("ending", [by_final, by_failure, by_refusal, by_page, by_loss, by_closing])
def test_behind_the_end_nothing_does_anything(ending: Callable[[Run], None], entry: int) -> None:
    run = Run().taken()
    ending(run)
    assert [type(action) for action in run.actions()] == ([] if ending is by_closing else [End])
    assert run.life.ended
    events = list(run.events)
    INPUTS[entry](run.life)
    assert run.life.actions() == []
    assert run.events == events
    assert run.life.deadline() == inf
    assert not run.life.expect(b"{}", inf)


@pytest.mark.parametrize("entry", range(len(INPUTS)))
def test_every_input_once_more_behind_every_other_input_that_ends(entry: int) -> None:
    run = Run().taken()
    INPUTS[entry](run.life)
    ends = [action for action in run.actions() if isinstance(action, End)]
    for one in INPUTS:
        one(run.life)
        ends += [action for action in run.actions() if isinstance(action, End)]
    assert len(ends) <= 1


def test_a_gap_while_a_page_is_read_asks_once_more() -> None:
    run = Run().taken()
    run.life.gap(1.0, certain=True)
    number = run.asked()
    run.life.gap(1.1, certain=True)
    assert run.actions() == []
    run.page(number, page(flight=InFlightRun("r", "")), 1.2)
    run.life.handle_deadline(run.life.deadline())
    assert run.asked() == number + 1


def test_a_gap_before_the_response_is_asked_about_behind_it() -> None:
    run = Run()
    run.life.gap(0.0, certain=True)
    run.sent().life.gap(0.1, certain=True)
    assert run.actions() == []
    run.life.answered(STARTED, 0.2)
    assert run.actions() == [Ask(1)]


def test_an_uncertain_gap_is_asked_about_after_three_seconds_of_silence() -> None:
    run = Run(peer=OLD).taken()
    run.life.delta(delta("Hel"), 1.0)
    run.life.gap(2.0, certain=False)
    assert run.life.deadline() == pytest.approx(5.0)
    run.life.delta(delta("Hello"), 3.0)
    assert run.life.deadline() == pytest.approx(33.0)
    # Another run of the session ended: on wire v3 it may have made this one give way.
    run.life.other_ended(4.0)
    assert run.life.deadline() == pytest.approx(7.0)
    newer = Run().taken()
    newer.life.other_ended(4.0)
    assert newer.life.deadline() == pytest.approx(30.0)


def test_what_ends_in_the_session_is_looked_at_while_a_message_waits() -> None:
    run = Run().deferred()
    run.page(1, page(busy=True), 1.0)
    for _ in range(4):
        now = run.life.deadline()
        run.life.handle_deadline(now)
        run.page(run.asked(), page(busy=True), now)
    assert run.life.deadline() == pytest.approx(4.8)
    run.life.other_ended(3.0)
    assert run.life.deadline() == pytest.approx(3.1)
    run.life.handle_deadline(3.1)
    number = run.asked()
    run.life.gap(3.2, certain=True)
    run.page(number, page(busy=True), 3.3)
    assert run.life.deadline() == pytest.approx(3.4)


def test_deferral_is_told_once_and_the_wait_survives_a_cut() -> None:
    run = Run().deferred()
    run.page(1, page(busy=True), 1.0)
    run.life.lost(CUT, 2.0)
    run.life.back()
    run.page(run.asked(), page(busy=True), 3.0)
    assert run.events[1:] == [RunDeferred("r"), Reconnecting("r"), Resumed("r")]
    run.life.handle_deadline(run.life.deadline())
    run.page(run.asked(), ANSWERED_ELSEWHERE, 4.0)
    reply = run.outcome()
    assert (reply.text, reply.answered_by, reply.merged_into, reply.recovered) == ("Hello", "f", None, False)


def test_a_wait_ends_with_its_process() -> None:
    run = Run().deferred()
    run.life.lost(CUT, 2.0)
    run.life.back()
    run.page(run.asked(), page(busy=True), 3.0, OTHER_PROCESS)
    run.peer = OTHER_PROCESS
    outcome = look_until_the_end(run, page(busy=True))
    assert isinstance(outcome, OutOfReach)
    assert outcome.forgotten


def test_what_comes_with_the_end_of_its_connection() -> None:
    run = Run().taken()
    run.life.gap(1.0, certain=True)
    run.page(run.asked(), page(flight=InFlightRun("r", "Hel")), up=False)
    assert run.actions() == []
    assert run.life.text == ""
    run.life.gap(1.1, certain=True)
    run.page(run.asked(), ANSWER, up=False)
    assert run.outcome().text == "Hello"
    waiting = Run().deferred()
    waiting.page(1, page(busy=True), up=False)
    assert waiting.actions() == []
    assert waiting.events == [RunStarted("r")]
    waiting = Run().deferred()
    waiting.page(1, ANSWERED_ELSEWHERE, up=False)
    assert waiting.outcome().text == "Hello"


# Pages that cannot be had.


def test_a_page_that_cannot_be_had() -> None:
    run = Run().taken()
    run.life.gap(1.0, certain=True)
    run.life.page_failed(run.asked(), NotConnected(message="gone"), 1.0)
    assert run.life.deadline() == pytest.approx(30.0)
    run.life.gap(1.0, certain=True)
    run.life.page_failed(run.asked(), LATER, 1.0)
    assert run.life.deadline() == pytest.approx(1.5)
    run.life.handle_deadline(1.5)
    run.life.page_failed(run.asked(), FAILED, 1.6)
    assert run.actions() == []
    run.life.handle_deadline(31.0)
    run.life.handle_deadline(32.0)
    # It is heard, and nothing was missed for good: a second refusal does not end it.
    run.life.page_failed(run.asked(), FAILED, 32.0)
    assert run.actions() == []


def test_two_lasting_refusals_end_a_run_of_which_nothing_is_known() -> None:
    run = Run().taken()
    run.life.lost(CUT, 1.0)
    run.life.back()
    run.life.page_failed(run.asked(), FAILED, 2.0)
    assert run.actions() == []
    run.life.handle_deadline(31.0)
    run.life.page_failed(run.asked(), FAILED, 31.0)
    assert run.outcome() == OutOfReach("the gateway does not say what became of it", FAILED)


def test_a_refusal_while_a_message_waits() -> None:
    run = Run().deferred()
    run.life.page_failed(1, LATER, 1.0)
    assert run.life.deadline() == pytest.approx(1.1)
    silent = Run().taken()
    silent.life.agent(lifecycle(phase="start"), 0.2)
    silent.life.chat(final(), 0.3)
    silent.life.page_failed(silent.asked(), FAILED, 1.0)
    assert silent.outcome().text == ""


# Time.


def test_a_limit_of_the_caller_is_told_and_the_run_goes_on() -> None:
    run = Run(RunLimits(total=60.0)).taken()
    run.life.handle_deadline(60.0)
    assert Tell("total", 60.0) in run.actions()
    run.life.chat(final("Hello"), 61.0)
    assert run.outcome().text == "Hello"


def silent_under_check(limits: RunLimits) -> Run:
    run = Run(limits).taken()
    run.life.agent(lifecycle(phase="start"), 0.2)
    run.life.chat(final(), 0.3)
    run.asked()
    return run


def test_a_silent_answer_that_is_checked_is_in_no_limit_any_more() -> None:
    run = silent_under_check(RunLimits(total=60.0, away=1.0))
    run.life.lost(CUT, 1.0)
    run.life.handle_deadline(60.0)
    assert run.outcome().text == ""
    run = silent_under_check(RunLimits())
    run.life.gone(CUT)
    assert run.outcome().text == ""


@pytest.mark.parametrize("acknowledged", [False, True])
def test_a_gateway_that_never_comes_back(acknowledged: bool) -> None:
    run = Run(RunLimits(away=600.0))
    (run.taken if acknowledged else run.sent)()
    run.life.lost(CUT, 5.0)
    assert run.life.deadline() == 605.0
    run.life.handle_deadline(605.0)
    outcome = run.outcome()
    assert isinstance(outcome, OutOfReach if acknowledged else Unknown)
    assert outcome.cause is CUT


def test_a_connection_that_is_gone_for_good() -> None:
    run = Run().taken()
    run.life.gone(GatewayError(message="closed"))
    assert run.outcome().what == "closed; the run may go on at the gateway"
    run = Run().sent()
    run.life.gone(CUT)
    assert run.outcome() == Unknown(CUT)


def test_a_message_that_waits_where_no_gateway_tells_until_when() -> None:
    run = Run(peer=OLD).deferred()
    run.page(1, page(), 1.0)
    run.life.session_heard(50.0)
    run.life.session_heard(40.0)
    now = 1.0
    while not run.life.ended:
        now = run.life.deadline()
        run.life.handle_deadline(now)
        for action in run.actions():
            if isinstance(action, Ask):
                run.page(action.number, page(), now)
            else:
                assert isinstance(action, End)
                assert isinstance(action.outcome, OutOfReach)
    assert now == pytest.approx(170.0)


def test_when_something_of_a_run_came_last() -> None:
    run = Run()
    assert run.life.heard_at == 0.0
    run.taken()
    run.life.chat(delta("Hel"), 7.0)
    assert run.life.heard_at == 7.0


def test_nothing_is_unanswered_while_nothing_can_be_heard() -> None:
    run = Run(peer=OLD).deferred()
    run.page(1, page(), 1.0)
    run.life.lost(CUT, 2.0)
    assert run.life.deadline() == inf
    run.life.handle_deadline(1_000.0)
    run.life.back()
    run.page(run.asked(), page(), 1_000.0)
    run.life.handle_deadline(1_000.3)
    run.page(run.asked(), page(), 1_119.0)
    assert not run.life.ended
    run.life.handle_deadline(1_120.0)
    assert isinstance(run.actions()[0], End)


def test_a_message_that_speaks_again_is_in_no_wait_any_more() -> None:
    run = Run(peer=OLD).deferred()
    run.page(1, page(), 1.0)
    run.life.delta(delta("Hel"), 2.0)
    now = 2.0
    for _ in range(10):
        now = run.life.deadline()
        run.life.handle_deadline(now)
        assert run.life.deadline() > now
        for action in run.actions():
            assert isinstance(action, Ask)
            run.page(action.number, page(), now)
    assert now > 122.0
