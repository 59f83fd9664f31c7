"""The gateway about itself: health, status, who is there, its agents and models."""

from __future__ import annotations

from openclaw_client.testing.callers import Caller, Params, Switchboard
from openclaw_client.testing.memory import Memory
from openclaw_client.testing.registry import READ, WRITE, Family, Method
from openclaw_client.testing.session_rows import CONTEXT, DEFAULTS, MODEL
from openclaw_client.testing.shapes import HEALTH, HEARTBEAT, PLACE, STATUS
from openclaw_client.testing.traits import Profile


class System:
    """The methods that concern no session."""

    def __init__(self, profile: Profile, memory: Memory, board: Switchboard) -> None:
        self._profile = profile
        self._memory = memory
        self._board = board

    def methods(self) -> Family:
        return {
            "health": Method(self._health, self._profile.health_scope),
            "status": Method(self._status, READ),
            "system-presence": Method(self._presence, READ),
            "last-heartbeat": Method(lambda _caller, _params: None, READ),
            "agents.list": Method(self._agents, READ),
            "models.list": Method(self._models, READ),
            "wake": Method(lambda _caller, _params: {"ok": True}, WRITE),
        }

    def _health(self, _caller: Caller, _params: Params) -> Params:
        return self.health()

    def health(self) -> Params:
        """How the gateway is, as it answers and tells it."""
        whole = self._profile.more_methods
        sessions = {"path": PLACE, **self._sessions()} if whole else self._sessions()
        agent: Params = {"agentId": "main", "isDefault": True, "sessions": sessions}
        if whole:
            agent["heartbeat"] = HEARTBEAT
        health: Params = {
            "ok": True,
            "ts": self._board.now_ms(),
            "durationMs": 0,
            "channels": {},
            "channelOrder": [],
            "channelLabels": {},
            "heartbeatSeconds": 0,
            "defaultAgentId": "main",
            "agents": [agent],
            "sessions": sessions,
        }
        return health | HEALTH if whole else health

    def _sessions(self) -> Params:
        return {"count": len(self._memory.transcripts.sessions), "recent": []}

    def _status(self, _caller: Caller, _params: Params) -> Params:
        whole = self._profile.more_methods
        status: Params = {} if self._profile.reported_version == "dev" else {"runtimeVersion": self._profile.release}
        agent: Params = {"agentId": "main", "enabled": False}
        sessions: Params = {**self._sessions(), "defaults": {"model": "embedded-1", "contextTokens": CONTEXT}}
        if whole:
            agent |= {**HEARTBEAT, "waitingForRoute": False}
            sessions |= {"paths": [PLACE], "byAgent": [{"agentId": "main", "path": PLACE, **self._sessions()}]}
        status |= {"heartbeat": {"defaultAgentId": "main", "agents": [agent]}}
        status |= {"channelSummary": [], "queuedSystemEvents": [], "sessions": sessions}
        return status | STATUS if whole else status

    def _presence(self, _caller: Caller, _params: Params) -> list[Params]:
        return self._board.presence.rows()

    def _agents(self, _caller: Caller, _params: Params) -> Params:
        agents: Params = {"defaultId": "main", "mainKey": "main", "scope": "per-sender", "agents": [{"id": "main"}]}
        if not self._profile.more_methods:
            return agents
        main = {"id": "main", "workspace": PLACE, "workspaceGit": False, "model": {"primary": "embedded/embedded-1"}}
        main |= {
            name: DEFAULTS[name] for name in ("agentRuntime", "thinkingLevels", "thinkingOptions", "thinkingDefault")
        }
        owned = {"ownership": "sole", "selectionRequired": False}
        return agents | owned | {"agents": [main | {"defaultPermissionMode": "full"}]}

    def _models(self, _caller: Caller, _params: Params) -> Params:
        if self._profile.more_methods:
            return {"models": [MODEL]}
        model = {"id": "embedded-1", "name": "Embedded", "provider": "embedded", "contextWindow": CONTEXT}
        return {"models": [{**model, "reasoning": False}]}
