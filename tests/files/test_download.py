"""Files of agents through the clients: both ways of the gateways, what stands in between, and what goes wrong."""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
import stat
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from openclaw_client import AgentFile, AsyncGatewayClient, DeviceIdentity, MemoryIdentityStore, Timeouts
from openclaw_client.errors import (
    ClientClosed,
    FileGone,
    FileTooLarge,
    GatewayError,
    NotConnected,
    ProtocolViolation,
    RequestError,
    RequestFailed,
    RequestTimeout,
    TlsPinMismatch,
    UsageError,
)
from openclaw_client.testing import BlockingEmbeddedGateway
from tests.connect_proxy import ConnectProxy
from tests.faces import Face
from tests.files.front import PDF, PNG, Front, answer, sender
from tests.transport.tls import Certificate, TlsRelay
from tests.waiting import until

RELEASE = "2026.9.6"
Make = Callable[..., Any]


@pytest.fixture
def gateway() -> Iterator[BlockingEmbeddedGateway]:
    with BlockingEmbeddedGateway(sender, release=RELEASE) as gateway:
        yield gateway


@pytest.fixture
def make(face: Face, gateway: BlockingEmbeddedGateway) -> Make:
    """A client of this face for a URL, the gateway's own unless told."""

    def client(url: str | None = None, **options: Any) -> Any:
        options = {"timeouts": Timeouts(connect=20, request=20), "token": gateway.token, **options}
        return face.client(url or gateway.url, identity=MemoryIdentityStore(DeviceIdentity.generate()), **options)

    return client


@pytest.fixture
async def proxy() -> AsyncIterator[ConnectProxy]:
    async with ConnectProxy() as made:
        yield made


async def sent(client: Any, message: str = "report") -> tuple[AgentFile, ...]:
    """What the agent sends in a session."""
    await client.chat_send(session_key="web", message=message)
    files: tuple[AgentFile, ...] = await client.files(session_key="web")
    return files


async def test_both_ways_give_the_bytes(make: Make) -> None:
    async with make() as client:
        assert await client.files(session_key="web") == ()
        report, picture = await sent(client)
        assert (report.name, report.mime_type, report.size) == ("report.pdf", "application/pdf", len(PDF))
        assert (report.session_key, picture.mime_type) == ("web", "image/png")
        assert report.run_id == picture.run_id is not None
        assert await client.download(report) == PDF
        assert await client.download(picture) == PNG


async def test_a_folder_and_a_path(make: Make, tmp_path: Path) -> None:
    async with make() as client:
        report, picture = await sent(client)
        assert await client.download(report, to=tmp_path) == tmp_path / "report.pdf"
        assert await client.download(report, to=str(tmp_path)) == tmp_path / "report (1).pdf"
        assert await client.download(picture, to=tmp_path / "report.pdf") == tmp_path / "report.pdf"
        assert (tmp_path / "report.pdf").read_bytes() == PNG
        assert (tmp_path / "report (1).pdf").read_bytes() == PDF
        assert stat.S_IMODE((tmp_path / "report.pdf").stat().st_mode) == 0o600
        with pytest.raises(OSError, match="no such folder"):
            await client.download(report, to=f"{tmp_path}/nowhere/")


async def test_another_process_gets_it_too(make: Make) -> None:
    async with make() as first, make() as second:
        report, _ = await sent(first)
        assert await second.download(report) == PDF


# Whom it trusts, and by which way it goes.


async def test_through_a_pin(make: Make, gateway: BlockingEmbeddedGateway, tmp_path: Path) -> None:
    own, other = Certificate.make(tmp_path, "own"), Certificate.make(tmp_path, "other")
    async with TlsRelay(gateway.url, own) as relay, make(relay.url, tls_fingerprint=own.fingerprint) as client:
        report, _ = await sent(client)
        assert await client.download(report) == PDF
    # The look of the pin and the connection itself are shown the right one, and then another.
    async with TlsRelay(gateway.url, own, own, other) as relay:
        async with make(relay.url, tls_fingerprint=own.fingerprint) as client:
            with pytest.raises(TlsPinMismatch):
                await client.download(report)
        assert b"GET /api" not in relay.received


async def test_through_an_authority_of_ones_own(make: Make, gateway: BlockingEmbeddedGateway, tmp_path: Path) -> None:
    certificate, authority = Certificate.issued(tmp_path, "gateway")
    context = ssl.create_default_context(cafile=str(authority))
    async with TlsRelay(gateway.url, certificate) as relay:
        for trust in ({"ca_file": authority}, {"ssl_context": context}):
            async with make(relay.url, **trust) as client:
                report, _ = (await sent(client))[-2:]
                assert await client.download(report) == PDF


async def test_through_a_proxy(make: Make, gateway: BlockingEmbeddedGateway, proxy: ConnectProxy) -> None:
    async with make(proxy=proxy.url) as client:
        report, _ = await sent(client)
        assert await client.download(report) == PDF
        assert proxy.asked == [f"CONNECT 127.0.0.1:{gateway.port} HTTP/1.1"] * 2
        proxy.refuse = True
        with pytest.raises(GatewayError, match="the proxy did not connect it") as caught:
            await client.download(report)
        assert getattr(caught.value, "detail_code", None) == "PROXY_REFUSED"


async def test_through_a_proxy_with_tls(
    make: Make, gateway: BlockingEmbeddedGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proxy: ConnectProxy
) -> None:
    certificate, authority = Certificate.issued(tmp_path, "both")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    async with TlsRelay(gateway.url, certificate) as relay, TlsRelay(proxy.url, certificate) as secured:
        for url in (proxy.url, secured.url.replace("wss:", "https:")):
            async with make(relay.url, ca_file=authority, proxy=url) as client:
                report, _ = (await sent(client))[-2:]
                assert await client.download(report) == PDF


async def test_behind_a_path_with_headers(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    async with Front(gateway.url, base=b"/gw") as front:
        options = {"headers": {"X-Access": "canary-access-token"}}
        async with make(f"{front.url}/gw/?token=canary-query", **options) as client:
            report, _ = await sent(client)
            assert await client.download(report) == PDF
        (head,) = front.gets
        assert head.startswith(b"GET /gw/api/chat/media/outgoing/")
        assert b"X-Access: canary-access-token\r\n" in head
        assert b"canary-query" not in head
        assert gateway.token is not None
        assert gateway.token.encode() not in head


# What the server says instead.


@pytest.mark.parametrize("status", [401, 403, 410])
async def test_a_ticket_that_is_over_is_renewed_once(make: Make, gateway: BlockingEmbeddedGateway, status: int) -> None:
    async with Front(gateway.url, [answer(status)]) as front, make(front.url) as client:
        report, _ = await sent(client)
        assert await client.download(report) == PDF
        # Not by the tickets: two of one millisecond are the same.
        assert len(front.gets) == 2
        assert gateway.seen.requests["artifacts.download"] == 2
        front.answers = [answer(status)] * 3
        front.gets.clear()
        with pytest.raises(FileGone if status == 410 else RequestFailed, match=r"report\.pdf|HTTP 40"):
            await client.download(report)
        assert len(front.gets) == 2


async def test_tickets_that_never_count(make: Make, face: Face) -> None:
    with BlockingEmbeddedGateway(sender, release=RELEASE, ticket_seconds=-1) as gateway:
        async with make(gateway.url, token=gateway.token) as client:
            report, _ = await sent(client)
            with pytest.raises(RequestFailed) as caught:
                await client.download(report)
    assert caught.value.code == "HTTP_401"


REFUSED: dict[str, tuple[bytes, type[GatewayError], str]] = {
    "gone": (answer(404), FileGone, "no more"),
    "a redirect": (answer(302, "Location: http://127.0.0.1:9/x"), RequestFailed, "HTTP 302"),
    "a broken front": (answer(502), RequestFailed, "HTTP 502"),
    "a login": (
        answer(200, "Content-Type: Text/HTML; charset=utf-8", body=b"<form>"),
        RequestError,
        r"a web page .*nothing was written.*headers=",
    ),
    "cut": (answer(200, body=b"hello")[:-2], RequestError, "2 of 5 bytes missing"),
    "cut, of a length that only the gateway told": (
        *(b"HTTP/1.1 200 OK\r\n\r\nhello", RequestError, f"{len(PDF) - 5} of {len(PDF)} bytes missing"),
    ),
    "no HTTP": (b"hello\r\n\r\n", RequestError, "as HTTP has it"),
    "longer than it was said to be": (answer(200, body=bytes(20_000)), FileTooLarge, "20000 bytes"),
}


@pytest.mark.parametrize(("said", "kind", "words"), REFUSED.values(), ids=REFUSED)
async def test_an_answer_that_is_not_the_file(
    make: Make, gateway: BlockingEmbeddedGateway, said: bytes, kind: type[GatewayError], words: str, tmp_path: Path
) -> None:
    async with Front(gateway.url, [said]) as front, make(front.url) as client:
        report, _ = await sent(client)
        with pytest.raises(kind, match=words):
            await client.download(report, to=tmp_path / "x", max_bytes=len(PDF))
        assert len(front.gets) == 1
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("told", ["text/html", "application/octet-stream"])
async def test_a_page_that_an_agent_sent_is_one(make: Make, gateway: BlockingEmbeddedGateway, told: str) -> None:
    page = answer(200, "Content-Type: text/html", body=b"<p>")
    async with Front(gateway.url, [page]) as front, make(front.url) as client:
        report, _ = await sent(client)
        assert await client.download(replace(report, mime_type=told, size=3)) == b"<p>"


async def test_the_gateway_has_it_no_more(make: Make) -> None:
    async with make(scopes=["read", "write", "admin"]) as client:
        report, picture = await sent(client)
        await client.request("sessions.reset", {"key": "web"})
        for file in (report, picture):
            with pytest.raises(FileGone) as caught:
                await client.download(file)
            assert (caught.value.artifact_id, caught.value.name) == (file.artifact_id, file.name)


async def test_what_is_too_large_is_not_read(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    async with Front(gateway.url) as front, make(front.url) as client:
        (huge,) = await sent(client, "huge")
        unsized = AgentFile(huge.artifact_id, huge.name, huge.mime_type, None, huge.session_key)
        for file in (huge, unsized):
            with pytest.raises(FileTooLarge) as caught:
                await client.download(file)
            assert (caught.value.size, caught.value.limit) == (20 * 1024 * 1024, 12 * 1024 * 1024)
        assert front.gets == []
        assert len(await client.download(huge, max_bytes=20 * 1024 * 1024)) == huge.size
        _, report, picture = await sent(client)
        for file in (report, picture):
            with pytest.raises(FileTooLarge):
                await client.download(file, max_bytes=(file.size or 0) - 1)


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        ({"url": "//evil.example/x?mediaTicket=canary-ticket"}, "a link that does not lead to this gateway"),
        ({"url": "http://127.0.0.1:9/x?mediaTicket=canary-ticket"}, "a link that does not lead to this gateway"),
        ({"encoding": "base64", "data": "canary-ticket"}, "no base64"),
        ({}, "neither the file nor a link"),
    ],
)
async def test_an_answer_that_cannot_be_followed(
    make: Make, gateway: BlockingEmbeddedGateway, payload: dict[str, str], words: str
) -> None:
    gateway.method("artifacts.download", lambda _params, _caller: payload)
    async with make() as client:
        report, _ = await sent(client)
        with pytest.raises(ProtocolViolation, match=words) as caught:
            await client.download(report)
        assert "canary-ticket" not in repr(caught.value)


# Waits, and what is written about them.


class Silent:
    """A server that never says a word. left: connections that the client has ended."""

    def __init__(self) -> None:
        self.left = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        self.left += 1


@pytest.fixture
async def silent() -> AsyncIterator[tuple[Silent, tuple[str, int]]]:
    made = Silent()
    async with await asyncio.start_server(made.serve, "127.0.0.1", 0) as server:
        yield made, server.sockets[0].getsockname()[:2]


async def test_every_wait_has_an_end(
    make: Make, gateway: BlockingEmbeddedGateway, silent: tuple[Silent, tuple[str, int]], tmp_path: Path
) -> None:
    nobody, place = silent
    async with Front(gateway.url) as front, make(front.url) as client:
        report, _ = await sent(client)
        front._target = place
        with pytest.raises(RequestTimeout, match=r"0\.2 s"):
            await client.download(report, to=tmp_path, timeout=0.2)
        await until(lambda: nobody.left)
    assert os.listdir(tmp_path) == []


async def test_closing_the_client_ends_it(
    make: Make, gateway: BlockingEmbeddedGateway, silent: tuple[Silent, tuple[str, int]], tmp_path: Path
) -> None:
    nobody, place = silent
    async with Front(gateway.url) as front, make(front.url) as client:
        report, _ = await sent(client)
        front._target = place
        task = asyncio.ensure_future(client.download(report, to=tmp_path, timeout=20))
        await until(lambda: front.gets)
        await client.disconnect()
        with pytest.raises(ClientClosed, match=r"disconnect\(\) was called"):
            await task
        await until(lambda: nobody.left)
        front._target = ("127.0.0.1", gateway.port)
        await client.connect()
        assert await client.download(report) == PDF
    assert os.listdir(tmp_path) == []


async def test_a_disk_that_hangs_is_not_waited_for(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    works, sync = threading.Event(), os.fsync

    def hang(descriptor: int) -> None:
        works.wait(20)
        sync(descriptor)

    async with make() as client:
        report, _ = await sent(client)
        monkeypatch.setattr(os, "fsync", hang)
        with pytest.raises(RequestTimeout, match=r"0\.2 s.*may be there whole"):
            await client.download(report, to=tmp_path / "x", timeout=0.2)
        assert not (tmp_path / "x").exists()
        works.set()
        await until((tmp_path / "x").exists)
    assert (tmp_path / "x").read_bytes() == PDF


async def test_cancelling_ends_it(gateway: BlockingEmbeddedGateway, silent: tuple[Silent, tuple[str, int]]) -> None:
    nobody, place = silent
    identity = MemoryIdentityStore(DeviceIdentity.generate())
    async with (
        Front(gateway.url) as front,
        AsyncGatewayClient(front.url, token=gateway.token, identity=identity) as client,
    ):
        report, _ = await sent(client)
        front._target = place
        task = asyncio.create_task(client.download(report))
        await until(lambda: front.gets)
        assert client.busy
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not client.busy
        await until(lambda: nobody.left)


async def test_no_ticket_is_written_anywhere(
    make: Make, gateway: BlockingEmbeddedGateway, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with Front(gateway.url, [answer(401), answer(401)]) as front, make(front.url) as client:
        report, _ = await sent(client)
        with pytest.raises(RequestFailed) as caught:
            await client.download(report)
        tickets = [head.split()[1].decode().partition("mediaTicket=")[2] for head in front.gets]
    assert all(len(ticket) > 20 for ticket in tickets)
    written = f"{caplog.text} {caught.value!r} {caught.value.__dict__} {report!r}"
    assert not any(ticket in written for ticket in tickets)
    # The frame itself is in the log: a test that looked at nothing would pass as well.
    assert "mediaTicket=…" in caplog.text


# Whose files.


async def test_a_client_with_sessions_has_the_files_of_these(make: Make) -> None:
    async with make() as everybody, make(sessions=["mine"]) as client:
        report, _ = await sent(everybody)
        for call in (client.files(session_key="web"), client.download(report)):
            with pytest.raises(UsageError, match="none of this client's; nothing was sent"):
                await call
        await client.chat_send(session_key="agent:main:mine", message="report")
        own, _ = await client.files(session_key="mine")
        assert await client.download(own) == PDF
        # The gateway looks for a file in the session that is named.
        foreign = AgentFile(report.artifact_id, report.name, report.mime_type, report.size, "mine")
        with pytest.raises(FileGone):
            await client.download(foreign)


async def test_a_gateways_mistake_is_not_handed_on(make: Make, gateway: BlockingEmbeddedGateway) -> None:
    theirs = {"id": "a", "title": "x", "sessionKey": "agent:main:theirs"}
    gateway.method("artifacts.list", lambda _params, _caller: {"artifacts": [theirs]})
    gateway.method("artifacts.download", lambda _params, _caller: {"artifact": theirs, "data": "aGVsbG8="})
    file = AgentFile("a", "x", "text/plain", 5, "mine")
    async with make() as everybody, make(sessions=["mine"]) as client:
        assert len(await everybody.files(session_key="mine")) == 1
        assert await everybody.download(file) == b"hello"
        assert await client.files(session_key="mine") == ()
        with pytest.raises(ProtocolViolation, match="another session"):
            await client.download(file)


async def test_users_of_a_manager_do_not_get_each_others(face: Face, gateway: BlockingEmbeddedGateway) -> None:
    from openclaw_client import Credentials

    devices = {user: MemoryIdentityStore(DeviceIdentity.generate()) for user in ("ada", "grace")}
    manager = face.manager(lambda user: Credentials(gateway.url, token=gateway.token, identity=devices[user]))
    try:
        ada, grace = [await manager.connection_for(user) for user in ("ada", "grace")]
        report, _ = await sent(ada)
        for call in (grace.files(session_key="web"), grace.download(report)):
            with pytest.raises(UsageError, match="none of this client's"):
                await call
        # Nor by asking again: to be refused makes it no session of hers.
        with pytest.raises(UsageError):
            await grace.download(report)
        assert await ada.download(report) == PDF
    finally:
        await manager.close()


# What cannot work.


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"file": "artifact_1"}, "str is no AgentFile"),
        ({"max_bytes": 0}, "max_bytes=0"),
        ({"max_bytes": True}, "max_bytes=True"),
        ({"to": 5}, "to= is no path but int"),
        ({"timeout": -5}, "timeout=-5"),
    ],
)
async def test_arguments_that_cannot_work(make: Make, arguments: dict[str, Any], words: str) -> None:
    arguments = {"file": AgentFile("a", "a", "text/plain", 1, "web"), **arguments}
    async with make() as client:
        with pytest.raises(UsageError, match=words):
            await client.download(arguments.pop("file"), **arguments)
        with pytest.raises(UsageError, match="session key is empty"):
            await client.files(session_key="")


async def test_a_client_that_is_not_connected(make: Make) -> None:
    client = make()
    with pytest.raises(NotConnected):
        await client.files(session_key="web")
    with pytest.raises(NotConnected):
        await client.download(AgentFile("a", "a", "text/plain", 1, "web"))
