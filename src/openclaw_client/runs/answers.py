"""What pages of the history make of a run: its answer, where it goes on, or that it is lost."""

from __future__ import annotations

from dataclasses import replace
from math import inf

from openclaw_client.errors import ConnectionLost, GatewayError, NotConnected, RequestFailed
from openclaw_client.runs.deferral import (
    CUT,
    NO_REPLY,
    Answer,
    Deferred,
    DeferredFacts,
    Goes,
    Gone,
    LookFor,
    Patience,
    Silence,
    decide_deferred,
    deferred_rows,
)
from openclaw_client.runs.events import RunAborted, RunCompleted, RunDeferred, RunErrored, Terminal
from openclaw_client.runs.peer import Peer
from openclaw_client.runs.phases import Contact, Follow, Inquiry, NotFound, Phase, Send, Step, Unknown
from openclaw_client.runs.process import RunProcess
from openclaw_client.runs.recovery import (
    GIVE_UP,
    Answered,
    AskAgain,
    Continue,
    Decision,
    Finding,
    Finish,
    LocalFacts,
    Lost,
    Resend,
    Unanswered,
    cut_rows,
    decide,
    look_up,
)
from openclaw_client.runs.rows import MessageQuery, is_pending, reaches, was_reset
from openclaw_client.runs.usage import from_rows
from openclaw_client.wire.history import HistoryMessage, HistoryPage
from openclaw_client.wire.limits import MAX_HISTORY_LIMIT

MAX_RECEIPT_ID = 256
"""Characters of a run id up to which a gateway lists what waits; longer ones it leaves out (2026.9.6)."""

MIN_LOOKS = 3
"""Pages that have to say the same before it counts: on a slow line seconds alone are one or two pages."""

SILENT = "its own events show that it had nothing to say"


class RunAnswers(RunProcess):
    """A run that reads pages."""

    __slots__ = (
        "_announced",
        "_at_last",
        "_following",
        "_look_from",
        "_looking",
        "_looks",
        "_may_send",
        "_sought",
        "_told_deferred",
    )

    # The run that the last page named for the one that writes the answer.
    _announced: str | None
    # What is true after a long silence of the session.
    _at_last: Silence | Gone | None
    # Whether the events of the run that answers are taken for this one's.
    _following: bool
    _look_from: float
    _looking: LookFor | None
    _looks: int
    # Whether the whole message is known, and somebody asks for its run.
    _may_send: bool
    # Whether only the id is known, and not whether there is such a run.
    _sought: bool
    _told_deferred: bool

    @property
    def followed(self) -> str | None:
        """The run whose events are taken for this one's, and that answers nobody else; None for its own."""
        alone = self._following and self._answered_by != self._merged_into
        return self._answered_by if alone else None

    def page_params(self, peer: Peer) -> dict[str, list[str]]:
        """What to ask the history for beside the rows: of several messages in one row their words tell, and a receipt
        tells better."""
        named = self.deferred and peer.gives_receipts and len(self.run_id) <= MAX_RECEIPT_ID
        return {"inputRunIds": [self.run_id]} if named else {}

    def reaches(self, page: HistoryPage, peer: Peer) -> bool:
        """Whether a page goes back far enough to hold all that there is about the run."""
        return reaches(page, self._question(peer))

    def cut_rows(self, page: HistoryPage, peer: Peer) -> list[HistoryMessage]:
        """The rows of the answer that the gateway has cut."""
        if self.deferred or self._following:
            return [row for row in deferred_rows(page, self._question(peer)) if row.is_cut]
        return cut_rows(page, self._question(peer))

    def page(
        self,
        number: int,
        page: HistoryPage,
        peer: Peer,
        now: float,
        wall: float,
        *,
        up: bool = True,
        busy: bool = False,
    ) -> None:
        """The page that was asked for by this number.

        wall: seconds since 1970. up: whether the connection is still there. busy: whether a run of the session other
        than this is heard and not over.
        """
        if not self._inquiry.accepts(number):
            return
        self._elsewhere = self._elsewhere or is_pending(page, self.run_id)
        if self.deferred or self._following:
            self._on_deferred_page(page, peer, now, up=up, busy=busy)
            return
        finding = look_up(page, self._question(peer))
        if isinstance(finding, Unanswered) and (self._ended_before == "ok" or (self._elsewhere and finding.sent)):
            # It had nothing to say, or it waits for another run, or was taken up by one: its key is answered alike.
            self._move(Step.SHOWN)
            self._begin_deferral(now)
            self._on_deferred_page(page, peer, now, up=up, busy=busy)
            return
        self._learn(page, finding)
        decision = self._decide(page, finding, peer, now, wall)
        if not up and not isinstance(decision, Finish):
            # The answer came with the end of its connection, perhaps in one packet: the next one is asked.
            self._inquiry.stop()
        elif isinstance(decision, AskAgain):
            self._inquiry.pause(now)
        else:
            self._inquiry.rest(now)
            self._carry_out(decision, now)

    def page_failed(self, number: int, error: GatewayError, now: float) -> None:
        """The page cannot be had."""
        if not self._inquiry.accepts(number):
            return
        if isinstance(error, ConnectionLost | NotConnected):
            # Another connection, another question.
            self._inquiry.stop()
            return
        refused = isinstance(error, RequestFailed) and not error.retryable
        self._refusals += refused
        if refused and self._was_silent:
            self._finish_empty(SILENT)
        elif refused and self._refusals > 1 and self._is_unanswered:
            # Once may be a moment of the gateway's.
            self._lose("the gateway does not say what became of it", error)
        elif self.deferred:
            self._inquiry.look_later(now)
        elif isinstance(error, RequestFailed) and error.retryable and self._inquiry.tries_left > 0:
            self._inquiry.pause(now)
        else:
            self._inquiry.rest(now)

    # What a page says while the run is this message's own.

    @property
    def _is_unanswered(self) -> bool:
        """Whether nothing is known of the run since the connection went, or since it was said to be over."""
        return self._unresumed or self._ended_before is not None or self.deferred or self._sought

    @property
    def _was_silent(self) -> bool:
        """Whether the run was heard from its beginning to its end, and had no words."""
        return self.deferred and self._began and self._ended_before is None and not self.text

    @property
    def _was_missed(self) -> bool:
        """Whether the end of the run came in no event."""
        return self._unresumed or self._ended_before is not None

    def _question(self, peer: Peer) -> MessageQuery:
        clock_ms, sent = None, self._sent
        if sent is not None:
            clock_ms = sent.clock_ms
            if clock_ms is None and sent.sent_at and peer.clock_offset is not None:
                clock_ms = (sent.sent_at + peer.clock_offset) * 1000
        run_id = self.run_id if self.deferred or self._following else self._reply_id
        # Messages that wait together wait in one process's memory.
        alone = not self._elsewhere or self._restarted(peer) is not False
        before, digest = self._ended_before is not None, sent.digest if sent is not None else ""
        return MessageQuery(run_id, self.message, clock_ms, before=before, alone=alone, digest=digest)

    def _learn(self, page: HistoryPage, finding: Finding) -> None:
        """Which conversation the message stands in: one that shows it. A reset begins another one, on most releases."""
        shown = not isinstance(finding, Unanswered) or finding.sent
        if shown and self._sent is not None and self._sent.session_id is None:
            self._sent = replace(self._sent, session_id=page.session_id)

    def _decide(self, page: HistoryPage, finding: Finding, peer: Peer, now: float, wall: float) -> Decision:
        question, sent = self._question(peer), self._sent
        known_id = sent.session_id if sent is not None else None
        other = (known_id is not None and page.session_id not in (None, known_id)) or was_reset(page, question)
        short = not reaches(page, question) and (page.has_more is True or len(page.messages) >= MAX_HISTORY_LIMIT)
        age = max(now - self._sent_now, wall - sent.sent_at) if sent is not None else 0.0
        silent = self._inquiry.silent
        facts = LocalFacts(
            self.acknowledged,
            restarted=self._restarted(peer),
            patient=self._inquiry.tries_left > 0,
            stopped=self._cut_short or self._ended_before == "aborted",
            deaf=silent and (self.contact is not Contact.HEARD or self._missed) and self._key_lives(now, wall),
            silent=silent,
            early=peer.writes_early,
            age=age,
            may_send=self._may_send,
            stale=silent and self._silence(now) >= GIVE_UP,
            missing="reset" if other else "short" if short else None,
        )
        if self._sought and isinstance(finding, Unanswered) and not (finding.sent or self.acknowledged):
            return AskAgain() if facts.patient else Unknown()
        return decide(finding, facts)

    def _carry_out(self, decision: Decision, now: float) -> None:
        if isinstance(decision, Continue):
            self._goes_on(decision.text, now, alive=decision.alive)
        elif isinstance(decision, Finish):
            self._settle(decision.answer)
        elif isinstance(decision, Resend):
            self._actions.append(Send())
        elif isinstance(decision, Lost):
            self._give_up(decision.part, forgotten=decision.forgotten)
        elif isinstance(decision, Unknown):
            if self._sought:
                self._end(NotFound())
            else:
                self._leave_unknown()

    def _goes_on(self, text: str | None, now: float, *, alive: bool = True) -> None:
        """The run goes on; text is what it has written, None where that is not known. alive: whether that was seen."""
        if self.phase is Phase.OVER:
            # The gateway said that it is over: it is the message that waits.
            self._defer(now)
            return
        self._move(Step.SHOWN)
        if alive:
            self._clock.sign(now)
        else:
            # Not a sign: the gateway may have forgotten the key by the next time.
            self._clock.asked(now)
        self._tell_resumed()
        self._settle_flag()
        if text is not None:
            self._fast_until = -inf
            self._emit_all(self._fold.resume(text))

    def _give_up(self, part: str | None, *, forgotten: bool) -> None:
        if part is None:
            self._lose(NO_REPLY, forgotten=forgotten)
            return
        self._show_part(part)
        self._lose(CUT, forgotten=forgotten)

    def _show_part(self, part: str) -> None:
        self._tell_resumed()
        if part.startswith(self.text):
            self._emit_all(self._fold.resume(part))

    def _settle(self, answer: Answered) -> None:
        """The run is over, with this answer."""
        self._recovered = not self.deferred or self._was_missed
        self._answered_by = answer.run_id or self._answered_by
        self._merged_into = answer.merged_into or self._merged_into
        self.steered = answer.steered
        self._tell_resumed()
        self._finish(self._terminal(answer))

    def _terminal(self, answer: Answered) -> Terminal:
        if answer.stop_reason == "aborted" or self._ended_before == "aborted" or self._cut_short:
            # Before the error, which such a row has as well.
            return RunAborted(self.run_id, answer.text or self.text, answer.stop_reason)
        if answer.error is not None:
            return RunErrored(self.run_id, answer.error, answer.text or self.text)
        if not answer.text:
            self.empty_because = "the history shows an empty answer"
        details = from_rows(answer.rows)
        return RunCompleted(
            self.run_id,
            answer.text,
            answer.stop_reason,
            details.usage,
            content=details.content,
            model=details.model,
            provider=details.provider,
        )

    # What a page says while the message is answered elsewhere.

    def _defer(self, now: float) -> None:
        """The run ended without words: look where the message is answered."""
        self._begin_deferral(now)
        self._ask(self._inquiry.ask())
        if self._inquiry.state is not Inquiry.READING:
            self._inquiry.look_soon(now)

    def _begin_deferral(self, now: float) -> None:
        self._move(Step.NO_WORDS)
        self._looking = None
        self._clock.session_sign = max(self._clock.session_sign, now)

    def _on_deferred_page(self, page: HistoryPage, peer: Peer, now: float, *, up: bool, busy: bool) -> None:
        facts = DeferredFacts(
            self._began,
            busy,
            self.quick,
            self._restarted(peer),
            self._missed,
            ended=self._ended_before == "ok",
            stopped=self._cut_short or self._ended_before == "aborted",
            aside=bool(self._fold.side_results),
            waited=self._told_deferred,
            spoke=bool(self.text),
        )
        found = decide_deferred(page, self._question(peer), facts)
        if not up and not isinstance(found, Answer):
            self._inquiry.stop()
            return
        if not isinstance(found, Goes):
            self._announced = None
        waited = self._at_last is not None
        self._at_last = found.then if isinstance(found, Patience) else None
        if self._at_last is not None and not waited:
            # Silence counts from here on: none was to be heard while the connection was away.
            self._clock.asked(now)
        self._clock.unanswered = self._at_last is not None
        if isinstance(found, LookFor):
            found = self._look(found, now)
        else:
            self._looking = None
        self._act(found, now)

    def _look(self, looking: LookFor, now: float) -> Deferred:
        if self._looking is None or self._looking.then != looking.then:
            self._looking, self._look_from, self._looks = looking, now, 0
        self._looks += 1
        return looking.then if now - self._look_from >= looking.seconds and self._looks >= MIN_LOOKS else looking

    def _act(self, found: Deferred, now: float) -> None:
        if isinstance(found, Answer):
            self._settle(found.answered)
        elif isinstance(found, Silence):
            self._recovered = self._was_missed
            self._tell_resumed()
            self._finish_empty(SILENT)
        elif isinstance(found, Gone):
            if found.part is not None:
                self._show_part(found.part)
            self._lose(found.what, forgotten=found.forgotten)
        elif isinstance(found, Goes):
            self._goes_elsewhere(found, now)
        elif isinstance(found, Patience) and not self.deferred:
            self._inquiry.rest(now)
            self._goes_on(None, now)
        else:
            self._tell_resumed()
            self._inquiry.look_later(now)
            if isinstance(found, LookFor) and now < (until := self._look_from + found.seconds):
                self._inquiry.due = min(self._inquiry.due, until)
            silent = self._began or (isinstance(found, LookFor) and isinstance(found.then, Silence))
            if self.deferred and not self._told_deferred and not silent:
                self._told_deferred = True
                self.emit(RunDeferred(self.run_id))

    def _goes_elsewhere(self, found: Goes, now: float) -> None:
        """Another run writes the answer, where the next page says so, too.

        A gateway reads the rows first and then which run is in flight: on a busy machine the answer may have been
        written in between, and the run be that of a later message (2 of 240 messages on 2026.9.6).
        """
        if self._following and found.run_id == self._answered_by:
            # Another message may have come into it since.
            self._merged_into = found.run_id if found.shared else self._merged_into
            self._inquiry.rest(now)
            self._goes_on(found.text, now)
        elif found.run_id == self._announced:
            self._follow(found, now)
        else:
            self._announced = found.run_id
            self._tell_resumed()
            self._inquiry.confirm(now)

    def _follow(self, found: Goes, now: float) -> None:
        """The events of the run that writes the answer are this one's from now on."""
        self._inquiry.rest(now)
        self._fold.follow()
        self._following = True
        self._move(Step.FOUND)
        self._clock.sign(now)
        self._answered_by = found.run_id
        self._merged_into = found.run_id if found.shared else self._merged_into
        self.run_ids = [*dict.fromkeys([*self.run_ids, found.run_id])]
        self._actions.append(Follow(found.run_id))
        self._tell_resumed()
        self._settle_flag()
        if found.text:
            self._emit_all(self._fold.resume(found.text))
