"""Sending messages and following runs, for coroutines."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any

from openclaw_client.chat.address import run_address
from openclaw_client.chat.arguments import AbortResult, WhenBusy, chat_request
from openclaw_client.chat.attachments import AttachmentLike
from openclaw_client.client.async_run import AsyncChatRun
from openclaw_client.client.callbacks import check_optional
from openclaw_client.client.port import Port
from openclaw_client.journal.protocol import PendingRun
from openclaw_client.runs.events import ChatReply, RunEvent
from openclaw_client.runs.peer import SentRun


class AsyncChatting:
    """On the loop's thread."""

    # Of the client.
    _port: Port
    _bind: Callable[[], None]

    async def chat_send(
        self,
        *,
        session_key: str,
        message: str,
        attachments: Iterable[AttachmentLike] | None = None,
        idempotency_key: str | None = None,
        on_event: Callable[[RunEvent], object] | None = None,
        timeout: float | None = None,
        when_busy: WhenBusy = "wait",
        system_prompt: str | None = None,
        model: str | None = None,
        thinking: str | None = None,
        details: bool = False,
        **params: Any,
    ) -> ChatReply:
        """Send a message and wait for the whole reply, wherever the gateway answers it.

        Args:
            session_key: The session, in any spelling.
            message: The text.
            attachments: Files that go with it.
            idempotency_key: By it the gateway knows a message that is sent twice; None makes one.
            on_event: Gets every typed event, in this task; it may be `async def`, and what it raises ends the call.
            timeout: Seconds for everything: the wait for the turn, the connection and the run.
            when_busy: "wait" sends when this client's earlier runs of the session are over, and those of others as far
                as they are heard or the gateway tells; "send" sends at once. Stop words and commands never wait.
            system_prompt: What the model is told for this message alone, behind the agent's own prompt.
            model: The model for this message alone, such as "provider/model"; needs the scope operator.admin.
            thinking: The level of thinking for this message, as the model has it. With a system prompt or a model the
                message goes by the method `agent`, which always answers it in a run of its own. Stop words and commands
                go without them, since the gateway itself acts on them.
            details: Whether the reply is to say which files came with it, what it took and which model answered. The
                history may be asked for that behind the end of the run, within timeout and `Timeouts.request`; where
                that fails, the reply is whole all the same, and what is not known is None.
            params: Further parameters of the method in the gateway's spelling.

        Returns:
            The reply; its text is empty only where the model had nothing to say.

        Raises:
            UsageError, PayloadTooLarge, RequestFailed: Nothing runs.
            OutcomeUnknown, RequestTimeout: Nobody knows whether it runs; the key is in them.
            RunFailed: The run failed.
            RunLost: How it ended cannot be found out.
            RunTimeout: The time is over, and the run goes on.
                Cancelling leaves it going, too.
        """
        check_optional(on_event, "on_event", coroutines=True)
        run = self.chat_stream(
            session_key=session_key,
            message=message,
            attachments=attachments,
            idempotency_key=idempotency_key,
            timeout=timeout,
            when_busy=when_busy,
            system_prompt=system_prompt,
            model=model,
            thinking=thinking,
            details=details,
            **params,
        )
        if on_event is None:
            run._keep_no_events()
        async with run:
            if on_event is not None:
                async for event in run:
                    result = on_event(event)
                    if inspect.isawaitable(result):
                        await result
            return await run.result()

    def chat_stream(
        self,
        *,
        session_key: str,
        message: str,
        attachments: Iterable[AttachmentLike] | None = None,
        idempotency_key: str | None = None,
        timeout: float | None = None,
        when_busy: WhenBusy = "wait",
        system_prompt: str | None = None,
        model: str | None = None,
        thinking: str | None = None,
        details: bool = False,
        **params: Any,
    ) -> AsyncChatRun:
        """The run of a message: an async context manager and an iterator of events. Sends nothing by itself.

        The arguments are those of `chat_send`. Raises UsageError.
        """
        request = chat_request(
            session_key,
            message,
            attachments,
            idempotency_key,
            when_busy,
            params,
            system_prompt=system_prompt,
            model=model,
            thinking=thinking,
            details=details,
            application=self._port.application,
        )
        return AsyncChatRun(self._port, request, self._port.run_timeouts(timeout))

    def chat_attach(
        self,
        run: SentRun | PendingRun | str,
        *,
        session_key: str | None = None,
        offset: int = 0,
        timeout: float | None = None,
        details: bool = False,
    ) -> AsyncChatRun:
        """Follow a run that was sent before, by this client, another process, or anybody.

        Nothing is sent until the run is entered; then the gateway is asked, and the message is never run twice. It is
        sent again only where it certainly has not run, and only from a `SentRun` that holds the whole message.

        Args:
            run: What `pending()` gives, a `SentRun` (see `AsyncChatRun.sent_run`), or the id of a run. By its id a run
                is found while it goes on, and later where the rows of the history name it (not on 2026.4.15 and
                2026.5.12), or it is on the list of `pending()`.
            session_key: The session of a run that is given by its id; a `SentRun` has it.
            offset: Characters of the text that the reader has: text events begin behind them. A text that was
                rewritten comes whole, as `TextReplaced`.
            timeout: Seconds for the whole; None for the client's own limits.
            details: As for `chat_send`.

        Returns:
            The run: an async context manager and an iterator of events, as of `chat_stream`.

        Raises:
            UsageError: The arguments name no run. `result()` raises what that of `chat_stream` raises, and
                `RunUnknown` where the gateway knows no run of this id.
        """
        return AsyncChatRun(
            self._port,
            run_address(run, session_key, offset, details=details, recorded=self._port.recorded_run),
            self._port.run_timeouts(timeout),
        )

    async def pending(self) -> tuple[PendingRun, ...]:
        """This user's messages whose replies nobody has taken, oldest first; also before connecting.

        What a process that is gone had under way: each is followed, taken, or sent where it certainly never was, by
        `chat_attach`. Nothing is sent again by itself.

        Returns:
            Each with its state: "queued" (never sent), "sent" (may have run) or "answered" (over).

        Raises:
            UsageError: The client has no journal.
            JournalError: It cannot be read, or belongs to another process.
        """
        self._bind()
        return await self._port.pending()

    async def forget(self, run_id: str) -> bool:
        """Take a run off the list of `pending()`. Aborts nothing.

        Args:
            run_id: Its id.

        Returns:
            Whether it was on the list.

        Raises:
            UsageError: The client has no journal.
            JournalError: It cannot be written, and the run is still on the list.
        """
        self._bind()
        return await self._port.forget(run_id)

    async def chat_abort(self, *, session_key: str, run_id: str | None = None) -> AbortResult:
        """Stop a run, or all runs of the session. `aborted` is False where nothing was running; that is no error."""
        self._bind()
        return await self._port.abort(session_key, run_id)
