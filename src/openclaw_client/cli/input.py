"""What comes in on stdin: a message, the file that it is about, or a JSON object."""

from __future__ import annotations

import json
import os
import stat
import sys
import threading
from typing import Any

from openclaw_client.cli.view import remark
from openclaw_client.errors import UsageError

PATIENCE = 3.0
"""Seconds behind which a person is told that stdin is waited for: most programs that pipe have begun by then."""


def read_message(given: str | None) -> str:
    """The message as it was given, or what stdin holds, without the line end that every text file has."""
    return read_stdin() if given is None or given == "-" else given


def read_message_and_stdin(given: str | None) -> str:
    """The same; what is piped in beside a message follows it behind an empty line."""
    if given is None or given == "-" or not _is_piped():
        return read_message(given)
    piped = read_stdin(told=True)
    return f"{given}\n\n{piped}" if piped.strip() else given


def is_conversation(given: str | None) -> bool:
    """Whether a person is to be asked for messages."""
    return given is None and sys.stdin is not None and sys.stdin.isatty()


def read_stdin(*, told: bool = False) -> str:
    """All of stdin as text. told: whether to say that it is waited for.

    Raises UsageError where it is closed or is not text.
    """
    if sys.stdin is None:
        raise UsageError(message="stdin is closed; nothing was sent", remedy="Give a message, or pipe one in")
    waiting = threading.Timer(PATIENCE, remark, ("waiting for the end of stdin; `< /dev/null` leaves it out",))
    waiting.daemon = True
    if told:
        waiting.start()
    try:
        # As bytes: in the C locale Python reads what is no text all the same, and nobody can send it.
        text = sys.stdin.buffer.read().decode(sys.stdin.encoding)
    except UnicodeDecodeError as error:
        raise UsageError(
            message=f"stdin is not text in {sys.stdin.encoding}, the encoding of the locale; nothing was sent",
            remedy="Convert it on the way: `iconv -f latin1 -t utf-8`",
        ) from error
    finally:
        waiting.cancel()
    return text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n")


def read_object(given: str | None, what: str, example: str) -> dict[str, Any] | None:
    """The JSON object as it was given, or with "-" what stdin holds; None where nothing was given.

    what: what it is, example: how it is written, for the UsageError that it raises.
    """
    text = read_stdin() if given == "-" else given
    if text is None:
        return None
    remedy = f"Write them like {example}"
    try:
        params = json.loads(text)
    except ValueError as error:
        raise UsageError(message=f"the {what} are no JSON: {error}", remedy=remedy) from None
    if not isinstance(params, dict):
        raise UsageError(message=f"the {what} are no JSON object", remedy=remedy)
    return params


def _is_piped() -> bool:
    """Whether stdin is a pipe or a file, and not a terminal, closed or /dev/null."""
    if sys.stdin is None:
        return False
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode
    except (OSError, ValueError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode) or stat.S_ISSOCK(mode)
