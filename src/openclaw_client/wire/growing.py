"""Chat frames of one connection, of which a long text is decoded once.

Every delta of a run repeats the whole text so far. Most of its bytes are therefore those of an earlier frame, and
comparing bytes costs a tenth of decoding them. Such a frame is decoded without the bytes that are known; its payload
then holds the end of the text, and says so (`ChatPayload.base`).
"""

from __future__ import annotations

from typing import Final

from openclaw_client.wire.chat import ChatMessage
from openclaw_client.wire.frames import UNDECODABLE, ChatFrame, Frame, chat_decoder, decode_frame

WORTHWHILE = 1024
"""Bytes of a frame from which on comparing and cutting is cheaper than decoding."""
MAX_TAIL = 512
"""Bytes of a text that are decoded anew with every frame before they count as known: noting them copies the text."""
MAX_RUNS = 16
"""Runs whose text is remembered; a gateway rarely has more than a few going on in one connection."""

# Key order of every observed gateway, and bytes that cannot stand within a JSON string: there, quotes are escaped.
_HEAD: Final = b'{"type":"event","event":"chat","payload":{"runId":"'
_TEXT_BEGINS: Final = b'"message":{"role":"assistant","content":[{"type":"text","text":"'
_TEXT_ENDS: Final = b'"}],"timestamp":'
_MARK: Final = b'"text","text":"'
"""The end of `_TEXT_BEGINS`: shorter, and so quicker to find."""
_MARK_FROM: Final = 100
"""No text begins before this byte."""


class _Known:
    """What is known of one run: how its frames begin, and the bytes of a text as they stand in the JSON."""

    __slots__ = ("base", "head", "size", "text")

    def __init__(self, head: bytes) -> None:
        self.head = head
        self.text = b""
        self.size = 0
        self.base = 0


class GrowingDecoder:
    """`decode_frame` for the frames of one connection, in order."""

    __slots__ = ("_base", "_latest", "_runs")

    def __init__(self) -> None:
        self._base = 0
        self._latest: _Known | None = None
        self._runs: dict[bytes, _Known] | None = None

    def decode(self, data: bytes) -> Frame:
        """Never raises; see `decode_frame`."""
        known = self._latest
        if known is None or not data.startswith(known.head):
            if not data.startswith(_HEAD):
                return decode_frame(data)
            self._latest = known = self._known(data)
        begin = data.find(_MARK, _MARK_FROM) + len(_MARK)
        size = known.size
        if size and data.startswith(known.text, begin):
            try:
                frame = chat_decoder.decode(data[:begin] + data[begin + size :])
            except UNDECODABLE:
                # The text that is known ends within an escape of two halves.
                return self._whole(known, data, begin)
            payload = frame.payload
            message = payload.message
            if payload.state == "delta" and type(message) is ChatMessage and _agrees(frame, message):
                if len(data) - begin - size > MAX_TAIL:
                    return self._whole(known, data, begin)
                frame.raw = payload.source = data
                payload.base = known.base
                return frame
        return self._whole(known, data, begin)

    def _known(self, data: bytes) -> _Known:
        head = data[: data.find(b'"', len(_HEAD)) + 1]
        known = self._runs.get(head) if self._runs is not None else None
        if known is None:
            if self._runs is None or len(self._runs) >= MAX_RUNS:
                self._runs = {}
            known = self._runs[head] = _Known(head)
        return known

    def _whole(self, known: _Known, data: bytes, begin: int) -> Frame:
        """Decode all of it, and note its text."""
        frame = decode_frame(data)
        end = data.find(_TEXT_ENDS, begin)
        if (
            isinstance(frame, ChatFrame)
            and frame.payload.state == "delta"
            and end > 0
            and data.endswith(_TEXT_BEGINS, 0, begin)
        ):
            self._base += 1
            known.text, known.base = data[begin:end], self._base
            known.size = len(known.text)
            frame.payload.noted = self._base
        else:
            known.text, known.size = b"", 0
        return frame


def _agrees(frame: ChatFrame, message: ChatMessage) -> bool:
    """Whether what was decoded is one text, and ends with what the gateway says is new (a replaced one does not)."""
    content, delta, seq = message.content, frame.payload.delta_text, frame.seq
    if type(content) is not list or len(content) != 1 or (seq is not None and seq < 0) or frame.payload.replace:
        return False
    return delta is None or content[0].text.endswith(delta)
