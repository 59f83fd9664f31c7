"""A disconnect that is cancelled at any turn of the loop: what it leaves behind is a client that is disconnected."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from openclaw_client import AsyncConnectionManager, AsyncGatewayClient, Credentials
from openclaw_client.client.events import EventStream
from openclaw_client.errors import ClientClosed, GatewayError, NotConnected, RunLost
from openclaw_client.testing import BlockingEmbeddedGateway, Turn
from tests.moved_clock import turns
from tests.waiting import until

TURNS = 12
"""More than a disconnect takes from a ready connection; `settle` fails where it is not."""

LONG = 20.0
"""Seconds that nothing here may take."""

Main = Callable[[], Coroutine[Any, Any, None]]


def loops() -> list[Any]:
    try:
        import uvloop
    except ImportError:
        return [asyncio.new_event_loop]
    return [asyncio.new_event_loop, uvloop.new_event_loop]


@pytest.fixture(params=loops(), ids=lambda factory: factory.__module__.partition(".")[0])
def run(request: pytest.FixtureRequest) -> Callable[[Main], None]:
    """Run a coroutine on a loop of one kind."""

    def run(main: Main) -> None:
        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.run(main())

    return run


async def silent_agent(turn: Turn) -> Any:
    yield "beginning"
    await turn.gate.wait()


def client_of(gateway: BlockingEmbeddedGateway) -> AsyncGatewayClient:
    return AsyncGatewayClient(gateway.url, token=gateway.token, identity=False)


async def interrupted(work: Awaitable[Any], after: int) -> None:
    """Cancel it behind so many turns of the loop, of which the first begins it."""
    task = asyncio.ensure_future(work)
    await turns(after)
    task.cancel()
    await asyncio.wait((task,))
    assert task.cancelled() or task.exception() is None


async def ended(stream: EventStream) -> GatewayError:
    """What ended a stream."""
    with pytest.raises(GatewayError) as caught:
        async for _ in stream:
            pass
    return caught.value


@pytest.mark.parametrize("after", range(1, TURNS))
def test_cancelled_at_any_turn(run: Callable[[Main], None], gateway_of: Any, after: int) -> None:
    async def main() -> None:
        client = client_of(gateway_of(silent_agent))
        changes: list[str] = []
        client.on_state_change(lambda change: changes.append(change.new.value))
        await client.connect()
        stream = client.events()
        reader = asyncio.create_task(ended(stream))
        async with client.chat_stream(session_key="main", message="hi") as running:
            await anext(running.text_stream)
            request = asyncio.create_task(client.request("agent.wait", {"runId": running.run_id}, timeout=None))
            await turns(2)
            await interrupted(client.disconnect(), after)
            assert not client.connected
            assert client.state.value == "disconnected"
            assert not client.busy
            async with asyncio.timeout(LONG):
                with pytest.raises(RunLost):
                    await running.result()
                assert isinstance(await reader, ClientClosed)
                with pytest.raises(ClientClosed):
                    await request
        with pytest.raises(NotConnected):
            await client.request("health")
        # The connection that follows is a new one, and nothing of the old one's end changes what is said of it.
        await client.connect()
        assert client.connected
        assert (await client.request("health"))["ok"] is True
        await client.disconnect()
        await until(lambda: changes[-1:] == ["disconnected"])
        assert changes == ["connecting", "connected", "disconnected"] * 2

    run(main)


@pytest.mark.parametrize("after", range(1, TURNS))
def test_cancelled_while_it_reconnects(run: Callable[[Main], None], gateway_of: Any, after: int) -> None:
    async def main() -> None:
        gateway = gateway_of(silent_agent)
        client = client_of(gateway)
        await client.connect()
        async with client.chat_stream(session_key="main", message="hi") as running:
            await anext(running.text_stream)
            gateway.crash()
            await until(lambda: client.state.value == "reconnecting")
            waiting = asyncio.create_task(client.request("health"))
            await turns(2)
            await interrupted(client.disconnect(), after)
            assert client.state.value == "disconnected"
            async with asyncio.timeout(LONG):
                with pytest.raises(RunLost):
                    await running.result()
                with pytest.raises(ClientClosed):
                    await waiting

    run(main)


@pytest.mark.parametrize("call", ["disconnect", "disconnect_all", "close"])
@pytest.mark.parametrize("after", range(1, 5))
def test_a_managers_clients(run: Callable[[Main], None], gateway_of: Any, after: int, call: str) -> None:
    async def main() -> None:
        gateway = gateway_of(silent_agent)
        manager = AsyncConnectionManager(lambda user: Credentials(gateway.url, token=gateway.token, identity=False))
        clients = [await manager.connection_for(user) for user in ("ann", "bob")]
        await interrupted(getattr(manager, call)(*(["ann"] if call == "disconnect" else [])), after)
        closed = clients if call != "disconnect" else clients[:1]
        assert [client.connected for client in closed] == [False] * len(closed)
        await manager.close()

    run(main)


@pytest.fixture
def gateway_of(start_gateway: Callable[..., BlockingEmbeddedGateway]) -> Callable[..., BlockingEmbeddedGateway]:
    return start_gateway
