"""`doctor`: go to the gateway step by step, and say at which one it fails and what to do."""

from __future__ import annotations

import argparse
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol, Self

from openclaw_client.cli.connect import described
from openclaw_client.cli.exit_codes import ExitCode, exit_code
from openclaw_client.cli.look import choose_look
from openclaw_client.cli.options import Options
from openclaw_client.cli.output import json_line, write
from openclaw_client.cli.report import advice
from openclaw_client.cli.view import PlainLook
from openclaw_client.client.diagnosis import StageReport
from openclaw_client.errors import ConnectError, GatewayError
from openclaw_client.errors.peer_text import one_line

HELP = """\
find out why there is no connection, and what to do
Goes to the gateway step by step and stops at the first one that fails.
Changes nothing but what connecting changes: a new device may be paired."""

TEST_MESSAGE = "This is a connection test. Answer with one word."

_ORDER = ("dns", "tcp", "tls", "upgrade", "challenge", "connect", "scopes", "call", "chat")
_STAGE_WIDTH = max(map(len, _ORDER))
_MILLISECONDS = 1000


class _View(Protocol):
    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...

    def begin(self, url: str) -> None: ...

    def stage(self, report: StageReport) -> None: ...


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--chat",
        nargs="?",
        const=TEST_MESSAGE,
        dest="test_message",
        metavar="MESSAGE",
        help="also hold a test chat, in a session of its own; the model is asked",
    )


def run(options: Options) -> int:
    view = _choose_view(options)
    with described(options) as client, view:
        view.begin(client.url)
        reports = client.diagnose(chat=options.test_message, on_stage=view.stage)
    error = reports[-1].error
    if error is not None:
        if options.json:
            raise error
        # Stage, error and advice were just printed.
        return exit_code(error)
    if options.json:
        seconds = sum(report.seconds or 0.0 for report in reports)
        json_line("doctor", {"url": client.url, "seconds": round(seconds, 3)})
    return ExitCode.OK


def _choose_view(options: Options) -> _View:
    if options.json:
        return _JsonView(options)
    if isinstance(choose_look(), PlainLook):
        return _PlainView(options)
    return _RichView(options)


class _PlainView:
    """A line for each stage; the advice below the one that failed."""

    def __init__(self, options: Options) -> None:
        self._options = options

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        """Nothing to clear away."""

    def begin(self, url: str) -> None:
        write(f"{url}\n")

    def stage(self, report: StageReport) -> None:
        write(f"{report.result:<8}{report.stage:<{_STAGE_WIDTH}}  {_time(report)}  {_told(report)}".rstrip() + "\n")
        if report.error is not None:
            write(f"\n{_advice(report.error, self._options)}\n")


class _JsonView(_PlainView):
    """An object for each stage."""

    def begin(self, url: str) -> None:
        """The URL stands in the last object."""

    def stage(self, report: StageReport) -> None:
        json_line("stage", _fields(report, self._options))


class _RichView:
    """The same in colours, with a line at the bottom that says which stage is under way."""

    def __init__(self, options: Options) -> None:
        from openclaw_client.cli.render import new_console

        self._options = options
        self._console = new_console()
        self._status: Any = None
        self._waiting: AbstractContextManager[object] = nullcontext()

    def __enter__(self) -> Self:
        self._status = self._waiting = self._console.status(f"{_ORDER[0]} …")
        self._waiting.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self._waiting.__exit__(None, None, None)

    def begin(self, url: str) -> None:
        self._print((url, "bold"))

    def stage(self, report: StageReport) -> None:
        mark, colour = {"ok": ("✓", "green"), "failed": ("✗", "bold red"), "skipped": ("○", "dim")}[report.result]
        beside = "dim" if report.error is None else ""
        self._print(
            (f"{mark} ", colour),
            (f"{report.stage:<{_STAGE_WIDTH}}  ", "" if report.error is None else "bold"),
            (f"{_time(report)}  ", "dim"),
            (_told(report), beside),
        )
        if report.error is not None:
            self._print(("\n→ ", "bold"), (_advice(report.error, self._options), "bold"))
        elif report.stage in _ORDER[:-1]:
            self._status.update(f"{_ORDER[_ORDER.index(report.stage) + 1]} …")

    def _print(self, *pieces: tuple[str, str]) -> None:
        from rich.text import Text

        self._console.print(Text.assemble(*pieces), soft_wrap=False)


def _time(report: StageReport) -> str:
    return f"{report.seconds * _MILLISECONDS:6.0f} ms" if report.seconds is not None else " " * 9


def _told(report: StageReport) -> str:
    if report.error is None:
        return one_line(report.detail)
    shown = report.error.again()
    shown.remedy = ""
    if isinstance(shown, ConnectError):
        # The URL stands above.
        shown.url = None
    return one_line(str(shown)).rstrip(".")


def _advice(error: GatewayError, options: Options) -> str:
    return one_line(advice(error, options)) or "Look into the gateway's log"


def _fields(report: StageReport, options: Options) -> dict[str, Any]:
    error = report.error
    return {
        "stage": report.stage,
        "result": report.result,
        "seconds": round(report.seconds, 3) if report.seconds is not None else None,
        "detail": _told(report),
        "remedy": _advice(error, options) if error is not None else None,
    }
