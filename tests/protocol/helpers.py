"""A client core with a hand-moved clock, and the frames of a gateway as bytes."""

from __future__ import annotations

from typing import Any

import msgspec

from openclaw_client.protocol.client import ClientProtocol
from openclaw_client.protocol.events import Challenged, Close, CoreEvent, Welcomed
from openclaw_client.protocol.states import State
from openclaw_client.wire.frames import ErrorShape
from openclaw_client.wire.handshake import ClientFields, ConnectParams, connect_params
from openclaw_client.wire.requests import encode_event, encode_response

START = 1000.0
CHALLENGE = encode_event("connect.challenge", {"nonce": "n-1", "ts": 1_700_000_000_000})
CLIENT = ClientFields(id="gateway-client", version="1", platform="linux", mode="backend")
PARAMS: ConnectParams = connect_params(client=CLIENT, role="operator", scopes=("operator.read",), caps=(), auth=None)


def events(core: ClientProtocol) -> list[CoreEvent]:
    """All events that wait."""
    taken: list[CoreEvent] = []
    while (event := core.next_event()) is not None:
        taken.append(event)
    return taken


def sent(core: ClientProtocol) -> list[dict[str, Any] | Close]:
    """What the core wants written, frames as plain values."""
    return [item if isinstance(item, Close) else msgspec.json.decode(item) for item in core.outbox()]


def challenged(now: float = START) -> ClientProtocol:
    """A core that has the challenge and must sign."""
    core = ClientProtocol(START)
    core.receive(CHALLENGE, now)
    assert [type(event) for event in events(core)] == [Challenged]
    return core


def connecting(now: float = START) -> ClientProtocol:
    """A core that waits for hello-ok."""
    core = challenged(now)
    core.send_connect(PARAMS, now)
    assert len(core.outbox()) == 1
    return core


def ready(now: float = START, *, protocol: int = 4, **policy: object) -> ClientProtocol:
    """A core with a usable connection."""
    core = connecting(now)
    core.receive(hello(protocol, **policy), now)
    assert [type(event) for event in events(core)] == [Welcomed]
    assert core.state is State.READY
    return core


def hello(protocol: int = 4, **policy: object) -> bytes:
    return encode_response("1:c", {"type": "hello-ok", "protocol": protocol, "policy": policy})


def refusal(error: ErrorShape) -> bytes:
    return encode_response("1:c", None, error)


def in_state(state: State) -> ClientProtocol:
    """A core in this state, with nothing waiting."""
    if state is State.AWAITING_CHALLENGE:
        return ClientProtocol(START)
    if state is State.AWAITING_HELLO:
        return connecting()
    core = ready()
    if state is not State.READY:
        core.close()
    if state is State.CLOSED:
        core.receive_close(1000, "")
    events(core)
    core.outbox()
    return core
