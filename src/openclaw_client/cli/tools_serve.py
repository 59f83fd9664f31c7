"""`tools serve`: Python functions as tools of the agent, until Ctrl-C."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import redirect_stdout
from functools import partial
from typing import TYPE_CHECKING, Any

from openclaw_client.cli.exit_codes import ExitCode
from openclaw_client.cli.options import Options
from openclaw_client.cli.tools_approve import approve_own
from openclaw_client.cli.tools_host import Served, served_host
from openclaw_client.cli.tools_view import ServeView, choose_view
from openclaw_client.errors import GatewayError
from openclaw_client.sync.threads import latch

if TYPE_CHECKING:
    from openclaw_client.tools.changes import HostStateChange

HELP = """\
serve Python functions as tools of the agent
Until Ctrl-C, which takes the tools back and lets running calls come to their
end; a second one leaves at once. The gateway knows the host by a device of its
own, and somebody has to allow it its tools once: it says with which command."""

DRAIN = 10.0
"""Seconds that running calls have after Ctrl-C: as long as a host gives them unless told."""
LAST_LINES = 2.0
"""Seconds that what is told of the last calls may take to be printed."""

_TOLD_HERE = ("%s waits: %s", "%s serves no more: %s")
"""What a host logs and this command tells by itself."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "module",
        metavar="MODULE[:NAME]",
        help="a file (my.py) or a module (my.module): its host, or all its tools; or one thing in it: a tool, a list "
        "of tools, a host",
    )
    parser.add_argument(
        "--approve",
        action="store_true",
        help="allow this host its tools, as an operator with the same credentials",
    )
    parser.add_argument(
        "--name", dest="host_name", metavar="NAME", help="what the host is called (default: as the module)"
    )


def run(options: Options) -> int:
    logging.getLogger("openclaw_client.tools").addFilter(lambda record: record.msg not in _TOLD_HERE)
    view = choose_view(options)
    # What functions print is no line of this program's.
    with redirect_stdout(sys.stderr):
        return _Serving(served_host(options), view, options).run()


class _Serving:
    """One host from connect to Ctrl-C. The host's handlers run in other threads, `run` in the main one."""

    def __init__(self, host: Served, view: ServeView, options: Options) -> None:
        self._host = host
        self._view = view
        self._options = options
        self._lock = threading.Lock()
        self._over = latch()
        self._gone = latch()
        self._failed: list[Exception] = []
        host.on_state_change(self._state)
        host.on_fatal_close(lambda _, error: self._fail(error))
        host._on_call_end(lambda end: self._tell(self._view.call, end))

    def run(self) -> int:
        """Raises what ends the host."""
        # A service is ended by this signal, a person's by Ctrl-C.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            self._view.begin(self._host)
            self._host.connect()
            if self._options.approve:
                approve_own(self._host, self._options)
            self._over.wait()
        except KeyboardInterrupt:
            return self._leave()
        except GatewayError as error:
            self._fail(error)
        self._host.close(drain=0)
        if self._failed:
            raise self._failed[0]
        # Closed by the module itself.
        return ExitCode.OK

    def _leave(self) -> int:
        try:
            self._view.leaving(self._host.active_calls)
            self._host.close(drain=DRAIN)
            self._gone.wait(LAST_LINES)
        except KeyboardInterrupt:
            return ExitCode.INTERRUPTED
        return ExitCode.OK

    def _state(self, change: HostStateChange) -> None:
        self._tell(partial(self._view.state, host=self._host), change)
        if change.new == "disconnected":
            if change.cause is not None:
                # It does not go on by itself: that is how the module made it.
                self._fail(change.cause)
            self._gone.set()
            self._over.set()

    def _tell(self, show: Callable[[Any], None], what: Any) -> None:
        with self._lock:
            if self._failed:
                # The error is the last that is told.
                return
            try:
                show(what)
            except OSError as error:
                # Nobody reads the output any more.
                self._failed.append(error)
                self._over.set()

    def _fail(self, error: Exception) -> None:
        with self._lock:
            self._failed.append(error)
        self._over.set()
