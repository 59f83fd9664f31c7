"""What an HTTP answer says that came in the place of a WebSocket. Pure.

All of it is a stranger's text: bounded, without control characters, and for a redactor to go over, since pages quote
what they were sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from openclaw_client.errors.peer_text import one_line

SERVER_SHOWN = 40
"""Characters of a Server header that are shown: a name and a version."""
SHOWN = 240
"""Characters of a target or a message that are shown: the longest sentence of a gateway has 160."""
READ = 8192
"""Bytes of a body that are looked at: a gateway's own answers have 300, and its page tells its name at once."""

NOT_PASSED = "UPGRADE_NOT_PASSED"
_TYPES = {"proxy_attribution_required": "PROXY_ATTRIBUTION_REQUIRED"}
"""What a gateway calls its reasons, and the names that `policy.advice` has for them."""
_OWN_PAGE = b"<title>OpenClaw"
"""How the title of a gateway's own page begins, on all releases."""
_UPGRADE_REQUIRED = 426


def refusal(status: int, headers: Mapping[str, str], body: bytes) -> tuple[str, str]:
    """A name for the answer, and what happened in words."""
    server = _clean(headers.get("Server"), SERVER_SHOWN)
    what = f"HTTP {status} instead of a WebSocket{f' from {server}' if server else ''}"
    target = _target(headers.get("Location"))
    if target:
        return f"HTTP_{status}", f"{what}; it points to {target}"
    body = body[:READ]
    if status == _UPGRADE_REQUIRED or _OWN_PAGE in body:
        return NOT_PASSED, f"{what}, which was not asked for one"
    error = _error_of(body)
    said = _clean(error.get("message"), SHOWN)
    kind = error.get("type")
    code = _TYPES.get(kind) if isinstance(kind, str) else None
    return code or f"HTTP_{status}", f"{what}: {said}" if said else what


def _error_of(body: bytes) -> Mapping[str, Any]:
    """The error of a gateway's JSON; empty for every other body."""
    # Between the braces: a proxy may send it in chunks, whose sizes stand around it.
    begin, end = body.find(b"{"), body.rfind(b"}")
    try:
        found = msgspec.json.decode(body[begin : end + 1])
    except (ValueError, RecursionError):
        return {}
    error = found.get("error") if isinstance(found, dict) else None
    return error if isinstance(error, dict) else {}


def _target(location: object) -> str:
    """Where a redirect points, without what may be a secret: user, query and fragment."""
    try:
        parts = urlsplit(location if isinstance(location, str) else "")
    except ValueError:
        return ""
    host = parts.netloc.rpartition("@")[2]
    return _clean(parts._replace(netloc=host, query="", fragment="").geturl(), SHOWN)


def _clean(text: object, length: int) -> str:
    if not isinstance(text, str):
        return ""
    return one_line(text[: 2 * length])[:length].rstrip()
