"""Files that an agent sends, through the clients: listed, fetched both ways, and kept from everybody else."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from openclaw_client import AgentFile, Credentials
from openclaw_client.errors import FileGone, FileTooLarge, MethodUnavailable, RequestFailed, UsageError
from tests.connect_proxy import ConnectProxy
from tests.contract.filing import Filing, filing
from tests.contract.targets import PATIENT, Target, device_store
from tests.contract.test_attachments import picture
from tests.faces import Face
from tests.files.front import Front
from tests.transport.tls import Certificate, TlsRelay

KNOWN = ("2026.8.1", "2026.9.6")
WITHOUT = ("2026.2.17", "2026.4.15")
"""Releases that have no such methods."""
PDF = b"%PDF-1.4\n" + bytes(range(256)) * 300 + b"\n%%EOF\n"
LONG = b"%PDF-1.4\n" + bytes(4 * 1024 * 1024)
"""A real gateway, as it is configured by default, sends 4 MiB and not 5.5 ("delivery-failed" stands in the place)."""
PAUSE = 0.05
"""Seconds between two looks: nothing tells when it is there."""
REPORT = "stub:say Here it is\\nMEDIA:./report.pdf"
LOOK = 'stub:call read {"path":"chart.png"}'


@pytest.fixture(scope="module")
def place(target: Target) -> Iterator[Filing]:
    with filing(target) as place:
        place.put("report.pdf", PDF)
        place.put("chart.png", picture())
        place.put("long.pdf", LONG)
        yield place


@pytest.fixture
async def proxy() -> AsyncIterator[ConnectProxy]:
    async with ConnectProxy() as made:
        yield made


def client_of(face: Face, place: Filing, url: str | None = None, **options: Any) -> Any:
    return face.client(url or place.url, token=place.token, identity=device_store(), timeouts=PATIENT, **options)


async def sent(client: Any, session: str, message: str) -> AgentFile:
    """The file of a session, once there is one: a real gateway prepares one behind the end of the run."""
    await client.chat_send(session_key=session, message=message)
    async with asyncio.timeout(PATIENT.request):
        while True:
            for file in await client.files(session_key=session):
                assert isinstance(file, AgentFile)
                return file
            await asyncio.sleep(PAUSE)


@pytest.mark.release(*KNOWN)
async def test_a_report_is_listed_and_comes_whole(face: Face, place: Filing, session: str, tmp_path: Path) -> None:
    async with client_of(face, place) as client:
        assert await client.files(session_key=session) == ()
        report = await sent(client, session, REPORT)
        assert (report.name, report.mime_type, report.size) == ("report.pdf", "application/pdf", len(PDF))
        assert (report.session_key, report.run_id is not None) == (session, True)
        assert await client.download(report) == PDF
        written = await client.download(report, to=tmp_path)
        assert (written.name, written.read_bytes()) == ("report.pdf", PDF)


@pytest.mark.release(*KNOWN)
async def test_a_picture_that_a_tool_looked_at_comes_in_the_answer(
    face: Face, place: Filing, session: str, tmp_path: Path
) -> None:
    async with Front(place.url) as front, client_of(face, place, front.url) as client:
        image = await sent(client, session, LOOK)
        assert (image.name, image.mime_type, image.size) == ("image 1", "image/png", len(picture()))
        assert await client.download(image) == picture()
        await client.download(image, to=tmp_path)
        assert front.gets == []
    assert os.listdir(tmp_path) == ["image 1.png"]


@pytest.mark.only(gateways="real")
@pytest.mark.release("2026.5.12", "2026.6.1", "2026.7.35")
async def test_older_releases_have_what_a_tool_looked_at(face: Face, place: Filing, session: str) -> None:
    async with client_of(face, place) as client:
        image = await sent(client, session, LOOK)
        assert (image.name, image.mime_type, image.run_id) == ("image 1", "image/png", None)
        assert await client.download(image) == picture()


@pytest.mark.only(gateways="real")
@pytest.mark.release("2026.5.12", "2026.6.1")
async def test_a_link_without_a_ticket_takes_the_gateways_own_secret(face: Face, place: Filing, session: str) -> None:
    async with client_of(face, place) as client:
        image = await sent(client, session, "stub:say Here\\nMEDIA:./chart.png")
        assert (image.mime_type, image.size, image.run_id) == ("image/png", None, None)
        with pytest.raises(RequestFailed, match="Authorization") as caught:
            await client.download(image)
        assert caught.value.code == "HTTP_401"
    async with client_of(face, place, headers={"Authorization": f"Bearer {place.token}"}) as client:
        assert await client.download(image) == picture()


@pytest.mark.release(*KNOWN)
async def test_through_a_pin(face: Face, place: Filing, session: str, tmp_path: Path) -> None:
    certificate = Certificate.make(tmp_path, "gateway")
    async with TlsRelay(place.url, certificate) as relay:
        async with client_of(face, place, relay.url, tls_fingerprint=certificate.fingerprint) as client:
            report = await sent(client, session, REPORT)
            assert await client.download(report) == PDF
        assert b"GET /api/chat/media/outgoing/" in relay.received


@pytest.mark.release(*KNOWN)
async def test_through_a_proxy(face: Face, place: Filing, session: str, proxy: ConnectProxy) -> None:
    async with client_of(face, place, proxy=proxy.url) as client:
        report = await sent(client, session, REPORT)
        before = len(proxy.asked)
        assert await client.download(report) == PDF
        assert len(proxy.asked) == before + 1


@pytest.mark.release(*KNOWN)
async def test_what_is_too_large_is_refused_before_it_is_read(face: Face, place: Filing, session: str) -> None:
    async with Front(place.url) as front, client_of(face, place, front.url) as client:
        long = await sent(client, session, "stub:say MEDIA:./long.pdf")
        assert long.size == len(LONG)
        # Also where the caller's list did not say how long it is.
        for size in (len(LONG), None):
            file = AgentFile(long.artifact_id, long.name, long.mime_type, size, session)
            with pytest.raises(FileTooLarge) as caught:
                await client.download(file, max_bytes=1024 * 1024)
            assert caught.value.size == len(LONG)
        assert front.gets == []
        assert await client.download(long) == LONG


@pytest.mark.release(*KNOWN)
async def test_another_users_file_is_refused(face: Face, place: Filing, session: str) -> None:
    devices = {user: device_store() for user in ("ada", "grace")}
    manager = face.manager(lambda user: Credentials(place.url, token=place.token, identity=devices[user]))
    try:
        ada, grace = [await manager.connection_for(user) for user in ("ada", "grace")]
        report = await sent(ada, session, REPORT)
        for call in (grace.files(session_key=session), grace.download(report)):
            with pytest.raises(UsageError, match="none of this client's; nothing was sent"):
                await call
        own = f"{session}-own"
        await grace.chat_send(session_key=own, message="stub:echo hi")
        assert await grace.files(session_key=own) == ()
        # The gateway itself looks in the session that is named.
        with pytest.raises(FileGone):
            await grace.download(AgentFile(report.artifact_id, report.name, report.mime_type, report.size, own))
        assert await ada.download(report) == PDF
    finally:
        await manager.close()


@pytest.mark.release(*KNOWN)
async def test_a_reset_takes_the_file_along(face: Face, place: Filing, session: str) -> None:
    async with client_of(face, place, scopes=["read", "write", "admin"]) as client:
        report = await sent(client, session, REPORT)
        await client.request("sessions.reset", {"key": session})
        assert await client.files(session_key=session) == ()
        with pytest.raises(FileGone, match=r"report\.pdf"):
            await client.download(report)


@pytest.mark.release(*WITHOUT)
async def test_releases_without_files_say_so(face: Face, target: Target, session: str) -> None:
    file = AgentFile("artifact_managed_media_1", "x", "text/plain", 1, session)
    async with face.client(target.url, token=target.token, identity=device_store(), timeouts=PATIENT) as client:
        for call in (client.files(session_key=session), client.download(file)):
            with pytest.raises(MethodUnavailable, match=r"2026\.5\.12 or later"):
                await call
