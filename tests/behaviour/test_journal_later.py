"""A journal that is read hours later: keys that the gateway has forgotten, sessions that were reset, what is pruned.

The hours pass in the file: what was sent is moved back.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from openclaw_client.client import shared_journal as sharing
from openclaw_client.errors import OutcomeUnknown, RunLost
from openclaw_client.journal.ages import KEPT_KEYS, KEPT_TEXTS
from openclaw_client.journal.sqlite import SqliteJournal
from openclaw_client.testing import BlockingEmbeddedGateway, Turn
from tests.behaviour.test_attach import ALL, WHOLE, begun
from tests.behaviour.test_journal import Process, until_listed
from tests.journal.values import Clock, sent
from tests.waiting import until

Make = Callable[..., Any]
Start = Callable[..., BlockingEmbeddedGateway]

SIX_HOURS = 21_600.0
EVERY = pytest.mark.parametrize("release", ALL)


@pytest.fixture
def process(make: Make, tmp_path: Path) -> Process:
    return Process(make, tmp_path)


def pass_time(path: Path, seconds: float) -> None:
    """Everything in the file happened so much earlier."""
    db = sqlite3.connect(path)
    db.execute("UPDATE run SET sent_at = sent_at - ?, clock_ms = clock_ms - ?", (seconds, seconds * 1000))
    db.commit()
    db.close()


class Asked:
    """A model that is asked, and answers when it is let go."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    async def __call__(self, turn: Turn) -> AsyncIterator[str]:
        self.messages.append(turn.message)
        yield "beginning"
        await turn.gate.wait()
        yield f" of {turn.message}"


@EVERY
@pytest.mark.parametrize("how", ["answered", "reset", "forgotten", "restarted"])
async def test_a_run_of_six_hours_ago(process: Process, start_gateway: Start, release: str, how: str) -> None:
    model = Asked()
    gateway = start_gateway(model, release=release)
    async with process.client(gateway) as first:
        run = await begun(first)
        await until_listed(first, ("sent", "x"))
        process.dies()
    pass_time(process.path, SIX_HOURS)
    if how == "restarted":
        gateway.restart(keep_memory=False)
    else:
        gateway.release()
        await until(lambda: not gateway.active_runs)
    if how == "forgotten":
        # Keys die with the process.
        gateway.restart()
    heard: list[str] = []
    if how == "reset":
        async with process._make(gateway, scopes=["read", "write", "admin"]) as other:
            await other.request("sessions.reset", {"key": "agent:main:main"})
    second = process.client(gateway)
    second.on_proactive_message(lambda user, message: heard.append(message.text))
    async with second:
        if how in ("answered", "forgotten"):
            assert (await second.chat_attach(run.run_id).result()).text == WHOLE
        else:
            with pytest.raises((RunLost, OutcomeUnknown)):
                await second.chat_attach(run.run_id, timeout=60).result()
        await until_listed(second)
    assert (model.messages, heard) == (["x"], [])


@EVERY
async def test_a_message_of_six_hours_ago_that_may_have_run_is_not_sent(
    process: Process, start_gateway: Start, release: str
) -> None:
    model = Asked()
    gateway = start_gateway(model, release=release)
    journal = SqliteJournal(process.path)
    async with process.client(gateway) as before:
        boot_id = before.hello.server.boot_id
    await journal.begin(
        "",
        sent(
            "key",
            "x",
            at=time.time(),
            boot_id=boot_id,
            session_id=None,
            protocol=gateway.profile.protocol,
            method="chat.send",
            system_prompt=None,
            model=None,
            thinking=None,
            complete=True,
        ),
    )
    await journal.close()
    pass_time(process.path, SIX_HOURS)
    async with process.client(gateway) as client:
        # By itself nothing is sent, and it stays on the list.
        await client.request("health")
        await until_listed(client, ("sent", "x"))
        running = asyncio.ensure_future(client.chat_attach("key", timeout=60).result())
        if release == "2026.9.6":
            # What it took would stand there.
            await until(lambda: gateway.active_runs)
            gateway.release()
            assert (await running).text == WHOLE
        else:
            with pytest.raises(OutcomeUnknown):
                await running
        await until_listed(client)
    assert model.messages == (["x"] if release == "2026.9.6" else [])


async def test_what_is_old_is_pruned_by_the_hour(
    make: Make, start_gateway: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway, clock = start_gateway(), Clock()
    monkeypatch.setattr(sharing.time, "time", clock)
    journal = SqliteJournal(tmp_path / "journal.db", clock=clock)

    def texts() -> list[tuple[str, str]]:
        db = sqlite3.connect(tmp_path / "journal.db")
        rows = db.execute("SELECT key, message FROM run ORDER BY seq").fetchall()
        db.close()
        return rows

    async def use(key: str) -> None:
        async with make(gateway, journal=journal) as client:
            await client.chat_send(session_key="main", message=f"words of {key}", idempotency_key=key)

    await use("first")
    for hour in range(6):
        clock.now += 3_600
        await use(f"hour-{hour}")
    assert len(texts()) == 7
    assert all(message for _, message in texts())
    clock.now += KEPT_TEXTS - 3_600 * 3
    await use("next day")
    await until(lambda: [key for key, message in texts() if not message] == ["first", "hour-0", "hour-1", "hour-2"])
    clock.now += KEPT_KEYS
    await use("next week")
    await until(lambda: [key for key, _ in texts()] == ["next week"])
    await journal.close()
