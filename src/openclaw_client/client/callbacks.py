"""Runs users' handlers away from the reader: in order, one at a time, none able to harm another or the connection."""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Any, NamedTuple, Protocol

from openclaw_client.chat.held import size_of
from openclaw_client.client.events import GatewayEvent, size_of_event
from openclaw_client.client.slow_consumer import LAGGING, OnSlow, SlowConsumer
from openclaw_client.errors import UsageError
from openclaw_client.logs import GuardedLogger, handler_name
from openclaw_client.runs.proactive import ProactiveMessage

MAX_CALLS = 10_000
"""Calls that wait for handlers. Beyond that the oldest gateway event goes first, and is counted; a message, a change of
state or a fatal close only where nothing but such waits."""
MAX_CALL_BYTES = 67_108_864
"""Bytes of the events and messages of these calls, of which the latest waits however long it is."""
SLOW = 5.0
"""Seconds that a handler may hold up others before it is reported. Handlers that chat take as long as a run."""

logger = GuardedLogger("openclaw_client.client")

Handler = Callable[..., object]


def check_handler(handler: object, what: str = "the handler", *, coroutines: bool) -> None:
    """Raise UsageError for what cannot be called, and for an `async def` where nobody would await it."""
    if not callable(handler):
        raise UsageError(message=f"{what} is no function but {type(handler).__name__}", remedy="Pass a function")
    if not coroutines and inspect.iscoroutinefunction(handler):
        raise UsageError(
            message=f"{what} {handler_name(handler)} is an `async def`, which a blocking client cannot run",
            remedy="Pass a plain function, or use AsyncGatewayClient",
        )


def check_optional(handler: object, what: str, *, coroutines: bool) -> None:
    """`check_handler`, for an argument that may be left out."""
    if handler is not None:
        check_handler(handler, what, coroutines=coroutines)


class Callbacks(Protocol):
    """Where the handlers of one client run. On the loop's thread; must not block and must not raise."""

    def put(self, handler: Handler, *args: Any) -> None:
        """Run handler(*args) soon."""

    def put_event(self, handler: Handler, *args: Any) -> None:
        """The same for what is dropped first when too much waits."""

    def put_delivery(self, handler: Handler, done: Done, *args: Any) -> None:
        """The same for a call whose end is asked for: done(failed) is called in the thread of the handler."""


Done = Callable[[bool], None]


class HandlersFailed(Exception):
    """A handler that calls others: one of them raised, and that was told."""


class Call(NamedTuple):
    handler: Handler
    args: tuple[Any, ...]
    is_event: bool
    done: Done | None = None

    @property
    def size(self) -> int:
        """Bytes of what it hands out."""
        return sum(_size(value) for value in self.args)


def _size(value: object) -> int:
    if isinstance(value, GatewayEvent):
        return size_of_event(value)
    return size_of(value) if isinstance(value, ProactiveMessage) else 0


_NO_CALLS: deque[Call] = deque(maxlen=0)
"""Of every client that has had none: most of many users never have any, and a deque takes 600 bytes."""


class Backlog:
    """The calls of one client that wait, and the one that runs. For one thread at a time."""

    def __init__(self, on_slow: OnSlow) -> None:
        self._calls = _NO_CALLS
        self._events = 0
        self._bytes = 0
        self._dropped = 0
        self._on_slow = on_slow
        self._running: Call | None = None
        self._since = 0.0
        self._told = False

    def add(self, call: Call) -> None:
        if self._calls is _NO_CALLS:
            self._calls = deque()
        self._calls.append(call)
        self._events += call.is_event
        self._bytes += call.size
        while len(self._calls) > MAX_CALLS or (self._bytes > MAX_CALL_BYTES and len(self._calls) > 1):
            self._drop()
        if self._running is not None:
            self._check()

    def pop(self) -> Call | None:
        """The next call, which runs from now on until `done`; None when there is none."""
        if not self._calls:
            return None
        call = self._running = self._calls.popleft()
        self._events -= call.is_event
        self._bytes -= call.size
        self._since, self._told = monotonic(), False
        return call

    def blocked(self, seconds: float) -> None:
        """The handler held up the loop itself."""
        if seconds >= LAGGING and not self._told:
            self._report(seconds)

    def done(self) -> None:
        self._check()
        self._running = None

    def _check(self) -> None:
        seconds = monotonic() - self._since
        if seconds >= SLOW and self._calls and not self._told:
            self._report(seconds)

    def _report(self, seconds: float) -> None:
        self._told = True
        name = handler_name(self._running.handler) if self._running is not None else ""
        self._on_slow(SlowConsumer("handler", name, seconds, len(self._calls), self._dropped))

    def _drop(self) -> None:
        if self._events:
            place = next(index for index, call in enumerate(self._calls) if call.is_event)
            lost = self._calls[place]
            del self._calls[place]
            self._events -= 1
        else:
            waiting = len(self._calls)
            lost = self._calls.popleft()
            logger.error("%d calls wait for handlers; one of %s was given up", waiting, handler_name(lost.handler))
        if lost.done is not None:
            lost.done(True)
        self._bytes -= lost.size
        self._dropped += 1
        if self._dropped % MAX_CALLS == 1:
            self._report(monotonic() - self._since if self._running is not None else 0.0)


class CallbackQueue:
    """Handlers of one client, plain or `async def`, in one task that lives while there is something to run."""

    def __init__(self, on_slow: OnSlow) -> None:
        self._backlog = Backlog(on_slow)
        self._task: asyncio.Task[None] | None = None

    def put(self, handler: Handler, *args: Any) -> None:
        """Run handler(*args) soon; on the loop's thread."""
        self._add(Call(handler, args, is_event=False))

    def put_event(self, handler: Handler, *args: Any) -> None:
        """The same for what is dropped first when too much waits."""
        self._add(Call(handler, args, is_event=True))

    def put_delivery(self, handler: Handler, done: Done, *args: Any) -> None:
        """The same for a call whose end is asked for."""
        self._add(Call(handler, args, is_event=False, done=done))

    def _add(self, call: Call) -> None:
        self._backlog.add(call)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._work(), name="openclaw-callbacks")

    async def _work(self) -> None:
        backlog = self._backlog
        try:
            while (call := backlog.pop()) is not None:
                failed = await self._run(call)
                if call.done is not None:
                    call.done(failed)
                backlog.done()
        finally:
            self._task = None

    async def _run(self, call: Call) -> bool:
        """Whether it raised."""
        began = monotonic()
        try:
            result = call.handler(*call.args)
            self._backlog.blocked(monotonic() - began)
            if inspect.isawaitable(result):
                await result
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            # Not this task was cancelled, but what the handler waited for.
            logger.exception("the handler %s raised", handler_name(call.handler))
        except (KeyboardInterrupt, SystemExit):
            raise
        except HandlersFailed:
            pass
        except BaseException:
            logger.exception("the handler %s raised", handler_name(call.handler))
        else:
            return False
        return True
