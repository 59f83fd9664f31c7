"""The pieces that the other tests see from afar: JSON, harmless text, and Markdown that grows."""

from __future__ import annotations

import io
import json
from dataclasses import fields

import pytest
from markdown_it import MarkdownIt
from rich.console import Console

from openclaw_client.cli.blocks import event_in_short, event_mark, mark
from openclaw_client.cli.markdown import finished_length
from openclaw_client.cli.output import encode, fields_of
from openclaw_client.cli.prompt import plain
from openclaw_client.cli.render import RichRunView
from openclaw_client.cli.view import PlainRunView
from openclaw_client.errors.peer_text import harmless, one_line
from openclaw_client.runs.events import (
    ChatReply,
    RunEvent,
    RunStarted,
    SideResult,
    TextAppended,
    TextReplaced,
    ToolFinished,
    ToolStarted,
)

MARKDOWN = """# Heading

A paragraph
over two lines.

- one

  still one
- two
***
```python
# no heading

- no list
```
Setext
======

1. first
2. second

| a | b |
|---|---|
| 1 | 2 |

> quoted
lazily

The end."""


def test_json_takes_whatever_a_payload_may_hold() -> None:
    side = SideResult("r", "text", question=None)
    told = json.loads(encode({"b": b"\x00\xff", "s": {2, 1}, "d": side, "e": ValueError("x"), "u": "☃\n"}))
    assert told["b"] == "AP8="
    assert told["s"] == [1, 2]
    assert told["d"]["type"] == "side_result"
    assert told["e"] == "x"
    assert told["u"] == "☃\n"
    assert "\n" not in encode({"u": "☃\n"})
    assert "☃" in encode("☃")


def test_the_fields_of_an_event_are_all_but_its_type() -> None:
    event = RunStarted("r")
    assert fields_of(event) == {"run_id": "r", "status": "started"}
    assert {field.name for field in fields(event)} == {*fields_of(event), "type"}


def test_what_is_no_text_is_named_in_one_line() -> None:
    assert mark([{"type": "image"}, {"type": "text"}, {"type": "a\x1b[2J\nb"}]) == "[image, a[2J b]"
    assert mark([{"type": "text", "text": "words"}, {"type": "thinking"}]) == ""


@pytest.mark.parametrize("payload", [None, [], "text", {"message": "text"}, {"message": {"content": "text"}}, {"n": 1}])
def test_an_event_without_blocks_is_shown_as_it_is(payload: object) -> None:
    assert event_in_short(payload) is payload
    assert event_mark(payload) == ""


def test_text_for_a_terminal_cannot_steer_it() -> None:
    every = "".join(map(chr, range(256)))
    assert harmless(every) == "".join(c for c in every if c.isprintable() or c in "\n\t\xa0\xad")
    assert one_line(" a\r\n\x1b[2Jb\t c ") == "a [2Jb c"
    assert plain("\001\033[1m\002you>\001\033[0m\002 ") == "you> "


def test_what_is_settled_is_never_changed_by_what_follows() -> None:
    parser = MarkdownIt().enable("strikethrough").enable("table")
    lengths = []
    for end in range(len(MARKDOWN) + 1):
        grown = MARKDOWN[:end]
        length = finished_length(grown)
        assert parser.render(MARKDOWN).startswith(parser.render(grown[:length])), repr(grown[:length])
        lengths.append(length)
    assert max(lengths) == MARKDOWN.index("The end.")


EVENTS: list[tuple[list[RunEvent], str, str]] = [
    ([TextAppended("r", "one "), TextAppended("r", "two")], "one two", "one two\n"),
    ([TextAppended("r", "line\n")], "line\n", "line\n"),
    ([], "", ""),
    ([], "from the history", "from the history\n"),
    ([TextAppended("r", "a"), TextReplaced("r", "ab"), TextAppended("r", "c")], "abc", "abc\n"),
    ([TextAppended("r", "a"), TextReplaced("r", "x")], "x", "a\nx\n"),
    ([SideResult("r", "aside"), TextAppended("r", "text")], "text", "aside\ntext\n"),
]


@pytest.mark.parametrize(("events", "text", "out"), EVENTS)
def test_plain_text(capsys: pytest.CaptureFixture[str], events: list[RunEvent], text: str, out: str) -> None:
    with PlainRunView(terminal=False) as view:
        for event in events:
            view.event(event)
        view.finish(ChatReply(text=text, run_id="r", state="final", session_key="main"), ())
    assert capsys.readouterr().out == out


def test_what_is_out_of_reach_is_told_to_be_rewritten() -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=80, height=10, color_system=None)
    with RichRunView(console) as view:
        view.event(TextAppended("r", "A paragraph.\n\nAnd then"))
        view.note("a note, which settles what stands before it")
        view.event(TextReplaced("r", "All new."))
        view.event(TextAppended("r", " And more."))
        view.finish(ChatReply(text="All new. And more.", run_id="r", state="final", session_key="main"), ())
    shown = screen.getvalue()
    assert (
        shown.index("A paragraph.") < shown.index("the gateway rewrote the reply:") < shown.rindex("All new. And more.")
    )


@pytest.mark.parametrize("args", [None, {"query": "x" * 500}, "text", {"a": "\x1b[2J"}])
def test_a_tool_is_one_line_however_long_its_arguments(args: object) -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=60, height=10, color_system=None)
    with RichRunView(console) as view:
        view.event(ToolStarted("r", "c", "search", args))
        view.event(ToolFinished("r", "c", "search", is_error=True))
    lines = [line for line in screen.getvalue().replace("\r", "\n").splitlines() if "✗" in line or " s)" in line]
    assert len({line[line.index("✗") :] for line in lines}) == 1
    assert "failed (0.0 s)" in lines[0]
    assert "\x1b[2J" not in screen.getvalue()


@pytest.mark.parametrize("rich", [True, False])
def test_what_is_told_while_the_person_is_asked_comes_after_the_answer(
    capsys: pytest.CaptureFixture[str], rich: bool
) -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=80, height=10, color_system=None)

    def shown() -> str:
        out, err = capsys.readouterr()
        return screen.getvalue() if rich else out + err

    with RichRunView(console) if rich else PlainRunView(terminal=True) as view:
        view.event(TextAppended("r", "so far"))
        with view.asking():
            before = shown()
            assert "so far" in before
            view.note("connection lost")
            view.aborting()
            assert shown() in (before, "")
        assert "connection lost" in shown()
        view.event(TextAppended("r", " and further"))
        view.finish(ChatReply(text="so far and further", run_id="r", state="final", session_key="main"), ())
    assert "further" in shown()
