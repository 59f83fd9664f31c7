"""The thread that has the file: what it joins, what becomes of callers who go, and of the loops that they were in."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from openclaw_client import os_threads
from openclaw_client.errors import JournalError, UsageError
from openclaw_client.journal import backlog
from openclaw_client.journal.lock import undivided
from openclaw_client.journal.protocol import PendingRun, RunChange
from openclaw_client.journal.sqlite import SqliteJournal
from tests.journal.processes import ROOT
from tests.journal.values import START, Clock, place, said, sent
from tests.waiting import until, wait_until

HALF = "half a character: \ud800"


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Everything that is executed."""
    found: list[str] = []
    real = sqlite3.connect

    class Recording(sqlite3.Connection):
        def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
            found.append(sql)
            return super().execute(sql, *values)

    monkeypatch.setattr(sqlite3, "connect", lambda *args, **kwargs: real(*args, factory=Recording, **kwargs))
    return found


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def taken(journal: SqliteJournal) -> None:
    """Until what was called is with the thread."""
    await turns()
    await until(lambda: not journal._writer().backlog.has_any())


async def test_what_waits_is_written_in_one_transaction(in_file: SqliteJournal, statements: list[str]) -> None:
    await in_file.pending()
    statements.clear()
    with undivided():
        first = asyncio.ensure_future(in_file.begin("u", sent("first")))
        await taken(in_file)
        others = [asyncio.ensure_future(in_file.begin("u", sent(f"{number}"))) for number in range(50)]
        await turns()
        for number in range(50):
            in_file.note("u", RunChange(f"{number}", end="final"))
    await asyncio.gather(first, *others)
    assert {run.state for run in await in_file.pending()} == {"sent", "answered"}
    assert statements.count("BEGIN") <= 4
    assert statements.count("COMMIT") == statements.count("BEGIN")


async def test_a_note_is_written_without_anybody_asking(in_file: SqliteJournal) -> None:
    await in_file.begin("u", sent("k"))
    in_file.note("u", RunChange("k", end="final"))
    db = sqlite3.connect(in_file.path)
    await until(lambda: db.execute("SELECT state FROM run").fetchall() == [("answered",)])
    db.close()


async def test_reading_takes_no_write(in_file: SqliteJournal, statements: list[str]) -> None:
    await in_file.begin("u", sent("k"))
    statements.clear()
    await in_file.open("u")
    await in_file.next("u")
    await in_file.users()
    assert not [sql for sql in statements if sql.split()[0] not in ("BEGIN", "SELECT", "COMMIT")]


@pytest.mark.parametrize(("power_safe", "mode"), [(False, "NORMAL"), (True, "FULL")])
async def test_how_durable_a_commit_is(tmp_path: Path, statements: list[str], power_safe: bool, mode: str) -> None:
    journal = SqliteJournal(tmp_path / "j.db", power_safe=power_safe)
    await journal.pending()
    assert [sql for sql in statements if "synchronous" in sql] == [f"PRAGMA synchronous={mode}"]
    db = sqlite3.connect(journal.path)
    assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    db.close()
    await journal.close()


# Who leaves.


async def test_a_begin_that_is_cancelled_leaves_nothing(in_file: SqliteJournal) -> None:
    await in_file.begin("u", sent("known"))
    with undivided():
        under_way = asyncio.ensure_future(in_file.begin("u", sent("a")))
        await taken(in_file)
        in_line = [
            asyncio.ensure_future(in_file.begin("u", sent("b"))),
            asyncio.ensure_future(in_file.begin("u", sent("known"))),
            asyncio.ensure_future(in_file.begin("u", sent("known", at=START + 1), again=True)),
        ]
        await turns()
        for task in (under_way, *in_line):
            task.cancel()
        await turns()
    assert [run.run_id for run in await in_file.pending()] == ["known"]
    assert await in_file.begin("u", sent("a")) is None


async def test_a_begin_that_is_cancelled_behind_its_end_is_undone(in_file: SqliteJournal) -> None:
    """Written down, and cancelled in the turn of the loop in which that would be told."""
    await in_file.pending()
    db = sqlite3.connect(in_file.path)
    with undivided():
        task = asyncio.ensure_future(in_file.begin("u", sent("a")))
        await taken(in_file)
    # The loop stands still while it is written.
    wait_until(lambda: db.execute("SELECT 1 FROM run").fetchone())
    db.close()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await in_file.pending() == ()


async def test_a_loop_that_has_ended_holds_up_nobody(in_file: SqliteJournal) -> None:
    await in_file.pending()

    def elsewhere() -> None:
        loop = asyncio.new_event_loop()
        for name in "ab":
            with pytest.raises(TimeoutError):
                loop.run_until_complete(asyncio.wait_for(in_file.receive("u", [said(name)]), 0.05))
        left = loop.create_task(in_file.begin("u", sent("k")))
        loop.run_until_complete(turns())
        loop.close()
        left._log_destroy_pending = False  # type: ignore[attr-defined]

    with undivided():
        await asyncio.to_thread(elsewhere)
    assert len(await asyncio.wait_for(in_file.pending(), 10)) == 1


async def test_several_loops_share_a_journal(in_file: SqliteJournal) -> None:
    def work(user: str) -> None:
        async def send() -> None:
            for number in range(50):
                assert await in_file.begin(user, sent(f"{number}")) is None
                in_file.note(user, RunChange(f"{number}", end="final", text=user))

        asyncio.run(send())

    await asyncio.gather(*(asyncio.to_thread(work, user) for user in "abcd"))
    runs = await in_file.pending()
    assert len(runs) == 200
    assert {(run.user, run.text, run.state) for run in runs} == {(user, user, "answered") for user in "abcd"}


async def test_threads_that_come_first_together_get_one_file(tmp_path: Path) -> None:
    for round_ in range(20):
        journal = SqliteJournal(tmp_path / f"{round_}.db", wait=0.0)
        start = threading.Barrier(4)

        def work(number: int, journal: SqliteJournal = journal, start: threading.Barrier = start) -> None:
            start.wait()
            asyncio.run(journal.begin("u", sent(f"{number}")))

        await asyncio.gather(*(asyncio.to_thread(work, number) for number in range(4)))
        assert len(await journal.pending()) == 4
        await journal.close()


# What cannot be written.


@pytest.mark.parametrize("where", ["user", "key", "text", "session", "number"])
async def test_what_is_no_text_is_refused_and_the_others_are_written(in_file: SqliteJournal, where: str) -> None:
    await in_file.pending()
    run = {
        "user": sent("k"),
        "key": sent(HALF),
        "text": sent("k", "x").__class__("k", "main", "digest", HALF),
        "session": sent("k", session=HALF),
        "number": sent("k", protocol=1 << 70),
    }[where]
    bad = in_file.begin(HALF if where == "user" else "u", run)
    results = await asyncio.gather(
        in_file.begin("u", sent("a")), bad, in_file.begin("u", sent("b")), return_exceptions=True
    )
    assert results[0] is results[2] is None
    assert isinstance(results[1], UsageError)
    assert "half" not in str(results[1])
    assert len(await in_file.pending()) == 2


async def test_of_a_call_that_is_refused_nothing_is_written(in_file: SqliteJournal) -> None:
    with pytest.raises(UsageError):
        await in_file.receive("u", [said("1")], place(HALF))
    with pytest.raises(UsageError):
        await in_file.receive("u", [said("1"), said("2", HALF)])
    assert await in_file.next("u") is None


async def test_a_note_that_is_no_text_is_left_out(in_file: SqliteJournal, caplog: pytest.LogCaptureFixture) -> None:
    await in_file.begin("u", sent("k"))
    in_file.note("u", RunChange("k", acknowledged=True))
    in_file.note("u", RunChange(HALF, end="final"))
    in_file.note("u", place())
    (run,) = await in_file.pending()
    assert run.sent_run.acknowledged
    assert len((await in_file.open("u")).places) == 1
    (error,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "no text" in error.getMessage()
    assert "half" not in caplog.text


async def test_a_system_without_threads(in_file: SqliteJournal, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(os_threads, "start", refuse)
        with pytest.raises(JournalError, match="no thread") as caught:
            await in_file.begin("u", sent("k"))
        assert caught.value.reason == "unavailable"
        in_file.note("u", place())
    assert await in_file.pending() == (), "whoever was told that it failed does not see it written"
    assert len((await in_file.open("u")).places) == 1


async def test_notes_beyond_the_bound_are_told_once(
    in_file: SqliteJournal, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(backlog, "MOST_NOTES", 2)
    await in_file.pending()
    for _ in range(2):
        with undivided():
            for name in "abcde":
                in_file.note("u", place(name))
        assert len((await in_file.open("u")).places) == 2
    assert len([record for record in caplog.records if "too much waits" in record.getMessage()]) == 2


# Ends and beginnings.


async def test_the_thread_ends_with_the_journal(in_file: SqliteJournal) -> None:
    def names() -> list[str]:
        return [thread.name for thread in threading.enumerate() if thread.name == "openclaw-journal"]

    for _ in range(3):
        await in_file.begin("u", sent("k"), again=True)
        assert len(names()) == 1
        await in_file.close()
        await until(lambda: not names())


async def test_calls_beside_a_close_are_answered(in_file: SqliteJournal) -> None:
    for round_ in range(30):
        first = asyncio.ensure_future(in_file.begin("u", sent(f"{round_} before")))
        closing = asyncio.ensure_future(in_file.close())
        behind = asyncio.ensure_future(in_file.begin("u", sent(f"{round_} behind")))
        await asyncio.gather(first, closing, behind)
        in_file.note("u", RunChange(f"{round_} before", end="final"))
    runs = await in_file.pending()
    assert len(runs) == 60
    assert sum(run.state == "answered" for run in runs) == 30


async def test_what_was_written_is_not_held(in_file: SqliteJournal) -> None:
    """The texts of the last call would stay as long as nothing else is asked for."""
    import gc
    import weakref

    class Text(str):
        """A text that can be watched."""

        __slots__ = ("__weakref__",)

    text = Text("Hello!")
    watched = weakref.ref(text)
    await in_file.begin("u", sent("k", text))
    del text

    def gone() -> bool:
        gc.collect()
        return watched() is None

    await until(gone)


GREENLETS = """
from gevent import monkey
monkey.patch_all()
import asyncio, sys, threading
from openclaw_client.journal.protocol import RunChange
from openclaw_client.journal.sqlite import SqliteJournal
from tests.journal.values import sent
async def main():
    journal = SqliteJournal(sys.argv[1])
    for number in range(20):
        await journal.begin("u", sent(f"{number}"))
        journal.note("u", RunChange(f"{number}", end="final"))
    print(len(await journal.pending()))
    await journal.close()
asyncio.run(main())
"""


def test_under_gevent(tmp_path: Path) -> None:
    pytest.importorskip("gevent")
    done = subprocess.run(
        [sys.executable, "-c", GREENLETS, str(tmp_path / "j.db")], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("20\n", "")


async def test_whatever_is_asked_for_finds_its_rows_by_an_index(
    in_file: SqliteJournal, statements: list[str], clock: Clock
) -> None:
    """Of a million rows, none is looked at that is not asked for."""
    await in_file.begin("u", sent("k"))
    await in_file.receive("u", [said("1")], place())
    in_file.note("u", RunChange("k", end="final"))
    await in_file.deliver("u", "1")
    await in_file.settle("u", "1", "dead")
    await in_file.open("u")
    await in_file.next("u")
    await in_file.pending()
    await in_file.users()
    await in_file.dead()
    await in_file.replay("1", user="u")
    await in_file.forget("u", "k")
    await in_file.prune(clock.now + 1e7)
    asked = {sql for sql in statements if sql.split()[0] in ("SELECT", "UPDATE", "DELETE") and "FROM meta" not in sql}
    asked = {sql for sql in asked if "sqlite_master" not in sql and "meta" not in sql}
    assert len(asked) > 15
    db = sqlite3.connect(in_file.path)
    for sql in asked:
        values = dict.fromkeys(("acked", "answered", "session_id", "ended", "text", "taken", "now", "user", "key"))
        given = values if ":user" in sql else (None,) * sql.count("?")
        plan = db.execute(f"EXPLAIN QUERY PLAN {sql}", given).fetchall()
        scans = [row[3] for row in plan if row[3].startswith("SCAN") and "run_open" not in row[3]]
        scans = [row for row in scans if "inbox_open" not in row and "inbox_dead" not in row]
        assert scans == [], sql
    db.close()


async def test_its_name_is_its_path(in_file: SqliteJournal) -> None:
    assert repr(in_file) == f"SqliteJournal({in_file.path!r})"
    assert isinstance(await in_file.begin("u", sent("k")), PendingRun | None)
