"""The log of all frames."""

from __future__ import annotations

import logging

wire_log = logging.getLogger("openclaw_client.wire")
"""All frames at DEBUG, the texts of users included, secrets not. Switched on while a run streams, it begins within a
second: deltas that take the short way are not asked whether anybody wants to read them."""
# What the logger remembers of its own answers, emptied by every change of a level: to look costs less than to ask.
wire_levels: dict[int, bool] = getattr(wire_log, "_cache", {})
