"""Files that several processes share: private, whole or absent, one writer at a time.

Knows permissions, locks and atomic replacement. Does not know what the files hold, and raises plain OSError.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

if sys.platform == "win32":  # pragma: no cover
    import msvcrt
else:
    import fcntl

LOCK_TIMEOUT: Final = 10.0
"""Seconds to wait for another process's lock. It is held for two fsyncs, so this long means a stopped process."""
_LOCK_POLL: Final = 0.01
"""Seconds between attempts: a blocking lock could not be given up, and a writer needs about as long."""


_TEMP_STEM: Final = 40
"""Characters of a file's name in that of its temporary file: with four bytes each they leave room for the rest."""
_CAREFULLY: Final = (
    getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_BINARY", 0)
)
"""Opening follows no link and waits for nobody: a pipe without a writer would wait for ever."""


class Unsuitable(OSError):
    """What is there is no regular file of this process's user or of root."""

    def __init__(self, why: str) -> None:
        super().__init__(errno.EINVAL, why)


class Private(bytes):
    """Bytes that no dump of variables shows."""

    def __repr__(self) -> str:
        return f"<{len(self)} bytes>"


def make_private_folder(folder: Path) -> None:
    """Create folder and its missing parents, each 0700: mkdir(parents=True) leaves parents open to others."""
    if not folder.is_dir():
        make_private_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def read_private(path: Path) -> tuple[Private, str | None] | None:
    """The file's bytes, and what was wrong with its permissions (None: nothing). None where there is no file.

    Permissions that let others in are narrowed to 0600 where the file is ours. Raises Unsuitable for what is no regular
    file, for a link, and, as ssh does with its files, for one that belongs neither to this user nor to root.
    """
    try:
        fd = _open_regular(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    with open(fd, "rb") as file:
        _check_owner(os.fstat(fd))
        return Private(file.read()), _narrow(fd)


def _open_regular(path: Path, flags: int) -> int:
    """A descriptor of a regular file."""
    with contextlib.suppress(FileNotFoundError):
        # Looked at before, as opening a device may do something to it; and once more behind, as it may be another one.
        _check_kind(path, os.lstat(path).st_mode)
    fd = os.open(path, flags | _CAREFULLY, 0o600)
    try:
        _check_kind(path, os.fstat(fd).st_mode)
    except OSError:
        os.close(fd)
        raise
    return fd


def _check_kind(path: Path, mode: int) -> None:
    if stat.S_ISREG(mode):
        return
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if stat.S_ISLNK(mode):
        raise Unsuitable(f"it is a link to {'another file' if path.exists() else 'nothing'}")
    raise Unsuitable(f"it is {'a pipe' if stat.S_ISFIFO(mode) else 'a device or a socket'}, no regular file")


def _check_owner(status: os.stat_result) -> None:
    if sys.platform != "win32" and status.st_uid not in (os.geteuid(), 0):
        raise Unsuitable(f"it belongs to another user (uid {status.st_uid})")


def _narrow(fd: int) -> str | None:
    if sys.platform == "win32":  # pragma: no cover - access there is by ACL, which the user's folder sets
        return None
    status = os.fstat(fd)
    mode = stat.S_IMODE(status.st_mode)
    if not mode & 0o077:
        return None
    if status.st_uid == os.geteuid():
        # A read-only file system, or a mounted secret that is one.
        with contextlib.suppress(OSError):
            os.fchmod(fd, 0o600)
            return f"was open to other users (mode {mode:04o}); it is 0600 now"
    return f"is open to other users (mode {mode:04o}), which this process cannot change"


def write_new(path: Path, data: Private, *, locked: bool = True) -> bool:
    """Write a file that must not exist yet; False, and nothing changed, where one does.

    The file appears whole, durable and with mode 0600, or not at all. locked: the caller has the `file_lock`; without
    it, where there are no hard links, an empty file keeps the place for a moment.
    """
    temp = _write_beside(path, data)
    try:
        os.link(temp, path)
    except FileExistsError:
        return False
    except OSError:
        # No hard links on this file system. rename() would overwrite; the lock keeps the others of our kind away.
        if os.path.lexists(path):
            return False
        if locked:
            os.rename(temp, path)
        elif not _move_in(temp, path):
            return False
    finally:
        temp.unlink(missing_ok=True)
    _sync_folder(path.parent)
    return True


def _move_in(temp: Path, path: Path) -> bool:
    """Rename to a place that nobody has taken; False where somebody has."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        return False
    try:
        os.replace(temp, path)
    except OSError:
        os.unlink(path)
        raise
    return True


def replace(path: Path, data: Private) -> None:
    """Put a whole, durable file of mode 0600 in the place of path. Call under `file_lock`."""
    temp = _write_beside(path, data)
    try:
        os.replace(temp, path)
    except OSError:
        temp.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _write_beside(path: Path, data: Private) -> Path:
    """A temporary file of mode 0600 (mkstemp) in the same folder: a rename is atomic only within one file system."""
    # Of a name that is as long as names may be, its beginning.
    fd, name = tempfile.mkstemp(prefix=f".{path.stem[:_TEMP_STEM]}-", suffix=".tmp", dir=path.parent)
    try:
        with open(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(fd)
    except OSError:
        os.unlink(name)
        raise
    return Path(name)


def _sync_folder(folder: Path) -> None:
    """Make a new name durable, where the system can do that for a folder."""
    # Windows opens no folders, and some network file systems refuse to sync one.
    with contextlib.suppress(OSError):
        fd = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


@contextlib.contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Hold the lock of that file against other processes and threads; TimeoutError after LOCK_TIMEOUT."""
    fd = _open_regular(path, os.O_RDWR | os.O_CREAT)
    try:
        deadline = time.monotonic() + LOCK_TIMEOUT
        while not _try_lock(fd):
            if time.monotonic() >= deadline:
                raise TimeoutError(f"another process has held {path.name} for {LOCK_TIMEOUT:g} s")
            time.sleep(_LOCK_POLL)
        try:
            yield
        finally:
            # Closing is not enough: a process forked meanwhile has the lock open as well.
            _unlock(fd)
    finally:
        os.close(fd)


if sys.platform == "win32":  # pragma: no cover

    def _try_lock(fd: int) -> bool:
        os.lseek(fd, 0, os.SEEK_SET)
        try:
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _unlock(fd: int) -> None:
        os.lseek(fd, 0, os.SEEK_SET)
        msvcrt.locking(fd, msvcrt.LK_UNLCK, 1)

else:

    def _try_lock(fd: int) -> bool:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(fd: int) -> None:
        fcntl.flock(fd, fcntl.LOCK_UN)
