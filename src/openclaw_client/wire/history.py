"""The result of chat.history, as far as all releases agree on it.

There is no schema for this page in the published package; the shapes are those of four observed releases. Messages are
handed out as the gateway sent them, with the few things that everybody asks for as properties.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from openclaw_client.wire.chat import INJECTED, MIRRORED, details_of, message_from, message_text, text_pieces
from openclaw_client.wire.usage import Usage

_SUFFIXES = (":user", ":assistant")
"""The idempotency key of a user's row, and of what is left of a stopped run, is the run id with one of these (observed
on 2026.9.6)."""

_COLLECTED = "followup-collect:"
"""How the key of a user's row begins that holds the words of several messages (2026.7.35, 2026.8.1 and 2026.9.6)."""

_CUT = "\n...(truncated)..."
_LEFT_OUT = ("[chat.history omitted: ", "[chat.history unavailable: ")
"""What stands behind the first part of a long text, and in the place of a row that is too large (all four releases)."""


class HistoryMessage(dict[str, Any]):
    """One message: the gateway's own mapping, with properties for what the releases spell differently."""

    @property
    def role(self) -> str:
        """ "user", "assistant", "toolResult", … ; "" where the gateway gave none."""
        role = self.get("role")
        return role if isinstance(role, str) else ""

    @property
    def text(self) -> str:
        """The blocks of text joined, with an empty line where something stood between them; see `is_cut`."""
        return message_text(message_from(self)) or ""

    @property
    def is_cut(self) -> bool:
        """Whether the gateway gives a part of the text only, or a note in its place."""
        return any(text.endswith(_CUT) or text.startswith(_LEFT_OUT) for text in self._texts())

    @property
    def is_left_out(self) -> bool:
        """Whether a note stands in the place of the whole row."""
        return any(text.startswith(_LEFT_OUT) for text in self._texts())

    @property
    def uncut(self) -> str:
        """`text` up to where the gateway cut it, without the mark."""
        known = ""
        for text in self._texts():
            if text.startswith(_LEFT_OUT):
                return known
            if text.endswith(_CUT):
                return known + text.removesuffix(_CUT)
            known += text
        return known

    @property
    def id(self) -> str | None:
        """The gateway's id of the message, stable across reads; None on releases without one."""
        return self._meta_str("id") or self._str("messageId")

    @property
    def run_id(self) -> str | None:
        """The run that wrote or was started by this message, where the gateway tells (2026.9.6)."""
        key = self._meta_str("idempotencyKey") or self._str("idempotencyKey")
        for suffix in _SUFFIXES:
            if key and key.endswith(suffix):
                return key[: -len(suffix)]
        return self._meta_str("runId") or self._str("runId") or key

    @property
    def merged_into(self) -> str | None:
        """The run that took this user's message up while it was going on (2026.9.6)."""
        return self._meta_str("steerTargetRunId")

    @property
    def is_collected(self) -> bool:
        """Whether this user's row holds the words of several messages that waited, and so names none of their runs."""
        key = self._meta_str("idempotencyKey") or self._str("idempotencyKey")
        return key is not None and key.startswith(_COLLECTED)

    @property
    def content(self) -> tuple[Mapping[str, Any], ...]:
        """The blocks as the gateway sent them: texts, images, tool calls, … . A bare text is one block of text."""
        return details_of(self).content

    @property
    def usage(self) -> Usage | None:
        """What the model call of this row took; None for what no model wrote."""
        return details_of(self).usage

    @property
    def model(self) -> str | None:
        """The model that wrote this row; None for what no model wrote."""
        return details_of(self).model

    @property
    def provider(self) -> str | None:
        """Whose model that is; None for what no model wrote."""
        return details_of(self).provider

    @property
    def is_the_gateways(self) -> bool:
        """Whether the gateway wrote this message and no model: chat.inject, the answer to a command, a stopped run."""
        return (self._str("provider"), self._str("model")) == INJECTED

    @property
    def is_mirrored(self) -> bool:
        """Whether this is what an agent sent with its tool `message`, beside its answer."""
        return "openclawMessageToolMirror" in self or (self._str("provider"), self._str("model")) == MIRRORED

    @property
    def place(self) -> int | None:
        """Which row of its session it is, from 1; None on releases that do not tell."""
        meta = self.get("__openclaw")
        value = meta.get("seq") if isinstance(meta, dict) else None
        return value if type(value) is int else None

    @property
    def timestamp(self) -> float | None:
        """Milliseconds of the gateway's clock when the turn began; None where the gateway gave none."""
        value = self.get("timestamp")
        return value if isinstance(value, int | float) and not isinstance(value, bool) else None

    @property
    def error_message(self) -> str | None:
        """Why the run that wrote this message failed; None where it did not."""
        return self._str("errorMessage")

    @property
    def stop_reason(self) -> str | None:
        """Why the model stopped, in the gateway's words; "aborted" for what is left of a stopped run."""
        mark = self.get("openclawAbort")
        return "aborted" if isinstance(mark, dict) and mark.get("aborted") is True else self._str("stopReason")

    def _texts(self) -> list[str]:
        return text_pieces(message_from(self))

    def _str(self, key: str) -> str | None:
        value = self.get(key)
        return value if isinstance(value, str) and value else None

    def _meta_str(self, key: str) -> str | None:
        meta = self.get("__openclaw")
        value = meta.get(key) if isinstance(meta, dict) else None
        return value if isinstance(value, str) and value else None


@dataclass(frozen=True, slots=True)
class InFlightRun:
    """A run that was going on when the page was made, and its text so far."""

    run_id: str
    text: str


@dataclass(frozen=True, slots=True)
class PendingInput:
    """A message that the gateway took and that stands in no row yet.

    Attributes:
        run_id: The run id under which it was sent.
        state: "queued" while it waits; "cancelled" (aborted) or "interrupted" (its gateway stopped) for one that will
            never run and is kept to be looked at.
    """

    run_id: str
    state: str = "queued"


@dataclass(frozen=True, slots=True)
class InputReceipt:
    """What became of a message that was named in `inputRunIds` of chat.history.

    Attributes:
        run_id: The run id under which it was sent.
        state: "pending" or "consumed".
        consumed_by: The id of the user's row that holds its words; None while it is pending.
    """

    run_id: str
    state: str
    consumed_by: str | None = None


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """One page of chat.history, oldest message first.

    Attributes:
        messages: The rows.
        in_flight_run: The run that goes on, with its text so far; None where there is none, or the gateway tells none.
        active_run_ids: None where the gateway doesn't tell (before 2026.9), () where the session is idle.
        has_active_run: None where the gateway doesn't tell (wire v3).
        pending_run_ids: The run ids of `pending`, whatever their state.
        session_key: The session, as it was asked for.
        session_id: The conversation in that session; a reset begins another one.
        has_more: Whether there are older rows; None where the gateway doesn't tell.
        next_offset: The `offset` to ask for the next older page with.
        raw: The whole result.
        pending: Messages without a row, the latest 20 at most (2026.8.1 and later).
        receipts: Of the messages that `inputRunIds` named (2026.9.6); () where none were.
    """

    messages: list[HistoryMessage]
    in_flight_run: InFlightRun | None = None
    active_run_ids: tuple[str, ...] | None = None
    has_active_run: bool | None = None
    pending_run_ids: tuple[str, ...] = ()
    session_key: str | None = None
    session_id: str | None = None
    has_more: bool | None = None
    next_offset: int | None = None
    raw: dict[str, Any] = field(default_factory=dict, repr=False)
    receipts: tuple[InputReceipt, ...] = ()
    pending: tuple[PendingInput, ...] = ()


def history_page(result: Any) -> HistoryPage:
    """The page out of a result in which anything may be missing or of a wrong type."""
    raw = result if isinstance(result, dict) else {}
    rows = raw.get("messages")
    messages = [HistoryMessage(row) for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    info = raw.get("sessionInfo")
    active = info.get("activeRunIds") if isinstance(info, dict) else None
    busy = info.get("hasActiveRun") if isinstance(info, dict) else None
    key, session_id, more, offset = (raw.get(name) for name in ("sessionKey", "sessionId", "hasMore", "nextOffset"))
    pending = _pending(raw.get("pendingInputs"))
    return HistoryPage(
        messages=messages,
        in_flight_run=_in_flight(raw.get("inFlightRun")),
        active_run_ids=tuple(item for item in active if isinstance(item, str)) if isinstance(active, list) else None,
        has_active_run=busy if isinstance(busy, bool) else None,
        pending_run_ids=tuple(entry.run_id for entry in pending),
        session_key=key if isinstance(key, str) else None,
        session_id=session_id if isinstance(session_id, str) else None,
        has_more=more if isinstance(more, bool) else None,
        next_offset=offset if type(offset) is int else None,
        raw=raw,
        receipts=_receipts(raw.get("inputReceipts")),
        pending=pending,
    )


def _in_flight(value: Any) -> InFlightRun | None:
    if not isinstance(value, dict):
        return None
    run_id, text = value.get("runId"), value.get("text")
    if not isinstance(run_id, str) or not run_id:
        return None
    return InFlightRun(run_id, text if isinstance(text, str) else "")


def _pending(value: Any) -> tuple[PendingInput, ...]:
    items = value.get("items") if isinstance(value, dict) else None
    found = []
    for item in items if isinstance(items, list) else ():
        # The gateway leaves ids of more than 256 characters out: such an entry is nobody's.
        run_id, state = (item.get("runId"), item.get("state")) if isinstance(item, dict) else (None, None)
        if isinstance(run_id, str) and run_id:
            found.append(PendingInput(run_id, state) if isinstance(state, str) and state else PendingInput(run_id))
    return tuple(found)


def _receipts(value: Any) -> tuple[InputReceipt, ...]:
    found = []
    for item in value if isinstance(value, list) else ():
        names = ("runId", "state", "consumedByEventId")
        run_id, state, row_id = (item.get(name) for name in names) if isinstance(item, dict) else (None, None, None)
        if isinstance(run_id, str) and isinstance(state, str):
            found.append(InputReceipt(run_id, state, row_id if isinstance(row_id, str) else None))
    return tuple(found)
