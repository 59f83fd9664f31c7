"""One process for one journal: a lock of the operating system on a file beside it, which ends with its holder.

Knows files, their owners and forks. Does not know what a journal holds.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
from collections.abc import Callable, Iterator
from typing import Final

from openclaw_client import os_threads
from openclaw_client.errors import JournalError, UsageError
from openclaw_client.journal.failures import failure

if sys.platform == "win32":  # pragma: no cover
    fcntl = None
else:
    import fcntl

POLL: Final = 0.05
"""Seconds between attempts. A blocking lock could not be given up; whoever frees it does so within a restart."""
FORK_WAITS: Final = 5.0
"""Seconds that a fork waits for what is being written, at most: a transaction takes milliseconds."""
_PID_BYTES: Final = 20

_CAREFULLY: Final = (
    getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOCTTY", 0)
)
"""Opening follows no link and waits for nobody: a pipe without a writer would wait for ever."""

BESIDE: Final = ("", "-wal", "-shm", "-journal")
"""What SQLite's files have behind the journal's name."""

_guard = os_threads.lock()
_held: dict[int, tuple[int, int]] = {}
_barred: dict[tuple[int, int], int] = {}
_forking = False


@contextlib.contextmanager
def undivided() -> Iterator[None]:
    """No fork happens within. A child would have SQLite's locks as its parent's threads hold them, for ever."""
    guard = _guard
    with guard:
        yield


def checked_path(path: str | os.PathLike[str]) -> str:
    """The absolute path of a journal: the process may change its folder before the file is opened.

    Raises:
        UsageError: It can never be one of a journal, or this system has no such locks.
    """
    given = os.fspath(path)
    if fcntl is None:  # pragma: no cover
        raise UsageError(message="A journal in a file needs flock(), which this system does not have")
    if not isinstance(given, str) or "\0" in given:
        raise UsageError(message="The path of a journal is a str without zeros")
    if not given or given.startswith((":memory:", "file:")):
        raise UsageError(
            message=f"{given!r} is no path of a file, and a journal must survive its process",
            remedy="Give a path; tests take openclaw_client.journal.memory.MemoryJournal",
        )
    return os.path.abspath(given)


class JournalLock:
    """The lock of one journal. Its file stays where it is: who deletes it could let two in.

    Args:
        path: Of the journal.
        pause: Waits so many seconds; whether the wait is to be given up.
    """

    def __init__(self, path: str, pause: Callable[[float], bool]) -> None:
        self._journal = path
        self._path = path + ".lock"
        self._pause = pause
        self._fd: int | None = None

    def acquire(self, wait: float) -> None:
        """Take the lock.

        Args:
            wait: Seconds to wait for another process's end.

        Raises:
            JournalError: Another process has it, or it cannot be had.
        """
        tries = max(0, round(wait / POLL))
        while not self._attempt():
            if tries <= 0 or self._pause(POLL):
                raise failure(self._journal, "in_use", self._holder())
            tries -= 1

    def is_held(self) -> bool:
        """Whether this process still has it: its file may have been deleted, and another one locked by somebody."""
        return self._fd is not None and self._is_still(_held[self._fd])

    def release(self) -> None:
        """Let others have it."""
        with _guard:
            fd, self._fd = self._fd, None
            if fd is not None:
                del _held[fd]
                # Closing does it, and would not where a forked child had a copy; but such a child closes its own.
                os.close(fd)

    def _attempt(self) -> bool:
        assert fcntl is not None
        with _guard:
            fd = self._opened()
            try:
                status = os.fstat(fd)
                ident = (status.st_dev, status.st_ino)
                if ident in _barred:
                    # SQLite keeps what it has locked for each process, and a copy of that is not true.
                    why = f"this process was forked from process {_barred[ident]}, which had it open, and cannot use it"
                    raise failure(self._journal, "in_use", why)
                if not self._locked(fd) or not self._is_still(ident):
                    os.close(fd)
                    return False
            except BaseException:
                os.close(fd)
                raise
            _held[fd], self._fd = ident, fd
            # For people alone; what a full disk does not take is not there.
            with contextlib.suppress(OSError):
                os.ftruncate(fd, 0)
                os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
            return True

    def _opened(self) -> int:
        try:
            return open_private(self._path, os.O_RDWR | os.O_CREAT)
        except OSError as error:
            raise unusable(self._journal, self._path, error) from error

    def _locked(self, fd: int) -> bool:
        assert fcntl is not None
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            why = f"its file system has no locks ({error.strerror})"
            raise failure(self._journal, "unavailable", why, cause=error) from error
        return True

    def _is_still(self, ident: tuple[int, int]) -> bool:
        """Whether the locked file is the one of that name: somebody may have deleted it in between."""
        try:
            status = os.lstat(self._path)
        except OSError:
            return False
        return (status.st_dev, status.st_ino) == ident

    def _holder(self) -> str:
        try:
            fd = open_private(self._path, os.O_RDONLY)
        except OSError:
            return ""
        try:
            said = os.read(fd, _PID_BYTES).strip()
        except OSError:
            return ""
        finally:
            os.close(fd)
        if not said.isdigit():
            return ""
        return f"it is process {int(said)}" + (", this one" if int(said) == os.getpid() else "")


def prepare_files(path: str) -> tuple[int, int]:
    """Make or check the journal's files, and say which one it is. Call with the lock, before SQLite has the file open.

    Closing a descriptor of the file later would take SQLite's own locks along.

    Raises:
        JournalError: What is there is no regular file of this process's user.
    """
    check_beside(path)
    try:
        fd = open_private(path, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise unusable(path, path, error) from error
    try:
        status = os.fstat(fd)
    finally:
        os.close(fd)
    if not status.st_size:
        _sync_folder(os.path.dirname(path))
    return status.st_dev, status.st_ino


def check_beside(path: str) -> None:
    """Whether what SQLite finds beside a journal may be used.

    Raises:
        JournalError: One of the files is no regular file of this process's user.
    """
    for suffix in BESIDE[1:]:
        try:
            check_private(path + suffix)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise unusable(path, path + suffix, error) from error


def _sync_folder(folder: str) -> None:
    """Make a new name durable, where the file system can do that for a folder."""
    with contextlib.suppress(OSError):
        fd = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def identity_of(path: str) -> tuple[int, int] | None:
    """Which file has this name; None where there is none."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def open_private(path: str, flags: int) -> int:
    """A descriptor of a regular file of this process's user, of mode 0600 where it is made here or was wider."""
    # Before, as opening a device may do something to it; and once more behind, as it may be another one.
    with contextlib.suppress(FileNotFoundError):
        check_private(path)
    fd = os.open(path, flags | _CAREFULLY, 0o600)
    try:
        status = os.fstat(fd)
        _check(status)
        if stat.S_IMODE(status.st_mode) & 0o077:
            os.fchmod(fd, 0o600)
    except BaseException:
        os.close(fd)
        raise
    return fd


def check_private(path: str) -> None:
    """Whether a file that is there may be used; raises OSError."""
    _check(os.lstat(path))


def _check(status: os.stat_result) -> None:
    kinds = ((stat.S_ISDIR, "a folder"), (stat.S_ISLNK, "a link"), (stat.S_ISFIFO, "a pipe"))
    if not stat.S_ISREG(status.st_mode):
        what = next((name for is_kind, name in kinds if is_kind(status.st_mode)), "a device or a socket")
        raise OSError(errno.EINVAL, f"it is {what}, no regular file")
    if status.st_nlink > 1:
        # SQLite's other files, and the lock, would have another name.
        raise OSError(errno.EINVAL, "it has a second name (a hard link)")
    if status.st_uid != os.geteuid():
        raise OSError(errno.EINVAL, f"it belongs to another user (uid {status.st_uid})")


def unusable(journal: str, path: str, error: OSError) -> JournalError:
    """The error of a file that the system, or a check, refuses."""
    read_only = error.errno in (errno.EROFS, errno.EACCES, errno.EPERM)
    no_room = error.errno in (errno.ENOSPC, errno.EDQUOT)
    why = f"{os.path.basename(path)}: {error.strerror or error}"
    return failure(journal, "read_only" if read_only else "full" if no_room else "unavailable", why, cause=error)


def _before_fork() -> None:
    global _forking
    _forking = _guard.acquire(timeout=FORK_WAITS)


def _in_parent() -> None:
    global _forking
    if _forking:
        _forking = False
        _guard.release()


def _in_child() -> None:
    """The copies are closed: they would hold the lock beyond the parent's death. Unlocking would take it from there."""
    global _guard, _forking
    _guard, _forking = os_threads.lock(), False
    for fd, ident in _held.items():
        with contextlib.suppress(OSError):
            os.close(fd)
        _barred[ident] = os.getppid()
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_in_parent, after_in_child=_in_child)
