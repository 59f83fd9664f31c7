"""Frames: rows of bytes and values, the three ways of decoding against each other, and rubbish."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_client.wire.chat import ChatMessage, ChatPayload
from openclaw_client.wire.frames import (
    ChatFrame,
    ErrorShape,
    Event,
    Frame,
    Ignored,
    Response,
    decode_frame,
    decode_payload,
    encode_request,
    frame_payload,
)
from openclaw_client.wire.requests import Request, decode_request, encode_event, encode_response

NONE = msgspec.Raw(b"")

# JSON as JavaScript writes it: no lone surrogates among them, those have tests of their own.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    scalars | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


def dumps(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def chat(payload: object, **rest: object) -> bytes:
    return dumps({"type": "event", "event": "chat", "payload": payload, **rest})


FRAMES: list[tuple[str, bytes, Frame]] = [
    ("response", b'{"type":"res","id":"1","ok":true,"payload":{"a":1}}', Response("1", True, msgspec.Raw(b'{"a":1}'))),
    ("response without payload", b'{"type":"res","id":"1","ok":true}', Response("1", True)),
    (
        "refusal",
        (
            b'{"type":"res","id":"7","ok":false,"error":{"code":"FORBIDDEN","message":"no","details":{"a":[1]},'
            b'"retryable":true,"retryAfterMs":250}}'
        ),
        Response("7", False, NONE, ErrorShape("FORBIDDEN", "no", {"a": [1]}, True, 250.0)),
    ),
    (
        "refusal with a payload",
        b'{"type":"res","id":"7","ok":false,"payload":{"status":"error"},"error":{"code":"UNAVAILABLE"}}',
        Response("7", False, msgspec.Raw(b'{"status":"error"}'), ErrorShape("UNAVAILABLE")),
    ),
    ("refusal without an error", b'{"type":"res","id":"7","ok":false}', Response("7", False)),
    (
        "event",
        b'{"type":"event","event":"tick","payload":{"ts":5},"seq":3}',
        Event("tick", msgspec.Raw(b'{"ts":5}'), 3),
    ),
    ("event without payload and seq", b'{"type":"event","event":"tick"}', Event("tick")),
    ("keys in another order", b'{"seq":3,"event":"tick","type":"event"}', Event("tick", NONE, 3)),
    ("unknown keys", b'{"type":"event","event":"tick","stateVersion":{"health":1},"x":[]}', Event("tick")),
]


@pytest.mark.parametrize(("data", "frame"), [row[1:] for row in FRAMES], ids=[row[0] for row in FRAMES])
def test_frames_that_gateways_send(data: bytes, frame: Frame) -> None:
    assert decode_frame(data) == frame


BENT: list[tuple[str, bytes, Frame]] = [
    ("negative seq", b'{"type":"event","event":"tick","seq":-1}', Event("tick")),
    ("seq of a wrong type", b'{"type":"event","event":"tick","seq":"9","payload":1}', Event("tick", msgspec.Raw(b"1"))),
    ("seq true", b'{"type":"event","event":"tick","seq":true}', Event("tick")),
    (
        "ok of a wrong type is no success",
        b'{"type":"res","id":"1","ok":"yes","payload":[2]}',
        Response("1", False, msgspec.Raw(b"[2]")),
    ),
    (
        "error that is text",
        b'{"type":"res","id":"1","ok":false,"error":"no"}',
        Response("1", False, NONE, ErrorShape(message="no")),
    ),
    (
        "error that is a number",
        b'{"type":"res","id":"1","ok":false,"error":5}',
        Response("1", False, NONE, ErrorShape()),
    ),
    (
        "error with every field wrong",
        b'{"type":"res","id":"1","ok":false,"error":{"code":1,"message":[],"retryable":"x","retryAfterMs":"5"}}',
        Response("1", False, NONE, ErrorShape()),
    ),
    (
        "the good fields beside a wrong one",
        (
            b'{"type":"res","id":"1","ok":false,"error":{"code":"A","message":"b","details":3,"retryable":false,'
            b'"retryAfterMs":true}}'
        ),
        Response("1", False, NONE, ErrorShape("A", "b", 3, False, None)),
    ),
    (
        "a hint beyond all numbers",
        b'{"type":"res","id":"1","ok":false,"error":{"code":"A","retryAfterMs":1' + b"0" * 400 + b"}}",
        Response("1", False, NONE, ErrorShape("A")),
    ),
    (
        "a hint beside an empty code",
        b'{"type":"res","id":"1","ok":0,"error":{"code":"","retryAfterMs":5}}',
        Response("1", False, NONE, ErrorShape(retry_after_ms=5.0)),
    ),
    (
        "ok beside a broken error",
        b'{"type":"res","id":"1","ok":true,"error":5}',
        Response("1", True, NONE, ErrorShape()),
    ),
]


@pytest.mark.parametrize(("data", "frame"), [row[1:] for row in BENT], ids=[row[0] for row in BENT])
def test_what_is_wrong_costs_its_field_and_not_the_frame(data: bytes, frame: Frame) -> None:
    assert decode_frame(data) == frame


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not a JSON object"),
        (b"\x00\xff\xfe", "not a JSON object"),
        (b"\xef\xbb\xbf{}", "not a JSON object"),
        (b'{"type":"event","event":"tick"', "not a JSON object"),
        (b'{"type":"event","event":"tick"} {}', "not a JSON object"),
        (b'[{"type":"event"}]', "not a JSON object"),
        (b"null", "not a JSON object"),
        (b"[" * 100_000, "not a JSON object"),
        (b'{"type":"event","event":"tick","payload":' + b"[" * 100_000, "not a JSON object"),
        (b"{}", "unknown frame type"),
        (b'{"type":"req","id":"1","method":"x"}', "unknown frame type"),
        (b'{"type":["event"],"event":"tick"}', "unknown frame type"),
        (b'{"type":"event"}', "event without a name"),
        (b'{"type":"event","event":""}', "event without a name"),
        (b'{"type":"event","event":5}', "event without a name"),
        (b'{"type":"event","event":"\xff"}', "event without a name"),
        (b'{"type":"res","ok":true}', "response without an id"),
        (b'{"type":"res","id":"","ok":true}', "response without an id"),
        (b'{"type":"res","id":5,"ok":true}', "response without an id"),
    ],
)
def test_what_is_no_frame_is_ignored_with_the_reason(data: bytes, reason: str) -> None:
    assert decode_frame(data) == Ignored(reason)


def test_chat_is_decoded_whole_and_keeps_its_bytes() -> None:
    data = (
        b'{"type":"event","event":"chat","payload":{"runId":"r","sessionKey":"agent:main:main","seq":6,"state":"delta",'
        b'"deltaText":"lo","message":{"role":"assistant","content":[{"type":"text","text":"Hello"}],"timestamp":1}},"seq":9}'
    )
    frame = decode_frame(data)
    assert isinstance(frame, ChatFrame)
    assert (frame.event, frame.seq, frame.raw) == ("chat", 9, data)
    assert (frame.payload.run_id, frame.payload.state, frame.payload.seq) == ("r", "delta", 6)
    assert frame.payload.delta_text == "lo"
    assert isinstance(frame.payload.message, ChatMessage)
    assert frame_payload(frame)["message"]["timestamp"] == 1


@pytest.mark.parametrize(
    "data",
    [
        b'{"type":"event","event":"chat","payload":{"runId":"r","state":"final","x":1},"seq":4}',
        b'{"event":"chat","payload":{"runId":"r","state":"final"},"type":"event","seq":4}',
        b'{"type":"event","event":"chat","payload":{"runId":"r","state":"final","seq":"six"},"seq":4}',
        b'{"type": "event", "event": "chat", "payload": {"runId": "r", "state": "final", "usage": 3}, "seq": 4}',
    ],
    ids=["one pass", "two passes", "leniently", "leniently, other spacing"],
)
def test_chat_comes_out_the_same_whichever_way_it_is_decoded(data: bytes) -> None:
    assert decode_frame(data) == ChatFrame("chat", ChatPayload(run_id="r", state="final", raw=data), 4)


@pytest.mark.parametrize("seq", [-1, "4", None, 4.5])
def test_a_chat_frame_with_an_unusable_seq_has_none(seq: object) -> None:
    frame = decode_frame(chat({"runId": "r", "state": "final"}, seq=seq))
    assert isinstance(frame, ChatFrame)
    assert (frame.seq, frame.payload.run_id) == (None, "r")


@pytest.mark.parametrize("payload", [None, 5, [], "text"])
def test_a_chat_frame_without_a_usable_payload_is_an_empty_one(payload: object) -> None:
    data = chat(payload)
    frame = decode_frame(data)
    assert isinstance(frame, ChatFrame)
    assert frame.payload == ChatPayload(raw=data)


def test_half_a_surrogate_pair_costs_that_half_only() -> None:
    # The gateway cuts texts by UTF-16 units; JSON.stringify writes the half as an escape.
    frame = decode_frame(
        rb'{"type":"event","event":"chat","payload":{"runId":"r","state":"delta","message":"a\ud83d"}}'
    )
    assert isinstance(frame, ChatFrame)
    assert frame.payload.message == "a"
    payload = (
        rb'{"cut":"\ud83d","tail":"\ude00x","whole":"\ud83d\ude00","literal":"\\ud83d","Upper":"\uD83D\uDE00\uDBFF"}'
    )
    frame = decode_frame(b'{"type":"res","id":"1","ok":true,"payload":' + payload + b"}")
    assert isinstance(frame, Response)
    assert decode_payload(frame.payload) == {
        "cut": "",
        "tail": "x",
        "whole": "😀",
        "literal": "\\ud83d",
        "Upper": "😀",
    }


@given(text=st.text(st.characters(), max_size=20))
def test_text_cut_anywhere_arrives(text: str) -> None:
    # json.dumps escapes lone surrogates exactly as JavaScript does.
    frame = decode_frame(chat({"runId": "r", "state": "final", "message": text}))
    assert isinstance(frame, ChatFrame)
    assert frame.payload.message == text.encode("utf-16", "surrogatepass").decode("utf-16", "ignore")


@given(data=st.binary(max_size=200))
def test_any_bytes_decode_or_are_ignored(data: bytes) -> None:
    assert isinstance(decode_frame(data), Ignored)
    assert isinstance(decode_frame(b'{"type":"event","event":"x","payload":' + data), Ignored)
    decode_frame(b'{"type":"event","event":"chat","payload":{"runId":"' + data + b'"}}')
    decode_payload(data)


@given(frame=st.dictionaries(st.sampled_from(["type", "event", "id", "ok", "payload", "error", "seq"]), values))
def test_any_json_object_decodes_and_what_is_handed_out_has_the_promised_types(frame: dict[str, Any]) -> None:
    for kind in ("event", "res"):
        decoded = decode_frame(dumps({**frame, "type": kind}))
        if isinstance(decoded, Response):
            assert decoded.id == frame["id"]
            assert decoded.id
            assert decoded.ok is (frame.get("ok") is True)
            assert decode_payload(decoded.payload) == frame.get("payload")
        elif isinstance(decoded, Event | ChatFrame):
            assert decoded.event == frame["event"]
            assert decoded.event
            assert decoded.seq is None or (decoded.seq == frame["seq"] and decoded.seq >= 0)
        else:
            assert decoded == Ignored("event without a name" if kind == "event" else "response without an id")


@given(error=values.filter(lambda value: value is not None))
def test_any_error_gives_a_code_and_a_message(error: Any) -> None:
    frame = decode_frame(dumps({"type": "res", "id": "1", "ok": False, "error": error}))
    assert isinstance(frame, Response)
    assert frame.error is not None
    assert isinstance(frame.error.code, str)
    assert isinstance(frame.error.message, str)
    assert frame.error.retry_after is None or frame.error.retry_after >= 0


# Both directions.


@given(ident=texts.filter(bool), method=texts.filter(bool), params=st.none() | st.dictionaries(texts, values))
def test_a_request_is_read_as_it_was_written(ident: str, method: str, params: dict[str, Any] | None) -> None:
    assert decode_request(encode_request(ident, method, params)) == Request(ident, method, params)


def test_a_request_without_parameters_has_no_such_key() -> None:
    assert encode_request("1:c", "status", None) == b'{"type":"req","id":"1:c","method":"status"}'


@given(ident=texts.filter(bool), payload=values)
def test_a_response_is_read_as_it_was_written(ident: str, payload: Any) -> None:
    frame = decode_frame(encode_response(ident, payload))
    assert isinstance(frame, Response)
    assert (frame.id, frame.ok, frame.error) == (ident, True, None)
    assert decode_payload(frame.payload) == payload


@given(name=texts.filter(bool), payload=values, seq=st.none() | st.integers(0, 2**53))
def test_an_event_is_read_as_it_was_written(name: str, payload: Any, seq: int | None) -> None:
    frame = decode_frame(encode_event(name, payload, seq))
    assert isinstance(frame, Event | ChatFrame)
    assert (frame.event, frame.seq) == (name, seq)
    assert frame_payload(frame) == payload


# The small ones.


@pytest.mark.parametrize(
    ("raw", "value"),
    [(b"", None), (b"null", None), (b"[1]", [1]), (b'"\xff"', None), (b"{", None), (b"[" * 100_000, None)],
)
def test_payloads(raw: bytes, value: object) -> None:
    assert decode_payload(raw) == value
    assert decode_payload(msgspec.Raw(raw)) == value


def test_the_payload_of_a_chat_frame_made_by_hand() -> None:
    assert frame_payload(ChatFrame("chat", ChatPayload())) is None
    assert frame_payload(ChatFrame("chat", ChatPayload(raw=b'{"payload":{"x":1}}'))) == {"x": 1}


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (ErrorShape(), None),
        (ErrorShape(retry_after_ms=0), 0.0),
        (ErrorShape(retry_after_ms=1500), 1.5),
        (ErrorShape(retry_after_ms=-1), None),
    ],
)
def test_the_hint_is_in_seconds_and_never_negative(error: ErrorShape, seconds: float | None) -> None:
    assert error.retry_after == seconds


@pytest.mark.parametrize(
    ("details", "value"), [({"code": "X"}, "X"), ({}, None), (None, None), ("code", None), (["code"], None)]
)
def test_details_may_be_anything(details: object, value: object) -> None:
    assert ErrorShape(details=details).detail("code") == value
