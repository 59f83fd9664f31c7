"""The steps that come before a WebSocket, one at a time, each on a socket of its own and without a byte of any request.

For finding out which one fails. Knows names, TCP and TLS; refuses to know what the server is for.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator

from openclaw_client.transport import lookups
from openclaw_client.transport.ca_bundle import unverified
from openclaw_client.transport.failures import failure_of, tls_timeout, unreachable

GUESS = 2.0
"""Seconds for asking whether a server speaks something else than was tried: most answer in milliseconds."""

_HELLO = b"HEAD / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


async def look_up(host: str, port: int, shown: str, limit: float) -> list[str]:
    """The addresses of a name, each once. Raises Unreachable."""
    try:
        async with asyncio.timeout(limit):
            found = await lookups.look_up(host, port)
    except TimeoutError as error:
        raise unreachable("NAME_TIMEOUT", f"the name lookup was not answered within {limit:g} s", shown) from error
    except (OSError, UnicodeError) as error:
        what = f"the host name cannot be looked up ({getattr(error, 'strerror', None) or error})"
        raise unreachable("NAME_UNKNOWN", what, shown) from error
    return list({str(address[4][0]): None for address in found})


async def knock(host: str, port: int, shown: str, limit: float) -> str:
    """Open a TCP connection and leave; the address that took it. Raises Unreachable."""
    try:
        async with asyncio.timeout(limit), _opened(host, port, None) as (_, writer):
            return str(writer.get_extra_info("peername")[0])
    except TimeoutError as error:
        if error.errno:
            # The system's own, whose time limit is not the one that was given.
            raise unreachable(*failure_of(error, secure=False), shown) from error
        raise unreachable("TCP_TIMEOUT", f"no answer within {limit:g} s", shown) from error
    except OSError as error:
        raise unreachable(*failure_of(error, secure=False), shown) from error


async def shake_hands(host: str, port: int, context: ssl.SSLContext | None, shown: str, limit: float) -> str:
    """Do a TLS handshake and leave; what it agreed on. context None: the system's authorities. Raises Unreachable."""
    used = context if context is not None else ssl.create_default_context()
    try:
        async with asyncio.timeout(limit), _opened(host, port, used) as (_, writer):
            secured: ssl.SSLObject = writer.get_extra_info("ssl_object")
            until = (secured.getpeercert() or {}).get("notAfter")
            return f"{secured.version()}{f', certificate valid until {until}' if until else ''}"
    except TimeoutError as error:
        if error.errno:
            raise unreachable(*failure_of(error, secure=True), shown) from error
        raise tls_timeout(limit, shown) from error
    except OSError as error:
        raise unreachable(*failure_of(error, secure=True), shown) from error


async def speaks_tls(host: str, port: int) -> bool:
    """Whether a server takes a TLS handshake, whatever its certificate."""
    try:
        async with asyncio.timeout(GUESS), _opened(host, port, unverified()):
            return True
    except (OSError, TimeoutError):
        return False


async def speaks_http(host: str, port: int) -> bool:
    """Whether a server answers plain HTTP."""
    try:
        async with asyncio.timeout(GUESS), _opened(host, port, None) as (reader, writer):
            writer.write(_HELLO)
            return (await reader.read(5)).startswith(b"HTTP/")
    except (OSError, TimeoutError):
        return False


@contextlib.asynccontextmanager
async def _opened(
    host: str, port: int, context: ssl.SSLContext | None
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(host, port, ssl=context)
    try:
        yield reader, writer
    finally:
        # Without the closing alert of TLS: some servers never answer it.
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
