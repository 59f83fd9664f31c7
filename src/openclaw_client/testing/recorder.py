"""What a run leaves in the transcript of its session, row by row, as each release writes it down.

Knows rows and who is told of them. Refuses to know when a run begins and ends.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from openclaw_client.testing.callers import Audience
from openclaw_client.testing.run import Run
from openclaw_client.testing.run_events import RunStep
from openclaw_client.testing.traits import Profile
from openclaw_client.testing.transcripts import Row, Transcript, assistant_extra, new_row, shown

FILES_AFTER: Final = 0.15
"""Seconds behind the end of a run until the files of its answer are there: 0.1 to 0.9 on 2026.8.1 and 2026.9.6."""
RESENT: Final = 50
"""Rows in which a message that is sent again is looked for; a client does that at once after a restart."""


class Recorder:
    """Writes the rows of the runs of one gateway."""

    def __init__(self, audience: Audience, profile: Profile) -> None:
        self._audience = audience
        self._profile = profile

    def user(self, run: Run) -> None:
        """The message that a run answers, once."""
        known = self._profile.keeps_user_row and any(
            row.role == "user" and row.run_id == run.id for row in run.session.rows[-RESENT:]
        )
        if not run.recorded and not known:
            run.recorded = True
            asked = run.asked_by or run.id
            row = new_row("user", run.message, self._audience.now_ms(), run_id=asked, sender=run.owner.name)
            row.id, row.key = run.row_id, run.row_key
            row.nameless = run.by_agent and not self._profile.agent_row_keys
            self.record(run.session, row)

    def assistant(self, run: Run) -> None:
        """What the model said since its last row."""
        text = run.take_message()
        run.session.spoken_in = True
        files, run.reply_files = run.reply_files, []
        if not (text or files) or run.silent or run.over or run.broken:
            return
        row = new_row("assistant", text, self._audience.now_ms(), run_id=run.id, **assistant_extra())
        if files:
            # Told of before its files are ready: the event has the words alone, and so has the history for a moment.
            self.record(run.session, row)
            row.coming = files
            asyncio.get_running_loop().call_later(FILES_AFTER, row.show_files)
        elif not run.said_nothing or self._profile.silent_rows == "shown":
            self.record(run.session, row)
        elif self._profile.silent_rows == "told":
            self._tell(run.session, row, len(run.session.rows) + 1)

    def step(self, run: Run, step: RunStep) -> None:
        """A call of a tool, or its result."""
        now = self._audience.now_ms()
        if step.kind == "result":
            row = new_row("toolResult", step.text, now, run_id=run.id)
            row.files = list(step.files)
            if self._profile.results_told:
                self.record(run.session, row)
            else:
                run.session.add(row)
            return
        text, extra = step.text, {**assistant_extra(), "stopReason": "toolUse"}
        if self._profile.rows_at_once and text:
            # Written before the call is known, in a row that doesn't say why it ended.
            self.record(run.session, new_row("assistant", text, now, run_id=run.id))
            text = ""
        row = new_row("assistant", text, now, run_id=run.id, **extra)
        row.call = step.call
        self.record(run.session, row)

    def aborted(self, run: Run, reason: str) -> None:
        """What is kept of a run that was stopped."""
        for kind in self._profile.abort_rows:
            text = "" if kind == "empty" else run.text
            if kind == "partial":
                mark = {"openclawAbort": {"aborted": True, "origin": reason, "runId": run.id}}
                extra = {**assistant_extra(injected=True), "idempotencyKey": f"{run.id}:assistant", **mark}
            else:
                extra = {**assistant_extra(), "stopReason": "aborted", "errorMessage": "the request was aborted"}
            self.record(run.session, new_row("assistant", text, self._audience.now_ms(), run_id=run.id, **extra))

    def record(self, session: Transcript, row: Row) -> None:
        """Add a row to a session and tell those who watch it."""
        self._tell(session, row, session.add(row))

    def _tell(self, session: Transcript, row: Row, place: int) -> None:
        if self._profile.session_methods:
            message = shown(row, place, self._profile)
            if row.role == "assistant" and not message["content"] and row.extra.get("stopReason") != "toolUse":
                message["content"] = [{"type": "text", "text": ""}]
            payload: dict[str, Any] = {"sessionKey": session.key, "message": message}
            if self._profile.agent_in_rows:
                payload["agentId"] = "main"
            payload |= {"messageId": row.id, "messageSeq": place}
            self._audience.to_watchers(session.key, "session.message", payload)
