"""Texts of a caller's that are written into one line of a request, where a line break would begin another."""

from __future__ import annotations

import unicodedata

from openclaw_client.errors import UsageError

_FORBIDDEN = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Control characters, lone surrogates (an environment variable in another encoding), line and paragraph separators."""


def one_line(what: str, value: object, *, allowed: str = "") -> str:
    """The text, trimmed. allowed: control characters that may be in it. Raises UsageError, which never shows the value:
    many of them are secrets."""
    if not isinstance(value, str):
        raise UsageError(
            message=f"{what} must be text, not {type(value).__name__}; nothing was sent", remedy="Pass it as a str"
        )
    value = value.strip()
    if any(unicodedata.category(char) in _FORBIDDEN and char not in allowed for char in value):
        raise UsageError(
            message=f"{what} has a line break or another control character in it; nothing was sent",
            remedy="Check where it is read from: a file with more than one line, or a wrong encoding",
        )
    return value
