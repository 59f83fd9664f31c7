"""Texts as they can be compared, whatever a gateway makes of them on the way."""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import blake2b, sha256
from itertools import accumulate
from unicodedata import normalize

_FRONT = re.compile(r"(?<=[]\r\n])")
"""Where the words of a message may begin behind what a gateway puts in front of them."""


def as_written_down(text: str) -> str:
    """A text as it can be compared: gateways compose letters, drop control characters and change white space."""
    return "".join(char for char in bare(normalize("NFC", text)) if char.isprintable())


def bare(text: str) -> str:
    """A text without its white space: rows and events of a run with tools are joined differently."""
    return "".join(text.split())


def ends_with(text: str, words: str) -> bool:
    """Whether a text is these words behind something that a gateway puts in front of them: a time stamp in brackets, or
    lines. words: as they are written down."""
    whole = as_written_down(text)
    before = len(whole) - len(words)
    if not words or before <= 0 or not whole.endswith(words):
        return False
    return before in _fronts(text)


def with_endings(text: str) -> tuple[str, frozenset[int]]:
    """A text as it can be compared, and how long the words may be that stand behind what a gateway puts in front."""
    whole = as_written_down(text)
    return whole, frozenset(len(whole) - before for before in _fronts(text) if 0 < before < len(whole))


def _fronts(text: str) -> Iterator[int]:
    return accumulate(len(as_written_down(piece)) for piece in _FRONT.split(text))


def short_digest(text: str) -> bytes:
    """64 bits by which a text is known again, the same in every process."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()


def digest_of(message: str) -> str:
    """The digest by which a message is known again, however a gateway writes it down."""
    return sha256(as_written_down(message).encode()).hexdigest()
