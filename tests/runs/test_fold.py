"""A run as a fold: what each state does, and that the first end is the end."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from openclaw_client.runs.events import (
    RawEvent,
    RunAborted,
    RunCompleted,
    RunErrored,
    RunEvent,
    RunStatus,
    SideResult,
    TextAppended,
    TextReplaced,
    ThinkingAppended,
)
from openclaw_client.runs.fold import RunFold
from openclaw_client.wire.agent import AgentPayload
from openclaw_client.wire.chat import ChatMessage, ChatPayload, MessageDetails
from openclaw_client.wire.frames import ChatFrame, decode_frame

THINKING = AgentPayload("r", stream="thinking", data=msgspec.Raw(b'{"delta":"hm"}'))


def chat(state: str, message: str | ChatMessage | None = None, **rest: Any) -> ChatPayload:
    return ChatPayload(run_id="r", state=state, message=message, **rest)


def after(*payloads: ChatPayload) -> RunFold:
    fold = RunFold("r")
    for payload in payloads:
        fold.chat(payload)
    return fold


HELLO = chat("delta", "Hello")
IMAGE = {"type": "image", "data": "iVBORw0KGgo=", "mimeType": "image/png"}
AUDIO = {"type": "audio", "url": "/media/1.mp3"}
CALL = {"type": "toolCall", "id": "c1", "name": "read"}


def words(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def completed(text: str, *rest: Any, **more: Any) -> RunCompleted:
    """The end of a run whose last message is this text and nothing else."""
    return RunCompleted("r", text, *rest, content=(words(text),), **more)


def ended(message: object, state: str = "final", **rest: Any) -> ChatPayload:
    """The payload of an event, decoded as one is that comes from a gateway."""
    payload = {"runId": "r", "sessionKey": "agent:main:main", "state": state, "message": message, **rest}
    frame = decode_frame(msgspec.json.encode({"type": "event", "event": "chat", "payload": payload, "seq": 3}))
    assert isinstance(frame, ChatFrame)
    return frame.payload


@pytest.mark.parametrize(
    ("payload", "events"),
    [
        (chat("delta", "Hello you"), (TextAppended("r", " you"),)),
        (chat("delta", "Hello"), ()),
        (
            chat("status", phase="starting_model", retry={"attempt": 2}),
            (RunStatus("r", "starting_model", {"attempt": 2}),),
        ),
        (chat("status"), (RunStatus("r", ""),)),
        (chat("brand_new"), (RawEvent("r", "chat.brand_new"),)),
        (chat(""), (RawEvent("r", "chat."),)),
        # final: the last word, whatever was streamed.
        (chat("final", "Hello"), (completed("Hello"),)),
        (chat("final", "Hello!"), (TextAppended("r", "!"), completed("Hello!"))),
        (chat("final", "Bye"), (TextReplaced("r", "Bye"), completed("Bye"))),
        # Without a word: what was streamed stands.
        (chat("final", ""), (RunCompleted("r", "Hello"),)),
        (ended({"content": [words("")]}), (RunCompleted("r", "Hello", content=(words(""),)),)),
        (
            chat("final", ChatMessage(content="Hello", stop_reason="end_turn"), usage={"input": 3}),
            (completed("Hello", "end_turn", {"input": 3}),),
        ),
        (
            chat("final", ChatMessage(content="Hello", stop_reason="end_turn"), stop_reason="stop"),
            (completed("Hello", "stop"),),
        ),
        # A final that says nothing about the text: what was streamed stands.
        (chat("final"), (RunCompleted("r", "Hello"),)),
        (ended({}), (RunCompleted("r", "Hello"),)),
        (ended({"content": []}), (RunCompleted("r", "Hello"),)),
        (ended({"content": [AUDIO]}), (RunCompleted("r", "Hello", content=(AUDIO,)),)),
        (ended({"content": IMAGE}), (RunCompleted("r", "Hello", content=(IMAGE,)),)),
        (ended({"content": [IMAGE, words("")]}), (RunCompleted("r", "Hello", content=(IMAGE, words(""))),)),
        # Blocks of several kinds.
        (
            ended({"content": [IMAGE], "text": "Hello world"}),
            (TextAppended("r", " world"), RunCompleted("r", "Hello world", content=(IMAGE,))),
        ),
        (
            ended({"content": [words("Hello"), CALL, words("Done.")]}),
            (
                TextAppended("r", "\n\nDone."),
                RunCompleted("r", "Hello\n\nDone.", content=(words("Hello"), CALL, words("Done."))),
            ),
        ),
        # Who answered, and what it took; the event's own usage counts before its message's.
        (
            ended({"content": [words("Hello")], "usage": {"input": 3}, "model": "mock-1", "provider": "mock"}),
            (completed("Hello", None, {"input": 3}, model="mock-1", provider="mock"),),
        ),
        (
            ended({"content": [words("Hello")], "usage": {"input": 3}}, usage={"input": 4}),
            (completed("Hello", None, {"input": 4}),),
        ),
        # aborted: the longer of what was streamed and what it says.
        (chat("aborted", stop_reason="rpc"), (RunAborted("r", "Hello", "rpc"),)),
        (chat("aborted", "Hel"), (RunAborted("r", "Hello", content=(words("Hel"),)),)),
        (
            chat("aborted", "Hello you"),
            (TextAppended("r", " you"), RunAborted("r", "Hello you", content=(words("Hello you"),))),
        ),
        (
            chat("aborted", "Bye"),
            (TextReplaced("r", "Bye"), RunAborted("r", "Bye", content=(words("Bye"),))),
        ),
        (ended({"content": [IMAGE]}, "aborted"), (RunAborted("r", "Hello", content=(IMAGE,)),)),
        # error.
        (chat("error", error_message="boom"), (RunErrored("r", "boom", "Hello"),)),
        (chat("error"), (RunErrored("r", "the gateway gave no reason", "Hello"),)),
        (
            chat("error", "Hello y", error_message="boom", error_kind="timeout", error_detail={"httpStatus": 500}),
            (TextAppended("r", " y"), RunErrored("r", "boom", "Hello y", "timeout", {"httpStatus": 500})),
        ),
        (chat("error", "Hel", error_message="boom"), (RunErrored("r", "boom", "Hello"),)),
        (chat("error", "", error_message="boom"), (RunErrored("r", "boom", "Hello"),)),
    ],
)
def test_what_comes_after_a_first_delta(payload: ChatPayload, events: tuple[RunEvent, ...]) -> None:
    assert after(HELLO).chat(payload) == events


@pytest.mark.parametrize(("state", "kind"), [("aborted", RunAborted), ("error", RunErrored)])
def test_a_run_may_end_without_a_text(state: str, kind: type[Any]) -> None:
    fold = after(chat(state))
    assert isinstance(fold.outcome, kind)
    assert (fold.text, fold.outcome.text) == ("", "")


@pytest.mark.parametrize("first", ["final", "aborted", "error"])
def test_after_the_end_nothing_is_told_any_more(first: str) -> None:
    fold = after(HELLO, chat(first, "Hello"))
    outcome = fold.outcome
    assert outcome is not None
    for state in ("delta", "final", "aborted", "error", "status", "brand_new"):
        assert fold.chat(chat(state, "later", error_message="later")) == ()
    assert fold.agent(THINKING) == ()
    assert fold.side_result({"text": "later"}) == ()
    assert fold.resume("later") == ()
    assert fold.finish(RunCompleted("r", "later")) == ()
    assert (fold.text, fold.outcome, fold.side_results) == ("Hello", outcome, [])


def test_agent_events_are_told_where_they_say_something() -> None:
    fold = RunFold("r")
    assert fold.agent(THINKING) == (ThinkingAppended("r", "hm"),)
    assert fold.agent(AgentPayload("r", stream="assistant")) == ()


@pytest.mark.parametrize(
    ("payload", "event"),
    [
        ({"text": "42", "question": "6x7?", "isError": False}, SideResult("r", "42", "6x7?")),
        ({"text": "no", "isError": True}, SideResult("r", "no", None, True)),
        ({"text": 5, "question": 5, "isError": "yes"}, SideResult("r", "")),
        ({}, SideResult("r", "")),
    ],
)
def test_side_results_are_told_and_kept(payload: dict[str, Any], event: SideResult) -> None:
    fold = RunFold("r")
    assert fold.side_result(payload) == (event,)
    assert (fold.side_results, fold.text) == ([event], "")


def test_an_outcome_known_from_elsewhere_ends_the_run() -> None:
    fold = after(HELLO)
    assert fold.finish(RunCompleted("r", "Hello you")) == (TextAppended("r", " you"), RunCompleted("r", "Hello you"))
    assert fold.outcome == RunCompleted("r", "Hello you")
    assert after(HELLO).finish(RunAborted("r", "Hello")) == (RunAborted("r", "Hello"),)


@pytest.mark.parametrize(
    ("text", "events"),
    [
        ("Hello you", (TextAppended("r", " you"),)),
        ("Hello", ()),
        ("Bye", (TextReplaced("r", "Bye"),)),
    ],
)
def test_a_resumed_run_takes_the_text_of_the_history(text: str, events: tuple[RunEvent, ...]) -> None:
    fold = after(HELLO)
    assert fold.resume(text) == events
    assert fold.text == text


@pytest.mark.parametrize("text", ["", "Hel"])
def test_a_history_older_than_what_came_live_takes_nothing_away(text: str) -> None:
    fold = after(HELLO)
    assert fold.resume(text) == ()
    assert fold.text == "Hello"


def test_after_resuming_late_frames_are_late_and_counters_start_anew() -> None:
    fold = after(chat("delta", "Hello", seq=40))
    fold.resume("Hello you")
    assert fold.chat(chat("delta", "Hello", seq=2)) == ()
    assert fold.chat(chat("delta", "Hello you two", seq=3)) == (TextAppended("r", " two"),)


def test_a_phase_that_is_told_twice_is_handed_out_once() -> None:
    fold = RunFold("r")
    agent = AgentPayload(run_id="r", stream="run_status", data=msgspec.Raw(b'{"phase":"starting_model"}'))
    assert fold.chat(chat("status", phase="starting_model")) == (RunStatus("r", "starting_model"),)
    assert fold.agent(agent) == ()
    retry = {"attempt": 2}
    assert fold.chat(chat("status", phase="starting_model", retry=retry)) == (RunStatus("r", "starting_model", retry),)
    assert fold.agent(agent) == (RunStatus("r", "starting_model"),)


@pytest.mark.parametrize(
    ("payloads", "wordless"),
    [
        ([chat("final")], True),
        ([ended({"content": []})], True),
        ([ended({"content": [IMAGE]})], False),
        ([ended({"content": [], "text": "Hello"})], False),
        ([chat("final", "")], True),
        ([HELLO, chat("final")], False),
        ([HELLO, chat("final", "")], False),
        ([chat("aborted")], False),
        ([], False),
    ],
)
def test_a_final_with_nothing_in_it_of_a_run_that_said_nothing(payloads: list[ChatPayload], wordless: bool) -> None:
    fold = after(*payloads)
    assert fold.wordless is wordless
    # The message may be answered elsewhere: it is no outcome.
    assert not (wordless and fold.outcome)


def test_a_run_that_ended_without_words_may_speak_again() -> None:
    fold = after(chat("final"))
    assert fold.chat(chat("final", "Hello")) == (TextAppended("r", "Hello"), completed("Hello"))
    assert not fold.wordless


def test_a_run_that_is_followed_goes_on_behind_the_text() -> None:
    fold = after(HELLO)
    fold.follow()
    assert fold.text == "Hello"
    assert fold.chat(chat("delta", "Hello you", seq=1)) == (TextAppended("r", " you"),)


def test_an_answer_beside_the_conversation_is_an_answer() -> None:
    fold = RunFold("r")
    fold.side_result({"text": "aside"})
    fold.chat(chat("final"))
    assert not fold.wordless


def test_a_delta_is_a_chat_event_on_a_shorter_way() -> None:
    fold = RunFold("r")
    assert fold.delta(HELLO) == TextAppended("r", "Hello")
    assert fold.delta(HELLO) is None
    fold.chat(chat("final", "Hello"))
    assert fold.delta(chat("delta", "Hello you")) is None


def test_what_is_told_beside_the_events_stands_at_the_end() -> None:
    fold = RunFold("r")
    fold.note(MessageDetails(usage={"input": 1, "cost": {"total": 2}}, model="m-1", provider="p"))
    fold.note(MessageDetails(usage={"input": 2, "cost": {"total": 3}}))
    [*_, outcome] = fold.chat(ChatPayload(run_id="r", state="final", message="done"))
    assert isinstance(outcome, RunCompleted)
    assert (outcome.usage, outcome.model, outcome.provider) == ({"input": 3, "cost": {"total": 5}}, "m-1", "p")


def test_the_last_event_has_the_last_word() -> None:
    fold = RunFold("r")
    fold.note(MessageDetails(usage={"input": 1}))
    [*_, outcome] = fold.chat(ChatPayload(run_id="r", state="final", message="done", usage={"input": 9}))
    assert isinstance(outcome, RunCompleted)
    assert outcome.usage == {"input": 9}
