"""From the loop's thread to a blocking reader: a C queue while the reader keeps up, joined text when it does not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import Enum
from queue import Empty
from typing import Final

from openclaw_client.errors import GatewayError
from openclaw_client.runs.events import ChatReply, RunEvent, TextAppended
from openclaw_client.runs.stream import BUFFER_EVENTS, MAX_BUFFER_BYTES, EventBuffer, size_beside_text
from openclaw_client.sync import threads


class _End(Enum):
    END = "end"


END: Final = _End.END
"""Behind the last event."""


class RunChannel:
    """The sink of one run. `put` and `end` on the loop's thread, `get` on the reader's.

    on_lag(waiting, dropped) is called once when events are joined because the reader is far behind, and once when the
    first was dropped.

    A SimpleQueue costs a two-hundredth of a thread-safe call per event, and cannot be bounded. So it takes events up to
    a limit; from there on they wait on the loop's side, where text can be joined, until the reader has taken all that
    was there.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        on_end: Callable[[ChatReply | None, GatewayError | None], None],
        on_lag: Callable[[int, int], None],
    ) -> None:
        self._loop = loop
        self._on_end = on_end
        self._on_lag = on_lag
        self._queue: threads.Mailbox[RunEvent | _End] = threads.mailbox()
        self._waiting = EventBuffer(BUFFER_EVENTS)
        self._overflowing = False
        # Beside appended text, since the queue was last empty.
        self._bytes = 0
        self._ended = False
        # Every event passes here.
        self._queued, self._enqueue, self._ready = self._queue.qsize, self._queue.put, self._queue.get_nowait

    def put(self, event: RunEvent) -> None:
        queued = self._queued()
        if type(event) is not TextAppended:
            self._bytes = size_beside_text(event) + (self._bytes if queued else 0)
        if self._overflowing or queued >= BUFFER_EVENTS or self._bytes > MAX_BUFFER_BYTES:
            self._put_aside(event)
        else:
            self._enqueue(event)

    def _put_aside(self, event: RunEvent) -> None:
        begins, self._overflowing = not self._overflowing, True
        self._waiting.append(event)
        if self._waiting.worth_telling():
            self._on_lag(self._queued() + len(self._waiting), self._waiting.dropped)
        if begins and not self._queued():
            # The reader has taken everything just before it could see that more waits here.
            self._refill()

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
        try:
            event = self._ready()
        except Empty:
            event = self._wait()
        if event is END:
            self._queue.put(event)
            return None
        return event

    def _wait(self) -> RunEvent | _End:
        # Whoever reads behind an overflow has emptied the queue, or `put` has seen that it is empty.
        if self._overflowing:
            self._loop.call_soon_threadsafe(self._refill)
        return self._queue.get()

    def _refill(self) -> None:
        while len(self._waiting):
            if self._queued() >= BUFFER_EVENTS:
                return
            self._queue.put(self._waiting.popleft())
        self._overflowing, self._bytes = False, 0
        if self._ended:
            self._queue.put(END)
