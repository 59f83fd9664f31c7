"""This project's client in coroutines: streams, requests, connections."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import ssl
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from bench.drivers.meter import Arguments, Meter, memory_kib, percentiles, private_kib, report
from bench.drivers.warm import Warming
from openclaw_client import AsyncGatewayClient, TextAppended, TextReplaced

TEXT = (TextAppended, TextReplaced)


def client(url: str, **options: Any) -> AsyncGatewayClient:
    return AsyncGatewayClient(url, token="bench", identity=False, **options)


async def read(gateway: AsyncGatewayClient, message: str, stamps: list[int] | None = None) -> tuple[int, int]:
    """Follow one run; how many events it had, and the length of the text."""
    events = length = 0
    async with gateway.chat_stream(session_key="main", message=message) as run:
        async for event in run:
            if isinstance(event, TEXT):
                events += 1
                length += len(event.text)
                if stamps is not None:
                    stamps.append(time.monotonic_ns())
    return events, length


async def warm(arguments: Arguments, work: Callable[[int], Awaitable[Any]]) -> dict[str, float]:
    """Do `work` with so many frames until two blocks cost the same."""
    warming = Warming(arguments.warm * arguments.times)
    while warming.more():
        with warming.block():
            for _ in range(arguments.times):
                await work(arguments.warm)
    return warming.facts()


async def stream(arguments: Arguments) -> None:
    async with client(arguments.url) as gateway:
        if arguments.pace:
            await paced(gateway, arguments)
            return
        facts = await warm(arguments, lambda frames: read(gateway, arguments.message(frames)))
        with Meter() as meter:
            counts = [(await read(gateway, arguments.message()))[0] for _ in range(arguments.times)]
    report(cpu=meter.cpu, wall=meter.wall, units=arguments.units, events=sum(counts), **facts)


async def paced(gateway: AsyncGatewayClient, arguments: Arguments) -> None:
    """A frame at a time; what counts is when it is in the reader's hands."""
    await warm(arguments, lambda frames: read(gateway, f"bench {frames} {arguments.size} 0 saw"))
    await read(gateway, arguments.message(arguments.count))
    await gateway.request("bench.times")
    stamps: list[int] = []
    with Meter() as meter:
        events, _ = await read(gateway, arguments.message(), stamps)
    sent = await gateway.request("bench.times")
    waits = percentiles([(got - at) / 1e9 for got, at in zip(stamps, sent, strict=False)])
    report(cpu=meter.cpu, wall=meter.wall, units=arguments.frames, events=events, **waits)


async def send(arguments: Arguments) -> None:
    """Only the reply counts."""
    async with client(arguments.url) as gateway:

        async def one(frames: int) -> None:
            await gateway.chat_send(session_key="main", message=arguments.message(frames))

        facts = await warm(arguments, one)
        with Meter() as meter:
            await one(arguments.frames)
    report(cpu=meter.cpu, wall=meter.wall, units=arguments.frames, events=1, **facts)


async def events(arguments: Arguments) -> None:
    """A run of somebody else's, read as raw events: the payloads and their text. Also the loop's longest turn."""
    async with client(arguments.url) as gateway, gateway.events("chat") as reader:
        beat = Heartbeat()

        async def one(frames: int) -> int:
            await start(gateway, arguments.message(frames))
            seen = length = 0
            async for event in reader:
                payload = event.payload
                if payload["state"] == "final":
                    break
                seen += 1
                length += len(payload["message"]["content"][0]["text"])
            return seen

        facts = await warm(arguments, one)
        with beat, Meter() as meter:
            seen = await one(arguments.frames)
    report(cpu=meter.cpu, wall=meter.wall, units=arguments.frames, events=seen, turn=beat.longest, **facts)


async def foreign(arguments: Arguments) -> None:
    """A run of somebody else's that nobody reads; its end comes as a message that nobody asked for."""
    async with client(arguments.url) as gateway:
        whole = asyncio.Event()
        gateway.on_proactive_message(lambda *_: whole.set())
        beat = Heartbeat()

        async def one(frames: int) -> None:
            whole.clear()
            await start(gateway, arguments.message(frames))
            await whole.wait()

        facts = await warm(arguments, one)
        with beat, Meter() as meter:
            await one(arguments.frames)
    report(cpu=meter.cpu, wall=meter.wall, units=arguments.frames, turn=beat.longest, **facts)


async def start(gateway: AsyncGatewayClient, message: str) -> None:
    """Begin a run that this client does not follow."""
    params = {"sessionKey": "main", "message": message, "idempotencyKey": str(uuid.uuid4())}
    await gateway.request("chat.send", params)


class Heartbeat:
    """The longest time between two turns of the loop, in seconds, over a `with` block."""

    longest = 0.0

    def __enter__(self) -> None:
        self._loop, self._last = asyncio.get_running_loop(), time.perf_counter()
        self._next = self._loop.call_later(0.001, self._beat)

    def __exit__(self, *exc: object) -> None:
        self._next.cancel()

    def _beat(self) -> None:
        # A turn of the loop that took long comes late by as much; the timer's own millisecond is subtracted.
        now = time.perf_counter()
        self.longest = max(self.longest, now - self._last - 0.001)
        self._last = now
        self._next = self._loop.call_later(0.001, self._beat)


async def runs(arguments: Arguments) -> None:
    """`count` runs at the same time on one connection, which share the frames."""
    async with client(arguments.url) as gateway:

        async def one(number: int, frames: int) -> None:
            async with gateway.chat_stream(session_key=f"s{number}", message=arguments.message(frames)) as run:
                async for _ in run:
                    pass

        async def all_of(frames: int) -> None:
            await asyncio.gather(*(one(number, frames // arguments.count) for number in range(arguments.count)))

        facts = await warm(arguments, all_of)
        with Meter() as meter:
            await all_of(arguments.frames)
    report(cpu=meter.cpu, wall=meter.wall, units=arguments.frames, **facts)


async def connections(arguments: Arguments) -> None:
    """`count` connections with one run each, which share the frames."""
    gateways = [client(arguments.url) for _ in range(arguments.count)]
    await asyncio.gather(*(gateway.connect() for gateway in gateways))

    async def all_of(frames: int) -> None:
        message = arguments.message(frames // arguments.count)
        await asyncio.gather(*(read(gateway, message) for gateway in gateways))

    facts = await warm(arguments, all_of)
    with Meter() as meter:
        await all_of(arguments.frames)
    report(cpu=meter.cpu, wall=meter.wall, units=arguments.frames, **facts)


async def rpc(arguments: Arguments) -> None:
    """`count` requests in flight, `frames` in all."""
    async with client(arguments.url) as gateway:
        waits: list[float] = []

        async def worker(requests: int) -> None:
            for _ in range(requests):
                begun = time.perf_counter()
                await gateway.request("bench.echo", {"sessionKey": "main", "message": "How are you today?"})
                waits.append(time.perf_counter() - begun)

        async def all_of(requests: int) -> None:
            await asyncio.gather(*(worker(requests // arguments.count) for _ in range(arguments.count)))

        facts = await warm(arguments, all_of)
        waits.clear()
        with Meter() as meter:
            await all_of(arguments.frames)
    report(cpu=meter.cpu, wall=meter.wall, units=len(waits), **percentiles(waits), **facts)


async def idle(arguments: Arguments) -> None:
    """Connect `count` clients, 64 at a time, and weigh them."""
    options: dict[str, Any] = {}
    if arguments.kind == "tls":
        options["ssl_context"] = ssl.create_default_context(cafile=arguments.certificate)
    async with client(arguments.url, **options) as first:
        await first.request("bench.echo")
        gc.collect()
        before, alone = private_kib(), memory_kib()
        gate = asyncio.Semaphore(64)
        gateways = [client(arguments.url, **options) for _ in range(arguments.count)]

        async def connect(gateway: AsyncGatewayClient) -> None:
            async with gate:
                await gateway.connect()

        with Meter() as meter:
            await asyncio.gather(*(connect(gateway) for gateway in gateways))
        await asyncio.sleep(0.5)
        gc.collect()
        each = (private_kib() - before) / arguments.count
        report(cpu=meter.cpu, wall=meter.wall, units=arguments.count, each_kib=each, alone_kib=alone)
        # The process ends with the connections open: closing thousands measures nothing.
        os._exit(0)


WORK = {
    "stream": stream,
    "send": send,
    "events": events,
    "foreign": foreign,
    "runs": runs,
    "connections": connections,
    "rpc": rpc,
    "idle": idle,
}


def main() -> None:
    arguments = Arguments.read()
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    runner = asyncio.run
    if arguments.face.endswith("uvloop"):
        import uvloop

        runner = uvloop.run
    runner(WORK[arguments.what](arguments))


if __name__ == "__main__":
    main()
