"""What a page of the history says about a run whose events were missed, and what is done about it."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_client.runs.phases import Unknown
from openclaw_client.runs.recovery import (
    Answered,
    AskAgain,
    Continue,
    Decision,
    Discarded,
    Finding,
    Finish,
    LocalFacts,
    Lost,
    Resend,
    StillRunning,
    Unanswered,
    Wait,
    cut_rows,
    decide,
    is_busy,
    look_up,
)
from openclaw_client.runs.rows import CLOCK_SLACK_MS, MessageQuery
from openclaw_client.wire.history import HistoryPage, InFlightRun, history_page
from tests.runs.pages import INJECTED, SENT, TOOL, assistant, collected, page, pending, steered, user

QUESTION = MessageQuery("r", "Hi", SENT)


def found_on(found: HistoryPage, question: MessageQuery = QUESTION) -> Finding:
    """`look_up`, without the rows of the answer."""
    finding = look_up(found, question)
    return replace(finding, rows=()) if isinstance(finding, Answered) else finding


@pytest.mark.parametrize(
    ("found", "finding"),
    [
        # It goes on.
        (page(flight=InFlightRun("r", "so far")), StillRunning("so far")),
        (page(flight=InFlightRun("r", "")), StillRunning("")),
        (page(flight=InFlightRun("other", "x"), active=("other", "r")), StillRunning(None)),
        (page(assistant("early", "r"), active=("r",)), StillRunning(None)),
        # 2026.9.6: rows name their runs.
        (page(user("Hi", "r"), assistant("Hello", "r", "end_turn")), Answered("Hello", "end_turn")),
        (page(assistant("Hello", "r", "stop")), Answered("Hello", "stop")),
        (page(user("Hi", "r"), assistant("", "r", "error", errorMessage="boom")), Answered("", "error", "boom")),
        (page(user("Hi", "r"), assistant("It failed: boom", "r", "error")), Answered("", "error", "It failed: boom")),
        (
            page(assistant("half", "r", "toolUse"), TOOL, assistant("It failed", "r", "error")),
            Answered("half", "error", "It failed"),
        ),
        (page(user("Hi", "r"), assistant("Hello")), Answered("Hello")),
        (page(user("Hi", "r"), assistant("a"), assistant("b"), user("Next", "s"), assistant("c")), Answered("b")),
        (page(user("Hi", "r"), assistant("Hello", "r"), user("Hi", "s"), assistant("No", "s")), Answered("Hello")),
        # 2026.2.17 writes the id into the text that the model gets.
        (page(user('{"message_id": "r"} other words', at=None), assistant("Hello")), Answered("Hello")),
        # Tools are called in between, and what follows the last row was injected.
        (
            page(assistant("a", "r", "toolUse"), TOOL, assistant("b", "r", "stop"), assistant("injected", "r")),
            Answered("a\n\nb", "stop"),
        ),
        (page(user("Hi", "r"), INJECTED, assistant("Hello", stop="stop")), Answered("Hello", "stop")),
        (page(user("Hi", "r"), INJECTED), Unanswered(sent=True)),
        # The answer to a command is the gateway's as well, and names its run.
        (page(user("/x", "r"), {**INJECTED, "idempotencyKey": "r"}), Answered("injected", "stop")),
        # Another message was steered into the run: its rows go on behind it.
        (
            page(user("Hi", "r"), assistant("a", "r", "stop"), steered("s", "r"), assistant("b", "r", "stop")),
            Answered("a\n\nb", "stop"),
        ),
        # The run was steered into another: that one's words are not its own.
        (
            page(user("x", "f"), assistant("a", "f", "stop"), steered("r", "f"), assistant("b", "f", "stop")),
            Answered("b", "stop", None, "f", "f", steered=True),
        ),
        # It waits for another, or was answered in a run that the gateway chose.
        (pending(page(user("x", "f"), flight=InFlightRun("f", "a")), "r"), StillRunning(None)),
        (page(user("Hi", "r"), assistant("Hello", "chosen", "stop")), Answered("Hello", "stop", None, "chosen")),
        (page(assistant("a", "r", "toolUse"), assistant("", "r", "stop")), Answered("a", "stop")),
        (page(user("Hi", "r"), assistant("a", "r", "toolUse"), TOOL), Unanswered(sent=True)),
        (page(assistant("a", "r", "toolUse"), TOOL, assistant("b", "r")), Unanswered(sent=True)),
        # 2026.4.15 names nothing: the first with its words since its time.
        (page(user("Hi"), assistant("Hello")), Answered("Hello")),
        (page(user("[Mon 10:00] Hi "), assistant("Hello")), Answered("Hello")),
        (page(user("Hi", at=SENT - CLOCK_SLACK_MS), assistant("Hello")), Answered("Hello")),
        (page(user("Hi", at=SENT - CLOCK_SLACK_MS - 1), assistant("before")), Unanswered(sent=False)),
        (page(user("Hi", at=None), assistant("who knows when")), Unanswered(sent=False)),
        (page(user("Hi"), assistant("Hello"), user("Other"), assistant("no")), Answered("Hello")),
        (page(user("Hi"), assistant("Hello"), user("Hi"), assistant("again")), Answered("Hello")),
        (page(user("Hi", at=SENT - 9999), assistant("old"), user("Hi"), assistant("Hello")), Answered("Hello")),
        (page(user("Hi", at=SENT - 9999), assistant("old"), user("Other"), assistant("no")), Unanswered(sent=False)),
        (page(user('{"message_id": "other"} Hi'), assistant("no")), Unanswered(sent=False)),
        (page(user("Hi", "other"), assistant("no")), Unanswered(sent=False)),
        (page(user("Hi", "r"), assistant("yes"), user("Other", "other"), assistant("no")), Answered("yes")),
        # Asked and not answered yet, or no trace; and what the page says about activity.
        (page(user("Hi", "r")), Unanswered(sent=True)),
        (page(user("Hi", "r"), user("Hi", "s"), assistant("No")), Unanswered(sent=True)),
        (page(), Unanswered(sent=False)),
        (page(assistant("proactive")), Unanswered(sent=False)),
        (
            page(flight=InFlightRun("other", "x"), active=("other",), busy=True),
            Unanswered(sent=False, active=False),
        ),
        (page(active=()), Unanswered(sent=False, active=False)),
        (page(user("Hi", "r"), busy=False), Unanswered(sent=True, active=False)),
        (page(user("Hi", "r"), busy=True), Unanswered(sent=True)),
        (page(user("Hi", "r"), active=(), busy=True), Unanswered(sent=True)),
        (page(user("Hi", "r"), active=(), busy=False), Unanswered(sent=True, active=False)),
        # A run that no row names may be the one that answers; one that a row names is not.
        (page(user("Hi", "r"), active=("f",)), Unanswered(sent=True)),
        (page(user("Hi", "r"), user("x", "f"), active=("f",)), Unanswered(sent=True, active=False)),
        (page(user("Hi", "r"), assistant("a", "f"), TOOL, active=("f",)), Answered("a", None, None, "f")),
        (page(active=("f",)), Unanswered(sent=False, active=False)),
        (page(user("x", "f"), steered("r", "f"), active=("f",)), Unanswered(sent=True, active=True)),
        # A stopped run is over, although 2026.7.1 names it among the active ones for 15 s more.
        (page(user("Hi", "r"), assistant("ha", "r", "aborted"), active=("r",)), Answered("ha", "aborted")),
        # What waited is queued, stopped, or was forgotten with its process.
        (pending(page(), "r"), StillRunning(None)),
        (pending(page(), "r", state="cancelled"), Discarded(cancelled=True)),
        (pending(page(), "r", state="interrupted"), Discarded(cancelled=False)),
        (pending(page(), "s", state="cancelled"), Unanswered(sent=False)),
        # Several messages in one row are known by their words.
        (page(collected("No", "Hi"), assistant("both", "f", "stop")), Answered("both", "stop", None, "f", "f")),
    ],
)
def test_findings(found: HistoryPage, finding: Finding) -> None:
    assert found_on(found) == finding


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({"__openclaw": {"runId": "r", "id": "1"}}, "before\n\nafter"),  # 2026.9.6
        ({"__openclaw": {"id": "1"}}, "beforeafter"),  # 2026.6.1 and 2026.4.15
        ({}, "after"),  # 2026.2.17
    ],
)
def test_words_before_and_after_a_tool_call_make_the_text_of_the_final(row: dict[str, Any], text: str) -> None:
    rows = [assistant("before", stop="toolUse") | row, TOOL, assistant("after", stop="stop") | row]
    assert found_on(page(user("Hi", "r"), *rows)) == Answered(text, "stop")
    silent = [assistant("", stop="toolUse") | row, TOOL, assistant("", stop="stop") | row]
    assert found_on(page(user("Hi", "r"), *silent)) == Answered("", "stop")


CUT = "a\n...(truncated)..."


def test_a_part_of_an_answer_is_no_answer() -> None:
    whole, part = assistant("before", "r", "toolUse"), assistant(CUT, "r", "toolUse")
    found = page(user("Hi", "r"), whole, part, TOOL, assistant("after", "r", "stop"))
    finding = found_on(found)
    assert finding == Answered("before\n\na", "stop", cut=True)
    assert [row.text for row in cut_rows(found, QUESTION)] == [CUT]
    assert decide(finding, LocalFacts(True)) == Lost(part="before\n\na")


@pytest.mark.parametrize("question", [MessageQuery("r"), MessageQuery("r", " ", SENT), MessageQuery("r", "Hi")])
def test_without_the_words_or_the_time_only_names_count(question: MessageQuery) -> None:
    assert found_on(page(user("Hi"), assistant("no")), question) == Unanswered(sent=False)
    assert found_on(page(user("Hi", "r"), assistant("Hello")), question) == Answered("Hello")


rows = st.builds(
    lambda role, text, run_id, stop: {"role": role, "content": text, "timestamp": SENT, **run_id, **stop},
    st.sampled_from(["user", "assistant", "toolResult", ""]),
    st.sampled_from(["Hi", "Hello", ""]),
    st.sampled_from([{}, {"runId": "r"}, {"runId": "s"}]),
    st.sampled_from([{}, {"stopReason": "stop"}, {"stopReason": "toolUse"}]),
)


@given(messages=st.lists(rows, max_size=8))
def test_a_later_turn_of_another_run_changes_nothing(messages: list[dict[str, Any]]) -> None:
    finding = found_on(history_page({"messages": messages}))
    later = [{"role": "user", "content": "Hi", "runId": "s"}, {"role": "assistant", "content": "FOREIGN", "runId": "s"}]
    assert found_on(history_page({"messages": [*messages, *later]})) == finding


# What is done.

SENT_OR_TAKEN = [(True, False), (False, True), (True, True)]


@pytest.mark.parametrize(("restarted", "patient"), list(itertools.product([False, True], repeat=2)))
@pytest.mark.parametrize("acknowledged", [False, True])
def test_what_the_page_shows_decides_whatever_else_is_known(acknowledged: bool, restarted: bool, patient: bool) -> None:
    known = LocalFacts(acknowledged, restarted, patient)
    answer = Answered("Hello", "stop")
    assert decide(StillRunning("so far"), known) == Continue("so far")
    assert decide(StillRunning(None), known) == Continue(None)
    assert decide(answer, known) == Finish(answer)


@pytest.mark.parametrize(("acknowledged", "sent"), SENT_OR_TAKEN)
@pytest.mark.parametrize(
    ("active", "restarted", "patient", "step"),
    [
        # It may go on: its events will come.
        (True, False, True, Continue()),
        (True, False, False, Continue()),
        (None, False, True, Continue(alive=False)),
        (None, False, False, Continue(alive=False)),
        # It is over, because the page says so or because its process is gone.
        (False, False, True, AskAgain()),
        (False, True, True, AskAgain()),
        (None, True, True, AskAgain()),
        (False, False, False, Lost()),
        (False, True, False, Lost(forgotten=True)),
        (None, True, False, Lost(forgotten=True)),
    ],
)
def test_a_message_that_the_gateway_took(
    acknowledged: bool, sent: bool, active: bool | None, restarted: bool, patient: bool, step: Decision
) -> None:
    assert decide(Unanswered(sent, active), LocalFacts(acknowledged, restarted, patient)) == step


@pytest.mark.parametrize("sent", [False, True])
def test_a_run_that_the_gateway_stopped(sent: bool) -> None:
    finding = Unanswered(sent)
    assert decide(finding, LocalFacts(True, stopped=True)) == AskAgain()
    assert decide(finding, LocalFacts(True, patient=False, stopped=True)) == Finish(Answered("", "aborted"))


@pytest.mark.parametrize(
    ("facts", "patient", "impatient"),
    [
        # Perhaps restarted: only a silence makes it so.
        (LocalFacts(True, restarted=None), Continue(alive=False), Continue(alive=False)),
        (LocalFacts(True, restarted=None, silent=True), AskAgain(), Lost(forgotten=True)),
        # The page cannot show it any more.
        (LocalFacts(True, missing="reset"), AskAgain(), Lost()),
        (LocalFacts(True, missing="short"), AskAgain(), Lost()),
        (LocalFacts(False, missing="reset"), AskAgain(), Unknown()),
        # Nothing has shown for an hour that it goes on.
        (LocalFacts(True, stale=True), AskAgain(), Lost()),
        # What may have run, nobody asks for: nothing is sent.
        (LocalFacts(True, deaf=True, may_send=False), Continue(alive=False), Continue(alive=False)),
        (LocalFacts(True, deaf=True, restarted=None), Continue(alive=False), Continue(alive=False)),
    ],
)
def test_what_else_tells_that_a_run_is_over(facts: LocalFacts, patient: Decision, impatient: Decision) -> None:
    finding = Unanswered(sent=False)
    assert decide(finding, facts) == patient
    assert decide(finding, replace(facts, patient=False)) == impatient


@pytest.mark.parametrize("restarted", [False, None, True])
def test_a_message_that_will_never_be_taken_up(restarted: bool | None) -> None:
    facts = LocalFacts(True, restarted)
    assert decide(Discarded(cancelled=True), facts) == Finish(Answered("", "aborted"))
    assert decide(Discarded(cancelled=False), facts) == Lost(forgotten=restarted is not False)


@pytest.mark.parametrize("sent", [False, True])
def test_a_gateway_that_does_not_tell_what_is_active_is_asked_by_the_key(sent: bool) -> None:
    assert decide(Unanswered(sent), LocalFacts(True, deaf=True)) == Resend()
    # It does tell, or the key may be forgotten.
    assert decide(Unanswered(sent, active=False), LocalFacts(True, deaf=True)) == AskAgain()
    assert decide(Unanswered(sent), LocalFacts(True, restarted=True, deaf=True)) == AskAgain()
    assert decide(Unanswered(sent), LocalFacts(True)) == Continue(alive=False)


@pytest.mark.parametrize("sent", ["cafe\u0301\x07  Hi", " caf\u00e9\r\nHi\n"])
def test_words_are_known_again_however_the_gateway_writes_them_down(sent: str) -> None:
    found = page(user("[Mon 10:00] caf\u00e9\nHi"), assistant("Hello", stop="stop"))
    assert found_on(found, MessageQuery("r", sent, SENT)) == Answered("Hello", "stop")


def test_a_run_from_before_is_known_by_words_that_were_said_once() -> None:
    before = MessageQuery("r", "Hi", SENT + 3_600_000, before=True)
    once = [user("Hi"), assistant("Hello", stop="stop")]
    assert found_on(page(*once), replace(before, before=False)) == Unanswered(sent=False)
    assert found_on(page(*once), before) == Answered("Hello", "stop")
    assert found_on(page(*once, user("Hi"), assistant("No", stop="stop")), before) == Unanswered(sent=False)


@pytest.mark.parametrize(("active", "patient"), list(itertools.product([None, False], [False, True])))
@pytest.mark.parametrize(
    ("facts", "step"),
    [
        # The same process knows the key: a second sending is no second run.
        (LocalFacts(False), Resend()),
        (LocalFacts(False, age=239.0), Resend()),
        # The key may be forgotten, or nobody asks: the row may still come.
        (LocalFacts(False, age=240.0), Wait()),
        (LocalFacts(False, may_send=False), Wait()),
        (LocalFacts(False, age=3600.0), Unknown()),
        (LocalFacts(False, age=3600.0, may_send=False), Unknown()),
        # A turn that is written down when it begins has not begun.
        (LocalFacts(False, early=True), Resend()),
        (LocalFacts(False, early=True, restarted=True, age=7200.0), Resend()),
        (LocalFacts(False, early=True, may_send=False), Unknown()),
        # A new process forgot the key, and the turn may have been under way without a trace.
        (LocalFacts(False, restarted=True), Unknown()),
        # Perhaps a new process: nothing is sent, and a silence decides.
        (LocalFacts(False, restarted=None), Wait()),
        (LocalFacts(False, restarted=None, early=True), Wait()),
        (LocalFacts(False, restarted=None, silent=True), Unknown()),
    ],
)
def test_a_message_of_which_there_is_no_trace(
    active: bool | None, facts: LocalFacts, patient: bool, step: Decision
) -> None:
    assert decide(Unanswered(False, active), replace(facts, patient=patient)) == step


@pytest.mark.parametrize(
    ("found", "busy"),
    [
        (page(), False),
        (page(active=()), False),
        (page(active=(), busy=False), False),
        # 2026.7.1 says that a run is active, and names none.
        (page(active=(), busy=True), True),
        (page(busy=True), True),
        (page(active=("f",)), True),
        (page(flight=InFlightRun("f", "")), True),
    ],
)
def test_whether_a_session_is_busy(found: HistoryPage, busy: bool) -> None:
    assert is_busy(found) is busy


def test_the_word_for_silence_is_no_answer() -> None:
    found = look_up(page(user("Hi", "r"), assistant("NO_REPLY", "r", "stop")), QUESTION)
    assert isinstance(found, Answered)
    assert (found.text, found.rows) == ("", ())
    found = look_up(
        page(user("Hi", "r"), assistant("Yes", "r", "toolUse"), assistant("NO_REPLY", "r", "stop")), QUESTION
    )
    assert isinstance(found, Answered)
    assert found.text == "Yes"
