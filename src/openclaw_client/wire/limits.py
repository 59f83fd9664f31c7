"""The protocol's numbers. Milliseconds and bytes as on the wire; the client's own timers are in seconds."""

from typing import Final

OLDEST_RELEASE: Final = (2026, 2, 17)
"""The oldest release of the gateway that is supported: the tests run on it. On 2026.2.1 a failed run is a finished one
without text."""
OLDEST_RELEASE_NAME: Final = ".".join(map(str, OLDEST_RELEASE))

PROTOCOL_MIN: Final = 3
"""2026.2.17 to 2026.5.7 speak 3."""
PROTOCOL_MAX: Final = 4
"""2026.5.12 and later speak 4; a gateway of either kind accepts the range 3..4 (observed, four releases)."""

MAX_FRAME_BYTES: Final = 26_214_400
"""25 MiB: `policy.maxPayload` of every release, and the reference client's own inbound limit."""
MAX_CONNECT_BYTES: Final = 65_536
"""A connect frame above 64 KiB is answered with close 1009 (observed from 2026.4.15 on)."""
MAX_CHALLENGE_BYTES: Final = 65_536
"""Of a frame before the challenge is there, which takes 150 bytes: nobody has proven yet to be a gateway."""
MAX_HELLO_BYTES: Final = 4_194_304
"""Of a frame before hello. hello-ok takes 15 to 60 KB; presence and sessions of a busy gateway add some hundreds
each."""
MAX_SESSION_KEY: Final = 512
"""Characters; 2026.9.6 answers longer keys with an error, older gateways store them and fail later."""
MAX_LABEL: Final = 100
"""Characters of a chat.inject label, all releases."""
MAX_HISTORY_LIMIT: Final = 1000
"""chat.history answers larger limits with an error."""
DEFAULT_ATTACHMENT_BYTES: Final = 5_000_000
"""What every release takes; gateways that take more announce it in `policy.attachments`."""

DEFAULT_TICK_INTERVAL: Final = 30.0
"""Seconds; `policy.tickIntervalMs` was 30,000 on every observed release."""
TICKS_UNTIL_DEAD: Final = 2
"""Silence of two tick intervals means a dead connection: one tick may be late, two are not."""
CHALLENGE_TIMEOUT: Final = 15.0
"""Seconds from the open socket to connect.challenge; the window of the reference client."""
HELLO_TIMEOUT: Final = 15.0
"""Seconds from connect to hello-ok; servers give up after 10 s (v3) or 15 s (v4) themselves."""
