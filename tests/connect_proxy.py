"""An HTTP proxy for tests."""

from __future__ import annotations

import asyncio
from typing import Self


class ConnectProxy:
    """An HTTP proxy on loopback that knows CONNECT, while it is entered. asked: the request lines; refuse: answer 403.
    more: what it says behind its yes."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.refuse = False
        self.more = b""
        self.url = ""
        self._writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.close()
        await self._server.wait_closed()

    def close(self) -> None:
        """Take no connection any more, and drop those that are there."""
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.asked.append(head.split("\r\n")[0])
        self._writers.append(writer)
        if self.refuse:
            writer.write(b"HTTP/1.1 403 Forbidden\r\n\r\n")
            writer.close()
            return
        host, port = head.split()[1].split(":")
        there_reader, there_writer = await asyncio.open_connection(host, int(port))
        self._writers.append(there_writer)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n" + self.more)
        await asyncio.gather(self._pass_on(reader, there_writer), self._pass_on(there_reader, writer))

    async def _pass_on(self, source: asyncio.StreamReader, drain: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                drain.write(data)
            # What came last is still on its way.
            drain.close()
            await drain.wait_closed()
        except ConnectionError:
            return
        finally:
            drain.transport.abort()
