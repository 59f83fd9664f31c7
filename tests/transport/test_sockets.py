"""Sockets that end with the attempt that they were opened for."""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest

from openclaw_client import Timeouts
from openclaw_client.errors import ConnectError
from openclaw_client.transport import sockets
from openclaw_client.transport.sockets import open_socket
from tests.faces import Face
from tests.transport.servers import serving
from tests.transport.tls import Certificate
from tests.waiting import until


class Silent:
    """Takes what comes, says nothing, and knows how many connections have ended."""

    def __init__(self) -> None:
        self.begun = self.ended = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.begun += 1
        try:
            while await reader.read(65536):
                pass
        finally:
            self.ended += 1
            writer.close()


@pytest.mark.parametrize("secure", [False, True], ids=["ws", "wss"])
async def test_a_socket_that_is_not_answered_is_closed_with_its_attempt(
    face: Face, secure: bool, tmp_path: Path
) -> None:
    silent = Silent()
    tls, options = None, {}
    if secure:
        certificate = Certificate.make(tmp_path, "gateway")
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate.path)
        options["ssl_context"] = ssl.create_default_context(cafile=str(certificate.path))
    with serving(silent.serve, tls) as port:
        url = f"{'wss' if secure else 'ws'}://127.0.0.1:{port}"
        client = face.client(url, token="t", identity=False, timeouts=Timeouts(connect=1.0), **options)
        with pytest.raises(ConnectError):
            await client.connect()
        assert silent.begun == 1
        # Far below the 15 s that an upgrade may take.
        async with asyncio.timeout(5):
            await until(lambda: silent.ended)


async def test_the_next_address_is_tried_and_the_first_failure_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.create_server(("127.0.0.1", 0)) as taken:
        port, free = listening.getsockname()[1], taken.getsockname()[1]
        taken.close()
        found: list[int] = []

        async def look_up(host: str, _: int) -> list[Any]:
            return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", one)) for one in found]

        monkeypatch.setattr(sockets, "look_up", look_up)
        found[:] = [free, port]
        with await open_socket("gateway.example", 1) as opened:
            assert opened.getpeername()[1] == port
        found[:] = [free, free]
        with pytest.raises(ConnectionRefusedError):
            await open_socket("gateway.example", 1)
        found[:] = []
        with pytest.raises(OSError, match="no address"):
            await open_socket("gateway.example", 1)
