"""The question about a run whose events were missed: late answers, none, refused ones, and what overtakes them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from openclaw_client import Reconnecting, Resumed, RunCompleted, TextAppended, Timeouts
from openclaw_client.errors import OutcomeUnknown, RequestFailed, RequestTimeout, RunLost
from openclaw_client.testing import BlockingEmbeddedGateway, Turn
from openclaw_client.testing.faults import chat
from tests.behaviour.test_resume import MovedClock, gated, taken
from tests.waiting import until

Make = Callable[..., Any]
Start = Callable[..., BlockingEmbeddedGateway]

EVERY = pytest.mark.parametrize("release", ["2026.2.17", "2026.4.15", "2026.6.1", "2026.9.6"])
V4 = pytest.mark.parametrize("release", ["2026.6.1", "2026.9.6"])
ASYNC = pytest.mark.parametrize("face", ["async"], indirect=True)


def refuse(gateway: BlockingEmbeddedGateway, method: str, *, times: int | None, retryable: bool = False) -> None:
    """Answer these requests with an error, whatever was done for them."""
    error = {"code": "UNAVAILABLE" if retryable else "INVALID_REQUEST", "message": "not now", "retryable": retryable}
    gateway.faults.rewrite(
        method, lambda frame: {"type": "res", "id": frame["id"], "ok": False, "error": error}, times=times
    )


def an_hour_older(hello: dict[str, Any]) -> dict[str, Any]:
    payload = hello["payload"]
    snapshot = payload["snapshot"]
    return hello | {"payload": payload | {"snapshot": snapshot | {"uptimeMs": snapshot["uptimeMs"] + 3_600_000}}}


async def goes(gateway: BlockingEmbeddedGateway, client: Any) -> None:
    """Cut, and kept away; what the gateway does next is not heard."""
    gateway.faults.refuse_upgrade(503, times=1_000)
    gateway.faults.disconnect()
    await until(lambda: not client.connected)


async def time_passes(clock: MovedClock, client: Any, outcome: Awaitable[Any]) -> Any:
    """The outcome, with as many silences as it takes; each step is far below the time limit of a request, for the
    question may be on its way, behind that of the client about its sessions."""
    waiting = asyncio.ensure_future(outcome)
    while not waiting.done():
        await client.request("health")
        clock.move(5)
    return await waiting


@ASYNC
@EVERY
async def test_a_question_without_an_answer_is_asked_again(make: Make, start_gateway: Start, release: str) -> None:
    gateway = start_gateway(gated, release=release, tick_interval=3600)
    clock = MovedClock()
    client = make(gateway, timeouts=Timeouts(request=5))
    async with client, client.chat_stream(session_key="main", message="x") as run:
        assert await anext(run.text_stream) == "beginning"
        await goes(gateway, client)
        gateway.release()
        await until(lambda: not gateway.active_runs)
        gateway.faults.swallow("chat.history")
        gateway.faults.upgrades.clear()
        await until(lambda: client.connected and not gateway.faults.outstanding)
        clock.move(6)
        reply = await time_passes(clock, client, run.result())
    assert (reply.text, reply.recovered) == ("beginning of x", True)


@ASYNC
@EVERY
async def test_a_gateway_that_refuses_to_say_leaves_nobody_waiting(
    make: Make, start_gateway: Start, release: str
) -> None:
    gateway = start_gateway(gated, release=release, tick_interval=3600)
    clock = MovedClock()
    async with make(gateway) as client, client.chat_stream(session_key="main", message="x") as run:
        assert await anext(run.text_stream) == "beginning"
        await goes(gateway, client)
        gateway.release()
        await until(lambda: not gateway.active_runs)
        refuse(gateway, "chat.history", times=None)
        gateway.faults.upgrades.clear()
        await until(lambda: client.connected and gateway.seen.requests["chat.history"])
        with pytest.raises(RunLost, match="does not say what became of it") as caught:
            await time_passes(clock, client, run.result())
        assert isinstance(caught.value.__cause__, RequestFailed)
        assert caught.value.partial_text == "beginning"


@EVERY
async def test_a_run_that_is_heard_again_needs_no_answer(make: Make, start_gateway: Start, release: str) -> None:
    """The events come at once, the answer late: the caller is told of the return before the text goes on."""
    gateway = start_gateway(gated, release=release)
    seen: list[Any] = []
    held: list[Any] = []
    async with make(gateway) as client, client.chat_stream(session_key="main", message="x") as run:
        async for event in run:
            seen.append(event)
            if isinstance(event, TextAppended) and event.text == "beginning":
                held.append(gateway.faults.hold("chat.history"))
                gateway.faults.disconnect()
                await until(lambda: held[0].frames)
                gateway.release()
        reply = await run.result()
    kinds = [type(event) for event in seen]
    assert kinds[kinds.index(Reconnecting) + 1] is Resumed
    assert (kinds[-1], kinds.count(Resumed)) == (RunCompleted, 1)
    assert "".join(event.text for event in seen if isinstance(event, TextAppended)) == reply.text == "beginning of x"


@V4
async def test_a_gap_during_a_question_asks_once_more(make: Make, start_gateway: Start, release: str) -> None:
    """The page was made before the events were lost, and says that the run goes on."""
    gateway = start_gateway(gated, release=release, throttle=0)
    async with make(gateway) as client, client.chat_stream(session_key="main", message="x") as run:
        assert await anext(run.text_stream) == "beginning"
        answer = gateway.faults.hold("chat.history")
        gateway.faults.disconnect()
        await until(lambda: answer.frames)
        lost = [gateway.faults.drop(chat(state), times=None) for state in ("delta", "final")]
        gateway.release()
        await until(lambda: lost[1].hits)
        gateway.tick()
        await client.request("health")
        answer.release()
        async with asyncio.timeout(10):
            reply = await run.result()
    assert (reply.text, reply.recovered) == ("beginning of x", True)


async def test_a_run_that_was_heard_of_was_taken(make: Make, start_gateway: Start) -> None:
    """Its events came before the response; then the gateway died and forgot them."""
    gateway = start_gateway(gated, release="2026.6.1")
    async with make(gateway) as client:
        gateway.faults.drop(taken)
        seen: list[Any] = []
        sending = asyncio.ensure_future(client.chat_send(session_key="main", message="x", on_event=seen.append))
        await until(lambda: any(isinstance(event, TextAppended) for event in seen))
        gateway.crash()
        gateway.start()
        with pytest.raises(RunLost) as caught:
            await sending
        assert caught.value.partial_text == "beginning"


@ASYNC
async def test_an_answer_that_comes_with_the_end_of_its_connection(make: Make, start_gateway: Start) -> None:
    """What it says would be carried out on a connection that is gone."""
    gateway = start_gateway(gated)
    gateway.release()
    async with make(gateway) as client:
        gateway.faults.swallow("chat.send")
        sending = asyncio.ensure_future(client.chat_send(session_key="main", message="x"))
        await until(lambda: not gateway.faults.outstanding)
        answer = gateway.faults.hold("chat.history")
        gateway.faults.disconnect()
        await until(lambda: answer.frames)
        [frame] = answer.frames
        answer.frames.clear()
        answer.release()
        # In one turn of the loop, so that whoever waits for the answer wakes behind the end.
        connection = client._engine.supervisor.connection
        socket = connection._transport
        connection.on_message(frame.data)
        connection.on_closed(1012, "service restart")
        socket.abort()
        await until(lambda: gateway.active_runs or sending.done())
        gateway.release()
        assert (await sending).text == "beginning of x"
    assert [row["role"] for row in gateway.transcript("agent:main:main")] == ["user", "assistant"]


async def silent(turn: Turn) -> AsyncIterator[str]:
    await turn.gate.wait()
    turn.final_without_message()
    yield "NO_REPLY"


@ASYNC
@pytest.mark.parametrize("release", ["2026.2.17", "2026.4.15"])
async def test_a_silent_run_that_ended_unheard_is_told_by_its_key(
    make: Make, start_gateway: Start, release: str
) -> None:
    """Wire v3 does not tell what is active, and a silent answer leaves no row."""
    gateway = start_gateway(silent, release=release, tick_interval=3600)
    clock = MovedClock()
    async with make(gateway) as client:
        sending = asyncio.ensure_future(client.chat_send(session_key="main", message="x"))
        await until(lambda: gateway.active_runs)
        await goes(gateway, client)
        gateway.release()
        await until(lambda: not gateway.active_runs)
        gateway.faults.upgrades.clear()
        await until(lambda: gateway.seen.requests["chat.history"])
        assert gateway.seen.requests["chat.send"] == 1
        reply = await time_passes(clock, client, sending)
    assert (reply.text, reply.state, reply.recovered) == ("", "final", True)
    assert sum(row["role"] == "user" for row in gateway.transcript("agent:main:main")) == 1


@ASYNC
async def test_a_gateway_that_was_young_in_the_handshake_was_not_restarted(make: Make, start_gateway: Start) -> None:
    """It tells its age once, and is asked about the run when that was long ago. 2026.4.15 tells nothing else."""
    gateway = start_gateway(gated, release="2026.4.15", tick_interval=3600)
    clock = MovedClock()
    begun = time.time()
    async with make(gateway) as client, client.chat_stream(session_key="main", message="x") as run:
        assert await anext(run.text_stream) == "beginning"
        await goes(gateway, client)
        gateway.faults.upgrades.clear()
        await until(lambda: client.connected and run.activity.kind != "reconnecting")
        age = client.hello.snapshot.uptime_ms / 1000
        await until(lambda: time.time() - begun > 2 * age + 0.1)
        asked = gateway.seen.requests["chat.history"]
        clock.move(31)
        await until(lambda: gateway.seen.requests["chat.history"] > asked)
        for _ in range(30):
            await client.request("health")
            clock.move(1)
        assert run.activity.kind == "writing"
        gateway.release()
        assert (await run.result()).text == "beginning of x"


@ASYNC
@EVERY
async def test_a_key_that_is_said_to_be_in_flight_when_its_run_has_just_ended(
    make: Make, start_gateway: Start, release: str
) -> None:
    """Its end was told before this client was there (observed on 2026.4.15)."""
    gateway = start_gateway(release=release, tick_interval=3600)
    async with make(gateway) as client:
        await client.chat_send(session_key="main", message="x", idempotency_key="key")
    clock = MovedClock()
    async with make(gateway) as client:
        gateway.faults.rewrite("chat.send", lambda frame: {**frame, "payload": {"runId": "key", "status": "in_flight"}})
        sending = asyncio.ensure_future(client.chat_send(session_key="main", message="x", idempotency_key="key"))
        await until(lambda: gateway.seen.requests["chat.history"])
        reply = await time_passes(clock, client, sending)
    assert (reply.text, reply.recovered) == ("echo: x", True)


@pytest.mark.parametrize("fault", ["refused", "swallowed"])
async def test_a_refused_second_sending_says_nothing_of_the_first(make: Make, start_gateway: Start, fault: str) -> None:
    """2026.4.15 writes a turn down when it ends: the first may be under way."""
    gateway = start_gateway(gated, release="2026.4.15")
    # Of one that is as young as the message nobody can say whether it has restarted, when the second hello takes long.
    gateway.faults.rewrite("connect", an_hour_older, times=None)
    # It is the limit for the way back to the gateway, too.
    async with make(gateway, timeouts=Timeouts(request=20 if fault == "refused" else 3)) as client:
        gateway.faults.cut(where=taken, before=0)
        sending = asyncio.ensure_future(client.chat_send(session_key="main", message="x", idempotency_key="key"))
        gateway.faults.drop(chat(), times=None)
        gateway.faults.drop("agent", times=None)
        if fault == "refused":
            refuse(gateway, "chat.send", times=1, retryable=True)
        else:
            gateway.faults.drop(lambda frame: frame.name == "chat.send")
        with pytest.raises(OutcomeUnknown) as caught:
            await sending
        assert caught.value.idempotency_key == "key"
        assert isinstance(caught.value.__cause__, RequestFailed | RequestTimeout)
