"""What a tool gives back to the model: content, or the words of an error. Pure."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from openclaw_client.errors import UsageError
from openclaw_client.errors.peer_text import cut, one_line

MAX_TYPE_NAME: Final = 100
"""Characters of a class's name that are shown: one that is generated may have thousands."""


class ToolError(Exception):
    """Raised in a tool: its text is told to the model, which can correct itself. That of no other exception is."""

    def __init__(self, text: str) -> None:
        super().__init__(text)


@dataclass(frozen=True)
class ToolResult:
    """A result with images.

    Attributes:
        text: What stands before the images; may be empty.
        images: The bytes of each image and its MIME type: `[(data, "image/png")]`.

    Raises:
        UsageError: A part is of another kind.
    """

    text: str = field(default="", repr=False)
    images: Sequence[tuple[bytes, str]] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.text, str):
            raise UsageError(
                message=f"the text of a ToolResult is of type {_type_name(self.text)}", remedy="Pass a string"
            )
        if not isinstance(self.images, Sequence) or not all(map(_is_image, self.images)):
            raise UsageError(
                message="an image of a ToolResult is no pair of bytes and MIME type",
                remedy='Pass images=[(data, "image/png")]',
            )


def content_of(value: object, *, max_bytes: int) -> list[dict[str, Any]]:
    """The content blocks of what a tool returned.

    Args:
        value: None is no content, a string stands as it is, a `ToolResult` is text and images, all else becomes JSON.
        max_bytes: The most that texts and images may have together, as they are sent.

    Raises:
        ToolError: There is more, or no JSON can be written.
    """
    if isinstance(value, ToolResult):
        encoded = sum(4 * ((len(data) + 2) // 3) for data, _ in value.images)
        text = _sendable(value.text)
        _check_size(encoded + len(text.encode()), max_bytes)
        images = [
            {"type": "image", "data": base64.b64encode(data).decode(), "mimeType": mime} for data, mime in value.images
        ]
        return [*_text_blocks(text), *images]
    if value is None:
        return []
    text = _sendable(value) if isinstance(value, str) else _json(value)
    _check_size(len(text.encode()), max_bytes)
    return _text_blocks(text)


def error_text(tool: str, error: BaseException, *, host: str) -> str:
    """What the model is told of an exception: the text of a `ToolError`, of any other its class only, for messages
    hold secrets."""
    if isinstance(error, ToolError):
        text = ""
        # A class of the user's own may have a __str__ that fails.
        with suppress(Exception):
            text = cut(_sendable(str(error)).strip())
        return text or f"{tool} failed"
    return f"{tool} failed ({_type_name(error)}); see the log of {_sendable(one_line(host))}"


def _text_blocks(text: str) -> list[dict[str, Any]]:
    return [{"type": "text", "text": text}] if text else []


def _json(value: object) -> str:
    # They would be written as base64, which no model reads.
    if not isinstance(value, bytes | bytearray | memoryview):
        try:
            return msgspec.json.encode(value).decode()
        except (TypeError, ValueError, OverflowError, RecursionError):
            pass
    raise ToolError(
        f"The result cannot be written as JSON ({_type_name(value)}). "
        "A tool returns text, numbers, lists, dicts, dataclasses or a ToolResult."
    ) from None


def _check_size(size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise ToolError(f"The result has {size:,} bytes, and {max_bytes:,} are allowed: ask for less at a time.")


def _is_image(image: object) -> bool:
    if not isinstance(image, tuple | list) or len(image) != 2:
        return False
    data, mime = image
    return isinstance(data, bytes) and isinstance(mime, str) and mime.startswith("image/")


def _sendable(text: str) -> str:
    """The text as a plain string without half characters, which no frame can hold: file names have them."""
    text = str.__str__(text)
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _type_name(value: object) -> str:
    return cut(_sendable(one_line(type(value).__name__)), MAX_TYPE_NAME)
