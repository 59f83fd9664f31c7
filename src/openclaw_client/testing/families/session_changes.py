"""sessions.create, patch, delete, describe, resolve and preview, as 2026.9.6 answers them.

Knows what is written down of a session beside its rows. Nobody's answer depends on a setting: there is one model.
"""

from __future__ import annotations

import uuid
from typing import Any, Final

from openclaw_client.testing.callers import Caller, MethodError, Params, Switchboard
from openclaw_client.testing.memory import now_ms
from openclaw_client.testing.messages import Message
from openclaw_client.testing.registry import ADMIN, READ, WRITE, Family, Method
from openclaw_client.testing.run_events import agent_of
from openclaw_client.testing.runs import Runs
from openclaw_client.testing.session_rows import MAIN_KEY, MODEL_NAMES, SessionRows, previewed
from openclaw_client.testing.shapes import PLACE
from openclaw_client.testing.transcripts import Transcript, Transcripts
from openclaw_client.wire.sessions import canonical_key

LEVELS: Final = ("verboseLevel", "traceLevel", "reasoningLevel", "thinkingLevel", "elevatedLevel")
PLAIN: Final = ("category", "icon", "color", "responseUsage", "sendPolicy", "fastMode", *LEVELS)
"""Settings that are kept as they come, and taken back with null."""
STAMPED: Final = {"pinned": "pinnedAt", "unread": "markedUnreadAt"}
PREVIEWED: Final = 12
"""Rows of sessions.preview where the client names no limit."""
PREVIEW_CHARS: Final = 240
"""Characters of one of them."""
MAX_LABEL: Final = 512
"""Characters of a session's label: the gateways' own number."""
_LABEL_RULE: Final = "at /label: must be null; at /label: must match a schema in anyOf"
_WAYS: Final = ("key", "sessionId", "label")
PATCHED_WITH_WRITE: Final = frozenset(
    [
        *("key", "agentId", "expectedSessionId", "expectedLifecycleRevision"),
        *("label", "autoLabel", "model", "agentRuntime", "pinned", "unread", "archived", "category", "icon", "color"),
        *("fastMode", "thinkingLevel", "boardFace"),
    ]
)
"""Parameters of sessions.patch for which operator.write is enough."""


def _create_scope(params: Params) -> str:
    return ADMIN if {"permissionMode", "execNode"} & params.keys() else WRITE


def _patch_scope(params: Params) -> str:
    return WRITE if params.keys() <= PATCHED_WITH_WRITE else ADMIN


def _delete_scope(params: Params) -> str:
    return WRITE if params.get("archivedOnly") is True else ADMIN


class SessionChanges:
    """What is done to sessions as a whole."""

    def __init__(self, transcripts: Transcripts, runs: Runs, rows: SessionRows, board: Switchboard) -> None:
        self._transcripts = transcripts
        self._runs = runs
        self._rows = rows
        self._board = board

    def methods(self) -> Family:
        return {
            "sessions.create": Method(self._create, WRITE, _create_scope),
            "sessions.patch": Method(self._patch, WRITE, _patch_scope),
            "sessions.delete": Method(self._delete, ADMIN, _delete_scope),
            "sessions.describe": Method(self._describe, READ),
            "sessions.resolve": Method(self._resolve, READ),
            "sessions.preview": Method(self._preview, READ),
        }

    def _create(self, caller: Caller, params: Params) -> Params:
        key = canonical_key(params.get("key") or f"agent:main:dashboard:{uuid.uuid4()}")
        for agent in (params.get("agentId", "main"), agent_of(key)):
            if agent != "main":
                raise MethodError(f'Unknown agent id "{agent}"')
        parent = params.get("parentSessionKey")
        if parent is not None and self._transcripts.get(canonical_key(parent)) is None:
            raise MethodError(f"unknown parent session: {parent}")
        settings = self._checked(key, {name: params[name] for name in ("label", "model") if name in params})
        session = self._transcripts.open(key)
        session.updated_at = now_ms()
        _apply(session, settings, session.updated_at)
        answer: Params = {"ok": True, "key": key, "sessionId": session.session_id, "entry": _entry(session)}
        text = params.get("message") or params.get("task")
        self._tell(session, "create" if text is None else "send")
        if text is None:
            return {**answer, "runStarted": False, "resolved": MODEL_NAMES}
        sent = self._runs.send(Message(key, key, text, [], str(uuid.uuid4())), caller.owner)
        return {**answer, "runStarted": True, **(sent.payload or {}), "resolved": MODEL_NAMES}

    def _patch(self, _caller: Caller, params: Params) -> Params:
        key = canonical_key(params["key"])
        self._check_expected(params, "patch")
        if "archived" in params and "expectedSessionId" not in params:
            raise MethodError(f"expectedSessionId required for session lifecycle patch: {key}")
        settings = self._checked(key, params)
        session = self._transcripts.open(key)
        session.updated_at = now_ms()
        _apply(session, settings, session.updated_at)
        self._tell(session, "patch")
        resolved: Params = {**MODEL_NAMES, "agentRuntime": {"id": "openclaw", "source": "implicit"}}
        resolved |= {"runtimeSelectionLocked": False}
        return {"ok": True, "path": PLACE, "key": key, "entry": _entry(session), "resolved": resolved}

    def _delete(self, _caller: Caller, params: Params) -> Params:
        key = canonical_key(params["key"])
        if key == MAIN_KEY:
            raise MethodError(f"Cannot delete the main session ({key}).")
        self._check_expected(params, "deletion")
        session = self._transcripts.get(key)
        if session is not None and params.get("archivedOnly") and not session.settings.get("archived"):
            raise MethodError(f"Session {params['key']} is not archived.")
        answer: Params = {"ok": True, "key": key, "deleted": session is not None}
        if session is None:
            return {**answer, "archived": []}
        self._runs.delete(session)
        gone: Params = {"reason": "delete", "ts": now_ms()}
        names = {"sessionKey": key, "sessionId": session.session_id, "agentId": agent_of(key)}
        self._board.to_session_lists("sessions.changed", {**names, **gone})
        self._board.to_session_lists("sessions.changed", gone)
        kept = params.get("deleteTranscript", True)
        return {**answer, "archived": [f"{PLACE}/{session.session_id}.jsonl.deleted"] if kept else []}

    def _describe(self, _caller: Caller, params: Params) -> Params:
        session = self._transcripts.get(canonical_key(params["key"]))
        if session is None:
            return {"session": None}
        row = self._rows.row(session.key, session)
        title, last = params.get("includeDerivedTitles", False), params.get("includeLastMessage", False)
        return {"session": self._rows.titled(row, session, title=title, last=last)}

    def _resolve(self, _caller: Caller, params: Params) -> Params:
        ways = [way for way in _WAYS if params.get(way)]
        if not ways:
            raise MethodError("Either key, sessionId, label, shortId, or reference is required")
        if len(ways) > 1:
            raise MethodError("Provide either key, sessionId, label, shortId, or reference (not multiple)")
        wanted = params[ways[0]]
        for session in self._transcripts.sessions.values():
            is_it: dict[str, bool] = {
                "key": session.key == canonical_key(wanted),
                "sessionId": session.session_id == wanted,
                "label": session.settings.get("label") == wanted,
            }
            if is_it[ways[0]]:
                return {"ok": True, "key": session.key, "agentId": agent_of(session.key)}
        if params.get("allowMissing"):
            return {"ok": False}
        by = " with label" if ways[0] == "label" else ""
        raise MethodError(f"No session found{by}: {wanted}")

    def _preview(self, _caller: Caller, params: Params) -> Params:
        limit, chars = params.get("limit", PREVIEWED), params.get("maxChars", PREVIEW_CHARS)
        previews = []
        for key in params["keys"]:
            session = self._transcripts.get(canonical_key(key))
            items = previewed(session.rows, limit, chars) if session is not None else []
            state = "missing" if session is None else "ok" if items else "empty"
            previews.append({"key": key, "status": state, "items": items})
        return {"ts": now_ms(), "previews": previews}

    # Inside.

    def _check_expected(self, params: Params, what: str) -> None:
        session = self._transcripts.get(canonical_key(params["key"]))
        given = {"expectedSessionId": "session_id", "expectedLifecycleRevision": "generation"}
        for name, attribute in given.items():
            if name in params and (session is None or getattr(session, attribute) != params[name]):
                details = {"reason": "session-changed"}
                raise MethodError(f"Session {params['key']} changed before {what}. Retry.", details=details)

    def _checked(self, key: str, params: Params) -> Params:
        """The settings among the parameters, where all of them can be."""
        label, model = params.get("label"), params.get("model")
        if label is not None and not (isinstance(label, str) and 0 < len(label) <= MAX_LABEL):
            raise MethodError(f"invalid sessions.patch params: {_LABEL_RULE}")
        others = (one for one in self._transcripts.sessions.values() if one.key != key)
        if label is not None and any(one.settings.get("label") == label for one in others):
            raise MethodError(f"label already in use: {label}")
        if model is not None and "/" in model and model.split("/")[0] != "embedded":
            raise MethodError(f'Unknown provider "{model.split("/")[0]}". Use /models to list providers.')
        level = params.get("thinkingLevel")
        if level not in (None, "off", "minimal", "low", "medium", "high"):
            raise MethodError("invalid thinkingLevel (use off|minimal|low|medium|high)")
        if level not in (None, "off"):
            raise MethodError(f'thinkingLevel "{level}" is not supported for embedded/embedded-1 (use off)')
        kept = (*PLAIN, *STAMPED, "label", "model", "archived")
        return {name: value for name, value in params.items() if name in kept}

    def _tell(self, session: Transcript, reason: str) -> None:
        row = self._rows.row(session.key, session)
        payload: Params = {"sessionKey": session.key, "agentId": agent_of(session.key), "reason": reason}
        payload |= {"ts": now_ms(), "session": row | self._runs.roster.activity(session.key)}
        payload |= {"updatedAt": session.updated_at, "sessionId": session.session_id}
        payload |= {"label": session.settings.get("label"), "createdVia": session.created_via}
        self._board.to_session_lists("sessions.changed", payload | self._runs.roster.activity(session.key))


def _apply(session: Transcript, settings: Params, now: int) -> None:
    kept: dict[str, Any] = session.settings
    for name, value in settings.items():
        if name in STAMPED:
            kept.pop(STAMPED[name], None)
            if value:
                kept[STAMPED[name]] = now
        elif value is None or (name == "archived" and not value):
            kept.pop(name, None)
        elif name == "model":
            kept |= {"provider": "embedded", "model": value.rpartition("/")[2]}
        else:
            kept[name] = value


def _entry(session: Transcript) -> Params:
    """What is written down of a session."""
    shown = {name: value for name, value in session.settings.items() if name not in ("model", "provider")}
    override = session.settings.get("model")
    if override is not None:
        shown |= {"providerOverride": "embedded", "modelOverride": override}
    times = {"updatedAt": session.updated_at, "createdAt": session.created_at, "createdVia": session.created_via}
    source = {"modelOverrideSource": "default" if override is None else "user"}
    return {"sessionId": session.session_id, "lifecycleRevision": session.generation, **times, **source, **shown}
