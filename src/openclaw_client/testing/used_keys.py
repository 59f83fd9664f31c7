"""What a message gets whose idempotency key was used before: the answer to chat.send, as each release gives it.

Knows the keys of runs that are there or remembered. Refuses to start anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from openclaw_client.testing.callers import Audience
from openclaw_client.testing.messages import Message
from openclaw_client.testing.roster import Roster
from openclaw_client.testing.run import Run
from openclaw_client.testing.traits import Profile
from openclaw_client.testing.transcripts import Transcripts
from openclaw_client.wire.frames import ErrorShape

INTERRUPTED: Final = "Error: this message was lost with the process that held it; send it again under another key."
"""What the key of a message gets that waited when the gateway was killed."""


@dataclass(frozen=True, slots=True)
class Sent:
    """The answer to chat.send: a payload, an error, or both."""

    payload: dict[str, Any] | None
    error: ErrorShape | None = None


class UsedKeys:
    """The idempotency keys that one gateway knows."""

    def __init__(self, profile: Profile, audience: Audience, transcripts: Transcripts, roster: Roster) -> None:
        self._profile = profile
        self._audience = audience
        self._transcripts = transcripts
        self._roster = roster

    def answer(self, message: Message) -> Sent | None:
        """The answer to a message with a used key; None where it is to be performed."""
        return self._lost(message) or self._known(message)

    def _lost(self, message: Message) -> Sent | None:
        """What the key of a message gets that waited when the process ended."""
        session = self._transcripts.get(message.key)
        if session is None or not session.lost(message.run_id):
            return None
        error = {"runId": message.run_id, "sessionKey": session.key, "seq": 1, "state": "error"}
        self._audience.broadcast("chat", {**error, "errorMessage": INTERRUPTED}, session.key)
        return Sent(None, ErrorShape(code="UNAVAILABLE", message=INTERRUPTED))

    def _known(self, message: Message) -> Sent | None:
        run = self._roster.find(message.run_id)
        if run is None or (run.over and run.by_agent):
            # A key that the method `agent` has used up is new to chat.send.
            return None
        if self._profile.conflicts and (run.key, run.message) != (message.key, message.text):
            text = "this idempotency key was used for different input; use a new one"
            details = {"reason": "chat-request-conflict"}
            return Sent(None, ErrorShape(code="INVALID_REQUEST", message=text, details=details))
        if not run.over:
            return Sent({"runId": run.id, "status": "in_flight"})
        if run.state == "aborted":
            if self._profile.rerun_aborted:
                self._roster.finished.pop(run.id, None)
                return None
            return Sent(self._aborted_ack(run))
        if run.state == "error":
            payload = {"runId": run.id, "status": "error", "summary": run.error}
            return Sent(payload, ErrorShape(code="UNAVAILABLE", message=run.error))
        return Sent({"runId": run.id, "status": "ok"})

    def _aborted_ack(self, run: Run) -> dict[str, Any]:
        if self._profile.abort_status == "ok":
            return {"runId": run.id, "status": "ok"}
        ended = {"stopReason": run.stop_reason, "endedAt": run.ended_at}
        return {"runId": run.id, "status": "timeout", "summary": "aborted", **ended}
