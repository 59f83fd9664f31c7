"""One GET: whole or an error, never more than was asked for, never a second request."""

from __future__ import annotations

import asyncio
import ssl
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from openclaw_client.errors import Unreachable
from openclaw_client.transport.fetching import MAX_INTERIM, BodyTooLong, BrokenAnswer, HttpAnswer, fetch
from openclaw_client.transport.opening import Target
from openclaw_client.transport.tunnel import MAX_HEAD
from tests.connect_proxy import ConnectProxy
from tests.transport.tls import Certificate, TlsRelay
from tests.waiting import until

OK = b"HTTP/1.1 200 OK\r\n"
SIZE = b"Content-Length: 5\r\n\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
PIECE = bytes(65_536)
LIMIT = 10


@dataclass
class Served:
    """A server with one answer. pieces: of 64 KiB, which it sends behind that, as fast as they are taken. heads: what
    it was asked; left: connections that the client has ended."""

    answer: bytes
    hold: bool = False
    pieces: int = 0
    port: int = 0
    heads: list[bytes] = field(default_factory=list)
    left: int = 0

    @property
    def target(self) -> Target:
        return Target(url=f"ws://127.0.0.1:{self.port}/gw?token=abc", shown="ws://127.0.0.1")

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(self.answer)
        try:
            for _ in range(self.pieces):
                writer.write(PIECE)
                await writer.drain()
            if self.hold:
                await reader.read()
                self.left += 1
        except ConnectionError:
            self.left += 1
        finally:
            writer.close()


@asynccontextmanager
async def serving(answer: bytes, *, hold: bool = False, pieces: int = 0) -> AsyncIterator[Served]:
    served = Served(answer, hold, pieces)
    async with await asyncio.start_server(served.serve, "127.0.0.1", 0) as server:
        served.port = server.sockets[0].getsockname()[1]
        yield served


WHOLE = {
    "a length": OK + SIZE + b"hello",
    "more than its length": OK + SIZE + b"hello, and what follows",
    "its length twice": OK + b"content-length: 5\r\n" + SIZE + b"hello",
    "to the end": OK + b"\r\nhello",
    "in pieces": CHUNKED + b"2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n",
    "pieces win over a length": OK
    + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n"
    + b"5\r\nhello\r\n0\r\n\r\n",
    "behind a first answer": b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK + SIZE + b"hello",
    "old": b"HTTP/1.0 200 OK\r\n\r\nhello",
}


@pytest.mark.parametrize("answer", WHOLE.values(), ids=WHOLE)
async def test_a_whole_answer(answer: bytes) -> None:
    async with serving(answer) as served:
        found = await fetch(served.target, "/x?t=1", LIMIT)
    assert (found.status, found.body) == (200, b"hello")
    assert found.told is (answer not in (WHOLE["to the end"], WHOLE["old"]))


@pytest.mark.parametrize("status", [204, 302, 401, 404, 500])
async def test_another_status_is_told_and_nothing_else_is_asked(status: int) -> None:
    answer = b"HTTP/1.1 %d No\r\nLocation: /elsewhere\r\n" % status + SIZE + b"hello"
    async with serving(answer) as served:
        assert await fetch(served.target, "/x", LIMIT) == HttpAnswer(status)
        assert len(served.heads) == 1


TOO_LONG: dict[str, tuple[bytes, int | None]] = {
    "by its length": (OK + b"Content-Length: 11\r\n\r\n", 11),
    "to the end": (OK + b"\r\n" + b"x" * 11, None),
    "in pieces": (CHUNKED + b"6\r\nhello \r\n6\r\nthere \r\n0\r\n\r\n", None),
}


@pytest.mark.parametrize(("answer", "size"), TOO_LONG.values(), ids=TOO_LONG)
async def test_more_than_is_taken(answer: bytes, size: int | None) -> None:
    async with serving(answer, hold=True) as served:
        with pytest.raises(BodyTooLong) as caught:
            await fetch(served.target, "/x", LIMIT)
        assert caught.value.size == size
        await until(lambda: served.left)


@pytest.mark.parametrize("head", [OK + b"Content-Length: 20971520\r\n\r\n", OK + b"\r\n"], ids=["told", "not told"])
async def test_memory_does_not_grow_with_what_is_not_taken(head: bytes) -> None:
    async with serving(head, pieces=320) as served:
        tracemalloc.start()
        try:
            with pytest.raises(BodyTooLong):
                await fetch(served.target, "/x", 100_000)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 1_000_000
        await until(lambda: served.left)


BROKEN = {
    "cut": (OK + SIZE + b"hel", "2 of 5 bytes missing"),
    "cut in a piece": (CHUNKED + b"5\r\nhel", "2 of 5 bytes missing"),
    "cut before a piece": (CHUNKED + b"5\r\nhello\r\n", "cut"),
    "a piece without a length": (CHUNKED + b"xyz\r\n", "no number"),
    "a piece of less than nothing": (CHUNKED + b"-5\r\nhello\r\n", "no number"),
    "a piece that no machine holds": (CHUNKED + b"f" * 16 + b"\r\n", "no number"),
    "nothing": (b"", "cut"),
    "no HTTP": (b"220 mail.example ESMTP\r\n\r\n", "as HTTP has it"),
    "no status": (b"HTTP/1.1 OK 200\r\n\r\n", "as HTTP has it"),
    "two lengths": (OK + b"Content-Length: 4\r\n" + SIZE + b"hello", "as HTTP has it"),
    "no length": (OK + b"Content-Length: five\r\n\r\nhello", "no number"),
    "a length of digits": (OK + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n", "no number"),
    "compressed": (OK + b"Content-Encoding: gzip\r\n" + SIZE + b"hello", "compressed"),
    "compressed, and not": (
        OK + b"Content-Encoding: gzip\r\nContent-Encoding: identity\r\n" + SIZE + b"hello",
        "compressed",
    ),
    "compressed on the way": (OK + b"Transfer-Encoding: gzip\r\n" + CHUNKED[len(OK) :] + b"0\r\n\r\n", "form"),
    "cut, with a space behind a name": (OK + b"Content-Length : 5\r\n\r\nhel", "2 of 5 bytes missing"),
    "a piece that goes on": (CHUNKED + b"2\r\nhello\r\n0\r\n\r\n", "longer than its length"),
    "in another form": (OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n", "form"),
    "first answers without an end": (b"HTTP/1.1 100 Continue\r\n\r\n" * (MAX_INTERIM + 1) + OK + SIZE, "as HTTP"),
    "a head without an end": (OK + b"X: " + b"x" * (2 * MAX_HEAD), "too long"),
}


@pytest.mark.parametrize(("answer", "what"), BROKEN.values(), ids=BROKEN)
async def test_what_is_no_whole_answer(answer: bytes, what: str) -> None:
    async with serving(answer) as served:
        with pytest.raises(BrokenAnswer, match=what):
            await fetch(served.target, "/x", LIMIT)


async def test_what_is_asked() -> None:
    async with serving(OK + SIZE + b"hello") as served:
        given = {"X-Real-Ip": "203.0.113.7", "user-agent": "mine"}
        await fetch(Target(url=served.target.url, shown="x", headers=given), "/x?t=1", LIMIT)
    first, *lines = served.heads[0].decode().split("\r\n")
    assert first == "GET /x?t=1 HTTP/1.1"
    assert sorted(line for line in lines if line) == [
        "Accept-Encoding: identity",
        "Accept: */*",
        "Connection: close",
        f"Host: 127.0.0.1:{served.port}",
        "X-Real-Ip: 203.0.113.7",
        "user-agent: mine",
    ]


async def test_cancelling_closes_the_socket() -> None:
    async with serving(OK + SIZE + b"hel", hold=True) as served:
        task = asyncio.create_task(fetch(served.target, "/x", LIMIT))
        await until(lambda: served.heads)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: served.left)


NOWHERE: dict[str, Callable[[int], Target]] = {
    "direct": lambda port: Target(url=f"ws://127.0.0.1:{port}", shown="ws://shown"),
    "through a proxy": lambda port: Target(
        url="ws://127.0.0.1:9", shown="ws://shown", proxy=f"http://127.0.0.1:{port}"
    ),
    "through SOCKS": lambda port: Target(
        url="ws://127.0.0.1:9", shown="ws://shown", proxy=f"socks5://127.0.0.1:{port}"
    ),
}


@pytest.mark.parametrize("target", NOWHERE.values(), ids=NOWHERE)
async def test_nobody_is_there(target: Callable[[int], Target]) -> None:
    async with serving(b"") as served:
        port = served.port
    with pytest.raises(Unreachable) as caught:
        await fetch(target(port), "/x?ticket=abc", LIMIT)
    proxied = target(port).proxy is not None
    assert caught.value.detail_code == ("PROXY_UNREACHABLE" if proxied else "CONNECTION_REFUSED")
    assert "abc" not in f"{caught.value!r} {caught.value.__cause__!r}"


async def test_a_proxy_says_nothing_in_the_name_of_the_host(tmp_path: Path) -> None:
    certificate, authority = Certificate.issued(tmp_path, "gateway")
    async with (
        serving(OK + SIZE + b"hello") as served,
        TlsRelay(served.target.url, certificate) as relay,
        ConnectProxy() as proxy,
    ):
        context = ssl.create_default_context(cafile=str(authority))
        target = Target(url=relay.url, shown="wss://shown", ssl_context=context, proxy=proxy.url)
        assert (await fetch(target, "/x", LIMIT)).body == b"hello"
        proxy.more = OK + SIZE + b"wrong"
        with pytest.raises(Unreachable) as caught:
            await fetch(target, "/x", LIMIT)
        assert caught.value.detail_code == "PROXY_REFUSED"


async def test_an_error_that_the_caller_deals_with_keeps_its_frames() -> None:
    async with serving(b"HTTP/1.1 403 No\r\n\r\n") as served:
        for target in (NOWHERE["direct"](9), NOWHERE["through a proxy"](served.port)):
            try:
                int("none")
            except ValueError as error:
                own = error
                with pytest.raises(Unreachable):
                    await fetch(target, "/x", LIMIT)
            assert own.__traceback__ is not None
