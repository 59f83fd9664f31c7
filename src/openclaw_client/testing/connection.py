"""One socket of the embedded gateway: a picows listener around a server core.

Knows bytes, timers and what may be written now. Decides nothing: connect and requests go to the desk.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Protocol, cast

from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport

from openclaw_client.protocol.events import Close
from openclaw_client.protocol.server import (
    ConnectReceived,
    RequestReceived,
    ServerEnded,
    ServerProtocol,
    ServerRules,
    ServerState,
)
from openclaw_client.testing.auth import Accepted
from openclaw_client.testing.callers import Owner
from openclaw_client.testing.faults import Faults, OutFrame
from openclaw_client.testing.traits import Profile
from openclaw_client.wire import codes
from openclaw_client.wire.frames import ErrorShape

_TEXT, _CONTINUATION, _CLOSE = WSMsgType.TEXT, WSMsgType.CONTINUATION, WSMsgType.CLOSE
_KINDS = {0: WSMsgType.CONTINUATION, 1: WSMsgType.TEXT, 2: WSMsgType.BINARY}


class Desk(Protocol):
    """Where a connection reports, and what it has to know of the gateway."""

    loop: asyncio.AbstractEventLoop
    profile: Profile
    faults: Faults
    handshake_timeout: float
    max_payload: int
    max_buffered: int

    def new_id(self) -> str: ...
    def now_ms(self) -> int: ...
    def joined(self, connection: ServedConnection) -> None: ...
    def left(self, connection: ServedConnection) -> None: ...
    def wants_in(self, connection: ServedConnection, params: Any) -> None: ...
    def requested(self, connection: ServedConnection, request: RequestReceived) -> None: ...


class ServedConnection(WSListener):
    """A client's connection, from the upgrade to the end."""

    def __init__(self, desk: Desk, *, local: bool, origin: str | None, forwarded: bool) -> None:
        self.desk = desk
        self.id = desk.new_id()
        self.nonce = desk.new_id()
        self.local = local and not forwarded
        self.origin = origin
        self.sent = 0
        self.client: dict[str, Any] = {}
        self.scopes: tuple[str, ...] = ()
        self.device_id: str | None = None
        self.caps: frozenset[str] = frozenset()
        self.role = "operator"
        self.by_device_token = False
        self.owner = Owner(self.id, None)
        self.watched: set[str] = set()
        self.ponged = True
        self._transport: WSTransport | None = None
        self._core: ServerProtocol | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._fragments: list[bytes] = []
        self._fragment_bytes = 0
        self._names: dict[str, str] = {}
        self._held: list[bytes] = []
        self._paused = False
        self._reading = True

    # picows

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        desk = self.desk
        profile = desk.profile
        rules = ServerRules(desk.handshake_timeout, profile.connect_limit, desk.max_payload, profile.takes_traceparent)
        challenge: dict[str, Any] = {"nonce": self.nonce, "ts": desk.now_ms()}
        self._core = ServerProtocol(desk.loop.time(), challenge, rules)
        desk.joined(self)
        if desk.faults.withheld_challenges:
            desk.faults.withheld_challenges -= 1
            self._core.outbox()
        self._pump()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        kind = frame.msg_type
        if kind == WSMsgType.PONG:
            self.ponged = True
            return
        if kind == WSMsgType.PING:
            if not self.desk.faults.is_silent:
                transport.send_pong(frame.get_payload_as_bytes())
            return
        if kind == _CLOSE:
            self._on_close(transport, frame)
            return
        if frame.rsv1 or frame.rsv2 or frame.rsv3:
            self.close(codes.CLOSE_PROTOCOL, "")
            return
        data = frame.get_payload_as_bytes()
        if kind == _TEXT and frame.fin and not self._fragments:
            self._on_message(data, text=True)
        else:
            self._on_fragment(data, kind, fin=frame.fin)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        core = self._core
        if core is not None:
            handshake = transport.close_handshake
            received = handshake.recv if handshake is not None else None
            if received is None:
                core.receive_close(codes.CLOSE_ABNORMAL, "")
            else:
                core.receive_close(int(cast(int, received.code)), received.reason)
            self._pump()

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False

    # What the hub does with it.

    @property
    def ready(self) -> bool:
        return self._core is not None and self._core.state is ServerState.READY

    def accept(self, hello: dict[str, Any], verdict: Accepted, params: dict[str, Any]) -> None:
        """Let the client in."""
        self.client, self.device_id, self.role = params["client"], verdict.device_id, verdict.role
        # Scopes are an operator's; a node may do what its role may, whatever it asked for.
        self.scopes = verdict.scopes if self.role == "operator" else ()
        self.by_device_token = verdict.method == "device-token"
        self.caps = frozenset(params.get("caps", ()))
        self.owner = Owner(self.id, self.device_id, self.client["id"], self.scopes)
        self._names["connect"] = "connect"
        self._the_core.accept(hello, self.desk.loop.time())

    def refuse(self, error: ErrorShape, code: int, reason: str) -> None:
        self._the_core.refuse(error, code, reason, self.desk.loop.time())

    def respond(self, ident: str, payload: Any = None, error: ErrorShape | None = None) -> None:
        """Answer a request and send it."""
        self._the_core.respond(ident, payload, error)
        self.flush()

    def emit(self, event: str, payload: Any, seq: int | None, versions: Mapping[str, int] | None = None) -> None:
        """Send an event that is numbered by the server, or not at all."""
        self._the_core.emit(event, payload, seq, versions)
        self.flush()

    def emit_numbered(self, event: str, payload: Any, versions: Mapping[str, int] | None = None) -> None:
        """Send an event with this connection's next number."""
        self._the_core.emit_numbered(event, payload, versions)
        self.flush()

    def flush(self) -> None:
        """Write what the core has, through the faults."""
        for item in self._the_core.outbox():
            if isinstance(item, Close):
                self._send_close(item)
            else:
                self._write(item)

    def ping(self) -> None:
        """Ask whether somebody is there; cut the socket when the last question was not answered."""
        if not self.ponged:
            self.cut()
        elif self._transport is not None and not self.desk.faults.is_silent:
            self.ponged = False
            self._transport.send_ping()

    # Port: what faults do with it.

    def put(self, data: bytes) -> None:
        self.put_raw(data, 1, fin=True)
        if self._held:
            held, self._held = self._held, []
            for one in held:
                self.put_raw(one, 1, fin=True)

    def put_raw(self, data: bytes, kind: int, *, fin: bool) -> None:
        if self._transport is not None and not self._transport.is_disconnected:
            self._transport.send(_KINDS[kind], data, fin)

    def put_bytes(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_disconnected:
            self._transport.underlying_transport.write(data)

    def hold_back(self, data: bytes) -> None:
        self._held.append(data)

    def cut(self) -> None:
        if self._transport is not None:
            self._transport.disconnect(graceful=False)

    def close(self, code: int, reason: str) -> None:
        self._the_core.close(code, reason, self.desk.loop.time())
        self.flush()
        self._arm()

    def set_reading(self, reading: bool) -> None:
        if self._transport is None or reading is self._reading or self._transport.is_disconnected:
            return
        self._reading = reading
        transport = self._transport.underlying_transport
        (cast(Any, transport).resume_reading if reading else cast(Any, transport).pause_reading)()

    # Inside.

    @property
    def _the_core(self) -> ServerProtocol:
        assert self._core is not None, "the hub is told of a connection when it has a core"
        return self._core

    def _on_message(self, data: bytes, *, text: bool) -> None:
        if text:
            try:
                data.decode()
            except UnicodeDecodeError:
                self.close(1007, "")
                return
        self._the_core.receive(data, self.desk.loop.time())
        self._pump()

    def _on_fragment(self, data: bytes, kind: WSMsgType, *, fin: bool) -> None:
        if (kind == _CONTINUATION) is not bool(self._fragments):
            self.close(codes.CLOSE_PROTOCOL, "")
            return
        self._fragments.append(data)
        self._fragment_bytes += len(data)
        if self._fragment_bytes > self.desk.max_payload:
            self.close(codes.CLOSE_TOO_BIG, "")
        elif fin:
            whole, self._fragments, self._fragment_bytes = b"".join(self._fragments), [], 0
            self._on_message(whole, text=False)

    def _on_close(self, transport: WSTransport, frame: WSFrame) -> None:
        if not transport.is_close_frame_sent and not self.desk.faults.is_silent:
            code = frame.get_close_code()
            transport.send_close(code if frame.payload_size >= 2 else cast(WSCloseCode, codes.CLOSE_NORMAL))
        if not self.desk.faults.is_silent:
            transport.disconnect()

    def _pump(self) -> None:
        core = self._the_core
        while (event := core.next_event()) is not None:
            if isinstance(event, RequestReceived):
                self._on_request(event)
            elif isinstance(event, ConnectReceived):
                self.desk.wants_in(self, event.params)
            elif isinstance(event, ServerEnded):
                self.desk.left(self)
        self.flush()
        self._arm()

    def _on_request(self, request: RequestReceived) -> None:
        faults = self.desk.faults
        intercepted = faults.intercept(request.method)
        if faults.rules and (intercepted is None or intercepted.error is not None):
            self._names[request.id] = request.method
        if intercepted is None:
            self.desk.requested(self, request)
        elif intercepted.error is not None:
            self.respond(request.id, error=intercepted.error)

    def _arm(self) -> None:
        due = self._the_core.deadline()
        if self._timer is not None and (due is None or self._timer.when() != due):
            self._timer.cancel()
            self._timer = None
        if due is not None and self._timer is None:
            self._timer = self.desk.loop.call_at(due, self._on_deadline)

    def _on_deadline(self) -> None:
        self._timer = None
        core = self._the_core
        core.handle_deadline(self.desk.loop.time())
        if core.state is ServerState.CLOSED:
            self.cut()
        self._pump()

    def _send_close(self, close: Close) -> None:
        if self._transport is not None and not self.desk.faults.is_silent:
            self._transport.send_close(cast(WSCloseCode, close.code), close.reason.encode())

    def _write(self, data: bytes) -> None:
        self.sent += 1
        faults = self.desk.faults
        if faults.is_silent:
            return
        if faults.rules and faults.apply(self._described(data)):
            return
        if self._held:
            self.put(data)
        elif self._transport is not None:
            self._transport.send(_TEXT, data)
        if self._paused:
            self._check_backlog()

    def _described(self, data: bytes) -> OutFrame:
        frame = OutFrame("event", "", self.sent, data, self)
        fields = frame.fields
        if fields.get("type") == "event":
            frame.name = str(fields["event"])
        else:
            frame.kind, frame.name = "response", self._names.pop(str(fields.get("id")), "connect")
        return frame

    def _check_backlog(self) -> None:
        transport = self._transport
        if transport is None or transport.underlying_transport.get_write_buffer_size() <= self.desk.max_buffered:
            return
        if self.desk.profile.slow_consumer == "cut":
            self.cut()
        else:
            # Not now: the frames of this flush stand before the close.
            self.desk.loop.call_soon(self.close, codes.CLOSE_POLICY, "slow consumer")
