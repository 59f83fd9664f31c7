"""Programs that hold a journal, as processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Self

ROOT = Path(__file__).resolve().parents[2]


def alone() -> dict[str, str]:
    """An environment in which nothing measures the process: what measures opens files, also with SQLite."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}


BEGINNING = """
import asyncio, gc, os, signal, sys
from openclaw_client.errors import JournalError
from openclaw_client.journal.protocol import RunChange
from openclaw_client.journal.sqlite import SqliteJournal
from tests.journal.values import said, sent

def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())

def hear():
    # Byte by byte: what a buffer holds a child would not get.
    while os.read(0, 1) not in (b"\\n", b""):
        pass

def tried(journal):
    try:
        return f"{len(asyncio.run(journal.pending()))} runs"
    except JournalError as error:
        return f"{error.reason}: {error}"

def hold(path):
    journal = SqliteJournal(path, wait=0.0)
    asyncio.run(journal.begin("u", sent(f"of {os.getpid()}")))
    return journal

path = sys.argv[1]
"""
HOLDER = """
journal = hold(path)
say("held")
hear()
asyncio.run(journal.close())
say("closed")
hear()
"""


class Program:
    """A script on a journal. It says lines, and hears them."""

    def __init__(self, script: str, path: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", BEGINNING + script, str(path)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.kill()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()

    def heard(self) -> str:
        """The next line; what went wrong where it ended instead."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            assert self.process.stderr is not None
            return f"ended: {self.process.stderr.read()}"
        return line.strip()

    def tell(self, line: str = "") -> None:
        """Let it go on."""
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def kill(self) -> None:
        """End it as the system does when there is no memory left."""
        self.process.kill()
        self.process.wait()
