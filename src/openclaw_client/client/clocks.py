"""The clocks of a run: the caller's own time limits, and the silence after which the gateway is asked.

The limits are off by default, because a healthy run can be silent for minutes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic

from openclaw_client.client.inquiry import SILENCE
from openclaw_client.policy.timeouts import Timeouts


class RunClocks:
    """Calls `expired(which, seconds)` when the total or the idle limit passes; at most once until stopped.

    A sign of life costs one assignment, however many events come: the idle timer looks when it fires how long ago the
    last one was, and sets itself again. last_sign may be set by who has just read the loop's clock, as long as patience
    is the usual one.
    """

    def __init__(self, limits: Timeouts, expired: Callable[[str, float], None], silent: Callable[[], None]) -> None:
        self.last_sign = 0.0
        self._limits = limits
        self._expired = expired
        self._silent = silent
        self.patience = SILENCE
        self._time: Callable[[], float] = monotonic
        self._total: asyncio.TimerHandle | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._quiet: asyncio.TimerHandle | None = None

    def start(self, begun: float) -> None:
        """begun: when the caller asked, by the loop's clock; from then on the total limit counts."""
        loop = asyncio.get_running_loop()
        self._time = loop.time
        if self._limits.total is not None:
            self._total = loop.call_at(begun + self._limits.total, self._expired, "total", self._limits.total)
        if self._limits.idle is not None:
            self._look(self._limits.idle, loop.time())
        self._listen(loop.time())

    def sign_of_life(self, patience: float = SILENCE) -> None:
        """Something was heard of the run. patience: seconds of silence after it that are nothing to ask about."""
        self.last_sign = self._time()
        if patience != self.patience:
            if patience < self.patience and self._quiet is not None:
                self._quiet.cancel()
                self._quiet = asyncio.get_running_loop().call_later(patience, self._listen, self.last_sign)
            self.patience = patience

    def doubt(self, patience: float) -> None:
        """Something may have been missed: ask after this much silence, unless the run is heard of before."""
        loop = asyncio.get_running_loop()
        if self._quiet is not None and self._quiet.when() > loop.time() + patience:
            self._quiet.cancel()
            self.patience = patience
            self._quiet = loop.call_later(patience, self._listen, loop.time())

    def stop(self) -> None:
        for timer in (self._total, self._idle, self._quiet):
            if timer is not None:
                timer.cancel()
        self._total = self._idle = self._quiet = None

    def _listen(self, since: float) -> None:
        """Report silence, and again after every further stretch of it."""
        loop = asyncio.get_running_loop()
        latest = max(since, self.last_sign)
        if loop.time() - latest >= self.patience:
            self._silent()
            latest = loop.time()
            self.patience = SILENCE
        self._quiet = loop.call_at(latest + self.patience, self._listen, latest)

    def _look(self, limit: float, since: float) -> None:
        loop = asyncio.get_running_loop()
        latest = max(since, self.last_sign)
        if loop.time() - latest >= limit:
            self._expired("idle", limit)
        else:
            self._idle = loop.call_at(latest + limit, self._look, limit, latest)
