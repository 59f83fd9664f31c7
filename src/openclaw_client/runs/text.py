"""The text of one run: what each delta makes of what was there.

The snapshot in `message` is authoritative, `deltaText` is a hint: increments are merged, dropped and sent twice by a
gateway under load, snapshots heal themselves with the next one.
"""

from __future__ import annotations

from openclaw_client.runs.events import TextAppended, TextReplaced
from openclaw_client.wire.chat import ChatMessage, ChatPayload, message_text
from openclaw_client.wire.frames import whole_payload


class TextReducer:
    """Holds the text so far; `delta` and `become` return the event that leads from the old text to the new one."""

    __slots__ = ("_base", "_last_seq", "_pieces", "_resumed", "_tail", "_text", "run_id")

    def __init__(self, run_id: str, text: str = "", *, resumed: bool = False) -> None:
        self.run_id = run_id
        self._text = text
        # What was appended since; joined when somebody asks, because a join copies the whole text.
        self._pieces: list[str] = []
        # The number of a text that this one begins with, and what follows it here.
        self._base = 0
        self._tail = ""
        self._last_seq = -1
        self._resumed = resumed

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
        snapshot: str | None
        message = payload.message
        # The usual message without a call: one block.
        if type(message) is ChatMessage and type(content := message.content) is list and len(content) == 1:
            block = content[0]
            snapshot = block.text if block.type == "text" else ""
        else:
            snapshot = message_text(message)
        if payload.base:
            if payload.base == self._base and snapshot is not None and snapshot.startswith(self._tail):
                return self._extend(snapshot)
            payload = whole_payload(payload.source)
            snapshot = message_text(payload.message)
        if snapshot is None:
            if payload.delta_text is None:
                return None
            snapshot = payload.delta_text if payload.replace else self.text + payload.delta_text
        elif self._resumed and not payload.replace and self._is_older(snapshot):
            # After a reconnect the first live frame may be older than the history's text (observed on 2026.9.6).
            return None
        return self.become(snapshot, payload.noted)

    def become(self, text: str, noted: int = 0) -> TextAppended | TextReplaced | None:
        """Make `text` the text; None where it is already. noted: the number under which it is remembered."""
        old = self.text if self._pieces else self._text
        self._text, self._base, self._tail = text, noted, ""
        if text.startswith(old):
            piece = text[len(old) :]
            return TextAppended(self.run_id, piece) if piece else None
        return TextReplaced(self.run_id, text)

    def _extend(self, tail: str) -> TextAppended | None:
        """What follows the text that is known by its number is `tail` now."""
        piece = tail[len(self._tail) :]
        if not piece:
            return None
        self._tail = tail
        self._pieces.append(piece)
        return TextAppended(self.run_id, piece)

    def _is_older(self, snapshot: str) -> bool:
        return len(snapshot) < len(self.text) and self.text.startswith(snapshot)
