"""A run whose socket dies, whose gateway restarts, or whose end is never told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from openclaw_client import ConnectionState, Reconnecting, Resumed, RunCompleted, TextAppended
from openclaw_client.errors import AuthRejected, OutcomeUnknown, RunFailed, RunLost
from openclaw_client.runs.clock import UNANSWERED
from openclaw_client.testing import BlockingEmbeddedGateway, OutFrame, Turn
from openclaw_client.testing.faults import chat
from tests.waiting import until

Make = Callable[..., Any]
Start = Callable[..., BlockingEmbeddedGateway]


async def gated(turn: Turn) -> AsyncIterator[str]:
    yield "beginning"
    await turn.gate.wait()
    yield f" of {turn.message}"


def taken(frame: OutFrame) -> bool:
    """The response to chat.send."""
    return frame.field("status") == "started"


async def test_a_run_survives_the_socket(make: Make, start_gateway: Start) -> None:
    gateway = start_gateway(gated)
    async with make(gateway) as client, client.chat_stream(session_key="main", message="x") as run:
        seen: list[Any] = []
        async for event in run:
            seen.append(event)
            if isinstance(event, TextAppended) and event.text == "beginning":
                gateway.faults.disconnect()
            elif isinstance(event, Resumed):
                gateway.release()
        reply = await run.result()
    kinds = [type(event) for event in seen if not isinstance(event, TextAppended)]
    assert kinds[-3:] == [Reconnecting, Resumed, RunCompleted]
    assert "".join(event.text for event in seen if isinstance(event, TextAppended)) == "beginning of x"
    assert (reply.text, reply.recovered) == ("beginning of x", False)
    assert gateway.seen.requests["chat.send"] == 1


@pytest.mark.parametrize("release", ["2026.2.17", "2026.4.15", "2026.6.1", "2026.9.6"])
async def test_a_run_that_ended_meanwhile_is_finished_from_the_history(
    make: Make, start_gateway: Start, release: str
) -> None:
    gateway = start_gateway(gated, release=release)
    async with make(gateway) as client:
        # The same words before: a later run must not be given the earlier one's answer.
        gateway.faults.clear()
        first = asyncio.ensure_future(client.chat_send(session_key="main", message="x"))
        await until(lambda: gateway.active_runs)
        gateway.release()
        assert (await first).recovered is False
        async with client.chat_stream(session_key="main", message="x") as run:
            assert await anext(run.text_stream) == "beginning"
            gateway.faults.refuse_upgrade(503, times=3)
            gateway.faults.disconnect()
            gateway.release()
            await until(lambda: not gateway.active_runs)
            reply = await run.result()
            rest = "".join([event.text async for event in run if isinstance(event, TextAppended)])
    assert (reply.text, reply.recovered, reply.state) == ("beginning of x", True, "final")
    assert "beginning" + rest == reply.text
    assert gateway.seen.requests["chat.send"] == 2


@pytest.mark.parametrize("release", ["2026.2.17", "2026.4.15", "2026.6.1", "2026.9.6"])
async def test_a_run_that_failed_meanwhile_is_no_reply(make: Make, start_gateway: Start, release: str) -> None:
    async def failing(turn: Turn) -> AsyncIterator[str]:
        yield "beginning"
        await turn.gate.wait()
        turn.fail("the provider said no")

    gateway = start_gateway(failing, release=release)
    async with make(gateway) as client, client.chat_stream(session_key="main", message="x") as run:
        assert await anext(run.text_stream) == "beginning"
        gateway.faults.refuse_upgrade(503, times=3)
        gateway.faults.disconnect()
        gateway.release()
        await until(lambda: not gateway.active_runs)
        with pytest.raises(RunFailed, match="the provider said no") as caught:
            await run.result()
        assert caught.value.partial_text == "beginning"


async def test_a_message_that_was_not_taken_is_sent_again_once(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    async with make(gateway) as client:
        gateway.faults.swallow("chat.send")
        sending = asyncio.ensure_future(client.chat_send(session_key="main", message="x"))
        await until(lambda: not gateway.faults.outstanding)
        gateway.faults.disconnect()
        assert (await sending).text == "echo: x"
    rows = gateway.transcript("agent:main:main")
    assert [row["role"] for row in rows] == ["user", "assistant"]


@pytest.mark.parametrize("release", ["2026.2.17", "2026.4.15", "2026.6.1", "2026.9.6"])
async def test_a_message_whose_response_was_lost_runs_once(make: Make, start_gateway: Start, release: str) -> None:
    gateway = start_gateway(gated, release=release)
    async with make(gateway) as client:
        gateway.faults.cut(where=taken, before=0)
        sending = asyncio.ensure_future(client.chat_send(session_key="main", message="x"))
        await until(lambda: not gateway.faults.rules and gateway.active_runs)
        gateway.release()
        assert (await sending).text == "beginning of x"
    assert [row["role"] for row in gateway.transcript("agent:main:main")] == ["user", "assistant"]


async def test_a_crash_in_mid_run_is_a_lost_run(make: Make, start_gateway: Start) -> None:
    gateway = start_gateway(gated)
    async with make(gateway) as client, client.chat_stream(session_key="main", message="x") as run:
        assert await anext(run.text_stream) == "beginning"
        gateway.crash()
        gateway.start()
        with pytest.raises(RunLost, match="not in the history") as caught:
            await run.result()
        # Its key went with the process that knew it.
        assert "runs it again" in str(caught.value)
        assert caught.value.partial_text == "beginning"
        assert caught.value.run_id == run.run_id


@pytest.mark.parametrize("release", ["2026.4.15", "2026.6.1"])
async def test_a_crash_before_the_response_leaves_it_unknown_where_turns_are_written_late(
    make: Make, start_gateway: Start, release: str
) -> None:
    gateway = start_gateway(gated, release=release)
    async with make(gateway) as client:
        gateway.faults.swallow("chat.send")
        sending = asyncio.ensure_future(client.chat_send(session_key="main", message="x", idempotency_key="my-key"))
        await until(lambda: not gateway.faults.outstanding)
        gateway.crash()
        gateway.start()
        with pytest.raises(OutcomeUnknown) as caught:
            await sending
        assert caught.value.idempotency_key == "my-key"
    assert gateway.seen.requests["chat.send"] == 0


async def test_a_client_that_is_refused_on_its_return_gives_the_run_up(make: Make, start_gateway: Start) -> None:
    gateway = start_gateway(gated)
    async with make(gateway) as client, client.chat_stream(session_key="main", message="x") as run:
        assert await anext(run.text_stream) == "beginning"
        gateway.faults.refuse("unauthorized: gateway token mismatch", details={"code": "AUTH_TOKEN_MISMATCH"}, times=9)
        gateway.faults.disconnect()
        with pytest.raises(RunLost, match="may go on at the gateway") as caught:
            await run.result()
        assert isinstance(caught.value.__cause__, AuthRejected)


class MovedClock:
    """The running loop's clock, which can be moved forward."""

    def __init__(self) -> None:
        self._shift = 0.0
        loop = asyncio.get_running_loop()
        loop.time = lambda: time.monotonic() + self._shift  # type: ignore[method-assign]

    def move(self, seconds: float) -> None:
        self._shift += seconds


@pytest.mark.parametrize("face", ["async"], indirect=True)
async def test_a_final_that_never_comes_is_asked_for(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    clock = MovedClock()
    async with make(gateway) as client:
        gateway.faults.drop(chat("final"))
        sending = asyncio.ensure_future(client.chat_send(session_key="main", message="x"))
        await until(lambda: gateway.seen.requests["chat.send"] and not gateway.active_runs)
        await client.request("health")
        clock.move(31)
        reply = await sending
    assert (reply.text, reply.recovered) == ("echo: x", True)


@pytest.mark.parametrize("face", ["async"], indirect=True)
async def test_a_tool_that_is_silent_for_ten_minutes_is_not_given_up(make: Make, start_gateway: Start) -> None:
    async def at_work(turn: Turn) -> AsyncIterator[str]:
        yield "beginning"
        call = turn.tool_start("build", {})
        await turn.gate.wait()
        turn.tool_finish(call, "build", "built")
        yield f"of {turn.message}"

    gateway = start_gateway(at_work, tick_interval=3600)
    clock = MovedClock()
    async with make(gateway) as client, client.chat_stream(session_key="main", message="x") as run:
        assert await anext(run.text_stream) == "beginning"
        for asked in range(10):
            clock.move(60)
            # Whoever moves the clock must let the answer to the question before come in.
            await until(lambda limit=asked: gateway.seen.requests["chat.history"] > limit)  # type: ignore[misc]
            await client.request("health")
        gateway.release()
        assert (await run.result()).text == "beginning\n\nof x"


@pytest.mark.parametrize("face", ["async"], indirect=True)
@pytest.mark.parametrize("release", ["2026.4.15", "2026.6.1"])
async def test_a_failure_that_no_chat_event_tells(make: Make, start_gateway: Start, release: str) -> None:
    async def failing(turn: Turn) -> AsyncIterator[str]:
        yield "half"
        turn.fail("the provider said no")

    gateway = start_gateway(failing, release=release)
    clock = MovedClock()
    async with make(gateway) as client:
        sending = asyncio.ensure_future(client.chat_send(session_key="main", message="x"))
        await until(lambda: gateway.seen.requests["chat.send"] and not gateway.active_runs)
        await client.request("health")
        clock.move(17)
        with pytest.raises(RunFailed, match="the provider said no"):
            await sending


async def says_nothing(turn: Turn) -> AsyncIterator[str]:
    turn.final_without_message()
    yield "NO_REPLY"


async def twice(make: Make, gateway: BlockingEmbeddedGateway) -> Any:
    """The reply to a key that is used again, as after a process that died: another client, the same words."""
    for _ in range(2):
        async with make(gateway) as client:
            reply = await client.chat_send(session_key="main", message="x", idempotency_key="key")
    assert sum(row["role"] == "user" for row in gateway.transcript("agent:main:main")) == 1
    return reply


@pytest.mark.parametrize("release", ["2026.2.17", "2026.4.15", "2026.6.1", "2026.9.6"])
async def test_a_key_whose_run_is_over_gives_its_reply(make: Make, start_gateway: Start, release: str) -> None:
    reply = await twice(make, start_gateway(release=release))
    assert (reply.text, reply.state, reply.recovered) == ("echo: x", "final", True)


@pytest.mark.parametrize("face", ["async"], indirect=True)
@pytest.mark.parametrize("release", ["2026.2.17", "2026.4.15", "2026.6.1", "2026.9.6"])
async def test_a_key_whose_run_had_nothing_to_say(make: Make, start_gateway: Start, release: str) -> None:
    reply = await twice(make, start_gateway(says_nothing, release=release))
    assert (reply.text, reply.state, reply.recovered) == ("", "final", True)


@pytest.mark.parametrize("face", ["async"], indirect=True)
async def test_a_key_whose_words_were_said_twice_gives_nobodys_reply(make: Make, start_gateway: Start) -> None:
    """2026.4.15 names no run in its rows: which of two equal messages it was cannot be told."""
    gateway = start_gateway(release="2026.4.15", tick_interval=3600)
    clock = MovedClock()
    async with make(gateway) as client:
        for key in ("one", "two"):
            await client.chat_send(session_key="main", message="x", idempotency_key=key)
        before = gateway.seen.requests["chat.history"]
        again = asyncio.ensure_future(client.chat_send(session_key="main", message="x", idempotency_key="one"))
        await until(lambda: gateway.seen.requests["chat.history"] > before)
        await client.request("health")
        # It could still wait for another run, of which something would be heard.
        clock.move(UNANSWERED + 1)
        with pytest.raises(RunLost):
            await again


@pytest.mark.parametrize("face", ["async"], indirect=True)
async def test_a_key_whose_run_was_stopped_before_its_first_word(make: Make, start_gateway: Start) -> None:
    async def waits(turn: Turn) -> AsyncIterator[str]:
        await turn.gate.wait()
        yield "never said"

    gateway = start_gateway(waits)
    async with make(gateway) as client:
        async with client.chat_stream(session_key="main", message="x", idempotency_key="key") as run:
            await until(lambda: gateway.active_runs)
            await run.abort()
            assert (await run.result()).state == "aborted"
        reply = await client.chat_send(session_key="main", message="x", idempotency_key="key")
    assert (reply.state, reply.text, reply.recovered) == ("aborted", "", True)


@pytest.mark.parametrize("face", ["async"], indirect=True)
async def test_a_response_that_tells_of_a_failure(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    async with make(gateway) as client:
        ended = {"runId": "key", "status": "error", "summary": "the provider said no"}
        gateway.faults.rewrite("chat.send", lambda frame: {**frame, "payload": ended})
        gateway.faults.drop(chat(), times=None)
        with pytest.raises(RunFailed, match="the provider said no"):
            await client.chat_send(session_key="main", message="x", idempotency_key="key")


async def test_behind_a_restart_the_gateway_that_got_the_message_again_counts(make: Make, start_gateway: Start) -> None:
    """The first process never took it; the second did, and knows its key."""

    async def crashed(turn: Turn) -> AsyncIterator[str]:
        yield "beginning"
        await turn.gate.wait()

    gateway = start_gateway(crashed)
    async with make(gateway) as client:
        gateway.faults.swallow("chat.send")
        seen: list[Any] = []
        sending = asyncio.ensure_future(client.chat_send(session_key="main", message="x", on_event=seen.append))
        await until(lambda: not gateway.faults.outstanding)
        gateway.crash()
        gateway.start()
        await until(lambda: any(isinstance(event, TextAppended) for event in seen))
        gateway.faults.rewrite("chat.history", _without_rows, times=None)
        gateway.faults.disconnect()
        with pytest.raises(RunLost) as caught:
            await sending
        assert "doesn't run it twice" in str(caught.value)


def _without_rows(frame: dict[str, Any]) -> dict[str, Any]:
    info = {**frame["payload"]["sessionInfo"], "activeRunIds": [], "hasActiveRun": False}
    return {**frame, "payload": {"messages": [], "sessionInfo": info}}


@pytest.mark.parametrize("face", ["async"], indirect=True)
async def test_a_client_that_fails_itself_leaves_no_run_waiting(
    make: Make, start_gateway: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing that is known raises there; what does is a mistake of this package's, or of a store's."""
    gateway = start_gateway(gated)

    async def fail(*_: object) -> None:
        raise RuntimeError("unforeseen")

    async with make(gateway) as client, client.chat_stream(session_key="main", message="x") as run:
        assert await anext(run.text_stream) == "beginning"
        monkeypatch.setattr(client._engine.supervisor._dialer, "dial", fail)
        gateway.faults.disconnect()
        with pytest.raises(RunLost, match="the client failed"):
            await run.result()
        assert client.state is ConnectionState.DISCONNECTED


WITHOUT_BOOT_ID = pytest.mark.parametrize("release", ["2026.2.17", "2026.4.15", "2026.6.1"])


@WITHOUT_BOOT_ID
@pytest.mark.parametrize("acknowledged", [True, False])
async def test_a_gateway_that_is_back_before_its_handshake_is_over_is_another_one(
    make: Make, start_gateway: Start, release: str, acknowledged: bool
) -> None:
    """Its uptime is younger than its hello was long on its way, and it names no process."""
    ran: list[str] = []

    async def counted(turn: Turn) -> AsyncIterator[str]:
        ran.append(turn.message)
        async for piece in gated(turn):
            yield piece

    gateway = start_gateway(counted, release=release)
    async with make(gateway) as client:
        if not acknowledged:
            gateway.faults.drop(taken)
            gateway.faults.drop("chat", times=None)
            gateway.faults.drop("agent", times=None)
        run = client.chat_stream(session_key="main", message="x")
        result = asyncio.ensure_future(run.result())
        await until(lambda: ran and (run.text or not acknowledged))
        gateway.crash()
        gateway.faults.clear()
        gateway.faults.delay("connect", 0.3, times=None)
        gateway.start()
        with pytest.raises(RunLost if acknowledged else OutcomeUnknown):
            await result
        # Nothing was sent again, and the gateway is as good as any.
        await client.request("health")
    assert ran == ["x"]
    assert gateway.seen.requests["chat.send"] == 1


@pytest.mark.parametrize("release", ["2026.2.17", "2026.4.15", "2026.6.1", "2026.9.6"])
async def test_a_second_cut_before_anything_is_known_is_told_once(
    make: Make, start_gateway: Start, release: str
) -> None:
    gateway = start_gateway(gated, release=release)
    async with make(gateway) as client, client.chat_stream(session_key="main", message="x") as run:
        assert await anext(run.text_stream) == "beginning"
        answer = gateway.faults.hold("chat.history")
        for _ in range(3):
            pages = len(answer.frames)
            gateway.faults.disconnect()
            # Back, and asked, and not answered.
            await until(lambda pages=pages: len(answer.frames) > pages)
            assert run.activity.kind == "reconnecting"
        answer.release()
        await until(lambda: run.activity.kind != "reconnecting")
        # And once more, with something known between.
        opened = gateway.seen.opened
        gateway.faults.disconnect()
        await until(lambda: gateway.seen.opened > opened)
        await client.request("health")
        gateway.release()
        events = [event async for event in run]
        assert (await run.result()).text == "beginning of x"
    told = [type(event) for event in events if isinstance(event, Reconnecting | Resumed)]
    assert told == [Reconnecting, Resumed, Reconnecting, Resumed]
