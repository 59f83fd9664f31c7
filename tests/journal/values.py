"""Values that tests write down, and a clock that they move."""

from __future__ import annotations

from typing import Any

from openclaw_client.journal.protocol import KeptPlace
from openclaw_client.runs.peer import SentRun
from openclaw_client.runs.proactive import ProactiveMessage
from openclaw_client.runs.words import digest_of

START = 1_800_000_000.0
"""When tests begin, in seconds since 1970."""


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


def sent(run_id: str, text: str = "Hello!", *, at: float = START, session: str = "main", **more: Any) -> SentRun:
    """A message that goes out, with every field that is kept set."""
    facts: dict[str, Any] = {
        "clock_ms": at * 1000 + 3,
        "protocol": 4,
        "boot_id": "boot",
        "session_id": "s-1",
        "system_prompt": "Be brief.",
        "model": "m",
        "thinking": "low",
        "complete": False,
        "method": "agent",
    }
    return SentRun(run_id, session, digest_of(text), text, sent_at=at, **(facts | more))


def said(ident: str, text: str = "Look!", *, run_id: str = "") -> ProactiveMessage:
    """A message that nobody asked for."""
    blocks = ({"type": "text", "text": text}, {"type": "image", "n": [1, None, 2.5]})
    return ProactiveMessage(ident, text, "agent:main:main", run_id or f"run-{ident}", "cron", "stop", blocks)


def place(session: str = "main", since: float = 1.5) -> KeptPlace:
    """How far a session is known."""
    return KeptPlace(session, since, "row", "s-1", b"\x00ids", b"sent\xff", b"said")
