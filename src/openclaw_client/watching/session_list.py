"""The list of sessions as it is: pages that are read, and what events tell in between. Pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from openclaw_client.wire.session_info import (
    SessionChange,
    SessionInfo,
    SessionPage,
    merged,
    session_info,
    snapshot_of,
)

MAX_SESSIONS: Final = 1_000
"""Sessions of a list that are followed, the latest: nobody looks through more, and a page of them takes 2 MB."""
MAX_MEANWHILE: Final = 1_000
"""Changes that are told while a list is read, and kept until it is there; of more it is read again."""
MAX_DELETED: Final = 1_024
"""Conversations of which it is remembered that they were deleted: what comes late of one comes within seconds."""


_ACTIVE: Final = frozenset({"hasActiveRun", "activeRunIds"})
"""Fields of a row that say what runs when it is asked for."""


@dataclass(frozen=True, slots=True)
class SessionsChanged:
    """The list of sessions as it is now. Can be pickled.

    Attributes:
        sessions: All of them, the one that was updated last first.
        changed: The keys of those that came, changed or went since the reader was last told, in no order.
    """

    sessions: tuple[SessionInfo, ...]
    changed: tuple[str, ...]

    def after(self, earlier: SessionsChanged) -> SessionsChanged:
        """This one, for a reader that was not told the earlier one."""
        return SessionsChanged(self.sessions, tuple(dict.fromkeys((*earlier.changed, *self.changed))))


Shown = Callable[[str, Mapping[str, Any]], Mapping[str, Any] | None]
"""A row as this client may see it, by its session's key; None for a session of somebody else's."""


class SessionList:
    """The latest sessions, at most `limit`. shown: what this client may see.

    needs_reading: whether the list has to be read again to be right. doubtful: the sessions of which the answer alone
    says that a run goes on, by the status that the gateway has stored: an end of which the event came before it was
    listened to may not have been written down when the list was read (2026.4.15, observed).
    """

    def __init__(self, limit: int, shown: Shown) -> None:
        self.needs_reading = False
        self.doubtful: frozenset[str] = frozenset()
        self._limit = limit
        self._shown = shown
        self._rows: dict[str, SessionInfo] = {}
        self._deleted: OrderedDict[str, None] = OrderedDict()
        self._has_more = False
        # What events told while the list was being read.
        self._meanwhile: list[SessionChange] | None = None
        self._told: dict[str, None] = {}

    @property
    def sessions(self) -> tuple[SessionInfo, ...]:
        return tuple(sorted(self._rows.values(), key=lambda one: (-(one.updated_at or 0.0), one.key)))

    def take_changed(self) -> SessionsChanged | None:
        """The list, where it changed since this was last called."""
        if not self._told:
            return None
        changed, self._told = tuple(self._told), {}
        return SessionsChanged(self.sessions, changed)

    def shown_anew(self) -> None:
        """The client may see other sessions than before: what was there already, no event tells."""
        self.needs_reading = True
        for key, info in tuple(self._rows.items()):
            if self._shown(key, info.raw) is None:
                self._note(key, info, None)
                del self._rows[key]

    def reading(self) -> None:
        """The list is being read: what events tell from now on may be newer than the answer."""
        self.needs_reading, self._meanwhile = False, []

    def read_failed(self) -> None:
        """There is no answer."""
        self.needs_reading, self._meanwhile = True, None

    def read(self, page: SessionPage) -> None:
        """The answer."""
        found = {}
        for row in page.rows:
            key = row["key"]
            visible = self._shown(key, row)
            info = None if visible is None else session_info(merged({}, visible))
            if info is not None and info.session_id not in self._deleted:
                found[key] = info
        for key in self._rows.keys() | found.keys():
            self._note(key, self._rows.get(key), found.get(key))
        self._rows, self._has_more = found, page.has_more
        self.doubtful = frozenset(key for key, info in found.items() if info.active and _ACTIVE.isdisjoint(info.raw))
        meanwhile, self._meanwhile = self._meanwhile or [], None
        for change in meanwhile:
            self.apply(change)
        self._cut()

    def apply(self, change: SessionChange) -> None:
        """What an event tells."""
        key = change.key
        if key is None:
            # Something became of some session, and nobody says of which.
            self.needs_reading = True
            return
        visible = self._shown(key, change.fields)
        if visible is None:
            return
        known = self._rows.get(key)
        change = replace(change, fields=visible)
        if change.turns:
            self.doubtful -= {key}
        if change.deleted:
            change = self._delete(key, change, known)
        elif change.session_id is None or change.session_id not in self._deleted:
            self._update(key, change, known)
        if self._meanwhile is not None:
            self._remember(change, self._meanwhile)
        self._cut()

    def _remember(self, change: SessionChange, meanwhile: list[SessionChange]) -> None:
        """Keep what the answer that is being waited for may not know."""
        if len(meanwhile) >= MAX_MEANWHILE:
            self.needs_reading = True
        elif change.session_id is not None:
            meanwhile.append(change)

    def _delete(self, key: str, change: SessionChange, known: SessionInfo | None) -> SessionChange:
        """A session is gone; the change, with the conversation that it means."""
        named, ours = change.session_id, known.session_id if known is not None else None
        if named is None:
            # Releases before 2026.8 name the key alone: what is known under it now is meant.
            change = replace(change, fields={**change.fields, "sessionId": ours})
        if change.session_id is not None:
            self._deleted[change.session_id] = None
            if len(self._deleted) > MAX_DELETED:
                self._deleted.popitem(last=False)
        if known is not None and (named is None or named == ours):
            self._note(key, known, None)
            del self._rows[key]
            self.needs_reading = self.needs_reading or self._has_more
        else:
            # Another conversation under this key, of which it is not known which one is the newer; or one that the
            # answer that is being waited for may still have.
            self.needs_reading = self.needs_reading or known is not None or self._meanwhile is not None
        return change

    def _update(self, key: str, change: SessionChange, known: SessionInfo | None) -> None:
        if known is None and change.session_id is None:
            # Events of 2026.4 also name what is no session of the list.
            return
        same = known is not None and change.session_id in (None, known.session_id)
        if known is not None and same:
            if _is_older(change, known.raw):
                return
            if not change.whole and known.label is not None and "label" not in change.fields:
                # 2026.6 and before leave out what was cleared.
                self.needs_reading = True
        info = session_info({**merged(known.raw if known is not None and same else {}, change.fields), "key": key})
        self._note(key, known, info)
        self._rows[key] = info

    def _note(self, key: str, before: SessionInfo | None, after: SessionInfo | None) -> None:
        if before != after or (before is not None and after is not None and _differs(before.raw, after.raw)):
            self._told[key] = None

    def _cut(self) -> None:
        if len(self._rows) > self._limit and self._meanwhile is None:
            for info in self.sessions[self._limit :]:
                del self._rows[info.key]
                self._told[info.key] = None
                self._has_more = True


def _is_older(change: SessionChange, known: Mapping[str, Any]) -> bool:
    """Whether an event was made before what is known: gateways send some late. When a session was updated last tells
    that less well than when the row was taken: 2026.4 dates the end of a run before its last words."""
    new, old = snapshot_of(change.fields), snapshot_of(known)
    if new is None or old is None or new[0] != old[0] or new[1] >= old[1]:
        return False
    return not change.turns or new[0] == "snapshotAt"


def _differs(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether two rows say something else, apart from when they were taken."""
    names = (before.keys() | after.keys()) - {"snapshotAt"}
    return any(before.get(name) != after.get(name) for name in names)
