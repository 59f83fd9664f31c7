"""Who does not keep up, and how late a loop is. Decides nothing: what waits is bounded where it waits."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from openclaw_client.logs import GuardedLogger

LAGGING = 1.0
"""Seconds that a loop, or a handler that holds it up, may take. Gateways give a client 25 s to answer a ping; a tenth
of that is felt by everybody who streams."""
LOOK_EVERY = 1.0
"""Seconds between two looks at a loop's lag: one timer per loop, for all clients on it."""

logger = GuardedLogger("openclaw_client.client")

Slow = Literal["handler", "loop", "events", "run"]


@dataclass(frozen=True, slots=True)
class SlowConsumer:
    """Something of the caller's does not keep up. The connection does, and no text of a run is lost.

    kind: "handler": a handler runs for `seconds`, and `waiting` calls wait behind it; "loop": the event loop was held
    up for `seconds`; "events": an `events()` stream is not read; "run": a run is not read, and its text is joined.
    name: the handler, the names that the stream asked for, or the run's id. dropped: gateway events that were given up
    so far (for "handler": of those that `on()` asked for; for "run": tools, side results and unknown events).
    """

    kind: Slow
    name: str
    seconds: float = 0.0
    waiting: int = 0
    dropped: int = 0

    def __str__(self) -> str:
        if self.kind == "loop":
            return f"the event loop was held up for {self.seconds:.1f} s; look for calls that block in it"
        if self.kind == "run":
            lost = f", {self.dropped} of tools were dropped" if self.dropped else ""
            return f"run {self.name} is not read: {self.waiting} events wait, text is joined from here on{lost}"
        if self.kind == "events":
            return f"events({self.name}) is not read: {self.waiting} wait, {self.dropped} were dropped"
        dropped = f", {self.dropped} events were dropped" if self.dropped else ""
        return f"the handler {self.name} has been running for {self.seconds:.1f} s; {self.waiting} calls wait{dropped}"


OnSlow = Callable[[SlowConsumer], None]


class _Watcher(Protocol):
    def on_slow(self, report: SlowConsumer) -> None: ...


class LoopLagMonitor:
    """Looks once a second how late the running loop is, while anybody wants to know."""

    def __init__(self) -> None:
        self._watchers: weakref.WeakSet[_Watcher] = weakref.WeakSet()
        self._timer: asyncio.TimerHandle | None = None

    def join(self, watcher: _Watcher) -> None:
        """Tell the watcher from now on; on the loop's thread, any number of times."""
        self._watchers.add(watcher)
        if self._timer is None:
            self._arm()

    def leave(self, watcher: _Watcher) -> None:
        self._watchers.discard(watcher)
        if not self._watchers and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + LOOK_EVERY
        self._timer = loop.call_at(due, self._look, due)

    def _look(self, due: float) -> None:
        late = asyncio.get_running_loop().time() - due
        if late >= LAGGING:
            report = SlowConsumer("loop", "event loop", late)
            logger.warning("%s", report)
            for watcher in tuple(self._watchers):
                watcher.on_slow(report)
        self._timer = None
        if self._watchers:
            self._arm()


_watches: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, LoopLagMonitor] = weakref.WeakKeyDictionary()


def loop_lag_monitor() -> LoopLagMonitor:
    """The watch of the running loop."""
    return _watches.setdefault(asyncio.get_running_loop(), LoopLagMonitor())
