"""One run from before its first byte to its one outcome, as a machine without I/O.

Knows every rule about a run. Refuses to know connections, tasks and timers: every time is an argument, what is to be
done comes out of `actions()`, and events for the reader go to `emit`. The phases, and what moves a run from one to the
next, stand in `runs.phases`; what the history makes of a run, in `runs.answers`; what is told of it beside its chat
events, in `runs.beside`.

Whatever comes behind the end changes nothing. `now` is a monotonic clock, `wall` seconds since 1970.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec

from openclaw_client.errors import GatewayError, OutcomeUnknown, RequestFailed, RequestTimeout
from openclaw_client.runs.absence import RunAbsence
from openclaw_client.runs.ack import EndedBefore, Running, Stopped, read_ack
from openclaw_client.runs.answers import SILENT
from openclaw_client.runs.beside import RunBeside
from openclaw_client.runs.clock import SILENCE_AFTER_GAP, RunLimits
from openclaw_client.runs.events import RunAborted, RunCompleted, RunErrored, RunStarted
from openclaw_client.runs.peer import Delivery, Peer, SentRun, sent_run
from openclaw_client.runs.phases import Contact, Follow, Phase, Refused, Step, Tell
from openclaw_client.runs.state import Emit
from openclaw_client.runs.text import UNCLEAR, Taken
from openclaw_client.wire.chat import ChatPayload


class RunLife(RunBeside, RunAbsence):
    """message, quick: what is sent, and whether it is a command, whose silence is its answer. details: whether its
    reply is to say what it took, and which files came with it."""

    __slots__ = ("_started", "_take_text")

    def __init__(
        self,
        run_id: str,
        session_key: str,
        message: str,
        emit: Emit,
        limits: RunLimits = RunLimits(),  # noqa: B008 - frozen
        *,
        quick: bool = False,
        details: bool = False,
    ) -> None:
        super().__init__(run_id, session_key, message, emit, limits, quick=quick, details=details)
        self._following = self._sought = self._told_deferred = self._started = False
        self._may_send = True
        self._looking = self._at_last = self._announced = None
        self._look_from, self._looks = 0.0, 0
        self._take_text: Callable[[bytes, int], Taken] = self._fold.reducer.take

    # The message on its way.

    def begin(self, now: float) -> None:
        """The caller asks; from here the total limit counts."""
        self._clock.begin(now)

    def written(self, peer: Peer, now: float, wall: float, sending: Delivery = Delivery()) -> None:  # noqa: B008 - frozen
        """The message went out over this connection, in this way."""
        self._writings += 1
        self._peer, self._sent_wall, self._written_now = peer, wall, now
        if self._sent is None:
            self._sent_now = now
            self._sent = sent_run(self.run_id, self.session_key, self.message, sending, peer, wall)
        self._sent = replace(self._sent, protocol=peer.protocol, boot_id=peer.boot_id)
        self._clock.sent(now)
        self._move(Step.WRITTEN)

    def adopt(self, sent: SentRun, now: float, wall: float, *, may_send: bool = True) -> None:
        """Take up a run from stored facts. It is asked about when `back` says that there is a connection.

        may_send: whether its message may be sent, where it certainly did not run.
        """
        self._sent, self._sent_wall = sent, sent.sent_at
        self._sent_now = now - max(0.0, wall - sent.sent_at)
        self._may_send = may_send and bool(sent.message) and sent.complete
        self._writings, self.contact, self._missed = 1, Contact.AWAY, True
        self.phase = Phase.TAKEN if sent.acknowledged else Phase.SENT
        if sent.answered_run is not None:
            self.phase, self._answered_by, self._elsewhere = Phase.DEFERRED, sent.answered_run, True
        self._clock.sent(now)

    def recall(self, text: str, *, aborted: bool) -> None:
        """The run is over, and its text was kept: nothing is asked."""
        self._recovered = True
        self._finish(RunAborted(self.run_id, text) if aborted else RunCompleted(self.run_id, text))

    def seek(self, now: float) -> None:
        """Look for the run of an id that anybody sent; nothing else is known of it."""
        self._sought, self._may_send, self.contact, self.phase = True, False, Contact.AWAY, Phase.SENT
        self._missed = True
        self._sent_now = now
        self._clock.sent(now)

    def answered(self, payload: Any, now: float) -> None:
        """The response to the message."""
        if self.ended:
            return
        ack = read_ack(payload, self.run_id)
        if isinstance(ack, Stopped):
            self._stopped = ack.run_ids
            self._finish_empty("the message is a stop word")
            return
        if ack.run_id not in self.run_ids:
            # 2026.6.1 answers a repeated text with the run that is under way with it.
            self.run_ids.append(ack.run_id)
            self._reply_id = self._merged_into = ack.run_id
            self._actions.append(Follow(ack.run_id))
        if isinstance(ack, EndedBefore):
            self._on_ended_before(ack)
        else:
            self._on_running(ack, now)

    def refused(self, error: GatewayError) -> None:
        """The message was answered with an error, or not at all."""
        payload = error.payload if isinstance(error, RequestFailed) else None
        if self.ended or isinstance(error, OutcomeUnknown):
            # The socket died before the response; what follows decides, in this very turn or after the reconnect.
            return
        if isinstance(payload, dict) and payload.get("status") == "error":
            # A run with this key failed before; the gateway answers with the failure itself.
            self._finish(RunErrored(self.run_id, error.message, self.text))
        elif isinstance(error, RequestTimeout) and self.acknowledged:
            # Only the response is late; the run has been heard of.
            pass
        elif self._writings > 1 and (self.acknowledged or not isinstance(error, RequestFailed) or error.retryable):
            # It says nothing of the first sending. A run that the gateway took is asked about again.
            if not self.acknowledged:
                self._leave_unknown(error)
        else:
            self._end(Refused(error))

    def concluded(self, payload: Any, error: RequestFailed | None, now: float) -> None:
        """The second response to `agent`: the run is over. What its last event says counts, where it comes."""
        if self.ended:
            return
        ack = read_ack(payload, self.run_id)
        if error is None and isinstance(ack, EndedBefore) and ack.status == "error":
            error = RequestFailed(message=ack.message or "it failed")
        if error is not None:
            # Of a run that failed before its first step nothing else tells.
            self._finish(RunErrored(self.run_id, error.message, self.text))
        elif self.deferred:
            self._inquiry.look_soon(now)
        else:
            self._doubt(now)

    def abort_answered(self, run_ids: tuple[str, ...]) -> None:
        """chat.abort stopped these runs. Of a message that waits for another run nothing else tells."""
        if self.deferred and self.run_id in run_ids:
            self._finish(RunAborted(self.run_id, self.text, "rpc"))

    # What comes from the gateway.

    def delta(self, payload: ChatPayload, now: float) -> None:
        """A chat event whose state is "delta": nearly every event. Never yields an action."""
        self._clock.last_sign = now
        if not self._plain and not self._heard(now, speaks=True):
            return
        event = self._fold.reducer.delta(payload)
        if event is not None:
            self.emit(event)

    def expect(self, data: bytes, until: float) -> bool:
        """Whether frames that begin like this one, the latest of the run, can be given to `take` up to a time."""
        if not self._plain or not self._fold.reducer.expect(data):
            return False
        self._take_text = self._fold.reducer.take
        self._fast_until = until
        return True

    def take(self, data: bytes, expected: int, now: float) -> bool:
        """`delta`, for a frame that is nothing but the run's next delta; False where it must go the long way."""
        if now >= self._fast_until:
            return False
        event = self._take_text(data, expected)
        if event is UNCLEAR:
            return False
        self._clock.last_sign = now
        if event is not None:
            self.emit(event)
        return True

    def chat(self, payload: ChatPayload, now: float) -> None:
        """Any other chat event of the run."""
        self._clock.last_sign = now
        if not self._plain and not self._heard(now):
            return
        if self.deferred and payload.state == "error" and self._began:
            # 2026.9.6 sends a second end for some runs, and the first one counts.
            return
        if payload.state == "final" and self._cut_short:
            # 2026.5.12 sends a run that was interrupted a final of what it had written.
            payload = msgspec.structs.replace(payload, state="aborted")
        events = self._fold.chat(payload)
        if payload.state == "final" and self._fold.outcome is None:
            # A run that is followed and has no words was silent itself.
            self._began = self._began or self._following
            self._elsewhere = not self._began and (self._elsewhere or not self._missed)
            if not self.deferred:
                self._defer(now)
            return
        self._emit_all(events)

    def gap(self, now: float, *, certain: bool) -> None:
        """Events were lost. certain: of this connection; else perhaps somebody else's."""
        if self.ended or self.phase is Phase.UNSENT:
            return
        self._missed = True
        if self.deferred:
            self._inquiry.look_soon(now)
        elif not certain:
            self._doubt(now)
        elif self.acknowledged:
            self._ask(self._inquiry.doubt())
        else:
            # Whether the message was taken is told by the response, which cannot be lost without the connection.
            self._doubtful = True

    def other_ended(self, now: float) -> None:
        """Another run of the session ended."""
        if self.ended:
            return
        self._clock.session_sign = now
        if self.deferred:
            self._inquiry.look_soon(now)
        elif self._peer is not None and self._peer.protocol == 3:
            # Gateways of wire v3 send no event for a run that had to make way for another one.
            self._doubt(now)

    def session_heard(self, at: float) -> None:
        """When something of the session was heard last."""
        self._clock.session_sign = max(self._clock.session_sign, at)

    # Time.

    def handle_deadline(self, now: float) -> None:
        """Do what is due."""
        if self.ended:
            return
        clock = self._clock
        if now >= clock.limit_at:
            self._on_limit()
        if now >= clock.away_at:
            self._on_away_too_long()
        if self._at_last is not None and now >= clock.unanswered_at and self.deferred:
            self._act(self._at_last, now)
        if self.ended:
            return
        self._ask(self._inquiry.handle_deadline(now))
        if self._may_ask_in_silence and now >= clock.quiet_at:
            clock.asked(now)
            self._settle_flag()
            self._ask(self._inquiry.ask(silent=True))

    def close(self) -> None:
        """Nobody follows the run any more; no outcome is told."""
        if not self.ended:
            self._move(Step.OUTCOME)
            self._inquiry.stop()
            self._actions = []

    # Inside.

    def _on_running(self, ack: Running, now: float) -> None:
        self._move(Step.SHOWN)
        self._tell_resumed()
        if not self._started:
            self._started = True
            self.emit(RunStarted(self.run_id, ack.status))
        self._acked_at = now
        self._settle_flag()
        if ack.status == "in_flight":
            # Perhaps it has just ended (observed on 2026.4.15).
            if not self._clock.last_sign:
                self.contact = Contact.TOLD
                self._settle_flag()
            self._ask(self._inquiry.ask())
        elif self._doubtful:
            self._ask(self._inquiry.doubt())

    def _on_ended_before(self, ack: EndedBefore) -> None:
        if ack.status == "error":
            self._finish(RunErrored(self.run_id, ack.message or "it failed", self.text))
            return
        # No event will come: the answer is in the history.
        self._ended_before = "aborted" if ack.status == "timeout" else "ok"
        self._move(Step.ENDED_BEFORE)
        self._ask(self._inquiry.ask())

    def _doubt(self, now: float) -> None:
        self._clock.doubt(now, SILENCE_AFTER_GAP)
        self._settle_flag()

    def _on_limit(self) -> None:
        if self._was_silent:
            # A run that is over is in no time limit any more.
            self._finish_empty(SILENT)
        else:
            self._actions.append(Tell(*self._clock.limit_passed()))
