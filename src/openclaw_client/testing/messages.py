"""The messages of chat.send and agent: what is known of one, and what becomes of it when its session is busy.

Knows the queue modes and `/queue`. Refuses to know runs.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from openclaw_client.testing.callers import Owner
from openclaw_client.testing.traits import Busy, Profile

MODES: Final[tuple[Busy, ...]] = ("steer", "followup", "collect", "interrupt")


@dataclass(frozen=True, slots=True)
class Message:
    """The checked parameters of chat.send, or of agent."""

    key: str
    written_key: str
    text: str
    attachments: list[dict[str, Any]]
    run_id: str
    timeout: float | None = None
    mode: str | None = None
    system_prompt: str | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Late:
    """A message that came while its session was busy. run_id: what its sender asked for. id: of its row, once it has
    one of its own."""

    run_id: str
    message: str
    attachments: list[dict[str, Any]]
    owner: Owner
    id: str = field(default_factory=lambda: str(uuid.uuid4()))


def mode_of(profile: Profile, asked: str | None, session: str | None) -> Busy:
    """The mode that counts: the message's own, the session's (`/queue MODE`), the gateway's."""
    if profile.busy == "queue":
        # 2026.6.1 knows the command, and answers every message in a run of its own all the same.
        return "queue"
    wanted = asked or session
    for mode in MODES:
        if mode == wanted:
            return mode
    return profile.busy


def queue_command(text: str) -> str | None:
    """The mode that `/queue MODE` asks for; None for any other message."""
    command, _, mode = text.strip().partition(" ")
    return mode.strip() if command == "/queue" and mode.strip() in MODES else None


def collected(lates: Sequence[Late]) -> str:
    """Several messages as the one that the agent gets."""
    parts = [f"Queued #{at} (from {late.owner.name})\n{late.message}" for at, late in enumerate(lates, 1)]
    return "\n\n---\n".join(["[Queued while the agent was busy]", *parts])
