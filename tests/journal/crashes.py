"""A process that is killed at each SQLite call of a story, and one that looks at what it left.

`python -m tests.journal.crashes FOLDER HOW` prints one line of JSON for each crash.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import resource
import signal
import sqlite3
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from openclaw_client.journal.memory import MemoryJournal
from openclaw_client.journal.protocol import Journal, KeptPlace, RunChange
from openclaw_client.journal.sqlite import SqliteJournal
from openclaw_client.runs.words import digest_of
from tests.journal.values import START, Clock, place, said, sent

LONG = "word " * 600
"""Of several pages, so that a row is written in several pieces."""
KEYS = ("a", "b", "c")
IDS = ("1", "2", "3", "4", "5")
EACH_BYTES = 3_100
"""Bytes between the places of a file at which a write is cut: no multiple of a page, so that all parts are met."""

Step = Callable[[Journal], Awaitable[Any] | None]

STORY: tuple[tuple[bool, Step], ...] = (
    (True, lambda j: j.begin("u", sent("a", LONG), files=("f",))),
    (True, lambda j: j.begin("u", sent("b", "two"), state="queued")),
    (False, lambda j: j.note("u", RunChange("a", acknowledged=True))),
    (True, lambda j: j.begin("u", sent("b", "two", at=START + 1), again=True)),
    (True, lambda j: j.receive("u", [said("1", LONG), said("2"), said("3")], place("main", 1.0))),
    (True, lambda j: j.deliver("u", "1")),
    (False, lambda j: j.settle("u", "1", "done")),
    (True, lambda j: j.next("u")),
    (True, lambda j: j.deliver("u", "2")),
    (False, lambda j: j.settle("u", "2", "later")),
    (False, lambda j: j.note("u", RunChange("a", end="final", text=LONG))),
    (False, lambda j: j.note("u", place("main", 2.0))),
    (False, lambda j: j.note("u", RunChange("a", taken=True))),
    (True, lambda j: j.begin("u", sent("c", LONG))),
    (True, lambda j: j.forget("u", "b")),
    (True, lambda j: j.deliver("u", "2")),
    (False, lambda j: j.settle("u", "2", "dead")),
    (True, lambda j: j.receive("u", [said("3"), said("4"), said("5", LONG)], KeptPlace("other", 5.0))),
    (True, lambda j: j.replay("1")),
    (False, lambda j: j.note("u", RunChange("c", answered_run="r", end="lost", text="Hal"))),
    (True, lambda j: j.close()),
    (True, lambda j: j.open("u")),
    (True, lambda j: j.prune(START + 2 * 86_400)),
    (True, lambda j: j.prune(START + 10 * 86_400)),
    (True, lambda j: j.begin("u", sent("a", "new"), again=True)),
    (True, lambda j: j.close()),
)
"""Whether a step is durable when it returns, and the step."""


async def everything(journal: Journal) -> list[str]:
    """All that can be asked of it, as text; changes what it asks about keys that are not known."""
    found: list[Any] = [await journal.open("u"), await journal.next("u"), await journal.dead(), await journal.users()]
    texts = [repr(one) for one in found]
    texts += [f"{run.message} {run.text}" for run in found[0].runs]
    texts += [digest_of(repr(one.message)) for one in (found[1], *found[2]) if one is not None]
    texts += [repr(await journal.begin("u", sent(key, "asked"))) for key in KEYS]
    texts += [repr(await journal.receive("u", [said(ident)])) for ident in IDS]
    return texts


async def states() -> list[list[str]]:
    """What is there after each number of steps."""
    found = []
    for length in range(len(STORY) + 1):
        journal = MemoryJournal(clock=Clock())
        for _, step in STORY[:length]:
            await (step(journal) or asyncio.sleep(0))
        found.append(await everything(journal))
    return found


class Killing(sqlite3.Connection):
    """Ends its process before a certain call."""

    at = 0

    def execute(self, *args: Any) -> Any:
        return self._counted(super().execute, *args)

    def close(self) -> None:
        self._counted(super().close)

    def _counted(self, call: Callable[..., Any], *args: Any) -> Any:
        Killing.at -= 1
        if Killing.at == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*args)


def kill_at(call: int) -> None:
    """Do so in this process."""
    real = sqlite3.connect
    Killing.at = call

    def connect(*args: Any, **kwargs: Any) -> sqlite3.Connection:
        return real(*args, factory=Killing, **kwargs)

    sqlite3.connect = connect  # type: ignore[assignment]


def kill_at_byte(size: int) -> None:
    """End this process in the middle of a write that would make any file longer than this."""
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


async def tell(path: Path, told: int) -> None:
    """Go through the story; a byte for each step that was begun, and one for each that has ended."""
    journal = SqliteJournal(path, wait=0.0, clock=Clock())
    for durable, step in STORY:
        os.write(told, b"b")
        await (step(journal) or asyncio.sleep(0))
        os.write(told, b"d" if durable else b"n")


def forked(work: Callable[[], Awaitable[Any]], before: Callable[[], None]) -> int:
    """How a process ended that did this; 0 where it did."""
    child = os.fork()
    if not child:
        code = 1
        try:
            before()
            asyncio.run(work())  # type: ignore[arg-type]
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def crash(path: Path, before: Callable[[], None]) -> tuple[int, int, int]:
    """Tell the story in a process; how it ended, the steps that certainly stay, and those that were begun."""
    reader, writer = os.pipe()
    ended = forked(lambda: tell(path, writer), before)
    os.close(writer)
    said_so = os.read(reader, 1000)
    os.close(reader)
    durable = max((said_so[: at + 1].count(b"b") for at, byte in enumerate(said_so) if byte == ord("d")), default=0)
    return ended, durable, said_so.count(b"b")


async def look(path: Path, at_least: int, at_most: int, known: list[list[str]]) -> dict[str, Any]:
    """What is left: the numbers of steps after which everything is as it is found."""
    journal = SqliteJournal(path, wait=0.0, clock=Clock())
    found = await everything(journal)
    await journal.close()
    with sqlite3.connect(path) as db:
        (sound,) = db.execute("PRAGMA integrity_check").fetchone()
    db.close()
    steps = [length for length, state in enumerate(known) if state == found]
    return {"sound": sound, "steps": steps, "at_least": at_least, "at_most": at_most}


def main(folder: Path, how: str) -> None:
    known = asyncio.run(states())
    number = 0
    while True:
        number += 1
        path = folder / f"{number}.db"

        def before(number: int = number) -> None:
            if how == "byte":
                kill_at_byte(number * EACH_BYTES)
            else:
                kill_at(number)

        ended, durable, begun = crash(path, before)
        if how == "again":
            # And once more, where the next process opens it.
            forked(SqliteJournal(path).users, functools.partial(kill_at, 1 + number % 20))

        async def report(path: Path = path, durable: int = durable, begun: int = begun, ended: int = ended) -> None:
            print(json.dumps({"ended": ended, **await look(path, durable, begun, known)}), flush=True)

        if forked(report, lambda: None) != 0:
            raise SystemExit(f"crash {number}: what it left cannot be looked at")
        if ended == 0:
            return


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
