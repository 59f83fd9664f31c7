"""Waiting under gevent: a greenlet that waits for the loop's thread lets the others of its own run.

gevent's own locks and queues are not for several threads; what is used here of it is its one signal that is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from queue import Empty
from typing import Any, Generic, TypeVar

import gevent
from gevent.hub import Waiter

from openclaw_client.sync.unpatched import lock

_T = TypeVar("_T")


def spawner() -> Callable[[Callable[[], object]], object]:
    """What runs a job in a greenlet of the calling thread; itself for any thread."""
    loop = gevent.get_hub().loop
    return lambda job: loop.run_callback_threadsafe(gevent.spawn, job)


class GreenLatch:
    """Wakes greenlets of any thread's hub."""

    def __init__(self) -> None:
        self.is_set = False
        self._lock = lock()
        self._watchers: list[Any] = []

    def set(self) -> None:
        with self._lock:
            self.is_set = True
            for watcher in self._watchers:
                watcher.send()

    def wait(self, timeout: float | None = None) -> bool:
        hub = gevent.get_hub()
        waiter: Any = Waiter(hub)
        # The one watcher of a hub that may be told from another thread; it also keeps the hub from giving up.
        watcher = hub.loop.async_()
        watcher.start(waiter.switch, None)
        try:
            with self._lock:
                if self.is_set:
                    return True
                self._watchers.append(watcher)
            with gevent.Timeout(timeout, False):  # pyright: ignore[reportArgumentType]  - its stub knows no False
                waiter.get()
            return self.is_set
        finally:
            with self._lock:
                if watcher in self._watchers:
                    self._watchers.remove(watcher)
            watcher.stop()
            watcher.close()


class GreenMailbox(Generic[_T]):
    def __init__(self) -> None:
        self._lock = lock()
        self._items: deque[_T] = deque()
        self._filled = GreenLatch()

    def put(self, item: _T) -> None:
        with self._lock:
            self._items.append(item)
            filled = self._filled
        filled.set()

    def get(self) -> _T:
        while True:
            with self._lock:
                if self._items:
                    return self._items.popleft()
                if self._filled.is_set:
                    self._filled = GreenLatch()
                filled = self._filled
            filled.wait()

    def get_nowait(self) -> _T:
        with self._lock:
            if not self._items:
                raise Empty
            return self._items.popleft()

    def qsize(self) -> int:
        return len(self._items)
