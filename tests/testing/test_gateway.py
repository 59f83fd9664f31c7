"""The life of an embedded gateway: start, stop, restart, crash, limits, ticks, threads."""

from __future__ import annotations

import asyncio
import gc
import json
import socket
import threading
import warnings
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as connect_async
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from openclaw_client import AsyncGatewayClient
from openclaw_client.errors import UsageError
from openclaw_client.testing import PROFILES, BlockingEmbeddedGateway, EmbeddedGateway, Turn, scripts
from tests.gateways.raw import Frame, RawClient, RawError
from tests.moved_clock import turns
from tests.testing.helpers import CLI, RELEASES, RawDevice, connected, raw
from tests.waiting import wait_until


def closed_with(client: RawClient) -> tuple[int, str] | None:
    _, close = until_closed(client)
    return close


def until_closed(client: RawClient) -> tuple[list[Frame], tuple[int, str] | None]:
    """The events that still come, and the close frame."""
    events: list[Frame] = []
    try:
        while True:
            events.append(client.next_event(timeout=5))
    except ConnectionClosed as closed:
        return events, closed.rcvd and (closed.rcvd.code, closed.rcvd.reason)


def upgrade_status(gateway: BlockingEmbeddedGateway) -> int:
    try:
        connect(gateway.url, proxy=None).close()
    except InvalidStatus as refusal:
        return refusal.response.status_code
    return 101


@pytest.mark.parametrize("release", RELEASES)
def test_stop_says_so_and_closes_with_1012(release: str) -> None:
    gateway = BlockingEmbeddedGateway(release=release)
    gateway.start()
    client = connected(gateway)
    gateway.close()
    payload = client.next_event("shutdown", timeout=5)["payload"]
    null = {"restartExpectedMs": None} if PROFILES[release].shutdown_null else {}
    assert payload == {"reason": "gateway stopping", **null}
    assert closed_with(client) == (1012, "service restart")
    assert gateway.open_connections == 0
    with pytest.raises(OSError, match="refused"):
        connected(gateway)


def test_a_restart_keeps_port_devices_and_transcripts() -> None:
    with BlockingEmbeddedGateway() as gateway:
        device, port = RawDevice(), gateway.port
        client = connected(gateway, device=device, **CLI)
        token, boot = client.hello["auth"]["deviceToken"], client.hello["server"]["bootId"]
        client.chat("s", "before")
        gateway.restart()
        assert client.next_event("shutdown")["payload"] == {"reason": "gateway restarting", "restartExpectedMs": 1500}
        assert closed_with(client) == (1012, "service restart")
        assert gateway.port == port
        with raw(gateway, device=device, token=token, **CLI) as again:
            assert again.hello["server"]["bootId"] != boot
            assert len(again.request("chat.history", {"sessionKey": "s"})["messages"]) == 2
        client.close()


def test_a_restart_without_memory_forgets_both() -> None:
    with BlockingEmbeddedGateway() as gateway:
        with raw(gateway, **CLI) as client:
            client.chat("s", "before")
        assert len(gateway.devices) == 1
        gateway.restart(keep_memory=False)
        assert gateway.devices == []
        assert gateway.transcript("agent:main:s") == []


@pytest.mark.parametrize(("release", "rows"), [("2026.2.17", 4), ("2026.9.6", 3)])
def test_a_key_is_forgotten_by_a_restart(release: str, rows: int) -> None:
    # Both releases run a message again that is sent again after a restart; the newest does not note it twice.
    params = {"sessionKey": "s", "message": "hi", "idempotencyKey": "k"}
    with BlockingEmbeddedGateway(release=release) as gateway:
        for _ in range(2):
            with raw(gateway) as client:
                assert client.request("chat.send", params)["status"] == "started"
                assert client.follow("k").text == "echo: hi"
            gateway.restart()
        assert len(gateway.transcript("agent:main:s")) == rows


def test_runs_end_without_a_word_when_the_gateway_stops() -> None:
    ended = threading.Event()

    async def agent(turn: Turn) -> AsyncIterator[str]:
        try:
            yield "working"
            await asyncio.Event().wait()
        finally:
            ended.set()

    with BlockingEmbeddedGateway(agent) as gateway:
        client = connected(gateway)
        run_id = client.chat_send("s", "go")
        client.follow(run_id, until=lambda events: events[-1]["state"] == "delta")
        gateway.restart()
        assert ended.is_set()
        events, close = until_closed(client)
        assert [event["event"] for event in events] == ["shutdown"]
        assert close == (1012, "service restart")
        assert gateway.active_runs == []
        client.close()


def test_runs_may_end_first_while_requests_are_refused() -> None:
    with BlockingEmbeddedGateway(scripts.gated(["a", "b"])) as gateway:
        client = connected(gateway)
        run_id = client.chat_send("s", "go")
        stopper = threading.Thread(target=lambda: gateway.stop(drain=30))
        stopper.start()
        wait_until(lambda: upgrade_status(gateway) == 503)
        with pytest.raises(RawError) as refusal:
            client.request("chat.history", {"sessionKey": "s"})
        error = refusal.value.response["error"]
        assert (error["code"], error["retryable"], error["retryAfterMs"]) == ("UNAVAILABLE", True, 1000)
        assert error["details"]["reason"] == "gateway-restarting"
        gateway.release()
        assert client.follow(run_id).text == "ab"
        assert closed_with(client) == (1012, "service restart")
        stopper.join()
        client.close()


def test_a_crash_closes_nothing_and_can_be_started_again() -> None:
    with BlockingEmbeddedGateway() as gateway:
        client, port = connected(gateway), gateway.port
        gateway.crash()
        assert closed_with(client) is None
        assert not gateway.running
        gateway.start()
        assert gateway.port == port
        connected(gateway).close()
        client.close()


def test_ticks() -> None:
    with BlockingEmbeddedGateway(tick_interval=0.01) as gateway, raw(gateway, scopes=[]) as client:
        assert client.hello["policy"]["tickIntervalMs"] == 10
        first, second = (client.next_event("tick", timeout=5)["payload"]["ts"] for _ in range(2))
        assert second >= first


def test_a_client_that_answers_no_ping_is_cut() -> None:
    request = (
        f"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {'A' * 22}==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    with (
        BlockingEmbeddedGateway(ping_interval=0.02) as gateway,
        socket.create_connection(("127.0.0.1", gateway.port), timeout=5) as plain,
    ):
        plain.sendall(request.encode())
        received = b""
        while chunk := plain.recv(4096):
            received += chunk
        assert b"\x89\x00" in received
        wait_until(lambda: gateway.open_connections == 0)


def test_a_client_that_answers_pings_stays() -> None:
    with BlockingEmbeddedGateway(ping_interval=0.01, tick_interval=0.05) as gateway, raw(gateway) as client:
        for _ in range(3):
            client.next_event("tick", timeout=5)
        assert client.request("health")["ok"] is True


def test_frames_over_the_limit_close_with_1009() -> None:
    with BlockingEmbeddedGateway(max_payload=100_000) as gateway:
        client = connected(gateway)
        assert client.hello["policy"]["maxPayload"] == 100_000
        client.send({"type": "req", "id": "1", "method": "x", "params": {"pad": "y" * 100_000}})
        assert closed_with(client) == (1009, "")
        client.close()


@pytest.mark.parametrize(("release", "close"), [("2026.4.15", (1008, "slow consumer")), ("2026.9.6", None)])
def test_a_client_that_does_not_read_is_closed_or_cut(release: str, close: tuple[int, str] | None) -> None:
    client = {"id": "gateway-client", "version": "1", "platform": "x", "mode": "backend"}
    versions = {"minProtocol": 3, "maxProtocol": 4}

    async def scenario() -> None:
        gateway = EmbeddedGateway(release=release, max_buffered=100_000)
        # One frame in the client's own queue, then it reads nothing more from its socket.
        lazy = {"proxy": None, "max_size": None, "max_queue": 1, "ping_interval": None}
        async with gateway, connect_async(gateway.url, **lazy) as socket:
            challenge = json.loads(await socket.recv())["payload"]
            auth = {"token": gateway.token}
            params = {**versions, "client": client, "role": "operator", "scopes": ["operator.read"], "auth": auth}
            params["device"] = RawDevice().proof(params, challenge)
            await socket.send(json.dumps({"type": "req", "id": "1", "method": "connect", "params": params}))
            await socket.recv()
            # 60 MB in one step of the loop: the kernel's buffers take a few, the rest waits.
            for _ in range(60):
                gateway.emit("noise", {"pad": "x" * 1_000_000})
            await asyncio.wait_for(_drain(socket), 20)
            assert (socket.close_code, socket.close_reason) == (close or (1006, ""))

    asyncio.run(scenario())


async def _drain(socket: ClientConnection) -> None:
    try:
        async for _ in socket:
            pass
    except ConnectionClosed:
        return


def test_fragmented_and_binary_requests_are_read() -> None:
    with BlockingEmbeddedGateway() as gateway, connect(gateway.url, proxy=None) as plain:
        plain.recv(timeout=5)
        text = json.dumps({"type": "req", "id": "1", "method": "health"})
        plain.send([text[:10], text[10:20], text[20:]])
        assert json.loads(plain.recv(timeout=5))["error"]["message"].startswith("invalid handshake")


def test_invalid_text_closes_with_1007() -> None:
    with BlockingEmbeddedGateway() as gateway, connect(gateway.url, proxy=None) as plain:
        plain.recv(timeout=5)
        plain.send(b"\xff\xfe", text=True)
        with pytest.raises(ConnectionClosed) as closed:
            plain.recv(timeout=5)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1007


def test_counters() -> None:
    with BlockingEmbeddedGateway() as gateway:
        with raw(gateway) as client:
            assert gateway.open_connections == 1
            client.request("health")
            client.request("health")
        wait_until(lambda: gateway.open_connections == 0)
        gateway.restart()
        assert (gateway.seen.opened, gateway.seen.requests["health"], len(gateway.seen.connects)) == (1, 2, 1)


def test_a_taken_port_is_an_error_and_leaves_nothing_behind() -> None:
    with BlockingEmbeddedGateway() as first:
        before = threading.active_count()
        second = BlockingEmbeddedGateway(port=first.port)
        with pytest.raises(OSError, match="address already in use"):
            second.start()
        assert not second.running
        with pytest.raises(UsageError, match="closed"):
            second.tick()
        assert threading.active_count() == before


def test_wrong_order_of_calls() -> None:
    async def scenario() -> None:
        gateway = EmbeddedGateway()
        await gateway.stop()
        with pytest.raises(UsageError, match="not running"):
            gateway.tick()
        async with gateway:
            with pytest.raises(UsageError, match="is running"):
                await gateway.start()
        assert not gateway.running

    asyncio.run(scenario())


def test_many_connections_come_and_go() -> None:
    async def one(gateway: EmbeddedGateway) -> None:
        async with connect_async(gateway.url, proxy=None, compression=None) as socket:
            assert json.loads(await socket.recv())["event"] == "connect.challenge"

    async def scenario() -> None:
        async with EmbeddedGateway(release="2026.2.17") as gateway:
            await asyncio.gather(*(one(gateway) for _ in range(200)))
            assert gateway.seen.opened == 200
        assert gateway.open_connections == 0

    asyncio.run(scenario())


def test_a_plain_with_is_the_blocking_form() -> None:
    embedded = EmbeddedGateway()
    with embedded as gateway:
        assert isinstance(gateway, BlockingEmbeddedGateway)
        assert gateway.url == embedded.url
        assert gateway.running
    assert not embedded.running
    with embedded as again:
        assert again.running


@pytest.mark.parametrize("how", ["restart", "crash", "stop"])
@pytest.mark.parametrize("after", [0, 3, 4, 5, 6, 7, 8, 15, 16, 17])
async def test_it_ends_while_clients_are_in_the_middle_of_their_handshake(how: str, after: int) -> None:
    async with EmbeddedGateway() as gateway:
        clients = [AsyncGatewayClient(gateway.url, token=gateway.token, identity=False) for _ in range(32)]
        connects = [asyncio.create_task(client.connect()) for client in clients]
        await turns(after)
        async with asyncio.timeout(20):
            await getattr(gateway, how)()
        assert gateway.running == (how == "restart")
        for client in clients:
            await client.disconnect()
        await asyncio.gather(*connects, return_exceptions=True)


@pytest.mark.parametrize("heeds", [True, False])
def test_tasks_are_ended_before_the_loop_is_closed(heeds: bool) -> None:
    """A socket that came in at the last moment is held by one; an agent that heeds nothing keeps nobody."""
    told: list[str] = []

    async def lingers() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            told.append("cancelled")
            if not heeds:
                await asyncio.Event().wait()

    kept: list[asyncio.Task[None]] = []
    with BlockingEmbeddedGateway() as gateway:
        gateway.call(lambda: kept.append(asyncio.ensure_future(lingers())))
        # A turn of the loop later it has begun.
        gateway.call(lambda: None)
    assert (told, kept[0].done()) == (["cancelled"], heeds)


@pytest.mark.parametrize("turns_before", range(4))
@pytest.mark.parametrize("how", ["stop", "crash"])
async def test_a_socket_that_came_in_at_the_last_moment_is_closed(how: str, turns_before: int) -> None:
    """In one of these turns of the loop it is accepted, and has nobody yet."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", ResourceWarning)
        gateway = EmbeddedGateway()
        await gateway.start()
        with socket.create_connection(("127.0.0.1", gateway.port)) as late:
            for _ in range(turns_before):
                await asyncio.sleep(0)
            await getattr(gateway, how)()
            late.settimeout(5)
            with suppress(ConnectionResetError):
                assert late.recv(1) == b""
        gc.collect()
    assert [str(warning.message) for warning in told] == []
