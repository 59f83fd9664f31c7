"""A line that a person types at a terminal, given up where it is not needed any more.

Knows the terminal. Refuses to know what is asked.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Final

LOOK: Final = 0.1
"""Seconds between two looks whether the line is still needed: quicker than a person wonders."""
LONGEST: Final = 4095
"""Bytes of a line that a terminal takes (Linux); what is typed behind them is lost without a word."""


class NotNeeded(Exception):
    """What was asked is over."""


class TooLong(Exception):
    """The terminal did not take the whole line."""


def can_type() -> bool:
    """Whether a person can be asked: stdin and stdout are a terminal, of a kind that this module can handle."""
    streams = (sys.stdin, sys.stdout)
    # Without termios (Windows) nobody can wait for a terminal and something else.
    return all(stream is not None and stream.isatty() for stream in streams) and find_spec("termios") is not None


def forget_typed() -> None:
    """Drop what was typed before there was anything to answer: it is no answer."""
    import termios

    with contextlib.suppress(termios.error):
        termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)


def read_line(prompt: str, over: Callable[[], bool], *, hidden: bool = False) -> str:
    """The next line. hidden: without showing it.

    Not by readline, which nobody can call off. Raises NotNeeded as soon as over() is true, with nothing left of what
    was typed; EOFError for Ctrl-D; TooLong.
    """
    descriptor, taken = sys.stdin.fileno(), b""
    ended = False
    with _hidden(descriptor) if hidden else contextlib.nullcontext():
        sys.stdout.write(prompt)
        sys.stdout.flush()
        try:
            while not taken.endswith(b"\n"):
                if over():
                    forget_typed()
                    raise NotNeeded
                if not select.select([descriptor], [], [], LOOK)[0]:
                    continue
                piece = os.read(descriptor, LONGEST + 1)
                if not piece:
                    raise EOFError
                taken += piece
            ended = not hidden
        finally:
            if not ended:
                # Nobody else has ended the line on the screen.
                print(flush=True)
    if len(taken) >= LONGEST:
        raise TooLong
    return taken.decode(sys.stdin.encoding or "utf-8", "replace").rstrip("\r\n")


@contextlib.contextmanager
def _hidden(descriptor: int) -> Iterator[None]:
    import termios

    before = termios.tcgetattr(descriptor)
    silent = [*before]
    silent[3] &= ~termios.ECHO
    termios.tcsetattr(descriptor, termios.TCSADRAIN, silent)
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
