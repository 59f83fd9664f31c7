"""Frames are found wherever the portions end, masked or not, of every length."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.chaos.frames import HEAD, FrameScanner

MASK = b"\x01\xa0\x00\xff"


def frame(payload: bytes, *, opcode: int = 1, mask: bytes = b"") -> bytes:
    """As RFC 6455 writes it, by another way than the scanner reads it."""
    size, bit = len(payload), 0x80 if mask else 0
    if size < 126:
        length = bytes([bit | size])
    elif size < 65536:
        length = bytes([bit | 126]) + size.to_bytes(2, "big")
    else:
        length = bytes([bit | 127]) + size.to_bytes(8, "big")
    body = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload)) if mask else payload
    return bytes([0x80 | opcode]) + length + mask + body


HTTP = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
PAYLOADS = [b"", b"x", b"a" * 125, b"b" * 126, b"c" * 65535, b"d" * 65536]


def test_a_head_and_frames_of_every_length_form() -> None:
    wire = HTTP + b"".join(frame(payload, mask=MASK) for payload in PAYLOADS)
    scanner = FrameScanner()
    units = scanner.feed(wire)
    assert [unit.number for unit in units] == list(range(len(PAYLOADS) + 1))
    assert (units[0].opcode, units[0].payload) == (HEAD, HTTP)
    assert [unit.payload for unit in units[1:]] == PAYLOADS
    assert b"".join(unit.data for unit in units) == wire
    assert scanner.rest == b""


@given(
    st.lists(st.tuples(st.binary(max_size=200), st.sampled_from([1, 2, 8, 9, 10]), st.booleans()), max_size=8),
    st.lists(st.integers(1, 40), max_size=60),
)
def test_where_portions_end_changes_nothing(frames: list[tuple[bytes, int, bool]], sizes: list[int]) -> None:
    wire = HTTP + b"".join(frame(body, opcode=opcode, mask=MASK if masked else b"") for body, opcode, masked in frames)
    scanner, units, at = FrameScanner(), [], 0
    for size in [*sizes, len(wire)]:
        units += scanner.feed(wire[at : at + size])
        at += size
    assert [(unit.payload, unit.opcode) for unit in units[1:]] == [(body, opcode) for body, opcode, _ in frames]


@given(st.integers(0, 300))
def test_what_is_not_whole_is_held(cut: int) -> None:
    wire = HTTP + frame(b"first") + frame(b"e" * 200, mask=MASK)
    scanner = FrameScanner()
    units = scanner.feed(wire[:cut])
    assert b"".join(unit.data for unit in units) + scanner.rest == wire[:cut]
    units += scanner.feed(wire[cut:])
    assert [unit.payload for unit in units[1:]] == [b"first", b"e" * 200]
