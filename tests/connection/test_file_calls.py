"""Identity stores are asked on threads of their own, so that nothing else can hold them up, nor a few that hang."""

from __future__ import annotations

import asyncio
import gc
import threading

import pytest

from openclaw_client.connection.file_calls import AT_ONCE, call_blocking
from tests.waiting import PATIENCE


async def test_jobs_of_the_loop_s_executor_do_not_hold_up_a_store() -> None:
    door = threading.Event()
    jobs = [asyncio.get_running_loop().run_in_executor(None, door.wait) for _ in range(64)]
    try:
        async with asyncio.timeout(PATIENCE):
            assert await call_blocking(lambda: "stored") == "stored"
    finally:
        door.set()
        await asyncio.gather(*jobs)


async def test_stores_that_hang_do_not_hold_up_another() -> None:
    door = threading.Event()
    hanging = [asyncio.create_task(call_blocking(door.wait)) for _ in range(5 * AT_ONCE)]
    await asyncio.sleep(0)
    try:
        async with asyncio.timeout(PATIENCE):
            assert await call_blocking(lambda: "stored") == "stored"
    finally:
        door.set()
        assert all(await asyncio.gather(*hanging))


async def test_what_a_store_raises_is_raised_and_who_has_left_is_not_told() -> None:
    def fail() -> None:
        raise LookupError("no row")

    with pytest.raises(LookupError, match="no row"):
        await call_blocking(fail)
    door = threading.Event()
    left = asyncio.create_task(call_blocking(door.wait))
    await asyncio.sleep(0)
    left.cancel()
    with pytest.raises(asyncio.CancelledError):
        await left
    door.set()
    assert await call_blocking(lambda: 1) == 1
    gc.collect()
