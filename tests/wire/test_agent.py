"""The payload of an agent event."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_client.wire.agent import AgentPayload, decode_agent
from openclaw_client.wire.frames import Event
from tests.wire.test_frames import dumps, values


def agent(payload: object) -> AgentPayload | None:
    return decode_agent(Event("agent", msgspec.Raw(dumps(payload))))


def test_a_whole_payload() -> None:
    payload = agent(
        {
            "runId": "r",
            "stream": "tool",
            "sessionKey": "agent:main:main",
            "seq": 4,
            "ts": 5,
            "data": {"phase": "start"},
            "isHeartbeat": True,
            "spawnedBy": "parent",
        }
    )
    assert payload is not None
    assert payload.fields() == {"phase": "start"}
    assert msgspec.structs.replace(payload, data=msgspec.Raw(b"")) == AgentPayload(
        run_id="r", session_key="agent:main:main", stream="tool", seq=4, is_heartbeat=True, spawned_by="parent"
    )


@pytest.mark.parametrize(
    ("bent", "expected"),
    [
        ({"seq": "x"}, AgentPayload("r", "k", "tool", spawned_by="p", is_heartbeat=True)),
        ({"sessionKey": 5}, AgentPayload("r", None, "tool", spawned_by="p", is_heartbeat=True)),
        ({"spawnedBy": []}, AgentPayload("r", "k", "tool", is_heartbeat=True)),
        ({"isHeartbeat": "yes"}, AgentPayload("r", "k", "tool", spawned_by="p")),
    ],
)
def test_a_field_of_a_wrong_type_costs_that_field(bent: dict[str, Any], expected: AgentPayload) -> None:
    good = {
        "runId": "r",
        "stream": "tool",
        "sessionKey": "k",
        "spawnedBy": "p",
        "isHeartbeat": True,
        "data": {"a": [1]},
    }
    payload = agent({**good, **bent})
    assert payload is not None
    assert payload.fields() == {"a": [1]}
    assert msgspec.structs.replace(payload, data=msgspec.Raw(b"")) == expected


@pytest.mark.parametrize(
    "payload",
    [
        None,
        5,
        [],
        {},
        {"runId": "r"},
        {"stream": "tool"},
        {"runId": "", "stream": "tool"},
        {"runId": "r", "stream": ""},
        {"runId": 5, "stream": "tool"},
        {"runId": "r", "stream": 5},
        {"runId": "", "stream": "tool", "seq": "x"},
        {"runId": "r", "stream": "", "seq": "x"},
    ],
)
def test_without_a_run_and_a_stream_it_is_nothing(payload: object) -> None:
    assert agent(payload) is None


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff", b'{"runId":"\xff","stream":"tool"}', b"[" * 100_000])
def test_broken_bytes_are_nothing(raw: bytes) -> None:
    assert decode_agent(Event("agent", msgspec.Raw(raw))) is None


@pytest.mark.parametrize("data", [None, 5, "text", [1]])
def test_data_that_is_no_object_has_no_fields(data: object) -> None:
    for seq in (1, "x"):
        payload = agent({"runId": "r", "stream": "tool", "seq": seq, "data": data})
        assert payload is not None
        assert payload.fields() == {}


@given(payload=st.dictionaries(st.sampled_from(["runId", "stream", "sessionKey", "seq", "data"]), values))
def test_any_object_is_read_or_nothing(payload: dict[str, Any]) -> None:
    read = agent(payload)
    usable = all(isinstance(payload.get(name), str) and payload[name] for name in ("runId", "stream"))
    assert (read is not None) is usable


@pytest.mark.parametrize(
    ("stream", "data", "begins"),
    [
        ("lifecycle", {"phase": "start"}, True),
        ("lifecycle", {"phase": "end"}, False),
        ("lifecycle", None, False),
        ("tool", {"phase": "start"}, False),
    ],
)
def test_what_says_that_a_run_begins(stream: str, data: object, begins: bool) -> None:
    payload = agent({"runId": "r", "stream": stream, "data": data})
    assert payload is not None
    assert payload.begins is begins


@pytest.mark.parametrize(
    ("stream", "data", "named"),
    [
        ("assistant", {"text": "x", "mediaUrls": ["./a.pdf", "", 5, "./b.pdf"]}, ["./a.pdf", "./b.pdf"]),
        ("assistant", {"text": "x", "mediaUrls": "./a.pdf"}, []),
        ("assistant", {"text": "x"}, []),
        ("tool", {"mediaUrls": ["./a.pdf"]}, []),
        # Words are no name.
        ("assistant", {"text": 'say "mediaUrls"'}, []),
    ],
)
def test_the_files_that_a_piece_of_an_answer_names(stream: str, data: object, named: list[str]) -> None:
    payload = agent({"runId": "r", "stream": stream, "data": data})
    assert payload is not None
    assert payload.media == named
