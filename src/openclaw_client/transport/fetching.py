"""One GET over a socket of its own: no redirect, no cookie, no second request, and never more than the caller takes.

Knows HTTP/1.1 as far as one answer goes. Refuses to know what is fetched; the path is never part of an error.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple
from urllib.parse import SplitResult, urlsplit

from openclaw_client.transport.failures import failure_of, unreachable
from openclaw_client.transport.opening import Target
from openclaw_client.transport.sockets import open_streams
from openclaw_client.transport.tunnel import MAX_HEAD, NoTunnel, Streams, open_tunnel
from openclaw_client.version import __version__

MAX_INTERIM: Final = 8
"""Answers of status 1xx before the one that counts; servers send one or two."""
READ_BYTES: Final = 65_536
"""Read at a time; as much again may wait in asyncio's reader."""
_OK: Final = 200
_FINAL: Final = range(200, 600)
_CODINGS: Final = ("transfer-encoding", "content-encoding")
_DIGITS: Final = 15
"""Of a length that is read: a petabyte. Python refuses numbers of 5,000 digits."""


class BodyTooLong(Exception):
    """The body is over the limit; size: as the server says it, None where it says nothing and too much came."""

    def __init__(self, size: int | None) -> None:
        super().__init__(size)
        self.size = size


class BrokenAnswer(Exception):
    """What came is no whole answer; what: why, in words of this package."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """body: empty but for status 200. told: whether the server said where it ends; else it may have been cut.
    media_type: what it says that the body is, in lower case and without parameters; "" where it does not say."""

    status: int
    body: bytes = field(default=b"", repr=False)
    told: bool = True
    media_type: str = ""


class _Head(NamedTuple):
    status: int
    headers: Mapping[str, str]


async def fetch(target: Target, path: str, max_bytes: int) -> HttpAnswer:
    """The answer to a GET of this path. url of the target: which server, whether with TLS; its own path counts not.

    Raises Unreachable, BodyTooLong, BrokenAnswer. When cancelled, the socket is closed.
    """
    # Without the query, which may hold a secret.
    parts = urlsplit(target.url.partition("?")[0])
    reader, writer = await _open(target, parts)
    try:
        writer.write(_request(target, parts, path))
        head = await _final_head(reader)
        if head.status != _OK:
            return HttpAnswer(head.status)
        told = _is_chunked(head.headers) or "content-length" in head.headers
        media_type = head.headers.get("content-type", "").partition(";")[0].strip().lower()
        return HttpAnswer(_OK, await _body(reader, head.headers, max_bytes), told, media_type)
    except asyncio.LimitOverrunError:
        raise BrokenAnswer("the server's answer begins with too long a line") from None
    except (OSError, asyncio.IncompleteReadError):
        raise BrokenAnswer("the connection was cut before the whole answer had come") from None
    finally:
        # Without the closing alert of TLS: some servers never answer it.
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _open(target: Target, parts: SplitResult) -> Streams:
    secure, host = parts.scheme == "wss", parts.hostname or ""
    port = parts.port or (443 if secure else 80)
    context = (target.ssl_context or ssl.create_default_context()) if secure else None
    try:
        if target.proxy is None:
            return await open_streams(host, port, context)
        return await open_tunnel(target.proxy, host, port, context)
    except NoTunnel as error:
        refused = error.refused
    except OSError as error:
        # Without its frames, whose variables hold the proxy's password.
        error.__traceback__ = error.__context__ = None
        raise unreachable(*failure_of(error, secure=secure), target.shown) from error
    # Here, so that it does not carry along the frames of the other error.
    if refused is None:
        raise unreachable("PROXY_UNREACHABLE", "the proxy cannot be reached", target.shown)
    said = f" (it answered {refused})" if refused else ""
    raise unreachable("PROXY_REFUSED", f"the proxy did not connect it{said}", target.shown)


def _request(target: Target, parts: SplitResult, path: str) -> bytes:
    headers = {
        "Host": parts.netloc if parts.netloc.isascii() else parts.netloc.encode("idna").decode(),
        "User-Agent": f"openclaw-client/{__version__}",
        "Accept": "*/*",
        "Accept-Encoding": "identity",
        "Connection": "close",
    }
    given = dict(target.headers or {})
    named = {name.lower() for name in given}
    kept = {name: value for name, value in headers.items() if name.lower() not in named} | given
    lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in kept.items()), "", ""]
    # As picows writes the same headers into the upgrade.
    return "\r\n".join(lines).encode()


async def _final_head(reader: asyncio.StreamReader) -> _Head:
    for _ in range(MAX_INTERIM + 1):
        head = read_head(await reader.readuntil(b"\r\n\r\n"))
        if head is None:
            break
        if head.status in _FINAL:
            return head
    raise BrokenAnswer("the server does not answer as HTTP has it")


def read_head(data: bytes) -> _Head | None:
    """Status and headers, these by their names in lower case; None for what is no HTTP/1.

    Of one name the last counts, of codings all of them. Two lengths that differ are None, too: each server and proxy
    reads them as it likes.
    """
    first, *lines = data[:MAX_HEAD].decode("latin-1").split("\r\n")
    words = first.split(" ", 2)
    if len(words) < 2 or not words[0].startswith("HTTP/1.") or len(words[1]) != 3 or not _is_number(words[1]):
        return None
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        name, value = name.lower().rstrip(), value.strip()
        if not colon:
            continue
        if name == "content-length" and headers.get(name, value) != value:
            return None
        # Of two codings the first was done first, and is a coding all the same.
        headers[name] = f"{headers[name]}, {value}" if name in headers and name in _CODINGS else value
    return _Head(int(words[1]), headers)


async def _body(reader: asyncio.StreamReader, headers: Mapping[str, str], max_bytes: int) -> bytes:
    if headers.get("content-encoding", "identity").lower() not in ("", "identity"):
        raise BrokenAnswer("the server sent it compressed, which was not asked for")
    chunked = _is_chunked(headers)
    if not chunked and headers.get("transfer-encoding", "").lower() not in ("", "identity"):
        raise BrokenAnswer("the server sent it in a form that was not asked for")
    length = headers.get("content-length") if not chunked else None
    if length is not None and (not _is_number(length) or len(length) > _DIGITS):
        raise BrokenAnswer("the server gives a length that is no number")
    size = None if length is None else int(length)
    if size is not None and size > max_bytes:
        raise BodyTooLong(size)
    body = bytearray()
    async for part in _chunks(reader) if chunked else _parts(reader, size):
        if len(body) + len(part) > max_bytes:
            raise BodyTooLong(None)
        body += part
    return bytes(body)


def _is_chunked(headers: Mapping[str, str]) -> bool:
    return headers.get("transfer-encoding", "").lower() == "chunked"


async def _parts(reader: asyncio.StreamReader, size: int | None) -> AsyncIterator[bytes]:
    """A body of so many bytes; None: to the end of the connection."""
    left = size
    while left is None or left:
        part = await reader.read(READ_BYTES if left is None else min(left, READ_BYTES))
        if not part:
            if left is not None:
                raise BrokenAnswer(f"the connection was cut with {left} of {size} bytes missing")
            return
        left = None if left is None else left - len(part)
        yield part


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while True:
        size = (await reader.readuntil(b"\r\n")).partition(b";")[0].strip()
        try:
            left = int(size, 16) if 0 < len(size) <= _DIGITS and size.isalnum() else -1
        except ValueError:
            left = -1
        if left < 0:
            raise BrokenAnswer("the server sent a piece whose length is no number")
        if not left:
            # What may follow is headers.
            return
        async for part in _parts(reader, left):
            yield part
        if await reader.readexactly(2) != b"\r\n":
            raise BrokenAnswer("the server sent a piece that is longer than its length")


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()
