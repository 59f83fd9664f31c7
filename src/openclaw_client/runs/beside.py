"""What is told of a run beside its chat events: tools and phases, rows, side results, what waits for people.

Knows what each of them changes of the run. Refuses to know its text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from openclaw_client.runs.answers import RunAnswers
from openclaw_client.runs.clock import SILENCE_AFTER_ABORT, SILENCE_AFTER_ERROR
from openclaw_client.runs.details import DetailsSearch, HeardDetails, ReplyDetails
from openclaw_client.runs.events import ApprovalEvent, FileSent, QuestionEvent
from openclaw_client.runs.inquiry import TRIES
from openclaw_client.runs.peer import Peer
from openclaw_client.runs.phases import Contact, Phase, Step
from openclaw_client.runs.usage import from_row
from openclaw_client.wire.agent import AgentPayload
from openclaw_client.wire.chat import details_of
from openclaw_client.wire.history import HistoryMessage


class RunBeside(RunAnswers):
    """A run that hears all that is told of it."""

    __slots__ = ()

    def agent(self, payload: AgentPayload, now: float) -> None:
        """An agent event of the run."""
        self._clock.last_sign = now
        if not self._plain and not self._heard(now):
            return
        if payload.stream == "lifecycle":
            self._on_lifecycle(payload.fields(), now)
        elif self._wants_details and (media := payload.media):
            self._told_beside().media(media)
        self._emit_all(self._fold.agent(payload))

    def interaction(self, event: ApprovalEvent | QuestionEvent, now: float, *, patient: bool) -> None:
        """The run waits for a person, or no longer does. patient: whether its clocks stand still meanwhile, since
        somebody is there to answer."""
        if self.ended or self.phase is Phase.UNSENT:
            return
        self._emit_all(self._fold.interaction(event))
        self._clock.wait_for_people(patient and self._fold.waits_for_a_person, now)

    def row(self, row: HistoryMessage) -> None:
        """A row of the run was written down (`session.message`): what it took, where its last event does not tell, and
        the files that were sent."""
        if self.ended:
            return
        if row.role == "assistant":
            self._fold.note(from_row(row))
        for file in self._told_beside().row(row, self.session_key):
            self.emit(FileSent(self.run_id, file))

    @property
    def details(self) -> ReplyDetails | None:
        """What the events told of the reply's usage, model and files; None where they did not tell all of it."""
        return None if self._missed or self._answered_by is not None else self._told_beside().whole

    def details_search(self, peer: Peer) -> DetailsSearch:
        """What to look for in the history behind the end."""
        elsewhere, told = self._answered_by is not None, self._told_beside()
        run_id = self._answered_by or self._reply_id
        return DetailsSearch(
            question=replace(self._question(peer), run_id=run_id),
            session_key=self.session_key,
            media=None if self._missed or elsewhere else told.expected,
            names_files=peer.names_files,
        )

    def side_result(self, payload: Mapping[str, Any], now: float) -> None:
        """The answer to a `/btw` question."""
        self._clock.last_sign = now
        if self._plain or self._heard(now):
            self._emit_all(self._fold.side_result(payload))

    # Inside.

    def _told_beside(self) -> HeardDetails:
        """Made when the first row comes, or the first file is named: most runs have neither."""
        if self._beside is None:
            self._beside = HeardDetails()
        return self._beside

    def _heard(self, now: float, *, speaks: bool = False) -> bool:
        """An event of the run came while something was open; False where the run has ended."""
        if self.ended or self.phase is Phase.UNSENT:
            return False
        self.contact = Contact.HEARD
        self._clock.sign(now)
        # A page that was asked for before does not know of it.
        self._inquiry.tries_left = TRIES
        if self.deferred:
            if speaks:
                # The run that had no words speaks again.
                self._move(Step.FOUND)
                self._inquiry.stop()
        elif self.phase is Phase.SENT:
            self._move(Step.SHOWN)
        self._tell_resumed()
        self._settle_flag()
        return True

    def _on_lifecycle(self, data: Mapping[str, Any], now: float) -> None:
        phase = data.get("phase")
        if phase == "model":
            self._fold.note(details_of(data))
        elif phase == "start":
            if not self._following:
                # The run that is followed may start again, for another model; it stays another message's.
                self._began, self._elsewhere = True, False
            if self.deferred:
                self._move(Step.FOUND)
                self._inquiry.stop()
        elif phase in ("waiting-approval", "approval-resolved"):
            self._fold.wait_for_approval(data)
        elif phase == "error":
            self._clock.sign(now, SILENCE_AFTER_ERROR)
        if data.get("aborted") is True:
            self._cut_short = True
            self._clock.sign(now, SILENCE_AFTER_ABORT)
        self._settle_flag()
