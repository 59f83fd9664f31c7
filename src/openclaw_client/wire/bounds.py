"""What a frame may hold before it is decoded: no decoding can be interrupted, and it stops whatever else goes on.

A text costs as much as its bytes. Values cost more than ten times theirs, and a collector that looks at all of them
again and again; half a character written as an escape costs a search. Knows JSON, and no frame.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

LONG: Final = 1_048_576
"""Bytes from which on a frame is looked at: as many values as fit in fewer are decoded in some milliseconds."""
MAX_VALUES: Final = 250_000
"""Values in one frame. A page of the history, which gateways keep below 6 MiB, has some ten thousand."""
MAX_MENDED: Final = 8_388_608
"""Bytes of the longest frame in which half characters are looked for: more than a page of the history."""
MAX_HALVES: Final = 10_000
"""Half characters in one frame: gateways leave one where they cut a text."""

_HALF: Final = re.compile(
    rb"\\u[dD](?:[89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    rb"|[c-fC-F][0-9a-fA-F]{2}(?<!\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}))"
)
"""The escape of half a character: the first half without the second behind it, or the second without the first."""


def too_many_values(data: bytes) -> bool:
    """Whether JSON holds more values than are decoded; never for what is short."""
    if len(data) <= LONG or not _holds_many((data,), _BEFORE_VALUES, MAX_VALUES):
        return False
    # What stands in texts does not count. Without its escapes, every second quote ends one.
    plain = data
    if b"\\" in plain:
        plain = plain.replace(b"\\\\", b"").replace(b'\\"', b"")
    if _holds_many((plain,), (b'"',), 2 * MAX_VALUES):
        return True
    return _holds_many(plain.split(b'"')[::2], _BEFORE_VALUES, MAX_VALUES)


_BEFORE_VALUES: Final = (b",", b"[", b"{")
"""Every value follows a comma, or is the first of its list or object."""


def _holds_many(parts: Iterable[bytes], signs: tuple[bytes, ...], limit: int) -> bool:
    """Whether there are more of these bytes. What is dense is known as that after its first MiB."""
    found = 0
    for part in parts:
        for begin in range(0, len(part), LONG):
            found += sum(part.count(sign, begin, begin + LONG) for sign in signs)
            if found > limit:
                return True
    return False


def without_halves(data: bytes) -> bytes | None:
    """JSON without the escapes that are half a character; None where there is none, or too much to look through."""
    if len(data) > MAX_MENDED:
        return None
    # An escaped backslash begins no escape.
    plain = data.replace(b"\\\\", b"  ")
    kept, begin = [], 0
    for found in _HALF.finditer(plain):
        kept.append(data[begin : found.start()])
        begin = found.end()
        if len(kept) > MAX_HALVES:
            return None
    return b"".join((*kept, data[begin:])) if kept else None
