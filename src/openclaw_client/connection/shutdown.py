"""The gateway's announcement of its end."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from openclaw_client.wire.frames import Event


@dataclass(frozen=True, slots=True)
class Shutdown:
    """The gateway announced its end. restart_expected is in seconds; None where it will not come back by itself."""

    reason: str
    restart_expected: float | None


class _ShutdownFields(msgspec.Struct, rename="camel"):
    reason: str = ""
    restart_expected_ms: float | None = None


_shutdown = msgspec.json.Decoder(_ShutdownFields)


def read_shutdown(event: Event) -> Shutdown:
    """What a shutdown event says; one that cannot be read is none that promises a return."""
    try:
        fields = _shutdown.decode(event.payload)
    except msgspec.MsgspecError:
        return Shutdown("", None)
    expected = fields.restart_expected_ms
    return Shutdown(fields.reason, expected / 1000 if expected is not None and expected >= 0 else None)
