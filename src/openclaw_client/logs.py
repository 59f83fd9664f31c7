"""Loggers whose records change nothing of what the client does, whatever a handler, a filter or a formatter raises.

Knows nothing of this package. A record is written in the middle of the work, so an error out of it would take a
connect, a frame or a whole event loop along.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import threading
import traceback
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    _Adapter = logging.LoggerAdapter[logging.Logger]
else:
    _Adapter = logging.LoggerAdapter


class GuardedLogger(_Adapter):
    """The standard library's logger of a name. Errors of handlers are shown on stderr, as `logging` itself does it."""

    def __init__(self, name: str) -> None:
        super().__init__(logging.getLogger(name), None)

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        # This frame stands between the caller's and those of logging, which knows its own.
        kwargs["stacklevel"] = kwargs.get("stacklevel", 1) + 1
        try:
            super().log(level, msg, *args, **kwargs)
        except BaseException as error:
            if ends_more_than_a_callback(error):
                raise
            _show(error)


def handler_name(handler: object) -> str:
    """What a log line calls a handler."""
    return getattr(handler, "__qualname__", None) or type(handler).__qualname__


def ends_more_than_a_callback(error: BaseException) -> bool:
    """Whether what a user's code raised within the client's own work must go on to who runs it.

    So do Ctrl-C and SystemExit in the main thread, and, where no event loop runs, all that is no Exception: it may be
    meant for the caller, such as a time limit of gevent's. On a loop's thread nobody is there whom it could reach.
    """
    if isinstance(error, Exception):
        return False
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return True
    ends_programs = isinstance(error, KeyboardInterrupt | SystemExit)
    return ends_programs and threading.current_thread() is threading.main_thread()


def _show(error: BaseException) -> None:
    if logging.raiseExceptions and sys.stderr is not None:
        # stderr may be what the handler could not write to.
        with contextlib.suppress(Exception):
            lines = traceback.format_exception(error)
            sys.stderr.write("".join(["--- a log handler raised ---\n", *lines]))
