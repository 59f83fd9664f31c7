"""The text of one run: what each delta makes of what was there.

The snapshot in `message` is authoritative, `deltaText` is a hint: increments are merged, dropped and sent twice by a
gateway under load, snapshots heal themselves with the next one.
"""

from __future__ import annotations

from openclaw_client.runs.events import TextAppended, TextReplaced
from openclaw_client.wire.chat import ChatPayload, message_text


class TextReducer:
    """Holds the text so far; `delta` and `become` return the event that leads from the old text to the new one."""

    __slots__ = ("_last_seq", "_resumed", "run_id", "text")

    def __init__(self, run_id: str, text: str = "", *, resumed: bool = False) -> None:
        self.run_id = run_id
        self.text = text
        self._last_seq = -1
        self._resumed = resumed

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
        elif (
            self._resumed and not payload.replace and len(snapshot) < len(self.text) and self.text.startswith(snapshot)
        ):
            # After a reconnect the first live frame may be older than the history's text (observed on 2026.9.6).
            return None
        return self.become(snapshot)

    def become(self, text: str) -> TextAppended | TextReplaced | None:
        """Make `text` the text; None where it is already."""
        old = self.text
        if text == old:
            return None
        self.text = text
        if text.startswith(old):
            return TextAppended(self.run_id, text[len(old) :])
        return TextReplaced(self.run_id, text)
