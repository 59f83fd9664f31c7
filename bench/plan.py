"""What is measured: which drivers, with which sizes, how often."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

OURS = "openclaw-client"
REFERENCE = "gateway-client (Node)"
OTHER = "openclaw-node (Node)"

SIZES = {300: 60_000, 2048: 40_000, 32768: 6_000}
"""Bytes of a frame, and how many frames one measurement takes: a third of a second to one second of CPU."""
IN_FLIGHT = (1, 16, 256)
CONNECTIONS = (1_000, 5_000)
FAN = (1, 10, 100)
REPLY = (50_000, 500_000)
"""Bytes of a whole reply that is sent as cumulative snapshots, a frame for every hundred bytes or so."""
ROUNDS = 9
"""Of streams and requests. Machines have slow minutes; with five rounds two of them moved a ratio by a fifth."""
PACE = 500
"""Microseconds between two paced frames."""


@dataclass(frozen=True)
class Measurement:
    """One driver doing one thing. group and row name its line in the report; rounds is how often it is done."""

    group: str
    row: str
    client: str
    module: str
    face: str
    what: str
    sizes: dict[str, Any] = field(default_factory=dict)
    rounds: int = 5

    @property
    def key(self) -> tuple[str, str, str]:
        return self.group, self.row, self.client


ASYNC = (f"{OURS}, async", "bench.drivers.ours", "asyncio")
UVLOOP = (f"{OURS}, async, uvloop", "bench.drivers.ours", "uvloop")
SYNC = (f"{OURS}, blocking", "bench.drivers.blocking", "sync")
NODE = (REFERENCE, "reference.mjs", "node")
NODE_2 = (OTHER, "openclaw-node.mjs", "node")
RECV = ("recv only (picows)", "bench.drivers.bare", "recv")
DECODE = ("recv + decode (picows, msgspec)", "bench.drivers.bare", "decode")


def plan(quick: bool) -> list[Measurement]:
    """Everything, or what is enough to see that nothing is broken."""
    return list(_quick() if quick else _whole())


def _quick() -> Iterator[Measurement]:
    for size in (300, 2048):
        for client in (UVLOOP, SYNC, NODE, DECODE):
            yield _flat(client, size, frames=20_000, rounds=2)
    for client in (UVLOOP, NODE):
        yield _rpc(client, 16, requests=5_000, rounds=2)
        yield _idle(client, 200, rounds=1)


def _whole() -> Iterator[Measurement]:
    for size in SIZES:
        for client in (UVLOOP, ASYNC, SYNC, NODE, NODE_2, RECV, DECODE):
            yield _flat(client, size)
        yield _flat(UVLOOP, size, what="send", name=f"{OURS}, chat_send")
    for client in (UVLOOP, SYNC, NODE, DECODE):
        yield _flat(client, 2048, kind="unicode")
    for client in (UVLOOP, ASYNC, SYNC, NODE):
        sizes = {"frames": 1_500, "size": 300, "pace": PACE, "warm": 200}
        yield Measurement("paced", "300 B", *client, "stream", sizes, rounds=3)
    for count in IN_FLIGHT:
        for client in (UVLOOP, ASYNC, SYNC, NODE, NODE_2):
            yield _rpc(client, count)
    yield from _growth()
    for count in CONNECTIONS:
        for client in (UVLOOP, ASYNC, NODE):
            yield _idle(client, count, rounds=2 if count == CONNECTIONS[0] else 1)
    for count in CONNECTIONS:
        yield _idle(UVLOOP, count, kind="tls")
        if count == CONNECTIONS[0]:
            yield _idle(ASYNC, count, kind="tls")
    yield Measurement("hand-over", "bursts of 64", *SYNC, "hand_over", {"frames": 300_000}, rounds=5)


def _growth() -> Iterator[Measurement]:
    for size in REPLY:
        sizes = {"frames": size // 100, "size": size, "kind": "grow", "warm": 100}
        for client in (UVLOOP, NODE, DECODE):
            yield Measurement("reply", f"{size // 1000} KB", *client, "stream", sizes, rounds=3)
    for count in FAN:
        sizes = {"frames": 40_000, "size": 300, "count": count, "warm": 4_000}
        yield Measurement("runs", f"{count}", *UVLOOP, "runs", sizes, rounds=3)
        yield Measurement("connections", f"{count}", *UVLOOP, "connections", sizes, rounds=3)


def _flat(
    client: tuple[str, str, str],
    size: int,
    *,
    frames: int = 0,
    kind: str = "saw",
    what: str = "stream",
    name: str = "",
    rounds: int = ROUNDS,
) -> Measurement:
    frames = frames or SIZES[size]
    sizes = {"frames": frames, "size": size, "kind": kind, "warm": frames // 5}
    row = {300: "300 B", 2048: "2 KB", 32768: "32 KB"}[size] + (", not ASCII" if kind == "unicode" else "")
    return Measurement("stream", row, name or client[0], client[1], client[2], what, sizes, rounds)


def _rpc(client: tuple[str, str, str], count: int, *, requests: int = 0, rounds: int = ROUNDS) -> Measurement:
    requests = requests or (5_000 if count == 1 else 20_480)
    return Measurement("rpc", str(count), *client, "rpc", {"frames": requests, "count": count, "warm": 2_000}, rounds)


def _idle(client: tuple[str, str, str], count: int, *, kind: str = "plain", rounds: int = 1) -> Measurement:
    row = f"{count:,} connections, {'TLS' if kind == 'tls' else 'plain'}"
    return Measurement("idle", row, *client, "idle", {"count": count, "kind": kind}, rounds)
