"""Links that a gateway gives to what it serves over HTTP: whether one leads to this gateway, and as which path.

A link with a ticket opens a file to whoever has it: it is a secret, and goes nowhere but to the gateway itself.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote

from openclaw_client.policy.urls import GatewayUrl

MAX_LINK: Final = 8192
"""Characters: a long session key and a ticket take 2,000."""

_PLAIN = re.compile(r"/(?![/\\])[!-\[\]-~]*")
"""A path of this server in printable ASCII, without backslashes, which some servers take for slashes."""


class Link(str):
    """A path whose ticket no dump of variables shows."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<a link with a ticket>"


def local_link(url: GatewayUrl, link: object) -> Link | None:
    """The path to ask the gateway for, under the path of its URL; None for a link that may lead elsewhere."""
    if not isinstance(link, str) or len(link) > MAX_LINK or not _PLAIN.fullmatch(link) or "#" in link:
        return None
    path = link.partition("?")[0]
    # Also as `%2e%2e`, and behind a slash or a backslash that is escaped.
    if any(part in (".", "..") for part in re.split(r"[/\\]", unquote(unquote(path)))):
        return None
    base = url.path.rstrip("/")
    inside = link.startswith((f"{base}/", f"{base}?"))
    return Link(link if not base or inside else base + link)
