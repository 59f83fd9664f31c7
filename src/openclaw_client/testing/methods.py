"""The methods that the embedded gateway serves: scopes, parameters, and who performs them.

Knows the order of the checks (scope, method, parameters) and the answers that do not concern chat.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Protocol

from openclaw_client.protocol.server import RequestReceived
from openclaw_client.testing.answer_schema import ANSWER_SCOPES
from openclaw_client.testing.approval_methods import ApprovalMethods
from openclaw_client.testing.callers import Caller, MethodError, Owner, Params
from openclaw_client.testing.chat import Chat
from openclaw_client.testing.history import History
from openclaw_client.testing.memory import Memory
from openclaw_client.testing.method_schema import method_rules
from openclaw_client.testing.pairing import allows
from openclaw_client.testing.questions import QuestionMethods
from openclaw_client.testing.runs import Runs
from openclaw_client.testing.schema import complaint
from openclaw_client.testing.traits import Profile
from openclaw_client.wire.sessions import canonical_key

_SCOPES: Final = {
    "chat.send": "operator.write",
    "chat.abort": "operator.write",
    "agent.wait": "operator.write",
    "chat.history": "operator.read",
    "chat.message.get": "operator.read",
    "sessions.list": "operator.read",
    "sessions.subscribe": "operator.read",
    "sessions.unsubscribe": "operator.read",
    "sessions.messages.subscribe": "operator.read",
    "sessions.messages.unsubscribe": "operator.read",
    "status": "operator.read",
    "system-presence": "operator.read",
    "last-heartbeat": "operator.read",
    "agents.list": "operator.read",
    "models.list": "operator.read",
    "device.pair.list": "operator.pairing",
    "device.pair.approve": "operator.pairing",
    "device.pair.reject": "operator.pairing",
    "device.pair.remove": "operator.pairing",
    "device.token.rotate": "operator.pairing",
    "device.token.revoke": "operator.pairing",
    **ANSWER_SCOPES,
}
"""What is not here needs operator.admin: chat.inject, sessions.reset, and methods that do not exist."""

Handler = Callable[[Caller, Params], Any | Awaitable[Any]]


class Switchboard(Protocol):
    """What the methods do with the gateway's connections."""

    def now_ms(self) -> int: ...
    def broadcast(self, event: str, payload: Mapping[str, Any], session_key: str | None = None) -> None: ...
    def to_starter(self, owner: Owner, event: str, payload: Mapping[str, Any]) -> None: ...
    def to_watchers(self, session_key: str, event: str, payload: Mapping[str, Any]) -> None: ...
    def to_session_lists(self, event: str, payload: Mapping[str, Any]) -> None: ...
    def subscribe_messages(self, owner: Owner, key: str, *, on: bool) -> None: ...
    def subscribe_sessions(self, owner: Owner, *, on: bool) -> None: ...
    def clients(self) -> list[dict[str, Any]]: ...
    def announce_verdict(self, request_id: str, device_id: str, decision: str) -> None: ...
    def expel(self, device_id: str) -> None: ...


class Methods:
    """Performs requests."""

    def __init__(self, profile: Profile, memory: Memory, runs: Runs, board: Switchboard) -> None:
        self._profile = profile
        self._memory = memory
        self._runs = runs
        self._board = board
        self._rules = method_rules(profile)
        chat = Chat(profile, memory.transcripts, runs, board)
        history = History(profile, memory.transcripts, runs.roster)
        self._handlers: dict[str, Handler] = {
            "chat.send": chat.send,
            "chat.history": history.page,
            "chat.message.get": history.message,
            "chat.abort": chat.abort,
            "chat.inject": chat.inject,
            "agent.wait": chat.wait,
            "sessions.list": history.sessions,
            "sessions.reset": self._reset,
            "sessions.subscribe": self._subscribe,
            "sessions.unsubscribe": self._unsubscribe,
            "sessions.messages.subscribe": self._watch,
            "sessions.messages.unsubscribe": self._unwatch,
            "status": self._status,
            "health": self._health,
            "system-presence": self._presence,
            "last-heartbeat": lambda _caller, _params: None,
            "agents.list": self._agents,
            "models.list": self._models,
            "device.pair.list": self._pair_list,
            "device.pair.approve": self._pair_approve,
            "device.pair.reject": self._pair_reject,
            "device.pair.remove": self._pair_remove,
            **ApprovalMethods(runs.answers.approvals).handlers(),
            **QuestionMethods(runs.answers.questions).handlers(),
            "device.token.rotate": self._rotate,
            "device.token.revoke": self._revoke,
        }
        self._tasks: set[asyncio.Task[None]] = set()

    def perform(self, caller: Caller, request: RequestReceived) -> None:
        """Check and do; the answer is sent from here, at once or when it is known."""
        try:
            self._check_scope(caller, request.method)
            params = self._checked(request)
            result = self._handlers[request.method](caller, params)
        except MethodError as refusal:
            caller.respond(request.id, refusal.payload, refusal.error)
            return
        if isinstance(result, Awaitable):
            task = asyncio.ensure_future(self._later(caller, request.id, result))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            caller.respond(request.id, result)

    async def _later(self, caller: Caller, ident: str, result: Awaitable[Any]) -> None:
        caller.respond(ident, await result)

    async def stop(self) -> None:
        """Leave the requests that wait for something unanswered."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _check_scope(self, caller: Caller, method: str) -> None:
        needed: str | None = "operator.admin"
        if method == "health":
            needed = self._profile.health_scope
        elif method in self._rules:
            needed = _SCOPES.get(method, needed)
        if needed is None or allows(caller.scopes, needed):
            return
        message = f"missing scope: {needed}"
        if not self._profile.forbidden:
            raise MethodError(message)
        details = {"code": "MISSING_SCOPE", "missingScope": needed, "requiredScopes": [needed]}
        raise MethodError(message, code="FORBIDDEN", details=details)

    def _checked(self, request: RequestReceived) -> Params:
        method, params = request.method, request.params
        if method not in self._rules:
            raise MethodError(f"unknown method: {method}")
        params = {} if params is None else params
        if self._profile.mutation_target and method == "chat.send":
            key = params.get("sessionKey") if isinstance(params, dict) else None
            if not isinstance(key, str) or not key:
                details = {"code": "SESSION_MUTATION_TARGET_REQUIRED", "method": method}
                raise MethodError("session mutation target is unavailable", details=details)
        rule = self._rules[method]
        wrong = complaint(rule, params, verbose=self._profile.verbose_schema) if rule is not None else ""
        if wrong:
            raise MethodError(f"invalid {method} params: {wrong}")
        return params if isinstance(params, dict) else {}

    # Sessions.

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
        entry |= {"systemSent": False, "abortedLastRun": False, "model": "embedded-1", "modelProvider": "embedded"}
        return {"ok": True, "key": session.key, "entry": entry}

    # The gateway itself.

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

    # Devices.

    def _pair_list(self, _caller: Caller, _params: Params) -> Params:
        pairing = self._memory.pairing
        paired = [
            {
                "deviceId": device.id,
                "publicKey": device.public_key,
                "platform": device.platform,
                "clientId": device.client_id,
                "clientMode": device.client_mode,
                "role": device.role,
                "roles": [device.role],
                "scopes": list(device.scopes),
                "createdAtMs": device.approved_at,
                "approvedAtMs": device.approved_at,
                "tokens": []
                if device.token is None
                else [{"role": device.role, "scopes": device.token.scopes, "createdAtMs": device.token.created_at}],
            }
            for device in pairing.devices.values()
        ]
        return {"pending": [request.fields() for request in pairing.pending.values()], "paired": paired}

    def _pair_approve(self, _caller: Caller, params: Params) -> Params:
        device = self._memory.pairing.approve(params["requestId"])
        if device is None:
            raise MethodError("unknown requestId")
        self._board.announce_verdict(params["requestId"], device.id, "approved")
        fields = {"deviceId": device.id, "role": device.role, "scopes": list(device.scopes)}
        return {"requestId": params["requestId"], "device": {**fields, "approvedAtMs": device.approved_at}}

    def _pair_reject(self, _caller: Caller, params: Params) -> Params:
        request = self._memory.pairing.reject(params["requestId"])
        if request is None:
            raise MethodError("unknown requestId")
        self._board.announce_verdict(request.id, request.device_id, "rejected")
        return {"requestId": request.id, "deviceId": request.device_id}

    def _pair_remove(self, caller: Caller, params: Params) -> Params:
        self._check_owner(caller, params, "device pairing removal denied")
        if not self._memory.pairing.remove(params["deviceId"]):
            raise MethodError("unknown deviceId")
        self._expel_soon(params["deviceId"])
        return {"deviceId": params["deviceId"]}

    def _rotate(self, caller: Caller, params: Params) -> Params:
        self._check_owner(caller, params, "device token rotation denied")
        device_id, role = params["deviceId"], params["role"]
        token = self._memory.pairing.rotate(device_id, role)
        if token is None:
            denied = "device token rotation denied" if self._profile.detail_codes else "unknown deviceId/role"
            raise MethodError(denied)
        result: Params = {"deviceId": device_id, "role": role}
        if not self._profile.rotation_hides_token:
            result["token"] = token.value
        result |= {"scopes": list(token.scopes), "rotatedAtMs": token.created_at}
        if self._profile.rotation_hides_token:
            result["tokenDelivery"] = "withheld-cross-device"
        if self._profile.rotation_closes:
            self._expel_soon(device_id)
        return result

    def _revoke(self, caller: Caller, params: Params) -> Params:
        self._check_owner(caller, params, "device token revocation denied")
        device_id, role = params["deviceId"], params["role"]
        if not self._memory.pairing.revoke(device_id, role):
            denied = "device token revocation denied" if self._profile.detail_codes else "unknown deviceId/role"
            raise MethodError(denied)
        if self._profile.rotation_closes:
            self._expel_soon(device_id)
        return {"deviceId": device_id, "role": role, "revokedAtMs": self._board.now_ms()}

    def _check_owner(self, caller: Caller, params: Params, denied: str) -> None:
        theirs = caller.device_id != params["deviceId"]
        if theirs and self._profile.admin_for_others and not allows(caller.scopes, "operator.admin"):
            raise MethodError(denied)

    def _expel_soon(self, device_id: str) -> None:
        # After the response: a device that rotates its own token gets the answer, then the close.
        asyncio.get_running_loop().call_soon(self._board.expel, device_id)
