"""What a run is at any moment, and the one way in which it ends.

Knows phases, the text and the outcome. Refuses to know what brings a run from one to the next; see `runs.life`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import inf

from openclaw_client.errors import GatewayError
from openclaw_client.runs.activity import OVER, QUEUED, RECONNECTING, THINKING, WAITING, Activity
from openclaw_client.runs.clock import SILENCE, RunClock, RunLimits
from openclaw_client.runs.details import HeardDetails
from openclaw_client.runs.events import (
    ChatReply,
    Reconnecting,
    Resumed,
    RunAborted,
    RunCompleted,
    RunErrored,
    RunEvent,
    Terminal,
)
from openclaw_client.runs.fold import RunFold
from openclaw_client.runs.inquiry import InquiryClock
from openclaw_client.runs.peer import Peer, SentRun
from openclaw_client.runs.phases import (
    TRANSITIONS,
    Action,
    Ask,
    Contact,
    End,
    Outcome,
    OutOfReach,
    Phase,
    Step,
    Unknown,
)

Emit = Callable[[RunEvent], None]


class RunState:
    """emit gets every event for the reader, in order; it may be set anew when the reader leaves.

    phase, contact, and run_ids: the run's own id, and those of the runs whose events count as its own.
    """

    __slots__ = (
        "_acked_at",
        "_actions",
        "_answered_by",
        "_away",
        "_began",
        "_beside",
        "_clock",
        "_cut_short",
        "_doubtful",
        "_elsewhere",
        "_ended_before",
        "_fast_until",
        "_fold",
        "_inquiry",
        "_merged_into",
        "_missed",
        "_peer",
        "_plain",
        "_recovered",
        "_refusals",
        "_reply_id",
        "_sent",
        "_sent_now",
        "_sent_wall",
        "_stopped",
        "_unresumed",
        "_wants_details",
        "_writings",
        "_written_now",
        "contact",
        "emit",
        "empty_because",
        "message",
        "phase",
        "quick",
        "run_id",
        "run_ids",
        "session_key",
        "steered",
    )

    def __init__(
        self,
        run_id: str,
        session_key: str,
        message: str,
        emit: Emit,
        limits: RunLimits,
        *,
        quick: bool = False,
        details: bool = False,
    ) -> None:
        self.run_id = run_id
        self.session_key = session_key
        self.message = message
        self.emit = emit
        # Whether the message is a command, to which no answer is needed.
        self.quick = quick
        self.run_ids = [run_id]
        self.phase = Phase.UNSENT
        self.contact = Contact.TOLD
        # Whether the message was taken up by a run that goes on for somebody else, too.
        self.steered = False
        # Why an empty reply is the true one; None where the reply has words.
        self.empty_because: str | None = None
        # Whether somebody will ask for usage and files.
        self._wants_details = details
        self._beside: HeardDetails | None = None
        self._fold = RunFold(run_id)
        self._reply_id = run_id
        self._clock = RunClock(limits)
        self._inquiry = InquiryClock()
        self._actions: list[Action] = []
        # One flag for all that a delta would have to ask: whether there is nothing to be done about it but its text.
        self._plain = False
        self._fast_until = -inf
        self._peer: Peer | None = None
        self._sent: SentRun | None = None
        self._sent_now = self._sent_wall = self._acked_at = 0.0
        # The monotonic clock at the last sending; None for a run that was sent by another process.
        self._written_now: float | None = None
        self._writings = self._refusals = 0
        self._away: GatewayError | None = None
        # Whether the reader was told of a loss, and not yet of the return.
        self._unresumed = False
        self._doubtful = False
        self._began = False
        # Whether an event of the run may have been missed.
        self._missed = False
        # Whether it is certain that the message is answered in another run.
        self._elsewhere = False
        self._cut_short = False
        self._recovered = False
        self._ended_before: str | None = None
        self._answered_by: str | None = None
        self._merged_into: str | None = None
        self._stopped: tuple[str, ...] = ()

    @property
    def ended(self) -> bool:
        return self.phase is Phase.ENDED

    @property
    def text(self) -> str:
        """The text so far."""
        return self._fold.text

    @property
    def sent_run(self) -> SentRun | None:
        """What another process needs to follow the run, as far as it is known now; None before the first byte."""
        if self._sent is None or not self.acknowledged:
            return self._sent
        return replace(self._sent, acknowledged=True, answered_run=self._answered_by)

    @property
    def learned(self) -> tuple[bool, str | None, str | None]:
        """What became known behind the sending: whether the gateway took the message, which run answers it where that
        is another one, and in which conversation it stands."""
        sent = self._sent
        if sent is None:
            return False, None, None
        return self.acknowledged, self._answered_by if self.acknowledged else sent.answered_run, sent.session_id

    @property
    def away_error(self) -> GatewayError | None:
        """How the connection went, while nothing is known of the run since."""
        return self._away

    @property
    def heard_at(self) -> float:
        """When something of the run came last, by the clock of `now`; 0.0 before the first."""
        return self._clock.last_sign

    @property
    def command(self) -> str | None:
        """The command of the latest tool that has one."""
        return self._fold.command

    @property
    def acknowledged(self) -> bool:
        """Whether the gateway took the message: said by the response, an event or the history."""
        return self.phase not in (Phase.UNSENT, Phase.SENT)

    @property
    def deferred(self) -> bool:
        return self.phase is Phase.DEFERRED

    def time_left(self, now: float) -> float | None:
        """Seconds of the caller's limit for the whole; None for no limit."""
        return self._clock.time_left(now)

    @property
    def activity(self) -> Activity:
        if self.ended:
            return OVER
        if self._unresumed:
            return RECONNECTING
        if self.deferred:
            return WAITING
        activity = self._fold.activity
        return THINKING if activity is QUEUED and self.acknowledged else activity

    def actions(self) -> list[Action]:
        """What is to be done since the last call, in order."""
        actions, self._actions = self._actions, []
        return actions

    def deadline(self) -> float:
        """When `handle_deadline` is to be called, by the clock of `now`; inf: not yet."""
        if self.ended:
            return inf
        clock = self._clock
        quiet_at = clock.quiet_at if self._may_ask_in_silence else inf
        unanswered_at = clock.unanswered_at if self.deferred else inf
        return min(clock.limit_at, clock.away_at, self._inquiry.due, unanswered_at, quiet_at)

    # Inside.

    @property
    def _may_ask_in_silence(self) -> bool:
        return self.contact is not Contact.AWAY and self.phase not in (Phase.UNSENT, Phase.DEFERRED)

    def _move(self, step: Step) -> None:
        self.phase = TRANSITIONS[self.phase, step]
        self._settle_flag()

    def _settle_flag(self) -> None:
        self._plain = (
            self.phase is Phase.TAKEN
            and self.contact is Contact.HEARD
            and not self._unresumed
            and self._clock.silence_timeout == SILENCE
        )
        if not self._plain:
            self._fast_until = -inf

    def _ask(self, number: int | None) -> None:
        if number is not None:
            self._actions.append(Ask(number))

    def _tell_lost(self) -> None:
        """Tell the reader of a loss; once until the return is told."""
        if not self._unresumed:
            self._unresumed = True
            self.emit(Reconnecting(self.run_id))

    def _tell_resumed(self) -> None:
        """What is known of the run comes over a connection that is there."""
        if self._unresumed:
            self._unresumed, self._away = False, None
            self.emit(Resumed(self.run_id))

    def _emit_all(self, events: tuple[RunEvent, ...]) -> None:
        for event in events:
            self.emit(event)
        if self._fold.outcome is not None:
            self._conclude(self._fold.outcome)

    def _finish(self, outcome: Terminal) -> None:
        """End the run with an outcome known from elsewhere."""
        self._emit_all(self._fold.finish(outcome))

    def _finish_empty(self, reason: str) -> None:
        """End the run with an empty reply: the only way to one, and never without a reason."""
        self.empty_because = reason
        self._finish(RunCompleted(self.run_id, ""))

    def _lose(self, what: str, cause: GatewayError | None = None, *, forgotten: bool = False) -> None:
        """How the run ended cannot be found out."""
        self._end(OutOfReach(what, cause or self._away, forgotten))

    def _leave_unknown(self, cause: GatewayError | None = None) -> None:
        """Whether the message ran cannot be found out."""
        self._end(Unknown(cause or self._away))

    def _conclude(self, outcome: Terminal) -> None:
        self._end(outcome if isinstance(outcome, RunErrored) else self._reply(outcome))

    def _reply(self, outcome: RunCompleted | RunAborted) -> ChatReply:
        completed = isinstance(outcome, RunCompleted)
        return ChatReply(
            text=outcome.text,
            run_id=self._reply_id,
            state="final" if completed else "aborted",
            session_key=self.session_key,
            stop_reason=outcome.stop_reason,
            usage=outcome.usage if isinstance(outcome, RunCompleted) else None,
            content=outcome.content,
            model=outcome.model if isinstance(outcome, RunCompleted) else None,
            provider=outcome.provider if isinstance(outcome, RunCompleted) else None,
            recovered=self._recovered,
            merged_into=self._merged_into,
            aborted_run_ids=self._stopped,
            side_results=tuple(self._fold.side_results),
            answered_by=self._answered_by,
        )

    def _end(self, outcome: Outcome) -> None:
        if not self.ended:
            self._move(Step.OUTCOME)
            self._inquiry.stop()
            self._actions = [End(outcome)]
