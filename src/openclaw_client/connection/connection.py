"""One socket from its opening to its end: the client core, fed by a transport and driven by the loop's clock."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from math import inf
from typing import Any, Final

import msgspec

from openclaw_client import telemetry
from openclaw_client.connection.outcomes import Done, ErrorContext, FrameSink, HandshakeRefused, Outcome
from openclaw_client.connection.shutdown import Shutdown, read_shutdown
from openclaw_client.connection.watched import WatchedDone, watch_request
from openclaw_client.connection.wirelog import wire_levels, wire_log
from openclaw_client.errors import GatewayError
from openclaw_client.logs import GuardedLogger
from openclaw_client.policy.redact import Redactor
from openclaw_client.protocol.client import ClientProtocol
from openclaw_client.protocol.events import (
    Abandoned,
    Cause,
    Challenged,
    Close,
    ConnectionEnd,
    Ended,
    Expired,
    Gap,
    Responded,
    Welcomed,
)
from openclaw_client.protocol.states import State
from openclaw_client.transport.base import Opener, Transport
from openclaw_client.wire import codes
from openclaw_client.wire.frames import FRAME_BEGINS, ChatFrame, Event
from openclaw_client.wire.handshake import Challenge, ConnectParams, Hello

# With the names of the protocol core that callers of a connection meet.
__all__ = [
    "Abandoned",
    "Cause",
    "Connection",
    "ConnectionEnd",
    "Done",
    "ErrorContext",
    "Expired",
    "FrameSink",
    "Gap",
    "HandshakeRefused",
    "Outcome",
    "Responded",
    "Shutdown",
]

Sign = Callable[[Challenge], "ConnectParams | asyncio.Future[None]"]

CLOSE_GRACE = 1.0
"""Seconds for the peer to answer a close frame before the socket is dropped; the gateway allows itself the same."""

protocol_log = GuardedLogger("openclaw_client.protocol")
_DEBUG: Final = logging.DEBUG


class Connection:
    """Open it once with `open`; it is over when `ended` is done.

    on_end is called, once and on the spot, when the connection can no longer be used. challenged_at, greeted_at: when
    challenge and hello came, by this machine's clock. clock_offset: seconds by which the gateway's is ahead of it, None
    where it did not tell. moments: when it began and what it reached ("opened", "challenged", "welcomed"), by the
    loop's clock. granted: the scopes that it has, set by whoever found out; None where nobody knows. new_future makes a
    future of its loop.
    """

    def __init__(self, sink: FrameSink, *, prefix: str, redactor: Redactor | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._prefix = prefix
        self._core = ClientProtocol(self._loop.time(), prefix=prefix)
        self._sink = sink
        self._on_frame = sink.on_frame
        self._fast_path = sink.fast_path
        self._time = self._loop.time
        self.new_future = self._loop.create_future
        self._transport: Transport | None = None
        self._sign: Sign | None = None
        self._hello: asyncio.Future[Hello] = self._loop.create_future()
        self._timer: asyncio.TimerHandle | None = None
        self._armed = inf
        self._closer: asyncio.TimerHandle | None = None
        self._failed_in: str | None = None
        self._redactor = redactor or Redactor()
        self.on_end: Callable[[ConnectionEnd], None] | None = None
        self.ended: asyncio.Future[ConnectionEnd] = self._loop.create_future()
        self.shutdown: Shutdown | None = None
        self.clock_offset: float | None = None
        self.challenged_at = self.greeted_at = 0.0
        self.moments: dict[str, float] = {"begun": self._loop.time()}
        self.granted: tuple[str, ...] | None = None

    @property
    def end(self) -> ConnectionEnd | None:
        """Why it ended or is ending; None while it can be used."""
        return self._shown(self._core.end) if self._core.end is not None else None

    @property
    def hello(self) -> Hello | None:
        return self._core.hello

    @property
    def pending(self) -> int:
        """Requests without an answer yet."""
        return self._core.pending

    @property
    def phase(self) -> str:
        """How far the handshake came, or had come when it failed, in words for an error."""
        if self._failed_in is not None:
            return self._failed_in
        return "opening the socket" if self._transport is None else self._core.state.value

    @property
    def stage(self) -> str | None:
        """The step that is under way, or failed; None before the socket was open, when nobody knows."""
        if "opened" not in self.moments:
            return None
        return "connect" if "challenged" in self.moments else "challenge"

    @property
    def last_frame_age(self) -> float:
        """Seconds since the last frame from the gateway."""
        return self._loop.time() - self._core.last_activity

    @property
    def known(self) -> ErrorContext:
        """What an error of this connection can tell."""
        server = self._core.hello.server if self._core.hello is not None else None
        return {
            "connection_id": (server.conn_id or None) if server is not None else None,
            "gateway_version": (server.version or None) if server is not None else None,
            # The challenge is the first frame; before it there is no age.
            "last_frame_age": self.last_frame_age if "challenged" in self.moments else None,
        }

    async def open(self, opener: Opener, sign: Sign) -> Hello:
        """Open the socket and complete the handshake.

        sign makes the connect parameters for a challenge, or a future, done when it is to be asked again. Raises what
        the opener raises, what sign raises, or `Refused`. When cancelled or failed the socket is gone.
        """
        self._sign = sign
        try:
            await opener(self)
            return await asyncio.shield(self._hello)
        except BaseException:
            self._failed_in = self.phase
            self.abort()
            raise
        finally:
            self._sign = None

    def request(
        self,
        method: str,
        params: Mapping[str, Any] | None,
        timeout: float | None,
        done: Done,
        final: bool = False,
        *,
        both: bool = False,
    ) -> str:
        """Send a request; done gets its outcome exactly once. Returns the id for `forget`.

        both: done also gets the answer that the request was accepted, before the outcome, for which no time limit
        counts then.

        Raises NotConnected, PayloadTooLarge or UsageError, and then nothing was sent and done is never called.
        """
        core, watched, trace, now = self._core, None, None, self._time()
        if (observers := telemetry.current()) is not None:
            done = watched = watch_request(observers, method, core.hello, done)
            trace = watched.watch.traceparent if core.hello is not None and core.hello.takes_traceparent else None
        try:
            ident = core.request(method, params, now, timeout, done, final, trace, both=both)
        except GatewayError as error:
            if watched is not None:
                watched.watch.end(type(error).__name__)
            raise
        self._flush()
        # Nothing else brings the core's deadline forward.
        if timeout is not None and now + timeout < self._armed:
            self._arm()
        return ident

    def forget(self, ident: str) -> None:
        """The caller of a request left; its outcome is dropped."""
        done = self._core.forget(ident)
        if isinstance(done, WatchedDone):
            done.watch.end("cancelled")

    def over(self) -> asyncio.Future[None]:
        """A future of the caller's own, done when the socket is gone; it may be cancelled.

        What asyncio.shield does, in a third of the room: every connection at rest is waited for in this way.
        """
        over: asyncio.Future[None] = self._loop.create_future()
        self.ended.add_done_callback(partial(_over, over))
        return over

    def close(self, code: int = codes.CLOSE_NORMAL, reason: str = "") -> None:
        """Begin to close; `ended` follows within `CLOSE_GRACE` seconds. Every pending request fails now."""
        self._core.close(code, reason)
        self._pump()

    def abort(self) -> None:
        """Drop the socket; `ended` is done when this returns."""
        self._core.close()
        if self._transport is not None:
            self._transport.abort()
        self._finish(None, "")

    def after_fork(self) -> None:
        """Forget the socket without touching it: it belongs to the parent of this forked process."""
        if self._transport is not None:
            self._transport.forget()

    # The transport calls these.

    def on_opened(self, transport: Transport) -> None:
        if self._core.state is State.CLOSED:
            transport.abort()
            return
        self._transport = transport
        self.moments["opened"] = self._loop.time()
        # The handshake's clock starts with the open socket, not with the name lookup before it.
        self._core = ClientProtocol(self._loop.time(), prefix=self._prefix)
        self._arm()

    def try_fast_path(self, data: bytes) -> bool:
        core, fast_path, now = self._core, self._fast_path, self._time()
        take = fast_path.take
        if take is not None and core.end is None:
            expected = core.next_seq
            if take(data, expected, now) or fast_path.other(data, expected, now):
                core.next_seq = expected + 1
                core.last_activity = now
                return True
        if data.startswith(FRAME_BEGINS):
            self._receive(data, now)
            return True
        return False

    def on_message(self, data: bytes) -> None:
        self._receive(data, self._time())

    def on_ignored(self, reason: str) -> None:
        protocol_log.debug("%s ignored a frame: %s", self._prefix, reason)

    def on_closed(self, code: int | None, reason: str, *, refused: bool = False) -> None:
        self._finish(code, reason, refused=refused)

    def _receive(self, data: bytes, now: float) -> None:
        core = self._core
        logged = wire_levels.get(_DEBUG, True) and wire_log.isEnabledFor(_DEBUG)
        if logged:
            wire_log.debug("%s received %s", self._prefix, self._redactor.frame(data))
        frame = core.receive_one(data, now)
        if type(frame) is ChatFrame:
            self._on_frame(frame, now)
            if logged:
                self._fast_path.disable()
            return
        if frame is not None:
            if frame.error is None:
                frame.tag(frame)
            else:
                self._handle(frame)
            return
        event = core.next_event()
        if event is None:
            if core.end is not None:
                # The message was such that the connection ends: that has to be written, and the gateway has little time
                # to close after a refused connect.
                self._pump()
                self._arm()
            return
        while event is not None:
            self._handle(event)
            event = core.next_event()
        self._flush()

    def _finish(self, code: int | None, reason: str, *, refused: bool = False) -> None:
        self._core.receive_close(code, reason, refused=refused)
        self._transport = None
        self._pump()

    def _pump(self) -> None:
        core = self._core
        while (event := core.next_event()) is not None:
            self._handle(event)
        self._flush()
        if core.end is not None and self.on_end is not None:
            # Told in the same turn in which it can no longer be used, not when the closing handshake is over.
            told, self.on_end = self.on_end, None
            told(self._shown(core.end))

    def _flush(self) -> None:
        for item in self._core.outbox():
            if type(item) is Close:
                self._write_close(item)
                continue
            if wire_levels.get(_DEBUG, True) and wire_log.isEnabledFor(_DEBUG):
                wire_log.debug("%s sent %s", self._prefix, self._redactor.frame(item))
            if self._transport is not None:
                # While others wait for their answers, this request is often one of several.
                self._transport.send(item, self._core.pending > 1)

    def _write_close(self, close: Close) -> None:
        if self._transport is not None:
            self._transport.close(close.code, close.reason)
            if self._closer is None:
                self._closer = self._loop.call_later(CLOSE_GRACE, self.abort)

    def _handle(self, event: Any) -> None:
        kind = type(event)
        if kind is Responded and event.error is None:
            event.tag(event)
        elif kind is ChatFrame:
            self._on_frame(event, self._time())
        elif kind is Event:
            if event.event == "shutdown":
                self.shutdown = read_shutdown(event)
            self._on_frame(event, self._time())
        elif isinstance(event, Responded | Expired | Abandoned):
            event.tag(self._shown_outcome(event))
        elif isinstance(event, Challenged):
            self._answer(event.challenge)
        elif isinstance(event, Welcomed):
            self.moments["welcomed"] = self._loop.time()
            self.greeted_at = time.time()
            self._redactor = self._redactor.plus(event.hello.auth.device_token if event.hello.auth else None)
            protocol_log.debug("%s got hello-ok: %r", self._prefix, event.hello)
            if not self._hello.done():
                self._hello.set_result(event.hello)
            self._arm()
        elif isinstance(event, Gap):
            self._sink.on_gap(event)
        elif isinstance(event, Ended):
            end = self._shown(event.end)
            protocol_log.debug("%s ended: %s, close %s %r", self._prefix, end.cause.value, end.code, end.reason)
            self._over(end)

    def _answer(self, challenge: Challenge) -> None:
        self.moments["challenged"] = self._loop.time()
        self.challenged_at = time.time()
        if challenge.ts is not None:
            self.clock_offset = challenge.ts / 1000 - self.challenged_at
        protocol_log.debug("%s was challenged", self._prefix)
        self._send_connect(challenge)

    def _send_connect(self, challenge: Challenge) -> None:
        if self._sign is None or self._core.end is not None:
            # It was given up while it was held back.
            return
        try:
            params = self._sign(challenge)
            if isinstance(params, asyncio.Future):
                params.add_done_callback(lambda _: self._send_connect(challenge))
                return
            self._redactor = self._redactor.plus(params.device.signature if params.device is not None else None)
            self._core.send_connect(params, self._loop.time())
        except Exception as error:  # noqa: BLE001 - handed to the caller of open(), whatever it is
            if not self._hello.done():
                self._hello.set_exception(error)
            return
        self._flush()
        self._arm()

    def _shown(self, end: ConnectionEnd) -> ConnectionEnd:
        error = self._redactor.error(end.error) if end.error is not None else None
        return replace(end, reason=self._redactor.text(end.reason), error=error)

    def _shown_outcome(self, outcome: Outcome) -> Outcome:
        """Without our own secrets, which some gateways put into their errors."""
        if isinstance(outcome, Responded) and outcome.error is not None:
            error, payload = self._redactor.error(outcome.error), self._redactor.payload(outcome.payload)
            return msgspec.structs.replace(outcome, error=error, payload=payload)
        if isinstance(outcome, Abandoned):
            return msgspec.structs.replace(outcome, end=self._shown(outcome.end))
        return outcome

    def _over(self, end: ConnectionEnd) -> None:
        for handle in (self._timer, self._closer):
            if handle is not None:
                handle.cancel()
        self._timer = self._closer = None
        if not self._hello.done():
            self._hello.set_exception(HandshakeRefused(end, answered=end.error is not None))
            # Nobody waits any more when open() was cancelled; that is no unhandled error.
            self._hello.exception()
        if not self.ended.done():
            self.ended.set_result(end)

    def _arm(self) -> None:
        due = self._core.deadline()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._armed = due
        if due != inf:
            self._timer = self._loop.call_at(due, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._core.handle_deadline(self._loop.time())
        self._pump()
        if self._core.state is not State.CLOSED:
            self._arm()


def _over(waiter: asyncio.Future[None], _: asyncio.Future[ConnectionEnd]) -> None:
    if not waiter.done():
        waiter.set_result(None)
