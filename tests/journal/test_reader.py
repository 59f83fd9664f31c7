"""A look into a file: beside its process, without its lock, and whatever state it was left in."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from openclaw_client.errors import JournalError, UsageError
from openclaw_client.journal import reader, schema
from openclaw_client.journal.reader import Contents, read_contents, read_dead
from openclaw_client.journal.sqlite import SqliteJournal
from tests.journal.processes import HOLDER, ROOT, Program, alone
from tests.journal.test_faults import cut, cut_to_a_head, filled, spoil_all, spoil_head, spoil_middle
from tests.journal.test_files import make_folder, make_link, make_pipe, make_second_name
from tests.journal.values import START, Clock, said, sent


def reason_of(path: Path) -> str:
    with pytest.raises(JournalError) as caught:
        read_contents(path)
    with pytest.raises(JournalError) as again:
        read_dead(path)
    assert again.value.reason == caught.value.reason
    assert caught.value.path == str(path)
    return caught.value.reason


def ids(path: Path) -> list[str]:
    return [run.run_id for run in read_contents(path).runs]


async def test_what_is_there(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "j.db"
    journal = SqliteJournal(path, clock=clock)
    await journal.begin("v", sent("k2", at=START + 1))
    await journal.begin("u", sent("k1"), state="queued")
    await journal.receive("u", [said("one"), said("two"), said("three")])
    assert await journal.deliver("u", "one") == 1
    await journal.settle("u", "one", "dead")
    assert await journal.deliver("u", "two") == 1
    clock.now += 60
    assert await journal.pending() == read_contents(path).runs, "beside the one that has it"
    (kept,) = await journal.dead()
    for _ in ("while it is open", "when it is closed"):
        contents = read_contents(path)
        assert (contents.waiting, contents.dead, ids(path)) == (2, 1, ["k1", "k2"])
        (dead,) = read_dead(path)
        assert (dead.kept, dead.died_at) == (kept, START)
        await journal.close()


async def test_nothing_is_made_or_changed(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    await filled(path, 3)
    before = path.read_bytes(), path.stat().st_mtime_ns
    assert ids(path) == ["0", "1", "2"]
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
    assert sorted(os.listdir(tmp_path)) == ["j.db", "j.db.lock"]


async def test_a_file_that_nobody_wrote_to_yet_is_an_empty_journal(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    path.touch()
    assert read_contents(path) == Contents()
    assert read_dead(path) == ()
    assert path.stat().st_size == 0


def test_a_process_goes_on_beside_the_look_and_its_death_leaves_all(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    with Program(HOLDER, path) as holder:
        assert holder.heard() == "held"
        for _ in range(3):
            assert ids(path) == [f"of {holder.process.pid}"]
        holder.kill()
        assert os.path.exists(f"{path}-wal"), "what is tested"
        assert ids(path) == [f"of {holder.process.pid}"]
        # Its index is made anew by the first who comes.
        os.unlink(f"{path}-shm")
        assert ids(path) == [f"of {holder.process.pid}"]


def test_the_lock_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    with Program(HOLDER, path) as holder:
        assert holder.heard() == "held"
        said_by_holder = Path(f"{path}.lock").read_text()
        ids(path)
        assert Path(f"{path}.lock").read_text() == said_by_holder
        holder.tell()
        assert holder.heard() == "closed"
    os.unlink(f"{path}.lock")
    ids(path)
    assert os.listdir(tmp_path) == ["j.db"]


async def test_a_file_that_is_opened_in_the_middle_of_the_look_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "j.db"
    await filled(path, 1)
    real, looks = reader.check_readable, 0

    def write_in_between(db: sqlite3.Connection, name: str) -> bool:
        nonlocal looks
        looks += 1
        if looks == 1:
            with sqlite3.connect(path) as other:
                other.execute("UPDATE run SET key = 'new'")
            other.close()
        return real(db, name)

    monkeypatch.setattr(reader, "check_readable", write_in_between)
    assert ids(path) == ["new"]
    assert looks == 2


UNPRIVILEGED = """
import asyncio, os, sqlite3, sys
from openclaw_client.journal.reader import read_contents
from openclaw_client.journal.sqlite import SqliteJournal
from tests.journal.values import sent

folder = sys.argv[1]
path = os.path.join(folder, "j.db")
if os.getuid() == 0:
    os.chown(folder, 65534, 65534)
    os.setgid(65534)
    os.setuid(65534)

async def fill():
    journal = SqliteJournal(path)
    await journal.begin("u", sent("k"))
    await journal.close()

asyncio.run(fill())
os.chmod(folder, 0o555)
print(len(read_contents(path).runs), sorted(os.listdir(folder)))
os.chmod(folder, 0o755)
"""


def test_a_folder_that_cannot_be_written() -> None:
    # Not within pytest's own folder, which is root's alone.
    with tempfile.TemporaryDirectory() as outer:
        folder = Path(outer) / "folder"
        folder.mkdir()
        os.chmod(outer, 0o755)
        done = subprocess.run(
            [sys.executable, "-c", UNPRIVILEGED, str(folder)],
            cwd=ROOT,
            env=alone(),
            capture_output=True,
            text=True,
            check=False,
        )
    assert (done.stdout, done.stderr) == ("1 ['j.db', 'j.db.lock']\n", "")


# What is none, or not of today.


@pytest.mark.parametrize("spoil", [spoil_all, spoil_head, spoil_middle, cut, cut_to_a_head])
async def test_a_damaged_file(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    path = tmp_path / "j.db"
    await filled(path)
    spoil(path)
    assert reason_of(path) == "corrupt"


async def test_a_row_that_somebody_else_wrote(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    await filled(path, 1)
    with sqlite3.connect(path) as db:
        db.execute("INSERT INTO inbox VALUES (1, 'u', 'i', '{\"text\": \"secret', 0, 0, 'dead', 0)")
    db.close()
    with pytest.raises(JournalError) as caught:
        read_dead(path)
    assert caught.value.reason == "corrupt"
    assert "secret" not in str(caught.value)
    assert len(read_contents(path).runs) == 1


@pytest.mark.parametrize(("by", "reason"), [(1, "newer"), (-1, "unavailable")])
async def test_a_file_of_another_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: int, reason: str) -> None:
    path = tmp_path / "j.db"
    await filled(path, 1)
    monkeypatch.setattr(schema, "MIGRATIONS", [*schema.MIGRATIONS, ("SELECT 1",)] if by < 0 else schema.MIGRATIONS)
    if by > 0:
        with sqlite3.connect(path) as db:
            db.execute("UPDATE meta SET schema = schema + 1")
        db.close()
    assert reason_of(path) == reason


async def test_another_programs_database(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE django_session (x)")
    db.close()
    assert reason_of(path) == "unavailable"


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm"])
@pytest.mark.parametrize("make", [make_folder, make_link, make_pipe, make_second_name])
async def test_what_is_no_file_of_its_own(tmp_path: Path, make: Callable[[Path], None], suffix: str) -> None:
    path = tmp_path / "j.db"
    if suffix:
        await filled(path, 1)
    make(Path(f"{path}{suffix}"))
    assert reason_of(path) == "unavailable"


def test_a_file_of_another_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "j.db"
    path.touch()
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(JournalError, match="another user"):
        read_contents(path)


def test_no_file_at_all(tmp_path: Path) -> None:
    assert reason_of(tmp_path / "j.db") == "unavailable"
    assert os.listdir(tmp_path) == []
    with pytest.raises(UsageError):
        read_contents(":memory:")
