"""One event loop in one daemon thread, for all blocking clients of the process.

Started at first use and never at import; forgotten in a forked child, which starts its own.
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import os
import threading
import weakref
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar

from openclaw_client.errors import UsageError

EXIT_GRACE = 2.0
"""Seconds that the end of the process waits for connections to close."""

_T = TypeVar("_T")


class Tenant(Protocol):
    """Who lives on the loop: told when the process ends, and in a child when it was forked."""

    async def _leave(self) -> None: ...

    def _forked(self) -> None: ...


class LoopThread:
    """The loop, its thread, and the way to it from other threads."""

    def __init__(self) -> None:
        self.tenants: weakref.WeakSet[Any] = weakref.WeakSet()
        self._started = threading.Event()
        self.loop = _new_loop()
        self._thread = threading.Thread(target=self._serve, name="openclaw-loop", daemon=True)
        self._thread.start()
        self._started.wait()

    @property
    def is_current(self) -> bool:
        """Whether the caller is on the loop's own thread."""
        return threading.get_ident() == self._thread.ident

    def check_caller(self, name: str) -> None:
        """Raise UsageError on the loop's own thread, where waiting would never end."""
        if self.is_current:
            raise UsageError(
                message=f"{name}() was called on the client's own event-loop thread, where it would wait for itself",
                remedy=f"Use AsyncGatewayClient and `await {name}(…)` there",
            )

    def call(self, work: Callable[[], Coroutine[Any, Any, _T]], name: str) -> _T:
        """Run a coroutine on the loop and wait for it. Whatever interrupts the wait cancels the coroutine."""
        self.check_caller(name)
        future = asyncio.run_coroutine_threadsafe(work(), self.loop)
        try:
            return future.result()
        except concurrent.futures.CancelledError:
            raise UsageError(message=f"{name}() was ended with the process", remedy="Call it before the exit") from None
        except BaseException:
            future.cancel()
            raise

    def stop(self) -> None:
        """Close all connections and end the thread, within `EXIT_GRACE` seconds."""
        if self._thread.is_alive() and not self.is_current:
            asyncio.run_coroutine_threadsafe(self._leave(), self.loop)
            self._thread.join(EXIT_GRACE)

    async def _leave(self) -> None:
        await asyncio.gather(*(tenant._leave() for tenant in tuple(self.tenants)), return_exceptions=True)
        self.loop.stop()

    def _serve(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.call_soon(self._started.set)
        try:
            self.loop.run_forever()
        finally:
            _cancel_all(self.loop)
            self.loop.close()


_lock = threading.Lock()
_current: LoopThread | None = None
_inherited: list[LoopThread] = []


def loop_thread() -> LoopThread:
    """The loop thread of this process, started if need be."""
    global _current
    with _lock:
        if _current is None:
            _current = LoopThread()
            atexit.register(_at_exit)
        return _current


def _at_exit() -> None:
    global _current
    thread, _current = _current, None
    if thread is not None:
        thread.stop()


def _after_fork_in_child() -> None:
    """Forget the parent's loop without touching what the two processes share.

    The sockets and the loop's epoll set belong to both. Were the loop collected here, closing it would take the
    parent's descriptors out of the common set; so it is kept.
    """
    global _current, _lock
    _lock = threading.Lock()
    thread, _current = _current, None
    if thread is not None:
        for tenant in tuple(thread.tenants):
            tenant._forked()
        _inherited.append(thread)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def _cancel_all(loop: asyncio.AbstractEventLoop) -> None:
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    loop.run_until_complete(loop.shutdown_asyncgens())
