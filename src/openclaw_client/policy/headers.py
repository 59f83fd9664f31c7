"""Which headers of the caller's go into the upgrade request, where a line break in one would begin another."""

from __future__ import annotations

import re
from collections.abc import Mapping

from openclaw_client.errors import UsageError
from openclaw_client.policy.texts import one_line

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""A token of RFC 9110, 5.6.2."""
_OURS = re.compile(r"connection|upgrade|content-length|transfer-encoding|sec-websocket-.*", re.IGNORECASE)
"""What makes the request an upgrade. A second one of these is for each server and proxy to read as it likes."""


def checked_headers(headers: object) -> dict[str, str] | None:
    """A copy with the values trimmed. Raises UsageError, never with a value: many of them are secrets."""
    if headers is None:
        return None
    if not isinstance(headers, Mapping):
        raise UsageError(
            message=f"headers= must be a mapping, not {type(headers).__name__}",
            remedy='Pass a dict, such as {"X-Real-Ip": "…"}',
        )
    return {_name(name): one_line(f"the header {name}", value, allowed="\t") for name, value in headers.items()}


def _name(name: object) -> str:
    if isinstance(name, str) and _NAME.fullmatch(name):
        if _OURS.fullmatch(name):
            raise UsageError(
                message=f"the header {name} belongs to the WebSocket upgrade; nothing was sent", remedy="Leave it out"
            )
        return name
    # Not quoted: whoever wrote a whole line here wrote the secret, too.
    raise UsageError(
        message="headers= has a name that is none of a header; nothing was sent",
        remedy="Names are letters, digits and hyphens, without the colon",
    )
