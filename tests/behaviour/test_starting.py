"""A gateway that is connected and has not started all its methods yet: the caller only sees that it takes a moment."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from openclaw_client import Timeouts
from openclaw_client.errors import RequestFailed
from openclaw_client.testing import BlockingEmbeddedGateway
from tests.behaviour.test_inquiry import goes
from tests.behaviour.test_resume import MovedClock
from tests.waiting import until

Make = Callable[..., Any]


@pytest.mark.parametrize("method", ["health", "sessions.list"])
async def test_a_request_is_asked_again(make: Make, gateway: BlockingEmbeddedGateway, method: str) -> None:
    async with make(gateway) as client:
        gateway.faults.not_ready(method, times=3, retry_after_ms=1)
        assert await client.request(method)
        assert gateway.faults.outstanding == 0


async def test_the_caller_s_time_is_kept(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    async with make(gateway) as client:
        gateway.faults.not_ready("health", times=1_000, retry_after_ms=100)
        with pytest.raises(RequestFailed, match="gateway starting") as told:
            await client.request("health", timeout=0.35)
        assert told.value.retryable
        # A hint that is longer than the time is not waited for.
        gateway.faults.clear()
        gateway.faults.not_ready("health", times=2, retry_after_ms=2_000)
        with pytest.raises(RequestFailed, match="gateway starting"):
            await client.request("health", timeout=0.5)
        assert gateway.faults.outstanding == 1


@pytest.mark.parametrize("face", ["async"], indirect=True)
async def test_a_loop_that_wakes_up_behind_the_caller_s_time(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    """It is told what the gateway said, and nothing is asked that nobody waits for."""
    async with make(gateway) as client:
        gateway.faults.not_ready("health", times=1_000, retry_after_ms=100)
        asking = asyncio.ensure_future(client.request("health", timeout=0.3))
        await until(lambda: gateway.faults.outstanding == 999)
        await client.request("sessions.list")
        time.sleep(0.4)  # noqa: ASYNC251 - what holds the loop up is the case
        with pytest.raises(RequestFailed, match="gateway starting"):
            await asking
        assert gateway.faults.outstanding == 999


async def test_another_refusal_is_told_at_once(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    async with make(gateway) as client:
        gateway.faults.not_ready("no.such.method", retry_after_ms=1)
        with pytest.raises(RequestFailed, match=r"has no method|missing scope"):
            await client.request("no.such.method")


async def test_a_message_is_sent_again_and_runs_once(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    async with make(gateway) as client:
        gateway.faults.not_ready("chat.send", times=3, retry_after_ms=1)
        reply = await client.chat_send(session_key="main", message="hello")
        assert reply.text == "echo: hello"
        rows = gateway.transcript("agent:main:main")
        assert [row["role"] for row in rows] == ["user", "assistant"]


async def test_a_message_that_is_never_taken_was_refused(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    async with make(gateway, timeouts=Timeouts(request=0.3)) as client:
        gateway.faults.not_ready("chat.send", times=1_000, retry_after_ms=100)
        with pytest.raises(RequestFailed, match="gateway starting"):
            await client.chat_send(session_key="main", message="hello")
        gateway.faults.clear()
        assert (await client.chat_send(session_key="main", message="again")).text == "echo: again"
        assert gateway.seen.requests["chat.send"] == 1


async def test_a_message_whose_connection_goes_meanwhile_runs_once(
    make: Make, gateway: BlockingEmbeddedGateway
) -> None:
    async with make(gateway) as client, client.chat_stream(session_key="main", message="hello") as run:
        assert (await run.result()).text
        gateway.faults.not_ready("chat.send", retry_after_ms=2_000)
        async with client.chat_stream(session_key="main", message="once") as second:
            await until(lambda: not gateway.faults.outstanding)
            gateway.faults.disconnect()
            assert (await second.result()).text == "echo: once"
        rows = gateway.transcript("agent:main:main")
        assert sum(row["role"] == "user" for row in rows) == 2


@pytest.mark.parametrize("face", ["async"], indirect=True)
async def test_the_time_to_ask_again_comes_while_the_connection_is_away(
    make: Make, gateway: BlockingEmbeddedGateway
) -> None:
    clock = MovedClock()
    async with make(gateway) as client:
        gateway.faults.not_ready("chat.send", retry_after_ms=2_000)
        sending = asyncio.ensure_future(client.chat_send(session_key="main", message="hello"))
        await until(lambda: not gateway.faults.outstanding)
        await client.request("health")
        await goes(gateway, client)
        clock.move(3)
        await until(lambda: gateway.faults.upgrades)
        assert not sending.done()
        gateway.faults.upgrades.clear()
        assert (await sending).text == "echo: hello"
        assert sum(row["role"] == "user" for row in gateway.transcript("agent:main:main")) == 1
