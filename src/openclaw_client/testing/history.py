"""chat.history, chat.message.get and sessions.list: what each release shows of its sessions.

Knows pages and their fields. Refuses to know how rows come to be.
"""

from __future__ import annotations

from openclaw_client.testing.callers import Caller, Params
from openclaw_client.testing.memory import now_ms
from openclaw_client.testing.roster import Roster
from openclaw_client.testing.session_rows import CONTEXT, DEFAULTS, SessionRows
from openclaw_client.testing.shapes import PLACE
from openclaw_client.testing.traits import Profile
from openclaw_client.testing.transcripts import DEFAULT_LIMIT, Transcript, Transcripts, cut, shown
from openclaw_client.wire.sessions import canonical_key


class History:
    """The reading methods of one gateway."""

    def __init__(self, profile: Profile, transcripts: Transcripts, roster: Roster) -> None:
        self._profile = profile
        self._transcripts = transcripts
        self._roster = roster
        self.rows = SessionRows(profile, roster)

    def page(self, _caller: Caller, params: Params) -> Params:
        """chat.history: the newest messages, oldest of them first."""
        if "cursor" in params:
            # Cursors are made by the gateway's store; one that is not understood is answered so by the real one.
            return {"kind": "reset"}
        key = canonical_key(params["sessionKey"])
        session = self._transcripts.get(key)
        page: Params = {"sessionKey": params["sessionKey"]}
        if session is not None:
            page["sessionId"] = session.session_id
        page |= self._rows(session, params)
        if self._profile.pages == "always":
            page |= self._inputs(session, params)
        if self._profile.session_info:
            page["sessionInfo"] = self.rows.row(key, session) | self._roster.activity(key)
        else:
            page["thinkingLevel"] = "off"
        run = self._roster.in_flight(key)
        if run is not None and self._profile.in_flight_run:
            page["inFlightRun"] = {"runId": run.id, "text": run.text}
        return page

    def message(self, _caller: Caller, params: Params) -> Params:
        """chat.message.get: one row, whole."""
        session = self._transcripts.get(canonical_key(params["sessionKey"]))
        for place, row in enumerate(session.rows if session is not None else (), 1):
            if row.id == params["messageId"]:
                return {"ok": True, "message": shown(row, place, self._profile)}
        return {"ok": False, "unavailableReason": "not_found"}

    def sessions(self, _caller: Caller, params: Params) -> Params:
        """sessions.list, newest first."""
        sessions = sorted(self._transcripts.sessions.values(), key=lambda one: -one.updated_at)
        limit = int(params.get("limit", 100))
        if "label" in params and self._profile.more_methods:
            sessions = [one for one in sessions if one.settings.get("label") == params["label"]]
        start = int(params.get("offset", 0))
        end = start + limit
        listed = [self._listed(one, params) for one in sessions[start:end]]
        result: Params = {"ts": now_ms(), "path": PLACE, "count": len(listed)}
        if self._profile.list_totals:
            more = len(sessions) > end
            result |= {"totalCount": len(sessions), "limitApplied": limit, "nextOffset": end if more else None}
            result["hasMore"] = more
            listed = [info | self._roster.activity(info["key"]) for info in listed]
        defaults = DEFAULTS if self._profile.more_methods else {"model": "embedded-1", "contextTokens": CONTEXT}
        return {**result, "defaults": defaults, "sessions": listed}

    # Inside.

    def _listed(self, session: Transcript, params: Params) -> Params:
        row = self.rows.row(session.key, session)
        if not self._profile.more_methods:
            return row
        title, last = params.get("includeDerivedTitles", False), params.get("includeLastMessage", False)
        return self.rows.titled(row, session, title=title, last=last)

    def _rows(self, session: Transcript | None, params: Params) -> Params:
        rows = session.written(self._profile) if session is not None else []
        offset = int(params.get("offset", 0))
        limit = int(params.get("limit", DEFAULT_LIMIT))
        end = max(len(rows) - offset, 0)
        start = max(end - limit, 0)
        chars = int(params.get("maxChars", self._profile.history_chars))
        shown_rows = [shown(row, start + at + 1, self._profile) for at, row in enumerate(rows[start:end])]
        page: Params = {"messages": [cut(row, chars) for row in shown_rows]}
        pages = self._profile.pages
        if pages == "always" or (pages == "asked" and "offset" in params):
            page |= {"hasMore": start > 0, "totalMessages": len(rows)}
            if "offset" in params:
                page["offset"] = offset
            if start > 0:
                page["nextOffset"] = offset + end - start
        return page

    def _inputs(self, session: Transcript | None, params: Params) -> Params:
        """The messages that wait, and what became of those that are asked for."""
        inputs = session.inputs if session is not None else []
        items = [
            {
                "id": one.id,
                "acceptedAt": one.at,
                "state": one.state,
                "message": {"role": "user", "content": one.text, "__openclaw": {"id": f"pending:{one.id}"}},
                "runId": one.run_id,
            }
            for one in inputs
        ]
        page: Params = {"pendingInputs": {"items": items, "total": len(items)}}
        if "inputRunIds" in self._profile.history_keys:
            asked = params.get("inputRunIds", [])
            taken = session.receipts if session is not None else {}
            waiting = {one.run_id for one in inputs}
            consumed = [{"runId": one, "consumedByEventId": taken[one]} for one in asked if one in taken]
            receipts = [{"runId": one, "state": "pending"} for one in asked if one in waiting]
            page["inputReceipts"] = [{**one, "state": "consumed"} for one in consumed] + receipts
            page["inputConsumptions"] = consumed
        return page
