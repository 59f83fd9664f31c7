"""The one thread that has a journal's file open: it takes the lock, writes what waits, and tells what came of it.

Knows SQLite, transactions and failures. Does not know what the calls do.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from openclaw_client import os_threads
from openclaw_client.errors import JournalError, UsageError
from openclaw_client.forks import late_import
from openclaw_client.journal import tables
from openclaw_client.journal.backlog import Item, Job, Note, Notes, Settled, WriteQueue, resolve
from openclaw_client.journal.failures import failure, from_sqlite
from openclaw_client.journal.lock import JournalLock, identity_of, prepare_files, undivided
from openclaw_client.journal.protocol import KeptPlace
from openclaw_client.journal.reports import (
    report_lost,
    report_no_text,
    report_untaken,
    report_unwritten,
    report_vanished,
    report_written,
)
from openclaw_client.journal.schema import prepare

if TYPE_CHECKING:
    import sqlite3

BUSY: Final = 5.0
"""Seconds to wait for another program that reads the file with SQLite's own locks: a person's look, or a backup."""
FIRST_RETRY: Final = 1.0
LAST_RETRY: Final = 30.0
"""Seconds between tries to write notes down, twice as many each time: a full disk is emptied by people."""


NO_TEXT: Final = "What was to be written down holds something that is no text, or no number"


class Writer:
    """The thread of one journal. It starts with the first call and ends when the journal is closed.

    Args:
        path: The journal's file.
        power_safe: Whether a commit waits until the disk has it.
        wait: Seconds to wait for another process's end, the first time.
    """

    def __init__(self, path: str, *, power_safe: bool, wait: float) -> None:
        self.backlog = WriteQueue()
        self._pid = os.getpid()
        self._path = path
        self._power_safe = power_safe
        self._wait = wait
        self._hurry = os_threads.lock()
        self._hurry.acquire()
        self._lock = JournalLock(path, self._pause)
        self._ident: tuple[int, int] | None = None
        self._starting = os_threads.lock()
        self._runs = False
        self._retry: float | None = None
        self._full = False

    def put(self, job: Job) -> None:
        """A call with room, or one that nobody waits for."""
        self.backlog.put(job)
        self._start()

    def note(self, user: str, note: Note, at: float) -> None:
        """Something that nobody waits for."""
        if self.backlog.note(user, note, at):
            self._full = False
        elif not self._full:
            self._full = True
            report_lost(self._path)
        # What waits is written by the next thread that there is.
        with contextlib.suppress(JournalError):
            self._start()

    @property
    def in_use(self) -> bool:
        """Whether there is anything to close, or to write."""
        with self._starting:
            return self._runs or self.backlog.has_any()

    def leave(self) -> None:
        """Nobody has the journal any more: its file is closed when all is written."""
        # In a forked child nobody would wake, and locks are as its parent's threads had them.
        if self._pid == os.getpid() and self.in_use:
            with contextlib.suppress(JournalError):
                self.close(Job(None))

    def close(self, job: Job) -> None:
        """Write what waits and let others have the journal. job: without work."""
        self.backlog.put(job)
        self._start()
        # Nobody waits for the lock any more.
        with contextlib.suppress(RuntimeError):
            self._hurry.release()

    def _start(self) -> None:
        with self._starting:
            if self._runs:
                return
            try:
                os_threads.start(self._serve, "openclaw-journal")
            except RuntimeError as error:
                raise failure(self._path, "unavailable", "the system has no thread for it", cause=error) from error
            self._runs = True

    def _serve(self) -> None:
        # Held by this frame alone: in a forked child the thread is not there, and its frame is never cleared, so that
        # nothing there closes or collects what SQLite would use for that.
        db: sqlite3.Connection | None = None
        while True:
            items = self.backlog.take(self._retry)
            closing = next((item for item in items if isinstance(item, Job) and item.work is None), None)
            db = self._work(db, [item for item in items if item is not closing])
            # Else the texts in them would stay until there is something to do again.
            del items
            if closing is None:
                continue
            if db is not None:
                with undivided():
                    _close(db)
                db = None
            self._lock.release()
            if self._retry is not None:
                closing.error = failure(self._path, "unavailable", "what was noted could not be written down")
            # Whoever asks for something behind this gets it, from this thread or the next.
            with self._starting:
                self._runs = self.backlog.has_jobs() or (self._retry is None and self.backlog.has_any())
                ends = not self._runs
            self._tell([closing])
            if ends:
                return
            del closing

    def _work(self, db: sqlite3.Connection | None, items: Sequence[Item]) -> sqlite3.Connection | None:
        """Write these down; the connection for the next ones."""
        asked = [item for item in items if isinstance(item, Notes) or not item.left]
        self.backlog.done([item for item in items if isinstance(item, Job) and item.left])
        if not asked:
            return db
        try:
            db = self._ready(db)
        except Exception as why:  # noqa: BLE001 - the thread serves the others, and whoever asked is told
            self._refuse(asked, self._meaning(why))
            return None
        error = self._attempt(db, asked)
        if error is None:
            self._succeed(asked)
        elif len(asked) == 1:
            self._refuse(asked, error)
        else:
            # One of them may be too large, or no text: the others are written. Nothing overtakes a note.
            for index, item in enumerate(asked):
                error = self._attempt(db, [item])
                if error is None:
                    self._succeed([item])
                    continue
                behind = asked[index:] if isinstance(item, Notes) else [item]
                self._refuse(behind, error)
                if len(behind) > 1:
                    break
        if isinstance(error, JournalError) and error.reason != "full":
            # What is wrong with the file is looked at anew.
            with undivided():
                _close(db)
            return None
        return db

    def _ready(self, db: sqlite3.Connection | None) -> sqlite3.Connection:
        if db is not None:
            if self._lock.is_held() and identity_of(self._path) == self._ident:
                return db
            with undivided():
                _close(db)
            self._lock.release()
            report_vanished(self._path)
            raise failure(self._path, "unavailable", "it was deleted or replaced while it was in use")
        wait, self._wait = self._wait, 0.0
        if not self._lock.is_held():
            self._lock.release()
            self._hurry.acquire(blocking=False)
            self._lock.acquire(wait)
        with late_import():
            import sqlite3
        try:
            with undivided():
                self._ident = prepare_files(self._path)
                return _opened(self._path, self._power_safe)
        except JournalError:
            self._lock.release()
            raise
        except sqlite3.Error as error:
            self._lock.release()
            raise from_sqlite(self._path, error) from error.with_traceback(None)

    def _attempt(self, db: sqlite3.Connection, items: Sequence[Item]) -> Exception | None:
        """Write all of these in one transaction, or nothing; what went wrong."""
        given_up = 0
        try:
            with undivided():
                try:
                    db.execute("BEGIN")
                    for item in items:
                        if isinstance(item, Notes):
                            given_up += _write_notes(db, item, self._path)
                        elif item.work is not None:
                            item.result = item.work(db)
                    db.execute("COMMIT")
                except BaseException:
                    if db.in_transaction:
                        db.execute("ROLLBACK")
                    raise
        except Exception as error:  # noqa: BLE001 - the thread serves the others, and whoever asked is told
            return self._meaning(error.with_traceback(None))
        report_untaken(self._path, given_up)
        return None

    def _meaning(self, error: Exception) -> Exception:
        """What whoever asked is told."""
        if isinstance(error, JournalError):
            return error
        if isinstance(error, ImportError):
            return failure(self._path, "unavailable", "this Python was built without sqlite3", cause=error)
        import sqlite3

        if isinstance(error, UnicodeError | OverflowError | sqlite3.InterfaceError | sqlite3.ProgrammingError):
            # Its own words would show the text.
            return UsageError(message=NO_TEXT)
        if isinstance(error, sqlite3.Error):
            return from_sqlite(self._path, error)
        if isinstance(error, msgspec.DecodeError):
            # Its own words may show the text.
            return failure(self._path, "corrupt", "a row holds what nobody wrote there")
        if isinstance(error, OSError):
            return failure(self._path, "unavailable", error.strerror or type(error).__name__, cause=error)
        return error

    def _succeed(self, items: Sequence[Item]) -> None:
        if self._retry is not None and any(isinstance(item, Notes) for item in items):
            self._retry = None
            report_written(self._path)
        self._tell(items)

    def _refuse(self, items: Sequence[Item], error: Exception) -> None:
        notes = [item for item in items if isinstance(item, Notes)]
        if notes:
            if self._retry is None and isinstance(error, JournalError):
                report_unwritten(error)
            self.backlog.put_back(notes)
            self._retry = FIRST_RETRY if self._retry is None else min(self._retry * 2, LAST_RETRY)
        jobs = [item for item in items if isinstance(item, Job)]
        for job in jobs:
            job.error = error.again() if isinstance(error, JournalError) else error
        self._tell(jobs)

    def _tell(self, items: Sequence[Item]) -> None:
        by_loop: dict[Any, list[Job]] = {}
        for item in items:
            if isinstance(item, Job):
                by_loop.setdefault(item.loop, []).append(item)
        self.backlog.done(items)
        for jobs in by_loop.values():
            resolve(jobs)

    def _pause(self, seconds: float) -> bool:
        """Wait in the lock's line."""
        return bool(self._hurry.acquire(timeout=seconds))


def _opened(path: str, power_safe: bool) -> sqlite3.Connection:
    import sqlite3

    db = sqlite3.connect(path, timeout=BUSY, isolation_level=None)
    try:
        prepare(db, path, power_safe=power_safe)
    except BaseException:
        _close(db)
        raise
    return db


def _close(db: sqlite3.Connection) -> None:
    import sqlite3

    with contextlib.suppress(sqlite3.Error):
        db.close()


def _write_notes(db: sqlite3.Connection, notes: Notes, path: str) -> int:
    """Write notes down; how many replies are given up for them."""
    import sqlite3

    given_up = 0
    for (_, user, _), (note, at) in notes.changes.items():
        try:
            if isinstance(note, Settled):
                tables.settle(db, user, note.message_id, note.verdict, at)
            elif isinstance(note, KeptPlace):
                tables.put_place(db, user, note)
            else:
                given_up += tables.change(db, user, note, at)
        except (TypeError, ValueError, OverflowError, sqlite3.InterfaceError, sqlite3.ProgrammingError):
            # It would be no text the next time either.
            report_no_text(path)
    return given_up
