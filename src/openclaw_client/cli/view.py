"""How a run and a conversation are shown: the face that all ways share, plain text, and JSON lines.

`render` has the one for a terminal with colours.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Protocol, Self

from openclaw_client.cli.asked import Line
from openclaw_client.cli.blocks import mark
from openclaw_client.cli.drawings import Drawings
from openclaw_client.cli.output import fields_of, json_line, write
from openclaw_client.errors.peer_text import one_line
from openclaw_client.runs.events import (
    ChatReply,
    RunDeferred,
    RunEvent,
    RunStatus,
    SideResult,
    ToolFinished,
    ToolStarted,
)
from openclaw_client.runs.stream import TextPieces


class RunView(Protocol):
    """Shows one run, within a `with` block. `note`, `waiting` and `aside` may be called from any thread."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None: ...

    def event(self, event: RunEvent) -> None:
        """What the run did."""

    def note(self, text: str) -> None:
        """Something beside the run, in one line."""

    def waiting(self) -> None:
        """The message is not sent yet: another run of its session goes on."""

    def aside(self, draw: Callable[[], object], /) -> bool:
        """Let draw() show a message that is not of this run. False, and nothing is drawn, once the reply has begun."""
        ...

    def asking(self) -> AbstractContextManager[object]:
        """For the length of a block somebody else has the terminal, to ask; what is told meanwhile comes after it."""
        ...

    def aborting(self) -> None:
        """The person asked for the end of the run."""

    def finish(self, reply: ChatReply, files: Sequence[str]) -> None:
        """The run is over; the last call where it ended with a reply. files: a line for each file that came with it."""


class Look(Protocol):
    """Shows a conversation. For one thread at a time."""

    prompt: str

    def run_view(self) -> RunView: ...

    def message(self, who: str, text: str, beside: str = "") -> None:
        """A whole message. beside: the mark of what it holds beside its text."""

    def request(self, lines: Sequence[Line]) -> None:
        """What an agent asks of the person."""

    def note(self, text: str) -> None:
        """A remark of this program."""

    def error(self, text: str) -> None:
        """Something went wrong."""


class PlainRunView:
    """Text as it comes. terminal: whether a person watches, who is also told what happens beside the text."""

    def __init__(self, *, terminal: bool) -> None:
        self._terminal = terminal
        self._pieces = TextPieces()
        self._shown: list[str] = []
        self._in_line = self._apart = False
        self._doing = ""
        self._lock = threading.RLock()
        self._drawings = Drawings(self._lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if not isinstance(error, BrokenPipeError):
            with self._lock:
                self._end_line()

    def event(self, event: RunEvent) -> None:
        with self._lock:
            piece = self._pieces.feed(event)
            if piece:
                self._begin()
                self._shown.append(piece)
                self._write(piece)
            elif isinstance(event, SideResult):
                self._end_line()
                self._write(event.text)
                self._end_line()
            elif self._terminal and describe(event) not in ("", self._doing):
                # Gateways tell a phase twice, in a chat event and in an agent event.
                self._doing = describe(event)
                self._say(self._doing)

    def note(self, text: str) -> None:
        if self._terminal:
            with self._lock:
                self._say(text)

    def waiting(self) -> None:
        self.note(f"{WAITING}; Ctrl-C takes the message back")

    def aside(self, draw: Callable[[], object]) -> bool:
        with self._lock:
            if self._shown:
                return False
            self._drawings.add(draw)
            self._apart = True
            return True

    def asking(self) -> AbstractContextManager[object]:
        return self._drawings.held(self._end_line)

    def aborting(self) -> None:
        self.note("stopping the run; Ctrl-C again leaves without waiting")

    def finish(self, reply: ChatReply, files: Sequence[str]) -> None:
        with self._lock:
            if "".join(self._shown) != reply.text:
                # What was shown cannot be taken back; the whole truth follows it.
                if self._shown:
                    self._end_line()
                    self._say("the gateway rewrote the reply; this is the whole of it")
                self._begin()
                self._write(reply.text)
            self._end_line()
            for text in (mark(reply.content).strip("[]"), *files, *remarks(reply)):
                if text:
                    self._say(text)

    def _begin(self) -> None:
        if self._apart:
            self._apart = False
            self._say(REPLY)

    def _write(self, text: str) -> None:
        if text:
            self._in_line = not text.endswith("\n")
            write(text)

    def _end_line(self) -> None:
        if self._in_line:
            self._write("\n")

    def _say(self, text: str) -> None:
        if self._terminal:
            # There, the remark would stand in the middle of the line.
            self._end_line()
        self._drawings.add(lambda: remark(text))


class PlainLook:
    """Text without colours or movement."""

    prompt = "you> "

    def __init__(self, *, terminal: bool) -> None:
        self._terminal = terminal

    def run_view(self) -> RunView:
        return PlainRunView(terminal=self._terminal)

    def message(self, who: str, text: str, beside: str = "") -> None:
        # Indented, so that a line of a message is never taken for the beginning of the next one.
        whole = "\n".join(part for part in (text.rstrip("\n"), beside) if part)
        write(f"{who}: " + "\n  ".join(whole.split("\n")) + "\n")

    def request(self, lines: Sequence[Line]) -> None:
        write("".join(f"{line.text}\n" for line in lines))

    def note(self, text: str) -> None:
        remark(text)

    def error(self, text: str) -> None:
        print(f"openclaw-client: {one_line(text)}", file=sys.stderr, flush=True)


class JsonRunView:
    """Every event as an object, the reply as the last one."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Nothing to clear away: an error gets its line where it is reported."""

    def event(self, event: RunEvent) -> None:
        json_line(event.type, fields_of(event))

    def note(self, text: str) -> None:
        """Notes are for people; a program gets the events."""

    def waiting(self) -> None:
        """Not an event of the run, which has not begun."""

    def aside(self, _draw: Callable[[], object]) -> bool:
        """Other messages are for people."""
        return False

    def asking(self) -> AbstractContextManager[object]:
        """Nobody is asked."""
        return nullcontext()

    def aborting(self) -> None:
        """The run's own end tells it."""

    def finish(self, reply: ChatReply, files: Sequence[str]) -> None:
        del files
        json_line("reply", fields_of(reply))


def remark(text: str) -> None:
    """A line on stderr that is neither the reply nor an error."""
    print(f"[{one_line(text)}]", file=sys.stderr, flush=True)


REPLY = "the reply to your message:"
"""Stands above it where another message came between the two."""
WAITING = "waiting for another run of this session"
PHASES: dict[str, str] = {
    "preparing_workspace": "preparing the workspace",
    "preparing_context": "preparing the context",
    "starting_model": "starting the model",
    "retrying": "trying the model again",
}
"""The phases of 2026.9.6 in words; others are shown as they are called."""


def describe(event: RunEvent) -> str:
    """An event that is no text, in a few words; "" for one that says nothing to a person."""
    if isinstance(event, RunStatus):
        return PHASES.get(event.phase, event.phase.replace("_", " "))
    if isinstance(event, RunDeferred):
        return WAITING
    if isinstance(event, ToolStarted):
        return f"using {event.name}"
    if isinstance(event, ToolFinished):
        return f"{event.name} {'failed' if event.is_error else 'is done'}"
    return ""


def remarks(reply: ChatReply) -> list[str]:
    """What a person should know about a reply beside its text."""
    found = []
    if reply.state == "aborted":
        found.append("aborted" if reply.text else "aborted before there was any text")
    elif reply.pending_approval is None and not (
        reply.text or mark(reply.content) or reply.side_results or reply.aborted_run_ids or reply.files
    ):
        found.append("the reply has no text")
    if reply.aborted_run_ids:
        found.append("stopped what was running")
    if reply.merged_into:
        found.append("the message was taken into the run that was under way")
    if reply.recovered:
        found.append("the reply was read from the history, because its events were missed")
    return found
