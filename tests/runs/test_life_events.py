"""A run's machine: the message on its way, and what comes of it."""

from __future__ import annotations

from dataclasses import replace
from math import inf
from typing import Any

import msgspec
import pytest

from openclaw_client.errors import (
    GatewayError,
    OutcomeUnknown,
    RequestFailed,
    RequestTimeout,
)
from openclaw_client.runs.activity import OVER, QUEUED, THINKING, WAITING
from openclaw_client.runs.clock import RunLimits
from openclaw_client.runs.deferral import NO_REPLY
from openclaw_client.runs.events import (
    ChatReply,
    RunCompleted,
    RunDeferred,
    RunErrored,
    RunStarted,
    SideResult,
    TextAppended,
    TextReplaced,
)
from openclaw_client.runs.phases import (
    Ask,
    End,
    Follow,
    OutOfReach,
    Phase,
    Refused,
    Tell,
    Unknown,
)
from openclaw_client.wire.agent import AgentPayload
from openclaw_client.wire.chat import ChatPayload
from openclaw_client.wire.history import HistoryMessage
from tests.runs.lives import (
    ANSWERED_ELSEWHERE,
    CUT,
    FAILED,
    LATER,
    MINE,
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
from tests.runs.pages import SENT, assistant, page, pending, user

# The message on its way.


def test_a_run_from_the_first_byte_to_its_reply() -> None:
    run = Run()
    assert run.life.sent_run is None
    assert run.life.activity is QUEUED
    run.sent()
    assert not run.life.acknowledged
    assert run.life.sent_run is not None
    assert not run.life.sent_run.acknowledged
    run.life.answered(STARTED, 0.1)
    assert run.life.acknowledged
    # What is stored tells that the message was taken, too.
    assert run.life.sent_run.acknowledged
    assert run.life.activity is THINKING
    run.life.delta(delta("Hel"), 0.2)
    run.life.chat(final("Hello"), 0.3)
    reply = run.outcome()
    assert reply == ChatReply("Hello", "r", "final", "main", content=reply.content)
    assert run.events[:3] == [RunStarted("r"), TextAppended("r", "Hel"), TextAppended("r", "lo")]
    assert isinstance(run.events[3], RunCompleted)
    assert run.life.activity is OVER
    assert run.life.deadline() == inf


def test_what_another_process_needs_is_known_before_the_response() -> None:
    run = Run().sent()
    sent = run.life.sent_run
    assert sent is not None
    assert (sent.run_id, sent.session_key, sent.message, sent.clock_ms) == ("r", "main", "Hi", SENT)
    assert (sent.protocol, sent.boot_id, sent.complete) == (4, "boot-1", True)
    blind = Run(peer=replace(PEER, clock_offset=None)).sent(complete=False)
    assert blind.life.sent_run is not None
    assert (blind.life.sent_run.clock_ms, blind.life.sent_run.complete) == (None, False)
    # The moment of the first sending, and the process that got the latest.
    run.life.written(OTHER_PROCESS, 5.0, WALL + 5)
    assert run.life.sent_run == replace(sent, boot_id="boot-2")


def test_a_response_that_names_another_run() -> None:
    run = Run().sent()
    run.life.answered({"runId": "twin", "status": "in_flight"}, 0.1)
    assert run.actions() == [Follow("twin"), Ask(1)]
    assert run.life.run_ids == ["r", "twin"]
    run.page(1, page(user("Hi", "twin"), assistant("Hello", "twin", "stop")))
    reply = run.outcome()
    assert (reply.run_id, reply.merged_into, reply.text) == ("twin", "twin", "Hello")


def test_a_run_that_is_under_way_may_have_been_heard_already() -> None:
    run = Run().sent()
    run.life.delta(delta("Hel"), 0.1)
    run.life.answered({"runId": "r", "status": "in_flight"}, 0.2)
    assert run.actions() == [Ask(1)]
    assert run.events == [TextAppended("r", "Hel"), RunStarted("r", "in_flight")]
    # It is asked about because it may have just ended; unheard, it may be asked for by its key as well.
    run.page(1, page(MINE, active=("r",)))
    assert run.actions() == []


def test_a_stop_word_has_no_run() -> None:
    run = Run().sent()
    run.life.answered({"ok": True, "aborted": True, "runIds": ["x"]}, 0.1)
    reply = run.outcome()
    assert (reply.text, reply.aborted_run_ids) == ("", ("x",))
    assert run.life.empty_because


@pytest.mark.parametrize("status", ["ok", "timeout"])
def test_a_key_that_was_used_before(status: str) -> None:
    run = Run().sent()
    run.life.answered({"runId": "r", "status": status}, 0.1)
    assert run.life.phase is Phase.OVER
    number = run.asked()
    # Rows from before count for it; their words alone, where they name no run.
    run.page(number, page(user("Hi", None, SENT - 9_000), assistant("Hello", None, "stop")))
    assert run.outcome().text == "Hello"


def test_a_key_whose_run_failed_before() -> None:
    run = Run().sent()
    run.life.answered({"runId": "r", "status": "error", "summary": "boom"}, 0.1)
    assert run.outcome() == RunErrored("r", "boom", "")
    run = Run().sent()
    run.life.answered({"runId": "r", "status": "error"}, 0.1)
    assert run.outcome() == RunErrored("r", "it failed", "")


def test_a_key_whose_run_waits_says_ok_as_well() -> None:
    run = Run().sent()
    run.life.answered({"runId": "r", "status": "ok"}, 0.1)
    run.page(run.asked(), pending(page(), "r"))
    assert run.life.deferred
    (again,) = [run.life.deadline()]
    run.life.handle_deadline(again)
    run.page(run.asked(), ANSWERED_ELSEWHERE, again)
    assert (run.outcome().text, run.life.empty_because) == ("Hello", None)


def test_what_died_before_it_was_written_down_is_no_silence() -> None:
    run = Run().taken()
    run.life.agent(lifecycle(phase="start"), 0.2)
    run.life.lost(CUT, 1.0)
    run.life.back()
    run.page(run.asked(), page(busy=False), 2.0)
    # It may have been silent: the gateway that says so would have written down what it said.
    run.life.answered({"runId": "r", "status": "ok"}, 2.1)
    for action in run.actions():
        if isinstance(action, Ask):
            run.page(action.number, page(busy=False), 2.2)
    run.life.lost(CUT, 2.3)
    run.life.back()
    run.peer = OTHER_PROCESS
    lost = look_until_the_end(run, page(busy=False))
    assert isinstance(lost, OutOfReach)
    assert "the gateway was restarted" in lost.what


def begun_and_over(text: str) -> Run:
    """A run that was heard to begin, and of which the gateway says later that it is over."""
    run = Run(RunLimits(total=60.0)).taken()
    run.life.agent(lifecycle(phase="start"), 0.2)
    if text:
        run.life.delta(delta(text), 0.3)
    run.life.lost(CUT, 1.0)
    run.life.back()
    run.page(run.asked(), page(MINE), 2.0)
    run.life.answered({"runId": "r", "status": "ok"}, 2.1)
    now = run.life.deadline()
    run.life.handle_deadline(now)
    run.page(run.asked(), page(MINE, busy=False), now)
    assert run.life.deferred
    return run


def spoken_and_over() -> Run:
    return begun_and_over("Hello wor")


def test_a_run_that_spoke_and_whose_answer_is_nowhere_is_not_silent() -> None:
    lost = look_until_the_end(spoken_and_over(), page(MINE, busy=False))
    assert lost == OutOfReach(NO_REPLY)
    gone = spoken_and_over()
    gone.life.gone(CUT)
    assert isinstance(gone.outcome(), OutOfReach)
    late = spoken_and_over()
    late.life.handle_deadline(60.0)
    assert [action for action in late.actions() if isinstance(action, Tell)] == [Tell("total", 60.0)]
    refused = spoken_and_over()
    now = refused.life.deadline()
    refused.life.handle_deadline(now)
    refused.life.page_failed(refused.asked(), FAILED, now)
    assert not refused.life.ended
    for run in (gone, late, refused):
        assert run.life.text == "Hello wor"
        assert not any(isinstance(event, TextReplaced) for event in run.events)


def test_a_run_whose_end_was_not_heard_is_not_silent_when_nobody_can_tell() -> None:
    run = begun_and_over("")
    run.life.gone(CUT)
    assert isinstance(run.outcome(), OutOfReach)


def test_a_run_that_was_stopped_before_and_is_named_as_active() -> None:
    run = Run().sent()
    run.life.answered({"runId": "r", "status": "timeout"}, 0.1)
    run.page(run.asked(), page(active=("r",), busy=True))
    # 2026.7.1 names it for 15 s more.
    assert look_until_the_end(run, page(busy=False)).state == "aborted"


# An error instead of a response.

SLOW = RequestTimeout(message="no response")


@pytest.mark.parametrize(
    ("times", "acknowledged", "error", "outcome"),
    [
        (1, False, FAILED, Refused(FAILED)),
        (1, False, LATER, Refused(LATER)),
        (1, False, SLOW, Refused(SLOW)),
        (1, True, SLOW, None),
        # A second sending says nothing of the first, unless it is refused for good.
        (2, False, FAILED, Refused(FAILED)),
        (2, False, LATER, Unknown(LATER)),
        (2, False, SLOW, Unknown(SLOW)),
        (2, True, LATER, None),
        (2, True, FAILED, None),
        # The socket died: what follows decides.
        (1, False, OutcomeUnknown(message="cut"), None),
    ],
)
def test_an_error_instead_of_a_response(times: int, acknowledged: bool, error: GatewayError, outcome: Any) -> None:
    run = Run()
    for _ in range(times):
        run.sent()
    if acknowledged:
        run.life.delta(delta("Hel"), 0.1)
    run.life.refused(error)
    assert run.actions() == ([] if outcome is None else [End(outcome)])


def test_a_failure_that_comes_as_a_refusal() -> None:
    run = Run().sent()
    run.life.refused(RequestFailed(message="boom", payload={"status": "error"}))
    assert run.outcome() == RunErrored("r", "boom", "")


# Events.


def test_deltas_take_the_short_way_only_where_nothing_is_open() -> None:
    run = Run().sent()
    payload = {"runId": "r", "sessionKey": "agent:main:main", "seq": 1, "state": "delta", "deltaText": "Hel"}
    content = [{"type": "text", "text": "Hel"}]
    frame = {
        "type": "event",
        "event": "chat",
        "payload": payload | {"message": {"role": "assistant", "content": content}},
    }
    data = msgspec.json.encode(frame | {"seq": 7})
    assert not run.life.expect(data, 10.0)
    run.life.delta(delta("Hel"), 0.1)
    assert not run.life.expect(b"{}", 10.0)
    assert run.life.expect(data, 10.0)
    assert run.life.take(data, 7, 0.2)
    assert not run.life.take(data, 8, 0.3)
    longer = data.replace(b'"text":"Hel"', b'"text":"Hello"')
    assert run.life.take(longer, 7, 0.4)
    assert run.life.text == "Hello"
    # Not behind its time, and not in doubt.
    assert not run.life.take(longer, 7, 10.0)
    assert run.life.expect(data, 10.0)
    run.life.gap(0.5, certain=False)
    assert not run.life.take(longer, 7, 0.6)


def test_a_delta_that_says_nothing_new_is_no_event() -> None:
    run = Run().taken()
    run.life.delta(delta("Hel"), 0.1)
    run.life.delta(delta("Hel"), 0.2)
    assert run.events[1:] == [TextAppended("r", "Hel")]


def test_after_a_lifecycle_error_the_gateway_may_start_again_within_fifteen_seconds() -> None:
    run = Run().taken()
    run.life.agent(lifecycle(phase="error"), 1.0)
    assert run.life.deadline() == pytest.approx(17.0)
    run.life.agent(AgentPayload("r", stream="assistant"), 2.0)
    assert run.life.deadline() == pytest.approx(32.0)


def test_a_second_terminal_event_does_not_count_against_silence() -> None:
    run = Run().taken()
    run.life.agent(lifecycle(phase="start"), 0.2)
    run.life.chat(final(), 0.3)
    run.actions()
    run.life.chat(ChatPayload(run_id="r", state="error", error_message="late"), 0.4)
    assert run.actions() == []
    assert run.life.deferred


def test_a_message_that_waits_may_fail() -> None:
    run = Run().deferred()
    run.life.chat(ChatPayload(run_id="r", state="error", error_message="boom"), 1.1)
    assert run.outcome() == RunErrored("r", "boom", "")


def test_a_second_final_under_its_own_id_is_the_answer() -> None:
    run = Run().deferred()
    run.page(1, page(busy=True))
    assert run.life.activity is WAITING
    run.life.agent(lifecycle(phase="start"), 5.0)
    assert run.life.phase is Phase.TAKEN
    run.life.delta(delta("Hel"), 5.1)
    run.life.chat(final("Hello"), 5.2)
    assert run.outcome().text == "Hello"
    assert run.events[1] == RunDeferred("r")


def test_a_second_final_without_words_says_nothing_new() -> None:
    run = Run().deferred()
    run.life.chat(final(), 1.1)
    assert run.actions() == []
    assert run.life.deferred


def test_text_of_a_message_that_waited_says_that_its_run_speaks() -> None:
    run = Run().deferred()
    run.page(1, page(busy=True))
    run.life.delta(delta("Hel"), 5.0)
    assert run.life.phase is Phase.TAKEN


def test_side_results_are_an_answer_of_their_own() -> None:
    run = Run().taken()
    run.life.side_result({"text": "42"}, 0.1)
    run.life.side_result({"text": "43"}, 0.2)
    run.life.chat(final(), 0.3)
    reply = run.outcome()
    assert (reply.text, reply.side_results) == ("", (SideResult("r", "42"), SideResult("r", "43")))


def test_the_silence_of_a_command_is_its_answer() -> None:
    run = Run(quick=True).deferred()
    run.page(1, page())
    assert run.outcome().text == ""
    assert run.life.empty_because


def test_what_stands_behind_a_command_is_answered_behind_the_run_that_it_met() -> None:
    """ "/think high Hi" sets something, and the rest of it waits."""
    run = Run(quick=True).deferred()
    run.page(1, page(busy=True))
    assert run.life.activity is WAITING
    # The other run is over, and this one is not written down yet.
    run.life.other_ended(2.0)
    now = run.life.deadline()
    run.life.handle_deadline(now)
    run.page(run.asked(), page(busy=False), now)
    now = run.life.deadline()
    run.life.handle_deadline(now)
    run.page(run.asked(), ANSWERED_ELSEWHERE, now)
    assert run.outcome().text == "Hello"
    silent = Run(quick=True).deferred()
    silent.page(1, page(busy=True))
    assert look_until_the_end(silent, page(busy=False)).text == ""


def test_a_silent_answer_within_a_second() -> None:
    run = Run().taken()
    run.life.agent(lifecycle(phase="start"), 0.5)
    run.life.chat(final(), 1.0)
    run.page(run.asked(), page(MINE, busy=True))
    assert look_until_the_end(run, page(MINE, busy=True)).text == ""
    assert run.life.empty_because
    assert not any(isinstance(event, RunDeferred) for event in run.events)


def test_a_run_that_was_stopped_ends_so_whatever_its_final_says() -> None:
    run = Run().taken()
    run.life.delta(delta("Hel"), 0.1)
    run.life.agent(lifecycle(phase="end", aborted=True), 0.2)
    assert run.life.deadline() == pytest.approx(1.2)
    run.life.chat(final("Hel"), 0.3)
    assert (run.outcome().state, run.life.text) == ("aborted", "Hel")


def test_a_stopped_run_of_which_nothing_is_written_down() -> None:
    run = Run().taken()
    run.life.agent(lifecycle(phase="end", aborted=True), 0.2)
    assert look_until_the_end(run, page(MINE, active=())).state == "aborted"


def test_the_answer_to_an_abort_is_all_that_a_waiting_message_gets() -> None:
    run = Run().taken()
    run.life.abort_answered(("r",))
    assert run.actions() == []
    run.life.chat(final(), 1.0)
    run.actions()
    run.life.abort_answered(("x",))
    assert run.actions() == []
    run.life.abort_answered(("r",))
    assert run.outcome().state == "aborted"


def test_what_a_run_took_is_told_beside_its_events() -> None:
    run = Run().taken()
    run.life.agent(lifecycle(phase="model", model="mock-1", provider="mock"), 0.1)
    run.life.row(HistoryMessage(assistant("Hello", "r", "stop", usage={"input": 3})))
    run.life.row(HistoryMessage(MINE | {"usage": {"input": 100}}))
    run.life.chat(final("Hello"), 0.2)
    reply = run.outcome()
    assert (reply.model, reply.provider, reply.usage) == ("mock-1", "mock", {"input": 3})
    run.life.row(HistoryMessage(assistant("late", "r", "stop", usage={"input": 5})))
    assert run.actions() == []


def test_a_run_tells_what_is_left_of_its_caller_s_time() -> None:
    assert Run().sent().life.time_left(1.0) is None
    assert Run(RunLimits(total=10.0)).sent().life.time_left(4.0) == 6.0
