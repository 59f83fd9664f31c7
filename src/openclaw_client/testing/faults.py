"""What can go wrong between a gateway and its clients, on purpose.

Rules look at every outgoing frame, after it was numbered: a dropped event leaves the gap that a lost one leaves.
Methods may be called from any thread; those that touch sockets return when it is done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import msgspec

from openclaw_client.wire import codes
from openclaw_client.wire.frames import ErrorShape

WS_TEXT, WS_BINARY, WS_CONTINUATION = 1, 2, 0


class FaultPort(Protocol):
    """A connection as faults see it."""

    sent: int

    def put(self, data: bytes) -> None: ...
    def put_raw(self, data: bytes, kind: int, *, fin: bool) -> None: ...
    def put_bytes(self, data: bytes) -> None: ...
    def cut(self) -> None: ...
    def close(self, code: int, reason: str) -> None: ...
    def set_reading(self, reading: bool) -> None: ...
    def hold_back(self, data: bytes) -> None: ...


@dataclass(slots=True)
class OutFrame:
    """A frame that is about to be sent.

    name: the event, or the method that is answered. number: its place on this connection, from 1.
    """

    kind: Literal["event", "response"]
    name: str
    number: int
    data: bytes
    port: FaultPort
    _fields: dict[str, Any] | None = None

    @property
    def fields(self) -> dict[str, Any]:
        """The whole frame, decoded."""
        if self._fields is None:
            self._fields = msgspec.json.decode(self.data)
        return self._fields or {}

    @property
    def payload(self) -> Any:
        return self.fields.get("payload")

    def field(self, key: str) -> Any:
        """A key of the payload; None where there is none."""
        payload = self.payload
        return payload.get(key) if isinstance(payload, dict) else None


Where = str | Callable[[OutFrame], bool] | None
"""Which frames: the name of an event ("chat") or of the method that is answered ("chat.send"), a predicate, or all."""


def chat(state: str | None = None, run_id: str | None = None) -> Callable[[OutFrame], bool]:
    """A predicate for chat events of a state and of a run."""

    def matches(frame: OutFrame) -> bool:
        if frame.kind != "event" or frame.name != "chat":
            return False
        return state in (None, frame.field("state")) and run_id in (None, frame.field("runId"))

    return matches


@dataclass(slots=True, eq=False)
class Rule:
    """One fault. left: how often it still happens, None = always."""

    where: Where
    act: Callable[[OutFrame], None]
    left: int | None
    hits: int = 0

    def applies(self, frame: OutFrame) -> bool:
        if self.left == 0:
            return False
        if self.where is None:
            return True
        return frame.name == self.where if isinstance(self.where, str) else self.where(frame)

    @property
    def used_up(self) -> bool:
        """Whether it happened as often as it was to."""
        return self.left == 0


@dataclass(frozen=True, slots=True)
class ConnectRefusal:
    """What the next handshake gets instead of a verdict."""

    error: ErrorShape
    code: int
    reason: str


@dataclass(slots=True)
class Intercepted:
    """What the next requests of a method (None: any) get instead of being looked at: an error, or nothing at all."""

    method: str | None
    times: int
    error: ErrorShape | None = None


@dataclass(slots=True)
class Held:
    """Frames that are kept back until `release`."""

    faults: Faults
    rule: Rule | None = None
    frames: list[OutFrame] = field(default_factory=list)

    def release(self) -> None:
        """Send what was kept, in order, and keep nothing more. From any thread."""
        self.faults.run(self._release)

    def _release(self) -> None:
        if self.rule is not None:
            self.rule.left = 0
        frames, self.frames = self.frames, []
        for frame in frames:
            frame.port.put(frame.data)


class Faults:
    """The faults of one gateway. `ports` gives its open connections."""

    def __init__(self, ports: Callable[[], Iterable[FaultPort]]) -> None:
        self._ports = ports
        self._loop: asyncio.AbstractEventLoop | None = None
        self.rules: tuple[Rule, ...] = ()
        self.refusals: list[ConnectRefusal] = []
        self.upgrades: list[tuple[int, bytes]] = []
        self.intercepted: list[Intercepted] = []
        self.withheld_challenges = 0
        self.is_silent = False

    # Outgoing frames.

    def drop(self, where: Where = None, *, times: int | None = 1) -> Rule:
        """Send nothing instead of the frame."""
        return self._add(where, lambda _frame: None, times)

    def double(self, where: Where = None, *, times: int | None = 1) -> Rule:
        """Send the frame twice, the same number in both."""

        def act(frame: OutFrame) -> None:
            frame.port.put(frame.data)
            frame.port.put(frame.data)

        return self._add(where, act, times)

    def delay(self, where: Where, seconds: float, *, times: int | None = 1) -> Rule:
        """Send the frame later; those after it overtake it."""

        def act(frame: OutFrame) -> None:
            asyncio.get_running_loop().call_later(seconds, frame.port.put, frame.data)

        return self._add(where, act, times)

    def reorder(self, where: Where = None, *, times: int | None = 1) -> Rule:
        """Send the frame after the one that follows it on its connection."""
        return self._add(where, lambda frame: frame.port.hold_back(frame.data), times)

    def hold(self, where: Where = None) -> Held:
        """Keep frames back until `release` of what is returned."""
        held = Held(self)
        held.rule = self._add(where, held.frames.append, None)
        return held

    def rewrite(
        self, where: Where, change: Callable[[dict[str, Any]], dict[str, Any] | bytes], *, times: int | None = 1
    ) -> Rule:
        """Send what `change` makes of the decoded frame: another frame, or bytes as they are."""

        def act(frame: OutFrame) -> None:
            made = change(frame.fields)
            frame.port.put(made if isinstance(made, bytes) else msgspec.json.encode(made))

        return self._add(where, act, times)

    def cut(
        self, *, before: int | None = None, after: int | None = None, where: Where = None, times: int | None = 1
    ) -> Rule:
        """Cut the socket without a close frame before or after a frame.

        By its number on its connection (the challenge is 1, hello-ok 2), or at a frame that `where` means: then after
        it is sent, unless before=0 says otherwise.
        """
        number = before if before else after

        def matches(frame: OutFrame) -> bool:
            if number is not None and frame.number != number:
                return False
            return Rule(where, lambda _frame: None, None).applies(frame)

        def act(frame: OutFrame) -> None:
            if before is None:
                frame.port.put(frame.data)
            frame.port.cut()

        return self._add(matches, act, times)

    # The handshake.

    def refuse(
        self,
        message: str = "unauthorized",
        *,
        code: str = "INVALID_REQUEST",
        details: Mapping[str, Any] | None = None,
        retryable: bool | None = None,
        retry_after_ms: float | None = None,
        close_code: int = codes.CLOSE_POLICY,
        reason: str | None = None,
        times: int = 1,
    ) -> None:
        """Refuse the next connect requests with this error and this close."""
        shape = ErrorShape(code, message, None if details is None else dict(details), retryable, retry_after_ms)
        self.refusals.extend([ConnectRefusal(shape, close_code, message if reason is None else reason)] * times)

    def starting(self, *, times: int = 1, retry_after_ms: float = 500) -> None:
        """Refuse the next connect requests as a gateway does that has not started all its parts."""
        self.refuse(
            "gateway starting; retry shortly",
            code="UNAVAILABLE",
            details={"reason": "startup-sidecars"},
            retryable=True,
            retry_after_ms=retry_after_ms,
            close_code=codes.CLOSE_TRY_LATER,
            reason="gateway starting",
            times=times,
        )

    def refuse_upgrade(self, status: int = 503, body: bytes = b"", *, times: int = 1) -> None:
        """Answer the next WebSocket upgrades with this HTTP status."""
        self.upgrades.extend([(status, body)] * times)

    def withhold_challenge(self, *, times: int = 1) -> None:
        """Send the next connections no challenge."""
        self.withheld_challenges += times

    # Requests.

    def swallow(self, method: str | None = None, *, times: int = 1) -> None:
        """Never look at the next requests of this method (None: any): no effect, no answer."""
        self.intercepted.append(Intercepted(method, times))

    def not_ready(self, method: str | None = None, *, times: int = 1, retry_after_ms: float = 500) -> None:
        """Refuse the next requests of this method (None: any) as a gateway does that is still starting: no effect."""
        details = {"reason": "startup-sidecars", "method": method}
        error = ErrorShape("UNAVAILABLE", "gateway starting; retry shortly", details, True, retry_after_ms)
        self.intercepted.append(Intercepted(method, times, error))

    def intercept(self, method: str) -> Intercepted | None:
        """What a request gets instead of being looked at; None where it is to be. Counts it."""
        for one in self.intercepted:
            if one.method in (None, method):
                one.times -= 1
                if not one.times:
                    self.intercepted.remove(one)
                return one
        return None

    @property
    def outstanding(self) -> int:
        """How many requests are still to be swallowed or refused."""
        return sum(one.times for one in self.intercepted)

    # Sockets.

    def silence(self) -> None:
        """From now on send nothing at all, no ticks and no pongs either, with all sockets open."""
        self.is_silent = True

    def speak(self) -> None:
        """End `silence`. What was not sent stays unsent."""
        self.is_silent = False

    def stall(self) -> None:
        """Stop reading from the sockets that are open now: what clients send piles up."""
        self._each(lambda port: port.set_reading(False))

    def unstall(self) -> None:
        """Read again."""
        self._each(lambda port: port.set_reading(True))

    def disconnect(self, code: int | None = None, reason: str = "") -> None:
        """Close all sockets with this code, or cut them where it is None."""
        self._each(lambda port: port.cut() if code is None else port.close(code, reason))

    def send(self, frame: Mapping[str, Any] | bytes, *, binary: bool = False) -> None:
        """Send a frame to all connections, as it is."""
        data = frame if isinstance(frame, bytes) else msgspec.json.encode(frame)
        self._each(lambda port: port.put_raw(data, WS_BINARY if binary else WS_TEXT, fin=True))

    def send_fragments(self, data: bytes, size: int, *, finish: bool = True) -> None:
        """Send one message to all in fragments of `size` bytes; unfinished if asked."""
        pieces = [data[at : at + size] for at in range(0, len(data), size)]

        def put(port: FaultPort) -> None:
            for index, piece in enumerate(pieces):
                last = finish and index == len(pieces) - 1
                port.put_raw(piece, WS_CONTINUATION if index else WS_TEXT, fin=last)

        self._each(put)

    def send_bytes(self, data: bytes) -> None:
        """Write bytes to all sockets that need be no WebSocket frame at all."""
        self._each(lambda port: port.put_bytes(data))

    def clear(self) -> None:
        """End every fault that was not used yet. Frames that `hold` keeps stay kept."""
        self.rules = ()
        self.refusals.clear()
        self.upgrades.clear()
        self.intercepted.clear()
        self.withheld_challenges = 0
        self.is_silent = False

    # Inside.

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """The loop on which the gateway runs."""
        self._loop = loop

    def apply(self, frame: OutFrame) -> bool:
        """Let the first rule that means this frame have it; False where none does."""
        for rule in self.rules:
            if rule.applies(frame):
                rule.hits += 1
                if rule.left is not None:
                    rule.left -= 1
                    if not rule.left:
                        self.rules = tuple(one for one in self.rules if one is not rule)
                rule.act(frame)
                return True
        return False

    def run(self, action: Callable[[], None]) -> None:
        """Do something on the gateway's loop and return when it is done."""
        loop = self._loop
        if loop is None or _running_loop() is loop:
            action()
            return

        async def on_loop() -> None:
            action()

        asyncio.run_coroutine_threadsafe(on_loop(), loop).result()

    def _each(self, action: Callable[[FaultPort], None]) -> None:
        def on_all() -> None:
            for port in list(self._ports()):
                action(port)

        self.run(on_all)

    def _add(self, where: Where, act: Callable[[OutFrame], None], times: int | None) -> Rule:
        rule = Rule(where, act, times)
        self.rules = (*self.rules, rule)
        return rule


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
