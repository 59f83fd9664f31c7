"""Chat events, which nearly all messages are: the way around the queue hands out the same as the queue."""

from __future__ import annotations

import pytest

from openclaw_client.protocol.client import ClientProtocol
from openclaw_client.protocol.events import Gap
from openclaw_client.wire.frames import ChatFrame
from openclaw_client.wire.requests import encode_event
from tests.protocol.helpers import START, events, ready


def delta(seq: int, text: str = "Hello") -> bytes:
    return encode_event("chat", {"runId": "r", "sessionKey": "k", "state": "delta", "message": text}, seq)


def texts(core: ClientProtocol) -> list[object]:
    return [event.payload.message for event in events(core) if isinstance(event, ChatFrame)]


@pytest.mark.parametrize("length", [5, 5000], ids=["short", "long"])
def test_the_next_one_in_order_is_returned_and_not_queued(length: int) -> None:
    core = ready()
    assert core.receive_one(delta(1, "a" * length), START) is None
    assert texts(core) == ["a" * length]
    frame = core.receive_one(delta(2, "b" * length), START + 1)
    assert frame is not None
    assert (frame.payload.message, core.last_activity) == ("b" * length, START + 1)
    assert core.next_event() is None


def test_receive_queues_what_take_would_return() -> None:
    core = ready()
    for seq, text in enumerate(("a", "b", "c"), 1):
        core.receive(delta(seq, text), START)
        assert texts(core) == [text]


def test_behind_what_waits_it_waits() -> None:
    core = ready()
    core.receive(delta(1, "a"), START)
    assert core.receive_one(delta(2, "b"), START) is None
    assert texts(core) == ["a", "b"]


def test_behind_a_gap_it_comes_after_the_news_of_the_gap() -> None:
    core = ready()
    core.receive(delta(1), START)
    events(core)
    assert core.receive_one(delta(3, "c"), START) is None
    assert [type(event) for event in events(core)] == [Gap, ChatFrame]
    following = core.receive_one(delta(4, "d"), START)
    assert following is not None
    assert following.payload.message == "d"


def test_behind_the_end_there_is_nothing() -> None:
    core = ready()
    core.receive(delta(1), START)
    core.close()
    events(core)
    assert core.receive_one(delta(2), START + 1) is None
    assert events(core) == []


def test_requests_without_an_outcome_are_counted() -> None:
    core = ready()
    assert core.pending == 0
    ident = core.request("health", None, START, 30.0)
    assert core.pending == 1
    core.forget(ident)
    assert core.pending == 0
