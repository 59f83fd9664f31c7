"""Events that never arrive: what the client makes of a gap in their numbers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from openclaw_client import RunCompleted, TextAppended, ToolFinished, ToolStarted
from openclaw_client.runs.clock import SILENCE_AFTER_GAP
from openclaw_client.testing import BlockingEmbeddedGateway, OutFrame, Turn
from openclaw_client.testing.faults import chat
from tests.behaviour.test_resume import MovedClock
from tests.waiting import until

Make = Callable[..., Any]
Start = Callable[..., BlockingEmbeddedGateway]

EVERY = pytest.mark.parametrize("release", ["2026.2.17", "2026.4.15", "2026.6.1", "2026.9.6"])
V3 = pytest.mark.parametrize("release", ["2026.2.17", "2026.4.15"])
V4 = pytest.mark.parametrize("release", ["2026.6.1", "2026.9.6"])
ASYNC = pytest.mark.parametrize("face", ["async"], indirect=True)  # the loop of the other has a clock of its own


async def gated(turn: Turn) -> AsyncIterator[str]:
    yield "beginning"
    await turn.gate.wait()
    yield f" of {turn.message}"


def tool_result(frame: OutFrame) -> bool:
    data = frame.field("data")
    return frame.name == "agent" and isinstance(data, dict) and data.get("phase") == "result"


def text_of(events: list[Any]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextAppended))


@V4
async def test_a_lost_delta_is_made_good_from_the_history(make: Make, start_gateway: Start, release: str) -> None:
    gateway = start_gateway(gated, release=release, throttle=0)
    async with make(gateway) as client:
        lost = gateway.faults.drop(chat("delta"))
        async with client.chat_stream(session_key="main", message="x") as run:
            await until(lambda: lost.used_up)
            # The next event, whatever it is, shows the gap.
            gateway.tick()
            await until(lambda: run.text)
            assert await anext(run.text_stream) == "beginning"
            # Before the message it was asked whether the session is busy.
            assert gateway.seen.requests["chat.history"] == 2
            gateway.release()
            reply = await run.result()
    assert (reply.text, reply.recovered) == ("beginning of x", False)


@EVERY
async def test_a_lost_delta_does_not_show_in_the_text(make: Make, start_gateway: Start, release: str) -> None:
    gateway = start_gateway(gated, release=release, throttle=0)
    async with make(gateway) as client:
        lost = gateway.faults.drop(chat("delta"))
        seen: list[Any] = []
        sending = asyncio.ensure_future(client.chat_send(session_key="main", message="x", on_event=seen.append))
        await until(lambda: lost.used_up)
        gateway.release()
        reply = await sending
    assert text_of(seen) == reply.text == "beginning of x"


@EVERY
async def test_a_lost_tool_event_does_not_harm_the_run(make: Make, start_gateway: Start, release: str) -> None:
    async def with_tool(turn: Turn) -> AsyncIterator[str]:
        turn.tool("lookup", {"query": turn.message}, "found")
        yield "before"
        await turn.gate.wait()
        yield " and after"

    gateway = start_gateway(with_tool, release=release, throttle=0)
    async with make(gateway) as client:
        lost = gateway.faults.drop(tool_result)
        seen: list[Any] = []
        sending = asyncio.ensure_future(client.chat_send(session_key="main", message="x", on_event=seen.append))
        await until(lambda: lost.used_up and any(isinstance(event, TextAppended) for event in seen))
        gateway.release()
        reply = await sending
    assert text_of(seen) == reply.text == "before and after"
    assert [type(event) for event in seen if isinstance(event, ToolStarted | ToolFinished)] == [ToolStarted]


@V4
async def test_a_lost_final_is_fetched_at_once(make: Make, start_gateway: Start, release: str) -> None:
    gateway = start_gateway(gated, release=release, throttle=0)
    async with make(gateway) as client:
        lost = gateway.faults.drop(chat("final"))
        seen: list[Any] = []
        sending = asyncio.ensure_future(client.chat_send(session_key="main", message="x", on_event=seen.append))
        await until(lambda: gateway.active_runs)
        gateway.release()
        await until(lambda: lost.used_up)
        gateway.tick()
        reply = await sending
    assert (reply.text, reply.recovered) == ("beginning of x", True)
    assert text_of(seen) == reply.text
    assert [type(event) for event in seen].count(RunCompleted) == 1


@ASYNC
@V3
async def test_on_wire_v3_a_lost_final_is_fetched_soon(make: Make, start_gateway: Start, release: str) -> None:
    gateway = start_gateway(gated, release=release, throttle=0)
    clock = MovedClock()
    async with make(gateway) as client:
        lost = gateway.faults.drop(chat("final"))
        sending = asyncio.ensure_future(client.chat_send(session_key="main", message="x"))
        await until(lambda: gateway.active_runs)
        gateway.release()
        await until(lambda: lost.used_up)
        gateway.tick()
        await client.request("health")
        assert gateway.seen.requests["chat.history"] == 0
        clock.move(SILENCE_AFTER_GAP + 1)
        reply = await sending
    assert (reply.text, reply.recovered) == ("beginning of x", True)


@ASYNC
@V3
async def test_on_wire_v3_a_gap_is_no_alarm(make: Make, start_gateway: Start, release: str) -> None:
    """The numbers count for the whole gateway: what is missing may have been for others."""
    gateway = start_gateway(gated, release=release, throttle=0)
    clock = MovedClock()
    async with make(gateway) as client, client.chat_stream(session_key="main", message="x") as run:
        assert await anext(run.text_stream) == "beginning"
        for _ in range(5):
            gateway.faults.drop("tick")
            gateway.tick()
            gateway.emit("chat", {"runId": run.run_id, "sessionKey": "agent:main:main", "state": "delta"})
            await client.request("health")
            clock.move(SILENCE_AFTER_GAP - 1)
        assert gateway.seen.requests["chat.history"] == 0
        gateway.release()
        assert (await run.result()).text == "beginning of x"


async def test_many_gaps_are_one_question(make: Make, start_gateway: Start) -> None:
    gateway = start_gateway(gated, throttle=0)
    async with make(gateway) as client, client.chat_stream(session_key="main", message="x") as run:
        assert await anext(run.text_stream) == "beginning"
        for _ in range(50):
            gateway.faults.drop("noise")
            gateway.emit("noise", {})
            gateway.tick()
        await client.request("health")
        gateway.release()
        assert (await run.result()).text == "beginning of x"
    assert 1 <= gateway.seen.requests["chat.history"] < 10
