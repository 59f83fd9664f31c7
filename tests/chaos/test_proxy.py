"""The proxy does what it is told: between the embedded gateway and a plain WebSocket client that is not ours."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import Server, serve
from websockets.exceptions import ConnectionClosed

from tests.chaos.proxy import Cut, FaultProxy, Side, Where
from tests.waiting import PATIENCE

Heard = list[str]


@pytest.fixture
async def echo() -> AsyncIterator[tuple[str, Heard]]:
    """A server that answers every message with itself, and what it heard."""
    heard: Heard = []

    async def answer(socket: Any) -> None:
        async for message in socket:
            heard.append(message)
            await socket.send(message)

    server: Server
    async with serve(answer, "127.0.0.1", 0) as server:
        yield f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}", heard


async def talk(socket: ClientConnection, count: int) -> list[str]:
    """Send numbers one by one, each when the answer to the last is there; the answers until the end."""
    answers: list[str] = []
    try:
        for number in range(count):
            await socket.send(json.dumps(number))
            answers.append(str(await socket.recv()))
    except ConnectionClosed:
        pass
    return answers


@pytest.mark.parametrize(
    ("side", "where", "heard", "answered"),
    [
        ("up", "before", 1, 1),
        ("up", "inside", 1, 1),
        ("up", "after", 2, 1),
        ("down", "before", 2, 1),
        ("down", "inside", 2, 1),
        ("down", "after", 2, 2),
    ],
)
async def test_a_cut_at_a_frame(echo: tuple[str, Heard], side: Side, where: Where, heard: int, answered: int) -> None:
    url, heard_there = echo
    async with FaultProxy(url) as proxy:
        # Number 0 is the HTTP head, number 2 the second message.
        cut = proxy.cut_at(Cut(side, 2, where))
        async with connect(proxy.url, compression=None) as socket:
            answers = await talk(socket, 3)
        assert cut.done
        assert (len(heard_there), len(answers)) == (heard, answered)
        async with connect(proxy.url, compression=None) as socket:
            assert await talk(socket, 3) == ["0", "1", "2"]


async def test_only_frames_that_count_are_counted(echo: tuple[str, Heard]) -> None:
    async with FaultProxy(echo[0]) as proxy:
        proxy.cut_at(Cut("up", 0, "before", lambda _side, unit: unit.payload == b"2"))
        async with connect(proxy.url, compression=None) as socket:
            assert await talk(socket, 5) == ["0", "1"]


async def test_a_black_hole_takes_everything_and_closes_nothing(echo: tuple[str, Heard]) -> None:
    async with FaultProxy(echo[0]) as proxy, connect(proxy.url, close_timeout=0.1) as socket:
        assert await talk(socket, 1) == ["0"]
        proxy.black_hole()
        await socket.send("lost")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(socket.recv(), 0.2)
        with pytest.raises(TimeoutError):
            await connect(proxy.url, open_timeout=0.2)
        proxy.heal()
        with pytest.raises(ConnectionClosed):
            await asyncio.wait_for(socket.recv(), PATIENCE)
        async with connect(proxy.url, compression=None) as other:
            assert await talk(other, 1) == ["0"]
    assert echo[1] == ["0", "0"]


async def test_a_stall_delays_and_loses_nothing(echo: tuple[str, Heard]) -> None:
    async with FaultProxy(echo[0]) as proxy, connect(proxy.url, compression=None) as socket:
        proxy.stall()
        await socket.send("late")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(socket.recv(), 0.2)
        proxy.flow()
        assert await asyncio.wait_for(socket.recv(), PATIENCE) == "late"


async def test_a_slow_line_and_a_long_one_change_the_time_alone(echo: tuple[str, Heard]) -> None:
    loop = asyncio.get_running_loop()
    async with FaultProxy(echo[0]) as proxy, connect(proxy.url, compression=None) as socket:
        proxy.bytes_per_second = 10_000
        began = loop.time()
        await socket.send("x" * 1000)
        assert await socket.recv() == "x" * 1000
        assert loop.time() - began >= 0.2  # a thousand bytes there, and back
        proxy.heal()
        proxy.latency = 0.1
        began = loop.time()
        assert await talk(socket, 1) == ["0"]
        assert loop.time() - began >= 0.2


async def test_half_closed_one_way_the_other_goes_on(echo: tuple[str, Heard]) -> None:
    reader, writer = None, None
    received = asyncio.Event()

    async def one_way(there: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        back.write(b"HTTP/1.1 101 x\r\n\r\n")
        assert await there.read() == b"GET / HTTP/1.1\r\n\r\n"
        received.set()
        back.write(b"\x81\x04late")
        back.close()

    async with await asyncio.start_server(one_way, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with FaultProxy(url) as proxy:
            port = int(proxy.url.rpartition(":")[2])
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.1\r\n\r\n")
            assert await reader.readuntil(b"\r\n\r\n")
            proxy.half_close("up")
            await received.wait()
            assert await reader.read() == b"\x81\x04late"
            writer.close()
