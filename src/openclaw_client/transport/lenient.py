"""Opens a WebSocket to a server whose answer names more than the upgrade in its header Connection (RFC 6455, 4.1).

picows takes `Connection: Upgrade` and nothing else, and has no way to be told otherwise. So its own function is run
with another protocol in the place of its own: one that brings the header into that form and steps aside.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

import picows

from openclaw_client.private_parts import connect_through, picows_protocol
from openclaw_client.transport.hello_bypass import hand_on

MAX_HEAD = 16_384
"""Bytes of an answer's head that picows takes."""
_END = b"\r\n\r\n"


def asks_for_it(error: picows.WSHandshakeError) -> bool:
    """Whether an answer was refused for nothing but the other words of its header Connection."""
    if not isinstance(error, picows.WSInvalidUpgradeError) or error.name != "Connection":
        return False
    return _plain(error.raw_header) != error.raw_header


def ws_connect() -> Callable[..., Awaitable[Any]] | None:
    """`picows.ws_connect` that takes such an answer; None where this picows cannot be brought to it."""
    return connect_through(_Lenient)


def _plain(head: bytes | None) -> bytes | None:
    """The head of an answer with `Connection: Upgrade` where that is among its words; else as it is."""
    lines = (head or b"").split(b"\r\n")
    connection = [line for line in lines[1:] if line.partition(b":")[0].strip().lower() == b"connection"]
    words = [word.strip().lower() for line in connection for word in line.partition(b":")[2].split(b",")]
    if b"upgrade" not in words:
        return head
    return b"\r\n".join([lines[0], b"Connection: Upgrade", *(line for line in lines[1:] if line not in connection)])


class _Lenient(asyncio.BufferedProtocol):
    """The protocol of a transport until the head of the answer is there. What picows asks of its own is handed on."""

    def __init__(self, *args: Any) -> None:
        self._inner: Any = picows_protocol(*args)
        self._transport: asyncio.Transport | None = None
        self._window = bytearray(MAX_HEAD)
        self._data = bytearray()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._inner.connection_made(transport)

    def get_buffer(self, sizehint: int) -> bytearray:  # noqa: ARG002 - loops give no true hint
        return self._window

    def buffer_updated(self, nbytes: int) -> None:
        assert self._transport is not None
        self._data += memoryview(self._window)[:nbytes]
        end = self._data.find(_END)
        if end < 0 and len(self._data) < MAX_HEAD:
            return
        head = bytes(self._data[:end]) if end >= 0 else b""
        self._transport.set_protocol(self._inner)
        hand_on(self._transport, self._inner, (_plain(head) or b"") + bytes(self._data[len(head) :]))

    def eof_received(self) -> bool | None:
        return cast("bool | None", self._inner.eof_received())

    def connection_lost(self, exc: Exception | None) -> None:
        self._inner.connection_lost(exc)

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()
