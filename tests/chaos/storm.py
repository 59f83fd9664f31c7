"""Random chaos: what happens when, what the gateway itself knows of every message, and whether an outcome is true.

Knows the embedded gateway and the proxy. The plan comes from a seed alone, so that a seed repeats the same faults at
the same times; what meets them is up to the machine.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from openclaw_client.errors import (
    ConnectionLost,
    GatewayError,
    NotConnected,
    OutcomeUnknown,
    RequestTimeout,
    RunFailed,
    RunLost,
)
from openclaw_client.testing import EmbeddedGateway, OutFrame, Turn
from tests.chaos.proxy import FaultProxy

STALL = 25.0
"""Seconds of the longest stall: within the patience of a connection that ticks each 30 s, beyond that of one that ticks
each 5."""
TICK = 5.0
MEAN_RUN = 2.0
"""Seconds that a run takes on average, faults included."""
REASON = "the provider said no"

LINE_FAULTS = ("cut", "half-close", "stall", "hole", "slow", "latency")
GATEWAY_FAULTS = ("restart", "forget", "crash", "drop", "double", "busy-start", "upgrade-503")


@dataclass(frozen=True, slots=True)
class Mishap:
    """One fault: of the line of a client, or of a gateway. seconds: how long, where that means something."""

    at: float
    kind: str
    whom: int
    seconds: float
    dice: int


@dataclass(frozen=True, slots=True)
class Errand:
    """One message. after: the pause before it. prompted: whether a system prompt goes with it. The agent obeys the
    words of the message."""

    number: int
    after: float
    pieces: int
    pace: int
    tool: bool
    fails: bool
    prompted: bool

    @property
    def message(self) -> str:
        words = ["tool" if self.tool else "plain", "fails" if self.fails else "speaks"]
        words.append("told" if self.prompted else "bare")
        return f"{self.number} {self.pieces} {self.pace} {' '.join(words)}"

    @property
    def system_prompt(self) -> str | None:
        return f"of {self.number}" if self.prompted else None

    def text(self, joint: str) -> str:
        """The whole reply; joint: what the release puts between the words before a tool call and after it."""
        words, half = [f"{self.number}.{at} " for at in range(self.pieces)], self.pieces // 2
        if not self.tool or not half:
            return "".join(words)
        return "".join(words[:half]) + joint + "".join(words[half:])


def plan_errands(seed: int, clients: int, sends: int, duration: float) -> list[list[Errand]]:
    """Who sends what, spread over the duration."""
    rng = random.Random(f"errands {seed}")
    each = sends // clients
    pause = max(0.0, duration / each - MEAN_RUN)

    def errand(number: int) -> Errand:
        return Errand(
            number,
            rng.uniform(0, 2 * pause),
            rng.randint(1, 30),
            rng.randint(0, 120),
            rng.random() < 0.4,
            rng.random() < 0.05,
            rng.random() < 0.4,
        )

    return [[errand(client * each + at) for at in range(each)] for client in range(clients)]


def plan_mishaps(seed: int, clients: int, gateways: int, duration: float) -> list[Mishap]:
    """What goes wrong, in order: on average two lines each second, and a gateway each two."""
    rng = random.Random(f"mishaps {seed}")
    mishaps: list[Mishap] = []
    for kinds, among, mean in ((LINE_FAULTS, clients, 0.5), (GATEWAY_FAULTS, gateways, 2.0)):
        # Never fewer than one of each kind, however short the storm is.
        count, deck = max(len(kinds), round(duration / mean)), list[str]()
        for _ in range(count):
            if not deck:
                # As a deck of cards: all kinds come before one comes again.
                deck = rng.sample(kinds, len(kinds))
            seconds = rng.uniform(0.2, 6.0) if rng.random() < 0.8 else min(STALL, duration / 3)
            at = rng.uniform(0.0, duration)
            mishaps.append(Mishap(at, deck.pop(), rng.randrange(among), seconds, rng.randrange(2**30)))
    return sorted(mishaps, key=lambda one: one.at)


@dataclass(slots=True)
class Record:
    """What a gateway knows of one message. life, memory: the process and the memory in which it began."""

    life: int
    memory: int
    begun: Counter[int] = field(default_factory=Counter)
    ended: bool = False


class Ledger:
    """The gateway's own account of what it did, kept where no fault reaches."""

    def __init__(self) -> None:
        self.life = 0
        self.memory = 0
        self.records: dict[str, Record] = {}

    async def agent(self, turn: Turn) -> AsyncIterator[str]:
        """Obeys an errand, and writes down that it did."""
        number, pieces, pace, tool, fails, told = turn.message.split()
        record = self.records.setdefault(turn.run_id, Record(self.life, self.memory))
        record.begun[self.memory] += 1
        record.ended = False
        count = int(pieces)
        if turn.system_prompt != (f"of {number}" if told == "told" else None):
            yield f"asked with {turn.system_prompt!r}: "
        for at in range(count):
            if tool == "tool" and at == count // 2:
                turn.tool("lookup", {"at": at}, "found")
            yield f"{number}.{at} "
            await asyncio.sleep(int(pace) / 1000)
        record.ended = True
        if fails == "fails":
            turn.fail(REASON)


class Stage:
    """One embedded gateway with its account, and what a mishap does to it."""

    def __init__(self, release: str) -> None:
        self.ledger = Ledger()
        self.gateway = EmbeddedGateway(self.ledger.agent, release=release, tick_interval=TICK)
        self.joint = "\n\n" if release == "2026.9.6" else ""
        self._ending = asyncio.Lock()

    async def suffer(self, mishap: Mishap) -> None:
        """What befalls a gateway."""
        faults, dice = self.gateway.faults, random.Random(mishap.dice)
        match mishap.kind:
            case "restart" | "forget":
                forgets = mishap.kind == "forget"
                async with self._ending, self._other_life(forgets=forgets):
                    await self.gateway.restart(keep_memory=not forgets)
            case "crash":
                async with self._ending, self._other_life():
                    await self.gateway.crash()
                    await asyncio.sleep(min(mishap.seconds, 2.0))
                    await self.gateway.start()
            case "drop":
                faults.drop(_some(dice, 0.3), times=dice.randint(1, 6))
            case "double":
                faults.double(_some(dice, 0.5), times=dice.randint(1, 20))
            case "busy-start":
                faults.starting(times=dice.randint(1, 4), retry_after_ms=200)
            case _:
                faults.refuse_upgrade(503, times=dice.randint(1, 4))

    @asynccontextmanager
    async def _other_life(self, *, forgets: bool = False) -> AsyncIterator[None]:
        """Counted at its beginning and at its end: what is sent in between still meets the gateway that ends."""
        self._count_life(forgets)
        try:
            yield
        finally:
            self._count_life(forgets)

    def _count_life(self, forgets: bool) -> None:
        self.ledger.life += 1
        self.ledger.memory += forgets


def _some(dice: random.Random, share: float) -> Any:
    """Some of the events of runs, of every state."""

    def chosen(frame: OutFrame) -> bool:
        return frame.kind == "event" and frame.name in ("chat", "agent") and dice.random() < share

    return chosen


async def upset(line: FaultProxy, mishap: Mishap) -> None:
    """What befalls a line; returns when it is over."""
    match mishap.kind:
        case "cut":
            line.cut()
            return
        case "half-close":
            line.half_close("up" if mishap.dice % 2 else "down")
            return
        case "stall":
            line.stall()
        case "hole":
            line.black_hole()
        case "slow":
            line.bytes_per_second = 2000 + mishap.dice % 20000
        case _:
            line.latency = 0.05 + mishap.dice % 100 / 500
    await asyncio.sleep(mishap.seconds)
    line.heal()


@dataclass(frozen=True, slots=True)
class Sent:
    """A message and what its caller got. life, memory: those of the gateway when it was sent, and when it ended."""

    errand: Errand
    key: str
    lives: tuple[int, int]
    memories: tuple[int, int]
    text: str | None = None
    pieces: str = ""
    recovered: bool = False
    error: GatewayError | None = None


def judge(sent: Sent, record: Record | None, joint: str) -> tuple[str, str | None]:
    """What came of it, and what is wrong about that by the gateway's own account; None where nothing is."""
    if record is not None and max(record.begun.values()) > 1:
        return "doubled", f"ran {dict(record.begun)} times"
    if sent.error is not None:
        return _judge_error(sent, record, sent.error)
    expected = sent.errand.text(joint)
    if sent.text != expected:
        return "wrong", f"got {sent.text!r}, expected {expected!r}"
    if sent.pieces != expected:
        return "wrong", f"the events make {sent.pieces!r}, expected {expected!r}"
    if sent.errand.fails:
        return "wrong", "a failed run was given as a reply"
    return ("from_history" if sent.recovered else "right"), None


def _judge_error(sent: Sent, record: Record | None, error: GatewayError) -> tuple[str, str | None]:
    what = f"{type(error).__name__}: {error}"
    restarted = sent.lives[0] != sent.lives[1]
    forgot = sent.memories[0] != sent.memories[1]
    if isinstance(error, RunFailed):
        true = sent.errand.fails and REASON in str(error) and record is not None
        return "failed", None if true else what
    if isinstance(error, RunLost):
        # Its process ended before the run did, or before it began; or the gateway forgot what it had said.
        true = forgot or (restarted and (record is None or not record.ended))
        return "lost_truly" if true else "lost", None if true else f"{what}; {record}, restarted={restarted}"
    if isinstance(error, OutcomeUnknown):
        return "unknown", None if restarted else f"{what}; the gateway was the same all the time"
    if isinstance(error, RequestTimeout):
        # Says itself that it may have run.
        return "unanswered", None if record is None else f"{what}, although the run began"
    if isinstance(error, NotConnected) or (isinstance(error, ConnectionLost) and error.sent is False):
        return "not_sent", None if record is None else f"{what}, but the gateway got it"
    return "wrong", what
