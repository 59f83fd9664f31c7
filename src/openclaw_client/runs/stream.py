"""What lies between a run's events and its reader: a bounded buffer, and the pieces of text that only extend."""

from __future__ import annotations

from collections import deque

import msgspec

from openclaw_client.runs.events import (
    RawEvent,
    RunEvent,
    RunStatus,
    SideResult,
    TextAppended,
    TextReplaced,
    ThinkingAppended,
    ToolFinished,
    ToolStarted,
    ToolUpdated,
)

BUFFER_EVENTS = 8192
"""Events that wait for a reader before text is joined: ten minutes' worth at a gateway's pace of 75 ms, about one MiB.
One turn of the event loop can bring thousands (uvloop reads up to 2 MiB in one), which is no sign of a slow reader."""
MAX_PIECES = 1024
"""Pieces that are kept apart until they are joined: joining each at once would copy the whole text every time."""
MAX_BUFFER_BYTES = 67_108_864
"""Bytes of what waits beside appended text, which the run keeps in any case: tools, side results, replaced texts."""

_APPROVAL = "approval"
_NESTED = 1 << 20
"""Bytes that stand for a value which is nested too deep to be written: none of a gateway's own is."""


class EventBuffer:
    """Events in order, of which few are kept when the reader lags behind.

    From `limit` on, text is joined with the text before it, and so is thinking; of the states (`RunStatus`) and of the
    unknown events of one name, the latest stands for all. Joining text loses nothing: two appended pieces are one
    longer piece, and a replaced text voids the pieces before it. What a run is judged by is never joined or overtaken:
    its beginning and its end, tools, approvals, side results, the loss and the return of the connection. Beyond
    `MAX_BUFFER_BYTES` joining begins at once, and further tools, side results and unknown events are dropped.

    dropped: how many were.
    """

    __slots__ = ("_bytes", "_joined", "_limit", "_told", "dropped", "events", "room")

    def __init__(self, limit: int = BUFFER_EVENTS) -> None:
        # For who is in a hurry: what is in here comes before everything else, and may be taken from the left. While
        # there are fewer than `room`, events may be put on the right.
        self.events: deque[RunEvent] = deque()
        self.room = limit
        self.dropped = 0
        self._limit = limit
        # Never less than what waits: who takes an event does not subtract it.
        self._bytes = 0
        self._told = 0
        self._joined: dict[str, _Joined] = {}

    def __len__(self) -> int:
        return len(self.events) + len(self._joined)

    def worth_telling(self) -> bool:
        """Whether the reader is so far behind that events are joined, or that the first was dropped: once each."""
        level = 2 if self.dropped else 1 if self._joined else 0
        told, self._told = self._told, max(level, self._told)
        return level > told

    def append(self, event: RunEvent) -> bool:
        """Add an event; False where the reader is so far behind that it waits to be joined, or was dropped."""
        if type(event) is not TextAppended and not self._has_room_for(event):
            return False
        if len(self.events) < self.room:
            self.events.append(event)
            return True
        if type(event) is TextAppended and (text := self._joined.get("text")) is not None:
            # A reader that lags behind a stream gets nearly nothing else.
            text.add(event)
            return False
        name = _joined_as(event)
        if name is None:
            self._end_joining()
            self.events.append(event)
            return True
        joined = self._joined.get(name)
        if joined is None:
            self._joined[name] = _Joined(event)
            self.room = 0
        else:
            joined.add(event)
        return False

    def popleft(self) -> RunEvent:
        """The oldest event; IndexError when there is none."""
        self.settle()
        return self.events.popleft()

    def settle(self) -> bool:
        """Where `events` is empty, end the joining and put there what was joined. Whether there is anything now."""
        if not self.events and self._joined:
            self._end_joining()
        return bool(self.events)

    def _has_room_for(self, event: RunEvent) -> bool:
        """Count an event that is about to wait; False where it is dropped instead."""
        size = size_beside_text(event)
        self._bytes = self._bytes + size if self.events or self._joined else size
        if self._bytes <= MAX_BUFFER_BYTES:
            return True
        self._bytes = size + sum(map(size_beside_text, self.events))
        if self._bytes <= MAX_BUFFER_BYTES or not self.events:
            return True
        if isinstance(event, _DROPPED):
            self._bytes -= size
            self.dropped += 1
            return False
        self.room = 0
        return True

    def _end_joining(self) -> None:
        for joined in self._joined.values():
            self.events.append(joined.event())
        self._joined.clear()
        self.room = self._limit


_PIECES = (TextAppended, ThinkingAppended)
_DROPPED = (ToolStarted, ToolUpdated, ToolFinished, SideResult, RawEvent)


def size_beside_text(event: RunEvent) -> int:
    """Bytes, about, that an event holds and the run does not."""
    match event:
        case TextReplaced() | ThinkingAppended() | SideResult():
            return len(event.text)
        case ToolStarted():
            return _written(event.args)
        case ToolUpdated():
            return _written(event.data)
        case ToolFinished():
            return _written(event.result)
        case RawEvent():
            return _written(event.payload)
        case RunStatus():
            return _written(event.retry)
        case _:
            return 0


def _written(value: object) -> int:
    try:
        return len(msgspec.json.encode(value))
    except RecursionError:
        return _NESTED


class _Joined:
    """Events that became one."""

    __slots__ = ("_event", "_pieces")

    def __init__(self, event: RunEvent) -> None:
        self._event = event
        self._pieces: list[str] = []

    def add(self, event: RunEvent) -> None:
        if not isinstance(event, _PIECES):
            self._event, self._pieces = event, []
            return
        self._pieces.append(event.text)
        if len(self._pieces) >= MAX_PIECES:
            self._event = self.event()

    def event(self) -> RunEvent:
        event, pieces = self._event, self._pieces
        if not pieces:
            return event
        assert isinstance(event, TextAppended | TextReplaced | ThinkingAppended)
        self._pieces = []
        return type(event)(event.run_id, "".join((event.text, *pieces)))


def _joined_as(event: RunEvent) -> str | None:
    """What an event may be joined with; None where it stands for itself."""
    if isinstance(event, TextAppended | TextReplaced):
        return "text"
    if isinstance(event, ThinkingAppended):
        return "thinking"
    if isinstance(event, RunStatus):
        return "status"
    if isinstance(event, RawEvent) and _APPROVAL not in event.name:
        return f"raw {event.name}"
    return None


class TextPieces:
    """Turns events into pieces of text, each of which extends what was given before.

    Where the gateway rewrote the text, pieces stop until the text extends again what was given.
    """

    __slots__ = ("_given", "_rewritten", "_text")

    def __init__(self) -> None:
        self._text: list[str] = []
        self._given = ""
        self._rewritten = False

    def feed(self, event: RunEvent) -> str:
        """The piece that an event adds; "" for none."""
        if isinstance(event, TextAppended):
            self._text.append(event.text)
            return self._catch_up() if self._rewritten else event.text
        if isinstance(event, TextReplaced):
            if not self._rewritten:
                self._given = "".join(self._text)
                self._rewritten = True
            self._text = [event.text]
            return self._catch_up()
        return ""

    def _catch_up(self) -> str:
        text = "".join(self._text)
        if not text.startswith(self._given):
            return ""
        piece = text[len(self._given) :]
        self._text, self._rewritten = [text], False
        return piece
