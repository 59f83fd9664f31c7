"""How many handshakes this process has under way with one gateway.

Gateways refuse sockets beyond a number per address that have not authenticated yet (HTTP 503 above 32, observed on
2026.4.15, 2026.6.1 and 2026.9.6), so that hundreds of clients who lost the same gateway would keep each other out.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakKeyDictionary

from openclaw_client.policy.urls import GatewayUrl

HANDSHAKES = 16
"""Half of what gateways allow an address, because there may be another process behind it. A handshake takes a few
milliseconds, so this is some thousand connects a second."""


class _Door:
    """The handshakes with one gateway on one event loop, in the order in which they came."""

    __slots__ = ("inside", "waiting")

    def __init__(self) -> None:
        self.inside = 0
        self.waiting: deque[asyncio.Future[None]] = deque()

    async def enter(self) -> None:
        if self.inside < HANDSHAKES:
            self.inside += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                # The place was given in the very turn in which its taker left.
                self.leave()
            raise

    def leave(self) -> None:
        while self.waiting:
            turn = self.waiting.popleft()
            if not turn.done():
                # The place goes to the next one without being free in between.
                turn.set_result(None)
                return
        self.inside -= 1


# Per loop, because a future belongs to one; a process rarely has more than two.
_doors: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[str, int], _Door]] = WeakKeyDictionary()


@asynccontextmanager
async def handshake_turn(url: GatewayUrl) -> AsyncIterator[None]:
    """Wait until this process may begin a handshake with the host of this URL. Cancelling gives the turn up."""
    doors = _doors.setdefault(asyncio.get_running_loop(), {})
    key = (url.host.lower(), url.port)
    door = doors.setdefault(key, _Door())
    try:
        await door.enter()
        try:
            yield
        finally:
            door.leave()
    finally:
        if not door.inside:
            doors.pop(key, None)
