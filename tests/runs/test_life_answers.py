"""A run's machine: what the history makes of it, also from stored facts."""

from __future__ import annotations

import pickle
from dataclasses import replace

import msgspec
import pytest

from openclaw_client.runs.events import (
    RunDeferred,
    RunErrored,
    TextAppended,
    TextReplaced,
)
from openclaw_client.runs.peer import Peer, SentRun
from openclaw_client.runs.phases import (
    Action,
    Ask,
    End,
    Follow,
    NotFound,
    OutOfReach,
    Phase,
    Send,
    Unknown,
)
from openclaw_client.wire.agent import AgentPayload
from openclaw_client.wire.history import HistoryPage, InFlightRun
from tests.runs.lives import ANSWER, CUT, MINE, OLD, OTHER_PROCESS, PEER, WALL, Run, delta, final, look_until_the_end
from tests.runs.pages import SENT, assistant, collected, page, pending, steered, user

# The run that answers.

GOES = page(MINE, flight=InFlightRun("f", "Hel"), active=("f",), busy=True)
NOT_YET = page(MINE, flight=InFlightRun("f", ""), active=("f",), busy=True)


def following(found: HistoryPage = GOES) -> Run:
    run = Run().deferred()
    run.page(1, found)
    confirmed(run, found)
    assert run.actions() == [Follow("f")]
    return run


def confirmed(run: Run, found: HistoryPage) -> None:
    """What a page has said of a run in flight is followed when the next one says it, too."""
    assert run.actions() == []
    now = run.life.deadline()
    run.life.handle_deadline(now)
    run.page(run.asked(), found, now)


def test_a_run_in_flight_of_which_only_one_page_tells_is_not_followed() -> None:
    """The rows were read before: the answer was there when that run began."""
    run = Run().deferred()
    run.page(1, GOES)
    confirmed(run, page(MINE, flight=InFlightRun("g", "other"), active=("g",), busy=True))
    confirmed(
        run, page(MINE, assistant("Hello", "x", "stop"), flight=InFlightRun("g", "other"), active=("g",), busy=True)
    )
    reply = run.outcome()
    assert (reply.text, reply.answered_by) == ("Hello", "x")


def test_the_run_that_answers_is_followed() -> None:
    run = following()
    assert (run.life.phase, run.life.followed, run.life.run_ids) == (Phase.TAKEN, "f", ["r", "f"])
    run.life.delta(delta("Hello", "f"), 2.0)
    run.life.chat(final("Hello", "f"), 3.0)
    reply = run.outcome()
    assert (reply.run_id, reply.text, reply.answered_by) == ("r", "Hello", "f")
    assert [event.text for event in run.events[1:3] if isinstance(event, TextAppended)] == ["Hel", "lo"]
    assert Run().life.followed is None


def test_a_run_that_answers_others_too_is_not_the_message_s_own() -> None:
    both = page(collected("Hi", "Other's"), flight=InFlightRun("f", "Hel"), active=("f",), busy=True)
    run = following(both)
    assert (run.life.followed, run.life.run_ids) == (None, ["r", "f"])
    run.life.chat(final("Hello both", "f"), 3.0)
    reply = run.outcome()
    assert (reply.text, reply.answered_by, reply.merged_into) == ("Hello both", "f", "f")


def test_a_message_that_comes_into_a_run_that_is_followed_makes_it_another_s_too() -> None:
    run = following()
    assert run.life.followed == "f"
    run.life.lost(CUT, 2.0)
    run.life.back()
    run.page(run.asked(), page(MINE, user("x", "s"), flight=InFlightRun("f", "Hel"), active=("f",), busy=True), 3.0)
    assert run.life.followed is None


def test_what_is_missed_of_the_run_that_answers_is_asked_for() -> None:
    run = following()
    run.life.lost(CUT, 2.0)
    run.life.back()
    run.page(run.asked(), page(MINE, flight=InFlightRun("f", "Hello"), active=("f",), busy=True), 3.0)
    assert run.life.text == "Hello"
    run.life.handle_deadline(40.0)
    run.life.handle_deadline(41.0)
    run.page(run.asked(), page(MINE, assistant("Hel", "f", "toolUse"), active=("f",), busy=True), 41.0)
    assert run.life.phase is Phase.TAKEN
    found = page(MINE, assistant("Hello you", "f", "stop"))
    assert run.life.cut_rows(found, PEER) == []
    run.life.handle_deadline(80.0)
    run.life.handle_deadline(81.0)
    run.page(run.asked(), found, 81.0)
    reply = run.outcome()
    assert (reply.text, reply.recovered) == ("Hello you", True)


def started(run_id: str) -> AgentPayload:
    return AgentPayload(run_id, stream="lifecycle", data=msgspec.Raw(b'{"phase":"start"}'))


def test_a_followed_run_that_starts_is_followed_on() -> None:
    run = following(NOT_YET)
    run.life.agent(started("f"), 2.0)
    run.life.gap(3.0, certain=True)
    now, asked = 3.0, 0
    while now < 100.0:
        now = run.life.deadline()
        run.life.handle_deadline(now)
        for action in run.actions():
            assert isinstance(action, Ask)
            run.page(action.number, NOT_YET, now)
            asked += 1
    assert asked >= 3
    run.life.chat(final("Hello world", "f"), now)
    reply = run.outcome()
    assert (reply.text, reply.answered_by) == ("Hello world", "f")


def test_what_a_followed_run_that_started_answers_to_both_is_the_reply() -> None:
    run = following()
    run.life.agent(started("f"), 2.0)
    run.life.gap(3.0, certain=True)
    run.life.handle_deadline(run.life.deadline())
    run.page(run.asked(), page(MINE, user("x", "s"), assistant("Hello both", "f", "stop"), busy=False), 4.0)
    reply = run.outcome()
    assert (reply.text, reply.answered_by, reply.merged_into) == ("Hello both", "f", "f")


def test_a_followed_run_may_have_nothing_to_say() -> None:
    run = Run().deferred()
    goes = page(MINE, flight=InFlightRun("f", ""), active=("f",), busy=True)
    run.page(1, goes)
    confirmed(run, goes)
    run.actions()
    run.life.chat(final(None, "f"), 2.0)
    assert look_until_the_end(run, page(MINE, active=(), busy=False)).text == ""
    assert run.life.empty_because


def test_a_followed_run_that_is_nowhere_any_more() -> None:
    run = following()
    run.life.gap(2.0, certain=True)
    assert run.actions() == []
    run.life.handle_deadline(run.life.deadline())
    run.page(run.asked(), page(MINE, active=(), busy=False), 3.0)
    outcome = look_until_the_end(run, page(MINE, active=(), busy=False))
    assert isinstance(outcome, OutOfReach)
    assert not any(isinstance(event, RunDeferred) for event in run.events)


def test_a_steered_message_has_what_stands_behind_its_row() -> None:
    run = Run().deferred()
    rows = [user("x", "f"), assistant("a", "f", "stop"), steered("r", "f")]
    goes = page(*rows, flight=InFlightRun("f", "a"), active=("f",), busy=True)
    run.page(1, goes)
    confirmed(run, goes)
    assert run.actions() == []
    assert not run.life.steered
    run.life.handle_deadline(run.life.deadline())
    run.page(run.asked(), page(*rows, assistant("b", "f", "stop")), 2.0)
    reply = run.outcome()
    assert (reply.text, reply.answered_by, reply.merged_into, run.life.steered) == ("b", "f", "f", True)


def test_a_message_taken_up_while_nobody_listened_is_answered_elsewhere() -> None:
    """Its final without words was missed."""
    run = Run().taken()
    run.life.lost(CUT, 1.0)
    run.life.back()
    run.page(run.asked(), pending(page(active=("x",)), "r"))
    run.life.gap(2.0, certain=True)
    run.life.handle_deadline(run.life.deadline())
    run.page(run.asked(), GOES)
    confirmed(run, GOES)
    assert run.actions() == [Follow("f")]


# What the gateway gives only a part of.

PART = "Hel\n...(truncated)..."


def test_a_part_of_an_answer_is_shown_and_is_no_reply() -> None:
    run = Run().taken()
    run.life.lost(CUT, 1.0)
    run.life.back()
    cut = page(MINE, assistant(PART, "r", "stop"))
    assert [row.text for row in run.life.cut_rows(cut, PEER)] == [PART]
    run.page(run.asked(), cut)
    assert isinstance(run.outcome(), OutOfReach)
    assert run.life.text == "Hel"
    waiting = Run().deferred()
    elsewhere = page(MINE, assistant(PART, "f", "stop"))
    assert [row.text for row in waiting.life.cut_rows(elsewhere, PEER)] == [PART]
    waiting.page(1, elsewhere)
    assert isinstance(waiting.outcome(), OutOfReach)
    assert waiting.life.text == "Hel"


def test_a_part_that_is_less_than_what_was_streamed() -> None:
    run = Run().taken()
    run.life.delta(delta("Hello"), 0.5)
    run.life.gap(1.0, certain=True)
    run.page(run.asked(), page(MINE, assistant(PART, "r", "stop")))
    assert isinstance(run.outcome(), OutOfReach)
    assert run.life.text == "Hello"
    assert not any(isinstance(event, TextReplaced) for event in run.events)


def test_a_failure_in_the_history() -> None:
    run = Run().taken()
    run.life.gap(1.0, certain=True)
    run.page(run.asked(), page(MINE, assistant("", "r", "error", errorMessage="boom")))
    assert run.outcome() == RunErrored("r", "boom", "")


def test_an_answer_without_words_in_the_history() -> None:
    run = Run().taken()
    run.life.gap(1.0, certain=True)
    run.page(run.asked(), page(MINE, assistant("", "r", "stop")))
    assert run.outcome().text == ""
    assert run.life.empty_because == "the history shows an empty answer"


# Stored facts.

STORED = SentRun("r", "main", "", "Hi", WALL, SENT, 4, "boot-1")


# Born half a second behind the sending.
NEW = replace(OLD, uptime=0.5, challenged_at=WALL + 1, greeted_at=WALL + 1)


def adopted(sent: SentRun = STORED, peer: Peer = PEER, now: float = 10.0) -> Run:
    run = Run(peer=peer)
    run.life.adopt(pickle.loads(pickle.dumps(sent)), now, WALL + now)
    run.life.back()
    assert run.actions() == [Ask(1)]
    return run


def test_a_run_from_stored_facts() -> None:
    run = adopted()
    assert (run.life.phase, run.life.sent_run) == (Phase.SENT, STORED)
    run.page(1, ANSWER)
    assert run.outcome().text == "Hello"
    assert adopted(replace(STORED, acknowledged=True)).life.acknowledged


@pytest.mark.parametrize(("aborted", "state"), [(False, "final"), (True, "aborted")])
def test_a_reply_that_was_kept_ends_a_run_without_a_question(aborted: bool, state: str) -> None:
    run = Run()
    run.life.recall("Hello", aborted=aborted)
    reply = run.outcome()
    assert (reply.text, reply.state, reply.recovered) == ("Hello", state, True)
    assert run.events[0] == TextAppended("r", "Hello")
    # Nothing comes behind it.
    run.life.recall("another", aborted=False)
    assert run.actions() == []


def test_what_nobody_asks_for_is_not_sent() -> None:
    run = Run()
    run.life.adopt(STORED, 10.0, WALL + 10.0, may_send=False)
    run.life.back()
    # This release would show what it took: the message never ran.
    run.page(run.asked(), page())
    assert isinstance(run.outcome(), Unknown)


def test_a_run_from_stored_facts_that_was_answered_elsewhere() -> None:
    run = adopted(replace(STORED, acknowledged=True, answered_run="f"))
    assert run.life.deferred
    run.page(1, page(MINE, user("y", "t"), assistant("Hello", "f", "stop")))
    assert (run.outcome().text, run.life.empty_because) == ("Hello", None)


@pytest.mark.parametrize(
    ("sent", "peer", "now", "found", "action"),
    [
        (STORED, PEER, 10.0, page(), Send()),
        # It never ran there: its turn would stand there.
        (STORED, OTHER_PROCESS, 10_000.0, page(), Send()),
        # Not all of it is known.
        (replace(STORED, message=""), OTHER_PROCESS, 10.0, page(), End(Unknown())),
        (replace(STORED, complete=False), PEER, 10.0, page(), End(Unknown())),
        # It may have run without a trace.
        (replace(STORED, protocol=3, boot_id=None), OLD, 300.0, page(), None),
        (replace(STORED, protocol=3, boot_id=None), OLD, 3_600.0, page(), End(Unknown())),
        (replace(STORED, protocol=3, boot_id=None), NEW, 10.0, page(), End(Unknown())),
        # Perhaps another process: not yet.
        (replace(STORED, protocol=3, boot_id=None), replace(NEW, challenged_at=WALL), 10.0, page(), None),
    ],
)
def test_what_is_done_with_a_message_without_a_trace(
    sent: SentRun, peer: Peer, now: float, found: HistoryPage, action: Action | None
) -> None:
    run = adopted(sent, peer, now)
    run.page(1, found, now)
    assert run.actions() == ([] if action is None else [action])


@pytest.mark.parametrize(("set_back", "uptime", "action"), [(0.0, 6.0, Send()), (0.4, 6.0, Send()), (5.0, 1.0, None)])
def test_a_clock_that_was_set_back_does_not_make_a_new_process_the_old_one(
    set_back: float, uptime: float, action: Action | None
) -> None:
    run = Run(peer=OLD).sent()
    run.life.lost(CUT, 1.0)
    run.life.back()
    # By this clock it was born before the sending; where the clock was set back, behind it.
    greeted = WALL + 4.5 - set_back
    peer = replace(OLD, uptime=uptime, challenged_at=greeted, greeted_at=greeted, greeted_now=4.5)
    number = run.asked()
    run.life.page(number, page(), peer, 5.0, WALL + 5.0 - set_back)
    assert run.actions() == ([] if action is None else [action])
    if action is None:
        run.life.handle_deadline(run.life.deadline())
        run.life.handle_deadline(now := run.life.deadline())
        run.life.page(run.asked(), page(), peer, now, WALL + now - set_back)
        assert run.outcome() == Unknown(CUT)


def test_a_clock_that_is_set_back_behind_the_hello_says_nothing_of_the_process() -> None:
    run = Run(peer=OLD).sent()
    run.life.lost(CUT, 1.0)
    run.life.back()
    peer = replace(OLD, challenged_at=WALL + 4.5, greeted_at=WALL + 4.5, greeted_now=4.5)
    run.life.page(run.asked(), page(), peer, 5.0, WALL - 60.0)
    assert run.actions() == [Send()]


def test_boot_ids_tell_whatever_the_clock_says() -> None:
    run = Run().sent()
    run.life.lost(CUT, 1.0)
    run.life.back()
    run.life.page(run.asked(), page(), replace(PEER, uptime=200.0, greeted_now=4.5), 5.0, WALL - 5.0)
    assert run.actions() == [Send()]


def test_a_page_that_cannot_show_the_message() -> None:
    older = page(user("No", "n", SENT + 5_000))
    run = adopted(replace(STORED, acknowledged=True))
    assert not run.life.reaches(older, PEER)
    run.page(1, replace(older, has_more=True))
    assert isinstance(look_until_the_end(run, replace(older, has_more=True)), OutOfReach)
    reset = replace(page(), session_id="s-2")
    run = adopted(replace(STORED, session_id="s-1"))
    run.page(1, reset)
    assert look_until_the_end(run, reset) == Unknown()
    same = adopted(replace(STORED, session_id="s-1"))
    same.page(1, replace(page(), session_id="s-1"))
    assert same.actions() == [Send()]


def test_the_gateways_clock_is_taken_from_the_connection_where_it_was_not_stored() -> None:
    run = adopted(replace(STORED, clock_ms=None), replace(PEER, clock_offset=3_600.0))
    run.page(1, page(user("Hi", None, SENT), assistant("old", None, "stop")))
    assert run.actions() == [Send()]
    run = adopted(replace(STORED, clock_ms=None), replace(PEER, clock_offset=3_600.0))
    run.page(1, page(user("Hi", None, SENT + 3_600_000), assistant("Hello", None, "stop")))
    assert run.outcome().text == "Hello"


def test_a_run_of_which_only_the_id_is_known() -> None:
    def sought() -> Run:
        run = Run()
        run.life.seek(0.0)
        run.life.back()
        assert run.actions() == [Ask(1)]
        return run

    run = sought()
    run.page(1, ANSWER)
    assert run.outcome().text == "Hello"
    run = sought()
    run.page(1, page(active=()))
    assert look_until_the_end(run, page(active=())) == NotFound()
    run = sought()
    run.page(1, page(active=("r",)))
    run.life.lost(CUT, 2.0)
    run.life.gone(CUT)
    assert isinstance(run.outcome(), OutOfReach)


def test_a_key_that_may_be_forgotten_is_not_sent_again() -> None:
    """A page that shows nothing is no sign of life."""
    run = Run(peer=OLD).taken()
    run.life.lost(CUT, 1.0)
    run.life.back()
    run.page(run.asked(), page(), 1.0)
    sent: list[float] = []
    for _ in range(20):
        now = run.life.deadline()
        run.life.handle_deadline(now)
        for action in run.actions():
            assert isinstance(action, Ask)
            run.page(action.number, page(), now)
        sent += [now for action in run.actions() if isinstance(action, Send)]
    # The gateway knows the key for 300 seconds.
    assert sent
    assert max(sent) < 240.0 < now


def test_which_row_holds_the_words_is_asked_where_the_gateway_tells() -> None:
    assert Run().taken().life.page_params(PEER) == {}
    assert Run().deferred().life.page_params(PEER) == {"inputRunIds": ["r"]}
    assert Run().deferred().life.page_params(replace(PEER, version="2026.8.1")) == {}
    assert Run(peer=OLD).deferred().life.page_params(OLD) == {}


def test_what_is_learned_behind_the_sending() -> None:
    run = Run()
    assert run.life.learned == (False, None, None)
    run.sent()
    assert run.life.learned == (False, None, None)
    run.life.answered({"runId": "r", "status": "started"}, 0.0)
    assert run.life.learned == (True, None, None)
    assert adopted(replace(STORED, session_id="s-1")).life.learned == (False, None, "s-1")
    assert adopted(replace(STORED, acknowledged=True, answered_run="f")).life.learned == (True, "f", None)
