"""Runs and messages on a terminal with colours: Markdown, and a line at the bottom that tells what goes on.

Loaded only where `rich` is installed and a person watches.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.segment import SegmentLines
from rich.spinner import Spinner
from rich.text import Text

from openclaw_client.cli.asked import Line
from openclaw_client.cli.blocks import mark
from openclaw_client.cli.drawings import Drawings
from openclaw_client.cli.markdown import finished_length, markdown
from openclaw_client.cli.view import REPLY, WAITING, RunView, describe, remarks
from openclaw_client.errors.peer_text import harmless, one_line
from openclaw_client.runs.events import (
    ApprovalRequested,
    ApprovalResolved,
    ChatReply,
    QuestionAsked,
    QuestionClosed,
    Reconnecting,
    Resumed,
    RunDeferred,
    RunEvent,
    RunStarted,
    RunStatus,
    SideResult,
    TextAppended,
    TextReplaced,
    ThinkingAppended,
    ToolFinished,
    ToolStarted,
    ToolUpdated,
)

FRAME = 0.08
"""Seconds between two pictures: the pace of the spinner, and of a gateway's deltas (75 ms)."""
TOOL_LINE = 24
"""Columns of a tool's line beside its name and arguments: the mark, " failed", and the time in brackets."""
SLOW = 2
"""Seconds after which the status line counts them: below, a number only flickers."""

_STYLES = {"title": "bold yellow", "command": "bold", "warning": "yellow", "detail": "dim"}
"""How the lines look that tell what an agent asks."""


class RichLook:
    """A conversation in colours."""

    def __init__(self, console: Console) -> None:
        self._console = console
        # The marks around the colours keep them out of readline's count of columns.
        colour = not console.no_color and console.color_system is not None
        self.prompt = "\001\033[1;36m\002you>\001\033[0m\002 " if colour else "you> "

    def run_view(self) -> RunView:
        return RichRunView(self._console)

    def message(self, who: str, text: str, beside: str = "") -> None:
        self._console.print(Text(f"{one_line(who)}:", style="bold cyan" if who == "user" else "bold"))
        if text:
            self._console.print(markdown(text))
        if beside:
            self._console.print(Text(beside, style="dim"))
        self._console.print()

    def request(self, lines: Sequence[Line]) -> None:
        for line in lines:
            self._console.print(Text(line.text, style=_STYLES.get(line.role, "")), soft_wrap=True)

    def note(self, text: str) -> None:
        self._console.print(Text(one_line(text), style="dim"))

    def error(self, text: str) -> None:
        self._console.print(Text(f"openclaw-client: {one_line(text)}", style="red"))


class RichRunView:
    """One run: the blocks of text that are whole stay on the screen, the one that grows is drawn again and again.

    One lock around all drawing: the events come on the main thread, the pictures on a thread of their own, and notes
    from handlers.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lock = threading.RLock()
        self._live = self._new_live()
        self._spinner = Spinner("dots" if console.encoding.startswith("utf") else "line", style="dim")
        self._over = threading.Event()
        self._ticker = threading.Thread(target=self._tick, name="openclaw-status-line", daemon=True)
        self._activity, self._since = "sending", time.monotonic()
        self._tools: dict[str, tuple[ToolStarted, float]] = {}
        self._settled, self._tail = "", ""
        self._fresh, self._apart, self._interrupted = False, False, False
        self._stopping = False
        self._drawings = Drawings(self._lock)
        self._way_out = "Ctrl-C stops it"

    def __enter__(self) -> Self:
        self._live.start()
        self._ticker.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        self._ticker.join()
        with self._lock:
            self._leave()

    def event(self, event: RunEvent) -> None:
        with self._lock:
            self._way_out = "Ctrl-C stops it"
            if isinstance(event, TextAppended):
                self._begin()
                self._tail += event.text
                self._fresh = True
                self._do("writing")
            elif isinstance(event, TextReplaced):
                self._replace(event.text)
                self._fresh = True
                self._do("writing")
            elif isinstance(event, SideResult):
                self._settle(whole=True)
                self._print(markdown(event.text))
            else:
                self._tool(event)
                self._do(self._activity_of(event))

    def note(self, text: str) -> None:
        with self._lock:
            self._settle(whole=True)
            self._print(Text(one_line(text), style="dim"))

    def waiting(self) -> None:
        with self._lock:
            self._way_out = "Ctrl-C takes the message back"
            self._do(WAITING)

    def aside(self, draw: Callable[[], object]) -> bool:
        with self._lock:
            if self._settled or self._tail:
                return False
            self._above(draw)
            self._interrupted = True
            return True

    def asking(self) -> AbstractContextManager[object]:
        return self._drawings.held(self._leave, self._come_back)

    def aborting(self) -> None:
        self._stopping = True
        self._do("stopping (Ctrl-C again leaves without waiting)")

    def finish(self, reply: ChatReply, files: Sequence[str]) -> None:
        with self._lock:
            if self._settled + self._tail != reply.text:
                self._replace(reply.text)
            self._settle(whole=True)
            if beside := mark(reply.content):
                self._print(Text(beside, style="dim"))
            for line in files:
                self._print(Text(f"[{line}]", style="dim"))
            for text in remarks(reply):
                self._print(Text(text, style="yellow"))

    def _do(self, activity: str) -> None:
        if activity and activity != self._activity and (not self._stopping or activity.startswith("stopping")):
            self._activity, self._since = activity, time.monotonic()

    def _activity_of(self, event: RunEvent) -> str:
        if isinstance(event, ToolStarted | RunStatus | RunDeferred):
            return describe(event)
        if isinstance(event, ToolUpdated):
            return f"using {event.name}"
        if isinstance(event, ToolFinished):
            return self._in_tools()
        if isinstance(event, RunStarted | ThinkingAppended | Resumed):
            return "thinking"
        if isinstance(event, ApprovalRequested | QuestionAsked):
            return "waiting for an answer"
        if isinstance(event, ApprovalResolved | QuestionClosed):
            return self._in_tools()
        return "reconnecting" if isinstance(event, Reconnecting) else ""

    def _in_tools(self) -> str:
        others = [describe(started) for started, _ in self._tools.values()]
        return others[-1] if others else "thinking"

    def _tool(self, event: RunEvent) -> None:
        if isinstance(event, ToolStarted):
            self._tools[event.call_id] = event, time.monotonic()
        elif isinstance(event, ToolFinished):
            started, since = self._tools.pop(event.call_id, (None, time.monotonic()))
            self._settle(whole=True)
            self._print(self._tool_line(event, started.args if started else None, time.monotonic() - since))

    def _tool_line(self, event: ToolFinished, args: object, seconds: float) -> Text:
        good, bad = ("✓", "✗") if self._console.encoding.startswith("utf") else ("+", "x")
        line = Text()
        line.append(f"{bad if event.is_error else good} ", style="red" if event.is_error else "green")
        line.append(one_line(event.name), style="bold dim")
        if args:
            shown = one_line(json.dumps(args, ensure_ascii=False, default=str))
            room = max(0, self._console.width - len(event.name) - TOOL_LINE)
            line.append(" " + (shown if len(shown) <= room else shown[:room] + "…"), style="dim")
        line.append(f"{' failed' if event.is_error else ''} ({seconds:.1f} s)", style="dim")
        return line

    def _begin(self) -> None:
        if self._interrupted:
            self._interrupted = False
            self._print(Text(REPLY, style="dim"))

    def _replace(self, text: str) -> None:
        self._begin()
        if text.startswith(self._settled):
            self._tail = text[len(self._settled) :]
            return
        # What was settled is out of reach.
        self._print(Text("the gateway rewrote the reply:", style="dim"))
        self._settled, self._tail, self._apart = "", text, False

    def _settle(self, *, whole: bool = False) -> None:
        """Leave on the screen what can change no more: all Markdown blocks but the last, or everything."""
        text = self._tail if whole else self._tail[: finished_length(self._tail)]
        if not text:
            return
        self._settled, self._tail = self._settled + text, self._tail[len(text) :]
        if text.strip():
            # The distance that Markdown keeps between its blocks.
            self._print(Group(Text(""), markdown(text)) if self._apart else markdown(text))
            self._apart = True

    def _print(self, what: RenderableType) -> None:
        self._above(lambda: self._console.print(what))

    def _above(self, draw: Callable[[], object]) -> None:
        def draw_above() -> None:
            # In one piece, the picture first: what is printed goes above the picture as it was drawn last.
            with self._console:
                self._live.update(self._picture(), refresh=True)
                draw()

        self._drawings.add(draw_above)

    def _new_live(self) -> Live:
        return Live(console=self._console, auto_refresh=False, transient=True, redirect_stdout=False)

    def _leave(self) -> None:
        self._settle(whole=True)
        self._clear_away()

    def _come_back(self) -> None:
        self._live = self._new_live()
        self._live.start()

    def _clear_away(self) -> None:
        self._live.update(Text(""), refresh=True)
        self._live.stop()

    def _tick(self) -> None:
        while not self._over.wait(FRAME):
            with self._lock:
                if self._drawings.are_held:
                    continue
                if self._fresh:
                    # Reading a long block costs time; without new text it reads the same.
                    self._fresh = False
                    self._settle()
                self._live.update(self._picture(), refresh=True)

    def _picture(self) -> RenderableType:
        seconds = int(time.monotonic() - self._since)
        parts = [
            one_line(self._activity),
            f"{seconds} s" if seconds >= SLOW else "",
            "" if self._stopping else self._way_out,
        ]
        self._spinner.update(text=Text(" · ".join(part for part in parts if part), style="dim"))
        return Group(self._last_lines(), self._spinner) if self._tail.strip() else self._spinner

    def _last_lines(self) -> RenderableType:
        """The end of the block that grows; what is higher than the screen could not be drawn over."""
        room = max(2, self._console.size.height - 3)
        source = self._tail.splitlines()
        if len(source) > room:
            # A long listing: colouring all of it many times a second would cost more than it shows.
            return Text(harmless("\n".join(source[-room:])), overflow="crop", no_wrap=True)
        lines = self._console.render_lines(markdown(self._tail), pad=False)
        return SegmentLines(lines[-room:], new_lines=True)


def new_console() -> Console:
    """A console on stdout as it is now."""
    return Console(file=sys.stdout, highlight=False)
