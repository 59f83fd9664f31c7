"""What the history says about a run whose events were missed, and what to do then.

Pure: starts from stored facts alone (the run id, the message, when it was sent), so that another process can decide the
same. The table of `decide` stands in docs/recovery.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from unicodedata import normalize

from openclaw_client.wire.history import HistoryMessage, HistoryPage

CLOCK_SLACK_MS = 250.0
"""How much earlier than the sending a turn may be dated: the gateway's clock is known to within one network trip."""


@dataclass(frozen=True, slots=True)
class Question:
    """The message that is looked for. sent_at_ms: the gateway's clock when it was sent, None where that is unknown.
    before: whether it ran before it was sent now, under the same key, and when is not known."""

    run_id: str
    message: str = ""
    sent_at_ms: float | None = None
    before: bool = False


@dataclass(frozen=True, slots=True)
class StillRunning:
    """The run goes on. text: what it has written, None where the page doesn't tell."""

    text: str | None


@dataclass(frozen=True, slots=True)
class Answered:
    """The run is over. error: why it failed, None where it did not. run_id: the run that the gateway answered it in,
    None where that is its own. merged_into: the run that took the message up; what that run says is its text. cut: the
    gateway gives only a part of the text."""

    text: str
    stop_reason: str | None = None
    error: str | None = None
    run_id: str | None = None
    merged_into: str | None = None
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Unanswered:
    """The page holds no whole answer. sent: whether it holds the question. active: whether the run may still go on,
    None where the page doesn't tell. early: whether this gateway writes a turn down when it begins. partly: whether a
    beginning of the answer is there."""

    sent: bool
    active: bool | None = None
    early: bool = False
    partly: bool = False


Finding = StillRunning | Answered | Unanswered


@dataclass(frozen=True, slots=True)
class Known:
    """What this side knows. acknowledged: the gateway took the message. restarted: another gateway process than the one
    that got the message. patient: whether asking again is still worth while. ended: the gateway said that the run is
    over, "ok" or "aborted". deaf: nothing was heard of the run for a while, nor will be if it is over, and the gateway
    certainly still knows its key."""

    acknowledged: bool
    restarted: bool = False
    patient: bool = True
    ended: str | None = None
    deaf: bool = False


@dataclass(frozen=True, slots=True)
class Continue:
    """Go on listening. text: what the run has written, None where it is not known."""

    text: str | None = None


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
class Unknown:
    """Nobody can know whether the message ran."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The run is over without an answer. forgotten: its gateway's process is, too, and the key with it. part: what is
    there of an answer that is cut."""

    forgotten: bool = False
    part: str | None = None


Step = Continue | Finish | Resend | AskAgain | Unknown | Lost


def decide(finding: Finding, known: Known) -> Step:
    """What to do about a run after its events were missed."""
    if isinstance(finding, StillRunning):
        return Continue(finding.text)
    if isinstance(finding, Answered):
        return Lost(known.restarted, finding.text) if finding.cut else Finish(finding)
    over = finding.active is False or known.restarted or known.ended is not None
    if known.acknowledged or finding.sent:
        if not over:
            # Wire v3 does not tell which runs are active; what it answers to a key that it knows does, without a run.
            return Resend() if known.deaf and finding.active is None else Continue()
        return AskAgain() if known.patient else _without_answer(finding, known)
    if known.restarted and not finding.early:
        # Releases before 2026.9 write a turn down when it ends, and all forget the key with their process.
        return Unknown()
    return Resend()


def _without_answer(finding: Unanswered, known: Known) -> Step:
    """What to do about a run that is over and has no whole answer."""
    if known.ended == "aborted":
        # Before its first word: of such a run nothing is written down.
        return Finish(Answered("", "aborted"))
    if known.ended == "ok" and finding.sent and not finding.partly:
        # It went well, and it had nothing to say.
        return Finish(Answered(""))
    return Lost(known.restarted)


def look_up(page: HistoryPage, question: Question) -> Finding:
    """What a page of chat.history tells about a run."""
    run_id, flight = question.run_id, page.in_flight_run
    if flight is not None and flight.run_id == run_id:
        return StillRunning(flight.text)
    if run_id in page.pending_run_ids or (page.active_run_ids is not None and run_id in page.active_run_ids):
        return StillRunning(None)
    start = _turn_of(page.messages, question)
    rows, whole = _answer(page, question, start)
    if not rows and start is not None and page.messages[start].merged_into is not None:
        return Answered("", merged_into=page.messages[start].merged_into)
    if whole:
        last = whole[-1]
        elsewhere = last.run_id if last.run_id != run_id and not last.is_the_gateways else None
        if last.stop_reason != "error":
            text, cut = text_known(whole)
            return Answered(text, last.stop_reason, last.error_message, elsewhere, cut=cut)
        # 2026.9.6 writes why a run failed as the text of its last row, the others beside it.
        said = whole[:-1] if last.error_message is None else whole
        return Answered(joined_text(said), last.stop_reason, last.error_message or last.text, elsewhere)
    # 2026.9.6, which names the active runs, writes a turn down when it begins; 2026.6.1 and older when it ends.
    early = page.active_run_ids is not None
    return Unanswered(start is not None or bool(rows), _activity(page), early, partly=bool(rows))


def reaches(page: HistoryPage, question: Question) -> bool:
    """Whether a page goes back far enough to hold all that there is about the run."""
    if page.has_more is False or _turn_of(page.messages, question) is not None:
        return True
    sent_at = None if question.before else question.sent_at_ms
    times = [row.timestamp for row in page.messages if row.timestamp is not None]
    return sent_at is not None and bool(times) and min(times) < sent_at - CLOCK_SLACK_MS


def cut_rows(page: HistoryPage, question: Question) -> list[HistoryMessage]:
    """The rows of the answer that the gateway has cut."""
    _, whole = _answer(page, question, _turn_of(page.messages, question))
    return [row for row in whole if row.is_cut]


def absorbed_by(page: HistoryPage, run_id: str) -> str | None:
    """The run that took up the message of a run which ended without words of its own; "" where it waits for a run of
    its own, or the page shows that none took it; None where the page does not show it yet."""
    if run_id in page.pending_run_ids:
        return ""
    for row in reversed(page.messages):
        if row.role == "user" and row.run_id == run_id:
            return row.merged_into or ""
    return None


def _answer(
    page: HistoryPage, question: Question, start: int | None
) -> tuple[list[HistoryMessage], list[HistoryMessage]]:
    """The rows of the answer, and those up to its end. start: where the turn stands."""
    rows = [row for row in page.messages if row.role == "assistant" and row.run_id == question.run_id]
    if rows:
        return rows, rows[: last_end(rows) + 1]
    if start is None or page.messages[start].merged_into is not None:
        return [], []
    rows = _answers_after(page.messages, start)
    return rows, _up_to_the_end(rows)


def _activity(page: HistoryPage) -> bool | None:
    """Whether the run may be active although the page does not name it."""
    if page.active_run_ids is not None:
        return False
    # "Something is active" may be another run; "nothing is" is an answer.
    return None if page.has_active_run else page.has_active_run


def _turn_of(rows: Sequence[HistoryMessage], question: Question) -> int | None:
    """Where the user's turn of the run stands."""
    found: list[int] = []
    for index in range(len(rows) - 1, -1, -1):
        row = rows[index]
        if row.role != "user":
            continue
        # 2026.2.17 writes the run id into the text that it gives the model.
        if row.run_id == question.run_id or f'"message_id": "{question.run_id}"' in row.text:
            return index
        # 2026.4.15 names no run: the first with its words since it was sent.
        if row.run_id is None and '"message_id": "' not in row.text and _not_before(row, question):
            found += [index] if _same_words(row, question) else []
    # Where it is not known since when, only words that were said once tell.
    return found[-1] if found and (len(found) == 1 or not question.before) else None


def _same_words(row: HistoryMessage, question: Question) -> bool:
    words = as_written_down(question.message)
    return bool(words) and as_written_down(row.text).endswith(words)


def as_written_down(text: str) -> str:
    """A text as it can be compared: gateways compose letters, drop control characters and change white space."""
    return "".join(char for char in "".join(normalize("NFC", text).split()) if char.isprintable())


def _not_before(row: HistoryMessage, question: Question) -> bool:
    if question.before:
        return True
    if question.sent_at_ms is None or row.timestamp is None:
        return False
    return row.timestamp >= question.sent_at_ms - CLOCK_SLACK_MS


def _answers_after(rows: Sequence[HistoryMessage], start: int) -> list[HistoryMessage]:
    answers: list[HistoryMessage] = []
    for row in rows[start + 1 :]:
        if row.role == "user":
            break
        # What was injected answers nobody.
        if row.role == "assistant" and not (row.is_the_gateways and row.run_id is None):
            answers.append(row)
    return answers


def last_end(rows: Sequence[HistoryMessage]) -> int:
    """The place of the last row that ends an answer, -1 where there is none: of a run's own rows, each steered message
    adds such a one. Rows of which none says why it ended are taken as they are."""
    ends = [index for index, row in enumerate(rows) if row.stop_reason not in (None, "toolUse")]
    return ends[-1] if ends else -1 if any(row.stop_reason for row in rows) else len(rows) - 1


def joined_text(rows: Sequence[HistoryMessage]) -> str:
    """The text as the gateway's own final gives it, when the model spoke before a tool call and after it."""
    texts = [row.text for row in rows if row.text]
    if not texts:
        return ""
    if rows[-1].run_id is not None:
        # 2026.9.6, whose rows name their run, sets an empty line between the two.
        return "\n\n".join(texts)
    if rows[-1].id is not None:
        # 2026.4.15 and 2026.6.1 let the second follow right behind the first.
        return "".join(texts)
    # 2026.2.17, whose rows have no id, begins anew.
    return texts[-1]


def text_known(rows: Sequence[HistoryMessage]) -> tuple[str, bool]:
    """The text of an answer, up to where the gateway has cut it; whether it has."""
    first = next((index for index, row in enumerate(rows) if row.is_cut), None)
    if first is None:
        return joined_text(rows), False
    return joined_text([*rows[:first], HistoryMessage({**rows[first], "content": rows[first].uncut})]), True


def _up_to_the_end(rows: Sequence[HistoryMessage]) -> list[HistoryMessage]:
    """The rows of the answer up to its last one; [] while the last is not there.

    A row with which the model called a tool is not the last, and what follows the last was injected. Rows that don't
    say why they ended are taken as they are.
    """
    for index, row in enumerate(rows):
        if row.stop_reason is not None and row.stop_reason != "toolUse":
            return list(rows[: index + 1])
    return [] if any(row.stop_reason for row in rows) else list(rows)
