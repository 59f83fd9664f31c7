"""The text of a run out of snapshots and increments."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_client.runs.events import TextAppended, TextReplaced
from openclaw_client.runs.text import TextReducer
from openclaw_client.wire.chat import ChatBlock, ChatMessage, ChatPayload

PICTURE = ChatMessage(content=[ChatBlock("image")])


def delta(snapshot: ChatMessage | str | None = None, piece: str | None = None, **rest: Any) -> ChatPayload:
    return ChatPayload(state="delta", message=snapshot, delta_text=piece, **rest)


def appended(text: str) -> TextAppended:
    return TextAppended("r", text)


def replaced(text: str) -> TextReplaced:
    return TextReplaced("r", text)


@pytest.mark.parametrize(
    ("had", "payload", "event", "text"),
    [
        # v3: the snapshot alone.
        ("", delta("Hel"), appended("Hel"), "Hel"),
        ("Hel", delta("Hello"), appended("lo"), "Hello"),
        ("Hello", delta("Hello"), None, "Hello"),
        ("Hello", delta("Help"), replaced("Help"), "Help"),
        ("Hello", delta("Hel"), replaced("Hel"), "Hel"),
        ("Hello", delta(""), replaced(""), ""),
        ("", delta(""), None, ""),
        # v4: the snapshot decides, whatever the piece says.
        ("Hel", delta("Hello", "lo"), appended("lo"), "Hello"),
        ("Hel", delta("Hello", "garbage"), appended("lo"), "Hello"),
        ("He", delta("Hello", "lo"), appended("llo"), "Hello"),
        ("Hel", delta("Bye", "Bye", replace=True), replaced("Bye"), "Bye"),
        # No snapshot: the piece is all there is.
        ("Hel", delta(None, "lo"), appended("lo"), "Hello"),
        ("Hel", delta(None, ""), None, "Hel"),
        ("Hel", delta(None, "Bye", replace=True), replaced("Bye"), "Bye"),
        ("Hel", delta(None, "", replace=True), replaced(""), ""),
        ("Hel", delta(None, "Hello", replace=True), appended("lo"), "Hello"),
        ("Hel", delta(None, None), None, "Hel"),
        # A snapshot that holds no text says nothing about it: the piece counts, where there is one.
        ("Hel", delta(PICTURE), None, "Hel"),
        ("Hel", delta(PICTURE, "lo"), appended("lo"), "Hello"),
        ("Hel", delta(ChatMessage(content=[])), None, "Hel"),
        ("Hel", delta(ChatMessage(content=[ChatBlock("text", "")])), replaced(""), ""),
    ],
)
def test_one_delta(had: str, payload: ChatPayload, event: object, text: str) -> None:
    reducer = TextReducer("r", had)
    assert reducer.delta(payload) == event
    assert reducer.text == text


def test_a_delta_older_than_the_last_is_late_and_one_of_the_same_number_is_not() -> None:
    reducer = TextReducer("r")
    assert reducer.delta(delta("Hello", seq=6)) == appended("Hello")
    assert reducer.delta(delta("Hel", seq=5)) is None
    # The flush before the final has the number of the delta before it.
    assert reducer.delta(delta("Hello you", seq=6)) == appended(" you")
    assert reducer.delta(delta("Hello you!", seq=None)) == appended("!")
    assert reducer.delta(delta("Hello you!!", seq=11)) == appended("!")
    assert reducer.text == "Hello you!!"


@pytest.mark.parametrize(
    ("payload", "event"),
    [
        (delta("Hel"), None),
        (delta("Hello"), None),
        (delta("Hello you"), appended(" you")),
        (delta("Bye"), replaced("Bye")),
        (delta("Hel", replace=True), replaced("Hel")),
        (delta(None, "!"), appended("!")),
    ],
)
def test_after_a_reconnect_a_frame_older_than_the_history_is_late(payload: ChatPayload, event: object) -> None:
    assert TextReducer("r", "Hello", resumed=True).delta(payload) == event


@given(texts=st.lists(st.text(max_size=6), max_size=20))
def test_the_events_lead_from_text_to_text(texts: list[str]) -> None:
    reducer, shown = TextReducer("r"), ""
    for text in texts:
        event = reducer.become(text)
        if isinstance(event, TextAppended):
            assert event.text
            shown += event.text
        elif isinstance(event, TextReplaced):
            assert not event.text.startswith(shown)
            shown = event.text
        assert shown == reducer.text == text


@given(pieces=st.lists(st.text(max_size=4), max_size=20), lost=st.sets(st.integers(0, 19)))
def test_snapshots_heal_what_was_lost(pieces: list[str], lost: set[int]) -> None:
    reducer, whole = TextReducer("r"), ""
    for number, piece in enumerate(pieces):
        whole += piece
        if number not in lost or number == len(pieces) - 1:
            event = reducer.delta(delta(whole, piece, seq=number))
            assert not isinstance(event, TextReplaced)
    assert reducer.text == whole
