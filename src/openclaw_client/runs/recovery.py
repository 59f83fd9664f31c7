"""What the history says about a run whose events were missed, and what to do then.

Pure: starts from stored facts alone (the run id, the message, when it was sent), so that another process can decide the
same. The table of `decide` stands in docs/recovery.md.
"""

from __future__ import annotations

from dataclasses import dataclass

from openclaw_client.runs.phases import Unknown
from openclaw_client.runs.rows import (
    MessageQuery,
    answer_rows,
    discarded,
    is_pending,
    joined_text,
    spoken,
    steered_into,
    text_known,
    turn_of,
    was_shared,
)
from openclaw_client.wire.history import HistoryMessage, HistoryPage

KEY_LIVES = 240.0
"""Seconds for which a gateway certainly knows the key of a message: it keeps keys for five minutes (observed)."""
GIVE_UP = 3600.0
"""Seconds after which nobody asks any more whether a message whose key is forgotten has run."""


@dataclass(frozen=True, slots=True)
class StillRunning:
    """The run goes on. text: what it has written, None where the page doesn't tell."""

    text: str | None


@dataclass(frozen=True, slots=True)
class Answered:
    """The run is over.

    Attributes:
        text: The whole answer, or what the gateway gives of it.
        stop_reason: Why the model stopped, in the gateway's words.
        error: Why the run failed; None where it did not.
        run_id: The run that the gateway answered the message in; None where that is its own, or not named.
        merged_into: The same, where that run answered other messages, too.
        cut: Whether the gateway gives only a part of the text.
        rows: The rows of the answer.
        steered: Whether that run had words of its own before it took the message up.
    """

    text: str
    stop_reason: str | None = None
    error: str | None = None
    run_id: str | None = None
    merged_into: str | None = None
    cut: bool = False
    rows: tuple[HistoryMessage, ...] = ()
    steered: bool = False


@dataclass(frozen=True, slots=True)
class Unanswered:
    """The page holds no whole answer. sent: whether it holds the question. active: whether the run may still go on,
    None where the page doesn't tell."""

    sent: bool
    active: bool | None = None


@dataclass(frozen=True, slots=True)
class Discarded:
    """The message waited for another run and will never be taken up. cancelled: by chat.abort; else by a restart."""

    cancelled: bool


Finding = StillRunning | Answered | Unanswered | Discarded


@dataclass(frozen=True, slots=True)
class LocalFacts:
    """What this side knows.

    Attributes:
        acknowledged: The gateway took the message.
        restarted: Another gateway process than the one that got the message; None: not known.
        patient: Asking again is still worth while.
        stopped: The gateway said that it stopped the run.
        deaf: No event since the reconnect, or some were lost; the silence timer fired, and the key is still known:
            sending again is safe and tells the state.
        silent: The silence timer fired.
        early: This gateway writes a turn down when it begins.
        age: Seconds since the message was sent.
        may_send: Somebody asks for the run, and the whole message is known.
        stale: Nothing has shown for an hour that the run goes on.
        missing: Why the page cannot show the message: "short" where it does not go back to the sending, "reset" where
            it is of another conversation; else None.
    """

    acknowledged: bool
    restarted: bool | None = False
    patient: bool = True
    stopped: bool = False
    deaf: bool = False
    silent: bool = False
    early: bool = False
    age: float = 0.0
    may_send: bool = True
    stale: bool = False
    missing: str | None = None


@dataclass(frozen=True, slots=True)
class Continue:
    """Go on listening. text: what the run has written, None where it is not known. alive: whether the page shows that
    the run goes on; else it only does not show the contrary."""

    text: str | None = None
    alive: bool = True


@dataclass(frozen=True, slots=True)
class Finish:
    answer: Answered


@dataclass(frozen=True, slots=True)
class Resend:
    """Send the message again with the same key: it cannot have run, or the gateway tells it from a new one and says how
    it stands."""


@dataclass(frozen=True, slots=True)
class AskAgain:
    """Look once more in a moment: the run is over, and its rows may not be written yet."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing shows what became of the message, and nothing may be sent: look again after a silence."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The run is over without an answer. forgotten: its gateway's process is, too, and the key with it. part: what is
    there of an answer that is cut."""

    forgotten: bool = False
    part: str | None = None


Decision = Continue | Finish | Resend | AskAgain | Wait | Unknown | Lost


def decide(finding: Finding, facts: LocalFacts) -> Decision:
    """What to do about a run after its events were missed."""
    forgotten = facts.restarted is not False
    if isinstance(finding, StillRunning):
        return Continue(finding.text)
    if isinstance(finding, Discarded):
        return Finish(Answered("", "aborted")) if finding.cancelled else Lost(forgotten)
    if isinstance(finding, Answered):
        return Lost(forgotten, finding.text) if finding.cut else Finish(finding)
    if facts.acknowledged or finding.sent:
        return _was_taken(finding, facts)
    if facts.missing is not None:
        return AskAgain() if facts.patient else Unknown()
    return _not_seen(facts)


def look_up(page: HistoryPage, question: MessageQuery) -> Finding:
    """What a page of chat.history tells about a run."""
    run_id, flight = question.run_id, page.in_flight_run
    if flight is not None and flight.run_id == run_id:
        return StillRunning(flight.text)
    rows, whole = answer_rows(page, question)
    if whole and whole[-1].stop_reason == "aborted":
        # Before the active runs: 2026.7.1 names a stopped run among them for 15 s more.
        return answered(page, question, whole)
    if (dropped := discarded(page, run_id)) is not None:
        return Discarded(dropped == "cancelled")
    if is_pending(page, run_id) or (page.active_run_ids is not None and run_id in page.active_run_ids):
        return StillRunning(None)
    if whole:
        return answered(page, question, whole)
    start = turn_of(page, question)
    return Unanswered(start is not None or bool(rows), _activity(page, question))


def answered(page: HistoryPage, question: MessageQuery, whole: list[HistoryMessage]) -> Answered:
    """The answer that these rows are, up to its end."""
    last, start = whole[-1], turn_of(page, question)
    elsewhere = last.run_id if last.run_id != question.run_id and not last.is_the_gateways else None
    shared = elsewhere is not None and start is not None and was_shared(page.messages, start)
    into = elsewhere if shared else None
    steered = start is not None and page.messages[start].merged_into is not None
    if last.stop_reason != "error":
        said = spoken(whole)
        text, cut = text_known(said)
        return Answered(text, last.stop_reason, last.error_message, elsewhere, into, cut, tuple(said), steered)
    # 2026.9.6 writes why a run failed as the text of its last row, the others beside it.
    said = whole[:-1] if last.error_message is None else whole
    error = last.error_message or last.text
    return Answered(joined_text(said), last.stop_reason, error, elsewhere, into, False, tuple(whole), steered)


def cut_rows(page: HistoryPage, question: MessageQuery) -> list[HistoryMessage]:
    """The rows of the answer that the gateway has cut."""
    return [row for row in answer_rows(page, question)[1] if row.is_cut]


def is_busy(page: HistoryPage) -> bool:
    """Whether the page says that a run of the session goes on, whichever."""
    return bool(page.has_active_run or page.active_run_ids or page.in_flight_run is not None)


def tells_activity(page: HistoryPage) -> bool:
    """Whether this gateway tells when a session is idle."""
    return page.has_active_run is not None or page.active_run_ids is not None


def _was_taken(finding: Unanswered, facts: LocalFacts) -> Decision:
    """The gateway took the message, and the page has no answer to it."""
    # After a silence what may have been restarted counts as such.
    restarted = facts.restarted is True or (facts.restarted is None and facts.silent)
    over = finding.active is False or restarted or facts.stopped or facts.missing is not None or facts.stale
    if not over:
        # Wire v3 does not tell which runs are active; what it answers to a key that it knows does, without a run.
        unclear = facts.deaf and finding.active is None and facts.restarted is False and facts.may_send
        return Resend() if unclear else Continue(alive=finding.active is True)
    if facts.patient:
        return AskAgain()
    if facts.stopped:
        # Before its first word: of such a run nothing is written down.
        return Finish(Answered("", "aborted"))
    return Lost(facts.restarted is not False)


def _not_seen(facts: LocalFacts) -> Decision:
    """Nothing shows that the gateway took the message."""
    if facts.restarted is None:
        return Unknown() if facts.silent else Wait()
    if facts.early:
        # What it took would stand there: the message never ran.
        return Resend() if facts.may_send else Unknown()
    if facts.restarted:
        # A turn is written down when it ends, and the key is forgotten with the process.
        return Unknown()
    if facts.age >= KEY_LIVES or not facts.may_send:
        return Wait() if facts.age < GIVE_UP else Unknown()
    return Resend()


def _activity(page: HistoryPage, question: MessageQuery) -> bool | None:
    """Whether the run may be active although the page does not name it."""
    into = steered_into(page, question)
    if into is not None and page.active_run_ids is not None and into in page.active_run_ids:
        return True
    if page.active_run_ids:
        # One that no row names may be the one that answers the message, whose row is the last.
        start, named = turn_of(page, question), {row.run_id for row in page.messages}
        last = start is not None and all(row.role == "user" for row in page.messages[start:])
        return None if last and not named.issuperset(page.active_run_ids) else False
    # "Something is active" may be another run; "nothing is" is an answer. 2026.7.1 says the first with an empty list.
    if page.active_run_ids is not None and not page.has_active_run:
        return False
    return None if page.has_active_run else page.has_active_run
