"""What a peer's words may still do on a terminal and in a log: nothing but be read."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_client.errors import RunFailed, Unreachable
from openclaw_client.errors.peer_text import cut, escaped, harmless, one_line

TITLE = "\x1b]0;title\x07"
CLIPBOARD = "\x1b]52;c;aGVsbG8=\x1b\\"
CLEAR = "\x1b[2J\x9b2J"
TURNED = "\u202egpj.exe\u202c \u2066x\u2069"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (TITLE, "]0;title"),
        (CLIPBOARD, "]52;c;aGVsbG8=\\"),
        (CLEAR, "[2J2J"),
        (TURNED, "gpj.exe x"),
        ("a\r\nb\tc\x7f\x00", "a\nb\tc"),
        ("שלום\u200f, سلام\u061c — naïve ☃ 👩\u200d🚀", "שלום\u200f, سلام\u061c — naïve ☃ 👩\u200d🚀"),
    ],
)
def test_what_steers_is_left_out(text: str, left: str) -> None:
    assert harmless(text) == left
    assert one_line(text) == " ".join(left.split())


@given(st.text())
def test_no_character_that_steers_is_left(text: str) -> None:
    for shown in (harmless(text), escaped(text)):
        assert all(unicodedata.category(char) != "Cc" or char in "\n\t" for char in shown)
        assert not any(
            unicodedata.bidirectional(char) in ("LRO", "RLO", "LRE", "RLE", "PDF", "LRI", "RLI", "FSI", "PDI")
            for char in shown
        )
    assert len(one_line(text).splitlines()) <= 1
    assert harmless(harmless(text)) == harmless(text)


@given(st.text())
def test_json_means_the_same_with_escapes(text: str) -> None:
    assert json.loads(escaped(json.dumps(text, ensure_ascii=False))) == text


def test_what_is_long_is_cut() -> None:
    assert cut("x" * 10, 10) == "x" * 10
    assert cut("x" * 11, 10) == f"{'x' * 10}… (11 characters)"


def test_whatever_field_of_an_error_it_stands_in() -> None:
    error = Unreachable(
        message=f"no {TITLE}", close_code=1008, close_reason=CLEAR, gateway_version=TURNED, detail_code="\x1b"
    )
    for shown in (str(error), repr(error), str(RunFailed(run_id=f"r{CLEAR}", message="a\nb"))):
        assert shown == one_line(shown)
