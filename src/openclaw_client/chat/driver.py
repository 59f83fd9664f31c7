"""Drives one run on the event loop: feeds the machine, carries out what it asks for, and arms its one timer.

Knows no rule about a run: they all stand in `runs.life`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from math import inf
from typing import Any

from openclaw_client.chat import outcomes
from openclaw_client.chat.address import RunAddress
from openclaw_client.chat.arguments import ChatRequest
from openclaw_client.chat.consumer import NULL_CONSUMER, RunConsumer
from openclaw_client.chat.context import RunContext
from openclaw_client.chat.details import LookUp
from openclaw_client.chat.held import HeldMessages
from openclaw_client.chat.history_pages import RUN_PAGE, completed, page_reaching
from openclaw_client.chat.outgoing import Outgoing
from openclaw_client.chat.sending import method_of, request_of
from openclaw_client.connection.connection import Connection
from openclaw_client.connection.fast_path import Take
from openclaw_client.errors import ConnectionLost, GatewayError, RequestFailed
from openclaw_client.policy.timeouts import Timeouts
from openclaw_client.runs.activity import OVER, Activity
from openclaw_client.runs.clock import RunLimits
from openclaw_client.runs.details import ReplyDetails, with_details
from openclaw_client.runs.events import ApprovalEvent, ChatReply, QuestionEvent, RunEvent
from openclaw_client.runs.life import RunLife
from openclaw_client.runs.offset import from_offset
from openclaw_client.runs.peer import CHAT_SEND, Delivery, SentRun
from openclaw_client.runs.phases import Ask, End, Follow, Outcome, OutOfReach, Send, Tell
from openclaw_client.wire.agent import AgentPayload
from openclaw_client.wire.chat import ChatPayload
from openclaw_client.wire.commands import is_command
from openclaw_client.wire.history import HistoryMessage


class RunDriver:
    """Sends one message, or looks for a run, and follows it; `consumer.end` is called exactly once."""

    def __init__(
        self, context: RunContext, what: ChatRequest | RunAddress, consumer: RunConsumer, limits: Timeouts
    ) -> None:
        self.session_key = what.session_key
        self._context = context
        self._consumer = consumer
        self._limits = limits
        self._address = what if isinstance(what, RunAddress) else None
        self._life = self._new_life(what, consumer, limits)
        # The machine's own, so that nothing stands between a delta and its text.
        self.on_delta: Callable[[ChatPayload, float], None] = self._life.delta
        # One object, by which the fast path knows this run.
        self._take: Take = self._life.take
        self._outgoing: Outgoing | None = None
        if isinstance(what, ChatRequest):
            self._outgoing = self._new_outgoing(what)
        self._begun = False
        self._timer: asyncio.TimerHandle | None = None
        self._armed = inf
        self._reading: asyncio.Task[None] | None = None
        self._held: HeldMessages | None = None
        self._details = what.details
        self._looking_up: LookUp | None = None

    def _new_life(self, what: ChatRequest | RunAddress, consumer: RunConsumer, limits: Timeouts) -> RunLife:
        run_limits = RunLimits(limits.total, limits.idle, limits.away)
        if isinstance(what, ChatRequest):
            hello = self._context.methods.hello
            version = hello.server.version if hello is not None else None
            # Of what goes to the model silence is no answer.
            quick = is_command(what.message, version) and method_of(what, version) == CHAT_SEND
            put, details = consumer.put, what.details
            return RunLife(what.run_id, what.session_key, what.message, put, run_limits, quick=quick, details=details)
        emit: Callable[[RunEvent], None] = from_offset(what.offset, consumer.put) if what.offset else consumer.put
        message = what.sent.message if what.sent is not None else ""
        return RunLife(what.run_id, what.session_key, message, emit, run_limits, details=what.details)

    # What a face has of it.

    @property
    def sent(self) -> bool:
        """Whether the message went out."""
        return self._begun

    @property
    def sent_run(self) -> SentRun | None:
        """What another process needs to follow the run; None before the first byte."""
        return self._life.sent_run

    @property
    def text(self) -> str:
        """The text so far."""
        return self._life.text

    @property
    def ended(self) -> bool:
        """Whether the consumer was told of the end."""
        return self._life.ended and self._looking_up is None

    @property
    def activity(self) -> Activity:
        if self._outgoing is not None and self._outgoing.waits_for_others:
            return Activity("waiting")
        return OVER if self.left else self._life.activity

    async def begin(self) -> None:
        """Send the message. Raises what keeps it from being sent; everything later goes to the consumer."""
        loop = asyncio.get_running_loop()
        self._life.begin(loop.time())
        if self._outgoing is not None:
            await self._outgoing.begin(self._register, self._unregister)
            self._begun = True
            self._act()
        else:
            await self._take_up()

    def leave(self) -> None:
        """The reader is gone. The run goes on at the gateway, and keeps its turn until it is over there."""
        if self._looking_up is not None:
            # It is over, and its reply is whole without what is still looked for.
            self._looking_up.finish()
        elif not self.ended and not self.left:
            self._go_on_unheard()

    @property
    def recorded(self) -> bool:
        """Whether it is written down, and `taken` says something."""
        return False

    def taken(self) -> None:
        """The caller has the end of the run."""

    # What the router knows of it.

    @property
    def run_ids(self) -> list[str]:
        return self._life.run_ids

    @property
    def heard_at(self) -> float:
        return self._life.heard_at

    @property
    def left(self) -> bool:
        """Whether nobody listens any more."""
        return self._consumer is NULL_CONSUMER

    @property
    def deferred(self) -> bool:
        return self._life.deferred

    @property
    def followed(self) -> str | None:
        return self._life.followed

    def on_chat(self, payload: ChatPayload, now: float) -> None:
        self._life.chat(payload, now)
        self._act()

    def on_agent(self, payload: AgentPayload, now: float) -> None:
        self._life.agent(payload, now)
        self._act()

    def on_side_result(self, payload: dict[str, object], now: float) -> None:
        self._life.side_result(payload, now)
        self._act()

    def on_row(self, row: HistoryMessage) -> None:
        self._life.row(row)

    def on_interaction(self, event: ApprovalEvent | QuestionEvent, *, patient: bool) -> None:
        self._life.interaction(event, self._now(), patient=patient)
        self._act()

    @property
    def command(self) -> str | None:
        return self._life.command

    def on_gap(self, *, certain: bool) -> None:
        self._life.gap(self._now(), certain=certain)
        self._act()

    def on_other_ended(self, now: float) -> None:
        self._life.other_ended(now)
        self._act()

    def on_aborted(self, run_ids: tuple[str, ...]) -> None:
        self._life.abort_answered(run_ids)
        self._act()

    def on_lost(self, error: ConnectionLost) -> None:
        self._life.lost(error, self._now())
        self._act()

    def on_back(self) -> None:
        self._life.back()
        self._act()

    def on_gone(self, error: GatewayError) -> None:
        self._life.gone(error)
        self._act()

    def after_fork(self, error: ConnectionLost) -> None:
        """In a forked child: the run is the parent's. Its timers and turns are, too."""
        if not self.ended:
            outcome = OutOfReach(f"{error.message}, where it goes on", error)
            self._life.close()
            self._consumer.end(None, outcomes.lost(self._life, outcome, self._context.methods.requests.facts.known))

    def fast_path(self, data: bytes, until: float) -> Take | None:
        return self._take if self._life.expect(data, until) else None

    # Beginning.

    def _register(self) -> None:
        self._context.registry.add(self)

    def _unregister(self) -> None:
        self._context.registry.remove(self)

    def _on_written(self, connection: Connection, sending: Delivery) -> None:
        first = self._life.sent_run is None
        self._life.written(self._context.methods.peer(connection), self._now(), time.time(), sending)
        sent = self._life.sent_run
        if first and sent is not None:
            self._context.on_sent(sent)

    async def _take_up(self) -> None:
        """Begin to follow a run that was sent before, here or elsewhere."""
        address, life, methods = self._address, self._life, self._context.methods
        assert address is not None
        limit = self._limits.request if self._limits.total is None else self._limits.total
        await methods.requests.ready_in(address.session_key, limit)
        self._register()
        self._begun = True
        if address.sent is not None:
            life.adopt(address.sent, self._now(), time.time(), may_send=not address.adopted)
        else:
            life.seek(self._now())
        life.back()
        self._act()

    def _on_answer(self, payload: Any, error: GatewayError | None) -> None:
        if error is not None:
            self._life.refused(error)
        else:
            self._life.answered(payload, self._now())
        self._act()

    def _on_concluded(self, payload: Any, error: RequestFailed | None) -> None:
        self._life.concluded(payload, error, self._now())
        self._act()

    # Carrying out.

    def _act(self) -> None:
        """Do what the machine asks for, and arm its timer."""
        life = self._life
        for action in life.actions():
            kind = type(action)
            if kind is Ask:
                self._read(action.number)  # type: ignore[union-attr]
            elif kind is Send:
                self._send_again()
            elif kind is Follow:
                self._register()
            elif isinstance(action, Tell):
                self._tell(action)
            elif isinstance(action, End):
                self._end(action.outcome)
                return
        if life.deferred and self._held is None and not life.ended:
            self._held = self._context.registry.hold(self.session_key)
        if life.deadline() < self._armed:
            self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._armed = self._life.deadline()
        self._timer = None
        if self._armed != inf:
            self._timer = asyncio.get_running_loop().call_at(self._armed, self._on_timer)

    def _on_timer(self) -> None:
        self._timer, self._armed = None, inf
        if self._life.deferred:
            self._life.session_heard(self._context.registry.heard_at(self))
        self._life.handle_deadline(self._now())
        self._act()

    def _send_again(self) -> None:
        connection = self._context.methods.requests.usable
        if connection is None:
            # Asked again when there is one.
            return
        try:
            if self._outgoing is None:
                self._outgoing = self._resending()
            self._outgoing.write(connection)
        except GatewayError as error:
            self._life.refused(error)
            self._act()

    def _resending(self) -> Outgoing:
        """What sends the message of a run that was taken up from stored facts."""
        sent = self._life.sent_run
        assert sent is not None
        return self._new_outgoing(request_of(sent), sent.method)

    def _new_outgoing(self, request: ChatRequest, method: str | None = None) -> Outgoing:
        ends = self._on_written, self._on_answer, self._on_concluded
        return Outgoing(self._context, request, self._limits, *ends, method)

    def _read(self, number: int) -> None:
        self._stop_reading()
        self._reading = asyncio.get_running_loop().create_task(self._read_page(number), name="openclaw-inquiry")

    async def _read_page(self, number: int) -> None:
        life, methods = self._life, self._context.methods
        try:
            connection = await methods.requests.ready(None)
            peer = methods.peer(connection)
            extra = life.page_params(peer)
            page = await page_reaching(methods, self.session_key, RUN_PAGE, partial(life.reaches, peer=peer), **extra)
            page = await completed(methods, self.session_key, page, partial(life.cut_rows, peer=peer), **extra)
        except GatewayError as error:
            life.page_failed(number, error, self._now())
        else:
            busy, up = self._context.registry.is_busy(self), connection.end is None
            life.page(number, page, peer, self._now(), time.time(), up=up, busy=busy)
        self._act()

    def _stop_reading(self) -> None:
        if self._reading is not None and self._reading is not asyncio.current_task():
            self._reading.cancel()
        self._reading = None

    # The end.

    def _end(self, outcome: Outcome) -> None:
        outcome = self._context.on_ended(tuple(self.run_ids), self.sent_run, outcome)
        reply = outcome if isinstance(outcome, ChatReply) else None
        heard = self._shut(reply)
        if reply is not None and reply.answered_by is None and heard is not None:
            # Rows of this release name no run; the one that was heard to end with these words does.
            outcome = replace(reply, answered_by=heard)
        requests = self._context.methods.requests
        redactor, known = self._context.redactor(), requests.facts.known
        told = outcomes.told(self._life, outcome, redactor, known, recorded=self.recorded)
        if isinstance(outcome, ChatReply) and self._details and not self.left:
            self._end_with_details(outcome)
        else:
            self._consumer.end(*told)

    def _end_with_details(self, reply: ChatReply) -> None:
        """Tell of the end when it is known what the reply took. Its turn was given back: the next message goes out."""
        if (known := self._life.details) is not None:
            self._consumer.end(with_details(reply, known), None)
            return

        def done(found: ReplyDetails) -> None:
            self._looking_up = None
            self._consumer.end(with_details(reply, found), None)

        context, left = self._context, self._life.time_left(self._now())
        self._looking_up = context.look_ups.begin(context.methods, self._life.details_search, left, done)

    def _shut(self, reply: ChatReply | None = None) -> str | None:
        """Give back all that the run has. Returns the run that was heard to end with the reply's words, if one was."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._stop_reading()
        self._unregister()
        held, self._held, heard = self._held, None, None
        if held is not None and reply is not None:
            # A run that took the message up is somebody else's message, too, unless these words are all that it said.
            heard = held.release(None if self._life.steered else reply.answered_by, reply.text)
        elif held is not None:
            held.release()
        if self._outgoing is not None:
            self._outgoing.stop()
        return heard if not self._life.steered else None

    def _tell(self, action: Tell) -> None:
        consumer, known = self._consumer, self._context.methods.requests.facts.known
        error = outcomes.timed_out(self._life, action.limit, action.seconds, known)
        self._go_on_unheard()
        consumer.end(None, error)

    def _go_on_unheard(self) -> None:
        if self._outgoing is None or not self._outgoing.holds_turn:
            self._life.close()
            self._shut()
            return
        self._outgoing.stop_listening()
        # The time limits of whoever has gone may run out: nobody is told.
        self._consumer = NULL_CONSUMER
        self._life.emit = NULL_CONSUMER.put

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
