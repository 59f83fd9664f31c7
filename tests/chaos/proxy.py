"""A TCP relay on loopback that knows where frames begin and end, and does to them what a bad network does.

Knows bytes, frames and two sockets per connection. Refuses to know what the frames are about: who wants a fault at a
certain frame says which frames count.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from tests.chaos.frames import FrameScanner, Unit
from tests.relay import Line, Streams

Side = Literal["up", "down"]
"""up: from the client to the gateway."""
Where = Literal["before", "inside", "after"]


def every(side: Side, unit: Unit) -> bool:
    return True


@dataclass(slots=True)
class Cut:
    """Cuts the connection at the frame with this number, from 0, among those that count. Happens once."""

    side: Side
    number: int
    where: Where
    counts: Callable[[Side, Unit], bool] = every
    passed: int = 0
    done: bool = False

    def place(self, side: Side, unit: Unit) -> Where | None:
        """Where this unit is cut, None where it passes."""
        if self.done or side != self.side or not self.counts(side, unit):
            return None
        self.passed += 1
        self.done = self.passed > self.number
        return self.where if self.done else None


class FaultProxy(Line):
    """Passes on what comes, in both directions, until it is told otherwise. What is told holds for every connection,
    those to come included.

    async with FaultProxy(gateway.url) as proxy:
        AsyncGatewayClient(proxy.url, …)
    """

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._links: set[_Link] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self.watch: Callable[[Side, Unit], None] | None = None
        self.cuts_to_come: list[Cut] = []
        self.hole = False
        self.bytes_per_second: float | None = None
        self.latency = 0.0

    # Faults.

    def cut_at(self, cut: Cut) -> Cut:
        """Cut where this says; several wait for their frames at the same time."""
        self.cuts_to_come.append(cut)
        return cut

    def cut(self) -> None:
        """End all connections now, without a word to either side."""
        self.cuts += 1
        for link in tuple(self._links):
            link.cut()

    def black_hole(self) -> None:
        """Keep all sockets open, take new ones, and pass on nothing any more; what comes is gone."""
        self.hole = True

    def stall(self) -> None:
        """Pass on nothing until `flow`, and then everything, late."""
        self._flowing.clear()

    def flow(self) -> None:
        """End `stall`."""
        self._flowing.set()

    def half_close(self, side: Side) -> None:
        """End one direction of all connections as a peer does that has no more to say; the other goes on."""
        for link in tuple(self._links):
            link.half_close(side)

    def heal(self) -> None:
        """End every fault. What a black hole took stays lost, and so do its connections."""
        if self.hole:
            self.hole = False
            self.cut()
        self.bytes_per_second, self.latency = None, 0.0
        self.cuts_to_come.clear()
        self.flow()

    # Inside.

    async def _serve(self, client: Streams, gateway: Streams) -> None:
        link = _Link(self, client, gateway)
        self._links.add(link)
        try:
            await link.serve()
        finally:
            self._links.discard(link)

    async def delayed(self, amount: int) -> None:
        """Return when this many bytes may be passed on."""
        await self._flowing.wait()
        pause = self.latency + (amount / self.bytes_per_second if self.bytes_per_second else 0.0)
        if pause:
            await asyncio.sleep(pause)

    def place(self, side: Side, unit: Unit) -> Where | None:
        """Where the first cut that means this unit wants it."""
        for cut in self.cuts_to_come:
            where = cut.place(side, unit)
            if where is not None:
                self.cuts_to_come.remove(cut)
                return where
        return None


class _Link:
    """One connection: two sockets, and a task for each direction."""

    def __init__(self, proxy: FaultProxy, client: Streams, gateway: Streams) -> None:
        self._proxy = proxy
        self._ends = {"up": (client[0], gateway[1]), "down": (gateway[0], client[1])}
        self._open = {"up", "down"}

    async def serve(self) -> None:
        tasks = [asyncio.create_task(self._pass_on(side)) for side in ("up", "down")]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            self.cut()

    def cut(self) -> None:
        for _, writer in self._ends.values():
            writer.transport.abort()

    def half_close(self, side: Side) -> None:
        _, writer = self._ends[side]
        if side in self._open and not writer.is_closing():
            self._open.discard(side)
            with contextlib.suppress(OSError):  # the peer has gone meanwhile
                writer.write_eof()

    async def _pass_on(self, side: Side) -> None:
        reader, scanner = self._ends[side][0], FrameScanner()
        with contextlib.suppress(OSError):  # cut; the other direction ends the same way
            while data := await reader.read(65536):
                for unit in scanner.feed(data):
                    await self._pass_unit(side, unit)
        if not self._proxy.hole:
            # Nobody sees the end of a connection through a black hole.
            self.half_close(side)

    async def _pass_unit(self, side: Side, unit: Unit) -> None:
        proxy, writer = self._proxy, self._ends[side][1]
        if proxy.watch is not None:
            proxy.watch(side, unit)
        where = proxy.place(side, unit)
        if where is None or where == "after":
            await self._write(side, unit.data)
        elif where == "inside":
            await self._write(side, unit.data[: max(1, len(unit.data) // 2)])
        if where is not None:
            proxy.cuts += 1
            self.cut()
            raise ConnectionAbortedError
        await writer.drain()

    async def _write(self, side: Side, data: bytes) -> None:
        proxy, writer = self._proxy, self._ends[side][1]
        # A slow line passes a frame on in portions, so that its reader sees parts of frames.
        step = max(1, int(proxy.bytes_per_second / 10)) if proxy.bytes_per_second else len(data)
        for start in range(0, len(data), step):
            portion = data[start : start + step]
            await proxy.delayed(len(portion))
            if proxy.hole or side not in self._open:
                return
            writer.write(portion)
