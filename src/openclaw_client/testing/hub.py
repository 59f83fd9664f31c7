"""The running gateway: its connections, who hears what, and the verdicts on connect.

Lives as long as the gateway's process would; what survives a restart is `Memory`.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from openclaw_client.protocol.server import RequestReceived
from openclaw_client.testing.asking import Asked
from openclaw_client.testing.auth import Accepted, Doorman, RateLimit, RefusedLogin, Secrets, Visit
from openclaw_client.testing.callers import Caller, Owner
from openclaw_client.testing.connection import ServedConnection
from openclaw_client.testing.downloads import Downloads
from openclaw_client.testing.faults import Faults
from openclaw_client.testing.files import Tickets
from openclaw_client.testing.hello import Life, hello
from openclaw_client.testing.memory import Memory, now_ms
from openclaw_client.testing.methods import Methods
from openclaw_client.testing.nodes import Nodes
from openclaw_client.testing.pairing import allows
from openclaw_client.testing.presence import Presence
from openclaw_client.testing.registry import Method
from openclaw_client.testing.request_starts import BUSY, RequestStarts
from openclaw_client.testing.runs import Runs
from openclaw_client.testing.seen import Seen, SeenConnect, without_secrets
from openclaw_client.testing.state import HEALTH_SECONDS, GatewayState
from openclaw_client.testing.traits import SCOPED_EVENTS, Profile
from openclaw_client.testing.turn import Agent
from openclaw_client.wire import codes
from openclaw_client.wire.frames import ErrorShape
from openclaw_client.wire.sessions import canonical_key

__all__ = ["Hub", "HubSettings", "Memory", "Seen", "SeenConnect", "now_ms"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HubSettings:
    """The parameters of a gateway, checked."""

    profile: Profile
    secrets: Secrets
    agent: Agent
    methods: Mapping[str, Method]
    """Those of the test, by name; may change at any time."""
    auto_approve: bool
    settle_time: float
    approval_seconds: float
    question_seconds: float
    ticket_seconds: float
    throttle: float
    tick_interval: float
    ping_interval: float
    handshake_timeout: float
    max_payload: int
    max_buffered: int


class Hub:
    """One life of a gateway."""

    def __init__(
        self, settings: HubSettings, memory: Memory, faults: Faults, seen: Seen, limit: RateLimit, boot_at: int
    ) -> None:
        self.settings = settings
        self.profile = settings.profile
        self.memory = memory
        self.faults = faults
        self.seen = seen
        self._life = Life(
            boot_id=str(uuid.uuid4()),
            boot_at=boot_at,
            auth_mode=settings.secrets.mode,
            max_payload=settings.max_payload,
            max_buffered=settings.max_buffered,
            tick_interval=settings.tick_interval,
        )
        self.loop = asyncio.get_running_loop()
        self.handshake_timeout = settings.handshake_timeout
        self.max_payload = settings.max_payload
        self.max_buffered = settings.max_buffered
        self.connections: dict[str, ServedConnection] = {}
        self.strangers: set[str] = set()
        self.draining = False
        self.ended = False
        self._readers: dict[str, ServedConnection] = {}
        self._scoped: dict[str, ServedConnection] = {}
        self._watchers: dict[str, set[str]] = {}
        self._lists: set[str] = set()
        self._seq = 0
        self._timers: list[asyncio.TimerHandle] = []
        self._empty: asyncio.Future[None] | None = None
        self._starts = RequestStarts(self.loop)
        self._doorman = Doorman(self.profile, settings.secrets, memory.pairing, limit)
        self.asked = Asked(self.profile, self, settings.approval_seconds, settings.question_seconds)
        self.nodes = Nodes(self.profile, memory.pairing, self)
        self.runs = Runs(
            self.profile,
            self,
            memory.transcripts,
            settings.agent,
            settings.throttle,
            settings.settle_time,
            self.asked,
            self.nodes,
        )
        tickets = Tickets(settings.ticket_seconds)
        self.downloads = Downloads(memory.transcripts, tickets, settings.secrets, self.connections)
        self._methods = Methods(self.profile, memory, self.runs, self, settings.methods, tickets)
        self.state = GatewayState(self.profile, self.broadcast, self._methods.system.health)
        self._every(settings.tick_interval, self._tick)
        self._every(HEALTH_SECONDS, self.state.minute)
        if self.profile.server_pings:
            self._every(settings.ping_interval, self.ping)

    def new_id(self) -> str:
        return str(uuid.uuid4())

    def now_ms(self) -> int:
        return now_ms()

    # Connections.

    def joined(self, connection: ServedConnection) -> None:
        self.connections[connection.id] = connection
        self.strangers.add(connection.id)
        self.seen.opened += 1
        if self.ended:
            # It was in the middle of its upgrade when the others were closed, and nobody else would close it.
            self.loop.call_soon(connection.cut)

    def left(self, connection: ServedConnection) -> None:
        for table in (self.connections, self._readers, self._scoped):
            table.pop(connection.id, None)
        if not self.ended:
            self.state.left(connection.id)
        self._lists.discard(connection.id)
        self.nodes.left(connection.id)
        self.strangers.discard(connection.id)
        for key in connection.watched:
            self._watchers[key].discard(connection.id)
        if self._empty is not None and not self.connections and not self._empty.done():
            self._empty.set_result(None)

    def wants_in(self, connection: ServedConnection, params: Any) -> None:
        """Decide about a connect request."""
        if self.faults.refusals:
            refusal = self.faults.refusals.pop(0)
            self._note(params, refusal.error.message)
            connection.refuse(refusal.error, refusal.code, refusal.reason)
            return
        local = connection.local and self.settings.auto_approve
        visit = Visit(connection.nonce, local, connection.origin, now_ms())
        verdict = self._doorman.decide(params, visit)
        if isinstance(verdict, RefusedLogin):
            self._note(params, verdict.error.message)
            connection.refuse(verdict.error, verdict.code, self._reason(verdict))
            if verdict.asked is not None:
                self.announce_request(verdict.asked)
            return
        self._note(params, None)
        self._let_in(connection, verdict, params)

    def _let_in(self, connection: ServedConnection, verdict: Accepted, params: dict[str, Any]) -> None:
        if verdict.role == "node":
            if verdict.device is None:
                # A client that is let in without pairing cannot be a node: it gets no answer.
                connection.close(codes.CLOSE_NORMAL, "")
                return
            self.nodes.joined(connection.id, params, silent=verdict.device.silent)
        self.presence.entering(connection.id, params["client"], verdict.device_id, verdict.scopes, role=verdict.role)
        now = self.state.snapshot()
        if verdict.role == "node":
            now["presence"] = []
        told = hello(self.profile, self._life, connection.id, verdict, self._methods.advertised(), now)
        connection.accept(told, verdict, params)
        self.strangers.discard(connection.id)
        if verdict.role == "node":
            self.nodes.greet(connection.id)
        if allows(connection.scopes, "operator.read"):
            # A client that asks for events of its sessions only.
            scoped = self.profile.scoped_events and "session-scoped-events" in connection.caps
            (self._scoped if scoped else self._readers)[connection.id] = connection
        self.state.joined(connection.id)

    def _reason(self, verdict: RefusedLogin) -> str:
        request_id = verdict.error.detail("requestId")
        if self.profile.pairing_hints and request_id:
            return f"{verdict.error.message} (requestId: {request_id})"
        return verdict.error.message

    def _note(self, params: Any, refused: str | None) -> None:
        self.seen.connects.append(SeenConnect(without_secrets(params), refused))

    def requested(self, connection: ServedConnection, request: RequestReceived) -> None:
        """Perform a request."""
        self.seen.requests[request.method] += 1
        if request.traceparent is not None:
            self.seen.traceparents.append((request.method, request.traceparent))
        if self.draining:
            connection.respond(request.id, error=self._drain_error(request.method))
            return
        if self.profile.bounds_starts and connection.role == "operator" and not self._starts.admits():
            connection.respond(request.id, error=BUSY)
            return
        self._methods.perform(connection, request)

    def _drain_error(self, method: str) -> ErrorShape:
        details = {"method": method, "reason": "gateway-restarting", "phase": "draining"}
        text = f"{method} unavailable during gateway restart"
        return ErrorShape("UNAVAILABLE", text, details, retryable=True, retry_after_ms=1000)

    # Who hears what.

    def broadcast(
        self,
        event: str,
        payload: Mapping[str, Any],
        session_key: str | None = None,
        versions: Mapping[str, int] | None = None,
    ) -> None:
        """To every connection that may read; of a scoped event to those that watch the session, where they asked so."""
        raw = msgspec.Raw(msgspec.json.encode(payload))
        seq = self._next_seq()
        scoped = self._scoped
        if scoped and event in SCOPED_EVENTS:
            key = session_key if session_key is not None else payload.get("sessionKey")
            watchers = self._watchers.get(canonical_key(key), ()) if isinstance(key, str) else ()
            scoped = {ident: scoped[ident] for ident in watchers if ident in scoped}
        for connection in (*self._readers.values(), *scoped.values()):
            self._emit(connection, event, raw, seq, versions)

    def to_all(self, event: str, payload: Mapping[str, Any]) -> None:
        """To every connection that got hello-ok, whatever its scopes."""
        raw = msgspec.Raw(msgspec.json.encode(payload))
        seq = self._next_seq()
        for connection in list(self.connections.values()):
            if connection.ready:
                self._emit(connection, event, raw, seq)

    def to_starter(self, owner: Owner, event: str, payload: Mapping[str, Any]) -> None:
        """To the connection that started a run, if it asked for tool events."""
        connection = self.connections.get(owner.connection)
        if connection is not None and "tool-events" in connection.caps:
            self.to_connections([connection.id], event, payload)

    def to_watchers(self, session_key: str, event: str, payload: Mapping[str, Any]) -> None:
        """To those who subscribed to the messages of a session, or to all sessions."""
        self.to_connections(self._watchers.get(session_key, set()) | self._lists, event, payload)

    def to_session_lists(self, event: str, payload: Mapping[str, Any]) -> None:
        """To those who subscribed to the list of sessions."""
        self.to_connections(set(self._lists), event, payload)

    def to_scope(self, scope: str, event: str, payload: Mapping[str, Any]) -> None:
        """To the connections that hold a scope."""
        raw = msgspec.Raw(msgspec.json.encode(payload))
        seq = self._next_seq()
        for connection in list(self.connections.values()):
            if connection.ready and allows(connection.scopes, scope):
                self._emit(connection, event, raw, seq)

    def who(self, chosen: Callable[[Caller], bool]) -> list[str]:
        """The ids of the connections for which this is true."""
        return [one.id for one in self.connections.values() if one.ready and chosen(one)]

    def to_connections(self, idents: Iterable[str], event: str, payload: Mapping[str, Any]) -> None:
        """To these connections."""
        raw = msgspec.Raw(msgspec.json.encode(payload))
        for ident in idents:
            connection = self.connections.get(ident)
            if connection is None:
                continue
            if self.profile.targeted_seq:
                connection.emit_numbered(event, raw)
            else:
                connection.emit(event, raw, None)

    def to_node(self, connection: str, event: str, payload: Mapping[str, Any]) -> bool:
        """To a node: events of its own have no number. Whether it is there."""
        node = self.connections.get(connection)
        if node is None or not node.ready:
            return False
        node.emit(event, msgspec.Raw(msgspec.json.encode(payload)), None)
        return True

    def _emit(
        self,
        connection: ServedConnection,
        event: str,
        raw: msgspec.Raw,
        seq: int,
        versions: Mapping[str, int] | None = None,
    ) -> None:
        if self.profile.per_connection_seq:
            connection.emit_numbered(event, raw, versions)
        else:
            connection.emit(event, raw, seq, versions)

    def _next_seq(self) -> int:
        self._seq += 1
        return self._seq

    def subscribe_messages(self, owner: Owner, key: str, *, on: bool) -> None:
        connection = self.connections[owner.connection]
        watchers = self._watchers.setdefault(key, set())
        (watchers.add if on else watchers.discard)(connection.id)
        (connection.watched.add if on else connection.watched.discard)(key)

    def subscribe_sessions(self, owner: Owner, *, on: bool) -> None:
        (self._lists.add if on else self._lists.discard)(owner.connection)

    @property
    def presence(self) -> Presence:
        """Who is connected."""
        return self.state.presence

    # Pairing.

    def announce_request(self, request_id: str) -> None:
        """Tell those who may approve that a device waits."""
        request = self.memory.pairing.pending[request_id]
        self.to_scope("operator.pairing", "device.pair.requested", request.fields())

    def announce_verdict(self, request_id: str, device_id: str, decision: str) -> None:
        """Tell those who may approve that a device waits no more."""
        self._methods.upgrades.decided(request_id, decision)
        payload = {"requestId": request_id, "deviceId": device_id, "decision": decision, "ts": now_ms()}
        self.to_scope("operator.pairing", "device.pair.resolved", payload)

    def expel(self, device_id: str) -> None:
        """Close the connections of a device whose token is void."""
        for connection in list(self.connections.values()):
            if connection.device_id == device_id:
                connection.close(codes.CLOSE_REVOKED, "device removed")

    # Life.

    async def stop(self, reason: str, restart_expected_ms: int | None) -> None:
        """Say goodbye, close every connection with 1012, end every task."""
        self.ended = True
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        notice: dict[str, Any] = {"reason": reason}
        if restart_expected_ms is not None or self.profile.shutdown_null:
            notice["restartExpectedMs"] = restart_expected_ms
        self.to_all("shutdown", notice)
        await self._end_tasks()
        for connection in list(self.connections.values()):
            connection.close(codes.CLOSE_RESTART, "service restart")

    async def crash(self) -> None:
        """End as a killed process does: no word, no close frame."""
        self.ended = True
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        for connection in list(self.connections.values()):
            connection.cut()
        await self._end_tasks()

    async def _end_tasks(self) -> None:
        self.asked.stop()
        self.nodes.stop()
        await self.runs.stop()
        await self._methods.stop()

    async def emptied(self) -> None:
        """Return when no socket is open."""
        if self.connections:
            self._empty = self.loop.create_future()
            await self._empty

    def _every(self, seconds: float, action: Any) -> None:
        index = len(self._timers)

        def again() -> None:
            action()
            if self._timers:
                self._timers[index] = self.loop.call_later(seconds, again)

        self._timers.append(self.loop.call_later(seconds, again))

    def _tick(self) -> None:
        self.to_all("tick", {"ts": now_ms()})

    def ping(self) -> None:
        for connection in list(self.connections.values()):
            connection.ping()

    def unanswered(self) -> int:
        return sum(not connection.ponged for connection in self.connections.values())
