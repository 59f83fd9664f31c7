"""Several tasks that wait for one run, and those of them that are cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from openclaw_client.testing import BlockingEmbeddedGateway
from tests.behaviour.test_resume import gated
from tests.waiting import until

Make = Callable[..., Any]
Start = Callable[..., BlockingEmbeddedGateway]

pytestmark = pytest.mark.parametrize("face", ["async"], indirect=True)


async def test_who_gives_up_before_the_message_is_sent_can_ask_again(make: Make, start_gateway: Start) -> None:
    gateway = start_gateway(gated)
    async with make(gateway) as client, client.chat_stream(session_key="main", message="one") as first:
        second = client.chat_stream(session_key="main", message="two")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(second.result(), 0.05)
        gateway.release()
        await first.result()
        # It has not gone out behind the back of who gave up.
        await client.request("health")
        assert gateway.seen.requests["chat.send"] == 1
        asking = asyncio.ensure_future(second.result())
        await until(lambda: gateway.active_runs)
        gateway.release()
        assert (await asking).text == "beginning of two"


async def test_who_gives_up_takes_nothing_from_the_others(make: Make, start_gateway: Start) -> None:
    gateway = start_gateway(gated)
    async with make(gateway) as client, client.chat_stream(session_key="main", message="one") as first:
        second = client.chat_stream(session_key="main", message="two")
        leaving, staying = (asyncio.ensure_future(second.result()) for _ in range(2))
        await asyncio.sleep(0)
        leaving.cancel()
        gateway.release()
        await first.result()
        await until(lambda: gateway.active_runs or staying.done())
        gateway.release()
        assert (await staying).text == "beginning of two"
        assert leaving.cancelled()
