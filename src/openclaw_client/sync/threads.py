"""Real threads, and what callers wait on: the standard library's, or what lets other greenlets run under gevent.

gevent's monkey patching turns threads into greenlets of the caller's own thread. An event loop in one of those would be
the running loop of every other greenlet, and uvloop's would stop them all. So the loop runs in a real thread in any
case; a greenlet that waits for it gives its thread to the others meanwhile.
"""

from __future__ import annotations

import _thread
import sys
import threading
import time
from _queue import Empty, SimpleQueue  # where gevent does not put its own
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

from openclaw_client.errors import UsageError

BLOCKING_CALLS = 8
"""Name lookups and key files at once; each takes milliseconds, once per connect."""

HELD_UP = 0.1
"""Seconds in which no worker takes a job before more are started; a job behind blocking handlers waits two of them."""

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


def greenlets() -> bool:
    """Whether gevent has patched this process's threads."""
    monkey = sys.modules.get("gevent.monkey")
    return monkey is not None and bool(monkey.is_module_patched("threading"))


def refuse_eventlet() -> None:
    """Raise UsageError where eventlet has patched this process's threads."""
    patcher = sys.modules.get("eventlet.patcher")
    if patcher is not None and patcher.is_monkey_patched("thread"):
        raise UsageError(
            message="eventlet has patched the threads of this process, and the client needs a real one",
            remedy="Use gevent or threads, or leave thread out of eventlet.monkey_patch()",
        )


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


def start(target: Callable[[], object], name: str) -> None:
    """Run target in a daemon thread of the operating system."""
    if greenlets():
        _original("start_new_thread")(target, ())
    else:
        threading.Thread(target=target, name=name, daemon=True).start()


def lock() -> Any:
    """A lock to be held for moments, never over a wait: it stops all greenlets of a thread."""
    return _original("allocate_lock")()


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
        """Run a job that raises nothing, soon; from any thread."""
        with self._lock:
            self._queued += 1
            if self._queued > self._idle:
                if self._threads < self._limit:
                    self._add()
                elif self._threads < self._most and not self._watched:
                    self._watched = True
                    start(self._watch, f"{self._name}-watch")
        self._jobs.put(job)

    def _add(self) -> None:
        self._threads += 1
        # Counted as idle until it takes a job, so that two jobs don't count on it.
        self._idle += 1
        start(self._work, f"{self._name}-{self._threads}")

    def _work(self) -> None:
        while True:
            job = self._jobs.get()
            with self._lock:
                self._idle -= 1
                self._queued -= 1
                self._taken += 1
            job()
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
                    for _ in range(min(missing, self._most - self._threads)):
                        self._add()
                taken = self._taken
            time.sleep(HELD_UP)


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


def _original(name: str) -> Any:
    monkey = sys.modules.get("gevent.monkey")
    return monkey.get_original("_thread", name) if monkey is not None else getattr(_thread, name)


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
            taken = self._lock.acquire(timeout=_patience())
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
        patience = SIGNALS_EVERY
        while True:
            try:
                return self._get(True, patience)
            except Empty:
                patience = _patience()


def _patience() -> float:
    """Seconds that this thread may wait at a stretch: only the main thread runs signal handlers."""
    return SIGNALS_EVERY if threading.current_thread() is threading.main_thread() else threading.TIMEOUT_MAX
