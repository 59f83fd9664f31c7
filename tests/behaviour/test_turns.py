"""The turn of a message whose caller has left it: the session's next message waits for the end of its run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from openclaw_client.errors import RunError, RunTimeout
from openclaw_client.testing import BlockingEmbeddedGateway
from tests.behaviour.test_inquiry import EVERY, goes
from tests.behaviour.test_resume import MovedClock, gated
from tests.waiting import until

Make = Callable[..., Any]
Start = Callable[..., BlockingEmbeddedGateway]


async def leave_one(client: Any, gateway: BlockingEmbeddedGateway, way: str) -> None:
    """Begin a run, and go before it is over."""
    if way == "left":
        async with client.chat_stream(session_key="main", message="one") as run:
            assert await anext(run.text_stream) == "beginning"
        with pytest.raises(RunError, match="left before its end"):
            await run.result()
        await until(lambda: run.activity.kind == "over")
    else:
        with pytest.raises(RunTimeout, match="the run goes on"):
            await client.chat_send(session_key="main", message="one", timeout=0.3)
    await until(lambda: gateway.active_runs)


@EVERY
@pytest.mark.parametrize("way", ["left", "timed out"])
async def test_the_next_message_has_a_reply_of_its_own(
    make: Make, start_gateway: Start, release: str, way: str
) -> None:
    gateway = start_gateway(gated, release=release)
    async with make(gateway) as client:
        await leave_one(client, gateway, way)
        second = asyncio.ensure_future(client.chat_send(session_key="main", message="two"))
        await client.request("health")
        assert gateway.seen.requests["chat.send"] == 1
        gateway.release()
        await until(lambda: gateway.seen.requests["chat.send"] == 2 and gateway.active_runs)
        gateway.release()
        assert (await second).text == "beginning of two"


@EVERY
async def test_also_when_the_run_ends_while_the_connection_is_away(
    make: Make, start_gateway: Start, release: str
) -> None:
    gateway = start_gateway(gated, release=release)
    async with make(gateway) as client:
        await leave_one(client, gateway, "left")
        await goes(gateway, client)
        second = asyncio.ensure_future(client.chat_send(session_key="main", message="two"))
        gateway.release()
        await until(lambda: not gateway.active_runs)
        gateway.faults.upgrades.clear()
        await until(lambda: gateway.active_runs)
        gateway.release()
        assert (await second).text == "beginning of two"


@pytest.mark.parametrize("message", ["/etc/hosts \u2014 what is this file for?", "wait", "/help me"])
async def test_what_only_looks_like_a_command_waits_for_its_turn(
    make: Make, start_gateway: Start, message: str
) -> None:
    gateway = start_gateway(gated, release="2026.9.6")
    async with make(gateway) as client:
        first = asyncio.ensure_future(client.chat_send(session_key="main", message="one"))
        await until(lambda: gateway.active_runs)
        second = asyncio.ensure_future(client.chat_send(session_key="main", message=message))
        await client.request("health")
        assert gateway.seen.requests["chat.send"] == 1
        gateway.release()
        assert (await first).text == "beginning of one"
        await until(lambda: gateway.active_runs)
        gateway.release()
        assert (await second).text == f"beginning of {message}"


@EVERY
async def test_a_message_waits_for_another_clients_run_and_says_so(
    make: Make, start_gateway: Start, release: str
) -> None:
    gateway = start_gateway(gated, release=release)
    async with make(gateway) as one, make(gateway) as other:
        # The session is no news to the one who waits: the run of the other begins behind a message of its own.
        before = asyncio.ensure_future(other.chat_send(session_key="main", message="before"))
        await until(lambda: gateway.active_runs)
        gateway.release()
        own = (await before).run_id
        heard: list[str] = []
        other.on("chat", lambda event: heard.append(event.payload["runId"]))
        first = asyncio.ensure_future(one.chat_send(session_key="main", message="first"))
        await until(lambda: set(heard) - {own} and gateway.active_runs)
        sent = gateway.seen.requests["chat.send"]
        run = other.chat_stream(session_key="main", message="second")
        second = asyncio.ensure_future(run.result())
        await until(lambda: run.activity.kind == "waiting")
        assert run.sent_run is None
        assert gateway.seen.requests["chat.send"] == sent
        gateway.release()
        assert (await first).text == "beginning of first"
        await until(lambda: gateway.seen.requests["chat.send"] == sent + 1 and gateway.active_runs)
        gateway.release()
        reply = await second
        assert (reply.text, reply.answered_by) == ("beginning of second", None)
        assert run.activity.kind == "over"


async def test_who_cannot_wait_says_so(make: Make, start_gateway: Start) -> None:
    gateway = start_gateway(gated)
    async with make(gateway) as client:
        await leave_one(client, gateway, "left")
        with pytest.raises(RunTimeout, match="busy with an earlier message") as told:
            await client.chat_send(session_key="main", message="two", timeout=0.2)
        assert told.value.sent is False
        assert gateway.seen.requests["chat.send"] == 1
        assert (await client.chat_abort(session_key="main")).aborted
        two = asyncio.ensure_future(client.chat_send(session_key="main", message="two"))
        await until(lambda: gateway.active_runs)
        gateway.release()
        assert (await two).text == "beginning of two"


async def test_a_run_that_was_left_keeps_nobody_busy_and_is_no_message(make: Make, start_gateway: Start) -> None:
    gateway = start_gateway(gated)
    messages: list[Any] = []
    async with make(gateway) as client:
        client.on_proactive_message(lambda user, message: messages.append(message))
        await leave_one(client, gateway, "left")
        await until(lambda: not client.busy)
        gateway.release()
        await until(lambda: not gateway.active_runs)
        gateway.say("main", "by the way")
        await until(lambda: messages)
        assert [message.text for message in messages] == ["by the way"]


@pytest.mark.parametrize("face", ["async"], indirect=True)
async def test_one_time_limit_for_the_wait_and_the_run(make: Make, start_gateway: Start) -> None:
    gateway = start_gateway(gated, tick_interval=3600)
    clock = MovedClock()
    async with make(gateway) as client:
        first = asyncio.ensure_future(client.chat_send(session_key="main", message="one"))
        await until(lambda: gateway.active_runs)
        second = asyncio.ensure_future(client.chat_send(session_key="main", message="two", timeout=100))
        await client.request("health")
        clock.move(60)
        gateway.release()
        await first
        await until(lambda: gateway.active_runs)
        # The minute that it waited for its turn is not given again.
        clock.move(50)
        await until(second.done)
        with pytest.raises(RunTimeout, match="the run goes on") as told:
            await second
        assert told.value.sent is True
