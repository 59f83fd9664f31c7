"""Servers on loopback that are no gateway, for blocking and other clients: each lives in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from ssl import SSLContext

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextmanager
def serving(serve: Serve, tls: SSLContext | None = None) -> Iterator[int]:
    """The port of a server that treats every connection as `serve` does; all are cut at the end."""
    loop = asyncio.new_event_loop()
    writers: list[asyncio.StreamWriter] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            writer.transport.abort()

    async def end(server: asyncio.Server) -> None:
        server.close()
        for writer in writers:
            writer.transport.abort()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    thread = threading.Thread(target=loop.run_forever, name="test-server", daemon=True)
    thread.start()
    made = asyncio.run_coroutine_threadsafe(asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls), loop).result()
    try:
        yield made.sockets[0].getsockname()[1]
    finally:
        asyncio.run_coroutine_threadsafe(end(made), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@contextmanager
def deaf_after_handshake(tls: SSLContext) -> Iterator[int]:
    """The port of a TLS server that does one handshake and reads nothing more, not even the closing alert."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            # Cut short where the test failed before it connected.
            with contextlib.suppress(OSError), tls.wrap_socket(listening.accept()[0], server_side=True):
                over.wait()

        thread = threading.Thread(target=serve, name="test-server", daemon=True)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            over.set()
            with contextlib.suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)
            thread.join()


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Takes what comes and never says a word."""
    await reader.read()
    await asyncio.Event().wait()


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Ends every connection after the first bytes."""
    await reader.read(1)
    writer.transport.abort()


async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Speaks something else, like a mail server."""
    writer.write(b"220 mail.example ESMTP\r\n\r\n")
    await reader.read()


def web(head: str = "HTTP/1.1 200 OK", *headers: str, body: str = "<h1>It works</h1>") -> Serve:
    """A web server with one page."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        plain = (await reader.read(1)).isalpha()
        if plain:
            await reader.readuntil(b"\r\n\r\n")
        lines = [head if plain else "HTTP/1.1 400 Bad Request", f"Content-Length: {len(body)}", *headers, "", body]
        writer.write("\r\n".join(lines).encode())
        await writer.drain()
        writer.close()

    return serve
