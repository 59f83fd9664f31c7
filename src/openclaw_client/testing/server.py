"""The embedded gateway on the loop that it is started on: its parameters, its socket, and its life.

A gateway in Python on a real socket, for tests, demos and first steps. It behaves as a given release does, and is never
kinder than that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Final, Self

from picows import WSListener, WSUpgradeRequest, WSUpgradeResponse, WSUpgradeResponseWithListener, ws_create_server

from openclaw_client.errors import UsageError
from openclaw_client.errors.frames import without_frames
from openclaw_client.logs import GuardedLogger
from openclaw_client.testing.accepting import stop_accepting
from openclaw_client.testing.approvals import ApprovalRequest
from openclaw_client.testing.auth import AuthMode, RateLimit, Secrets
from openclaw_client.testing.callers import MethodError
from openclaw_client.testing.connection import ServedConnection
from openclaw_client.testing.custom import MethodHandler, custom_method
from openclaw_client.testing.faults import Faults
from openclaw_client.testing.files import TICKET_SECONDS
from openclaw_client.testing.hub import Hub, HubSettings, Seen
from openclaw_client.testing.memory import Memory, now_ms
from openclaw_client.testing.nodes import ConnectedNode
from openclaw_client.testing.offers import OfferedTool
from openclaw_client.testing.pairing import Device, PairingRequest
from openclaw_client.testing.profiles import profile_for
from openclaw_client.testing.questions import QUESTION_SECONDS, QuestionRequest
from openclaw_client.testing.registry import READ, Method
from openclaw_client.testing.scripts import echo
from openclaw_client.testing.surfaces import NodeRequest
from openclaw_client.testing.traits import Busy, Profile
from openclaw_client.testing.transcripts import assistant_extra, new_row
from openclaw_client.testing.turn import Agent, Decision
from openclaw_client.wire import limits
from openclaw_client.wire.sessions import canonical_key

DEFAULT_TOKEN: Final = "embedded-gateway-token"  # noqa: S105 - public on purpose: it guards nothing
THROTTLE: Final = 0.01
"""Seconds between two deltas. Real releases wait 75 or 150 ms; tests want to see deltas sooner."""
PING_INTERVAL: Final = 25.0
"""Seconds between the gateway's pings, and the time that a client has to answer one; as in 2026.6.1 and 2026.9.6."""
MAX_BUFFERED: Final = 52_428_800
"""Bytes that may wait for a slow client; every release's `policy.maxBufferedBytes`."""
RESTART_EXPECTED_MS: Final = 1500
"""What the shutdown event of a restart promises; a constant in the real gateways, too."""

_NO_ATTRIBUTION: Final = (
    b'{"error":{"message":"Proxy client attribution is required.","type":"proxy_attribution_required"}}'
)


class GatewayServer:
    """`EmbeddedGateway` without its blocking form: everything that is done on the loop."""

    @without_frames
    def __init__(
        self,
        agent: Agent | None = None,
        *,
        token: str | None = DEFAULT_TOKEN,
        password: str | None = None,
        auth: AuthMode | None = None,
        protocol: int | None = None,
        release: str | None = None,
        host: str = "127.0.0.1",
        port: int | None = None,
        auto_approve: bool = True,
        max_attempts: int | None = None,
        lockout: float = 300.0,
        busy: Busy | None = None,
        tool_search: bool | None = None,
        settle_time: float | None = None,
        approval_seconds: float | None = None,
        question_seconds: float = QUESTION_SECONDS,
        ticket_seconds: float = TICKET_SECONDS,
        throttle: float = THROTTLE,
        tick_interval: float = limits.DEFAULT_TICK_INTERVAL,
        ping_interval: float = PING_INTERVAL,
        handshake_timeout: float | None = None,
        max_payload: int = limits.MAX_FRAME_BYTES,
        max_buffered: int = MAX_BUFFERED,
    ) -> None:
        profile = profile_for(protocol, release)
        if busy is not None:
            profile = replace(profile, busy=busy)
        if tool_search is not None:
            profile = replace(profile, tool_search=tool_search)
        mode: AuthMode = auth or ("password" if password is not None else "token")
        if mode == "token" and not token:
            raise UsageError(message="a gateway with token auth needs a token", remedy='Use auth="none" for no auth')
        self.host = host
        self.token = token if mode == "token" else None
        self.password = password if mode == "password" else None
        self.faults = Faults(lambda: self._hub.connections.values() if self._hub is not None else ())
        self.seen = Seen()
        self._methods: dict[str, Method] = {}
        self._settings = HubSettings(
            profile=profile,
            secrets=Secrets(mode, self.token, self.password),
            agent=agent or echo,
            methods=self._methods,
            auto_approve=auto_approve,
            settle_time=profile.settle_time if settle_time is None else settle_time,
            approval_seconds=profile.approval_seconds if approval_seconds is None else approval_seconds,
            question_seconds=question_seconds,
            ticket_seconds=ticket_seconds,
            throttle=throttle,
            tick_interval=tick_interval,
            ping_interval=ping_interval,
            handshake_timeout=profile.handshake_timeout if handshake_timeout is None else handshake_timeout,
            max_payload=max_payload,
            max_buffered=max_buffered,
        )
        self._asked_port = port or 0
        self._limit = RateLimit(max_attempts, lockout)
        self._memory = Memory()
        self._hub: Hub | None = None
        self._server: asyncio.Server | None = None
        self._port = 0

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.stop()

    def __repr__(self) -> str:
        state = f"on {self.url}" if self.running else "not running"
        return f"<EmbeddedGateway {self.profile.release} {state}>"

    # What is known of it.

    @property
    def profile(self) -> Profile:
        """The release that it behaves like."""
        return self._settings.profile

    @property
    def settle_time(self) -> float:
        """How long a session stays busy behind the final of a run, in seconds; may be set at any time."""
        return self._settings.settle_time

    @settle_time.setter
    def settle_time(self, seconds: float) -> None:
        self._settings = replace(self._settings, settle_time=seconds)
        if self._hub is not None:
            self._hub.runs.roster.settle_time = seconds

    @property
    def port(self) -> int:
        """The port; stays the same over restarts. 0 before the first start."""
        return self._port

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"ws://{host}:{self._port}"

    @property
    def running(self) -> bool:
        return self._hub is not None

    @property
    def open_connections(self) -> int:
        """Sockets that are open now, before and after hello-ok."""
        return len(self._hub.connections) if self._hub is not None else 0

    @property
    def active_runs(self) -> list[str]:
        """The ids of the runs that are not over."""
        return list(self._hub.runs.roster.live) if self._hub is not None else []

    @property
    def pending(self) -> list[PairingRequest]:
        """The devices that wait for approval."""
        return list(self._memory.pairing.pending.values())

    @property
    def devices(self) -> list[Device]:
        """The paired devices."""
        return list(self._memory.pairing.devices.values())

    @property
    def pending_nodes(self) -> list[NodeRequest]:
        """The nodes that wait for approval: what they declared, they may not do yet."""
        return list(self._memory.pairing.surfaces.pending.values())

    @property
    def nodes(self) -> list[ConnectedNode]:
        """The nodes that are connected, approved or not."""
        return list(self._hub.nodes.table.values()) if self._hub is not None else []

    @property
    def tools(self) -> dict[str, OfferedTool]:
        """The tools of nodes that agents may call now, by name."""
        return self._hub.nodes.offered() if self._hub is not None else {}

    def transcript(self, session_key: str) -> list[dict[str, str]]:
        """What was said in a session: `{"role": …, "text": …}`, oldest first; canonical key."""
        session = self._memory.transcripts.get(session_key)
        return session.spoken() if session is not None else []

    # Its life.

    async def start(self) -> None:
        """Listen. Returns when connections are accepted; OSError where the port is taken."""
        if self._hub is not None:
            raise UsageError(message="the gateway is running", remedy="Call stop() or restart()")
        loop = asyncio.get_running_loop()
        self.faults.attach(loop)
        self._hub = Hub(self._settings, self._memory, self.faults, self.seen, self._limit, now_ms())
        try:
            self._server = await ws_create_server(
                self._upgrade,
                self.host,
                self._port or self._asked_port,
                # Larger than what is allowed: the core answers an oversized frame as the real gateways do.
                max_frame_size=2 * self._settings.max_payload + 1024,
                read_buffer_init_size=4096,
                logger_name=GuardedLogger("picows.openclaw-embedded"),
                enable_auto_pong=False,  # a gateway that fell silent answers no ping either
                backlog=4096,
            )
        except BaseException:
            await self._hub.crash()
            self._hub = None
            raise
        self._port = self._server.sockets[0].getsockname()[1]

    async def stop(self, *, drain: float = 0.0) -> None:
        """Shut down as on SIGTERM: the shutdown event, close 1012, no end for runs that go on.

        drain: seconds that running runs get first, with every request and upgrade refused meanwhile, as 2026.9.6 does.
        """
        await self._end("gateway stopping", None, drain)

    async def restart(self, *, keep_memory: bool = True, drain: float = 0.0) -> None:
        """Shut down and start on the same port. Runs are gone; without memory, devices and transcripts are, too."""
        await self._end("gateway restarting", RESTART_EXPECTED_MS, drain)
        if not keep_memory:
            self._memory = Memory()
        await self.start()

    async def crash(self) -> None:
        """End as a killed process does: sockets are cut, nothing is said. `start()` brings it back."""
        hub = await self._close_server()
        if hub is not None:
            await hub.crash()
            await self._closed()

    # What tests do to it.

    def emit(self, event: str, payload: dict[str, Any]) -> None:
        """Send an event to every connection that may read; those of chats not to who had their session kept back."""
        self._running_hub().broadcast(event, payload)

    def say(self, session_key: str, text: str, *, run_id: str | None = None) -> str:
        """A message that nobody asked for, as a run of another client would leave it; returns the run's id."""
        hub = self._running_hub()
        run_id = run_id or hub.new_id()
        session = self._memory.transcripts.open(canonical_key(session_key))
        session.add(new_row("assistant", text, now_ms(), run_id=run_id, **assistant_extra()))
        content = [{"type": "text", "text": text}]
        message = {"role": "assistant", "content": content, "timestamp": now_ms()}
        payload = {"runId": run_id, "sessionKey": session_key, "seq": 1, "state": "final", "message": message}
        hub.broadcast("chat", payload, session_key)
        return run_id

    def method(self, name: str, handler: MethodHandler, scope: str | None = READ) -> None:
        """Serve a method, or replace one: `handler(params, caller)`, plain or async, returns the payload.

        It may raise `Refusal`; anything else that it raises is answered as UNAVAILABLE. Parameters are not checked: {}
        stands for those that are no object. scope: what a caller needs, None for nothing. hello-ok names the method to
        clients that connect from now on; a restart keeps it.
        """
        self._methods[name] = custom_method(name, handler, scope)

    def tick(self) -> None:
        """Send a tick now."""
        self._running_hub().to_all("tick", {"ts": now_ms()})

    def ping(self) -> None:
        """Ask every client now whether it is there, on any release; one that did not answer the last time is cut."""
        self._running_hub().ping()

    @property
    def unanswered_pings(self) -> int:
        """Clients that were asked and have not answered yet."""
        return self._hub.unanswered() if self._hub is not None else 0

    def release(self, run_id: str | None = None) -> None:
        """Open the gate of a run, or of all runs; see `Turn.gate`."""
        for run in list(self._running_hub().runs.roster.live.values()):
            if run_id in (None, run.id):
                run.gate.open()

    def approve(self, request_id: str | None = None) -> None:
        """Approve a waiting device or node, or all: a node waits once more when its device is paired."""
        for request in self.pending:
            if request_id in (None, request.id):
                self._memory.pairing.approve(request.id)
                if self._hub is not None:
                    self._hub.announce_verdict(request.id, request.device_id, "approved")
        for node in self.pending_nodes:
            if request_id in (None, node.id):
                # A gateway that is stopped has nobody to tell.
                known = self._hub.nodes if self._hub is not None else self._memory.pairing.surfaces
                known.approve(node.id)

    @property
    def pending_approvals(self) -> list[ApprovalRequest]:
        """The commands that wait for an approval, oldest first."""
        return self._hub.asked.approvals.pending if self._hub is not None else []

    def resolve(self, approval_id: str, decision: Decision, *, by: str = "another-client") -> None:
        """Decide about a command as another client would. UsageError where the gateway would refuse that client."""
        try:
            self._running_hub().asked.approvals.answer(approval_id, decision, None, by)
        except MethodError as refusal:
            raise UsageError(message=f"the gateway refuses this answer: {refusal}") from None

    @property
    def pending_questions(self) -> list[QuestionRequest]:
        """The questions that wait for an answer, oldest first."""
        return self._hub.asked.questions.pending if self._hub is not None else []

    def answer(self, question_id: str, answers: Mapping[str, Sequence[str]] | None) -> None:
        """Answer a question as another client would, as `{"drink": ["Tea"]}`; None cancels it. UsageError where the
        gateway would refuse that client."""
        questions = self._running_hub().asked.questions
        try:
            if answers is None:
                questions.cancel(question_id)
            else:
                questions.answer(question_id, answers)
        except MethodError as refusal:
            raise UsageError(message=f"the gateway refuses this answer: {refusal}") from None

    # Inside.

    def _running_hub(self) -> Hub:
        if self._hub is None:
            raise UsageError(message="the gateway is not running", remedy="Call start() first")
        return self._hub

    def _upgrade(self, request: WSUpgradeRequest) -> WSListener | WSUpgradeResponseWithListener:
        hub, headers = self._hub, request.headers
        if self.faults.upgrades:
            status, body = self.faults.upgrades.pop(0)
            return self._refuse_upgrade(status, body)
        if hub is None or hub.draining or hub.ended:
            return self._refuse_upgrade(503, b"")
        if self.profile.files and (file := hub.downloads.answer(request)) is not None:
            return WSUpgradeResponseWithListener(file, None)
        limit = self.profile.max_strangers
        if limit is not None and len(hub.strangers) >= limit:
            return self._refuse_upgrade(503, b"Too many unauthenticated sockets")
        forwarded = "X-Forwarded-For" in headers or "Forwarded" in headers
        if forwarded and self.profile.refuses_proxies:
            return self._refuse_upgrade(403, _NO_ATTRIBUTION)
        return ServedConnection(hub, local=True, origin=headers.get("Origin"), forwarded=forwarded)

    def _refuse_upgrade(self, status: int, body: bytes) -> WSUpgradeResponseWithListener:
        self.seen.upgrades_refused += 1
        return WSUpgradeResponseWithListener(WSUpgradeResponse.create_error_response(status, body or None), None)

    async def _end(self, reason: str, restart_expected_ms: int | None, drain: float) -> None:
        if self._hub is not None and drain:
            self._hub.draining = True
            await self._hub.runs.drained(drain)
        hub = await self._close_server()
        if hub is not None:
            await hub.stop(reason, restart_expected_ms)
            await self._closed()

    async def _close_server(self) -> Hub | None:
        hub, server = self._hub, self._server
        if server is not None:
            await stop_accepting(server)
            server.close()
        return hub

    async def _closed(self) -> None:
        """Wait until every socket is gone: the clients answer the close, or are cut after its grace."""
        hub, server = self._hub, self._server
        if hub is not None:
            await hub.emptied()
        if server is not None:
            await server.wait_closed()
        self._hub = self._server = None
