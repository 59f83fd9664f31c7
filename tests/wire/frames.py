"""Chat events as gateways write them."""

from __future__ import annotations

import json
from typing import Any


def delta(text: str, piece: str | None = None, run: str = "r", seq: int = 1, **more: Any) -> bytes:
    """A delta with the whole text so far; seq is its number in the run and on the connection."""
    payload: dict[str, Any] = {"runId": run, "sessionKey": "main", "seq": seq, "state": "delta"}
    if piece is not None:
        payload["deltaText"] = piece
    message = {"role": "assistant", "content": [{"type": "text", "text": text}], "timestamp": 1}
    frame = {"type": "event", "event": "chat", "payload": {**payload, **more, "message": message}, "seq": seq}
    return json.dumps(frame, separators=(",", ":")).encode()
