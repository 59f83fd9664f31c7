"""Journals of each kind."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from openclaw_client.journal.memory import MemoryJournal
from openclaw_client.journal.protocol import Journal
from openclaw_client.journal.sqlite import SqliteJournal
from tests.journal.values import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["memory", "sqlite"])
async def journal(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> AsyncIterator[Journal]:
    made: Journal = (
        MemoryJournal(clock=clock)
        if request.param == "memory"
        else SqliteJournal(tmp_path / "j.db", wait=0.0, clock=clock)
    )
    yield made
    await made.close()


@pytest.fixture
async def in_file(tmp_path: Path, clock: Clock) -> AsyncIterator[SqliteJournal]:
    made = SqliteJournal(tmp_path / "j.db", wait=0.0, clock=clock)
    yield made
    await made.close()
