"""Plain HTTP on the gateway's port: the links of files that agents sent.

Knows which ticket opens what, and the headers of an answer. picows reads requests and writes answers: GET without a
body, one for each connection. HEAD and parts of a file, which real gateways serve, too, are not served.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Container
from typing import Final
from urllib.parse import parse_qs, quote, unquote, urlsplit

from picows import WSUpgradeRequest, WSUpgradeResponse

from openclaw_client.testing.auth import Secrets
from openclaw_client.testing.files import INLINE_PATH, MEDIA_PATH, SentFile, Tickets
from openclaw_client.testing.memory import now_ms
from openclaw_client.testing.transcripts import Transcripts
from openclaw_client.wire.sessions import canonical_key

_ALWAYS: Final = {"x-content-type-options": "nosniff", "referrer-policy": "no-referrer"}
_UNAUTHORIZED: Final = b'{"error":{"message":"Unauthorized","type":"unauthorized"}}'
_IDENT: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
OWNERS_AGE: Final = 31_536_000
"""Seconds for which a copy may be kept by who showed the gateway's own secret: the gateways' own number."""


class Downloads:
    """Answers for one life of a gateway. connections: the ids of those that are open."""

    def __init__(
        self, transcripts: Transcripts, tickets: Tickets, gateway_secrets: Secrets, connections: Container[str]
    ) -> None:
        self._transcripts = transcripts
        self._tickets = tickets
        self._secrets = gateway_secrets
        self._connections = connections

    def answer(self, request: WSUpgradeRequest) -> WSUpgradeResponse | None:
        """The answer to a request; None where it asks for no file."""
        parts = urlsplit(request.path.decode("latin-1"))
        if parts.path.startswith(f"{INLINE_PATH}/"):
            return self._inline(parts.path.removeprefix(f"{INLINE_PATH}/").split("/"))
        if not parts.path.startswith(f"{MEDIA_PATH}/"):
            return None
        places = parts.path.removeprefix(f"{MEDIA_PATH}/").split("/")
        if len(places) != 3 or places[2] != "full":
            return _not_found()
        if not _IDENT.fullmatch(places[1]):
            return _not_found()
        file = self._find(unquote(places[0]), places[1], inline=False)
        ticket = parse_qs(parts.query).get("mediaTicket", [""])[0]
        if self._tickets.opens(ticket, parts.path, now_ms()):
            caching = f"private, max-age={self._tickets.seconds:.0f}, immutable"
            return _not_found() if file is None else _found(file, caching)
        if not self._is_owner(request.headers.get("Authorization", "")):
            return _refused(401, _UNAUTHORIZED, "application/json; charset=utf-8")
        return _not_found() if file is None else _found(file, f"private, max-age={OWNERS_AGE}, immutable")

    def _inline(self, places: list[str]) -> WSUpgradeResponse:
        """A file that a row holds: its link is of use while the connection that asked for it is open."""
        connection, _, last = "/".join(places).partition("/")
        ident, _, ticket = last.partition(".")
        for key in list(self._transcripts.sessions):
            file = self._find(key, ident, inline=True)
            purpose = f"{INLINE_PATH}/{connection} {ident}"
            if file is not None and connection in self._connections and self._tickets.opens(ticket, purpose, now_ms()):
                return _found(file, "private, no-store")
        return _not_found(b"Not Found")

    def _find(self, key: str, ident: str, *, inline: bool) -> SentFile | None:
        session = self._transcripts.get(canonical_key(key))
        files = (one for row in (session.rows if session is not None else ()) for one in row.files)
        fitting = (one for one in files if one.id == ident and one.inline is inline and one.kind is not None)
        return next(fitting, None)

    def _is_owner(self, header: str) -> bool:
        if self._secrets.mode == "none":
            return True
        secret = self._secrets.token or self._secrets.password or ""
        return hmac.compare_digest(header.encode(), f"Bearer {secret}".encode())


def _found(file: SentFile, caching: str) -> WSUpgradeResponse:
    how = "attachment" if file.kind == "document" else "inline"
    plain = "".join(one if one.isascii() and one.isprintable() and one not in '"\\' else "_" for one in file.name)
    name = f"{how}; filename=\"{plain}\"; filename*=UTF-8''{quote(file.name, safe='')}"
    headers = {**_ALWAYS, "Content-Type": file.mime_type, "Cache-Control": caching, "Content-Disposition": name}
    found: WSUpgradeResponse = WSUpgradeResponse.create_ok_response(file.data, headers)
    return found


def _not_found(body: bytes = b"not found") -> WSUpgradeResponse:
    return _refused(404, body, "text/plain; charset=utf-8")


def _refused(status: int, body: bytes, content_type: str) -> WSUpgradeResponse:
    headers = {**_ALWAYS, "Content-Type": content_type}
    refused: WSUpgradeResponse = WSUpgradeResponse.create_error_response(status, body, headers)
    return refused
