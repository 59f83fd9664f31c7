"""The way to an open WebSocket: name, socket, TLS, the HTTP upgrade; and what failed of it, in words of its own."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import picows
from python_socks import ProxyConnectionError, ProxyError, ProxyTimeoutError  # what picows lets through of its own

from openclaw_client.errors import Unreachable
from openclaw_client.transport import lenient
from openclaw_client.transport.base import Listener
from openclaw_client.transport.failures import NO_CONNECTION, failure_of, unreachable
from openclaw_client.transport.refused import refusal
from openclaw_client.transport.sockets import end, open_socket
from openclaw_client.transport.websocket import MAX_MESSAGE_BYTES, READ_BUFFER_BYTES, WebSocketTransport

_E = TypeVar("_E", bound=BaseException)

UPGRADE_TIMEOUT = 15.0
"""Seconds for the HTTP upgrade, as in the reference client."""

# picows logs the upgrade request, headers and all, below DEBUG. A logger outside the tree of loggers cannot be switched
# on by anybody's configuration.
# An adapter, because picows makes a child of every plain logger for every connection.
_silent = logging.Logger("openclaw_client.transport.picows")  # noqa: LOG001
_silent.disabled = True
_logger = logging.LoggerAdapter(_silent)

_STATUS_DIGITS = 3
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


class _Address(Protocol):
    """What picows gives of a URL to who makes its socket."""

    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...


async def open_websocket(target: Target, listener: Listener) -> None:
    """Open the socket and complete the HTTP upgrade.

    Raises Unreachable with what failed (name lookup, TCP, TLS, the upgrade and its HTTP status). When cancelled, the
    socket is closed.
    """
    made: list[socket.socket] = []

    async def make(where: _Address) -> socket.socket:
        made.append(await _open_socket(where))
        return made[-1]

    try:
        opened = await _connect_somehow(target, listener, make)
    except asyncio.CancelledError:
        # picows shields the upgrade from being cancelled, and would wait for its answer.
        for one in made:
            end(one)
        raise
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
    except (picows.WSError, ValueError) as error:
        # ValueError: a number in the answer that Python does not read, such as a status of 5,000 digits.
        raise unreachable("NOT_WEBSOCKET", "the peer does not speak WebSocket", target.shown) from _bare(error)
    else:
        if opened:
            return
        # Against its stub, picows returns without a listener when the socket dies before the answer is there.
        refused = unreachable("UPGRADE_CUT", "the peer ended the HTTP upgrade without a WebSocket answer", target.shown)
    raise refused


async def _open_socket(where: _Address) -> socket.socket:
    opened = await open_socket(where.host, where.port)
    try:
        opened.getpeername()
    except OSError:
        # The peer has cut it already. picows would connect it a second time, and leave it open where that fails.
        opened.close()
        raise ConnectionResetError("the peer cut the connection") from None
    return opened


async def _connect_somehow(target: Target, listener: Listener, make: Callable[[_Address], Any]) -> bool:
    try:
        return await _connect(picows.ws_connect, target, listener, make)
    except picows.WSHandshakeError as error:
        again = lenient.ws_connect() if lenient.asks_for_it(error) else None
        if again is None:
            raise
    return await _connect(again, target, listener, make)


async def _connect(
    connect: Callable[..., Awaitable[Any]], target: Target, listener: Listener, make: Callable[[_Address], Any]
) -> bool:
    """Whether a socket came about. Raises what picows raises."""
    _, opened = await connect(
        lambda: WebSocketTransport(listener),
        target.url,
        ssl_context=target.ssl_context,
        websocket_handshake_timeout=UPGRADE_TIMEOUT,
        logger_name=_logger,
        # Answered here, where it can be seen whether the peer reads.
        enable_auto_pong=False,
        max_frame_size=MAX_MESSAGE_BYTES,
        extra_headers=dict(target.headers) if target.headers else None,
        # A redirect would carry headers and token to a host that nobody named.
        max_redirects=0,
        proxy=target.proxy,
        read_buffer_init_size=READ_BUFFER_BYTES,
        socket_factory=make,
    )
    return opened is not None


def _bare(error: _E) -> _E:
    """The error without its frames: picows keeps the whole URL and the headers in their variables."""
    link: BaseException | None = error
    while link is not None:
        link.__traceback__ = None
        link = link.__cause__ or link.__context__
    return error


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
    headers = error.response.headers if error.response is not None else {}
    return refusal(status, headers, error.raw_body or b"")


def _status_of(error: picows.WSHandshakeError) -> int | None:
    if error.response is not None:
        return int(error.response.status)
    # picows reads no HTTP/1.0 response; its first line still tells that a web server answered.
    words = (error.raw_header or b"").split(None, 2)
    told = len(words) > 1 and words[0].startswith(b"HTTP/") and len(words[1]) == _STATUS_DIGITS and words[1].isdigit()
    return int(words[1]) if told else None
