"""One soak from its beginning to its end."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from tests.faces import Face
from tests.soak.company import GatewayProcess
from tests.soak.figures import HEAD, LEAST, PARTS, Samples, all_tasks, census, grown, more, row
from tests.soak.tables import make_small
from tests.soak.users import COUNTED, MOST_FAULTS, RECONNECT, TIMEOUTS, TRUE, TRUE_FAILURES, User

CLIENTS = 32
IDLE = 4.0
"""Seconds after which a manager closes a connection: less than the pause between two messages."""
SETTLED = 30.0
"""Seconds after which what still stands is taken for left behind; far above what the end of a connection takes."""
OURS = ("Engine", "Supervisor", "Connection", "RunDriver", "RunLife", "EventStream", "BlockingEventStream")
"""Of which none may be left when all clients are closed and given back."""

Say = Callable[[str], object]


class Complaints(logging.Handler):
    """Counts the lines of the log, and keeps those of which there may be none: an exception that nobody caught."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.counted: Counter[str] = Counter()
        self.faults: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.counted[record.levelname] += 1
        if record.levelno >= logging.ERROR and len(self.faults) < MOST_FAULTS:
            self.faults.append(f"the log: {self.format(record)}")


async def soak(seconds: float, seed: int, say: Say) -> list[str]:
    """Let everybody live for so long; what was wrong. Makes the tables of this process small, for good."""
    make_small()
    complaints, samples = Complaints(), Samples(seconds)
    logging.getLogger().addHandler(complaints)
    try:
        async with GatewayProcess(seed, CLIENTS, seconds) as gateways:
            async with company(gateways, seed) as users:
                await asyncio.gather(*(user.settle() for user in users))
                await gateways.ask("weather")
                early = await _live(users, seconds, samples, say)
                ended = await gateways.ask("end")
                await asyncio.gather(*(user.settle() for user in users))
                late = census()
            left = await left_behind()
    finally:
        logging.getLogger().removeHandler(complaints)
    total = _total(users)
    say(f"in all: {_told(total)}")
    say(f"faults of lines and gateways: {_told(ended['happened'])}; by others: {_told(ended['said'])}")
    say(f"lines of the log: {_told(complaints.counted)}")
    faults = [fault for user in users for fault in user.faults] + complaints.faults + left
    if sum(total[name] for name in TRUE) <= total["sent"] / 2:
        faults.append(f"only {_told({name: total[name] for name in TRUE})} of {total['sent']} messages")
    if seconds < LEAST:
        say(f"memory is not judged: that takes {LEAST / 60:g} minutes")
    elif rising := grown(samples):
        faults += [*rising, f"more objects than at six tenths of the time: {', '.join(more(early, late))}"]
    return faults


@asynccontextmanager
async def company(gateways: GatewayProcess, seed: int) -> AsyncIterator[list[User]]:
    """The users, half of them of each face; all that they have is given back behind them."""
    users: dict[int, User] = {}
    async with AsyncExitStack() as stack:
        for odd, name in enumerate(("async", "sync")):
            face = Face(name)
            stack.callback(face.close)
            manager = face.manager(
                lambda number: users[number].credentials, timeouts=TIMEOUTS, reconnect=RECONNECT, idle_timeout=IDLE
            )
            manager.on_proactive_message(lambda number, message: users[number].hear(number, message))
            await stack.enter_async_context(manager)
            users.update({number: User(number, seed, gateways, face, manager) for number in range(odd, CLIENTS, 2)})
        yield list(users.values())
        await asyncio.gather(*(user.leave() for user in users.values()))


async def _live(users: list[User], seconds: float, samples: Samples, say: Say) -> Counter[str]:
    """Everybody's life, and a row of the table at each tenth of it. Returns the census of six tenths."""
    loop, early, before = asyncio.get_running_loop(), Counter[str](), Counter[str]()
    begin = loop.time()
    say(f"{HEAD} {'sent':>6} {'right':>6} {'failed, truly':>13} {'left, aborted':>13}")
    async with asyncio.TaskGroup() as group:
        for user in users:
            group.create_task(user.live(begin + seconds))
        for part in range(PARTS):
            for number in range(samples.each):
                done = (part * samples.each + number + 1) / (PARTS * samples.each)
                await asyncio.sleep(max(0.0, begin + done * seconds - loop.time()))
                samples.take(loop.time() - begin)
            now = _total(users)
            say(row(samples, part) + _outcomes(now, before))
            before = now
            # Before the last third, which it would disturb.
            if part == 5:
                early = census()
    return early


def _total(users: list[User]) -> Counter[str]:
    return Counter({name: sum(user.counted[name] for user in users) for name in COUNTED})


def _outcomes(now: Mapping[str, int], before: Mapping[str, int]) -> str:
    """The end of a row: what became of messages since the one before."""
    since = {name: count - before.get(name, 0) for name, count in now.items()}
    right, failed = (sum(since[name] for name in names) for names in (TRUE, TRUE_FAILURES))
    others = since["left"] + since["attached"] + since["not_attached"] + since["aborted"]
    return f" {since['sent']:6d} {right:6d} {failed:13d} {others:13d}"


def _told(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items() if count) or "nothing"


async def left_behind() -> list[str]:
    """What is still there when every client is closed and given back."""
    loop = asyncio.get_running_loop()
    ends, left = loop.time() + SETTLED, list[str]()
    while loop.time() < ends:
        # Sockets end in turns of their own, of which nothing tells.
        await asyncio.sleep(0.1)
        gc.collect()
        left = [task.get_name() for task in all_tasks() if task.get_name().startswith("openclaw")]
        left += [type(one).__qualname__ for one in gc.get_objects() if _is_ours(one)]
        if not left:
            return []
    return [f"left behind: {_told(Counter(left))}"]


def _is_ours(one: object) -> bool:
    kind = type(one)
    return kind.__qualname__ in OURS and kind.__module__.startswith("openclaw_client.")
