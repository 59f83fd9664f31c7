"""Waiting for the approval of a device: when to tell about a request, when to try again, when to stop.

The one place for both faces. Refuses to know how the caller is told: in a coroutine or in a thread, the face does it.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Protocol

from openclaw_client.errors import (
    ClientClosed,
    ConnectError,
    ConnectionLost,
    HandshakeTimeout,
    PairingRequired,
    RateLimited,
    Unreachable,
    UsageError,
)
from openclaw_client.policy.verdict import LONGEST as LONGEST_HINT

OnPending = Callable[[PairingRequired], object]
"""Called once for every request that somebody has to approve."""

POLL = 5.0
"""Seconds to the second connect: quick enough for somebody who approves at once."""

LONGEST = 60.0
"""Seconds between two connects in the end: a request may wait for days, and the gateway logs each connect."""

GROWTH = 1.5
"""From `POLL` to `LONGEST` in the first three minutes."""


class Connects(Protocol):
    """What is to be connected."""

    @property
    def closings(self) -> int:
        """How often disconnect() was called."""
        ...

    async def connect(self) -> None: ...

    async def pause(self, seconds: float) -> None:
        """Wait, until something happened for which it is worth to try at once."""
        ...

    def await_approval(self) -> Callable[[], None]:
        """Don't take a missing approval for final, until the returned function is called."""
        ...


_PASSING = (Unreachable, HandshakeTimeout, RateLimited, ConnectionLost)
"""What does not end the wait: the gateway has answered before, and the approval may take longer than its restart."""


class Pairing:
    """One call of `pair()`. For the client's loop; `close` it when the call ends, however it does.

    Raises UsageError for a poll that is no time.
    """

    def __init__(self, client: Connects, *, wait: bool, poll: float) -> None:
        if not (isinstance(poll, int | float) and 0 < poll < inf):
            raise UsageError(message=f"poll={poll!r} is no time in seconds", remedy="Give a number above zero")
        self._client = client
        self._wait = wait
        self._delay = poll
        self._longest = max(poll, LONGEST)
        self._told: set[str | None] = set()
        self._pending: PairingRequired | None = None
        self._hint = 0.0
        self._closings = client.closings
        self._end: Callable[[], None] | None = None

    async def close(self) -> None:
        """The wait is over; a refusal that still stands is told as final now."""
        if self._end is not None:
            self._end()

    async def next_request(self) -> PairingRequired | None:
        """Connect until there is a request that the caller has not been given; None when connected.

        Raises the latest refusal where it is not to be waited for, whatever else `connect()` raises and does not pass,
        and ClientClosed when disconnect() was called in between.
        """
        if self._end is None:
            self._end = self._client.await_approval()
        while True:
            if self._pending is not None:
                if not self._wait:
                    raise self._pending
                await self._pause()
            try:
                await self._client.connect()
            except PairingRequired as error:
                self._pending = error
                if error.request_id not in self._told:
                    self._told.add(error.request_id)
                    return error
            except _PASSING as error:
                if self._pending is None:
                    raise
                self._check_open()
                hint = error.retry_after if isinstance(error, ConnectError) else None
                self._hint = min(hint or 0.0, LONGEST_HINT)
            else:
                return None

    async def _pause(self) -> None:
        await self._client.pause(max(self._delay, self._hint))
        self._hint = 0.0
        self._delay = min(self._delay * GROWTH, self._longest)
        self._check_open()

    def _check_open(self) -> None:
        if self._client.closings != self._closings:
            raise ClientClosed(
                message="disconnect() was called while the approval was waited for",
                remedy="Call pair() again; the request stays at the gateway",
            )
