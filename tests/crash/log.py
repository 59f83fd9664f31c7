"""What the application itself has on disk: one line of JSON for each thing that it did.

A line is there when `add` returns, whatever becomes of the process. Everybody on this machine reads the same clock.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Line = dict[str, Any]

now = time.monotonic


class Log:
    """The file of one application; says each line also to whoever listens."""

    def __init__(self, path: Path, life: int, say: Callable[[bytes], object]) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._life, self._say = life, say

    def add(self, what: str, **facts: Any) -> None:
        line = json.dumps({"what": what, "at": now(), "life": self._life, **facts}).encode() + b"\n"
        os.write(self._file, line)
        os.fsync(self._file)
        self._say(line)


def read(path: Path) -> list[Line]:
    """What stands in the file."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
