"""This project's client for threads."""

from __future__ import annotations

import time
from typing import Any

from bench.drivers.meter import Arguments, Meter, percentiles, report
from openclaw_client import GatewayClient, TextAppended, TextReplaced


def client(url: str, **options: Any) -> GatewayClient:
    return GatewayClient(url, token="bench", identity=False, **options)


def read(gateway: GatewayClient, message: str, stamps: list[int] | None = None) -> tuple[int, int]:
    """Follow one run; how many events it had, and the length of the text."""
    events = length = 0
    with gateway.chat_stream(session_key="main", message=message) as run:
        for event in run:
            if isinstance(event, TextAppended | TextReplaced):
                events += 1
                length += len(run.text)
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


WORK = {"stream": stream}


def main() -> None:
    arguments = Arguments.read()
    WORK[arguments.what](arguments)


if __name__ == "__main__":
    main()
