"""One process for one journal: beside others, after their death, across forks; and files that are none."""

from __future__ import annotations

import asyncio
import fcntl
import gc
import logging
import os
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from openclaw_client.errors import JournalError, UsageError
from openclaw_client.journal import lock
from openclaw_client.journal.protocol import Journal, RunChange
from openclaw_client.journal.sqlite import SqliteJournal
from tests.journal.processes import HOLDER, Program, alone
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
            assert "openclaw-client hub" in str(caught.value)
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


# What is no journal's file.


@pytest.mark.parametrize("path", ["", ":memory:", ":memory:?cache=shared", "file:x?mode=memory", "a\0b", b"bytes"])
def test_what_can_be_no_path_is_refused_at_once(path: str) -> None:
    with pytest.raises(UsageError):
        SqliteJournal(path)


@pytest.mark.parametrize("wait", [-1.0, float("nan")])
def test_a_wait_is_a_number_of_seconds(tmp_path: Path, wait: float) -> None:
    with pytest.raises(UsageError, match="seconds"):
        SqliteJournal(tmp_path / "j.db", wait=wait)


def make_folder(path: Path) -> None:
    path.mkdir()


def make_link(path: Path) -> None:
    path.with_name("elsewhere").touch()
    path.symlink_to("elsewhere")


def make_loose_link(path: Path) -> None:
    path.symlink_to("nowhere")


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_second_name(path: Path) -> None:
    path.touch()
    path.with_name("other name").hardlink_to(path)


@pytest.mark.parametrize("suffix", ["", ".lock", "-wal", "-shm", "-journal"])
@pytest.mark.parametrize(
    ("make", "said"),
    [
        (make_folder, "a folder"),
        (make_link, "a link"),
        (make_loose_link, "a link"),
        (make_pipe, "a pipe"),
        (make_second_name, "a second name"),
    ],
)
async def test_what_is_no_file_of_its_own_is_refused(tmp_path: Path, make: object, said: str, suffix: str) -> None:
    path = tmp_path / "j.db"
    assert callable(make)
    make(Path(f"{path}{suffix}"))
    journal = SqliteJournal(path, wait=0.0)
    with pytest.raises(JournalError, match=said) as caught:
        await journal.begin("u", sent("k"))
    assert caught.value.reason == "unavailable"
    assert path.name + suffix in str(caught.value)
    assert not path.with_name("nowhere").exists()
    await journal.close()


async def test_a_device_is_refused_without_opening_it(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="a device"):
        lock.prepare_files("/dev/tty")


async def test_a_file_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "j.db"
    path.touch()
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(JournalError, match=f"another user \\(uid {os.getuid()}\\)"):
        lock.prepare_files(str(path))


async def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "no" / "j.db", wait=0.0)
    with pytest.raises(JournalError, match="No such file") as caught:
        await journal.pending()
    assert caught.value.reason == "unavailable"
    (tmp_path / "no").mkdir()
    assert await journal.pending() == (), "it is looked for anew"
    await journal.close()


async def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(JournalError, match="no locks") as caught:
        await SqliteJournal(tmp_path / "j.db", wait=LONG).pending()
    assert caught.value.reason == "unavailable"


# Files.


async def test_all_files_are_private(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    path.touch(0o644)
    os.chmod(path, 0o666)
    before = os.umask(0)
    try:
        journal = SqliteJournal(path)
        await journal.begin("u", sent("k"))
    finally:
        os.umask(before)
    modes = {entry.name: stat.S_IMODE(entry.stat().st_mode) for entry in os.scandir(tmp_path)}
    assert modes == dict.fromkeys(("j.db", "j.db.lock", "j.db-wal", "j.db-shm"), 0o600)
    await journal.close()
    assert sorted(os.listdir(tmp_path)) == ["j.db", "j.db.lock"]


async def test_a_folder_that_the_process_leaves_is_still_the_journals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    journal = SqliteJournal("j.db")
    monkeypatch.chdir("/")
    await journal.pending()
    await journal.close()
    assert (tmp_path / "j.db").exists()


def test_nothing_is_opened_before_it_is_used(tmp_path: Path) -> None:
    threads = threading.active_count()
    SqliteJournal(tmp_path / "j.db")
    assert os.listdir(tmp_path) == []
    assert threading.active_count() == threads
    code = "import sys, openclaw_client.journal.sqlite; print('sqlite3' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], env=alone(), capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize("suffix", ["", ".lock"])
async def test_a_file_that_vanishes_is_told_and_made_anew(
    tmp_path: Path, suffix: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "j.db"
    journal = SqliteJournal(path, wait=0.0)
    await journal.begin("u", sent("k"))
    os.unlink(f"{path}{suffix}")
    with pytest.raises(JournalError, match="deleted or replaced") as caught:
        await journal.begin("u", sent("k2"))
    assert caught.value.reason == "unavailable"
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert await journal.begin("u", sent("k3")) is None
    known = {"": ["k3"], ".lock": ["k", "k3"]}[suffix]
    assert [run.run_id for run in await journal.pending()] == known
    assert await reason_of(SqliteJournal(path, wait=0.0)) == "in_use"
    await journal.close()


async def test_a_lock_that_somebody_else_got_meanwhile_is_his(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    journal = SqliteJournal(path, wait=0.0)
    await journal.begin("u", sent("k"))
    os.unlink(f"{path}.lock")
    with Program(HOLDER, path) as holder:
        assert holder.heard() == "held"
        assert await reason_of(journal) == "unavailable"
        assert await reason_of(journal) == "in_use"
    await journal.close()
