"""Files and images that go with a message."""

from __future__ import annotations

import base64
import mimetypes
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from openclaw_client.errors import PayloadTooLarge, UsageError
from openclaw_client.wire.handshake import Hello, Policy
from openclaw_client.wire.limits import DEFAULT_ATTACHMENT_BYTES

FALLBACK_TYPE = "application/octet-stream"

_SIGNATURES = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
    b"%PDF-": "application/pdf",
}
"""How files begin whose type matters to a model, for names that tell nothing."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file in memory. mime_type without parameters: gateways read `text/plain; charset=…` wrongly."""

    content: bytes = field(repr=False)
    file_name: str
    mime_type: str

    def __post_init__(self) -> None:
        if not isinstance(self.content, bytes):
            raise UsageError(
                message=f"the content of an attachment must be bytes, not {type(self.content).__name__}",
                remedy="Encode a text, or use Attachment.from_path()",
            )
        for what, text in (("file_name", self.file_name), ("mime_type", self.mime_type)):
            if not isinstance(text, str):
                raise UsageError(
                    message=f"the {what} of an attachment must be text, not {type(text).__name__}", remedy="Pass a str"
                )

    @classmethod
    def from_path(cls, path: str | os.PathLike[str], *, mime_type: str | None = None) -> Attachment:
        """Read a file now. Raises UsageError where it cannot be read or is empty."""
        try:
            file = Path(path)
            content = file.read_bytes()
        except (OSError, ValueError, TypeError) as error:
            # The last two are what Path and open() make of a NUL, and of what is no path.
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise UsageError(
                message=f"the attachment {str(path)!r} cannot be read: {reason}", remedy="Check the path"
            ) from error
        return cls.from_bytes(content, file_name=file.name, mime_type=mime_type)

    @classmethod
    def from_bytes(
        cls, content: bytes | bytearray | memoryview, *, file_name: str, mime_type: str | None = None
    ) -> Attachment:
        """Wrap bytes; without a type it is guessed from the name, else from how the file begins.

        Raises UsageError for empty content.
        """
        # bytes() of a number would be so many zeros.
        copied = bytes(content) if isinstance(content, bytearray | memoryview) else content
        made = cls(copied, file_name, mime_type or FALLBACK_TYPE)
        if not made.content:
            raise UsageError(message=f"the attachment {file_name} is empty; nothing was sent", remedy="Leave it out")
        guessed = mime_type or mimetypes.guess_type(file_name)[0] or _type_of(made.content)
        return replace(made, mime_type=guessed.partition(";")[0].strip().lower())

    @property
    def is_image(self) -> bool:
        return self.mime_type.startswith("image/")

    def wire(self) -> dict[str, Any]:
        """The form that gateways take."""
        return {
            "type": "image" if self.is_image else "file",
            "mimeType": self.mime_type,
            # A name of another encoding than the locale's holds what cannot be sent; the content can.
            "fileName": self.file_name.encode(errors="replace").decode(),
            "content": base64.b64encode(self.content).decode("ascii"),
        }


AttachmentLike = Attachment | Mapping[str, Any]


def _type_of(content: bytes) -> str:
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return "image/webp"
    found = (kind for start, kind in _SIGNATURES.items() if content.startswith(start))
    return next(found, FALLBACK_TYPE)


def wire_attachments(
    attachments: Iterable[AttachmentLike] | None, hello: Hello, method: str = "chat.send"
) -> list[dict[str, Any]]:
    """The list for a method that takes messages, checked against this connection's limits before anything is encoded.

    Mappings are passed on as they are: they are the gateway's own form. Raises PayloadTooLarge or UsageError.
    """
    result: list[dict[str, Any]] = []
    for item in attachments or ():
        if isinstance(item, Attachment):
            if hello.protocol == 3 and not item.is_image:
                raise UsageError(
                    message=f"the attachment {item.file_name} is no image, and gateways of wire v3 drop such files "
                    "without a word; nothing was sent",
                    remedy="Put its text into the message, or update the gateway",
                )
            limit = _limit(item, hello.policy)
            if len(item.content) > limit:
                raise PayloadTooLarge(
                    method=method,
                    size=len(item.content),
                    limit=limit,
                    what=f"the attachment {item.file_name}",
                    remedy="Send a smaller file",
                )
            result.append(item.wire())
        elif isinstance(item, Mapping):
            if not (item.get("content") or item.get("source")):
                # A gateway drops an entry without content silently, and the agent never hears of the file.
                raise UsageError(message="an attachment has no content; nothing was sent", remedy="Leave it out")
            result.append({key: value for key, value in item.items() if value is not None})
        else:
            raise UsageError(
                message=f"an attachment is a {type(item).__name__}; nothing was sent",
                remedy="Use Attachment.from_path() or Attachment.from_bytes()",
            )
    return result


def digests_of(attachments: Iterable[AttachmentLike] | None) -> tuple[str, ...]:
    """By what each is known again, where the files themselves are not kept: SHA-256 in hex."""
    return tuple(_digest(item) for item in attachments or ())


def _digest(item: AttachmentLike) -> str:
    if isinstance(item, Attachment):
        return sha256(item.content).hexdigest()
    # The gateway's own form; what cannot be encoded is refused before it is sent.
    return sha256(repr(sorted(item.items(), key=repr)).encode(errors="replace")).hexdigest()


def _limit(item: Attachment, policy: Policy) -> int:
    told = policy.attachments
    if told is None:
        return DEFAULT_ATTACHMENT_BYTES
    limit = told.max_image_bytes if item.is_image else told.max_bytes
    return limit if limit is not None and limit > 0 else DEFAULT_ATTACHMENT_BYTES
