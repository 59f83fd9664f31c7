"""usage.* and sessions.usage*: what runs took, as 2026.9.6 tells it once it has counted.

Knows days and sessions that a client means. Real gateways count behind the first question, and say "refreshing".
"""

from __future__ import annotations

import datetime
from typing import Final

from openclaw_client.testing import usage
from openclaw_client.testing.callers import Caller, MethodError, Params
from openclaw_client.testing.memory import now_ms
from openclaw_client.testing.registry import READ, Family, Method
from openclaw_client.testing.run_events import agent_of
from openclaw_client.testing.session_rows import MODEL_NAMES
from openclaw_client.testing.transcripts import Row, Transcript, Transcripts
from openclaw_client.wire.sessions import canonical_key

DAYS: Final = 30
"""Days where the client names none: the gateways' own number."""
SESSIONS: Final = 50
"""Sessions of one answer where the client names no number: the gateways' own."""
MAX_DAYS: Final = 3_660
"""Days of one answer: ten years."""
CREATOR: Final = '["unknown"]'
"""What the gateways call somebody of whom they know no name."""
_CACHE: Final = {"status": "fresh", "cachedFiles": 0, "pendingFiles": 0, "staleFiles": 0}
_RANGES: Final = {"7d": 7, "30d": 30, "90d": 90, "1y": 365, "all": MAX_DAYS}


class UsageReports:
    """The methods about what was used."""

    def __init__(self, transcripts: Transcripts) -> None:
        self._transcripts = transcripts

    def methods(self) -> Family:
        return {
            "usage.status": Method(lambda _caller, _params: {"updatedAt": now_ms(), "providers": []}, READ),
            "usage.cost": Method(self._cost, READ),
            "sessions.usage": Method(self._sessions, READ),
            "sessions.usage.timeseries": Method(self._series, READ),
            "sessions.usage.logs": Method(self._logs, READ),
        }

    def _cost(self, _caller: Caller, params: Params) -> Params:
        dates = _days(int(params.get("days", DAYS)))
        rows = [row for session in self._transcripts.sessions.values() for row in session.rows]
        days = usage.by_day(rows)
        daily = [{"date": date, **usage.counted(days.get(date, []))} for date in dates]
        totals = usage.counted(row for date in dates for row in days.get(date, []))
        return {"updatedAt": now_ms(), "days": len(dates), "daily": daily, "totals": totals, "cacheStatus": _CACHE}

    def _sessions(self, _caller: Caller, params: Params) -> Params:
        first, last = _span(params)
        wanted = sorted(self._transcripts.sessions.values(), key=lambda one: -one.updated_at)
        if "key" in params:
            wanted = [one for one in wanted if one.key == canonical_key(params["key"])]
        wanted = wanted[: int(params.get("limit", SESSIONS))]
        within = {one.key: [row for row in one.rows if first <= usage.day_of(row.at) <= last] for one in wanted}
        rows = [row for own in within.values() for row in own]
        answer: Params = {"updatedAt": now_ms(), "startDate": first, "endDate": last}
        answer["sessions"] = [_entry(one, within[one.key]) for one in wanted]
        answer |= {"totals": usage.counted(rows), "aggregates": _aggregates(list(within.values()))}
        owners = [{"key": CREATOR}] if wanted else []
        return {**answer, "creatorOptions": owners, "cacheStatus": _CACHE}

    def _series(self, _caller: Caller, params: Params) -> Params:
        session = self._transcripts.get(canonical_key(_key(params, "timeseries")))
        if session is None:
            raise MethodError(f"No transcript found for session: {params['key']}")
        return {"sessionId": session.session_id, "points": usage.points(session.rows)}

    def _logs(self, _caller: Caller, params: Params) -> Params:
        session = self._transcripts.get(canonical_key(_key(params, "logs")))
        return {"logs": usage.logs(session.rows) if session is not None else []}


def _key(params: Params, what: str) -> str:
    key = params.get("key")
    if not isinstance(key, str) or not key:
        raise MethodError(f"key is required for {what}")
    return key


def _days(count: int) -> list[str]:
    """So many days, the last of them today, the oldest first."""
    today = datetime.datetime.now(datetime.UTC).date()
    count = min(max(count, 1), MAX_DAYS)
    return [(today - datetime.timedelta(days=ago)).isoformat() for ago in range(count - 1, -1, -1)]


def _span(params: Params) -> tuple[str, str]:
    """The first and the last day that are meant."""
    days = _days(_RANGES.get(params.get("range", ""), DAYS))
    try:
        given = [datetime.date.fromisoformat(params[name]) for name in ("startDate", "endDate") if name in params]
    except (TypeError, ValueError) as wrong:
        raise MethodError(f"invalid sessions.usage params: {wrong}") from None
    told = dict(zip((name for name in ("startDate", "endDate") if name in params), given, strict=True))
    first, last = told.get("startDate", days[0]), told.get("endDate", days[-1])
    return str(first), str(last)


def _entry(session: Transcript, rows: list[Row]) -> Params:
    info: Params = {"key": session.key, "sessionId": session.session_id, "scope": "instance"}
    label = session.settings.get("label")
    if label is not None:
        info["label"] = label
    info |= {"updatedAt": session.updated_at, "agentId": agent_of(session.key), "creatorKey": CREATOR}
    info |= {"chatType": "direct", **MODEL_NAMES, "usage": usage.session_usage(session, rows)}
    return {**info, "hasContextWeight": False}


def _aggregates(sessions: list[list[Row]]) -> Params:
    rows = sorted((row for own in sessions for row in own), key=lambda row: row.at)
    used: list[list[Row]] = [own for own in sessions if own]
    lasted: Params = {"longestSessionDurationMs": max(own[-1].at - own[0].at for own in used)} if used else {}
    days = usage.by_day(rows)
    counts = usage.messages(rows)
    totals, models = usage.counted(rows), usage.models(rows)
    costs = [{"date": day, **usage.counted(own)} for day, own in days.items()]
    creator = {"key": CREATOR, "totals": totals, "sessionCount": len(used), "daily": costs}
    tools: Params = {"totalCalls": counts["toolCalls"], "uniqueTools": 0, "tools": []}
    return {
        "sessionCount": len(used),
        **lasted,
        "messages": counts,
        "tools": tools,
        "byModel": models,
        "byProvider": [{name: one[name] for name in ("provider", "count", "totals")} for one in models],
        "byAgent": [{"agentId": "main", "totals": totals}] if used else [],
        "byChannel": [],
        "byCreator": [creator] if used else [],
        "costDaily": costs,
        "dailyLatency": [],
        "modelDaily": [_on_day(day, one) for day, own in days.items() for one in usage.models(own)],
        "daily": [_day(day, own) for day, own in days.items()],
    }


def _day(day: str, rows: list[Row]) -> Params:
    counts = usage.messages(rows)
    told: Params = {"date": day, "tokens": usage.counted(rows)["totalTokens"], "cost": 0, "messages": counts["total"]}
    return told | {"toolCalls": counts["toolCalls"], "errors": counts["errors"]}


def _on_day(day: str, model: Params) -> Params:
    names = {"provider": model["provider"], "model": model["model"]}
    return {"date": day, **names, "tokens": model["totals"]["totalTokens"], "cost": 0, "count": model["count"]}
