"""The other process of a soak: the gateways, a line to one of them for every client, the weather, and a crowd.

Apart, so that what is measured is the memory of the clients alone. Reads one JSON object a line from standard input and
answers each with one on standard output; ends when its input does. Knows no client.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import random
import sys
import time
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

from openclaw_client.errors import UsageError
from tests.chaos.proxy import FaultProxy
from tests.chaos.storm import GATEWAY_FAULTS, LINE_FAULTS, STALL, Mishap, Stage, upset

RELEASES = ("2026.4.15", "2026.9.6")
"""Wire v3 and v4: rows that name no run and rows that do, numbers of the server and of the connection."""
LINE_EVERY = 1.0
"""Seconds between two faults of lines: each of 32 clients meets two in a minute."""
GATEWAY_EVERY = 10.0
"""Seconds between two faults of gateways, of which three in seven end one."""
CROWD_EVERY = 0.5
"""Seconds between two things that the crowd of a gateway says; each comes to all clients that may hear it."""


class WatchedStage(Stage):
    """Knows when the gateway ended or forgot, by the clock that all processes of this machine share."""

    def __init__(self, release: str) -> None:
        super().__init__(release)
        self.changes: deque[tuple[float, bool]] = deque(maxlen=1000)
        self.sessions: dict[int, str] = {}
        """Where the users are now."""

    def _count_life(self, forgets: bool) -> None:
        super()._count_life(forgets)
        self.changes.append((time.monotonic(), forgets))

    def account(self, key: str, met: float, began: float, ended: float) -> dict[str, Any]:
        """What the gateway knows of a message, which it forgets; whether it was restarted since its sender met it, and
        whether it forgot everything since the message was sent."""
        record = self.ledger.records.pop(key, None)
        return {
            "begun": max(record.begun.values()) if record is not None else 0,
            "ended": record is not None and record.ended,
            "restarted": any(met <= at <= ended for at, _ in self.changes),
            "forgot": any(forgets and began <= at <= ended for at, forgets in self.changes),
        }


class Crowd:
    """Everybody else at a gateway: messages that nobody asked for, runs that never end, events and answers that are
    nobody's. Each run, session and event has a name of its own."""

    def __init__(self, stage: WatchedStage, rng: random.Random) -> None:
        self._stage, self._rng = stage, rng
        self._numbers = itertools.count(1)
        self.said: Counter[str] = Counter()

    async def talk(self) -> None:
        acts = (self.message, self.run, self.endless_run, self.heartbeat, self.event, self.answer)
        while True:
            await asyncio.sleep(self._rng.uniform(0, 2 * CROWD_EVERY))
            act = self._rng.choice(acts)
            try:
                act()
            except UsageError:
                # The gateway is not running now.
                continue
            self.said[act.__name__] += 1

    def message(self) -> None:
        number = next(self._numbers)
        self._stage.gateway.say(self._somewhere(number), f"message {number} {self._filler()}")

    def run(self) -> None:
        """A run that is heard from its beginning on."""
        number = next(self._numbers)
        session, run_id = self._somewhere(number), f"run-{self._rng.getrandbits(64):x}"
        self._delta(session, run_id, f"run {number}")

        def end() -> None:
            if not self._stage.gateway.running:
                return
            if self._is_quiet(session):
                self._stage.gateway.say(session, f"run {number} is over", run_id=run_id)
            else:
                stopped = {"runId": run_id, "sessionKey": session, "seq": 2, "state": "aborted"}
                self._stage.gateway.emit("chat", stopped)

        asyncio.get_running_loop().call_later(self._rng.uniform(0.1, 2), end)

    def endless_run(self) -> None:
        number = next(self._numbers)
        self._delta(f"agent:main:nobody-{number}", f"endless-{self._rng.getrandbits(64):x}", self._filler())

    def heartbeat(self) -> None:
        payload = {"runId": f"heart-{next(self._numbers)}", "stream": "lifecycle", "seq": 1, "isHeartbeat": True}
        self._stage.gateway.emit("agent", {**payload, "data": {"phase": "start"}})

    def event(self) -> None:
        number = next(self._numbers)
        self._stage.gateway.emit(f"soak.{number}", {"sessionKey": f"agent:main:nobody-{number}", "x": self._filler()})

    def answer(self) -> None:
        number = next(self._numbers)
        frame = {"type": "res", "id": f"{number}:nobody", "ok": number % 2 == 0, "payload": {"x": self._filler()}}
        self._stage.gateway.faults.send(frame)

    def _delta(self, session: str, run_id: str, text: str) -> None:
        message = {"role": "assistant", "content": [{"type": "text", "text": text}]}
        delta = {"runId": run_id, "sessionKey": session, "seq": 1, "state": "delta", "message": message}
        self._stage.gateway.emit("chat", delta)

    def _somewhere(self, number: int) -> str:
        """A session of a user, or one that nobody has used. Where rows name no run nobody could tell a message there
        from the answer to the user's own."""
        users = [session for session in self._stage.sessions.values() if self._is_quiet(session)]
        if users and self._stage.gateway.profile.rows_name_runs and self._rng.random() < 0.3:
            return self._rng.choice(users)
        return f"agent:main:crowd-{number}"

    def _is_quiet(self, session: str) -> bool:
        """Whether its last row is not a user's: what stands right behind one is taken for its answer."""
        return [row["role"] for row in self._stage.gateway.transcript(session)[-1:]] != ["user"]

    def _filler(self) -> str:
        return "x" * self._rng.choice((10, 100, 1_000, 10_000))


class Weather:
    """What goes wrong, until it is told to end; what has begun then comes to its own end."""

    def __init__(self, stages: list[WatchedStage], lines: list[FaultProxy], rng: random.Random, longest: float) -> None:
        self._stages, self._lines, self._rng, self._longest = stages, lines, rng, longest
        self.happened: Counter[str] = Counter()
        self._over = asyncio.Event()
        self._tasks = [
            asyncio.create_task(self._blow(LINE_FAULTS, LINE_EVERY, len(lines))),
            asyncio.create_task(self._blow(GATEWAY_FAULTS, GATEWAY_EVERY, len(stages))),
        ]

    async def _blow(self, kinds: tuple[str, ...], every: float, among: int) -> None:
        rng, deck = self._rng, list[str]()
        async with asyncio.TaskGroup() as group:
            while not self._over.is_set():
                if not deck:
                    # As a deck of cards: all kinds come before one comes again.
                    deck = rng.sample(kinds, len(kinds))
                seconds = min(self._longest, rng.uniform(0.2, 6.0) if rng.random() < 0.9 else STALL)
                mishap = Mishap(0.0, deck.pop(), rng.randrange(among), seconds, rng.randrange(2**30))
                self.happened[mishap.kind] += 1
                group.create_task(self._befall(mishap))
                try:
                    await asyncio.wait_for(self._over.wait(), rng.uniform(0, 2 * every))
                except TimeoutError:
                    continue

    async def _befall(self, mishap: Mishap) -> None:
        if mishap.kind in LINE_FAULTS:
            await upset(self._lines[mishap.whom], mishap)
        else:
            await self._stages[mishap.whom].suffer(mishap)

    async def end(self) -> None:
        """Return when everything works."""
        self._over.set()
        await asyncio.gather(*self._tasks)
        for line in self._lines:
            line.heal()
        for stage in self._stages:
            stage.gateway.faults.clear()


def place_of(number: int) -> int:
    """At which gateway a client is: each kind of client of both faces is at each, see `users.kind_of`."""
    return number // 8 % len(RELEASES)


def place(line: FaultProxy, stage: WatchedStage) -> dict[str, str | None]:
    """What the other process needs to know of one."""
    gateway = stage.gateway
    return {"url": line.url, "token": gateway.token, "release": gateway.profile.release, "joint": stage.joint}


async def serve(seed: int, clients: int, seconds: float) -> None:
    rng = random.Random(f"soak {seed}")
    async with AsyncExitStack() as stack:
        stages = [WatchedStage(release) for release in RELEASES]
        for stage in stages:
            await stack.enter_async_context(stage.gateway)
        lines = [FaultProxy(stages[place_of(number)].gateway.url) for number in range(clients)]
        for line in lines:
            await stack.enter_async_context(line)
        crowds = [Crowd(stage, rng) for stage in stages]
        tell({"places": [place(line, stages[place_of(number)]) for number, line in enumerate(lines)]})
        talk = [asyncio.create_task(crowd.talk()) for crowd in crowds]
        weather: Weather | None = None
        async for asked in questions():
            if asked["ask"] == "account":
                stage = stages[place_of(asked["user"])]
                stage.sessions[asked["user"]] = asked["session"]
                tell({"id": asked["id"], **stage.account(asked["key"], asked["met"], asked["began"], asked["ended"])})
            elif asked["ask"] == "weather":
                weather = Weather(stages, lines, rng, seconds / 4)
                tell({"id": asked["id"]})
            elif weather is not None:
                await weather.end()
                for task in talk:
                    task.cancel()
                said = sum((crowd.said for crowd in crowds), Counter[str]())
                tell({"id": asked["id"], "happened": dict(weather.happened), "said": dict(said)})


async def questions() -> AsyncIterator[dict[str, Any]]:
    """What the other process asks, until it is gone."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        yield json.loads(line)


def tell(answer: dict[str, Any]) -> None:
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    # There is a warning for each write to a socket that was cut, and that is all that happens here.
    logging.getLogger().setLevel(logging.ERROR)
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
