"""The payload of a `chat` event, and the text of a message.

v3 gateways send the whole text so far in `message`; v4 gateways also send `deltaText`, the new part, and `replace`.
Text is what the blocks of type "text" say; other blocks (images, canvases) are not text.
"""

from __future__ import annotations

from typing import Any

import msgspec

TERMINAL_STATES = frozenset({"final", "aborted", "error"})
"""The states of a chat event that end its run."""

# Fields stand in the order of the wire, which is the quickest one to decode. Nothing here can be part of a cycle, so
# the collector need not look at it.


class ChatBlock(msgspec.Struct, frozen=True, gc=False):
    type: str = ""
    text: str = ""


class ChatMessage(msgspec.Struct, rename="camel", frozen=True, gc=False):
    role: str = ""
    content: list[ChatBlock] | str | None = None
    text: str | None = None
    stop_reason: str | None = None


class ChatPayload(msgspec.Struct, rename="camel", gc=False):
    """state: "status", "delta", "final", "aborted", "error", or one that this package does not know."""

    run_id: str = ""
    session_key: str = ""
    agent_id: str | None = None
    seq: int | None = None
    state: str = ""
    delta_text: str | None = None
    replace: bool = False
    message: ChatMessage | str | None = None
    stop_reason: str | None = None
    error_message: str | None = None
    error_kind: str | None = None
    error_detail: dict[str, Any] | None = None
    usage: dict[str, Any] | None = None
    phase: str | None = None
    retry: dict[str, Any] | None = None
    spawned_by: str | None = None
    yielded: bool = False


def message_text(message: ChatMessage | str | None) -> str | None:
    """The text of a message; None where there is no message, "" where it holds no text."""
    if message is None or isinstance(message, str):
        return message
    content = message.content
    if type(content) is list and len(content) == 1 and content[0].type == "text":
        return content[0].text
    if content is None:
        return message.text if message.text is not None else ""
    if isinstance(content, str):
        return content
    return "".join([block.text for block in content if block.type == "text"])


def chat_payload_from(value: Any) -> ChatPayload:
    """A payload out of plain values in which anything may be wrong; what is wrong is left out."""
    if not isinstance(value, dict):
        return ChatPayload()
    fields: dict[str, Any] = {}
    for name, wire_name, kind in _FIELDS:
        found = value.get(wire_name)
        if type(found) is kind:
            fields[name] = found
    message = value.get("message")
    if isinstance(message, str):
        fields["message"] = message
    elif isinstance(message, dict):
        fields["message"] = message_from(message)
    return ChatPayload(**fields)


def message_from(value: dict[str, Any]) -> ChatMessage:
    """A message out of plain values; blocks without a usable text count as empty."""
    content = value.get("content")
    blocks: list[ChatBlock] | str | None = None
    if isinstance(content, str):
        blocks = content
    elif isinstance(content, list):
        blocks = [_block_from(block) for block in content]
    role, text, reason = value.get("role"), value.get("text"), value.get("stopReason")
    return ChatMessage(
        role=role if isinstance(role, str) else "",
        content=blocks,
        text=text if isinstance(text, str) else None,
        stop_reason=reason if isinstance(reason, str) else None,
    )


def _block_from(block: Any) -> ChatBlock:
    if isinstance(block, str):
        return ChatBlock("text", block)
    if not isinstance(block, dict):
        return ChatBlock()
    kind, text = block.get("type"), block.get("text")
    return ChatBlock(kind if isinstance(kind, str) else "", text if isinstance(text, str) else "")


# (attribute, wire name, type) of every field but `message`: what the lenient path may copy as it is.
_FIELDS: tuple[tuple[str, str, type], ...] = (
    ("run_id", "runId", str),
    ("session_key", "sessionKey", str),
    ("state", "state", str),
    ("seq", "seq", int),
    ("delta_text", "deltaText", str),
    ("replace", "replace", bool),
    ("stop_reason", "stopReason", str),
    ("error_message", "errorMessage", str),
    ("error_kind", "errorKind", str),
    ("error_detail", "errorDetail", dict),
    ("usage", "usage", dict),
    ("phase", "phase", str),
    ("retry", "retry", dict),
    ("agent_id", "agentId", str),
    ("spawned_by", "spawnedBy", str),
    ("yielded", "yielded", bool),
)
