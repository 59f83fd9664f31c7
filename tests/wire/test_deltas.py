"""Where the bytes of a delta stand, and what is no simple delta."""

from __future__ import annotations

import pytest

from openclaw_client.wire.deltas import CUT_HEAD, MARK, RUN_ID, decode_delta, head_of, text_bytes
from openclaw_client.wire.frames import UNDECODABLE
from tests.wire.frames import delta

UUID = "11111111-2222-4333-8444-555555555555"


def test_the_head_ends_before_the_number() -> None:
    data = delta("text", "text", run=UUID, seq=7)
    head = head_of(data)
    assert head is not None
    assert data[len(head) :].startswith(b',"seq":7,')
    assert data[RUN_ID] == UUID.encode()


@pytest.mark.parametrize("data", [b"", b"{}", b'{"event":"chat","seq":1}', delta("x").replace(b',"seq"', b',"no"')])
def test_another_order_of_keys_has_no_head(data: bytes) -> None:
    assert head_of(data) is None


def test_a_delta_is_decoded_as_far_as_its_text() -> None:
    frame = decode_delta(delta("text", "xt", seq=7))
    assert (frame.seq, frame.payload.seq, frame.payload.message.content[0].text) == (7, 7, "text")


@pytest.mark.parametrize(
    "data",
    [
        delta("x").replace(b'"delta"', b'"final"'),
        delta("x").replace(b'"type":"text"', b'"type":"image"'),
        delta("x").replace(b'}],"timestamp"', b'},{"type":"text","text":"two"}],"timestamp"'),
        delta("x").replace(b'"message"', b'"other"'),
        delta("x").replace(b'"seq":1,"state"', b'"seq":null,"state"'),
        delta("x").replace(b'"x"', b'"\xff"'),
        delta("x\ud83d"),
        delta("x")[:-1],
    ],
)
def test_what_is_not_simple_is_refused(data: bytes) -> None:
    with pytest.raises(UNDECODABLE):
        decode_delta(data)


@pytest.mark.parametrize("text", ["text", 'quoted "text","text":" and more', '"}],"timestamp":1', "😀\n"])
def test_the_bytes_of_a_text(text: str) -> None:
    data = delta(text, text)
    begin = data.find(MARK) + len(MARK)
    noted = text_bytes(data, begin, 0)
    assert noted is not None
    cut = CUT_HEAD + data[len(head_of(data) or b"") + 1 : begin] + data[begin + len(noted) :]
    assert decode_delta(cut).payload.message.content[0].text == ""
    assert decode_delta(data).payload.message.content[0].text == text


@pytest.mark.parametrize("part", [b',"timestamp":1', b'"role":"assistant",'])
def test_a_message_of_another_shape_has_no_certain_place(part: bytes) -> None:
    data = delta("text").replace(part, b"")
    assert text_bytes(data, data.find(MARK) + len(MARK), 0) is None
