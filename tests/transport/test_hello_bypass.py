"""A long message at the beginning goes past picows; everything else reaches it as it came."""

from __future__ import annotations

import asyncio
import struct
import sys
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_client import AsyncGatewayClient
from openclaw_client.testing import EmbeddedGateway
from openclaw_client.transport.base import Transport
from openclaw_client.transport.hello_bypass import LONG, MAX_FRAMES, HelloBypass
from openclaw_client.transport.websocket import MAX_MESSAGE_BYTES, WebSocketTransport
from tests.transport.test_frames import BYE, CLOSE, MESSAGE, MORE, PING, TEXT, Heard, announced, frame, hear
from tests.waiting import until

LIMIT = 60_000


class Socket(asyncio.Transport):
    """A transport of whoever reads, whose bytes come from the test."""

    def __init__(self) -> None:
        super().__init__()
        self.protocol: asyncio.BufferedProtocol = Reader(self)
        self.closing = False

    def get_protocol(self) -> asyncio.BufferedProtocol:
        return self.protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = cast(asyncio.BufferedProtocol, protocol)

    def is_closing(self) -> bool:
        return self.closing

    def receive(self, data: bytes) -> None:
        while data:
            room = cast(bytearray, self.protocol.get_buffer(-1))
            size = min(len(room), len(data))
            memoryview(room)[:size] = data[:size]
            self.protocol.buffer_updated(size)
            data = data[size:]


class Reader(asyncio.BufferedProtocol):
    """Writes down the bytes that it is given. Its buffer is small, as picows' is."""

    def __init__(self, socket: Socket) -> None:
        self.socket = socket
        self.room = bytearray(100)
        self.got: list[bytes] = []
        self.calls: list[str] = []
        self.close_after: int | None = None

    def get_buffer(self, sizehint: int) -> bytearray:
        return self.room

    def buffer_updated(self, nbytes: int) -> None:
        self.got.append(bytes(self.room[:nbytes]))
        if self.close_after is not None and len(self.got) >= self.close_after:
            self.socket.closing = True

    def eof_received(self) -> bool:
        self.calls.append("eof")
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.calls.append("lost")

    def pause_writing(self) -> None:
        self.calls.append("pause")

    def resume_writing(self) -> None:
        self.calls.append("resume")


def received(*chunks: bytes, close_after: int | None = None) -> tuple[list[bytes], list[bytes], bool]:
    """What was handed out as a message and what the reader got before and behind it; whether it reads by itself now."""
    socket = Socket()
    reader = cast(Reader, socket.protocol)
    reader.close_after = close_after
    messages: list[bytes] = []

    def deliver(message: bytes) -> None:
        messages.append(message)
        reader.got.append(b"|")

    HelloBypass(socket, deliver, LIMIT)
    for chunk in chunks:
        socket.receive(chunk)
    return messages, b"".join(reader.got).split(b"|"), socket.protocol is reader


CHALLENGE = frame(TEXT, b"challenge")
HELLO = b"h" * 15_000
STRANGE = [
    frame(PING, b"?"),
    BYE,
    frame(MORE, b"the end of nothing"),
    frame(TEXT, HELLO, last=False) + frame(MORE, b"end"),
    frame(TEXT, b"masked", masked=True),
    frame(TEXT, b"", masked=True),
    b"\xc1" + frame(TEXT, b"a reserved bit")[1:],
    announced(LIMIT + 1),
    b"\x81\x7f" + b"\xff" * 8,
]


def test_the_long_message_goes_past() -> None:
    sent = CHALLENGE + frame(TEXT, HELLO) + CHALLENGE + BYE
    assert received(sent) == ([HELLO], [CHALLENGE, CHALLENGE + BYE], True)


@pytest.mark.parametrize("strange", STRANGE)
@pytest.mark.parametrize("before", [b"", CHALLENGE])
def test_what_is_not_plain_is_left_to_the_reader_and_so_is_all_behind_it(before: bytes, strange: bytes) -> None:
    sent = before + strange + frame(TEXT, HELLO)
    assert received(sent) == ([], [sent], True)
    # It is not waited for: the reader may have something to say about it.
    assert received(*(bytes([byte]) for byte in before + strange))[1:] == ([before + strange], True)


def test_only_the_first_frames_are_looked_at() -> None:
    sent = CHALLENGE * MAX_FRAMES + frame(TEXT, HELLO)
    assert received(sent) == ([], [sent], True)


@pytest.mark.parametrize("size", [0, 1, 125, 126, LONG - 1, LONG, LIMIT, 65_535, 65_536])
def test_sizes(size: int) -> None:
    message = b"x" * size
    head = frame(TEXT, message) if size < 65_536 else announced(size) + message
    taken = LONG <= size <= LIMIT
    waits = size < LONG
    expected = ([message], [b"", b""]) if taken else ([], [head])
    assert received(head) == (*expected, not waits)


@given(
    st.lists(
        st.sampled_from([CHALLENGE, frame(TEXT, b""), frame(TEXT, HELLO), announced(3_000) + b"y" * 3_000, *STRANGE])
    ),
    st.data(),
)
def test_nothing_is_lost_and_nothing_overtakes_however_it_is_cut(frames: list[bytes], data: st.DataObject) -> None:
    sent = b"".join(frames)
    cuts = sorted(data.draw(st.sets(st.integers(1, max(1, len(sent))), max_size=8)))
    pieces = [sent[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(sent)], strict=True)]
    whole = received(sent)
    assert received(*pieces) == whole
    messages, (before, *behind), aside = whole
    taken = b"".join(head + message for message in messages for head in [_head(message)])
    assert len(messages) <= 1
    assert sent.startswith(before + taken + b"".join(behind))
    # What is kept back is the beginning of a frame of which the rest is missing.
    assert aside or not sent[len(before + taken + b"".join(behind)) :]


def _head(message: bytes) -> bytes:
    return announced(len(message)) if message.startswith(b"y") else frame(TEXT, message)[: -len(message)]


def test_no_window_is_held_between_reads() -> None:
    bypass = HelloBypass(Socket(), lambda message: None, LIMIT)
    window = bypass.get_buffer(-1)
    window[:3] = CHALLENGE[:3]
    bypass.buffer_updated(3)
    # The name here, and the argument of the call.
    assert sys.getrefcount(window) == 2


@pytest.mark.parametrize("close_after", [1, 2, 3])
def test_who_closes_is_given_no_more(close_after: int) -> None:
    small = frame(TEXT, b"x" * 120)
    _, got, _ = received(small + small + frame(TEXT, HELLO), close_after=close_after)
    assert b"".join(got) == (small + small)[: [100, 122, 222][close_after - 1]]


def test_the_rest_of_a_protocol_is_the_reader_s() -> None:
    socket = Socket()
    reader = cast(Reader, socket.protocol)
    bypass = HelloBypass(socket, lambda message: None, LIMIT)
    bypass.pause_writing()
    bypass.resume_writing()
    socket.receive(frame(TEXT, HELLO)[:-1])
    assert bypass.eof_received() is False
    bypass.connection_lost(None)
    assert (reader.got, reader.calls) == ([], ["pause", "resume", "eof", "lost"])


class Answered(Heard):
    """Sends a message when the socket is open, which the server waits for."""

    transport: Transport | None = None

    def on_opened(self, transport: Transport) -> None:
        self.transport = transport
        transport.send(b"connect")


async def test_picows_keeps_no_room_for_a_message_that_is_over() -> None:
    """On a real socket: the long message is heard, in order, and the buffer is as small as it was."""
    rest = asyncio.Event()
    heard = Answered()
    hearing = asyncio.create_task(
        hear(CHALLENGE, heard, first=frame(TEXT, HELLO) + frame(TEXT, MESSAGE), then=BYE, go_on=rest)
    )
    await until(lambda: len(heard.messages) == 3)
    opened = cast(WebSocketTransport, heard.transport)
    assert opened._socket is not None
    protocol = opened._socket.underlying_transport.get_protocol()
    assert not isinstance(protocol, HelloBypass)
    assert len(protocol.get_buffer(-1)) < LONG * 2
    rest.set()
    await hearing
    assert heard.messages == [b"challenge", HELLO, MESSAGE]
    assert heard.end == (1012, "bye", False)


@pytest.mark.parametrize("cut", [1, 5])
async def test_a_frame_of_which_picows_has_the_beginning_stays_there(cut: int) -> None:
    # Behind its fifth byte it reads like a long frame: half of the letter, and what stands for a size of 8,224.
    text = ("\u00c1~  " + "x" * 9_000).encode()
    hello = frame(TEXT, text)
    heard, _ = await hear(CHALLENGE + hello[:cut], Answered(), first=hello[cut:] + frame(TEXT, MESSAGE) + BYE)
    assert heard.messages == [b"challenge", text, MESSAGE]
    assert heard.end == (1012, "bye", False)


@pytest.mark.parametrize("cut", [1, 3, 5_000])
async def test_a_socket_that_ends_within_the_long_message(cut: int) -> None:
    heard = Answered()
    await hear(CHALLENGE, heard, first=frame(TEXT, HELLO)[:cut])
    assert heard.messages == [b"challenge"]
    assert heard.end == (None, "", False)


async def test_a_long_message_over_the_limit_is_refused_as_ever() -> None:
    heard = Answered()
    _, written = await hear(CHALLENGE, heard, first=announced(MAX_MESSAGE_BYTES + 1))
    assert heard.messages == [b"challenge"]
    assert heard.end is not None
    assert (heard.end[0], heard.end[2]) == (1009, True)
    assert written


async def test_a_refusal_in_place_of_the_long_message() -> None:
    heard = Answered()
    refused = frame(TEXT, b"no") + frame(CLOSE, struct.pack(">H", 1008) + b"no")
    await hear(CHALLENGE, heard, first=refused)
    assert (heard.messages, heard.end) == ([b"challenge", b"no"], (1008, "no", False))


async def test_behind_a_short_hello_nobody_stands_before_picows_either() -> None:
    async with (
        EmbeddedGateway() as gateway,
        AsyncGatewayClient(gateway.url, token=gateway.token, identity=False) as client,
    ):
        await client.request("health")
        connection = client._engine.supervisor.connection
        assert connection is not None
        transport = cast(WebSocketTransport, connection._transport)
        assert transport._socket is not None
        assert not isinstance(transport._socket.underlying_transport.get_protocol(), HelloBypass)
