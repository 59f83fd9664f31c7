"""What a reader gets who has the beginning of a text already."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_client.runs.events import Resumed, RunAborted, RunCompleted, TextAppended, TextReplaced
from openclaw_client.runs.offset import from_offset


def seen(offset: int, *events: Any) -> list[Any]:
    out: list[Any] = []
    put = from_offset(offset, out.append)
    for event in events:
        put(event)
    return out


def added(text: str) -> TextAppended:
    return TextAppended("r", text)


def rewritten(text: str) -> TextReplaced:
    return TextReplaced("r", text)


def done(text: str) -> RunCompleted:
    return RunCompleted("r", text)


@pytest.mark.parametrize(
    ("offset", "expected"),
    [
        (0, ["abc", "def"]),
        (1, ["bc", "def"]),
        (2, ["c", "def"]),
        (3, ["def"]),
        (4, ["ef"]),
        (5, ["f"]),
        (6, []),
    ],
)
def test_the_text_begins_behind_the_offset(offset: int, expected: list[str]) -> None:
    end = done("abcdef")
    assert seen(offset, added("abc"), added("def"), end) == [*map(added, expected), end]


def test_a_reader_with_more_than_there_is_gets_the_whole() -> None:
    assert seen(7, added("abcdef"), done("abcdef")) == [rewritten("abcdef"), done("abcdef")]


def test_a_text_that_is_rewritten_comes_whole_and_goes_on_from_there() -> None:
    events = [rewritten("xy"), added("z"), done("xyz")]
    assert seen(5, added("abc"), *events) == events
    # Also where it is longer than what the reader has.
    events = [rewritten("vwxyz"), added("!"), done("vwxyz!")]
    assert seen(2, added("abc"), *events) == [added("c"), *events]


def test_everything_else_passes_as_it_is() -> None:
    others = [Resumed("r"), RunAborted("r", "ab", "rpc")]
    assert seen(5, added("ab"), *others) == others


@given(pieces=st.lists(st.text(max_size=5), max_size=8), offset=st.integers(0, 30), replaced=st.integers(0, 8))
def test_the_reader_has_the_whole_text_at_the_end(pieces: list[str], offset: int, replaced: int) -> None:
    """However it comes: in pieces, or rewritten at one of them."""
    whole = "".join(pieces)
    events: list[Any] = [added(piece) for piece in pieces if piece]
    if replaced < len(pieces):
        # The text until then was another one.
        before = [added("?" * (len(piece) + 1)) for piece in pieces[:replaced]]
        rest = [added(piece) for piece in pieces[replaced + 1 :] if piece]
        events = [*before, rewritten("".join(pieces[: replaced + 1])), *rest]
    so_far = "".join(event.text for event in events if isinstance(event, TextAppended))
    text = so_far[:offset] if replaced < len(pieces) else whole[:offset]
    for event in seen(offset, *events, done(whole)):
        if isinstance(event, TextAppended):
            text += event.text
        elif isinstance(event, TextReplaced):
            text = event.text
    assert text == whole
