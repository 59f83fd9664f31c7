"""What a peer's words must be before they are part of an error, a line of a log or a terminal's screen.

A gateway, a proxy or a model writes them, and some of it before anybody has proven who it is. Knows no terminal: takes
out what steers any of them.
"""

from __future__ import annotations

import re
from typing import Final

SHOWN: Final = 2000
"""Characters of a text that are worth a line: what gateways say is far shorter, and a page of a web server is not."""

_STEERING: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Control characters but tab and line end, those of 128 to 159 with them (one begins a sequence as ESC [ does),
and what turns the direction of the text behind it, so that it reads otherwise than it is. The marks of direction that
writing in Arabic and Hebrew needs turn nothing, and stay."""


def harmless(text: str) -> str:
    """The text without what steers a terminal; tabs and line ends stay."""
    return text if text.isascii() and text.isprintable() else _STEERING.sub("", text)


def one_line(text: str) -> str:
    """The same without line ends, by which a peer would write lines of its own into a log."""
    return " ".join(harmless(text).split())


def escaped(text: str) -> str:
    """The same, with what steers written as in JSON instead of left out."""
    return text if text.isascii() and text.isprintable() else _STEERING.sub(_escape, text)


def cut(text: str, limit: int = SHOWN) -> str:
    """The text, or its beginning and how long it is."""
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text)} characters)"


def _escape(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"
