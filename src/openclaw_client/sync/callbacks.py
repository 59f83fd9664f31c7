"""Runs users' handlers on worker threads, where they may call the blocking client.

In order per client; a handler that blocks holds up its own client only, as long as there are workers for the others.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from openclaw_client.client.callbacks import Backlog, Call, Done, Handler, HandlersFailed
from openclaw_client.client.slow_consumer import OnSlow, SlowConsumer
from openclaw_client.logs import GuardedLogger, handler_name
from openclaw_client.sync import threads, unpatched

MAX_WORKERS = 8
"""Threads, started when needed. Handlers mostly wait for a database or a socket; those of eight clients can do so at
once before the next one waits."""
MOST_WORKERS = 64
"""Threads when all of those are held up: a handler that blocks delays its own client, and not the ninth one. Beyond
that the handlers of the process as a whole are at fault."""

MOST_ASKING = 32
"""Threads for handlers that wait for people: as many people can think at once before the next approval waits."""

logger = GuardedLogger("openclaw_client.sync")


def _pools() -> tuple[threads.Workers, threads.Workers]:
    """For handlers that mostly return at once, and for those that wait for people."""
    callbacks = threads.Workers("openclaw-callbacks", MAX_WORKERS, most=MOST_WORKERS)
    return callbacks, threads.Workers("openclaw-asking", MOST_ASKING)


_pool, _asking = _pools()


def _after_fork_in_child() -> None:
    global _pool, _asking
    _pool, _asking = _pools()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


class HandlerExecutor:
    """Runs the handlers of one client: on worker threads, or under gevent in greenlets of one thread."""

    def __init__(self) -> None:
        self._spawn: Callable[[Callable[[], None]], object] | None = None

    def settle(self) -> None:
        """Under gevent, run them in the calling thread from now on."""
        if unpatched.greenlets():
            from openclaw_client.sync.greenlets import spawner

            self._spawn = spawner()

    def submit(self, job: Callable[[], None]) -> None:
        """Run the job soon; from any thread."""
        if self._spawn is None:
            _pool.submit(job)
        else:
            self._spawn(job)

    def submit_apart(self, job: Callable[[], None]) -> None:
        """Run a job that waits for a person; it holds up no other handlers."""
        if self._spawn is None:
            _asking.submit(job)
        else:
            self._spawn(job)


class ThreadCallbacks:
    """The handlers of one client."""

    def __init__(self, executor: HandlerExecutor, on_slow: OnSlow) -> None:
        self._submit = executor.submit
        self._on_slow = on_slow
        self._slow: list[SlowConsumer] = []
        self._backlog = Backlog(self._slow.append)
        self._lock = unpatched.lock()
        self._busy = False

    def put(self, handler: Handler, *args: Any) -> None:
        """Run handler(*args) soon on a worker thread; from any thread."""
        self._add(Call(handler, args, is_event=False))

    def put_event(self, handler: Handler, *args: Any) -> None:
        """The same for what is dropped first when too much waits."""
        self._add(Call(handler, args, is_event=True))

    def put_delivery(self, handler: Handler, done: Done, *args: Any) -> None:
        """The same for a call whose end is asked for."""
        self._add(Call(handler, args, is_event=False, done=done))

    def _add(self, call: Call) -> None:
        with self._lock:
            self._backlog.add(call)
            begin = not self._busy
            self._busy = True
            reports = self._reports()
        if begin:
            self._submit(self._work)
        for report in reports:
            self._on_slow(report)

    def _work(self) -> None:
        while True:
            with self._lock:
                call = self._backlog.pop()
                if call is None:
                    self._busy = False
                    return
            failed = _run(call)
            if call.done is not None:
                call.done(failed)
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


def _run(call: Call) -> bool:
    """Whether it raised."""
    try:
        call.handler(*call.args)
    except HandlersFailed:
        return True
    except BaseException:
        # SystemExit, a gevent.Timeout: nothing ends a program from here, nor the handlers of this client.
        logger.exception("the handler %s raised", handler_name(call.handler))
        return True
    return False
