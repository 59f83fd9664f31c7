"""2,000 users of one process on three gateways in other processes: what connecting and resting costs, and what is left.

    python -m bench.many_users [--users 2000] [--face async|sync] [--rest 20] [--trace]

Prints one line per figure. Memory is the growth of this process (private pages, Linux) over what it was after a few
connections had come and gone, so that what is loaded once doesn't count. --trace shows where the memory was taken, with
tracemalloc, which itself makes everything slower and larger.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from openclaw_client import AsyncConnectionManager, ConnectionManager, Credentials, Timeouts
from openclaw_client.testing import DEFAULT_TOKEN, EmbeddedGateway

GATEWAYS = 3
WARM_UP = 30
PATIENT = Timeouts(connect=120, request=120)


def private_bytes() -> int:
    """Memory of this process that it shares with nobody."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def client_threads() -> int:
    """Without those of this script's own pool."""
    return sum(thread.name.startswith("openclaw") for thread in threading.enumerate())


def say(what: str, value: object) -> None:
    print(f"{what:44} {value}", flush=True)


# The gateways.


async def serve() -> None:
    async with EmbeddedGateway() as gateway:
        print(gateway.url, flush=True)
        # The parent holds the other end open for as long as it lives.
        await asyncio.to_thread(sys.stdin.read)


@contextmanager
def gateways(count: int) -> Iterator[list[str]]:
    command = [sys.executable, "-m", "bench.many_users", "--serve"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, **pipes) for _ in range(count)]  # type: ignore[call-overload]
    try:
        yield [process.stdout.readline().strip() for process in processes]
    finally:
        for process in processes:
            process.stdin.close()
            process.wait(30)


# The measurement, in the same steps on both faces.


class Figures:
    """What is measured around each step."""

    def __init__(self, users: int) -> None:
        self.users = users
        self.memory = self.cpu = self.began = 0.0

    def start(self) -> None:
        gc.collect()
        self.memory, self.cpu, self.began = private_bytes(), time.process_time(), time.perf_counter()

    def connected(self) -> None:
        wall, cpu = time.perf_counter() - self.began, time.process_time() - self.cpu
        say("connect, wall", f"{wall:.2f} s ({wall / self.users * 1000:.2f} ms a user)")
        say("connect, CPU of this process", f"{cpu:.2f} s ({cpu / self.users * 1000:.2f} ms a user)")

    def rested(self, cpu: float, seconds: float) -> None:
        gc.collect()
        grown = private_bytes() - self.memory
        say("memory per idle connection", f"{grown / self.users / 1024:.1f} KiB")
        say("CPU at rest", f"{100 * cpu / seconds:.2f} % of a core ({seconds:.0f} s, ticks every 15 s)")


def credentials(urls: list[str]) -> dict[int, Credentials]:
    return {number: Credentials(url, token=DEFAULT_TOKEN) for number, url in enumerate(urls)}


async def async_face(urls: list[str], users: int, rest: float, trace: bool) -> None:
    known = credentials(urls)
    manager = AsyncConnectionManager(lambda user: known[user % len(urls)], timeouts=PATIENT)
    await asyncio.gather(*(manager.connection_for(number) for number in range(WARM_UP)))
    await manager.disconnect_all()
    await asyncio.sleep(0.5)
    tasks, threads, fds = len(asyncio.all_tasks()), client_threads(), descriptors()
    figures = Figures(users)
    with tracing(trace, users):
        figures.start()
        await asyncio.gather(*(manager.connection_for(number) for number in range(users)))
        figures.connected()
        say("connected", manager.connected_count)
        say("tasks, threads, descriptors more", _more(len(asyncio.all_tasks()) - tasks, threads, fds))
        cpu, began = time.process_time(), time.perf_counter()
        await asyncio.sleep(rest)
        figures.rested(time.process_time() - cpu, time.perf_counter() - began)
    began = time.perf_counter()
    await manager.close()
    say("close", f"{time.perf_counter() - began:.2f} s")
    say("after close: tasks, threads, descriptors more", _more(len(asyncio.all_tasks()) - tasks, threads, fds))
    gc.collect()
    say("memory kept after close", f"{(private_bytes() - figures.memory) / users / 1024:.1f} KiB a user")


def sync_face(urls: list[str], users: int, rest: float, trace: bool) -> None:
    known = credentials(urls)
    manager = ConnectionManager(lambda user: known[user % len(urls)], timeouts=PATIENT)
    with ThreadPoolExecutor(32) as pool:
        list(pool.map(manager.connection_for, range(WARM_UP)))
        manager.disconnect_all()
        time.sleep(0.5)
        threads, fds = client_threads(), descriptors()
        figures = Figures(users)
        with tracing(trace, users):
            figures.start()
            list(pool.map(manager.connection_for, range(users)))
            figures.connected()
            say("connected", manager.connected_count)
            say("threads, descriptors more", _more(None, threads, fds))
            cpu, began = time.process_time(), time.perf_counter()
            time.sleep(rest)
            figures.rested(time.process_time() - cpu, time.perf_counter() - began)
        began = time.perf_counter()
        manager.close()
        say("close", f"{time.perf_counter() - began:.2f} s")
        say("after close: threads, descriptors more", _more(None, threads, fds))
        gc.collect()
        say("memory kept after close", f"{(private_bytes() - figures.memory) / users / 1024:.1f} KiB a user")


def _more(tasks: int | None, threads: int, fds: int) -> tuple[int, ...]:
    rest = client_threads() - threads, descriptors() - fds
    return rest if tasks is None else (tasks, *rest)


@contextmanager
def tracing(on: bool, users: int) -> Iterator[None]:
    if not on:
        yield
        return
    tracemalloc.start()
    before = tracemalloc.take_snapshot()
    yield
    gc.collect()
    after = tracemalloc.take_snapshot()
    statistics = after.compare_to(before, "lineno")
    total = sum(entry.size_diff for entry in statistics)
    say("traced per connection", f"{total / users:.0f} bytes")
    for entry in statistics[:40]:
        print(f"{entry.size_diff / users:8.0f} B {entry.count_diff / users:6.1f} x  {entry.traceback[0]}")
    tracemalloc.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description="what many users cost")
    parser.add_argument("--users", type=int, default=2000)
    parser.add_argument("--face", choices=("async", "sync"), default="async")
    parser.add_argument("--rest", type=float, default=20.0, help="seconds of rest, with ticks")
    parser.add_argument("--trace", action="store_true")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve())
        return
    with gateways(GATEWAYS) as urls:
        if options.face == "async":
            asyncio.run(async_face(urls, options.users, options.rest, options.trace))
        else:
            sync_face(urls, options.users, options.rest, options.trace)


if __name__ == "__main__":
    main()
