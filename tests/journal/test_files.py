"""The files of a journal: what is none, who may read them, and what becomes of those that vanish."""

from __future__ import annotations

import fcntl
import logging
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from openclaw_client.errors import JournalError, UsageError
from openclaw_client.journal import lock
from openclaw_client.journal.protocol import Journal
from openclaw_client.journal.sqlite import SqliteJournal
from tests.journal.processes import HOLDER, Program, alone
from tests.journal.values import sent

LONG = 60.0
"""Seconds that nobody waits for in vain."""


async def reason_of(journal: Journal) -> str:
    with pytest.raises(JournalError) as caught:
        await journal.pending()
    return caught.value.reason


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
