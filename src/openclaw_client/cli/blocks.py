"""What a message holds beside its text, as a terminal shows it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from openclaw_client.errors.peer_text import one_line
from openclaw_client.runs.blocks import beside_text, text_and_blocks

LONG = 200
"""Characters of a block's own strings that `events` shows: a link is shorter, an image in base64 has thousands."""


def mark(content: Iterable[Mapping[str, Any]]) -> str:
    """The blocks that are no text: "[image]", "[2 images, audio]"; "" where there are none."""
    beside = one_line(beside_text(content))
    return f"[{beside}]" if beside else ""


def event_mark(payload: Any) -> str:
    """The mark of an event whose message holds blocks and no text; "" for every other event."""
    message = _message_of(payload)
    if message is None:
        return ""
    text, content = text_and_blocks(message)
    return "" if text else mark(content)


def event_in_short(payload: Any) -> Any:
    """The payload of an event, its blocks without the data that no person can read."""
    message = _message_of(payload)
    if message is None or not isinstance(message.get("content"), list):
        return payload
    content = [_in_short(block) if isinstance(block, dict) and mark([block]) else block for block in message["content"]]
    return {**payload, "message": {**message, "content": content}}


def _message_of(payload: Any) -> dict[str, Any] | None:
    message = payload.get("message") if isinstance(payload, dict) else None
    return message if isinstance(message, dict) else None


def _in_short(value: Any) -> Any:
    if isinstance(value, str) and len(value) > LONG:
        return f"{value[:LONG]}… ({len(value)} characters)"
    if isinstance(value, dict):
        return {key: _in_short(one) for key, one in value.items()}
    return [_in_short(one) for one in value] if isinstance(value, list) else value
