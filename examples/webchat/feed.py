"""What one conversation tells its pages: numbered events, kept for a while, so that a page can come back.

A page gets a snapshot and what happens after it. One that comes back names the last event that it saw and gets what
came since; where that is no longer known, it gets a snapshot, which replaces everything that it shows. So nothing is
missed and nothing comes twice, whatever the network does. There is no queue per page: a slow one reads from the same
store later, and costs nothing meanwhile.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

KEPT: Final = 1000
"""Events that are remembered: more than a minute of a reply at a gateway's pace of 75 ms."""


@dataclass(frozen=True, slots=True)
class Told:
    """One event as it goes to a page. data: JSON."""

    id: str
    name: str
    data: str


class Feed:
    """On one event loop. snapshot: all that a page shows, made when a page needs it."""

    def __init__(self, snapshot: Callable[[], Mapping[str, Any]], *, kept: int = KEPT) -> None:
        self._snapshot = snapshot
        # Numbers start again with the process, so they carry its name: a page of an earlier one gets a snapshot.
        self._epoch = secrets.token_hex(4)
        self._events: deque[Told] = deque(maxlen=kept)
        self._count = 0
        self._news = asyncio.Event()
        self._closed = False

    def publish(self, name: str, data: Mapping[str, Any]) -> None:
        """Tell all pages."""
        self._count += 1
        self._events.append(Told(f"{self._epoch}-{self._count}", name, _json(data)))
        self._wake()

    async def follow(self, last_id: str | None) -> AsyncGenerator[Told, None]:
        """What a page that saw everything up to last_id has to be told, until `close`."""
        place = self._place(last_id)
        while not self._closed:
            if place is None or place < self._count - len(self._events):
                place = self._count
                yield Told(f"{self._epoch}-{place}", "snapshot", _json(self._snapshot()))
            elif place < self._count:
                place += 1
                yield self._events[place - self._count - 1]
            else:
                await self._news.wait()

    def close(self) -> None:
        """End all pages' feeds; they come back when somebody answers them."""
        self._closed = True
        self._wake()

    def _place(self, last_id: str | None) -> int | None:
        """How far a page got; None for one that must begin anew."""
        epoch, _, number = (last_id or "").partition("-")
        if epoch != self._epoch or not number.isascii() or not number.isdecimal() or len(number) > 18:
            return None
        return int(number) if int(number) <= self._count else None

    def _wake(self) -> None:
        # Whoever waits has the old one; who comes later waits for the next.
        self._news.set()
        self._news = asyncio.Event()


def _json(data: Mapping[str, Any]) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))
