"""One memory of failed authentication per gateway host and process, so that no user's mistake locks out the others.

A gateway counts failed attempts per address (10 in 60 s by default) and then refuses everybody behind that address for
minutes. All users of a process share an address, so they share this budget, which stays below the gateway's.
"""

from __future__ import annotations

from collections import deque

BUDGET = 5
"""Failed attempts per window, half of the gateway's default of 10: other processes behind the address fail, too."""
WINDOW = 60.0
"""Seconds; the gateway's default window."""


class AuthBreaker:
    """Times are seconds of any monotonic clock. Connections that are up are not its business."""

    def __init__(self, *, budget: int = BUDGET, window: float = WINDOW) -> None:
        self._budget = budget
        self._window = window
        self._failures: deque[float] = deque()
        self._locked_until = 0.0

    def delay(self, now: float) -> float:
        """Seconds until the next attempt may be made; 0.0 for now."""
        return max(0.0, self._locked_until - now, self._next_slot(now) - now)

    def locked(self, now: float) -> bool:
        """Whether the gateway itself has said that nothing will be heard before a certain time."""
        return self._locked_until > now

    def quiet(self, now: float) -> bool:
        """Whether it remembers nothing: a new one would decide the same. Changes nothing, so for any thread."""
        return not self.locked(now) and all(failure <= now - self._window for failure in tuple(self._failures))

    def failed(self, now: float) -> None:
        """The gateway refused credentials."""
        self._forget(now)
        self._failures.append(now)

    def rate_limited(self, now: float, seconds: float) -> None:
        """The gateway refuses everybody for so long."""
        self._locked_until = max(self._locked_until, now + seconds)

    def _next_slot(self, now: float) -> float:
        self._forget(now)
        return now if len(self._failures) < self._budget else self._failures[-self._budget] + self._window

    def _forget(self, now: float) -> None:
        while self._failures and self._failures[0] <= now - self._window:
            self._failures.popleft()
