"""What lies between a run's events and its reader: a bounded buffer, and the pieces of text that only extend."""

from __future__ import annotations

from collections import deque

from openclaw_client.runs.events import RunEvent, TextAppended, TextReplaced

BUFFER_EVENTS = 1024
"""Events that wait for a reader before text is joined: over a minute's worth at a gateway's pace of 75 ms."""


class EventBuffer:
    """Events in order, text joined when the reader lags behind; nothing else is ever dropped or joined.

    Joining loses nothing: two appended pieces are one longer piece, and a replaced text voids the pieces before it.
    """

    __slots__ = ("_events", "_joining", "_limit", "_pieces")

    def __init__(self, limit: int = BUFFER_EVENTS) -> None:
        self._events: deque[RunEvent] = deque()
        self._pieces: list[str] = []
        self._joining: TextAppended | TextReplaced | None = None
        self._limit = limit

    def __len__(self) -> int:
        return len(self._events) + (self._joining is not None)

    def append(self, event: RunEvent) -> None:
        """Add an event; from `limit` on, text is joined with the text before it."""
        if self._joining is None and len(self._events) < self._limit:
            self._events.append(event)
        elif isinstance(event, TextAppended):
            if self._joining is None:
                self._joining = event
            self._pieces.append(event.text)
        elif isinstance(event, TextReplaced):
            self._joining, self._pieces = event, [event.text]
        else:
            self._settle()
            self._events.append(event)

    def popleft(self) -> RunEvent:
        """The oldest event; IndexError when there is none."""
        if not self._events:
            self._settle()
        return self._events.popleft()

    def _settle(self) -> None:
        if self._joining is None:
            return
        text = "".join(self._pieces)
        kind = type(self._joining)
        self._events.append(kind(self._joining.run_id, text))
        self._joining, self._pieces = None, []


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
