"""A stream to a host through a proxy: HTTP CONNECT by hand, over TLS where the proxy wants it; SOCKS by python_socks.

For plain HTTP beside the WebSocket, for which picows makes its tunnels itself.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from python_socks import ProxyConnectionError, ProxyError, ProxyTimeoutError
from python_socks.async_.asyncio import Proxy

from openclaw_client.transport.sockets import open_streams

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]

MAX_HEAD: Final = 65_536
"""Bytes of what a proxy answers before the tunnel begins: the limit of asyncio's own reader, too."""
_PORTS: Final = {"http": 80, "https": 443}
_STATUS: Final = 12
"""Characters of `HTTP/1.1 200`."""


class NoTunnel(Exception):
    """refused: what the proxy said instead, as far as it said something; None where there is no proxy to speak to."""

    def __init__(self, refused: str | None) -> None:
        super().__init__(refused)
        self.refused = refused


async def open_tunnel(proxy: str, host: str, port: int, context: ssl.SSLContext | None) -> Streams:
    """Streams to the host, with its TLS where there is a context. Raises NoTunnel, and OSError of that TLS.

    When cancelled no socket is left behind.
    """
    parts = urlsplit(proxy)
    if parts.scheme in _PORTS:
        return await _through_http(parts, host, port, context)
    try:
        opened = await Proxy.from_url(proxy).connect(dest_host=host, dest_port=port)
    except ProxyError as error:
        raise NoTunnel(str(error.error_code) if isinstance(error.error_code, int) else "") from None
    except (ProxyConnectionError, ProxyTimeoutError, OSError):
        raise NoTunnel(None) from None
    try:
        name = host if context is not None else None
        return await asyncio.open_connection(sock=opened, ssl=context, server_hostname=name)
    except BaseException:
        opened.close()
        raise


async def _through_http(parts: SplitResult, host: str, port: int, context: ssl.SSLContext | None) -> Streams:
    own = ssl.create_default_context() if parts.scheme == "https" else None
    try:
        reader, writer = await open_streams(parts.hostname or "", parts.port or _PORTS[parts.scheme], own)
    except OSError:
        raise NoTunnel(None) from None
    try:
        writer.write(_request(parts, host, port))
        status = await _status(reader)
        if status[:1] != "2":
            raise NoTunnel(status)
        if context is not None:
            if _has_more(reader):
                # It would be read behind the TLS handshake, as if the host had said it.
                raise NoTunnel("")
            await writer.start_tls(context, server_hostname=host)
    except BaseException:
        writer.transport.abort()
        raise
    return reader, writer


def _request(parts: SplitResult, host: str, port: int) -> bytes:
    there = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    lines = [f"CONNECT {there} HTTP/1.1", f"Host: {there}"]
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        lines.append(f"Proxy-Authorization: Basic {base64.b64encode(pair.encode()).decode()}")
    return "\r\n".join([*lines, "", ""]).encode()


def _has_more(reader: asyncio.StreamReader) -> bool:
    """Whether bytes are there that nobody has read. Without a turn of the loop, in which others could come."""
    look = reader.read(1)
    try:
        look.send(None)
    except StopIteration as found:
        return bool(found.value)
    look.close()
    return False


async def _status(reader: asyncio.StreamReader) -> str:
    """The status that the proxy answers with; "" where it says none."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
        raise NoTunnel("") from None
    version, _, rest = head[:_STATUS].partition(b" ")
    return rest.decode() if version.startswith(b"HTTP/") and rest.isdigit() else ""
