"""Errors and logs for the person at the terminal, and for the script behind it."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shlex
import sys
import traceback
from types import TracebackType
from typing import Any

from openclaw_client.cli.exit_codes import ExitCode, exit_code
from openclaw_client.cli.options import Options
from openclaw_client.cli.output import fields_of, json_line
from openclaw_client.client.diagnosis import TEST_SESSION, WHERE_IT_IS
from openclaw_client.errors import (
    GatewayError,
    JournalError,
    MethodUnavailable,
    MissingScope,
    OutcomeUnknown,
    PairingRequired,
    RequestTimeout,
    RunFailed,
    RunLost,
    RunTimeout,
    RunUnknown,
)
from openclaw_client.errors.peer_text import harmless, one_line

TRACEBACKS = 2
"""-v tells what happens; only a second one asks for the insides."""

_CREDENTIALS = {
    "AUTH_TOKEN_MISSING": ("OPENCLAW_GATEWAY_TOKEN", "--token-file"),
    "AUTH_PASSWORD_MISSING": ("OPENCLAW_GATEWAY_PASSWORD", "--password"),
}
_ADVICE = {
    "DEVICE_IDENTITY_REQUIRED": "Leave --no-device out, or set OPENCLAW_GATEWAY_TOKEN",
    "CERTIFICATE_UNTRUSTED": "See `openclaw-client pin`, and give the fingerprint with --tls-fingerprint, or the "
    "certificate's authority with --ca-file",
    "CERTIFICATE_NOT_STANDARD": "Issue the authority's certificate anew with what is missing, or give the gateway's "
    "fingerprint with --tls-fingerprint",
    "PAIRING_REQUIRED": "Run that command on the gateway's machine; `openclaw-client pair` waits until it is done",
    "INVALID_ROLE": "Report this as a bug, with the gateway's version",
    "CONTROL_UI_DEVICE_IDENTITY_REQUIRED": "Report this as a bug, with the gateway's version",
    "CONTROL_UI_BUILD_MISMATCH": "Report this as a bug, with the gateway's version",
}
"""By detail code, where the library's advice is of use to a Python program only."""
_LISTS = {
    "exec.approval.list": "This release has no list: `openclaw-client approvals --watch` shows what comes",
    "question.list": "Agents ask questions from 2026.8.1 on",
}
_SPELLINGS = {
    "timeouts=Timeouts(connect=…)": "--timeout",
    'pass proxy=""': "set no_proxy in the environment",
    "tls_fingerprint=": "--tls-fingerprint",
    "ca_file=": "--ca-file",
    "scopes=": "--scopes",
    "headers=": "--header",
    "pass identity=": "give --identity",
    "pass another identity store": "give another file with --identity",
    "pass token= or password=": "give --token-file or --password",
    "Pass token= or password=": "Give --token-file or --password",
}
"""Arguments of Python calls, and what they are called here."""
_PERSONS = ("openclaw_client.interactions", "openclaw_client.tools")
"""Loggers whose warnings are the person's affair: why a command was refused, what a tool raised."""
_BESIDE = "`openclaw-client chat` asks on a terminal only; beside a script, keep `openclaw-client {} --watch` open"
_SPELLINGS |= {
    f'register on_{kind}, or pass answers=["{kind}s"], before connect()': _BESIDE.format(f"{kind}s")
    for kind in ("approval", "question")
}
_SPELLED = re.compile(rf"(?<![\w.])(?:{'|'.join(map(re.escape, _SPELLINGS))})(?!\w)")
"""Whole words and no values: what else a text may hold, such as `scopes=[…]` in a gateway's own, stays as it is."""


def report(error: GatewayError, options: Options) -> int:
    """Tell about an error: one line on stderr, with --json also an object on stdout. Returns the exit code."""
    code = exit_code(error)
    _write(sentence(error, options), error, options)
    if options.json:
        json_line("error", {"error": type(error).__name__, **_shown(error, options), "exit_code": int(code)})
    return code


def report_crash(error: Exception, options: Options) -> int:
    """The same for an error that this package does not raise on purpose."""
    text = f"unexpected {type(error).__name__}: {error}"
    _write(text + ("" if options.verbose >= TRACEBACKS else "; -vv shows where"), error, options)
    if options.json:
        fields = {"error": type(error).__name__, "message": one_line(text), "exit_code": int(ExitCode.FAILED)}
        json_line("error", fields)
    return ExitCode.FAILED


def sentence(error: GatewayError, options: Options, *, chatting: bool = False) -> str:
    """What happened and what to do next, in one line and in the words of the command line, or of its chat."""
    todo = advice(error, options, chatting=chatting)
    if isinstance(error, RunFailed | RunLost | RunUnknown):
        # Which run it was and how much had arrived is on the screen, and in the fields of the JSON object.
        failed = "the run failed: " if isinstance(error, RunFailed) else ""
        return one_line(f"{failed}{error.message.rstrip('.')}{f'. {todo}' if todo else ''}")
    shown = error.again()
    shown.remedy = todo
    return one_line(str(shown))


def advice(error: GatewayError, options: Options, *, chatting: bool = False) -> str:
    """What to do next."""
    key = TEST_SESSION if options.command == "doctor" else options.session
    session = "" if key is None else f" --session {shlex.quote(key)}"
    history = ":history" if chatting else f"`openclaw-client history{session}`"
    if isinstance(error, RunTimeout) and not error.sent:
        stop = ":abort" if chatting else f"`openclaw-client abort{session}`"
        return f"Another run of the session goes on: give more time with --timeout, or stop it with {stop}"
    if isinstance(error, RunTimeout):
        return f"{':abort' if chatting else f'`openclaw-client abort --run {error.run_id}{session}`'} ends it there"
    if isinstance(error, RunLost | RunUnknown):
        return f"{history} shows what became of it"
    if isinstance(error, RequestTimeout | OutcomeUnknown) and error.method == "chat.send":
        return f"{history} shows whether the message arrived"
    if isinstance(error, MethodUnavailable) and error.method in _LISTS:
        return _LISTS[error.method]
    if isinstance(error, JournalError) and error.reason == "in_use":
        return "End that process first; `openclaw-client journal show` looks into it beside one"
    if isinstance(error, MissingScope):
        return f"Ask for it with --scopes{', without --no-device' if options.no_device else ''}"
    if isinstance(error, PairingRequired) and error.reason == "scope-upgrade" and error.requested_scopes:
        # `pair` by itself asks for the usual scopes, which this device has.
        pair = f"openclaw-client pair --scopes {shlex.quote(','.join(error.requested_scopes))}"
        return f"Run that command on the gateway's machine; `{pair}` waits until it is done"
    detail = getattr(error, "detail_code", None) or ""
    variable, option = _CREDENTIALS.get(detail, ("", ""))
    if not variable:
        return _ADVICE.get(detail) or _spelled(error.remedy)
    if options.url and os.environ.get(variable):
        return f"{variable} goes with OPENCLAW_GATEWAY_URL only: set that to this gateway, or give {option}"
    found = f"; {WHERE_IT_IS}" if detail == "AUTH_TOKEN_MISSING" else ""
    return f"Set {variable}, or give {option}{found}"


def _spelled(remedy: str) -> str:
    return _SPELLED.sub(lambda found: _SPELLINGS[found.group()], remedy)


def complain(text: str) -> None:
    """One line on stderr."""
    print(f"openclaw-client: {one_line(text)}", file=sys.stderr, flush=True)


def set_up_logging(verbose: int) -> None:
    """The package's log records to stderr: warnings, with -v what happens, with -vv everything."""
    logger = logging.getLogger("openclaw_client")
    handler = _StderrHandler()
    handler.setFormatter(_Formatter("openclaw-client: %(levelname)s: %(name)s: %(message)s", verbose >= TRACEBACKS))
    logger.handlers[:] = [handler]
    logger.propagate = False
    logger.setLevel({0: logging.WARNING, 1: logging.INFO}.get(verbose, logging.DEBUG))
    # A connect that fails is told by the command itself.
    logging.getLogger("openclaw_client.connection").setLevel(logging.NOTSET if verbose else logging.ERROR)
    # The same for a TLS handshake that fails: the event loop has a word to say about it, too.
    logging.getLogger("asyncio").setLevel(logging.NOTSET if verbose >= TRACEBACKS else logging.CRITICAL)


class _StderrHandler(logging.Handler):
    """Writes to what stderr is at the moment: a live display puts itself in its place."""

    def emit(self, record: logging.LogRecord) -> None:
        line, stderr = harmless(self.format(record)), sys.stderr
        if stderr is None:
            # The program was started without it.
            return
        try:
            print(line, file=stderr, flush=True)
        except OSError:
            # Who read it has gone, and the command goes on without.
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stderr.fileno())


class _Formatter(logging.Formatter):
    def __init__(self, layout: str, tracebacks: bool) -> None:
        super().__init__(layout)
        self._tracebacks = tracebacks

    def format(self, record: logging.LogRecord) -> str:
        if record.name in _PERSONS and record.levelno >= logging.WARNING:
            text = f"openclaw-client: {one_line(_spelled(record.getMessage()))}"
            if not record.exc_info or record.exc_info[0] is None:
                return text
            told = self.formatException(record.exc_info)
            return f"{text}\n{told}" if self._tracebacks else f"{text}: {one_line(told)}"
        return super().format(record)

    def formatException(  # noqa: N802 - the name of the standard library
        self, ei: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
    ) -> str:
        return super().formatException(ei) if self._tracebacks else f"{type(ei[1]).__name__}: {ei[1]}"


def _write(text: str, error: Exception, options: Options) -> None:
    if options.verbose >= TRACEBACKS:
        print(harmless("".join(traceback.format_exception(error))), end="", file=sys.stderr)
    complain(text)


def _shown(error: GatewayError, options: Options) -> dict[str, Any]:
    """The fields that are text, numbers or lists of text. A gateway's own mappings may hold what must not be shown."""
    simple = {
        name: value
        for name, value in fields_of(error).items()
        if isinstance(value, str | int | float) or (isinstance(value, tuple) and value)
    }
    return {**simple, "message": sentence(error, options), "remedy": advice(error, options)}
