"""The server side of one connection, without I/O: what a gateway does with frames, and in which order.

Knows the challenge, what may be the first frame, the answers to frames that are no requests, and the counter of its
events. Refuses to know who may connect and what a method does: its owner decides, it asks by events.

Observed on four releases (2026.2.17 to 2026.9.6); where they differ, `ServerRules` says how.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

import msgspec

from openclaw_client.errors import UsageError
from openclaw_client.protocol.events import Close
from openclaw_client.wire import codes, limits
from openclaw_client.wire.frames import ErrorShape
from openclaw_client.wire.requests import (
    BadRequest,
    NotJson,
    Request,
    decode_request,
    encode_event,
    encode_response,
)

CLOSE_GRACE = 1.0
"""Seconds that a client has to answer a close before the socket is cut; the observed gateways' own figure."""

MAX_WAITING = 15
"""Frames that may come between connect and its verdict; one more is answered with close 1008 by the gateways."""

MAX_REASON = 120
"""Bytes of a close reason, as observed; a control frame would hold 123."""


class ServerState(Enum):
    AWAITING_CONNECT = "awaiting connect"
    DECIDING = "deciding about connect"
    READY = "ready"
    CLOSING = "closing"
    CLOSED = "closed"


class ServerTrigger(Enum):
    CONNECT = "a connect request came"
    ACCEPT = "the owner sent hello-ok"
    CLOSE = "this side closes"
    GONE = "the socket is closed"


TRANSITIONS: Final[dict[tuple[ServerState, ServerTrigger], ServerState]] = {
    (ServerState.AWAITING_CONNECT, ServerTrigger.CONNECT): ServerState.DECIDING,
    (ServerState.AWAITING_CONNECT, ServerTrigger.CLOSE): ServerState.CLOSING,
    (ServerState.AWAITING_CONNECT, ServerTrigger.GONE): ServerState.CLOSED,
    (ServerState.DECIDING, ServerTrigger.ACCEPT): ServerState.READY,
    (ServerState.DECIDING, ServerTrigger.CLOSE): ServerState.CLOSING,
    (ServerState.DECIDING, ServerTrigger.GONE): ServerState.CLOSED,
    (ServerState.READY, ServerTrigger.CLOSE): ServerState.CLOSING,
    (ServerState.READY, ServerTrigger.GONE): ServerState.CLOSED,
    (ServerState.CLOSING, ServerTrigger.GONE): ServerState.CLOSED,
}
"""Every transition, here and nowhere else. A missing entry cannot happen in that state, or is ignored there."""


@dataclass(frozen=True, slots=True)
class ServerRules:
    """What differs between releases.

    handshake_timeout: seconds to the connect request. connect_limit: bytes of the frames before hello-ok, None = the
    limit of all frames. max_payload: bytes of a frame. later_keys: see `decode_request`.
    """

    handshake_timeout: float = 15.0
    connect_limit: int | None = limits.MAX_CONNECT_BYTES
    max_payload: int = limits.MAX_FRAME_BYTES
    later_keys: bool = True


class ConnectReceived(msgspec.Struct, frozen=True):
    """The owner answers with `accept` or `refuse`. params: whatever the client sent there."""

    id: str
    params: Any


class RequestReceived(msgspec.Struct, frozen=True):
    """The owner answers with `respond`, once or (two-stage methods) more often."""

    id: str
    method: str
    params: Any
    traceparent: str | None = None


class ServerEnded(msgspec.Struct, frozen=True):
    """The connection is over. by_client: whether the client closed it, or was lost, before this side closed."""

    code: int
    reason: str
    by_client: bool


ServerEvent = ConnectReceived | RequestReceived | ServerEnded


class ServerProtocol:
    """State machine of the server side.

    now: when the socket opened, in seconds of any monotonic clock. challenge: the payload of connect.challenge, with a
    nonce that was never used before.
    """

    def __init__(self, now: float, challenge: Mapping[str, Any], rules: ServerRules | None = None) -> None:
        self.state = ServerState.AWAITING_CONNECT
        self._rules = rules or ServerRules()
        self._due: float | None = now + self._rules.handshake_timeout
        self._seq = 0
        self._connect_id = ""
        self._waiting: list[bytes] = []
        self._closed_with: Close | None = None
        self._outbox: list[bytes | Close] = [encode_event("connect.challenge", challenge)]
        self._events: deque[ServerEvent] = deque()

    def accept(self, hello: Mapping[str, Any], now: float) -> None:
        """Answer connect with hello-ok; frames that came meanwhile are looked at now."""
        self._must_be(ServerState.DECIDING, "accept")
        self._outbox.append(encode_response(self._connect_id, hello))
        self._move(ServerTrigger.ACCEPT)
        waiting, self._waiting = self._waiting, []
        for message in waiting:
            self.receive(message, now)

    def refuse(self, error: ErrorShape, code: int, reason: str, now: float) -> None:
        """Answer connect with an error, then close."""
        self._must_be(ServerState.DECIDING, "refuse")
        self._outbox.append(encode_response(self._connect_id, error=error))
        self.close(code, reason, now)

    def respond(self, ident: str, payload: Any = None, error: ErrorShape | None = None) -> None:
        """Answer a request; dropped where the connection is over."""
        if self.state is ServerState.READY:
            self._outbox.append(encode_response(ident, payload, error))

    def emit(self, event: str, payload: Any, seq: int | None = None, versions: Mapping[str, int] | None = None) -> None:
        """Send an event with this seq, or without one. payload may be `msgspec.Raw`: encoded once for many clients."""
        if self.state is ServerState.READY:
            self._outbox.append(encode_event(event, payload, seq, versions))

    def emit_numbered(self, event: str, payload: Any, versions: Mapping[str, int] | None = None) -> None:
        """Send an event with the next number of this connection's own counter, which begins at 1."""
        if self.state is ServerState.READY:
            self._seq += 1
            self._outbox.append(encode_event(event, payload, self._seq, versions))

    def close(self, code: int, reason: str, now: float) -> None:
        """End the connection from this side; the reason is cut to what a close frame holds. Ignored when ending."""
        if (self.state, ServerTrigger.CLOSE) not in TRANSITIONS:
            return
        self._closed_with = Close(code, fitting_reason(reason))
        self._outbox.append(self._closed_with)
        self._move(ServerTrigger.CLOSE)
        self._waiting.clear()
        self._due = now + CLOSE_GRACE

    def outbox(self) -> list[bytes | Close]:
        """What to write now, in order; the caller must write all of it."""
        items, self._outbox = self._outbox, []
        return items

    def receive(self, message: bytes, now: float) -> None:
        """A whole message from the client. Never raises for what the client sends."""
        if self.state is ServerState.READY:
            if len(message) > self._rules.max_payload:
                self.close(codes.CLOSE_TOO_BIG, "", now)
                return
            self._receive_request(message)
        elif self.state is ServerState.AWAITING_CONNECT or self.state is ServerState.DECIDING:
            limit = self._rules.connect_limit or self._rules.max_payload
            if len(message) > limit:
                self.close(codes.CLOSE_TOO_BIG, "", now)
            elif self.state is ServerState.AWAITING_CONNECT:
                self._receive_first(message, now)
            elif len(self._waiting) == MAX_WAITING:
                self.close(codes.CLOSE_POLICY, "too many pending handshake frames", now)
            else:
                self._waiting.append(message)

    def receive_close(self, code: int, reason: str) -> None:
        """The socket is closed: by the client's close frame, by its loss (code 1006), or as the answer to our close."""
        if (self.state, ServerTrigger.GONE) not in TRANSITIONS:
            return
        ours = self._closed_with
        self._move(ServerTrigger.GONE)
        self._due = None
        if ours is not None:
            self._events.append(ServerEnded(ours.code, ours.reason, by_client=False))
        else:
            self._events.append(ServerEnded(code, reason, by_client=True))

    def next_event(self) -> ServerEvent | None:
        """The oldest event that nobody took yet."""
        return self._events.popleft() if self._events else None

    def deadline(self) -> float | None:
        """When `handle_deadline` has something to do, in seconds of the same clock."""
        return self._due

    def handle_deadline(self, now: float) -> None:
        """No connect in time: close 1000 without a reason. No answer to a close in time: the connection is over."""
        if self._due is None or now < self._due:
            return
        if self.state is ServerState.CLOSING:
            self.receive_close(codes.CLOSE_ABNORMAL, "")
        else:
            self.close(codes.CLOSE_NORMAL, "", now)

    def _receive_first(self, message: bytes, now: float) -> None:
        frame = decode_request(message, later_keys=self._rules.later_keys)
        if isinstance(frame, NotJson):
            self.close(codes.CLOSE_NORMAL, "", now)
        elif isinstance(frame, BadRequest):
            self.close(codes.CLOSE_POLICY, "invalid request frame", now)
        elif frame.method != "connect":
            text = "invalid handshake: first request must be connect"
            self._outbox.append(encode_response(frame.id, error=ErrorShape(code="INVALID_REQUEST", message=text)))
            self.close(codes.CLOSE_POLICY, text, now)
        else:
            self._connect_id = frame.id
            self._move(ServerTrigger.CONNECT)
            self._due = None
            self._events.append(ConnectReceived(frame.id, frame.params))

    def _receive_request(self, message: bytes) -> None:
        frame = decode_request(message, later_keys=self._rules.later_keys)
        if isinstance(frame, Request):
            if frame.method == "connect":
                self._complain(frame.id, "connect is only valid as the first request")
            else:
                self._events.append(RequestReceived(frame.id, frame.method, frame.params, frame.traceparent))
        elif isinstance(frame, BadRequest):
            self._complain(frame.id, frame.message)
        # What is no JSON is ignored, as by every observed gateway.

    def _complain(self, ident: str, message: str) -> None:
        self._outbox.append(encode_response(ident, error=ErrorShape(code="INVALID_REQUEST", message=message)))

    def _must_be(self, state: ServerState, verb: str) -> None:
        if self.state is not state:
            raise UsageError(message=f"{verb}: the connection is {self.state.value}")

    def _move(self, trigger: ServerTrigger) -> None:
        self.state = TRANSITIONS[self.state, trigger]


def fitting_reason(reason: str) -> str:
    """The reason, cut at a character so that its UTF-8 fits into a close frame."""
    return reason.encode()[:MAX_REASON].decode(errors="ignore")
