"""What hosts make of lost connections, gateways gone mad, functions that do not end, and of a close at any time."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from openclaw_client import HostState, HostStateChange, ToolCall, ToolFinished, tool
from openclaw_client.errors import ClientClosed
from openclaw_client.testing import BlockingEmbeddedGateway
from openclaw_client.tools import answers
from openclaw_client.tools import calls as calls_module
from tests.faces import inner
from tests.tools.conftest import Make, Start, ask, serving
from tests.waiting import until, wait_until

INVOKE = "node.invoke.request"


@tool
def echo(text: str) -> str:
    """Says it again."""
    return text


class Slow:
    """A function that runs until the test lets it go, in whatever thread."""

    def __init__(self) -> None:
        self.calls: list[ToolCall] = []
        self.go = threading.Event()

        @tool(timeout=30)
        def slow(call: ToolCall, name: str = "") -> str:
            """Waits."""
            self.calls.append(call)
            self.go.wait(20)
            return f"slow {name}"

        @tool(timeout=0.3)
        def hasty(call: ToolCall) -> str:
            """Waits, and has no time."""
            self.calls.append(call)
            self.go.wait(20)
            return "too late"

        self.tool, self.hasty = slow, hasty


@pytest.fixture
def slow() -> Iterator[Slow]:
    made = Slow()
    yield made
    made.go.set()


async def test_a_call_is_lost_with_its_gateway_and_made_by_nobody_again(
    make: Make, make_client: Make, gateway: BlockingEmbeddedGateway, slow: Slow
) -> None:
    async with make(gateway, slow.tool, echo) as host, make_client(gateway) as client:
        await serving(host, gateway)
        lost = asyncio.ensure_future(ask(client, "slow"))
        await until(lambda: slow.calls)
        await asyncio.to_thread(gateway.crash)
        await until(lambda: slow.calls[0].cancelled)
        assert host.state is HostState.CONNECTING
        assert host.published == ()
        await asyncio.to_thread(gateway.start)
        assert await host.wait_published(10)
        assert await ask(client, 'echo {"text": "fine"}', "other") == "fine"
        slow.go.set()
        await until(lambda: host.active_calls == 0)
        lost.cancel()
        await asyncio.gather(lost, return_exceptions=True)
    assert len(slow.calls) == 1
    assert gateway.seen.requests["node.invoke.result"] == 1


async def test_a_connection_that_is_lost_while_the_tools_are_published(
    make: Make, gateway: BlockingEmbeddedGateway
) -> None:
    host, fatal = make(gateway, echo), []
    host.on_fatal_close(lambda *args: fatal.append(args))
    # The very first list.
    gateway.faults.swallow("node.pluginTools.update")
    connects = asyncio.ensure_future(host.connect())
    await until(lambda: not gateway.faults.outstanding)
    gateway.faults.disconnect()
    await connects
    assert host.state is HostState.WAITING_FOR_APPROVAL
    await serving(host, gateway)
    for lose in (gateway.faults.disconnect, gateway.crash):
        gateway.faults.swallow("node.pluginTools.update")
        host.retry_now()
        await until(lambda: not gateway.faults.outstanding)
        await asyncio.to_thread(lose)
        await until(lambda: host.state is HostState.CONNECTING)
        if lose == gateway.crash:
            await asyncio.to_thread(gateway.start)
        assert await host.wait_published(10)
    await host.close()
    assert fatal == []


async def test_the_agent_goes_on_when_only_the_host_was_cut(
    make: Make, make_client: Make, gateway: BlockingEmbeddedGateway, slow: Slow
) -> None:
    async with make_client(gateway) as client, make(gateway, slow.tool) as host:
        await serving(host, gateway)
        reply = asyncio.ensure_future(ask(client, "slow"))
        await until(lambda: slow.calls)
        [node] = gateway.nodes
        await asyncio.to_thread(gateway.call, lambda: gateway.gateway._hub.nodes.left(node.connection))
        assert "node host disconnected" in await reply
        slow.go.set()
        await until(lambda: host.active_calls == 0)


async def test_what_comes_behind_the_time_limit_is_dropped(
    make: Make,
    make_client: Make,
    gateway: BlockingEmbeddedGateway,
    slow: Slow,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    async with make(gateway, slow.hasty) as host, make_client(gateway) as client:
        await serving(host, gateway)
        assert await ask(client, "hasty") == "*hasty took longer than 0.3 s and was given up."
        assert slow.calls[0].cancelled
        assert slow.calls[0].seconds_left == 0
        assert host.active_calls == 1
        slow.go.set()
        await until(lambda: host.active_calls == 0)
    assert [line for line in caplog.messages if "came" in line and "after its time limit and was dropped" in line]
    assert not [line for line in caplog.messages if "too late" in line]


async def test_an_approval_that_comes_too_late_calls_nothing(
    make: Make, make_client: Make, gateway: BlockingEmbeddedGateway
) -> None:
    asked, approved = threading.Event(), threading.Event()
    booked: list[str] = []

    def approve(call: ToolCall) -> bool:
        asked.set()
        return approved.wait(20)

    @tool(timeout=0.3, approve=approve)
    def book(day: str) -> str:
        """Has an effect."""
        booked.append(day)
        return "booked"

    async with make(gateway, book) as host, make_client(gateway) as client:
        await serving(host, gateway)
        assert await ask(client, 'book {"day": "monday"}') == "*book took longer than 0.3 s and was given up."
        assert asked.is_set()
        approved.set()
        await until(lambda: host.active_calls == 0)
    assert booked == []


async def test_a_run_that_is_stopped_cancels_its_call(
    make: Make, make_client: Make, gateway: BlockingEmbeddedGateway, slow: Slow
) -> None:
    async with make(gateway, slow.tool) as host, make_client(gateway) as client:
        await serving(host, gateway)
        async with client.chat_stream(session_key="s", message="slow") as run:
            await until(lambda: slow.calls)
            await run.abort()
        await until(lambda: slow.calls[0].cancelled)
        slow.go.set()
        await until(lambda: host.active_calls == 0)
    assert gateway.seen.requests["node.invoke.result"] == 0


@pytest.mark.parametrize("face", ["async"], indirect=True)
@pytest.mark.parametrize("ignores", [False, True])
async def test_a_coroutine_is_cancelled(
    make: Make, make_client: Make, gateway: BlockingEmbeddedGateway, ignores: bool, no_leaks: None
) -> None:
    begun, ended, go = asyncio.Event(), asyncio.Event(), asyncio.Event()

    @tool
    async def waits() -> None:
        """Waits."""
        begun.set()
        try:
            await go.wait()
        except asyncio.CancelledError:
            ended.set()
            if not ignores:
                raise
            await go.wait()

    async with make(gateway, waits) as host, make_client(gateway) as client:
        await serving(host, gateway)
        async with client.chat_stream(session_key="s", message="waits") as run:
            await begun.wait()
            await run.abort()
        await ended.wait()
        if ignores:
            await asyncio.sleep(0)
            assert host.active_calls == 1
        go.set()
        await until(lambda: host.active_calls == 0)


@pytest.mark.parametrize("face", ["async"], indirect=True)
async def test_what_a_coroutine_waited_for_was_cancelled(
    make: Make, make_client: Make, gateway: BlockingEmbeddedGateway
) -> None:
    @tool
    async def odd() -> None:
        """Raises what only a task should."""
        raise asyncio.CancelledError

    @tool(approve=lambda call: agreed())
    async def mixed() -> str:
        """Everything has to be awaited."""
        return "fine"

    async def agreed() -> bool:
        return True

    async def who(key: str) -> str:
        return key

    async with make(gateway, odd, mixed, user_of=who) as host, make_client(gateway) as client:
        await serving(host, gateway)
        assert (await ask(client, "odd")).startswith("*odd failed (CancelledError)")
        assert await ask(client, "mixed") == "fine"


@pytest.mark.parametrize("face", ["async"], indirect=True)
async def test_a_task_that_others_cancelled_has_no_good_result(
    make: Make, make_client: Make, gateway: BlockingEmbeddedGateway, slow: Slow
) -> None:
    @tool
    async def cancels() -> str:
        """Cancels its own task."""
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)
        return "never"

    async with make(gateway, cancels, slow.tool) as host, make_client(gateway) as client:
        await serving(host, gateway)
        assert await ask(client, "cancels") == "*cancels was cancelled and has no result."
        reply = asyncio.ensure_future(ask(client, "slow"))
        await until(lambda: slow.calls)
        for task in asyncio.all_tasks():
            if task.get_name() == "openclaw-tool":
                task.cancel()
        slow.go.set()
        assert await reply == "*slow was cancelled and has no result."
        assert host.active_calls == 0


async def test_a_function_that_ends_programs_does_not(
    make: Make, make_client: Make, gateway: BlockingEmbeddedGateway
) -> None:
    @tool
    def leaves() -> None:
        """Raises what ends programs."""
        raise SystemExit(3)

    async with make(gateway, leaves, echo) as host, make_client(gateway) as client:
        await serving(host, gateway)
        assert (await ask(client, "leaves")).startswith("*leaves failed (SystemExit)")
        assert await ask(client, 'echo {"text": "fine"}') == "fine"


async def test_a_busy_host_says_so_within_the_time_limit(
    make: Make, make_client: Make, gateway: BlockingEmbeddedGateway, slow: Slow
) -> None:
    @tool(timeout=0.2)
    def quick() -> str:
        """Has to wait in line."""
        return "quick"

    async with make(gateway, slow.tool, quick, max_concurrency=1) as host, make_client(gateway) as client:
        await serving(host, gateway)
        first = asyncio.ensure_future(ask(client, "slow", "a"))
        await until(lambda: slow.calls)
        assert await ask(client, "quick", "b") == "*quick was not called: shop is busy. Try again later."
        waits = asyncio.ensure_future(ask(client, "slow", "c"))
        await until(lambda: inner(host)._core.calls.waiting)
        slow.go.set()
        assert await asyncio.gather(first, waits) == ["slow ", "slow "]


async def test_frames_that_come_twice_and_frames_that_are_rubbish(
    make: Make, make_client: Make, gateway: BlockingEmbeddedGateway, caplog: pytest.LogCaptureFixture
) -> None:
    called: list[str] = []

    @tool
    def counts(text: str) -> str:
        """Counts."""
        called.append(text)
        return text

    async with make(gateway, counts) as host, make_client(gateway) as client:
        await serving(host, gateway)
        gateway.faults.double(INVOKE)
        assert await ask(client, 'counts {"text": "a"}') == "a"
        before = gateway.seen.requests["node.invoke.result"]
        good = {"server": "shop", "tool": "counts", "arguments": {"text": "b"}}
        for number, change in enumerate(
            [
                {"paramsJSON": "{rubbish"},
                {"paramsJSON": "[" * 10_000},
                {"paramsJSON": json.dumps({**good, "tool": "unknown"})},
                {"paramsJSON": json.dumps({**good, "arguments": {"text": "x" * 5_000_000}})},
                {"command": "system.run"},
                {"timeoutMs": -100},
                {"id": None},
                {"nodeId": {}},
            ]
        ):
            params = {"id": f"i{number}", "nodeId": host.device_id, "command": "mcp.tools.call.v1"}
            payload = {**params, "paramsJSON": json.dumps(good), "timeoutMs": 100, **change}
            gateway.faults.send({"type": "event", "event": INVOKE, "payload": payload})
        for payload in (7, None, [], {"invokeId": 7}):
            for name in ("node.invoke.cancel", "node.pair.resolved"):
                gateway.faults.send({"type": "event", "event": name, "payload": payload})
        await until(lambda: gateway.seen.requests["node.invoke.result"] == before + 6)
        assert await ask(client, 'counts {"text": "c"}') == "c"
        assert host.state is HostState.PUBLISHED
    assert called == ["a", "c"]


async def test_a_flood_is_answered_and_bounded(
    make: Make,
    gateway: BlockingEmbeddedGateway,
    slow: Slow,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(calls_module, "MOST_WAITING", 20)
    monkeypatch.setattr(answers, "MOST_UNANSWERED", 50)
    async with make(gateway, slow.tool, echo, max_concurrency=2) as host:
        await serving(host, gateway)
        gateway.faults.swallow("node.invoke.result", times=1000)
        params = json.dumps({"server": "shop", "tool": "slow", "arguments": {}})
        for number in range(200):
            call = {"id": str(number), "nodeId": host.device_id, "command": "mcp.tools.call.v1", "timeoutMs": 60_000}
            gateway.faults.send({"type": "event", "event": INVOKE, "payload": {**call, "paramsJSON": params}})
        calls = inner(host)._core.calls
        await until(lambda: calls.waiting == 20 and calls.running == 2)
        await until(lambda: [line for line in caplog.messages if "are not confirmed by the gateway" in line])
        assert calls.unanswered == 22
        slow.go.set()
        await until(lambda: calls.running == 0)
        assert calls.unanswered == 0
        assert host.state is HostState.PUBLISHED
        assert len([line for line in caplog.messages if "are not confirmed" in line]) == 1


async def test_a_result_that_no_frame_can_hold(make: Make, make_client: Make, start_gateway: Start) -> None:
    gateway = start_gateway(max_payload=20_000)

    @tool
    def much() -> str:
        """Within its own bound."""
        return "\x01" * 10_000

    async with make(gateway, much, echo) as host, make_client(gateway) as client:
        await serving(host, gateway)
        assert await ask(client, "much") == "*The result cannot be sent: it is too large."
        assert await ask(client, 'echo {"text": "fine"}') == "fine"


async def test_closing_lets_running_calls_end_and_takes_no_new_ones(
    make: Make, make_client: Make, gateway: BlockingEmbeddedGateway, slow: Slow
) -> None:
    async with make_client(gateway) as client:
        host = make(gateway, slow.tool)
        await serving(host, gateway)
        reply = asyncio.ensure_future(ask(client, "slow"))
        await until(lambda: slow.calls)
        closes = asyncio.ensure_future(host.close())
        again = asyncio.ensure_future(host.close(5))
        await until(lambda: not gateway.tools)
        assert (await ask(client, "slow", "other")).endswith("Tool slow not found")
        params = json.dumps({"server": "shop", "tool": "slow", "arguments": {}})
        call = {"id": "new", "nodeId": host.device_id, "command": "mcp.tools.call.v1", "timeoutMs": 60_000}
        gateway.faults.send({"type": "event", "event": INVOKE, "payload": {**call, "paramsJSON": params}})
        with pytest.raises(ClientClosed, match="under way"):
            await host.connect()
        await until(lambda: gateway.seen.requests["node.invoke.result"])
        slow.go.set()
        await asyncio.gather(closes, again)
        assert await reply == "slow "
        assert host.state is HostState.DISCONNECTED
        assert len(slow.calls) == 1
        # And again.
        await host.connect()
        assert await host.wait_published(10)
        assert await ask(client, "slow", "more") == "slow "
        await host.close()


async def test_a_drain_that_takes_too_long_is_cut(
    make: Make, make_client: Make, gateway: BlockingEmbeddedGateway, slow: Slow
) -> None:
    async with make_client(gateway) as client:
        for drain in (0.1, 0):
            host = make(gateway, slow.tool)
            await serving(host, gateway)
            slow.calls.clear()
            reply = asyncio.ensure_future(ask(client, "slow", f"s{drain}"))
            await until(lambda: slow.calls)
            await host.close(drain)
            assert host.state is HostState.DISCONNECTED
            assert slow.calls[0].cancelled
            assert "node host disconnected" in await reply


async def test_whoever_closes_with_more_patience_waits_no_longer_than_the_host_is_there(
    make: Make, make_client: Make, gateway: BlockingEmbeddedGateway, slow: Slow
) -> None:
    async with make_client(gateway) as client:
        host = make(gateway, slow.tool)
        await serving(host, gateway)
        reply = asyncio.ensure_future(ask(client, "slow"))
        await until(lambda: slow.calls)
        short = asyncio.ensure_future(host.close(0.3))
        await until(lambda: not gateway.tools)
        async with asyncio.timeout(10):
            await asyncio.gather(short, host.close(60))
        assert host.state is HostState.DISCONNECTED
        await reply


@pytest.mark.parametrize("face", ["async"], indirect=True)
async def test_closing_can_be_cancelled(
    make: Make, make_client: Make, gateway: BlockingEmbeddedGateway, slow: Slow, no_leaks: None
) -> None:
    async with make_client(gateway) as client:
        host = make(gateway, slow.tool)
        await serving(host, gateway)
        reply = asyncio.ensure_future(ask(client, "slow"))
        await until(lambda: slow.calls)
        closes = asyncio.ensure_future(host.close())
        await until(lambda: not gateway.tools)
        closes.cancel()
        await asyncio.gather(closes, return_exceptions=True)
        assert host.state is HostState.DISCONNECTED
        assert slow.calls[0].cancelled
        await reply
        slow.go.set()
        await until(lambda: host.active_calls == 0)


@pytest.mark.parametrize("face", ["async"], indirect=True)
@pytest.mark.parametrize("cancel", [False, True])
async def test_closing_leaves_no_socket_of_a_connection_that_was_to_be_replaced(
    make: Make, gateway: BlockingEmbeddedGateway, cancel: bool, no_leaks: None
) -> None:
    host = make(gateway, echo)
    await host.connect()
    assert host.state is HostState.WAITING_FOR_APPROVAL
    connection = host._core.supervisor.connection
    # A gateway that does not answer the close.
    gateway.faults.stall()
    host.retry_now()
    closes = asyncio.ensure_future(host.close())
    await asyncio.sleep(0)
    if cancel:
        closes.cancel()
    await asyncio.gather(closes, return_exceptions=True)
    assert connection.ended.done()
    assert host.state is HostState.DISCONNECTED


@pytest.mark.parametrize("face", ["async"], indirect=True)
async def test_connecting_can_be_cancelled(make: Make, gateway: BlockingEmbeddedGateway, no_leaks: None) -> None:
    held = gateway.faults.hold(lambda frame: frame.number == 2)
    host = make(gateway, echo)
    first, second = asyncio.ensure_future(host.connect()), asyncio.ensure_future(host.connect())
    await until(lambda: held.frames)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    assert host.state is HostState.CONNECTING
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    assert host.state is HostState.DISCONNECTED
    held.release()
    await serving(host, gateway)
    await host.close()


@pytest.mark.parametrize("face", ["async"], indirect=True)
async def test_whoever_waits_for_the_tools_keeps_an_attempt_that_another_gave_up(
    make: Make, gateway: BlockingEmbeddedGateway
) -> None:
    held = gateway.faults.hold(lambda frame: frame.number == 2)
    host = make(gateway, echo)
    connects = asyncio.ensure_future(host.connect())
    await until(lambda: held.frames)
    waits = asyncio.ensure_future(host.wait_published(10))
    await asyncio.sleep(0)
    connects.cancel()
    await asyncio.gather(connects, return_exceptions=True)
    held.release()
    await until(lambda: gateway.pending_nodes)
    await asyncio.to_thread(gateway.approve)
    assert await waits
    await host.close()


async def test_closing_while_it_connects(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    held = gateway.faults.hold(lambda frame: frame.number == 2)
    host = make(gateway, echo)
    connects = asyncio.ensure_future(host.connect())
    await until(lambda: held.frames)
    await host.close()
    with pytest.raises(ClientClosed):
        await connects
    assert host.state is HostState.DISCONNECTED


async def test_serving_for_ever_ends_with_close(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    host = make(gateway, echo)
    stays = asyncio.ensure_future(host.run_forever())
    await until(lambda: host.state is HostState.WAITING_FOR_APPROVAL)
    await asyncio.to_thread(gateway.restart)
    await until(lambda: host.state is HostState.CONNECTING)
    await until(lambda: host.state is HostState.WAITING_FOR_APPROVAL)
    await host.close()
    await stays


async def test_serving_for_ever_ends_with_a_close_that_comes_while_it_connects(
    make: Make, gateway: BlockingEmbeddedGateway
) -> None:
    host = make(gateway, echo)
    closing = inner(host)

    def close(change: HostStateChange) -> Any:
        # Of an async host this is awaited.
        return closing.close() if change.waiting_for else None

    host.on_state_change(close)
    await host.run_forever()
    assert host.state is HostState.DISCONNECTED
    held = gateway.faults.hold(lambda frame: frame.number == 2)
    stays = asyncio.ensure_future(host.run_forever())
    await until(lambda: held.frames)
    await host.close()
    await stays


@pytest.mark.parametrize("face", ["async"], indirect=True)
async def test_serving_for_ever_ends_when_it_is_cancelled(
    make: Make, gateway: BlockingEmbeddedGateway, no_leaks: None
) -> None:
    host = make(gateway, echo)
    stays = asyncio.ensure_future(host.run_forever())
    await until(lambda: host.state is HostState.WAITING_FOR_APPROVAL)
    stays.cancel()
    await asyncio.gather(stays, return_exceptions=True)
    assert stays.cancelled()
    assert host.state is HostState.DISCONNECTED


class Broken(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        raise OSError("disk full")


async def test_log_handlers_and_handlers_that_raise_change_nothing(
    make: Make, make_client: Make, gateway: BlockingEmbeddedGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)
    broken = Broken(logging.DEBUG)
    logger = logging.getLogger("openclaw_client")
    logger.addHandler(broken)
    try:
        host = make(gateway, echo)
        host.on_state_change(lambda change: 1 / 0)
        ends: list[Any] = []
        inner(host)._on_call_end(lambda end: 1 / 0)
        inner(host)._on_call_end(ends.append)
        async with host, make_client(gateway) as client:
            await serving(host, gateway)
            assert await ask(client, 'echo {"text": "fine"}') == "fine"
            await until(lambda: ends)
            assert (ends[0].tool, ends[0].session_key, ends[0].outcome) == ("echo", "agent:main:s", "ok")
    finally:
        logger.removeHandler(broken)


async def test_a_slow_function_holds_up_neither_clients_nor_other_calls(
    make: Make, make_client: Make, gateway: BlockingEmbeddedGateway, slow: Slow
) -> None:
    async with make(gateway, slow.tool, echo) as host, make_client(gateway) as client:
        await serving(host, gateway)
        reply = asyncio.ensure_future(ask(client, "slow", "a"))
        await until(lambda: slow.calls)
        began = time.monotonic()
        for number in range(5):
            async with client.chat_stream(session_key="b", message=f'echo {{"text": "{number}"}}') as run:
                events = [event async for event in run if isinstance(event, ToolFinished)]
            assert len(events) == 1
        assert time.monotonic() - began < 5
        slow.go.set()
        assert await reply == "slow "


@pytest.mark.parametrize("face", ["sync"], indirect=True)
def test_it_is_told_once_that_a_child_does_not_serve(make: Make, start_gateway: Start) -> None:
    import os

    gateway = start_gateway()
    host = inner(make(gateway, echo))
    host.connect()
    gateway.approve()
    assert host.wait_published(10)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        told: list[str] = []
        os.write(writer, f"{host.state} {host.published} {told}".encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reader, 1000).decode() == "disconnected () []"
    os.close(reader)
    os.close(writer)
    assert host.state is HostState.PUBLISHED
    assert wait_until(lambda: list(gateway.tools)) == ["echo"]
    host.close()
