"""What is measured: which drivers, with which sizes, how often."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

OURS = "openclaw-client"
REFERENCE = "gateway-client (Node)"
OTHER = "openclaw-node (Node)"

SIZES = {300: 200_000, 2048: 100_000, 32768: 20_000}
"""Bytes of a frame, and how many frames are measured: a third of a second to one second of CPU."""
BLOCK = 50_000
"""Frames, or requests, of a block of warming up: fewer than that are over before the reference's compiler is done."""
IN_FLIGHT = (1, 16, 256)
CONNECTIONS = (1_000, 5_000)
FAN = (1, 10, 100)
REPLY = (50_000, 500_000)
"""Bytes of a whole reply that is sent as cumulative snapshots, a frame for every hundred bytes or so."""
CALLS = (1, 16)
"""Calls of a tool that are open at once."""
ROUNDS = 7
"""Of streams and requests. Machines have slow minutes; with five short rounds two of them moved a ratio by a fifth."""
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
TOOLS = (f"{OURS}, AsyncToolHost, uvloop", "bench.drivers.tools", "uvloop")
TOOLS_IN_THREADS = (f"{OURS}, AsyncToolHost, plain function", "bench.drivers.tools", "uvloop")
RECV = ("recv only (picows)", "bench.drivers.bare", "recv")
DECODE = ("recv + decode (picows, msgspec)", "bench.drivers.bare", "decode")
THREADS = (
    ("websocket-client, msgspec", "bench.drivers.threads", "websocket-client"),
    ("websockets, threading, msgspec", "bench.drivers.threads", "websockets"),
)


def plan(quick: bool) -> list[Measurement]:
    """Everything, or what is enough to see that nothing is broken."""
    return list(_quick() if quick else _whole())


def _quick() -> Iterator[Measurement]:
    for size in (300, 2048):
        for client in (UVLOOP, SYNC, NODE, DECODE):
            yield _flat(client, size, rounds=2)
    for client in (UVLOOP, NODE):
        yield _rpc(client, 16, rounds=2)
        yield _idle(client, 200, rounds=1)


def _whole() -> Iterator[Measurement]:
    for size in SIZES:
        for client in (UVLOOP, ASYNC, SYNC, NODE, NODE_2, RECV, DECODE, *THREADS):
            yield _flat(client, size)
        yield _flat(UVLOOP, size, what="send", name=f"{OURS}, chat_send")
    for client in (UVLOOP, SYNC, NODE, DECODE):
        yield _flat(client, 2048, kind="unicode")
    yield from _of_others()
    for client in (UVLOOP, ASYNC, SYNC, NODE):
        sizes = {"frames": 1_500, "size": 300, "pace": PACE, "warm": BLOCK, "count": 200}
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
    yield from _of_tools()
    yield Measurement("hand-over", "bursts of 64", *SYNC, "hand_over", {"frames": 300_000}, rounds=5)


def _of_others() -> Iterator[Measurement]:
    """Frames of runs that the client did not begin, read as events or by nobody. The reference knows no difference."""
    for size in (300, 2048):
        yield _flat(UVLOOP, size, what="events", group="events", name=f"{OURS}, events()")
        yield _flat(UVLOOP, size, what="foreign", group="events", name=f"{OURS}, nobody reads")
        yield _flat(NODE, size, group="events")


def _of_tools() -> Iterator[Measurement]:
    for count in CALLS:
        for client in (TOOLS, NODE):
            yield _calls(client, count)
        yield _calls(TOOLS_IN_THREADS, count, kind="thread")


def _growth() -> Iterator[Measurement]:
    for size in REPLY:
        # A block of warming up is one or more whole replies.
        frames = size // 100
        sizes = {"frames": frames, "size": size, "kind": "grow", "warm": frames, "times": max(1, 5_000 // frames)}
        for client in (UVLOOP, NODE, DECODE):
            yield Measurement("reply", f"{size // 1000} KB", *client, "stream", sizes, rounds=3)
    for count in FAN:
        sizes = {"frames": BLOCK, "size": 300, "count": count, "warm": BLOCK}
        yield Measurement("runs", f"{count}", *UVLOOP, "runs", sizes, rounds=3)
        yield Measurement("connections", f"{count}", *UVLOOP, "connections", sizes, rounds=3)


def _flat(
    client: tuple[str, str, str],
    size: int,
    *,
    kind: str = "saw",
    what: str = "stream",
    group: str = "stream",
    name: str = "",
    rounds: int = 0,
) -> Measurement:
    sizes = {"frames": SIZES[size], "size": size, "kind": kind, "warm": BLOCK}
    row = {300: "300 B", 2048: "2 KB", 32768: "32 KB"}[size] + (", not ASCII" if kind == "unicode" else "")
    # The large frames take most of the time, and vary least.
    rounds = rounds or (3 if size == 32768 else ROUNDS)
    return Measurement(group, row, name or client[0], client[1], client[2], what, sizes, rounds)


def _rpc(client: tuple[str, str, str], count: int, *, rounds: int = 0) -> Measurement:
    # One at a time takes a tenth of a millisecond each, and most of it is the kernel's.
    requests, block, rounds = (20_000, 20_000, rounds or 3) if count == 1 else (51_200, 51_200, rounds or ROUNDS)
    return Measurement("rpc", str(count), *client, "rpc", {"frames": requests, "count": count, "warm": block}, rounds)


def _calls(client: tuple[str, str, str], count: int, *, kind: str = "plain") -> Measurement:
    sizes = {"frames": 10_000, "size": 300, "count": count, "kind": kind, "warm": 10_000}
    return Measurement("tools", str(count), *client, "calls", sizes, rounds=3)


def _idle(client: tuple[str, str, str], count: int, *, kind: str = "plain", rounds: int = 1) -> Measurement:
    row = f"{count:,} connections, {'TLS' if kind == 'tls' else 'plain'}"
    return Measurement("idle", row, *client, "idle", {"count": count, "kind": kind}, rounds)
