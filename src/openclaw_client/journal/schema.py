"""The tables of a journal's file, how an older file becomes one of today, and whether a file is one at all.

Knows SQL and versions. Does not know what the rows mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from openclaw_client.errors import JournalError
from openclaw_client.journal.failures import failure

if TYPE_CHECKING:
    import sqlite3

APPLICATION_ID: Final = 0x4F434A31
"""Stands in the file's head ("OCJ1"): another program's database is never taken for a journal."""

CHECKED_PAGES: Final = 2_048
"""Pages of 4 KiB up to which the whole file is checked when it is opened: 8 MiB take some 20 ms. Of a larger one the
head, the tables and the length are, and each page that is read."""

WAL_KEPT: Final = 16 << 20
"""Bytes that the log beside the file may keep once it was copied into it; a burst had made it longer."""

_RUN: Final = """
CREATE TABLE run (
    seq INTEGER PRIMARY KEY, user TEXT NOT NULL, key TEXT NOT NULL, session TEXT NOT NULL, digest TEXT NOT NULL,
    message TEXT NOT NULL, prompt TEXT, params TEXT NOT NULL, files TEXT NOT NULL, state TEXT NOT NULL,
    sent_at REAL NOT NULL, clock_ms REAL, boot_id TEXT, protocol INTEGER NOT NULL, session_id TEXT,
    acked INTEGER NOT NULL, answered_run TEXT, ended TEXT, text TEXT, changed REAL NOT NULL, UNIQUE (user, key))
"""
_PLACE: Final = """
CREATE TABLE place (
    seq INTEGER PRIMARY KEY, user TEXT NOT NULL, session TEXT NOT NULL, since_ms REAL NOT NULL, row_id TEXT,
    session_id TEXT, ids BLOB NOT NULL, sent BLOB NOT NULL, said BLOB NOT NULL, UNIQUE (user, session))
"""
_INBOX: Final = """
CREATE TABLE inbox (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, user TEXT NOT NULL, id TEXT NOT NULL, payload BLOB NOT NULL,
    tries INTEGER NOT NULL, next_at REAL NOT NULL, state TEXT NOT NULL, changed REAL NOT NULL, UNIQUE (user, id))
"""

MIGRATIONS: Final[Sequence[Sequence[str]]] = (
    (
        "CREATE TABLE meta (schema INTEGER NOT NULL, made REAL NOT NULL)",
        "INSERT INTO meta VALUES (0, strftime('%s', 'now'))",
        _RUN,
        # Few rows of a file are open, and all that is asked for often is among these.
        "CREATE INDEX run_open ON run (user, sent_at) WHERE state IN ('queued', 'sent', 'answered')",
        "CREATE INDEX run_over ON run (state, changed) WHERE state IN ('taken', 'bare')",
        "CREATE INDEX run_answered ON run (user, answered_run) WHERE answered_run IS NOT NULL",
        _PLACE,
        "CREATE INDEX place_user ON place (user)",
        _INBOX,
        "CREATE INDEX inbox_open ON inbox (user) WHERE state IN ('waiting', 'dealt')",
        "CREATE INDEX inbox_dead ON inbox (user) WHERE state = 'dead'",
        "CREATE INDEX inbox_over ON inbox (state, changed) WHERE state IN ('done', 'dead')",
    ),
)
"""What makes a file of version n one of version n + 1, from an empty one on. A published step stays as it is."""


def prepare(db: sqlite3.Connection, path: str, *, power_safe: bool) -> None:
    """Make an opened file ready for use.

    Raises:
        JournalError: It is damaged, another program's, or from a later version.
        sqlite3.Error: It cannot be read or written.
    """
    check_ours(db, path)
    (mode,) = db.execute("PRAGMA journal_mode=WAL").fetchone()
    if mode != "wal":
        raise failure(path, "unavailable", "its file system cannot share memory between processes")
    # NORMAL: a commit survives the process, FULL: the machine, too.
    db.execute(f"PRAGMA synchronous={'FULL' if power_safe else 'NORMAL'}")
    db.execute(f"PRAGMA journal_size_limit={WAL_KEPT}")
    db.execute("PRAGMA cell_size_check=ON")
    migrate(db, path)
    _check_pages(db, path)


def check_readable(db: sqlite3.Connection, path: str) -> bool:
    """Whether a file that is only read has the tables of today; False where it has none yet. Writes nothing.

    Raises:
        JournalError: It is damaged, another program's, or from another version.
        sqlite3.Error: It cannot be read.
    """
    check_ours(db, path)
    db.execute("PRAGMA cell_size_check=ON")
    version = version_of(db)
    if version == 0:
        return False
    if version > len(MIGRATIONS):
        raise _newer(path, version, len(MIGRATIONS))
    if version < len(MIGRATIONS):
        raise failure(path, "unavailable", "its tables are of an earlier version, which its next use changes")
    _check_pages(db, path)
    return True


def version_of(db: sqlite3.Connection) -> int:
    """The version of the tables; 0 where there are none."""
    (ours,) = db.execute("PRAGMA application_id").fetchone()
    return int(db.execute("SELECT schema FROM meta").fetchone()[0]) if ours == APPLICATION_ID else 0


def migrate(db: sqlite3.Connection, path: str, steps: Sequence[Sequence[str]] = MIGRATIONS) -> None:
    """Make the tables those of the latest version, all steps or none.

    Raises:
        JournalError: The file is from a later version.
    """
    version = version_of(db)
    if version > len(steps):
        raise _newer(path, version, len(steps))
    if version == len(steps):
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        for step in steps[version:]:
            for statement in step:
                db.execute(statement)
        db.execute("UPDATE meta SET schema = ?", (len(steps),))
        db.execute(f"PRAGMA application_id={APPLICATION_ID}")
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def check_ours(db: sqlite3.Connection, path: str) -> None:
    """Nothing is written before this is known.

    Raises:
        JournalError: It is another program's.
    """
    (ours,) = db.execute("PRAGMA application_id").fetchone()
    (things,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if ours != APPLICATION_ID and (ours or things):
        raise failure(path, "unavailable", "it is the database of another program")


def _newer(path: str, version: int, known: int) -> JournalError:
    return failure(path, "newer", f"its tables are of version {version}, those known here of {known}")


def _check_pages(db: sqlite3.Connection, path: str) -> None:
    (pages,) = db.execute("PRAGMA page_count").fetchone()
    if pages <= CHECKED_PAGES:
        (said,) = db.execute("PRAGMA quick_check(1)").fetchone()
        if said != "ok":
            raise failure(path, "corrupt")
