"""Where a message is answered whose own run ended without words: the table, row by row."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_client.runs.deferral import (
    CUT,
    INTERRUPTED,
    LOOK,
    LOOK_SILENT,
    NO_REPLY,
    NOT_ANSWERED,
    NOT_TAKEN_UP,
    NOT_WRITTEN,
    RESTARTED,
    Answer,
    Deferred,
    DeferredFacts,
    Goes,
    Gone,
    LookFor,
    Patience,
    Silence,
    decide_deferred,
)
from openclaw_client.runs.recovery import Answered
from openclaw_client.runs.rows import MessageQuery
from openclaw_client.wire.history import HistoryPage, InFlightRun, history_page
from tests.runs.pages import INJECTED, SENT, TOOL, assistant, collected, page, pending, steered, user

QUESTION = MessageQuery("r", "Hi", SENT)
MINE, OTHER = user("Hi", "r"), user("x", "s")
FACTS = DeferredFacts()
NEVER = LookFor(LOOK, Gone(NOT_TAKEN_UP))
UNANSWERED = LookFor(LOOK, Gone(NOT_ANSWERED))
DEAD = LookFor(LOOK, Gone(RESTARTED, forgotten=True))
STOPPED = LookFor(LOOK, Answer(Answered("", "aborted")))


def decided(found: HistoryPage, question: MessageQuery = QUESTION, **facts: Any) -> Deferred:
    """`decide_deferred`, without the rows of the answer."""
    result = decide_deferred(found, question, replace(FACTS, **facts))
    return Answer(replace(result.answered, rows=())) if isinstance(result, Answer) else result


def answer(text: str, run_id: str | None = None, into: str | None = None, *, steered: bool = False) -> Answer:
    return Answer(Answered(text, "stop", None, run_id, into, steered=steered))


# What the page shows, whatever was heard.


@pytest.mark.parametrize(
    ("found", "result"),
    [
        # 1: it waits, was stopped while it waited, or was forgotten with its process.
        (pending(page(MINE, assistant("a", stop="stop")), "r"), Patience()),
        (pending(page(MINE), "r", state="cancelled"), Answer(Answered("", "aborted"))),
        (pending(page(MINE), "r", state="interrupted"), Gone(INTERRUPTED, forgotten=True)),
        # 2: the answer behind its row; rows that name no run, and such that do.
        (page(OTHER, assistant("no", stop="stop"), MINE, assistant("a", stop="stop")), answer("a")),
        (page(MINE, assistant("a", "f", "stop")), answer("a", "f")),
        (page(MINE, INJECTED, assistant("a", "f", "stop")), answer("a", "f")),
        (page(MINE, assistant("a", stop="toolUse"), TOOL, assistant("b", stop="stop")), answer("b")),
        # Rows right behind it were taken up together with it.
        (page(MINE, OTHER, assistant("both", "f", "stop")), answer("both", "f", "f")),
        (page(collected("Hi", "x"), assistant("both", "f", "stop")), answer("both", "f", "f")),
        # But not where the answer is the run of such a row.
        (page(MINE, OTHER, assistant("no", "s", "stop"), busy=True), Patience()),
        # Steered: what stands behind its row, of the run that took it up.
        (
            page(OTHER, assistant("a", "s", "stop"), steered("r", "s"), assistant("b", "s", "stop")),
            answer("b", "s", "s", steered=True),
        ),
        (page(OTHER, steered("r", "s"), user("y", "t"), assistant("no", "t", "stop"), busy=True), Patience()),
        # 3: an answer that the gateway cuts.
        (page(MINE, assistant("a\n...(truncated)...", stop="stop")), Gone(CUT, part="a")),
    ],
)
def test_what_a_page_shows(found: HistoryPage, result: Deferred) -> None:
    assert decided(found) == result
    heard: dict[str, Any] = {
        "busy": True,
        "restarted": None,
        "missed": True,
        "stopped": not isinstance(result, Patience),
    }
    assert decided(found, **heard) == result


def test_an_aborted_answer_and_a_failed_one() -> None:
    assert decided(page(MINE, assistant("ha", stop="aborted"))) == Answer(Answered("ha", "aborted"))
    failed = page(MINE, assistant("", "f", "error", errorMessage="boom"))
    assert decided(failed) == Answer(Answered("", "error", "boom", "f"))


# 4: the run that writes the answer.

FLIGHT = InFlightRun("f", "so far")


@pytest.mark.parametrize(
    ("found", "result"),
    [
        (page(OTHER, assistant("a", "s", "stop"), MINE, flight=FLIGHT), Goes("f", "so far")),
        (page(MINE, OTHER, flight=FLIGHT), Goes("f", "so far", shared=True)),
        (page(collected("Hi", "x"), flight=FLIGHT), Goes("f", "so far", shared=True)),
        # It wrote something before the message: it is not the answer.
        (page(user("x", "f"), MINE, flight=FLIGHT), Patience()),
        # It is the run of the message behind.
        (page(MINE, user("x", "f"), flight=FLIGHT), Patience()),
        # The message was steered: the run has words of others, too.
        (page(OTHER, steered("r", "f"), flight=FLIGHT), Patience()),
        # Its row is not the last.
        (page(MINE, assistant("a", "g", "toolUse"), flight=FLIGHT), Patience()),
        (page(OTHER, flight=FLIGHT), Patience()),
        (page(flight=FLIGHT), Patience()),
    ],
)
def test_which_run_is_followed(found: HistoryPage, result: Deferred) -> None:
    assert decided(found) == result


def test_a_message_that_may_have_had_a_run_of_its_own_takes_nobody_elses_words() -> None:
    alone = replace(QUESTION, alone=True)
    assert decided(page(MINE, flight=FLIGHT), alone) == Patience()
    assert decided(page(MINE, OTHER, assistant("no", "f", "stop"), busy=False), alone) == UNANSWERED
    assert decided(page(MINE, assistant("a", "r", "stop")), alone) == answer("a")
    # A row that says into which run it was steered tells.
    both = page(OTHER, steered("r", "s"), steered("t", "s"), assistant("both", "s", "stop"))
    assert decided(both, alone) == answer("both", "s", "s", steered=True)


# 5 to 7: a row, and no answer.

BEGUN = page(MINE, busy=False)
QUIET = page(MINE)
NO_WORDS_LEFT = LookFor(LOOK, Gone(NO_REPLY))
UNWRITTEN = LookFor(LOOK, Gone(NOT_WRITTEN, forgotten=True))


@pytest.mark.parametrize(
    ("found", "heard", "result"),
    [
        # The run was heard to begin, and ended without words: it was silent.
        (BEGUN, {"began": True}, LookFor(LOOK_SILENT, Silence())),
        (page(MINE, busy=True), {"began": True}, LookFor(LOOK_SILENT, Silence())),
        (BEGUN, {"began": True, "restarted": True}, LookFor(LOOK_SILENT, Silence())),
        # Its end was not heard: then its words are written down, or died with the process that had them.
        (BEGUN, {"began": True, "ended": True}, LookFor(LOOK_SILENT, Silence())),
        (BEGUN, {"began": True, "ended": True, "restarted": True}, UNWRITTEN),
        (BEGUN, {"began": True, "ended": True, "restarted": None}, UNANSWERED),
        (BEGUN, {"ended": True, "restarted": None}, UNANSWERED),
        # It spoke: its answer is not there yet.
        (BEGUN, {"began": True, "ended": True, "spoke": True}, NO_WORDS_LEFT),
        (BEGUN, {"ended": True, "spoke": True}, NO_WORDS_LEFT),
        (BEGUN, {"began": True, "ended": True, "spoke": True, "restarted": True}, UNWRITTEN),
        (page(MINE, busy=True), {"began": True, "ended": True, "spoke": True}, Patience()),
        (QUIET, {"began": True, "ended": True, "spoke": True, "missed": True}, Patience(Gone(NO_REPLY))),
        # A command that met another run: its silence counts once the session is idle.
        (BEGUN, {"quick": True}, LookFor(LOOK, Silence())),
        (QUIET, {"quick": True}, LookFor(LOOK, Silence())),
        (QUIET, {"quick": True, "missed": True}, Patience(Silence())),
        (page(MINE, busy=True), {"quick": True}, Patience()),
        (BEGUN, {"quick": True, "spoke": True}, NO_WORDS_LEFT),
        (page(MINE, assistant("a", stop="toolUse"), busy=False), {"quick": True}, UNANSWERED),
        # It was heard to be stopped.
        (BEGUN, {"stopped": True, "began": True}, STOPPED),
        (page(busy=False), {"stopped": True}, STOPPED),
        # Its process is gone.
        (page(MINE, busy=True), {"restarted": True}, DEAD),
        # The session is busy: it may be with this.
        (page(MINE, busy=True), {}, Patience()),
        (page(MINE, active=(), busy=True), {}, Patience()),
        # It is idle: what the page says counts, not what was heard.
        (BEGUN, {}, UNANSWERED),
        (BEGUN, {"busy": True, "missed": True}, UNANSWERED),
        (page(MINE, active=()), {}, UNANSWERED),
        # The page does not tell.
        (QUIET, {}, UNANSWERED),
        (QUIET, {"busy": True}, Patience(Gone(NOT_ANSWERED))),
        (QUIET, {"missed": True}, Patience(Gone(NOT_ANSWERED))),
        # "ok" for its key: it was silent, unless it may still be answered, or the answer has begun.
        (BEGUN, {"ended": True}, LookFor(LOOK, Silence())),
        (QUIET, {"ended": True}, LookFor(LOOK, Silence())),
        (QUIET, {"ended": True, "missed": True}, Patience(Gone(NOT_ANSWERED))),
        (page(MINE, assistant("a", stop="toolUse"), busy=False), {"ended": True}, UNANSWERED),
    ],
)
def test_a_row_without_an_answer(found: HistoryPage, heard: dict[str, Any], result: Deferred) -> None:
    assert decided(found, **heard) == result


# 8 to 10: no row.


@pytest.mark.parametrize(
    ("found", "heard", "result"),
    [
        # Side results, or a command in an idle session: its silence is its answer.
        (page(busy=True), {"aside": True}, Silence()),
        (page(busy=False), {"quick": True}, Silence()),
        (page(), {"quick": True, "missed": True}, Silence()),
        # In a busy one the rest of the message may wait behind the command.
        (page(busy=True), {"quick": True}, Patience()),
        (page(), {"quick": True, "busy": True}, Patience(Silence())),
        (page(), {"quick": True, "waited": True, "missed": True}, Patience(Silence())),
        (page(), {"quick": True, "waited": True}, LookFor(LOOK, Silence())),
        (page(busy=False), {"quick": True, "waited": True, "busy": True}, LookFor(LOOK, Silence())),
        (page(busy=True), {"quick": True, "restarted": True}, DEAD),
        (page(busy=False), {"quick": True, "spoke": True}, NO_WORDS_LEFT),
        (page(busy=False), {"began": True, "ended": True, "spoke": True}, NO_WORDS_LEFT),
        (page(), {"began": True}, LookFor(LOOK, Silence())),
        (page(busy=True), {"began": True, "restarted": True}, LookFor(LOOK, Silence())),
        (page(), {"began": True, "ended": True}, LookFor(LOOK, Silence())),
        (page(), {"began": True, "ended": True, "restarted": True}, UNWRITTEN),
        (page(busy=False), {"began": True, "ended": True, "restarted": None}, NEVER),
        (page(busy=True), {"restarted": True}, DEAD),
        (page(busy=True), {}, Patience()),
        (page(busy=False), {}, NEVER),
        (page(active=()), {"busy": True}, NEVER),
        (page(), {}, Patience(Gone(NOT_TAKEN_UP))),
        (page(), {"ended": True}, Patience(Gone(NOT_TAKEN_UP))),
    ],
)
def test_without_a_row(found: HistoryPage, heard: dict[str, Any], result: Deferred) -> None:
    assert decided(found, **heard) == result


facts = st.builds(
    DeferredFacts,
    began=st.booleans(),
    busy=st.booleans(),
    quick=st.booleans(),
    restarted=st.sampled_from([False, True, None]),
    missed=st.booleans(),
    ended=st.booleans(),
    stopped=st.booleans(),
    aside=st.booleans(),
    waited=st.booleans(),
    spoke=st.booleans(),
)
row = st.builds(
    lambda role, text, run_id, stop: {"role": role, "content": text, "timestamp": SENT, **run_id, **stop},
    st.sampled_from(["user", "assistant", "toolResult"]),
    st.sampled_from(["Hi", "Hello", ""]),
    st.sampled_from([{}, {"runId": "r"}, {"runId": "s"}]),
    st.sampled_from([{}, {"stopReason": "stop"}, {"stopReason": "toolUse"}]),
)
info = st.sampled_from(
    [{}, {"hasActiveRun": True}, {"hasActiveRun": False}, {"hasActiveRun": True, "activeRunIds": []}]
)


@given(rows=st.lists(row, max_size=6), info=info, known=facts)
def test_nothing_is_empty_without_a_reason(
    rows: list[dict[str, Any]], info: dict[str, Any], known: DeferredFacts
) -> None:
    found = history_page({"messages": rows, "sessionInfo": info})
    result = decide_deferred(found, QUESTION, known)
    end = result.then if isinstance(result, LookFor | Patience) else result
    if isinstance(end, Silence):
        assert known.began or known.quick or known.aside or known.ended
        assert known.aside or not known.spoke
        assert known.quick or known.aside or not known.unwritten
    if isinstance(end, Answer) and not end.answered.text:
        assert known.stopped or not end.answered.rows[-1].text
