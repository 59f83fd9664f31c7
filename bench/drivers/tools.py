"""This project's host of tools: calls that a gateway makes of it."""

from __future__ import annotations

import asyncio
from typing import Any

from bench.drivers.meter import Arguments, Meter, report
from bench.drivers.ours import client, warm
from openclaw_client import AsyncToolHost, DeviceIdentity, MemoryIdentityStore, tool


@tool
async def echo(text: str) -> str:
    """Say it again."""
    return text


@tool(name="echo")
def plain_echo(text: str) -> str:
    """Say it again, in a thread of the host's."""
    return text


async def calls(arguments: Arguments) -> None:
    """`frames` calls, `count` of them at a time, each with a text of `size` bytes that is given back."""
    offered: Any = plain_echo if arguments.kind == "thread" else echo
    device = MemoryIdentityStore(DeviceIdentity.generate())
    host = AsyncToolHost(arguments.url, name="bench", token="bench", identity=device, tools=[offered])
    async with host, client(arguments.url) as gateway:

        async def call(number: int) -> None:
            message = f"bench {number} {arguments.size} {arguments.count}"
            answer = await gateway.request("bench.calls", {"message": message}, timeout=120.0)
            assert answer == {"ok": True}

        facts = await warm(arguments, call)
        with Meter() as meter:
            await call(arguments.frames)
    report(cpu=meter.cpu, wall=meter.wall, units=arguments.frames, **facts)


def main() -> None:
    arguments = Arguments.read()
    runner = asyncio.run
    if arguments.face.endswith("uvloop"):
        import uvloop

        runner = uvloop.run
    runner(calls(arguments))


if __name__ == "__main__":
    main()
