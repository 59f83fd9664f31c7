"""What a page of the history says about a run whose events were missed, and what is done about it."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_client.runs.recovery import (
    CLOCK_SLACK_MS,
    Answered,
    AskAgain,
    Continue,
    Finding,
    Finish,
    Known,
    Lost,
    Question,
    Resend,
    Step,
    StillRunning,
    Unanswered,
    Unknown,
    absorbed_by,
    cut_rows,
    decide,
    look_up,
    reaches,
)
from openclaw_client.wire.history import HistoryMessage, HistoryPage, InFlightRun, history_page

SENT = 1_700_000_000_000.0
QUESTION = Question("r", "Hi", SENT)


def user(text: str, run_id: str | None = None, at: float | None = SENT) -> dict[str, Any]:
    meta = {"__openclaw": {"idempotencyKey": f"{run_id}:user"}} if run_id else {}
    return {"role": "user", "content": text, **({} if at is None else {"timestamp": at}), **meta}


def assistant(text: str, run_id: str | None = None, stop: str | None = None, **rest: Any) -> dict[str, Any]:
    meta = {"__openclaw": {"runId": run_id}} if run_id else {}
    stopped = {} if stop is None else {"stopReason": stop}
    return {"role": "assistant", "content": [{"type": "text", "text": text}], **meta, **stopped, **rest}


TOOL = {"role": "toolResult", "content": "ok"}


INJECTED = {**assistant("injected", stop="stop"), "provider": "openclaw", "model": "gateway-injected"}


def steered(run_id: str, into: str) -> dict[str, Any]:
    meta = {"idempotencyKey": f"{run_id}:user", "steerTargetRunId": into}
    return {"role": "user", "content": "x", "__openclaw": meta}


def pending(page: HistoryPage, *run_ids: str) -> HistoryPage:
    return replace(page, pending_run_ids=run_ids)


def page(
    *rows: dict[str, Any],
    flight: InFlightRun | None = None,
    active: tuple[str, ...] | None = None,
    busy: bool | None = None,
) -> HistoryPage:
    return HistoryPage([HistoryMessage(row) for row in rows], flight, active, busy)


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
            Answered("", merged_into="f"),
        ),
        # It waits for another, or was answered in a run that the gateway chose.
        (pending(page(user("x", "f"), flight=InFlightRun("f", "a")), "r"), StillRunning(None)),
        (page(user("Hi", "r"), assistant("Hello", "chosen", "stop")), Answered("Hello", "stop", None, "chosen")),
        (page(assistant("a", "r", "toolUse"), assistant("", "r", "stop")), Answered("a", "stop")),
        (page(user("Hi", "r"), assistant("a", "r", "toolUse"), TOOL), Unanswered(sent=True, partly=True)),
        (page(assistant("a", "r", "toolUse"), TOOL, assistant("b", "r")), Unanswered(sent=True, partly=True)),
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
            Unanswered(sent=False, active=False, early=True),
        ),
        (page(active=()), Unanswered(sent=False, active=False, early=True)),
        (page(user("Hi", "r"), busy=False), Unanswered(sent=True, active=False)),
        (page(user("Hi", "r"), busy=True), Unanswered(sent=True)),
    ],
)
def test_findings(found: HistoryPage, finding: Finding) -> None:
    assert look_up(found, QUESTION) == finding


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
    assert look_up(page(user("Hi", "r"), *rows), QUESTION) == Answered(text, "stop")
    silent = [assistant("", stop="toolUse") | row, TOOL, assistant("", stop="stop") | row]
    assert look_up(page(user("Hi", "r"), *silent), QUESTION) == Answered("", "stop")


CUT = "a\n...(truncated)..."


def test_a_part_of_an_answer_is_no_answer() -> None:
    whole, part = assistant("before", "r", "toolUse"), assistant(CUT, "r", "toolUse")
    found = page(user("Hi", "r"), whole, part, TOOL, assistant("after", "r", "stop"))
    finding = look_up(found, QUESTION)
    assert finding == Answered("before\n\na", "stop", cut=True)
    assert [row.text for row in cut_rows(found, QUESTION)] == [CUT]
    assert decide(finding, Known(True)) == Lost(part="before\n\na")


def test_how_far_back_a_page_goes() -> None:
    assert reaches(page(user("Hi", "r")), QUESTION)
    assert reaches(page(user("Hi")), QUESTION)
    assert reaches(replace(page(), has_more=False), QUESTION)
    assert reaches(page(user("No", at=SENT - 1_000)), QUESTION)
    assert not reaches(page(user("No", at=SENT - 1_000)), replace(QUESTION, before=True))
    assert not reaches(page(user("No"), user("No", at=None)), QUESTION)
    assert not reaches(page(), QUESTION)


@pytest.mark.parametrize("question", [Question("r"), Question("r", " ", SENT), Question("r", "Hi")])
def test_without_the_words_or_the_time_only_names_count(question: Question) -> None:
    assert look_up(page(user("Hi"), assistant("no")), question) == Unanswered(sent=False)
    assert look_up(page(user("Hi", "r"), assistant("Hello")), question) == Answered("Hello")


rows = st.builds(
    lambda role, text, run_id, stop: {"role": role, "content": text, "timestamp": SENT, **run_id, **stop},
    st.sampled_from(["user", "assistant", "toolResult", ""]),
    st.sampled_from(["Hi", "Hello", ""]),
    st.sampled_from([{}, {"runId": "r"}, {"runId": "s"}]),
    st.sampled_from([{}, {"stopReason": "stop"}, {"stopReason": "toolUse"}]),
)


@given(messages=st.lists(rows, max_size=8))
def test_a_later_turn_of_another_run_changes_nothing(messages: list[dict[str, Any]]) -> None:
    finding = look_up(history_page({"messages": messages}), QUESTION)
    later = [{"role": "user", "content": "Hi", "runId": "s"}, {"role": "assistant", "content": "FOREIGN", "runId": "s"}]
    assert look_up(history_page({"messages": [*messages, *later]}), QUESTION) == finding


# What is done.

SENT_OR_TAKEN = [(True, False), (False, True), (True, True)]


@pytest.mark.parametrize(("restarted", "patient"), list(itertools.product([False, True], repeat=2)))
@pytest.mark.parametrize("acknowledged", [False, True])
def test_what_the_page_shows_decides_whatever_else_is_known(acknowledged: bool, restarted: bool, patient: bool) -> None:
    known = Known(acknowledged, restarted, patient)
    answer = Answered("Hello", "stop")
    assert decide(StillRunning("so far"), known) == Continue("so far")
    assert decide(StillRunning(None), known) == Continue(None)
    assert decide(answer, known) == Finish(answer)


@pytest.mark.parametrize(("acknowledged", "sent"), SENT_OR_TAKEN)
@pytest.mark.parametrize(
    ("active", "restarted", "patient", "step"),
    [
        # It may go on: its events will come.
        (None, False, True, Continue()),
        (None, False, False, Continue()),
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
    acknowledged: bool, sent: bool, active: bool | None, restarted: bool, patient: bool, step: Step
) -> None:
    assert decide(Unanswered(sent, active), Known(acknowledged, restarted, patient)) == step


@pytest.mark.parametrize(
    ("ended", "sent", "partly", "step"),
    [
        ("aborted", False, False, Finish(Answered("", "aborted"))),
        ("aborted", True, True, Finish(Answered("", "aborted"))),
        ("ok", True, False, Finish(Answered(""))),
        # Something was said, and where it ended is not there: what is there is not the reply.
        ("ok", True, True, Lost()),
        ("ok", False, False, Lost()),
    ],
)
def test_a_run_that_the_gateway_says_is_over(ended: str, sent: bool, partly: bool, step: Step) -> None:
    finding = Unanswered(sent, partly=partly)
    assert decide(finding, Known(True, ended=ended)) == AskAgain()
    assert decide(finding, Known(True, patient=False, ended=ended)) == step


@pytest.mark.parametrize("sent", [False, True])
def test_a_gateway_that_does_not_tell_what_is_active_is_asked_by_the_key(sent: bool) -> None:
    assert decide(Unanswered(sent), Known(True, deaf=True)) == Resend()
    # It does tell, or the key may be forgotten.
    assert decide(Unanswered(sent, active=False), Known(True, deaf=True)) == AskAgain()
    assert decide(Unanswered(sent), Known(True, restarted=True, deaf=True)) == AskAgain()
    assert decide(Unanswered(sent), Known(True)) == Continue()


@pytest.mark.parametrize("sent", ["cafe\u0301\x07  Hi", " caf\u00e9\r\nHi\n"])
def test_words_are_known_again_however_the_gateway_writes_them_down(sent: str) -> None:
    found = page(user("[Mon 10:00] caf\u00e9\nHi"), assistant("Hello", stop="stop"))
    assert look_up(found, Question("r", sent, SENT)) == Answered("Hello", "stop")


def test_a_run_from_before_is_known_by_words_that_were_said_once() -> None:
    before = Question("r", "Hi", SENT + 3_600_000, before=True)
    once = [user("Hi"), assistant("Hello", stop="stop")]
    assert look_up(page(*once), replace(before, before=False)) == Unanswered(sent=False)
    assert look_up(page(*once), before) == Answered("Hello", "stop")
    assert look_up(page(*once, user("Hi"), assistant("No", stop="stop")), before) == Unanswered(sent=False)


@pytest.mark.parametrize(("active", "patient"), list(itertools.product([None, False], [False, True])))
@pytest.mark.parametrize(
    ("early", "restarted", "step"),
    [
        # The same process knows the key: a second sending is no second run.
        (False, False, Resend()),
        (True, False, Resend()),
        # A turn that is written down when it begins has not begun.
        (True, True, Resend()),
        # A new process forgot the key, and the turn may have been under way without a trace.
        (False, True, Unknown()),
    ],
)
def test_a_message_of_which_there_is_no_trace(
    active: bool | None, early: bool, restarted: bool, patient: bool, step: Step
) -> None:
    assert decide(Unanswered(False, active, early), Known(False, restarted, patient)) == step


@pytest.mark.parametrize(
    ("found", "absorbed"),
    [
        (page(user("x", "f"), steered("r", "f"), assistant("b", "f", "stop")), "f"),
        # It waits, or it ran and had nothing to say.
        (pending(page(user("x", "f")), "r"), ""),
        (page(user("Hi", "r"), user("Next", "s")), ""),
        # Not written down yet.
        (page(user("x", "f"), assistant("a", "f", "stop")), None),
        (page(), None),
    ],
)
def test_where_a_run_without_words_went(found: HistoryPage, absorbed: str | None) -> None:
    assert absorbed_by(found, "r") == absorbed
