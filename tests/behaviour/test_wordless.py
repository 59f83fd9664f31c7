"""A run that ends without words is held back until the history says where its message went: nothing ends it twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from openclaw_client import RunCompleted, Timeouts
from openclaw_client.testing import BlockingEmbeddedGateway, Turn
from tests.behaviour.test_resume import MovedClock
from tests.waiting import until

Make = Callable[..., Any]
Start = Callable[..., BlockingEmbeddedGateway]


async def silent(turn: Turn) -> AsyncIterator[str]:
    turn.final_without_message()
    yield "NO_REPLY"


LATE = [
    ("agent", {"stream": "lifecycle", "data": {"phase": "end"}}),
    ("chat", {"sessionKey": "agent:main:main", "state": "error", "seq": 1, "errorMessage": "late"}),
]


@pytest.mark.parametrize("release", ["2026.6.1", "2026.9.6"])
@pytest.mark.parametrize(("name", "payload"), LATE)
async def test_what_comes_late_takes_nothing_from_the_end(
    make: Make, start_gateway: Start, release: str, name: str, payload: dict[str, Any]
) -> None:
    gateway = start_gateway(silent, release=release)
    async with make(gateway) as client:
        # Behind it nothing needs to be asked before a message goes out.
        await client.chat_send(session_key="main", message="before it")
        answer = gateway.faults.hold("chat.history")
        seen: list[Any] = []
        sending = asyncio.ensure_future(
            client.chat_send(session_key="main", message="x", idempotency_key="key", on_event=seen.append)
        )
        await until(lambda: answer.frames)
        gateway.emit(name, {"runId": "key", **payload})
        await client.request("health")
        answer.release()
        reply = await sending
    assert (reply.text, reply.state) == ("", "final")
    assert [event for event in seen if isinstance(event, RunCompleted)] == seen[-1:]


@pytest.mark.parametrize("face", ["async"], indirect=True)
async def test_a_time_limit_that_passes_meanwhile_is_no_failure(make: Make, start_gateway: Start) -> None:
    gateway = start_gateway(silent)
    clock = MovedClock()
    async with make(gateway, timeouts=Timeouts(request=600, total=60)) as client:
        await client.chat_send(session_key="main", message="before it")
        answer = gateway.faults.hold("chat.history")
        sending = asyncio.ensure_future(client.chat_send(session_key="main", message="x"))
        await until(lambda: answer.frames)
        await client.request("health")
        clock.move(61)
        reply = await sending
    assert (reply.text, reply.state) == ("", "final")
