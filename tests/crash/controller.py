"""One release: kills the application over and over, and the gateway now and then, and has everything written down."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from openclaw_client.journal.sqlite import SqliteJournal
from tests.crash.application import JOURNAL, LOG, Plan
from tests.crash.crowd import Crowd
from tests.crash.judge import Account, Restart, Said
from tests.crash.lives import ERRORS, Life
from tests.crash.log import now, read
from tests.crash.stages import Stage
from tests.crash.words import SESSIONS


@dataclass(frozen=True, slots=True)
class Aim:
    """Where a kill is to fall: at most so many seconds behind a line of the application's log."""

    name: str
    what: str
    longest: float


AIMS = (
    Aim("before a send", "intend", 0.004),
    Aim("in a send", "intend", 0.15),
    Aim("in a stream", "text", 0.4),
    Aim("in a handler", "begin", 0.08),
    Aim("behind a handler", "end", 0.01),
    Aim("behind a reply", "taken", 1.2),
    Aim("at a start", "start", 0.6),
)
RESTART_EVERY = 4
"""Kills; the gateway is restarted behind one, by SIGKILL and softly in turn."""
REACHED = 8.0
"""Seconds within which the application does anything, times the patience of the stage."""
HEARD = 10.0
"""Seconds of the last life within which one more message is handled, times the patience of the stage; the handler makes
pauses of one."""
DEAD = 0.3
"""Seconds between two lives, at most."""


class Trial:
    """Everything about one release. first: the aim of the first kill. heard: see `HEARD`."""

    def __init__(
        self,
        stage: Stage,
        folder: Path,
        seed: str,
        kills: int,
        *,
        journal: bool = True,
        first: int = 0,
        heard: float = HEARD,
    ) -> None:
        self.stage, self.folder, self.seed, self.kills = stage, folder, seed, kills
        self.aimed: Counter[str] = Counter()
        self._journal, self._first, self._heard = journal, first, heard
        self._rng = random.Random(f"{seed} {stage.release}")
        self._crowd = Crowd(stage, self._rng)
        self._account = Account(stage.release, seed, [], real=stage.patience > 1)
        self._lives = itertools.count(1)
        self._restarting: asyncio.Task[None] | None = None

    async def run(self) -> Account:
        """Everything, from the first life to the last."""
        over = asyncio.Event()
        async with self._crowd.client, asyncio.TaskGroup() as group:
            for number in range(self.kills):
                async with Life(self._plan()) as life:
                    if number == 0:
                        await self._begin(life, over, group)
                    if number % RESTART_EVERY == 0 and number % (2 * RESTART_EVERY):
                        # It takes seconds to be sure that a run is lost, and the session waits for it.
                        await life.reach(
                            lambda life=life: life.seen["resumed"] == len(SESSIONS), self._seconds(REACHED)
                        )  # type: ignore[misc]
                    await self._kill(life, AIMS[(self._first + number) % len(AIMS)])
                await asyncio.sleep(self._rng.uniform(0, DEAD))
                if number % RESTART_EVERY == RESTART_EVERY - 1:
                    await self._restart(hard=number // RESTART_EVERY % 2 == 0)
            await self._restarted()
            async with Life(self._plan(last=True)) as life:
                if not self.kills:
                    await self._begin(life, over, group)
                await self._see_out(life, over)
            return await self._written_down()

    async def _begin(self, life: Life, over: asyncio.Event, group: asyncio.TaskGroup) -> None:
        """What is said before the first life is connected is old to it."""
        await life.reach(lambda: life.seen["ready"] > 0, self._seconds(REACHED))
        self._talking = group.create_task(self._crowd.talk(over))

    def _seconds(self, embedded: float) -> float:
        return embedded * self.stage.patience

    def _plan(self, *, last: bool = False) -> Plan:
        return Plan(
            self.stage.url,
            self.stage.token,
            str(self.folder),
            self.seed,
            next(self._lives),
            last=last,
            journal=self._journal,
        )

    async def _kill(self, life: Life, aim: Aim) -> None:
        times = self._rng.randint(1, 4) if aim.what != "start" else 1
        met = await life.reach(lambda: life.seen[aim.what] >= times, self._seconds(REACHED))
        await asyncio.sleep(self._rng.uniform(0, aim.longest))
        if not await life.kill():
            self._account.strange.append(f"life {life.plan.life} ended by itself; see {ERRORS}")
        self._account.kills.append(life.ended_at)
        self.aimed[aim.name if met else "anywhere"] += 1

    async def _restart(self, *, hard: bool) -> None:
        """Of the gateway; half of the times the application comes back first."""
        await self._restarted()
        begin = now()

        async def restart() -> None:
            await self.stage.restart(hard=hard)
            self._account.restarts.append(Restart(begin, now(), hard))

        self._restarting = asyncio.create_task(restart())
        if self._rng.random() < 0.5:
            await self._restarted()

    async def _restarted(self) -> None:
        restarting, self._restarting = self._restarting, None
        if restarting is not None:
            await restarting

    async def _see_out(self, life: Life, over: asyncio.Event) -> None:
        """Let the last life come to its end: every reply, every message."""
        if not await life.reach(lambda: life.seen["settled"] > 0, self._seconds(60)):
            self._account.strange.append("the last life did not get through")
        over.set()
        await self._talking
        while self._missing():
            before = life.seen["end"]
            if not await life.reach(lambda before=before: life.seen["end"] > before, self._seconds(self._heard)):  # type: ignore[misc]
                break
        if (code := await life.end(self._seconds(REACHED))) != 0:
            self._account.strange.append(f"the last life ended with {code}; see {ERRORS}")

    def _missing(self) -> set[str]:
        """What was said and is not handled yet."""
        lines = read(self.folder / LOG)
        texts = {line["id"]: line["text"] for line in lines if line["what"] == "begin"}
        handled = {texts[line["id"]] for line in lines if line["what"] == "end"}
        return {said.text for said in self._crowd.said if said.certain} - handled

    async def _written_down(self) -> Account:
        account = self._account
        account.lines = read(self.folder / LOG)
        account.asked = self.stage.asked()
        account.said = [Said(one.name, one.text, one.at, one.certain) for one in self._crowd.said]
        account.histories = await self._crowd.histories()
        if self._journal:
            journal = SqliteJournal(self.folder / JOURNAL)
            account.dead = frozenset(kept.message.id for kept in await journal.dead())
            await journal.close()
        return account
