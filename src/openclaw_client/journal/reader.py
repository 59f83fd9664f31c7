"""A look into a journal's file, also while another process has it: without its lock, and nothing is changed.

Knows how SQLite reads a file that somebody else may write. Does not know what the rows mean.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

import msgspec

from openclaw_client.errors import JournalError
from openclaw_client.forks import late_import
from openclaw_client.journal import tables
from openclaw_client.journal.failures import failure, from_sqlite
from openclaw_client.journal.lock import BESIDE, check_beside, check_private, checked_path, undivided, unusable
from openclaw_client.journal.protocol import KeptMessage, PendingRun
from openclaw_client.journal.schema import check_readable

if TYPE_CHECKING:
    import sqlite3

_T = TypeVar("_T")

BUSY: Final = 5.0
"""Seconds to wait for who has SQLite's own locks: a process that opens the file after a crash takes milliseconds."""


@dataclass(frozen=True, slots=True)
class DeadMessage:
    """A message that was given up.

    Attributes:
        kept: The message, whose it is, and how often it was delivered.
        died_at: When it was given up, in seconds since 1970.
    """

    kept: KeptMessage
    died_at: float


@dataclass(frozen=True, slots=True)
class Contents:
    """What a journal holds that is not over.

    Attributes:
        runs: Those that were not taken, of all users, oldest first.
        waiting: How many messages wait for a handler, or are with one.
        dead: How many were given up.
    """

    runs: tuple[PendingRun, ...] = ()
    waiting: int = 0
    dead: int = 0


def read_contents(path: str | os.PathLike[str]) -> Contents:
    """What a journal holds that is not over.

    Args:
        path: Its file.

    Returns:
        The runs, and how many messages there are.

    Raises:
        JournalError: There is none, or it cannot be read.
        UsageError: The path can never be one of a journal.
    """
    return _read(checked_path(path), _contents) or Contents()


def read_dead(path: str | os.PathLike[str]) -> tuple[DeadMessage, ...]:
    """The messages that were given up.

    Args:
        path: The journal's file.

    Returns:
        Those of all users, oldest first.

    Raises:
        JournalError: There is none, or it cannot be read.
        UsageError: The path can never be one of a journal.
    """
    found = _read(checked_path(path), tables.dead_since) or ()
    return tuple(DeadMessage(kept, died_at) for kept, died_at in found)


def _contents(db: sqlite3.Connection) -> Contents:
    return Contents(tables.pending(db, None), *tables.counts(db))


def _read(path: str, work: Callable[[sqlite3.Connection], _T]) -> _T | None:
    """What work finds; None in a file without tables, which its first process is about to make."""
    before = _seen(path)
    if not before.closed:
        return _attempt(path, work, immutable=False)
    # Nobody has it: SQLite would make files beside it, and in a folder that cannot be written it could not.
    error, found = None, None
    try:
        found = _attempt(path, work, immutable=True)
    except JournalError as why:
        error = why
    if _seen(path) != before:
        # Somebody opened it meanwhile, and what was read may be of two moments.
        return _attempt(path, work, immutable=False)
    if error is not None:
        raise error
    return found


class _Seen(NamedTuple):
    """What tells whether a file was written meanwhile."""

    closed: bool
    inode: int
    size: int
    changed: int


def _seen(path: str) -> _Seen:
    try:
        check_private(path)
        status = os.lstat(path)
    except OSError as error:
        raise unusable(path, path, error) from error
    check_beside(path)
    # Its last process deletes the log, unless it was killed.
    closed = not any(os.path.lexists(path + suffix) for suffix in BESIDE[1:])
    return _Seen(closed, status.st_ino, status.st_size, status.st_mtime_ns)


def _attempt(path: str, work: Callable[[sqlite3.Connection], _T], *, immutable: bool) -> _T | None:
    try:
        with late_import():
            import sqlite3
    except ImportError as error:
        raise failure(path, "unavailable", "this Python was built without sqlite3", cause=error) from error
    address = f"{Path(path).as_uri()}?mode=ro{'&immutable=1' if immutable else ''}"
    try:
        with undivided(), closing(sqlite3.connect(address, uri=True, timeout=BUSY, isolation_level=None)) as db:
            # All of it as of one moment.
            db.execute("BEGIN")
            return work(db) if check_readable(db, path) else None
    except sqlite3.Error as error:
        raise from_sqlite(path, error) from error.with_traceback(None)
    except msgspec.DecodeError:
        # Its own words may show the text.
        raise failure(path, "corrupt", "a row holds what nobody wrote there") from None
