"""Threads, locks and sockets of the operating system, also where gevent has patched those of the standard library."""

from __future__ import annotations

import _thread
import socket
import sys
import threading
import time
from _queue import SimpleQueue  # where gevent does not put its own
from collections.abc import Callable
from contextlib import suppress
from typing import Any

HELD_UP = 0.1
"""Seconds in which no worker takes a job before more are started; a job behind blocking handlers waits two of them."""

_PATCHED = {"_thread": _thread, "socket": socket}


def greenlets() -> bool:
    """Whether gevent has patched this process's threads."""
    monkey = sys.modules.get("gevent.monkey")
    return monkey is not None and bool(monkey.is_module_patched("threading"))


def start(target: Callable[[], object], name: str) -> None:
    """Run target in a daemon thread of the operating system."""
    if greenlets():
        original("_thread", "start_new_thread")(target, ())
    else:
        threading.Thread(target=target, name=name, daemon=True).start()


def lock() -> Any:
    """A lock to be held for moments, never over a wait: it stops all greenlets of a thread."""
    return original("_thread", "allocate_lock")()


def original(module: str, name: str) -> Any:
    """What one of the modules that gevent patches has under a name; not what gevent has put in its place."""
    monkey = sys.modules.get("gevent.monkey")
    return monkey.get_original(module, name) if monkey is not None else getattr(_PATCHED[module], name)


class Workers:
    """Daemon threads, started when needed, so that a job that never returns does not hold up the end of the process.

    limit: threads while jobs come to an end. most: threads when all of those are held up; the surplus ends with its
    work.
    """

    def __init__(self, name: str, limit: int, *, most: int = 0) -> None:
        self._name = name
        self._limit = limit
        self._most = max(limit, most)
        self._jobs: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._lock = lock()
        self._threads = 0
        self._idle = 0
        self._queued = 0
        self._taken = 0
        self._watched = False

    def submit(self, job: Callable[[], None]) -> None:
        """Run a job that raises nothing, soon; from any thread.

        Raises RuntimeError where the system has no thread for it and none is there that could take it later.
        """
        with self._lock:
            self._queued += 1
            if self._queued > self._idle:
                try:
                    self._grow()
                except RuntimeError:
                    if not self._threads:
                        self._queued -= 1
                        raise
        self._jobs.put(job)

    def end(self) -> None:
        """Threads that wait for a job end now, the others with their job. Nothing may be submitted after this."""
        with self._lock:
            self._limit = self._most = 0
            waiting = self._idle - self._queued
            self._queued += max(waiting, 0)
        for _ in range(waiting):
            self._jobs.put(_nothing)

    def _grow(self) -> None:
        if self._threads < self._limit:
            self._add()
        elif self._threads < self._most and not self._watched:
            start(self._watch, f"{self._name}-watch")
            self._watched = True

    def _add(self) -> None:
        start(self._work, f"{self._name}-{self._threads + 1}")
        self._threads += 1
        # Counted as idle until it takes a job, so that two jobs don't count on it.
        self._idle += 1

    def _work(self) -> None:
        while True:
            job = self._jobs.get()
            with self._lock:
                self._idle -= 1
                self._queued -= 1
                self._taken += 1
            job()
            # Else a closed client, and all that its handlers hold, would stay until there is something to do again.
            del job
            with self._lock:
                if self._threads > self._limit and self._queued <= self._idle:
                    self._threads -= 1
                    return
                self._idle += 1

    def _watch(self) -> None:
        """While jobs wait: where none was taken for a while, every worker is held up, and more are started."""
        taken = -1
        while True:
            with self._lock:
                missing = self._queued - self._idle
                if missing <= 0 or self._threads >= self._most:
                    self._watched = False
                    return
                if taken == self._taken:
                    with suppress(RuntimeError):  # no thread to be had: looked at again
                        for _ in range(min(missing, self._most - self._threads)):
                            self._add()
                taken = self._taken
            time.sleep(HELD_UP)


def _nothing() -> None:
    """Wakes a thread that is to end."""
