"""Other processes of the same application: told once per process, for nothing that they share is safe without a hub.

Knows which of the application's runs this process has sent. Refuses to know their events.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Final

from openclaw_client.logs import GuardedLogger
from openclaw_client.runs.application import Application
from openclaw_client.runs.proactive import BoundedSet
from openclaw_client.wire.agent import AgentPayload

logger = GuardedLogger("openclaw_client.client")

MAX_SENT: Final = 4_096
"""Keys of the latest runs that this process has sent, of all its clients: a run begins soon after it was sent."""


class Siblings:
    """Of one process. From any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sent = BoundedSet(MAX_SENT)
        self._told: set[tuple[int, str]] = set()

    def after_fork(self) -> None:
        """In a forked child: whichever thread held the lock is not there."""
        self._lock = threading.Lock()

    def sent(self, application: Application | None, run_id: str) -> None:
        """A client of this process has sent a run, or follows it."""
        if application is not None and application.has(run_id):
            with self._lock:
                self._sent.add(run_id)

    def heard(self, application: Application | None, payload: AgentPayload, accepts: Callable[[str], bool]) -> None:
        """Something of a run that is not this client's. accepts: whether a session is its own.

        What tells is a run that begins: one that is heard from its middle may be this process's own, from before it was
        started anew.
        """
        session_key = payload.session_key or ""
        if application is None or not application.has(payload.run_id) or not payload.begins or not accepts(session_key):
            return
        # A forked child is a process of its own.
        this = (os.getpid(), application.name)
        with self._lock:
            if payload.run_id in self._sent or this in self._told:
                return
            self._told.add(this)
        logger.warning(
            "another process of the application %r sends messages, here in the session %r: what it is told comes to "
            'this process, too, as messages of kind "reply" (docs/processes.md says what to do)',
            application.name,
            session_key,
        )


siblings: Final = Siblings()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=siblings.after_fork)
