"""Disks that are full, files that cannot be written, are damaged, or are from a later version."""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from openclaw_client.errors import JournalError
from openclaw_client.journal import schema, writer
from openclaw_client.journal.failures import from_sqlite
from openclaw_client.journal.protocol import RunChange
from openclaw_client.journal.sqlite import SqliteJournal
from tests.journal.processes import ROOT, alone
from tests.journal.values import Clock, said, sent
from tests.waiting import until

MIB = "x" * (1 << 20)


class Disk:
    """Lets the databases of this process have so many pages."""

    def __init__(self) -> None:
        self.databases: list[sqlite3.Connection] = []
        self.pages = 1 << 30

    def connect(self, real: Callable[..., sqlite3.Connection]) -> Callable[..., sqlite3.Connection]:
        def connected(*args: Any, **kwargs: Any) -> sqlite3.Connection:
            disk = self

            class Limited(sqlite3.Connection):
                def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
                    if sql == "BEGIN":
                        super().execute(f"PRAGMA max_page_count={disk.pages}")
                    return super().execute(sql, *values)

            return real(*args, factory=Limited, **kwargs)

        return connected


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk = Disk()
    monkeypatch.setattr(sqlite3, "connect", disk.connect(sqlite3.connect))
    return disk


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


async def failed(journal: SqliteJournal, text: str = "Hello!") -> JournalError:
    with pytest.raises(JournalError) as caught:
        await journal.begin("u", sent("failed", text))
    assert caught.value.path == journal.path
    assert caught.value.remedy
    assert text not in str(caught.value)
    return caught.value


# Full.


async def test_a_full_disk_refuses_what_does_not_fit_and_goes_on_when_there_is_room(
    in_file: SqliteJournal, disk: Disk
) -> None:
    await in_file.begin("u", sent("k"))
    disk.pages = 40
    for _ in range(2):
        assert (await failed(in_file, MIB)).reason == "full"
    with pytest.raises(JournalError) as caught:
        await in_file.receive("u", [said("1"), said("2", MIB)])
    assert caught.value.reason == "full"
    assert await in_file.next("u") is None, "none of them"
    assert await in_file.begin("u", sent("small")) is None
    disk.pages = 1 << 30
    assert await in_file.begin("u", sent("failed", MIB)) is None
    assert [run.run_id for run in await in_file.pending()] == ["k", "small", "failed"]


async def test_one_that_does_not_fit_fails_alone(in_file: SqliteJournal, disk: Disk) -> None:
    await in_file.pending()
    disk.pages = 60
    texts = {"a": "small", "b": MIB, "c": "small"}
    results = await asyncio.gather(
        *(in_file.begin("u", sent(key, text)) for key, text in texts.items()), return_exceptions=True
    )
    assert results[0] is results[2] is None
    assert isinstance(results[1], JournalError)
    assert [run.run_id for run in await in_file.pending()] == ["a", "c"]


async def test_a_note_that_cannot_be_written_is_tried_again_and_told_once(
    in_file: SqliteJournal, disk: Disk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(writer, "FIRST_RETRY", 0.01)
    await in_file.begin("u", sent("k"))
    disk.pages = 40
    in_file.note("u", RunChange("k", end="final", text=MIB))
    for _ in range(3):
        # Nothing overtakes a note: what is asked for behind it would not be true.
        with pytest.raises(JournalError):
            await in_file.pending()
    (error,) = errors(caplog)
    assert "no room left" in error
    assert "tried again" in error
    disk.pages = 1 << 30
    await until(lambda: any(record.levelno == logging.WARNING for record in caplog.records))
    (run,) = await in_file.pending()
    assert (run.state, run.text) == ("answered", MIB)
    assert len(errors(caplog)) == 1


async def test_notes_that_could_not_be_written_before_the_close_are_told_and_kept(
    in_file: SqliteJournal, disk: Disk
) -> None:
    await in_file.begin("u", sent("k"))
    disk.pages = 40
    in_file.note("u", RunChange("k", end="final", text=MIB))
    with pytest.raises(JournalError, match="could not be written down"):
        await in_file.close()
    other = SqliteJournal(in_file.path, wait=0.0)
    (run,) = await other.pending()
    assert run.state == "sent"
    await other.close()
    disk.pages = 1 << 30
    (run,) = await in_file.pending()
    assert run.state == "answered"


QUOTA = """
import asyncio, resource, sys
from openclaw_client.errors import JournalError
from openclaw_client.journal.sqlite import SqliteJournal
from tests.journal.values import sent
async def main():
    journal = SqliteJournal(sys.argv[1])
    await journal.begin("u", sent("k"))
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
    try:
        await journal.begin("u", sent("long", "x" * 1_000_000))
    except JournalError as error:
        print(error.reason)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    print(await journal.begin("u", sent("long", "x" * 1_000_000)), len(await journal.pending()))
    await journal.close()
asyncio.run(main())
"""


def test_a_file_that_may_not_grow(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", QUOTA, str(tmp_path / "j.db")], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("unavailable\nNone 2\n", "")


# Not writable. Root may write everywhere, so the process gives up its rights first.

UNPRIVILEGED = """
import asyncio, os, sqlite3, sys
from openclaw_client.errors import JournalError
from openclaw_client.journal.sqlite import SqliteJournal
from tests.journal.values import sent
path, what = sys.argv[1:]
folder = os.path.dirname(path)
if os.geteuid() == 0:
    os.chown(folder, 65534, 65534)
    os.setuid(65534)
async def main():
    if what != "new":
        journal = SqliteJournal(path)
        await journal.begin("u", sent("k"))
        await journal.close()
    os.chmod(folder if what in ("new", "folder") else path, 0o500)
    try:
        await SqliteJournal(path, wait=0.0).begin("u", sent("k2"))
        print("written")
    except JournalError as error:
        print(error.reason, "SQLite" in error.remedy)
    os.chmod(folder, 0o700)
asyncio.run(main())
"""


@pytest.mark.parametrize("what", ["new", "folder", "file"])
def test_what_cannot_be_written(what: str) -> None:
    # Not within pytest's own folder, which is root's alone.
    with tempfile.TemporaryDirectory() as outer:
        folder = Path(outer) / "folder"
        folder.mkdir()
        os.chmod(outer, 0o755)
        done = subprocess.run(
            [sys.executable, "-c", UNPRIVILEGED, str(folder / "j.db"), what],
            cwd=ROOT,
            env=alone(),
            capture_output=True,
            text=True,
            check=False,
        )
    assert (done.stdout, done.stderr) == ("read_only True\n", "")


# Damaged.


async def filled(path: Path, messages: int = 50) -> None:
    journal = SqliteJournal(path)
    for number in range(messages):
        await journal.begin("u", sent(f"{number}", "word " * 300))
    await journal.close()


def spoil_all(path: Path) -> None:
    path.write_bytes(os.urandom(5000))


def spoil_head(path: Path) -> None:
    path.write_bytes(b"x" * 100 + path.read_bytes()[100:])


def spoil_middle(path: Path) -> None:
    data = path.read_bytes()
    half = len(data) // 2
    path.write_bytes(data[:half] + os.urandom(20_000) + data[half + 20_000 :])


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def cut_to_a_head(path: Path) -> None:
    os.truncate(path, 100)


@pytest.mark.parametrize("spoil", [spoil_all, spoil_head, spoil_middle, cut, cut_to_a_head])
async def test_a_damaged_file_is_told_and_left_as_it_is(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    path = tmp_path / "j.db"
    await filled(path)
    spoil(path)
    data = path.read_bytes()
    journal = SqliteJournal(path, wait=0.0)
    for _ in range(2):
        error = await failed(journal)
        assert error.reason == "corrupt"
        assert "Move it away" in error.remedy
    assert path.read_bytes() == data
    path.rename(tmp_path / "away")
    assert await journal.begin("u", sent("k")) is None, "it is looked at anew each time"
    await journal.close()


async def test_damage_that_is_met_while_it_is_in_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "j.db"
    await filled(path, 300)
    spoil_middle(path)
    # As if it were too long to be checked when it is opened.
    monkeypatch.setattr(schema, "CHECKED_PAGES", 0)
    journal = SqliteJournal(path)
    with pytest.raises(JournalError) as caught:
        await journal.pending()
    assert caught.value.reason == "corrupt"
    await journal.close()


async def test_a_row_that_somebody_else_wrote_is_told_without_its_words(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    await filled(path, 1)
    with sqlite3.connect(path) as db:
        db.execute("INSERT INTO inbox VALUES (1, 'u', 'i', '{\"text\": \"secret', 0, 0, 'waiting', 0)")
    db.close()
    journal = SqliteJournal(path)
    with pytest.raises(JournalError) as caught:
        await journal.next("u")
    assert caught.value.reason == "corrupt"
    assert "secret" not in str(caught.value)
    assert len(await journal.pending()) == 1, "the others are there"
    await journal.close()


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), ImportError("_sqlite3")])
async def test_whatever_keeps_the_file_from_being_opened_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def broken(path: str) -> tuple[int, int]:
        raise error

    journal = SqliteJournal(tmp_path / "j.db")
    with monkeypatch.context() as patched:
        patched.setattr(writer, "prepare_files", broken)
        assert (await asyncio.wait_for(failed(journal), 10)).reason == "unavailable"
    assert await journal.begin("u", sent("k")) is None, "the next call is served"
    await journal.close()


# Another version, another program.


async def test_a_file_from_a_later_version_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    await filled(path, 1)
    with sqlite3.connect(path) as db:
        db.execute("UPDATE meta SET schema = schema + 1")
    db.close()
    journal = SqliteJournal(path, wait=0.0)
    error = await failed(journal)
    assert error.reason == "newer"
    assert f"version {len(schema.MIGRATIONS) + 1}" in str(error)
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT count(*) FROM run").fetchone() == (1,)
    db.close()


@pytest.mark.parametrize("statement", ["CREATE TABLE django_session (x)", "PRAGMA application_id=7"])
async def test_another_programs_database_is_not_touched(tmp_path: Path, statement: str) -> None:
    path = tmp_path / "j.db"
    db = sqlite3.connect(path)
    db.execute(statement)
    db.commit()
    db.close()
    data = path.read_bytes()
    error = await failed(SqliteJournal(path, wait=0.0))
    assert error.reason == "unavailable"
    assert "another program" in str(error)
    assert path.read_bytes() == data


STEPS = (
    *schema.MIGRATIONS,
    ("CREATE TABLE more (x)", "INSERT INTO more SELECT key FROM run"),
    ("ALTER TABLE more ADD COLUMN y", "UPDATE more SET y = 2"),
)


def test_an_older_file_becomes_one_of_today(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    asyncio.run(filled(path, 2))
    db = sqlite3.connect(path, isolation_level=None)
    schema.migrate(db, str(path), STEPS)
    schema.migrate(db, str(path), STEPS)
    assert db.execute("SELECT * FROM more ORDER BY x").fetchall() == [("0", 2), ("1", 2)]
    assert schema.version_of(db) == len(STEPS)
    db.close()


class Crash(Exception):
    """Where a process would die."""


def test_a_migration_is_whole_or_not_there(tmp_path: Path) -> None:
    """Killed in the middle of it is what the story of test_crashes begins with; this one fails, and goes on."""
    path = tmp_path / "j.db"
    asyncio.run(filled(path, 2))
    for stop in range(1, 20):
        calls = 0

        class Stopping(sqlite3.Connection):
            def execute(self, sql: str, *values: Any, stop: int = stop) -> sqlite3.Cursor:
                nonlocal calls
                calls += 1
                if calls == stop and not sql.startswith("ROLLBACK"):
                    raise Crash
                return super().execute(sql, *values)

        db: sqlite3.Connection = sqlite3.connect(path, isolation_level=None, factory=Stopping)
        try:
            schema.migrate(db, str(path), STEPS)
            break
        except Crash:
            assert not db.in_transaction
        finally:
            db.close()
        again = sqlite3.connect(path)
        assert schema.version_of(again) == len(schema.MIGRATIONS)
        assert again.execute("SELECT count(*) FROM sqlite_master WHERE name = 'more'").fetchone() == (0,)
        again.close()
    assert stop > 8, "each of its calls was stopped once"
    last = sqlite3.connect(path)
    assert schema.version_of(last) == len(STEPS)
    last.close()


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (sqlite3.SQLITE_FULL, "full"),
        (sqlite3.SQLITE_READONLY, "read_only"),
        (sqlite3.SQLITE_READONLY_DIRECTORY, "read_only"),
        (sqlite3.SQLITE_READONLY_DBMOVED, "unavailable"),
        (sqlite3.SQLITE_CORRUPT, "corrupt"),
        (sqlite3.SQLITE_CORRUPT_INDEX, "corrupt"),
        (sqlite3.SQLITE_NOTADB, "corrupt"),
        (sqlite3.SQLITE_IOERR_WRITE, "unavailable"),
        (sqlite3.SQLITE_CANTOPEN, "unavailable"),
        (sqlite3.SQLITE_BUSY, "unavailable"),
        (None, "unavailable"),
    ],
)
def test_what_sqlites_codes_mean(code: int | None, reason: str) -> None:
    error = sqlite3.OperationalError("it says so")
    if code is not None:
        error.sqlite_errorcode = code
    found = from_sqlite("/a/j.db", error)
    assert found.reason == reason
    assert "it says so" in str(found)
    assert "/a/j.db" in str(found)
    assert found.__cause__ is error


async def test_another_program_may_look_at_it(in_file: SqliteJournal, clock: Clock) -> None:
    await in_file.begin("u", sent("k"))
    db = sqlite3.connect(in_file.path)
    db.execute("BEGIN")
    assert db.execute("SELECT key FROM run").fetchall() == [("k",)]
    await in_file.begin("u", sent("k2"))
    assert db.execute("SELECT key FROM run").fetchall() == [("k",)]
    db.close()
    assert len(await in_file.pending()) == 2
