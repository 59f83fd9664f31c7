"""The limit of the machine: picows alone, and picows with one msgspec pass that reads the same text."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec
import picows
from picows import WSFrame, WSListener, WSMsgType, WSTransport

from bench.drivers.meter import Arguments, Meter, report
from bench.drivers.warm import Warming


class Block(msgspec.Struct):
    type: str = ""
    text: str = ""


class Message(msgspec.Struct):
    content: list[Block] = []


class Chat(msgspec.Struct, rename="camel"):
    run_id: str = ""
    session_key: str = ""
    state: str = ""
    seq: int | None = None
    delta_text: str | None = None
    message: Message | None = None


class Frame(msgspec.Struct):
    event: str = ""
    payload: Chat | None = None
    seq: int | None = None


class Reader(WSListener):  # type: ignore[misc, unused-ignore]
    """Hands each frame to `on_frame` until the final one."""

    def __init__(self) -> None:
        self.on_frame: Callable[[WSFrame], None] = lambda _: None
        self.transport: WSTransport | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport

    def on_ws_frame(self, _: WSTransport, frame: WSFrame) -> None:
        self.on_frame(frame)


class Session:
    """Connect and stream, with as little between the socket and the caller as there can be."""

    def __init__(self, reader: Reader, decode: bool) -> None:
        self.reader = reader
        self.decode = decode
        self.decoder = msgspec.json.Decoder(Frame)
        self.length = 0

    def send(self, ident: str, method: str, params: str) -> None:
        assert self.reader.transport is not None
        text = f'{{"type":"req","id":"{ident}","method":"{method}","params":{params}}}'
        self.reader.transport.send(WSMsgType.TEXT, text.encode())

    async def connect(self) -> None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def read(frame: WSFrame) -> None:
            if b"hello-ok" in frame.get_payload_as_bytes():
                done.set_result(None)

        self.reader.on_frame = read
        self.send("1", "connect", "{}")
        await done

    async def stream(self, message: str, frames: int) -> None:
        """One run: the response, the deltas and the final."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        left = frames + 2
        decode = self.decoder.decode

        def count(_: WSFrame) -> None:
            nonlocal left
            left -= 1
            if not left:
                done.set_result(None)

        def read(frame: WSFrame) -> None:
            payload = decode(frame.get_payload_as_bytes()).payload
            if payload is not None and payload.message is not None:
                self.length += len(payload.message.content[0].text)
            count(frame)

        self.reader.on_frame = read if self.decode else count
        self.send(
            "2", "chat.send", f'{{"message":"{message}","idempotencyKey":"11111111-2222-4333-8444-555555555555"}}'
        )
        await done


async def stream(arguments: Arguments) -> None:
    reader = Reader()
    await picows.ws_connect(lambda: reader, arguments.url, max_frame_size=1 << 25)
    session = Session(reader, arguments.face == "decode")
    await session.connect()
    warming = Warming(arguments.warm * arguments.times)
    while warming.more():
        with warming.block():
            for _ in range(arguments.times):
                await session.stream(arguments.message(arguments.warm), arguments.warm)
    with Meter() as meter:
        for _ in range(arguments.times):
            await session.stream(arguments.message(), arguments.frames)
    report(cpu=meter.cpu, wall=meter.wall, units=arguments.units, events=arguments.units, **warming.facts())


if __name__ == "__main__":
    import uvloop

    uvloop.run(stream(Arguments.read()))
