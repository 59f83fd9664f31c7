"""The gateway about itself: health, status, who is there, its agents and models."""

from __future__ import annotations

from openclaw_client.testing.callers import Caller, Params, Switchboard
from openclaw_client.testing.memory import Memory
from openclaw_client.testing.registry import READ, Family, Method
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
        }

    def _health(self, _caller: Caller, _params: Params) -> Params:
        sessions = {"count": len(self._memory.transcripts.sessions), "recent": []}
        return {
            "ok": True,
            "ts": self._board.now_ms(),
            "durationMs": 0,
            "channels": {},
            "channelOrder": [],
            "channelLabels": {},
            "heartbeatSeconds": 0,
            "defaultAgentId": "main",
            "agents": [{"agentId": "main", "isDefault": True, "sessions": sessions}],
            "sessions": sessions,
        }

    def _status(self, _caller: Caller, _params: Params) -> Params:
        status: Params = {} if self._profile.reported_version == "dev" else {"runtimeVersion": self._profile.release}
        count = len(self._memory.transcripts.sessions)
        heartbeat = {"defaultAgentId": "main", "agents": [{"agentId": "main", "enabled": False}]}
        sessions = {"count": count, "defaults": {"model": "embedded-1", "contextTokens": 200_000}, "recent": []}
        return {**status, "heartbeat": heartbeat, "channelSummary": [], "queuedSystemEvents": [], "sessions": sessions}

    def _presence(self, _caller: Caller, _params: Params) -> list[Params]:
        return [
            {"host": client["id"], "version": client["version"], "platform": client["platform"], "mode": client["mode"]}
            for client in self._board.clients()
        ]

    def _agents(self, _caller: Caller, _params: Params) -> Params:
        return {"defaultId": "main", "mainKey": "main", "scope": "per-sender", "agents": [{"id": "main"}]}

    def _models(self, _caller: Caller, _params: Params) -> Params:
        model = {"id": "embedded-1", "name": "Embedded", "provider": "embedded", "contextWindow": 200_000}
        return {"models": [{**model, "reasoning": False}]}
