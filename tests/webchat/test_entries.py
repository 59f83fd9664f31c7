"""What the events of a run make of an entry, and how a history is laid under what is known."""

from __future__ import annotations

from typing import Any

import pytest

from examples.webchat.entries import (
    SHOWN,
    Entry,
    change,
    history_entries,
    merge,
    proactive_entry,
    reply_entries,
    settled,
    waits,
    with_files,
)
from openclaw_client import (
    AgentFile,
    HistoryMessage,
    ProactiveMessage,
    RawEvent,
    Reconnecting,
    Resumed,
    RunAborted,
    RunCompleted,
    RunErrored,
    RunStarted,
    RunStatus,
    SideResult,
    TextAppended,
    TextReplaced,
    ToolFinished,
    ToolStarted,
    ToolUpdated,
)


def reply() -> Entry:
    return reply_entries("r", "question", 1.0)[1]


def play(entry: Entry, *events: Any) -> Entry:
    for event in events:
        change(entry, event)
    return entry


def test_a_reply_from_beginning_to_end() -> None:
    entry = play(reply(), RunStarted("r"), RunStatus("r", "starting_model"))
    assert (entry.state, entry.status) == ("running", "starting model")
    assert change(entry, TextAppended("r", "on")) == ("text", {"id": "r", "text": "on"})
    play(entry, TextAppended("r", "e"), RunCompleted("r", "one."))
    assert (entry.state, entry.status, entry.text) == ("final", "", "one.")


def test_a_text_that_is_rewritten() -> None:
    entry = play(reply(), TextAppended("r", "draft"))
    assert change(entry, TextReplaced("r", "better")) == ("entry", {**entry.shown(), "text": "better"})


def test_a_side_result_survives_an_empty_end() -> None:
    assert play(reply(), SideResult("r", "aside"), RunCompleted("r", "")).text == "aside"


IMAGE = {"type": "image", "data": "iVBORw0KGgo="}


def test_a_reply_that_is_no_text_says_what_it_is() -> None:
    entry = play(reply(), RunStarted("r"), RunCompleted("r", "", content=(IMAGE, IMAGE)))
    assert (entry.state, entry.text, entry.note) == ("final", "", "Not shown here: 2 images.")
    assert play(reply(), RunCompleted("r", "look", content=(IMAGE,))).note == "Not shown here: image."
    assert play(reply(), RunAborted("r", "", content=(IMAGE,))).note == "Not shown here: image."
    assert play(reply(), RunCompleted("r", "")).note == "The assistant had nothing to say."
    assert play(reply(), RunCompleted("r", "words")).note == ""
    entry.begin_again()
    assert entry.note == ""


def test_a_reply_that_waits_for_another_run() -> None:
    entry = reply()
    assert waits(entry, False) is None
    assert waits(entry, True) == ("status", {"id": "r", "status": "waiting for another run"})
    assert waits(entry, True) is None
    play(entry, RunStarted("r"))
    assert waits(entry, False) == ("status", {"id": "r", "status": ""})
    play(entry, RunStatus("r", "starting_model"))
    assert waits(entry, False) is None
    waits(entry, True)
    assert play(entry, RunCompleted("r", "done")).status == ""


def test_a_message_that_nobody_asked_for_and_is_no_text() -> None:
    message = ProactiveMessage("1", "", "s", "1", "cron", content=(IMAGE,))
    entry = proactive_entry(message, 1.0)
    assert (entry.text, entry.note) == ("", "Not shown here: image.")
    rows = [HistoryMessage({"role": role, "content": [IMAGE]}) for role in ("user", "assistant")]
    asked, answered = history_entries(rows)
    assert (asked.text, asked.note, answered.note) == ("", "Not shown here: image.", "Not shown here: image.")
    # Both are the same message, by what they hold.
    assert merge([entry], [answered]) == [entry]
    assert len(merge([proactive_entry(ProactiveMessage("2", "", "s", "2", "cron"), 1.0)], [answered])) == 2


def test_the_rows_of_one_run_keep_what_is_no_text() -> None:
    rows = [
        HistoryMessage({"role": "assistant", "content": content, "__openclaw": {"id": ident, "runId": "r"}})
        for ident, content in (("1", [IMAGE]), ("2", "words"), ("3", [IMAGE]))
    ]
    (entry,) = history_entries(rows)
    assert (entry.text, entry.note) == ("words", "Not shown here: image. Not shown here: image.")


def test_an_aborted_reply_keeps_its_text() -> None:
    entry = play(reply(), TextAppended("r", "ha"), RunAborted("r", "half"))
    assert (entry.state, entry.text) == ("aborted", "half")


def test_a_gateway_that_is_away() -> None:
    entry = play(reply(), RunStarted("r"), Reconnecting("r"))
    assert entry.status == "waiting for the gateway"
    assert play(entry, Resumed("r")).status == ""


def test_what_is_unknown_changes_nothing() -> None:
    entry = reply()
    assert change(entry, RawEvent("r", "chat.new", {})) is None
    # The error that result() raises tells it.
    assert change(entry, RunErrored("r", "gone")) is None
    assert entry == reply()


@pytest.mark.parametrize(
    ("result", "shown"),
    [
        (None, ""),
        ({}, ""),
        ("text", "text"),
        ({"content": [{"type": "text", "text": "a"}, {"type": "image"}, {"type": "text", "text": "b"}]}, "a\nb"),
        ({"é": [1]}, '{\n  "é": [\n    1\n  ]\n}'),
        ("x" * (SHOWN + 1), "x" * SHOWN + " …"),
    ],
)
def test_a_tool_and_its_result(result: Any, shown: str) -> None:
    entry = play(reply(), ToolStarted("r", "c", "look", {"q": 1}), ToolUpdated("r", "c", "look", "half"))
    assert (entry.tools[0].args, entry.tools[0].result, entry.tools[0].state) == ('{\n  "q": 1\n}', "half", "running")
    play(entry, ToolFinished("r", "c", "look", result))
    assert [(tool.result, tool.state) for tool in entry.tools] == [(shown, "done")]
    assert play(entry, ToolFinished("r", "d", "look", None, is_error=True)).tools[1].state == "failed"


# History.


def row(role: str, text: str, **meta: str) -> HistoryMessage:
    return HistoryMessage({"role": role, "content": [{"type": "text", "text": text}], "__openclaw": meta})


def test_the_rows_of_one_run_are_one_reply() -> None:
    rows = [
        row("user", "q", id="1", idempotencyKey="r:user"),
        row("assistant", "first", id="2", runId="r"),
        row("toolResult", "found", id="3", runId="r"),
        row("assistant", "", id="4", runId="r"),
        row("assistant", "second", id="5", runId="r"),
        row("assistant", "injected", id="6"),
    ]
    assert [(entry.id, entry.text) for entry in history_entries(rows)] == [
        ("r:user", "q"),
        ("r", "first\n\nsecond"),
        ("6", "injected"),
    ]


def test_what_the_oldest_release_wraps_around_a_user_s_text() -> None:
    wrapped = 'Conversation info (untrusted metadata):\n```json\n{"a": 1}\n```\n\n[Sun 2026-11-22 20:00 UTC] hi [you] '
    assert history_entries([row("user", wrapped)])[0].text == "hi [you] "


def entries(words: str, *, runs: bool = True) -> list[Entry]:
    """ "q1 a1": the question and the answer of run 1. Without runs: as releases before 2026.6 show them."""
    made = []
    for place, word in enumerate(words.split()):
        asks, run = word[0] == "q", word[1:] if runs and word[0] in "qa" else ""
        ident = (f"{run}:user" if asks else run) or f"row-{place}"
        made.append(Entry(ident, "user" if asks else "assistant", word, run_id=run))
    return made


@pytest.mark.parametrize("runs", [True, False], ids=["with run ids", "by their words"])
@pytest.mark.parametrize(
    ("known", "history", "merged"),
    [
        ("", "q1 a1", "q1 a1"),
        ("q1 a1", "", "q1 a1"),
        ("q1 a1", "q1 a1", "q1 a1"),
        ("q1 a1 q2 a2", "q1 a1 x q2 a2", "q1 a1 x q2 a2"),
        ("q1 a1", "q1 a1 x", "q1 a1 x"),
        ("q2 a2", "q1 a1 q2 a2", "q1 a1 q2 a2"),
        ("q1 a1 q2", "q1 a1", "q1 a1 q2"),
        ("q1 a1 q2 a2", "q2 a2 q3 a3", "q1 a1 q2 a2 q3 a3"),
    ],
)
def test_known_and_history(known: str, history: str, merged: str, runs: bool) -> None:
    both = merge(entries(known), entries(history, runs=runs))
    assert [entry.text for entry in both] == merged.split()
    # Done again, it changes nothing.
    assert merge(both, entries(history, runs=runs)) == both


def test_an_open_reply_is_told_by_its_own_events() -> None:
    question, answer = reply_entries("9", "q9", 1.0)
    known = [*entries("q1 a1"), question, answer]
    assert settled(entries("q1 a1 q9 a9 x"), known) == entries("q1 a1")
    answer.state = "final"
    assert settled(entries("q1 a1 q9 a9 x"), known) == entries("q1 a1 q9 a9 x")


def test_files_of_a_reply() -> None:
    entry = play(reply(), RunCompleted("r", ""))
    assert entry.note
    assert with_files(entry, ()) is None
    told = with_files(
        entry, [AgentFile("a", "report.pdf", "application/pdf", 46, "s"), AgentFile("b", "", "x/y", None, "s")]
    )
    files = [{"id": "a", "name": "report.pdf", "size": 46}, {"id": "b", "name": "x/y", "size": None}]
    assert told == ("entry", {**entry.shown(), "files": files, "note": ""})
    entry.begin_again()
    assert entry.files == []
