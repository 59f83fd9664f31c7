"""Request frames as a gateway reads them: the strict side of the wire, for the server core.

A gateway refuses unknown keys in the frame itself, echoes a numeric id as text, and calls the id of a frame that has
none "invalid" (observed on four releases).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from openclaw_client.wire.frames import UNDECODABLE, ErrorShape

_KEYS = frozenset({"type", "id", "method", "params"})
_LATER_KEYS = _KEYS | {"traceparent", "expectedProfileId"}
MAX_TRACEPARENT = 128
"""Characters; a longer one makes the frame invalid (documented for 2026.9.6)."""


@dataclass(frozen=True, slots=True)
class Request:
    id: str
    method: str
    params: Any
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class BadRequest:
    """JSON that is no request; `id` is what the answer must carry."""

    id: str
    message: str


@dataclass(frozen=True, slots=True)
class NotJson:
    pass


def decode_request(data: bytes, *, later_keys: bool = True) -> Request | BadRequest | NotJson:
    """Decode a request frame as a gateway does. later_keys: accept the keys that 2026.9.6 added. Never raises."""
    try:
        frame = msgspec.json.decode(data)
    except UNDECODABLE:
        return NotJson()
    if not isinstance(frame, dict):
        return BadRequest("invalid", "invalid request frame: must be object")
    ident = frame.get("id")
    echoed = str(ident) if isinstance(ident, str | int) and not isinstance(ident, bool) and ident != "" else "invalid"
    if frame.get("type") != "req" or not isinstance(ident, str) or not ident:
        return BadRequest(echoed, "invalid request frame: at /id: must be string")
    method = frame.get("method")
    if not isinstance(method, str) or not method:
        return BadRequest(echoed, "invalid request frame: at /method: must be string")
    known = _LATER_KEYS if later_keys else _KEYS
    extra = next((key for key in frame if key not in known), None)
    if extra is not None:
        return BadRequest(echoed, f"invalid request frame: at root: unexpected property '{extra}'")
    trace = frame.get("traceparent")
    if trace is not None and (not isinstance(trace, str) or len(trace) > MAX_TRACEPARENT):
        return BadRequest(echoed, "invalid request frame: at /traceparent: must be string of at most 128 characters")
    return Request(ident, method, frame.get("params"), trace)


def encode_response(ident: str, payload: Any = None, error: ErrorShape | None = None) -> bytes:
    """The bytes of a response; an error makes it a refusal, with the payload beside it where there is one."""
    frame: dict[str, Any] = {"type": "res", "id": ident, "ok": error is None}
    if payload is not None:
        frame["payload"] = payload
    if error is not None:
        frame["error"] = error_fields(error)
    return msgspec.json.encode(frame)


def encode_event(name: str, payload: Any, seq: int | None = None, versions: Mapping[str, int] | None = None) -> bytes:
    """The bytes of an event, keys in the order of the real gateways. versions: those of what the event is about."""
    frame: dict[str, Any] = {"type": "event", "event": name, "payload": payload}
    if seq is not None:
        frame["seq"] = seq
    if versions is not None:
        frame["stateVersion"] = versions
    return msgspec.json.encode(frame)


def error_fields(error: ErrorShape) -> Mapping[str, Any]:
    """The error as it stands on the wire: no key without a value."""
    optional = {"details": error.details, "retryable": error.retryable, "retryAfterMs": error.retry_after_ms}
    present = {name: value for name, value in optional.items() if value is not None}
    return {"code": error.code, "message": error.message, **present}
