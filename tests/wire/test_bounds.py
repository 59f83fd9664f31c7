"""What a frame may hold before it is decoded."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_client.wire.bounds import (
    LONG,
    MAX_HALVES,
    MAX_MENDED,
    MAX_VALUES,
    too_many_values,
    without_halves,
)
from openclaw_client.wire.frames import UNREADABLE, Ignored, Response, decode_frame

MANY = MAX_VALUES + 1


@pytest.mark.parametrize(
    "values",
    [
        b"[" + b",".join([b"1"] * MANY) + b"      " * LONG + b"]",
        b"[" + b",".join([b"{}"] * MANY) + b"," + b" " * LONG + b"1]",
        b"[" + b",".join([b"[" * 500 + b"]" * 500] * (MANY // 500 + 1)) + b" " * LONG + b"]",
        b"{" + b",".join(b'"%d":1' % number for number in range(MANY)) + b"}",
        b"[" + b",".join([b'"\\\\"'] * MANY) + b"]",
        b'["\\"",' + b",".join([b"[]"] * LONG) + b"]",
        b" " * 3 * LONG + b"[" + b",".join([b"1"] * MANY) + b"]",
    ],
)
def test_more_values_than_are_decoded(values: bytes) -> None:
    assert too_many_values(values)
    event = decode_frame(b'{"type":"event","event":"x","payload":' + values + b"}")
    assert event == Ignored(f"more than {MAX_VALUES} values")
    answer = decode_frame(b'{"type":"res","id":"7:c","ok":true,"payload":' + values + b"}")
    assert isinstance(answer, Response)
    assert answer.error is not None
    assert (answer.id, answer.ok, answer.error.code) == ("7:c", False, UNREADABLE)


@pytest.mark.parametrize(
    "values",
    [
        b"[" + b",".join([b"1"] * (LONG // 2 - 1)) + b"]",
        json.dumps("a,b,[c]{d}\n" * LONG).encode(),
        json.dumps(['\\\\,",[' * LONG]).encode(),
        json.dumps([{"text": "x" * 100, "seq": number} for number in range(20_000)]).encode(),
    ],
)
def test_long_texts_and_a_page_of_many_rows_are_decoded(values: bytes) -> None:
    assert not too_many_values(values)


def reference(data: bytes) -> bytes:
    """The same, escape by escape."""
    pattern = rb"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
    return re.sub(pattern, lambda found: b"" if found[1] else found[0], data)


_pieces = st.sampled_from([b"\\\\", b"\\ud83d", b"\\ude00", b"\\uD83D\\uDE00", b"u", b"x", b"\\n", b'\\"', b"\\u00e9"])


@given(st.lists(_pieces, max_size=12).map(b"".join))
def test_half_characters_are_left_out(data: bytes) -> None:
    mended = without_halves(data)
    assert (data if mended is None else mended) == reference(data)
    assert (mended is None) == (reference(data) == data)


def test_what_would_take_too_long_is_not_mended() -> None:
    half = b"\\ud83d"
    assert without_halves(half * MAX_HALVES) == b""
    assert without_halves(half * (MAX_HALVES + 1)) is None
    assert without_halves(half + b"x" * MAX_MENDED) is None


@pytest.mark.parametrize(
    "payload",
    [b'"\\ud83d' + b"\\\\" * (MAX_MENDED // 2) + b'"', b"[" * 100_000 + b"]" * 100_000, b"nothing"],
)
def test_who_waits_for_an_answer_that_cannot_be_read_is_told(payload: bytes) -> None:
    answer = decode_frame(b'{"type":"res","id":"7:c","ok":true,"payload":' + payload + b"}")
    assert isinstance(answer, Response)
    assert answer.error is not None
    assert (answer.id, answer.ok, answer.error.code) == ("7:c", False, UNREADABLE)
    assert isinstance(decode_frame(b'{"type":"event","event":"chat","payload":' + payload + b"}"), Ignored)
