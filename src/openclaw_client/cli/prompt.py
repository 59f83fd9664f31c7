"""The line that a person types, and what other threads show meanwhile.

Knows the terminal's cursor. Refuses to know gateways and messages.
"""

from __future__ import annotations

import shutil
import sys
import threading
from contextlib import AbstractContextManager
from types import ModuleType
from typing import Any

from openclaw_client.cli.drawings import Draw, Drawings


def load_readline() -> Any:
    """The line editor, None where this Python has none; its history lives as long as the process.

    Several pasted lines are one message: the bracketed paste that makes it so is off by default under Python.
    """
    try:
        import readline
    except ImportError:
        return None
    _bind(readline)
    return readline


def _bind(readline: ModuleType) -> None:
    # libedit, which stands in for readline on macOS, has another language and no such setting.
    if "libedit" not in (readline.__doc__ or ""):
        readline.parse_and_bind("set enable-bracketed-paste on")


class Screen:
    """Takes turns: a person types, a run is shown, or a handler shows something.

    What comes while a person types is shown above the line, which is drawn again; what comes during a run waits.
    """

    def __init__(self, prompt: str, readline: Any) -> None:
        self._prompt = prompt
        self._readline = readline
        self._lock = threading.RLock()
        self._asking = False
        self._drawings = Drawings(self._lock)

    def ask(self) -> str:
        """The next line. On the main thread.

        Raises EOFError for Ctrl-D and KeyboardInterrupt for Ctrl-C on an empty line; on another one Ctrl-C empties it.
        """
        while True:
            try:
                return self._ask()
            except KeyboardInterrupt:
                if not self._typed():
                    raise
                print()

    def busy(self) -> AbstractContextManager[object]:
        """For the length of a block the screen belongs to somebody else; what is shown meanwhile comes after it."""
        return self._drawings.held()

    def show(self, draw: Draw) -> None:
        """Let draw() write something, now or after the run. From any thread."""
        with self._lock:
            self._drawings.add(lambda: self._show(draw))

    def _show(self, draw: Draw) -> None:
        if self._asking:
            self._clear_line()
            draw()
            self._draw_line()
        else:
            draw()

    def _ask(self) -> str:
        if self._readline is None:
            self._begin_asking()
        else:
            # Called when the prompt is on the screen, so that nobody draws it a second time.
            self._readline.set_pre_input_hook(self._begin_asking)
        try:
            return input(self._prompt if self._readline is not None else plain(self._prompt))
        finally:
            with self._lock:
                self._asking = False

    def _begin_asking(self) -> None:
        with self._lock:
            self._asking = True

    def _typed(self) -> str:
        return str(self._readline.get_line_buffer()) if self._readline is not None else ""

    def _clear_line(self) -> None:
        columns = max(1, shutil.get_terminal_size().columns)
        rows = (len(plain(self._prompt)) + len(self._typed())) // columns
        sys.stdout.write("\r\x1b[K" + "\x1b[A\x1b[K" * rows)
        sys.stdout.flush()

    def _draw_line(self) -> None:
        shown = self._prompt.replace("\001", "").replace("\002", "")
        sys.stdout.write(shown + self._typed())
        sys.stdout.flush()


def plain(prompt: str) -> str:
    """A prompt without its colours."""
    text, shown = prompt, ""
    while "\001" in text:
        before, rest = text.split("\001", 1)
        shown, text = shown + before, rest.split("\002", 1)[-1]
    return shown + text
