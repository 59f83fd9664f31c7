"""The program that is killed: it asks one message after another, and has on disk what it took.

`python -m tests.crash.application PLAN`, with a `Plan` as JSON. In each life it first takes up what the journal says is
pending, then what it meant to ask and has no reply to, then goes on. Ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
import sys
from collections import Counter
from collections.abc import Awaitable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from openclaw_client import AsyncGatewayClient, FileIdentityStore, ReconnectPolicy, TextAppended, Timeouts
from openclaw_client.errors import ConnectError, GatewayError, OutcomeUnknown, RunFailed, RunLost, RunUnknown
from tests.crash.log import Line, Log, read
from tests.crash.words import ALL, OWN, SESSIONS, name_of, own_message, session_of

USER = "alice"
LOG, JOURNAL, DEVICE = "application.log", "journal.db", "device.json"
AT_LAST = 2
"""Messages for each session that the last life asks beside all that is open."""
RAISES = 0.1
"""Of the messages that come for the first time."""
TRIES = 60
AGAIN = 0.2
"""Seconds until it tries again what was not sent."""
SETTLED = 15.0
"""Seconds within which the journal's list is empty when everything was taken: far above the second that a reply is
kept there for who had no time to store it."""
TOLD = (RunLost, OutcomeUnknown, RunFailed, RunUnknown)
"""Errors that say for good what is known."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One life. last: it is not killed, and begins nothing new but `AT_LAST` messages for each session."""

    url: str
    token: str
    folder: str
    seed: str
    life: int
    last: bool = False
    journal: bool = True

    def argument(self) -> str:
        return json.dumps(asdict(self))


class Past:
    """What the log says of former lives, kept up to date."""

    def __init__(self, lines: list[Line]) -> None:
        self.meant = {line["name"] for line in lines if line["what"] == "intend"}
        self.over = Counter(line["name"] for line in lines if line["what"] in ("taken", "told"))

    def open(self, session: int) -> list[int]:
        """The messages of a session that wait for a reply."""
        numbers = (int(name[1:]) for name in self.meant - self.over.keys())
        return sorted(number for number in numbers if number % len(SESSIONS) == session)

    def next(self, session: int) -> int:
        """The next message of a session."""
        numbers = [int(name[1:]) for name in self.meant]
        return max((one for one in numbers if one % len(SESSIONS) == session), default=session) + len(SESSIONS)


class Application:
    def __init__(self, plan: Plan) -> None:
        folder = Path(plan.folder)
        self.plan = plan
        self.past = Past(read(folder / LOG))
        self.log = Log(folder / LOG, plan.life, lambda line: os.write(1, line))
        self.rng = random.Random(f"{plan.seed} life {plan.life}")
        # Without one everything goes wrong, and that is to be seen, too.
        kept: dict[str, Any] = {"journal": folder / JOURNAL} if plan.journal else {}
        self.client = AsyncGatewayClient(
            plan.url,
            token=plan.token,
            user=USER,
            identity=FileIdentityStore(folder / DEVICE),
            sessions=ALL,
            timeouts=Timeouts(connect=30),
            reconnect=ReconnectPolicy(initial=0.05, maximum=0.5),
            **kept,
        )
        self.client.on_proactive_message(self.handle)

    async def live(self) -> None:
        self.log.add("start")
        found = await self.pending()
        self.log.add("pending", runs=_told(found))
        await self.connect()
        self.log.add("ready")
        async with asyncio.TaskGroup() as group:
            for session, key in enumerate(SESSIONS):
                group.create_task(self.work(session, key, [run for run in found if run.session_key == key]))
        await self.settle()
        await asyncio.to_thread(sys.stdin.read)
        await self.client.disconnect()
        self.log.add("closed")

    async def connect(self) -> None:
        for _ in range(1000):
            try:
                return await self.client.connect()
            except ConnectError:
                # The gateway is about to come back.
                await asyncio.sleep(0.1)
        raise TimeoutError("the gateway does not come back")

    async def pending(self) -> tuple[Any, ...]:
        # What no version without a journal has.
        return await self.client.pending() if self.plan.journal else ()

    async def settle(self) -> None:
        """Look until the journal has nothing to take up, or has had long enough."""
        for _ in range(round(SETTLED / AGAIN)):
            left = await self.pending()
            if not left:
                break
            await asyncio.sleep(AGAIN)
        self.log.add("settled", runs=_told(left))

    # Asking.

    async def work(self, session: int, key: str, found: list[Any]) -> None:
        """One message after the other."""
        if self.rng.random() < 0.3:
            # Nobody asks for the runs that go on, or have ended meanwhile: they are nobody's message either.
            await asyncio.sleep(self.rng.uniform(0, 3))
        for run in found:
            await self.take_up(run)
        for number in self.past.open(session):
            await self.ask(number)
        self.log.add("resumed", session=key)
        for _ in self.further():
            await self.ask(self.past.next(session))
            await asyncio.sleep(self.rng.uniform(0, 0.1))

    def further(self) -> Iterator[int]:
        return iter(range(AT_LAST if self.plan.last else sys.maxsize))

    async def ask(self, number: int) -> None:
        """Ask until there is a reply, or it is known why there is none."""
        name = f"{OWN}{number}"
        for _ in range(TRIES):
            known = (
                [run for run in await self.pending() if name_of(run.message) == name] if name in self.past.meant else []
            )
            if await (self.take_up(known[0]) if known else self.send(name, number)):
                return
            await asyncio.sleep(AGAIN)
        raise TimeoutError(f"{name} was never sent")

    async def send(self, name: str, number: int) -> bool:
        """Whether it is known what came of it."""
        message, session = own_message(name, self.plan.seed), session_of(name)
        key = f"own-{name}" if number // 4 % 2 else None
        self.past.meant.add(name)
        self.log.add("intend", name=name, key=key)
        if number // 2 % 2:
            sent = self.client.chat_send(
                session_key=session, message=message, idempotency_key=key, on_event=lambda event: self.hear(name, event)
            )
            return await self.outcome(name, "send", sent)
        return await self.outcome(
            name,
            "stream",
            self.followed(name, self.client.chat_stream(session_key=session, message=message, idempotency_key=key)),
        )

    async def take_up(self, run: Any) -> bool:
        """Whether it is known what came of a run of the journal's list."""
        name = name_of(run.message) or f"unnamed {run.run_id}"
        if self.past.over[name] > int(name[1:]) % 2:
            # It has the reply; the journal could not know.
            await self.client.forget(run.run_id)
            self.log.add("forgot", name=name)
            return True
        return await self.outcome(name, "attach", self.followed(name, self.client.chat_attach(run)))

    async def followed(self, name: str, run: Any) -> Any:
        async with run:
            async for event in run:
                self.hear(name, event)
            return await run.result()

    def hear(self, name: str, event: object) -> None:
        if isinstance(event, TextAppended):
            self.log.add("text", name=name)

    async def outcome(self, name: str, by: str, reply: Awaitable[Any]) -> bool:
        try:
            got = await reply
        except TOLD as error:
            self.log.add("told", name=name, by=by, error=type(error).__name__, words=str(error))
        except GatewayError as error:
            self.log.add("error", name=name, by=by, error=type(error).__name__, words=str(error))
            return False
        else:
            self.log.add("taken", name=name, by=by, state=got.state, text=got.text, run=got.run_id)
        self.past.over[name] += 1
        return True

    # Being told.

    async def handle(self, _user: object, message: Any) -> None:
        first = getattr(message, "delivery", 1) == 1
        facts = {"id": message.id, "delivery": getattr(message, "delivery", 1)}
        self.log.add("begin", **facts, text=message.text, kind=message.kind, session=message.session_key)
        await asyncio.sleep(self.rng.uniform(0, 0.08))
        if first and self.rng.random() < RAISES:
            self.log.add("raise", **facts)
            raise RuntimeError("the handler says no")
        self.log.add("end", **facts)


def _told(runs: tuple[Any, ...]) -> list[dict[str, Any]]:
    return [{"name": name_of(run.message), "run": run.run_id, "state": run.state} for run in runs]


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(relativeCreated)d %(name)s %(levelname)s %(message)s")
    asyncio.run(Application(Plan(**json.loads(sys.argv[1]))).live())
