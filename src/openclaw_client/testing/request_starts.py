"""How many requests a gateway lets wait until it begins with them."""

from __future__ import annotations

import asyncio

from openclaw_client.wire.frames import ErrorShape

MAX_WAITING = 256
"""Requests of all operators (2026.9.6)."""

BUSY = ErrorShape("UNAVAILABLE", "The server is busy. Please try again in a moment.", retryable=True)


class RequestStarts:
    """Counts the requests that came within one turn of the loop: in the next one all of them have begun."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting = 0

    def admits(self) -> bool:
        """Whether there is room for one more; it waits then."""
        if self._waiting >= MAX_WAITING:
            return False
        if not self._waiting:
            self._loop.call_soon(self._begun)
        self._waiting += 1
        return True

    def _begun(self) -> None:
        self._waiting = 0
