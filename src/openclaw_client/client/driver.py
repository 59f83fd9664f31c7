"""One chat run from before its first byte to its one outcome. On the loop's thread, shared by both faces."""

from __future__ import annotations

import asyncio
from math import inf
from typing import TYPE_CHECKING

from openclaw_client.client import endings
from openclaw_client.client.chat import ChatRequest
from openclaw_client.client.clocks import RunClocks
from openclaw_client.client.inquiry import SILENCE, SILENCE_AFTER_ERROR, SILENCE_AFTER_GAP, Inquiry
from openclaw_client.client.sending import Sending
from openclaw_client.client.sink import NOBODY, RunSink
from openclaw_client.connection.connection import Connection
from openclaw_client.connection.shortcuts import Take
from openclaw_client.errors import (
    ClientClosed,
    ConnectionLost,
    GatewayError,
    OutcomeUnknown,
    RequestFailed,
    RequestTimeout,
    RunLost,
)
from openclaw_client.policy.redact import Redactor
from openclaw_client.policy.timeouts import Timeouts
from openclaw_client.runs.ack import EndedBefore, Stopped, read_ack
from openclaw_client.runs.activity import OVER, QUEUED, RECONNECTING, THINKING, Activity
from openclaw_client.runs.events import (
    ChatReply,
    Reconnecting,
    Resumed,
    RunCompleted,
    RunErrored,
    RunEvent,
    RunStarted,
    Terminal,
)
from openclaw_client.runs.fold import RunFold
from openclaw_client.runs.recovery import Answered
from openclaw_client.runs.text import UNCLEAR
from openclaw_client.wire.agent import AgentPayload
from openclaw_client.wire.chat import ChatPayload

if TYPE_CHECKING:
    from openclaw_client.client.engine import Engine


class RunDriver:
    """Sends one message and follows its run; `sink.end` is called exactly once."""

    def __init__(self, engine: Engine, request: ChatRequest, sink: RunSink, timeouts: Timeouts) -> None:
        self.request = request
        self.fold = RunFold(request.run_id)
        self.run_ids = [request.run_id]
        self.ended = False
        self._acknowledged = False
        self._acknowledged_at = 0.0
        # Whether no event of the run has come over this connection, so that its end may have been missed.
        self.unheard = False
        self._engine = engine
        self._sink = sink
        self.recovered = False
        self.merged_into: str | None = None
        self.stopped: tuple[str, ...] = ()
        # What the gateway said of a run that had ended before this message was sent: "ok" or "aborted".
        self.ended_before: str | None = None
        self._clocks = RunClocks(timeouts, self._time_out, self._on_silence)
        self._sending = Sending(engine, self, timeouts, self._on_ack)
        self._put = sink.put
        # One object, by which the shortcuts know this run.
        self._take: Take = self._on_bytes
        self._take_text = self.fold.reducer.take
        # Until when deltas take the short way: not in doubt, where each has to end the doubt.
        self._short_until = -inf
        self._inquiry = Inquiry(engine, self)
        self._away: ConnectionLost | None = None
        self._started = False
        self._doubtful = False
        self._held: tuple[RunEvent, ...] | None = None

    @property
    def sent(self) -> bool:
        """Whether the message went out."""
        return self._sending.sent

    async def begin(self) -> None:
        """Send the message. Raises what keeps it from being sent; everything later goes to the sink."""
        begun = asyncio.get_running_loop().time()
        self._inquiry.sent(await self._sending.begin())
        self._clocks.start(begun)

    def send_over(self, connection: Connection) -> None:
        """Send the message again with the same key."""
        try:
            self._sending.repeat(connection)
        except GatewayError as error:
            self._on_refusal(error)
        else:
            self._inquiry.sent(connection)

    @property
    def acknowledged(self) -> bool:
        """Whether the gateway took the message. An event of the run says so, too: it can come before the response."""
        return self._acknowledged or self._clocks.last_sign > 0

    @property
    def unanswered(self) -> bool:
        """Whether nothing is known of the run since the connection went, or since the gateway said that it is over."""
        return self._away is not None or self.ended_before is not None

    @property
    def alive_at(self) -> float:
        """When the run was last known to be alive, by the loop's clock."""
        return max(self._clocks.last_sign, self._acknowledged_at)

    @property
    def activity(self) -> Activity:
        if self.ended or self.left:
            return OVER
        if self._away is not None:
            return RECONNECTING
        activity = self.fold.activity
        return THINKING if activity is QUEUED and self.acknowledged else activity

    @property
    def left(self) -> bool:
        """Whether nobody listens any more."""
        return self._sink is NOBODY

    def leave(self) -> None:
        """The reader is gone. The run goes on at the gateway, and keeps its turn until it is over there."""
        if not self.ended and not self.left:
            self._go_on_unheard()

    def _go_on_unheard(self) -> None:
        if not self._sending.holds_turn:
            self._close()
            return
        # The time limits of whoever has gone may run out: nobody is told.
        self._sink = NOBODY
        self._put = NOBODY.put

    def forsake(self, error: ConnectionLost) -> None:
        """In a forked child: the run is the parent's. Its timers and turns are, too."""
        if not self.ended:
            self.ended = True
            self._sink.end(None, self._lost(f"{error.message}, where it goes on", error))

    # What comes from the gateway.

    def on_chat(self, payload: ChatPayload, now: float) -> None:
        """now: when it was received, by the loop's clock."""
        clocks = self._clocks
        clocks.last_sign = now
        if clocks.patience != SILENCE:
            clocks.sign_of_life()
        if self.unheard:
            self._on_event()
        if payload.state == "delta":
            # Nearly every event: at most one out of it, and never the end.
            event = self.fold.delta(payload)
            if event is not None:
                self._put(event)
            return
        events = self.fold.chat(payload)
        if events and self.fold.wordless and self._tells_where:
            # A silent answer, or a message that another run took up: the reply is to say which.
            self._held = events
            self._inquiry.where()
        else:
            self._emit(events)

    def short_way(self, data: bytes, until: float) -> Take | None:
        """Who takes the deltas that begin like this one, up to a time of the loop's clock; None where nobody can."""
        if self.fold.outcome is not None or not self.fold.reducer.expect(data):
            return None
        self._take_text = self.fold.reducer.take
        self._short_until = until
        return self._take

    def _on_bytes(self, data: bytes, expected: int, now: float) -> bool:
        """`on_chat`, for a frame that is nothing but the run's next delta; see `Take`."""
        if now >= self._short_until:
            return False
        event = self._take_text(data, expected)
        if event is UNCLEAR:
            return False
        self._clocks.last_sign = now
        if event is not None:
            self._put(event)
        return True

    def on_agent(self, payload: AgentPayload) -> None:
        self._on_event()
        if _is_lifecycle_error(payload):
            self._short_until = -inf
            self._clocks.sign_of_life(SILENCE_AFTER_ERROR)
        else:
            self._clocks.sign_of_life()
        self._emit(self.fold.agent(payload))

    def on_side_result(self, payload: dict[str, object]) -> None:
        self._on_event()
        self._clocks.sign_of_life()
        self._emit(self.fold.side_result(payload))

    def on_gap(self, *, certain: bool) -> None:
        """Events were lost. certain: of this connection; else perhaps somebody else's."""
        if self._held is not None:
            return
        if not certain:
            self._short_until = -inf
            self._clocks.doubt(SILENCE_AFTER_GAP)
        elif self.acknowledged:
            self._inquiry.doubt()
        else:
            # Whether the message was taken is told by the response, which cannot be lost without the connection.
            self._doubtful = True

    def on_end_of_another(self) -> None:
        """Another run of the session ended. Gateways of wire v3 send no event for a run that had to make way for it."""
        hello = self._engine.hello
        if hello is not None and hello.protocol == 3:
            self._short_until = -inf
            self._clocks.doubt(SILENCE_AFTER_GAP)

    def on_lost(self, error: ConnectionLost) -> None:
        """The connection is gone; the run goes on at the gateway, and the client will be back."""
        self.absorbed(None)
        if not self.ended:
            self._away, self.unheard, self._short_until = error, True, -inf
            self._sink.put(Reconnecting(self.fold.run_id))

    def on_return(self) -> None:
        """There is a connection again."""
        if not self.ended:
            self._inquiry.again()

    def on_gone(self, error: GatewayError) -> None:
        """The connection is gone for good."""
        self.absorbed(None)
        if self.ended:
            return
        self._away = error if isinstance(error, ConnectionLost) else self._away
        if self.acknowledged:
            self.lose(f"{error.message or 'the connection was lost'}; the run may go on at the gateway", error)
        else:
            self.leave_unknown(error)

    # What the inquiry finds out.

    def resumed(self, text: str | None) -> None:
        """The run goes on; text is what it has written, None where that is not known."""
        self._acknowledged = True
        self._short_until = -inf
        self._clocks.sign_of_life()
        self._is_back()
        if text is not None:
            self._emit(self.fold.resume(text))

    def absorbed(self, run_id: str | None) -> None:
        """The run ended without words; run_id is the run that took the message up, None where none did."""
        held, self._held = self._held, None
        if held is not None and not self.ended:
            self.merged_into = run_id or self.merged_into
            self._emit(held)

    def settle(self, answer: Answered) -> None:
        """The run ended unheard, with this answer."""
        self.recovered = True
        self.merged_into = answer.merged_into or self.merged_into
        if answer.run_id is not None:
            # Not for its events, which are over: for the reply.
            self.run_ids.append(answer.run_id)
        self._is_back()
        self._emit(self.fold.finish(endings.outcome(self, answer)))

    def lose(self, what: str, cause: GatewayError | None = None, *, forgotten: bool = False) -> None:
        """How the run ended cannot be found out. forgotten: the gateway was restarted, and knows the key no more."""
        self._end(None, self._lost(what, cause, forgotten=forgotten))

    def leave_unknown(self, cause: GatewayError | None = None) -> None:
        """Whether the message ran cannot be found out."""
        if isinstance(cause, ClientClosed):
            self._end(None, ClientClosed(message="disconnect() was called", sent=True))
            return
        self._end(None, endings.unknown(self, self._away, cause, self._engine.requests.known))

    # Inside.

    def _on_event(self) -> None:
        self.unheard = False
        self._is_back()

    def _is_back(self) -> None:
        """What is known of the run now comes over a connection that is there."""
        if self._away is not None:
            self._away = None
            self._sink.put(Resumed(self.fold.run_id))

    @property
    def _tells_where(self) -> bool:
        """Whether this gateway's history tells which run took a message up; those of wire v3 don't."""
        hello = self._engine.hello
        return self._held is None and hello is not None and hello.protocol >= 4

    def _on_ack(self, payload: object, error: GatewayError | None) -> None:
        if self.ended:
            return
        if error is not None:
            self._on_refusal(error)
            return
        self._acknowledged = True
        ack = read_ack(payload, self.request.run_id)
        if isinstance(ack, Stopped):
            self.stopped = ack.run_ids
            self._emit(self.fold.finish(RunCompleted(self.fold.run_id, "")))
            return
        if ack.run_id not in self.run_ids:
            # 2026.6.1 answers a repeated text with the run that is under way with it.
            self.run_ids.append(ack.run_id)
            self.merged_into = ack.run_id
            self._engine.router.add(self)
        if isinstance(ack, EndedBefore):
            if ack.status == "error":
                self._emit(self.fold.finish(RunErrored(self.fold.run_id, ack.message or "it failed", self.fold.text)))
                return
            # No event will come: the answer is in the history.
            self.ended_before = "aborted" if ack.status == "timeout" else "ok"
            self._inquiry.begin()
            return
        self._is_back()
        if not self._started:
            self._started = True
            self._sink.put(RunStarted(self.fold.run_id, ack.status))
        self._acknowledged_at = asyncio.get_running_loop().time()
        if ack.status == "in_flight":
            # Perhaps it has just ended (observed on 2026.4.15).
            self.unheard = self.unheard or not self._clocks.last_sign
            self._inquiry.begin()
        elif self._doubtful:
            self._inquiry.doubt()

    def _on_refusal(self, error: GatewayError) -> None:
        payload = error.payload if isinstance(error, RequestFailed) else None
        if isinstance(payload, dict) and payload.get("status") == "error":
            # A run with this key failed before; the gateway answers with the failure itself.
            self._emit(self.fold.finish(RunErrored(self.fold.run_id, error.message, self.fold.text)))
            return
        if isinstance(error, RequestTimeout) and self.acknowledged:
            # Only the response is late; the run has been heard of.
            return
        if isinstance(error, OutcomeUnknown):
            # The socket died before the response; what follows decides, in this very turn or after the reconnect.
            return
        if self._sending.repeated and (self.acknowledged or not isinstance(error, RequestFailed) or error.retryable):
            # It says nothing of the first sending. A run that the gateway took is asked about again.
            if not self.acknowledged:
                self.leave_unknown(error)
            return
        if isinstance(error, RequestTimeout):
            error.idempotency_key = self.request.run_id
            error.remedy = "chat_send() again with this idempotency_key doesn't run it twice"
        self._end(None, error)

    def _emit(self, events: tuple[RunEvent, ...]) -> None:
        for event in events:
            self._sink.put(event)
        # What is held back ends the run; what comes late meanwhile does not.
        if self.fold.outcome is not None and not self.ended and self._held is None:
            self._conclude(self.fold.outcome)

    def _conclude(self, outcome: Terminal) -> None:
        if isinstance(outcome, RunErrored):
            redactor = Redactor(self._engine.settings.secrets)
            self._end(None, endings.failed(self, outcome, redactor, self._engine.requests.known))
            return
        request, wordless = self.request, self.fold.wordless
        self._engine.catch_up.answered(request.session_key, request.message, outcome.text, wordless=wordless)
        self._end(endings.reply(self, outcome), None)

    def _lost(self, what: str, cause: GatewayError | None, *, forgotten: bool = False) -> RunLost:
        return endings.lost(self, what, cause or self._away, self._engine.requests.known, forgotten=forgotten)

    def _end(self, reply: ChatReply | None, error: GatewayError | None) -> None:
        if self.ended:
            return
        self._close()
        self._sink.end(reply, error)

    def _close(self) -> None:
        self.ended = True
        self._clocks.stop()
        self._inquiry.stop()
        self._engine.router.remove(self)
        self._sending.give_turn_back()

    def _on_silence(self) -> None:
        """Nothing was heard for a while: ask, and go on. Also after a return, where that question stayed unanswered."""
        self._inquiry.begin(silence=True)

    def _time_out(self, limit: str, seconds: float) -> None:
        # A run that is over is in no time limit any more.
        self.absorbed(None)
        if not self.ended:
            sink, error = self._sink, endings.timed_out(self, limit, seconds, self._engine.requests.known)
            self._go_on_unheard()
            sink.end(None, error)


def _is_lifecycle_error(payload: AgentPayload) -> bool:
    return payload.stream == "lifecycle" and payload.fields().get("phase") == "error"
