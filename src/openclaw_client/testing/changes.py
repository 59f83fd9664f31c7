"""sessions.changed: what those hear of a session who follow the list of sessions.

Knows what each release tells of a run there. Refuses to know who listens.
"""

from __future__ import annotations

from typing import Any

from openclaw_client.testing.callers import Audience
from openclaw_client.testing.roster import Roster
from openclaw_client.testing.run import Run
from openclaw_client.testing.run_events import agent_of
from openclaw_client.testing.session_rows import SessionRows
from openclaw_client.testing.traits import Profile
from openclaw_client.testing.transcripts import Transcript


class Changes:
    """Tells of the sessions of one gateway."""

    def __init__(self, profile: Profile, audience: Audience, roster: Roster) -> None:
        self._profile = profile
        self._audience = audience
        self._roster = roster
        self._rows = SessionRows(profile, roster)

    def phase(self, run: Run, phase: str) -> None:
        """A run began, or came to an end."""
        if phase == "start":
            self._input(run, "run.started")
        self.tell(run.session, {"phase": phase, "runId": run.id})
        if phase != "start":
            self._input(run, "settled")

    def made(self, session: Transcript) -> None:
        """A session has its first message."""
        if self._profile.whole_changes:
            self.tell(session, {"reason": "participants"})

    def tell(self, session: Transcript, what: dict[str, Any]) -> None:
        """Something became of a session."""
        key = session.key
        payload = {"sessionKey": key, **what, "ts": self._audience.now_ms()}
        row, activity = self._rows.row(key, session), {}
        if self._profile.active_run_ids != "never":
            activity = self._roster.activity(key)
        payload |= {**activity, "session": row | activity, "updatedAt": session.updated_at}
        payload["sessionId"] = session.session_id
        if self._profile.whole_changes:
            payload |= {"agentId": agent_of(key), "createdVia": session.created_via}
        payload |= {name: row[name] for name in ("status", "startedAt", "endedAt") if name in row}
        self._audience.to_session_lists("sessions.changed", payload)

    def _input(self, run: Run, what: str) -> None:
        """What the session was asked is performed, or needs nothing more."""
        if not self._profile.whole_changes:
            return
        newest = self._profile.more_methods
        if what == "settled":
            reason = "agent.input.settled" if newest or run.by_agent else "chat.run.settled"
        else:
            reason = f"{'agent' if newest or run.by_agent else 'chat'}.{what}"
        self.tell(run.session, {"reason": reason})
