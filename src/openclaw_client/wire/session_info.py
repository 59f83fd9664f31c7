"""Sessions as the list of a gateway shows them, and what an event tells of one.

Lenient: whatever names a session is one, and a field of a wrong type counts as not told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from openclaw_client.errors.peer_text import one_line

MAX_TITLE: Final = 512
"""Characters of a label or a title that are kept: gateways take no longer ones."""
MAX_ROW_BYTES: Final = 65_536
"""Bytes of a row that are kept as `raw`: rows have 1 to 4 KB. Of a longer one the other fields are kept alone."""

RUNNING: Final = "running"
_ENVELOPE: Final = frozenset(
    # ruff: noqa: SIM905 - a line for each would take the whole screen
    "sessionKey reason phase runId ts session message messageId messageSeq senderIsOwner ancestorSessions".split()
)
"""What an event has beside the fields of a row."""
_ACTIVITY: Final = frozenset({"status", "hasActiveRun"})
"""Two words for one fact, of which no release's events always have both: one that is told alone voids the other."""


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """A session as the gateway lists it. Can be pickled, and handed to another process.

    Attributes:
        key: The gateway's own spelling, such as "agent:main:main".
        session_id: The id of its conversation: another one when a session is deleted and made again, and on releases
            before 2026.8 also when it is begun anew. None where the gateway does not say.
        title: What a person may be shown as its name: the one that the gateway displays, its label or the one that it
            made of the first words; None where there is none. In one line.
        label: The name that somebody gave it, in one line; None where nobody did.
        model, provider: What answers in it; None where the gateway does not say.
        updated_at: When something last became of it, in seconds since 1970 by the gateway's clock.
        status: How its last run stands, in the gateway's words: "running", "done", "failed", "killed", …
        active: Whether a run goes on in it; None where the gateway does not say.
        total_tokens: The tokens of its conversation, as far as the gateway has counted them.
        context_tokens: The tokens that its model takes.
        raw: The gateway's row; {} for one of over 64 KiB.
    """

    key: str
    session_id: str | None = None
    title: str | None = None
    label: str | None = None
    model: str | None = None
    provider: str | None = None
    updated_at: float | None = None
    status: str | None = None
    active: bool | None = None
    total_tokens: int | None = None
    context_tokens: int | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class SessionChange:
    """What an event tells of one session. key: None where it names none. fields: those of its row that it tells, null
    for what is cleared. whole: whether they came as a row of their own. turns: whether a run began or ended, which
    comes in order."""

    key: str | None
    fields: Mapping[str, Any]
    deleted: bool = False
    whole: bool = False
    turns: bool = False

    @property
    def session_id(self) -> str | None:
        return _text(self.fields, "sessionId")


@dataclass(frozen=True, slots=True)
class SessionPage:
    """A page of the list: its rows in the gateway's order, and whether there are more."""

    rows: tuple[Mapping[str, Any], ...]
    has_more: bool


def session_change(payload: Any) -> SessionChange | None:
    """What `sessions.changed` or `session.message` tells; None for what tells nothing."""
    if not isinstance(payload, Mapping):
        return None
    row = payload.get("session")
    whole = isinstance(row, Mapping)
    fields = {name: value for name, value in payload.items() if name not in _ENVELOPE}
    if isinstance(row, Mapping):
        fields |= row
    key = payload.get("sessionKey") or fields.get("key")
    deleted, turns = payload.get("reason") == "delete", payload.get("phase") in ("start", "end", "error")
    return SessionChange(key if isinstance(key, str) and key else None, fields, deleted, whole, turns)


def session_rows(payload: Any) -> SessionPage | None:
    """The page in an answer of `sessions.list`; None for what is none."""
    rows = payload.get("sessions") if isinstance(payload, Mapping) else None
    if not isinstance(rows, list):
        return None
    named = (row for row in rows if isinstance(row, Mapping) and _text(row, "key"))
    return SessionPage(tuple(named), payload.get("hasMore") is True)


def merged(known: Mapping[str, Any], told: Mapping[str, Any]) -> dict[str, Any]:
    """A row with what an event tells of it: what it leaves out is unchanged, and null clears."""
    kept = dict(known)
    if told.keys() & _ACTIVITY:
        for name in _ACTIVITY:
            kept.pop(name, None)
    return {name: value for name, value in (kept | dict(told)).items() if value is not None}


def snapshot_of(row: Mapping[str, Any]) -> tuple[str, float] | None:
    """When a row was taken, in milliseconds, with the clock that says so: two of one clock compare."""
    for clock in ("snapshotAt", "updatedAt"):
        value = _number(row, clock)
        if value is not None:
            return clock, value
    return None


def session_info(row: Mapping[str, Any]) -> SessionInfo:
    """The session of a row that has a key."""
    updated_at = _number(row, "updatedAt")
    label = _line(row, "label")
    return SessionInfo(
        key=row["key"],
        session_id=_text(row, "sessionId"),
        title=_line(row, "displayName") or label or _line(row, "derivedTitle"),
        label=label,
        model=_text(row, "model"),
        provider=_text(row, "modelProvider"),
        updated_at=None if updated_at is None else updated_at / 1000,
        status=_text(row, "status"),
        active=_is_active(row),
        total_tokens=_count(row, "totalTokens"),
        context_tokens=_count(row, "contextTokens"),
        raw=row if size_of_json(row) <= MAX_ROW_BYTES else {},
    )


def size_of_json(value: Any) -> int:
    """Bytes of what came as JSON; those of the longest row where it is too deep to be written again."""
    try:
        return len(msgspec.json.encode(value))
    except RecursionError:
        return MAX_ROW_BYTES + 1


def _is_active(row: Mapping[str, Any]) -> bool | None:
    """Behind the end of a run 2026.7 still says that there is one, beside a status that says how it ended."""
    has, status, ids = row.get("hasActiveRun"), _text(row, "status"), row.get("activeRunIds")
    if has is False:
        return False
    if status == RUNNING or (isinstance(ids, list) and ids):
        return True
    if status is not None:
        return False
    return True if has is True else None


def _text(row: Mapping[str, Any], name: str) -> str | None:
    value = row.get(name)
    return value if isinstance(value, str) and value else None


def _line(row: Mapping[str, Any], name: str) -> str | None:
    return one_line((_text(row, name) or "")[:MAX_TITLE]) or None


def _number(row: Mapping[str, Any], name: str) -> float | None:
    value = row.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        return float(value)
    except OverflowError:
        # JSON knows longer ones.
        return None


def _count(row: Mapping[str, Any], name: str) -> int | None:
    value = row.get(name)
    return value if type(value) is int else None
