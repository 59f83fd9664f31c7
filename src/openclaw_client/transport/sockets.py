"""TCP connections whose socket stays known to who asked for it, so that it can be ended at any moment."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl

from openclaw_client.transport.lookups import look_up


async def open_socket(host: str, port: int) -> socket.socket:
    """A connected socket that does not block; the host's addresses are tried in their order.

    Raises OSError, of the first address. When cancelled no socket is left behind.
    """
    loop = asyncio.get_running_loop()
    first: OSError | None = None
    for family, kind, number, _, address in await look_up(host, port):
        made: socket.socket | None = None
        try:
            # Also gevent's, where it has patched the module: the transports know a socket by that class.
            made = socket.socket(family, kind, number)
            made.setblocking(False)
            await loop.sock_connect(made, address)
        except OSError as error:
            first = first or error
            if made is not None:
                made.close()
        except BaseException:
            if made is not None:
                made.close()
            raise
        else:
            return made
    raise first or OSError("the host name has no address")


async def open_streams(
    host: str, port: int, context: ssl.SSLContext | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """`asyncio.open_connection` on such a socket. Raises OSError."""
    opened = await open_socket(host, port)
    try:
        name = host if context is not None else None
        return await asyncio.open_connection(sock=opened, ssl=context, server_hostname=name)
    except BaseException:
        end(opened)
        raise


def end(opened: socket.socket) -> None:
    """End a socket that something else may hold and close: the peer hears of it now, the holder in its next turn."""
    with contextlib.suppress(OSError):
        opened.shutdown(socket.SHUT_RDWR)
