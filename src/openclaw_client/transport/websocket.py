"""A WebSocket over picows.

What picows leaves to its user and this module does: joining fragments under a total cap, answering the close frame, and
copying each payload out of the read buffer, which is reused (a view into it would change under the reader).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar, cast

import picows
from picows import WSFrame, WSListener, WSMsgType, WSTransport
from python_socks import ProxyConnectionError, ProxyError, ProxyTimeoutError  # what picows lets through of its own

from openclaw_client.errors import Unreachable
from openclaw_client.transport.base import Listener
from openclaw_client.transport.failures import NO_CONNECTION, failure_of, unreachable
from openclaw_client.transport.strainer import Strainer

_E = TypeVar("_E", bound=BaseException)

MAX_MESSAGE_BYTES = 26_214_400
"""25 MiB, the gateway's own `policy.maxPayload` and the inbound limit of the reference client."""
READ_BUFFER_BYTES = 2560
"""It doubles when a read fills it, and never shrinks. What is long at the beginning goes past it (`Strainer`)."""
_KEPT_FREE = 256
"""Bytes of it that picows leaves free for its parsers."""
UPGRADE_TIMEOUT = 15.0
"""Seconds for the HTTP upgrade, as in the reference client."""
NO_CODE = 1005
"""What stands for a close frame without a code (RFC 6455, 7.4.1)."""
LOOK_EVERY = 4
"""Messages of one turn between two looks whether the socket is gone: aiofastnet lets five pass without a word."""
MAX_REASON_BYTES = 123
"""What a close frame has room for (RFC 6455, 5.5)."""

_TEXT: Final = WSMsgType.TEXT
# While it is set, Linux sends full packets only, and the rest when it is cleared.
_TCP_CORK: int | None = None
if sys.platform == "linux":
    _TCP_CORK = socket.TCP_CORK

# picows logs the upgrade request, headers and all, below DEBUG. A logger outside the tree of loggers cannot be switched
# on by anybody's configuration.
# An adapter, because picows makes a child of every plain logger for every connection.
_silent = logging.Logger("openclaw_client.transport.picows")  # noqa: LOG001
_silent.disabled = True
_logger = logging.LoggerAdapter(_silent)

SERVER_SHOWN = 40
"""Characters of a Server header that are shown: a name and a version."""
_TLS_RECORDS = (b"\x15\x03", b"\x16\x03")
"""How an alert and a handshake record of TLS begin."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where to connect. url is the whole URL, shown is what may be told about it."""

    url: str
    shown: str
    ssl_context: ssl.SSLContext | None = None
    headers: Mapping[str, str] | None = None
    proxy: str | None = None

    def __repr__(self) -> str:
        return f"Target({self.shown!r})"


class WebSocketTransport(WSListener):  # type: ignore[misc, unused-ignore]  # a C class
    """The picows listener of one socket, and the `Transport` handed to its owner."""

    def __init__(self, listener: Listener) -> None:
        self._listener: Listener | None = listener
        # None while it is not certain that a final frame is a whole message for somebody.
        self._claim: Callable[[bytes], bool] | None = listener.claim
        self._socket: WSTransport | None = None
        self._fragments: list[bytes] | None = None
        self._fragment_bytes = 0
        self._fragment_kind = WSMsgType.TEXT
        self._local_end: tuple[int, str] | None = None
        self._burst = 0
        self._loop = asyncio.get_running_loop()

    # Transport.

    def send(self, data: bytes, more: bool = False) -> None:
        if more:
            self._gather()
        ws = self._socket
        if ws is not None and not ws.is_disconnected:
            ws.send(_TEXT, data)

    def close(self, code: int, reason: str) -> None:
        if self._socket is not None and not self._socket.is_disconnected:
            # picows takes any code that RFC 6455 leaves to applications; its stub knows the named ones only.
            self._socket.send_close(cast(picows.WSCloseCode, code), _cut(reason))

    def abort(self) -> None:
        if self._socket is not None:
            self._socket.disconnect(False)

    def forget(self) -> None:
        self._listener = self._claim = None

    def pause(self) -> None:
        if self._socket is not None and not self._socket.is_disconnected:
            self._socket.underlying_transport.pause_reading()

    def resume(self) -> None:
        if self._socket is not None and not self._socket.is_disconnected:
            self._socket.underlying_transport.resume_reading()

    # picows.

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._socket = transport
        # picows keeps both for as long as the connection, and the request's headers may hold secrets.
        for upgrade in (transport.request, transport.response):
            if upgrade is not None:
                upgrade.headers.clear()
        self._loop.call_soon(self._strain)
        if self._listener is not None:
            self._listener.on_opened(self)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        # To ask picows for the type of a frame costs up to half as much as to decode a short one: it looks up a member
        # of an enum.
        if self._claim is None or not frame.fin or not self._claim(frame.get_payload_as_bytes()):
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

    def _strain(self) -> None:
        ws = self._socket
        if ws is None or ws.is_disconnected:
            return
        transport = ws.underlying_transport
        room = cast(asyncio.BufferedProtocol, transport.get_protocol()).get_buffer(-1)
        # Else picows has a part of a frame, and needs the rest of it.
        if memoryview(room).nbytes == READ_BUFFER_BYTES - _KEPT_FREE:
            Strainer(transport, self._on_long, MAX_MESSAGE_BYTES)

    def _on_long(self, data: bytes) -> None:
        if (self._claim is None or not self._claim(data)) and self._listener is not None and self._local_end is None:
            self._listener.on_message(data)

    def _on_other_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if self._listener is None or self._local_end is not None:
            return
        kind = frame.msg_type
        if kind == WSMsgType.TEXT and frame.fin and self._fragments is None:
            self._listener.on_message(frame.get_payload_as_bytes())
        elif kind == WSMsgType.CLOSE:
            self._answer_close(transport, frame)
        elif kind == WSMsgType.BINARY and frame.fin:
            self._listener.on_ignored("binary message")
        elif kind in (WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION):
            self._join(kind, frame)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        listener, self._listener, self._claim = self._listener, None, None
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

    def _join(self, kind: WSMsgType, frame: WSFrame) -> None:
        if kind != WSMsgType.CONTINUATION:
            self._fragments, self._fragment_bytes, self._fragment_kind = [], 0, kind
            self._claim = None
        if self._fragments is None or self._listener is None:
            return
        self._fragment_bytes += frame.payload_size
        if self._fragment_bytes > MAX_MESSAGE_BYTES:
            self._fragments = None
            self._local_end = (1009, "message too big")
            self.close(1009, "message too big")
            self._loop.call_soon(self.abort)
            return
        if self._fragment_kind == WSMsgType.TEXT:
            self._fragments.append(frame.get_payload_as_bytes())
        if frame.fin:
            parts, self._fragments = self._fragments, None
            self._claim = self._listener.claim
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


async def open_websocket(target: Target, listener: Listener) -> None:
    """Open the socket and complete the HTTP upgrade.

    Raises Unreachable with what failed (name lookup, TCP, TLS, the upgrade and its HTTP status). When cancelled, the
    socket is closed.
    """
    try:
        _, opened = await picows.ws_connect(
            lambda: WebSocketTransport(listener),
            target.url,
            ssl_context=target.ssl_context,
            websocket_handshake_timeout=UPGRADE_TIMEOUT,
            logger_name=_logger,
            enable_auto_pong=True,
            max_frame_size=MAX_MESSAGE_BYTES,
            extra_headers=dict(target.headers) if target.headers else None,
            # A redirect would carry headers and token to a host that nobody named.
            max_redirects=0,
            proxy=target.proxy,
            read_buffer_init_size=READ_BUFFER_BYTES,
        )
    except picows.WSHandshakeError as error:
        # Raised below, so that it does not carry this error along: its fields hold the peer's page, which may quote us.
        refused = unreachable(*_upgrade_failure(error), target.shown)
    except ProxyError as error:
        status = f" (it answered {error.error_code})" if isinstance(error.error_code, int) else ""
        failed = unreachable("PROXY_REFUSED", f"the proxy did not connect it{status}", target.shown)
        raise failed from _bare(error)
    except (ProxyConnectionError, ProxyTimeoutError) as error:
        raise _no_proxy(target) from _bare(error)
    except OSError as error:
        code, what = _socket_failure(error, target)
        if target.proxy is not None and code in NO_CONNECTION:
            # The way from the proxy on is the proxy's to tell.
            raise _no_proxy(target) from _bare(error)
        raise unreachable(code, what, target.shown) from _bare(error)
    except picows.WSError as error:
        raise unreachable("NOT_WEBSOCKET", "the peer does not speak WebSocket", target.shown) from _bare(error)
    else:
        if opened is not None:
            return
        # Against its stub, picows returns without a listener when the socket dies before the answer is there.
        refused = unreachable("UPGRADE_CUT", "the peer ended the HTTP upgrade without a WebSocket answer", target.shown)
    raise refused


_looking: set[asyncio.Task[None]] = set()
"""Held here: a loop holds its tasks weakly."""


def _looked(task: asyncio.Task[None]) -> None:
    _looking.discard(task)
    if not task.cancelled():
        task.exception()


def _bare(error: _E) -> _E:
    """The error without its frames: picows keeps the whole URL and the headers in their variables."""
    link: BaseException | None = error
    while link is not None:
        link.__traceback__ = None
        link = link.__cause__ or link.__context__
    return error


def _number(code: object) -> int | None:
    return code if isinstance(code, int) else None


def _socket_failure(error: OSError, target: Target) -> tuple[str, str]:
    if isinstance(error, TimeoutError) and not error.errno:
        return "UPGRADE_TIMEOUT", "the WebSocket upgrade was not answered in time"
    return failure_of(error, secure=target.url.startswith("wss:"))


def _no_proxy(target: Target) -> Unreachable:
    return unreachable("PROXY_UNREACHABLE", "the proxy cannot be reached", target.shown)


def _upgrade_failure(error: picows.WSHandshakeError) -> tuple[str, str]:
    if (error.raw_header or b"").startswith(_TLS_RECORDS):
        return "TLS_EXPECTED", "the server speaks TLS"
    status = _status_of(error)
    if status is None:
        return "UPGRADE_CUT", "the peer ended the HTTP upgrade without a WebSocket answer"
    server = str(error.response.headers.get("Server") or "") if error.response is not None else ""
    by = "".join(char for char in server if char.isprintable())[:SERVER_SHOWN]
    return f"HTTP_{status}", f"HTTP {status} instead of a WebSocket{f' from {by}' if by else ''}"


def _status_of(error: picows.WSHandshakeError) -> int | None:
    if error.response is not None:
        return int(error.response.status)
    # picows reads no HTTP/1.0 response; its first line still tells that a web server answered.
    words = (error.raw_header or b"").split(None, 2)
    return int(words[1]) if len(words) > 1 and words[0].startswith(b"HTTP/") and words[1].isdigit() else None


def _cut(reason: str) -> str:
    return reason.encode()[:MAX_REASON_BYTES].decode(errors="ignore")
