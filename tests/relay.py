"""TCP lines on loopback that can be cut: what a network does to a connection, for gateways that have no faults."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Line(ABC):
    """Takes connections on a port of its own and makes one to the target for each; what passes between the two is the
    subclass's. None is taken while it is `away`.

    async with Relay(gateway.url) as relay:
        AsyncGatewayClient(relay.url, …)
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname, parts.port)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.cuts = 0
        self.away = False
        self.taken_at: list[float] = []
        """When connections came, by the loop's clock: as many as the gateway saw."""

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"ws://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: object, at: TracebackType | None) -> None:
        assert self._server is not None
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._take((reader, writer)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _take(self, client: Streams) -> None:
        try:
            if self.away:
                return
            self.taken_at.append(asyncio.get_running_loop().time())
            try:
                gateway = await asyncio.open_connection(*self._target)
            except OSError:
                # Nobody listens there now; the client learns it from the end of its connection.
                return
            await self._serve(client, gateway)
        finally:
            client[1].transport.abort()

    @abstractmethod
    async def _serve(self, client: Streams, gateway: Streams) -> None:
        """Pass on what comes until the connection ends; both sockets are closed then."""


class Relay(Line):
    """Passes bytes on, in both directions, until `cut`."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._writers: set[asyncio.StreamWriter] = set()

    def cut(self) -> None:
        """End all connections without a word to either side."""
        self.cuts += 1
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _serve(self, client: Streams, gateway: Streams) -> None:
        self._writers |= {client[1], gateway[1]}
        down = self._pass_on(gateway[0], client[1], self._see)
        await asyncio.gather(self._pass_on(client[0], gateway[1]), down)

    def _see(self, data: bytes) -> None:
        """The gateway says this."""

    async def _pass_on(
        self, source: asyncio.StreamReader, drain: asyncio.StreamWriter, see: Callable[[bytes], object] = len
    ) -> None:
        try:
            while data := await source.read(65536):
                see(data)
                drain.write(data)
                await drain.drain()
            # What came last is still on its way.
            drain.close()
            await drain.wait_closed()
        except ConnectionError:
            # Cut; the other direction ends the same way.
            return
        finally:
            drain.transport.abort()
            self._writers.discard(drain)


class Tap(Relay):
    """A relay that keeps what the gateway said: frames of a server are not masked, and these are not compressed."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.said = bytearray()

    def _see(self, data: bytes) -> None:
        self.said += data

    def events(self, begin: int = 0) -> int:
        """How many event frames came behind so many bytes."""
        return self.said.count(b'"type":"event"', begin)
