"""The handshake and the end of a connection, as the client core sees them."""

from __future__ import annotations

from math import inf

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_client.errors import NotConnected, PayloadTooLarge, UsageError
from openclaw_client.protocol.client import REFUSAL_GRACE, ClientProtocol
from openclaw_client.protocol.events import (
    Abandoned,
    Cause,
    Challenged,
    Close,
    ConnectionEnd,
    Ended,
    Gap,
    Responded,
    Welcomed,
)
from openclaw_client.protocol.states import State
from openclaw_client.wire import limits
from openclaw_client.wire.frames import ErrorShape, Event
from openclaw_client.wire.handshake import AuthFields, Challenge
from openclaw_client.wire.requests import encode_event, encode_response
from tests.protocol.helpers import CHALLENGE, PARAMS, START, challenged, connecting, events, hello, ready, refusal, sent


def test_the_handshake() -> None:
    core = ClientProtocol(START, prefix="x")
    assert sent(core) == []
    core.receive(CHALLENGE, START)
    assert events(core) == [Challenged(Challenge("n-1", 1_700_000_000_000))]
    core.send_connect(PARAMS, START)
    assert sent(core) == [{"type": "req", "id": "1:x", "method": "connect", "params": msgspec.to_builtins(PARAMS)}]
    core.receive(encode_response("1:x", {"type": "hello-ok", "protocol": 3}), START)
    (welcome,) = events(core)
    assert isinstance(welcome, Welcomed)
    assert core.hello is welcome.hello
    assert (core.hello.protocol, core.end) == (3, None)


def test_nothing_goes_out_before_its_turn() -> None:
    core = ClientProtocol(START)
    with pytest.raises(UsageError, match="awaiting challenge"):
        core.send_connect(PARAMS, START)
    with pytest.raises(NotConnected, match="status: the connection is awaiting challenge; nothing was sent"):
        core.request("status", None, START, None)
    core = connecting()
    with pytest.raises(UsageError, match="awaiting hello"):
        core.send_connect(PARAMS, START)
    assert sent(core) == []


def test_what_comes_before_the_challenge_is_not_it() -> None:
    core = ClientProtocol(START)
    core.receive(encode_event("tick", {"nonce": "n"}), START)
    core.receive(b'{"type":"event","event":"chat","payload":{"runId":"r","state":"final"}}', START)
    assert (core.state, events(core)) == (State.AWAITING_CHALLENGE, [])


@pytest.mark.parametrize("begun", [False, True])
@pytest.mark.parametrize("over", [0, 1])
def test_a_frame_before_hello_that_is_longer_than_any_of_a_gateway(begun: bool, over: int) -> None:
    core = connecting() if begun else ClientProtocol(START)
    limit = limits.MAX_HELLO_BYTES if begun else limits.MAX_CHALLENGE_BYTES
    core.receive(b'{"type":"event","event":"x"}'.ljust(limit + over), START)
    cause = Cause.BAD_HELLO if begun else Cause.BAD_CHALLENGE
    assert core.end == (ConnectionEnd(cause, 1009, "message too big before hello") if over else None)
    if not over:
        for message in (hello(),) if begun else (CHALLENGE,):
            core.receive(message, START)
        core = ready()
        core.receive(b'{"type":"event","event":"x"}'.ljust(limits.MAX_HELLO_BYTES + 1), START)
        assert core.end is None


@pytest.mark.parametrize("payload", [None, {}, {"nonce": ""}, {"nonce": 5}, []])
def test_an_unusable_challenge_ends_the_connection(payload: object) -> None:
    core = ClientProtocol(START)
    core.receive(encode_event("connect.challenge", payload), START)
    reason = "connect challenge missing nonce"
    assert sent(core) == [Close(1008, reason)]
    assert core.end == ConnectionEnd(Cause.BAD_CHALLENGE, 1008, reason)
    core.receive_close(1000, "bye")
    assert events(core) == [Ended(ConnectionEnd(Cause.BAD_CHALLENGE, 1008, reason))]


@pytest.mark.parametrize("protocol", [2, 5])
def test_a_hello_of_another_version_ends_the_connection(protocol: int) -> None:
    core = connecting()
    core.receive(hello(protocol), START)
    assert (core.state, core.hello, events(core)) == (State.CLOSING, None, [])
    assert sent(core) == [Close(1002, "hello not understood")]
    assert core.end is not None
    assert core.end.cause is Cause.BAD_HELLO


def test_a_hello_that_cannot_be_read_ends_the_connection() -> None:
    core = connecting()
    core.receive(b'{"type":"res","id":"1:c","ok":true}', START)
    assert core.end == ConnectionEnd(Cause.BAD_HELLO, 1002, "hello not understood")


def test_an_answer_to_something_else_is_no_hello() -> None:
    core = connecting()
    core.receive(encode_response("2:c", {"protocol": 4}), START)
    assert core.state is State.AWAITING_HELLO


def test_a_connect_over_64_kib_is_not_sent() -> None:
    core = challenged()
    big = msgspec.structs.replace(PARAMS, auth=AuthFields(token="x" * 65_536))
    with pytest.raises(PayloadTooLarge) as caught:
        core.send_connect(big, START)
    assert (caught.value.method, caught.value.limit) == ("connect", 65_536)
    assert caught.value.size > 65_536
    assert sent(core) == []
    core.send_connect(PARAMS, START)
    assert len(sent(core)) == 1


def test_a_connect_that_is_no_json_is_not_sent_and_shows_no_secret() -> None:
    core = challenged()
    with pytest.raises(UsageError, match="connect") as caught:
        core.send_connect(msgspec.structs.replace(PARAMS, auth=AuthFields(token="sesame\udcff")), START)
    assert "sesame" not in str(caught.value)
    assert sent(core) == []


# A refused connect: the error is the cause, the close frame completes it.

REFUSED = ErrorShape("INVALID_REQUEST", "unauthorized", {"code": "AUTH_TOKEN_MISMATCH"})


def test_a_refusal_is_completed_by_the_close_frame() -> None:
    core = connecting()
    core.receive(refusal(REFUSED), START)
    assert (core.state, sent(core), events(core)) == (State.CLOSING, [], [])
    assert core.deadline() == START + REFUSAL_GRACE
    core.receive_close(1008, "unauthorized")
    assert events(core) == [Ended(ConnectionEnd(Cause.REFUSED, 1008, "unauthorized", REFUSED))]
    assert core.deadline() == inf


def test_a_gateway_that_does_not_close_after_a_refusal_is_closed() -> None:
    core = connecting()
    core.receive(refusal(REFUSED), START)
    core.handle_deadline(START + REFUSAL_GRACE - 0.1)
    assert sent(core) == []
    core.handle_deadline(START + REFUSAL_GRACE)
    assert sent(core) == [Close(1000, "")]
    assert core.deadline() == inf
    core.handle_deadline(START + 100)
    assert sent(core) == []


def test_the_grace_after_a_refusal_ends_with_the_socket() -> None:
    core = connecting()
    core.receive(refusal(REFUSED), START)
    core.receive_close(1008, "")
    core.handle_deadline(START + 100)
    assert sent(core) == []


def test_a_refusal_without_an_error_has_one_all_the_same() -> None:
    core = connecting()
    core.receive(b'{"type":"res","id":"1:c","ok":false}', START)
    assert core.end is not None
    assert core.end.error is not None
    assert "without saying why" in core.end.error.message


# The end.


@pytest.mark.parametrize(
    ("code", "end"),
    [(1009, ConnectionEnd(Cause.UNREADABLE, 1009, "too big")), (None, ConnectionEnd(Cause.LOST, 1006, "too big"))],
)
def test_the_transport_ends_the_socket_because_of_what_came(code: int | None, end: ConnectionEnd) -> None:
    core = ready(START)
    core.receive_close(code, "too big", refused=True)
    assert core.end == end


@pytest.mark.parametrize(
    ("code", "reason", "end"),
    [
        (1012, "service restart", ConnectionEnd(Cause.PEER_CLOSED, 1012, "service restart")),
        (1000, "", ConnectionEnd(Cause.PEER_CLOSED, 1000, "")),
        (None, "", ConnectionEnd(Cause.LOST, 1006, "")),
        (1006, "reset", ConnectionEnd(Cause.LOST, 1006, "reset")),
    ],
)
@pytest.mark.parametrize("make", [ClientProtocol, connecting, ready])
def test_the_socket_ends(make: type[ClientProtocol], code: int | None, reason: str, end: ConnectionEnd) -> None:
    core = make(START)
    core.receive_close(code, reason)
    assert (core.state, core.end, core.deadline()) == (State.CLOSED, end, inf)
    assert events(core) == [Ended(end)]
    core.receive_close(1008, "again")
    core.close(1000, "again")
    assert (core.end, events(core), sent(core)) == (end, [], [])


def test_the_first_cause_wins() -> None:
    core = ready()
    core.close(1001, "going away")
    core.close(1000, "once more")
    core.receive_close(1006, "")
    assert events(core) == [Ended(ConnectionEnd(Cause.ASKED, 1001, "going away"))]
    assert sent(core) == [Close(1001, "going away")]


def test_every_pending_request_hears_the_cause_before_the_end() -> None:
    core = ready()
    core.request("a", None, START, 30, tag="A")
    core.request("b", None, START, None, tag="B", expect_final=True)
    core.receive_close(1012, "service restart")
    end = ConnectionEnd(Cause.PEER_CLOSED, 1012, "service restart")
    assert events(core) == [Abandoned("A", "a", end), Abandoned("B", "b", end), Ended(end)]


def test_what_came_before_the_end_is_still_handed_out_and_nothing_after_it() -> None:
    core = ready()
    ident = core.request("a", None, START, 30, tag="A")
    core.receive(encode_response(ident, 1), START)
    core.close()
    core.receive(encode_event("tick", {}), START + 1)
    core.receive_close(1000, "")
    core.receive(b"rubbish", START + 2)
    assert [type(event) for event in events(core)] == [Responded, Ended]
    assert (core.last_activity, core.ignored) == (START, 0)


# The counter of event frames.


def tick(seq: int | None) -> bytes:
    return encode_event("tick", {}, seq)


@pytest.mark.parametrize(("protocol", "certain"), [(3, False), (4, True)])
def test_a_jump_of_the_counter_is_a_gap_and_certain_on_v4_only(protocol: int, certain: bool) -> None:
    core = ready(protocol=protocol)
    # 12 comes late: it was counted as missing once, and what follows the highest is no further gap.
    for seq in (7, 8, None, 9, 11, 14, 12, 15):
        core.receive(tick(seq), START)
    kinds = [event if isinstance(event, Gap) else type(event) for event in events(core)]
    assert kinds == [*[Event] * 4, Gap(10, 11, certain), Event, Gap(12, 14, certain), *[Event] * 3]


@given(first=st.integers(0, 2**53), count=st.integers(1, 8), repeats=st.integers(0, 3))
def test_an_unbroken_counter_has_no_gap_wherever_it_starts(first: int, count: int, repeats: int) -> None:
    core = ready()
    for seq in range(first, first + count):
        for _ in range(repeats + 1):
            core.receive(tick(seq), START)
    assert not [event for event in events(core) if isinstance(event, Gap)]


def test_the_challenge_frame_of_a_ready_connection_is_an_event_like_any() -> None:
    core = ready()
    core.receive(CHALLENGE, START)
    (event,) = events(core)
    assert isinstance(event, Event)
    assert (event.event, core.state) == ("connect.challenge", State.READY)


def test_rubbish_is_counted_and_changes_nothing() -> None:
    core = ready()
    for data in (b"", b"\x00\x01", b"{}", b'{"type":"req","id":"1","method":"x"}', b"[" * 100_000):
        core.receive(data, START)
    assert (core.ignored, events(core), core.state) == (5, [], State.READY)


@given(depth=st.integers(1, 1200))
def test_no_depth_of_nesting_raises(depth: int) -> None:
    nested = b"[" * depth + b"]" * depth
    for make, data in (
        (ClientProtocol, b'{"type":"event","event":"connect.challenge","payload":{"nonce":"n","x":' + nested + b"}}"),
        (connecting, b'{"type":"res","id":"1:c","ok":true,"payload":{"protocol":4,"x":' + nested + b"}}"),
        (ready, b'{"type":"event","event":"chat","payload":{"runId":"r","x":' + nested + b"}}"),
    ):
        make(START).receive(data, START)
    core = ready()
    ident = core.request("agent", None, START, None, expect_final=True)
    core.receive(b'{"type":"res","id":"' + ident.encode() + b'","ok":true,"payload":{"x":' + nested + b"}}", START)
    assert len(events(core)) <= 1
