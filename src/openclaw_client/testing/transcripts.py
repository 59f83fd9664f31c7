"""What was said in which session, and how each release shows it.

Knows rows and their shapes; refuses to know runs and connections. Everything survives a restart with memory.
"""

from __future__ import annotations

import datetime
import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from openclaw_client.errors import UsageError
from openclaw_client.testing.files import SentFile, room_for
from openclaw_client.testing.traits import Profile

DEFAULT_LIMIT = 200
"""Messages of a page where the client names no limit: the gateways' own."""
MAX_ROW = 128 * 1024
"""Bytes of one row on a page: the gateways' own."""

_USAGE = {"input": 1, "output": 1, "totalTokens": 2, "cacheRead": 0, "cacheWrite": 0, "cost": {"total": 0}}
_NO_USAGE = {"input": 0, "output": 0, "totalTokens": 0, "cacheRead": 0, "cacheWrite": 0, "cost": {"total": 0}}


@dataclass(slots=True)
class Row:
    """One message. extra: further keys of an assistant message, such as errorMessage. merged_into: the run that took
    a user's message up. key: the idempotency key that a user's row shows, where it is not the run's. files: shown
    behind the text; coming: those that are prepared. meta: what stands in the row's own envelope beside its id.
    call: of a tool, where the row is one; one that has a text, too, does not show it. nameless: whether a user's row
    shows no key."""

    role: str
    text: str
    at: int
    id: str
    run_id: str | None = None
    sender: str = ""
    merged_into: str | None = None
    key: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    files: list[SentFile] = field(default_factory=list)
    meta: dict[str, Any] = field(default_factory=dict)
    coming: list[SentFile] = field(default_factory=list)
    call: Mapping[str, Any] | None = None
    nameless: bool = False

    def show_files(self) -> None:
        """Those that were prepared are there."""
        self.files, self.coming = [*self.files, *self.coming], []


@dataclass(slots=True)
class Input:
    """A message that waits, or was cancelled or interrupted while it did. id: of its row, once it has one."""

    id: str
    run_id: str
    text: str
    at: int
    state: Literal["queued", "cancelled", "interrupted"] = "queued"


@dataclass(slots=True)
class Transcript:
    """One session.

    Attributes:
        key: Canonical.
        queue_mode: What `/queue` set.
        spoken_in: Whether the model has completed a message here.
        inputs: Messages that wait, on releases that write them down.
        receipts: The id of the row that holds a message which was collected with others, by the message's run.
        created_via: Who made it: a client by itself, or a run.
        settings: What sessions.patch set, by the names of the release.
        generation: Another one whenever the session is begun anew.
    """

    key: str
    session_id: str
    created_at: int
    updated_at: int
    queue_mode: str | None = None
    spoken_in: bool = False
    rows: list[Row] = field(default_factory=list)
    inputs: list[Input] = field(default_factory=list)
    receipts: dict[str, str] = field(default_factory=dict)
    created_via: Literal["operator", "run"] = "operator"
    settings: dict[str, Any] = field(default_factory=dict)
    generation: str = field(default_factory=lambda: uuid.uuid4().hex)

    def add(self, row: Row) -> int:
        """Append; returns the place of the row, from 1."""
        self.rows.append(row)
        self.spoken_in = self.spoken_in or row.role == "assistant"
        self.updated_at = row.at
        return len(self.rows)

    def written(self, profile: Profile) -> list[Row]:
        """The rows that chat.history shows: on some releases none before the model has completed a first message."""
        return self.rows if profile.rows_at_once or self.spoken_in else []

    def lose_unwritten(self, profile: Profile) -> None:
        """What the end of the process makes of this session."""
        self.rows = list(self.written(profile))
        for one in self.inputs:
            if one.state == "queued":
                one.state = "interrupted"

    def reset(self, profile: Profile, now: int) -> None:
        """Begin anew. The queue mode stays."""
        self.rows = []
        self.inputs.clear()
        self.receipts.clear()
        self.spoken_in = False
        self.updated_at, self.generation = now, uuid.uuid4().hex
        if profile.reset_keeps_id:
            self.add(new_row("system", "Reset", now))
        else:
            self.session_id = str(uuid.uuid4())

    def lost(self, run_id: str) -> bool:
        """Whether the message of this run waited when a process ended."""
        return any(one.run_id == run_id and one.state == "interrupted" for one in self.inputs)

    def spoken(self) -> list[dict[str, str]]:
        """The conversation as an agent gets it."""
        return [{"role": row.role, "text": row.text} for row in self.rows if row.text and row.role != "toolResult"]


class Transcripts:
    """All sessions of a gateway by canonical key."""

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self.sessions: dict[str, Transcript] = {}

    def get(self, key: str) -> Transcript | None:
        return self.sessions.get(key)

    def open(self, key: str) -> Transcript:
        """The session of this key, made when there is none."""
        found = self.sessions.get(key)
        if found is None:
            now = self._now()
            found = self.sessions[key] = Transcript(key, str(uuid.uuid4()), now, now)
        return found

    def check_room(self, size: int) -> None:
        """Raise UsageError where one more file of this size is too much to keep."""
        rows = (row for session in self.sessions.values() for row in session.rows)
        if not room_for(size, (one for row in rows for one in (*row.files, *row.coming))):
            raise UsageError(
                message="the embedded gateway keeps no more files that agents sent",
                remedy="Reset or delete sessions, or send fewer and smaller files",
            )


def new_row(role: str, text: str, at: int, *, run_id: str | None = None, sender: str = "", **extra: Any) -> Row:
    """A row with an id of its own."""
    return Row(role, text, at, str(uuid.uuid4()), run_id, sender, extra=extra)


def assistant_extra(*, injected: bool = False) -> dict[str, Any]:
    """The keys of an assistant message beside its text."""
    if injected:
        origin = {"api": "openai-responses", "provider": "openclaw", "model": "gateway-injected"}
        return {"stopReason": "stop", "usage": dict(_NO_USAGE), **origin}
    return {
        "api": "openai-completions",
        "provider": "embedded",
        "model": "embedded-1",
        "usage": dict(_USAGE),
        "stopReason": "stop",
    }


def shown(row: Row, place: int, profile: Profile) -> dict[str, Any]:
    """The row as chat.history and session.message show it."""
    if row.role == "user":
        return _user(row, place, profile)
    content = _blocks(row.text) + [one.block(row_ids=profile.more_methods) for one in row.files]
    if row.call is not None and not content and profile.calls_shown:
        content = [dict(row.call)]
    extra = row.extra
    if not profile.row_usage:
        extra = {name: value for name, value in extra.items() if name != "usage"}
    message: dict[str, Any] = {"role": row.role, "content": content, **extra, "timestamp": row.at}
    if profile.message_ids:
        meta: dict[str, Any] = {**row.meta, "id": row.id, "seq": place}
        if profile.rows_name_runs and row.run_id is not None:
            meta = {"runId": row.run_id, **meta}
        message["__openclaw"] = meta
    return message


def cut(message: dict[str, Any], chars: int) -> dict[str, Any]:
    """The message as a page of chat.history has it: long texts up to so many characters, a huge row not at all."""
    content = message["content"]
    if isinstance(content, str):
        message = {**message, "content": _cut(content, chars)}
    else:
        message = {**message, "content": [_cut_block(block, chars) for block in content]}
    if len(json.dumps(message, ensure_ascii=False).encode()) <= MAX_ROW:
        return message
    meta = {**message.get("__openclaw", {}), "truncated": True, "reason": "oversized"}
    kept = {key: message[key] for key in ("role", "timestamp")}
    return {**kept, "content": _blocks("[chat.history omitted: message too large]"), "__openclaw": meta}


def _cut_block(block: dict[str, Any], chars: int) -> dict[str, Any]:
    return {**block, "text": _cut(block["text"], chars)} if "text" in block else block


def _cut(text: str, chars: int) -> str:
    return text if len(text) <= chars else f"{text[:chars]}\n...(truncated)..."


def _user(row: Row, place: int, profile: Profile) -> dict[str, Any]:
    text = _wrapped(row) if profile.wraps_user_text and not row.nameless else row.text
    message: dict[str, Any] = {"role": "user", "content": _blocks(text) if profile.user_blocks else text}
    message["timestamp"] = row.at
    if not profile.message_ids:
        return message
    message["__openclaw"] = {"id": row.id, "seq": place}
    if profile.user_blocks:
        if row.merged_into is None:
            message["senderLabel"] = row.sender
    elif not row.nameless and (row.key or row.run_id is not None):
        message["idempotencyKey"] = row.key or f"{row.run_id}:user"
        if profile.user_keys == "row-and-meta":
            message["__openclaw"]["idempotencyKey"] = message["idempotencyKey"]
        if profile.rows_name_runs and row.merged_into is not None:
            message["__openclaw"]["steerTargetRunId"] = row.merged_into
    return message


def _wrapped(row: Row) -> str:
    """2026.2.17 shows a user's text as the model got it: with metadata before and a time stamp."""
    info = json.dumps({"message_id": row.run_id, "sender": row.sender}, indent=2)
    at = datetime.datetime.fromtimestamp(row.at / 1000, datetime.UTC)
    stamp = at.strftime("%a %Y-%m-%d %H:%M UTC")
    return f"Conversation info (untrusted metadata):\n```json\n{info}\n```\n\n[{stamp}] {row.text}"


def _blocks(text: str) -> list[dict[str, Any]]:
    return [{"type": "text", "text": text}] if text else []
