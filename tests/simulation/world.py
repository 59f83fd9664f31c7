"""The gateways of the simulation: memory in the place of sockets, and faults in the place of networks.

A gateway here does what real ones were seen to do (docs/compatibility.md): it bounds sockets that have not
authenticated, counts refused tokens and locks everybody out, restarts, stalls, refuses its history for a while. Knows
no client.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import deque
from collections.abc import Callable
from typing import Any

from openclaw_client.errors import Unreachable
from openclaw_client.protocol.server import ConnectReceived, RequestReceived, ServerProtocol
from openclaw_client.transport.base import Listener, Transport
from openclaw_client.transport.memory import MemoryEnd
from openclaw_client.wire.frames import ErrorShape

STRANGERS = 32
"""Sockets without a hello that a gateway allows (observed)."""
HANDSHAKE = 10.0
"""Seconds after which it closes such a socket (observed)."""
FAILURES, WINDOW, LOCKED = 10, 60.0, 300.0
"""Refused tokens in so many seconds, by which an address is locked out, and for how long (observed)."""
TICK = 30.0

WRONG = ErrorShape("INVALID_REQUEST", "gateway token mismatch", {"code": "AUTH_TOKEN_MISMATCH"})
SCOPES = ["operator.read", "operator.write", "operator.approvals"]


def now() -> float:
    return asyncio.get_running_loop().time()


class Gateway:
    """One gateway. rand: where its latencies come from. is_right: whether a token is let in.

    healthy_since: since when it answers as it should; None while it does not. lockouts: how often it locked everybody
    out, which no client may bring about.
    """

    def __init__(self, rand: random.Random, is_right: Callable[[str], bool]) -> None:
        self.rand, self.is_right = rand, is_right
        self.healthy_since: float | None = now()
        self.lockouts = self.refused = self.most_strangers = 0
        self.history_refused_until = 0.0
        self.rows: dict[str, list[dict[str, Any]]] = {}
        self._boots = itertools.count(1)
        self._boot = f"boot-{next(self._boots)}"
        self._up, self._stalled = True, False
        self._failures: deque[float] = deque()
        self._locked_until = 0.0
        # In their order: a seed must give the same world again.
        self._sockets: dict[_Socket, None] = {}
        self._said = itertools.count(1)
        self.nonces = itertools.count(1)

    async def open(self, listener: Listener, *, silent: bool) -> None:
        """What a client's socket meets. silent: whether it is one that is never answered."""
        await asyncio.sleep(self.rand.uniform(0.001, 0.004))
        if not self._up:
            raise Unreachable(message="nothing listens there", detail_code="CONNECTION_REFUSED")
        if sum(not one.ready for one in self._sockets) >= STRANGERS:
            raise Unreachable(message="HTTP 503 instead of a WebSocket", detail_code="HTTP_503")
        served = _Socket(self, silent=self._stalled or silent)
        self._sockets[served] = None
        self.most_strangers = max(self.most_strangers, sum(not one.ready for one in self._sockets))
        _pair(served, listener)

    def verdict(self, token: str) -> ErrorShape | None:
        """Why these credentials are refused; None where they are let in."""
        if now() < self._locked_until:
            left = (self._locked_until - now()) * 1000
            return ErrorShape("UNAVAILABLE", "too many failed", {"code": "AUTH_RATE_LIMITED"}, True, left)
        if self.is_right(token):
            return None
        self.refused += 1
        self._failures.append(now())
        while self._failures[0] <= now() - WINDOW:
            self._failures.popleft()
        if len(self._failures) >= FAILURES:
            self._locked_until, self.lockouts = now() + LOCKED, self.lockouts + 1
        return WRONG

    def hello(self) -> dict[str, Any]:
        return {
            "type": "hello-ok",
            "protocol": 4,
            "server": {"version": "2026.9.6", "connId": "c", "bootId": self._boot},
            "policy": {"tickIntervalMs": TICK * 1000},
            "auth": {"role": "operator", "scopes": SCOPES},
        }

    def answer(self, method: str, params: Any) -> Any:
        """The payload of an answer, or the error of one."""
        if method != "chat.history":
            return {}
        if now() < self.history_refused_until:
            left = (self.history_refused_until - now()) * 1000
            return ErrorShape("UNAVAILABLE", "not now", None, True, left)
        rows = self.rows.get(params["sessionKey"], [])
        limit = params.get("limit", 200)
        return {"messages": rows[-limit:], "hasMore": len(rows) > limit}

    def say(self, session: str) -> str:
        """A message that nobody asked for, to all who listen; its text is written down first."""
        number = next(self._said)
        text, run_id = f"message {number}", f"run-{number}"
        row = {
            "role": "assistant",
            "content": [{"type": "text", "text": text}],
            "timestamp": round(wall() * 1000),
            "stopReason": "stop",
            "__openclaw": {"id": f"row-{number}", "runId": run_id},
        }
        self.rows.setdefault(session, []).append(row)
        message = {"role": "assistant", "content": row["content"]}
        final = {"runId": run_id, "sessionKey": session, "seq": 1, "state": "final", "message": message}
        for socket in tuple(self._sockets):
            socket.emit("chat", final)
        return text

    def tick(self) -> None:
        for socket in tuple(self._sockets):
            socket.emit("tick", {"ts": round(wall() * 1000)})

    # Faults.

    def die(self) -> None:
        """Every socket ends without a word, and nothing listens."""
        self._up, self.healthy_since = False, None
        for socket in tuple(self._sockets):
            socket.cut()

    def come_back(self) -> None:
        self._up, self._stalled, self.healthy_since = True, False, now()
        self._boot, self._failures, self._locked_until = f"boot-{next(self._boots)}", deque(), 0.0

    def stall(self) -> None:
        """New sockets are opened and never answered."""
        self._stalled, self.healthy_since = True, None

    def lock(self) -> None:
        """Another process behind the same address has sent wrong tokens."""
        self._locked_until, self.healthy_since = now() + LOCKED, None
        asyncio.get_running_loop().call_later(LOCKED, self._unlock)

    def _unlock(self) -> None:
        if self._up and not self._stalled:
            self.healthy_since = now()

    def go_on(self) -> None:
        self._stalled, self.healthy_since = False, now()

    def left(self, socket: _Socket) -> None:
        self._sockets.pop(socket, None)


def wall() -> float:
    """The gateways' clock, in seconds since 1970."""
    return 1_700_000_000.0 + now()


class _Socket:
    """One accepted socket."""

    def __init__(self, gateway: Gateway, *, silent: bool) -> None:
        self._gateway, self._silent = gateway, silent
        self.ready = False
        self._core: ServerProtocol | None = None
        self._transport: Transport | None = None

    def on_opened(self, transport: Transport) -> None:
        self._transport = transport
        loop = asyncio.get_running_loop()
        loop.call_later(HANDSHAKE, self._too_late)
        if not self._silent:
            self._core = ServerProtocol(now(), {"nonce": f"n-{next(self._gateway.nonces)}", "ts": round(wall() * 1000)})
            self._flush()

    def try_fast_path(self, data: bytes) -> bool:
        return False

    def on_message(self, data: bytes) -> None:
        if self._core is None:
            return
        self._core.receive(data, now())
        while (event := self._core.next_event()) is not None:
            if isinstance(event, ConnectReceived):
                delay = self._gateway.rand.uniform(0.002, 0.02)
                asyncio.get_running_loop().call_later(delay, self._decide, event.params["auth"]["token"])
            elif isinstance(event, RequestReceived):
                answer = self._gateway.answer(event.method, event.params)
                if isinstance(answer, ErrorShape):
                    self._core.respond(event.id, error=answer)
                else:
                    self._core.respond(event.id, answer)
        self._flush()

    def on_ignored(self, reason: str) -> None:
        raise AssertionError(reason)

    def on_closed(self, code: int | None, reason: str, *, refused: bool = False) -> None:
        self._transport = None
        self._gateway.left(self)

    def emit(self, name: str, payload: dict[str, Any]) -> None:
        if self.ready and self._core is not None and self._transport is not None:
            self._core.emit(name, payload)
            self._flush()

    def cut(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _decide(self, token: str) -> None:
        if self._core is None or self._transport is None:
            return
        wrong = self._gateway.verdict(token)
        if wrong is not None:
            self._core.refuse(wrong, 1008, wrong.message, now())
        else:
            self.ready = True
            self._core.accept(self._gateway.hello(), now())
        self._flush()

    def _too_late(self) -> None:
        if not self.ready and self._transport is not None:
            self._transport.close(1000, "handshake timeout")

    def _flush(self) -> None:
        assert self._core is not None
        for item in self._core.outbox():
            if self._transport is None:
                return
            if isinstance(item, bytes):
                self._transport.send(item)
            else:
                self._transport.close(item.code, item.reason)


class _End(MemoryEnd):
    """Remembers nothing of what was sent: a simulated month is long."""

    def send(self, data: bytes, more: bool = False) -> None:
        super().send(data, more)
        self.sent.clear()


def _pair(served: Listener, client: Listener) -> None:
    ends = _End(served), _End(client)
    ends[0].peer, ends[1].peer = ends[1], ends[0]
    served.on_opened(ends[0])
    client.on_opened(ends[1])
