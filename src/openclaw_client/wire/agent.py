"""The payload of an `agent` event: tools, lifecycle and status of a run, beside its chat events."""

from __future__ import annotations

from typing import Any

import msgspec

from openclaw_client.wire.frames import UNDECODABLE, Event, decode_payload


class AgentPayload(msgspec.Struct, rename="camel", frozen=True):
    """stream: "lifecycle", "tool", "assistant", "thinking", "run_status", … data is decoded when looked at."""

    run_id: str = ""
    session_key: str | None = None
    stream: str = ""
    seq: int | None = None
    data: msgspec.Raw = msgspec.Raw(b"")
    is_heartbeat: bool = False
    spawned_by: str | None = None

    def fields(self) -> dict[str, Any]:
        """`data` as a mapping; empty where it is none."""
        value = decode_payload(self.data)
        return value if isinstance(value, dict) else {}

    @property
    def begins(self) -> bool:
        """Whether the run has just begun."""
        return self.stream == "lifecycle" and self.fields().get("phase") == "start"

    @property
    def media(self) -> list[str]:
        """What a piece of the answer says to be sent beside the text, as the model named it; looked for before
        anything is decoded, for nearly no piece has any."""
        if self.stream != "assistant" or _MEDIA not in bytes(self.data):
            return []
        found = self.fields().get("mediaUrls")
        return [one for one in found if isinstance(one, str) and one] if isinstance(found, list) else []


_MEDIA = b'"mediaUrls"'
_decoder = msgspec.json.Decoder(AgentPayload)


def decode_agent(frame: Event) -> AgentPayload | None:
    """The payload, or None where it is no usable agent event."""
    try:
        payload = _decoder.decode(frame.payload)
    except UNDECODABLE:
        return _decode_leniently(frame)
    return payload if payload.run_id and payload.stream else None


def _decode_leniently(frame: Event) -> AgentPayload | None:
    value = decode_payload(frame.payload)
    if not isinstance(value, dict):
        return None
    run_id, stream, key, spawned = (value.get(name) for name in ("runId", "stream", "sessionKey", "spawnedBy"))
    if not isinstance(run_id, str) or not isinstance(stream, str) or not run_id or not stream:
        return None
    return AgentPayload(
        run_id=run_id,
        stream=stream,
        session_key=key if isinstance(key, str) else None,
        spawned_by=spawned if isinstance(spawned, str) else None,
        is_heartbeat=value.get("isHeartbeat") is True,
        data=msgspec.Raw(msgspec.json.encode(value.get("data"))),
    )
