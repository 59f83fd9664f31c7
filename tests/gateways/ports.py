"""Ports that no other test run on this machine takes.

A gateway opens its port seconds after it was chosen, so the usual "bind to port 0, close, use" would let others in. A
port here is reserved by a file lock, which ends with this process, and lies below the range from which systems hand out
ports by themselves (32768 on Linux, 49152 elsewhere).
"""

from __future__ import annotations

import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path
from typing import IO

FIRST, LAST = 20_000, 32_000
STEP = 20
"""Some gateways use a few ports above their own."""


class ReservedPort:
    """A port of 127.0.0.1 that was free when it was chosen and stays ours until `release()`."""

    def __init__(self) -> None:
        folder = Path(tempfile.gettempdir()) / f"openclaw-test-ports-{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        candidates = list(range(FIRST, LAST, STEP))
        random.shuffle(candidates)
        for number in candidates:
            lock = _locked(folder / str(number))
            if lock is not None and _is_free(number):
                self.number, self._lock = number, lock
                return
            if lock is not None:
                lock.close()
        raise OSError(f"no port between {FIRST} and {LAST} is free; are test gateways left over from earlier runs?")

    def release(self) -> None:
        """Let others have it; harmless when done already."""
        self._lock.close()


def _locked(path: Path) -> IO[str] | None:
    file = path.open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # as servers do: connections of a gateway that is gone, still in TIME_WAIT, do not count
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
