"""What was said in a session while nobody listened: the messages of a history page that were not handed out yet.

Pure: starts from stored facts alone (a `Place` for each session), so that another process can decide the same. The
table stands in docs/recovery.md.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from openclaw_client.runs.application import Application
from openclaw_client.runs.proactive import INJECT_PREFIX, Kind, ProactiveMessage, kind_of_session
from openclaw_client.runs.rows import joined_text, last_end, spoken, text_known
from openclaw_client.runs.usage import from_rows
from openclaw_client.runs.words import as_written_down, ends_with
from openclaw_client.runs.words import bare as _bare
from openclaw_client.wire.chat import shows_anything
from openclaw_client.wire.history import HistoryMessage, HistoryPage

MAX_WORDS = 64
"""Texts of a session that are remembered for releases whose rows name no run; older ones move the place forward."""
MAX_WORDS_TEXT = 1 << 20
"""Characters of these together, of those that were sent and of those that were heard; the latest stays however long it
is."""

MAX_FRESH = 1000
"""Texts that are heard while a page is asked for: no page has more messages. The oldest is forgotten beyond that, and
may then be told twice where rows name no run; it is never lost."""
MAX_FRESH_TEXT = 1 << 20
"""Characters of these together."""

_MESSAGE_ID = re.compile(r'"message_id": "([^"]+)"')
_UNSUCCESSFUL = frozenset({"aborted", "error"})


@dataclass(slots=True)
class Place:
    """How far a session is known. since_ms: the gateway's clock from when on it was listened to, or of the last row
    that was looked at; row_id: that row, where rows have ids. sent, said: what was sent and heard since. fresh: what is
    heard between `ask` and `settle`, apart: it may stand on the page that is asked for or not, and would push out what
    was heard before, by which that page is understood. That lasts until a page was looked at: else the place would move
    past what was missed. looked: the last rows of the messages behind the place that were looked at, where a run that
    goes on keeps the place in front of them: words tell once whether a message was heard. Hashes: ids may be long."""

    since_ms: float
    row_id: str | None = None
    sent: deque[str] = field(default_factory=deque)
    said: deque[tuple[str, float]] = field(default_factory=deque)
    fresh: deque[tuple[str, float]] | None = None
    fresh_text: int = 0
    looked: frozenset[int] = frozenset()

    def note_sent(self, message: str) -> None:
        """A message of this client's own is on its way."""
        words = as_written_down(message)
        if words:
            self.sent.append(words)
            while _too_much(self.sent):
                self.sent.popleft()

    def heard(self, text: str, at_ms: float) -> None:
        """A whole message was heard, whoever asked for it."""
        if self.fresh is not None:
            self._note_fresh(self.fresh, _bare(text), at_ms)
        else:
            self._note(_bare(text), at_ms)

    @property
    def text(self) -> int:
        """Characters of all that is remembered of the session."""
        heard = sum(len(text) for text, _ in self.said) + (self.fresh_text if self.fresh is not None else 0)
        return heard + sum(map(len, self.sent))

    def ask(self) -> None:
        """A page is asked for."""
        if self.fresh is None:
            self.fresh, self.fresh_text = deque(), 0

    def settle(self) -> None:
        """The page was looked at, or there is none for anybody."""
        fresh, self.fresh = self.fresh or (), None
        for text, at_ms in fresh:
            self._note(text, at_ms)

    def reached_by(self, page: HistoryPage) -> bool:
        """Whether a page goes back to this place, so that nothing is missing between the two."""
        if page.has_more is False:
            return True
        return any(self._is_before(row) or row.id == self.row_id is not None for row in page.messages)

    def start(self, rows: Sequence[HistoryMessage]) -> int | None:
        """The index of the first row behind the place, where rows have ids and the row is there."""
        found = [index for index, row in enumerate(rows) if row.id == self.row_id is not None]
        return found[-1] + 1 if found else None

    def is_behind(self, row: HistoryMessage) -> bool:
        return row.timestamp is not None and not self._is_before(row)

    def cut_rows(self, page: HistoryPage) -> list[HistoryMessage]:
        """The rows behind the place of whose words the gateway gives only a part."""
        start = self.start(page.messages) or 0
        rows = [row for row in page.messages[start:] if row.role == "assistant" and row.is_cut]
        return [row for row in rows if not self._is_before(row)]

    def consume(self, text: str, *, cut: bool = False) -> bool:
        """Whether a message of this text was heard; for one row each. cut: there is more of the text."""
        for heard in (self.said, self.fresh):
            same = (entry for entry in heard or () if entry[0] == text or (cut and entry[0].startswith(text)))
            found = next(same, None)
            if heard is not None and found is not None:
                heard.remove(found)
                self.fresh_text -= len(found[0]) if heard is self.fresh else 0
                return True
        return False

    def _note_fresh(self, fresh: deque[tuple[str, float]], text: str, at_ms: float) -> None:
        fresh.append((text, at_ms))
        self.fresh_text += len(text)
        while len(fresh) > MAX_FRESH or (self.fresh_text > MAX_FRESH_TEXT and len(fresh) > 1):
            self.fresh_text -= len(fresh.popleft()[0])

    def _note(self, text: str, at_ms: float) -> None:
        self.said.append((text, at_ms))
        while _too_much([text for text, _ in self.said]):
            self.since_ms = max(self.since_ms, self.said.popleft()[1])

    def _is_before(self, row: HistoryMessage) -> bool:
        return row.timestamp is not None and row.timestamp < self.since_ms


def _too_much(texts: Collection[str]) -> bool:
    return len(texts) > MAX_WORDS or (len(texts) > 1 and sum(map(len, texts)) > MAX_WORDS_TEXT)


@dataclass(slots=True)
class _Group:
    """The rows of one message: a run's, or one that was injected. asked_by: the key of the user's message that they
    answer, where it is another one than the run's. at: where the last row stands."""

    run_id: str | None
    words: str = ""
    asked_by: str | None = None
    injected: bool = False
    rows: list[HistoryMessage] = field(default_factory=list)
    first: int = -1
    at: int = -1

    @property
    def whole(self) -> list[HistoryMessage]:
        """The rows up to the one that ends the answer."""
        return self.rows[: last_end(self.rows) + 1]

    def add(self, row: HistoryMessage, index: int) -> None:
        self.rows.append(row)
        self.first, self.at = (index if self.first < 0 else self.first), index


def missed(
    page: HistoryPage,
    place: Place,
    session_key: str,
    *,
    is_known: Callable[[str], bool],
    is_open: Callable[[str], bool],
    application: Application | None = None,
) -> list[ProactiveMessage]:
    """The messages of the page behind the place that were not handed out, oldest first; moves the place.

    is_known: whether a run is this client's own, or was handed out. is_open: whether its beginning was heard.
    """
    rows = page.messages
    messages: list[ProactiveMessage] = []
    settled: list[_Group] = []
    end = len(rows)
    groups = sorted(_groups(rows), key=lambda one: one.at)
    # The row of the last look may be a thousand heard ones ago.
    starts = [at for at in (place.start(rows), _heard_up_to(groups, place)) if at is not None]
    start = max(starts) if starts else None
    for group in groups:
        behind = group.at >= start if start is not None else place.is_behind(group.rows[-1])
        if not behind and not (group.run_id is not None and is_open(group.run_id)):
            continue
        if _goes_on(page, group):
            # Its end will be heard, or looked for again from here.
            end = min(end, group.first)
            continue
        settled.append(group)
        if hash(group.rows[-1].id) in place.looked:
            continue
        whole = group.whole
        said = spoken(whole)
        text, content = joined_text(said), from_rows(said).content
        if not _is_news(group, place, is_known) or whole[-1].stop_reason in _UNSUCCESSFUL:
            continue
        if text or shows_anything(content):
            messages.append(_message(group, text, content, session_key, application))
    _move(place, rows, end)
    behind_it = (group.rows[-1].id for group in settled if group.at >= end)
    place.looked = frozenset(hash(ident) for ident in behind_it if ident is not None)
    return messages


def _groups(rows: Sequence[HistoryMessage]) -> list[_Group]:
    by_run: dict[str, _Group] = {}
    groups: list[_Group] = []
    turn = _Group(None)
    for index, row in enumerate(rows):
        if row.role == "user":
            told = _MESSAGE_ID.search(row.text)
            key = row.run_id or (told[1] if told else None)
            turn = _Group(key, row.text, key)
            continue
        if row.role != "assistant":
            continue
        if row.run_id is not None:
            # A message that met another run is answered by the first run behind it.
            asked_by, turn.asked_by = turn.asked_by, None
            group = by_run.setdefault(row.run_id, _Group(row.run_id, turn.words, asked_by))
        elif row.is_the_gateways:
            group = _Group(None, injected=True)
        else:
            if turn.rows and turn.rows[-1].stop_reason == "stop":
                # The answer is whole: what follows without a question is a message of its own.
                turn = _Group(None)
            group = turn
        if not group.rows:
            groups.append(group)
        group.add(row, index)
    return groups


def _heard_up_to(groups: Sequence[_Group], place: Place) -> int | None:
    """Behind which row nothing was heard, told by the order of many words; None where it cannot be told.

    After a burst a clock is too coarse: what was heard and what was missed lie within the same milliseconds.
    """
    if len(place.said) < MAX_WORDS:
        return None
    said = [text for text, _ in place.said]
    texts = [_bare(joined_text(group.whole)) for group in groups]
    for index in range(len(texts) - 1, MAX_WORDS // 2 - 1, -1):
        # Half of them in a row are no accident.
        if texts[index - MAX_WORDS // 2 + 1 : index + 1] == said[-MAX_WORDS // 2 :]:
            return groups[index].at + 1
    return None


def _goes_on(page: HistoryPage, group: _Group) -> bool:
    if last_end(group.rows) < 0:
        return True
    active = page.active_run_ids or ()
    flight = page.in_flight_run
    return group.run_id is not None and (
        group.run_id in active or (flight is not None and flight.run_id == group.run_id)
    )


def _is_news(group: _Group, place: Place, is_known: Callable[[str], bool]) -> bool:
    text, cut = text_known(group.whole)
    heard = place.consume(_bare(text), cut=cut)
    if group.injected:
        ident = group.rows[0].id
        return not (heard or (ident is not None and is_known(INJECT_PREFIX + ident)))
    if group.run_id is not None:
        return not (is_known(group.run_id) or (group.asked_by is not None and is_known(group.asked_by)))
    # 2026.4.15 names no run: its words tell.
    return not (_own(place, group.words) or heard)


def _own(place: Place, words: str) -> bool:
    same = as_written_down(words)
    # Words with something in front of them may be another client's message, which only ends with these.
    found = same if same in place.sent else next((sent for sent in place.sent if ends_with(words, sent)), None)
    if found is not None:
        place.sent.remove(found)
    return found is not None


def _message(
    group: _Group,
    text: str,
    content: tuple[Mapping[str, Any], ...],
    session_key: str,
    application: Application | None,
) -> ProactiveMessage:
    last = group.rows[-1]
    ident = group.run_id or last.id or f"{last.timestamp or 0:.0f}"
    run_id = INJECT_PREFIX + ident if group.injected else ident
    kind: Kind = "injected" if group.injected else kind_of_session(session_key)
    if application is not None and (application.has(group.run_id) or application.has(group.asked_by)):
        kind = "reply"
    return ProactiveMessage(ident, text, session_key, run_id, kind, last.stop_reason, content)


def _move(place: Place, rows: Sequence[HistoryMessage], end: int) -> None:
    """The place is behind the rows before `end` from now on."""
    if end == 0:
        return
    last = rows[end - 1]
    place.row_id = last.id
    times = [row.timestamp for row in rows[:end] if row.timestamp is not None]
    # Half a millisecond behind: what has the same time was looked at.
    place.since_ms = max([place.since_ms, *(at + 0.5 for at in times)])
    # What was heard while the page was under way stands on the next one.
    place.said = deque(entry for entry in place.said if entry[1] > place.since_ms)
