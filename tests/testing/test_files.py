"""Files that an agent of the embedded gateway sends: bounds, the life of tickets, releases that know none."""

from __future__ import annotations

import http.client
import time
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest

from openclaw_client.testing import PROFILES, BlockingEmbeddedGateway, Turn
from openclaw_client.testing import files as files_module
from openclaw_client.testing.files import MAX_FILE_BYTES, MAX_FILES, SentFile, Tickets, room_for
from tests.gateways.raw import RawClient
from tests.testing.helpers import RELEASES, connected

MINUTE = 60_000
"""Milliseconds."""


def fetched(gateway: BlockingEmbeddedGateway, path: str) -> tuple[int, bytes]:
    line = http.client.HTTPConnection("127.0.0.1", urlsplit(gateway.url).port, timeout=10)
    try:
        line.request("GET", path)
        answer = line.getresponse()
        return answer.status, answer.read()
    finally:
        line.close()


async def sends_text(turn: Turn) -> AsyncIterator[str]:
    turn.send_file("t.txt", b"words", "text/plain", way="reply")
    yield "here"


def listed(client: RawClient, session: str = "s") -> None:
    """Wait until the session has a file: they are prepared behind the end of a run."""
    deadline = time.monotonic() + 10
    while not client.request("artifacts.list", {"sessionKey": session})["artifacts"]:
        assert time.monotonic() < deadline


def link(client: RawClient, session: str = "s") -> str:
    listed(client, session)
    (one,) = client.request("artifacts.list", {"sessionKey": session})["artifacts"]
    got = client.request("artifacts.download", {"sessionKey": session, "artifactId": one["id"]})
    return str(got["url"])


def test_a_ticket_ends() -> None:
    tickets = Tickets(300.0)
    ticket, until = tickets.issue("/a", 0)
    assert until == 5 * MINUTE
    assert tickets.opens(ticket, "/a", until)
    assert not tickets.opens(ticket, "/a", until + 1)


@pytest.mark.parametrize("other", ["/b", "/a/", ""])
def test_a_ticket_opens_nothing_else(other: str) -> None:
    tickets = Tickets(300.0)
    assert not tickets.opens(tickets.issue("/a", 0)[0], other, 0)


def test_a_ticket_is_not_made_by_its_bearer() -> None:
    tickets = Tickets(300.0)
    ticket, until = tickets.issue("/a", 0)
    longer = ticket.replace(str(until), str(until + MINUTE))
    for forged in (
        longer,
        "",
        "v1",
        "v1..",
        "v1.x.y",
        f"v2.{until}.{ticket.rpartition('.')[2]}",
        Tickets(300.0).issue("/a", 0)[0],
    ):
        assert not tickets.opens(forged, "/a", 0), forged


def test_a_link_that_has_ended_is_refused() -> None:
    with BlockingEmbeddedGateway(sends_text, ticket_seconds=-1.0) as gateway, connected(gateway) as client:
        client.chat("s", "x")
        assert fetched(gateway, link(client))[0] == 401


def test_a_restart_keeps_the_file_and_makes_its_links_void() -> None:
    with BlockingEmbeddedGateway(sends_text) as gateway:
        with connected(gateway) as client:
            client.chat("s", "x")
            before = link(client)
        assert fetched(gateway, before) == (200, b"words")
        gateway.restart()
        assert fetched(gateway, before)[0] == 401
        with connected(gateway) as client:
            assert fetched(gateway, link(client)) == (200, b"words")


def test_a_deleted_session_takes_its_files_along() -> None:
    with BlockingEmbeddedGateway(sends_text) as gateway, connected(gateway) as client:
        client.chat("s", "x")
        url = link(client)
        client.request("sessions.delete", {"key": "s"})
        assert fetched(gateway, url)[0] == 404
        assert client.request("artifacts.list", {"sessionKey": "s"}) == {"artifacts": []}


def test_a_large_file_comes_whole() -> None:
    whole = bytes(range(256)) * 40_000

    async def agent(turn: Turn) -> AsyncIterator[str]:
        turn.send_file("t.pdf", whole, "application/pdf", way="reply")
        yield "here"

    with BlockingEmbeddedGateway(agent) as gateway, connected(gateway) as client:
        client.chat("s", "x")
        assert fetched(gateway, link(client)) == (200, whole)


def test_without_authentication_no_ticket_is_needed() -> None:
    with BlockingEmbeddedGateway(sends_text, auth="none") as gateway, connected(gateway, token=None) as client:
        client.chat("s", "x")
        assert fetched(gateway, link(client).partition("?")[0]) == (200, b"words")


def test_pages_of_images() -> None:
    async def agent(turn: Turn) -> AsyncIterator[str]:
        for number in range(6):
            turn.send_file(f"{number}.png", b"\x89PNG", "image/png", way="reply")
        yield "here"

    with BlockingEmbeddedGateway(agent) as gateway, connected(gateway) as client:
        client.chat("s", "x")
        listed(client)
        wanted = {"sessionKey": "s", "type": "image"}
        first = client.request("artifacts.list", wanted)
        second = client.request("artifacts.list", {**wanted, "cursor": first["nextCursor"]})
        assert [one["title"] for one in first["artifacts"]] == ["5.png", "4.png", "3.png", "2.png"]
        assert ([one["title"] for one in second["artifacts"]], "nextCursor" in second) == (["1.png", "0.png"], False)


@pytest.mark.parametrize("release", [one for one in RELEASES if not PROFILES[one].files])
def test_a_release_of_which_nothing_is_known_says_so(release: str) -> None:
    errors: list[str] = []

    async def agent(turn: Turn) -> AsyncIterator[str]:
        try:
            turn.send_file("t.txt", b"words", "text/plain")
        except Exception as error:  # noqa: BLE001 - what it says is looked at
            errors.append(str(error))
        yield "here"

    with (
        BlockingEmbeddedGateway(agent, release=release) as gateway,
        connected(gateway, client_id="cli", client_mode="cli") as client,
    ):
        client.chat("s", "x")
    assert f"it is not known how {release} sends files" in errors[0]


def test_only_an_image_is_what_a_tool_looked_at() -> None:
    errors: list[str] = []

    async def agent(turn: Turn) -> AsyncIterator[str]:
        try:
            turn.send_file("t.txt", b"words", "text/plain", way="result")
        except Exception as error:  # noqa: BLE001 - what it says is looked at
            errors.append(str(error))
        yield "here"

    with BlockingEmbeddedGateway(agent) as gateway, connected(gateway) as client:
        client.chat("s", "x")
        assert client.request("artifacts.list", {"sessionKey": "s"}) == {"artifacts": []}
    assert "holds images" in errors[0]


def sent(data: bytes = b"") -> SentFile:
    return SentFile(name="t", mime_type="text/plain", session_key="s", data=data)


def test_what_is_kept_is_bounded() -> None:
    assert room_for(0, iter([sent()] * (MAX_FILES - 1)))
    assert not room_for(0, iter([sent()] * MAX_FILES))
    half = sent(bytes(MAX_FILE_BYTES // 2))
    assert room_for(MAX_FILE_BYTES // 2, iter([half]))
    assert not room_for(MAX_FILE_BYTES // 2 + 1, iter([half]))


def test_an_agent_is_told_that_there_is_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files_module, "MAX_FILES", 1)
    with BlockingEmbeddedGateway(sends_text) as gateway, connected(gateway) as client:
        assert client.chat("s", "x").state == "final"
        failed = client.chat("s", "again")
        assert failed.state == "error"
        assert "keeps no more files" in failed.events[-1]["errorMessage"]
        client.request("sessions.reset", {"key": "s"})
        assert client.chat("s", "once more").state == "final"


def test_the_bytes_are_in_no_repr() -> None:
    assert "secret" not in repr(sent(b"secret"))
