"""What a message holds beside its text, in words: for those who show messages and cannot show all of them. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from openclaw_client.wire.chat import content_blocks, message_from, message_text, shown_types

LONGEST = 40
"""Characters of a type that are told: the known ones have ten, and a gateway may send anything."""

_PLURALS = {"audio": "audio clips", "canvas": "canvases"}


def beside_text(content: Iterable[Mapping[str, Any]]) -> str:
    """The blocks that are no text, by their types: "image", "2 images, audio"; "" where there are none."""
    counts = Counter(_name(kind) for kind in shown_types(content))
    return ", ".join(name if number == 1 else _several(number, name) for name, number in counts.items())


def text_and_blocks(message: Mapping[str, Any]) -> tuple[str, tuple[Mapping[str, Any], ...]]:
    """The text and the blocks of a message as an event or a row has it."""
    return message_text(message_from(dict(message))) or "", content_blocks(message.get("content"))


def _name(kind: str) -> str:
    """The models' own formats call an image input_image or image_url."""
    return kind[:LONGEST].removeprefix("input_").removeprefix("output_").removesuffix("_url")


def _several(number: int, name: str) -> str:
    return f"{number} {_PLURALS.get(name, f'{name}s')}"
