"""The text of one run: what each delta makes of what was there.

The snapshot in `message` is authoritative, `deltaText` is a hint: increments are merged, dropped and sent twice by a
gateway under load, snapshots heal themselves with the next one.
"""

from __future__ import annotations

from enum import Enum
from typing import Literal, TypeAlias

from openclaw_client.runs.events import TextAppended, TextReplaced
from openclaw_client.wire.chat import ChatPayload, message_text
from openclaw_client.wire.deltas import CUT_HEAD, MARK, MARK_SIZE, WORTHWHILE, decode_delta, head_of, text_bytes
from openclaw_client.wire.frames import UNDECODABLE

MAX_TAIL = 256
"""Bytes behind a known text that are decoded with every frame before more of it counts as known, for which the whole
text is copied; some fifty of them are the frame's own."""


class Unclear(Enum):
    UNCLEAR = "unclear"


UNCLEAR = Unclear.UNCLEAR
"""A frame that `TextReducer.take` leaves to `decode_frame` and `TextReducer.delta`."""
Taken: TypeAlias = TextAppended | TextReplaced | Literal[Unclear.UNCLEAR] | None


class TextReducer:
    """Holds the text so far; its methods return the event that leads from the old text to the new one."""

    __slots__ = ("_head", "_known", "_last_seq", "_pieces", "_resumed", "_size", "_start", "_tail", "_text", "run_id")

    def __init__(self, run_id: str, text: str = "", *, resumed: bool = False) -> None:
        self.run_id = run_id
        self._text = text
        # What was appended since; joined when somebody asks, because a join copies the whole text.
        self._pieces: list[str] = []
        self._last_seq = -1
        self._resumed = resumed
        # How the run's frames begin; no frame begins with this. Behind it, where their own part begins.
        self._head = b"\0"
        self._start = 0
        # The bytes that a text begins with, how many they are (0 for none), and what follows them in the text so far.
        self._known = b""
        self._size = 0
        self._tail = ""

    @property
    def text(self) -> str:
        """The text so far."""
        if self._pieces:
            self._text = "".join((self._text, *self._pieces))
            self._pieces.clear()
        return self._text

    def delta(self, payload: ChatPayload) -> TextAppended | TextReplaced | None:
        """The effect of one delta; None where it is late, a double, or says nothing new."""
        seq = payload.seq
        if seq is not None:
            if seq < self._last_seq:
                return None
            self._last_seq = seq
        snapshot = message_text(payload.message)
        if snapshot is None:
            if payload.delta_text is None:
                return None
            snapshot = payload.delta_text if payload.replace else self.text + payload.delta_text
        elif self._resumed and not payload.replace and self._is_older(snapshot):
            # After a reconnect the first live frame may be older than the history's text (observed on 2026.9.6).
            return None
        return self.become(snapshot)

    def become(self, text: str) -> TextAppended | TextReplaced | None:
        """Make `text` the text; None where it is already."""
        old = self.text
        self._text, self._size = text, 0
        if text.startswith(old):
            piece = text[len(old) :]
            return TextAppended(self.run_id, piece) if piece else None
        return TextReplaced(self.run_id, text)

    def expect(self, data: bytes) -> bool:
        """Whether frames that begin like this one can be taken as bytes; it is the latest of the run."""
        if not data.startswith(self._head):
            head = head_of(data)
            if head is None:
                return False
            self._head, self._start, self._size = head, len(head) + 1, 0
        return True

    def take(self, data: bytes, expected: int) -> Taken:
        """`delta`, for the bytes of the frame that has the expected number on the connection.

        Decodes no more than the text needs, and a long text once. UNCLEAR, and nothing has changed, where the frame is
        another, or not as simple as nearly all are.
        """
        if not data.startswith(self._head):
            return UNCLEAR
        if len(data) >= WORTHWHILE:
            return self._take_long(data, expected)
        try:
            frame = decode_delta(data)
        except UNDECODABLE:
            return UNCLEAR
        payload = frame.payload
        seq = payload.seq
        if frame.seq != expected:
            return UNCLEAR
        if seq < self._last_seq:
            return None
        text = payload.message.content[0].text
        old = self.text if self._pieces else self._text
        # All of it where it does not begin so. One call, which costs half of asking first and cutting then.
        piece = text.removeprefix(old)
        if old and len(piece) == len(text):
            if self._resumed:
                return UNCLEAR
            self._last_seq, self._text, self._size = seq, text, 0
            return TextReplaced(self.run_id, text)
        self._last_seq, self._text, self._size = seq, text, 0
        return TextAppended(self.run_id, piece) if piece else None

    def _take_long(self, data: bytes, expected: int) -> Taken:
        start, size = self._start, self._size
        begin = data.find(MARK, start) + MARK_SIZE
        if not size or not data.startswith(self._known, begin):
            return self._take_whole(data, expected, begin)
        try:
            frame = decode_delta(CUT_HEAD + data[start:begin] + data[begin + size :])
        except UNDECODABLE:
            return UNCLEAR
        payload = frame.payload
        seq, text, tail = payload.seq, payload.message.content[0].text, self._tail
        piece = text.removeprefix(tail)
        if frame.seq != expected or (tail and len(piece) == len(text)):
            return UNCLEAR
        if seq < self._last_seq:
            return None
        if len(data) - begin - size <= MAX_TAIL:
            self._tail = text
        elif not self._note(data, begin, size):
            return UNCLEAR
        self._last_seq = seq
        if not piece:
            return None
        self._pieces.append(piece)
        return TextAppended(self.run_id, piece)

    def _take_whole(self, data: bytes, expected: int, begin: int) -> Taken:
        """A long text that begins with nothing that is known; its bytes are, from here on."""
        try:
            frame = decode_delta(data)
        except UNDECODABLE:
            return UNCLEAR
        payload = frame.payload
        text = payload.message.content[0].text
        if frame.seq != expected or (self._resumed and not text.startswith(self.text)):
            return UNCLEAR
        if payload.seq < self._last_seq:
            return None
        self._last_seq = payload.seq
        event = self.become(text)
        self._note(data, begin, 0)
        return event

    def _note(self, data: bytes, begin: int, known: int) -> bool:
        """Know the text that begins at a byte of a frame; known: bytes of it that are known. Whether it could be."""
        noted = text_bytes(data, begin, known)
        # More than MAX_TAIL: what is left when it is cut out of a frame is too little to hold it, so that a text of the
        # same bytes elsewhere in the frame is not taken for its end.
        if noted is None or len(noted) <= MAX_TAIL:
            return False
        self._known, self._size, self._tail = noted, len(noted), ""
        return True

    def _is_older(self, snapshot: str) -> bool:
        return len(snapshot) < len(self.text) and self.text.startswith(snapshot)
