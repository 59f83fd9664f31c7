"""What a gateway keeps over a restart, and the clock that its rows and tokens are stamped with."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from openclaw_client.testing.pairing import PairedDevices
from openclaw_client.testing.transcripts import Transcripts


def now_ms() -> int:
    """Milliseconds since 1970."""
    return int(time.time() * 1000)


@dataclass(slots=True)
class Memory:
    """What a restart keeps: devices with their tokens, and transcripts."""

    pairing: PairedDevices = field(default_factory=lambda: PairedDevices(now_ms))
    transcripts: Transcripts = field(default_factory=lambda: Transcripts(now_ms))
