"""Files that an agent sends, by raw frames and plain HTTP: rows, artifacts.*, links and tickets."""

from __future__ import annotations

import base64
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest

from tests.contract.filing import PATIENCE, Filing, filing, refused
from tests.contract.targets import Target
from tests.gateways.raw import Frame, RawDevice, RawRun

pytestmark = pytest.mark.release("2026.8.1", "2026.9.6")
"""The releases whose answers are known."""

Found = TypeVar("Found")

NEWEST = "2026.9.6"
PDF = b"%PDF-1.4\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF\n"
NOT_FOUND = {"code": "INVALID_REQUEST", "message": "artifact not found"}


def picture() -> bytes:
    """A red PNG of four by four."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compress(b"".join(b"\0" + b"\xff\0\0" * 4 for _ in range(4)))
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.fixture(scope="module")
def place(target: Target) -> Iterator[Filing]:
    with filing(target) as place:
        place.put("t.txt", b"hello file\n")
        place.put("t.pdf", PDF)
        place.put("t.png", picture())
        place.put("t.bin", bytes(range(256)))
        place.put("a bé.txt", b"x")
        yield place


class Talk:
    """A connection that watches one session, and every row that it was told of."""

    def __init__(self, place: Filing, session: str) -> None:
        self.session = session
        self.rows: list[Frame] = []
        self.told: list[str] = []
        self.finals: list[Frame] = []
        self.client = place.client(on_frame=self._saw)

    def _saw(self, way: str, frame: Frame) -> None:
        payload = frame.get("payload")
        if frame.get("event") == "session.message":
            self.told.append(payload["message"]["role"])
            if payload["message"]["role"] == "assistant":
                self.rows.append(payload["message"])
        if frame.get("event") == "chat" and payload["state"] == "final":
            self.finals.append(payload)

    def say(self, message: str) -> RawRun:
        self.client.request("sessions.messages.subscribe", {"key": self.session})
        return self.client.chat(self.session, message)

    def call(self, method: str, **params: object) -> Frame:
        return self.client.request(method, {"sessionKey": self.session, **params})

    def contents(self, role: str = "assistant", count: int = 1) -> list[list[Frame]]:
        """The contents of the rows of a role in the history, as soon as there are so many with something in them."""

        def found() -> list[list[Frame]]:
            rows = self.call("chat.history")["messages"]
            return [row["content"] for row in rows if row["role"] == role and row["content"]]

        return until(found, lambda contents: len(contents) >= count)

    def artifacts(self, count: int = 1) -> list[Frame]:
        return until(lambda: list(self.call("artifacts.list")["artifacts"]), lambda found: len(found) >= count)


def until(find: Callable[[], Found], enough: Callable[[Found], bool]) -> Found:
    """What is found, once it is enough: a real gateway prepares a file behind the end of the run."""
    deadline = time.monotonic() + PATIENCE
    while not enough(found := find()):
        assert time.monotonic() < deadline, found
        time.sleep(0.05)
    return found


@pytest.fixture
def talk(place: Filing, session: str) -> Iterator[Talk]:
    talk = Talk(place, session)
    with talk.client:
        yield talk


# Rows


def test_a_file_in_the_reply_stands_in_the_history_behind_the_words(talk: Talk) -> None:
    run = talk.say("stub:say Here it is\\nMEDIA:./t.pdf")
    assert run.text == "Here it is"
    (artifact,) = talk.artifacts()
    ((words, block),) = talk.contents()
    assert words == {"type": "text", "text": "Here it is"}
    assert [row["content"] for row in talk.rows] == [[words]]
    (key, ident) = (talk.session, artifact["id"].removeprefix("artifact_managed_media_"))
    assert block == {
        "type": "attachment",
        "attachment": {
            "artifactId": artifact["id"],
            "url": f"/api/chat/media/outgoing/agent%3Amain%3A{key}/{ident}/full",
            "kind": "document",
            "label": "t.pdf",
            "mimeType": "application/pdf",
            "sizeBytes": len(PDF),
        },
    }


def test_a_reply_that_is_only_a_file_has_no_words(talk: Talk) -> None:
    run = talk.say("stub:say MEDIA:./t.txt")
    assert (run.state, "message" in run.events[-1]) == ("final", False)
    talk.artifacts()
    ((block,),) = talk.contents()
    assert block["type"] == "attachment"
    assert [row["content"] for row in talk.rows] == [[{"type": "text", "text": ""}]]


def test_an_image_is_a_block_of_its_own(talk: Talk) -> None:
    talk.say("stub:say MEDIA:./t.png")
    (artifact,) = talk.artifacts()
    ((block,),) = talk.contents()
    ident = artifact["id"].removeprefix("artifact_managed_image_")
    url = f"/api/chat/media/outgoing/agent%3Amain%3A{talk.session}/{ident}/full"
    size = {"width": 4, "height": 4, "sizeBytes": len(picture())}
    whole = {"artifactId": artifact["id"], "url": url, "openUrl": url, "alt": "t.png", "mimeType": "image/png", **size}
    assert block == {"type": "image", **whole}
    assert (artifact["type"], artifact["title"]) == ("image", "t.png")


def test_what_no_gateway_sends_is_an_error_in_its_place(talk: Talk) -> None:
    talk.say("stub:say MEDIA:./t.bin")
    contents = until(talk.contents, lambda found: bool(found) and found[0][0]["type"] != "text")
    failed = {"code": "unsupported-format", "kind": "document", "label": "t.bin"}
    assert contents == [[{"type": "attachment_error", "attachment": failed}]]
    assert talk.call("artifacts.list") == {"artifacts": []}


def test_a_file_sent_with_a_tool_has_a_row_of_its_own_that_is_told(talk: Talk) -> None:
    run = talk.say('stub:call message {"action":"send","message":"see","media":"./t.txt"}')
    (artifact,) = talk.artifacts()
    row = next(row for row in talk.rows if row["content"] and row["content"][0].get("text") == "see")
    assert (row["provider"], row["model"], row["stopReason"]) == ("openclaw", "delivery-mirror", "stop")
    assert row["content"][1]["attachment"]["artifactId"] == artifact["id"]
    assert row["idempotencyKey"].startswith(f"{run.run_id}:message-tool:")
    assert row["__openclaw"]["runId"] == run.run_id == artifact["runId"]
    assert row["content"] in talk.contents(count=2)
    # Told once more as if it were a reply.
    last = until(lambda: _pumped(talk), lambda finals: len(finals) == 2)[-1]
    assert "toolResult" not in talk.told
    assert (last["runId"], last["seq"], last["message"]["text"]) == (run.run_id, 1, "see")


def _pumped(talk: Talk) -> list[Frame]:
    talk.call("chat.history", limit=1)
    return talk.finals


# artifacts.*


def test_the_list_and_one_of_it(talk: Talk) -> None:
    run = talk.say("stub:say MEDIA:./t.txt")
    (artifact,) = talk.artifacts()
    assert artifact == {
        "id": artifact["id"],
        "type": "file",
        "title": "t.txt",
        "mimeType": "text/plain",
        "sizeBytes": 11,
        "sessionKey": f"agent:main:{talk.session}",
        "runId": run.run_id,
        "messageSeq": 2,
        "source": "session-transcript",
        "download": {"mode": "url"},
    }
    assert talk.call("artifacts.list", runId=run.run_id) == {"artifacts": [artifact]}
    assert talk.call("artifacts.list", runId="another") == {"artifacts": []}
    assert talk.call("artifacts.get", artifactId=artifact["id"]) == {"artifact": artifact}


def test_an_image_that_a_tool_looked_at_comes_in_the_answer(place: Filing, talk: Talk) -> None:
    run = talk.say('stub:call read {"path":"t.png"}')
    (artifact,) = talk.artifacts()
    shown = {"type": "image", "title": "image 1", "mimeType": "image/png", "sizeBytes": len(picture())}
    where = {"sessionKey": f"agent:main:{talk.session}", "runId": run.run_id, "messageSeq": 3}
    assert artifact == {
        "id": artifact["id"],
        **shown,
        **where,
        "source": "session-transcript",
        "download": {"mode": "bytes"},
    }
    got = talk.call("artifacts.download", artifactId=artifact["id"])
    assert got == {"artifact": artifact, "encoding": "base64", "data": base64.b64encode(picture()).decode()}
    ((_, block),) = talk.contents("toolResult")
    assert (block["type"], block["omitted"], block["bytes"]) == ("image", True, len(picture()))
    if place.release != NEWEST:
        assert "artifactId" not in block
        return
    # The newest release finds it by the id of its row, too, where it is called by another name.
    other = talk.call("artifacts.download", artifactId=block["artifactId"])
    assert (other["data"], other["artifact"]["title"]) == (got["data"], "Image")


@pytest.mark.release(NEWEST)
def test_an_image_that_a_tool_looked_at_by_a_link_of_this_connection(place: Filing, talk: Talk) -> None:
    talk.say('stub:call read {"path":"t.png"}')
    (artifact,) = talk.artifacts()
    got = talk.call("artifacts.download", artifactId=artifact["id"], transport="http")
    assert got["artifact"]["download"] == {"mode": "url"}
    assert got["url"].startswith(f"/api/artifacts/download/{talk.client.hello['server']['connId']}/")
    answer = place.get(got["url"])
    assert (answer.status, answer.body) == (200, picture())
    assert (answer.headers["content-type"], answer.headers["cache-control"]) == ("image/png", "private, no-store")
    assert place.get(got["url"][:-3] + "abc").status == 404
    talk.client.close()
    until(lambda: place.get(got["url"]).status, lambda status: status == 404)


REFUSED = (
    ("artifacts.list", {"sessionKey": None}, "artifacts require one of sessionKey, runId, or taskId"),
    ("artifacts.list", {"sessionKey": None, "runId": "nobody's"}, "no session found for artifact query"),
    ("artifacts.list", {"x": 1}, "invalid artifacts.list params: at root: unexpected property 'x'"),
    ("artifacts.get", {}, "invalid artifacts.get params: must have required property 'artifactId'"),
    ("artifacts.get", {"artifactId": "nobody's"}, "artifact not found"),
    ("artifacts.download", {"artifactId": "nobody's"}, "artifact not found"),
    (
        "artifacts.download",
        {"artifactId": ""},
        "invalid artifacts.download params: at /artifactId: must not have fewer than 1 characters",
    ),
)


@pytest.mark.parametrize(("method", "params", "message"), REFUSED)
def test_refusals(place: Filing, session: str, method: str, params: Frame, message: str) -> None:
    given = {name: value for name, value in {"sessionKey": session, **params}.items() if value is not None}
    with place.client() as client:
        error = refused(client, method, given)
    assert (error["code"], error["message"]) == ("INVALID_REQUEST", message)
    kinds = {"artifact not found": "artifact_not_found", "no session found": "artifact_scope_not_found"}
    kinds["artifacts require one of"] = "artifact_query_unsupported"
    kind = next((kind for words, kind in kinds.items() if message.startswith(words)), None)
    assert (error.get("details") or {}).get("type") == kind


def test_a_session_that_is_not_there_has_no_files(place: Filing, session: str) -> None:
    with place.client() as client:
        assert client.request("artifacts.list", {"sessionKey": session}) == {"artifacts": []}


def test_who_may_not_read_gets_no_file(place: Filing, session: str) -> None:
    options = {"client_id": "cli", "client_mode": "cli", "device": RawDevice(), "scopes": ("operator.approvals",)}
    with place.client(**options) as client:
        error = refused(client, "artifacts.list", {"sessionKey": session})
    assert (error["code"], error["message"]) == ("FORBIDDEN", "missing scope: operator.read")


# Links


def link(talk: Talk, message: str) -> str:
    """The link of the only file of a reply."""
    talk.say(message)
    got = talk.call("artifacts.download", artifactId=talk.artifacts()[-1]["id"])
    assert got["artifact"].keys() == {
        *("id", "type", "title", "mimeType", "sizeBytes", "sessionKey", "source", "download")
    }
    assert got["expiresAt"].endswith("Z")
    return str(got["url"])


def test_a_link_is_all_that_is_needed_and_serves_more_than_once(place: Filing, talk: Talk) -> None:
    url = link(talk, "stub:say MEDIA:./t.pdf")
    for _ in range(2):
        answer = place.get(url)
        assert (answer.status, answer.body) == (200, PDF)
    expected = {
        "content-type": "application/pdf",
        "content-length": str(len(PDF)),
        "content-disposition": "attachment; filename=\"t.pdf\"; filename*=UTF-8''t.pdf",
        "cache-control": "private, max-age=300, immutable",
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
    }
    assert expected.items() <= answer.headers.items()


def test_a_name_that_no_header_holds(place: Filing, talk: Talk) -> None:
    answer = place.get(link(talk, "stub:say MEDIA:./a bé.txt"))
    assert answer.headers["content-disposition"] == (
        "attachment; filename=\"a b_.txt\"; filename*=UTF-8''a%20b%C3%A9.txt"
    )


def test_without_its_ticket_a_file_is_refused(place: Filing, talk: Talk) -> None:
    path, _, ticket = link(talk, "stub:say MEDIA:./t.txt").partition("?mediaTicket=")
    forged = ticket[:-3] + ("AAA" if ticket[-3:] != "AAA" else "BBB")
    for query in ("", "?mediaTicket=", f"?mediaTicket={forged}"):
        answer = place.get(path + query)
        assert (answer.status, answer.body) == (
            401,
            b'{"error":{"message":"Unauthorized","type":"unauthorized"}}',
        ), query
    assert place.get(path, {"Authorization": f"Bearer {place.token}"}).body == b"hello file\n"
    assert place.get(path, {"Authorization": "Bearer another"}).status == 401


def test_a_ticket_opens_one_file(place: Filing, talk: Talk) -> None:
    talk.say("stub:say both\\nMEDIA:./t.txt\\nMEDIA:./t.pdf")
    text, pdf = (one["id"] for one in talk.artifacts(2))
    url = talk.call("artifacts.download", artifactId=text)["url"]
    prefix = "artifact_managed_media_"
    assert place.get(url).body == b"hello file\n"
    assert place.get(url.replace(text.removeprefix(prefix), pdf.removeprefix(prefix))).status == 401


def test_places_where_nothing_is(place: Filing, talk: Talk) -> None:
    url = link(talk, "stub:say MEDIA:./t.txt")
    assert place.get(url.replace("/full?", "/half?")).status == 404
    assert place.get("/api/chat/media/outgoing/x/y/full").status == 404
    if place.release == NEWEST:
        assert place.get("/api/artifacts/download/x/y").status == 404


def test_a_reset_takes_the_files_along(place: Filing, talk: Talk) -> None:
    url = link(talk, "stub:say MEDIA:./t.txt")
    ident = talk.artifacts()[0]["id"]
    talk.client.request("sessions.reset", {"key": talk.session})
    assert talk.call("artifacts.list") == {"artifacts": []}
    error = refused(talk.client, "artifacts.download", {"sessionKey": talk.session, "artifactId": ident})
    assert error["message"] == "artifact not found"
    assert place.get(url).status == 404
