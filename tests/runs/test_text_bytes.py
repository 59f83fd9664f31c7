"""The fast path of a delta: bytes in, and the very event that decoding the whole frame gives, or a refusal."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw_client.runs import text as text_module
from openclaw_client.runs.events import TextAppended, TextReplaced
from openclaw_client.runs.text import UNCLEAR, TextReducer
from openclaw_client.wire.frames import ChatFrame, decode_frame
from tests.wire.frames import delta

SHORT = "So it goes."
LONG = "So it goes, from word to word. " * 60

EITHER = pytest.mark.parametrize("text", [SHORT, LONG])


def reading(text: str, *, resumed: bool = False) -> TextReducer:
    """A reducer that has taken a text as bytes, as number 1."""
    reducer = TextReducer("r", text if resumed else "", resumed=resumed)
    data = delta(text, text)
    assert reducer.expect(data)
    assert reducer.take(data, 1) == (None if resumed else TextAppended("r", text))
    return reducer


def long_way(reducer: TextReducer, data: bytes) -> object:
    frame = decode_frame(data)
    assert isinstance(frame, ChatFrame)
    return reducer.delta(frame.payload)


def either_way(reducer: TextReducer, data: bytes, expected: int) -> object:
    event = reducer.take(data, expected)
    return long_way(reducer, data) if event is UNCLEAR else event


@EITHER
def test_what_is_new_is_appended(text: str) -> None:
    reducer = reading(text)
    assert reducer.take(delta(text + " And", " And", seq=2), 2) == TextAppended("r", " And")
    assert reducer.take(delta(text + " And so", seq=3), 3) == TextAppended("r", " so")
    assert reducer.take(delta(text + " And so", seq=4), 4) is None
    assert reducer.text == text + " And so"


@EITHER
def test_a_rewritten_text_replaces(text: str) -> None:
    reducer = reading(text)
    for number, other in enumerate(("Bye. " + text, text[:-1] + "?"), 2):
        data = delta(other, other, seq=number, replace=True)
        assert either_way(reducer, data, number) == TextReplaced("r", other)
        assert reducer.text == other


@EITHER
def test_a_number_that_was_not_expected_is_for_others_to_explain(text: str) -> None:
    reducer = reading(text)
    for data in (delta(text + "!", seq=3), delta("Bye. " + text, seq=3)):
        assert reducer.take(data, 2) is UNCLEAR
        assert reducer.text == text


def test_a_text_that_shrank_and_grew_again_is_not_taken_for_the_one_that_was_known() -> None:
    reducer = reading(LONG)
    reducer.take(delta(LONG + "and on", seq=2), 2)
    texts = {
        SHORT: TextReplaced("r", SHORT),
        SHORT + LONG: TextAppended("r", LONG),
        LONG: TextReplaced("r", LONG),
        LONG + "so": TextAppended("r", "so"),
    }
    for number, (text, event) in enumerate(texts.items(), 3):
        assert either_way(reducer, delta(text, seq=number), number) == event
        assert reducer.text == text


@EITHER
@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"delta"', b'"final"'),
        (b'"runId":"r"', b'"runId":"q"'),
        (b'"seq":2}', b'"seq":3}'),
        (b',"seq":2}', b"}"),
        (b'"seq":2,"state"', b'"seq":null,"state"'),
        (b'}],"timestamp"', b'},{"type":"text","text":"two"}],"timestamp"'),
        (b'"message"', b'"other"'),
        (b"!", b"\xff"),
        (b"!", b"\\ud83d"),
        (b'"timestamp":1', b'"timestamp":'),
    ],
)
def test_what_is_not_plain_is_refused_and_changes_nothing(text: str, old: bytes, new: bytes) -> None:
    data = delta(text + "!", "!", seq=2)
    reducer = reading(text)
    assert old in data
    assert reducer.take(data.replace(old, new), 2) is UNCLEAR
    assert reducer.text == text
    assert reducer.take(data, 2) == TextAppended("r", "!")


@EITHER
def test_a_late_one_says_nothing(text: str) -> None:
    reducer = reading(text)
    assert reducer.take(delta(text + "!", "!", seq=5), 5) == TextAppended("r", "!")
    # Number 6 of the connection, number 4 of the run: older than what was there, the same, and rewritten.
    for late in (text, text + "!", "Bye. " + text):
        data = delta(late, seq=4).replace(b'"seq":4}', b'"seq":6}')
        assert either_way(reducer, data, 6) is None
        assert reducer.text == text + "!"


def test_a_text_that_grows_between_a_long_frame_and_the_next_is_not_given_twice() -> None:
    """The piece makes the first frame long, the second has only a short one."""
    text = "x" * (text_module.WORTHWHILE * 2 // 3)
    reducer = reading(text)
    assert len(delta(text, text)) > text_module.WORTHWHILE > len(delta(text + "ab", "ab"))
    assert reducer.take(delta(text + "ab", "ab", seq=2), 2) == TextAppended("r", "ab")
    assert reducer.take(delta(text + "ab" + text, text, seq=3), 3) == TextAppended("r", text)
    assert reducer.text == text + "ab" + text


def test_behind_a_reconnect_a_rewritten_text_is_looked_at_twice() -> None:
    for text in (SHORT, LONG):
        reducer = reading(text, resumed=True)
        older = delta(text[:-4], seq=2)
        assert reducer.take(older, 2) is UNCLEAR
        assert long_way(reducer, older) is None
        assert reducer.take(delta(text + "!", seq=3), 3) == TextAppended("r", "!")


def test_a_run_without_a_head_takes_nothing() -> None:
    reducer = TextReducer("r")
    assert reducer.take(delta(SHORT), 1) is UNCLEAR
    assert not reducer.expect(b'{"event":"chat"}')
    assert reducer.take(delta(SHORT), 1) is UNCLEAR


@pytest.mark.parametrize("tail", ["x" * text_module.MAX_TAIL, "x" * (text_module.MAX_TAIL + 1), "y" * 5000])
def test_a_long_tail_becomes_known(tail: str) -> None:
    reducer = reading(LONG)
    assert reducer.take(delta(LONG + tail, seq=2), 2) == TextAppended("r", tail)
    assert reducer.take(delta(LONG + tail + "z", seq=3), 3) == TextAppended("r", "z")
    assert reducer.text == LONG + tail + "z"


def test_a_text_whose_end_is_not_certain_is_decoded_whole_every_time() -> None:
    reducer = TextReducer("r")
    text = ""
    for number in range(1, 9):
        text += LONG
        data = delta(text, seq=number).replace(b',"timestamp":1', b"")
        assert reducer.expect(data)
        assert reducer.take(data, number) == TextAppended("r", LONG)
    known = reading(LONG)
    # Known, and then so much longer that it should be noted anew, where its end is not certain.
    longer = delta(LONG + LONG, seq=2).replace(b',"timestamp":1', b"")
    assert known.take(longer, 2) is UNCLEAR
    assert long_way(known, longer) == TextAppended("r", LONG)


@pytest.mark.parametrize("text", [LONG, "x" * 100])
def test_the_same_text_elsewhere_in_the_frame_is_not_taken_for_the_message(text: str) -> None:
    """Extra keys before the message hold a block with the text that is known; a long extra makes the frame long."""
    extra = {"a": "x" * 1000}
    reducer = TextReducer("r")
    first = delta(text, seq=1, **extra)
    assert reducer.expect(first)
    assert reducer.take(first, 1) == TextAppended("r", text)
    data = delta(text + "!", "!", seq=2, **extra, extra=[{"type": "text", "text": text}])
    assert either_way(reducer, data, 2) == TextAppended("r", "!")
    assert reducer.text == text + "!"


pieces = st.text(st.sampled_from('aé"\\\n\N{GRINNING FACE}\ud83d\ude00'), max_size=8)
kinds = st.sampled_from(["grow", "grow", "grow", "replace", "lose", "late", "seen by others", "leap"])
steps = st.lists(st.tuples(kinds, pieces), max_size=30)


@settings(max_examples=400)
@given(steps, st.booleans(), st.booleans(), st.sampled_from([SHORT, LONG]))
def test_both_ways_give_the_same_events(changes: list[tuple[str, str]], told: bool, resumed: bool, begun: str) -> None:
    """Frames lost, late, replaced, and some that go the usual way for other reasons."""
    text = begun
    expected, got = (TextReducer("r", begun if resumed else "", resumed=resumed) for _ in range(2))
    got.expect(delta(text))
    for number, (change, piece) in enumerate(changes):
        grown = piece * 200 if change == "leap" else piece
        text = piece + begun if change == "replace" else text + grown
        more = {"replace": True} if change == "replace" else {}
        seq = max(number - 3, 0) if change == "late" else number
        data = delta(text, grown if told else None, seq=seq, **more)
        if change == "lose":
            continue
        event = long_way(got, data) if change == "seen by others" else either_way(got, data, seq)
        assert event == long_way(expected, data)
        assert got.text == expected.text
