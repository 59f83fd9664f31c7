"""The server side of the core behind an in-memory transport: what a connection meets, without a socket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from openclaw_client.connection.connection import Connection
from openclaw_client.connection.dialer import Dialer
from openclaw_client.connection.fast_path import FastPath
from openclaw_client.connection.settings import Settings
from openclaw_client.connection.supervisor import StateChange, Supervisor
from openclaw_client.errors import ConnectionLost, GatewayError, Unreachable
from openclaw_client.policy.credentials import AuthInput
from openclaw_client.policy.urls import parse_url
from openclaw_client.protocol.events import Gap
from openclaw_client.protocol.server import ConnectReceived, RequestReceived, ServerProtocol
from openclaw_client.transport.base import Listener, Transport
from openclaw_client.transport.memory import memory_pair
from openclaw_client.wire.frames import ChatFrame, ErrorShape, Event

TICK = 30.0
"""Seconds between ticks, as hello-ok tells."""


class Served:
    """One accepted connection, seen from the server."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.core: ServerProtocol | None = None
        self.transport: Transport | None = None
        self.closed: tuple[int | None, str] | None = None
        self.requested = False

    def on_opened(self, transport: Transport) -> None:
        self.transport = transport
        self.place.strangers.add(self)
        if self.place.silent(len(self.place.served) - 1):
            return
        self.place.most_strangers = max(self.place.most_strangers, len(self.place.strangers))
        now = asyncio.get_running_loop().time()
        self.core = ServerProtocol(now, {"nonce": f"nonce-{len(self.place.served)}", "ts": 1_700_000_000_000})
        self.flush()

    def try_fast_path(self, data: bytes) -> bool:
        return False

    def on_message(self, data: bytes) -> None:
        assert self.core is not None
        self.core.receive(data, asyncio.get_running_loop().time())
        while (event := self.core.next_event()) is not None:
            if isinstance(event, ConnectReceived):
                self.requested = True
                if self.place.raw_answer is not None:
                    assert self.transport is not None
                    self.transport.send(self.place.raw_answer(event.id))
                    self.transport.close(1008, "refused")
                    return
                self._connect(event.params)
            elif isinstance(event, RequestReceived):
                self.place.requests.append(event.method)
                self.place.params.append(event.params)
                if event.method in self.place.errors:
                    self.core.respond(event.id, error=self.place.errors[event.method])
                elif event.method not in self.place.unanswered:
                    self.core.respond(event.id, {"method": event.method})
        self.flush()

    def on_ignored(self, reason: str) -> None:
        raise AssertionError(reason)

    def on_closed(self, code: int | None, reason: str, *, refused: bool = False) -> None:
        self.closed = (code, reason)
        self.place.strangers.discard(self)

    def tick(self) -> None:
        assert self.core is not None
        self.core.emit("tick", {"ts": 1})
        self.flush()

    def close(self, code: int, reason: str) -> None:
        assert self.transport is not None
        self.transport.close(code, reason)

    def cut(self) -> None:
        assert self.transport is not None
        self.transport.abort()

    def flush(self) -> None:
        assert self.core is not None
        assert self.transport is not None
        for item in self.core.outbox():
            if isinstance(item, bytes):
                self.transport.send(item)
            elif not self.place.lingers:
                self.transport.close(item.code, item.reason)

    def _connect(self, params: Any) -> None:
        assert self.core is not None
        now = asyncio.get_running_loop().time()
        wrong = self.place.wrong(params)
        if wrong is not None:
            self.core.refuse(wrong, 1008, wrong.message, now)
        elif self.place.refusals:
            error, code, reason = self.place.refusals.pop(0)
            self.core.refuse(error, code, reason, now)
        elif not self.place.mute:
            self.core.accept(self.place.hello, now)
            self.place.strangers.discard(self)


class Place:
    """Where connections are accepted. refusals: how the next connects are refused; mute: connect is not answered;
    silent: whether the connection of this number is never answered; wrong: why these parameters are refused;
    lingers: what was refused is not closed; raw_answer: the bytes that answer the connect with this id, before a close.
    errors: what requests of a method get; unanswered: methods that get nothing. params: those of `requests`.
    """

    def __init__(self) -> None:
        self.served: list[Served] = []
        self.requests: list[str] = []
        self.params: list[Any] = []
        self.errors: dict[str, ErrorShape] = {}
        self.unanswered = {"never"}
        self.opened_at: list[float] = []
        self.strangers: set[Served] = set()
        self.most_strangers = 0
        self.refusals: list[tuple[ErrorShape, int, str]] = []
        self.reachable = True
        self.mute = False
        self.wrong: Callable[[Any], ErrorShape | None] = lambda _: None
        self.silent: Callable[[int], bool] = lambda _: False
        self.lingers = False
        self.raw_answer: Callable[[str], bytes] | None = None
        self.hello: Mapping[str, Any] = {
            "type": "hello-ok",
            "protocol": 4,
            "policy": {"tickIntervalMs": TICK * 1000},
            "auth": {"role": "operator", "scopes": ["operator.read", "operator.write", "operator.approvals"]},
        }

    async def open(self, listener: Listener) -> None:
        """An `Opener`: takes a turn of the loop for the name, one for the socket."""
        await asyncio.sleep(0)
        self.opened_at.append(asyncio.get_running_loop().time())
        if not self.reachable:
            raise Unreachable(message="nothing listens there")
        await asyncio.sleep(0)
        served = Served(self)
        self.served.append(served)
        memory_pair(served, listener)

    @property
    def open_ends(self) -> list[Served]:
        """Connections that nobody has closed."""
        return [served for served in self.served if served.closed is None]


class Log:
    """A `Watcher` that remembers."""

    def __init__(self) -> None:
        self.changes: list[StateChange] = []
        self.lost: list[tuple[ConnectionLost, bool]] = []
        self.parked: list[GatewayError] = []
        self.frames: list[ChatFrame | Event] = []
        self.gaps: list[Gap] = []
        self.fast_path = FastPath()

    def on_state(self, change: StateChange) -> None:
        self.changes.append(change)

    def on_connected(self, connection: Connection) -> None: ...

    def on_usable(self) -> None: ...

    def on_lost(self, error: ConnectionLost, *, returning: bool) -> None:
        self.lost.append((error, returning))

    def on_parked(self, error: GatewayError) -> None:
        self.parked.append(error)

    def on_frame(self, frame: ChatFrame | Event, now: float) -> None:
        self.frames.append(frame)

    def on_gap(self, gap: Gap) -> None:
        self.gaps.append(gap)

    @property
    def states(self) -> list[str]:
        return [change.new.value for change in self.changes]


def supervisor(place: Place, **settings: Any) -> tuple[Supervisor, Log]:
    """A supervisor whose connections end at this place, without jitter: every delay is the longest it can be."""
    made = Settings(url=parse_url("ws://127.0.0.1:1"), credentials=AuthInput(token="sesame"), **settings)
    log = Log()
    return Supervisor(
        made, log, dialer=Dialer(made, opener=place.open, clock=asyncio.get_running_loop().time), rand=lambda: 1.0
    ), log
