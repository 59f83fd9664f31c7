"""What was said in a session while nobody listened: the messages of a history page that were not handed out yet.

Pure: starts from stored facts alone (a `Place` for each session), so that another process can decide the same. The
table stands in docs/recovery.md.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from openclaw_client.runs.application import Application
from openclaw_client.runs.place import MAX_WORDS, Place, digest_of_heard
from openclaw_client.runs.proactive import INJECT_PREFIX, Kind, ProactiveMessage, kind_of_session
from openclaw_client.runs.rows import joined_text, last_end, spoken, text_known
from openclaw_client.runs.usage import from_rows
from openclaw_client.runs.words import short_digest
from openclaw_client.wire.chat import shows_anything
from openclaw_client.wire.history import HistoryMessage, HistoryPage

_MESSAGE_ID = re.compile(r'"message_id": "([^"]+)"')
_UNSUCCESSFUL = frozenset({"aborted", "error"})


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


@dataclass(frozen=True, slots=True)
class _Runs:
    """What is known of runs: by this process, and, as digests, by those before it."""

    is_known: Callable[[str], bool]
    is_open: Callable[[str], bool]
    ids: frozenset[bytes]
    opened: frozenset[bytes]

    def known(self, run_id: str) -> bool:
        return self.is_known(run_id) or (bool(self.ids) and short_digest(run_id) in self.ids)

    def began(self, run_id: str | None) -> bool:
        if run_id is None:
            return False
        return self.is_open(run_id) or (bool(self.opened) and short_digest(run_id) in self.opened)


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

    is_known: whether a run is this client's own, or was handed out. is_open: whether its beginning was heard. What
    another process knew of both stands in the place.
    """
    rows = page.messages
    runs = _Runs(is_known, is_open, frozenset(place.ids), place.opened)
    messages: list[ProactiveMessage] = []
    settled: list[_Group] = []
    end = len(rows)
    groups = sorted(_groups(rows), key=lambda one: one.at)
    # The row of the last look may be a thousand heard ones ago.
    starts = [at for at in (place.start(rows), _heard_up_to(groups, place)) if at is not None]
    start = max(starts) if starts else None
    for group in groups:
        behind = group.at >= start if start is not None else place.is_behind(group.rows[-1])
        if not behind and not runs.began(group.run_id):
            continue
        if _goes_on(page, group):
            # Its end will be heard, or looked for again from here.
            end = min(end, group.first)
            continue
        settled.append(group)
        if place.has_looked_at(group.rows[-1].id):
            continue
        whole = group.whole
        said = spoken(whole)
        text, content = joined_text(said), from_rows(said).content
        if not _is_news(group, place, runs, session_key) or whole[-1].stop_reason in _UNSUCCESSFUL:
            continue
        if text or shows_anything(content):
            messages.append(_message(group, text, content, session_key, application))
    _move(place, rows, end)
    place.note_looked_at(group.rows[-1].id for group in settled if group.at >= end)
    place.note_known(*(message.run_id for message in messages))
    place.session_id = page.session_id or place.session_id
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
    said = [heard.whole for heard in place.said]
    texts = [digest_of_heard(joined_text(group.whole)) for group in groups]
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


def _is_news(group: _Group, place: Place, runs: _Runs, session_key: str) -> bool:
    text, cut = text_known(group.whole)
    heard = place.consume(text, cut=cut)
    if group.injected:
        return not (heard or runs.known(INJECT_PREFIX + _ident(group, session_key)))
    if group.run_id is not None:
        return not (runs.known(group.run_id) or (group.asked_by is not None and runs.known(group.asked_by)))
    # 2026.4.15 names no run: its words tell.
    return not (place.consume_sent(group.words) or heard or runs.known(_ident(group, session_key)))


def _ident(group: _Group, session_key: str) -> str:
    """What the message is known by; the same when it is met again, and of no other session's."""
    last = group.rows[-1]
    if group.run_id or last.id:
        return group.run_id or last.id or ""
    # 2026.2.17 gives none: the time, the session and the words.
    return f"{last.timestamp or 0:.0f}-{short_digest(f'{session_key} {joined_text(group.whole)}').hex()}"


def _message(
    group: _Group,
    text: str,
    content: tuple[Mapping[str, Any], ...],
    session_key: str,
    application: Application | None,
) -> ProactiveMessage:
    last = group.rows[-1]
    ident = _ident(group, session_key)
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
    place.said = deque(entry for entry in place.said if entry.at_ms > place.since_ms)
