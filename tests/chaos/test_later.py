"""A process is killed in the middle of a run; another takes the run up when the gateway has forgotten its key."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from openclaw_client import AsyncGatewayClient, SentRun
from tests.chaos import report
from tests.contract.senders import sent_by_one_who_is_killed
from tests.contract.targets import PATIENT, device_store
from tests.gateways.launch import RealGateway
from tests.gateways.model import StubModel, slow_text

RELEASES = ("2026.2.17", "2026.4.15", "2026.6.1", "2026.9.6")
LATER = 360.0
"""Seconds: gateways know the key of a run that has ended for five minutes."""
PIECES = 30
SESSION = "taken-up-later"


def message(release: str) -> str:
    return f"stub:slow {PIECES} 150 {release}"


@asynccontextmanager
async def running(release: str, model: StubModel) -> AsyncIterator[RealGateway]:
    gateway = RealGateway(release, model_url=model.url)
    try:
        await asyncio.to_thread(gateway.__enter__)
        await asyncio.to_thread(gateway.warm_up)
        yield gateway
    finally:
        await asyncio.to_thread(gateway.close)


async def taken_up(release: str, gateway: RealGateway, sent: SentRun, model: StubModel) -> None:
    async with AsyncGatewayClient(gateway.url, token=gateway.token, identity=device_store(), timeouts=PATIENT) as other:
        began = time.monotonic()
        async with other.chat_attach(sent, timeout=120) as run:
            text = "".join([piece async for piece in run.text_stream])
            reply = await run.result()
        took = time.monotonic() - began
        page = await other.chat_history(session_key=SESSION, limit=50)
    report.add(f"taken up later, {release}", {"after": LATER, "seconds": took})
    assert (text, reply.text, reply.state) == (slow_text(PIECES), slow_text(PIECES), "final")
    assert sum(row.role == "user" and message(release) in row.text for row in page.messages) == 1
    assert model.count(message(release)) == 1


async def one_release(release: str, model: StubModel, folder: Path, starting: asyncio.Semaphore) -> None:
    await starting.acquire()
    async with running(release, model) as gateway:
        starting.release()
        assert gateway.token is not None
        await asyncio.to_thread(folder.mkdir)
        sent = await sent_by_one_who_is_killed(gateway.url, gateway.token, folder, SESSION, message(release))
        # What a gateway forgets with time has no other clock than its own.
        await asyncio.sleep(LATER)
        await taken_up(release, gateway, sent, model)


@pytest.mark.timeout(1200)
@pytest.mark.only(gateways="real", chaos="full")
async def test_a_run_is_taken_up_when_its_key_is_forgotten(stub_model: StubModel, tmp_path: Path) -> None:
    # Two start at a time: each keeps a core busy.
    starting = asyncio.Semaphore(2)
    async with asyncio.TaskGroup() as group:
        for release in RELEASES:
            group.create_task(one_release(release, stub_model, tmp_path / release, starting))
