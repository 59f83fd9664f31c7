"""Gateway events as users see them, and the streams that carry them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from typing import TYPE_CHECKING, Any, Generic, Protocol, Self, TypeVar

from openclaw_client.client.slow_consumer import OnSlow, SlowConsumer
from openclaw_client.errors import GatewayError, UsageError
from openclaw_client.wire.frames import ChatFrame, Event, frame_payload

MAX_WAITING = 10_000
"""Events that wait for a reader of `events()`; the oldest are dropped beyond that, and `dropped` counts them. What
belongs to a run does not pass here and is never dropped. The first drop, and every so many more, is reported to
`on_slow_consumer`."""

MAX_BURST = 100_000
"""The same for events that come in one turn of the loop, in which their reader cannot take any: one read of the socket
has up to 2 MiB, and the shortest event 29 bytes."""

MAX_WAITING_BYTES = 67_108_864
"""The same in bytes of the frames that they came in, of which the latest waits however long it is. An hour of a long
reply that nobody reads: on wire v3 each event repeats its whole text."""

JOINED_TOLD = 1_000
"""Where only the latest counts for a reader: of so many that were passed over `on_slow_consumer` is told."""

_UNREAD = object()


class GatewayEvent:
    """One event of the gateway. payload is decoded when first looked at; seq is the gateway's counter, None where the
    event carries none."""

    __slots__ = ("_frame", "_payload", "_size", "name", "seq")

    def __init__(self, frame: ChatFrame | Event) -> None:
        self.name = frame.event
        self.seq = frame.seq
        self._frame = frame
        self._payload: Any = _UNREAD
        self._size = len(frame.raw) if isinstance(frame, ChatFrame) else memoryview(frame.payload).nbytes

    @property
    def payload(self) -> Any:
        """The payload as plain Python values, unknown keys included; {} where the gateway sent none."""
        if self._payload is _UNREAD:
            value = frame_payload(self._frame)
            self._payload = {} if value is None else value
        return self._payload

    def __repr__(self) -> str:
        return f"GatewayEvent(name={self.name!r}, seq={self.seq})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild_event, (self.name, self.payload, self.seq)


def size_of_event(event: GatewayEvent) -> int:
    """Bytes of the frame that an event holds."""
    return event._size


def _rebuild_event(name: str, payload: Any, seq: int | None) -> GatewayEvent:
    event = GatewayEvent(Event(name, seq=seq))
    event._payload = payload
    return event


def check_names(names: Iterable[object]) -> None:
    """Raise UsageError for what is no name of an event, such as a list of them: it would never be heard of."""
    for name in names:
        if not isinstance(name, str) or not name:
            raise UsageError(message=f"{name!r} is no name of an event", remedy='Pass names, such as "presence"')


class EventSink(Protocol):
    """Who gets events, on the loop's thread; must not block and must not raise."""

    def wants(self, name: str) -> bool:
        """Whether events of this name are asked for."""
        ...

    def put(self, event: GatewayEvent) -> None: ...

    def end(self, error: GatewayError) -> None:
        """The connection ended for good; nothing follows."""


if TYPE_CHECKING:
    from typing_extensions import TypeVar as TypeVarWithDefault

    E = TypeVarWithDefault("E", default=GatewayEvent)
else:
    # What Python has from 3.13 on. Without it whoever wrote `EventStream` would have to write more.
    E = TypeVar("E")


class EventStream(Generic[E]):
    """An async iterator of events, from the call on that returned it: that of `events()`, `approvals()`, `questions()`,
    `watch_sessions()` or `watch_session()`.

    Ends with the error that ended the connection for good (ClientClosed after disconnect()); goes on over a reconnect.
    Cancelling a wait loses nothing. Usable as a context manager, which closes it.
    """

    def __init__(
        self,
        names: tuple[str, ...],
        leave: Callable[[EventStream[E]], object],
        on_slow: OnSlow,
        size: Callable[[E], int] = size_of_event,  # type: ignore[assignment]
        join: Callable[[E, E], E] | None = None,
    ) -> None:
        """join: makes one of two that wait, where the later one holds all that the earlier one says. What enters the
        stream as a context manager waits for `_begun`, where that is set."""
        self.dropped = 0
        self._size = size
        self._join = join
        self._begun: Callable[[], Coroutine[Any, Any, object]] | None = None
        self._names = frozenset(names)
        self._leave = leave
        self._on_slow = on_slow
        self._events: deque[E] = deque()
        self._most = MAX_WAITING
        self._bytes = 0
        self._waiter: asyncio.Future[None] | None = None
        self._error: GatewayError | None = None
        self._closed = False

    def wants(self, name: str) -> bool:
        """Whether events of this name are asked for; all are when no name was given."""
        return not self._names or name in self._names

    def put(self, event: E) -> None:
        """Add an event; on the loop's thread."""
        if self._join is not None and self._events:
            event = self._join(self._events.popleft(), event)
            self._count_joined()
        if not self._events:
            # Its reader has its turn before this bound is taken back.
            self._most = MAX_BURST
            asyncio.get_running_loop().call_soon(self._end_burst)
        self._bytes += self._size(event)
        if self._events and (len(self._events) >= self._most or self._bytes > MAX_WAITING_BYTES):
            self._drop()
        self._events.append(event)
        self._wake()

    def end(self, error: GatewayError) -> None:
        """What follows the events that wait is this error."""
        if self._error is None:
            self._error = error
        self._wake()

    def close(self) -> None:
        """Stop listening; a pending `anext` ends the iteration."""
        self._closed = True
        self._leave(self)
        self._wake()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> E:
        while not self._events:
            if self._closed:
                raise StopAsyncIteration
            if self._error is not None:
                self._closed = True
                self._leave(self)
                raise self._error.again()
            if self._waiter is not None:
                raise UsageError(message="two tasks iterate over one event stream", remedy="Give each its own")
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        event = self._events.popleft()
        self._bytes -= self._size(event)
        return event

    def _count_joined(self) -> None:
        self.dropped += 1
        if worth_telling(self.dropped, joined=True):
            self._on_slow(unread(self._names, 1, self.dropped))

    def _end_burst(self) -> None:
        self._most = MAX_WAITING

    def _drop(self) -> None:
        while self._events and (len(self._events) >= self._most or self._bytes > MAX_WAITING_BYTES):
            self._bytes -= self._size(self._events.popleft())
            self.dropped += 1
            if worth_telling(self.dropped, joined=False):
                self._on_slow(unread(self._names, len(self._events) + 1, self.dropped))

    async def __aenter__(self) -> Self:
        if self._begun is not None:
            try:
                await self._begun()
            except BaseException:
                self.close()
                raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.close()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def unread(names: frozenset[str], waiting: int, dropped: int) -> SlowConsumer:
    """The report about a stream that nobody reads."""
    return SlowConsumer("events", ", ".join(sorted(names)), waiting=waiting, dropped=dropped)


def worth_telling(dropped: int, *, joined: bool) -> bool:
    """Whether `on_slow_consumer` is told of a reader for which so many were dropped, or joined with later ones."""
    return dropped % JOINED_TOLD == 0 if joined else dropped % MAX_WAITING == 1
