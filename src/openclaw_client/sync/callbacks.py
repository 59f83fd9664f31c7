"""Runs users' handlers on worker threads, where they may call the blocking client.

In order per client; a handler that blocks holds up its own client only, as long as there are workers for the others.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from openclaw_client.client.callbacks import Backlog, Call, Handler, handler_name
from openclaw_client.client.slow import OnSlow, SlowConsumer

MAX_WORKERS = 8
"""Threads at most, started when needed. Handlers mostly wait for a database or a socket; those of eight clients can do
so at once before the next one waits."""

logger = logging.getLogger("openclaw_client.callbacks")


class _Pool:
    """Daemon threads, so that a handler that never returns does not hold up the end of the process."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._idle = 0

    def submit(self, job: Callable[[], None]) -> None:
        with self._lock:
            if self._idle == 0 and self._threads < MAX_WORKERS:
                self._threads += 1
                name = f"openclaw-callbacks-{self._threads}"
                threading.Thread(target=self._work, name=name, daemon=True).start()
            else:
                self._idle = max(0, self._idle - 1)
        self._jobs.put(job)

    def _work(self) -> None:
        while True:
            self._jobs.get()()
            with self._lock:
                self._idle += 1


_pool = _Pool()


def _after_fork_in_child() -> None:
    global _pool
    _pool = _Pool()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


class ThreadCallbacks:
    """The handlers of one client."""

    def __init__(self, on_slow: OnSlow) -> None:
        self._on_slow = on_slow
        self._slow: list[SlowConsumer] = []
        self._backlog = Backlog(self._slow.append)
        self._lock = threading.Lock()
        self._busy = False

    def put(self, handler: Handler, *args: Any) -> None:
        """Run handler(*args) soon on a worker thread; from any thread."""
        self._add(Call(handler, args, is_event=False))

    def put_event(self, handler: Handler, *args: Any) -> None:
        """The same for what is dropped first when too much waits."""
        self._add(Call(handler, args, is_event=True))

    def _add(self, call: Call) -> None:
        with self._lock:
            self._backlog.add(call)
            begin = not self._busy
            self._busy = True
            reports = self._reports()
        if begin:
            _pool.submit(self._work)
        for report in reports:
            self._on_slow(report)

    def _work(self) -> None:
        while True:
            with self._lock:
                call = self._backlog.take()
                if call is None:
                    self._busy = False
                    return
            try:
                call.handler(*call.args)
            except Exception:
                logger.exception("the handler %s raised", handler_name(call.handler))
            with self._lock:
                self._backlog.done()
                reports = self._reports()
            for report in reports:
                self._on_slow(report)

    def _reports(self) -> list[SlowConsumer]:
        """What is to be told outside the lock."""
        reports = self._slow.copy()
        self._slow.clear()
        return reports
