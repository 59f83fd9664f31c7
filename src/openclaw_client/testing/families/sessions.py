"""sessions.*: the list, what is done to one, and who hears of it."""

from __future__ import annotations

from openclaw_client.testing.callers import Caller, Params, Switchboard
from openclaw_client.testing.history import History
from openclaw_client.testing.registry import READ, Family, Method
from openclaw_client.testing.runs import Runs
from openclaw_client.testing.session_rows import MODEL_NAMES
from openclaw_client.testing.traits import Profile
from openclaw_client.wire.sessions import canonical_key


class Sessions:
    """The methods about whole sessions."""

    def __init__(self, profile: Profile, history: History, runs: Runs, board: Switchboard) -> None:
        self._profile = profile
        self._history = history
        self._runs = runs
        self._board = board

    def methods(self) -> Family:
        return {
            "sessions.list": Method(self._history.sessions, READ),
            "sessions.reset": Method(self._reset),
            "sessions.subscribe": Method(self._subscribe, READ),
            "sessions.unsubscribe": Method(self._unsubscribe, READ),
            "sessions.messages.subscribe": Method(self._watch, READ),
            "sessions.messages.unsubscribe": Method(self._unwatch, READ),
        }

    def _subscribe(self, caller: Caller, _params: Params) -> Params:
        self._board.subscribe_sessions(caller.owner, on=True)
        return {"subscribed": True}

    def _unsubscribe(self, caller: Caller, _params: Params) -> Params:
        self._board.subscribe_sessions(caller.owner, on=False)
        return {"subscribed": False}

    def _watch(self, caller: Caller, params: Params) -> Params:
        key = canonical_key(params["key"])
        self._board.subscribe_messages(caller.owner, key, on=True)
        return {"subscribed": True, "key": key}

    def _unwatch(self, caller: Caller, params: Params) -> Params:
        key = canonical_key(params["key"])
        self._board.subscribe_messages(caller.owner, key, on=False)
        return {"subscribed": False, "key": key}

    def _reset(self, _caller: Caller, params: Params) -> Params:
        session = self._runs.reset(canonical_key(params["key"]))
        entry: Params = {"sessionId": session.session_id, "updatedAt": session.updated_at}
        if self._profile.reset_keeps_id:
            entry |= {"lifecycleRevision": session.generation, "sessionStartedAt": session.updated_at}
        entry |= {"systemSent": False, "abortedLastRun": False, **MODEL_NAMES}
        return {"ok": True, "key": session.key, "entry": entry}
