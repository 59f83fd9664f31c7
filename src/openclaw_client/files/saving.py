"""Writes what was fetched: whole or not at all, readable by this user alone. Blocks: not for the loop's thread."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Final

from openclaw_client.files.names import clean_name, numbered
from openclaw_client.identity.disk import Private, replace, write_new
from openclaw_client.wire.files import AgentFile

MAX_SAME_NAME: Final = 1000
"""Files of one name in a folder; each takes a look at those before it."""

PathLike = str | os.PathLike[str]


def save(data: bytes, to: PathLike, file: AgentFile) -> Path:
    """Write a file of mode 0600, and say where.

    to: a folder that exists, where the file gets its own name, cleaned, and a number where that is taken; nothing is
    overwritten there. Else the path of the file: a regular file or a link of that path is replaced; the file that a
    link leads to stays as it is.

    Raises OSError.
    """
    path, content = Path(to), Private(data)
    if path.is_dir():
        plain = clean_name(file.name, file.mime_type)
        for number in range(MAX_SAME_NAME):
            place = path / numbered(plain, number)
            if not os.path.lexists(place) and write_new(place, content, locked=False):
                return place
        raise FileExistsError(errno.EEXIST, f"there are {MAX_SAME_NAME} files of this name", str(path / plain))
    if os.fspath(to).endswith(tuple(filter(None, (os.sep, os.altsep)))):
        # A file of the folder's name would be a surprise.
        raise FileNotFoundError(errno.ENOENT, "there is no such folder", os.fspath(to))
    _check_replaceable(path)
    replace(path, content)
    return path


def _check_replaceable(path: Path) -> None:
    """A device, a pipe or a socket is never replaced by a file."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
        raise OSError(errno.EINVAL, "it is a device, a pipe or a socket, and no file", str(path))
