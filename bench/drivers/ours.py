"""This project's client in coroutines: streams, requests, connections."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import ssl
import time
from typing import Any

from bench.drivers.meter import Arguments, Meter, memory_kib, percentiles, private_kib, report
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


async def stream(arguments: Arguments) -> None:
    async with client(arguments.url) as gateway:
        await read(gateway, arguments.message(arguments.warm))
        if arguments.pace:
            await gateway.request("bench.times")
        stamps: list[int] | None = [] if arguments.pace else None
        with Meter() as meter:
            events, _ = await read(gateway, arguments.message(), stamps)
        facts: dict[str, float] = {}
        if stamps:
            sent = await gateway.request("bench.times")
            facts = percentiles([(got - at) / 1e9 for got, at in zip(stamps, sent, strict=False)])
    report(cpu=meter.cpu, wall=meter.wall, units=arguments.frames, events=events, **facts)


async def send(arguments: Arguments) -> None:
    """Only the reply counts."""
    async with client(arguments.url) as gateway:
        await gateway.chat_send(session_key="main", message=arguments.message(arguments.warm))
        with Meter() as meter:
            reply = await gateway.chat_send(session_key="main", message=arguments.message())
    report(cpu=meter.cpu, wall=meter.wall, units=arguments.frames, events=1, text=len(reply.text))


async def runs(arguments: Arguments) -> None:
    """`count` runs at the same time on one connection, which share the frames."""
    each = arguments.frames // arguments.count
    async with client(arguments.url) as gateway:

        async def one(number: int, frames: int) -> None:
            async with gateway.chat_stream(session_key=f"s{number}", message=arguments.message(frames)) as run:
                async for _ in run:
                    pass

        await one(0, arguments.warm)
        with Meter() as meter:
            await asyncio.gather(*(one(number, each) for number in range(arguments.count)))
    report(cpu=meter.cpu, wall=meter.wall, units=each * arguments.count)


async def connections(arguments: Arguments) -> None:
    """`count` connections with one run each, which share the frames."""
    gateways = [client(arguments.url) for _ in range(arguments.count)]
    await asyncio.gather(*(gateway.connect() for gateway in gateways))
    await read(gateways[0], arguments.message(arguments.warm))
    each = arguments.frames // arguments.count
    with Meter() as meter:
        await asyncio.gather(*(read(gateway, arguments.message(each)) for gateway in gateways))
    report(cpu=meter.cpu, wall=meter.wall, units=each * arguments.count)


async def rpc(arguments: Arguments) -> None:
    """`count` requests in flight, `frames` in all."""
    async with client(arguments.url) as gateway:
        waits: list[float] = []

        async def worker(requests: int) -> None:
            for _ in range(requests):
                begun = time.perf_counter()
                await gateway.request("bench.echo", {"sessionKey": "main", "message": "How are you today?"})
                waits.append(time.perf_counter() - begun)

        await asyncio.gather(*(worker(arguments.warm // arguments.count) for _ in range(arguments.count)))
        waits.clear()
        each = arguments.frames // arguments.count
        with Meter() as meter:
            await asyncio.gather(*(worker(each) for _ in range(arguments.count)))
    report(cpu=meter.cpu, wall=meter.wall, units=len(waits), **percentiles(waits))


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
