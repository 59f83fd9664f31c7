"""When what agents wait for is over by itself: by the gateway's clock, which may be wrong, and one timer.

Too late rather than too early: the gateway says so, too, and what is closed here cannot be answered any more.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from math import inf

from openclaw_client.runs.interactions import Interaction
from openclaw_client.wire.approvals import seconds

UNDATED = 3600.0
"""Seconds after which one is over that does not say when: twice as long as the longest of any release."""
LONGEST_WAIT = 3600.0
"""Seconds until it is looked again whether one has expired, however far ahead the gateway says that is."""


class Expiry:
    """Of one client. look: called when something may be over. On the loop's thread, whose clock all times are by."""

    __slots__ = ("_look", "_offset", "_timer")

    def __init__(self, look: Callable[[], None]) -> None:
        self._look = look
        self._timer: asyncio.TimerHandle | None = None
        # Seconds by which the gateway's clock is ahead of the loop's; None: not told.
        self._offset: float | None = None

    def set_clock(self, offset: float | None) -> None:
        """A connection is there. offset: seconds by which the gateway's clock is ahead of this machine's, if it told.

        Kept as it is now: this machine's clock may be set meanwhile.
        """
        self._offset = None if offset is None else time.time() + offset - asyncio.get_running_loop().time()

    def over_at(self, item: Interaction) -> float:
        """When one is over."""
        now, created = asyncio.get_running_loop().time(), seconds(item.raw.get("createdAtMs"))
        if item.expires_at is None:
            return now + UNDATED
        life = UNDATED if created is None else max(0.0, item.expires_at - created)
        at = inf if self._offset is None else item.expires_at - self._offset
        # The gateway asks it, so it is not over; where the clocks say so, as if it had just been asked.
        return at if now < at < now + life else now + life

    def arm(self, at: float) -> None:
        """Look at this time, and at no other; inf for never."""
        self.stop()
        if at != inf:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(min(max(0.0, at - loop.time()), LONGEST_WAIT), self._look)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
