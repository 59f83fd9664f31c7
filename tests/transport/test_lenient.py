"""An answer to the upgrade whose header Connection names more than the upgrade (RFC 6455, 4.1)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from ssl import SSLContext

import pytest

from openclaw_client import Timeouts
from openclaw_client.errors import ConnectError
from openclaw_client.testing import DEFAULT_TOKEN, BlockingEmbeddedGateway
from tests.faces import Face
from tests.transport.servers import serving
from tests.transport.tls import Certificate

Rewrite = Callable[[bytes], bytes]


@contextmanager
def front(gateway: BlockingEmbeddedGateway, rewrite: Rewrite, tls: SSLContext | None = None) -> Iterator[int]:
    """The port of a proxy that rewrites the head of a gateway's answer, in two pieces."""

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner, back = await asyncio.open_connection("127.0.0.1", gateway.port)
        up = asyncio.ensure_future(pump(reader, back))
        try:
            head = rewrite(await inner.readuntil(b"\r\n\r\n"))
            for piece in (head[:20], head[20:]):
                writer.write(piece)
                await writer.drain()
            down = asyncio.ensure_future(pump(inner, writer))
            await asyncio.wait([up, down], return_when=asyncio.FIRST_COMPLETED)
            down.cancel()
        finally:
            up.cancel()
            back.transport.abort()
            writer.transport.abort()

    with serving(serve, tls) as port:
        yield port


def connection(*lines: bytes) -> Rewrite:
    def rewrite(head: bytes) -> bytes:
        kept = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")]
        return b"\r\n".join([kept[0], *lines, *kept[1:]])

    return rewrite


WORDS = [
    (b"Connection: keep-alive, Upgrade",),
    (b"connection:upgrade , Keep-Alive",),
    (b"Connection: keep-alive", b"Connection: Upgrade"),
]


@pytest.mark.parametrize("lines", WORDS)
async def test_an_answer_with_more_words_is_taken(lines: tuple[bytes, ...], face: Face) -> None:
    with BlockingEmbeddedGateway() as gateway, front(gateway, connection(*lines)) as port:
        client = face.client(f"ws://127.0.0.1:{port}", token=DEFAULT_TOKEN, identity=False)
        await client.connect()
        long = "x" * 100_000
        assert (await client.chat_send(session_key="main", message=long)).text == f"echo: {long}"
        await client.disconnect()


async def test_over_tls_with_a_pin(face: Face, tmp_path: Path) -> None:
    certificate = Certificate.make(tmp_path, "own")
    with BlockingEmbeddedGateway() as gateway, front(gateway, connection(*WORDS[0]), certificate.context()) as port:
        client = face.client(
            f"wss://127.0.0.1:{port}",
            token=DEFAULT_TOKEN,
            identity=False,
            tls_fingerprint=certificate.fingerprint,
        )
        await client.connect()
        assert (await client.chat_send(session_key="main", message="hi")).text == "echo: hi"
        await client.disconnect()


@pytest.mark.parametrize("lines", [(b"Connection: keep-alive",), (b"X-Connection: Upgrade",), ()])
async def test_an_answer_without_the_upgrade_is_not(lines: tuple[bytes, ...], face: Face) -> None:
    with BlockingEmbeddedGateway() as gateway, front(gateway, connection(*lines)) as port:
        limits = Timeouts(connect=10)
        client = face.client(f"ws://127.0.0.1:{port}", token=DEFAULT_TOKEN, identity=False, timeouts=limits)
        with pytest.raises(ConnectError) as caught:
            await client.connect()
        await client.disconnect()
    assert caught.value.detail_code == "HTTP_101"
