"""What a reply took and which files came with it, out of the rows of its run.

Knows rows, from events and from pages of the history, and when they are all there is. Refuses to know who asks, and
when.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from openclaw_client.runs.events import ChatReply
from openclaw_client.runs.rows import MessageQuery, answer_rows
from openclaw_client.runs.usage import added, from_row, from_rows
from openclaw_client.wire.files import AgentFile, files_in
from openclaw_client.wire.history import HistoryMessage, HistoryPage
from openclaw_client.wire.usage import Usage

MAX_RUN_FILES: Final = 1_000
"""Files of one run that are told of: an agent sends some, and nobody looks through more."""

FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 2.0
MAX_LOOKS: Final = 7
"""Pages that are asked for while a file is still being prepared, five seconds: 2026.8.1 and 2026.9.6 have one in the
row 0.1 to 0.9 s behind the end of its run (observed, on two busy cores)."""
UNHEARD_PAUSE: Final = 1.0
"""Seconds behind which a page is asked for once more where it was not heard whether a file is to come."""


@dataclass(frozen=True, slots=True)
class ReplyDetails:
    """As in `ChatReply`; None: not known."""

    usage: Usage | None = None
    model: str | None = None
    provider: str | None = None
    files: tuple[AgentFile, ...] | None = None


def with_details(reply: ChatReply, found: ReplyDetails) -> ChatReply:
    """The reply with what was found; what was not found stays as its events told it."""
    return replace(
        reply,
        usage=found.usage or reply.usage,
        model=found.model or reply.model,
        provider=found.provider or reply.provider,
        files=found.files,
    )


class HeardDetails:
    """What the events of a run tell while it goes on: its rows, where a subscription brings them, and which files its
    answer is to have."""

    __slots__ = ("_artifacts", "_broken", "_calls", "_count", "_ended", "_first", "_last", "_media", "_shown", "_told")

    def __init__(self) -> None:
        self._told = ReplyDetails(files=())
        self._artifacts: set[str] = set()
        # Not the names themselves, which a gateway may make as long as it likes.
        self._media: set[int] = set()
        self._shown = self._count = self._calls = self._last = 0
        self._first: int | None = None
        self._ended = self._broken = False

    def media(self, names: Iterable[str]) -> None:
        """The answer names files that are to be sent with it."""
        for name in names:
            if len(self._media) < MAX_RUN_FILES:
                self._media.add(hash(name))

    @property
    def expected(self) -> int:
        """How many files the answer named."""
        return len(self._media)

    def row(self, row: HistoryMessage, session_key: str) -> list[AgentFile]:
        """A row of the run was written. Returns the files in it that are new."""
        if row.role == "user":
            self._first = self._last = row.place or 0
            self._broken = self._broken or row.place is None
            return []
        if row.role != "assistant":
            return []
        place = row.place
        if place is None or place <= self._last:
            self._broken = True
        else:
            self._last = place
        self._count += 1
        self._calls += sum(block.get("type") == "toolCall" for block in row.content)
        self._ended = row.stop_reason not in (None, "toolUse") and not row.is_mirrored
        files, shown = _files_of([row], session_key)
        self._shown += shown
        new = [file for file in files if file.artifact_id not in self._artifacts]
        new = new[: MAX_RUN_FILES - len(self._artifacts)]
        self._artifacts.update(file.artifact_id for file in new)
        self._add(row, new)
        return new

    @property
    def whole(self) -> ReplyDetails | None:
        """What the rows say; None where some were not told, or a file of the answer is not there yet.

        Rows are numbered, and each call of a tool has one with its result, of which nobody is told.
        """
        if self._first is None or self._broken or not self._ended:
            return None
        if self._last - self._first != self._count + self._calls or self._shown < len(self._media):
            return None
        return self._told

    def _add(self, row: HistoryMessage, new: list[AgentFile]) -> None:
        told, details = self._told, from_row(row)
        self._told = ReplyDetails(
            usage=added((told.usage, details.usage)),
            model=details.model or told.model,
            provider=details.provider or told.provider,
            files=(*(told.files or ()), *new),
        )


class Found(NamedTuple):
    """settled: whether another page would say no more."""

    details: ReplyDetails
    settled: bool


@dataclass(frozen=True, slots=True)
class DetailsSearch:
    """What is looked for in the history behind the end of a run.

    question: which run. session_key: as the caller spelled it. media: how many files its answer named, None where that
    was not heard. names_files: whether the rows of this gateway say by which id a file is got.
    """

    question: MessageQuery
    session_key: str
    media: int | None
    names_files: bool

    def pauses(self) -> Iterable[float]:
        """Seconds to wait before each further page."""
        if not self.names_files or self.media == 0:
            return ()
        if self.media is None:
            return (UNHEARD_PAUSE,)
        return (min(FIRST_PAUSE * 2**number, LONGEST_PAUSE) for number in range(MAX_LOOKS - 1))

    def look(self, page: HistoryPage) -> Found:
        """What a page says."""
        own, whole = answer_rows(page, self.question)
        rows = [row for row in own if row.run_id in (None, self.question.run_id)]
        if not rows or not whole or any(row.is_left_out for row in rows):
            return Found(ReplyDetails(), False)
        told = from_rows(rows)
        found = ReplyDetails(told.usage, told.model, told.provider)
        if not self.names_files:
            return Found(found, True)
        files, shown = _files_of(rows, self.session_key)
        if self.media is not None and shown < self.media:
            return Found(found, False)
        return Found(replace(found, files=tuple(files)), self.media is not None or bool(shown))


def _files_of(rows: Iterable[HistoryMessage], session_key: str) -> tuple[list[AgentFile], int]:
    """The files of an agent's rows, each once, and how many places in the answer itself are for files."""
    files: dict[str, AgentFile] = {}
    shown = 0
    for row in rows:
        found = files_in(row.content, session_key, row.run_id)
        files.update((file.artifact_id, file) for file in found.files)
        if not row.is_mirrored:
            shown += len(found.files) + found.others
    return list(files.values())[:MAX_RUN_FILES], shown
