"""Messages that nobody asked for, on their way through a journal to the handlers: written down, handed out one after
the other, and handed out again where a handler raised.

Knows the order, and who is told. Refuses to know where messages come from. On the loop's thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final

from openclaw_client.chat.held import size_of
from openclaw_client.client.callbacks import Callbacks
from openclaw_client.client.port import Handlers
from openclaw_client.client.shared_journal import SharedJournal
from openclaw_client.errors import JournalError, UsageError
from openclaw_client.journal.delivery import Deal, GiveUp, Handing, LookAgain, Verdict, step
from openclaw_client.journal.protocol import KeptMessage, KeptPlace
from openclaw_client.logs import GuardedLogger
from openclaw_client.runs.proactive import ProactiveMessage

MAX_UNWRITTEN: Final = 1_000
"""Messages that wait to be written down; a file that takes none for so long is broken."""
MAX_UNWRITTEN_BYTES: Final = 8 << 20
"""Of all that they hold."""
PAUSES: Final = (0.5, 1.0, 2.0, 5.0, 15.0)
"""Seconds before a journal that failed is tried again."""

logger = GuardedLogger("openclaw_client.client")


class Inbox:
    """Of one client. told: called for each message that is new. emptied: called when it takes messages again.

    Attributes:
        is_full: Too many wait to be written down: what is said now is asked for later.
    """

    def __init__(
        self,
        shared: SharedJournal,
        user: str,
        handlers: Handlers,
        callbacks: Callbacks,
        owner: object,
        told: Callable[[], None],
        emptied: Callable[[], None],
    ) -> None:
        self._shared, self._user = shared, user
        self._handlers, self._callbacks, self._owner = handlers, callbacks, owner
        self._told, self._emptied = told, emptied
        self.is_full = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._open = False
        self._unwritten: deque[ProactiveMessage | KeptPlace] = deque()
        self._messages = self._bytes = 0
        self._writing: asyncio.Task[None] | None = None
        self._dealing: asyncio.Task[None] | None = None
        self._changed = False
        self._wakened: asyncio.Event | None = None

    @property
    def busy(self) -> bool:
        """Whether something is being written down or handed out. From any thread."""
        return self._writing is not None or self._dealing is not None

    def start(self) -> None:
        """Hand out what waits, and what comes. May be called again."""
        if self._open:
            return
        self._loop = asyncio.get_running_loop()
        self._open, self._wakened = True, asyncio.Event()
        if self._unwritten and self._writing is None:
            self._writing = self._loop.create_task(self._write_all(), name="openclaw-inbox")
        self.wake()

    async def stop(self) -> None:
        """Hand out nothing more. What was heard is written down when this returns, where the journal takes it."""
        self._open = False
        if self._wakened is not None:
            self._wakened.set()
        if self._dealing is None:
            self._shared.dealers.leave(self._user, self)
        if self._writing is not None:
            await asyncio.wait([self._writing])

    async def done(self, timeout: float | None = None) -> None:
        """Wait for the handler that has a message, and until its end is noted."""
        if self._dealing is not None:
            await asyncio.wait([self._dealing], timeout=timeout)

    # Messages come in.

    def add(self, message: ProactiveMessage) -> None:
        """A message was heard, or found in the history."""
        self._messages += 1
        self._bytes += size_of(message)
        self._put(message)
        if not self.is_full and (self._messages >= MAX_UNWRITTEN or self._bytes > MAX_UNWRITTEN_BYTES):
            self.is_full = True
            logger.error("the journal takes no messages; what is said now is asked for when it does")

    def place(self, place: KeptPlace) -> None:
        """How far a session is known, behind the messages that came before."""
        if not self._unwritten and self._writing is None:
            self._shared.journal.note(self._user, place)
        else:
            self._put(place)

    def _put(self, what: ProactiveMessage | KeptPlace) -> None:
        self._unwritten.append(what)
        if self._writing is None:
            self._writing = asyncio.get_running_loop().create_task(self._write_all(), name="openclaw-inbox")

    async def _write_all(self) -> None:
        failures = 0
        try:
            while self._unwritten:
                try:
                    await self._write_some()
                except JournalError:
                    # The journal tells why. It is not handed out yet.
                    if not self._open:
                        return
                    await self._pause(failures)
                    failures += 1
                else:
                    failures = 0
                    self.wake()
        finally:
            self._writing = None
        if self.is_full:
            self.is_full = False
            self._emptied()

    async def _write_some(self) -> None:
        """Write down the first messages, with the place behind them."""
        messages: list[ProactiveMessage] = []
        place = None
        for what in self._unwritten:
            if isinstance(what, KeptPlace):
                place = what
                break
            messages.append(what)
        try:
            new = await self._shared.journal.receive(self._user, messages, place)
        except UsageError:
            logger.error("a message is given up: something in it is no text")
            new = ()
        for message in messages:
            self._unwritten.popleft()
            self._messages -= 1
            self._bytes -= size_of(message)
        if place is not None:
            self._unwritten.popleft()
        for _ in new:
            self._told()

    # Messages go out.

    def wake(self) -> None:
        """Something may be there to be handed out, or somebody to get it."""
        self._changed = True
        if self._wakened is not None:
            self._wakened.set()
        if self._open and self._dealing is None and self._handlers.wanted:
            self._dealing = asyncio.get_running_loop().create_task(self._deal(), name="openclaw-inbox")

    def wake_soon(self) -> None:
        """`wake`, from any thread."""
        self.call_soon(self.wake)

    def call_soon(self, call: Callable[[], None]) -> None:
        """Call on the loop's thread, from any thread; nothing before the start."""
        if self._loop is not None:
            _call_soon(self._loop, call)

    async def _deal(self) -> None:
        dealers, failures, turn = self._shared.dealers, 0, False
        try:
            while self._open and self._changed and self._handlers.wanted:
                self._changed = False
                turn = dealers.enter(self._user, self)
                if not turn:
                    # Woken when it is.
                    return
                try:
                    while self._open and self._handlers.wanted:
                        message = await self._shared.journal.next(self._user)
                        if message is None:
                            break
                        await self._deal_with(message)
                        failures = 0
                except JournalError:
                    await self._pause(failures)
                    failures += 1
                    self._changed = True
        finally:
            self._dealing = None
            if turn or not self._open:
                dealers.leave(self._user, self)

    async def _deal_with(self, kept: KeptMessage) -> None:
        ident, what = kept.message.id, step(kept.deliveries, kept.next_at, time.time())
        if isinstance(what, LookAgain):
            await self._wait(what.until - time.time())
        elif isinstance(what, GiveUp):
            self._give_up_one(kept.deliveries, kept.message)
            await self._shared.journal.settle(self._user, ident, "dead")
        else:
            assert isinstance(what, Deal)
            number = await self._shared.journal.deliver(self._user, ident)
            if number:
                message = replace(kept.message, delivery=number)
                verdict = await self._hand_out(message)
                if verdict == "dead":
                    self._give_up_one(number, message)
                await self._shared.journal.settle(self._user, ident, verdict)

    async def _hand_out(self, message: ProactiveMessage) -> Verdict:
        """Give it to all handlers; returns when the last of them has come to its end."""
        loop, handlers = asyncio.get_running_loop(), tuple(self._handlers.message)
        handing = Handing(message.delivery, len(handlers))
        over: asyncio.Future[Verdict] = loop.create_future()

        def answered(failed: bool) -> None:
            verdict = handing.answered(failed=failed)
            if verdict is not None and not over.done():
                over.set_result(verdict)

        # From whatever thread the handler runs in; a loop that has gone takes no answers, and the message comes again.
        done = partial(_call_soon, loop, answered)
        for handler in handlers:
            self._callbacks.put_delivery(handler, done, self._owner, message)
        return await over

    def _give_up_one(self, deliveries: int, message: ProactiveMessage) -> None:
        logger.error(
            "a message of %r is given up: its handlers failed, or the process ended in them, %d times; "
            "`openclaw-client journal show --dead` lists it, `replay` hands it out again",
            message.session_key,
            deliveries,
        )

    async def _pause(self, failures: int) -> None:
        await self._wait(PAUSES[min(failures, len(PAUSES) - 1)])

    async def _wait(self, seconds: float) -> None:
        """Wait, or until this is stopped."""
        assert self._wakened is not None
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while self._open and (left := until - loop.time()) > 0:
            self._wakened.clear()
            try:
                async with asyncio.timeout(left):
                    await self._wakened.wait()
            except TimeoutError:
                return


def _call_soon(loop: asyncio.AbstractEventLoop, call: Callable[..., None], *args: object) -> None:
    # A loop that is closed takes nothing any more.
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(call, *args)
