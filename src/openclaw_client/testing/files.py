"""Files that an agent sent: what is kept of one, how a row shows it, and the tickets that it is fetched with.

Knows the kinds of media of 2026.8.1 and 2026.9.6. Refuses to know runs, requests and sockets.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import struct
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from urllib.parse import quote

Way = Literal["message", "reply", "result"]
"""How an agent sends a file: with the tool `message`, in a line of its answer, or as what a tool looked at."""

MAX_FILES: Final = 1_000
"""Files that one gateway keeps; a test has a handful."""
MAX_FILE_BYTES: Final = 134_217_728
"""Bytes of all of them together: ten files of the largest size that a client takes, and as much again to spare."""
TICKET_SECONDS: Final = 300.0
"""For how long a file may be fetched with one ticket: the gateways' own number."""
MEDIA_PATH: Final = "/api/chat/media/outgoing"
INLINE_PATH: Final = "/api/artifacts/download"

UNKNOWN: Final = "application/octet-stream"
"""The type of a file of which no gateway says what it is."""

_DOCUMENTS: Final = frozenset(
    [
        *("application/json", "application/pdf", "application/zip", "application/yaml", "application/msword"),
        *("application/vnd.ms-excel", "application/vnd.ms-powerpoint"),
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        *("text/csv", "text/markdown", "text/plain"),
    ]
)
"""Beside these, images, audio and video are taken; in the place of anything else stands an error."""


def kind_of(mime_type: str) -> str | None:
    """image, audio, video or document; None for what no gateway sends."""
    family = mime_type.partition("/")[0]
    if family in ("image", "audio", "video"):
        return family if mime_type != "image/svg+xml" else None
    return "document" if mime_type in _DOCUMENTS else None


@dataclass(frozen=True, slots=True, kw_only=True)
class SentFile:
    """One file. session_key: canonical. inline: whether the row itself holds it, rather than a link to it."""

    name: str
    mime_type: str
    session_key: str
    data: bytes = field(repr=False)
    inline: bool = False
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def kind(self) -> str | None:
        return kind_of(self.mime_type)

    @property
    def type(self) -> str:
        """As artifacts.* names the kind."""
        return "file" if self.kind == "document" else str(self.kind)

    @property
    def artifact_id(self) -> str:
        if self.inline:
            digest = hashlib.sha256(self.id.encode()).digest()
            return f"artifact_{base64.urlsafe_b64encode(digest).decode()[:18]}"
        return f"artifact_managed_{'image' if self.kind == 'image' else 'media'}_{self.id}"

    @property
    def row_id(self) -> str:
        """The other id of an image that a row holds, by which the newest release finds it, too."""
        return f"artifact_transcript_image_{self.id}" if self.inline else self.artifact_id

    @property
    def path(self) -> str:
        """Where it is fetched."""
        return f"{MEDIA_PATH}/{quote(self.session_key, safe='')}/{self.id}/full"

    def block(self, *, row_ids: bool) -> dict[str, Any]:
        """It in the content of a row. row_ids: whether the release gives an image that a row holds an id there."""
        if self.kind is None:
            kind = "image" if self.mime_type.startswith("image/") else "document"
            failed = {"code": "unsupported-format", "kind": kind, "label": self.name}
            if self.mime_type != UNKNOWN:
                failed["mimeType"] = self.mime_type
            return {"type": "attachment_error", "attachment": failed}
        if self.inline:
            named = {"artifactId": self.row_id} if row_ids else {}
            return {"type": "image", "mimeType": self.mime_type, **named, "omitted": True, "bytes": len(self.data)}
        size = {"mimeType": self.mime_type, "sizeBytes": len(self.data)}
        if self.kind == "document":
            place = {"artifactId": self.artifact_id, "url": self.path, "kind": self.kind, "label": self.name}
            return {"type": "attachment", "attachment": place | size}
        place = {"artifactId": self.artifact_id, "url": self.path, "openUrl": self.path}
        if self.kind == "image":
            return {"type": "image", **place, "alt": self.name, **_measured(self.data), **size}
        return {"type": str(self.kind), **place, "fileName": self.name, "playback": "native", **size}


def _measured(data: bytes) -> dict[str, int]:
    """Width and height of a PNG, which says them at its beginning; nothing of other images."""
    if data[:8] != b"\x89PNG\r\n\x1a\n" or len(data) < 24:
        return {}
    width, height = struct.unpack(">II", data[16:24])
    return {"width": width, "height": height}


class Tickets:
    """What opens one file for a while, whoever shows it. One life of a gateway: a restart makes all of them void."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._secret = secrets.token_bytes(32)

    def issue(self, purpose: str, now: int) -> tuple[str, int]:
        """A ticket, and when it ends, in milliseconds since 1970. purpose: what it opens, and nothing else."""
        until = now + int(self.seconds * 1000)
        return f"v1.{until}.{self._sign(purpose, until)}", until

    def opens(self, ticket: str, purpose: str, now: int) -> bool:
        version, _, rest = ticket.partition(".")
        until, _, signature = rest.partition(".")
        if version != "v1" or not (until.isascii() and until.isdigit()) or int(until) < now:
            return False
        return hmac.compare_digest(signature.encode(), self._sign(purpose, int(until)).encode())

    def _sign(self, purpose: str, until: int) -> str:
        made = hmac.digest(self._secret, f"{until} {purpose}".encode(), "sha256")
        return base64.urlsafe_b64encode(made).rstrip(b"=").decode()


def room_for(size: int, kept: Iterator[SentFile]) -> bool:
    """Whether a file of this size may be kept beside those that are."""
    sizes = [len(one.data) for one in kept]
    return len(sizes) < MAX_FILES and sum(sizes) + size <= MAX_FILE_BYTES
