"""What every Python driver measures with, and how it hands over what it found."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self


@dataclass(frozen=True)
class Arguments:
    """A driver's work: `what` names it, the rest are its sizes.

    A reply that is measured has `frames` frames, one that warms up `warm`; a block is `times` of them, and so is what
    is measured. Of requests these are the requests.
    """

    url: str
    what: str
    face: str
    frames: int = 0
    size: int = 0
    pace: int = 0
    kind: str = "saw"
    count: int = 1
    warm: int = 0
    times: int = 1
    certificate: str = ""

    @classmethod
    def read(cls) -> Self:
        """From the command line: one JSON object."""
        return cls(**json.loads(sys.argv[1]))

    @property
    def units(self) -> int:
        """All frames that are measured."""
        return self.frames * self.times

    def message(self, frames: int | None = None) -> str:
        """The text that tells the load server what to stream."""
        return f"bench {frames or self.frames} {self.size} {self.pace} {self.kind}"


class Meter:
    """User and system time of this process, and the clock on the wall, over a `with` block."""

    cpu = 0.0
    wall = 0.0

    def __enter__(self) -> Self:
        self._cpu, self._wall = cpu_seconds(), time.perf_counter()
        return self

    def __exit__(self, *exc: object) -> None:
        self.cpu, self.wall = cpu_seconds() - self._cpu, time.perf_counter() - self._wall


def cpu_seconds() -> float:
    """User and system time of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def memory_kib(field: str = "VmRSS") -> int:
    """A line of this process's memory, in KiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1])
    return 0


def private_kib() -> int:
    """Memory that this process alone uses, in KiB."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))


def percentiles(values: Sequence[float], scale: float = 1e6) -> dict[str, float]:
    """p50 and p99, in microseconds where the values are seconds."""
    ordered = sorted(values)
    return {
        "p50": ordered[len(ordered) // 2] * scale,
        "p99": ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)] * scale,
    }


def report(**facts: Any) -> None:
    """The driver's one line."""
    print(json.dumps({**facts, "peak_kib": memory_kib("VmHWM")}), flush=True)
