"""Reading that lets the loop have its turn: how much is read at once, and when reading waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from openclaw_client import AsyncGatewayClient
from openclaw_client.testing import BlockingEmbeddedGateway
from openclaw_client.transport.pacing import FIRST, LEAST, MOST, QUICK, TOO_LONG, ReadPacer

EVENTS = 150_000


class Parser(asyncio.BufferedProtocol):
    """What reads behind the pacer: a buffer, and how long it takes for what is in it."""

    def __init__(self, size: int, clock: Clock) -> None:
        self.buffer, self.clock, self.takes, self.updates = bytearray(size), clock, 0.0, []  # type: ignore[var-annotated]

    def get_buffer(self, sizehint: int) -> Any:
        return memoryview(self.buffer)

    def buffer_updated(self, nbytes: int) -> None:
        self.updates.append(nbytes)
        self.clock.now += self.takes


class Clock:
    """The part of a loop that the pacer needs."""

    def __init__(self) -> None:
        self.now = 0.0
        self.soon: list[Callable[[], None]] = []

    def time(self) -> float:
        return self.now

    def call_soon(self, callback: Callable[[], None]) -> None:
        self.soon.append(callback)


class Socket(asyncio.Transport):
    def __init__(self, protocol: asyncio.BufferedProtocol) -> None:
        super().__init__()
        self.protocol: asyncio.BaseProtocol = protocol
        self.reading, self.closing = True, False

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self.protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def is_closing(self) -> bool:
        return self.closing

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


def made(size: int) -> tuple[ReadPacer, Parser, Socket, Clock]:
    clock = Clock()
    parser = Parser(size, clock)
    socket = Socket(parser)
    pacer = ReadPacer(socket, clock)  # type: ignore[arg-type]
    assert socket.protocol is pacer
    return pacer, parser, socket, clock


def read(pacer: ReadPacer, size: int | None = None) -> int:
    """One read; of as much as there is room for, or of this size. Returns its bytes."""
    size = size or len(pacer.get_buffer(-1))
    pacer.get_buffer(-1)
    pacer.buffer_updated(size)
    return size


def test_a_read_is_bounded_however_large_the_buffer_has_become() -> None:
    pacer, parser, socket, _ = made(8 * MOST)
    sizes = [read(pacer) for _ in range(5)]
    assert sizes == [FIRST, 2 * FIRST, 4 * FIRST, MOST, MOST]
    assert read(pacer, 100) == 100
    assert parser.updates == [*sizes, 100]
    assert socket.reading
    small, *_ = made(1000)
    assert read(small) == 1000


def test_where_the_frames_of_a_read_take_long_the_loop_has_its_turn_and_reads_become_shorter() -> None:
    pacer, parser, socket, clock = made(8 * MOST)
    parser.takes, size = 2 * TOO_LONG, FIRST
    while size > LEAST:
        assert read(pacer) == size
        assert not socket.reading
        clock.soon.pop()()
        assert socket.reading
        size //= 2
    assert [read(pacer), read(pacer)] == [LEAST, LEAST]
    # As many as it has time for.
    parser.takes = (QUICK + TOO_LONG) / 2
    assert [read(pacer) for _ in range(3)] == [LEAST] * 3
    parser.takes = QUICK / 2
    assert [read(pacer) for _ in range(9)] == [LEAST << power for power in range(8)] + [MOST]


def test_a_read_that_was_not_full_needs_no_pause() -> None:
    pacer, parser, socket, _ = made(8 * MOST)
    parser.takes = 2 * TOO_LONG
    read(pacer, 100)
    assert socket.reading
    assert read(pacer) == FIRST


@pytest.mark.parametrize("when", ["before", "between"])
@pytest.mark.parametrize("what", ["held", "closing"])
def test_what_somebody_else_has_paused_or_closed_stays_so(when: str, what: str) -> None:
    pacer, parser, socket, clock = made(8 * MOST)
    parser.takes = 2 * TOO_LONG
    if when == "between":
        read(pacer)
    socket.closing, pacer.held = what == "closing", what == "held"
    if when == "before":
        read(pacer)
    reading = socket.reading
    for callback in clock.soon:
        callback()
    assert (socket.reading, len(clock.soon)) == (reading, 1 if when == "between" else 0)


async def test_a_reader_in_the_same_loop_loses_nothing_of_a_flood() -> None:
    frames = (b'{"type":"event","event":"x","seq":%d}' % number for number in range(1000, 1000 + EVENTS))
    flood = b"".join(bytes([0x81, len(frame)]) + frame for frame in frames)
    with BlockingEmbeddedGateway() as gateway:
        async with AsyncGatewayClient(gateway.url, token=gateway.token, identity=False) as client:
            events, read = client.events("x"), 0
            gateway.faults.send_bytes(flood)
            async for event in events:
                read += 1
                if event.seq == 1000 + EVENTS - 1:
                    break
            assert (read, events.dropped) == (EVENTS, 0)
