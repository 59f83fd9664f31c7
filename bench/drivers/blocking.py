"""This project's client for threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from bench.drivers.meter import Arguments, Meter, percentiles, report
from bench.drivers.warm import Warming
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


def warm(arguments: Arguments, work: Callable[[int], Any]) -> dict[str, float]:
    """Do `work` with so many frames until two blocks cost the same."""
    warming = Warming(arguments.warm * arguments.times)
    while warming.more():
        with warming.block():
            for _ in range(arguments.times):
                work(arguments.warm)
    return warming.facts()


def stream(arguments: Arguments) -> None:
    with client(arguments.url) as gateway:
        if arguments.pace:
            paced(gateway, arguments)
            return
        facts = warm(arguments, lambda frames: read(gateway, arguments.message(frames)))
        with Meter() as meter:
            counts = [read(gateway, arguments.message())[0] for _ in range(arguments.times)]
    report(cpu=meter.cpu, wall=meter.wall, units=arguments.units, events=sum(counts), **facts)


def paced(gateway: GatewayClient, arguments: Arguments) -> None:
    """A frame at a time; what counts is when it is in the reader's hands."""
    warm(arguments, lambda frames: read(gateway, f"bench {frames} {arguments.size} 0 saw"))
    read(gateway, arguments.message(arguments.count))
    gateway.request("bench.times")
    stamps: list[int] = []
    with Meter() as meter:
        events, _ = read(gateway, arguments.message(), stamps)
    sent = gateway.request("bench.times")
    waits = percentiles([(got - at) / 1e9 for got, at in zip(stamps, sent, strict=False)])
    report(cpu=meter.cpu, wall=meter.wall, units=arguments.frames, events=events, **waits)


def rpc(arguments: Arguments) -> None:
    """`count` threads, one request of each in flight, `frames` in all."""
    waits: list[float] = []
    with client(arguments.url) as gateway:

        def worker(requests: int) -> None:
            for _ in range(requests):
                begun = time.perf_counter()
                gateway.request("bench.echo", {"sessionKey": "main", "message": "How are you today?"})
                waits.append(time.perf_counter() - begun)

        def all_of(requests: int) -> None:
            each = requests // arguments.count
            threads = [threading.Thread(target=worker, args=(each,)) for _ in range(arguments.count)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

        facts = warm(arguments, all_of)
        waits.clear()
        with Meter() as meter:
            all_of(arguments.frames)
    report(cpu=meter.cpu, wall=meter.wall, units=len(waits), **percentiles(waits), **facts)


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
