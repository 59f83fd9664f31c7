"""Real threads, and what callers wait on: the standard library's, or what lets other greenlets run under gevent.

gevent's monkey patching turns threads into greenlets of the caller's own thread. An event loop in one of those would be
the running loop of every other greenlet, and uvloop's would stop them all. So the loop runs in a real thread in any
case; a greenlet that waits for it gives its thread to the others meanwhile.
"""

from __future__ import annotations

import _thread
import threading
from _queue import Empty, SimpleQueue  # where gevent does not put its own
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

from openclaw_client.os_threads import Workers, greenlets

__all__ = ["Latch", "LoopExecutor", "Mailbox", "Workers", "latch", "mailbox"]

BLOCKING_CALLS = 8
"""What else runs on the loop's executor at once: certificate files. Each takes milliseconds, once per connect."""

SIGNALS_EVERY = 0.5
"""Seconds that the main thread waits at a stretch. A signal that comes in the very moment in which a wait begins, or to
another thread, does not end it: Python's handler runs when the main thread next wakes. Ctrl-C is not felt as lost."""

_T = TypeVar("_T")


class Latch(Protocol):
    """Set once, from any thread; waited for by any number."""

    is_set: bool

    def set(self) -> None: ...

    def wait(self, timeout: float | None = None) -> bool:
        """Return when it is set; False when that took longer than timeout seconds."""
        ...


class Mailbox(Protocol[_T]):
    """A queue without a bound. `put` never waits and is for any thread."""

    def put(self, item: _T) -> None: ...

    def get(self) -> _T: ...

    def get_nowait(self) -> _T:
        """Raises queue.Empty."""
        ...

    def qsize(self) -> int: ...


def latch() -> Latch:
    if not greenlets():
        return _ThreadLatch()
    from openclaw_client.sync.greenlets import GreenLatch

    return GreenLatch()


def mailbox() -> Mailbox[Any]:
    if not greenlets():
        return _ThreadMailbox()
    from openclaw_client.sync.greenlets import GreenMailbox

    return GreenMailbox()


class LoopExecutor(ThreadPoolExecutor):
    """What the loop runs blocking calls on. It does without the threads of its base class, which asyncio asks for.

    Those are shut down as soon as the main thread has ended, although other threads may go on; and gevent would make
    greenlets of them that never get a turn.
    """

    def __init__(self) -> None:
        super().__init__(BLOCKING_CALLS)
        self._workers = Workers("openclaw-blocking", BLOCKING_CALLS)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()

        def work() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(fn(*args, **kwargs))
            except BaseException as error:  # noqa: BLE001 - handed to who waits, whatever it is
                future.set_exception(error)

        self._workers.submit(work)
        return future


class _ThreadLatch:
    """A lock that is taken when made: a third of the cost of threading.Event, which is made for every request."""

    __slots__ = ("_lock", "is_set")

    def __init__(self) -> None:
        self.is_set = False
        self._lock = _thread.allocate_lock()
        self._lock.acquire()

    def set(self) -> None:
        if not self.is_set:
            self.is_set = True
            self._lock.release()

    def wait(self, timeout: float | None = None) -> bool:
        taken = self._lock.acquire(timeout=SIGNALS_EVERY if timeout is None else timeout)
        while not taken:
            if timeout is not None:
                return False
            taken = self._lock.acquire(timeout=_poll_interval())
        # For the next one who waits.
        self._lock.release()
        return True


class _ThreadMailbox:
    """The C queue, waited for like a latch."""

    __slots__ = ("_get", "get_nowait", "put", "qsize")

    def __init__(self) -> None:
        queue: SimpleQueue[Any] = SimpleQueue()
        # Its own methods: every event of a run goes through here.
        self.put, self.get_nowait, self.qsize, self._get = queue.put, queue.get_nowait, queue.qsize, queue.get

    def get(self) -> Any:
        poll_interval = SIGNALS_EVERY
        while True:
            try:
                return self._get(True, poll_interval)
            except Empty:
                poll_interval = _poll_interval()


def _poll_interval() -> float:
    """Seconds that this thread may wait at a stretch: only the main thread runs signal handlers."""
    return SIGNALS_EVERY if threading.current_thread() is threading.main_thread() else threading.TIMEOUT_MAX
