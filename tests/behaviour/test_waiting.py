"""A message that waits for another client's run of its session: before it is sent, and while it is deferred."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from openclaw_client import RunDeferred
from openclaw_client.errors import ClientClosed, GatewayError, NotConnected, RunTimeout
from openclaw_client.testing import BlockingEmbeddedGateway
from tests.behaviour.test_held import DEFERS
from tests.behaviour.test_resume import MovedClock, gated
from tests.waiting import until

Make = Callable[..., Any]
Start = Callable[..., BlockingEmbeddedGateway]

EVERY = pytest.mark.parametrize(
    "release", ["2026.2.17", "2026.4.15", "2026.5.12", "2026.6.1", "2026.7.35", "2026.8.1", "2026.9.6"]
)
TELLS = pytest.mark.parametrize("release", ["2026.6.1", "2026.7.35", "2026.8.1", "2026.9.6"])
"""Releases whose history says whether a session is busy."""


async def running(gateway: BlockingEmbeddedGateway, other: Any, listener: Any) -> asyncio.Future[Any]:
    """Another client's run, of which everybody has heard the beginning."""
    events = listener.events("chat")
    run = asyncio.ensure_future(other.chat_send(session_key="main", message="theirs"))
    await events.__anext__()
    return run


async def waits(run: Any) -> asyncio.Future[Any]:
    """Begin a run that cannot be sent yet."""
    result = asyncio.ensure_future(run.result())
    await until(lambda: run.activity.kind == "waiting")
    assert run.sent_run is None
    return result


@EVERY
async def test_a_message_waits_for_another_client_s_run(make: Make, start_gateway: Start, release: str) -> None:
    gateway = start_gateway(gated, release=release)
    async with make(gateway) as client, make(gateway) as other:
        theirs = await running(gateway, other, client)
        run = client.chat_stream(session_key="main", message="ours")
        result = await waits(run)
        assert gateway.seen.requests["chat.send"] == 1
        gateway.release()
        assert (await theirs).text == "beginning of theirs"
        await until(lambda: run.sent_run is not None and gateway.active_runs)
        await until(lambda: run.activity.kind != "waiting")
        gateway.release()
        reply = await result
    assert (reply.text, reply.answered_by, reply.merged_into) == ("beginning of ours", None, None)


@TELLS
async def test_also_for_one_that_was_not_heard(make: Make, start_gateway: Start, release: str) -> None:
    """It began before this client was there, and is silent."""
    gateway = start_gateway(gated, release=release)
    async with make(gateway) as other:
        theirs = asyncio.ensure_future(other.chat_send(session_key="main", message="theirs"))
        await until(lambda: gateway.active_runs)
        async with make(gateway) as client:
            run = client.chat_stream(session_key="main", message="ours")
            result = await waits(run)
            assert gateway.seen.requests["chat.send"] == 1
            gateway.release()
            await theirs
            await until(lambda: gateway.active_runs)
            gateway.release()
            assert (await result).text == "beginning of ours"


@EVERY
async def test_the_caller_s_time_is_over_while_it_waits(make: Make, start_gateway: Start, release: str) -> None:
    gateway = start_gateway(gated, release=release)
    async with make(gateway) as client, make(gateway) as other:
        theirs = await running(gateway, other, client)
        with pytest.raises(RunTimeout, match="busy with a run of another client") as caught:
            await client.chat_send(session_key="main", message="ours", timeout=0.3)
        error: Any = pickle.loads(pickle.dumps(caught.value))
        assert (error.sent, error.limit, error.timeout, error.sent_run) == (False, "total", 0.3, None)
        assert gateway.seen.requests["chat.send"] == 1
        gateway.release()
        await theirs
        # It has left no trace: the next message is not kept waiting.
        ours = asyncio.ensure_future(client.chat_send(session_key="main", message="ours"))
        await until(lambda: gateway.active_runs)
        gateway.release()
        assert (await ours).text == "beginning of ours"


@pytest.mark.parametrize("face", ["async"], indirect=True)
@EVERY
async def test_who_is_cancelled_while_waiting_sends_nothing(make: Make, start_gateway: Start, release: str) -> None:
    gateway = start_gateway(gated, release=release)
    async with make(gateway) as client, make(gateway) as other:
        theirs = await running(gateway, other, client)
        run = client.chat_stream(session_key="main", message="ours")
        result = await waits(run)
        result.cancel()
        gateway.release()
        await theirs
        await client.request("health")
        assert gateway.seen.requests["chat.send"] == 1


@pytest.mark.parametrize("face", ["async"], indirect=True)
@EVERY
async def test_a_run_whose_end_is_never_heard_is_waited_for_a_minute(
    make: Make, start_gateway: Start, release: str
) -> None:
    # In another mode 2026.7.35 would answer neither.
    gateway = start_gateway(gated, release=release, busy="followup", tick_interval=3600)
    clock = MovedClock()
    async with make(gateway) as client, make(gateway) as other:
        await running(gateway, other, client)
        sending = asyncio.ensure_future(client.chat_send(session_key="main", message="ours"))
        await client.request("health")
        for _ in range(2):
            clock.move(29)
            await client.request("health")
        assert gateway.seen.requests["chat.send"] == 1
        clock.move(3)
        await until(lambda: gateway.seen.requests["chat.send"] == 2)
        # It went out into the run, and has its answer all the same.
        while not sending.done():
            gateway.release()
            await asyncio.sleep(0.01)
            clock.move(0.1)
        assert (await sending).text == "beginning of ours"


@pytest.mark.parametrize("face", ["async"], indirect=True)
@EVERY
async def test_without_a_connection_nobody_waits(make: Make, start_gateway: Start, release: str) -> None:
    gateway = start_gateway(gated, release=release)
    client = make(gateway)
    async with make(gateway) as other:
        await client.connect()
        await running(gateway, other, client)
        # One waits for the run, one for an answer that never comes.
        waiting = asyncio.ensure_future(client.chat_send(session_key="main", message="ours"))
        gateway.faults.swallow("chat.history", times=2)
        asking = asyncio.ensure_future(client.chat_send(session_key="other", message="ours"))
        if gateway.profile.session_info:
            await until(lambda: gateway.faults.outstanding < 2)
        await client.request("health")
        await client.disconnect()
        with pytest.raises(ClientClosed):
            await waiting
        with pytest.raises(GatewayError):
            await asking
        # And whoever comes now is told at once.
        for session in ("main", "other"):
            async with asyncio.timeout(5):
                with pytest.raises(NotConnected):
                    await client.chat_send(session_key=session, message="ours")
        gateway.faults.clear()
        gateway.release()


@DEFERS
async def test_who_does_not_wait_is_told_where_the_message_is(make: Make, start_gateway: Start, release: str) -> None:
    gateway = start_gateway(gated, release=release, busy="followup")
    async with make(gateway) as client, make(gateway) as other:
        theirs = await running(gateway, other, client)
        events: list[Any] = []
        kinds: list[str] = []
        async with client.chat_stream(session_key="main", message="ours", when_busy="send") as run:
            async for event in run:
                events.append(event)
                if isinstance(event, RunDeferred):
                    kinds.append(run.activity.kind)
                    break
            # Several looks later it is told no second time.
            asked = gateway.seen.requests["chat.history"]
            await until(lambda: gateway.seen.requests["chat.history"] > asked + 1)
            assert run.activity.kind == "waiting"
            finishing = asyncio.ensure_future(release_all(gateway, theirs))
            events += [event async for event in run]
            reply = await run.result()
            await finishing
    assert kinds == ["waiting"]
    assert [event.run_id for event in events if isinstance(event, RunDeferred)] == [run.run_id]
    assert (reply.text, reply.run_id, reply.state) == ("beginning of ours", run.run_id, "final")
    assert events[-1].text == reply.text


async def release_all(gateway: BlockingEmbeddedGateway, until_done: asyncio.Future[Any]) -> None:
    """Let runs go on until all are over."""
    while not until_done.done() or gateway.active_runs:
        gateway.release()
        await asyncio.sleep(0.01)


@DEFERS
async def test_a_caller_s_handler_is_told_once(make: Make, start_gateway: Start, release: str) -> None:
    gateway = start_gateway(gated, release=release, busy="followup")
    async with make(gateway) as client, make(gateway) as other:
        theirs = await running(gateway, other, client)
        told: list[str] = []
        sending = asyncio.ensure_future(
            client.chat_send(
                session_key="main",
                message="ours",
                when_busy="send",
                on_event=lambda event: told.append(event.type),
            )
        )
        await until(lambda: "run_deferred" in told)
        await release_all(gateway, theirs)
        assert (await sending).text == "beginning of ours"
    assert told.count("run_deferred") == 1
    assert told[-1] == "run_completed"


UNTOLD = pytest.mark.parametrize("release", ["2026.2.17", "2026.4.15", "2026.5.12"])
"""Releases that do not tell whether a session is busy: only its silence does."""


@pytest.mark.parametrize("face", ["async"], indirect=True)
@pytest.mark.parametrize("sign", ["chat", "agent"])
@UNTOLD
async def test_a_message_waits_as_long_as_the_other_run_is_heard(
    make: Make, start_gateway: Start, release: str, sign: str
) -> None:
    gateway = start_gateway(gated, release=release, busy="followup", tick_interval=3600)
    clock = MovedClock()
    async with make(gateway) as client, make(gateway) as other:
        theirs = await running(gateway, other, client)
        [run_id] = gateway.active_runs
        sending = asyncio.ensure_future(client.chat_send(session_key="main", message="ours", when_busy="send"))
        await until(lambda: gateway.seen.requests["chat.history"])
        session = {"runId": run_id, "sessionKey": "agent:main:main"}
        for number in range(8):
            clock.move(25)
            if sign == "chat":
                message = {"role": "assistant", "content": [{"type": "text", "text": f"beginning {number}"}]}
                gateway.emit("chat", {**session, "state": "delta", "seq": 100 + number, "message": message})
            else:
                gateway.emit("agent", {**session, "stream": "tool", "seq": 100 + number, "data": {"phase": "update"}})
            await client.request("health")
        assert not sending.done()
        while not sending.done():
            gateway.release()
            await asyncio.sleep(0.01)
            clock.move(0.1)
        assert (await sending).text == "beginning of ours"
        assert (await theirs).text == "beginning of theirs"
