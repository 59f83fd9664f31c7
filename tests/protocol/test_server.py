"""The server core: literal frames in, literal frames out, a clock that the test moves."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from openclaw_client.errors import UsageError
from openclaw_client.protocol.events import Close
from openclaw_client.protocol.server import (
    MAX_WAITING,
    TRANSITIONS,
    ConnectReceived,
    RequestReceived,
    ServerEnded,
    ServerProtocol,
    ServerRules,
    ServerState,
    ServerTrigger,
    fitting_reason,
)
from openclaw_client.wire.frames import ErrorShape

CHALLENGE = {"nonce": "n-1", "ts": 5}


def frame(method: str, ident: str = "1", **more: Any) -> bytes:
    return json.dumps({"type": "req", "id": ident, "method": method, **more}).encode()


def sent(core: ServerProtocol) -> list[Any]:
    return [item if isinstance(item, Close) else json.loads(item) for item in core.outbox()]


def challenged(rules: ServerRules | None = None) -> ServerProtocol:
    core = ServerProtocol(100.0, CHALLENGE, rules)
    core.outbox()
    return core


def ready(rules: ServerRules | None = None) -> ServerProtocol:
    core = challenged(rules)
    core.receive(frame("connect", "c", params={}), 100.0)
    assert isinstance(core.next_event(), ConnectReceived)
    core.accept({"type": "hello-ok"}, 100.0)
    core.outbox()
    return core


def test_the_challenge_is_the_first_frame_and_has_no_number() -> None:
    assert sent(ServerProtocol(0.0, CHALLENGE)) == [
        {"type": "event", "event": "connect.challenge", "payload": CHALLENGE}
    ]


def test_connect_is_handed_to_the_owner_and_answered_with_its_id() -> None:
    core = challenged()
    core.receive(frame("connect", "c-7", params={"a": 1}), 100.5)
    assert core.next_event() == ConnectReceived("c-7", {"a": 1})
    assert core.state is ServerState.DECIDING
    core.accept({"type": "hello-ok"}, 101.0)
    assert sent(core) == [{"type": "res", "id": "c-7", "ok": True, "payload": {"type": "hello-ok"}}]
    assert core.state is ServerState.READY
    assert core.deadline() is None


@pytest.mark.parametrize(
    ("first", "answers"),
    [
        (b"{nope", [Close(1000, "")]),
        (b"[]", [Close(1008, "invalid request frame")]),
        (b'{"type":"event","event":"x"}', [Close(1008, "invalid request frame")]),
        (b'{"type":"req","id":7,"method":"connect"}', [Close(1008, "invalid request frame")]),
        (b'{"type":"req","id":"1","method":"connect","extra":1}', [Close(1008, "invalid request frame")]),
    ],
)
def test_a_first_frame_that_is_no_request_closes_without_an_answer(first: bytes, answers: list[Close]) -> None:
    core = challenged()
    core.receive(first, 100.0)
    assert sent(core) == answers
    assert core.state is ServerState.CLOSING


def test_another_method_first_is_answered_and_closed() -> None:
    core = challenged()
    core.receive(frame("health"), 100.0)
    text = "invalid handshake: first request must be connect"
    error = {"code": "INVALID_REQUEST", "message": text}
    assert sent(core) == [{"type": "res", "id": "1", "ok": False, "error": error}, Close(1008, text)]


def test_a_first_frame_over_the_limit_closes_with_1009() -> None:
    core = challenged()
    core.receive(b" " * 65_537, 100.0)
    assert sent(core) == [Close(1009, "")]


def test_a_release_without_the_limit_reads_it() -> None:
    core = challenged(ServerRules(connect_limit=None))
    core.receive(frame("connect", params={"x": "y" * 70_000}), 100.0)
    assert isinstance(core.next_event(), ConnectReceived)


@pytest.mark.parametrize("window", [10.0, 15.0])
def test_no_connect_in_time_closes_with_1000_and_no_reason(window: float) -> None:
    core = challenged(ServerRules(handshake_timeout=window))
    assert core.deadline() == 100.0 + window
    core.handle_deadline(100.0 + window - 0.001)
    assert sent(core) == []
    core.handle_deadline(100.0 + window)
    assert sent(core) == [Close(1000, "")]


def test_a_refusal_is_an_error_and_then_a_close() -> None:
    core = challenged()
    core.receive(frame("connect", "c", params={}), 100.0)
    core.refuse(ErrorShape("NOT_PAIRED", "pairing required", {"requestId": "r"}), 1008, "pairing required", 100.0)
    error = {"code": "NOT_PAIRED", "message": "pairing required", "details": {"requestId": "r"}}
    assert sent(core) == [{"type": "res", "id": "c", "ok": False, "error": error}, Close(1008, "pairing required")]


def test_frames_that_come_before_the_verdict_wait_for_it() -> None:
    core = challenged()
    core.receive(frame("connect", "c", params={}), 100.0)
    core.next_event()
    core.receive(frame("status", "s"), 100.0)
    assert core.next_event() is None
    core.accept({}, 100.0)
    assert core.next_event() == RequestReceived("s", "status", None)


def test_too_many_frames_before_the_verdict_close() -> None:
    core = challenged()
    core.receive(frame("connect", "c", params={}), 100.0)
    for number in range(MAX_WAITING + 1):
        core.receive(frame("status", str(number)), 100.0)
    assert sent(core) == [Close(1008, "too many pending handshake frames")]


def test_requests_are_events_and_duplicate_ids_are_both_answered() -> None:
    core = ready()
    core.receive(frame("a", "same", params={"x": 1}), 101.0)
    core.receive(frame("b", "same"), 101.0)
    assert core.next_event() == RequestReceived("same", "a", {"x": 1})
    assert core.next_event() == RequestReceived("same", "b", None)
    core.respond("same", {"first": True})
    core.respond("same", error=ErrorShape("UNAVAILABLE", "later", retryable=True, retry_after_ms=5))
    answers = sent(core)
    assert [answer["ok"] for answer in answers] == [True, False]
    assert answers[1]["error"] == {"code": "UNAVAILABLE", "message": "later", "retryable": True, "retryAfterMs": 5}


def test_a_second_connect_is_refused_and_the_connection_goes_on() -> None:
    core = ready()
    core.receive(frame("connect", "again", params={}), 101.0)
    message = "connect is only valid as the first request"
    assert sent(core)[0]["error"] == {"code": "INVALID_REQUEST", "message": message}
    assert core.state is ServerState.READY


def test_what_is_no_json_is_ignored_after_hello() -> None:
    core = ready()
    core.receive(b"{nope", 101.0)
    assert sent(core) == []
    assert core.next_event() is None
    assert core.state is ServerState.READY


def test_json_that_is_no_request_is_answered_after_hello() -> None:
    core = ready()
    core.receive(b"[]", 101.0)
    [answer] = sent(core)
    assert (answer["id"], answer["ok"]) == ("invalid", False)


def test_a_frame_over_max_payload_closes_with_1009() -> None:
    core = ready(ServerRules(max_payload=50))
    core.receive(frame("chat.send", params={"message": "x" * 100}), 101.0)
    assert sent(core) == [Close(1009, "")]


def test_numbered_events_count_from_one_and_others_carry_what_they_are_given() -> None:
    core = ready()
    core.emit_numbered("tick", {"ts": 1})
    core.emit("session.message", msgspec.Raw(b'{"a":1}'))
    core.emit("tick", {"ts": 2}, 41)
    core.emit_numbered("tick", {"ts": 3})
    assert [(item["event"], item.get("seq")) for item in sent(core)] == [
        ("tick", 1),
        ("session.message", None),
        ("tick", 41),
        ("tick", 2),
    ]


def test_nothing_is_sent_before_hello_or_after_a_close() -> None:
    core = challenged()
    core.emit("tick", {})
    core.emit_numbered("tick", {})
    core.respond("1", {})
    assert sent(core) == []
    core = ready()
    core.close(1012, "service restart", 101.0)
    core.emit_numbered("tick", {})
    core.respond("1", {})
    assert sent(core) == [Close(1012, "service restart")]


def test_a_close_that_nobody_answers_ends_after_its_grace() -> None:
    core = ready()
    core.close(1012, "service restart", 200.0)
    core.close(1008, "second", 200.0)
    assert core.deadline() == 201.0
    core.handle_deadline(201.0)
    assert core.state is ServerState.CLOSED
    assert core.next_event() == ServerEnded(1012, "service restart", by_client=False)
    assert core.deadline() is None


@pytest.mark.parametrize(("code", "reason"), [(1000, "bye"), (1006, "")])
def test_the_clients_end_is_told_once(code: int, reason: str) -> None:
    core = ready()
    core.receive_close(code, reason)
    core.receive_close(1006, "")
    assert core.next_event() == ServerEnded(code, reason, by_client=True)
    assert core.next_event() is None
    core.receive(frame("status"), 102.0)
    assert core.next_event() is None


def test_verdicts_out_of_order_are_the_owners_mistake() -> None:
    core = challenged()
    with pytest.raises(UsageError, match="awaiting connect"):
        core.accept({}, 100.0)
    with pytest.raises(UsageError, match="ready"):
        ready().refuse(ErrorShape(), 1008, "", 100.0)


def test_every_state_but_the_last_can_lose_its_socket() -> None:
    for state in ServerState:
        assert ((state, ServerTrigger.GONE) in TRANSITIONS) is (state is not ServerState.CLOSED)


def test_a_reason_is_cut_between_characters() -> None:
    assert fitting_reason("a" * 200) == "a" * 120
    assert fitting_reason("é" * 100) == "é" * 60
    assert fitting_reason("a" + "é" * 100).encode()[-2:] == "é".encode()
