"""Connecting, closing, losing and coming back."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from openclaw_client import ConnectionState, ReconnectPolicy, StateChange, Timeouts
from openclaw_client.errors import (
    AuthRejected,
    ClientClosed,
    ConnectionLost,
    GatewayError,
    HandshakeTimeout,
    NotConnected,
    OutcomeUnknown,
    ProtocolMismatch,
    RequestTimeout,
    RunLost,
    Unreachable,
    UsageError,
)
from openclaw_client.testing import BlockingEmbeddedGateway, Turn
from tests.faces import Face
from tests.waiting import until

Make = Callable[..., Any]
Start = Callable[..., BlockingEmbeddedGateway]


async def waiting_agent(turn: Turn) -> Any:
    """Says a word, and the rest when the test lets it."""
    yield "beginning"
    await turn.gate.wait()
    yield " and end"


async def test_callers_at_once_share_one_handshake(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    client = make(gateway)
    await asyncio.gather(*(client.connect() for _ in range(20)))
    assert client.connected
    assert len(gateway.seen.connects) == 1
    await client.disconnect()


async def test_a_client_can_be_connected_again_and_again(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    client = make(gateway)
    for _ in range(3):
        await client.connect()
        assert (await client.request("health"))["ok"] is True
        await client.disconnect()
        await client.disconnect()
        assert client.state is ConnectionState.DISCONNECTED
    assert len(gateway.seen.connects) == 3


async def test_nothing_works_before_connect_and_nothing_is_sent(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    client = make(gateway)
    assert client.idle_seconds == float("inf")
    with pytest.raises(NotConnected, match="connect"):
        await client.request("health")
    with pytest.raises(NotConnected):
        await client.chat_send(session_key="main", message="hello")
    assert gateway.seen.opened == 0


async def test_disconnect_ends_every_waiter_with_an_error_that_says_so(make: Make, start_gateway: Start) -> None:
    gateway = start_gateway(waiting_agent)
    client = make(gateway)
    await client.connect()
    gateway.faults.swallow("status")
    events = client.events("never")
    request = asyncio.ensure_future(client.request("status", timeout=None))
    run = client.chat_stream(session_key="main", message="one")
    await run.__aenter__()
    pieces = run.text_stream
    assert await anext(pieces) == "beginning"
    queued = asyncio.ensure_future(client.chat_send(session_key="main", message="two"))
    following = asyncio.ensure_future(events.__anext__())
    await until(lambda: not gateway.faults.outstanding)
    await client.disconnect()
    with pytest.raises(ClientClosed, match="disconnect"):
        await request
    with pytest.raises(RunLost, match="disconnect") as lost:
        await run.result()
    assert lost.value.partial_text == "beginning"
    assert isinstance(lost.value.__cause__, ClientClosed)
    with pytest.raises(RunLost, match="disconnect"):
        await anext(pieces)
    with pytest.raises(GatewayError):
        await queued
    with pytest.raises(ClientClosed):
        await following
    assert gateway.seen.requests["chat.send"] == 1


async def test_disconnect_ends_a_connect_under_way(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    gateway.faults.withhold_challenge()
    client = make(gateway)
    connecting = asyncio.ensure_future(client.connect())
    await until(lambda: gateway.seen.opened > 0)
    await client.disconnect()
    with pytest.raises(ClientClosed):
        await connecting
    assert client.state is ConnectionState.DISCONNECTED


async def test_pending_requests_fail_at_once_when_the_socket_dies(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    client = make(gateway)
    async with client:
        gateway.faults.swallow("status")
        request = asyncio.ensure_future(client.request("status", timeout=None, idempotency_key="my-key"))
        await until(lambda: not gateway.faults.outstanding)
        gateway.faults.disconnect()
        with pytest.raises(OutcomeUnknown) as caught:
            await request
        assert caught.value.sent is True
        assert caught.value.close_code == 1006
        assert caught.value.idempotency_key == "my-key"
        # The next request waits for the connection that the client makes by itself.
        assert (await client.request("health"))["ok"] is True


async def test_a_request_without_an_answer_times_out(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    async with make(gateway) as client:
        gateway.faults.swallow("status")
        with pytest.raises(RequestTimeout, match=r"status: no answer within 0\.05 s") as caught:
            await client.request("status", timeout=0.05)
        assert caught.value.timeout == 0.05
        assert (await client.request("health"))["ok"] is True


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ((5,), "names no method"),
        (("",), "names no method"),
        ((None, {}), "names no method"),
        (("health", [1]), "health: the parameters are no dict but list"),
        (("health", "x"), "no dict but str"),
    ],
)
async def test_a_request_that_is_none_is_refused(
    make: Make, gateway: BlockingEmbeddedGateway, arguments: tuple[Any, ...], what: str
) -> None:
    async with make(gateway) as client:
        with pytest.raises(UsageError, match=f"{what}.*; nothing was sent"):
            await client.request(*arguments)
        with pytest.raises(UsageError, match="the idempotency key is no text"):
            await client.request("health", idempotency_key=5)


@pytest.mark.parametrize("limit", [0, -5, float("nan"), "5"])
async def test_a_time_limit_that_is_none_is_refused(make: Make, gateway: BlockingEmbeddedGateway, limit: Any) -> None:
    async with make(gateway) as client:
        with pytest.raises(UsageError, match="is no time limit; nothing was sent"):
            await client.request("status", timeout=limit)
        assert (await client.request("health", timeout=None))["ok"] is True


async def test_the_state_tells_what_happens(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    changes: list[StateChange] = []
    client = make(gateway)
    back = asyncio.Event()
    loop = asyncio.get_running_loop()

    def changed(change: StateChange) -> None:
        changes.append(change)
        if [entry.new for entry in changes].count(ConnectionState.CONNECTED) == 2:
            loop.call_soon_threadsafe(back.set)

    client.on_state_change(changed)
    async with client:
        gateway.faults.disconnect(1012, "service restart")
        await back.wait()
    states = [change.new.value for change in changes[:4]]
    assert states == ["connecting", "connected", "reconnecting", "connected"]
    assert isinstance(changes[2].cause, ConnectionLost)
    assert changes[2].cause.close_code == 1012


async def test_a_fatal_refusal_parks_and_tells_once(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    told: asyncio.Queue[tuple[Any, GatewayError]] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    client = make(gateway)
    client.on_fatal_close(lambda *args: loop.call_soon_threadsafe(told.put_nowait, args))
    async with client:
        gateway.faults.refuse("unauthorized: gateway token mismatch", details={"code": "AUTH_TOKEN_MISMATCH"}, times=9)
        gateway.faults.disconnect()
        _, error = await told.get()
        assert isinstance(error, AuthRejected)
        assert client.state is ConnectionState.PAUSED
        with pytest.raises(AuthRejected):
            await client.request("health")
        assert told.empty()
        refused = len(gateway.seen.connects)
        gateway.faults.clear()
        await client.connect()
        assert client.connected
        assert len(gateway.seen.connects) == refused + 1


async def test_a_gateway_that_is_starting_is_waited_for(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    gateway.faults.starting(times=2, retry_after_ms=100)
    async with make(gateway) as client:
        assert client.connected
    assert len(gateway.seen.connects) == 3


async def test_no_version_in_common_is_final(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    details = {"code": "PROTOCOL_MISMATCH", "expectedProtocol": 5, "clientMinProtocol": 3, "clientMaxProtocol": 4}
    gateway.faults.refuse("protocol mismatch", details=details, close_code=1002, times=9)
    client = make(gateway)
    with pytest.raises(ProtocolMismatch, match="speaks 3 to 4, the gateway wants 5") as caught:
        await client.connect()
    assert caught.value.expected == 5
    assert client.state is ConnectionState.PAUSED
    assert len(gateway.seen.connects) == 1


async def test_nothing_listens(face: Face) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    client = face.client(f"ws://127.0.0.1:{port}", token="t", identity=False)
    with pytest.raises(Unreachable, match="Check the URL"):
        await client.connect()
    assert client.state is ConnectionState.DISCONNECTED


async def test_a_web_server_is_no_gateway(face: Face) -> None:
    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            """Keep the test's output clean."""

    with HTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            client = face.client(f"http://127.0.0.1:{server.server_port}", token="t", identity=False)
            with pytest.raises(Unreachable, match="HTTP 200 instead of a WebSocket"):
                await client.connect()
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 101 Switching Prot"])
async def test_a_socket_that_dies_in_the_upgrade_is_noticed_at_once(face: Face, answer: bytes) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        client = face.client(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}", token="t", identity=False)
        with pytest.raises(Unreachable, match="without a WebSocket answer"):
            await client.connect()


async def test_a_server_that_says_nothing(face: Face) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        limits = Timeouts(connect=0.2)
        client = face.client(f"ws://127.0.0.1:{port}", token="t", identity=False, timeouts=limits)
        with pytest.raises(Unreachable, match=r"no answer within 0\.2 s"):
            await client.connect()


async def test_a_gateway_that_sends_no_challenge(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    gateway.faults.withhold_challenge()
    client = make(gateway, timeouts=Timeouts(connect=0.3))
    with pytest.raises(HandshakeTimeout, match="awaiting challenge"):
        await client.connect()
    assert client.state is ConnectionState.DISCONNECTED
    await client.connect()
    await client.disconnect()


async def test_a_dead_connection_is_noticed(make: Make, start_gateway: Start) -> None:
    """A gateway that goes silent with the socket open: two ticks of one second are missed."""
    gateway = start_gateway(tick_interval=1.0)
    lost: asyncio.Queue[StateChange] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    client = make(gateway)
    client.on_state_change(lambda change: loop.call_soon_threadsafe(lost.put_nowait, change))
    async with client:
        gateway.faults.silence()
        while (change := await lost.get()).new is not ConnectionState.RECONNECTING:
            pass
        assert "two tick intervals" in str(change.cause)
        gateway.faults.speak()


async def test_without_reconnects_the_end_is_the_end(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    gone = asyncio.Event()
    loop = asyncio.get_running_loop()
    client = make(gateway, reconnect=ReconnectPolicy(enabled=False))

    def changed(change: StateChange) -> None:
        if change.new is ConnectionState.DISCONNECTED:
            loop.call_soon_threadsafe(gone.set)

    client.on_state_change(changed)
    await client.connect()
    gateway.faults.disconnect()
    await gone.wait()
    with pytest.raises(NotConnected):
        await client.request("health")
    await client.connect()
    await client.disconnect()


@pytest.mark.parametrize("face", ["async"], indirect=True)
async def test_cancelled_callers_do_not_end_the_others_attempt(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    gateway.faults.starting(times=1, retry_after_ms=200)
    client = make(gateway)
    staying = asyncio.ensure_future(client.connect())
    leaving = asyncio.ensure_future(client.connect())
    await until(lambda: gateway.seen.connects)
    leaving.cancel()
    await staying
    assert client.connected
    assert leaving.cancelled()
    await client.disconnect()


@pytest.mark.parametrize("face", ["async"], indirect=True)
async def test_the_last_caller_who_leaves_ends_the_attempt(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    gateway.faults.withhold_challenge()
    client = make(gateway)
    leaving = asyncio.ensure_future(client.connect())
    await until(lambda: gateway.seen.opened > 0)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert client.state is ConnectionState.DISCONNECTED
    await until(lambda: not gateway.open_connections)


async def test_a_parked_client_tries_again_when_told(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    states: asyncio.Queue[ConnectionState] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    client = make(gateway)
    client.on_state_change(lambda change: loop.call_soon_threadsafe(states.put_nowait, change.new))
    async with client:
        gateway.faults.refuse("pairing required", details={"code": "PAIRING_REQUIRED"}, times=9)
        gateway.faults.disconnect()
        while await states.get() is not ConnectionState.PAUSED:
            pass
        gateway.faults.clear()
        client.retry_now()
        while await states.get() is not ConnectionState.CONNECTED:
            pass
        assert (await client.request("health"))["ok"] is True


async def test_a_waiting_client_tries_at_once_when_told(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    states: asyncio.Queue[ConnectionState] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    client = make(gateway, reconnect=ReconnectPolicy(initial=600, maximum=600))
    client.on_state_change(lambda change: loop.call_soon_threadsafe(states.put_nowait, change.new))
    async with client:
        gateway.faults.disconnect()
        while await states.get() is not ConnectionState.RECONNECTING:
            pass
        await until(lambda: not gateway.open_connections)

        def back() -> bool:
            # The pause may begin a moment after the state says so; telling it again does no harm.
            client.retry_now()
            return bool(client.connected)

        await until(back)
        assert (await client.request("health"))["ok"] is True


@pytest.mark.parametrize("face", ["async"], indirect=True)
async def test_a_request_that_is_dropped_before_it_began_leaves_nothing(
    make: Make, gateway: BlockingEmbeddedGateway
) -> None:
    """As by Ctrl-C in a thread that has just asked; a coroutine that nobody awaited would warn."""
    answers: list[Any] = []
    async with make(gateway) as client:
        requests = client._engine.requests
        drop = requests.start("sessions.list", None, 5, lambda *answer: answers.append(answer))
        drop()
        await client.request("health")
    gc.collect()
    assert answers == []
