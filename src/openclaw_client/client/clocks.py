"""The caller's own time limits for a run. Off by default: a healthy run can be silent for minutes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from openclaw_client.policy.timeouts import Timeouts


class RunClocks:
    """Calls `expired(which, seconds)` when the total or the idle limit passes; at most once until stopped.

    A sign of life costs one assignment, however many events come: the idle timer looks when it fires how long ago the
    last one was, and sets itself again.
    """

    def __init__(self, limits: Timeouts, expired: Callable[[str, float], None]) -> None:
        self.last_sign = 0.0
        self._limits = limits
        self._expired = expired
        self._total: asyncio.TimerHandle | None = None
        self._idle: asyncio.TimerHandle | None = None

    def start(self) -> None:
        loop = asyncio.get_running_loop()
        if self._limits.total is not None:
            self._total = loop.call_later(self._limits.total, self._expired, "total", self._limits.total)
        if self._limits.idle is not None:
            self._look(self._limits.idle, loop.time())

    def sign_of_life(self) -> None:
        """Something was heard of the run."""
        self.last_sign = asyncio.get_running_loop().time()

    def stop(self) -> None:
        for timer in (self._total, self._idle):
            if timer is not None:
                timer.cancel()
        self._total = self._idle = None

    def _look(self, limit: float, since: float) -> None:
        loop = asyncio.get_running_loop()
        latest = max(since, self.last_sign)
        if loop.time() - latest >= limit:
            self._expired("idle", limit)
        else:
            self._idle = loop.call_at(latest + limit, self._look, limit, latest)
