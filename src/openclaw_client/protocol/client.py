"""The client side of one connection, without I/O.

One object serves one socket from its opening to its end. Times are seconds of any monotonic clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Any

import msgspec

from openclaw_client.errors import NotConnected, PayloadTooLarge, UsageError
from openclaw_client.protocol.events import (
    Abandoned,
    Cause,
    Challenged,
    Close,
    ConnectionEnd,
    CoreEvent,
    Ended,
    Expired,
    Gap,
    Responded,
    Welcomed,
)
from openclaw_client.protocol.states import TRANSITIONS, State, Trigger
from openclaw_client.wire import codes, limits
from openclaw_client.wire.frames import (
    UNDECODABLE,
    ChatFrame,
    ErrorShape,
    Event,
    Response,
    decode_frame,
    encode_request,
)
from openclaw_client.wire.handshake import ConnectParams, Hello, decode_challenge, decode_hello

STALL_TOLERANCE = 1.0
"""Seconds by which a deadline may be handled late before the delay counts as this process's own (a blocked loop, a
suspended machine) and not as the gateway's silence."""

REFUSAL_GRACE = 2.0
"""Seconds that a gateway has to close the socket after a refused connect; its close code completes the error. Observed
gateways close within milliseconds."""


class _Pending(msgspec.Struct):
    method: str
    tag: Any
    expires: float
    timeout: float | None
    expect_final: bool
    both: bool


class ClientProtocol:
    """State machine of the client side.

    now: when the socket opened. prefix: tells the request ids of this connection from another's in logs.
    """

    def __init__(self, now: float, *, prefix: str = "c") -> None:
        self.state = State.AWAITING_CHALLENGE
        self.hello: Hello | None = None
        self.end: ConnectionEnd | None = None
        self.last_activity = now
        self.ignored = 0
        self._suffix = f":{prefix}"
        self._counter = 0
        self._pending: dict[str, _Pending] = {}
        self._expiry = inf
        self._handshake_due = now + limits.CHALLENGE_TIMEOUT
        self._silence_limit = inf
        self._watch_due = inf
        self.next_seq = -1
        self._max_payload = limits.MAX_CONNECT_BYTES
        self._connect_id = ""
        self._outbox: list[bytes | Close] = []
        # Rarely more than one waits, and an empty deque takes ten times the room of an empty list.
        self._events: list[CoreEvent] = []

    @property
    def pending(self) -> int:
        """Requests without an outcome yet."""
        return len(self._pending)

    def send_connect(self, params: ConnectParams, now: float) -> None:
        """Answer the challenge; only once, only after `Challenged`.

        Raises UsageError, and PayloadTooLarge over the 64 KiB that a first frame may have; nothing is queued then.
        """
        if self.state is not State.AWAITING_HELLO or self._connect_id:
            raise UsageError(message=f"connect cannot be sent while {self.state.value}")
        ident = self._next_id()
        frame = _encode(ident, "connect", params, limits.MAX_CONNECT_BYTES)
        self._connect_id = ident
        self._handshake_due = now + limits.HELLO_TIMEOUT
        self._outbox.append(frame)

    def request(
        self,
        method: str,
        params: Mapping[str, Any] | None,
        now: float,
        timeout: float | None,
        tag: Any = None,
        expect_final: bool = False,
        traceparent: str | None = None,
        *,
        both: bool = False,
    ) -> str:
        """Queue a request and return its id; `Responded`, `Expired` or `Abandoned` with `tag` follows exactly once.

        expect_final: a first response whose status is "accepted" is not the answer. both: the same, but it is told as
        well, as a `Responded` before the one that counts. traceparent: only for a gateway that takes one. Raises
        NotConnected before hello and after the end, PayloadTooLarge over the gateway's limit, UsageError where params
        are no JSON. After an exception nothing is queued.
        """
        if self.hello is None or self.end is not None:
            raise NotConnected(message=f"{method}: the connection is {self.state.value}; nothing was sent")
        ident = self._next_id()
        frame = _encode(ident, method, params, self._max_payload, traceparent)
        expires = inf if timeout is None else now + timeout
        self._pending[ident] = _Pending(method, tag, expires, timeout, expect_final or both, both)
        if expires < self._expiry:
            self._expiry = expires
        self._outbox.append(frame)
        return ident

    def forget(self, ident: str) -> Any:
        """Drop a pending request: its caller left. A late response is ignored. Returns its tag, None behind its end."""
        pending = self._pending.pop(ident, None)
        return pending.tag if pending is not None else None

    def close(self, code: int = codes.CLOSE_NORMAL, reason: str = "") -> None:
        """End the connection from this side. Does nothing when it is ending already."""
        self._finish(ConnectionEnd(Cause.ASKED, code, reason), close=Close(code, reason))

    def outbox(self) -> list[bytes | Close]:
        """What to write now, in order; the caller must write all of it."""
        items, self._outbox = self._outbox, []
        return items

    def receive(self, message: bytes, now: float) -> None:
        """A whole message from the gateway. Never raises for what the gateway sends."""
        frame = self.receive_one(message, now)
        if frame is not None:
            self._events.append(frame)

    def receive_one(self, message: bytes, now: float) -> ChatFrame | Responded | None:
        """`receive`, but the chat event that is next in order, or the outcome of a request, is not queued but returned,
        unless something waits before it.

        That is nearly every message; the queue would cost as much as the rest of its way through here.
        """
        if self.end is not None:
            return None
        self.last_activity = now
        if self.hello is None and self._is_too_big(message):
            return None
        frame = decode_frame(message)
        # By type: to find out that a struct is no instance of another takes longer than anything else here.
        if type(frame) is ChatFrame:
            if frame.seq == self.next_seq and not self._events:
                self.next_seq += 1
                return frame
            self._receive_event(frame, now)
        elif type(frame) is Response:
            responded = self._receive_response(frame, now)
            if responded is None or not self._events:
                return responded
            self._events.append(responded)
        elif type(frame) is Event:
            self._receive_event(frame, now)
        else:
            self.ignored += 1
        return None

    def receive_close(self, code: int | None, reason: str, *, refused: bool = False) -> None:
        """The socket is closed; code is None where it ended without a close frame.

        refused: the transport ended it, because of what came, or because nothing that is sent is read.
        """
        closed = Cause.PEER_CLOSED
        if refused:
            closed = Cause.DEAF if code == codes.CLOSE_CLIENT_TIMEOUT else Cause.UNREADABLE
        cause = Cause.LOST if code is None or code == codes.CLOSE_ABNORMAL else closed
        self._finish(ConnectionEnd(cause, code if code is not None else codes.CLOSE_ABNORMAL, reason))
        if self.state is not State.CLOSED:
            self._move(Trigger.GONE)
            assert self.end is not None
            self._events.append(Ended(self.end))

    def next_event(self) -> CoreEvent | None:
        """The next event, None when there is none."""
        return self._events.pop(0) if self._events else None

    def deadline(self) -> float:
        """When `handle_deadline` must be called at the latest; `inf` for never. Calling earlier does no harm."""
        if self.hello is not None and self.end is None:
            return self._expiry if self._expiry < self._watch_due else self._watch_due
        return self._handshake_due if self.state is not State.CLOSED else inf

    def handle_deadline(self, now: float) -> None:
        """Act on every timer that is due at `now`."""
        if self.state is State.READY:
            self._expire_requests(now)
            self._watch(now)
        elif now >= self._handshake_due:
            self._handshake_due = inf
            if self.state is State.AWAITING_CHALLENGE:
                self._give_up(Cause.CHALLENGE_TIMEOUT, codes.CLOSE_POLICY, "connect challenge timeout")
            elif self.state is State.AWAITING_HELLO:
                self._give_up(Cause.HELLO_TIMEOUT, codes.CLOSE_CLIENT_TIMEOUT, "connect timeout")
            elif self.state is State.CLOSING:
                self._outbox.append(Close(codes.CLOSE_NORMAL, ""))

    def _next_id(self) -> str:
        self._counter += 1
        return f"{self._counter}{self._suffix}"

    def _move(self, trigger: Trigger) -> None:
        self.state = TRANSITIONS[self.state, trigger]

    def _receive_event(self, frame: ChatFrame | Event, now: float) -> None:
        if self.hello is not None:
            if frame.seq is not None:
                self._check_seq(frame.seq)
            self._events.append(frame)
        elif self.state is State.AWAITING_CHALLENGE and frame.event == "connect.challenge":
            challenge = decode_challenge(frame.payload) if isinstance(frame, Event) else None
            if challenge is None:
                self._give_up(Cause.BAD_CHALLENGE, codes.CLOSE_POLICY, "connect challenge missing nonce")
                return
            self._move(Trigger.CHALLENGE)
            self._handshake_due = now + limits.HELLO_TIMEOUT
            self._events.append(Challenged(challenge))

    def _is_too_big(self, message: bytes) -> bool:
        """Whether a frame before hello is longer than any that a gateway sends then; the connection ends."""
        challenged = self.state is not State.AWAITING_CHALLENGE
        if len(message) <= (limits.MAX_HELLO_BYTES if challenged else limits.MAX_CHALLENGE_BYTES):
            return False
        cause = Cause.BAD_HELLO if challenged else Cause.BAD_CHALLENGE
        self._give_up(cause, codes.CLOSE_TOO_BIG, "message too big before hello")
        return True

    def _check_seq(self, seq: int) -> None:
        expected = self.next_seq
        if expected >= 0 and seq > expected:
            certain = self.hello is not None and self.hello.protocol >= 4
            self._events.append(Gap(expected, seq, certain))
        self.next_seq = max(expected, seq + 1)

    def _receive_response(self, frame: Response, now: float) -> Responded | None:
        if self.hello is not None:
            pending = self._pending.get(frame.id)
            if pending is None:
                return None
            if pending.expect_final and frame.ok and _is_accepted(frame):
                # The work has begun: from here on only its end, or the connection's, answers.
                pending.expect_final, pending.expires = False, inf
                return Responded(pending.tag, pending.method, frame.payload, None) if pending.both else None
            del self._pending[frame.id]
            error = None if frame.ok else frame.error
            if not frame.ok and error is None:
                error = _UNEXPLAINED
            return Responded(pending.tag, pending.method, frame.payload, error)
        if self.state is State.AWAITING_HELLO and frame.id == self._connect_id:
            self._receive_hello(frame, now)
        return None

    def _receive_hello(self, frame: Response, now: float) -> None:
        if not frame.ok:
            self._finish(ConnectionEnd(Cause.REFUSED, None, "", frame.error or _UNEXPLAINED))
            self._move(Trigger.CLOSE)
            self._handshake_due = now + REFUSAL_GRACE
            return
        hello = decode_hello(frame.payload)
        if hello is None or not limits.PROTOCOL_MIN <= hello.protocol <= limits.PROTOCOL_MAX:
            self._give_up(Cause.BAD_HELLO, codes.CLOSE_PROTOCOL, "hello not understood")
            return
        self._move(Trigger.HELLO)
        self.hello = hello
        self._max_payload = min(hello.policy.max_payload, limits.MAX_FRAME_BYTES)
        self._silence_limit = limits.TICKS_UNTIL_DEAD * hello.policy.tick_interval
        self._watch_due = now + self._silence_limit
        self._events.append(Welcomed(hello))

    def _expire_requests(self, now: float) -> None:
        if now < self._expiry:
            return
        # `_expiry` is a lower bound: answered requests leave it as it was. Once per scan it becomes exact again.
        late = [ident for ident, pending in self._pending.items() if pending.expires <= now]
        for ident in late:
            pending = self._pending.pop(ident)
            self._events.append(Expired(pending.tag, pending.method, pending.timeout or 0.0))
        self._expiry = min((pending.expires for pending in self._pending.values()), default=inf)

    def _watch(self, now: float) -> None:
        due = self.last_activity + self._silence_limit
        if now < due:
            self._watch_due = due
        elif now - due > STALL_TOLERANCE:
            # This process slept; what the gateway sent meanwhile is still in the socket. A live one ticks once more.
            self.last_activity = now - self._silence_limit / limits.TICKS_UNTIL_DEAD
            self._watch_due = self.last_activity + self._silence_limit
        else:
            self._give_up(Cause.SILENT, codes.CLOSE_CLIENT_TIMEOUT, "tick timeout")

    def _give_up(self, cause: Cause, code: int, reason: str) -> None:
        self._finish(ConnectionEnd(cause, code, reason), close=Close(code, reason))

    def _finish(self, end: ConnectionEnd, *, close: Close | None = None) -> None:
        if self.end is None:
            self.end = end
        elif self.end.cause is Cause.REFUSED and self.end.code is None and end.code is not None:
            # The close frame that follows a refusal completes it.
            self.end = ConnectionEnd(Cause.REFUSED, end.code, end.reason, self.end.error)
        if self.state is State.CLOSING or self.state is State.CLOSED:
            return
        if close is not None:
            self._move(Trigger.CLOSE)
            self._outbox.append(close)
        pending, self._pending = self._pending, {}
        self._expiry = self._watch_due = self._handshake_due = inf
        for entry in pending.values():
            self._events.append(Abandoned(entry.tag, entry.method, self.end))


def _encode(
    ident: str,
    method: str,
    params: Mapping[str, Any] | msgspec.Struct | None,
    limit: int,
    traceparent: str | None = None,
) -> bytes:
    try:
        frame = encode_request(ident, method, params, traceparent)
    except (TypeError, *UNDECODABLE) as error:
        raise UsageError(
            message=f"{method}: the parameters cannot be written as JSON ({error}); nothing was sent",
            remedy="Pass text, numbers, lists and dicts; text must be valid Unicode",
        ) from error
    if len(frame) > limit:
        # A gateway answers an oversized frame with a bare close 1009; the cause is known here and not there.
        raise PayloadTooLarge(method=method, size=len(frame), limit=limit, remedy="Send less in one request")
    return frame


class _Status(msgspec.Struct):
    status: str = ""


_status = msgspec.json.Decoder(_Status)
_UNEXPLAINED = ErrorShape(message="the gateway refused the request without saying why")


def _is_accepted(frame: Response) -> bool:
    try:
        return _status.decode(frame.payload).status == "accepted"
    except UNDECODABLE:
        return False
