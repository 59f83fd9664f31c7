"""Two ends without a socket, for tests. What one end sends, the other receives in the next turn of the loop."""

from __future__ import annotations

import asyncio
from collections import deque

from openclaw_client.transport.base import Listener


class MemoryEnd:
    """One end of a pair. `sent` holds what was written through it, oldest first."""

    def __init__(self, listener: Listener) -> None:
        self.listener: Listener | None = listener
        self.peer: MemoryEnd | None = None
        self.sent: list[bytes] = []
        self.paused = False
        self.closed = False
        self._inbox: deque[bytes] = deque()

    def send(self, data: bytes, more: bool = False) -> None:  # noqa: ARG002 - nothing here is a packet
        if self.closed or self.peer is None:
            return
        self.sent.append(data)
        self.peer._inbox.append(data)
        asyncio.get_running_loop().call_soon(self.peer._deliver)

    def close(self, code: int, reason: str) -> None:
        self._end(code, reason)

    def abort(self) -> None:
        self._end(None, "")

    def forget(self) -> None:
        self.listener = None

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False
        asyncio.get_running_loop().call_soon(self._deliver)

    def _deliver(self) -> None:
        while self._inbox and not self.paused and self.listener is not None:
            self.listener.on_message(self._inbox.popleft())

    def _end(self, code: int | None, reason: str) -> None:
        loop = asyncio.get_running_loop()
        for end in (self, self.peer):
            if end is not None and not end.closed:
                end.closed = True
                loop.call_soon(end._ended, code, reason)

    def _ended(self, code: int | None, reason: str) -> None:
        self._deliver()
        listener, self.listener = self.listener, None
        if listener is not None:
            listener.on_closed(code, reason)


def memory_pair(left: Listener, right: Listener) -> tuple[MemoryEnd, MemoryEnd]:
    """Two ends that hear each other, opened for their listeners, left first."""
    ends = MemoryEnd(left), MemoryEnd(right)
    ends[0].peer, ends[1].peer = ends[1], ends[0]
    for end in ends:
        if end.listener is not None:
            end.listener.on_opened(end)
    return ends
