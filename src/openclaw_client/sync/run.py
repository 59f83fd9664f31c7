"""A chat run for threads."""

from __future__ import annotations

import threading
from asyncio import _get_running_loop
from collections.abc import Callable, Iterator
from typing import Any, Protocol, Self

from openclaw_client.chat.address import RunAddress
from openclaw_client.chat.arguments import AbortResult, ChatRequest
from openclaw_client.chat.outcomes import left
from openclaw_client.client.options import Timeouts
from openclaw_client.client.port import Follower
from openclaw_client.errors import GatewayError
from openclaw_client.runs.activity import QUEUED, Activity
from openclaw_client.runs.events import ChatReply, RunEvent, Terminal, TextAppended
from openclaw_client.runs.peer import SentRun
from openclaw_client.runs.stream import TextPieces
from openclaw_client.sync import threads
from openclaw_client.sync.channel import RunChannel
from openclaw_client.sync.loop_thread import check_caller

OnEnd = Callable[[ChatReply | None, GatewayError | None], None]


class RunOwner(Protocol):
    """What a run needs of its client."""

    def chat_abort(self, *, session_key: str, run_id: str | None = None) -> AbortResult: ...

    def _new_run(
        self, what: ChatRequest | RunAddress, timeouts: Timeouts, on_end: OnEnd, *, heard: bool
    ) -> tuple[Follower, RunChannel]:
        """The follower and the channel of a run, not sent yet. heard: whether anybody reads its events."""
        ...

    def _send_run(self, follower: Follower) -> None:
        """Send the message of a run."""
        ...

    def _soon(self, call: Callable[..., object], *args: Any) -> None:
        """Run call(*args) on the loop's thread, soon; at once where there is none."""
        ...


class ChatRun:
    """One message and its reply as it comes. Iterate over it for events, over `text_stream` for text alone.

    The message is sent when the run is entered (`with`), or when it is first iterated or asked for its result. `run_id`
    exists before that; it is the idempotency key. Leaving the block, or interrupting a wait, ends the listening and not
    the run: `abort()` ends the run, for which the session's next message waits. One thread iterates at a time; any may
    call `abort()` and `result()`.
    """

    def __init__(self, client: RunOwner, what: ChatRequest | RunAddress, timeouts: Timeouts) -> None:
        self.run_id = what.run_id
        self.session_key = what.session_key
        self._client = client
        self._what = what
        self._timeouts = timeouts
        self._follower: Follower | None = None
        self._beginning: Follower | None = None
        self._channel: RunChannel | None = None
        self._begin_lock = threading.Lock()
        self._over = threads.latch()
        self._reply: ChatReply | None = None
        self._error: GatewayError | None = None
        self._told = False
        self._heard = True

    @property
    def text(self) -> str:
        """The text so far."""
        return self._follower.text if self._follower is not None else ""

    @property
    def activity(self) -> Activity:
        """What the run does now: queued, starting, thinking, writing, a tool, waiting for an approval or for another
        run of the session, reconnecting.

        Out of real events only, and "over" behind every end. Costs nothing until it is asked for.
        """
        follower = self._follower or self._beginning
        return follower.activity if follower is not None else QUEUED

    @property
    def sent_run(self) -> SentRun | None:
        """What `chat_attach` needs to follow the run from another process; None before the first byte.

        There as soon as the run is entered. Store it then, as a pickle or as a row (`dataclasses.asdict`).
        """
        return self._follower.sent_run if self._follower is not None else None

    @property
    def text_stream(self) -> Iterator[str]:
        """Pieces of text as they come, each extending what was given before.

        Ends when the run is final or aborted; raises what `result()` raises when it failed or was lost.
        """
        return self._pieces()

    def result(self) -> ChatReply:
        """The whole reply, waited for. Ctrl-C leaves the run going.

        Returns:
            The reply; its text is empty only where the model had nothing to say.

        Raises:
            RunFailed, RunLost, RunTimeout: The run has no reply, or not in time.
            OutcomeUnknown, RequestTimeout: Nobody knows whether the message runs.
            RequestFailed, PayloadTooLarge: It was not taken. What else kept it from being sent is raised as it is.
            RunUnknown: The run was given to `chat_attach` by its id, and the gateway knows none of this id.
        """
        check_caller("result")
        self._begin()
        self._over.wait()
        self._taken()
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
            self._taken()
            if self._error is not None and not self._told:
                self._told = True
                raise self._error.again()
            raise StopIteration
        if isinstance(event, Terminal):
            self._told = True
        return event

    def _keep_no_events(self) -> None:
        """Nobody will iterate; before the run is entered."""
        self._heard = False

    def __enter__(self) -> Self:
        self._begin()
        return self

    def __exit__(self, *exc: object) -> None:
        follower, channel = self._follower, self._channel
        if follower is not None and channel is not None:
            self._client._soon(self._leave, follower, channel)

    def __repr__(self) -> str:
        state = "over" if self._over.is_set else "running" if self._follower is not None else "not sent"
        return f"ChatRun(run_id={self.run_id!r}, session_key={self.session_key!r}, {state})"

    def _begin(self) -> RunChannel:
        if self._channel is not None:
            return self._channel
        with self._begin_lock:
            if self._channel is None:
                follower, channel = self._client._new_run(self._what, self._timeouts, self._on_end, heard=self._heard)
                self._beginning = follower
                try:
                    self._client._send_run(follower)
                finally:
                    self._beginning = None
                    # An interrupted wait may come too late to keep the message from being sent.
                    if follower.sent:
                        self._follower, self._channel = follower, channel
            assert self._channel is not None
            return self._channel

    def _on_end(self, reply: ChatReply | None, error: GatewayError | None) -> None:
        self._reply, self._error = reply, error
        self._over.set()

    def _taken(self) -> None:
        """The caller has the end of the run."""
        follower = self._follower
        if follower is not None and follower.recorded:
            self._client._soon(follower.taken)

    def _leave(self, follower: Follower, channel: RunChannel) -> None:
        """On the loop's thread."""
        if self._told:
            follower.taken()
        if follower.ended:
            return
        follower.leave()
        if not self._over.is_set:
            self._on_end(None, left(self.run_id, self.session_key, self.text))
        channel.close()

    def _pieces(self) -> Iterator[str]:
        pieces = TextPieces()
        for event in self:
            piece = pieces.feed(event)
            if piece:
                yield piece
        if self._error is not None:
            raise self._error.again()
