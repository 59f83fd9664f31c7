"""Texts as they can be compared, whatever a gateway makes of them on the way."""

from __future__ import annotations

from hashlib import sha256
from unicodedata import normalize


def as_written_down(text: str) -> str:
    """A text as it can be compared: gateways compose letters, drop control characters and change white space."""
    return "".join(char for char in bare(normalize("NFC", text)) if char.isprintable())


def bare(text: str) -> str:
    """A text without its white space: rows and events of a run with tools are joined differently."""
    return "".join(text.split())


def digest_of(message: str) -> str:
    """The digest by which a message is known again, however a gateway writes it down."""
    return sha256(as_written_down(message).encode()).hexdigest()
