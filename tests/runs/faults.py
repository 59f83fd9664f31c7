"""Faults to be planted in the machine of a run, one rule broken by each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from openclaw_client.runs import answers, deferral, process, recovery
from openclaw_client.runs.answers import RunAnswers
from openclaw_client.runs.clock import RunClock
from openclaw_client.runs.inquiry import InquiryClock
from openclaw_client.runs.life import RunLife
from openclaw_client.runs.peer import Peer, SentRun
from openclaw_client.runs.phases import Contact, End, Inquiry, Phase, Send
from openclaw_client.runs.rows import answers_after
from openclaw_client.runs.state import RunState

Patch = pytest.MonkeyPatch
Fault = Callable[[Patch], None]
FAULTS: dict[str, Fault] = {}


def fault(name: str) -> Callable[[Fault], Fault]:
    def note(plant: Fault) -> Fault:
        FAULTS[name] = plant
        return plant

    return note


@fault("a gap asks nothing")
def gap_asks_nothing(patch: Patch) -> None:
    patch.setattr(InquiryClock, "doubt", lambda self: None)


@fault("no second question after a gap during one")
def no_second_question(patch: Patch) -> None:
    def doubt(self: InquiryClock) -> int | None:
        return self._begin() if self.state is Inquiry.NONE else None

    patch.setattr(InquiryClock, "doubt", doubt)


@fault("silence asks nothing")
def silence_asks_nothing(patch: Patch) -> None:
    patch.setattr(RunState, "_may_ask_in_silence", False)


@fault("a return asks nothing")
def return_asks_nothing(patch: Patch) -> None:
    def back(self: RunLife) -> None:
        if not self.ended:
            self.contact = Contact.TOLD
            self._clock.back()

    patch.setattr(RunLife, "back", back)


@fault("a restart is not seen")
def restart_not_seen(patch: Patch) -> None:
    patch.setattr(process, "restarted", lambda sent, peer: False)


@fault("the uptime is held against the challenge alone")
def hello_counts_for_the_old_process(patch: Patch) -> None:
    def restarted(sent: SentRun, peer: Peer) -> bool:
        if sent.boot_id and peer.boot_id:
            return sent.boot_id != peer.boot_id
        return peer.uptime is not None and sent.sent_at < peer.challenged_at - peer.uptime

    patch.setattr(process, "restarted", restarted)


@fault("not known is taken for the same process")
def not_known_sent_again(patch: Patch) -> None:
    decide = recovery.decide

    def known(finding: Any, facts: recovery.LocalFacts) -> Any:
        return decide(finding, replace(facts, restarted=facts.restarted is True))

    patch.setattr(answers, "decide", known)


@fault("a loss is told twice")
def loss_told_twice(patch: Patch) -> None:
    def lost(self: RunState) -> None:
        self._unresumed = False
        tell(self)

    tell = RunState._tell_lost
    patch.setattr(RunState, "_tell_lost", lost)


@fault("a return is told twice")
def return_told_twice(patch: Patch) -> None:
    def resumed(self: RunState) -> None:
        was = self._unresumed
        tell(self)
        self._unresumed = was

    tell = RunState._tell_resumed
    patch.setattr(RunState, "_tell_resumed", resumed)


@fault("an older page is followed")
def older_page(patch: Patch) -> None:
    patch.setattr(InquiryClock, "accepts", lambda self, number: True)


@fault("a second end")
def second_end(patch: Patch) -> None:
    def end(self: RunState, outcome: Any) -> None:
        self.phase = Phase.ENDED
        self._actions.append(End(outcome))

    patch.setattr(RunState, "_end", end)
    patch.setattr(RunState, "ended", property(lambda self: False))


@fault("the state of what waits is ignored")
def pending_state_ignored(patch: Patch) -> None:
    for module in (recovery, deferral):
        patch.setattr(module, "discarded", lambda page, run_id: None)
        patch.setattr(module, "is_pending", lambda page, run_id: run_id in page.pending_run_ids)


@fault("an empty list is taken for idle")
def empty_list_is_idle(patch: Patch) -> None:
    def is_busy(page: Any) -> bool:
        return bool(page.active_run_ids) if page.active_run_ids is not None else bool(page.has_active_run)

    patch.setattr(deferral, "is_busy", is_busy)


@fault("an empty list is taken for idle, for a run of its own")
def empty_list_is_over(patch: Patch) -> None:
    def activity(page: Any, question: Any) -> bool | None:
        return bool(page.active_run_ids) and None if page.active_run_ids is not None else page.has_active_run or None

    patch.setattr(recovery, "_activity", activity)


@fault("an empty final without a reason")
def empty_without_reason(patch: Patch) -> None:
    patch.setattr(RunAnswers, "_defer", lambda self, now: self._finish_empty("it has no words"))


@fault("ok for a key used again is taken for silence")
def ok_is_silence(patch: Patch) -> None:
    answer = deferral.decide_deferred

    def decide(page: Any, question: Any, facts: Any) -> Any:
        found = answer(page, question, facts)
        return found if isinstance(found, deferral.Answer) or not facts.ended else deferral.Silence()

    patch.setattr(answers, "decide_deferred", decide)


@fault("what died before it was written down is taken for silence")
def unwritten_is_silence(patch: Patch) -> None:
    patch.setattr(deferral.DeferredFacts, "unwritten", False)


@fault("a run is followed that one page names")
def one_page_is_enough(patch: Patch) -> None:
    goes = RunAnswers._goes_elsewhere

    def goes_at_once(self: RunAnswers, found: Any, now: float) -> None:
        self._announced = found.run_id
        goes(self, found, now)

    patch.setattr(RunAnswers, "_goes_elsewhere", goes_at_once)


@fault("any run that is in flight is followed")
def anything_is_followed(patch: Patch) -> None:
    without = deferral._without_answer

    def decide(page: Any, start: int, question: Any, facts: Any) -> Any:
        if page.in_flight_run is not None:
            return deferral.Goes(page.in_flight_run.run_id, page.in_flight_run.text)
        return without(page, start, question, facts)

    patch.setattr(deferral, "_without_answer", decide)


@fault("the steered message follows the run it was steered into")
def steered_is_followed(patch: Patch) -> None:
    without = deferral._without_answer

    def decide(page: Any, start: int, question: Any, facts: Any) -> Any:
        if page.in_flight_run is not None and page.messages[start].merged_into == page.in_flight_run.run_id:
            return deferral.Goes(page.in_flight_run.run_id, page.in_flight_run.text)
        return without(page, start, question, facts)

    patch.setattr(deferral, "_without_answer", decide)


@fault("an answer behind another message's row is its own")
def shared_with_anybody(patch: Patch) -> None:
    rows = answers_after
    patch.setattr(deferral, "answers_after", lambda found, start, shared=False: rows(found, start, shared=True))
    patch.setattr(deferral, "_of_another", lambda page, start, run_id: False)


@fault("the start of a run that is followed is the message's own")
def followed_start_is_its_own(patch: Patch) -> None:
    told = RunLife._on_lifecycle

    def lifecycle(self: RunLife, data: Any, now: float) -> None:
        if data.get("phase") == "start":
            self._began, self._elsewhere = True, False
        told(self, data, now)

    patch.setattr(RunLife, "_on_lifecycle", lifecycle)


@fault("that a run was stopped is forgotten")
def stopped_is_forgotten(patch: Patch) -> None:
    told = RunLife._on_lifecycle

    def lifecycle(self: RunLife, data: Any, now: float) -> None:
        told(self, data, now)
        self._cut_short = False

    patch.setattr(RunLife, "_on_lifecycle", lifecycle)


@fault("a page that shows nothing is a sign of life")
def nothing_is_a_sign(patch: Patch) -> None:
    patch.setattr(RunClock, "asked", lambda self, now: self.sign(now))


@fault("a question from a silence stays one")
def silent_for_ever(patch: Patch) -> None:
    def rest(self: InquiryClock, now: float) -> None:
        silent = self.silent
        rests(self, now)
        self.silent = silent

    rests = InquiryClock.rest
    asks = InquiryClock.ask

    def ask(self: InquiryClock, *, silent: bool = False) -> int | None:
        return asks(self, silent=silent or self.silent)

    patch.setattr(InquiryClock, "rest", rest)
    patch.setattr(InquiryClock, "ask", ask)


@fault("one look is enough")
def one_look(patch: Patch) -> None:
    patch.setattr(RunAnswers, "_look", lambda self, looking, now: looking.then)


@fault("the wait for an answer ends with the connection")
def wait_ends_with_the_connection(patch: Patch) -> None:
    lost = RunLife.lost

    def lose(self: RunLife, error: Any, now: float) -> None:
        lost(self, error, now)
        if self.deferred:
            self._lose("the connection was lost")

    patch.setattr(RunLife, "lost", lose)


@fault("what was taken is sent again in another process")
def taken_is_sent_again(patch: Patch) -> None:
    decide = recovery.decide

    def again(finding: Any, facts: recovery.LocalFacts) -> Any:
        found = decide(finding, facts)
        return recovery.Resend() if isinstance(found, recovery.Lost | recovery.Unknown) and facts.restarted else found

    patch.setattr(answers, "decide", again)


@fault("a message without a trace is never sent again")
def never_sent_again(patch: Patch) -> None:
    act = RunAnswers._carry_out

    def carry_out(self: RunAnswers, decision: Any, now: float) -> None:
        act(self, decision, now)
        self._actions = [action for action in self._actions if not isinstance(action, Send)]

    patch.setattr(RunAnswers, "_carry_out", carry_out)


@fault("a message is unanswered after a silence without a connection")
def silence_without_a_connection(patch: Patch) -> None:
    lost = RunLife.lost

    def lose(self: RunLife, error: Any, now: float) -> None:
        waiting = self._at_last, self._clock.unanswered
        lost(self, error, now)
        self._at_last, self._clock.unanswered = waiting

    patch.setattr(RunLife, "lost", lose)
