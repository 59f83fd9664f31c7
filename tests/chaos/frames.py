"""Where WebSocket frames begin and end in a stream of bytes.

Knows the header of a frame (RFC 6455, 5.2) and the end of an HTTP head. Refuses to know sockets and what frames say;
nothing is checked, because both ends check it themselves.
"""

from __future__ import annotations

from dataclasses import dataclass

HEAD = -1
"""The opcode of the HTTP request or response with which a stream begins."""


@dataclass(frozen=True, slots=True)
class Unit:
    """What is passed on as one piece: the HTTP head (number 0), then frames from number 1. data: as on the wire."""

    number: int
    opcode: int
    data: bytes

    @property
    def payload(self) -> bytes:
        """What the frame holds, unmasked."""
        if self.opcode == HEAD:
            return self.data
        start, length, mask = _header(self.data) or (0, 0, b"")
        body = self.data[start : start + length]
        if not mask:
            return body
        key = int.from_bytes((mask * (length // 4 + 1))[:length], "big")
        return (int.from_bytes(body, "big") ^ key).to_bytes(length, "big")


class FrameScanner:
    """Cuts one direction of a connection into units. Bytes may come in any portions."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._number = 0

    @property
    def rest(self) -> bytes:
        """What came of a unit that is not whole yet."""
        return bytes(self._bytes)

    def feed(self, data: bytes) -> list[Unit]:
        """The units that are whole with these bytes, in order."""
        self._bytes += data
        units: list[Unit] = []
        while (size := self._size()) is not None:
            taken = bytes(self._bytes[:size])
            del self._bytes[:size]
            units.append(Unit(self._number, taken[0] & 0x0F if self._number else HEAD, taken))
            self._number += 1
        return units

    def _size(self) -> int | None:
        """The length of the unit at the front, None while it is not whole."""
        if not self._number:
            end = self._bytes.find(b"\r\n\r\n")
            return None if end < 0 else end + 4
        header = _header(self._bytes)
        if header is None or len(self._bytes) < header[0] + header[1]:
            return None
        return header[0] + header[1]


def _header(data: bytes | bytearray) -> tuple[int, int, bytes] | None:
    """Where the payload starts, its length and its mask; None while the header is not whole."""
    if len(data) < 2:
        return None
    length, start = data[1] & 0x7F, 2
    extra = {126: 2, 127: 8}.get(length, 0)
    masked = 4 if data[1] & 0x80 else 0
    if len(data) < start + extra + masked:
        return None
    if extra:
        length = int.from_bytes(data[start : start + extra], "big")
        start += extra
    return start + masked, length, bytes(data[start : start + masked])
