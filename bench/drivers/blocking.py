"""This project's client for threads."""

from __future__ import annotations

import threading
import time
from typing import Any

from bench.drivers.meter import Arguments, Meter, percentiles, report
from openclaw_client import GatewayClient, TextAppended, TextReplaced
from openclaw_client.sync.channel import RunChannel
from openclaw_client.sync.loop_thread import loop_thread

TEXT = (TextAppended, TextReplaced)


def client(url: str, **options: Any) -> GatewayClient:
    return GatewayClient(url, token="bench", identity=False, **options)


def read(gateway: GatewayClient, message: str, stamps: list[int] | None = None) -> tuple[int, int]:
    """Follow one run; how many events it had, and the length of the text."""
    events = length = 0
    with gateway.chat_stream(session_key="main", message=message) as run:
        for event in run:
            if isinstance(event, TEXT):
                events += 1
                length += len(event.text)
                if stamps is not None:
                    stamps.append(time.monotonic_ns())
    return events, length


def stream(arguments: Arguments) -> None:
    with client(arguments.url) as gateway:
        read(gateway, arguments.message(arguments.warm))
        if arguments.pace:
            gateway.request("bench.times")
        stamps: list[int] | None = [] if arguments.pace else None
        with Meter() as meter:
            events, _ = read(gateway, arguments.message(), stamps)
        facts: dict[str, float] = {}
        if stamps:
            sent = gateway.request("bench.times")
            facts = percentiles([(got - at) / 1e9 for got, at in zip(stamps, sent, strict=False)])
    report(cpu=meter.cpu, wall=meter.wall, units=arguments.frames, events=events, **facts)


def rpc(arguments: Arguments) -> None:
    """`count` threads, one request of each in flight, `frames` in all."""
    waits: list[float] = []
    with client(arguments.url) as gateway:

        def worker(requests: int) -> None:
            for _ in range(requests):
                begun = time.perf_counter()
                gateway.request("bench.echo", {"sessionKey": "main", "message": "How are you today?"})
                waits.append(time.perf_counter() - begun)

        worker(arguments.warm)
        waits.clear()
        each = arguments.frames // arguments.count
        threads = [threading.Thread(target=worker, args=(each,)) for _ in range(arguments.count)]
        with Meter() as meter:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    report(cpu=meter.cpu, wall=meter.wall, units=len(waits), **percentiles(waits))


def hand_over(arguments: Arguments) -> None:
    """Events from one thread's hands to another's blocking iterator, in bursts of 64, and nothing else."""
    loop = loop_thread().loop
    channel = RunChannel(loop, lambda *_: None, lambda *_: None)
    event = TextAppended("run", "piece")
    got = threading.Semaphore(0)

    def burst(left: int) -> None:
        for _ in range(min(left, 64)):
            channel.put(event)
        if left > 64:
            loop.call_soon(burst, left - 64)
        else:
            channel.close()

    def reader() -> None:
        while channel.get() is not None:
            pass
        got.release()

    thread = threading.Thread(target=reader)
    with Meter() as meter:
        thread.start()
        loop.call_soon_threadsafe(burst, arguments.frames)
        got.acquire()
    report(cpu=meter.cpu, wall=meter.wall, units=arguments.frames)


WORK = {"stream": stream, "rpc": rpc, "hand_over": hand_over}


def main() -> None:
    arguments = Arguments.read()
    WORK[arguments.what](arguments)


if __name__ == "__main__":
    main()
