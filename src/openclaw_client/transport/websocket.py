"""A WebSocket over picows.

What picows leaves to its user and this module does: joining fragments under a total cap, answering the close frame, and
copying each payload out of the read buffer, which is reused (a view into it would change under the reader).
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import Callable
from typing import Final, cast

import picows
from picows import WSFrame, WSListener, WSMsgType, WSTransport

from openclaw_client.private_parts import has_read_nothing, reads_into_a_buffer
from openclaw_client.transport.base import Listener
from openclaw_client.transport.hello_bypass import HelloBypass
from openclaw_client.transport.pacing import ReadPacer

MAX_MESSAGE_BYTES = 26_214_400
"""25 MiB, the gateway's own `policy.maxPayload` and the inbound limit of the reference client."""
READ_BUFFER_BYTES = 2560
"""It doubles when a read fills it, and never shrinks. What is long at the beginning goes past it (`HelloBypass`)."""
MAX_UNWRITTEN_BYTES = 4 * MAX_MESSAGE_BYTES
"""What may wait for a peer that does not read, before a further message: several of the longest that it takes."""
MAX_UNREAD_PONGS = 4096
"""Pongs that may wait, half a MiB. Gateways ping every 25 s; a line that is busy with an upload for hours has fewer."""
_DEAF = (4000, "the peer does not read")
"""A code of the client's own, which is also that of a peer who says nothing."""
NO_CODE = 1005
"""What stands for a close frame without a code (RFC 6455, 7.4.1)."""
LOOK_EVERY = 4
"""Look for a lost socket every so many messages of a burst: aiofastnet takes five writes after the loss."""
MAX_REASON_BYTES = 123
"""What a close frame has room for (RFC 6455, 5.5)."""

_TEXT: Final = WSMsgType.TEXT
# While it is set, Linux sends full packets only, and the rest when it is cleared.
_TCP_CORK: int | None = None
if sys.platform == "linux":
    _TCP_CORK = socket.TCP_CORK


class WebSocketTransport(WSListener):  # type: ignore[misc, unused-ignore]  # a C class
    """The picows listener of one socket, and the `Transport` handed to its owner."""

    def __init__(self, listener: Listener) -> None:
        self._listener: Listener | None = listener
        # None while it is not certain that a final frame is a whole message for somebody.
        self._try_fast_path: Callable[[bytes], bool] | None = listener.try_fast_path
        self._socket: WSTransport | None = None
        self._fragments: list[bytes] | None = None
        self._fragment_bytes = 0
        self._fragment_kind = WSMsgType.TEXT
        self._local_end: tuple[int, str] | None = None
        self._burst = 0
        self._pacer: ReadPacer | None = None
        self._congested = False
        self._unread_pongs = 0
        self._loop = asyncio.get_running_loop()

    def send(self, data: bytes, more: bool = False) -> None:
        if more:
            self._gather()
        ws = self._socket
        if ws is not None and not ws.is_disconnected:
            if self._congested and ws.underlying_transport.get_write_buffer_size() > MAX_UNWRITTEN_BYTES:
                self._give_up(*_DEAF)
                return
            ws.send(_TEXT, data)

    def close(self, code: int, reason: str) -> None:
        if self._socket is not None and not self._socket.is_disconnected:
            # picows takes any code that RFC 6455 leaves to applications; its stub knows the named ones only.
            self._socket.send_close(cast(picows.WSCloseCode, code), _cut(reason))

    def abort(self) -> None:
        if self._socket is not None:
            self._socket.disconnect(False)

    def forget(self) -> None:
        self._listener = self._try_fast_path = None

    def pause(self) -> None:
        if self._socket is not None and not self._socket.is_disconnected:
            if self._pacer is not None:
                self._pacer.held = True
            self._socket.underlying_transport.pause_reading()

    def resume(self) -> None:
        if self._socket is not None and not self._socket.is_disconnected:
            if self._pacer is not None:
                self._pacer.held = False
            self._socket.underlying_transport.resume_reading()

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._socket = transport
        # picows keeps both for as long as the connection, and the request's headers may hold secrets.
        for upgrade in (transport.request, transport.response):
            if upgrade is not None:
                upgrade.headers.clear()
        self._loop.call_soon(self._begin_reading)
        if self._listener is not None:
            self._listener.on_opened(self)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        # To ask picows for the type of a frame costs up to half as much as to decode a short one: it looks up a member
        # of an enum.
        if self._try_fast_path is None or not frame.fin or not self._try_fast_path(frame.get_payload_as_bytes()):
            self._on_other_frame(transport, frame)

    def _gather(self) -> None:
        """Hold back what is sent after the first message of this turn of the loop, so that it leaves as one packet.

        Half of what a short message costs is the packet that it makes.
        """
        self._burst += 1
        if self._burst == 1:
            self._loop.call_soon(self._let_go)
        elif self._burst == 2:
            self._cork(True)
        elif self._burst % LOOK_EVERY == 0 and self._lost_unheard():
            self._socket = None

    def _lost_unheard(self) -> bool:
        """Whether the loss of the socket is known below, and will be told in the next turn."""
        return self._socket is not None and self._socket.underlying_transport.is_closing()

    def _let_go(self) -> None:
        held, self._burst = self._burst > 1, 0
        if held:
            self._cork(False)

    def _cork(self, held: bool) -> None:
        if _TCP_CORK is None or self._socket is None or self._socket.is_disconnected:
            return
        # A socket that fails here fails its reader as well, who tells about it.
        with contextlib.suppress(OSError):
            sock = self._socket.underlying_transport.get_extra_info("socket")
            sock.setsockopt(socket.IPPROTO_TCP, _TCP_CORK, held)

    def pause_writing(self) -> None:
        self._congested = True

    def resume_writing(self) -> None:
        self._congested, self._unread_pongs = False, 0

    def _begin_reading(self) -> None:
        ws = self._socket
        if ws is None or ws.is_disconnected:
            return
        transport = ws.underlying_transport
        if not reads_into_a_buffer(transport):
            return
        self._pacer = ReadPacer(transport, self._loop)
        # Else picows has a part of a frame, and needs the rest of it.
        if has_read_nothing(transport, READ_BUFFER_BYTES):
            HelloBypass(transport, self._on_long, MAX_MESSAGE_BYTES)

    def _on_long(self, data: bytes) -> None:
        if (
            (self._try_fast_path is None or not self._try_fast_path(data))
            and self._listener is not None
            and self._local_end is None
        ):
            self._listener.on_message(data)

    def _on_other_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if self._listener is None or self._local_end is not None:
            return
        kind = frame.msg_type
        if kind == WSMsgType.TEXT and frame.fin and self._fragments is None:
            self._listener.on_message(frame.get_payload_as_bytes())
        elif kind == WSMsgType.CLOSE:
            self._answer_close(transport, frame)
        elif kind == WSMsgType.PING:
            self._answer_ping(transport, frame)
        elif kind == WSMsgType.BINARY and frame.fin:
            self._listener.on_ignored("binary message")
        elif kind in (WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION):
            self._join(kind, frame)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        listener, self._listener, self._try_fast_path = self._listener, None, None
        self._socket, self._fragments = None, None
        code, reason, refused = self._how_it_ended(transport)
        if refused:
            # picows raises there what it found wrong, and asyncio complains of errors that nobody has looked at.
            looking = self._loop.create_task(transport.wait_disconnected())
            _looking.add(looking)
            looking.add_done_callback(_looked)
        if listener is not None:
            listener.on_closed(code, reason, refused=refused)

    def _answer_close(self, transport: WSTransport, frame: WSFrame) -> None:
        if not transport.is_close_frame_sent:
            # picows gives 0 where there is none, and would write it.
            transport.send_close(frame.get_close_code() or picows.WSCloseCode.OK)
        transport.disconnect()

    def _answer_ping(self, transport: WSTransport, frame: WSFrame) -> None:
        """Write a pong, unless very many wait already: a peer that pings and never reads is not there for anybody."""
        if self._congested:
            self._unread_pongs += 1
            if self._unread_pongs > MAX_UNREAD_PONGS:
                self._give_up(*_DEAF)
                return
        transport.send_pong(frame.get_payload_as_bytes())

    def _give_up(self, code: int, reason: str) -> None:
        """End the socket from this side, with a close frame where it can still be written."""
        if self._local_end is None:
            self._local_end = (code, reason)
            self.close(code, reason)
            self._loop.call_soon(self.abort)

    def _join(self, kind: WSMsgType, frame: WSFrame) -> None:
        if kind != WSMsgType.CONTINUATION:
            self._fragments, self._fragment_bytes, self._fragment_kind = [], 0, kind
            self._try_fast_path = None
        if self._fragments is None or self._listener is None:
            return
        self._fragment_bytes += frame.payload_size
        if self._fragment_bytes > MAX_MESSAGE_BYTES:
            self._fragments = None
            self._give_up(1009, "message too big")
            return
        if self._fragment_kind == WSMsgType.TEXT:
            self._fragments.append(frame.get_payload_as_bytes())
        if frame.fin:
            parts, self._fragments = self._fragments, None
            self._try_fast_path = self._listener.try_fast_path
            if self._fragment_kind == WSMsgType.TEXT:
                self._listener.on_message(b"".join(parts))
            else:
                self._listener.on_ignored("binary message")

    def _how_it_ended(self, transport: WSTransport) -> tuple[int | None, str, bool]:
        """Code and reason, and whether this side ended it because of what came."""
        if self._local_end is not None:
            return *self._local_end, True
        handshake = transport.close_handshake
        if handshake is None:
            return None, "", False
        if handshake.sent is not None and not handshake.recv_then_sent:
            code = _number(handshake.sent.code)
            if code in _LOCAL_FAILURES:
                # picows itself refused what came (over the limit, not RFC 6455) and said so.
                return code, handshake.sent.reason or "", True
        if handshake.recv is not None:
            return _number(handshake.recv.code) or NO_CODE, handshake.recv.reason or "", False
        return None, "", False


_LOCAL_FAILURES = frozenset({1002, 1007, 1009, 1011})


_looking: set[asyncio.Task[None]] = set()
"""Held here: a loop holds its tasks weakly."""


def _looked(task: asyncio.Task[None]) -> None:
    _looking.discard(task)
    if not task.cancelled():
        task.exception()


def _number(code: object) -> int | None:
    return code if isinstance(code, int) else None


def _cut(reason: str) -> str:
    return reason.encode()[:MAX_REASON_BYTES].decode(errors="ignore")
