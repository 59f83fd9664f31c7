"""One event loop in one daemon thread, for all blocking clients of the process.

Started at first use and never at import; forgotten in a forked child, which starts its own.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import errno
import os
import weakref
from collections.abc import Callable, Coroutine
from typing import Any, Generic, Protocol, TypeVar

from openclaw_client.errors import Unreachable, UsageError
from openclaw_client.forks import late_import
from openclaw_client.logs import GuardedLogger
from openclaw_client.sync import threads, unpatched

EXIT_GRACE = 2.0
"""Seconds that the end of the process waits for connections to close."""

CLEAN_UP = 2.0
"""Seconds to wait after an interrupt for the cancelled coroutine: the caller's next call runs after it. A socket gives
up closing after one."""

LOOP_DESCRIPTORS = 16
"""That must be free: uvloop's loop takes six, its import one at a time, and the first connection some more."""

logger = GuardedLogger("openclaw_client.sync")

_T = TypeVar("_T")


class Tenant(Protocol):
    """Who lives on the loop: told when the process ends, and in a child when it was forked."""

    async def _leave(self) -> None: ...

    def _forked(self) -> None: ...


class LoopThread:
    """The loop, its thread, and the way to it from other threads."""

    def __init__(self) -> None:
        self._tenants: weakref.WeakSet[Any] = weakref.WeakSet()
        self._lock = unpatched.lock()
        self._ended = threads.latch()
        self.closing = False
        self.loop = _opened_loop()
        self.loop.set_default_executor(threads.LoopExecutor())
        self.loop.set_exception_handler(_report)
        # Not waited for: what is called before the loop runs is done when it does.
        unpatched.start(self._serve, "openclaw-loop")

    def adopt(self, tenant: Tenant) -> None:
        """Tell this one when the process ends and when it was forked; held weakly."""
        with self._lock:
            self._tenants.add(tenant)

    def call(self, work: Callable[[], Coroutine[Any, Any, _T]], name: str) -> _T:
        """Run a coroutine on the loop and wait for it.

        Whatever interrupts the wait cancels the coroutine, and is raised when that has cleaned up.
        """
        check_caller(name)
        call = _Call(work, name)
        try:
            self.soon(name, call.start)
            return call.wait()
        except BaseException:
            if not call.over.is_set and not self.closing:
                self.soon(name, call.cancel)
                call.over.wait(CLEAN_UP)
            raise

    def close(self, work: Callable[[], Coroutine[Any, Any, object]], name: str) -> None:
        """Run a coroutine that closes something of the caller's, and wait for it, as `call` does.

        Where the process ends meanwhile, also in another thread, the end closes all; that is no error of this call.
        """
        if self.closing:
            return
        try:
            self.call(work, name)
        except UsageError:
            if not self.closing:
                raise

    def soon(self, name: str, function: Callable[..., object], *args: Any) -> None:
        """Run function(*args) on the loop's thread. Raises UsageError when the process is ending."""
        if self.closing:
            raise _at_the_end(name)
        self.loop.call_soon_threadsafe(function, *args)

    def stop(self) -> None:
        """Close all connections and end the thread, within `EXIT_GRACE` seconds."""
        if not self.closing:
            self.closing = True
            self.loop.call_soon_threadsafe(self._begin_to_leave)
            self._ended.wait(EXIT_GRACE)

    def forget(self) -> None:
        """In a forked child: the loop is the parent's."""
        for tenant in tuple(self._tenants):
            tenant._forked()

    def _begin_to_leave(self) -> None:
        self._leaving = self.loop.create_task(self._leave())

    async def _leave(self) -> None:
        with self._lock:
            tenants = tuple(self._tenants)
        await asyncio.gather(*(tenant._leave() for tenant in tenants), return_exceptions=True)
        self.loop.stop()

    def _serve(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_forever()
        finally:
            _cancel_all(self.loop)
            self.loop.close()
            self._ended.set()


class _Call(Generic[_T]):
    """One coroutine for one waiting thread. Made by that thread, started and cancelled on the loop's."""

    def __init__(self, work: Callable[[], Coroutine[Any, Any, _T]], name: str) -> None:
        self.over = threads.latch()
        self._work = work
        self._name = name
        self._task: asyncio.Task[_T] | None = None

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._work())
        self._task.add_done_callback(self._end)

    def cancel(self) -> None:
        if self._task is None:
            # Interrupted before it was handed over.
            self.over.set()
        else:
            self._task.cancel()

    def _end(self, task: asyncio.Task[_T]) -> None:
        if not task.cancelled():
            # Looked at here: who was interrupted in this very moment does not wait for it any more.
            task.exception()
        self.over.set()

    def wait(self) -> _T:
        self.over.wait()
        assert self._task is not None
        if self._task.cancelled():
            raise _at_the_end(self._name)
        return self._task.result()


def _at_the_end(name: str) -> UsageError:
    return UsageError(message=f"{name}() came with the end of the process", remedy="Call it before the exit")


_lock = unpatched.lock()
_current: LoopThread | None = None
_inherited: list[LoopThread] = []
_warned = False


def loop_thread() -> LoopThread:
    """The loop thread of this process, started if need be. Raises UsageError where none can run."""
    global _current
    with _lock:
        if _current is None:
            _current = LoopThread()
            atexit.register(_at_exit)
        return _current


def check_caller(name: str, twin: str = "") -> None:
    """Raise UsageError on the loop's own thread, where waiting would never end. twin: what to write there instead.

    On the thread of another running loop the call works, and says once in the log that it stops that loop.
    """
    global _warned
    try:
        running = asyncio.get_running_loop()
    except RuntimeError:
        return
    if _current is not None and running is _current.loop:
        raise UsageError(
            message=f"{name}() was called on the client's own event-loop thread, where it would wait for itself",
            remedy=f"Use AsyncGatewayClient and `{twin or f'await {name}(…)'}` there",
        )
    if not _warned:
        _warned = True
        logger.warning("%s() stops the event loop of this thread while it waits; AsyncGatewayClient does not", name)


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
    _lock = unpatched.lock()
    thread, _current = _current, None
    if thread is not None:
        thread.forget()
        _inherited.append(thread)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


def _opened_loop() -> asyncio.AbstractEventLoop:
    """A new loop, and all loaded that its first connect needs. Raises Unreachable where the process has no room."""
    unpatched.refuse_eventlet()
    try:
        with late_import():
            # Loads what a name lookup needs.
            "localhost".encode("idna")
            _check_room()
            return _new_loop()
    except OSError as error:
        full = error.errno in (errno.EMFILE, errno.ENFILE)
        raise Unreachable(
            message=f"no event loop can be started: {error.strerror or error}",
            remedy="Raise the limit of open files (ulimit -n), or close some" if full else "Look at the cause",
        ) from error


def _check_room() -> None:
    """Raise OSError where a loop would not find its descriptors: libuv aborts the process then."""
    found = []
    try:
        for _ in range(LOOP_DESCRIPTORS):
            found.append(os.open(os.devnull, os.O_RDONLY))  # noqa: PERF401 - each is to be closed
    finally:
        for opened in found:
            os.close(opened)


def _fill_standard_descriptors() -> None:
    """Put /dev/null where descriptor 0, 1 or 2 is closed: libuv aborts when it closes one of its own there."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number, inheritable=False)
                os.close(opened)


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:
        if unpatched.greenlets():
            raise UsageError(
                message="gevent has patched the sockets of this process, and asyncio's own loop cannot use those",
                remedy='Install uvloop: pip install "openclaw-client[speed]"',
            ) from None
        return asyncio.new_event_loop()
    _fill_standard_descriptors()
    return uvloop.new_event_loop()


def _report(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What uvloop tells of a socket's end with an error's class is left out.

    A peer that ends a TLS handshake is such a case. The call that met it raises the error, asyncio's own loop keeps
    quiet about it, and logging cannot write a class.
    """
    error = context.get("exception")
    if not (isinstance(error, type) and issubclass(error, OSError)):
        # A log handler that raises here would end the loop, and with it every client of the process.
        with contextlib.suppress(BaseException):
            loop.default_exception_handler(context)


def _cancel_all(loop: asyncio.AbstractEventLoop) -> None:
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    loop.run_until_complete(loop.shutdown_asyncgens())
