"""What a journal costs a client: `python -m bench.journalled [MESSAGES] [DELTAS]`.

The same client against the same gateway, which is another process, with a journal and without, in turn: short messages
one after the other, and one long reply. CPU is that of this process, the thread that writes included; the least of the
rounds counts for each.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from openclaw_client import AsyncGatewayClient, DeviceIdentity, MemoryIdentityStore

MESSAGES = 1_000
DELTAS = 20_000
ROUNDS = 5

GATEWAY = """
import sys
from openclaw_client.testing import BlockingEmbeddedGateway

async def answer(turn):
    for number in range(int(turn.message) if turn.message.isdigit() else 1):
        yield "some words of the reply "

with BlockingEmbeddedGateway(answer) as gateway:
    print(gateway.url, gateway.token, flush=True)
    sys.stdin.read()
"""


async def messages(client: AsyncGatewayClient, number: int) -> None:
    for _ in range(number):
        await client.chat_send(session_key="main", message="hello")


async def stream(client: AsyncGatewayClient, deltas: int) -> None:
    async with client.chat_stream(session_key="main", message=str(deltas)) as run:
        async for _ in run:
            pass


async def cpu(work: Awaitable[None]) -> float:
    began = time.process_time()
    await work
    return time.process_time() - began


async def compared(
    url: str, token: str, folder: Path, what: Callable[[AsyncGatewayClient, int], Awaitable[None]], number: int
) -> tuple[float, float]:
    """Microseconds of CPU for each, without a journal and with one."""
    found: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(ROUNDS):
        for journalled in (False, True):
            identity = MemoryIdentityStore(DeviceIdentity.generate())
            journal = folder / "journal.db" if journalled else None
            async with AsyncGatewayClient(url, token=token, identity=identity, journal=journal) as client:
                await what(client, max(1, number // 10))
                found[journalled].append(await cpu(what(client, number)) / number * 1e6)
    return min(found[False]), min(found[True])


async def measure(url: str, token: str, number: int, deltas: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, what, count in (("a message", messages, number), ("a delta", stream, deltas)):
            without, with_it = await compared(url, token, Path(folder), what, count)
            print(f"{name}: {without:.2f} us without, {with_it:.2f} with a journal: {with_it - without:+.2f}")


def main(number: int = MESSAGES, deltas: int = DELTAS) -> None:
    command = [sys.executable, "-c", GATEWAY]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as gateway:
        assert gateway.stdout is not None
        assert gateway.stdin is not None
        url, token = gateway.stdout.readline().split()
        asyncio.run(measure(url, token, number, deltas))
        gateway.stdin.close()


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
