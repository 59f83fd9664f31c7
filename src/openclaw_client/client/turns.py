"""One message at a time per session.

A gateway that gets a message while a run is active merges it into that run, answers it under a run id that nobody asked
for, or queues it, depending on its release and settings (observed on four releases). A caller who wants one reply per
message gets it only when the message waits on this side until the run before it is over.
"""

from __future__ import annotations

import asyncio
from collections import deque

from openclaw_client.errors import GatewayError

SETTLING = 0.05
"""Seconds that the next message waits behind a final on wire v3. 2026.4.15 counts the session as busy for up to 20 ms
more, and answers a message that comes then under a run id that nobody knows (observed)."""

_STOP_WORDS = frozenset({"stop", "abort", "esc", "exit", "halt", "please stop", "wait", "interrupt"})


def jumps_the_queue(message: str) -> bool:
    """Whether a message is meant for the run that is active: a stop word, or a command of the gateway."""
    text = message.strip().lower()
    return text.startswith("/") or text.strip(" .!?,;:") in _STOP_WORDS


class SessionTurns:
    """Who may send in which session; on the loop's thread."""

    def __init__(self) -> None:
        self._queues: dict[str, deque[asyncio.Future[None]]] = {}

    async def take(self, session: str) -> None:
        """Wait until every turn taken before is given back. Cancelling gives up the place.

        Raises what `fail` was given.
        """
        queue = self._queues.get(session)
        if queue is None:
            self._queues[session] = deque()
            return
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(place)
        try:
            await place
        except BaseException:
            if place.done() and not place.cancelled() and place.exception() is None:
                # The turn came in the very moment in which its taker left.
                self.give_back(session)
            elif place in queue:
                queue.remove(place)
            raise

    def give_back(self, session: str) -> None:
        """End a turn: the next in line has it."""
        queue = self._queues.get(session)
        if queue is None:
            return
        while queue:
            place = queue.popleft()
            if not place.done():
                place.set_result(None)
                return
        del self._queues[session]

    def fail(self, error: GatewayError) -> None:
        """Everybody who waits gets this error; turns under way are not touched."""
        for queue in self._queues.values():
            for place in queue:
                if not place.done():
                    place.set_exception(error.again())
            queue.clear()


class Turn:
    """The turn of one message."""

    __slots__ = ("_session", "_turns")

    def __init__(self, turns: SessionTurns) -> None:
        self._turns = turns
        self._session: str | None = None

    @property
    def taken(self) -> bool:
        return self._session is not None

    async def take(self, session: str, limit: float | None) -> None:
        """Wait for it. Raises TimeoutError after limit seconds, and see `SessionTurns.take`."""
        async with asyncio.timeout(limit):
            await self._turns.take(session)
        self._session = session

    def give_back(self, *, settling: bool) -> None:
        """End the turn, if it was taken; settling: the gateway needs a moment."""
        session, self._session = self._session, None
        if session is None:
            return
        if settling:
            asyncio.get_running_loop().call_later(SETTLING, self._turns.give_back, session)
        else:
            self._turns.give_back(session)
