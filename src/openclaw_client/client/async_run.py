"""A chat run for coroutines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Self

from openclaw_client.chat.address import RunAddress
from openclaw_client.chat.arguments import AbortResult, ChatRequest
from openclaw_client.chat.consumer import Unheard
from openclaw_client.chat.outcomes import left
from openclaw_client.client.port import Follower, Port
from openclaw_client.client.slow_consumer import SlowConsumer
from openclaw_client.errors import GatewayError, UsageError
from openclaw_client.policy.timeouts import Timeouts
from openclaw_client.runs.activity import Activity
from openclaw_client.runs.events import ChatReply, RunEvent, Terminal, TextAppended
from openclaw_client.runs.peer import SentRun
from openclaw_client.runs.stream import EventBuffer, TextPieces


class AsyncChatRun:
    """One message and its reply as it comes. Iterate over it for events, over `text_stream` for text alone.

    The message is sent when the run is entered (`async with`), or when it is first iterated or asked for its result.
    `run_id` exists before that; it is the idempotency key. Leaving the block, or cancelling a wait, ends the listening
    and not the run: `abort()` ends the run, for which the session's next message waits. One task iterates at a time;
    any may call `abort()` and `result()`.
    """

    def __init__(self, port: Port, what: ChatRequest | RunAddress, timeouts: Timeouts) -> None:
        self.run_id = what.run_id
        self.session_key = what.session_key
        self._port = port
        self._what, self._timeouts = what, timeouts
        self._new_follower: Callable[[], Follower] = partial(port.follower, what, self, timeouts)
        self._follower = self._new_follower()
        self._buffer = EventBuffer()
        self._events = self._buffer.events
        self._next = self._events.popleft
        self._last: RunEvent | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._begun: asyncio.Task[None] | None = None
        self._beginners = 0
        self._over: asyncio.Event = asyncio.Event()
        self._reply: ChatReply | None = None
        self._error: GatewayError | None = None
        self._told = False

    @property
    def text(self) -> str:
        """The text so far."""
        return self._follower.text

    @property
    def activity(self) -> Activity:
        """What the run does now: queued, starting, thinking, writing, a tool, waiting for an approval or for another
        run of the session, reconnecting.

        Out of real events only, and "over" behind every end. Costs nothing until it is asked for.
        """
        return self._follower.activity

    @property
    def sent_run(self) -> SentRun | None:
        """What `chat_attach` needs to follow the run from another process; None before the first byte.

        There as soon as the run is entered. Store it then, as a pickle or as a row (`dataclasses.asdict`).
        """
        return self._follower.sent_run

    @property
    def text_stream(self) -> AsyncIterator[str]:
        """Pieces of text as they come, each extending what was given before.

        Ends when the run is final or aborted; raises what `result()` raises when it failed or was lost.
        """
        return self._pieces()

    async def result(self) -> ChatReply:
        """The whole reply, waited for. Cancelling leaves the run going.

        Returns:
            The reply; its text is empty only where the model had nothing to say.

        Raises:
            RunFailed, RunLost, RunTimeout: The run has no reply, or not in time.
            OutcomeUnknown, RequestTimeout: Nobody knows whether the message runs.
            RequestFailed, PayloadTooLarge: It was not taken. What else kept it from being sent is raised as it is.
            RunUnknown: The run was given to `chat_attach` by its id, and the gateway knows none of this id.
        """
        await self._begin()
        await self._over.wait()
        self._follower.taken()
        if self._error is not None:
            raise self._error.again()
        assert self._reply is not None
        return self._reply

    async def abort(self) -> AbortResult:
        """Stop the run at the gateway; its reply then has state "aborted" and the text so far."""
        return await self._port.abort(self.session_key, self.run_id)

    def __aiter__(self) -> AsyncChatRun:
        return self

    async def __anext__(self) -> RunEvent:
        # The buffer's own queue: what is there is handed out without a further call.
        try:
            self._last = event = self._next()
            return event
        except IndexError:
            pass
        await self._more()
        self._last = event = self._next()
        return event

    async def __aenter__(self) -> Self:
        await self._begin()
        return self

    async def __aexit__(self, *exc: object) -> None:
        if isinstance(self._last, Terminal):
            self._follower.taken()
        self._follower.leave()
        self._over.set()
        if self._reply is None and self._error is None:
            self._error = left(self.run_id, self.session_key, self.text)
        self._wake()

    def __repr__(self) -> str:
        state = "over" if self._over.is_set() else "running" if self._begun is not None else "not sent"
        return f"AsyncChatRun(run_id={self.run_id!r}, session_key={self.session_key!r}, {state})"

    def _keep_no_events(self) -> None:
        """Nobody will iterate; before the run is entered."""
        self._new_follower = partial(self._port.follower, self._what, Unheard(self.end), self._timeouts)
        self._follower = self._new_follower()

    # The driver calls these.

    def put(self, event: RunEvent) -> None:
        if type(event) is TextAppended and len(self._events) < self._buffer.room:
            self._events.append(event)
        elif not self._buffer.append(event) and self._buffer.worth_telling():
            self._on_lag()
        if self._waiter is not None:
            self._wake()

    def end(self, reply: ChatReply | None, error: GatewayError | None) -> None:
        self._reply, self._error = reply, error
        self._over.set()
        self._wake()

    def _on_lag(self) -> None:
        self._port.on_slow(SlowConsumer("run", self.run_id, waiting=len(self._buffer), dropped=self._buffer.dropped))

    async def _begin(self) -> None:
        """Send the message once, for all who ask; where it could not be sent, the next who asks tries again."""
        begun = self._begun
        if begun is None:
            self._port.touch()
            begun = self._begun = asyncio.get_running_loop().create_task(self._follower.begin())
        self._beginners += 1
        try:
            await asyncio.shield(begun)
        except BaseException:
            # Nobody else knows of a message that is still waiting for the connection: it must not go out later.
            if begun is self._begun and (begun.done() or self._beginners == 1) and not self._follower.sent:
                begun.cancel()
                self._begun, self._follower = None, self._new_follower()
            raise
        finally:
            self._beginners -= 1

    async def _more(self) -> None:
        """Wait until there is an event."""
        if self._begun is None or not self._begun.done():
            await self._begin()
        while not self._buffer.settle():
            if self._over.is_set():
                self._finish_iteration()
            if self._waiter is not None:
                raise UsageError(message="two tasks iterate over one run", remedy="Let one task read and share")
            waiter = self._waiter = asyncio.get_running_loop().create_future()
            try:
                await waiter
            finally:
                if self._waiter is waiter:
                    self._waiter = None

    def _finish_iteration(self) -> None:
        """End the iteration: quietly after a terminal event, with the error where there was none."""
        self._follower.taken()
        if self._error is not None and not self._told and not isinstance(self._last, Terminal):
            self._told = True
            raise self._error.again()
        raise StopAsyncIteration

    async def _pieces(self) -> AsyncIterator[str]:
        pieces = TextPieces()
        async for event in self:
            piece = pieces.feed(event)
            if piece:
                yield piece
        if self._error is not None:
            raise self._error.again()

    def _wake(self) -> None:
        # Given up here, so that the events of one turn wake once and the rest of them need not ask whether.
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
