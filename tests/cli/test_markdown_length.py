"""A long text takes time in its length on a terminal, not in the square of it, whatever it is made of."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import pytest
from rich.segment import Segment

from openclaw_client.cli.markdown import finished_length
from tests.cli.test_markdown import shown
from tests.long_texts import CHARACTERS, PIECES, STRUCTURES, Text, again, growth

pytestmark = pytest.mark.timeout(300)  # seconds of work each, on a machine that has other work, too

LENGTH = 16_000
NOISE, HOPELESS = 0.15, 60.0
"""Seconds. What takes the square and stays below this takes 1.5 s of 50,000 characters."""

TEXTS: dict[str, Text] = {repr(piece): again(piece) for piece in (*CHARACTERS, *PIECES)} | STRUCTURES


def took(text: str) -> float:
    """Seconds of this thread: other work on the machine counts for little."""
    begun = time.thread_time()
    finished_length(text)
    shown(text, 80)
    return time.thread_time() - begun


@pytest.mark.parametrize("name", TEXTS)
def test_time_grows_with_the_length(name: str) -> None:
    assert growth(took, TEXTS[name], LENGTH, NOISE, HOPELESS) is None


@pytest.mark.parametrize("depth", [10_000])
@pytest.mark.parametrize("mark", ["> ", ">", "- ", "1. ", "> - ", "*", "[", "![", "(", "<"])
def test_the_deepest_nesting_is_shown(mark: str, depth: int) -> None:
    assert "word" in shown(mark * depth + "word", 80)


LINES = ("a\n", "a  \n", "a\\\n", "<b>\n", "[a]: b\n", "> a\n", "- a\n", "- a\nb\n", "    a\n", "|a|\n")


@pytest.mark.parametrize("text", [*LINES, f"{'> ' * 12}a\n", f"{'>' * 30}a\n"])
def test_no_piece_that_is_drawn_has_many_lines(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a piece with many lines, rich copies the rest at every line: 50,000 characters took seconds."""
    most = 0
    split = Segment.split_and_crop_lines

    def spy(segments: Iterable[Segment], *args: Any, **more: Any) -> Any:
        nonlocal most
        pieces = list(segments)
        most = max(most, *(piece.text.count("\n") for piece in pieces), 0)
        return split(pieces, *args, **more)

    monkeypatch.setattr(Segment, "split_and_crop_lines", spy)
    shown(text * 100, 40)
    assert most == 1
