"""What the history says about a run whose events were missed.

Pure: starts from stored facts alone (the run id, the page), so that another process can decide the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from openclaw_client.wire.history import HistoryMessage, HistoryPage


@dataclass(frozen=True, slots=True)
class StillRunning:
    """The run goes on. text: what it has written, None where the page doesn't tell."""

    text: str | None


@dataclass(frozen=True, slots=True)
class Answered:
    """The run is over. error: why it failed, None where it did not."""

    text: str
    stop_reason: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Unanswered:
    """The page holds no trace of an answer. sent: whether it holds the question."""

    sent: bool


Finding = StillRunning | Answered | Unanswered


def look_up(page: HistoryPage, run_id: str, *, message: str | None = None) -> Finding:
    """What a page of chat.history tells about a run.

    message: the text that was sent; used to find the turn on releases that don't name runs in their rows (before
    2026.9), and only where exactly the last user turn is that text.
    """
    flight = page.in_flight_run
    if flight is not None and flight.run_id == run_id:
        return StillRunning(flight.text)
    if page.active_run_ids is not None and run_id in page.active_run_ids:
        return StillRunning(None)
    start = _turn_of(page.messages, run_id, message)
    rows = [row for row in page.messages if row.role == "assistant" and row.run_id == run_id]
    if not rows and start is not None:
        rows = _answers_after(page.messages, start)
    if not rows:
        return Unanswered(sent=start is not None)
    last = rows[-1]
    texts = [row.text for row in rows if row.text]
    return Answered("\n\n".join(texts), last.stop_reason, last.error_message)


def _turn_of(rows: Sequence[HistoryMessage], run_id: str, message: str | None) -> int | None:
    """Where the user's turn of the run stands."""
    for index in range(len(rows) - 1, -1, -1):
        if rows[index].role == "user":
            if rows[index].run_id == run_id:
                return index
            if message and rows[index].run_id is None and rows[index].text.rstrip().endswith(message.strip()):
                return index
            if rows[index].run_id is None:
                # Older rows with the same words would be another turn's.
                return None
    return None


def _answers_after(rows: Sequence[HistoryMessage], start: int) -> list[HistoryMessage]:
    answers: list[HistoryMessage] = []
    for row in rows[start + 1 :]:
        if row.role == "user":
            break
        if row.role == "assistant":
            answers.append(row)
    return answers
