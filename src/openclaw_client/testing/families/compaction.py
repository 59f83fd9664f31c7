"""sessions.compact: the past of a session is summed up, or cut to its last lines, as 2026.9.6 does it.

Knows what is left of the transcript, and who hears of it. The summary is made of plain words: there is no model here.
"""

from __future__ import annotations

import uuid
from typing import Any, Final

from openclaw_client.testing.callers import Caller, MethodError, Params, Switchboard
from openclaw_client.testing.registry import Family, Method
from openclaw_client.testing.run_events import agent_of
from openclaw_client.testing.runs import Runs
from openclaw_client.testing.transcripts import Row, Transcript, Transcripts, new_row
from openclaw_client.wire.sessions import canonical_key

TOO_SMALL: Final = "Nothing to compact (session too small)"
COMPACTED: Final = "Already compacted"
OWN_LINES: Final = 1
"""Lines of a transcript that are no row: that of the session itself."""


class Compaction:
    """The method of one gateway."""

    def __init__(self, transcripts: Transcripts, runs: Runs, board: Switchboard) -> None:
        self._transcripts = transcripts
        self._runs = runs
        self._board = board

    def methods(self) -> Family:
        return {"sessions.compact": Method(self._compact)}

    def _compact(self, _caller: Caller, params: Params) -> Params:
        key = canonical_key(params["key"])
        session = self._transcripts.get(key)
        answer: Params = {"ok": True, "key": key, "compacted": False}
        if session is None:
            return {**answer, "reason": "no sessionId"}
        if not session.rows:
            return {**answer, "reason": "no transcript"}
        lines = params.get("maxLines")
        if lines is not None:
            return self._cut(params["key"], session, lines, answer)
        reason = _why_not(session)
        if reason:
            return {**answer, "ok": False, "reason": reason}
        self._check_idle(params["key"], session)
        return {**answer, "compacted": True, "result": self._sum_up(session)}

    def _cut(self, written: str, session: Transcript, lines: int, answer: Params) -> Params:
        whole = len(session.rows) + OWN_LINES
        if whole <= lines:
            return {**answer, "kept": whole}
        self._check_idle(written, session)
        kept = max(lines - OWN_LINES, 0)
        session.rows = session.rows[len(session.rows) - kept :]
        self._tell(session, compacted=True)
        return {**answer, "compacted": True, "kept": lines}

    def _sum_up(self, session: Transcript) -> Params:
        before = sum(_tokens(row) for row in session.rows[-1:])
        last, now = session.rows[-1], self._board.now_ms()
        operation = {"operationId": str(uuid.uuid4()), "operation": "compact"}
        self._show(session, {**operation, "phase": "start"})
        summary = "\n".join(["## Latest user request context", f'"{_last_words(session)}"'])
        mark = new_row("system", "Compaction", now, run_id=operation["operationId"])
        mark.meta = {"kind": "compaction", "itemId": str(uuid.uuid4())}
        mark.meta |= {"tokensBefore": before, "tokensAfter": len(summary) // 4}
        session.add(mark)
        self._show(session, {**operation, "phase": "end", "completed": True})
        self._tell(session, compacted=True)
        details: dict[str, list[str]] = {"readFiles": [], "modifiedFiles": []}
        return {"summary": summary, "firstKeptEntryId": last.id, "tokensBefore": before, "details": details}

    def _check_idle(self, written: str, session: Transcript) -> None:
        if self._runs.roster.ahead(session.key):
            raise MethodError(f"Session {written} has an active run; retry after it finishes.")

    def _show(self, session: Transcript, operation: Params) -> None:
        names = {"sessionKey": session.key, "agentId": agent_of(session.key)}
        payload = {**operation, **names, "ts": self._board.now_ms()}
        self._board.to_session_lists("session.operation", payload)

    def _tell(self, session: Transcript, **more: Any) -> None:
        payload: Params = {"sessionKey": session.key, "agentId": agent_of(session.key), "reason": "compact", **more}
        payload |= {"ts": self._board.now_ms(), "sessionId": session.session_id, "updatedAt": session.updated_at}
        self._board.to_session_lists("sessions.changed", payload | self._runs.roster.activity(session.key))


def _why_not(session: Transcript) -> str:
    """Why there is nothing to sum up; "" where there is."""
    if session.rows[-1].meta.get("kind") == "compaction":
        return COMPACTED
    said = [row for row in session.rows if row.role == "assistant" and row.text]
    return "" if said else TOO_SMALL


def _last_words(session: Transcript) -> str:
    asked = [row.text for row in session.rows if row.role == "user"]
    return asked[-1] if asked else ""


def _tokens(row: Row) -> int:
    usage: dict[str, Any] = row.extra.get("usage", {})
    return int(usage.get("totalTokens", 0))
