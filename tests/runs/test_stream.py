"""Between a run and its reader: joining loses nothing, and pieces only ever extend."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_client.runs.events import RunEvent, RunStatus, TextAppended, TextReplaced
from openclaw_client.runs.stream import EventBuffer, TextPieces


def appended(text: str) -> TextAppended:
    return TextAppended("r", text)


def replaced(text: str) -> TextReplaced:
    return TextReplaced("r", text)


def status(phase: str) -> RunStatus:
    return RunStatus("r", phase)


def drained(buffer: EventBuffer) -> list[RunEvent]:
    return [buffer.popleft() for _ in range(len(buffer))]


def buffered(limit: int, *events: RunEvent) -> list[RunEvent]:
    buffer = EventBuffer(limit)
    for event in events:
        buffer.append(event)
    return drained(buffer)


def text_of(events: list[RunEvent]) -> str:
    text = ""
    for event in events:
        if isinstance(event, TextAppended):
            text += event.text
        elif isinstance(event, TextReplaced):
            text = event.text
    return text


texts = st.text("abc", max_size=3)
events = st.one_of(texts.map(appended), texts.map(appended), texts.map(replaced), texts.map(status))


def test_below_the_limit_events_pass_as_they_are() -> None:
    given_ = [appended("a"), appended("b"), status("x"), replaced("c")]
    assert buffered(4, *given_) == given_


def test_from_the_limit_on_text_is_joined() -> None:
    assert buffered(1, appended("a"), appended("b"), appended("c")) == [appended("a"), appended("bc")]
    assert buffered(1, appended("a"), replaced("b"), appended("c")) == [appended("a"), replaced("bc")]
    assert buffered(1, appended("a"), appended("b"), replaced("c")) == [appended("a"), replaced("c")]
    assert buffered(0, appended("a")) == [appended("a")]


def test_nothing_but_text_is_joined_and_the_order_stays() -> None:
    assert buffered(1, appended("a"), appended("b"), status("x"), appended("c"), status("y"), status("z")) == [
        appended("a"),
        appended("b"),
        status("x"),
        appended("c"),
        status("y"),
        status("z"),
    ]


def test_reading_makes_room_after_the_joined_text_is_out() -> None:
    buffer = EventBuffer(1)
    for event in (appended("a"), appended("b"), appended("c")):
        buffer.append(event)
    assert buffer.popleft() == appended("a")
    # The joined piece waits still: what follows must not overtake it.
    buffer.append(appended("d"))
    assert buffer.popleft() == appended("bcd")
    buffer.append(appended("e"))
    assert drained(buffer) == [appended("e")]


def test_an_empty_buffer_gives_nothing() -> None:
    with pytest.raises(IndexError):
        EventBuffer().popleft()


@given(limit=st.integers(0, 4), steps=st.lists(events | st.none(), max_size=40))
def test_joining_loses_nothing(limit: int, steps: list[RunEvent | None]) -> None:
    buffer, put, got = EventBuffer(limit), list[RunEvent](), list[RunEvent]()
    for step in steps:
        if step is not None:
            buffer.append(step)
            put.append(step)
        elif len(buffer):
            got.append(buffer.popleft())
    got += drained(buffer)
    assert text_of(got) == text_of(put)
    # Everything that is not text stands where it stood, and the text before it is what it was.
    others = [event for event in put if isinstance(event, RunStatus)]
    assert [event for event in got if isinstance(event, RunStatus)] == others
    for number in range(len(others)):
        assert text_of(until(got, number)) == text_of(until(put, number))


def until(stream: list[RunEvent], number: int) -> list[RunEvent]:
    """The events before the given status event, counted."""
    places = [index for index, event in enumerate(stream) if isinstance(event, RunStatus)]
    return stream[: places[number]]


# Pieces.


@pytest.mark.parametrize(
    ("stream", "pieces"),
    [
        ([appended("Hel"), appended("lo")], ["Hel", "lo"]),
        ([appended("Hel"), status("x"), appended("lo")], ["Hel", "", "lo"]),
        # Rewritten to something that extends what was given.
        ([appended("Hel"), replaced("Hello")], ["Hel", "lo"]),
        # Rewritten, then written anew.
        ([appended("Hel"), replaced(""), appended("He"), appended("llo"), appended("!")], ["Hel", "", "", "lo", "!"]),
        ([appended("Hel"), replaced("Bye"), appended(" bye"), replaced("Help")], ["Hel", "", "", "p"]),
        ([appended("Hel"), replaced("Hel"), appended("lo")], ["Hel", "", "lo"]),
        ([replaced("Bye"), appended("!")], ["Bye", "!"]),
    ],
)
def test_pieces(stream: list[RunEvent], pieces: list[str]) -> None:
    feeder = TextPieces()
    assert [feeder.feed(event) for event in stream] == pieces


@given(stream=st.lists(events, max_size=30))
def test_every_piece_extends_what_was_given_to_the_text_of_that_moment(stream: list[RunEvent]) -> None:
    feeder, given_ = TextPieces(), ""
    for count, event in enumerate(stream, 1):
        piece = feeder.feed(event)
        given_ += piece
        text = text_of(stream[:count])
        assert not piece or given_ == text
        # Where the text extends what was given, nothing is held back.
        assert not text.startswith(given_) or given_ == text
