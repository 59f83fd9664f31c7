"""Takes the one long message at the beginning of a connection past picows.

picows' read buffer grows to the longest frame that went through it and keeps that size for as long as the connection
lasts. A gateway's hello takes 15 KB in one frame, and many connections are sent nothing else that is long: else most of
an idle connection's memory is a buffer sized for a hello already read.

Knows where a frame begins and ends; leaves all that is not plain to picows, and steps aside for good after it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

LONG = 2_048
"""Bytes of a payload from which on it is kept from picows: about what its buffer holds when it has never grown."""
MAX_FRAMES = 2
"""Frames that are looked at: the challenge and the hello. Where the challenge came with the upgrade, and the hello is
short, it is one behind it."""
_WINDOW = 16_384
"""Bytes that are read at once."""
_WHOLE_TEXT, _MASKED = 0x81, 0x80
_SIZE_IN_TWO = 126
"""What stands for the size when the next two bytes have it; one more, and the next eight do."""


class HelloBypass(asyncio.BufferedProtocol):
    """The protocol of a transport until the first long message is there, before the one that it has by then.

    deliver is given the long message. What comes from the transport is handed on otherwise as it comes, frame by frame.
    limit: bytes of the longest message that is taken. On the loop's thread.
    """

    def __init__(self, transport: asyncio.Transport, deliver: Callable[[bytes], None], limit: int) -> None:
        self._transport = transport
        self._inner = cast(asyncio.BufferedProtocol, transport.get_protocol())
        self._deliver = deliver
        self._limit = limit
        self._window: bytearray | None = None
        self._data = bytearray()
        self._frames = 0
        transport.set_protocol(self)

    def get_buffer(self, sizehint: int) -> bytearray:  # noqa: ARG002 - loops give no true hint
        # Made for each read: there are few, and in between many connections wait for a gateway.
        self._window = bytearray(_WINDOW)
        return self._window

    def buffer_updated(self, nbytes: int) -> None:
        assert self._window is not None
        data, window = self._data, self._window
        self._window = None
        data += memoryview(window)[:nbytes]
        while self._frames < MAX_FRAMES:
            if len(data) < 2:
                return
            if data[0] != _WHOLE_TEXT or data[1] & _MASKED:
                break
            bounds = _bounds(data)
            if bounds is None:
                return
            begin, end = bounds
            if end - begin > self._limit:
                break
            if len(data) < end:
                return
            self._frames += 1
            if end - begin >= LONG:
                message = bytes(memoryview(data)[begin:end])
                del data[:end]
                self._deliver(message)
                break
            frame = bytes(memoryview(data)[:end])
            del data[:end]
            self._hand_on(frame)
            if self._transport.is_closing():
                return
        self._step_aside()

    def eof_received(self) -> bool | None:
        return self._inner.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._inner.connection_lost(exc)

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def _step_aside(self) -> None:
        if not self._transport.is_closing():
            self._transport.set_protocol(self._inner)
            self._hand_on(bytes(self._data))

    def _hand_on(self, data: bytes) -> None:
        hand_on(self._transport, self._inner, data)


def hand_on(transport: asyncio.Transport, inner: asyncio.BufferedProtocol, data: bytes) -> None:
    """Give a protocol bytes as its transport would."""
    given = 0
    while given < len(data) and not transport.is_closing():
        room = memoryview(cast(bytearray, inner.get_buffer(-1)))
        size = min(len(room), len(data) - given)
        room[:size] = data[given : given + size]
        # Not held any longer: the protocol may move its buffer.
        room.release()
        inner.buffer_updated(size)
        given += size


def _bounds(data: bytearray) -> tuple[int, int] | None:
    """Where the payload of the first frame begins and ends (RFC 6455, 5.2); None where its head is not whole yet."""
    size = data[1]
    if size < _SIZE_IN_TWO:
        return 2, 2 + size
    width = 2 if size == _SIZE_IN_TWO else 8
    if len(data) < 2 + width:
        return None
    return 2 + width, 2 + width + int.from_bytes(data[2 : 2 + width], "big")
