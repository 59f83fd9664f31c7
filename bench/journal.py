"""What a journal costs: `python -m bench.journal [ROWS]`.

First a file of so many runs (a million), of which a few are open: how long it takes to open it and to ask for one
user's runs, and how large it is. Then messages one after the other, each with what a run writes down: before its first
byte, its acknowledgement, its end, its taking; and many at once. CPU is that of the process, the thread that writes and
the empty turns of the loop included; the disk's own is in the wall time.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from openclaw_client.journal.protocol import RunChange
from openclaw_client.journal.sqlite import SqliteJournal
from openclaw_client.runs.peer import SentRun
from openclaw_client.runs.proactive import ProactiveMessage
from openclaw_client.runs.words import digest_of

ROWS = 1_000_000
USERS = 10_000
OPEN_EACH = 1_000
"""Of so many runs one is open."""
MESSAGES = 5_000
TOGETHER = 20
TEXT = "What a journal keeps of a message, and of its reply, is about as long as this sentence is. " * 2
REPEATS = 5


def fact(number: int) -> SentRun:
    """A message as it goes out."""
    at = time.time()
    key = f"shop-{number:032x}"
    return SentRun(key, "main", digest_of(TEXT), TEXT, sent_at=at, clock_ms=at * 1000, protocol=4, boot_id=f"{7:032x}")


def filled(path: Path, rows: int) -> None:
    """Put that many runs into a file whose tables are there; those that are over have no texts any more."""
    db = sqlite3.connect(path)
    now, digest = time.time(), digest_of(TEXT)
    params = '["chat.send",null,null,true]'
    db.executemany(
        "INSERT INTO run (user, key, session, digest, message, params, files, state, sent_at, protocol, acked, ended, "
        "changed) VALUES (?, ?, 'main', ?, ?, ?, '[]', ?, ?, 4, 1, ?, ?)",
        (
            (
                f"user-{number % USERS}",
                f"shop-{number:032x}",
                digest,
                "" if number % OPEN_EACH else TEXT,
                params,
                "bare" if number % OPEN_EACH else "sent",
                now,
                "final" if number % OPEN_EACH else None,
                now - number % 600_000,
            )
            for number in range(rows)
        ),
    )
    db.commit()
    db.close()


def size_of(path: Path) -> str:
    return f"{path.stat().st_size / 2**20:.1f} MiB"


async def timed(work: Callable[[], Awaitable[object]]) -> float:
    began = time.perf_counter()
    await work()
    return time.perf_counter() - began


async def large(path: Path, rows: int) -> None:
    """What a large file costs."""
    journal = SqliteJournal(path)
    await journal.close()
    await journal.users()
    await journal.close()
    filled(path, rows)
    print(f"{rows:,} runs: {size_of(path)}")
    opened = []
    for _ in range(REPEATS):
        journal = SqliteJournal(path)
        opened.append(await timed(partial(journal.pending, "user-0")))
        await journal.close()
    print(
        f"opened, and one user's runs asked for: {min(opened) * 1e3:.1f} ms at best, {max(opened) * 1e3:.1f} at worst"
    )
    journal = SqliteJournal(path)
    await journal.users()
    for what, work in (
        ("one user's runs", lambda: journal.pending("user-0")),
        ("what is kept of one user", lambda: journal.open("user-0")),
        ("all open runs", journal.pending),
        ("users with something open", journal.users),
        ("a message more", lambda: journal.begin("user-1", fact(rows))),
        ("an hour's pruning", lambda: journal.prune(time.time() + 8_400)),
        ("all of it pruned", lambda: journal.prune(time.time() + 1e9)),
    ):
        print(f"{what}: {await timed(work) * 1e3:.2f} ms")
    await journal.close()
    print(f"afterwards: {size_of(path)}, which later runs fill again")


async def message(journal: SqliteJournal, number: int) -> None:
    """All that is written down of a run."""
    run = fact(number)
    user = f"user-{number % TOGETHER}"
    assert await journal.begin(user, run) is None
    journal.note(user, RunChange(run.run_id, acknowledged=True))
    await asyncio.sleep(0)
    journal.note(user, RunChange(run.run_id, end="final", text=TEXT))
    await asyncio.sleep(0)
    journal.note(user, RunChange(run.run_id, taken=True))


async def proactive(journal: SqliteJournal, number: int) -> None:
    """All that is written down of a message that nobody asked for."""
    user = f"user-{number % TOGETHER}"
    said = ProactiveMessage(f"{number}", TEXT, "main", f"run-{number}", "cron")
    assert await journal.receive(user, [said]) == (said,)
    head = await journal.next(user)
    assert head is not None
    assert await journal.deliver(user, head.message.id) == 1
    await journal.settle(user, head.message.id, "done")


async def rate(path: Path, one: Callable[[SqliteJournal, int], Awaitable[None]], together: int) -> tuple[float, float]:
    """Microseconds of wall time and of CPU for each."""
    journal = SqliteJournal(path)
    await journal.users()

    async def some(first: int) -> None:
        for number in range(first, MESSAGES, together):
            await one(journal, number)

    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(some(first) for first in range(together)))
    await journal.close()
    return (time.perf_counter() - began) / MESSAGES * 1e6, (time.process_time() - cpu) / MESSAGES * 1e6


async def main(rows: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        await large(Path(folder) / "large.db", rows)
        for name, one in (("a message of one's own", message), ("one that nobody asked for", proactive)):
            for together in (1, TOGETHER):
                found = [
                    await rate(Path(folder) / f"{one.__name__}-{together}-{number}.db", one, together)
                    for number in range(REPEATS)
                ]
                wall, cpu = sorted(found, key=lambda pair: pair[1])[REPEATS // 2]
                print(f"{name}, {together} at once: {cpu:.0f} µs of CPU, {wall:.0f} µs of time")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else ROWS))
