"""The log of all frames."""

from __future__ import annotations

from openclaw_client.logs import GuardedLogger
from openclaw_client.private_parts import levels_of

wire_log = GuardedLogger("openclaw_client.wire")
"""All frames at DEBUG, the texts of users included, secrets not. A changed level takes effect within a second: deltas
on the fast path do not check it."""
wire_levels = levels_of(wire_log.logger)
