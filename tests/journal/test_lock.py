"""One process for one journal: beside others, after their death, across forks."""

from __future__ import annotations

import asyncio
import gc
import os
import sqlite3
import time
from pathlib import Path

import pytest

from openclaw_client.errors import JournalError
from openclaw_client.journal.protocol import Journal, RunChange
from openclaw_client.journal.sqlite import SqliteJournal
from tests.journal.processes import HOLDER, Program
from tests.journal.values import sent

LONG = 60.0
"""Seconds that nobody waits for in vain."""


async def reason_of(journal: Journal) -> str:
    with pytest.raises(JournalError) as caught:
        await journal.pending()
    return caught.value.reason


def log_size(path: Path) -> int:
    """Bytes of the log beside the file."""
    return os.path.getsize(f"{path}-wal")


# Other processes.


async def test_another_process_is_named_and_the_lock_goes_with_its_death(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    journal = SqliteJournal(path, wait=0.0)
    with Program(HOLDER, path) as holder:
        assert holder.heard() == "held"
        for _ in range(2):
            with pytest.raises(JournalError) as caught:
                await journal.begin("u", sent("k"))
            assert caught.value.reason == "in_use"
            assert caught.value.path == str(path)
            assert f"process {holder.process.pid}" in str(caught.value)
            assert "end the other one" in str(caught.value)
        holder.kill()
        assert [run.run_id for run in await journal.pending()] == [f"of {holder.process.pid}"]
        await journal.close()


async def test_a_restart_waits_for_the_process_before_it(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    with Program(HOLDER, path) as holder:
        assert holder.heard() == "held"
        journal = SqliteJournal(path, wait=LONG)
        runs = asyncio.ensure_future(journal.pending())
        done, _ = await asyncio.wait([runs], timeout=0.2)
        assert not done, "it waits"
        holder.tell()
        assert holder.heard() == "closed"
        assert len(await runs) == 1
        await journal.close()


async def test_the_first_use_waits_and_the_next_ones_do_not(tmp_path: Path) -> None:
    path, wait = tmp_path / "j.db", 2.0
    with Program(HOLDER, path) as holder:
        assert holder.heard() == "held"
        journal = SqliteJournal(path, wait=wait)
        began = time.monotonic()
        assert await reason_of(journal) == "in_use"
        assert time.monotonic() - began >= wait
        began = time.monotonic()
        assert await reason_of(journal) == "in_use"
        assert time.monotonic() - began < wait


async def test_closing_gives_up_the_wait(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    with Program(HOLDER, path) as holder:
        assert holder.heard() == "held"
        journal = SqliteJournal(path, wait=10 * LONG)
        runs = asyncio.ensure_future(journal.pending())
        await asyncio.wait([runs], timeout=0.1)
        await journal.close()
        with pytest.raises(JournalError, match="another process"):
            await runs


async def test_the_same_path_twice_in_one_process(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    first = SqliteJournal(tmp_path / "real" / "j.db")
    await first.begin("u", sent("k"))
    for folder in ("real", "link", "real/../link"):
        second = SqliteJournal(tmp_path / folder / "j.db", wait=0.0)
        with pytest.raises(JournalError, match="this one") as caught:
            await second.pending()
        assert caught.value.reason == "in_use"
    await first.begin("u", sent("k2"))
    await first.close()
    assert len(await second.pending()) == 2
    assert await reason_of(SqliteJournal(tmp_path / "real" / "j.db", wait=0.0)) == "in_use"
    await second.close()


async def test_a_journal_that_nobody_has_any_more_is_closed(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "j.db")
    await journal.begin("u", sent("k"))
    journal.note("u", RunChange("k", end="final"))
    del journal
    gc.collect()
    successor = SqliteJournal(tmp_path / "j.db", wait=LONG)
    assert [run.state for run in await successor.pending()] == ["answered"]
    await successor.close()


# Forks.

FORKED = """
journal = hold(path)
child = os.fork()
if not child:
    say("own:", tried(journal))
    say("new:", tried(SqliteJournal(path, wait=0.0)))
    hear()
    say("orphan:", tried(SqliteJournal(path, wait=0.0)))
    journal.note("u", RunChange("x", taken=True))
    del journal
    gc.collect()
    hear()
    sys.exit()
signal.pause()
"""


async def test_a_forked_child_has_no_part_in_its_parents_journal(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    with Program(FORKED, path) as parent:
        for whose in ("own", "new"):
            said = parent.heard()
            assert said.startswith(f"{whose}: in_use:")
            assert f"process {parent.process.pid}" in said
        assert await reason_of(SqliteJournal(path, wait=0.0)) == "in_use", "the child has not freed it"
        parent.kill()
        # The child lives, and has a copy of every descriptor.
        journal = SqliteJournal(path, wait=0.0)
        assert [run.run_id for run in await journal.pending()] == [f"of {parent.process.pid}"]
        await journal.begin("u", sent("while it lives"))
        await journal.close()
        parent.tell()
        assert parent.heard().startswith("orphan: in_use:"), "what SQLite knows there of its locks is not true"
        parent.tell()
        assert parent.process.stdout is not None
        assert parent.process.stdout.read() == "", "the child has ended"
        assert len(await journal.pending()) == 2
        await journal.close()
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    db.close()


ORPHAN = """
journal = hold(path)
parent = os.getpid()
if not os.fork():
    hear()
    del journal
    gc.collect()
    sys.exit()
say("forked")
signal.pause()
"""


def test_the_end_of_a_child_is_no_end_of_sqlites(tmp_path: Path) -> None:
    """Nobody else has the file open: the last one who closes it would copy the log into it, and delete the log."""
    path = tmp_path / "j.db"
    with Program(ORPHAN, path) as parent:
        assert parent.heard() == "forked"
        parent.kill()
        parent.tell()
        assert parent.process.stdout is not None
        assert parent.process.stdout.read() == ""
        assert log_size(path) > 0


FORKED_BEFORE = """
journal = SqliteJournal(path, wait=0.0)
failed = SqliteJournal(path + ".no/j.db", wait=0.0)
say(tried(failed))
if not os.fork():
    say("child:", tried(journal))
    hear()
    os._exit(0)
os.wait()
hear()
say("parent:", tried(journal))
"""


def test_a_journal_that_was_not_open_is_the_childs_as_well(tmp_path: Path) -> None:
    with Program(FORKED_BEFORE, tmp_path / "j.db") as parent:
        assert parent.heard().startswith("unavailable:")
        assert parent.heard() == "child: 0 runs"
        parent.tell()
        parent.tell()
        assert parent.heard() == "parent: 0 runs"


PARENT_GOES_ON = """
journal = hold(path)
for number in range(20):
    child = os.fork()
    if not child:
        gc.collect()
        sys.exit(0 if tried(journal).startswith("in_use") else 3)
    asyncio.run(journal.begin("u", sent(f"{number}")))
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
        say("a child has it")
say(tried(journal))
asyncio.run(journal.close())
say(tried(SqliteJournal(path, wait=0.0)))
"""


def test_the_parent_goes_on(tmp_path: Path) -> None:
    with Program(PARENT_GOES_ON, tmp_path / "j.db") as parent:
        assert parent.heard() == "21 runs"
        assert parent.heard() == "21 runs"


MULTIPROCESSING = """
import multiprocessing
from tests.journal.worker import try_it
if __name__ == "__main__":
    journal = hold(path)
    for way in multiprocessing.get_all_start_methods():
        with multiprocessing.get_context(way).Pool(1) as pool:
            say(way, pool.apply(try_it, (path,)))
"""


@pytest.mark.parametrize("number", [len(("fork", "spawn", "forkserver"))])
def test_workers_of_multiprocessing_are_told(tmp_path: Path, number: int) -> None:
    with Program(MULTIPROCESSING, tmp_path / "j.db") as parent:
        ways = dict(parent.heard().split(" ", 1) for _ in range(number))
        assert ways == dict.fromkeys(("fork", "spawn", "forkserver"), "in_use")


FORK_WAITS = """
import threading
from openclaw_client.journal import lock
inside, seen = threading.Event(), []
def work():
    with lock.undivided():
        inside.set()
        # The fork has begun when the loop below has come to it; this takes a while longer.
        for _ in range(200):
            threading.Event().wait(0.001)
        seen.append("done")
threading.Thread(target=work).start()
inside.wait()
if not os.fork():
    say(seen)
    with lock.undivided():
        say("free")
    os._exit(0)
os.wait()
"""


def test_a_fork_waits_for_what_is_being_written(tmp_path: Path) -> None:
    with Program(FORK_WAITS, tmp_path / "j.db") as parent:
        assert parent.heard() == "['done']"
        assert parent.heard() == "free"
