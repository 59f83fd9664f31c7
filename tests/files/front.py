"""What stands in front of a gateway, and what its agent sends: for tests of downloads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable

from openclaw_client.testing import Turn
from tests.relay import Relay, Streams

PDF = b"%PDF-1.4\n" + bytes(range(256)) * 40 + b"\n%%EOF\n"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(200)


async def sender(turn: Turn) -> AsyncIterator[str]:
    """Sends a report by a link and a picture in an answer; "huge" is 20 MiB."""
    if turn.message == "huge":
        turn.send_file("huge.pdf", bytes(20 * 1024 * 1024), "application/pdf")
    else:
        turn.send_file("report.pdf", PDF, "application/pdf", text="see")
        turn.send_file("chart.png", PNG, "image/png", way="result")
    yield "done"


class Front(Relay):
    """Passes on what comes; takes a path off. Requests for files get the next of `answers` first, while there are any.

    gets: the heads of those requests.
    """

    def __init__(self, url: str, answers: Iterable[bytes] = (), base: bytes = b"") -> None:
        super().__init__(url)
        self.answers = list(answers)
        self.gets: list[bytes] = []
        self._base = base

    async def _serve(self, client: Streams, gateway: Streams) -> None:
        try:
            head = await client[0].readuntil(b"\r\n\r\n")
            method, _, rest = head.partition(b" ")
            if not rest.startswith(self._base):
                return
            if b"Upgrade: websocket" not in head:
                self.gets.append(head)
                if self.answers:
                    client[1].write(self.answers.pop(0))
                    await client[1].drain()
                    client[1].close()
                    return
            path = rest[len(self._base) :]
            gateway[1].write(method + b" " + (path if path.startswith(b"/") else b"/" + path))
            await super()._serve(client, gateway)
        except (asyncio.IncompleteReadError, ConnectionError):
            # The client has left.
            return
        finally:
            gateway[1].transport.abort()
            client[1].close()


def answer(status: int, *headers: str, body: bytes = b"") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *headers, "", ""]).encode() + body
