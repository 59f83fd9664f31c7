"""Messages of one turn of the loop leave together, where the system can do that."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import picows
import pytest

from openclaw_client import AsyncGatewayClient
from openclaw_client.testing import EmbeddedGateway
from openclaw_client.transport.opening import Target, open_websocket
from openclaw_client.transport.websocket import WebSocketTransport
from tests.waiting import until

TCP_CORK: int = getattr(socket, "TCP_CORK", 0)
pytestmark = pytest.mark.skipif(not TCP_CORK, reason="this system has no TCP_CORK")


class Peer(picows.WSListener):  # type: ignore[misc, unused-ignore]  # a C class
    """A server's end, which keeps what comes."""

    def __init__(self, received: list[bytes]) -> None:
        self._received = received

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        if frame.msg_type == picows.WSMsgType.CLOSE:
            transport.disconnect()
        else:
            self._received.append(frame.get_payload_as_bytes())


class Owner:
    """A listener that wants nothing but its transport."""

    transport: WebSocketTransport
    closed = False

    def on_opened(self, transport: object) -> None:
        assert isinstance(transport, WebSocketTransport)
        self.transport = transport

    def try_fast_path(self, data: bytes) -> bool:
        return False

    def on_message(self, data: bytes) -> None:
        raise AssertionError(data)

    def on_ignored(self, reason: str) -> None:
        raise AssertionError(reason)

    def on_closed(self, code: int | None, reason: str, *, refused: bool = False) -> None:
        self.closed = True


@pytest.fixture
async def ends() -> AsyncIterator[tuple[Owner, list[bytes]]]:
    received: list[bytes] = []
    server = await picows.ws_create_server(lambda _: Peer(received), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    owner = Owner()
    await open_websocket(Target(f"ws://127.0.0.1:{port}", "peer"), owner)
    try:
        yield owner, received
    finally:
        owner.transport.abort()
        await until(lambda: owner.closed)
        server.close()


def corked(owner: Owner | WebSocketTransport) -> bool:
    ws = (owner.transport if isinstance(owner, Owner) else owner)._socket
    assert ws is not None
    sock = ws.underlying_transport.get_extra_info("socket")
    return bool(sock.getsockopt(socket.IPPROTO_TCP, TCP_CORK))


async def test_what_follows_in_one_turn_is_held_back_until_its_end(ends: tuple[Owner, list[bytes]]) -> None:
    owner, received = ends
    owner.transport.send(b"0", True)
    assert not corked(owner)
    for number in range(1, 5):
        owner.transport.send(b"%d" % number, True)
        assert corked(owner)
    await until(lambda: not corked(owner))
    await until(lambda: len(received) == 5)
    assert received == [b"0", b"1", b"2", b"3", b"4"]


async def test_every_turn_begins_anew(ends: tuple[Owner, list[bytes]]) -> None:
    owner, received = ends
    for number in range(3):
        owner.transport.send(b"%d" % number, True)
        assert not corked(owner)
        await asyncio.sleep(0)
    await until(lambda: len(received) == 3)


async def test_a_message_alone_is_never_held_back(ends: tuple[Owner, list[bytes]]) -> None:
    owner, received = ends
    for _ in range(3):
        owner.transport.send(b"x")
        assert not corked(owner)
    await until(lambda: len(received) == 3)


async def test_a_socket_that_dies_within_the_turn_harms_nobody(ends: tuple[Owner, list[bytes]]) -> None:
    owner, _ = ends
    failures: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
    for _ in range(3):
        owner.transport.send(b"x", True)
    owner.transport.abort()
    owner.transport.send(b"x", True)
    await until(lambda: owner.closed)
    assert failures == []


async def test_what_is_sent_in_the_turn_in_which_the_socket_dies_leaves_no_warnings(
    ends: tuple[Owner, list[bytes]], caplog: pytest.LogCaptureFixture
) -> None:
    owner, _ = ends
    ws = owner.transport._socket
    assert ws is not None
    ws.underlying_transport.get_extra_info("socket").shutdown(socket.SHUT_RDWR)
    for _ in range(50):
        owner.transport.send(b"x", True)
    await until(lambda: owner.closed)
    assert caplog.records == []


async def test_requests_of_one_turn_leave_together_and_one_alone_at_once() -> None:
    async with (
        EmbeddedGateway() as gateway,
        AsyncGatewayClient(gateway.url, token=gateway.token, identity=False) as client,
    ):
        connection = client._engine.supervisor.connection
        assert connection is not None
        transport = connection._transport
        assert isinstance(transport, WebSocketTransport)
        for count in (1, 2, 3):
            calls = [asyncio.create_task(client.request("health")) for _ in range(count)]
            await asyncio.sleep(0)
            # The second is the first that has company.
            assert corked(transport) is (count > 2)
            await asyncio.gather(*calls)
            assert not corked(transport)
