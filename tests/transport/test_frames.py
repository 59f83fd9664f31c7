"""Frames as bytes: what is one message, what is passed over, and what ends the connection and says so."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gc
import hashlib
import struct
from collections.abc import AsyncIterator
from typing import Any

import pytest

from openclaw_client.transport import websocket
from openclaw_client.transport.base import Transport
from openclaw_client.transport.opening import Target, open_websocket
from openclaw_client.transport.websocket import MAX_MESSAGE_BYTES
from tests.waiting import until

TEXT, BINARY, CLOSE, PING = 1, 2, 8, 9
MORE = 0
"""The opcode of a fragment behind the first."""
MESSAGE = b'{"type":"event","event":"x"}'


def frame(opcode: int, payload: bytes, *, last: bool = True, masked: bool = False) -> bytes:
    head = bytes([(0x80 if last else 0) | opcode])
    mask = 0x80 if masked else 0
    size = len(payload)
    head += bytes([mask | size]) if size < 126 else bytes([mask | 126]) + struct.pack(">H", size)
    return head + (bytes(4) if masked else b"") + payload


def announced(size: int) -> bytes:
    """The head of a frame, without what it announces."""
    return b"\x81\x7f" + struct.pack(">Q", size)


class Heard:
    """A listener that writes down what it is told."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.ignored: list[str] = []
        self.end: tuple[int | None, str, bool] | None = None

        self.transport: Transport | None = None

    def on_opened(self, transport: Transport) -> None:
        self.transport = transport

    def try_fast_path(self, data: bytes) -> bool:
        return False

    def on_message(self, data: bytes) -> None:
        self.messages.append(data)

    def on_ignored(self, reason: str) -> None:
        self.ignored.append(reason)

    def on_closed(self, code: int | None, reason: str, *, refused: bool = False) -> None:
        assert self.end is None
        self.end = (code, reason, refused)


async def hear(
    sent: bytes,
    heard: Heard | None = None,
    *,
    first: bytes | None = None,
    then: bytes = b"",
    go_on: asyncio.Event | None = None,
) -> tuple[Heard, bytes]:
    """What the listener is told of these bytes behind an upgrade, and what the client writes back.

    first: sent when something has come from the client. then: sent after `go_on`.
    """
    answer = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        key = next(line.split(b": ")[1] for line in head.split(b"\r\n") if line.startswith(b"Sec-WebSocket-Key"))
        accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
        upgrade = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        writer.write(upgrade + b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n" + sent)
        if first is not None:
            await reader.read(1)
            writer.write(first)
        if go_on is not None:
            await go_on.wait()
            writer.write(then)
        if first is not None and not then:
            writer.write_eof()
        answer.set_result(await reader.read())
        writer.close()

    heard = heard or Heard()
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        await open_websocket(Target(url, url), heard)
        written = await answer
        await until(lambda: heard.end is not None)
    return heard, written


BYE = frame(CLOSE, struct.pack(">H", 1012) + b"bye")


@pytest.mark.parametrize(
    ("sent", "messages", "ignored"),
    [
        (frame(TEXT, b"not json"), [b"not json"], 0),
        (frame(TEXT, b"\xff\xfe"), [b"\xff\xfe"], 0),
        (frame(BINARY, b"\x00\x01"), [], 1),
        (frame(TEXT, MESSAGE[:9], last=False) + frame(MORE, MESSAGE[9:]), [MESSAGE], 0),
        (
            frame(TEXT, b"", last=False) + frame(PING, b"?") + frame(MORE, b"a", last=False) + frame(MORE, b"b"),
            [b"ab"],
            0,
        ),
        (frame(BINARY, b"a", last=False) + frame(MORE, b"b"), [], 1),
        (frame(TEXT, b"cut", last=False) + frame(TEXT, b"whole"), [b"whole"], 0),
        (frame(MORE, b"the end of nothing", last=False), [], 0),
    ],
)
async def test_messages(sent: bytes, messages: list[bytes], ignored: int) -> None:
    heard, _ = await hear(sent + frame(TEXT, MESSAGE) + BYE)
    assert (heard.messages, len(heard.ignored)) == ([*messages, MESSAGE], ignored)
    assert heard.end == (1012, "bye", False)


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (frame(3, b"an unknown opcode"), 1002),
        (frame(TEXT, MESSAGE, masked=True), 1002),
        (frame(PING, b"x" * 126), 1002),
        (frame(PING, b"x", last=False), 1002),
        (frame(CLOSE, b"x"), 1002),
        (frame(CLOSE, struct.pack(">H", 1000) + b"\xff"), 1007),
        (announced(MAX_MESSAGE_BYTES + 1), 1009),
        (b"\x81\x7f" + b"\xff" * 8, 1002),
    ],
)
async def test_what_no_client_may_take_ends_the_connection_without_a_word_in_the_log(sent: bytes, code: int) -> None:
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    heard, written = await hear(frame(TEXT, MESSAGE) + sent + frame(TEXT, b"too late"))
    assert heard.messages == [MESSAGE]
    assert heard.end is not None
    assert (heard.end[0], heard.end[2]) == (code, True)
    assert written[:1] == b"\x88"
    # What nobody looked at is told when it is collected, which is behind the next turn of the loop.
    await asyncio.sleep(0)
    gc.collect()
    await asyncio.sleep(0)
    assert complaints == []


async def test_a_refusal_is_one_also_when_the_peer_answers_it() -> None:
    heard, _ = await hear(frame(CLOSE, b"x") + frame(CLOSE, struct.pack(">H", 1002)))
    assert heard.end is not None
    assert (heard.end[0], heard.end[2]) == (1002, True)


async def test_a_peer_s_own_close_with_such_a_code_is_none() -> None:
    heard, _ = await hear(frame(CLOSE, struct.pack(">H", 1009) + b"too much"))
    assert heard.end == (1009, "too much", False)


async def test_a_close_without_a_code_is_answered_with_a_code_that_may_be_sent() -> None:
    heard, written = await hear(frame(CLOSE, b""))
    assert heard.end == (1005, "", False)
    (head, size), mask, payload = written[:2], written[2:6], written[6:]
    assert (head, size) == (0x88, 0x82)
    assert bytes(one ^ key for one, key in zip(payload, mask, strict=False)) == struct.pack(">H", 1000)


async def test_a_ping_is_answered_with_what_it_holds() -> None:
    _, written = await hear(frame(PING, b"abc") + frame(TEXT, MESSAGE) + BYE)
    (head, size), mask, payload = written[:2], written[2:6], written[6:9]
    assert (head, size) == (0x8A, 0x83)
    assert bytes(one ^ key for one, key in zip(payload, mask, strict=False)) == b"abc"


class Unread:
    """A server that takes a connection, writes and never reads."""

    def __init__(self, written: bytes = b"") -> None:
        self.written, self.url, self.over = written, "", asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        key = next(line.split(b": ")[1] for line in head.split(b"\r\n") if line.startswith(b"Sec-WebSocket-Key"))
        accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
        upgrade = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        writer.write(upgrade + b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n")
        with contextlib.suppress(OSError):
            while self.written and not self.over.is_set():
                writer.write(self.written)
                await writer.drain()
        await self.over.wait()
        writer.transport.abort()


@contextlib.asynccontextmanager
async def unread(written: bytes = b"") -> AsyncIterator[tuple[Heard, Unread]]:
    heard, server = Heard(), Unread(written)
    async with await asyncio.start_server(server.serve, "127.0.0.1", 0, limit=1024) as listening:
        url = f"ws://127.0.0.1:{listening.sockets[0].getsockname()[1]}/"
        await open_websocket(Target(url, url), heard)
        yield heard, server
        server.over.set()


async def test_who_pings_and_never_reads_is_left() -> None:
    async with unread(500 * frame(PING, b"x" * 125)) as (heard, _):
        await until(lambda: heard.end is not None)
        assert heard.end == (4000, "the peer does not read", True)


async def test_what_waits_for_who_never_reads_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "MAX_UNWRITTEN_BYTES", 1_000_000)
    async with unread() as (heard, _):
        for _ in range(100):
            if heard.end is None:
                assert heard.transport is not None
                heard.transport.send(1_000_000 * b"x")
                await asyncio.sleep(0)
        assert heard.end == (4000, "the peer does not read", True)
