"""From the loop's thread to a blocking reader: a C queue while the reader keeps up, joined text when it does not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from openclaw_client.errors import GatewayError
from openclaw_client.runs.events import ChatReply, RunEvent
from openclaw_client.runs.stream import BUFFER_EVENTS, EventBuffer
from openclaw_client.sync import threads


class _End:
    """Behind the last event."""


END: Final = _End()


class RunChannel:
    """The sink of one run. `put` and `end` on the loop's thread, `get` on the reader's. on_lag(waiting) is called once,
    when events are joined because the reader is far behind.

    A SimpleQueue costs a two-hundredth of a thread-safe call per event, and cannot be bounded. So it takes events up to
    a limit; from there on they wait on the loop's side, where text can be joined, until the reader has caught up.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        on_end: Callable[[ChatReply | None, GatewayError | None], None],
        on_lag: Callable[[int], None],
    ) -> None:
        self._loop = loop
        self._on_end = on_end
        self._on_lag = on_lag
        self._lagged = False
        self._queue: threads.Mailbox[RunEvent | _End] = threads.mailbox()
        self._waiting = EventBuffer(BUFFER_EVENTS)
        self._overflowing = False
        self._ended = False
        self._put_count = 0
        self._got_count = 0

    def put(self, event: RunEvent) -> None:
        if self._overflowing or self._put_count - self._got_count >= BUFFER_EVENTS:
            self._overflowing = True
            self._waiting.append(event)
            if self._waiting.lagging and not self._lagged:
                self._lagged = True
                self._on_lag(BUFFER_EVENTS + len(self._waiting))
        else:
            self._put_count += 1
            self._queue.put(event)

    def end(self, reply: ChatReply | None, error: GatewayError | None) -> None:
        self._on_end(reply, error)
        self.close()

    def close(self) -> None:
        """Let the reader come to an end; on the loop's thread."""
        self._ended = True
        if not self._overflowing:
            self._queue.put(END)

    def get(self) -> RunEvent | None:
        """The next event, waited for; None behind the last one, and from then on."""
        event = self._queue.get()
        if isinstance(event, _End):
            self._queue.put(event)
            return None
        self._got_count += 1
        # Overflow begins with the queue full, so its reader always passes this point once more.
        if self._overflowing and self._put_count - self._got_count == BUFFER_EVENTS // 2:
            self._loop.call_soon_threadsafe(self._refill)
        return event

    def _refill(self) -> None:
        while len(self._waiting):
            if self._put_count - self._got_count >= BUFFER_EVENTS:
                return
            self._put_count += 1
            self._queue.put(self._waiting.popleft())
        self._overflowing = False
        if self._ended:
            self._queue.put(END)
