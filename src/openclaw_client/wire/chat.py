"""The payload of a `chat` event, and the text of a message.

v3 gateways send the whole text so far in `message`; v4 gateways also send `deltaText`, the new part, and `replace`.
Text is what the blocks of text say; other blocks (images, canvases, tool calls) are not text. An event is decoded no
further than its text needs: `ChatPayload.details` reads the rest of a message, which only the end of a run asks for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from openclaw_client.wire.usage import Usage

TEXT_TYPES = frozenset({"text", "output_text", "input_text", ""})
"""The types of blocks whose `text` is text of the message; the middle two are those of models' own formats, in rows and
finals that were taken over as they are (2026.9.6 reads them so). "" is a block that does not name its type."""
_UNSHOWN_TYPES = frozenset({"thinking", "reasoning", "redacted_thinking", "function", "functionCall", "function_call"})
"""The types of blocks, beside those of tools, that are no part of what the agent says to its reader."""

UNDECODABLE = (msgspec.MsgspecError, ValueError, RecursionError)
"""What decoding can raise: bytes that are no UTF-8 give UnicodeDecodeError, which is a ValueError and not msgspec's."""

TERMINAL_STATES = frozenset({"final", "aborted", "error"})
"""The states of a chat event that end its run."""
INJECTED = ("openclaw", "gateway-injected")
"""Provider and model of what the gateway wrote itself, and no model."""
MIRRORED = ("openclaw", "delivery-mirror")
"""The same of what an agent sent with its tool `message`."""

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


class MessageDetails(NamedTuple):
    """What a message holds beside its text.

    Attributes:
        content: Its blocks as the gateway sent them.
        usage: What its model call took, in the gateway's words.
        model: The model that wrote it; None where none did, or the gateway does not tell.
        provider: Whose model that is.
    """

    content: tuple[Mapping[str, Any], ...] = ()
    usage: Usage | None = None
    model: str | None = None
    provider: str | None = None


class ChatPayload(msgspec.Struct, rename="camel", gc=False):
    """state: "status", "delta", "final", "aborted", "error", or one that this package does not know.

    raw: the bytes of the whole frame, b"" for a payload that came in none; see `details`.
    """

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
    raw: bytes = msgspec.field(default=b"", name=" not of the wire")

    def details(self) -> MessageDetails:
        """What the message holds beside its text; decoded when it is called."""
        message = self.message
        if message is None or isinstance(message, str):
            return MessageDetails(content_blocks(message or None))
        if self.raw:
            try:
                return details_of(_decode_whole(self.raw).payload.message)
            except UNDECODABLE:
                # What the text did not need cannot be read.
                pass
        content = message.content
        if isinstance(content, list):
            return MessageDetails(tuple({"type": block.type, "text": block.text} for block in content))
        return MessageDetails(content_blocks(content))


class _WholePayload(msgspec.Struct):
    message: dict[str, Any]


class _WholeFrame(msgspec.Struct):
    payload: _WholePayload


_decode_whole = msgspec.json.Decoder(_WholeFrame).decode


def message_text(message: ChatMessage | str | None) -> str | None:
    """The text of a message; None where there is no message, or it holds none."""
    if message is None or isinstance(message, str):
        return message
    content = message.content
    if type(content) is list and len(content) == 1 and content[0].type == "text":
        return content[0].text or message.text or ""
    pieces = text_pieces(message)
    return "".join(pieces) if pieces else None


def text_pieces(message: ChatMessage) -> list[str]:
    """The parts of which the text of a message is made, in order; [] where it holds no text.

    Blocks that follow each other directly belong together. Where something else stands between two, a tool call or an
    image, the second begins anew: an empty line is set between them, as gateways do in a run's own text. A text beside
    the blocks counts where they say nothing: media replies have theirs there.
    """
    content = message.content
    if isinstance(content, str):
        return [content or message.text or ""]
    pieces: list[str] = []
    between, told = False, False
    for block in content or ():
        if block.type not in TEXT_TYPES:
            between = True
            continue
        told = told or bool(block.type)
        if block.text:
            pieces += ["\n\n", block.text] if between and pieces else [block.text]
            between = False
    if not pieces and (message.text is not None or (told and not between)):
        # Only blocks of text, and these are empty: that is a text, too, and the gateway's last word.
        pieces.append(message.text or "")
    return pieces


def content_blocks(content: Any) -> tuple[Mapping[str, Any], ...]:
    """The blocks of a message's `content`, as the gateway sent them; a bare text is a block of text.

    Args:
        content: A list, a single block, a text, or anything else, which holds no blocks.
    """
    listed = content if isinstance(content, list) else [content]
    blocks = ({"type": "text", "text": item} if isinstance(item, str) else item for item in listed)
    return tuple(block for block in blocks if isinstance(block, dict))


def shows_anything(content: tuple[Mapping[str, Any], ...]) -> bool:
    """Whether blocks hold something for a reader: a text that is not empty, an image, a sound, … ."""
    texts = (block.get("text") for block in content if _type_of(block) in TEXT_TYPES)
    return any(isinstance(text, str) and text for text in texts) or bool(shown_types(content))


def shown_types(content: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """The types of the blocks that a reader is to see beside the text, in order: "image", "audio", … ."""
    types = (_type_of(block) for block in content)
    unshown = TEXT_TYPES | _UNSHOWN_TYPES
    return tuple(one for one in types if one not in unshown and not one.lower().startswith(("tool", "server_tool")))


def _type_of(block: Mapping[str, Any]) -> str:
    kind = block.get("type")
    return kind if isinstance(kind, str) else ""


def details_of(message: Mapping[str, Any]) -> MessageDetails:
    """What a message or row holds beside its text, out of plain values in which anything may be wrong."""
    usage, model, provider = (message.get(name) for name in ("usage", "model", "provider"))
    if (provider, model) in (INJECTED, MIRRORED):
        # No model was called for it; its usage is all zeros.
        usage = model = provider = None
    return MessageDetails(
        content=content_blocks(message.get("content")),
        usage=Usage(usage) if isinstance(usage, dict) else None,
        model=model if isinstance(model, str) and model else None,
        provider=provider if isinstance(provider, str) and provider else None,
    )


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
    elif isinstance(content, dict):
        blocks = [_block_from(content)]
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
