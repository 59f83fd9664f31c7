"""What `tools serve` shows: plain lines, or JSON. The calls are its output, all else is told beside it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TextIO

from openclaw_client.cli.look import choose_look
from openclaw_client.cli.options import Options
from openclaw_client.cli.output import fields_of, json_line, write
from openclaw_client.cli.report import complain
from openclaw_client.cli.tools_host import Served
from openclaw_client.cli.view import PlainLook
from openclaw_client.errors import PairingRequired
from openclaw_client.errors.peer_text import harmless, one_line

if TYPE_CHECKING:
    from openclaw_client.tools.calls import CallEnd
    from openclaw_client.tools.changes import HostStateChange

_OUTCOMES = {
    "error": "told what was wrong",
    "timeout": "took too long",
    "busy": "not called: too busy",
    "cancelled": "cancelled",
    "lost": "the connection was lost",
    "leaving": "not called: leaving",
}
TOOL_WIDTH, SESSION_WIDTH = 16, 24
"""Columns, so that the seconds stand below each other on most lines of 80."""


_DEVICE = """
The gateway wants the device of this host approved. On the gateway's machine:

  {command}

or from a device that may approve others: openclaw-client devices {request}
"""
_TOOLS = """
The gateway wants this host allowed its tools. On the gateway's machine:

  openclaw nodes pending
  openclaw nodes approve REQUEST

or from a device that may approve others: openclaw-client devices list
"""
_WAITING = "\nwaiting for the approval; Ctrl-C ends this\n\n"


class ServeView:
    """Plain lines. Made before anything takes the place of stdout; `state` and `call` from any thread."""

    def __init__(self, options: Options) -> None:
        self._stdout: TextIO = sys.stdout
        self._approves = options.approve

    def begin(self, host: Served) -> None:
        complain(f"{host.name}: connecting to {host.url}; Ctrl-C ends this")

    def state(self, change: HostStateChange, host: Served) -> None:
        from openclaw_client.tools.publication import HostState

        if change.waiting_for is not None and self._approves:
            complain(f"{host.name} waits for its approval, which --approve gives")
        elif change.waiting_for is not None:
            _say(_waiting_text(change))
        elif change.new is HostState.PUBLISHED:
            complain(f"{host.name} serves {', '.join(host.published) or 'no tools'}; Ctrl-C ends this")
        elif change.new is HostState.CONNECTING and change.cause is not None:
            complain(f"{host.name}: the connection was lost; connecting again")

    def call(self, end: CallEnd) -> None:
        write(f"{_columns(end)}  {_outcome(end)}\n", self._stdout)

    def leaving(self, active: int) -> None:
        if sys.stderr.isatty():
            # Behind the ^C that the terminal shows.
            _say("\n")
        if active:
            calls = "a call goes" if active == 1 else f"{active} calls go"
            complain(f"the tools are withdrawn, {calls} on; Ctrl-C leaves at once")


class _RichServeView(ServeView):
    """The calls with a mark in colour."""

    def __init__(self, options: Options) -> None:
        from openclaw_client.cli.render import new_console

        super().__init__(options)
        self._console = new_console()

    def call(self, end: CallEnd) -> None:
        from rich.text import Text

        mark, colour = ("✓", "green") if end.outcome == "ok" else ("✗", "red")
        outcome = (f"  {_outcome(end)}", "dim" if end.outcome == "ok" else "")
        self._console.print(Text.assemble((f"{mark} ", colour), _columns(end), outcome), soft_wrap=True)


def _waiting_text(change: HostStateChange) -> str:
    error = change.cause
    if not isinstance(error, PairingRequired):
        return _TOOLS + _WAITING
    request = f"approve {error.request_id}" if error.request_id else "list"
    return _DEVICE.format(command=one_line(error.command), request=one_line(request)) + _WAITING


def _columns(end: CallEnd) -> str:
    columns = f"{one_line(end.tool):<{TOOL_WIDTH}}  {one_line(end.session_key or '-'):<{SESSION_WIDTH}}"
    return f"{columns}  {end.seconds:6.2f} s"


def _outcome(end: CallEnd) -> str:
    return one_line(f"failed ({end.cause})" if end.outcome == "failed" else _OUTCOMES.get(end.outcome, end.outcome))


def _say(text: str) -> None:
    print(harmless(text), end="", file=sys.stderr, flush=True)


class _JsonServeView(ServeView):
    """An object for each."""

    def begin(self, host: Served) -> None:
        fields = {"name": host.name, "url": host.url, "tools": [tool.name for tool in host.tools]}
        json_line("host", fields, self._stdout)

    def state(self, change: HostStateChange, host: Served) -> None:
        from openclaw_client.tools.publication import HostState

        fields: dict[str, object] = {"state": change.new.value, "waiting_for": change.waiting_for}
        if change.new is HostState.PUBLISHED:
            fields["tools"] = host.published
        json_line("host_state", fields, self._stdout)

    def call(self, end: CallEnd) -> None:
        json_line("call", {**fields_of(end), "seconds": round(end.seconds, 3)}, self._stdout)

    def leaving(self, active: int) -> None:
        json_line("leaving", {"active_calls": active}, self._stdout)


def choose_view(options: Options) -> ServeView:
    if options.json:
        return _JsonServeView(options)
    return ServeView(options) if isinstance(choose_look(), PlainLook) else _RichServeView(options)
