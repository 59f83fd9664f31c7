"""Gateway events for a blocking reader."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from queue import Empty
from typing import Generic, Self

from openclaw_client.client.events import MAX_WAITING, MAX_WAITING_BYTES, E, size_of_event, unread, worth_telling
from openclaw_client.client.slow_consumer import OnSlow
from openclaw_client.errors import GatewayError
from openclaw_client.sync import threads
from openclaw_client.sync.loop_thread import check_caller


class BlockingEventStream(Generic[E]):
    """An iterator of events, from the call on that returned it: that of `events()`, `approvals()`, `questions()`,
    `watch_sessions()` or `watch_session()`; over reconnects.

    Ends with the error that ended the connection for good (ClientClosed after disconnect()). `close()` may be called
    from any thread and ends every waiting `next()` quietly. Several threads may read: each event goes to one of them,
    and so does the error. Usable as a context manager.
    """

    def __init__(
        self,
        names: tuple[str, ...],
        leave: Callable[[BlockingEventStream[E]], object],
        on_slow: OnSlow,
        size: Callable[[E], int] = size_of_event,  # type: ignore[assignment]
        join: Callable[[E, E], E] | None = None,
    ) -> None:
        """join: makes one of two that wait, where the later one holds all that the earlier one says. What enters the
        stream as a context manager waits for `_begun`, where that is set."""
        self.dropped = 0
        self._size = size
        self._join = join
        self._begun: Callable[[], object] | None = None
        self._names = frozenset(names)
        self._leave = leave
        self._on_slow = on_slow
        self._events: threads.Mailbox[E | GatewayError | None] = threads.mailbox()
        self._bytes = 0
        # What readers took since it was last subtracted: any thread adds, the loop's takes away.
        self._taken: deque[int] = deque()
        self._closed = self._ended = False

    def wants(self, name: str) -> bool:
        return not self._names or name in self._names

    def put(self, event: E) -> None:
        while self._taken:
            self._bytes -= self._taken.popleft()
        self._bytes += self._size(event)
        while (waiting := self._events.qsize()) and self._is_too_much(waiting):
            try:
                oldest = self._events.get_nowait()
            except Empty:
                # The reader was quicker.
                break
            if oldest is None or isinstance(oldest, GatewayError):
                # The end, which stays the last.
                self._events.put(oldest)
                return
            self._bytes -= self._size(oldest)
            self.dropped += 1
            if self._join is not None:
                event = self._join(oldest, event)
            if worth_telling(self.dropped, joined=self._join is not None):
                self._on_slow(unread(self._names, waiting, self.dropped))
        self._events.put(event)

    def _is_too_much(self, waiting: int) -> bool:
        return self._join is not None or waiting >= MAX_WAITING or self._bytes > MAX_WAITING_BYTES

    def end(self, error: GatewayError) -> None:
        if not self._ended:
            self._ended = True
            self._events.put(error)

    def close(self) -> None:
        """Stop listening."""
        if not self._closed:
            self._closed = True
            self._leave(self)
            self._events.put(None)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> E:
        check_caller("next", "async for")
        event = self._events.get()
        if event is None:
            # For the next one who reads, or asks again.
            self._events.put(None)
            raise StopIteration
        if isinstance(event, GatewayError):
            self.close()
            raise event.again()
        self._taken.append(self._size(event))
        return event

    def __enter__(self) -> Self:
        if self._begun is not None:
            try:
                self._begun()
            except BaseException:
                self.close()
                raise
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
