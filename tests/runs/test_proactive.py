"""Messages that nobody here asked for: whole, once, and never one of this client's own runs."""

from __future__ import annotations

import pickle
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_client.runs.application import Application
from openclaw_client.runs.proactive import (
    MAX_FINISHED,
    MAX_OPEN,
    MAX_OPEN_TEXT,
    MAX_RUN_ID,
    BoundedSet,
    ProactiveAssembler,
    ProactiveMessage,
)
from openclaw_client.wire.chat import ChatPayload
from openclaw_client.wire.frames import ChatFrame, decode_frame


def chat(run_id: str, state: str, message: str | None = None, key: str = "agent:main:main", **rest: Any) -> ChatPayload:
    return ChatPayload(run_id=run_id, session_key=key, state=state, message=message, **rest)


def test_a_message_is_handed_out_when_it_is_whole_and_once() -> None:
    assembler = ProactiveAssembler()
    assert assembler.receive(chat("r", "status")) is None
    assert assembler.receive(chat("r", "delta", "Hel")) is None
    final = chat("r", "final", "Hello", stop_reason="end_turn")
    assert assembler.receive(final) == ProactiveMessage(
        "r", "Hello", "agent:main:main", "r", "run", "end_turn", ({"type": "text", "text": "Hello"},)
    )
    assert assembler.receive(final) is None
    assert assembler.receive(chat("r", "delta", "Hello")) is None


def test_a_final_without_a_message_hands_out_what_was_streamed() -> None:
    assembler = ProactiveAssembler()
    assembler.receive(chat("r", "delta", "Hello"))
    message = assembler.receive(chat("r", "final"))
    assert message is not None
    assert message.text == "Hello"


IMAGE = {"type": "image", "data": "iVBORw0KGgo=", "mimeType": "image/png"}


def last(content: object, key: str = "agent:main:cron:job") -> ChatPayload:
    """The final of a cron job's run, as it comes from a gateway."""
    payload = {"runId": "r", "sessionKey": key, "state": "final", "message": {"role": "assistant", "content": content}}
    frame = decode_frame(msgspec.json.encode({"type": "event", "event": "chat", "payload": payload, "seq": 3}))
    assert isinstance(frame, ChatFrame)
    return frame.payload


@pytest.mark.parametrize("content", [[IMAGE], IMAGE, [{"type": "text", "text": ""}, IMAGE]])
def test_a_message_may_be_an_image_alone(content: Any) -> None:
    message = ProactiveAssembler().receive(last(content))
    assert message is not None
    assert (message.id, message.kind, message.text) == ("r", "cron", "")
    assert message.content == (tuple(content) if isinstance(content, list) else (content,))
    assert pickle.loads(pickle.dumps(message)) == message


@pytest.mark.parametrize("content", [[], [{"type": "thinking", "thinking": "hm"}], [{"type": "toolCall", "name": "x"}]])
def test_what_shows_nothing_is_no_message(content: Any) -> None:
    assert ProactiveAssembler().receive(last(content)) is None


@pytest.mark.parametrize("state", ["aborted", "error"])
def test_a_run_that_did_not_end_well_is_no_message_and_stays_over(state: str) -> None:
    assembler = ProactiveAssembler()
    assembler.receive(chat("r", "delta", "Hel"))
    assert assembler.receive(chat("r", state, "Hello")) is None
    assert assembler.receive(chat("r", "final", "Hello")) is None


@pytest.mark.parametrize("payload", [chat("", "final", "Hello"), chat("r", "final"), chat("r", "final", "")])
def test_nothing_said_is_no_message(payload: ChatPayload) -> None:
    assert ProactiveAssembler().receive(payload) is None


@pytest.mark.parametrize(
    ("payload", "kind", "ident"),
    [
        (chat("inject-7", "final", "x", seq=0), "injected", "7"),
        (chat("r", "final", "x", spawned_by="agent:main:main"), "subagent", "r"),
        (chat("beat", "final", "x"), "heartbeat", "beat"),
        (chat("r", "final", "x", key="agent:main:cron:job"), "cron", "r"),
        (chat("r", "final", "x"), "run", "r"),
    ],
)
def test_kinds(payload: ChatPayload, kind: str, ident: str) -> None:
    assembler = ProactiveAssembler()
    assembler.heartbeat("beat")
    message = assembler.receive(payload)
    assert message is not None
    assert (message.kind, message.id, message.run_id) == (kind, ident, payload.run_id)


def test_a_run_of_ones_own_is_no_message_however_late() -> None:
    assembler = ProactiveAssembler()
    assembler.finished("own")
    for number in range(MAX_FINISHED - 1):
        assembler.finished(f"other-{number}")
    assert assembler.receive(chat("own", "final", "late")) is None
    assembler.finished("one too many")
    assert assembler.receive(chat("own", "final", "later still")) is not None


def test_the_texts_of_runs_under_way_are_bounded_together() -> None:
    assembler, text = ProactiveAssembler(), "x" * (MAX_OPEN_TEXT // 4)
    for number in range(5):
        assembler.receive(chat(str(number), "delta", text))
    assert [assembler.has_open(str(number)) for number in range(5)] == [False, True, True, True, True]
    # What is over makes room, and so does a text that became shorter.
    assert assembler.receive(chat("1", "final")) is not None
    assembler.receive(chat("2", "delta", "short"))
    assembler.receive(chat("5", "delta", text + text[:-5]))
    assert [assembler.has_open(number) for number in "2345"] == 4 * [True]
    # One that was given up is whole at its end; the latest is kept, however long.
    whole = assembler.receive(chat("0", "final", text))
    assert whole is not None
    assert whole.text == text
    assembler.receive(chat("6", "delta", 5 * text))
    assert assembler.open_sessions() == ["agent:main:main"]
    assert assembler.has_open("6")


def test_an_id_that_is_none_is_not_remembered() -> None:
    assembler = ProactiveAssembler()
    for size, whole in ((MAX_RUN_ID, True), (MAX_RUN_ID + 1, False)):
        assembler.heartbeat("x" * size)
        message = assembler.receive(chat("x" * size, "final", "text"))
        assert (message is not None) is whole
        assert message is None or message.kind == "heartbeat"


def test_a_reopened_run_is_heard_again() -> None:
    assembler = ProactiveAssembler()
    assembler.finished("own")
    assembler.reopened("own")
    assembler.reopened("never was")
    assert assembler.receive(chat("own", "final", "anew")) is not None


def test_runs_under_way_are_bounded_and_one_given_up_still_counts_by_its_final() -> None:
    assembler = ProactiveAssembler()
    for number in range(MAX_OPEN + 1):
        assembler.receive(chat(str(number), "delta", f"text {number}"))
    second, first = assembler.receive(chat("1", "final")), assembler.receive(chat("0", "final"))
    # The oldest was forgotten with its text; its neighbour was not.
    assert first is None
    assert second is not None
    assembler.receive(chat("late", "delta", "x"))
    whole = assembler.receive(chat("late", "final", "whole"))
    assert whole is not None
    assert whole.text == "whole"


@given(limit=st.integers(1, 5), items=st.lists(st.sampled_from("abcdefgh"), max_size=30))
def test_a_bounded_set_holds_the_last_distinct_ones(limit: int, items: list[str]) -> None:
    held = BoundedSet(limit)
    for item in items:
        held.add(item)
    latest = list(dict.fromkeys(reversed(items)))[:limit]
    assert {item for item in "abcdefgh" if item in held} == set(latest)
    assert len(held) == len(latest)


def test_runs_that_are_open_are_those_of_which_something_was_heard_since() -> None:
    assembler = ProactiveAssembler()
    assembler.receive(chat("old", "delta", "a"), 10.0)
    assembler.receive(chat("new", "delta", "b", key="agent:main:other"), 20.0)
    assert assembler.open_runs(10.0) == [("old", "agent:main:main", 10.0), ("new", "agent:main:other", 20.0)]
    assert assembler.open_runs(10.1) == [("new", "agent:main:other", 20.0)]
    assembler.receive(chat("new", "final"), 21.0)
    assembler.heard("old", 22.0)
    assembler.heard("nobody", 23.0)
    assert assembler.open_runs(0.0) == [("old", "agent:main:main", 22.0)]


@pytest.mark.parametrize(
    ("run_id", "key", "kind"),
    [
        ("shop-1", "agent:main:main", "reply"),
        # A cron job's key is the gateway's; whoever sends a message there may be one of us.
        ("shop-1", "agent:main:cron:job", "reply"),
        ("shopping-1", "agent:main:main", "run"),
        ("inject-1", "agent:main:main", "injected"),
        ("r", "agent:main:cron:job", "cron"),
    ],
)
def test_the_run_of_another_process_of_this_application_is_a_reply(run_id: str, key: str, kind: str) -> None:
    message = ProactiveAssembler(Application("shop")).receive(chat(run_id, "final", "Hello", key))
    assert message is not None
    assert message.kind == kind
