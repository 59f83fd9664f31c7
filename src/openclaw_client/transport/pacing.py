"""What lies between a socket and picows: reading that lets the rest of the loop have its turn.

A socket that always has something to read would else be read for as long as it does, or into a buffer that has grown to
megabytes, in one turn of the loop. Who reads the events in the same loop would be given no turn meanwhile, and lose
those that come beyond what may wait.
"""

from __future__ import annotations

import asyncio
from typing import cast

FIRST = 262_144
"""Bytes of one read at first: as many as aiofastnet reads in a turn. The shortest events take 29, so that fewer come
with one read than wait for a reader (10,000)."""
MOST = 2_097_152
"""Bytes of one read where its frames are quickly done: long ones, of which a turn of the loop can take a thousand. With
256 KiB each of 2 KB costs a seventh more."""
LEAST = 16_384
"""Bytes of one read, however long their frames take."""
TOO_LONG = 0.01
"""Seconds that the frames of one read may take, before the loop has its turn and the next read is half as long."""
QUICK = TOO_LONG / 2
"""Seconds within which they are done where the next read may be twice as long."""


class ReadPacer(asyncio.BufferedProtocol):
    """The protocol of a transport, before the one that it has by then. On the loop's thread.

    held: somebody else has paused the reading, and will resume it.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._inner = cast(asyncio.BufferedProtocol, transport.get_protocol())
        self._inner_buffer = self._inner.get_buffer
        self._inner_updated = self._inner.buffer_updated
        self._limit = FIRST
        self._room = 0
        self.held = False
        transport.set_protocol(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        buffer = cast(memoryview, self._inner_buffer(sizehint))
        self._room = len(buffer)
        if self._room <= self._limit:
            return buffer
        self._room = self._limit
        return buffer[: self._limit]

    def buffer_updated(self, nbytes: int) -> None:
        if nbytes < self._room:
            # There is no more for the moment: the loop has its turn anyway.
            self._inner_updated(nbytes)
            return
        begun = self._loop.time()
        self._inner_updated(nbytes)
        took = self._loop.time() - begun
        if took < TOO_LONG:
            if took < QUICK:
                self._limit = min(self._limit * 2, MOST)
            return
        self._limit = max(self._limit // 2, LEAST)
        if not (self.held or self._transport.is_closing()):
            self._transport.pause_reading()
            self._loop.call_soon(self._go_on)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._inner.connection_lost(exc)

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def _go_on(self) -> None:
        if not (self.held or self._transport.is_closing()):
            self._transport.resume_reading()
