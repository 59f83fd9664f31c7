"""Where a message is answered whose own run ended without words.

A gateway that gets a message while another run goes on ends the message's own run at once, without words, and answers
it within the other run or in a later one. On every release the answer stands in the history, behind the message's own
user row (observed on 2026.2.17, 4.15, 5.12, 6.1, 7.1, 8.2 and 9.6). A run with nothing to say ends in the same way: of
such a run a lifecycle `start` was heard, of a deferred message none (113 of 113).

Pure. The table stands in docs/recovery.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from openclaw_client.runs.recovery import Answered, answered, is_busy, tells_activity
from openclaw_client.runs.rows import (
    MessageQuery,
    answers_after,
    discarded,
    is_pending,
    turn_of,
    up_to_the_end,
    was_shared,
)
from openclaw_client.wire.history import HistoryMessage, HistoryPage

LOOK: Final = 3.0
"""Seconds for which an answer is looked for that nothing announces: rows are written within a second of a run's end."""
LOOK_SILENT: Final = 0.2
"""The same for the answer of a run that was heard to begin, whose user row is there: three looks."""


@dataclass(frozen=True, slots=True)
class DeferredFacts:
    """What was heard.

    began: a lifecycle start of this run. busy: a run of the session is heard and not over. quick: the message is a
    command, whose silence is its answer; in a busy session it may be one that the rest of the message waits behind.
    aside: side results came, which are an answer. waited: the message was seen to wait. spoke: text of the run was
    heard, so that it was not silent. restarted: see `recovery.LocalFacts`. missed: a run of the session may go on whose
    events were missed. ended: the gateway said of its key that the run went well and is over, which it says of a silent
    one and of a message that waits. stopped: an event of the run said that it was stopped.
    """

    began: bool = False
    busy: bool = False
    quick: bool = False
    restarted: bool | None = False
    missed: bool = False
    ended: bool = False
    stopped: bool = False
    aside: bool = False
    waited: bool = False
    spoke: bool = False

    @property
    def silent(self) -> bool:
        """Whether the run was heard to have nothing to say."""
        return self.began and not self.unwritten and not self.spoke

    @property
    def unwritten(self) -> bool:
        """Whether its words may be lost: its end was not heard, and its gateway may have died before it wrote it."""
        return self.ended and self.restarted is not False


@dataclass(frozen=True, slots=True)
class Answer:
    """This answers the message."""

    answered: Answered


@dataclass(frozen=True, slots=True)
class Silence:
    """The message has no answer: it was heard to have none."""


@dataclass(frozen=True, slots=True)
class Goes:
    """The answer is being written in this run; text so far. shared: whether it answers another message, too."""

    run_id: str
    text: str
    shared: bool = False


@dataclass(frozen=True, slots=True)
class Gone:
    """There is no whole answer, and there will be none. part: what is there of an answer that the gateway cuts."""

    what: str
    forgotten: bool = False
    part: str | None = None


@dataclass(frozen=True, slots=True)
class Patience:
    """It is not over. then: what is true after a long silence of the session, where nothing else tells that it is idle;
    None where the gateway tells."""

    then: Silence | Gone | None = None


@dataclass(frozen=True, slots=True)
class LookFor:
    """Look again for so many seconds; what is true when nothing has changed by then."""

    seconds: float
    then: Silence | Gone | Answer


Deferred: TypeAlias = Answer | Silence | Patience | Goes | LookFor | Gone

CUT: Final = "the run is over, and the history gives only a part of its reply"
INTERRUPTED: Final = "the message waited for another run, and its gateway stopped before it was taken up"
NO_REPLY: Final = "the run is over, and its reply is not in the history"
NOT_ANSWERED: Final = "the message was taken up by another run, and no answer to it is in the history"
NOT_TAKEN_UP: Final = "the run ended without words, and the session is idle without an answer to the message"
RESTARTED: Final = "the message waited for another run, and the gateway was restarted"
NOT_WRITTEN: Final = "the run is over, the gateway was restarted, and no answer is in the history"


def decide_deferred(page: HistoryPage, question: MessageQuery, facts: DeferredFacts) -> Deferred:
    """What a page says about a message whose run ended without words: the first row of the table that fits."""
    dropped = discarded(page, question.run_id)
    if dropped is not None:
        return Answer(Answered("", "aborted")) if dropped == "cancelled" else Gone(INTERRUPTED, forgotten=True)
    if is_pending(page, question.run_id):
        return Patience()
    start, whole = turn_of(page, question), deferred_rows(page, question)
    if whole:
        found = answered(page, question, whole)
        return Gone(CUT, part=found.text) if found.cut else Answer(found)
    if facts.stopped:
        return LookFor(LOOK, Answer(Answered("", "aborted")))
    if start is None:
        return _without_row(page, facts)
    return _without_answer(page, start, question, facts)


def deferred_rows(page: HistoryPage, question: MessageQuery) -> list[HistoryMessage]:
    """The rows of the answer behind the message's own row, up to its end; [] while they are not there."""
    start = turn_of(page, question)
    if start is None:
        return []
    into = page.messages[start].merged_into
    whole = up_to_the_end(answers_after(page.messages, start, shared=not question.alone or into is not None))
    if not whole:
        return []
    run_id = whole[-1].run_id
    other = run_id not in (None, into) if into is not None else _of_another(page, start, run_id)
    return [] if other else whole


def _of_another(page: HistoryPage, start: int, run_id: str | None) -> bool:
    """Whether a run is that of a message which stands behind this one, and whose words are its own."""
    behind = (row.run_id for row in page.messages[start + 1 :] if row.role == "user")
    return run_id is not None and run_id in behind


def _without_answer(page: HistoryPage, start: int, question: MessageQuery, facts: DeferredFacts) -> Deferred:
    """The message's row is there, and no whole answer behind it."""
    rows, flight = page.messages, page.in_flight_run
    last = all(row.role == "user" for row in rows[start:])
    if flight is not None and last and not question.alone and rows[start].merged_into is None:
        earlier = {row.run_id for row in rows[: start + 1]}
        if flight.run_id not in earlier and not _of_another(page, start, flight.run_id):
            return Goes(flight.run_id, flight.text, was_shared(rows, start))
    if facts.silent:
        return LookFor(LOOK_SILENT, Silence())
    if facts.restarted is True:
        return LookFor(LOOK, Gone(NOT_WRITTEN if facts.began else RESTARTED, forgotten=True))
    # A run that only is not heard may still write the answer. What the gateway tells counts more: the end of another
    # run may have been lost.
    unsure = not tells_activity(page) and (facts.missed or facts.busy)
    wordless = not facts.spoke and not answers_after(rows, start)
    silent = facts.quick or (facts.ended and not facts.unwritten and not unsure)
    lost = Gone(NO_REPLY if facts.spoke else NOT_ANSWERED)
    return _idle(page, Silence() if silent and wordless else lost, wait=unsure)


def _without_row(page: HistoryPage, facts: DeferredFacts) -> Deferred:
    """The message stands nowhere."""
    # "/think high Explain X" that meets a run is answered behind it, and stands nowhere until then.
    quick = facts.quick and not facts.spoke
    if facts.aside or (quick and not (facts.waited or facts.busy or is_busy(page))):
        return Silence()
    if facts.silent:
        return LookFor(LOOK, Silence())
    if facts.restarted is True:
        return LookFor(LOOK, Gone(NOT_WRITTEN if facts.began else RESTARTED, forgotten=True))
    unsure = not tells_activity(page)
    if quick:
        return _idle(page, Silence(), wait=unsure and (facts.busy or facts.missed))
    return _idle(page, Gone(NO_REPLY if facts.spoke else NOT_TAKEN_UP), wait=unsure)


def _idle(page: HistoryPage, then: Silence | Gone, *, wait: bool) -> Deferred:
    """The message may still be waiting for its turn; else this is true. wait: whether only a long silence tells."""
    if is_busy(page):
        return Patience()
    return Patience(then) if wait else LookFor(LOOK, then)
