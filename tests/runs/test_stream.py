"""Between a run and its reader: joining loses nothing, and pieces only ever extend."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_client.runs import stream
from openclaw_client.runs.events import (
    RawEvent,
    RunCompleted,
    RunEvent,
    RunStatus,
    SideResult,
    TextAppended,
    TextReplaced,
    ThinkingAppended,
    ToolFinished,
    ToolStarted,
    ToolUpdated,
)
from openclaw_client.runs.stream import MAX_PIECES, EventBuffer, TextPieces, size_beside_text


def appended(text: str) -> TextAppended:
    return TextAppended("r", text)


def replaced(text: str) -> TextReplaced:
    return TextReplaced("r", text)


def status(phase: str) -> RunStatus:
    return RunStatus("r", phase)


def tool(call: str) -> ToolStarted:
    return ToolStarted("r", call, "lookup")


def thought(text: str) -> ThinkingAppended:
    return ThinkingAppended("r", text)


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
events = st.one_of(texts.map(appended), texts.map(appended), texts.map(replaced), texts.map(tool))


def test_below_the_limit_events_pass_as_they_are() -> None:
    given_ = [appended("a"), appended("b"), status("x"), replaced("c")]
    assert buffered(4, *given_) == given_


def test_from_the_limit_on_text_is_joined() -> None:
    assert buffered(1, appended("a"), appended("b"), appended("c")) == [appended("a"), appended("bc")]
    assert buffered(1, appended("a"), replaced("b"), appended("c")) == [appended("a"), replaced("bc")]
    assert buffered(1, appended("a"), appended("b"), replaced("c")) == [appended("a"), replaced("c")]
    assert buffered(0, appended("a")) == [appended("a")]


def test_tools_approvals_and_the_end_stand_for_themselves_and_the_order_stays() -> None:
    approval = RawEvent("r", "agent.approval", {"id": "1"})
    update = ToolUpdated("r", "1", "lookup", {"partial": 1})
    given_ = [appended("a"), tool("1"), update, update, appended("b"), approval, approval, RunCompleted("r", "ab")]
    assert buffered(1, *given_) == given_


def test_of_states_and_unknown_events_the_latest_stands_for_all() -> None:
    given_ = [appended("a"), status("x"), RawEvent("r", "new", 1), status("y"), RawEvent("r", "new", 2)]
    assert buffered(1, *given_, RawEvent("r", "other", 3)) == [
        appended("a"),
        status("y"),
        RawEvent("r", "new", 2),
        RawEvent("r", "other", 3),
    ]


def test_thinking_is_joined_beside_the_text() -> None:
    given_ = [appended("a"), thought("t"), appended("b"), thought("u"), appended("c")]
    assert buffered(1, *given_) == [appended("a"), thought("tu"), appended("bc")]


def test_a_reader_who_never_reads_costs_no_more_than_the_text() -> None:
    buffer, pieces = EventBuffer(4), 50_000
    for number in range(pieces):
        buffer.append(appended(f"{number} "))
        buffer.append(status(str(number)))
    assert buffer.worth_telling()
    assert not buffer.worth_telling()
    assert len(buffer) == 6
    # Beside the one text, the pieces that are not joined yet.
    assert max(len(joined._pieces) for joined in buffer._joined.values()) < MAX_PIECES
    assert text_of(drained(buffer)) == "".join(f"{number} " for number in range(pieces))


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


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "MAX_BUFFER_BYTES", 100)


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize(
    "further",
    [
        ToolStarted("r", "2", "lookup", args="x" * 50),
        ToolUpdated("r", "2", "lookup", data=["x" * 50]),
        ToolFinished("r", "2", "lookup", result={"x": "x" * 50}),
        RawEvent("r", "new", "x" * 50),
        SideResult("r", "x" * 60),
    ],
)
def test_beyond_the_bytes_further_results_are_dropped_and_it_is_told_once(further: RunEvent) -> None:
    buffer = EventBuffer()
    given_ = [tool("1"), ToolFinished("r", "1", "lookup", result="x" * 60), appended("text")]
    for event in given_:
        assert buffer.append(event)
    assert not buffer.worth_telling()
    assert not buffer.append(further)
    assert buffer.worth_telling()
    assert not buffer.append(further)
    assert not buffer.worth_telling()
    buffer.append(RunCompleted("r", "text"))
    assert buffer.dropped == 2
    assert drained(buffer) == [*given_, RunCompleted("r", "text")]


@pytest.mark.usefixtures("narrow")
def test_texts_that_replace_each_other_are_joined_beyond_the_bytes() -> None:
    buffer = EventBuffer()
    texts = [replaced(letter * 60) for letter in "abcdef"]
    for event in texts:
        buffer.append(event)
    assert len(buffer) == 2
    assert drained(buffer) == [texts[0], texts[-1]]
    buffer.append(texts[1])
    assert drained(buffer) == [texts[1]]


@pytest.mark.usefixtures("narrow")
def test_what_was_read_counts_no_longer_and_one_event_may_be_longer_than_all() -> None:
    buffer = EventBuffer()
    long = ToolFinished("r", "1", "lookup", result="x" * 500)
    for _ in range(3):
        assert buffer.append(long)
        assert buffer.popleft() == long
    short = ToolFinished("r", "1", "lookup", result="x" * 30)
    # Never empty, and never more than two of them.
    buffer.append(short)
    for _ in range(20):
        assert buffer.append(short)
        buffer.popleft()
    assert buffer.dropped == 0


def test_a_value_that_is_nested_too_deep_to_be_written_has_a_size_too() -> None:
    value: list[object] = []
    for _ in range(100_000):
        value = [value]
    assert size_beside_text(ToolFinished("r", "1", "lookup", result=value)) == 1 << 20
    while value:
        # A list of lists is freed by recursion as well.
        value = value.pop()  # type: ignore[assignment]


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
    others = [event for event in put if isinstance(event, ToolStarted)]
    assert [event for event in got if isinstance(event, ToolStarted)] == others
    for number in range(len(others)):
        assert text_of(until(got, number)) == text_of(until(put, number))


def until(stream: list[RunEvent], number: int) -> list[RunEvent]:
    """The events before the given tool event, counted."""
    places = [index for index, event in enumerate(stream) if isinstance(event, ToolStarted)]
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
