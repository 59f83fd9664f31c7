"""This project's client in coroutines: streams, requests, connections."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from bench.drivers.meter import Arguments, Meter, memory_kib, percentiles, private_kib, report
from openclaw_client import AsyncGatewayClient, RunCompleted, TextAppended, TextReplaced


def client(url: str, **options: Any) -> AsyncGatewayClient:
    return AsyncGatewayClient(url, token="bench", identity=False, **options)


async def read(gateway: AsyncGatewayClient, message: str, stamps: list[int] | None = None) -> tuple[int, int]:
    """Follow one run; how many events it had, and the length of the text."""
    events = length = 0
    async with gateway.chat_stream(session_key="main", message=message) as run:
        async for event in run:
            if isinstance(event, TextAppended | TextReplaced):
                events += 1
                length += len(run.text)
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


WORK = {"stream": stream, "send": send}


def main() -> None:
    arguments = Arguments.read()
    runner = asyncio.run
    if arguments.face.endswith("uvloop"):
        import uvloop

        runner = uvloop.run
    runner(WORK[arguments.what](arguments))


if __name__ == "__main__":
    main()
