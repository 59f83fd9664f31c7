"""A text that is decoded once: what comes out is what decoding every frame whole gives, whatever comes in."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw_client.runs.text import TextReducer
from openclaw_client.wire import growing
from openclaw_client.wire.frames import ChatFrame, Event, Ignored, decode_frame, whole_payload
from openclaw_client.wire.growing import GrowingDecoder

LONG = "So it goes, from word to word. " * 60


def delta(text: str, piece: str | None = None, run: str = "r", seq: int = 1, **more: Any) -> bytes:
    """A chat event as gateways write it."""
    payload: dict[str, Any] = {"runId": run, "sessionKey": "main", "seq": seq, "state": "delta"}
    if piece is not None:
        payload["deltaText"] = piece
    message = {"role": "assistant", "content": [{"type": "text", "text": text}], "timestamp": 1}
    frame = {"type": "event", "event": "chat", "payload": {**payload, **more, "message": message}, "seq": seq}
    return json.dumps(frame, separators=(",", ":")).encode()


def chat(decoder: GrowingDecoder, data: bytes) -> ChatFrame:
    frame = decoder.decode(data)
    assert isinstance(frame, ChatFrame)
    return frame


def text_of(frame: ChatFrame) -> object:
    message = frame.payload.message
    assert message is not None
    assert not isinstance(message, str)
    assert isinstance(message.content, list)
    return message.content[0].text


def test_what_is_known_is_not_decoded_again() -> None:
    decoder = GrowingDecoder()
    first = chat(decoder, delta(LONG, LONG))
    assert (text_of(first), first.payload.base, first.payload.noted) == (LONG, 0, 1)
    data = delta(LONG + " And", " And", seq=2)
    second = chat(decoder, data)
    assert (text_of(second), second.payload.base, second.payload.noted) == (" And", 1, 0)
    assert second.raw == second.payload.source == data
    assert whole_payload(second.payload.source) == decode_frame(data).payload  # type: ignore[union-attr]


def test_a_long_tail_becomes_known() -> None:
    decoder = GrowingDecoder()
    chat(decoder, delta(LONG))
    tail = "x" * growing.MAX_TAIL
    assert text_of(chat(decoder, delta(LONG + tail))) == LONG + tail
    assert text_of(chat(decoder, delta(LONG + tail + "y"))) == "y"


@pytest.mark.parametrize(
    "data",
    [
        delta(LONG + "!", "something else"),
        delta(LONG + "!", "!", replace=True),
        delta("Bye. " + LONG, "Bye. " + LONG, replace=True),
        delta(LONG + "!", "!").replace(b'"delta"', b'"other"'),
        delta(LONG + "!", "!", seq=-1),
        delta(LONG + "!", "!").replace(b'}],"timestamp"', b'},{"type":"text","text":"two"}],"timestamp"'),
        delta(LONG + "!", "!").replace(b'"message"', b'"other"'),
        delta(LONG + "\ud83d", "\ud83d"),
        delta(LONG + "!", "!", run="another"),
    ],
)
def test_what_is_not_just_longer_is_decoded_whole(data: bytes) -> None:
    decoder = GrowingDecoder()
    chat(decoder, delta(LONG))
    frame, expected = chat(decoder, data), decode_frame(data)
    assert isinstance(expected, ChatFrame)
    frame.payload.noted = 0
    assert frame == expected


@pytest.mark.parametrize("part", [b',"timestamp":1', b'"role":"assistant",'])
def test_a_message_of_another_shape_is_not_remembered(part: bytes) -> None:
    decoder = GrowingDecoder()
    first = chat(decoder, delta(LONG).replace(part, b""))
    assert (text_of(first), first.payload.noted) == (LONG, 0)
    assert text_of(chat(decoder, delta(LONG + "!"))) == LONG + "!"


def test_an_escape_in_two_halves_is_not_cut() -> None:
    decoder = GrowingDecoder()
    first, second = delta(LONG + "\ud83d"), delta(LONG + "\ud83d\ude00!")
    chat(decoder, first)
    assert text_of(chat(decoder, second)) == LONG + "\N{GRINNING FACE}!"


def test_what_is_no_chat_event_passes() -> None:
    decoder = GrowingDecoder()
    chat(decoder, delta(LONG))
    assert isinstance(decoder.decode(b'{"type":"event","event":"tick","payload":{"x":"' + b"x" * 2000 + b'"}}'), Event)
    assert isinstance(decoder.decode(delta(LONG)[:-2]), Ignored)
    assert isinstance(decoder.decode(delta(LONG, run="q")[:-2]), Ignored)
    assert chat(decoder, delta("short")).payload.base == 0


def test_a_bounded_number_of_runs_is_known() -> None:
    decoder = GrowingDecoder()
    for number in range(growing.MAX_RUNS + 2):
        chat(decoder, delta(LONG, run=f"run-{number}"))
    assert chat(decoder, delta(LONG + "!", run="run-0")).payload.base == 0
    assert chat(decoder, delta(LONG + "!", run=f"run-{growing.MAX_RUNS + 1}")).payload.base > 0


def test_as_many_runs_as_are_known_take_turns() -> None:
    decoder = GrowingDecoder()
    runs = [f"run-{number}" for number in range(growing.MAX_RUNS)]
    for run in runs:
        chat(decoder, delta(LONG, run=run))
    assert [text_of(chat(decoder, delta(LONG + "!", run=run))) for run in runs] == ["!"] * len(runs)


pieces = st.text(st.sampled_from('aé"\\\n\N{GRINNING FACE}\ud83d\ude00'), max_size=8)
steps = st.lists(
    st.tuples(
        st.sampled_from(["r", "q"]), st.sampled_from(["grow", "grow", "grow", "replace", "lose", "late"]), pieces
    ),
    max_size=30,
)


@settings(max_examples=150)
@given(steps, st.booleans())
def test_readers_see_what_whole_frames_give(changes: list[tuple[str, str, str]], told: bool) -> None:
    """Two runs on one connection, frames lost, late and replaced; for one reader of all and one who misses half."""
    decoder = GrowingDecoder()
    texts = {"r": LONG, "q": LONG}
    expected = {run: TextReducer(run) for run in texts}
    got = {run: TextReducer(run) for run in texts}
    partly, whole_partly = ({run: TextReducer(run) for run in texts} for _ in range(2))
    for number, (run, change, piece) in enumerate(changes):
        texts[run] = piece + LONG if change == "replace" else texts[run] + piece
        more = {"replace": True} if change == "replace" else {}
        seq = number - 3 if change == "late" else number
        data = delta(texts[run], piece if told else None, run, max(seq, 0), **more)
        if change == "lose":
            continue
        whole, frame = decode_frame(data), chat(decoder, data)
        assert isinstance(whole, ChatFrame)
        assert got[run].delta(frame.payload) == expected[run].delta(whole.payload)
        assert got[run].text == expected[run].text
        if number % 2:
            assert partly[run].delta(frame.payload) == whole_partly[run].delta(whole.payload)
            assert partly[run].text == whole_partly[run].text
