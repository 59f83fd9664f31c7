"""A run that is written down: before the first byte of every sending, when it is known better, and at its end.

Knows what of a run is worth writing down. Decides nothing about the run.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, Literal

from openclaw_client.chat.address import RunAddress
from openclaw_client.chat.arguments import ChatRequest
from openclaw_client.chat.attachments import digests_of
from openclaw_client.chat.consumer import NULL_CONSUMER, RunConsumer
from openclaw_client.chat.context import RunContext
from openclaw_client.chat.driver import RunDriver
from openclaw_client.chat.outgoing import Outgoing
from openclaw_client.chat.record import RunRecord
from openclaw_client.chat.sending import request_of, sending_of
from openclaw_client.connection.connection import Connection
from openclaw_client.errors import GatewayError, JournalError, PayloadTooLarge, RequestFailed, UsageError
from openclaw_client.journal.protocol import End, PendingRun, RunChange
from openclaw_client.policy.timeouts import Timeouts
from openclaw_client.runs.events import ChatReply, RunErrored
from openclaw_client.runs.peer import Peer, SentRun, sent_run
from openclaw_client.runs.phases import Contact, Outcome, OutOfReach, Refused, Unknown
from openclaw_client.runs.words import digest_of

_NOWHERE: Final = Peer(0)
"""The gateway of a message that waits: none has it."""


class _AlreadyKnown(Exception):
    """The journal knows the key of a message that was to be sent."""

    def __init__(self, run: PendingRun) -> None:
        super().__init__(run.run_id)
        self.run = run


class RecordedOutgoing(Outgoing):
    """Writes a message down before it goes out. again: it is on the list already, and is sent all the same."""

    def __init__(self, record: RunRecord, request: ChatRequest, context: RunContext, *more: Any) -> None:
        super().__init__(context, request, *more)
        self.again = False
        self._record = record
        self._files = digests_of(request.attachments)
        # What this call itself has put on the list.
        self._listed: Literal["queued", "sent"] | None = None

    async def begin(self, register: Callable[[], None], unregister: Callable[[], None]) -> None:
        try:
            if not self._goes_at_once():
                await self.write_down(None)
            await super().begin(register, unregister)
        except _AlreadyKnown:
            raise
        except BaseException:
            if self._listed is not None:
                self._record.note(RunChange(self._request.run_id, unsent=True))
            raise

    async def write_down(self, connection: Connection | None) -> None:
        """Durable when this returns. connection: where it goes out; None where it has to wait. Raises JournalError."""
        state: Literal["queued", "sent"] = "queued" if connection is None else "sent"
        if self.again and connection is None:
            # As it stands.
            return
        known = await self._record.begin(self._facts(connection), state=state, files=self._files, again=self.again)
        if known is not None:
            raise _AlreadyKnown(known)
        self.again, self._listed = True, state

    def _goes_at_once(self) -> bool:
        """Whether nothing is in the way of the message now."""
        context, request = self._context, self._request
        if context.methods.requests.usable is None:
            return False
        return request.when_busy != "wait" or context.gates.is_free(context.methods.canonical(request.session_key))

    async def _ready(self, begun: float) -> Connection:
        while True:
            connection = await super()._ready(begun)
            await self.write_down(connection)
            if self._context.methods.requests.usable is connection:
                return connection

    def _facts(self, connection: Connection | None) -> SentRun:
        hello = connection.hello if connection is not None else None
        method = self._method_for(hello.server.version if hello is not None else None)
        peer = _NOWHERE if connection is None else self._context.methods.peer(connection)
        request = self._request
        sending = sending_of(request, method)
        sent = sent_run(request.run_id, request.session_key, request.message, sending, peer, time.time())
        return replace(sent, protocol=peer.protocol, boot_id=peer.boot_id)


class RecordedDriver(RunDriver):
    """Follows a run to its end, whoever reads it."""

    def __init__(
        self, context: RunContext, what: ChatRequest | RunAddress, consumer: RunConsumer, limits: Timeouts
    ) -> None:
        assert context.record is not None
        self._record: RunRecord = context.record
        self._request = what if isinstance(what, ChatRequest) else None
        self._adopted = isinstance(what, RunAddress) and what.adopted
        self._noted: tuple[bool, str | None, str | None] = (False, None, None)
        self._is_over = False
        self._sending: asyncio.Task[None] | None = None
        super().__init__(context, what, consumer, limits)

    @property
    def recorded(self) -> bool:
        return True

    @property
    def left(self) -> bool:
        return self._adopted or super().left

    def taken(self) -> None:
        if self._is_over:
            self._record.take(self._life.run_id)

    async def begin(self) -> None:
        if self._request is None:
            await self._begin_to_follow()
            return
        try:
            await super().begin()
        except _AlreadyKnown as found:
            known = found.run
        else:
            return
        outgoing = self._outgoing
        assert isinstance(outgoing, RecordedOutgoing)
        self._check_same(known, self._request)
        if known.state == "queued":
            outgoing.again = True
            await super().begin()
            return
        sent = known.sent_run
        # Who calls brings the message once more, and what goes with it.
        whole = replace(sent, message=self._request.message, complete=True)
        self._outgoing = self._new_outgoing(self._request, sent.method)
        self._address = RunAddress(sent.run_id, sent.session_key, whole, details=self._request.details)
        await self._follow(known)

    def _check_same(self, known: PendingRun, request: ChatRequest) -> None:
        canonical, sent = self._context.methods.canonical, known.sent_run
        same = canonical(sent.session_key) == canonical(request.session_key) and sent.digest == digest_of(
            request.message
        )
        if not same or known.files != digests_of(request.attachments):
            raise UsageError(
                message="another message was sent with this idempotency_key; nothing was sent now",
                remedy="Use a key for one message alone",
            )

    async def _begin_to_follow(self) -> None:
        """Begin to follow a run that was sent before, or to send one that only waited."""
        self._life.begin(self._now())
        address = self._address
        assert address is not None
        if address.sent is None or address.adopted:
            await self._take_up()
            return
        known = await self._record.begin(address.sent)
        if known is None or not known.is_same(address.sent):
            await self._take_up()
        elif known.state == "queued":
            await self._send_what_waited(known.sent_run)
        else:
            await self._follow(known)

    async def _send_what_waited(self, sent: SentRun) -> None:
        if not sent.complete:
            raise UsageError(
                message="the message was never sent, and its attachments or further parameters are not kept",
                remedy="Send it by chat_send() with this idempotency_key and all that goes with it, or forget() it",
            )
        self._request = request_of(sent)
        outgoing = self._outgoing = self._new_outgoing(self._request)
        outgoing.again = True
        await super().begin()

    async def _follow(self, known: PendingRun) -> None:
        """Take the reply that is kept, or ask the gateway."""
        if not known.text or known.end not in ("final", "aborted") or self._details:
            await self._take_up()
            return
        self._begun = self._is_over = True
        self._life.recall(known.text, aborted=known.end == "aborted")
        self._act()

    # Carrying out.

    def _new_outgoing(self, request: ChatRequest, method: str | None = None) -> RecordedOutgoing:
        ends = self._on_written, self._on_answer, self._on_concluded
        return RecordedOutgoing(self._record, request, self._context, self._limits, *ends, method)

    def _act(self) -> None:
        learned = self._life.learned
        if learned != self._noted:
            self._noted = learned
            self._record.note(RunChange(self._life.run_id, *learned))
        super()._act()

    def _send_again(self) -> None:
        if self._sending is None or self._sending.done():
            self._sending = asyncio.get_running_loop().create_task(self._write_again(), name="openclaw-send")

    async def _write_again(self) -> None:
        """Once more, written down before: with the gateway's process that gets it."""
        requests = self._context.methods.requests
        connection = requests.usable
        if connection is None:
            # Asked again when there is one.
            return
        if self._outgoing is None:
            self._outgoing = self._resending()
        outgoing = self._outgoing
        assert isinstance(outgoing, RecordedOutgoing)
        outgoing.again = True
        try:
            await outgoing.write_down(connection)
            if requests.usable is connection and not self._life.ended:
                outgoing.write(connection)
        except JournalError:
            # The journal has told it. Nothing was sent: the run is asked about again behind a silence.
            return
        except GatewayError as error:
            self._life.refused(error)
            self._act()

    # The end.

    def _end(self, outcome: Outcome) -> None:
        reached = self._life.contact is not Contact.AWAY
        change = end_of(self._life.run_id, outcome, reached=reached, adopted=self._adopted)
        if change is not None:
            self._is_over = True
            self._record.note(change)
        super()._end(outcome)

    def _shut(self, reply: ChatReply | None = None) -> str | None:
        if self._sending is not None:
            self._sending.cancel()
        return super()._shut(reply)

    def _go_on_unheard(self) -> None:
        """Its end is to be noted, whoever has gone."""
        if not self._begun:
            super()._go_on_unheard()
            return
        if self._outgoing is not None:
            self._outgoing.stop_listening()
        self._consumer = NULL_CONSUMER
        self._life.emit = NULL_CONSUMER.put


def end_of(run_id: str, outcome: Outcome, *, reached: bool, adopted: bool) -> RunChange | None:
    """What is written down of an outcome; None where the run may go on, and stays on the list.

    Args:
        run_id: The run.
        outcome: What its driver makes of it.
        reached: Whether there is a connection: without one nothing is known of the run.
        adopted: Nobody asked for it, and nothing was sent that could have been.
    """
    if isinstance(outcome, ChatReply):
        return RunChange(run_id, end=_STATES[outcome.state], text=outcome.text)
    if isinstance(outcome, RunErrored):
        return RunChange(run_id, end="failed")
    if isinstance(outcome, Refused):
        refused = isinstance(outcome.error, RequestFailed | PayloadTooLarge | UsageError)
        return RunChange(run_id, unsent=True) if refused else None
    if not reached or (adopted and isinstance(outcome, Unknown)):
        return None
    if isinstance(outcome, OutOfReach | Unknown) and outcome.cause is None:
        return RunChange(run_id, end="lost" if isinstance(outcome, OutOfReach) else "unknown")
    return None


_STATES: Final[dict[str, End]] = {"final": "final", "aborted": "aborted"}
