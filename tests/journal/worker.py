"""What a worker of multiprocessing does; a module of its own, so that every start method finds it."""

from __future__ import annotations

import asyncio

from openclaw_client.errors import JournalError
from openclaw_client.journal.sqlite import SqliteJournal


def try_it(path: str) -> str:
    """Why this process cannot have the journal."""
    try:
        asyncio.run(SqliteJournal(path, wait=0.0).pending())
    except JournalError as error:
        return error.reason
    return "none"
