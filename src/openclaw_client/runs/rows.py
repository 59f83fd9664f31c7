"""Rows of a history page: where a message stands, and which rows answer it.

Knows how each release writes a turn down. Refuses to know what is done about it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from openclaw_client.runs.words import as_written_down, digest_of, ends_with
from openclaw_client.wire.history import HistoryMessage, HistoryPage

CLOCK_SLACK_MS = 250.0
"""How much earlier than the sending a turn may be dated: the gateway's clock is known to within one network trip."""

SILENT = "NO_REPLY"
"""The word by which a model says that it has nothing to say; 2026.2.17 writes it down as its answer (observed)."""


@dataclass(frozen=True, slots=True)
class MessageQuery:
    """The message that is looked for. sent_at_ms: the gateway's clock when it was sent, None where that is unknown.
    before: whether it ran before it was sent now, under the same key, and when is not known. alone: whether it may have
    had a run of its own, so that what answers the user's rows behind it is not its answer. digest: stands for the
    message where only that was stored."""

    run_id: str
    message: str = ""
    sent_at_ms: float | None = None
    before: bool = False
    alone: bool = False
    digest: str = ""


def turn_of(page: HistoryPage, question: MessageQuery) -> int | None:
    """Where the user's turn of the run stands."""
    same: list[int] = []
    behind: list[int] = []
    consumed = {receipt.consumed_by for receipt in page.receipts if receipt.run_id == question.run_id} - {None}
    rows, words = page.messages, as_written_down(question.message)
    for index in range(len(rows) - 1, -1, -1):
        row = rows[index]
        if row.role != "user":
            continue
        # 2026.2.17 writes the run id into the text that it gives the model.
        if row.run_id == question.run_id or f'"message_id": "{question.run_id}"' in row.text or row.id in consumed:
            return index
        # 2026.4.15 names no run: the first with its words since it was sent.
        if row.run_id is None and '"message_id": "' not in row.text and _not_before(row, question):
            same += [index] if _same_words(row, question) else []
            behind += [index] if ends_with(row.text, words) else []
    # Words with something in front of them may be another message, which only ends with these.
    found = same or behind
    if not found:
        return _collected(rows, question)
    # Where it is not known since when, only words that were said once tell.
    return None if question.before and len(same) + len(behind) > 1 else found[-1]


def reaches(page: HistoryPage, question: MessageQuery) -> bool:
    """Whether a page goes back far enough to hold all that there is about the run."""
    if page.has_more is False or turn_of(page, question) is not None:
        return True
    sent_at = None if question.before else question.sent_at_ms
    times = [row.timestamp for row in page.messages if row.timestamp is not None]
    return sent_at is not None and bool(times) and min(times) < sent_at - CLOCK_SLACK_MS


def was_reset(page: HistoryPage, question: MessageQuery) -> bool:
    """Whether the session was begun anew since the message was sent, so that its rows are gone: 2026.8.1 and 2026.9.6
    keep the id of the conversation and leave one system row (observed)."""
    return not question.before and any(row.role == "system" and _not_before(row, question) for row in page.messages)


def answer_rows(page: HistoryPage, question: MessageQuery) -> tuple[list[HistoryMessage], list[HistoryMessage]]:
    """The rows of the answer, and those up to its end: the run's own, else those behind the user's turn."""
    rows = [row for row in page.messages if row.role == "assistant" and row.run_id == question.run_id]
    if rows:
        return rows, rows[: last_end(rows) + 1]
    start = turn_of(page, question)
    if start is None:
        return [], []
    rows = answers_after(page.messages, start)
    return rows, up_to_the_end(rows)


def answers_after(rows: Sequence[HistoryMessage], start: int, *, shared: bool = False) -> list[HistoryMessage]:
    """The model's rows behind a user's row, up to the next turn.

    shared: whether user's rows that follow at once were taken up together with it, and have the same answer.
    """
    answers: list[HistoryMessage] = []
    for row in rows[start + 1 :]:
        if row.role == "user":
            if answers or not shared:
                break
        # What was injected answers nobody.
        elif row.role == "assistant" and not (row.is_the_gateways and row.run_id is None):
            answers.append(row)
    return answers


def was_shared(rows: Sequence[HistoryMessage], start: int) -> bool:
    """Whether the answer behind a user's row answers another message, too: one right before it, right behind it, or
    one that was written down in the same row."""
    row = rows[start]
    if row.merged_into is not None or row.is_collected:
        return True
    neighbours = [rows[index] for index in (start - 1, start + 1) if 0 <= index < len(rows)]
    return any(one.role == "user" for one in neighbours)


def steered_into(page: HistoryPage, question: MessageQuery) -> str | None:
    """The run that took the message up while it was going on, where the page says so (2026.9.6)."""
    start = turn_of(page, question)
    return page.messages[start].merged_into if start is not None else None


def discarded(page: HistoryPage, run_id: str) -> str | None:
    """ "cancelled" or "interrupted", for a message that waited for a run and will never be taken up; else None."""
    for entry in page.pending:
        if entry.run_id == run_id:
            return entry.state if entry.state in ("cancelled", "interrupted") else None
    return None


def is_pending(page: HistoryPage, run_id: str) -> bool:
    """Whether a message waits for another run."""
    return any(entry.run_id == run_id for entry in page.pending) and discarded(page, run_id) is None


def last_end(rows: Sequence[HistoryMessage]) -> int:
    """The place of the last row that ends an answer, -1 where there is none: of a run's own rows, each steered message
    adds such a one. Rows of which none says why it ended are taken as they are."""
    ends = [index for index, row in enumerate(rows) if row.stop_reason not in (None, "toolUse")]
    return ends[-1] if ends else -1 if any(row.stop_reason for row in rows) else len(rows) - 1


def up_to_the_end(rows: Sequence[HistoryMessage]) -> list[HistoryMessage]:
    """The rows of the answer up to its last one; [] while the last is not there.

    A row with which the model called a tool is not the last, and what follows the last was injected. Rows that don't
    say why they ended are taken as they are.
    """
    for index, row in enumerate(rows):
        if row.stop_reason is not None and row.stop_reason != "toolUse":
            return list(rows[: index + 1])
    return [] if any(row.stop_reason for row in rows) else list(rows)


def spoken(rows: Sequence[HistoryMessage]) -> list[HistoryMessage]:
    """The rows that are meant for a reader."""
    return [row for row in rows if row.text.strip() != SILENT]


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


def _collected(rows: Sequence[HistoryMessage], question: MessageQuery) -> int | None:
    """The row of several messages that holds this one: its words stand there, and its key does not."""
    words = as_written_down(question.message)
    if not words:
        return None
    for index in range(len(rows) - 1, -1, -1):
        row = rows[index]
        if row.role != "user" or not row.is_collected or not _not_before(row, question):
            continue
        if any(ends_with(part, words) for part in row.text.split("\n---\n")):
            return index
    return None


def _same_words(row: HistoryMessage, question: MessageQuery) -> bool:
    words = as_written_down(question.message)
    if words:
        return as_written_down(row.text) == words
    return bool(question.digest) and digest_of(row.text) == question.digest


def _not_before(row: HistoryMessage, question: MessageQuery) -> bool:
    if question.before:
        return True
    if question.sent_at_ms is None or row.timestamp is None:
        return False
    return row.timestamp >= question.sent_at_ms - CLOCK_SLACK_MS
