"""One session as the lists and answers of a release show it.

Knows the fields of a row. Refuses to know who asks.
"""

from __future__ import annotations

from typing import Any, Final

from openclaw_client.testing.memory import now_ms
from openclaw_client.testing.roster import Roster
from openclaw_client.testing.run import Run
from openclaw_client.testing.run_events import agent_of
from openclaw_client.testing.traits import Profile
from openclaw_client.testing.transcripts import Row, Transcript

MAIN_KEY: Final = "agent:main:main"
CONTEXT: Final = 200_000
"""Tokens; what the only model takes."""
_THINKING: Final[dict[str, Any]] = {"thinkingLevels": [{"id": "off", "label": "off"}], "thinkingDefault": "off"}
MODEL: Final[dict[str, Any]] = {
    "id": "embedded-1",
    "name": "Embedded",
    "provider": "embedded",
    "contextWindow": CONTEXT,
    "reasoning": False,
    "tags": ["default"],
    **_THINKING,
    "available": True,
}
MODEL_NAMES: Final = {"modelProvider": "embedded", "model": "embedded-1"}
DEFAULTS: Final[dict[str, Any]] = {
    **MODEL_NAMES,
    "contextTokens": CONTEXT,
    "agentRuntime": {"id": "auto", "cloudPlacementSupported": False, "source": "implicit"},
    **_THINKING,
    "thinkingOptions": ["off"],
    "modelSelectionTarget": "session",
}
"""Of every session whose own settings say nothing else."""
_ENDS: Final = {"ok": "done", "aborted": "killed", "error": "failed"}


class SessionRows:
    """The rows of one gateway."""

    def __init__(self, profile: Profile, roster: Roster) -> None:
        self._profile = profile
        self._roster = roster

    def row(self, key: str, session: Transcript | None) -> dict[str, Any]:
        """The row of a key, also where there is no session yet."""
        info: dict[str, Any] = {"key": key, "kind": "direct", "updatedAt": session.updated_at if session else None}
        if session is not None:
            info |= {"chatType": "direct", "sessionId": session.session_id, "systemSent": True}
        info |= {**MODEL_NAMES, "contextTokens": CONTEXT}
        if self._profile.more_methods:
            return info | self._more(key, session)
        return info | self._runs(key, named=False) if session is not None else info

    def titled(self, row: dict[str, Any], session: Transcript, *, title: bool, last: bool) -> dict[str, Any]:
        """The row with what a client may ask for beside it."""
        said = _said(session.rows)
        if title and said:
            row = {**row, "derivedTitle": session.settings.get("label") or said[0].text}
        return {**row, "lastMessagePreview": said[-1].text} if last and said else row

    def _more(self, key: str, session: Transcript | None) -> dict[str, Any]:
        place = key.split(":", 2)[2] if key.startswith("agent:") else key
        kind = next((kind for kind in ("main", "explicit", "dashboard") if place.split(":")[0] == kind), "custom")
        more: dict[str, Any] = {"permissionModePending": False, "classification": kind, "agentId": agent_of(key)}
        more |= {"isMain": key == MAIN_KEY, "isBackground": False, "archived": False, "pinned": False, "unread": False}
        more |= {**_THINKING, "thinkingOptions": ["off"], "totalTokensFresh": False, "snapshotAt": now_ms()}
        more |= {"effectiveFastMode": False, "effectiveFastModeSource": "default", "effectiveResponseUsage": "off"}
        more |= {"effectiveQueueMode": self._profile.busy, "modelOverrideSource": None, "runtimeSelectionLocked": False}
        if session is None:
            return more
        more |= {"visibility": "shared", "createdVia": session.created_via, "createdAt": session.created_at}
        more |= {"effectiveQueueMode": session.queue_mode or self._profile.busy}
        return more | shown_settings(session.settings) | self._runs(key)

    def _runs(self, key: str, *, named: bool = True) -> dict[str, Any]:
        """How the last run stands. named: whether it is told which one that was."""
        running = next((run for run in self._roster.ahead(key) if run.state == "running"), None)
        if running is not None:
            return {"abortedLastRun": False, "status": "running", "startedAt": running.started_at}
        last = self._roster.last(key)
        ended = {"abortedLastRun": False} if last is None else _ended(last)
        return ended if named else {name: value for name, value in ended.items() if name != "lastRunId"}


def _ended(run: Run) -> dict[str, Any]:
    times = {"startedAt": run.started_at, "endedAt": run.ended_at, "runtimeMs": run.ended_at - run.started_at}
    state = {"abortedLastRun": run.state == "aborted", "status": _ENDS.get(run.state, "done")}
    return {**state, **times, "lastRunId": run.id}


def shown_settings(settings: dict[str, Any]) -> dict[str, Any]:
    """What sessions.patch set, as a row shows it."""
    shown = {name: value for name, value in settings.items() if name not in ("model", "provider")}
    if "pinnedAt" in settings:
        shown["pinned"] = True
    if "markedUnreadAt" in settings:
        shown["unread"] = True
    if "label" in settings:
        shown["displayName"] = settings["label"]
    if "fastMode" in settings:
        shown |= {"effectiveFastMode": settings["fastMode"], "effectiveFastModeSource": "session"}
    if "responseUsage" in settings:
        shown["effectiveResponseUsage"] = settings["responseUsage"]
    if "model" in settings:
        shown |= {"modelOverrideSource": "user", "model": settings["model"], "modelProvider": settings["provider"]}
    return shown


def previewed(rows: list[Row], limit: int, chars: int) -> list[dict[str, str]]:
    """The last rows with words, as sessions.preview shows them."""
    return [{"role": row.role, "text": row.text[:chars]} for row in _said(rows)[-limit:]]


def _said(rows: list[Row]) -> list[Row]:
    """The rows with words of somebody."""
    return [row for row in rows if row.text and row.role in ("user", "assistant")]
