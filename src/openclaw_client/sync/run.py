"""A chat run for threads."""

from __future__ import annotations

import threading
from asyncio import _get_running_loop
from collections.abc import Iterator
from typing import TYPE_CHECKING, Self

from openclaw_client.client.chat import AbortResult, ChatRequest
from openclaw_client.client.driver import RunDriver
from openclaw_client.client.options import Timeouts
from openclaw_client.errors import GatewayError, RunError
from openclaw_client.runs.activity import QUEUED, Activity
from openclaw_client.runs.events import ChatReply, RunEvent, Terminal, TextAppended
from openclaw_client.runs.stream import TextPieces
from openclaw_client.sync import threads
from openclaw_client.sync.channel import RunChannel
from openclaw_client.sync.loop_thread import check_caller

if TYPE_CHECKING:
    from openclaw_client.sync.client import GatewayClient


class ChatRun:
    """One message and its reply as it comes. Iterate over it for events, over `text_stream` for text alone.

    The message is sent when the run is entered (`with`), or when it is first iterated or asked for its result. `run_id`
    exists before that; it is the idempotency key. Leaving the block, or interrupting a wait, ends the listening and not
    the run: `abort()` ends the run, for which the session's next message waits. One thread iterates at a time; any may
    call `abort()` and `result()`.
    """

    def __init__(self, client: GatewayClient, request: ChatRequest, timeouts: Timeouts) -> None:
        self.run_id = request.run_id
        self.session_key = request.session_key
        self._client = client
        self._request = request
        self._timeouts = timeouts
        self._driver: RunDriver | None = None
        self._channel: RunChannel | None = None
        self._begin_lock = threading.Lock()
        self._over = threads.latch()
        self._reply: ChatReply | None = None
        self._error: GatewayError | None = None
        self._told = False

    @property
    def text(self) -> str:
        """The text so far."""
        return self._driver.fold.text if self._driver is not None else ""

    @property
    def activity(self) -> Activity:
        """What the run does now: queued, starting, thinking, writing, a tool, waiting for an approval, reconnecting.

        Out of real events only, and "over" behind every end. Costs nothing until it is asked for.
        """
        return self._driver.activity if self._driver is not None else QUEUED

    @property
    def text_stream(self) -> Iterator[str]:
        """Pieces of text as they come, each extending what was given before.

        Ends when the run is final or aborted; raises what `result()` raises when it failed or was lost.
        """
        return self._pieces()

    def result(self) -> ChatReply:
        """The whole reply, waited for.

        Raises RunFailed, RunLost, RunTimeout, or what kept the message from being sent (RequestFailed, OutcomeUnknown,
        PayloadTooLarge, …). Ctrl-C leaves the run going.
        """
        check_caller("result")
        self._begin()
        self._over.wait()
        if self._error is not None:
            raise self._error.again()
        assert self._reply is not None
        return self._reply

    def abort(self) -> AbortResult:
        """Stop the run at the gateway; its reply then has state "aborted" and the text so far."""
        return self._client.chat_abort(session_key=self.session_key, run_id=self.run_id)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> RunEvent:
        # What the check asks first; every event passes here, and most callers run no loop.
        if _get_running_loop() is not None:
            check_caller("next", "async for")
        event = (self._channel or self._begin()).get()
        if type(event) is TextAppended:
            return event
        if event is None:
            if self._error is not None and not self._told:
                self._told = True
                raise self._error.again()
            raise StopIteration
        if isinstance(event, Terminal):
            self._told = True
        return event

    def __enter__(self) -> Self:
        self._begin()
        return self

    def __exit__(self, *exc: object) -> None:
        driver, channel = self._driver, self._channel
        if driver is not None and channel is not None:
            self._client._soon(self._leave, driver, channel)

    def __repr__(self) -> str:
        state = "over" if self._over.is_set else "running" if self._driver is not None else "not sent"
        return f"ChatRun(run_id={self.run_id!r}, session_key={self.session_key!r}, {state})"

    # Inside.

    def _begin(self) -> RunChannel:
        if self._channel is not None:
            return self._channel
        with self._begin_lock:
            if self._channel is None:
                driver, channel = self._client._new_run(self._request, self._timeouts, self._on_end)
                try:
                    self._client._send_run(driver)
                finally:
                    # An interrupted wait may come too late to keep the message from being sent.
                    if driver.sent:
                        self._driver, self._channel = driver, channel
            assert self._channel is not None
            return self._channel

    def _on_end(self, reply: ChatReply | None, error: GatewayError | None) -> None:
        self._reply, self._error = reply, error
        self._over.set()

    def _leave(self, driver: RunDriver, channel: RunChannel) -> None:
        """On the loop's thread."""
        if driver.ended:
            return
        driver.leave()
        error = RunError(
            message="the run was left before its end; it goes on at the gateway",
            remedy="Ask for result() inside the block, or abort() before leaving it",
            run_id=self.run_id,
            session_key=self.session_key,
            partial_text=self.text,
        )
        self._on_end(None, error)
        channel.close()

    def _pieces(self) -> Iterator[str]:
        pieces = TextPieces()
        for event in self:
            piece = pieces.feed(event)
            if piece:
                yield piece
        if self._error is not None:
            raise self._error.again()
