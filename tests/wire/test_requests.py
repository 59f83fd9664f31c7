"""Requests as a gateway reads them, and what it writes. Rows observed on four releases."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_client.wire.frames import ErrorShape
from openclaw_client.wire.requests import (
    BadRequest,
    NotJson,
    Request,
    decode_request,
    encode_event,
    encode_response,
    error_fields,
)


@pytest.mark.parametrize(
    ("data", "request_"),
    [
        (b'{"type":"req","id":"1","method":"status"}', Request("1", "status", None)),
        (b'{"type":"req","id":"1","method":"status","params":null}', Request("1", "status", None)),
        (b'{"type":"req","id":"1","method":"status","params":[1]}', Request("1", "status", [1])),
        (
            b'{"type":"req","id":"1","method":"status","traceparent":"t","expectedProfileId":"p"}',
            Request("1", "status", None, "t"),
        ),
    ],
)
def test_requests(data: bytes, request_: Request) -> None:
    assert decode_request(data) == request_


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b'{"id":"\xff"}', b"[" * 100_000])
def test_what_is_no_json_gets_no_answer(data: bytes) -> None:
    assert decode_request(data) == NotJson()


@pytest.mark.parametrize(
    ("data", "echoed", "said"),
    [
        (b"[]", "invalid", "must be object"),
        (b"{}", "invalid", "/id"),
        (b'{"type":"event","id":"1","method":"x"}', "1", "/id"),
        (b'{"type":"req","id":7,"method":"x"}', "7", "/id"),
        (b'{"type":"req","id":true,"method":"x"}', "invalid", "/id"),
        (b'{"type":"req","id":"","method":"x"}', "invalid", "/id"),
        (b'{"type":"req","id":["a"],"method":"x"}', "invalid", "/id"),
        (b'{"type":"req","id":"1"}', "1", "/method"),
        (b'{"type":"req","id":"1","method":""}', "1", "/method"),
        (b'{"type":"req","id":"1","method":5}', "1", "/method"),
        (b'{"type":"req","id":"1","method":"x","extra":1}', "1", "unexpected property 'extra'"),
    ],
)
def test_json_that_is_no_request_is_answered_under_the_id_it_has(data: bytes, echoed: str, said: str) -> None:
    bad = decode_request(data)
    assert isinstance(bad, BadRequest)
    assert bad.id == echoed
    assert said in bad.message


TRACED = b'{"type":"req","id":"1","method":"status","traceparent":%s}'


def test_a_trace_context_is_refused_by_older_gateways_and_when_it_is_too_long() -> None:
    assert decode_request(TRACED % b'"t"', later_keys=False) == BadRequest(
        "1", "invalid request frame: at root: unexpected property 'traceparent'"
    )
    assert isinstance(decode_request(TRACED % (b'"' + b"t" * 128 + b'"')), Request)
    for bad in (b'"' + b"t" * 129 + b'"', b"5"):
        refused = decode_request(TRACED % bad)
        assert isinstance(refused, BadRequest)
        assert "/traceparent" in refused.message


@given(data=st.binary(max_size=100))
def test_any_bytes_are_read(data: bytes) -> None:
    assert isinstance(decode_request(data), NotJson | BadRequest)


def test_responses_and_events_have_no_key_without_a_value() -> None:
    assert encode_response("1") == b'{"type":"res","id":"1","ok":true}'
    assert encode_response("1", {"a": 1}) == b'{"type":"res","id":"1","ok":true,"payload":{"a":1}}'
    refusal = encode_response("1", {"a": 1}, ErrorShape("X", "no"))
    assert refusal == b'{"type":"res","id":"1","ok":false,"payload":{"a":1},"error":{"code":"X","message":"no"}}'
    assert encode_event("tick", {"ts": 1}) == b'{"type":"event","event":"tick","payload":{"ts":1}}'
    assert encode_event("tick", None, 0) == b'{"type":"event","event":"tick","payload":null,"seq":0}'


@pytest.mark.parametrize(
    ("error", "fields"),
    [
        (ErrorShape("A", "b"), {"code": "A", "message": "b"}),
        (
            ErrorShape("A", "b", {"c": 1}, False, 250),
            {"code": "A", "message": "b", "details": {"c": 1}, "retryable": False, "retryAfterMs": 250},
        ),
    ],
)
def test_the_fields_of_an_error(error: ErrorShape, fields: dict[str, object]) -> None:
    assert error_fields(error) == fields
