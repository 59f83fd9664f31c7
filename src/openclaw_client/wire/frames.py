"""The three frames of the protocol, decoded once and no further than somebody looks.

Source: the protocol's docs (gateway/protocol), and what four real releases were seen to send.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, final

import msgspec

from openclaw_client.wire.bounds import MAX_MENDED, MAX_VALUES, too_many_values, without_halves
from openclaw_client.wire.chat import UNDECODABLE as UNDECODABLE
from openclaw_client.wire.chat import ChatPayload, chat_payload_from

_EMPTY = msgspec.Raw(b"")


class ErrorShape(msgspec.Struct, rename="camel", frozen=True):
    """`error` of a response. `details` is whatever the gateway put there."""

    code: str = "UNAVAILABLE"
    message: str = ""
    details: Any = None
    retryable: bool | None = None
    retry_after_ms: float | None = None

    @property
    def retry_after(self) -> float | None:
        """The gateway's hint in seconds; None where it gave none, or a negative one."""
        hint = self.retry_after_ms
        return hint / 1000 if hint is not None and hint >= 0 else None

    def detail(self, key: str) -> Any:
        """`details[key]`, or None where details is not an object or has no such key."""
        return self.details.get(key) if isinstance(self.details, dict) else None


@final
class Response(msgspec.Struct, tag_field="type", tag="res", frozen=True, gc=False):
    """A response frame. An error may carry a payload as well (a cached failed run does)."""

    id: str
    ok: bool
    payload: msgspec.Raw = _EMPTY
    error: ErrorShape | None = None


@final
class Event(msgspec.Struct, tag_field="type", tag="event", frozen=True):
    """An event frame other than `chat`. seq is the connection's counter (v4) or the server's (v3)."""

    event: str
    payload: msgspec.Raw = _EMPTY
    seq: int | None = None


@final
class ChatFrame(msgspec.Struct, gc=False):
    """A `chat` event, payload decoded in the same pass."""

    event: str = msgspec.field(default="chat", name=" known before")
    payload: ChatPayload = msgspec.field(default_factory=ChatPayload)
    seq: int | None = None

    @property
    def raw(self) -> bytes:
        """The frame's bytes, for those who want every key."""
        return self.payload.raw


@dataclass(frozen=True, slots=True)
class Ignored:
    """A frame that is no frame of the protocol. The connection goes on."""

    reason: str


Frame = Response | Event | ChatFrame | Ignored

FRAME_BEGINS = b'{"type":"'
"""What begins so is a frame, whatever it came in: text, or binary, which no gateway sends."""
_CHAT_PREFIX = b'{"type":"event","event":"chat",'
"""Key order of every observed gateway. Another order is decoded in two passes, which costs time and nothing else."""

_decode_envelope: Callable[[bytes], Response | Event] = msgspec.json.Decoder(Response | Event).decode
_decode_chat: Callable[[bytes], ChatFrame] = msgspec.json.Decoder(ChatFrame).decode
_decode_any: Callable[[msgspec.Raw | bytes], Any] = msgspec.json.Decoder().decode
_object: msgspec.json.Decoder[dict[str, msgspec.Raw]] = msgspec.json.Decoder(dict[str, msgspec.Raw])

_RESPONSE_BEGINS = re.compile(rb'\{"type":"res","id":"([\x20!#-\[\]-~]{1,128})"')
"""How every gateway begins an answer, for one of which nothing else can be read: whoever waits for it is told."""
UNREADABLE = "UNREADABLE"
"""Not a wire code: for an answer that cannot be decoded, or holds too much to be."""


def decode_frame(data: bytes) -> Frame:
    """Never raises: what cannot be a frame comes back as `Ignored` with the reason."""
    if too_many_values(data):
        return _unreadable(data, f"more than {MAX_VALUES} values")
    if data.startswith(_CHAT_PREFIX):
        try:
            chat = _decode_chat(data)
        except UNDECODABLE:
            return _decode_leniently(data)
        if chat.seq is None or chat.seq >= 0:
            chat.payload.raw = data
            return chat
        return _decode_leniently(data)
    try:
        frame = _decode_envelope(data)
    except UNDECODABLE:
        return _decode_leniently(data)
    if type(frame) is Response:
        return frame if frame.id else Ignored("response without an id")
    if frame.event == "chat":
        return _chat_frame(decode_payload(frame.payload), frame.seq, data)
    if not frame.event or (frame.seq is not None and frame.seq < 0):
        return _decode_leniently(data)
    return frame


def _decode_leniently(data: bytes) -> Frame:
    """The frame with whatever is usable in it, for frames that the typed decoders refuse."""
    if len(data) > MAX_MENDED:
        return _unreadable(data, "not as the protocol has it")
    try:
        parts = _object.decode(data)
    except UNDECODABLE:
        # A gateway that cuts a text within an emoji writes the half that is left as an escape. That is no character,
        # and msgspec refuses the frame. It is left out, so that a later text with the whole emoji extends this one.
        mended = without_halves(data)
        return decode_frame(mended) if mended is not None else _unreadable(data, "not a JSON object")
    kind = _part(parts, "type")
    if kind == "event":
        return _lenient_event(parts, data)
    if kind == "res":
        return _lenient_response(parts)
    return Ignored("unknown frame type")


def _unreadable(data: bytes, reason: str) -> Frame:
    begins = _RESPONSE_BEGINS.match(data)
    if begins is None:
        return Ignored(reason)
    shape = ErrorShape(UNREADABLE, f"the gateway's answer of {len(data)} bytes cannot be read: {reason}")
    return Response(begins[1].decode(), ok=False, error=shape)


def _lenient_event(parts: dict[str, msgspec.Raw], data: bytes) -> Frame:
    name, seq = _part(parts, "event"), _part(parts, "seq")
    if not isinstance(name, str) or not name:
        return Ignored("event without a name")
    if type(seq) is not int or seq < 0:
        seq = None
    if name == "chat":
        return _chat_frame(_part(parts, "payload"), seq, data)
    return Event(name, parts.get("payload", _EMPTY), seq)


def _chat_frame(value: Any, seq: int | None, data: bytes) -> ChatFrame:
    payload = chat_payload_from(value)
    payload.raw = data
    return ChatFrame("chat", payload, seq)


def _lenient_response(parts: dict[str, msgspec.Raw]) -> Frame:
    ident, error = _part(parts, "id"), _part(parts, "error")
    if not isinstance(ident, str) or not ident:
        return Ignored("response without an id")
    # `ok` that is not a boolean is no success.
    shape = _error_from(error) if error is not None else None
    return Response(ident, _part(parts, "ok") is True, parts.get("payload", _EMPTY), shape)


def _part(parts: dict[str, msgspec.Raw], key: str) -> Any:
    return decode_payload(parts.get(key, _EMPTY))


def _error_from(error: Any) -> ErrorShape:
    fields = error if isinstance(error, Mapping) else {"message": error}
    code, message, retry = fields.get("code"), fields.get("message"), fields.get("retryAfterMs")
    retryable = fields.get("retryable")
    return ErrorShape(
        code=code if isinstance(code, str) and code else "UNAVAILABLE",
        message=message if isinstance(message, str) else "",
        details=fields.get("details"),
        retryable=retryable if isinstance(retryable, bool) else None,
        retry_after_ms=_number(retry),
    )


def _number(value: Any) -> float | None:
    try:
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
    except OverflowError:
        return None


def decode_payload(raw: msgspec.Raw | bytes) -> Any:
    """A payload as plain Python values; None where there is none or where its bytes are no JSON (bad UTF-8)."""
    if raw is _EMPTY:
        return None
    try:
        return _decode_any(raw)
    except UNDECODABLE:
        return None


class _Request(msgspec.Struct, tag_field="type", tag="req", omit_defaults=True, gc=False):
    """A request frame on its way out; written faster than a dict."""

    id: str
    method: str
    params: Any = None
    traceparent: str | None = None


_encode = msgspec.json.Encoder().encode


def encode_request(
    ident: str, method: str, params: Mapping[str, Any] | msgspec.Struct | None, traceparent: str | None = None
) -> bytes:
    """The bytes of a request frame. Raises TypeError or ValueError where params cannot be JSON."""
    return _encode(_Request(ident, method, params, traceparent))


def frame_payload(frame: ChatFrame | Event) -> Any:
    """The whole payload of an event as plain Python values, unknown keys included."""
    if isinstance(frame, ChatFrame):
        whole = decode_payload(frame.raw)
        return whole.get("payload") if isinstance(whole, dict) else None
    return decode_payload(frame.payload)
