"""What a soak measures of its process, and whether it stays where it is.

Knows numbers. Refuses to know users and gateways.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import threading
from array import array
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from statistics import median

from openclaw_client.sync import loop_thread

EVERY = 5.0
"""Seconds between two samples, where it takes that long."""
PARTS = 10
"""Rows of the table."""
GROWTH = {"rss": 0.02, "blocks": 0.01}
"""By how much the median of the last sixth may be above that of the sixth before it.

A sixth of half an hour are five minutes and 1,400 messages, beside many more events of others: 1 KiB left of each
message is 2 % of the 70 MiB that are resident. Those also move by themselves, by what the allocator keeps of a burst.
The blocks that Python has allocated do not; 1 % of them are two for each message.
"""
SPARE = 5
"""By how much the medians of what is counted one by one may grow: one that is left in each minute is as many. What is
under way at a moment moves by as much."""
LEAST = 600.0
"""Seconds of a run whose memory is judged: before that the tables fill, and so do Python's own caches."""

COLUMNS = ("at", "rss", "blocks", "tasks", "threads", "fds")


class Samples:
    """Some numbers of each column in each tenth of so many seconds. Kept in arrays that are made before it begins: what
    measures must not grow."""

    def __init__(self, seconds: float) -> None:
        self.each = max(3, round(seconds / PARTS / EVERY))
        self._columns = {name: array("d", [0.0]) * (self.each * PARTS) for name in COLUMNS}
        self._count = 0

    def take(self, at: float) -> None:
        """Measure now. Garbage is no leak, whenever Python would have looked for it."""
        gc.collect()
        self.put({"at": at, **standing()})

    def put(self, numbers: Mapping[str, float]) -> None:
        for name, number in numbers.items():
            self._columns[name][self._count] = number
        self._count += 1

    def of(self, name: str, part: int, parts: int = PARTS) -> list[float]:
        """The numbers of one of so many parts of the time, from 0."""
        room = self.each * PARTS
        return list(self._columns[name][part * room // parts : (part + 1) * room // parts])


def standing() -> dict[str, float]:
    """What this process has now."""
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return {
        "rss": resident / 2**20,
        "blocks": sys.getallocatedblocks(),
        "tasks": len(all_tasks()),
        "threads": threading.active_count(),
        "fds": len(os.listdir("/proc/self/fd")),
    }


def all_tasks() -> list[asyncio.Task[object]]:
    """Of the loop that runs, and of the loop of the blocking clients."""
    tasks = list(asyncio.all_tasks())
    if loop_thread._current is not None:
        tasks += asyncio.all_tasks(loop_thread._current.loop)
    return tasks


def grown(samples: Samples) -> list[str]:
    """What is not flat: what the last sixth of the time has more of than the one before it."""
    found = []
    for name in (*GROWTH, "tasks", "threads", "fds"):
        before, after = (median(samples.of(name, part, 6)) for part in (4, 5))
        allowed = before * GROWTH[name] if name in GROWTH else SPARE
        if after - before > allowed:
            found.append(f"{name}: {before:.1f} -> {after:.1f} in the last sixth, {allowed:.1f} more are allowed")
    return found


HEAD = f"{'minutes':>12}  RSS, MiB: min median    max   blocks tasks threads  fds"


def row(samples: Samples, part: int) -> str:
    """A line of the table; beside the memory the medians."""
    at, rss = samples.of("at", part), samples.of("rss", part)
    when = f"{at[0] / 60:.1f} to {at[-1] / 60:.1f}"
    memory = f"{min(rss):13.1f} {median(rss):6.1f} {max(rss):6.1f}"
    others = [round(median(samples.of(name, part))) for name in ("blocks", "tasks", "threads", "fds")]
    return f"{when:>12}  {memory} {others[0]:8d} {others[1]:5d} {others[2]:7d} {others[3]:4d}"


def census() -> Counter[str]:
    """How many objects there are of each type."""
    gc.collect()
    return Counter(f"{type(one).__module__}.{type(one).__qualname__}" for one in gc.get_objects())


def more(before: Mapping[str, int], after: Mapping[str, int]) -> list[str]:
    """The types of which there are many more, the most first: what to look for when memory is not flat."""
    grown = {name: count - before.get(name, 0) for name, count in after.items()}
    return [f"{name}: {count:+d}" for name, count in sorted(grown.items(), key=lambda one: -one[1])[:15] if count > 50]
