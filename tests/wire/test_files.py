"""Files of agents out of the gateways' payloads."""

from __future__ import annotations

import base64
import copy
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_client.wire.files import (
    MAX_FILES,
    MAX_ID,
    MAX_NAME,
    UNKNOWN_TYPE,
    AgentFile,
    FileAnswer,
    file_answer_from,
    files_from,
    files_in,
    from_base64,
    size_of_base64,
)

ROW = {
    "id": "artifact_managed_media_1",
    "type": "file",
    "title": "report.pdf",
    "mimeType": "application/pdf",
    "sizeBytes": 46,
    "sessionKey": "agent:main:web",
    "runId": "run-1",
    "messageSeq": 2,
    "source": "session-transcript",
    "download": {"mode": "url"},
}
FILE = AgentFile("artifact_managed_media_1", "report.pdf", "application/pdf", 46, "web", "run-1")


def files(*rows: Any) -> tuple[AgentFile, ...]:
    found = files_from({"artifacts": list(rows)}, "web")
    assert found is not None
    return found.files


def test_a_row_as_gateways_send_it() -> None:
    found = files_from({"artifacts": [ROW]}, "web")
    assert found == ((FILE,), ("agent:main:web",), 0)
    assert pickle.loads(pickle.dumps(FILE)) == copy.deepcopy(FILE) == FILE


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"title": None}, ""),
        ({"title": "", "fileName": "a.wav"}, "a.wav"),
        ({"title": "a\r\nb\x1b[2J\u202ecod.exe"}, "a b[2Jcod.exe"),
        ({"title": "x" * 1000}, "x" * MAX_NAME),
        ({"title": ["x"]}, ""),
    ],
)
def test_names(changed: dict[str, Any], expected: str) -> None:
    (file,) = files({**ROW, **changed})
    assert file.name == expected


@pytest.mark.parametrize("size", [None, -1, True, 1.5, "46"])
def test_a_size_that_is_none(size: object) -> None:
    (file,) = files({**ROW, "sizeBytes": size})
    assert file.size is None


def test_a_row_that_tells_next_to_nothing() -> None:
    assert files({"id": "a"}) == (AgentFile("a", "", UNKNOWN_TYPE, None, "web", None),)


@pytest.mark.parametrize("row", [None, "x", {}, {"id": ""}, {"id": 5}, {"id": "a\nb"}, {"id": "x" * (MAX_ID + 1)}])
def test_what_is_no_file_is_left_out(row: object) -> None:
    assert files(row, ROW) == (FILE,)


@pytest.mark.parametrize("payload", [None, [], "x", {}, {"artifacts": None}, {"artifacts": {"a": 1}}])
def test_what_is_no_list(payload: object) -> None:
    assert files_from(payload, "web") is None


def test_the_latest_of_too_many() -> None:
    found = files_from({"artifacts": [{"id": str(number)} for number in range(MAX_FILES + 2)]}, "web")
    assert found is not None
    assert (found.left_out, len(found.files), found.files[0].artifact_id) == (2, MAX_FILES, "2")


@pytest.mark.parametrize(
    ("payload", "answer"),
    [
        ({"artifact": ROW, "encoding": "base64", "data": "AAAA"}, FileAnswer("AAAA", None, 46, "agent:main:web")),
        ({"artifact": ROW, "url": "/x?mediaTicket=1"}, FileAnswer(None, "/x?mediaTicket=1", 46, "agent:main:web")),
        ({"data": "AAAA", "encoding": "hex"}, FileAnswer()),
        ({"url": 5}, FileAnswer()),
        ({"artifact": ROW}, FileAnswer(size=46, session="agent:main:web")),
        ({"artifact": {"sessionKey": 5}}, FileAnswer()),
        (None, FileAnswer()),
    ],
)
def test_the_two_ways_of_handing_one_out(payload: object, answer: FileAnswer) -> None:
    found = file_answer_from(payload)
    assert found == answer
    assert found.ticket is (answer.link is not None)
    assert "mediaTicket" not in repr(found)
    assert "AAAA" not in repr(found)


@given(st.binary(max_size=40))
def test_base64(data: bytes) -> None:
    written = base64.b64encode(data).decode()
    assert (from_base64(written), size_of_base64(written)) == (data, len(data))


@pytest.mark.parametrize("text", ["A", "AAA", "AA=A", "A-_A", "AAAA\n", "ä"])
def test_what_is_no_base64(text: str) -> None:
    assert from_base64(text) is None


@pytest.mark.parametrize("kind", [["image"], {"image": 1}, None, 5, "video "])
def test_a_block_whose_type_is_none_is_no_file(kind: Any) -> None:
    blocks = [{"type": kind, "artifactId": "a"}, {"type": "image", "artifactId": "b"}]
    found = files_in(blocks, "main", None)
    assert ([file.artifact_id for file in found.files], found.others) == (["b"], 0)
